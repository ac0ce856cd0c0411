//! What a system tells of one process: alive, or reaped. Asking is the duty of `linux/process.rs` and its siblings.

use std::time::Duration;

/// A process as it was at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// `R S D Z T X …` (proc_pid_stat(5)); a system with other states tells the nearest of these.
    pub state: char,
    /// Parent, in our namespace.
    pub parent: u32,
    /// Process group.
    pub group: u32,
    /// Session.
    pub session: u32,
    /// When it started, in the unit of its system (Linux: clock ticks since boot). Never changes while it lives.
    pub start: u64,
}

impl Stat {
    /// A zombie, or on its way out: it executes nothing any more.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// One reaped child.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    /// Its number, which is free again.
    pub pid: u32,
    /// The status word of wait(2).
    pub status: i32,
    /// The most memory it had, or one of those it had waited for.
    pub peak_kib: u64,
    /// CPU time, user and system, of it and of those it had waited for.
    pub cpu: Duration,
}
