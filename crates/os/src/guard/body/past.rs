//! What a guard knows of runs that are over: what they used, and the last of them for a daemon that did not hear.

use std::time::Duration;

use super::Body;
use crate::guard::{Past, Report, Usage};
use crate::link::MESSAGE_MAX;
use crate::record::Record;
use crate::stat::Reaped;

/// So many runs are kept.
const KEPT: usize = 32;

/// What the reaped processes of a run used.
#[derive(Default)]
pub(super) struct Meter {
    cpu: Duration,
    peak_kib: u64,
}

impl Meter {
    /// Counts children; those we had before the run (`strangers`) are no matter of it.
    pub(super) fn count(&mut self, reaped: &[Reaped], strangers: &[u32]) {
        for child in reaped.iter().filter(|child| !strangers.contains(&child.pid)) {
            self.cpu += child.cpu;
            self.peak_kib = self.peak_kib.max(child.peak_kib);
        }
    }
}

impl Body {
    /// The run is over: what it used, and that it was.
    pub(super) fn close_accounts(&mut self) {
        // A leaf counts what was never waited for, too. With a memory controller it is one run's own (see `is_spent`).
        let leaf = self.leaf.as_ref().filter(|leaf| leaf.peak_kib().is_some());
        let cpu = leaf.and_then(|leaf| leaf.cpu()).unwrap_or(self.meter.cpu);
        let peak_kib = leaf.and_then(|leaf| leaf.peak_kib()).unwrap_or(self.meter.peak_kib);
        self.record.usage = Usage { peak_kib: Some(peak_kib), cpu_ms: u64::try_from(cpu.as_millis()).ok() };
        let run = past(&self.record);
        keep(&mut self.record.past, run);
    }

    /// Whether the leaf is of no further use: a killed one (see `Leaf::make`), and one that counts for a single run.
    pub(super) fn is_spent(&self, killed: bool) -> bool {
        killed || self.leaf.as_ref().is_some_and(|leaf| leaf.peak_kib().is_some())
    }

    /// Takes over what the guard before us knew; its own last run is past, too.
    pub(super) fn inherit(&mut self, before: &Record) {
        for run in before.past.iter().cloned().chain(past(before)) {
            keep(&mut self.record.past, Some(run));
        }
    }
}

/// The run of a record; none if it never ran.
fn past(record: &Record) -> Option<Past> {
    let main = record.main.as_ref()?;
    Some(Past {
        run_id: record.run_id.clone(),
        pid: Some(main.pid),
        cause: record.cause.clone(),
        since_ms: record.since_ms,
        exit: record.exit,
        exit_ms: record.exit_ms,
        was_stopped: record.was_stopped,
        usage: record.usage,
        log_at: record.log_at,
        log_seq: record.log_seq,
    })
}

/// One more, once, and the oldest goes.
fn keep(kept: &mut Vec<Past>, run: Option<Past>) {
    kept.extend(run.filter(|run| kept.iter().all(|other| other.run_id != run.run_id)));
    kept.drain(..kept.len().saturating_sub(KEPT));
}

/// A status as a message: with as many of the last runs as a message holds.
pub(super) fn status_message(mut status: Report) -> Option<Vec<u8>> {
    loop {
        let bytes = serde_json::to_vec(&status).ok()?;
        let Report::Status { past, .. } = &mut status else { return Some(bytes) };
        if bytes.len() <= MESSAGE_MAX || past.is_empty() {
            return Some(bytes);
        }
        past.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Notice;
    use crate::identity::{Exit, Identity};

    fn run(number: usize) -> Past {
        Past {
            run_id: number.to_string(),
            pid: Some(4711),
            cause: "user alice: soloist restart".into(),
            since_ms: 1_700_000_000_000,
            exit: Some(Exit::Code(1)),
            exit_ms: Some(1_700_000_000_001),
            was_stopped: false,
            usage: Usage { peak_kib: Some(100_000), cpu_ms: Some(10_000) },
            log_at: Some(1 << 40),
            log_seq: Some(1 << 20),
        }
    }

    #[test]
    fn the_last_runs_are_kept_each_once() {
        let mut kept = Vec::new();
        (0..50).for_each(|number| keep(&mut kept, Some(run(number))));
        keep(&mut kept, Some(run(49)));
        keep(&mut kept, None);
        let numbers: Vec<String> = kept.into_iter().map(|run| run.run_id).collect();
        assert_eq!(numbers, (18..50).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_status_holds_as_many_runs_as_a_message_does_and_the_newest() {
        let status = Report::Status {
            version: 2,
            guard: Identity::mine().unwrap(),
            run_id: Some("now".into()),
            main: None,
            exit: None,
            empty: true,
            since_ms: 0,
            was_ready: false,
            notice: Notice { status: Some("\"".repeat(1024)), ..Notice::default() },
            print: None,
            past: (0..32).map(run).collect(),
            tick: None,
        };
        let message = status_message(status).unwrap();
        assert!(message.len() <= MESSAGE_MAX && message.len() > MESSAGE_MAX - 500, "{}", message.len());
        match crate::guard::read_report(&message) {
            Some(Report::Status { past, .. }) => assert_eq!(past.last(), Some(&run(31))),
            other => panic!("{other:?}"),
        }
    }
}
