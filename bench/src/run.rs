//! One command under a lock: `soloist run x -- true` beside `flock -n FILE true` and beside `true` alone. Wall time is
//! taken over posix_spawn(3); memory from a holder at work and, at its peak, from the kernel's account.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::binaries::{Binaries, peer};
use crate::figures::Figures;
use crate::report::Section;
use crate::supervisor::send;
use crate::{machine, outline, peak};

/// Peaks vary little: a few tell them.
const PEAKS: usize = 15;

struct Contender {
    name: String,
    program: PathBuf,
    /// What comes before the command.
    before: Vec<OsString>,
    wall: Figures,
    cpu: Figures,
    peak: Figures,
    holder_peak: Figures,
    holder_pss: Figures,
}

impl Contender {
    fn new(name: &str, program: PathBuf, before: &[&str]) -> Contender {
        let before = before.iter().map(OsString::from).collect();
        let [wall, cpu, peak, holder_peak, holder_pss] = std::array::from_fn(|_| Figures::default());
        Contender { name: name.to_owned(), program, before, wall, cpu, peak, holder_peak, holder_pss }
    }

    fn command(&self, words: &[&str], folder: &Path) -> Command {
        let mut command =
            if self.before.is_empty() { Command::new(words[0]) } else { Command::new(&self.program) };
        let words = if self.before.is_empty() { &words[1..] } else { words };
        command.args(&self.before).args(words).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        command
    }
}

/// Runs all of them, in turn.
pub fn measure(binaries: &Binaries, rounds: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-run-").tempdir()?;
    let folder = scratch.path();
    let bare = peer("true", "coreutils").context("without `true` there is nothing to run")?;
    let mut contenders = vec![Contender::new("`true`", bare, &[])];
    if let Some(flock) = peer("flock", "util-linux") {
        contenders.push(Contender::new("`flock -n FILE true`", flock, &["-n", "lock"]));
    }
    contenders.push(Contender::new("`soloist run x -- true`", binaries.soloist.clone(), &["run", "x", "--"]));
    for round in 0..=rounds {
        for at in 0..contenders.len() {
            // Nobody is always second to the same one.
            let at = (at + round) % contenders.len();
            let mut command = contenders[at].command(&["true"], folder);
            let begun = Instant::now();
            let status = command.status()?;
            let wall = begun.elapsed();
            ensure!(status.success(), "{} ended with {status}", contenders[at].name);
            // The first round makes folders and fills caches.
            if round > 0 {
                contenders[at].wall.add(wall.as_secs_f64() * 1000.0);
            }
        }
    }
    for _ in 0..PEAKS.min(rounds) {
        for contender in &mut contenders {
            let words: Vec<OsString> = if contender.before.is_empty() {
                Vec::new()
            } else {
                contender.before.iter().cloned().chain(["true".into()]).collect()
            };
            let taken = peak::of(&contender.program, &words, folder)?;
            contender.peak.add(taken.peak_kib);
            contender.cpu.add(taken.cpu_ms);
            if !contender.before.is_empty() {
                let mut holder = Holder(contender.command(&["sleep", "1000"], folder).spawn()?);
                contender.look_at(&mut holder)?;
            }
        }
    }
    let against = contenders.iter().find(|c| c.name.contains("flock")).map(|c| c.wall.clone());
    let rows = contenders.iter().map(|contender| {
        let mut row = vec![contender.name.clone(), contender.wall.count().to_string()];
        row.extend(contender.wall.cells(2));
        row.push(against.as_ref().map_or("-".to_owned(), |flock| contender.wall.ratio_to(flock)));
        row.push(format!("{:.2}", contender.cpu.median()));
        row.push(format!("{:.0}", contender.peak.median()));
        let of_holder = |figures: &Figures| match figures.count() {
            0 => "-".to_owned(),
            _ => format!("{:.0}", figures.median()),
        };
        row.push(of_holder(&contender.holder_peak));
        row.push(of_holder(&contender.holder_pss));
        row
    });
    Ok(Section {
        name: "run",
        words: vec![
            machine::line(binaries, &["util-linux"], folder),
            "Wall time in ms from posix_spawn(3) to the reaped end. CPU: user and system time of all processes. Peak: \
             the largest resident set of any one of them (KiB; not below that of the process that starts it). Holder: \
             peak and proportional share of the process that holds the lock over a sleeping command."
                .to_owned(),
        ],
        head: vec![
            "command", "runs", "median ms", "min", "max", "to flock", "CPU ms", "peak KiB", "holder peak", "holder PSS",
        ],
        rows: rows.collect(),
    })
}

impl Contender {
    /// Looks at the holder's memory once its command runs.
    fn look_at(&mut self, holder: &mut Holder) -> Result<()> {
        let pid = holder.0.id();
        let sleeps = || outline::family(pid).iter().any(|pid| outline::name(*pid) == "sleep");
        ensure!(machine::wait_until(Duration::from_secs(10), sleeps), "{} starts no command", self.name);
        // Until it waits for its command, it may still write something down.
        std::thread::sleep(Duration::from_millis(50));
        self.holder_peak.add(outline::peak_kib(pid).context("no peak is told")?);
        self.holder_pss.add(outline::pss_kib(pid).context("no share is told")?);
        Ok(())
    }
}

/// A holder with its command; ends with this value.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        // The command first: its end is the holder's.
        for pid in outline::family(self.0.id()).into_iter().skip(1) {
            send(pid, Signal::KILL);
        }
        let ended = machine::wait_until(Duration::from_secs(5), || !matches!(self.0.try_wait(), Ok(None)));
        if !ended {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
