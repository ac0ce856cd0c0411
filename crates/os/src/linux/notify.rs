//! The socket on which a tree says how it fares (sd_notify(3)): datagrams, each with who sent it as the kernel tells it
//! (SCM_CREDENTIALS and SCM_PIDFD, unix(7)) and with the descriptors that came along. What is said is no matter here.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::handle::Handle;
use crate::guard::notify::Datagram;
use crate::layout::named;
use crate::link::with_short;

/// The longest message; a longer one arrives cut. systemd takes as much (PIPE_BUF).
const MESSAGE_MAX: usize = 4096;
/// Room for credentials, a pidfd and as many descriptors as the kernel lets a message carry (253), in words of 8 bytes.
const CONTROL_WORDS: usize = 160;
/// An address holds at most 107 bytes and a zero (unix(7)).
const ADDRESS_MAX: usize = 107;
/// linux/socket.h; not in the libc crate.
const SCM_PIDFD: libc::c_int = 4;

/// A bound datagram socket.
#[derive(Debug)]
pub struct Receiver {
    socket: OwnedFd,
    address: String,
    // What the address goes through, if the path is too long to be one.
    _folder: Option<OwnedFd>,
}

impl Receiver {
    /// Binds at `path` (0600), in place of whatever dead socket is there. Only the holder of the claim may call it.
    pub fn bind(path: &Path) -> io::Result<Receiver> {
        let socket = socket()?;
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(named(e, "cannot remove", path)),
            _ => {}
        }
        // The mode of an unbound socket is the one its file gets.
        rustix::fs::fchmod(&socket, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
        with_short(path, |address| rustix::net::bind(&socket, address).map_err(io::Error::from))
            .map_err(|e| named(e, "cannot listen at", path))?;
        let (address, folder) = address(path)?;
        Ok(Receiver { socket, address, _folder: folder })
    }

    /// Binds at a name that is in no folder (abstract, unix(7)), for senders of another user: they could not enter ours.
    pub fn bind_abstract(name: &str) -> io::Result<Receiver> {
        let socket = socket()?;
        rustix::net::bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
        Ok(Receiver { socket, address: format!("@{name}"), _folder: None })
    }

    /// What senders find as `NOTIFY_SOCKET`, valid as long as this process lives.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next message; `None` if there is none yet. Never blocks.
    #[allow(unsafe_code)]
    pub fn receive(&self) -> Option<Datagram> {
        let mut bytes = [0u8; MESSAGE_MAX];
        let mut control = [0u64; CONTROL_WORDS];
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: all-zero bytes are a valid `msghdr`: integers and null pointers.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control) as _;
        let length = loop {
            // SAFETY: the header points to two live, writable buffers of the lengths it tells; the kernel writes into
            // them and into the header only.
            let length = unsafe {
                let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
                libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, flags)
            };
            match usize::try_from(length) {
                Ok(length) => break length,
                Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        };
        let mut datagram = Datagram {
            bytes: bytes[..length.min(MESSAGE_MAX)].to_vec(),
            is_cut: header.msg_flags & libc::MSG_TRUNC != 0,
            pid: 0,
            sender: None,
            fds: Vec::new(),
        };
        take_control(&header, &mut datagram);
        Some(datagram)
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    rustix::net::sockopt::set_socket_passcred(&socket, true)?;
    ask_for_pidfds(&socket);
    Ok(socket)
}

/// A sender that has died is known by its pidfd (Linux 6.5; since 6.16 also one that was reaped). Without them its pid
/// must do.
#[allow(unsafe_code)]
fn ask_for_pidfds(socket: &OwnedFd) {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open; the kernel reads one int from a live one, of the length that is told.
    unsafe {
        let length = size_of_val(&on) as libc::socklen_t;
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PASSPIDFD,
            (&raw const on).cast(),
            length,
        );
    }
}

/// Senders have libraries that know paths and nothing else: one too long for an address is reached through a descriptor
/// of ours for its folder.
fn address(path: &Path) -> io::Result<(String, Option<OwnedFd>)> {
    if let Some(text) = path.to_str().filter(|text| text.len() <= ADDRESS_MAX) {
        return Ok((text.to_owned(), None));
    }
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let folder = rustix::fs::open(path.parent().unwrap_or(path), flags, rustix::fs::Mode::empty())?;
    let name = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
    let short = format!("/proc/{}/fd/{}/{name}", std::process::id(), folder.as_raw_fd());
    Ok((short, Some(folder)))
}

