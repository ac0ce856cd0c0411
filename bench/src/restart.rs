//! From the kill of a child to the first instruction of its successor, beside runit, s6, supervisord, circus, pm2 and
//! pitchfork. One child each, all there at once, killed in turn; the child tells over a FIFO when it began.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::binaries::{Binaries, peer};
use crate::fifo::Fifo;
use crate::figures::Figures;
use crate::machine::{self, now_ns};
use crate::outline;
use crate::peers::{self, Kind, Peer, Run, Service};
use crate::report::Section;
use crate::supervisor::{Supervisor, send};

/// runsv and s6-supervise hold back a child that lived for less than a second.
const HEALTHY: Duration = Duration::from_millis(1300);
/// A quiet moment before each kill: what the one before has set off is over.
const QUIET: Duration = Duration::from_millis(150);
const LIMIT: Duration = Duration::from_secs(30);
/// One that looks for the dead every ten seconds is given every fifth round only.
const FEWER: usize = 5;

/// Restarts at once, every time: the default of soloist is at once for the first crash of a healthy service only.
const CONFIG: &str = r#"
backoff = { first = "1ms", max = "1ms", reset-after = "1ms" }
restart-limit = { count = 100000, period = "10m" }
"#;

struct Contender {
    name: &'static str,
    /// The supervisor's processes have names that begin so.
    own: &'static str,
    fifo: Fifo,
    /// Without one the bench starts the child itself: what no supervisor can undercut.
    supervisor: Option<Supervisor>,
    folder: PathBuf,
    is_slow: bool,
    child: u32,
    born: Instant,
    latency: Figures,
    cpu: Figures,
}

/// Kills every child so many times.
pub fn measure(binaries: &Binaries, rounds: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-restart-").tempdir()?;
    let mut contenders =
        vec![Contender::prepare("posix_spawn alone (the floor)", "", scratch.path(), "floor")?];
    for (name, program, package, run) in [
        ("runit (runsv), ./run is a script", "runsv", "runit", Run::Script),
        ("runit (runsv), ./run is the program", "runsv", "runit", Run::Program),
        ("s6 (s6-supervise), ./run is a script", "s6-supervise", "s6", Run::Script),
        ("s6 (s6-supervise), ./run is the program", "s6-supervise", "s6", Run::Program),
    ] {
        let Some(path) = peer(program, package) else { continue };
        let folder = format!("{package}-{run:?}");
        let mut contender = Contender::prepare(name, program, scratch.path(), &folder)?;
        peers::service(&contender.folder, run, &[binaries.beacon.display().to_string()])?;
        let mut command = Command::new(path);
        command.arg(&contender.folder);
        contender.supervisor = Some(Supervisor::start(command, Signal::TERM)?);
        contenders.push(contender);
    }
    let services = [Service::named("beacon", &binaries.beacon)];
    for (kind, own) in [
        (Kind::Supervisord, "supervisord"),
        (Kind::Circus, "circusd"),
        (Kind::Pm2, "PM2"),
        (Kind::Pitchfork, "pitchfork"),
    ] {
        let Some(peer) = Peer::find(kind) else { continue };
        let mut contender = Contender::prepare(peer.name(), own, scratch.path(), own)?;
        contender.supervisor = Some(peer.start(&contender.folder, &services)?);
        contender.is_slow = kind == Kind::Pitchfork;
        contenders.push(contender);
    }
    let mut soloist = Contender::prepare("soloist, the program", "soloist", scratch.path(), "soloist")?;
    let config = format!("[services.beacon]\ncommand = [{:?}]\n{CONFIG}", binaries.beacon);
    std::fs::write(soloist.folder.join("soloist.toml"), config)?;
    soloist.supervisor = Some(Supervisor::soloist(&binaries.soloist, &soloist.folder, &["up", "-d"])?);
    contenders.push(soloist);
    for contender in contenders.iter_mut().filter(|c| c.supervisor.is_some()) {
        contender.next_child().with_context(|| format!("{} starts no child", contender.name))?;
    }
    let count = contenders.len();
    for round in 0..rounds {
        for at in 0..count {
            let contender = &mut contenders[(at + round) % count];
            if contender.is_slow && round % FEWER != 0 {
                continue;
            }
            std::thread::sleep(QUIET.max(HEALTHY.saturating_sub(contender.born.elapsed())));
            contender
                .kill(&binaries.beacon)
                .with_context(|| format!("{} starts no new child", contender.name))?;
        }
    }
    let script = contenders.iter().find(|c| c.name.starts_with("runit")).map(|c| c.latency.clone());
    let rows = contenders.iter().map(|contender| {
        let mut row = vec![contender.name.to_owned(), contender.latency.count().to_string()];
        row.extend(contender.latency.cells(2));
        row.push(script.as_ref().map_or("-".to_owned(), |script| contender.latency.ratio_to(script)));
        let pss = contender.supervisor.as_ref().map(|supervisor| supervisor.own(contender.own));
        row.push(pss.as_ref().map_or("-".to_owned(), |_| format!("{:.0}", contender.cpu.median())));
        row.push(pss.map_or("-".to_owned(), |own| {
            format!("{:.0}", own.iter().filter_map(|pid| outline::pss_kib(*pid)).sum::<f64>())
        }));
        row
    });
    Ok(Section {
        name: "restart",
        words: vec![
            machine::line(binaries, &peers::PACKAGES, scratch.path()),
            "Milliseconds from SIGKILL of a healthy child to the first thing its successor does. CPU: microseconds of \
             the supervisor's own processes for one restart, without the new child before it executes and without a \
             shell. PSS: KiB of all these processes with one service."
                .to_owned(),
        ],
        head: vec!["supervisor", "kills", "median ms", "min", "max", "to runit, script", "CPU us", "PSS KiB"],
        rows: rows.collect(),
    })
}

