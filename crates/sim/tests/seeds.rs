//! What `cargo test` lives through: the fresh seeds, the same everywhere, and those that once found something.

use sim::campaign::{self, Report};

const FRESH_FROM: u64 = 1_000_000;
const FRESH_COUNT: u64 = 1500;

fn demand(report: &Report) {
    if let Some((seed, _)) = report.failed.first() {
        panic!("{}\n\n{report}", campaign::tail(*seed));
    }
}

#[test]
fn whatever_happens_each_instance_lives_once_and_comes_right_in_the_calm() {
    let report = campaign::live_range(FRESH_FROM, FRESH_COUNT);
    demand(&report);
    // A world in which nothing happens proves nothing.
    let happened = |what: &str| report.tally.get(what).copied().unwrap_or_default();
    for what in [
        "runs started",
        "runs scheduled",
        "runs skipped",
        "ticks",
        "daemons killed",
        "guards killed",
        "ends unseen",
    ] {
        assert!(happened(what) >= FRESH_COUNT / 4, "too few {what}: {report}");
    }
    let seldom = [
        "rivals",
        "strangers",
        "orphans swept",
        "sweeps ordered",
        "claims replaced",
        "trees stuck",
        "guards frozen",
        "declarations changed",
        "messages doubled",
        "answers lost",
        "ledgers torn",
        "restarts",
        "guards adopted",
        "probes failed",
        "trees over memory",
        "sleeps",
        "clocks set",
        "schedules changed",
        "ports moved",
        "runs asked for",
        "ticks unanswered",
        "stand-ins",
        "runs kept",
    ];
    for what in seldom {
        assert!(happened(what) >= FRESH_COUNT / 100, "too few {what}: {report}");
    }
}

#[test]
fn the_kept_seeds_come_right() {
    let seeds = campaign::kept_seeds();
    assert!(!seeds.is_empty());
    demand(&campaign::live_all(&seeds));
}
