//! soloist and other schedulers: how each is told to start the stamp again and again, and how it is started.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Signal, geteuid};

use crate::binaries::{Binaries, all, first_line, peer};
use crate::supervisor::Supervisor;

/// How often each job is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// By an interval of one second. The jobs begin one after the other, evenly within the first.
    Second,
    /// By cron, all at once.
    Minute,
    /// Half a day from now at the earliest.
    Day,
}

/// Who starts the jobs.
pub struct Scheduler {
    /// For the table.
    pub name: String,
    program: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Soloist,
    /// This text, run by the program.
    Script(&'static str),
    /// busybox's.
    Crond,
}

/// The jobs of a scheduler, and where each of their runs adds its line.
pub struct Jobs<'a> {
    /// So many: `s0`, `s1`, …
    pub count: usize,
    /// How often each is due.
    pub rhythm: Rhythm,
    /// The program that is started.
    pub stamp: &'a Path,
    /// Where the scheduler has its files.
    pub folder: &'a Path,
}

impl Jobs<'_> {
    /// What the runs write.
    pub fn stamps(&self) -> PathBuf {
        self.folder.join("stamps")
    }
}

impl Rhythm {
    /// From one due moment of a job to the next.
    pub fn seconds(self) -> u64 {
        match self {
            Rhythm::Second => 1,
            Rhythm::Minute => 60,
            Rhythm::Day => 24 * 3600,
        }
    }

    fn cron(self) -> String {
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
        match self {
            Rhythm::Second | Rhythm::Minute => "* * * * *".to_owned(),
            Rhythm::Day => later.strftime("%-M %-H * * *").to_string(),
        }
    }

    /// Its line in `soloist.toml`.
    fn line(self) -> String {
        match self {
            Rhythm::Second => "every = \"1s\"".to_owned(),
            Rhythm::Minute | Rhythm::Day => format!("cron = \"{}\"\ntimezone = \"UTC\"", self.cron()),
        }
    }
}

/// soloist and those of the others that are here and know this rhythm.
pub fn all_for(binaries: &Binaries, rhythm: Rhythm) -> Vec<Scheduler> {
    let one = |name: &str, program: &Path, kind| {
        let (name, program) = (name.to_owned(), program.to_owned());
        Scheduler { name, program, kind }
    };
    let mut found = vec![one("soloist", &binaries.soloist, Kind::Soloist)];
    if rhythm != Rhythm::Minute {
        let here = all("python3").find_map(|python| Some((version(&python)?, python)));
        match here {
            Some((version, python)) => {
                let script = Kind::Script(include_str!("schedulers/apscheduler.py"));
                found.push(one(&format!("APScheduler {version}"), &python, script));
            }
            None => {
                eprintln!("SKIPPED: no python3 has APScheduler 3 (in a venv: pip install 'apscheduler<4')");
            }
        }
    }
    if rhythm == Rhythm::Second {
        if let Some(node) = peer("node", "nodejs") {
            let script = Kind::Script(include_str!("schedulers/interval.js"));
            found.push(one("Node, setInterval", &node, script));
        }
        if let Some(python) = peer("python3", "python3") {
            let script = Kind::Script(include_str!("schedulers/loop.py"));
            found.push(one("Python, run and sleep(1)", &python, script));
        }
    } else if !geteuid().is_root() {
        eprintln!("SKIPPED: busybox crond runs for root only");
    } else if let Some(busybox) = peer("busybox", "busybox-static") {
        found.push(one("busybox crond", &busybox, Kind::Crond));
    }
    found
}

/// Of APScheduler, if it is there.
fn version(python: &Path) -> Option<String> {
    let words = "import apscheduler.schedulers.background; print(apscheduler.version)";
    first_line(python, &["-c", words])
}

impl Scheduler {
    /// Starts it. All its jobs are scheduled when this returns, or soon.
    pub fn start(&self, jobs: &Jobs) -> Result<Supervisor> {
        let stamps = jobs.stamps();
        match self.kind {
            Kind::Soloist => {
                let one = |at: usize| {
                    let (stamp, line) = (jobs.stamp, jobs.rhythm.line());
                    format!("[jobs.s{at}]\ncommand = [{stamp:?}, \"s{at}\", {stamps:?}]\n{line}\n")
                };
                let config: String = (0..jobs.count).map(one).collect();
                std::fs::write(jobs.folder.join("soloist.toml"), config)?;
                match jobs.rhythm {
                    Rhythm::Second => self.start_apart(jobs),
                    Rhythm::Minute | Rhythm::Day => {
                        Supervisor::soloist(&self.program, jobs.folder, &["up", "-d"])
                    }
                }
            }
            Kind::Script(text) => {
                let script = jobs.folder.join("script");
                std::fs::write(&script, text)?;
                let mut command = Command::new(&self.program);
                command.arg(script).arg(jobs.stamp).arg(stamps).arg(jobs.count.to_string());
                command.arg(jobs.rhythm.seconds().to_string()).arg(apart(jobs).as_millis().to_string());
                Supervisor::start(command, Signal::KILL)
            }
            Kind::Crond => {
                let folder = jobs.folder.join("crontabs");
                std::fs::create_dir(&folder)?;
                let cron = jobs.rhythm.cron();
                let one = |at: usize| format!("{cron} {} s{at} {}\n", jobs.stamp.display(), stamps.display());
                std::fs::write(folder.join("root"), (0..jobs.count).map(one).collect::<String>())?;
                let mut command = Command::new(&self.program);
                command.args(["crond", "-f", "-L", "/dev/null", "-c"]).arg(folder).env("TZ", "UTC");
                Supervisor::start(command, Signal::TERM)
            }
        }
    }

    /// One `soloist start` a job, each so much after the last: the rhythm of an interval begins there.
    fn start_apart(&self, jobs: &Jobs) -> Result<Supervisor> {
        let supervisor = Supervisor::soloist(&self.program, jobs.folder, &["start", "s0"])?;
        let begun = Instant::now();
        let mut starts: Vec<Child> = Vec::new();
        for at in 1..jobs.count {
            std::thread::sleep((apart(jobs) * at as u32).saturating_sub(begun.elapsed()));
            let mut command = Command::new(&self.program);
            command.arg("start").arg(format!("s{at}")).current_dir(jobs.folder);
            starts.push(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        }
        for mut start in starts {
            let status = start.wait().context("a start was lost")?;
            ensure!(status.success(), "soloist start: {status}");
        }
        Ok(supervisor)
    }
}

/// Between the beginnings of two jobs.
fn apart(jobs: &Jobs) -> Duration {
    match jobs.rhythm {
        Rhythm::Second => Duration::from_secs(1) / jobs.count.max(1) as u32,
        Rhythm::Minute | Rhythm::Day => Duration::ZERO,
    }
}
