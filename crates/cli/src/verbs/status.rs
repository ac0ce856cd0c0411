//! `soloist status`: what is true, as a table or as JSON, once or as it changes. The table is `status/table.rs`, one service
//! in full `status/detail.rs`, the watch `status/watch.rs`.

mod detail;
mod table;
mod watch;

use jiff::Timestamp;
use soloist_api::error::Problem;
use soloist_api::status::{ExitStatus, ServiceStatus, Status};
use soloist_daemon::why::local;
use soloist_daemon::{runs, schedules};

use crate::printer::Printer;
use crate::project::Project;
use crate::verbs::services::code_of;

#[cfg(feature = "tui")]
pub use table::last;

/// What is asked for.
pub struct Wish {
    /// Only this one.
    pub name: Option<String>,
    /// As it changes.
    pub is_watched: bool,
    /// As JSON.
    pub is_json: bool,
}

/// Exit code 0; of one service the code that tells its state.
pub async fn status(project: &Project, printer: &Printer, wish: Wish) -> Result<i32, Problem> {
    let status = project.status().await?;
    let found = wish.name.as_deref().map(|name| chosen(name, &status)).transpose()?;
    if wish.is_watched {
        return watch::watch(project, printer, &wish).await;
    }
    let code = found.map_or(0, code_of);
    let status = match found.cloned() {
        Some(found) => Status { services: vec![found], ..status },
        None => status,
    };
    if wish.is_json {
        printer.json(&status);
    } else {
        text(printer, &wish, &status, None).iter().for_each(|line| printer.line(line));
    }
    Ok(code)
}

/// The one of this name.
pub fn chosen<'a>(name: &str, status: &'a Status) -> Result<&'a ServiceStatus, Problem> {
    let known = || status.services.iter().map(|service| service.name.as_str());
    let found = status.services.iter().find(|service| service.name == name);
    found.ok_or_else(|| runs::unknown_among(name, known()))
}

/// All of it, or all of the one that is asked for, in lines that fit the terminal.
fn text(printer: &Printer, wish: &Wish, status: &Status, notice: Option<&str>) -> Vec<String> {
    match &wish.name {
        Some(name) => {
            let found = status.services.iter().find(|service| service.name == *name);
            let mut lines = table::notices(printer, notice);
            lines.extend(found.map_or_else(Vec::new, |service| detail::lines(printer, service)));
            lines
        }
        None => table::lines(printer, status, notice),
    }
}

/// The next run by its schedule, else when it goes on by itself.
pub fn next(service: &ServiceStatus) -> Option<Timestamp> {
    service.schedule.as_ref().and_then(|schedule| schedule.next).or(service.next)
}

/// A moment of a service as people think of it: in the local time of its schedule, else of this machine.
pub fn moment(service: &ServiceStatus, at: Timestamp) -> String {
    let zone = service.schedule.as_ref().and_then(|schedule| schedule.zone.as_deref());
    local(at, Timestamp::now(), &schedules::edit::zone(zone.unwrap_or_default()))
}

/// How a run ended, in a few letters.
pub fn exit_word(exit: ExitStatus) -> String {
    match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit {code}"),
        (_, Some(signal)) => format!("signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// How long ago that was.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    span(now.as_millisecond() - at.as_millisecond())
}

/// How long it is until then.
pub fn until(at: Timestamp, now: Timestamp) -> String {
    span(at.as_millisecond() - now.as_millisecond())
}

/// Two digits and a unit tell enough: `850ms`, `12s`, `3m`, `5h`, `12d`.
fn span(ms: i64) -> String {
    match ms.max(0) {
        ms @ 0..1_000 => format!("{ms}ms"),
        ms @ 1_000..120_000 => format!("{}s", ms / 1_000),
        ms @ 120_000..7_200_000 => format!("{}m", ms / 60_000),
        ms @ 7_200_000..172_800_000 => format!("{}h", ms / 3_600_000),
        ms => format!("{}d", ms / 86_400_000),
    }
}
