//! What the driver tells the history: the core's notes, with what only the guard's reports say of a run.

use soloist_api::error::Problem;
use soloist_api::event::Event as ApiEvent;
use soloist_api::history::Entry;
use soloist_api::status::ServiceStatus;
use soloist_core::event::{Ended, Note, What};
use soloist_core::id::RunId;
use soloist_core::plan::Kind;
use soloist_core::time::Time;
use soloist_os::guard::{OnFull, Past, Usage};
use soloist_os::identity::{Exit, Identity};
use soloist_os::record::Record;

use super::{Driver, Service, now};
use crate::config::Declared;
use crate::convert::{core_exit_to_api, milliseconds, moment};
use crate::history::{Remembered, blank};

/// What was reported of the current or last run of an instance.
#[derive(Debug, Default)]
pub(super) struct Traces {
    run: Option<RunId>,
    pid: Option<u32>,
    usage: Usage,
    /// Since when its tree is told to end.
    stopping: Option<Time>,
    /// The grace was not enough.
    was_killed: bool,
}

impl Traces {
    /// It executes, or was found executing.
    pub(super) fn begin(&mut self, run: RunId, pid: Option<u32>) {
        *self = Traces { run: Some(run), pid, ..Traces::default() };
    }

    /// Its tree is empty.
    pub(super) fn end(&mut self, run: RunId, usage: Usage, was_killed: bool) {
        if self.run == Some(run) {
            (self.usage, self.was_killed) = (usage, was_killed);
        }
    }
}

/// What has become of the output that a full disk did not take, as the guard tells it.
#[derive(Debug, Default)]
pub(super) struct LogTrouble {
    is_full: bool,
    /// So many bytes were lost since the guard began,
    lost: u64,
    /// and so many when the disk was full last.
    lost_before: u64,
}

impl LogTrouble {
    fn lost_lately(&self) -> u64 {
        self.lost.saturating_sub(self.lost_before)
    }

    /// As long as the disk is full.
    pub(super) fn words(&self, on_full: OnFull) -> Option<String> {
        let lost = self.lost_lately();
        self.is_full.then(|| match on_full {
            OnFull::Drop => {
                format!("its log cannot be written, the disk is full: {lost} bytes of output were lost")
            }
            OnFull::Block => "its log cannot be written, the disk is full: its output waits".to_owned(),
        })
    }
}

/// What a guard says of the run it guards.
#[derive(Debug)]
pub(super) struct Present<'a> {
    pub(super) run: RunId,
    pub(super) main: Option<&'a Identity>,
    pub(super) exit: Option<Exit>,
    pub(super) since_ms: u64,
}

impl Driver {
    /// One line for a note of the core.
    pub(super) fn add_to_history(&mut self, at: usize, note: Note) {
        self.count(at, &note);
        let Some(when) = moment(soloist_os::clock::wall_ms()) else { return };
        let traces =
            Some(&self.services[at].traces).filter(|traces| note.run.is_some() && traces.run == note.run);
        let usage =
            traces.filter(|_| note.what == What::Ended).map(|traces| traces.usage).unwrap_or_default();
        let is_start = traces.is_some() && note.what == What::Started;
        let line = Entry {
            run_id: note.run.map(|run| run.to_string()),
            cause: note.cause.map(|cause| cause.to_string()),
            exit: note.exit.map(core_exit_to_api),
            duration_ms: note.span.map(milliseconds),
            pid: traces.and_then(|traces| traces.pid),
            peak_kib: usage.peak_kib,
            cpu_ms: usage.cpu_ms,
            log_at: self.services[at].log_at.filter(|_| is_start),
            log_seq: self.services[at].log_seq.filter(|_| is_start),
            count: note.count,
            detail: note.words,
            ..blank(when, self.project.name(at), note.what.to_string())
        };
        self.history.add(vec![line]);
    }

