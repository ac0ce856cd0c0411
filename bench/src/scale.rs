//! A thousand services under each supervisor: from its start until all of them run, what its processes hold in memory,
//! and what they do while nothing happens. The supervisors take turns; the slow ones take fewer.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::binaries::Binaries;
use crate::fifo::Fifo;
use crate::figures::Figures;
use crate::machine::{self, now_ns};
use crate::outline;
use crate::peers::{self, Kind, Peer, Run, Service};
use crate::report::Section;

const LIMIT: Duration = Duration::from_secs(180);
/// After the start: what was only needed for it is over.
const SETTLE: Duration = Duration::from_secs(3);
/// So long nothing happens.
const IDLE: Duration = Duration::from_secs(20);
/// So many rounds of the slow ones, and so many with a time of idling: these figures hardly vary.
const FEW: usize = 1;

struct Contender {
    peer: Peer,
    up: Figures,
    processes: usize,
    pss: Figures,
    idle_cpu: Figures,
    idle_switches: Figures,
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
            if is_early || !contender.is_slow() {
                eprintln!("scale, round {}: {}", round + 1, contender.peer.name());
                let folder = scratch.path().join(format!("{round}-{at}"));
                std::fs::create_dir(&folder)?;
                contender
                    .round(binaries, &folder, services, is_early)
                    .with_context(|| format!("under {}", contender.peer.name()))?;
            }
        }
    }
    let script = contenders.iter().find(|c| c.peer.name().starts_with("runit")).map(|c| c.up.clone());
    let rows = contenders.iter().map(|contender| {
        let mut row = vec![contender.peer.name().to_owned(), contender.up.count().to_string()];
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
            machine::line(binaries, &peers::PACKAGES, scratch.path()),
            format!(
                "{services} services, each the same small program. Up: seconds from the start of the supervisor's own \
                 command until the last service runs. All of its processes but the services: how many, PSS in KiB a \
                 service {} s later, then {} s of idling: their processor time in ms, and the most context switches. \
                 All keep what a service writes but runit where no logger is named.",
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
    let kinds = [
        Kind::Runit(Run::Script),
        Kind::Runit(Run::Program),
        Kind::Runit(Run::Logged),
        Kind::S6(Run::Logged),
        Kind::Supervisord,
        Kind::Pm2,
        Kind::Pitchfork,
    ];
    let peers = kinds.into_iter().filter_map(Peer::find).chain([Peer::soloist(binaries)]);
    let contender = |peer| {
        let [up, pss, idle_cpu, idle_switches] = std::array::from_fn(|_| Figures::default());
        Contender { peer, up, processes: 0, pss, idle_cpu, idle_switches }
    };
    peers.map(contender).collect()
}

impl Contender {
    fn is_slow(&self) -> bool {
        !matches!(self.peer.kind, Kind::Soloist | Kind::Runit(_))
    }

    fn round(&mut self, binaries: &Binaries, folder: &Path, services: usize, has_idle: bool) -> Result<()> {
        let mut fifo = Fifo::make(folder)?;
        self.peer.lay(folder, &Service::many(services, &binaries.beacon))?;
        // What the files of the last one left to be written is not for this one to wait for.
        rustix::fs::sync();
        let begun = now_ns();
        let supervisor = self.peer.up(folder)?;
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
}