impl Contender {
    fn prepare(name: &'static str, own: &'static str, scratch: &Path, folder: &str) -> Result<Contender> {
        let folder = scratch.join(folder);
        std::fs::create_dir(&folder)?;
        let fifo = Fifo::make(&folder)?;
        let [latency, cpu] = std::array::from_fn(|_| Figures::default());
        let born = Instant::now();
        let (supervisor, is_slow, child) = (None, false, 0);
        Ok(Contender { name, own, fifo, supervisor, folder, is_slow, child, born, latency, cpu })
    }

    /// Waits for the next beacon: when it began, in nanoseconds.
    fn next_child(&mut self) -> Result<i64> {
        let beacon = self.fifo.next(LIMIT)?;
        (self.child, self.born) = (beacon.pid, Instant::now());
        Ok(beacon.began)
    }

    /// Kills the child and waits for the next one.
    fn kill(&mut self, beacon: &Path) -> Result<()> {
        let Some(supervisor) = &self.supervisor else { return self.spawn(beacon) };
        let own = supervisor.own(self.own);
        let cpu = || own.iter().map(|pid| outline::cpu_ns(*pid)).sum::<u64>();
        let before = cpu();
        let killed = now_ns();
        send(self.child, Signal::KILL);
        let began = self.next_child()?;
        // The new child runs; its supervisor may still write that down.
        std::thread::sleep(Duration::from_millis(50));
        self.latency.add(milliseconds(began - killed));
        let own = self.supervisor.as_ref().map(|s| s.own(self.own)).unwrap_or_default();
        let after = own.iter().map(|pid| outline::cpu_ns(*pid)).sum::<u64>();
        self.cpu.add(after.saturating_sub(before) as f64 / 1000.0);
        Ok(())
    }

    fn spawn(&mut self, beacon: &Path) -> Result<()> {
        let mut command = Command::new(beacon);
        command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        let begun = now_ns();
        let mut child = command.spawn()?;
        let began = self.next_child();
        let _ = child.kill();
        let _ = child.wait();
        self.latency.add(milliseconds(began? - begun));
        Ok(())
    }
}

fn milliseconds(span_ns: i64) -> f64 {
    span_ns as f64 / 1e6
}
