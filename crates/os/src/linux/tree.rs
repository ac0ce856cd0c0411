//! The tree of a guard: everything that descends from it. Since a guard is a subreaper (PR_SET_CHILD_SUBREAPER,
//! prctl(2)), no descendant can get out from under it, whatever sessions, groups or double forks it makes; and a
//! guard without children has no tree. That is exact, and free: the wait call says it.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::handle::Handle;
use super::process;
use crate::stat::Reaped;

/// From now on orphaned descendants become our children.
pub fn become_subreaper() -> io::Result<()> {
    // rustix takes the pid of a reaper, the kernel only looks whether it is zero.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(io::Error::from)
}

/// Reaps every child that has ended, and says whether any child is left.
#[allow(unsafe_code)]
pub fn reap(reaped: &mut Vec<Reaped>) -> bool {
    loop {
        let mut status = 0;
        // SAFETY: all-zero bytes are a valid `rusage`: integers.
        let mut used: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: -1 asks for any child; the kernel writes to the two live variables only. rustix has no wait4(2).
        match unsafe { libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut used) } {
            0 => return true,
            pid if pid > 0 => reaped.push(Reaped {
                pid: pid as u32,
                status,
                peak_kib: used.ru_maxrss as u64,
                cpu: span(used.ru_utime) + span(used.ru_stime),
            }),
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            _ => return false,
        }
    }
}

fn span(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}

/// The files that a process or its descendants have open for writing, by their paths (proc_pid_fdinfo(5)).
pub fn written_by(root: u32) -> HashSet<PathBuf> {
    let mut found = HashSet::new();
    for pid in descendants(root).into_iter().chain([root]) {
        let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for entry in open.flatten() {
            let number = entry.file_name();
            let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy()));
            let flags = info.ok().and_then(|info| {
                let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
                i32::from_str_radix(flags.trim(), 8).ok()
            });
            let is_writing = flags.is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY);
            found.extend(is_writing.then(|| std::fs::read_link(entry.path()).ok()).flatten());
        }
    }
    found
}

/// All living descendants of a process, by walking down its children. What forks meanwhile may be missed: callers
/// look again.
pub fn descendants(root: u32) -> Vec<u32> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let mut next = process::children(root);
    while let Some(pid) = next.pop() {
        if seen.insert(pid) {
            if process::stat(pid).is_ok_and(|s| !s.is_dead()) {
                found.push(pid);
            }
            next.extend(process::children(pid));
        }
    }
    found
}

/// Sends a signal to every living descendant but the given ones and those of one process group; says how many were
/// reached.
///
/// Between walking and signalling a descendant may die and its number may in theory be given away. A descendant that
/// died is a zombie until its parent reaps it; to close even that gap each one is pinned and looked at again.
pub fn signal_descendants(root: u32, spare: &[u32], signal: i32, but_group: Option<u32>) -> usize {
    signal_those(root, spare, signal, |group| Some(group) != but_group)
}

/// The same for the descendants of one process group.
pub fn signal_group(root: u32, spare: &[u32], signal: i32, group: u32) -> usize {
    signal_those(root, spare, signal, |other| other == group)
}

fn signal_those(root: u32, spare: &[u32], signal: i32, is_meant: impl Fn(u32) -> bool) -> usize {
    let mut reached = 0;
    for pid in descendants(root) {
        if spare.contains(&pid) || !process::stat(pid).is_ok_and(|s| is_meant(s.group)) {
            continue;
        }
        let Ok(handle) = Handle::open(pid) else { continue };
        if is_descendant(pid, root, &[]) && handle.signal(signal).is_ok() {
            reached += 1;
        }
    }
    reached
}

/// Kills every living descendant but the given ones, as far as it can be seen: callers look again. What stands still
/// cannot fork, so all are stopped until nobody new shows, then killed.
pub fn kill_descendants(root: u32, spare: &[u32]) {
    let mut reached = 0;
    for _ in 0..64 {
        let now = signal_descendants(root, spare, libc::SIGSTOP, None);
        if now == reached {
            break;
        }
        reached = now;
    }
    signal_descendants(root, spare, libc::SIGKILL, None);
}

/// Sends us this signal when our parent ends (PR_SET_PDEATHSIG, prctl(2)).
pub fn hear_parent_end(signal: i32) -> io::Result<()> {
    let signal = rustix::process::Signal::from_named_raw(signal);
    rustix::process::set_parent_process_death_signal(signal).map_err(io::Error::from)
}

/// Whether a process was stopped by a signal (Ctrl+Z).
pub fn is_stopped(pid: u32) -> bool {
    process::stat(pid).is_ok_and(|s| s.state == 'T')
}

/// Whether the process with this number now, dead or alive, descends from `root`, and by none of `spare`.
pub fn is_descendant(pid: u32, root: u32, spare: &[u32]) -> bool {
    let mut at = pid;
    // Chains are short; the bound is against a reading that changes under us.
    for _ in 0..1024 {
        if spare.contains(&at) {
            return false;
        }
        match process::stat(at) {
            Ok(stat) if stat.parent == root => return true,
            Ok(stat) if stat.parent > 1 => at = stat.parent,
            _ => return false,
        }
    }
    false
}
