//! The zygote: a small single-threaded child of the daemon that forks guards. A guard forked from it shares its pages
//! and is there in a tenth of a millisecond. As a subreaper it inherits what a killed guard leaves behind.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};

use super::{Assignment, body};
use crate::claim::Claim;
use crate::link::Link;
use crate::platform::signals::Signals;
use crate::platform::tree;

/// One more guard, please: the claim and the guard's end of its link come along.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    assignment: Assignment,
}

/// Asks the zygote for a guard and returns the link to it. Whether there is one shows on the link: it answers, or ends.
pub fn request(zygote: &Link, assignment: &Assignment, claim: &Claim) -> io::Result<Link> {
    use std::os::fd::AsFd;
    let (ours, theirs) = Link::pair()?;
    let bytes = serde_json::to_vec(&Request { assignment: assignment.clone() }).map_err(io::Error::other)?;
    zygote.send(&bytes, &[claim.as_fd(), theirs.as_fd()])?;
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
    loop {
        let mut fds = [PollFd::new(&daemon, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        while signals.next().is_some() {}
        tree::reap(&mut Vec::new());
        loop {
            match daemon.receive() {
                Ok(Some((bytes, fds))) => fork_guard(&bytes, fds, (&daemon, &signals)),
                Ok(None) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
    }
}

/// A request that cannot be met closes the guard's end of the link: the daemon sees it.
fn fork_guard(bytes: &[u8], fds: Vec<OwnedFd>, ours: (&Link, &Signals)) {
    let Ok(Request { assignment }) = serde_json::from_slice(bytes) else { return };
    let mut fds = fds.into_iter();
    let (Some(claim), Some(link)) = (fds.next(), fds.next()) else { return };
    let zygote = std::process::id();
    // SAFETY: the zygote is single-threaded: it starts no thread and no runtime, so no lock can be held by a thread
    // that is missing in the child.
    #[allow(unsafe_code)]
    let is_guard = unsafe { libc::fork() } == 0;
    if is_guard {
        close_inherited(ours);
        let claim = Claim::received(claim, &assignment.place().claim());
        body::guard(assignment, claim, Link::from(link), zygote)
    }
    // In this order: who sees the link end may rely on the claim being gone.
    drop(claim);
    drop(link);
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
