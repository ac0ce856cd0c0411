//! What this machine lets soloist do, and how it is set up: facts for whoever looks for what would bite. Nothing is
//! changed by asking.

use std::io;
use std::path::Path;

use super::bounds::{can_enable, places, wanted};
use super::cgroup::own;
use crate::guard::Limits;

/// CAP_NET_BIND_SERVICE (capabilities(7)).
const BIND_SERVICE: u32 = 10;

/// Whether something keeps the wall clock right (adjtimex(2), `STA_UNSYNC`).
///
/// # Errors
/// Where the kernel does not tell.
#[allow(unsafe_code)]
pub fn is_clock_kept() -> io::Result<bool> {
    // SAFETY: all zeros is a valid `timex`: numbers only. With `modes` 0 nothing is set, the kernel only fills it in.
    let (answer, state) = unsafe {
        let mut state: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut state), state)
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(state.status & libc::STA_UNSYNC == 0) }
}

/// The lowest port that this process may listen on (ip(7), `ip_unprivileged_port_start`).
pub fn lowest_port() -> u16 {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let has =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
    match has.is_some_and(|has| has & (1 << BIND_SERVICE) != 0) {
        true => 0,
        false => read("/proc/sys/net/ipv4/ip_unprivileged_port_start").trim().parse().unwrap_or(1024),
    }
}

/// So many folders all programs of this user together may watch (inotify(7), `max_user_watches`), if the kernel tells.
pub fn watches_most() -> Option<usize> {
    std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").ok()?.trim().parse().ok()
}

/// The controllers that these limits need and that are not delegated here.
pub fn not_delegated(limits: &Limits) -> Vec<&'static str> {
    let wanted = wanted(limits);
    let places = places().unwrap_or_default();
    let own = own().ok();
    let can = |place: &Path| {
        wanted.iter().all(|controller| can_enable(place, controller, own.as_deref() == Some(place)))
    };
    if places.iter().any(|place| can(place)) { Vec::new() } else { wanted }
}

/// Whether what this process starts outlives the last session of its user: not where systemd ends a user's processes then
/// and the user does not linger (loginctl(1)).
pub fn outlives_sessions(user: &str) -> bool {
    let cgroup = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let is_of_session = cgroup.contains("/user.slice/") && Path::new("/run/systemd/system").is_dir();
    !is_of_session || Path::new("/var/lib/systemd/linger").join(user).exists()
}
