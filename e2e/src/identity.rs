//! Who a process is: its pid and its kernel start time, read from `/proc`. Whatever the tests end, they end by this,
//! never by a name.

use std::fmt;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One process of this boot and this pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// Kernel start time in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub start: u64,
}

impl Identity {
    /// The process that has this pid now, living or a zombie.
    pub fn of(pid: u32) -> Option<Identity> {
        Stat::of(pid).map(|stat| Identity { pid, start: stat.start })
    }

    /// This process.
    pub fn mine() -> Identity {
        let pid = std::process::id();
        Identity::of(pid).unwrap_or(Identity { pid, start: 0 })
    }

    /// Whether just this process lives; a zombie does not.
    pub fn is_alive(&self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.start == self.start && !matches!(stat.state, 'Z' | 'X'))
    }

    /// Sends a signal to just this process; `false` if it is gone. The number cannot be given away in between:
    /// the start time is compared after the descriptor is open.
    pub fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else { return false };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        self.is_alive() && pidfd_send_signal(&handle, signal).is_ok()
    }

    /// SIGKILL.
    pub fn kill(&self) -> bool {
        self.signal(Signal::KILL)
    }

    /// Its command line, for messages; empty if it is gone.
    pub fn command(&self) -> String {
        let raw = std::fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        String::from_utf8_lossy(&raw).trim_end_matches('\0').replace('\0', " ")
    }

    /// Its state letter in `/proc/PID/stat`; `None` if it is gone.
    pub fn state(&self) -> Option<char> {
        Stat::of(self.pid).filter(|stat| stat.start == self.start).map(|stat| stat.state)
    }

    /// The kernel's masks of ignored signals; bit n-1 is signal n.
    pub fn ignored_signals(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} ({})", self.pid, self.command())
    }
}

/// Whether the process with this pid and this start time lives.
pub fn alive(pid: u32, start: u64) -> bool {
    Identity { pid, start }.is_alive()
}

/// All processes whose environment holds exactly this entry (`KEY=value`), zombies left out.
pub fn with_environment(entry: &str) -> Vec<Identity> {
    let Ok(folders) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = folders.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == entry.as_bytes())
    })
    .filter_map(Identity::of)
    .filter(Identity::is_alive)
    .collect()
}

struct Stat {
    state: char,
    start: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Stat> {
        let raw = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let text = String::from_utf8_lossy(&raw);
        // The name stands in parentheses and may itself hold blanks and parentheses.
        let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let start = fields.nth(18)?.parse().ok()?;
        Some(Stat { state, start })
    }
}
