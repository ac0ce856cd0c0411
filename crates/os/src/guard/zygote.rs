//! The zygote: a small single-threaded child of the daemon that forks guards. A guard forked from it shares its pages
//! and is there in a tenth of a millisecond. As a subreaper it inherits what a killed guard leaves behind.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};

use super::{Assignment, body};
use crate::claim::Claim;
use crate::link::{Link, Message};
use crate::platform::signals::Signals;
use crate::platform::{sweep, tree};

/// One more guard, please: the claim and the guard's end of its link come along.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    assignment: Assignment,
}

/// How long a zygote that is busy with many others may take to read: forking a guard takes a tenth of a millisecond.
const SEND_LIMIT: Duration = Duration::from_secs(2);

/// Asks the zygote for a guard and returns the link to it. Whether there is one shows on the link: it answers, or ends.
pub fn request(zygote: &Link, assignment: &Assignment, claim: &Claim) -> io::Result<Link> {
    use std::os::fd::AsFd;
    let (ours, theirs) = Link::pair()?;
    let bytes = serde_json::to_vec(&Request { assignment: assignment.clone() }).map_err(io::Error::other)?;
    zygote.send_within(&bytes, &[claim.as_fd(), theirs.as_fd()], SEND_LIMIT)?;
    Ok(ours)
}

/// The zygote's life: until its daemon ends. Guards live on.
pub fn live(daemon: OwnedFd) -> io::Result<()> {
    let daemon = Link::from(daemon);
    tree::become_subreaper()?;
    crate::name_process("soloist-zygote");
    let signals = Signals::catch(&[libc::SIGCHLD])?;
    // The terminal's and the session's signals are the daemon's matter; it ends us by ending.
    let _ignored = Signals::catch(&[libc::SIGINT, libc::SIGHUP, libc::SIGTERM, libc::SIGQUIT])?;
    let mut guards: Vec<u32> = Vec::new();
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
        let mut requests: VecDeque<Message> = VecDeque::new();
        let has_ended = loop {
            match daemon.receive() {
                Ok(Some(request)) => requests.push_back(request),
                Ok(None) => break true,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break false,
                Err(e) => return Err(e),
            }
        };
        // Each guard would look at every process for survivors of its own. Many that start together share one look: it is
        // taken after their claims were, so whoever it does not see cannot come any more.
        let has_inherited = || sweep::orphans(&guards).map_or(true, |orphans| !orphans.is_empty());
        let marked = (requests.len() > 1 && !has_inherited()).then(sweep::marked_claims);
        while let Some(request) = requests.pop_front() {
            guards.extend(fork_guard(request, &mut requests, marked.as_ref(), (&daemon, &signals)));
        }
        if has_ended {
            return Ok(());
        }
    }
}

/// A request that cannot be met closes the guard's end of the link: the daemon sees it.
fn fork_guard(
    (bytes, fds): Message,
    others: &mut VecDeque<Message>,
    marked: Option<&HashSet<PathBuf>>,
    ours: (&Link, &Signals),
) -> Option<u32> {
    let Request { assignment } = serde_json::from_slice(&bytes).ok()?;
    let mut fds = fds.into_iter();
    let (claim, link) = (fds.next()?, fds.next()?);
    let zygote = std::process::id();
    // SAFETY: the zygote is single-threaded: it starts no thread and no runtime, so no lock can be held by a thread
    // that is missing in the child.
    #[allow(unsafe_code)]
    let guard = unsafe { libc::fork() };
    if guard == 0 {
        close_inherited(ours);
        // The claims of those that are still to be forked: one that lived on in us would never end.
        others.clear();
        let claim = Claim::received(claim, &assignment.place().claim());
        let is_unmarked = marked.is_some_and(|marked| !marked.contains(&assignment.place().claim()));
        body::guard(assignment, claim, Link::from(link), body::Zygote { pid: zygote, is_unmarked })
    }
    // In this order: who sees the link end may rely on the claim being gone.
    drop(claim);
    drop(link);
    u32::try_from(guard).ok()
}

/// In a fresh guard: the zygote's own descriptors must not live on in it, or the daemon would never see the zygote end.
fn close_inherited((daemon, signals): (&Link, &Signals)) {
    use std::os::fd::{AsFd, AsRawFd};
    for fd in [daemon.as_fd(), signals.as_fd()] {
        // SAFETY: both belong to the zygote's loop, whose stack this process never returns to (a guard ends by
        // `_exit`), so nothing will use or close them again.
        #[allow(unsafe_code)]
        unsafe {
            rustix::io::close(fd.as_raw_fd());
        }
    }
}
