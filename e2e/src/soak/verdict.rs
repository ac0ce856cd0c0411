//! What a soak says in the end.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Wish;
use super::judge::Bytes;
use super::stage::{Stage, lock};
use super::watch::Absence;

/// A daemon that has more descriptors open than this leaks them: some for each instance and each client.
const MOST_DESCRIPTORS: usize = 1000;
/// And one that has more KiB resident leaks those.
const MOST_RESIDENT: u64 = 200 << 10;

/// Open descriptors and resident KiB of some processes at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Of the daemon.
    pub daemon: (usize, u64),
    /// The most of any guard.
    pub guard: (usize, u64),
    /// Of a daemon that nobody disturbs.
    pub neighbour: (usize, u64),
}

/// All that is told.
#[derive(Debug)]
pub struct Verdict {
    wish: Wish,
    folder: PathBuf,
    /// How long all of it took.
    pub took: Duration,
    /// How many processes stood by.
    pub bystanders: usize,
    /// How many runs there were.
    pub runs: usize,
    /// What became of what was written.
    pub bytes: Bytes,
    /// The latest return.
    pub worst: Option<Absence>,
    /// The longest that a process took to be started and to end.
    pub lateness: Duration,
    /// From time to time.
    pub usage: Vec<Usage>,
    counts: Vec<(String, u64)>,
    odd: Vec<(String, (u64, String))>,
    /// What must not be.
    pub findings: Vec<String>,
}

impl Verdict {
    /// Nothing is known yet.
    pub fn new(wish: &Wish, folder: &Path) -> Verdict {
        Verdict {
            wish: wish.clone(),
            folder: folder.to_owned(),
            took: Duration::ZERO,
            bystanders: 0,
            runs: 0,
            bytes: Bytes::default(),
            worst: None,
            lateness: Duration::ZERO,
            usage: Vec::new(),
            counts: Vec::new(),
            odd: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Takes what the stage knows; where something was found its folder is kept, what lay on a disk of its own too.
    pub fn close(mut self, mut stage: Stage) -> Verdict {
        let most = |use_of: fn(&Usage) -> (usize, u64)| {
            self.usage.iter().map(use_of).fold((0, 0), |most, one| (most.0.max(one.0), most.1.max(one.1)))
        };
        for (who, (descriptors, resident)) in [
            ("the daemon", most(|u| u.daemon)),
            ("a guard", most(|u| u.guard)),
            ("the neighbour", most(|u| u.neighbour)),
        ] {
            if descriptors > MOST_DESCRIPTORS || resident > MOST_RESIDENT {
                stage.find(format!("leak: {who} had {descriptors} descriptors and {resident} KiB"));
            }
        }
        self.counts = lock(&stage.counts).clone().into_iter().collect();
        self.odd = lock(&stage.odd).clone().into_iter().collect();
        self.findings = lock(&stage.findings).clone();
        let folder = stage.project.folder().to_owned();
        let dot = folder.join(".soloist");
        if !self.findings.is_empty() {
            let disturbances = format!("{:#?}", lock(&stage.disturbances));
            let _ = std::fs::write(folder.join("disturbances"), disturbances);
            stage.project.keep();
            if self.wish.has_own_disk {
                let _ = Command::new("cp").arg("-a").arg(&dot).arg(folder.join("dot-soloist")).status();
            }
        }
        if self.wish.has_own_disk {
            let _ = Command::new("umount").arg("-l").arg(&dot).status();
        }
        self
    }

    /// Whether nothing was found.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }

    fn found(&self, kind: &str) -> usize {
        self.findings.iter().filter(|finding| finding.contains(kind)).count()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.wish.length.as_secs_f64() / 60.0;
        writeln!(
            f,
            "seed {}, {minutes:.1} minutes of deeds, {:.0} s in all, {} services and jobs",
            self.wish.seed,
            self.took.as_secs_f64(),
            self.wish.services
        )?;
        for (deed, count) in &self.counts {
            writeln!(f, "  {count:7}  {deed}")?;
        }
        writeln!(f, "answers that may be, and the last of each:")?;
        for (what, (count, words)) in &self.odd {
            writeln!(f, "  {count:7}  {what}: {}", words.lines().next().unwrap_or_default())?;
        }
        writeln!(f, "runs: {}", self.runs)?;
        writeln!(
            f,
            "bytes: {} written, {} not in the logs, {} told there to be dropped, {} of runs that ended on a full disk",
            self.bytes.written, self.bytes.lost, self.bytes.counted, self.bytes.untold
        )?;
        if let Some(worst) = &self.worst {
            writeln!(
                f,
                "latest return beyond its backoff: {:?} of `{}` with {} kills meanwhile, granted {:?}; the machine was at most {:?} late",
                worst.beyond(),
                worst.name,
                worst.kills,
                worst.margin(),
                self.lateness
            )?;
        }
        let told =
            |(descriptors, resident): (usize, u64)| format!("{descriptors} descriptors {resident} KiB");
        for (at, usage) in self.usage.iter().enumerate() {
            writeln!(
                f,
                "use {at}: daemon {}, largest guard {}, neighbour's daemon {}",
                told(usage.daemon),
                told(usage.guard),
                told(usage.neighbour)
            )?;
        }
        for finding in &self.findings {
            writeln!(f, "FOUND {finding}")?;
        }
        if !self.is_good() {
            writeln!(f, "kept: {}", self.folder.display())?;
        }
        writeln!(
            f,
            "seed {}: {}: {} overlaps, {} foreign signals ({} bystanders), {} findings of lost or doubled bytes, {} late returns, {} left after down, {} findings in all",
            self.wish.seed,
            if self.is_good() { "GOOD" } else { "BAD" },
            self.found("overlap: "),
            self.found("foreign signal: "),
            self.bystanders,
            self.found("lost bytes: ") + self.found("doubled bytes: "),
            self.found("late return: "),
            self.found("left after down: "),
            self.findings.len()
        )
    }
}
