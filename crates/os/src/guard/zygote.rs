//! The zygote: a small single-threaded child of the daemon that forks guards. A guard forked from it shares its pages
//! and is there in a tenth of a millisecond. As a subreaper it inherits what a killed guard leaves behind. Where no guard
//! is left to do it, it brings its daemon back when that dies.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::looker::look;
use super::revival::Orphan;
use super::{Assignment, Charge, body};
use crate::claim::Claim;
use crate::link::Link;
use crate::platform::signals::Signals;
use crate::platform::spawn::close_all_but;
use crate::platform::tree;

/// One more guard, please: the claim and the guard's end of its link come along.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    assignment: Assignment,
}

/// How long a zygote that is busy with many others may take to read: forking a guard takes a tenth of a millisecond.
const SEND_LIMIT: Duration = Duration::from_secs(2);
/// Requests that come at intervals below this are of one start.
const TOGETHER: Duration = Duration::from_millis(1);
/// So many are begun at once at most: each holds two descriptors, of which there may be 1,024, and the daemon waits
/// [`SEND_LIMIT`] until the next ones are read.
const MOST_TOGETHER: usize = 256;
/// Looks at all processes take one part of so many of the time.
const LOOK_SHARE: u32 = 8;

/// Asks the zygote for a guard and returns the link to it. Whether there is one shows on the link: it answers, or ends.
pub fn request(zygote: &Link, assignment: &Assignment, claim: &Claim) -> io::Result<Link> {
    let (ours, theirs) = Link::pair()?;
    let bytes = serde_json::to_vec(&Request { assignment: assignment.clone() }).map_err(io::Error::other)?;
    zygote.send_within(&bytes, &[claim.as_fd(), theirs.as_fd()], SEND_LIMIT)?;
    Ok(ours)
}

/// Tells the zygote what to do when its daemon dies: to bring it back, or nothing.
pub fn charge(zygote: &Link, charge: Option<&Charge>) -> io::Result<()> {
    zygote.send_within(&serde_json::to_vec(&charge).map_err(io::Error::other)?, &[], SEND_LIMIT)
}