/// Who sent it and what came along. Every descriptor gets an owner here, so none is ever left open.
#[allow(unsafe_code)]
fn take_control(header: &libc::msghdr, datagram: &mut Datagram) {
    // SAFETY: `recvmsg` has filled `header` and the control buffer it points to, which lives in the caller; the CMSG
    // macros stay within the length the kernel told. Payloads are read unaligned and within the length of their
    // message; the descriptors in them were made by the kernel for us in this very call, so nobody else owns them.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while let Some(message) = at.as_ref() {
            let payload = libc::CMSG_DATA(at);
            let length = bytes_of(message.cmsg_len).saturating_sub(bytes_of(libc::CMSG_LEN(0)));
            match (message.cmsg_level, message.cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if length >= size_of::<libc::ucred>() => {
                    let sender = payload.cast::<libc::ucred>().read_unaligned();
                    datagram.pid = u32::try_from(sender.pid).unwrap_or(0);
                }
                (libc::SOL_SOCKET, SCM_PIDFD | libc::SCM_RIGHTS) => {
                    for index in 0..length / size_of::<RawFd>() {
                        let fd = payload.cast::<RawFd>().add(index).read_unaligned();
                        // In place of a pidfd the kernel may tell why there is none.
                        let owned = (fd >= 0).then(|| OwnedFd::from_raw_fd(fd));
                        if message.cmsg_type == SCM_PIDFD {
                            datagram.sender = owned.map(Handle::from);
                        } else {
                            datagram.fds.extend(owned);
                        }
                    }
                }
                _ => {}
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
}

/// C libraries differ in the type of this length.
fn bytes_of(length: impl TryInto<usize>) -> usize {
    length.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
    use std::io::{IoSlice, Read};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn a_message_comes_with_its_sender_and_its_descriptors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.notify");
        std::fs::write(&path, "what a dead guard left").unwrap();
        let receiver = Receiver::bind(&path).unwrap();
        assert_eq!(receiver.address(), path.to_str().unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(receiver.receive().is_none());

        let (mut read, write) = io::pipe().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        let fds = vec![write.as_fd(); 253];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut along = SendAncillaryBuffer::new(&mut space);
        assert!(along.push(SendAncillaryMessage::ScmRights(&fds)));
        let parts = [IoSlice::new(b"BARRIER=1")];
        rustix::net::sendmsg(&sender, &parts, &mut along, SendFlags::empty()).unwrap();
        drop(write);

        let datagram = receiver.receive().unwrap();
        assert_eq!((datagram.bytes.as_slice(), datagram.is_cut), (b"BARRIER=1".as_slice(), false));
        assert_eq!((datagram.pid, datagram.fds.len()), (std::process::id(), 253));
        drop(datagram);
        // All copies are closed, or this would wait for ever.
        assert_eq!(read.read(&mut [0u8; 1]).unwrap(), 0);
    }

    #[test]
    fn a_message_that_is_too_long_arrives_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.notify");
        let receiver = Receiver::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(&vec![b'x'; MESSAGE_MAX + 1], &path).unwrap();
        sender.send_to(&vec![b'x'; MESSAGE_MAX], &path).unwrap();
        assert!(receiver.receive().unwrap().is_cut);
        assert!(!receiver.receive().unwrap().is_cut);
    }

    #[test]
    fn a_name_in_no_folder_is_reached_as_libraries_write_it() {
        let name = format!("soloist-test-{:016x}", crate::random_u64());
        let receiver = Receiver::bind_abstract(&name).unwrap();
        let address = receiver.address().strip_prefix('@').unwrap();
        let address = SocketAddrUnix::new_abstract_name(address.as_bytes()).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        rustix::net::sendto(&sender, b"READY=1", SendFlags::empty(), &address).unwrap();
        let datagram = receiver.receive().unwrap();
        assert_eq!((datagram.bytes.as_slice(), datagram.pid), (b"READY=1".as_slice(), std::process::id()));
    }

    #[test]
    fn a_socket_deeper_than_an_address_is_long_has_a_short_address() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(120)).join("e".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        let receiver = Receiver::bind(&deep.join("api.notify")).unwrap();
        assert!(receiver.address().len() <= ADDRESS_MAX, "{}", receiver.address());
        let address = SocketAddrUnix::new(receiver.address()).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        rustix::net::sendto(&sender, b"READY=1", SendFlags::empty(), &address).unwrap();
        assert_eq!(receiver.receive().unwrap().bytes, b"READY=1");
    }
}
