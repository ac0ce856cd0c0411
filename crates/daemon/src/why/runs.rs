//! The runs that lines of the history tell of.

use soloist_api::history::Entry;
use soloist_api::status::ExitStatus;

/// One run, as far as the history knows it.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its program executed.
    pub started: Option<&'a Entry>,
    /// Its main process ended.
    pub exited: Option<&'a Entry>,
    /// Its tree was empty.
    pub ended: Option<&'a Entry>,
    /// It became ready.
    pub ready: Option<&'a Entry>,
    /// Its program never executed.
    pub not_started: Option<&'a Entry>,
}

impl Run<'_> {
    /// How its main process ended.
    pub fn exit(&self) -> Option<ExitStatus> {
        self.exited.and_then(|e| e.exit).or_else(|| self.ended.and_then(|e| e.exit))
    }

    /// The line that tells its end.
    pub fn end(&self) -> Option<&Entry> {
        self.exited.or(self.ended).or(self.not_started)
    }

    /// How long it took, in milliseconds.
    pub fn took_ms(&self) -> Option<u64> {
        let told = self.ended.and_then(|e| e.duration_ms);
        told.or_else(|| {
            let (began, ended) = (self.started?.at, self.end()?.at);
            u64::try_from(ended.as_millisecond() - began.as_millisecond()).ok()
        })
    }
}

/// All runs in a stretch of history, in the order of their first line.
#[derive(Clone, Debug)]
pub struct Runs<'a>(Vec<Run<'a>>);

impl<'a> Runs<'a> {
    /// Sorts lines by their runs.
    pub fn of(past: &'a [Entry]) -> Runs<'a> {
        let mut runs: Vec<Run<'a>> = Vec::new();
        for entry in past {
            let Some(id) = entry.run_id.as_deref() else { continue };
            let at = runs.iter().rposition(|run| run.id == id).unwrap_or_else(|| {
                let (started, exited, ended, ready, not_started) = (None, None, None, None, None);
                runs.push(Run { id, started, exited, ended, ready, not_started });
                runs.len() - 1
            });
            let run = &mut runs[at];
            match entry.what.as_str() {
                "started" => run.started = Some(entry),
                "exited" => run.exited = Some(entry),
                "ended" => run.ended = Some(entry),
                "ready" => run.ready = run.ready.or(Some(entry)),
                "not-started" => run.not_started = Some(entry),
                _ => {}
            }
        }
        Runs(runs)
    }

    /// The run of this id.
    pub fn find(&self, id: &str) -> Option<Run<'a>> {
        self.0.iter().find(|run| run.id == id).copied()
    }

    /// The last one that is over.
    pub fn last(&self) -> Option<Run<'a>> {
        self.before(None)
    }

    /// The last one that is over, beside this one.
    pub fn before(&self, current: Option<&str>) -> Option<Run<'a>> {
        self.0.iter().rev().find(|run| Some(run.id) != current && run.end().is_some()).copied()
    }
}
