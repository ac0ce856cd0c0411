//! What guards and records tell of runs that nobody of us saw: the rows that a new daemon adds, each at most once.

use soloist_api::history::Entry;
use soloist_os::guard::{Past, Usage};
use soloist_os::identity::Exit;
use soloist_os::record::Record;

use super::store::KEPT_FOR;
use super::{History, blank};
use crate::convert::{exit_to_api, moment};

/// A run as it is remembered. Times are in milliseconds since 1970 UTC.
#[derive(Clone, Debug)]
pub struct Remembered<'a> {
    /// The run.
    pub run_id: &'a str,
    /// Why it was started, if that is known.
    pub cause: Option<&'a str>,
    /// Its start.
    pub since_ms: u64,
    /// Its main process, if that executed.
    pub pid: Option<u32>,
    /// How its main process ended.
    pub exit: Option<Exit>,
    /// When.
    pub exit_ms: Option<u64>,
    /// Whether its tree was seen empty.
    pub is_over: bool,
    /// Whether somebody had it stopped.
    pub was_stopped: bool,
    /// What it used.
    pub usage: Usage,
    /// The length of its log before it wrote anything.
    pub log_at: Option<u64>,
    /// The number of the file which that is the length of.
    pub log_seq: Option<u64>,
}

impl History {
    /// Adds what is remembered of runs and not known yet: their starts, exits and ends. Telling it twice adds nothing.
    pub fn learn<'a>(&self, service: &str, runs: impl IntoIterator<Item = Remembered<'a>>) {
        let oldest = soloist_os::clock::wall_ms().saturating_sub(KEPT_FOR.as_millis() as u64);
        let known = runs.into_iter().filter(|run| run.since_ms >= oldest);
        self.add(known.flat_map(|run| run.lines(service)).collect());
    }

    /// The same, of all that a record tells.
    pub fn learn_record(&self, record: &Record) {
        let last = Remembered {
            run_id: &record.run_id,
            cause: Some(record.cause.as_str()).filter(|cause| !cause.is_empty()),
            since_ms: record.since_ms,
            pid: record.main.as_ref().map(|main| main.pid),
            exit: record.exit,
            exit_ms: record.exit_ms,
            // A tree does not outlive its boot.
            is_over: record.ended || soloist_os::boot_id().is_ok_and(|boot| boot != record.guard.boot),
            was_stopped: record.was_stopped,
            usage: record.usage,
            log_at: record.log_at,
            log_seq: record.log_seq,
        };
        self.learn(&record.instance, record.past.iter().map(Remembered::from).chain([last]));
    }
}

impl<'a> From<&'a Past> for Remembered<'a> {
    fn from(past: &'a Past) -> Remembered<'a> {
        Remembered {
            run_id: &past.run_id,
            cause: Some(past.cause.as_str()).filter(|cause| !cause.is_empty()),
            since_ms: past.since_ms,
            pid: past.pid,
            exit: past.exit,
            exit_ms: past.exit_ms,
            is_over: true,
            was_stopped: past.was_stopped,
            usage: past.usage,
            log_at: past.log_at,
            log_seq: past.log_seq,
        }
    }
}

impl Remembered<'_> {
    fn detail(&self) -> Option<&'static str> {
        match (self.was_stopped, self.exit_ms) {
            (true, _) => Some("somebody had it stopped"),
            (false, None) => Some("its guard was killed: how and when it ended is not known"),
            (false, Some(_)) => None,
        }
    }

    /// Up to three lines. A run without a main process and without an exit did not start.
    fn lines(&self, service: &str) -> Vec<Entry> {
        let Some(began) = moment(self.since_ms) else { return Vec::new() };
        let mut lines = Vec::new();
        let line = |at, what: &str| Entry {
            run_id: Some(self.run_id.to_owned()),
            ..blank(at, service, what.to_owned())
        };
        if self.pid.is_none() && self.exit.is_none() {
            return lines;
        }
        let cause = self.cause.map(str::to_owned);
        let (log_at, log_seq) = (self.log_at, self.log_seq);
        lines.push(Entry { cause, pid: self.pid, log_at, log_seq, ..line(began, "started") });
        let exit = self.exit.map(exit_to_api);
        let ended_at = self.exit_ms.and_then(moment);
        if let (Some(at), true) = (ended_at, exit.is_some()) {
            lines.push(Entry { exit, pid: self.pid, ..line(at, "exited") });
        }
        // A guard that was killed has written no end down: it is told as of the moment in which it is learned.
        let over_at = ended_at.or_else(|| moment(soloist_os::clock::wall_ms()));
        if let (Some(at), true) = (over_at, self.is_over) {
            lines.push(Entry {
                exit,
                duration_ms: self.exit_ms.map(|end| end.saturating_sub(self.since_ms)),
                peak_kib: self.usage.peak_kib,
                cpu_ms: self.usage.cpu_ms,
                detail: self.detail().map(str::to_owned),
                ..line(at, "ended")
            });
        }
        lines
    }
}
