//! A project's daemon as it is seen from outside, without any command of soloist that might start one.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;

use crate::identity::Identity;
use crate::project::Project;

/// The daemon that answers on the socket now: asked raw, and known as whoever listens there (SO_PEERCRED, unix(7)).
pub fn answering(project: &Project) -> Option<Identity> {
    let mut stream = UnixStream::connect(project.folder().join(".soloist/daemon.sock")).ok()?;
    let daemon = socket_peercred(&stream).ok()?.pid.as_raw_pid();
    let daemon = Identity::of(u32::try_from(daemon).ok()?)?;
    // One that is there and has much to do is slow; one that is gone has closed.
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: soloist\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.contains("alive").then_some(daemon).filter(Identity::is_alive)
}

/// All living processes that are a daemon of this project, or are about to be one.
pub fn living(project: &Project) -> Vec<Identity> {
    let words = format!("__daemon {}", project.folder().display());
    let mut found = project.processes();
    found.retain(|one| one.command().contains(&words));
    found
}

/// Kills the daemon that answers, sees it dead, and says who it was.
#[track_caller]
pub fn kill(project: &Project) -> Identity {
    let daemon = crate::wait_until("a daemon answers", Duration::from_secs(20), || {
        answering(project).ok_or_else(|| project.diary())
    });
    assert!(daemon.kill(), "{daemon} was gone already");
    crate::wait_until("the daemon is dead", Duration::from_secs(20), || {
        if daemon.is_alive() { Err(daemon) } else { Ok(()) }
    });
    daemon
}

/// Waits until a daemon answers that is another one than this.
#[track_caller]
pub fn wait_for_another(project: &Project, than: Identity, limit: Duration) -> Identity {
    crate::wait_until("another daemon answers", limit, || {
        let found = answering(project);
        found.filter(|daemon| *daemon != than).ok_or_else(|| format!("{found:?}\n{}", project.diary()))
    })
}
