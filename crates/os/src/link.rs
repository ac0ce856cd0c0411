//! A link: a connected pair of sockets that keeps messages whole and can carry descriptors. Daemon, zygote, guards and
//! clients talk over links. What is said is no matter here.

use std::ffi::OsStr;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::layout::named;

/// The longest message. Long things (a program with its environment) travel as a descriptor of a memory file.
pub const MESSAGE_MAX: usize = 8192;
/// The most descriptors of one message: a claim, or an order, and sockets.
const FDS_MAX: usize = 1 + crate::handover::MOST;

/// One end of a link. Closing it is the other's end of the story.
#[derive(Debug)]
pub struct Link(OwnedFd);

/// One message with the descriptors that came with it.
pub type Message = (Vec<u8>, Vec<OwnedFd>);

impl Link {
    /// Two connected ends.
    pub fn pair() -> io::Result<(Link, Link)> {
        let (a, b) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Link(a), Link(b)))
    }

    /// Connects to a listening guard. `ConnectionRefused` or `NotFound`: nobody listens there.
    pub fn connect(path: &Path) -> io::Result<Link> {
        let fd = socket()?;
        with_short(path, |address| rustix::net::connect(&fd, address).map_err(io::Error::from))
            .map_err(|e| named(e, "cannot connect to", path))?;
        Ok(Link(fd))
    }

    /// Sends one whole message; never blocks, never raises SIGPIPE. `WouldBlock`: the other does not read.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors in one message"));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        loop {
            match rustix::net::sendmsg(&self.0, &[IoSlice::new(bytes)], &mut ancillary, flags) {
                Err(rustix::io::Errno::INTR) => continue,
                other => return other.map(drop).map_err(io::Error::from),
            }
        }
    }

    /// As `send`, but waits for a busy reader, at most until `limit` has passed (`TimedOut`).
    pub fn send_within(
        &self,
        bytes: &[u8],
        fds: &[BorrowedFd<'_>],
        limit: std::time::Duration,
    ) -> io::Result<()> {
        let end = std::time::Instant::now() + limit;
        loop {
            match self.send(bytes, fds) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::OUT, end)?,
                other => return other,
            }
        }
    }

    /// The next message; `None` at the end of the link. Never blocks: `WouldBlock` if there is none yet.
    pub fn receive(&self) -> io::Result<Option<Message>> {
        let mut bytes = [0u8; MESSAGE_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = loop {
            match rustix::net::recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags) {
                Err(rustix::io::Errno::INTR) => continue,
                other => break other?,
            }
        };
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        Ok(Some((bytes[..received.bytes].to_vec(), fds)))
    }

    /// As `receive`, but waits for it, at most until `limit` has passed (`TimedOut`).
    pub fn receive_within(&self, limit: std::time::Duration) -> io::Result<Option<Message>> {
        let end = std::time::Instant::now() + limit;
        loop {
            match self.receive() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::IN, end)?,
                other => return other,
            }
        }
    }

    /// Waits until it is ready for this, or at least something has happened; `TimedOut` at the end.
    fn wait(&self, what: PollFlags, end: std::time::Instant) -> io::Result<()> {
        let left = end.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"));
        }
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.0, what)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// The user at the other end (SO_PEERCRED, unix(7)).
    pub fn peer_uid(&self) -> io::Result<u32> {
        Ok(rustix::net::sockopt::socket_peercred(&self.0)?.uid.as_raw())
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<OwnedFd> for Link {
    fn from(fd: OwnedFd) -> Link {
        Link(fd)
    }
}

impl From<Link> for OwnedFd {
    fn from(link: Link) -> OwnedFd {
        link.0
    }
}

/// A listening end: each accepted link is of our own user or is closed.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Listens at `path`, in place of whatever dead socket is there. Only the holder of the claim may call it, so
    /// nobody living is pushed aside.
    pub fn bind(path: &Path) -> io::Result<Listener> {
        let fd = socket()?;
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(named(e, "cannot remove", path)),
            _ => {}
        }
        bind_private(&fd, path)?;
        rustix::net::listen(&fd, 64)?;
        Ok(Listener(fd))
    }

    /// The next waiting link of our user; `None` if none waits.
    pub fn accept(&self) -> io::Result<Option<Link>> {
        loop {
            match rustix::net::accept_with(&self.0, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(fd) => {
                    let link = Link(fd);
                    if link.peer_uid()? == rustix::process::geteuid().as_raw() {
                        return Ok(Some(link));
                    }
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// An address holds at most 107 bytes (unix(7)) and project folders may lie deep: the folder is opened and named by
/// its descriptor, which is short whatever the path is.
pub fn with_short<T>(path: &Path, act: impl FnOnce(&SocketAddrUnix) -> io::Result<T>) -> io::Result<T> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, rustix::fs::Mode::empty())?;
    let name = path.file_name().unwrap_or(OsStr::new(""));
    let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    act(&SocketAddrUnix::new(&short)?)
}

/// Binds at `path`, 0600: the mode of an unbound socket is the one its file gets.
fn bind_private(fd: &OwnedFd, path: &Path) -> io::Result<()> {
    rustix::fs::fchmod(fd, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
    with_short(path, |address| rustix::net::bind(fd, address).map_err(io::Error::from))
        .map_err(|e| named(e, "cannot listen at", path))
}

/// A listening stream socket (0600) at a path of any length, for the daemon's API.
pub fn listen_stream(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind_private(&fd, path)?;
    rustix::net::listen(&fd, 1024)?;
    Ok(fd.into())
}

/// Whether somebody listens on the stream socket at a path. Never waits; says nothing to whoever listens.
pub fn is_listening(path: &Path) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let Ok(fd) = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None) else {
        return false;
    };
    let connected = with_short(path, |address| rustix::net::connect(&fd, address).map_err(io::Error::from));
    // `WouldBlock`: more wait to be answered than fit into the queue, so somebody has one.
    connected.map_or_else(|e| e.kind() == io::ErrorKind::WouldBlock, |()| true)
}

/// Whether a descriptor is a TCP socket of either family; a link and a Unix socket are none.
pub fn is_tcp(fd: &OwnedFd) -> bool {
    let family = rustix::net::sockopt::socket_domain(fd);
    matches!(family, Ok(AddressFamily::INET | AddressFamily::INET6))
}

/// Whether a descriptor stays open in the program that this process executes next.
pub fn keep_over_exec(fd: BorrowedFd<'_>, is_kept: bool) -> io::Result<()> {
    let flags = if is_kept { rustix::io::FdFlags::empty() } else { rustix::io::FdFlags::CLOEXEC };
    Ok(rustix::io::fcntl_setfd(fd, flags)?)
}

/// Takes over the descriptor a parent left at a known number, if it is open.
///
/// # Errors
/// `InvalidInput` if nothing is open there.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    let link = format!("/proc/self/fd/{number}");
    if number < 0 || std::fs::symlink_metadata(&link).is_err() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor {number} is not open")));
    }
    // SAFETY: the descriptor is open (checked above), it was left for us by the process that executed us, and this
    // function is called once at the start of `main`, before anything else could own the number.
    #[allow(unsafe_code)]
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn messages_stay_whole_and_carry_descriptors() {
        let (a, b) = Link::pair().unwrap();
        assert_eq!(b.receive().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let file = tempfile::tempfile().unwrap();
        a.send(b"one", &[file.as_fd()]).unwrap();
        a.send(b"two", &[]).unwrap();
        let (bytes, fds) = b.receive().unwrap().unwrap();
        assert_eq!((bytes.as_slice(), fds.len()), (b"one".as_slice(), 1));
        assert_eq!(b.receive().unwrap().unwrap().0, b"two");
        drop(a);
        assert!(b.receive_within(Duration::from_secs(5)).unwrap().is_none());
        assert!(b.send(b"x", &[]).is_err(), "no SIGPIPE, an error");
    }

    #[test]
    fn a_socket_may_lie_deeper_than_an_address_is_long() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(120)).join("e".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        let path = deep.join("api.sock");
        let listener = Listener::bind(&path).unwrap();
        let client = Link::connect(&path).unwrap();
        client.send(b"hello", &[]).unwrap();
        let server = listener.accept().unwrap().unwrap();
        assert_eq!(server.receive_within(Duration::from_secs(5)).unwrap().unwrap().0, b"hello");
    }
}
