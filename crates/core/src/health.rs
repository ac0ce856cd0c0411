//! Tries of a question that is asked again and again: a probe, or a look at the ports. And what is known of the health
//! of a run that is ready. Whether a failed one means anything is decided in `instance/health.rs`.

use std::time::Duration;

use crate::event::Said;
use crate::id::AskId;
use crate::plan::Probe;
use crate::time::Time;

/// The first pause between two tries of a run that is starting, doubled up to the probe's own period: whoever waits for
/// a server that is there after 30 ms does not wait for ten seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// So much later than the question's own timeout an answer that does not come is a failure.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);

/// The tries of one question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tries {
    /// The one that is out, and when it is given up.
    out: Option<(AskId, Time)>,
    next_at: Time,
    rounds: u32,
    /// In a row.
    successes: u32,
    failures: u32,
}

impl Tries {
    pub(crate) fn new(first_at: Time) -> Tries {
        Tries { out: None, next_at: first_at, rounds: 0, successes: 0, failures: 0 }
    }

    /// When the next try is due, or the one that is out is given up.
    pub(crate) fn deadline(&self) -> Time {
        self.out.map_or(self.next_at, |(_, until)| until)
    }

    /// Whether a try is to be made now.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.out.is_none() && self.next_at <= now
    }

    /// The question that is out and has no answer in time.
    pub(crate) fn overdue(&self, now: Time) -> Option<AskId> {
        self.out.filter(|(_, until)| *until <= now).map(|(ask, _)| ask)
    }

    /// A try is made.
    pub(crate) fn ask(&mut self, now: Time, ask: AskId, timeout: Duration) {
        self.out = Some((ask, now + timeout + ANSWER_MARGIN));
    }

    /// Whether an answer is to the try that is out; it is out no more then.
    pub(crate) fn take(&mut self, ask: AskId) -> bool {
        let is_ours = self.out.is_some_and(|(current, _)| current == ask);
        if is_ours {
            self.out = None;
            self.rounds += 1;
        }
        is_ours
    }

    /// While it is starting: the next try, ever later, at the latest after the period.
    pub(crate) fn again_soon(&mut self, now: Time, period: Duration) {
        self.next_at =
            now + FIRST_PAUSE.saturating_mul(1 << (self.rounds.saturating_sub(1)).min(20)).min(period);
    }

    /// Counts an answer; says when it was the one that decides: passed or failed.
    pub(crate) fn count(&mut self, now: Time, probe: &Probe, is_passed: bool) -> Option<bool> {
        self.next_at = now + probe.period;
        if is_passed {
            (self.successes, self.failures) = (self.successes + 1, 0);
            (self.successes >= probe.success_threshold).then_some(true)
        } else {
            (self.successes, self.failures) = (0, self.failures + 1);
            (self.failures >= probe.failure_threshold).then_some(false)
        }
    }
}

/// What is known of a run that executes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    /// It said `READY=1`.
    pub(crate) has_said_ready: bool,
    /// What it shows to people.
    pub(crate) said: Said,
    /// It says that it takes its configuration in again.
    pub(crate) is_reloading: bool,
    /// Since when it is, or was, ready.
    pub(crate) ready_since: Option<Time>,
    /// When it last said that it is alive, or got ready.
    pub(crate) alive_at: Time,
    /// `WATCHDOG_USEC=`, in place of what was declared; zero is off.
    pub(crate) watchdog_every: Option<Duration>,
    pub(crate) readiness: Option<Tries>,
    pub(crate) liveness: Option<Tries>,
    /// Why the last try failed, in words.
    pub(crate) words: Option<String>,
}
