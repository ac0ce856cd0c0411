//! The stop of a tree of ten processes of which nine have escaped (`bin/brood.rs`), by each supervisor's own command: how
//! long it takes, and how many live on.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::arena::{Arena, finish};
use crate::binaries::Binaries;
use crate::figures::Figures;
use crate::peers::{self, Order, Service};
use crate::report::Section;
use crate::{machine, outline};

/// One and three and six.
const TREE: usize = 10;
/// supervisord believes in a service that has lived for a second.
const HEALTHY: Duration = Duration::from_millis(1500);
/// After the stop: what is still about to end has ended.
const SETTLE: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(40);

/// Stops one under each, so often.
pub fn measure(binaries: &Binaries, rounds: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-tree-").tempdir()?;
    let peers = peers::all(binaries);
    let mut figures = vec![[Figures::default(), Figures::default(), Figures::default()]; peers.len()];
    let programs = binaries.folder()?;
    for round in 0..rounds {
        for at in 0..peers.len() {
            let at = (at + round) % peers.len();
            let peer = &peers[at];
            eprintln!("tree, round {}: {}", round + 1, peer.name());
            let folder = scratch.path().join(format!("{round}-{at}"));
            let service = Service::named("tree", &programs.join("brood"));
            let mut arena = Arena::lay(peer, folder, programs, &[service])?;
            arena.run(TREE)?;
            let [first] = arena.services()["tree"][..1] else { continue };
            std::thread::sleep(HEALTHY);
            let begun = Instant::now();
            finish(&mut arena.order(Order::Stop("tree"))?, LIMIT);
            let is_over = machine::wait_until(LIMIT, || !outline::is_alive(first));
            let took = begun.elapsed();
            std::thread::sleep(SETTLE);
            let left = arena.services().values().map(Vec::len).sum::<usize>();
            ensure!(is_over, "{} stops nothing", peer.name());
            let figures = &mut figures[at];
            figures[0].add(took.as_secs_f64());
            figures[1].add(left as f64);
            figures[2].add(arena.down() as f64);
        }
    }
    let rows = peers.iter().zip(&figures).map(|(peer, [took, left, after])| {
        let mut row = vec![peer.name().to_owned(), took.count().to_string()];
        row.extend(took.cells(2));
        row.extend([left, after].map(|figures| format!("{:.0}", figures.max())));
        row
    });
    let rows = rows.collect();
    Ok(Section {
        name: "tree",
        words: vec![
            machine::line(binaries, &peers::PACKAGES, scratch.path()),
            format!(
                "A service of {TREE} processes that ignore SIGTERM and SIGINT; nine of them are in sessions of their own and \
                 their parents have ended. Seconds until the supervisor's stop of it is over, 5 s of which are the grace; \
                 then how many of the {TREE} live on, at most, and how many do when the supervisor has ended too."
            ),
        ],
        head: vec!["supervisor", "stops", "median s", "min", "max", "left of 10", "left after all"],
        rows,
    })
}