    /// Every line passes here while its words are still those of the core.
    fn count(&mut self, at: usize, note: &Note) {
        let name = self.project.name(at);
        self.tally.note(name, note);
        let Service { declared, traces, .. } = &mut self.services[at];
        let is_scheduled_job = declared.plan.kind == Kind::Job && declared.plan.schedule.is_some();
        let result = match (note.what, note.exit) {
            (What::Exited, Some(_)) if traces.stopping.is_some() => Some("stopped"),
            (What::Exited, Some(exit)) if Ended::Exited(exit).is_success(&declared.plan) => Some("ok"),
            (What::Exited, Some(_)) | (What::NotStarted, None) => Some("error"),
            _ => None,
        };
        if let Some(result) = result.filter(|_| is_scheduled_job) {
            self.tally.run(name, result);
        }
        if note.what == What::Stopping {
            traces.stopping = Some(now());
        }
        if note.what == What::Ended
            && let Some(since) = traces.stopping.take()
        {
            self.tally.stop(name, now().since(since), traces.was_killed);
        }
    }

    /// What a guard that was found at work knows, of its runs before and of the present one.
    pub(super) fn learn_of_adopted(
        &mut self,
        at: usize,
        record: Option<&Record>,
        past: &[Past],
        now: &Present<'_>,
    ) {
        let name = self.project.name(at);
        self.history.learn(name, past.iter().map(Remembered::from));
        // It knows why, and when it ended; but is behind on a full disk, and in the moment of an end.
        if let Some(record) = record {
            self.history.learn_record(record);
        }
        let present = Remembered {
            run_id: &now.run.to_string(),
            cause: None,
            since_ms: now.since_ms,
            pid: now.main.map(|main| main.pid),
            exit: now.exit,
            exit_ms: now.exit.map(|_| soloist_os::clock::wall_ms()),
            is_over: false,
            was_stopped: false,
            usage: Usage::default(),
            log_at: None,
            log_seq: None,
        };
        self.history.learn(name, [present]);
    }

    /// The disk does not take what an instance writes, or takes it again: two lines and a note in between.
    pub(super) fn log_lost(&mut self, at: usize, bytes: u64, is_over: bool) {
        let name = self.project.name(at).to_owned();
        let service = &mut self.services[at];
        let trouble = &mut service.log_trouble;
        let was_full = std::mem::replace(&mut trouble.is_full, !is_over);
        let before = std::mem::replace(&mut trouble.lost, bytes);
        self.tally.lost(&name, bytes.saturating_sub(before));
        if !was_full {
            trouble.lost_before = before.min(bytes);
        }
        let on_full = service.declared.program.log.rules.on_full;
        let (what, detail) = match trouble.words(on_full) {
            Some(words) => (What::LogFull, words),
            None => (What::LogFree, format!("{} bytes of output were lost", trouble.lost_lately())),
        };
        let is_news = was_full == is_over || !was_full && bytes > before;
        if is_news && let Some(when) = moment(soloist_os::clock::wall_ms()) {
            self.log.say(&format!("{name}: {detail}"));
            let line = Entry { detail: Some(detail), ..blank(when, &name, what.to_string()) };
            self.history.add(vec![line]);
        }
        let _ = self.events.send(ApiEvent::Service(Box::new(self.status_at(at))));
    }

    /// One line for a guard that was killed while no daemon was there; the core tells of those that we lose.
    pub(super) fn add_lost_guard(&mut self, record: &Record) {
        let Some(when) = moment(soloist_os::clock::wall_ms()) else { return };
        let line = Entry {
            run_id: Some(record.run_id.clone()),
            pid: record.main.as_ref().map(|main| main.pid),
            detail: Some("found by a new daemon".to_owned()),
            ..blank(when, &record.instance, What::GuardLost.to_string())
        };
        self.history.add(vec![line]);
    }

    /// What is true of an instance, and what it was declared to do: what `why` is told from.
    pub(super) fn account_of(&self, name: &str) -> Result<(ServiceStatus, Option<Declared>), Problem> {
        let status = self.status_by_name(name)?;
        let declared = self.project.position(name).map(|at| self.services[at].declared.clone());
        Ok((status, declared))
    }
}
