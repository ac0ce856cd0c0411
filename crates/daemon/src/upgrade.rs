//! How a daemon is replaced by another binary without anybody noticing: it executes the new one in its own place and
//! leaves it its lock, its socket and its links. Also how guards are to bring a dead one back.

use std::io::{self, Read};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use soloist_api::error::{Code, Problem};
use soloist_os::guard::Revival;
use soloist_os::layout::Layout;
use soloist_os::link::{inherited, is_tcp, keep_over_exec};

use crate::serve::{BROUGHT_BACK, DAEMON_ARGUMENT};
use crate::service::RUN_VARIABLES;

/// Before the numbers of what a daemon leaves to its successor: its lock, its socket, its links.
const LEFT_ARGUMENT: &str = "--left";
/// How long a binary may take to tell its version.
const VERSION_LIMIT: Duration = Duration::from_secs(5);

/// The program of this process as a path: what lies there later is taken then. `None`: the kernel does not say.
pub fn program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// How guards bring this project's daemon back.
pub fn revival(layout: &Layout) -> Option<Revival> {
    Some(Revival {
        program: program()?,
        arguments: vec![
            DAEMON_ARGUMENT.to_owned(),
            layout.root.to_str()?.to_owned(),
            BROUGHT_BACK.to_owned(),
        ],
        lock: layout.start_lock(),
    })
}

/// What a predecessor left to this process.
#[derive(Debug)]
pub struct Left {
    /// The lock of the one daemon, held.
    pub lock: OwnedFd,
    /// The socket on which clients wait already.
    pub listener: UnixListener,
    /// Where it answers over TCP.
    pub tcp: Option<TcpListener>,
    /// Links to guards: open until each guard was taken over, so that none misses its daemon.
    pub links: Vec<OwnedFd>,
}

impl Left {
    /// Reads the words after the project's folder; `None` if nobody left anything. To be called once, first of all.
    ///
    /// # Errors
    /// If the words name what is not open.
    pub fn read(words: &[String]) -> io::Result<Option<Left>> {
        let [name, numbers, ..] = words else { return Ok(None) };
        if name != LEFT_ARGUMENT {
            return Ok(None);
        }
        let missing = || io::Error::new(io::ErrorKind::InvalidInput, format!("{numbers} leaves too little"));
        let mut left = Vec::new();
        for number in numbers.split(',') {
            left.push(inherited(number.parse().map_err(|_| missing())?)?);
        }
        soloist_os::fail_point!("daemon.replaced");
        let mut left = left.into_iter();
        let (Some(lock), Some(listener)) = (left.next(), left.next()) else { return Err(missing()) };
        // Among the links: a binary that knows no TCP lets go of it with them.
        let (tcp, links): (Vec<_>, _) = left.partition(is_tcp);
        let tcp = tcp.into_iter().next().map(TcpListener::from);
        Ok(Some(Left { lock, listener: listener.into(), tcp, links }))
    }
}

/// Asks a binary for its version, and so whether it can be executed and is soloist. It may take seconds.
pub fn version_of(binary: &Path) -> Result<String, Problem> {
    let refuse = |why: String| {
        Problem::new(Code::Usage, format!("{} cannot become the daemon: {why}", binary.display()))
            .hint("the running daemon goes on; give a working binary with --binary PATH")
    };
    let mut command = Command::new(binary);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    for name in RUN_VARIABLES {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|e| refuse(e.to_string()))?;
    let end = Instant::now() + VERSION_LIMIT;
    let status = loop {
        match child.try_wait().map_err(|e| refuse(e.to_string()))? {
            Some(status) => break status,
            None if Instant::now() >= end => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(refuse(format!("`--version` did not end within {VERSION_LIMIT:?}")));
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut said = [0u8; 256];
    // One reading: whoever may still hold the other end is not waited for. A version is one short line.
    let length = child.stdout.take().map_or(Ok(0), |mut out| out.read(&mut said)).unwrap_or(0);
    let said = String::from_utf8_lossy(&said[..length]);
    match said.trim().strip_prefix("soloist ") {
        Some(version) if status.success() => Ok(version.to_owned()),
        _ if !status.success() => Err(refuse(format!("`--version` ended with {status}"))),
        _ => Err(refuse(format!("`--version` does not say that it is soloist: {:?}", said.trim()))),
    }
}

/// What goes over to the successor.
#[derive(Debug)]
pub struct Legacy<'a> {
    /// The lock of the one daemon.
    pub lock: BorrowedFd<'a>,
    /// The socket on which clients wait.
    pub listener: BorrowedFd<'a>,
    /// Where it answers over TCP.
    pub tcp: Option<BorrowedFd<'a>>,
    /// The links to guards.
    pub links: Vec<BorrowedFd<'a>>,
    /// The soft limit of descriptors that services get.
    pub descriptor_limit: u64,
}

/// Becomes the new binary. It only comes back with the reason why not; all is as it was then.
pub fn become_daemon(binary: &Path, root: &Path, legacy: &Legacy<'_>) -> io::Error {
    let named = [legacy.lock, legacy.listener].into_iter().chain(legacy.tcp);
    let all: Vec<BorrowedFd<'_>> = named.chain(legacy.links.iter().copied()).collect();
    for fd in &all {
        if let Err(e) = keep_over_exec(*fd, true) {
            return e;
        }
    }
    let numbers: Vec<String> = all.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
    // It learns from the limit it finds what services get.
    soloist_os::set_descriptor_limit(legacy.descriptor_limit);
    let mut command = Command::new(binary);
    command.arg(DAEMON_ARGUMENT).arg(root).arg(LEFT_ARGUMENT).arg(numbers.join(","));
    soloist_os::fail_point!("daemon.replacing");
    let error = command.exec();
    soloist_os::raise_descriptor_limit();
    for fd in &all {
        let _ = keep_over_exec(fd.as_fd(), false);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_daemon_that_was_left_nothing_begins_anew() {
        assert!(Left::read(&[]).unwrap().is_none());
        assert!(Left::read(&words("--left")).unwrap().is_none());
        assert!(Left::read(&words("--of-a-later-version 7")).unwrap().is_none());
    }

    #[test]
    fn what_is_not_open_or_too_little_was_not_left() {
        for numbers in ["", "x", "-1", "4096000", "4096000,4096001"] {
            assert!(Left::read(&["--left".to_owned(), numbers.to_owned()]).is_err(), "{numbers:?}");
        }
    }

    #[test]
    fn only_soloist_tells_the_version_of_soloist() {
        let said = |path: &str| version_of(Path::new(path)).unwrap_err();
        assert!(said("/nowhere/soloist").detail.contains("/nowhere/soloist cannot become the daemon"));
        assert_eq!(said("/bin/false").code, Code::Usage);
        assert!(said("/bin/echo").detail.contains("does not say that it is soloist"));
    }
}
