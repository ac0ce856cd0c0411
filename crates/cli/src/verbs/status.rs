//! `soloist status`: what is true, as a table that fits 80 columns, or as JSON.

use soloist_api::error::Problem;
use soloist_api::status::{ExitStatus, ServiceStatus, Status};
use soloist_daemon::{runs, schedules};

use crate::printer::{Printer, Tone};
use crate::project::Project;
use crate::verbs::services::code_of;

/// Exit code 0; of one service the code that tells its state.
pub async fn status(
    project: &Project,
    printer: &Printer,
    name: Option<&str>,
    is_json: bool,
) -> Result<i32, Problem> {
    let mut status = project.status().await?;
    let mut code = 0;
    if let Some(name) = name {
        let Some(found) = status.services.iter().find(|s| s.name == name).cloned() else {
            return Err(runs::unknown_among(name, status.services.iter().map(|s| s.name.as_str())));
        };
        code = code_of(&found);
        if !is_json {
            detail(printer, &found);
            return Ok(code);
        }
        status.services = vec![found];
    }
    if is_json {
        printer.json(&status);
    } else {
        table(printer, &status);
    }
    Ok(code)
}

fn table(printer: &Printer, status: &Status) {
    match &status.daemon {
        Some(daemon) => {
            let text =
                format!("daemon pid {}, up {}, soloist {}", daemon.pid, ago(daemon.since), daemon.version);
            printer.line(&printer.tone(&text, Tone::Faint));
            if let Some(note) = &daemon.note {
                printer.line(&printer.tone(note, Tone::Faint));
            }
        }
        None => printer.line(&printer.tone("no daemon runs here; `soloist up` starts one", Tone::Faint)),
    }
    let schedules = status.services.iter().filter_map(|service| service.schedule.as_ref());
    for warning in schedules::warnings(schedules) {
        printer.line(&printer.tone(&format!("warning: {warning}"), Tone::Bad));
    }
    if status.services.is_empty() {
        printer.line(
            "no services; declare them in soloist.toml or start one with `soloist run NAME -- COMMAND`",
        );
        return;
    }
    let width = status.services.iter().map(|s| s.name.chars().count()).max().unwrap_or(0).max(4);
    printer.line(&format!(
        "{:<width$}  {:<9}  {:>7}  {:>7}  {:>5}  {:>8}  LAST",
        "NAME", "STATE", "PID", "FOR", "PORT", "RESTARTS"
    ));
    for service in &status.services {
        let pid = service.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let since = service.since.map_or_else(|| "-".to_owned(), ago);
        let port = service.ports.first().map_or_else(|| "-".to_owned(), ToString::to_string);
        printer.line(&format!(
            "{:<width$}  {}  {pid:>7}  {since:>7}  {port:>5}  {:>8}  {}",
            service.name,
            printer.state(&service.state, 9),
            service.restarts,
            last(service)
        ));
        let note = service.note.clone().filter(|_| !is_well(service));
        let stale = service.stale.then(|| "soloist.toml has changed; `soloist up` takes it in".to_owned());
        let notes = [says(service), note, stale].into_iter().flatten();
        let now = jiff::Timestamp::now();
        let hours = service.schedule.iter().flat_map(|schedule| schedules::words(schedule, now));
        for line in notes.chain(hours) {
            printer.line(&printer.tone(&format!("{:width$}  {line}", ""), Tone::Faint));
        }
    }
}

fn is_well(service: &ServiceStatus) -> bool {
    matches!(service.state.as_str(), "ready" | "running" | "scheduled" | "completed" | "stopped")
}

/// What a living service says of itself: `scraping 12/50: page 12 of Antica`.
fn says(service: &ServiceStatus) -> Option<String> {
    service.pid?;
    let said = &service.said;
    let words: Vec<&str> = [&said.state, &said.progress].into_iter().flatten().map(String::as_str).collect();
    let parts = [words.join(" "), said.status.clone().unwrap_or_default()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

fn last(service: &ServiceStatus) -> String {
    let is_waiting = service.state == "scheduled" || service.pid.is_some();
    match (service.exit, next(service)) {
        (_, Some(next)) if is_waiting => format!("next in {}", until(next)),
        (Some(exit), _) => exit_word(exit),
        (None, _) => String::new(),
    }
}

/// The next run by its schedule, else when it goes on by itself.
pub fn next(service: &ServiceStatus) -> Option<jiff::Timestamp> {
    service.schedule.as_ref().and_then(|schedule| schedule.next).or(service.next)
}

/// How a run ended, in a few letters.
pub fn exit_word(exit: ExitStatus) -> String {
    match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit {code}"),
        (_, Some(signal)) => format!("signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

fn detail(printer: &Printer, s: &ServiceStatus) {
    let row = |label: &str, text: &str| {
        if !text.is_empty() {
            printer.line(&format!("{label:>9}  {text}"));
        }
    };
    printer.line(&format!("{} ({})", s.name, s.kind));
    row("state", &format!("{}, wanted {}", printer.state(&s.state, 0), s.wanted));
    row("pid", &s.pid.map(|pid| pid.to_string()).unwrap_or_default());
    row("since", &s.since.map(|at| format!("{} ({} ago)", runs::short(at), ago(at))).unwrap_or_default());
    row("says", &says(s).unwrap_or_default());
    row("cause", s.cause.as_deref().unwrap_or_default());
    row("run", s.run_id.as_deref().unwrap_or_default());
    row("restarts", &s.restarts.to_string());
    let urls: Vec<String> = s.ports.iter().map(|port| format!("http://localhost:{port}")).collect();
    row("ports", &urls.join(", "));
    row("last exit", &s.exit.map(exit_word).unwrap_or_default());
    row("next", &next(s).map(|at| format!("{} (in {})", runs::short(at), until(at))).unwrap_or_default());
    if let Some(schedule) = &s.schedule {
        row("schedule", &schedule.triggers.join("; "));
        schedules::words(schedule, jiff::Timestamp::now()).iter().for_each(|line| row("", line));
        row("warning", schedule.warning.as_deref().unwrap_or_default());
    }
    row("note", s.note.as_deref().unwrap_or_default());
    row("command", &runs::command_line(&s.command));
    if let Some(holder) = &s.holder {
        row("holder", &format!("{} (guard pid {}, project {})", holder.kind, holder.guard, holder.project));
    }
    row("log", s.log.as_deref().unwrap_or_default());
    for (label, line) in std::iter::once("last said").chain(std::iter::repeat("")).zip(&s.tail) {
        row(label, line);
    }
}

fn ago(at: jiff::Timestamp) -> String {
    span(jiff::Timestamp::now().as_millisecond() - at.as_millisecond())
}

/// How long it is until then.
pub fn until(at: jiff::Timestamp) -> String {
    span(at.as_millisecond() - jiff::Timestamp::now().as_millisecond())
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
