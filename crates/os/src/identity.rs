//! Who a process is: a pid alone is a number the kernel hands out again; with the start time, the boot and the
//! pid namespace it names one process for ever. Anything that cannot be verified is never signalled.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use crate::platform;

/// SIGTERM: please end.
pub const SIGNAL_TERMINATE: i32 = libc::SIGTERM;
/// SIGCONT: what was stopped goes on.
pub const SIGNAL_CONTINUE: i32 = libc::SIGCONT;
/// SIGKILL: ends without being asked.
pub const SIGNAL_KILL: i32 = libc::SIGKILL;

/// The user this process acts as.
pub fn my_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Our effective group.
pub fn my_gid() -> u32 {
    rustix::process::getegid().as_raw()
}

/// One process of one boot. Portable between our own processes as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The process id in the pid namespace `ns`.
    pub pid: u32,
    /// Kernel start time in clock ticks since boot: field 22 of `/proc/PID/stat` (proc_pid_stat(5)).
    pub start: u64,
    /// `/proc/sys/kernel/random/boot_id`: start times count from boot and mean nothing in another one.
    pub boot: String,
    /// Inode of `/proc/self/ns/pid`: the same number names another process in another namespace.
    pub ns: u64,
}

impl Identity {
    /// The identity of a living process; `NotFound` if there is none.
    pub fn of(pid: u32) -> io::Result<Identity> {
        let stat = platform::stat(pid)?;
        Ok(Identity { pid, start: stat.start, boot: platform::boot_id()?, ns: platform::pid_namespace()? })
    }

    /// This process.
    pub fn mine() -> io::Result<Identity> {
        Identity::of(std::process::id())
    }

    /// Whether just this process lives now. A zombie does not live: it runs nothing and holds nothing.
    /// What cannot be verified (another boot, another namespace) counts as not alive.
    pub fn is_alive(&self) -> bool {
        self.is_here() && platform::stat(self.pid).is_ok_and(|s| s.start == self.start && !s.is_dead())
    }

    /// Whether the pid can mean anything here: same boot, same pid namespace.
    fn is_here(&self) -> bool {
        platform::boot_id().is_ok_and(|boot| boot == self.boot)
            && platform::pid_namespace().is_ok_and(|ns| ns == self.ns)
    }

    /// Holds the process by a descriptor, so that a signal can reach no other; `None` if it is gone or not verifiable.
    pub fn pin(&self) -> Option<Pinned> {
        if !self.is_here() {
            return None;
        }
        let handle = platform::Handle::open(self.pid).ok()?;
        // The start time is compared after the handle is open: from here on the number cannot be given away.
        (platform::stat(self.pid).ok()?.start == self.start)
            .then(|| Pinned { identity: self.clone(), handle })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)
    }
}

/// A process held by descriptor (pidfd_open(2)).
#[derive(Debug)]
pub struct Pinned {
    /// Who it is.
    pub identity: Identity,
    handle: platform::Handle,
}

impl Pinned {
    /// Sends a signal to this very process; `NotFound` once it is gone.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.handle.signal(signal)
    }

    /// Waits until it has ended, at most so long; says whether it has.
    pub fn wait(&self, limit: std::time::Duration) -> io::Result<bool> {
        self.handle.wait(limit)
    }

    /// How it ended, where the kernel tells of processes that are not our children (PIDFD_GET_INFO, Linux 6.15;
    /// only once its parent has reaped it). `None`: not ended, not reaped, or not told.
    pub fn exit(&self) -> Option<Exit> {
        self.handle.exit()
    }
}

/// How a process ended: with a code or by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// It called exit with this code, 0 to 255.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// From the status word of wait(2).
    pub fn from_wait_status(status: i32) -> Exit {
        match status & 0x7f {
            0 => Exit::Code((status >> 8) & 0xff),
            signal => Exit::Signal(signal),
        }
    }

    /// What a shell would report: the code, or 128 and the signal.
    pub fn shell_code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => write!(f, "signal {} ({signal})", signal_name(*signal)),
        }
    }
}

