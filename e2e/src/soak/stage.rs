//! What all threads of a soak share: the project, who is wanted, what disturbs, what was done and what was found.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::cast::{Cast, Part};
use crate::puppet::journal::now;
use crate::{Identity, Project};

/// So many of the last deeds are told with a failure.
const LAST_DEEDS: usize = 300;

/// What was asked for, as far as it is certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Since then, in nanoseconds of CLOCK_MONOTONIC.
    Up(u64),
    /// It was stopped.
    Down,
    /// Somebody is just changing it, or a command failed.
    Unsure,
}

/// Something that explains that a service comes back later.
#[derive(Clone, Debug)]
pub struct Disturbance {
    /// Of one instance, or of all.
    pub of: Option<String>,
    /// From when, in nanoseconds of CLOCK_MONOTONIC.
    pub from: u64,
    /// Until when; a kill has no length.
    pub until: u64,
}

/// Shared by all.
#[derive(Debug)]
pub struct Stage {
    /// Where all happens.
    pub project: Project,
    /// A file that ends it all when it is there.
    pub stop: Option<PathBuf>,
    /// Who plays; who edits `soloist.toml` has this lock.
    pub cast: Mutex<Cast>,
    /// The same, as they were in the beginning.
    pub parts: Vec<Part>,
    /// Who changes what is wanted of a unit has its lock.
    pub units: Vec<Mutex<()>>,
    /// By part.
    pub wanted: Vec<Mutex<Wanted>>,
    /// How often each guard was killed.
    pub guards_killed: Mutex<BTreeMap<String, u64>>,
    /// All there were.
    pub disturbances: Mutex<Vec<Disturbance>>,
    /// When the disk was full, on the machine's clock.
    pub full: Mutex<Vec<Range<SystemTime>>>,
    /// How long a process took to be started and to end, and when.
    pub lateness: Mutex<Vec<(u64, Duration)>>,
    /// What was done how often.
    pub counts: Mutex<BTreeMap<String, u64>>,
    /// What must not be.
    pub findings: Mutex<Vec<String>>,
    /// Answers of commands that may be, each with its last words.
    pub odd: Mutex<BTreeMap<String, (u64, String)>>,
    last: Mutex<VecDeque<String>>,
    is_over: AtomicBool,
}

/// A lock whose holder panicked is as good as any other: the panic is told by whoever joins that thread.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    /// Nothing has happened yet.
    pub fn new(project: Project, cast: Cast, stop: Option<PathBuf>) -> Stage {
        let parts = cast.parts.clone();
        Stage {
            project,
            stop,
            units: (0..cast.units).map(|_| Mutex::default()).collect(),
            wanted: parts.iter().map(|_| Mutex::new(Wanted::Unsure)).collect(),
            cast: Mutex::new(cast),
            parts,
            guards_killed: Mutex::default(),
            disturbances: Mutex::default(),
            full: Mutex::default(),
            lateness: Mutex::default(),
            counts: Mutex::default(),
            findings: Mutex::default(),
            odd: Mutex::default(),
            last: Mutex::default(),
            is_over: AtomicBool::new(false),
        }
    }

    /// Whether the deeds are over.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// They are.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Somebody wants it all to end.
    pub fn is_interrupted(&self) -> bool {
        self.stop.as_ref().is_some_and(|file| file.exists())
    }

    /// Waits; less if it is over.
    pub fn pause(&self, milliseconds: u64) {
        let until = now() + milliseconds * 1_000_000;
        while now() < until && !self.is_over() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Counts a deed and keeps its words for a while.
    pub fn note(&self, kind: &str, words: &str) {
        *lock(&self.counts).entry(kind.to_owned()).or_default() += 1;
        let mut last = lock(&self.last);
        last.push_back(format!("{:.3} {kind} {words}", now() as f64 / 1e9));
        if last.len() > LAST_DEEDS {
            last.pop_front();
        }
    }

    /// The last deeds, one a line.
    pub fn last_deeds(&self) -> String {
        lock(&self.last).iter().map(|deed| format!("{deed}\n")).collect()
    }

    /// Something that must not be.
    pub fn find(&self, what: String) {
        self.note("FINDING", &what);
        let line = format!("{:.3} {what}", now() as f64 / 1e9);
        let mut findings = lock(&self.findings);
        // Beside each lies what explains it.
        let file = self.project.folder().join(format!("finding-{}", findings.len()));
        let _ = std::fs::write(file, format!("{line}\n\n{}", self.last_deeds()));
        findings.push(line);
    }

    /// From now on this is wanted of all parts of a unit.
    pub fn set(&self, unit: usize, wanted: Wanted) {
        for (part, cell) in self.parts.iter().zip(&self.wanted) {
            if part.unit == unit {
                *lock(cell) = wanted;
            }
        }
    }

    /// Something that lasted since then ends now.
    pub fn disturbed(&self, of: Option<&str>, from: u64) {
        lock(&self.disturbances).push(Disturbance { of: of.map(str::to_owned), from, until: now() });
    }

    /// The process that a record names as this instance's `guard` or `main`, if it lives.
    pub fn recorded(&self, instance: &str, role: &str) -> Option<Identity> {
        let record = self.project.record(instance)?;
        let who = &record[role];
        let pid = u32::try_from(who["pid"].as_u64()?).ok()?;
        Some(Identity { pid, start: who["start"].as_u64()? }).filter(Identity::is_alive)
    }

    /// The longest that a process took to be started and to end, within this time.
    pub fn lateness(&self, from: u64, until: u64) -> Duration {
        let all = lock(&self.lateness);
        let within = all.iter().filter(|(at, took)| {
            *at + 1_000_000_000 > from && at.saturating_sub(took.as_nanos() as u64) < until
        });
        within.map(|(_, took)| *took).max().unwrap_or_default()
    }
}
