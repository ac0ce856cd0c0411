//! Reads the history run by run: what its lines say of one run, put together.

use std::path::Path;

use rusqlite::{Connection, named_params};
use soloist_api::error::Problem;
use soloist_api::history::Entry;
use soloist_api::watch::{Run, Runs, RunsQuery};

use super::read::{LINES, OF_SERVICE, found};
use super::store::{KEPT_ROWS, columns, read_row};

/// The runs that a query asks for, the newest first. A project without a history has none.
///
/// # Errors
/// If the file cannot be read as a history.
pub fn runs(path: &Path, query: &RunsQuery) -> Result<Runs, Problem> {
    Ok(Runs { runs: found(path, |connection| rows(connection, query))? })
}

fn rows(connection: &Connection, query: &RunsQuery) -> rusqlite::Result<Vec<Run>> {
    let columns = columns(connection)?;
    let mut starts = connection.prepare(&format!(
        "SELECT {columns} FROM entries
         WHERE {OF_SERVICE} AND what = 'started' AND run_id IS NOT NULL
         ORDER BY at DESC, id DESC LIMIT :limit"
    ))?;
    // With the very terms of the index `once`, so that it is used.
    let mut ends = connection.prepare(&format!(
        "SELECT {columns} FROM entries
         WHERE service = ?1 AND run_id = ?2
           AND run_id IS NOT NULL AND what IN ('started', 'exited', 'ended', 'guard-lost')"
    ))?;
    let limit = i64::from(query.limit.unwrap_or(LINES)).min(KEPT_ROWS);
    let starts = starts.query_map(named_params! { ":service": query.service, ":limit": limit }, read_row)?;
    starts
        .map(|start| {
            let start = start?;
            let lines = ends.query_map((&start.service, &start.run_id), read_row)?;
            Ok(joined(start, &lines.collect::<rusqlite::Result<Vec<Entry>>>()?))
        })
        .collect()
}

fn joined(start: Entry, lines: &[Entry]) -> Run {
    let line = |what: &str| lines.iter().find(|line| line.what == what);
    let ended = line("ended");
    Run {
        service: start.service,
        run_id: start.run_id.unwrap_or_default(),
        start: start.at,
        end: ended.map(|line| line.at),
        cause: start.cause,
        exit: line("exited").or(ended).and_then(|line| line.exit),
        duration_ms: ended.and_then(|line| line.duration_ms),
        pid: start.pid,
        peak_kib: ended.and_then(|line| line.peak_kib),
        cpu_ms: ended.and_then(|line| line.cpu_ms),
        log_at: start.log_at,
        log_seq: start.log_seq,
    }
}

#[cfg(test)]
mod tests {
    use soloist_api::status::ExitStatus;

    use super::*;
    use crate::convert::moment;
    use crate::history::blank;
    use crate::history::store::Store;

    fn line(at: u64, service: &str, run: &str, what: &str) -> Entry {
        Entry { run_id: Some(run.to_owned()), ..blank(moment(at).unwrap(), service, what.to_owned()) }
    }

    #[test]
    fn a_run_is_told_with_its_start_its_end_and_what_it_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.db");
        let query = |service: Option<&str>, limit| RunsQuery { service: service.map(str::to_owned), limit };
        assert_eq!(runs(&path, &query(None, None)).unwrap(), Runs::default(), "none is no error");
        let exit = Some(ExitStatus { code: Some(3), signal: None });
        let used = |line| Entry { duration_ms: Some(9), peak_kib: Some(64), cpu_ms: Some(5), ..line };
        let mut lines = [
            Entry {
                cause: Some("crash".to_owned()),
                log_at: Some(7),
                log_seq: Some(8),
                ..line(1_000, "a", "1", "started")
            },
            Entry { exit, ..line(1_008, "a", "1", "exited") },
            used(line(1_009, "a", "1", "ended")),
            line(2_000, "a@key", "2", "started"),
            line(3_000, "ab", "1", "started"),
        ];
        Store::open(&path, 1_000).unwrap().write(&mut lines).unwrap();

        let all = runs(&path, &query(None, None)).unwrap().runs;
        assert_eq!(all.iter().map(|run| run.service.as_str()).collect::<Vec<_>>(), ["ab", "a@key", "a"]);
        assert_eq!(
            (all[0].end, all[0].exit),
            (None, None),
            "another service's run of the same id is another"
        );
        let first = &all[2];
        assert_eq!((first.start, first.end), (moment(1_000).unwrap(), moment(1_009)));
        assert_eq!((first.exit, first.cause.as_deref()), (exit, Some("crash")));
        assert_eq!((first.log_at, first.log_seq), (Some(7), Some(8)));
        assert_eq!((first.duration_ms, first.peak_kib, first.cpu_ms), (Some(9), Some(64), Some(5)));
        assert_eq!(runs(&path, &query(Some("a"), None)).unwrap().runs.len(), 2);
        assert_eq!(runs(&path, &query(None, Some(1))).unwrap().runs, all[..1]);
    }
}
