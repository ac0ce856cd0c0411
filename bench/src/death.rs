//! The death of a supervisor by SIGKILL, and its start by the same command after it: which services lived on, which ran
//! twice or not at all, and what is in no log of the lines that were taken from them. It counts and times nothing, so all
//! are ill-treated at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::Signal;

use crate::arena::Arena;
use crate::binaries::Binaries;
use crate::peers::{self, Kind, Peer, Service};
use crate::report::Section;
use crate::supervisor::send;
use crate::{machine, outline};

/// So many are silent, and so many write.
const EACH: usize = 5;
/// Services count as healthy, and something was written.
const HEALTHY: Duration = Duration::from_secs(2);
/// From the death to the start.
const GONE: Duration = Duration::from_secs(2);
/// So long those that fell may take to run again.
const LIMIT: Duration = Duration::from_secs(20);
/// After that, until what is started beside one that lives runs too.
const BACK: Duration = Duration::from_secs(4);
/// Until what was taken from a service is in its log.
const KEPT: Duration = Duration::from_secs(3);

/// Which processes die.
struct Death {
    words: &'static str,
    /// Those with these names; all the supervisor's own if there is none.
    names: &'static [&'static str],
    /// Whether nobody but us starts them again.
    is_final: bool,
}

/// What is seen of one death.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// Of the processes of services, how many live on before the supervisor is started again.
    alive: usize,
    /// Services with two processes after that.
    twice: usize,
    /// Services without any.
    missing: usize,
    /// Lines.
    lost: u64,
    /// Processes of services that outlive the supervisor's end in order.
    left: usize,
}

fn deaths(kind: Kind) -> &'static [Death] {
    const ALL: Death = Death { words: "all its processes", names: &[], is_final: true };
    const SOLOIST: [Death; 3] = [
        Death { words: "the daemon", names: &["soloist"], is_final: true },
        Death { words: "all guards", names: &["soloist-guard"], is_final: false },
        ALL,
    ];
    const RUNIT: [Death; 3] = [
        Death { words: "runsvdir", names: &["runsvdir"], is_final: true },
        Death { words: "every runsv", names: &["runsv"], is_final: false },
        ALL,
    ];
    const S6: [Death; 3] = [
        Death { words: "s6-svscan", names: &["s6-svscan"], is_final: true },
        Death { words: "every s6-supervise of a service", names: &["s6-supervise"], is_final: false },
        ALL,
    ];
    match kind {
        Kind::Soloist => &SOLOIST,
        Kind::Runit(_) => &RUNIT,
        Kind::S6(_) => &S6,
        Kind::Supervisord | Kind::Circus | Kind::Pm2 | Kind::Pitchfork => &[ALL],
    }
}

/// Kills each so often.
pub fn measure(binaries: &Binaries, rounds: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-death-").tempdir()?;
    let peers = peers::all(binaries);
    let programs = binaries.folder()?;
    let cases: Vec<(&Peer, &Death)> =
        peers.iter().flat_map(|peer| deaths(peer.kind).iter().map(move |death| (peer, death))).collect();
    let mut worst = vec![Seen { alive: usize::MAX, ..Seen::default() }; cases.len()];
    for round in 0..rounds {
        eprintln!("death, round {}", round + 1);
        let seen: Vec<Result<Seen>> = std::thread::scope(|scope| {
            let folder = |at| scratch.path().join(format!("{round}-{at}"));
            let one = |(at, (peer, death))| scope.spawn(move || die(peer, death, folder(at), programs));
            let dying: Vec<_> = cases.iter().copied().enumerate().map(one).collect();
            dying.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(anyhow!("a panic")))).collect()
        });
        for ((worst, seen), (peer, death)) in worst.iter_mut().zip(seen).zip(&cases) {
            let seen = seen.with_context(|| format!("{}, {} killed", peer.name(), death.words))?;
            *worst = Seen {
                alive: worst.alive.min(seen.alive),
                twice: worst.twice.max(seen.twice),
                missing: worst.missing.max(seen.missing),
                lost: worst.lost.max(seen.lost),
                left: worst.left.max(seen.left),
            };
        }
    }
    let rows = cases.iter().zip(&worst).map(|((peer, death), worst)| {
        let mut row = vec![peer.name().to_owned(), death.words.to_owned(), rounds.to_string()];
        row.extend([worst.alive, worst.twice, worst.missing].map(|count| count.to_string()));
        row.extend([worst.lost.to_string(), worst.left.to_string()]);
        row
    });
    let rows = rows.collect();
    Ok(Section {
        name: "death",
        words: vec![
            machine::line(binaries, &peers::PACKAGES, scratch.path()),
            format!(
                "{EACH} silent services and {EACH} that write a line of 100 bytes every 20 ms and end when one is not taken. \
                 Processes of the supervisor get SIGKILL; {} s later it is started by the same command, if no other process \
                 of it does that. The worst round: processes of the {} services that live until then; once each has \
                 one, or after {} s, and {} s later: services with two processes, services with none, lines that were taken from a service and are in no log, and \
                 processes of services that live on when the supervisor has ended in order.",
                GONE.as_secs(),
                2 * EACH,
                LIMIT.as_secs(),
                BACK.as_secs()
            ),
        ],
        head: vec!["supervisor", "killed", "rounds", "live on", "twice", "missing", "lines lost", "left"],
        rows,
    })
}

