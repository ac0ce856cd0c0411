//! Ports for tests: below the kernel's ephemeral range, so that no outgoing connection takes one in between.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on and that this test process has not given out yet. Where it begins to look depends
/// on the pid, so that two test processes seldom meet.
pub fn free_port() -> u16 {
    for _ in 0..COUNT {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(97).wrapping_add(turn) % COUNT;
        let port = (FIRST + offset) as u16;
        if is_free(port) {
            return port;
        }
    }
    panic!("no free port from {FIRST} to {}", FIRST + COUNT)
}

/// Whether a listener can be bound to the port on all addresses of both families.
pub fn is_free(port: u16) -> bool {
    // Without IPv6 on this machine nobody listens there either.
    let free_v6 = match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)) {
        Ok(_) => true,
        Err(e) => e.kind() != std::io::ErrorKind::AddrInUse,
    };
    free_v6 && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}
