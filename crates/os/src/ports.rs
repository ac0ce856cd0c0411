//! Who listens on a TCP port: the shapes every system's look-up fills.
//! Facts only. Whether an owner is ours, a leftover or a stranger is judged elsewhere; asking the system is the duty
//! of `linux/ports.rs` and its siblings.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::identity::{Identity, Pinned};

/// One listening TCP socket as the kernel describes it, without the processes that hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Socket {
    /// The local port.
    pub port: u16,
    /// The local address; `0.0.0.0` or `::` for every address. Told as the kernel has it: an IPv6 socket bound to an
    /// IPv4 address says `::ffff:127.0.0.1`.
    pub address: IpAddr,
    /// An IPv6 socket that refuses IPv4 (`IPV6_V6ONLY`, ipv6(7)). A socket on `::` without it also takes the IPv4
    /// connections of its port. Always false for an IPv4 socket.
    pub v6_only: bool,
    /// The socket's inode: what `/proc/PID/fd` shows as `socket:[inode]` (proc_pid_fd(5)).
    pub inode: u64,
    /// The user who made the socket. Known even when the owners are hidden; 65534 if that user has no name in our user
    /// namespace.
    pub uid: u32,
    /// The cgroup the socket was *made* in: on Linux the inode of that cgroup's folder. It stays when the socket is
    /// handed to another process, so behind a passed-on socket it names the one who passed it on. Outside cgroup v2 it
    /// is the root's.
    pub cgroup: Option<u64>,
}

impl Socket {
    /// The same socket, with the processes found to hold it.
    pub fn with_owners(self, owners: Vec<Owner>) -> Listener {
        let Self { port, address, v6_only, inode, uid, cgroup } = self;
        Listener { port, address, v6_only, inode, uid, cgroup, owners }
    }
}

/// A listening socket and every process found to hold it. For the other fields see [`Socket`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// The local port.
    pub port: u16,
    /// The local address.
    pub address: IpAddr,
    /// An IPv6 socket that refuses IPv4.
    pub v6_only: bool,
    /// The socket's inode.
    pub inode: u64,
    /// The user who made the socket.
    pub uid: u32,
    /// The cgroup the socket was made in.
    pub cgroup: Option<u64>,
    /// The eldest first, so a parent comes before the child it forked. Empty when no holder may be seen: a process of
    /// another user, one of our own with privileges we lack or made unreadable (`PR_SET_DUMPABLE`), one in another pid
    /// namespace, or the kernel itself. A process caught between fork and exec is a holder too, for a moment.
    pub owners: Vec<Owner>,
}

/// A process that holds a listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// Its pid. Pids are reused: a process is `pid` *and* `start_ticks`, within one boot.
    pub pid: u32,
    /// Its real user: the one kill(2) compares.
    pub uid: u32,
    /// When it started, in unix milliseconds. For people: it moves when the clock is set, so compare `start_ticks`.
    pub started_ms: Option<u64>,
    /// When it started, in clock ticks since boot (field 22 of proc_pid_stat(5)).
    pub start_ticks: u64,
    /// Its argument list; bytes that are not UTF-8 are replaced. Empty for a process without one, and for an instant
    /// during its exec.
    pub command: Vec<String>,
    /// Its working folder, if it may be read. Ends in ` (deleted)` when the folder is gone.
    #[serde(serialize_with = "lossy")]
    pub dir: Option<PathBuf>,
    /// Its control group: the path of the unified tree, or systemd's own tree where the former says only `/`
    /// (cgroups(7)).
    pub cgroup: Option<String>,
    /// The pid of its parent, if that one is visible here.
    pub parent: Option<u32>,
    /// `R S D Z T …` (proc_pid_stat(5)).
    pub state: char,
    /// The kernel function that it waits in; told of state `D` only.
    pub wait_channel: Option<String>,
}

impl Owner {
    /// Holds it by a descriptor; `None` if it has ended, also if its pid is another's by now.
    pub fn pin(&self) -> Option<Pinned> {
        Identity::of(self.pid).ok().filter(|now| now.start == self.start_ticks)?.pin()
    }
}

/// serde refuses a path that is not UTF-8; one oddly named folder should not cost the whole answer.
fn lossy<S: Serializer>(dir: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    dir.as_deref().map(Path::to_string_lossy).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn a_listener_is_told_in_json() {
        let owner = Owner {
            pid: 7,
            uid: 1000,
            started_ms: Some(1_800_000_000_000),
            start_ticks: 42,
            command: vec!["uvicorn".into(), "app:app".into()],
            dir: Some("/srv/app".into()),
            cgroup: None,
            parent: Some(1),
            state: 'D',
            wait_channel: Some("nfs_wait".into()),
        };
        let socket = Socket {
            port: 8001,
            address: Ipv6Addr::UNSPECIFIED.into(),
            v6_only: false,
            inode: 99,
            uid: 1000,
            cgroup: Some(1),
        };
        assert_eq!(
            serde_json::to_value(socket.with_owners(vec![owner])).unwrap(),
            serde_json::json!({
                "port": 8001, "address": "::", "v6_only": false, "inode": 99, "uid": 1000, "cgroup": 1,
                "owners": [{
                    "pid": 7, "uid": 1000, "started_ms": 1_800_000_000_000_u64, "start_ticks": 42,
                    "command": ["uvicorn", "app:app"], "dir": "/srv/app", "cgroup": null, "parent": 1,
                    "state": "D", "wait_channel": "nfs_wait",
                }],
            })
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_not_utf8_does_not_spoil_the_answer() {
        use std::os::unix::ffi::OsStringExt;
        let owner = Owner {
            pid: 7,
            uid: 0,
            started_ms: None,
            start_ticks: 0,
            command: vec![],
            dir: Some(std::ffi::OsString::from_vec(b"/srv/\xff".to_vec()).into()),
            cgroup: None,
            parent: None,
            state: 'S',
            wait_channel: None,
        };
        assert_eq!(serde_json::to_value(owner).unwrap()["dir"], "/srv/\u{fffd}");
    }
}
