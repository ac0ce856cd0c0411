//! What living instances use, looked at while somebody watches: one look for all watchers, none without one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use soloist_api::event::Event;
use soloist_api::watch::{Sample, Samples};
use soloist_os::layout::Layout;
use tokio::sync::watch;

use crate::convert::moment;
use crate::runs::guarded;

/// From one look to the next.
const PERIOD: Duration = Duration::from_secs(2);

/// Looks, as long as somebody watches.
pub(super) struct Sampler {
    layout: Layout,
    latest: watch::Sender<Arc<str>>,
    is_looking: AtomicBool,
}

/// Of each guard, by number and start: the CPU time of its tree, and when it was that much.
type Seen = HashMap<(u32, u64), (Duration, Instant)>;

impl Sampler {
    pub(super) fn new(layout: Layout) -> Sampler {
        Sampler { layout, latest: watch::channel("".into()).0, is_looking: AtomicBool::new(false) }
    }

    /// The samples of each look from now on; who is slow gets the latest.
    pub(super) fn watch(self: &Arc<Self>) -> watch::Receiver<Arc<str>> {
        let samples = self.latest.subscribe();
        if !self.is_looking.swap(true, Ordering::Relaxed) {
            tokio::spawn(Arc::clone(self).look());
        }
        samples
    }

    async fn look(self: Arc<Self>) {
        let mut seen = Seen::new();
        // Nothing is waited for between the question whether somebody watches and the word that nobody looks.
        while self.latest.receiver_count() > 0 {
            let layout = self.layout.clone();
            let looked = tokio::task::spawn_blocking(move || sample(&layout, &seen)).await;
            let Ok((samples, now)) = looked else { break };
            seen = now;
            if let Ok(json) = serde_json::to_string(&Event::Samples(samples)) {
                self.latest.send_replace(json.into());
            }
            tokio::select! {
                () = self.latest.closed() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
        self.is_looking.store(false, Ordering::Relaxed);
    }
}

fn sample(layout: &Layout, before: &Seen) -> (Samples, Seen) {
    let mut seen = Seen::new();
    let living = guarded(layout).map(|(_, record)| {
        let (used, now) = (soloist_os::usage::used(record.guard.pid), Instant::now());
        let key = (record.guard.pid, record.guard.start);
        seen.insert(key, (used.cpu, now));
        let cpu_percent =
            before.get(&key).map(|(cpu, then)| percent(used.cpu.saturating_sub(*cpu), now - *then));
        Sample { service: record.instance, cpu_percent, rss_kib: used.rss_kib }
    });
    let samples = living.collect();
    let at = moment(soloist_os::clock::wall_ms()).unwrap_or_default();
    (Samples { at, samples }, seen)
}

/// Of one CPU, with one digit.
fn percent(used: Duration, passed: Duration) -> f64 {
    (used.as_secs_f64() / passed.as_secs_f64().max(f64::EPSILON) * 1000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_of_one_cpu_and_never_infinite() {
        assert_eq!(percent(Duration::from_millis(500), Duration::from_secs(2)), 25.0);
        assert_eq!(percent(Duration::from_secs(4), Duration::from_secs(2)), 200.0);
        assert!(percent(Duration::ZERO, Duration::ZERO).is_finite());
    }
}
