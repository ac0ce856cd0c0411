//! How late scheduled runs begin: from the moment that the scheduler meant to the first thing the program does, both on
//! the wall clock. By an interval, spread over a second; by cron, all in the same minute. The schedulers take turns.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::binaries::Binaries;
use crate::figures::Figures;
use crate::machine;
use crate::report::Section;
use crate::schedulers::{Jobs, Rhythm, Scheduler, all_for};

const JOBS: usize = 100;
/// So many starts of each job in one turn.
const STARTS: u64 = 20;
/// How many minutes each scheduler of cron gets.
const MINUTES: usize = 1;
/// Until a program that was started in time has written its line.
const SETTLE: Duration = Duration::from_secs(3);
const SECOND_NS: i64 = 1_000_000_000;

struct Contender {
    scheduler: Scheduler,
    rhythm: Rhythm,
    late_ms: Figures,
    left_out: i64,
}

/// Ten thousand starts under each scheduler that knows intervals, and some minutes of those that know cron.
pub fn measure(binaries: &Binaries, rounds: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-lateness-").tempdir()?;
    let mut contenders: Vec<Contender> = Vec::new();
    for rhythm in [Rhythm::Second, Rhythm::Minute] {
        contenders.extend(all_for(binaries, rhythm).into_iter().map(|scheduler| Contender {
            scheduler,
            rhythm,
            late_ms: Figures::default(),
            left_out: 0,
        }));
    }
    let count = contenders.len();
    for round in 0..rounds {
        for at in 0..count {
            let contender = &mut contenders[(at + round) % count];
            if contender.rhythm == Rhythm::Second || round < MINUTES {
                eprintln!(
                    "lateness, round {}: {}, {}",
                    round + 1,
                    contender.scheduler.name,
                    contender.label()
                );
                let folder = scratch.path().join(format!("{round}-{at}"));
                std::fs::create_dir(&folder)?;
                contender
                    .round(&binaries.stamp, &folder)
                    .with_context(|| format!("under {}", contender.scheduler.name))?;
            }
        }
    }
    let rows = contenders.iter().map(|contender| {
        let late = &contender.late_ms;
        let mut row = vec![format!("{}, {}", contender.scheduler.name, contender.label())];
        row.push(late.count().to_string());
        row.extend([0.5, 0.99, 1.0].map(|share| format!("{:.2}", late.quantile(share))));
        row.push(contender.left_out.to_string());
        row
    });
    Ok(Section {
        name: "lateness",
        words: vec![
            machine::line(binaries, &["node", "busybox-static"], scratch.path()),
            format!(
                "Milliseconds from the moment a run was due to the first thing its program does. {JOBS} jobs, each every \
                 second, spread evenly over it; or {JOBS} jobs, all in the same second of each minute. Due is what the \
                 scheduler itself says; by hand, what somebody meant who wrote `sleep(1)` after each run. Left out: \
                 moments between the first and the last of a job at which nothing began. systemd-run needs a systemd \
                 that runs, which a container has not."
            ),
        ],
        head: vec!["scheduler", "starts", "p50 ms", "p99 ms", "max ms", "left out"],
        rows: rows.collect(),
    })
}

/// One line that a run wrote.
struct Stamp {
    began: i64,
    due: Option<i64>,
}

impl Contender {
    fn label(&self) -> &'static str {
        match self.rhythm {
            Rhythm::Second => "every second",
            Rhythm::Minute | Rhythm::Day => "all at once",
        }
    }

    fn round(&mut self, stamp: &Path, folder: &Path) -> Result<()> {
        let jobs = Jobs { count: JOBS, rhythm: self.rhythm, stamp, folder };
        let mut wait = Duration::from_secs(STARTS + 1);
        if self.rhythm == Rhythm::Minute {
            let now = jiff::Timestamp::now().as_second().rem_euclid(60).unsigned_abs();
            // Near the end of a minute it would have to begin before it has started.
            let minute = if now > 55 { 120 } else { 60 };
            wait = Duration::from_secs(minute - now) + SETTLE;
        }
        let begun = std::time::Instant::now();
        let scheduler = self.scheduler.start(&jobs)?;
        std::thread::sleep(wait.saturating_sub(begun.elapsed()));
        drop(scheduler);
        let text = std::fs::read_to_string(jobs.stamps()).context("nothing was started")?;
        for stamps in read(&text)?.into_values() {
            self.take(&stamps)?;
        }
        Ok(())
    }

    /// The runs of one job.
    fn take(&mut self, stamps: &[Stamp]) -> Result<()> {
        let every = self.rhythm.seconds() as i64 * SECOND_NS;
        let due = |stamp: &Stamp| match (stamp.due, self.rhythm) {
            (Some(due), _) => Ok(due),
            // A crond tells its jobs nothing.
            (None, Rhythm::Minute) => Ok(stamp.began / every * every),
            (None, Rhythm::Second | Rhythm::Day) => bail!("a run was not told when it was due"),
        };
        let dues = stamps.iter().map(due).collect::<Result<Vec<i64>>>()?;
        for (stamp, due) in stamps.iter().zip(&dues) {
            self.late_ms.add((stamp.began - due) as f64 / 1e6);
        }
        let (first, last) = (dues.iter().min(), dues.iter().max());
        let span = last.zip(first).map_or(0, |(last, first)| last - first);
        self.left_out += (span + every / 2) / every + 1 - dues.len() as i64;
        Ok(())
    }
}

/// The lines of each job.
fn read(text: &str) -> Result<BTreeMap<String, Vec<Stamp>>> {
    let mut jobs: BTreeMap<String, Vec<Stamp>> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        ensure!(words.len() == 3, "an unreadable stamp: {line}");
        let due = match words[2] {
            "-" => None,
            ns if ns.bytes().all(|b| b.is_ascii_digit()) => Some(ns.parse()?),
            moment => Some(i64::try_from(moment.parse::<jiff::Timestamp>()?.as_nanosecond())?),
        };
        jobs.entry(words[1].to_owned()).or_default().push(Stamp { began: words[0].parse()?, due });
    }
    Ok(jobs)
}
