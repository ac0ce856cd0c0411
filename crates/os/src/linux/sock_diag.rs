//! Asks the kernel for listening TCP sockets: the request and the answer of sock_diag(7) over netlink(7).
//! The kernel itself picks state and port, so an answer is a few hundred bytes where /proc/net/tcp is the whole table.
//! Knows sockets, not processes; those are found in `ports.rs`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

use crate::ports::Socket;

// linux/netlink.h: `struct nlmsghdr` is length u32, type u16, flags u16, sequence u32, port id u32; `struct nlattr` is
// length u16, type u16. Both lengths count the header, and both kinds follow each other at multiples of four.
const HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
const ALIGN: usize = 4;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
const NLA_TYPE_MASK: u16 = 0x3fff;

// linux/sock_diag.h, linux/inet_diag.h, net/tcp_states.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_SKV6ONLY: u16 = 11;
const INET_DIAG_CGROUP_ID: u16 = 21;
const TCP_LISTEN: u8 = 10;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
const REQUEST: usize = HEADER + 56;
/// `struct inet_diag_msg`, which the attributes follow.
const MESSAGE: usize = 72;
/// netlink never makes a part of a dump larger than this.
const BUFFER: usize = 32 * 1024;
/// The kernel answers before `send` returns; this only keeps a broken one from holding us for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Every TCP socket listening on `port`, IPv4 first; on any port if it is 0, which is how the kernel reads it.
///
/// Sockets in TIME_WAIT, established connections and sockets bound without listen(2) are not among them. Only this
/// network namespace is seen. A Multipath TCP listener is, by the TCP socket the kernel keeps for it, which bears the
/// inode and the user of the original.
pub(crate) fn listening(port: u16) -> io::Result<Vec<Socket>> {
    let kernel = open()?;
    let mut buffer = vec![0; BUFFER];
    let mut found = Vec::new();
    // Family 0 is refused (ENOENT), so each is asked for by itself.
    for (sequence, family) in [(1, AF_INET), (2, AF_INET6)] {
        let request = request(sequence, family, port);
        let sent = retry_on_intr(|| send(&kernel, &request, SendFlags::empty()))?;
        if sent != REQUEST {
            return Err(broken("the request was cut"));
        }
        loop {
            let (kept, length) = receive(&kernel, &mut buffer)?;
            if length > kept {
                return Err(broken("a part of the answer is larger than any should be"));
            }
            match read_part(&buffer[..kept], sequence, port, &mut found)? {
                Part::Middle => {}
                Part::Last => break,
            }
        }
    }
    // A dump of several parts walks a table that changes meanwhile, and may then tell of one socket twice.
    found.sort_by_key(|socket| (socket.port, socket.address, socket.inode));
    found.dedup_by_key(|socket| (socket.port, socket.address, socket.inode));
    Ok(found)
}

fn open() -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(SOCK_DIAG))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    // Port id 0 is the kernel. Once connected, no other process can put a message into our queue.
    connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    Ok(socket)
}

/// How many bytes the buffer got, and how many there were.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, usize)> {
    match retry_on_intr(|| recv(socket, &mut *buffer, RecvFlags::TRUNC)) {
        Err(Errno::AGAIN) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel did not finish its answer"))
        }
        Ok((_, 0)) => Err(broken("the answer is empty")),
        other => Ok(other?),
    }
}

/// `struct inet_diag_req_v2`: family u8, protocol u8, extensions u8, padding u8, states u32, and the socket's id, of
/// which `inet_diag_dump_icsk` compares the source port first of all. No extension needs asking for: the kernel tells
/// `INET_DIAG_SKV6ONLY` of every IPv6 listener (since 4.3), and `INET_DIAG_CGROUP_ID` of every socket (since 5.8).
fn request(sequence: u32, family: u8, port: u16) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(REQUEST as u32).to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    put(8, &sequence.to_ne_bytes());
    put(HEADER, &[family, IPPROTO_TCP]);
    put(HEADER + 4, &(1_u32 << TCP_LISTEN).to_ne_bytes());
    put(HEADER + 8, &port.to_be_bytes());
    request
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// More follows.
    Middle,
    /// The kernel has told all.
    Last,
}

