//! A thousand services under each supervisor: from its start until all of them run, what its processes hold in memory,
//! and what they do while nothing happens. The supervisors take turns; the slow ones take fewer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::binaries::{Binaries, find, peer};
use crate::fifo::Fifo;
use crate::figures::Figures;
use crate::machine::{self, now_ns};
use crate::outline;
use crate::peers::{self, Run};
use crate::report::Section;
use crate::supervisor::Supervisor;

const LIMIT: Duration = Duration::from_secs(180);
/// After the start: what was only needed for it is over.
const SETTLE: Duration = Duration::from_secs(3);
/// So long nothing happens.
const IDLE: Duration = Duration::from_secs(20);
/// So many rounds of the slow ones, and so many with a time of idling: these figures hardly vary.
const FEW: usize = 1;

struct Contender {
    name: &'static str,
    /// The program that starts, and what is to be started how.
    program: PathBuf,
    kind: Kind,
    is_slow: bool,
    up: Figures,
    processes: usize,
    pss: Figures,
    idle_cpu: Figures,
    idle_switches: Figures,
}

enum Kind {
    Soloist,
    Runit(Run, Option<String>),
    S6(String),
    Supervisord,
    Pm2,
}

/// Starts so many services under each, again and again.
pub fn measure(binaries: &Binaries, services: usize, rounds: usize) -> Result<Section> {
    let mut contenders = contenders(binaries);
    // Nothing is removed before the end: where many files were just removed, ext4 makes each new one wait while it looks
    // for an inode that was not.
    let scratch = tempfile::Builder::new().prefix("soloist-bench-scale-").tempdir()?;
    for round in 0..rounds {
        let is_early = round < FEW;
        let count = contenders.len();
        for at in 0..count {
            let contender = &mut contenders[(at + round) % count];
            if is_early || !contender.is_slow {
                eprintln!("scale, round {}: {}", round + 1, contender.name);
                let folder = scratch.path().join(format!("{round}-{at}"));
                std::fs::create_dir(&folder)?;
                contender
                    .round(binaries, &folder, services, is_early)
                    .with_context(|| format!("under {}", contender.name))?;
            }
        }
    }
    let script = contenders.iter().find(|c| c.name.starts_with("runit")).map(|c| c.up.clone());
    let rows = contenders.iter().map(|contender| {
        let mut row = vec![contender.name.to_owned(), contender.up.count().to_string()];
        row.extend(contender.up.cells(2));
        row.push(script.as_ref().map_or("-".to_owned(), |script| contender.up.ratio_to(script)));
        row.push(contender.processes.to_string());
        row.push(format!("{:.1}", contender.pss.median()));
        row.push(format!("{:.1}", contender.idle_cpu.median()));
        row.push(format!("{:.0}", contender.idle_switches.max()));
        row
    });
    Ok(Section {
        name: "scale",
        words: vec![
            machine::line(binaries, &["runit", "s6", "supervisord", "pm2"], scratch.path()),
            format!(
                "{services} services, each the same small program. Up: seconds from the start of the supervisor's own \
                 command until the last service runs. All of its processes but the services: how many, PSS in KiB a \
                 service {} s later, then {} s of idling: their processor time in ms, and the most context switches. \
                 soloist, supervisord and pm2 keep what a service writes; runit and s6 do where a logger is named.",
                SETTLE.as_secs(),
                IDLE.as_secs()
            ),
        ],
        head: vec![
            "supervisor",
            "runs",
            "median s",
            "min",
            "max",
            "to runit, script",
            "processes",
            "PSS KiB",
            "idle CPU ms",
            "switches",
        ],
        rows: rows.collect(),
    })
}

