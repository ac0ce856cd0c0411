//! Sockets that a puppet is handed, as sd_listen_fds(3) says: whoever connects is told by whom, and is let go.

use std::env::var;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// The number of the first one (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;

/// Answers on each of them `NAME PID` as long as the puppet lives. Fails if none was handed over, or not to this process.
pub fn answer() -> io::Result<()> {
    let told = |name: &str| var(name).map_err(|e| io::Error::other(format!("{name}: {e}")));
    let (count, names, pid) = (told("LISTEN_FDS")?, told("LISTEN_FDNAMES")?, told("LISTEN_PID")?);
    let names: Vec<&str> = names.split(':').collect();
    if pid != std::process::id().to_string() || count != names.len().to_string() {
        return Err(io::Error::other(format!("{count} sockets, named {names:?}, are for pid {pid}")));
    }
    let me = pidfd_open(getpid(), PidfdFlags::empty())?;
    for (number, name) in (FIRST..).zip(names) {
        // By its number, without a line of unsafe code.
        let socket = pidfd_getfd(&me, number, PidfdGetfdFlags::empty())?;
        let line = format!("{name} {pid}\n");
        std::thread::spawn(move || answer_on(&socket, &line));
    }
    Ok(())
}

fn answer_on(socket: &OwnedFd, line: &str) {
    loop {
        if let Ok(client) = rustix::net::accept(socket) {
            let _ = rustix::io::write(&client, line.as_bytes());
        }
    }
}
