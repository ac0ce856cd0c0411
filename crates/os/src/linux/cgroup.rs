//! A cgroup v2 leaf for one tree (cgroups(7), kernel: admin-guide/cgroup-v2): nothing that is in it can leave it by
//! forking, and `cgroup.kill` ends all of it at once. Where no leaf can be made, the tree is kept by other means.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::layout::named;

/// A leaf of the cgroup v2 hierarchy, ours alone.
#[derive(Debug)]
pub struct Leaf {
    path: PathBuf,
    folder: OwnedFd,
}

impl Leaf {
    /// Makes the leaf `name` below our own cgroup. An error means: no leaf here (no cgroup v2, no right to make one, or
    /// one with somebody in it), and the caller does without.
    ///
    /// Always a fresh one: into a cgroup that was once killed by `cgroup.kill`, clone3(2) with CLONE_INTO_CGROUP only
    /// makes processes that are killed at birth (seen with Linux 6.18).
    pub fn make(name: &str) -> io::Result<Leaf> {
        Leaf::make_in(&own()?, name)
    }

    /// As `make`, in a folder of the caller's choice.
    pub fn make_in(folder: &Path, name: &str) -> io::Result<Leaf> {
        let path = folder.join(name);
        remove_below(&path);
        fs::create_dir(&path).map_err(|e| named(e, "cannot make", &path))?;
        Leaf::open(&path)
    }

    /// Opens a leaf that was made before.
    pub fn open(path: &Path) -> io::Result<Leaf> {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let folder = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
        Ok(Leaf { path: path.to_owned(), folder })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For CLONE_INTO_CGROUP.
    pub fn fd(&self) -> RawFd {
        self.folder.as_raw_fd()
    }

    /// Every process in it and below it.
    pub fn pids(&self) -> Vec<u32> {
        let mut found = Vec::new();
        collect(&self.path, &mut found);
        found
    }

    /// Ends every process in it and below it at once, forks under way included (Linux 5.14).
    pub fn kill(&self) -> io::Result<()> {
        fs::write(self.path.join("cgroup.kill"), "1")
    }

    /// The number by which the kernel tells it in `pidfd_info` (the inode of its folder).
    pub fn id(&self) -> Option<u64> {
        rustix::fs::fstat(&self.folder).ok().map(|found| found.st_ino)
    }

    /// The most memory that was in it at once, since it was made; `None` where that controller is not delegated.
    pub fn peak_kib(&self) -> Option<u64> {
        let bytes: u64 = fs::read_to_string(self.path.join("memory.peak")).ok()?.trim().parse().ok()?;
        Some(bytes / 1024)
    }

    /// CPU time of all that were ever in it.
    pub fn cpu(&self) -> Option<Duration> {
        let text = fs::read_to_string(self.path.join("cpu.stat")).ok()?;
        let used = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
        used.trim().parse().ok().map(Duration::from_micros)
    }

    /// Removes it with what a service may have made below it. Only an empty one goes.
    pub fn remove(&self) {
        remove_below(&self.path);
    }
}

fn collect(folder: &Path, found: &mut Vec<u32>) {
    if let Ok(list) = fs::read_to_string(folder.join("cgroup.procs")) {
        // 0 stands for a process outside our pid namespace.
        found.extend(list.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|pid| *pid != 0));
    }
    for below in folders(folder) {
        collect(&below, found);
    }
}

fn remove_below(folder: &Path) {
    for below in folders(folder) {
        remove_below(&below);
    }
    let _ = fs::remove_dir(folder);
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

/// The processes directly in the cgroup of this id: the inode of its folder. None of the root, where all are that have no
/// cgroup of their own.
pub(super) fn members(id: u64) -> Vec<u32> {
    use std::os::unix::fs::DirEntryExt;
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Some((_, point)) = mounts.lines().find_map(cgroup2_mount) else { return Vec::new() };
    let mut next = vec![point];
    while let Some(folder) = next.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if entry.ino() == id {
                let list = fs::read_to_string(entry.path().join("cgroup.procs")).unwrap_or_default();
                return list.lines().filter_map(|pid| pid.parse().ok()).collect();
            }
            next.push(entry.path());
        }
    }
    Vec::new()
}

/// The folder of our own cgroup in the v2 hierarchy, also where v1 controllers are mounted beside it (hybrid).
pub(super) fn own() -> io::Result<PathBuf> {
    let absent = || io::Error::new(io::ErrorKind::Unsupported, "no cgroup v2 hierarchy is mounted");
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let (root, point) = mounts.lines().find_map(cgroup2_mount).ok_or_else(absent)?;
    let lines = fs::read_to_string("/proc/self/cgroup")?;
    let path = lines.lines().find_map(|line| line.strip_prefix("0::")).ok_or_else(absent)?;
    // Under a bind mount of a part, paths are told from that part's root on.
    let below = Path::new(path)
        .strip_prefix(&root)
        .unwrap_or(Path::new(path).strip_prefix("/").unwrap_or(Path::new("")));
    Ok(point.join(below))
}

/// Root and mount point of a line of mountinfo (proc_pid_mountinfo(5)) that mounts cgroup2.
fn cgroup2_mount(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (mount, kind) = line.split_once(" - ")?;
    if !kind.starts_with("cgroup2 ") {
        return None;
    }
    let mut fields = mount.split(' ').skip(3);
    let root = fields.next()?;
    let point = fields.next()?;
    Some((PathBuf::from(unescape(root)), PathBuf::from(unescape(point))))
}

/// mountinfo writes space, tab, line feed and backslash in octal.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_leaf_counts_is_read_where_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        let leaf = Leaf::open(folder.path()).unwrap();
        assert_eq!((leaf.peak_kib(), leaf.cpu()), (None, None));
        fs::write(folder.path().join("memory.peak"), "10485760\n").unwrap();
        fs::write(folder.path().join("cpu.stat"), "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n")
            .unwrap();
        assert_eq!((leaf.peak_kib(), leaf.cpu()), (Some(10240), Some(Duration::from_micros(1500))));
        assert_eq!(
            leaf.id(),
            Some(std::os::unix::fs::MetadataExt::ino(&fs::metadata(folder.path()).unwrap()))
        );
    }

    #[test]
    fn the_v2_mount_is_found_beside_v1_controllers() {
        let v1 = "30 29 0:26 / /sys/fs/cgroup/cpu rw shared:9 - cgroup cgroup rw,cpu";
        let v2 = "42 29 0:38 / /sys/fs/cgroup/uni\\040fied rw shared:21 - cgroup2 cgroup2 rw";
        assert!(cgroup2_mount(v1).is_none());
        assert_eq!(cgroup2_mount(v2), Some(("/".into(), "/sys/fs/cgroup/uni fied".into())));
    }
}
