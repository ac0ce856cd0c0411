//! The same supervisor started twice at once on one configuration, and one of its services told to start twice at once:
//! how many processes of a service there are at the same time.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use crate::arena::{Arena, finish};
use crate::binaries::Binaries;
use crate::peers::{self, Order, Peer, Service};
use crate::report::Section;
use crate::{machine, outline};

const SERVICES: usize = 3;
/// So long it is looked at after the start.
const WATCH: Duration = Duration::from_secs(4);
/// So much longer while commands are still at it.
const MORE: Duration = Duration::from_secs(8);
const LIMIT: Duration = Duration::from_secs(20);

/// What was seen of one supervisor.
#[derive(Clone, Default)]
struct Seen {
    /// The most processes of a service at once.
    most: usize,
    /// Rounds in which there were two of one.
    rounds: usize,
    /// Services with two at the end, at most.
    twice: usize,
    /// Supervisors at the end, at most.
    supervisors: usize,
    /// The most of the service that was told to start twice, and the rounds with two.
    of_one: [usize; 2],
}

/// So many rounds of each.
pub fn measure(binaries: &Binaries, rounds: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-twice-").tempdir()?;
    let peers = peers::all(binaries);
    let mut seen = vec![Seen::default(); peers.len()];
    for round in 0..rounds {
        eprintln!("twice, round {}", round + 1);
        let folder = |at| scratch.path().join(format!("{round}-{at}"));
        // Nothing is timed, so all are tried at once: then one start is more often later than the other.
        std::thread::scope(|scope| {
            let mut tried = Vec::new();
            for (at, (seen, peer)) in seen.iter_mut().zip(&peers).enumerate() {
                let folder = folder(at);
                tried.push(scope.spawn(move || seen.round(peer, binaries, folder)));
            }
            tried.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| Err(anyhow!("a panic"))))
        })?;
    }
    let rows = peers.iter().zip(&seen).map(|(peer, seen)| {
        let of = |count: usize| format!("{count} of {rounds}");
        vec![
            peer.name().to_owned(),
            seen.most.to_string(),
            of(seen.rounds),
            seen.twice.to_string(),
            seen.supervisors.to_string(),
            seen.of_one[0].to_string(),
            of(seen.of_one[1]),
        ]
    });
    let rows = rows.collect();
    Ok(Section {
        name: "twice",
        words: vec![
            machine::line(binaries, &peers::PACKAGES, scratch.path()),
            format!(
                "The command that starts the supervisor given twice at the same moment, with one configuration of {SERVICES} \
                 services: the most processes of a service at once, the rounds with two of one, how many services had two \
                 in the end, and how many supervisors there were then. Then, one supervisor: one stopped service told to \
                 start twice at the same moment."
            ),
        ],
        head: vec![
            "supervisor",
            "most at once",
            "rounds with two",
            "two in the end",
            "supervisors",
            "one service: most",
            "rounds with two",
        ],
        rows,
    })
}

impl Seen {
    fn round(&mut self, peer: &Peer, binaries: &Binaries, folder: PathBuf) -> Result<()> {
        let programs = binaries.folder()?;
        let services = Service::many(SERVICES, &binaries.beacon);
        {
            let mut arena = Arena::lay(peer, folder.join("two"), programs, &services)?;
            arena.up()?;
            arena.up()?;
            machine::wait_until(LIMIT, || arena.services().len() == SERVICES);
            let (begun, mut most) = (Instant::now(), 0);
            while begun.elapsed() < WATCH || (begun.elapsed() < WATCH + MORE && arena.is_starting()) {
                most = most.max(arena.services().values().map(Vec::len).max().unwrap_or(0));
                std::thread::sleep(Duration::from_millis(20));
            }
            self.most = self.most.max(most);
            self.rounds += usize::from(most > 1);
            let twice = arena.services().values().filter(|pids| pids.len() > 1).count();
            self.twice = self.twice.max(twice);
            let own = arena.supervisors();
            let is_first = |pid: &&u32| outline::parent(**pid).is_none_or(|parent| !own.contains(&parent));
            self.supervisors = self.supervisors.max(own.iter().filter(is_first).count());
        }
        let mut arena = Arena::lay(peer, folder.join("one"), programs, &services)?;
        arena.run(SERVICES)?;
        finish(&mut arena.order(Order::Stop("s0"))?, LIMIT);
        let mut orders = [arena.order(Order::Start("s0"))?, arena.order(Order::Start("s0"))?];
        let (begun, mut most) = (Instant::now(), 0);
        let mut is_over = false;
        while !is_over || begun.elapsed() < WATCH / 2 {
            most = most.max(arena.services().get("s0").map_or(0, Vec::len));
            is_over = begun.elapsed() > LIMIT
                || most > 0 && orders.iter_mut().all(|o| !matches!(o.try_wait(), Ok(None)));
        }
        orders.iter_mut().for_each(|order| finish(order, Duration::ZERO));
        ensure!(most > 0, "{} does not start s0 again", peer.name());
        self.of_one[0] = self.of_one[0].max(most);
        self.of_one[1] += usize::from(most > 1);
        Ok(())
    }
}
