//! What living processes use: the shapes every system's look fills. Facts of one moment; asking the system is the duty of
//! `linux/usage.rs` and its siblings.

use std::time::Duration;

pub use crate::platform::usage::{processes, used};

/// One living process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its argument list; bytes that are not UTF-8 are replaced.
    pub command: Vec<String>,
    /// CPU time, user and system, of itself.
    pub cpu: Duration,
    /// Resident memory; what processes share counts for each.
    pub rss_kib: u64,
    /// When it started, in unix milliseconds. For people: it moves when the clock is set.
    pub started_ms: Option<u64>,
}

/// What the tree of a guard uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// CPU time of the guard, of all that descend from it, and of all that ended and were waited for. It grows only, but
    /// for children that are reaped by nobody (`SIGCHLD` ignored, wait(2)): their time is lost.
    pub cpu: Duration,
    /// Resident memory of its descendants together.
    pub rss_kib: u64,
}