fn contenders(binaries: &Binaries) -> Vec<Contender> {
    let logger = |program: &str, words: &str| find(program).map(|path| format!("{} {words}", path.display()));
    let mut all = Vec::new();
    if let Some(path) = peer("runsvdir", "runit") {
        all.push(Contender::new("runit, ./run is a script", &path, Kind::Runit(Run::Script, None), false));
        all.push(Contender::new(
            "runit, ./run is the program",
            &path,
            Kind::Runit(Run::Program, None),
            false,
        ));
        if let Some(svlogd) = logger("svlogd", "") {
            let kind = Kind::Runit(Run::Script, Some(svlogd));
            all.push(Contender::new("runit with svlogd, scripts", &path, kind, false));
        }
    }
    if let (Some(path), Some(s6_log)) = (peer("s6-svscan", "s6"), logger("s6-log", "n10 s1000000")) {
        all.push(Contender::new("s6 with s6-log, scripts", &path, Kind::S6(s6_log), true));
    }
    if let Some(path) = peer("supervisord", "supervisor") {
        all.push(Contender::new("supervisord", &path, Kind::Supervisord, true));
    }
    if let Some(path) = peer("pm2", "npm, then npm install pm2") {
        all.push(Contender::new("pm2", &path, Kind::Pm2, true));
    }
    all.push(Contender::new("soloist", &binaries.soloist, Kind::Soloist, false));
    all
}

impl Contender {
    fn new(name: &'static str, program: &Path, kind: Kind, is_slow: bool) -> Contender {
        let [up, pss, idle_cpu, idle_switches] = std::array::from_fn(|_| Figures::default());
        let program = program.to_owned();
        Contender { name, program, kind, is_slow, up, processes: 0, pss, idle_cpu, idle_switches }
    }

    fn round(&mut self, binaries: &Binaries, folder: &Path, services: usize, has_idle: bool) -> Result<()> {
        let mut fifo = Fifo::make(folder)?;
        self.configure(folder, services, &binaries.beacon)?;
        // What the files of the last one left to be written is not for this one to wait for.
        rustix::fs::sync();
        let begun = now_ns();
        let supervisor = self.start(folder, services, &binaries.beacon)?;
        let last = fifo.last_of(services, LIMIT)?;
        self.up.add((last.began - begun) as f64 / 1e9);
        std::thread::sleep(SETTLE);
        let own = supervisor.all_but(&binaries.beacon);
        self.processes = own.len();
        let pss: f64 = own.iter().filter_map(|pid| outline::pss_kib(*pid)).sum();
        self.pss.add(pss / services as f64);
        if has_idle {
            let before = outline::used(&own);
            std::thread::sleep(IDLE);
            let after = outline::used(&own);
            self.idle_cpu.add(after.0.saturating_sub(before.0) as f64 / 1e6);
            self.idle_switches.add(after.1.saturating_sub(before.1) as f64);
        }
        Ok(())
    }

    /// What lies there before it is started.
    fn configure(&self, folder: &Path, services: usize, beacon: &Path) -> Result<()> {
        match &self.kind {
            Kind::Runit(run, logger) => peers::services(folder, services, *run, logger.as_deref(), beacon),
            Kind::S6(logger) => peers::services(folder, services, Run::Script, Some(logger), beacon),
            Kind::Soloist => {
                let one = |at: usize| format!("[services.s{at}]\ncommand = [{beacon:?}]\n");
                Ok(std::fs::write(folder.join("soloist.toml"), (0..services).map(one).collect::<String>())?)
            }
            // One file, written as they are started.
            Kind::Supervisord | Kind::Pm2 => Ok(()),
        }
    }

    fn start(&self, folder: &Path, services: usize, beacon: &Path) -> Result<Supervisor> {
        let mut command = Command::new(&self.program);
        match &self.kind {
            Kind::Soloist => Supervisor::soloist(&self.program, folder, &["up", "-d"]),
            Kind::Runit(..) => {
                command.arg(folder.join("services"));
                Supervisor::start(command, Signal::HUP)
            }
            Kind::S6(_) => {
                // It takes 500 services if it is not told otherwise, and a logger counts.
                command.args(["-c", "4000"]).arg(folder.join("services"));
                Supervisor::start(command, Signal::TERM)
            }
            Kind::Supervisord => peers::supervisord(&self.program, folder, services, beacon),
            Kind::Pm2 => peers::pm2(&self.program, folder, services, beacon),
        }
    }
}
