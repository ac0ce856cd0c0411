//! Gathers what `why` is told from: status, history, and the last lines of the log. With or without a daemon.

use jiff::tz::TimeZone;
use soloist_api::error::Problem;
use soloist_api::history::{Entry, HistoryQuery, Why};
use soloist_api::status::ServiceStatus;
use soloist_os::layout::Layout;

use crate::config::Declared;
use crate::convert::moment;
use crate::history::read::read;
use crate::logs::mask::Mask;
use crate::logs::{Position, end_of_run};
use crate::plain::plain;
use crate::why::{Account, why};

/// So far back the paragraph looks.
const LINES_OF_HISTORY: u32 = 500;
/// So many lines of a log are shown,
const LINES_OF_LOG: usize = 5;
/// of at most so many characters each,
const LINE_MAX: usize = 300;
/// out of so many bytes at the end.
const LOOKED_AT: u64 = 16 * 1024;

/// Why an instance is as it is. Without a status it may have been here once.
///
/// # Errors
/// What kept the status from being known, if the history does not know the instance either.
pub fn of(
    layout: &Layout,
    name: &str,
    known: Result<(ServiceStatus, Option<Declared>), Problem>,
    zone: &TimeZone,
) -> Result<Why, Problem> {
    let query = HistoryQuery {
        service: Some(name.to_owned()),
        limit: Some(LINES_OF_HISTORY),
        ..HistoryQuery::default()
    };
    let past = match (read(&layout.history(), &query), &known) {
        (Ok(history), _) => history.entries,
        // What is true now can be told without the past.
        (Err(_), Ok(_)) => Vec::new(),
        (Err(problem), Err(_)) => return Err(problem),
    };
    // The lines of `scraper@antica` tell nothing of `scraper`; those of its lanes do.
    let is_of = |entry: &Entry| {
        let rest = entry.service.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('~'))
    };
    let past: Vec<Entry> = past.into_iter().filter(is_of).collect();
    let (status, declared) = match known {
        Ok((status, declared)) => (Some(status), declared),
        Err(problem) if past.is_empty() => return Err(problem),
        Err(_) => (None, None),
    };
    let started = past.iter().rev().find(|entry| entry.what == "started");
    let began = started.and_then(|entry| Some(Position { seq: entry.log_seq?, offset: entry.log_at? }));
    let logging = declared.as_ref().map(|declared| &declared.program.log);
    let mut mask = logging.map(|log| Mask::new(&log.mask)).unwrap_or_default();
    let started = started.filter(|_| logging.is_some_and(|log| log.rules.is_split));
    let apart = started.and_then(|entry| u64::try_from(entry.at.as_millisecond()).ok());
    let last_lines = last_lines(&end_of_run(&layout.log(name), began, apart, LOOKED_AT, &mut mask));
    let text = why(&Account {
        name,
        status: status.as_ref(),
        plan: declared.as_ref().map(|declared| &declared.plan),
        past: &past,
        last_lines: &last_lines,
        now: moment(soloist_os::clock::wall_ms()).unwrap_or_default(),
        zone,
    });
    Ok(Why { service: name.to_owned(), text })
}

/// The last lines with anything in them.
fn last_lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(printable).filter(|line| !line.trim().is_empty());
    let mut lines: Vec<String> = lines.collect();
    lines.drain(..lines.len().saturating_sub(LINES_OF_LOG));
    lines
}

/// A line as people see it, so that a log cannot paint on a terminal; not all of one that is long.
fn printable(line: &str) -> String {
    let mut line = plain(line).replace('\t', " ");
    if let Some((end, _)) = line.char_indices().nth(LINE_MAX) {
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_those_of_the_last_run_and_paint_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.log");
        let mut mask = Mask::default();
        let mut last_lines = |offset| {
            let from = Some(Position { seq: 1, offset });
            last_lines(&end_of_run(&path, from, None, LOOKED_AT, &mut mask))
        };
        assert_eq!(last_lines(0), Vec::<String>::new());
        std::fs::write(&path, b"of the run before\n\x1b[31mred\x1b[0m\tword\x07\n\n  \nlast \xff\n").unwrap();
        assert_eq!(last_lines(18), ["red word", "last \u{fffd}"]);
        assert_eq!(last_lines(10_000)[0], "of the run before");
    }

    #[test]
    fn a_long_log_is_read_from_its_end_and_a_long_line_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.log");
        let lines: String = (0..100_000).map(|n| format!("line {n}\n")).collect();
        std::fs::write(&path, lines + &"x".repeat(1_000)).unwrap();
        let found = last_lines(&end_of_run(&path, None, None, LOOKED_AT, &mut Mask::default()));
        assert_eq!(found.len(), LINES_OF_LOG);
        assert_eq!(found[3], "line 99999");
        assert_eq!(found[4].chars().count(), LINE_MAX + 1);
    }
}