/// The zygote's life: until its daemon ends, or is back if it was charged with that. Guards live on.
pub fn live(daemon: OwnedFd) -> io::Result<()> {
    let daemon = Link::from(daemon);
    tree::become_subreaper()?;
    crate::name_process("soloist-zygote");
    let signals = Signals::catch(&[libc::SIGCHLD])?;
    // The terminal's and the session's signals are the daemon's matter; it ends us by ending.
    let ends = Signals::catch(&[libc::SIGINT, libc::SIGHUP, libc::SIGTERM, libc::SIGQUIT])?;
    let (parent, since) = (rustix::process::getppid(), Instant::now());
    let mut charge: Option<Charge> = None;
    let mut guards: Vec<u32> = Vec::new();
    let mut waiting = Waiting::new();
    loop {
        let mut fds = [PollFd::new(&daemon, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        while signals.next().is_some() {}
        let mut reaped = Vec::new();
        tree::reap(&mut reaped);
        guards.retain(|guard| !reaped.iter().any(|dead| dead.pid == *guard));
        let has_ended = loop {
            if waiting.each.len() >= MOST_TOGETHER {
                break false;
            }
            match daemon.receive() {
                Ok(Some((bytes, fds))) if fds.is_empty() => {
                    charge = serde_json::from_slice(&bytes).unwrap_or(charge)
                }
                Ok(Some((bytes, fds))) => waiting.push(&bytes, fds),
                Ok(None) => break true,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break false,
                Err(e) => return Err(e),
            }
        };
        if waiting.each.len() > 1 && !has_ended && waiting.is_growing(&daemon) {
            continue;
        }
        if waiting.each.len() > 1 {
            waiting.find_unmarked(&guards);
        }
        for Wanted { bytes, fds, is_unmarked } in waiting.each.drain(..) {
            guards.extend(fork_guard(&waiting.bytes[bytes], fds, is_unmarked, &daemon));
        }
        waiting.bytes.clear();
        if has_ended {
            if let Some(charge) = charge {
                let parent = parent.map(|pid| pid.as_raw_nonzero().get() as u32);
                charge.fulfil(&mut Orphan { parent, since, guards, signals: &signals, ends: &ends });
            }
            return Ok(());
        }
    }
}

/// The requests that came together, in memory of their own. Among the small pieces of the heap they would leave holes all
/// over it, and every guard that puts something into them would copy their pages.
struct Waiting {
    bytes: Vec<u8>,
    each: Vec<Wanted>,
    /// Before then there should be no further look.
    next_look: Instant,
}

/// A guard that somebody waits for.
struct Wanted {
    /// Its request.
    bytes: Range<usize>,
    /// Its claim and its link.
    fds: [OwnedFd; 2],
    /// No process says that it belongs to this claim.
    is_unmarked: bool,
}

impl Waiting {
    /// Room for more than are begun at once. What is larger than 128 KiB lies outside the heap (mallopt(3), M_MMAP_THRESHOLD), and
    /// costs nothing until it is used.
    fn new() -> Waiting {
        Waiting {
            bytes: Vec::with_capacity(1 << 20),
            each: Vec::with_capacity(1 << 13),
            next_look: Instant::now(),
        }
    }

    /// One without its claim and its link cannot be met: dropping what came closes the guard's end of the link.
    fn push(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        let Ok(fds) = fds.try_into() else { return };
        let from = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.each.push(Wanted { bytes: from..self.bytes.len(), fds, is_unmarked: false });
    }

    /// Where many are started, the looks become longer with each of them: the next one is put off until it serves more. As
    /// long as requests come one upon the other, and no longer.
    fn is_growing(&self, daemon: &Link) -> bool {
        let rest = self.next_look.saturating_duration_since(Instant::now()).min(TOGETHER);
        if rest.is_zero() || self.each.len() >= MOST_TOGETHER {
            return false;
        }
        let rest = Timespec { tv_sec: 0, tv_nsec: rest.as_nanos() as i64 };
        poll(&mut [PollFd::new(daemon, PollFlags::IN)], Some(&rest)).is_ok_and(|ready| ready > 0)
    }

    /// Each guard would look at every process for survivors of its own. Many that start together share one look.
    fn find_unmarked(&mut self, guards: &[u32]) {
        let begun = Instant::now();
        let request = |one: &Wanted| serde_json::from_slice::<Request>(&self.bytes[one.bytes.clone()]).ok();
        let claims = self.each.iter().map(|one| Some(request(one)?.assignment.place().claim()));
        let said = look(guards, claims).unwrap_or_default();
        self.each.iter_mut().zip(said).for_each(|(one, said)| one.is_unmarked = said == 1);
        self.next_look = Instant::now() + begun.elapsed() * LOOK_SHARE;
    }
}

/// A request that cannot be met closes the guard's end of the link: the daemon sees it.
fn fork_guard(bytes: &[u8], [claim, link]: [OwnedFd; 2], is_unmarked: bool, daemon: &Link) -> Option<u32> {
    let Request { assignment } = serde_json::from_slice(bytes).ok()?;
    let zygote = std::process::id();
    crate::fail_point!("zygote.forking");
    // SAFETY: the zygote is single-threaded: it starts no thread and no runtime, so no lock can be held by a thread
    // that is missing in the child.
    #[allow(unsafe_code)]
    let guard = unsafe { libc::fork() };
    if guard == 0 {
        close_inherited(daemon, &[claim.as_fd().as_raw_fd(), link.as_raw_fd()]);
        let claim = Claim::received(claim, &assignment.place().claim());
        body::guard(assignment, claim, Link::from(link), body::Zygote { pid: zygote, is_unmarked })
    }
    crate::fail_point!("zygote.forked");
    // In this order: who sees the link end may rely on the claim being gone.
    drop(claim);
    drop(link);
    u32::try_from(guard).ok()
}

/// In a fresh guard: the zygote's own descriptors must not live on in it, or the daemon would never see the zygote end;
/// nor must the claims of those that are still to be forked. Their memory stays as it is: to free it would copy its pages.
fn close_inherited(daemon: &Link, kept: &[RawFd]) {
    // SAFETY: it belongs to the zygote's loop, whose stack this process never returns to (a guard ends by `_exit`), so
    // nothing will use or close it again. It is the standard input, which the next call does not reach.
    #[allow(unsafe_code)]
    unsafe {
        rustix::io::close(daemon.as_fd().as_raw_fd());
    }
    close_all_but(kept);
}
