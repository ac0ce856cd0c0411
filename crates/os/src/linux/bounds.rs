//! Memory and CPU of one tree: kept by the kernel where a cgroup v2 controller is delegated (kernel:
//! admin-guide/cgroup-v2, "Delegation"), else measured by what `/proc` says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::cgroup::{Leaf, own};
use crate::bounds::{Bounded, OomCount};
use crate::guard::Limits;

/// The period of `cpu.max` in microseconds, the kernel's own.
const CPU_PERIOD: f64 = 100_000.0;
/// The kernel takes no smaller share of it.
const CPU_LEAST: f64 = 1_000.0;

impl Leaf {
    /// As `make`, but there where the kernel can keep these limits, if there is such a place.
    pub fn make_for(name: &str, limits: &Limits) -> io::Result<Leaf> {
        let wanted = wanted(limits);
        if wanted.is_empty() {
            return Leaf::make(name);
        }
        let places = places()?;
        let able = places.iter().find(|place| wanted.iter().all(|controller| enable(place, controller)));
        match able.map(|place| Leaf::make_in(place, name)) {
            Some(Ok(leaf)) => Ok(leaf),
            _ => Leaf::make(name),
        }
    }

    /// Has the kernel keep these limits from now on, and says which of them it keeps.
    pub fn bound(&self, limits: &Limits) -> Bounded {
        let write = |file: &str, text: &str| fs::write(self.path().join(file), text).is_ok();
        let memory = limits.memory_max.map_or("max".to_owned(), |bytes| bytes.to_string());
        let cpu = limits.cpu_max.map_or("max".to_owned(), |cpus| {
            format!("{:.0} {CPU_PERIOD:.0}", (cpus * CPU_PERIOD).max(CPU_LEAST))
        });
        let is_memory_kept = write("memory.max", &memory);
        if is_memory_kept {
            // Both need not be there: without swap there is nothing to keep, without a group only the largest dies.
            write("memory.swap.max", if limits.memory_max.is_some() { "0" } else { "max" });
            write("memory.oom.group", if limits.memory_max.is_some() { "1" } else { "0" });
        }
        Bounded { memory: is_memory_kept, cpu: write("cpu.max", &cpu) }
    }

    /// How often the tree has hit its own memory limit, and how many processes were killed for want of memory.
    pub fn oom(&self) -> OomCount {
        fs::read_to_string(self.path().join("memory.events")).map_or(OomCount::default(), |text| oom(&text))
    }

    /// Whether it holds this process.
    pub fn holds(&self, pid: u32) -> bool {
        self.pids().contains(&pid)
    }
}

/// The memory of these processes together in KiB. What is below the limit is the sum of their resident sets, which is
/// cheap and never too small. Above it the proportional sets are summed: a page that forked workers share is counted
/// once, so that nobody is ended for memory that is not there. They cost the kernel a walk over all pages.
pub fn memory_kib(pids: &[u32], limit_kib: u64) -> u64 {
    let resident = pids.iter().filter_map(|pid| resident_kib(*pid)).sum();
    if resident <= limit_kib {
        return resident;
    }
    pids.iter().filter_map(|pid| proportional_kib(*pid).or_else(|| resident_kib(*pid))).sum()
}

fn resident_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * (rustix::param::page_size() as u64 / 1024))
}

fn proportional_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

pub(super) fn wanted(limits: &Limits) -> Vec<&'static str> {
    let memory = limits.memory_max.is_some().then_some("memory");
    let cpu = limits.cpu_max.is_some().then_some("cpu");
    memory.into_iter().chain(cpu).collect()
}

/// Where a leaf may be made: below our own cgroup; and beside it where that folder was delegated to us, as systemd does
/// with `Delegate=yes` and `DelegateSubgroup=` (systemd.resource-control(5)): a cgroup with processes of its own, ours
/// among them, may not hand controllers on.
pub(super) fn places() -> io::Result<Vec<PathBuf>> {
    let own = own()?;
    let beside = own.parent().filter(|parent| is_delegated(parent)).map(Path::to_owned);
    Ok(beside.into_iter().chain([own]).collect())
}

/// systemd marks what it delegates with an extended attribute.
fn is_delegated(folder: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0u8; 4];
        rustix::fs::getxattr(folder, *name, &mut value).is_ok_and(|length| value.get(..length) == Some(b"1"))
    })
}

/// Whether leaves made in this folder have the controller, now at the latest.
fn enable(folder: &Path, controller: &str) -> bool {
    let file = folder.join("cgroup.subtree_control");
    let has = || names(&file, controller);
    has() || (fs::write(&file, format!("+{controller}")).is_ok() && has())
}

/// Whether `enable` would, as far as can be told without trying. A cgroup with processes of its own hands nothing on, but
/// for the topmost, which has no type.
pub(super) fn can_enable(folder: &Path, controller: &str, is_own: bool) -> bool {
    let file = folder.join("cgroup.subtree_control");
    let may_write = rustix::fs::access(&file, rustix::fs::Access::WRITE_OK).is_ok();
    let is_empty = !is_own || !folder.join("cgroup.type").exists();
    names(&file, controller)
        || (names(&folder.join("cgroup.controllers"), controller) && may_write && is_empty)
}

fn names(file: &Path, controller: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.split_whitespace().any(|word| word == controller))
}

fn oom(text: &str) -> OomCount {
    let count = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    OomCount { hits: count("oom"), kills: count("oom_kill") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_memory_events_are_told_apart() {
        let text = "low 0\nhigh 3\nmax 41\noom 2\noom_kill 5\noom_group_kill 1\n";
        assert_eq!(oom(text), OomCount { hits: 2, kills: 5 });
        assert_eq!(oom(""), OomCount::default());
    }

    #[test]
    fn what_the_kernel_is_told_is_written_as_it_wants_it() {
        let folder = tempfile::tempdir().unwrap();
        let leaf = Leaf::open(folder.path()).unwrap();
        let limits = Limits { memory_max: Some(1 << 20), cpu_max: Some(1.5), ..Limits::default() };
        assert_eq!(leaf.bound(&limits), Bounded { memory: true, cpu: true });
        let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
        let said = ["memory.max", "memory.swap.max", "memory.oom.group", "cpu.max"].map(read);
        assert_eq!(said, ["1048576", "0", "1", "150000 100000"]);
        leaf.bound(&Limits::default());
        assert_eq!([read("memory.max"), read("cpu.max")], ["max", "max"]);
    }

    #[test]
    fn what_could_be_handed_on_is_told_without_trying() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
        let can = |is_own| can_enable(folder.path(), "memory", is_own);
        write("cgroup.controllers", "cpu pids\n");
        write("cgroup.subtree_control", "\n");
        assert!(!can(false), "it is not delegated");
        write("cgroup.controllers", "cpu memory\n");
        assert!(can(false) && can(true), "the topmost has no type");
        write("cgroup.type", "domain\n");
        assert!(can(false) && !can(true), "our own has processes of its own");
        write("cgroup.subtree_control", "memory\n");
        assert!(can(true), "it is handed on already");
    }

    #[test]
    fn shared_pages_are_not_counted_twice() {
        let me = std::process::id();
        let resident = memory_kib(&[me, me], u64::MAX);
        assert!(resident > 0);
        assert!(memory_kib(&[me], 0) <= resident / 2, "proportional is never more than resident");
    }
}
