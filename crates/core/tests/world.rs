//! Doubts the core: seeded worlds of misfortune around `Project`, each checked after every step against the truth and
//! then given a calm in which everything must come right. `SOLOIST_SEED=7 cargo test -p soloist-core --test world`
//! replays one with its full trace; seeds that once found something are kept in `kept-seeds.txt`.

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::catch_unwind;

use world::play::{Tale, live};

mod world {
    pub mod checks;
    pub mod daemon;
    pub mod guard;
    pub mod machine;
    pub mod mischief;
    pub mod play;
    pub mod random;

    pub use play::{World, name};
}

/// The fresh seeds of every run: the same everywhere, so that a failure is one number.
const FRESH_FROM: u64 = 1_000_000;
const FRESH_COUNT: u64 = 2000;
const TAIL: usize = 120;
/// Enough to see what kind they are.
const FAILED_MOST: usize = 100;

fn try_seed(seed: u64) -> Result<BTreeMap<&'static str, u64>, String> {
    match catch_unwind(|| live(seed, false)) {
        Ok(Tale { outcome: Ok(()), tally, .. }) => Ok(tally),
        Ok(Tale { outcome: Err(words), .. }) => Err(words),
        Err(_) => Err("the core panicked".to_owned()),
    }
}

/// The trace of a failed seed, told once more.
fn tail(seed: u64) -> String {
    let trace = catch_unwind(|| live(seed, true)).map(|tale| tale.trace).unwrap_or_default();
    trace[trace.len().saturating_sub(TAIL)..].join("\n")
}

fn try_all(seeds: impl Iterator<Item = u64>) -> BTreeMap<&'static str, u64> {
    let mut tally: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut failed: Vec<(u64, String)> = Vec::new();
    let mut count = 0;
    for seed in seeds {
        count += 1;
        match try_seed(seed) {
            Ok(counts) => counts.into_iter().for_each(|(what, n)| *tally.entry(what).or_default() += n),
            Err(words) => failed.push((seed, words)),
        }
        if failed.len() == FAILED_MOST {
            break;
        }
    }
    if let Some((seed, words)) = failed.first() {
        let seeds: Vec<String> =
            failed.iter().take(20).map(|(seed, words)| format!("  {seed}: {words}")).collect();
        panic!(
            "{}\n\nSOLOIST_SEED={seed} {words}\n{} of {count} seeds failed, first:\n{}",
            tail(*seed),
            failed.len(),
            seeds.join("\n")
        );
    }
    tally
}

fn replayed() -> Option<u64> {
    std::env::var("SOLOIST_SEED").ok()?.parse().ok()
}

#[test]
fn whatever_happens_each_instance_lives_once_and_comes_right_in_the_calm() {
    if let Some(seed) = replayed() {
        let tale = live(seed, true);
        let _ = writeln!(std::io::stderr(), "{}", tale.trace.join("\n"));
        return assert_eq!(tale.outcome, Ok(()), "seed {seed}");
    }
    let tally = try_all(FRESH_FROM..FRESH_FROM + FRESH_COUNT);
    // A world in which nothing happens proves nothing.
    for what in
        ["runs started", "restarts", "daemons killed", "guards killed", "guards adopted", "ends unseen"]
    {
        assert!(tally.get(what).is_some_and(|n| *n >= FRESH_COUNT / 4), "too few {what}: {tally:?}");
    }
    for what in ["rivals", "strangers", "orphans swept", "sweeps ordered", "claims replaced", "trees stuck"] {
        assert!(tally.get(what).is_some_and(|n| *n >= FRESH_COUNT / 100), "too few {what}: {tally:?}");
    }
}

#[test]
fn the_kept_seeds_come_right() {
    let kept = include_str!("kept-seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let seeds: Vec<u64> = kept.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert!(!seeds.is_empty());
    try_all(seeds.into_iter());
}
