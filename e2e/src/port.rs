//! Ports for tests: below the kernel's ephemeral range, so that no outgoing connection takes one in between.

use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on and that this test process has not given out yet.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of `count` ports in a row, each as by [`free_port`]: a row that began at a port of its own but ran on into
/// those of other tests was two tests on one port. Where the search begins depends on the pid, so that two test
/// processes seldom meet.
pub fn free_ports(count: u16) -> u16 {
    for _ in 0..COUNT {
        let turn = NEXT.fetch_add(count.into(), Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(97).wrapping_add(turn) % (COUNT - u32::from(count));
        let first = (FIRST + offset) as u16;
        if (first..first + count).all(is_free) {
            return first;
        }
    }
    panic!("no {count} free ports in a row from {FIRST} to {}", FIRST + COUNT)
}

/// Whether nobody listens on the port, whatever the address. The kernel's tables are read: whoever tries it by binding
/// is there himself for a moment, and a service that starts in that moment finds its port taken.
pub fn is_free(port: u16) -> bool {
    let listened = |table: &str| {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        text.lines().skip(1).any(|line| {
            // proc_net_tcp(5): number, local address, remote address, state; 0A listens.
            let mut words = line.split_whitespace().skip(1);
            let (local, state) = (words.next(), words.nth(1));
            state == Some("0A")
                && local.and_then(|local| local.rsplit(':').next()) == Some(&format!("{port:04X}"))
        })
    };
    // Without IPv6 on this machine nobody listens there either.
    !listened("/proc/net/tcp") && !listened("/proc/net/tcp6")
}
