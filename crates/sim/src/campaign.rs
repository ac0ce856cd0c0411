//! Many lives on all cores: what happened in them, which seeds broke a promise, and how to see it again.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::world::{Broken, Tally, live};

/// Enough to see what kind they are.
const FAILED_MOST: usize = 100;
const SHOWN_MOST: usize = 20;
const TAIL: usize = 120;
/// Every so many seeds one is lived twice.
const TWICE: u64 = 50;

/// How many lives went.
#[derive(Debug, Default)]
pub struct Report {
    /// So many were lived.
    pub count: u64,
    /// What happened in all of them.
    pub tally: Tally,
    /// Those in which a promise was broken, the smallest seed first.
    pub failed: Vec<(u64, Broken)>,
}

impl Report {
    fn take(&mut self, seed: u64, lived: Result<Tally, Broken>) {
        self.count += 1;
        match lived {
            Ok(tally) => tally.into_iter().for_each(|(what, n)| *self.tally.entry(what).or_default() += n),
            Err(broken) => self.failed.push((seed, broken)),
        }
    }

    fn join(&mut self, other: Report) {
        self.count += other.count;
        other.tally.into_iter().for_each(|(what, n)| *self.tally.entry(what).or_default() += n);
        self.failed.extend(other.failed);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (seed, broken) in self.failed.iter().take(SHOWN_MOST) {
            writeln!(f, "seed {seed} breaks {broken}")?;
            writeln!(f, "    step by step: cargo run --release -p sim -- --seed {seed}")?;
        }
        let mut by_check: BTreeMap<&str, u64> = BTreeMap::new();
        self.failed.iter().for_each(|(_, broken)| *by_check.entry(broken.check).or_default() += 1);
        by_check.iter().try_for_each(|(check, n)| writeln!(f, "{n:>12} seeds break {check}"))?;
        write!(f, "{} seeds, {} failures", self.count, self.failed.len())?;
        self.tally.iter().try_for_each(|(what, n)| write!(f, "\n{n:>12} {what}"))
    }
}

/// Lives these seeds on all cores.
pub fn live_all(seeds: &[u64]) -> Report {
    let next = AtomicU64::new(0);
    run(|| seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize).copied(), |_| false)
}

/// Lives so many seeds from this one on, on all cores. Gives up early if too many fail.
pub fn live_range(from: u64, count: u64) -> Report {
    let next = AtomicU64::new(0);
    run(|| next_of(&next, from, count), |_| false)
}

/// Lives so many seeds from this one on until one breaks this promise.
pub fn live_until(check: &str, from: u64, count: u64) -> Report {
    let next = AtomicU64::new(0);
    run(|| next_of(&next, from, count), |broken| broken.check == check)
}

fn next_of(next: &AtomicU64, from: u64, count: u64) -> Option<u64> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    (at < count).then(|| from.wrapping_add(at))
}

fn run(next: impl Fn() -> Option<u64> + Sync, is_enough: impl Fn(&Broken) -> bool + Sync) -> Report {
    let is_over = AtomicBool::new(false);
    let whole = Mutex::new(Report::default());
    let work = || {
        let mut report = Report::default();
        while !is_over.load(Ordering::Relaxed)
            && let Some(seed) = next()
        {
            let lived = live_one(seed);
            let ends = lived.as_ref().err().is_some_and(&is_enough) || report.failed.len() >= FAILED_MOST;
            is_over.fetch_or(ends, Ordering::Relaxed);
            report.take(seed, lived);
        }
        whole.lock().unwrap_or_else(|broken| broken.into_inner()).join(report);
    };
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    let mut report = whole.into_inner().unwrap_or_else(|broken| broken.into_inner());
    report.failed.sort_by_key(|(seed, _)| *seed);
    report
}

fn live_one(seed: u64) -> Result<Tally, Broken> {
    if seed.is_multiple_of(TWICE) {
        the_same_seed_tells_the_same_story(seed)?;
    }
    let Ok(tale) = catch_unwind(|| live(seed, false)) else {
        return Err(Broken { check: "the_core_never_panics", words: "its words are above".to_owned() });
    };
    tale.outcome.map(|()| tale.tally)
}

/// A core that asks a clock, chance or the order of a hash map could be replayed by nobody.
fn the_same_seed_tells_the_same_story(seed: u64) -> Result<(), Broken> {
    let (first, second) = (trace(seed), trace(seed));
    if first == second {
        return Ok(());
    }
    let differs =
        first.iter().zip(&second).position(|(a, b)| a != b).unwrap_or(first.len().min(second.len()));
    let line = |trace: &[String]| trace.get(differs).cloned().unwrap_or_default();
    let words = format!("line {differs} is `{}` and then `{}`", line(&first), line(&second));
    Err(Broken { check: "the_same_seed_tells_the_same_story", words })
}

/// A seed's life, step by step.
pub fn trace(seed: u64) -> Vec<String> {
    catch_unwind(|| live(seed, true)).map(|tale| tale.trace).unwrap_or_default()
}

/// The last steps of a seed's life.
pub fn tail(seed: u64) -> String {
    let trace = trace(seed);
    trace[trace.len().saturating_sub(TAIL)..].join("\n")
}

/// The seeds that once found something.
pub fn kept_seeds() -> Vec<u64> {
    let lines = include_str!("../kept-seeds.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}
