//! A process held by a pidfd (pidfd_open(2)): signalled, waited for and asked for its exit without ever naming a
//! number that could have been given to another.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::identity::Exit;

/// A pidfd.
#[derive(Debug)]
pub struct Handle(OwnedFd);

impl Handle {
    /// Opens the process that has this number now; the caller verifies that it is the one meant.
    pub fn open(pid: u32) -> io::Result<Handle> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
        Ok(Handle(rustix::process::pidfd_open(pid, PidfdFlags::empty())?))
    }

    /// Sends a signal; `NotFound` once the process is gone.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let signal = Signal::from_named_raw(signal).ok_or(io::ErrorKind::InvalidInput)?;
        match rustix::process::pidfd_send_signal(&self.0, signal) {
            Err(rustix::io::Errno::SRCH) => Err(io::ErrorKind::NotFound.into()),
            other => other.map_err(io::Error::from),
        }
    }

    /// Waits until the process has ended (a pidfd is readable then), at most so long; says whether it has.
    pub fn wait(&self, limit: Duration) -> io::Result<bool> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) if left.is_zero() => return Ok(false),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// How it ended (PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15). The kernel fills it in when the parent reaps.
    pub fn exit(&self) -> Option<Exit> {
        let info = self.info(libc::PIDFD_INFO_EXIT)?;
        (info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0).then(|| Exit::from_wait_status(info.exit_code))
    }

    /// Whether its number may be another's by now.
    pub fn is_reaped(&self) -> bool {
        // Signal 0 reaches nobody and asks whether there is somebody; a zombie still is.
        self.test().is_err_and(|e| e.raw_os_error() == Some(libc::ESRCH))
    }

    /// The id of its cgroup v2 folder, also once it was reaped (Linux 6.15).
    pub fn cgroup(&self) -> Option<u64> {
        // Of one that was reaped the kernel tells nothing to who does not ask for its end.
        let info = self.info(libc::PIDFD_INFO_CGROUPID | libc::PIDFD_INFO_EXIT)?;
        (info.mask & u64::from(libc::PIDFD_INFO_CGROUPID) != 0).then_some(info.cgroupid)
    }

    #[allow(unsafe_code)]
    fn test(&self) -> io::Result<()> {
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: an open pidfd, no signal, no information and no flags: the kernel reads none of our memory.
        let answer = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), 0, none, 0) };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    #[allow(unsafe_code)]
    fn info(&self, mask: libc::c_uint) -> Option<libc::pidfd_info> {
        // SAFETY: all-zero bytes are a valid `pidfd_info`: it is a plain struct of integers.
        let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
        info.mask = mask.into();
        // SAFETY: the descriptor is an open pidfd, and `info` is a live, writable struct of just the size that the
        // request number encodes; the kernel writes at most that much.
        let answer = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::PIDFD_GET_INFO as _, &raw mut info) };
        (answer == 0).then_some(info)
    }
}

impl From<OwnedFd> for Handle {
    fn from(pidfd: OwnedFd) -> Handle {
        Handle(pidfd)
    }
}

/// Readable once it has ended.
impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
