//! Sockets that are listened on for a program and handed over to it as sd_listen_fds(3) says: bound here, kept by whoever
//! holds the claim, and known again by the address that the kernel tells of them.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType, sockopt};

/// The most sockets of one program: they all travel with one message.
pub const MOST: usize = 16;
/// The number of the first descriptor that is handed over; the others follow (`SD_LISTEN_FDS_START` of sd_listen_fds(3)).
pub const SOCKETS_FROM: usize = 3;
/// The longest path of a Unix socket in bytes (unix(7)).
pub const PATH_MOST: usize = 107;
/// How many connections wait while nobody takes them, between two runs; the kernel's own limit may be lower
/// (listen(2)).
const BACKLOG: i32 = 1024;

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A Unix stream socket at an absolute path.
    Unix(PathBuf),
}

impl Address {
    /// Its port, if it has one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Address::Tcp(address) => Some(address.port()),
            Address::Unix(_) => None,
        }
    }

    /// Whether both cannot be listened on: they are one, or one is every address that the other is of.
    pub fn meets(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Tcp(a), Address::Tcp(b)) => {
                let is_any = a.ip().is_unspecified() || b.ip().is_unspecified();
                a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && (is_any || a.ip() == b.ip())
            }
            (Address::Unix(a), Address::Unix(b)) => a == b,
            (Address::Tcp(_), Address::Unix(_)) | (Address::Unix(_), Address::Tcp(_)) => false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A listening socket. It listens as long as anybody has a copy of it.
#[derive(Debug)]
pub struct Listening {
    at: Address,
    fd: OwnedFd,
}

impl Listening {
    /// Listens; the folder of a Unix socket is made. A Unix socket that nobody listens on any more, and that this user made, is replaced; a new one is this
    /// user's alone.
    ///
    /// # Errors
    /// Those of bind(2): `AddrInUse`, `AddrNotAvailable` (no interface has it), `PermissionDenied` (a privileged port).
    pub fn bind(at: &Address) -> io::Result<Listening> {
        let fd = match at {
            Address::Tcp(address) => bind_tcp(address)?,
            Address::Unix(path) => bind_unix(path)?,
        };
        rustix::net::listen(&fd, BACKLOG)?;
        Ok(Listening { at: at.clone(), fd })
    }

    /// One that came from another process; `None` if it is no socket with an address.
    pub fn received(fd: OwnedFd) -> Option<Listening> {
        let name = rustix::net::getsockname(&fd).ok()?;
        let at = match name.address_family() {
            AddressFamily::UNIX => {
                let path = SocketAddrUnix::try_from(name).ok()?;
                Address::Unix(OsStr::from_bytes(path.path()?.to_bytes()).into())
            }
            _ => Address::Tcp(SocketAddr::try_from(name).ok()?),
        };
        Some(Listening { at, fd })
    }

    /// A copy, which listens as long as it is kept: whoever takes a connection first has it.
    ///
    /// # Errors
    /// If there is no descriptor left.
    pub fn share(&self) -> io::Result<Listening> {
        Ok(Listening { at: self.at.clone(), fd: self.fd.try_clone()? })
    }

    /// Where.
    pub fn at(&self) -> &Address {
        &self.at
    }

    /// The inode by which the kernel names it, see [`crate::ports::Socket`].
    pub fn inode(&self) -> Option<u64> {
        Some(rustix::fs::fstat(&self.fd).ok()?.st_ino)
    }

    /// Nobody listens on it any more, whoever has copies: its port is free for another one.
    pub fn end(self) {
        let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
    }

    /// Goes on listening, whatever the program before has made of it: its backlog is ours again, and one that was shut
    /// down listens anew.
    pub fn again(&self) -> io::Result<()> {
        Ok(rustix::net::listen(&self.fd, BACKLOG)?)
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn stream(family: AddressFamily) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

fn bind_tcp(address: &SocketAddr) -> io::Result<OwnedFd> {
    let fd = stream(if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 })?;
    // What is left of connections of an earlier run must not keep us out (ip(7)).
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if address.is_ipv6() {
        // `[::]` is IPv6 and nothing else, on every system: the other family is an address of its own.
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    rustix::net::bind(&fd, &SocketAddrAny::from(*address))?;
    Ok(fd)
}

fn bind_unix(path: &Path) -> io::Result<OwnedFd> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    let fd = stream(AddressFamily::UNIX)?;
    let address = SocketAddrUnix::new(path)?;
    // Before it has its name, so that nobody finds it open: bind(2) gives the file the mode of the socket.
    rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(0o600))?;
    match rustix::net::bind(&fd, &address) {
        Err(Errno::ADDRINUSE) if is_dead(path, &address) => {
            std::fs::remove_file(path)?;
            rustix::net::bind(&fd, &address)?;
        }
        bound => bound?,
    }
    Ok(fd)
}

/// Whether a socket of this user lies there that nobody listens on.
fn is_dead(path: &Path, address: &SocketAddrUnix) -> bool {
    let is_ours = std::fs::symlink_metadata(path).is_ok_and(|found| {
        found.file_type().is_socket() && found.uid() == rustix::process::geteuid().as_raw()
    });
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let asker = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    is_ours && asker.is_ok_and(|asker| rustix::net::connect(&asker, address) == Err(Errno::CONNREFUSED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;

    fn any(ip: &str) -> Listening {
        let port = std::net::TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap().port();
        Listening::bind(&Address::Tcp(SocketAddr::new(ip.parse().unwrap(), port))).unwrap()
    }

    #[test]
    fn a_socket_is_known_again_by_its_address() {
        let folder = tempfile::tempdir().unwrap();
        let unix = Listening::bind(&Address::Unix(folder.path().join("s.sock"))).unwrap();
        for one in [any("127.0.0.1"), any("::1"), unix] {
            let copy = one.as_fd().try_clone_to_owned().unwrap();
            let received = Listening::received(copy).unwrap();
            assert_eq!((received.at(), received.inode()), (one.at(), one.inode()));
        }
    }

    #[test]
    fn a_socket_that_was_shut_down_listens_again() {
        let socket = any("127.0.0.1");
        let Address::Tcp(at) = *socket.at() else { panic!("{socket:?}") };
        rustix::net::shutdown(&socket, rustix::net::Shutdown::Both).unwrap();
        assert!(TcpStream::connect(at).is_err(), "it listens, though it was shut down");
        socket.again().unwrap();
        TcpStream::connect(at).unwrap();
    }

    #[test]
    fn a_dead_unix_socket_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/s.sock");
        let at = Address::Unix(path.clone());
        let living = Listening::bind(&at).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Listening::bind(&at).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        drop(living);
        drop(Listening::bind(&at).unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a file").unwrap();
        assert_eq!(Listening::bind(&at).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
    }

    #[test]
    fn one_address_may_be_among_others() {
        let meet = |a: &str, b: &str| {
            let tcp = |text: &str| Address::Tcp(text.parse().unwrap());
            (tcp(a).meets(&tcp(b)), tcp(b).meets(&tcp(a)))
        };
        assert_eq!(meet("127.0.0.1:1", "127.0.0.1:1"), (true, true));
        assert_eq!(meet("0.0.0.0:1", "127.0.0.1:1"), (true, true));
        assert_eq!(meet("[::]:1", "127.0.0.1:1"), (false, false));
        assert_eq!(meet("127.0.0.1:1", "127.0.0.1:2"), (false, false));
        assert_eq!(meet("127.0.0.1:1", "127.0.0.2:1"), (false, false));
    }
}
