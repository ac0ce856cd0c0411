//! Survivors: processes of a run whose guard is gone. They are found by four independent traces (cgroup leaf, cookie,
//! session, orphans of a dead guard), pinned, verified again, and ended. Without a trace nothing is touched.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::cgroup::Leaf;
use super::handle::Handle;
use super::{process, tree};
use crate::identity::{Identity, Pinned};
use crate::survivor::{COOKIE, Stuck, Survivor, Swept, Trace, Traces};

/// How long a killed guard may take to be gone: its exit is under way.
const GUARD_END_LIMIT: Duration = Duration::from_secs(1);
/// How long, and among how many numbers, those that are made while nobody is found are looked at.
const EMPTY_LIMIT: Duration = Duration::from_millis(60);
const MADE_MOST: u32 = 4096;
/// How long, and among how many of the newest processes, what is made during a look is chased.
const CHASE_LIMIT: Duration = Duration::from_millis(30);
const CHASED: u32 = 32;

/// Finds what is alive of an earlier run. Looks, touches nothing.
pub fn survivors(traces: &Traces) -> Vec<Survivor> {
    look(traces, false)
}

/// The same; if it is to freeze, whoever is found is stopped in that moment, and so are those that are made meanwhile.
/// What stands still cannot hand on to a child and be gone before the look is over.
fn look(traces: &Traces, is_freezing: bool) -> Vec<Survivor> {
    let newest = process::newest();
    let signs = Signs::of(traces);
    let spared = spared(traces);
    let mut found: BTreeMap<u32, Trace> = BTreeMap::new();
    let mut note = |pid: u32, trace: Trace| {
        let known = found.entry(pid).or_insert(trace);
        *known = (*known).min(trace);
        if is_freezing && !spared.contains(&pid) {
            signs.freeze(pid);
        }
    };
    if let Some(leaf) = leaf(traces) {
        leaf.pids().into_iter().for_each(|pid| note(pid, Trace::Cgroup));
    }
    orphans_of(signs.zygote).into_iter().for_each(|pid| note(pid, Trace::Orphan));
    for pid in process::pids().unwrap_or_default() {
        if let Some(trace) = signs.mark(pid) {
            note(pid, trace);
        }
    }
    let roots: Vec<u32> = found.keys().copied().collect();
    for root in roots {
        for pid in tree::descendants(root) {
            found.entry(pid).or_insert(Trace::Descent);
        }
    }
    if is_freezing {
        for pid in signs.chase(newest, &spared) {
            found.entry(pid).or_insert(Trace::Cookie);
        }
    }
    found
        .into_iter()
        .filter(|(pid, _)| !spared.contains(pid))
        .filter(|(pid, _)| process::stat(*pid).is_ok_and(|s| !s.is_dead()))
        .filter_map(|(pid, trace)| {
            Some(Survivor { identity: Identity::of(pid).ok()?, trace, command: process::command(pid) })
        })
        .collect()
}

/// What marks a process as a survivor, whichever way it is met.
struct Signs {
    cookie: Vec<u8>,
    session: Option<(u32, u64)>,
    /// Our parent, if it is the zygote.
    zygote: Option<u32>,
}

impl Signs {
    fn of(traces: &Traces) -> Signs {
        let parent = process::parent_of(std::process::id());
        Signs {
            cookie: cookie(traces),
            session: recorded_session(traces),
            zygote: traces.zygote.filter(|zygote| parent == Some(*zygote)),
        }
    }

    fn mark(&self, pid: u32) -> Option<Trace> {
        if process::environment_has(pid, &self.cookie) {
            return Some(Trace::Cookie);
        }
        let (session, start) = self.session?;
        let stat = process::stat(pid).ok()?;
        let is_member = stat.session == session || stat.group == session;
        (is_member && stat.start >= start).then_some(Trace::Session)
    }

    fn is_met(&self, pid: u32) -> bool {
        let is_orphan = || self.zygote.is_some() && process::parent_of(pid) == self.zygote && !is_guard(pid);
        self.mark(pid).is_some() || is_orphan()
    }

    /// Stops a process that is marked; says whether it did. It is pinned before it is looked at, so nobody else is met.
    fn freeze(&self, pid: u32) -> bool {
        Handle::open(pid).is_ok_and(|handle| self.is_met(pid) && handle.signal(libc::SIGSTOP).is_ok())
    }

