//! `status NAME`: one service in full. Times are the reader's, of a schedule its own; both say their zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use soloist_api::status::ServiceStatus;
use soloist_daemon::why::local;
use soloist_daemon::{runs, schedules};

use super::table::{old_code, says};
use super::{ago, exit_word, moment, next, until};
use crate::printer::Printer;
use crate::text::wrap;

/// Labels and the blanks behind them.
const INDENT: usize = 11;

/// Everything that is told of it, a line a fact.
pub fn lines(printer: &Printer, s: &ServiceStatus) -> Vec<String> {
    let mut lines = vec![format!("{} ({})", s.name, s.kind)];
    let (now, here) = (Timestamp::now(), TimeZone::system());
    let room = printer.columns().saturating_sub(INDENT);
    let mut row = |label: &str, text: &str| {
        if !text.is_empty() {
            // What others wrote may hold anything; a fact is one line.
            lines.push(format!("{label:>9}  {}", text.replace(['\n', '\r'], " ")));
        }
    };
    row("state", &format!("{}, wanted {}", printer.state(&s.state, 0), s.wanted));
    row("pid", &s.pid.map(|pid| pid.to_string()).unwrap_or_default());
    row(
        "since",
        &s.since.map(|at| format!("{} ({} ago)", local(at, now, &here), ago(at, now))).unwrap_or_default(),
    );
    row("says", &says(s).unwrap_or_default());
    row("cause", s.cause.as_deref().unwrap_or_default());
    row("run", s.run_id.as_deref().unwrap_or_default());
    row("restarts", &s.restarts.to_string());
    let urls: Vec<String> = s.ports.iter().map(|port| format!("http://localhost:{port}")).collect();
    row("ports", &urls.join(", "));
    row("last exit", &s.exit.map(exit_word).unwrap_or_default());
    row("next", &next(s).map(|at| format!("{} (in {})", moment(s, at), until(at, now))).unwrap_or_default());
    if let Some(schedule) = &s.schedule {
        row("schedule", &schedule.triggers.join("; "));
        schedules::words(schedule, now).iter().for_each(|line| row("", line));
        let warning = schedule.warning.as_deref().map_or_else(Vec::new, |text| wrap(text, room));
        labelled("warning", &warning).for_each(|(label, line)| row(label, line));
    }
    row("code", &old_code(s, now).unwrap_or_default());
    for warning in &s.warnings {
        labelled("warning", &wrap(warning, room)).for_each(|(label, line)| row(label, line));
    }
    let note = s.note.as_deref().map_or_else(Vec::new, |text| wrap(text, room));
    labelled("note", &note).for_each(|(label, line)| row(label, line));
    row("command", &runs::command_line(&s.command));
    if let Some((holder, guard)) = s.holder.as_ref().and_then(|holder| Some((holder, holder.guard?))) {
        row("holder", &format!("{} (guard pid {guard}, project {})", holder.kind, holder.project));
    }
    row("log", s.log.as_deref().unwrap_or_default());
    labelled("last said", &s.tail).for_each(|(label, line)| row(label, line));
    lines
}

/// Lines of one fact: only the first is labelled.
fn labelled<'a>(label: &'a str, lines: &'a [String]) -> impl Iterator<Item = (&'a str, &'a String)> {
    std::iter::once(label).chain(std::iter::repeat("")).zip(lines)
}