/// Reads one received part: any number of messages, each checked against what was asked.
fn read_part(part: &[u8], sequence: u32, port: u16, found: &mut Vec<Socket>) -> io::Result<Part> {
    let mut rest = part;
    while !rest.is_empty() {
        let (kind, its_sequence, body, next) = message(rest).ok_or_else(|| broken("a message is cut"))?;
        rest = next;
        if its_sequence != sequence {
            continue;
        }
        match kind {
            // A dump that failed on its way says so in its last message, e.g. ENOENT where tcp_diag is not to be had.
            NLMSG_DONE => return status(body).map(|()| Part::Last),
            NLMSG_ERROR => status(body)?,
            SOCK_DIAG_BY_FAMILY => {
                let (state, socket) = listener(body).ok_or_else(|| broken("a socket is cut"))?;
                // The kernel has filtered by both; a wrong answer here would name a wrong process.
                if state == TCP_LISTEN && (port == 0 || socket.port == port) {
                    found.push(socket);
                }
            }
            // Such as NLMSG_NOOP.
            _ => {}
        }
    }
    Ok(Part::Middle)
}

/// Type, sequence number and body of the first message, and what follows it.
fn message(from: &[u8]) -> Option<(u16, u32, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(bytes(from, 0)?) as usize;
    let kind = u16::from_ne_bytes(bytes(from, 4)?);
    let sequence = u32::from_ne_bytes(bytes(from, 8)?);
    Some((kind, sequence, from.get(HEADER..length)?, after(from, length)))
}

/// Type and value of the first attribute, and what follows it.
fn attribute(from: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u16::from_ne_bytes(bytes(from, 0)?) as usize;
    let kind = u16::from_ne_bytes(bytes(from, 2)?) & NLA_TYPE_MASK;
    Some((kind, from.get(ATTRIBUTE_HEADER..length)?, after(from, length)))
}

/// The body of NLMSG_ERROR and, for a dump, of NLMSG_DONE begins with 0 or a negated errno.
fn status(body: &[u8]) -> io::Result<()> {
    match bytes(body, 0).map(i32::from_ne_bytes) {
        None | Some(0..) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno.wrapping_neg())),
    }
}

/// `struct inet_diag_msg`: family u8, state u8, timer u8, retransmits u8; the id at 4: source port, destination port
/// (both u16 in network order), source address and destination address (16 bytes each), interface u32, cookie u64;
/// then expires, receive queue, send queue, uid, inode (each u32).
fn listener(body: &[u8]) -> Option<(u8, Socket)> {
    let [family, state] = bytes(body, 0)?;
    let address: IpAddr = match family {
        AF_INET => Ipv4Addr::from_octets(bytes(body, 8)?).into(),
        AF_INET6 => Ipv6Addr::from_octets(bytes(body, 8)?).into(),
        _ => return None,
    };
    let mut socket = Socket {
        port: u16::from_be_bytes(bytes(body, 4)?),
        address,
        v6_only: false,
        inode: u32::from_ne_bytes(bytes(body, 68)?).into(),
        uid: u32::from_ne_bytes(bytes(body, 64)?),
        cgroup: None,
    };
    let mut rest = body.get(MESSAGE..)?;
    while !rest.is_empty() {
        let (kind, value, next) = attribute(rest)?;
        rest = next;
        match kind {
            INET_DIAG_SKV6ONLY => socket.v6_only = bytes(value, 0)? != [0],
            INET_DIAG_CGROUP_ID => socket.cgroup = Some(u64::from_ne_bytes(bytes(value, 0)?)),
            _ => {}
        }
    }
    Some((state, socket))
}

/// `N` bytes at `at`, if there are so many.
fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..)?.first_chunk().copied()
}

