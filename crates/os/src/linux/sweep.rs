//! Survivors: processes of a run whose guard is gone. They are found by four independent traces (cgroup leaf, cookie,
//! session, orphans of a dead guard), pinned, verified again, and ended. Without a trace nothing is touched.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::cgroup::Leaf;
use super::{process, tree};
use crate::identity::{Identity, Pinned};
use crate::survivor::{COOKIE, Stuck, Survivor, Swept, Trace, Traces};

/// How long a killed guard may take to be gone: its exit is under way.
const GUARD_END_LIMIT: Duration = Duration::from_secs(1);

/// Finds what is alive of an earlier run. Looks, touches nothing.
pub fn survivors(traces: &Traces) -> Vec<Survivor> {
    let mut found: BTreeMap<u32, Trace> = BTreeMap::new();
    let mut note = |pid: u32, trace: Trace| {
        let known = found.entry(pid).or_insert(trace);
        *known = (*known).min(trace);
    };
    if let Some(leaf) = leaf(traces) {
        leaf.pids().into_iter().for_each(|pid| note(pid, Trace::Cgroup));
    }
    orphans_of(traces).into_iter().for_each(|pid| note(pid, Trace::Orphan));
    let session = recorded_session(traces);
    let cookie = cookie(traces);
    for pid in process::pids().unwrap_or_default() {
        if process::environment_has(pid, &cookie) {
            note(pid, Trace::Cookie);
        }
        if let (Some((session, start)), Ok(stat)) = (session, process::stat(pid))
            && (stat.session == session || stat.group == session)
            && stat.start >= start
        {
            note(pid, Trace::Session);
        }
    }
    let roots: Vec<u32> = found.keys().copied().collect();
    for root in roots {
        for pid in tree::descendants(root) {
            found.entry(pid).or_insert(Trace::Descent);
        }
    }
    let spared = spared(traces);
    found
        .into_iter()
        .filter(|(pid, _)| !spared.contains(pid))
        .filter(|(pid, _)| process::stat(*pid).is_ok_and(|s| !s.is_dead()))
        .filter_map(|(pid, trace)| {
            Some(Survivor { identity: Identity::of(pid).ok()?, trace, command: process::command(pid) })
        })
        .collect()
}

/// Ends the survivors: the polite signal, one grace for all, then the kill; until two scans in a row find nobody.
pub fn end(traces: &Traces, signal: i32, grace: Duration) -> Swept {
    let mut swept = Swept::default();
    // A guard that was killed lets go of its link before its children get a new parent: they are found only after.
    if let Some(guard) = traces.record.as_ref().and_then(|record| record.guard.pin()) {
        let _ = guard.wait(GUARD_END_LIMIT);
    }
    let polite_until = Instant::now() + grace;
    // Kills land at once; what is still there after this is stuck in the kernel or not ours to kill.
    let give_up = polite_until + Duration::from_secs(3);
    let mut empty_scans = 0;
    loop {
        let alive = survivors(traces);
        if alive.is_empty() {
            empty_scans += 1;
            if empty_scans == 2 {
                break;
            }
            continue;
        }
        empty_scans = 0;
        let now = Instant::now();
        if now >= give_up {
            swept.stuck = alive.iter().map(|s| stuck(s.identity.pid)).collect();
            break;
        }
        let kill = now >= polite_until || grace.is_zero();
        if kill && let Some(leaf) = leaf(traces) {
            let _ = leaf.kill();
        }
        let mut pinned: Vec<Pinned> = Vec::new();
        for survivor in &alive {
            let known = swept.ended.iter().any(|s| s.identity == survivor.identity);
            if let Some(pin) = survivor.identity.pin() {
                // The polite signal is sent once; a second one makes many programs quit without cleaning up.
                if kill || !known {
                    let _ = pin.signal(if kill { libc::SIGKILL } else { signal });
                }
                pinned.push(pin);
            }
            if !known {
                swept.ended.push(survivor.clone());
            }
        }
        wait_for_any(&pinned, if kill { Duration::from_millis(20) } else { polite_until - now });
    }
    let stuck_pids: HashSet<u32> = swept.stuck.iter().map(|s| s.pid).collect();
    swept.ended.retain(|s| !stuck_pids.contains(&s.identity.pid));
    if swept.stuck.is_empty()
        && let Some(leaf) = leaf(traces)
    {
        leaf.remove();
    }
    swept
}