    /// Stops those that are made while we look, again and again until nobody new comes: they are among the numbers after
    /// this one. What forks itself anew all the time is met like this; a look at all processes is too slow for it.
    fn chase(&self, after: u32, spared: &HashSet<u32>) -> HashSet<u32> {
        let end = Instant::now() + CHASE_LIMIT;
        let mut caught = HashSet::new();
        let mut last = after;
        loop {
            let newest = process::newest();
            let count = caught.len();
            // The newest few: whoever is missed has handed on to one of them, or is seen by the next look.
            for pid in (newest.saturating_sub(CHASED).max(after) + 1..=newest).rev() {
                if !caught.contains(&pid) && !spared.contains(&pid) && self.freeze(pid) {
                    caught.insert(pid);
                }
            }
            let is_over = caught.len() == count && newest == last;
            if is_over || Instant::now() >= end {
                return caught;
            }
            last = newest;
        }
    }
}

/// Ends the survivors: the polite signal, one grace for all, then the kill; until two scans in a row find nobody, nor
/// among those that were made meanwhile, to which one of them may have handed on.
pub fn end(traces: &Traces, signal: i32, grace: Duration) -> Swept {
    let mut swept = Swept::default();
    // A guard that was killed lets go of its link before its children get a new parent: they are found only after.
    if let Some(guard) = traces.record.as_ref().and_then(|record| record.guard.pin()) {
        let _ = guard.wait(GUARD_END_LIMIT);
    }
    let polite_until = Instant::now() + grace;
    // Kills land at once; what is still there after this is stuck in the kernel or not ours to kill.
    let give_up = polite_until + Duration::from_secs(3);
    let mut empty_since = None;
    loop {
        let kill = Instant::now() >= polite_until || grace.is_zero();
        let newest = process::newest();
        let alive = look(traces, kill);
        if alive.is_empty() {
            empty_since = match empty_since {
                None => Some(newest),
                Some(before) if is_nobody_since(before, traces) => break,
                Some(_) => None,
            };
            continue;
        }
        empty_since = None;
        let now = Instant::now();
        if now >= give_up {
            swept.stuck = alive.iter().map(|s| stuck(s.identity.pid)).collect();
            break;
        }
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
        let slice =
            if kill { Duration::from_millis(20) } else { polite_until.saturating_duration_since(now) };
        wait_for_any(&pinned, slice);
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

/// Whether none of those that were made after this number is marked. Looks until nobody new comes; where processes are
/// made all the time, that ends after a while.
fn is_nobody_since(before: u32, traces: &Traces) -> bool {
    let end = Instant::now() + EMPTY_LIMIT;
    let (signs, spared) = (Signs::of(traces), spared(traces));
    let is_alive = |pid: u32| process::stat(pid).is_ok_and(|stat| !stat.is_dead());
    loop {
        let newest = process::newest();
        // The numbers have begun anew, or are too many to be looked at: the two scans must do.
        if newest.checked_sub(before).is_none_or(|made| made > MADE_MOST) {
            return true;
        }
        let mut made = (before + 1..=newest).rev();
        if made.any(|pid| !spared.contains(&pid) && signs.is_met(pid) && is_alive(pid)) {
            return false;
        }
        if process::newest() == newest || Instant::now() >= end {
            return true;
        }
    }
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
fn orphans_of(zygote: Option<u32>) -> Vec<u32> {
    let Some(zygote) = zygote else { return Vec::new() };
    process::children(zygote).into_iter().filter(|pid| !is_guard(*pid)).collect()
}

fn is_guard(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .is_ok_and(|name| ["soloist-guard", "soloist-zygote"].contains(&name.trim_end()))
}

/// The claims that processes say they belong to, by their cookies: one look at all processes, for many guards that are
/// about to start. As a survivor may hand on to a child and end while we look, we look twice.
pub fn marked_claims() -> HashSet<PathBuf> {
    let look = || process::pids().unwrap_or_default().into_iter().filter_map(process::cookie_of);
    look().chain(look()).collect()
}

/// Gives free pages of the heap back to the kernel, as many as a look at all processes may have needed.
pub fn give_back_memory() {
    // SAFETY: malloc_trim(3) touches only what is free, under the allocator's own locks.
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Children of a process that are not in `known`; what it had before it became a guard.
pub fn orphans(of: u32, known: &[u32]) -> io::Result<Vec<u32>> {
    let mut children = process::children(of);
    let mut known = known.to_vec();
    known.sort_unstable();
    children.retain(|pid| known.binary_search(pid).is_err());
    Ok(children)
}
