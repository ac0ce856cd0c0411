//! The table of `status`: a row a service, with what there is to say about it below. It fits 80 columns for usual names, and
//! any terminal: what is too long for one is cut in a row, and wrapped elsewhere.

use jiff::Timestamp;
use soloist_api::status::{OldCode, ServiceStatus, Status};
use soloist_daemon::schedules;

use super::{ago, exit_word, next, until};
use crate::printer::{Printer, Tone};
use crate::text::wrap;

/// The table, with its head and its warnings.
pub fn lines(printer: &Printer, status: &Status, notice: Option<&str>) -> Vec<String> {
    let now = Timestamp::now();
    let mut lines = head(printer, status, now);
    lines.extend(notices(printer, notice));
    let schedules = status.services.iter().filter_map(|service| service.schedule.as_ref());
    for warning in schedules::warnings(schedules) {
        lines.extend(below(printer, 0, &format!("warning: {warning}"), Tone::Bad));
    }
    if status.services.is_empty() {
        let how = "no services; declare them in soloist.toml or start one with `soloist run NAME -- COMMAND`";
        lines.extend(wrap(how, printer.columns()));
        return lines;
    }
    let width = status.services.iter().map(|s| s.name.chars().count()).max().unwrap_or(0).max(4);
    lines.push(printer.cut(&format!(
        "{:<width$}  {:<9}  {:>7}  {:>7}  {:>5}  {:>8}  LAST",
        "NAME", "STATE", "PID", "FOR", "PORT", "RESTARTS"
    )));
    for service in &status.services {
        lines.push(row(printer, width, service, now));
        let note = service.note.clone().filter(|_| !is_well(service));
        let stale = service.stale.then(|| "soloist.toml has changed; `soloist up` takes it in".to_owned());
        let notes = [says(service), note, stale, old_code(service, now)].into_iter().flatten();
        let hours = service.schedule.iter().flat_map(|schedule| schedules::words(schedule, now));
        lines.extend(notes.chain(hours).flat_map(|note| below(printer, width + 2, &note, Tone::Faint)));
        for warning in &service.warnings {
            lines.extend(below(printer, width + 2, &format!("warning: {warning}"), Tone::Bad));
        }
    }
    lines
}

fn head(printer: &Printer, status: &Status, now: Timestamp) -> Vec<String> {
    let Some(daemon) = &status.daemon else {
        return below(printer, 0, "no daemon runs here; `soloist up` starts one", Tone::Faint);
    };
    let text =
        format!("daemon pid {}, up {}, soloist {}", daemon.pid, ago(daemon.since, now), daemon.version);
    let note = daemon.note.clone();
    [Some(text), note].into_iter().flatten().flat_map(|text| below(printer, 0, &text, Tone::Faint)).collect()
}

/// What there is to say of the daemon.
pub fn notices(printer: &Printer, notice: Option<&str>) -> Vec<String> {
    notice.map_or_else(Vec::new, |notice| below(printer, 0, notice, Tone::Busy))
}

fn row(printer: &Printer, width: usize, service: &ServiceStatus, now: Timestamp) -> String {
    let pid = service.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    let since = service.since.map_or_else(|| "-".to_owned(), |at| ago(at, now));
    let port = service.ports.first().map_or_else(|| "-".to_owned(), ToString::to_string);
    let row = format!(
        "{:<width$}  {}  {pid:>7}  {since:>7}  {port:>5}  {:>8}  {}",
        service.name,
        printer.state(&service.state, 9),
        service.restarts,
        last(service, now)
    );
    printer.cut(row.trim_end())
}

/// Text below a row, wrapped behind its indentation.
fn below(printer: &Printer, indent: usize, text: &str, tone: Tone) -> Vec<String> {
    let lines = wrap(text, printer.columns().saturating_sub(indent));
    lines.iter().map(|line| printer.cut(&format!("{:indent$}{}", "", printer.tone(line, tone)))).collect()
}

fn is_well(service: &ServiceStatus) -> bool {
    matches!(service.state.as_str(), "ready" | "running" | "scheduled" | "completed" | "stopped")
}

/// What a living service says of itself: `scraping 12/50: page 12 of Antica`.
pub fn says(service: &ServiceStatus) -> Option<String> {
    service.pid?;
    let said = &service.said;
    let words: Vec<&str> = [&said.state, &said.progress].into_iter().flatten().map(String::as_str).collect();
    let parts = [words.join(" "), said.status.clone().unwrap_or_default()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

/// That its code is newer than its run: `running old code (app/reports.py changed 3m ago)`.
pub fn old_code(service: &ServiceStatus, now: Timestamp) -> Option<String> {
    let OldCode { path, changed } = service.old_code.as_ref()?;
    Some(format!("running old code ({path} changed {} ago)", ago(*changed, now)))
}

/// When it runs next, else how its last run ended.
pub fn last(service: &ServiceStatus, now: Timestamp) -> String {
    let is_waiting = service.state == "scheduled" || service.pid.is_some();
    match (service.exit, next(service)) {
        (_, Some(next)) if is_waiting => format!("next in {}", until(next, now)),
        (Some(exit), _) => exit_word(exit),
        (None, _) => String::new(),
    }
}
