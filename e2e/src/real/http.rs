//! One GET, as simple as HTTP allows: the tests look at who answers, not at how.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// No answer of a small service takes so long; one that hangs has failed.
const LIMIT: Duration = Duration::from_secs(10);

/// The status and the body of `GET /` on a port of this machine.
pub fn get(port: u16) -> io::Result<(u16, String)> {
    get_within(port, LIMIT)
}

/// As `get`, for who may have to wait for the next run.
pub fn get_within(port: u16, limit: Duration) -> io::Result<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, body.to_owned()))
}