/// The signals that have a name here.
const SIGNALS: [(i32, &str); 25] = [
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGCONT, "SIGCONT"),
    (libc::SIGSTOP, "SIGSTOP"),
    (libc::SIGTSTP, "SIGTSTP"),
    (libc::SIGTTIN, "SIGTTIN"),
    (libc::SIGTTOU, "SIGTTOU"),
    (libc::SIGURG, "SIGURG"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
    (libc::SIGWINCH, "SIGWINCH"),
    (libc::SIGSYS, "SIGSYS"),
];

/// `SIGTERM` for 15, and so on; `SIG?` for a number without a name.
pub fn signal_name(signal: i32) -> &'static str {
    SIGNALS.iter().find(|(number, _)| *number == signal).map_or("SIG?", |(_, name)| name)
}

/// 15 for `SIGTERM`, `TERM` and `term`, and so on.
pub fn signal_number(name: &str) -> Option<i32> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    SIGNALS.iter().find(|(_, name)| name.strip_prefix("SIG") == Some(bare)).map(|(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    use std::time::Duration;

    #[test]
    fn an_identity_outlives_neither_its_process_nor_a_reused_number() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        assert!(identity.is_alive());
        let reused = Identity { start: identity.start + 1, ..identity.clone() };
        assert!(!reused.is_alive());
        assert!(reused.pin().is_none(), "a foreign process must not be pinned");
        let pinned = identity.pin().unwrap();
        pinned.signal(libc::SIGKILL).unwrap();
        assert!(pinned.wait(Duration::from_secs(10)).unwrap());
        assert!(!identity.is_alive(), "a zombie does not live");
        child.wait().unwrap();
        assert!(!identity.is_alive());
        assert!(pinned.signal(libc::SIGKILL).is_err());
    }

    #[test]
    fn another_boot_or_namespace_is_never_verified() {
        let mine = Identity::mine().unwrap();
        assert!(mine.is_alive());
        assert!(!Identity { boot: "another".into(), ..mine.clone() }.is_alive());
        assert!(Identity { ns: 1, ..mine }.pin().is_none());
    }

    #[test]
    fn the_exit_of_a_process_that_is_not_ours_is_told_where_the_kernel_can() {
        // The shell is our child, the one it starts is not. It says the pid, waits for a word, ends; the shell reaps it.
        let script = "sh -c 'read word; exit 7' <&0 & echo $!; wait $!; echo reaped; cat >/dev/null";
        let mut shell = Command::new("sh")
            .args(["-c", &format!("exec 3<&0; {}", script.replace("<&0", "<&3"))])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(shell.stdout.take().unwrap()).lines();
        let pid = out.next().unwrap().unwrap().parse().unwrap();
        let pinned = Identity::of(pid).unwrap().pin().unwrap();
        assert_eq!(pinned.exit(), None, "it lives");
        shell.stdin.as_mut().unwrap().write_all(b"word\n").unwrap();
        assert_eq!(out.next().unwrap().unwrap(), "reaped");
        match pinned.exit() {
            Some(exit) => assert_eq!(exit, Exit::Code(7)),
            None => assert!(kernel() < (6, 15), "since Linux 6.15 the kernel tells"),
        }
        drop(shell.stdin.take());
        shell.wait().unwrap();
    }

    fn kernel() -> (u32, u32) {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let mut numbers = release.split('.').map(|part| part.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    #[test]
    fn every_signal_is_found_by_its_name() {
        for (number, name) in SIGNALS {
            assert_eq!((signal_name(number), signal_number(name)), (name, Some(number)));
        }
        assert_eq!((signal_number("usr1"), signal_number("SigTerm")), (Some(libc::SIGUSR1), Some(15)));
        assert_eq!(
            (signal_number(""), signal_number("SIG"), signal_number("15"), signal_name(0)),
            (None, None, None, "SIG?")
        );
    }

    #[test]
    fn exits_are_read_as_wait_writes_them() {
        assert_eq!(Exit::from_wait_status(7 << 8), Exit::Code(7));
        assert_eq!(Exit::from_wait_status(9), Exit::Signal(9));
        assert_eq!(Exit::Signal(9).shell_code(), 137);
    }
}