/// What is known of a process that does not die.
pub fn stuck(pid: u32) -> Stuck {
    let state = process::stat(pid).map_or('?', |s| s.state);
    Stuck { pid, state, wait_channel: process::wait_channel(pid) }
}

/// Waits until one of them has ended, or a slice of the limit has passed (new ones may have been forked).
fn wait_for_any(pinned: &[Pinned], limit: Duration) {
    let slice = limit.min(Duration::from_millis(50));
    if let Some(first) = pinned.first() {
        let _ = first.wait(slice);
    }
}

fn leaf(traces: &Traces) -> Option<Leaf> {
    let path = traces.record.as_ref()?.cgroup.as_ref()?;
    Leaf::open(path).ok()
}

fn cookie(traces: &Traces) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    [COOKIE.as_bytes(), b"=", traces.claim.as_os_str().as_bytes()].concat()
}

/// The session or group number of the recorded main process, and its start. While any member of the session lives,
/// the kernel does not give the number away; and a stranger with that very number would be its own older session,
/// hence the comparison with the start. Of another boot or pid namespace it means nothing.
fn recorded_session(traces: &Traces) -> Option<(u32, u64)> {
    let main = traces.record.as_ref()?.main.as_ref()?;
    let here = Identity::mine().ok()?;
    if main.boot != here.boot || main.ns != here.ns {
        return None;
    }
    match process::stat(main.pid) {
        // The number is in use by somebody else: then the session it named had ended before.
        Ok(stat) if stat.start != main.start => None,
        _ => Some((main.pid, main.start)),
    }
}

/// PID 1, ourselves, all that we descend from, and what the caller names.
fn spared(traces: &Traces) -> HashSet<u32> {
    let mut spared: HashSet<u32> = traces.spare.iter().copied().collect();
    spared.extend([0, 1, std::process::id()]);
    let mut at = std::process::id();
    while let Ok(stat) = process::stat(at) {
        if !spared.insert(stat.parent) && stat.parent <= 1 {
            break;
        }
        if stat.parent <= 1 {
            break;
        }
        at = stat.parent;
    }
    spared
}

/// Children of our zygote that are no guards. As a subreaper it inherits what guards that died have left, even what
/// shed its environment and its session. The zygote's children that it forked for guards carry its name or theirs.
fn orphans_of(traces: &Traces) -> Vec<u32> {
    let Some(zygote) = traces.zygote.filter(|zygote| process::parent_of(std::process::id()) == Some(*zygote))
    else {
        return Vec::new();
    };
    let is_guard = |pid: u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|name| ["soloist-guard", "soloist-zygote"].contains(&name.trim_end()))
    };
    process::children(zygote).into_iter().filter(|pid| !is_guard(*pid)).collect()
}

/// The claims that processes say they belong to, by their cookies: one look at all processes, for many guards that are
/// about to start. As a survivor may hand on to a child and end while we look, we look twice.
pub fn marked_claims() -> HashSet<PathBuf> {
    let look = || process::pids().unwrap_or_default().into_iter().filter_map(process::cookie_of);
    look().chain(look()).collect()
}

/// Children of this process that are not in `known`; what it had before it became a guard.
pub fn orphans(known: &[u32]) -> io::Result<Vec<u32>> {
    let mut children = process::children(std::process::id());
    children.retain(|pid| !known.contains(pid));
    Ok(children)
}
