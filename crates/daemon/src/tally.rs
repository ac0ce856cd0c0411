//! What is counted of what happens, as long as the daemon lives: the counters of `/metrics`. The driver counts, whoever
//! is asked reads; neither waits for the other. Each label has few values: names of instances, and words of short lists.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use soloist_core::event::{Note, What};

/// The upper bounds of how long stops take, in seconds: the usual graces are among them.
const STOP_SECONDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0];

type Of = [(&'static str, String); 1];
type OfAnd = [(&'static str, String); 2];

/// The counters. Cheap to clone; all clones count the same.
#[derive(Clone, Debug)]
pub struct Tally {
    registry: Arc<Registry>,
    duplicates: Family<OfAnd, Counter>,
    restarts: Family<OfAnd, Counter>,
    failures: Family<Of, Counter>,
    runs: Family<OfAnd, Counter>,
    skipped: Family<OfAnd, Counter>,
    stops: Histogram,
    escalations: Family<Of, Counter>,
    lost: Family<Of, Counter>,
}

impl Tally {
    /// All at zero.
    pub fn new() -> Tally {
        let mut registry = Registry::with_prefix("soloist");
        let (duplicates, restarts, failures) = (Family::default(), Family::default(), Family::default());
        let (runs, skipped, escalations) = (Family::default(), Family::default(), Family::default());
        let lost = Family::default();
        let stops = Histogram::new(STOP_SECONDS);
        let mut add = |name: &str, what: &str, family: &Family<OfAnd, Counter>| {
            registry.register(name, what, family.clone());
        };
        add(
            "duplicate_starts_prevented",
            "Starts that would have made a second copy; reason: running, claim or port",
            &duplicates,
        );
        add("service_restarts", "Runs that fell and are tried again, by how they fell", &restarts);
        add("schedule_runs", "Scheduled runs and ticks that are over, by how", &runs);
        add("schedule_skipped", "Runs that were due and were left out, by why", &skipped);
        registry.register("service_failures", "Times it was given up", failures.clone());
        registry.register("stop_duration_seconds", "From the polite signal to the empty tree", stops.clone());
        registry.register("stop_escalations", "Stops that needed the kill", escalations.clone());
        registry.register("log_bytes_lost", "Output that a full disk did not take", lost.clone());
        let registry = Arc::new(registry);
        Tally { registry, duplicates, restarts, failures, runs, skipped, stops, escalations, lost }
    }

    /// A line of the history.
    pub fn note(&self, service: &str, note: &Note) {
        let word = note.reason.unwrap_or("other");
        match note.what {
            What::Restarting => add(&self.restarts, service, "reason", word, 1),
            What::Skipped => add(&self.skipped, service, "reason", word, note.count.unwrap_or(1)),
            What::Answered => self.run(service, word),
            What::Refused | What::Standby if ["claim", "port"].contains(&word) => {
                self.duplicate(service, word)
            }
            What::Conflict => self.duplicate(service, "port"),
            What::Failed => {
                self.failures.get_or_create_owned(&[("service", service.to_owned())]).inc();
            }
            What::WantedUp
            | What::WantedDown
            | What::Started
            | What::Ready
            | What::Unhealthy
            | What::Reloaded
            | What::Kept
            | What::Signalled
            | What::Stopping
            | What::Exited
            | What::Ended
            | What::NotStarted
            | What::Refused
            | What::Standby
            | What::Ticked
            | What::Rescheduled
            | What::ClockSet
            | What::LogFull
            | What::LogFree
            | What::Adopted
            | What::GuardLost => {}
        }
    }

    /// A start was asked for that would have made a second copy.
    pub fn duplicate(&self, service: &str, reason: &'static str) {
        add(&self.duplicates, service, "reason", reason, 1);
    }

    /// A scheduled run is over: `ok`, `error`, `stopped`, `lost`.
    pub fn run(&self, service: &str, result: &'static str) {
        add(&self.runs, service, "result", result, 1);
    }

    /// So many bytes of output were lost.
    pub fn lost(&self, service: &str, bytes: u64) {
        if bytes > 0 {
            self.lost.get_or_create_owned(&[("service", service.to_owned())]).inc_by(bytes);
        }
    }

    /// A stop has taken so long, and whether its grace was not enough.
    pub fn stop(&self, service: &str, took: Duration, was_killed: bool) {
        self.stops.observe(took.as_secs_f64());
        if was_killed {
            self.escalations.get_or_create_owned(&[("service", service.to_owned())]).inc();
        }
    }

    /// Writes them as OpenMetrics text, without its end.
    pub fn write(&self, out: &mut String) -> fmt::Result {
        encode_registry(out, &self.registry)
    }
}

fn add(to: &Family<OfAnd, Counter>, service: &str, label: &'static str, word: &str, count: u64) {
    to.get_or_create_owned(&[("service", service.to_owned()), (label, word.to_owned())]).inc_by(count);
}