fn die(peer: &Peer, death: &Death, folder: PathBuf, programs: &Path) -> Result<Seen> {
    let many = |sign: &str, program: &str| {
        let one = |at| Service::named(&format!("{sign}{at}"), &programs.join(program));
        (0..EACH).map(one).collect::<Vec<Service>>()
    };
    let services = [many("silent", "beacon"), many("chat", "chat")].concat();
    let mut arena = Arena::lay(peer, folder, programs, &services)?;
    arena.run(services.len())?;
    std::thread::sleep(HEALTHY);
    let first: Vec<u32> = arena.services().into_values().flatten().collect();
    for pid in arena.supervisors() {
        let is_meant = death.names.is_empty() || death.names.contains(&outline::name(pid).as_str());
        // Loggers have a supervisor of their own under s6.
        if is_meant && (death.names.is_empty() || !outline::folder(pid).is_some_and(|at| at.ends_with("log")))
        {
            send(pid, Signal::KILL);
        }
    }
    std::thread::sleep(GONE);
    let alive = first.iter().filter(|pid| outline::is_alive(**pid)).count();
    if death.is_final {
        arena.up()?;
    }
    machine::wait_until(LIMIT, || arena.services().len() == services.len());
    std::thread::sleep(BACK);
    let now = arena.services();
    let twice = now.values().filter(|pids| pids.len() > 1).count();
    let missing = services.iter().filter(|service| !now.contains_key(&service.name)).count();
    let said = said(arena.folder())?;
    std::thread::sleep(KEPT);
    let kept = kept(arena.folder())?;
    let lost = said.iter().map(|(pid, count)| {
        let kept = kept.get(pid);
        (0..*count).filter(|number| !kept.is_some_and(|kept| kept.contains(number))).count() as u64
    });
    let lost = lost.sum();
    Ok(Seen { alive, twice, missing, lost, left: arena.down() })
}

/// How many lines were taken from each process that wrote.
fn said(folder: &Path) -> Result<BTreeMap<u32, u64>> {
    let mut said = BTreeMap::new();
    for path in outline::files(folder) {
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.strip_prefix("said.")?.parse().ok())
        else {
            continue;
        };
        // One that has just begun has said nothing.
        let count = std::fs::read_to_string(&path)?;
        said.insert(pid, count.trim().parse().unwrap_or(0));
    }
    Ok(said)
}

/// The numbers of the lines of each process, whatever file they are in.
fn kept(folder: &Path) -> Result<BTreeMap<u32, BTreeSet<u64>>> {
    let mut kept: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
    for path in outline::files(folder) {
        for (pid, number) in lines(&std::fs::read(&path).unwrap_or_default()) {
            kept.entry(pid).or_default().insert(number);
        }
    }
    Ok(kept)
}

/// Process and number of each line among these bytes, which may be of any format that keeps lines as they are.
fn lines(bytes: &[u8]) -> Vec<(u32, u64)> {
    const SIGN: &[u8] = b"chat ";
    let read = |at: usize| {
        let rest = bytes[at..].strip_prefix(SIGN)?;
        let mut words = rest.split(|byte| *byte == b' ').map(|word| std::str::from_utf8(word).ok());
        let (pid, number) = (words.next()??.parse().ok()?, words.next()??.parse().ok()?);
        // The rest of the line is there too.
        words.next().filter(|_| rest.len() >= 90)?;
        Some((pid, number))
    };
    let starts = bytes.windows(SIGN.len()).enumerate().filter(|(_, window)| *window == SIGN);
    starts.filter_map(|(at, _)| read(at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_among_other_bytes_and_a_part_of_one_is_not() {
        let line = |number: u32| format!("{:x<99}\n", format!("chat 77 {number} "));
        let bytes = format!("\0\u{ff}2026 chat no {}#{}chat 77 13 xx", line(3), line(12));
        assert_eq!(lines(bytes.as_bytes()), [(77, 3), (77, 12)]);
    }
}