/// What begins at the next multiple of four after `length` bytes; the last one need not be padded.
fn after(from: &[u8], length: usize) -> &[u8] {
    from.get(length.next_multiple_of(ALIGN)..).unwrap_or_default()
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(0_u16.to_ne_bytes());
        message.extend(sequence.to_ne_bytes());
        message.extend(0_u32.to_ne_bytes());
        message.extend(body);
        message.resize(message.len().next_multiple_of(ALIGN), 0);
        message
    }

    fn socket_on(port: u16, state: u8, inode: u32) -> Vec<u8> {
        let mut body = vec![0; MESSAGE];
        body[..2].copy_from_slice(&[AF_INET6, state]);
        body[4..6].copy_from_slice(&port.to_be_bytes());
        body[64..68].copy_from_slice(&1000_u32.to_ne_bytes());
        body[68..72].copy_from_slice(&inode.to_ne_bytes());
        // A one-byte attribute is followed by three bytes of padding, an unknown one is passed over.
        let mut attribute = |length: u16, kind: u16, padded: &[u8]| {
            body.extend(length.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(padded);
        };
        attribute(5, INET_DIAG_SKV6ONLY, &[1, 0, 0, 0]);
        attribute(4, 99, &[]);
        attribute(12, INET_DIAG_CGROUP_ID, &77_u64.to_ne_bytes());
        body
    }

    #[test]
    fn a_part_with_several_messages_is_read_to_its_end() {
        let mut part = told(SOCK_DIAG_BY_FAMILY, 2, &socket_on(8001, TCP_LISTEN, 5));
        part.extend(told(SOCK_DIAG_BY_FAMILY, 2, &socket_on(8001, TCP_LISTEN, 6)));
        let mut found = Vec::new();
        assert_eq!(read_part(&part, 2, 8001, &mut found).unwrap(), Part::Middle);
        part.extend(told(NLMSG_DONE, 2, &0_i32.to_ne_bytes()));
        found.clear();
        assert_eq!(read_part(&part, 2, 8001, &mut found).unwrap(), Part::Last);
        let expected = |inode| Socket {
            port: 8001,
            address: Ipv6Addr::UNSPECIFIED.into(),
            v6_only: true,
            inode,
            uid: 1000,
            cgroup: Some(77),
        };
        assert_eq!(found, [expected(5), expected(6)]);
    }

    #[test]
    fn what_was_not_asked_for_is_passed_over() {
        let mut part = told(SOCK_DIAG_BY_FAMILY, 1, &socket_on(8001, TCP_LISTEN, 5));
        part.extend(told(SOCK_DIAG_BY_FAMILY, 2, &socket_on(8002, TCP_LISTEN, 6)));
        part.extend(told(SOCK_DIAG_BY_FAMILY, 2, &socket_on(8001, 1, 7)));
        part.extend(told(NLMSG_DONE, 1, &(-2_i32).to_ne_bytes()));
        let mut found = Vec::new();
        assert_eq!(read_part(&part, 2, 8001, &mut found).unwrap(), Part::Middle);
        assert_eq!(found, []);
    }

    #[test]
    fn a_refusal_is_an_error_in_either_place() {
        for kind in [NLMSG_DONE, NLMSG_ERROR] {
            let part = told(kind, 1, &(-libc::ENOENT).to_ne_bytes());
            let error = read_part(&part, 1, 8001, &mut Vec::new()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        }
    }

    #[test]
    fn no_cut_answer_is_taken_for_a_whole_one() {
        let whole = told(SOCK_DIAG_BY_FAMILY, 1, &socket_on(8001, TCP_LISTEN, 5));
        for length in 1..whole.len() {
            let error = read_part(&whole[..length], 1, 8001, &mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "cut to {length} bytes");
        }
        // A length too small to hold its own header must not send the reader round in circles.
        for length in 0..HEADER as u32 {
            let mut lying = whole.clone();
            lying[..4].copy_from_slice(&length.to_ne_bytes());
            assert!(read_part(&lying, 1, 8001, &mut Vec::new()).is_err(), "a length of {length}");
        }
    }
}
