//! Who listens on a TCP port, on Linux: the kernel tells the sockets (`sock_diag.rs`), /proc tells who holds them.
//! Three prices: `sockets` a tenth of a millisecond; `owners_among` as much again for a handful of pids; `listeners`
//! reads every process's descriptors. Ask the cheap ones first.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::{error, fmt};

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat, readlinkat, readlinkat_raw};
use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;
use rustix::path::{Arg, DecInt};
use rustix::time::{ClockId, clock_gettime};

use super::process::{self, parse_stat, wait_channel};
use super::{cgroup, sock_diag};
use crate::ports::{Listener, Owner, Socket};
use crate::stat::Stat;

/// How often `listeners` looks in all, while sockets come and go under its eyes.
const LOOKS: u32 = 3;

/// The sockets listening on `port` over IPv4 and IPv6, sorted. Only the kernel is asked (sock_diag(7)), no process is
/// looked at. Nothing listens on port 0.
pub fn sockets(port: u16) -> io::Result<Vec<Socket>> {
    if port == 0 {
        return Ok(Vec::new());
    }
    sock_diag::listening(port)
        .map_err(during(format!("cannot ask the kernel who listens on port {port} (sock_diag)")))
}

/// The sockets listening on `port`, each with every process that holds it (proc_pid_fd(5)).
///
/// Each owner named was alive and held the socket during this call. Owners that may not be seen are left out, see
/// [`Listener::owners`]; so is one whose main thread has ended while others live, as /proc shows no descriptors for it.
pub fn listeners(port: u16) -> io::Result<Vec<Listener>> {
    let mut seen = sockets(port)?;
    let mut looks = 1;
    let owners = loop {
        let owners = owners_of(&seen)
            .map_err(during(format!("cannot look in /proc for the processes listening on port {port}")))?;
        if looks == LOOKS || seen.iter().all(|socket| owners.contains_key(&socket.inode)) {
            break owners;
        }
        // A server restarted between the two questions leaves a socket nobody holds. Told so, it would be taken for a
        // stranger's; the socket of a hidden owner is still there.
        let now = sockets(port)?;
        if now == seen {
            break owners;
        }
        seen = now;
        looks += 1;
    };
    Ok(owned(seen, owners))
}

/// As `listeners`, for a person who waits: each socket with the first process that is found to hold it, and with those
/// near to that one who hold it as well: parents, siblings and children, and theirs. Looked at are first `near`, then who
/// is in the cgroup that the socket was made in, then everybody, the newest first. Who got the socket in another way than
/// by a fork, and who shares it with others that have lost their common parent to other parents, is left out.
pub fn first_listeners(port: u16, near: &[u32]) -> io::Result<Vec<Listener>> {
    let seen = sockets(port)?;
    let mut search = Search::new(&seen)?;
    near.iter().try_for_each(|pid| search.look(*pid))?;
    for cgroup in seen.iter().filter_map(|socket| socket.cgroup) {
        if !search.is_done() {
            cgroup::members(cgroup).into_iter().rev().try_for_each(|pid| search.look(pid))?;
        }
    }
    if !search.is_done() {
        for pid in process::pids()? {
            search.look(pid)?;
            if search.is_done() {
                break;
            }
        }
    }
    if !search.is_done() {
        // Hidden, or restarted meanwhile: that takes more than one look.
        return listeners(port);
    }
    search.complete()?;
    Ok(owned(seen, search.owners))
}

/// A look for the holders of sockets, process by process.
struct Search {
    proc: OwnedFd,
    wanted: Wanted,
    boot: Option<i64>,
    looked: HashSet<u32>,
    owners: HashMap<u64, Vec<Owner>>,
}

impl Search {
    fn new(sockets: &[Socket]) -> io::Result<Search> {
        let inodes: Vec<u64> = sockets.iter().map(|socket| socket.inode).collect();
        let (proc, wanted) = (open_proc()?, Wanted::new(&inodes));
        Ok(Search { proc, wanted, boot: boot_ms(), looked: HashSet::new(), owners: HashMap::new() })
    }

    /// Whether each socket has a holder.
    fn is_done(&self) -> bool {
        self.owners.len() == self.wanted.0.len()
    }

    fn look(&mut self, pid: u32) -> io::Result<()> {
        if !self.looked.insert(pid) {
            return Ok(());
        }
        let Some(process) = Process::open(&self.proc, DecInt::new(pid), pid)? else { return Ok(()) };
        let held = process.held(&self.wanted)?;
        if held.is_empty() {
            return Ok(());
        }
        let Some(owner) = process.owner(self.boot)? else { return Ok(()) };
        for inode in held {
            self.owners.entry(inode).or_default().push(owner.clone());
        }
        Ok(())
    }

    /// Those near to who was found, as long as that finds more.
    fn complete(&mut self) -> io::Result<()> {
        let mut asked = HashSet::new();
        loop {
            let found = self.owners.values().flatten();
            let new = found.filter(|owner| !asked.contains(&owner.pid));
            let Some((pid, parent)) = new.map(|owner| (owner.pid, owner.parent)).next() else { break };
            asked.insert(pid);
            let mut near = process::children(pid);
            near.extend(parent);
            near.extend(parent.map(process::children).unwrap_or_default());
            near.into_iter().try_for_each(|pid| self.look(pid))?;
        }
        self.sort();
        Ok(())
    }

    fn sort(&mut self) {
        for owners in self.owners.values_mut() {
            owners.sort_unstable_by_key(|owner| (owner.start_ticks, owner.pid));
        }
    }
}

/// All listening sockets, each with the processes that hold it, as they are at one look.
pub fn all_listeners() -> io::Result<Vec<Listener>> {
    let seen = sock_diag::listening(0).map_err(during("cannot ask the kernel who listens (sock_diag)"))?;
    let owners = owners_of(&seen).map_err(during("cannot look in /proc for the processes that listen"))?;
    Ok(owned(seen, owners))
}

/// Which of `pids` hold which of the sockets `inodes`: per inode that is held at all, the pids in ascending order.
/// Reads the descriptors of these pids only (proc_pid_fd(5)); one that is gone or unreadable holds nothing.
pub fn owners_among(inodes: &[u64], pids: &[u32]) -> io::Result<HashMap<u64, Vec<u32>>> {
    holders(inodes, pids).map_err(during("cannot look in /proc for the holders of sockets"))
}

/// What is told of one process, whether or not it listens; `None` if it is gone or may not be read.
pub fn process(pid: u32) -> Option<Owner> {
    Process::open(&open_proc().ok()?, DecInt::new(pid), pid).ok()??.owner(boot_ms()).ok()?
}

fn holders(inodes: &[u64], pids: &[u32]) -> io::Result<HashMap<u64, Vec<u32>>> {
    let wanted = Wanted::new(inodes);
    let mut pids = pids.to_vec();
    pids.sort_unstable();
    pids.dedup();
    let mut holders: HashMap<u64, Vec<u32>> = HashMap::new();
    let proc = open_proc()?;
    for pid in pids {
        let Some(process) = Process::open(&proc, DecInt::new(pid), pid)? else { continue };
        for inode in process.held(&wanted)? {
            holders.entry(inode).or_default().push(pid);
        }
    }
    Ok(holders)
}

/// The owners of each socket that has any, the eldest first.
fn owners_of(sockets: &[Socket]) -> io::Result<HashMap<u64, Vec<Owner>>> {
    let mut search = Search::new(sockets)?;
    if !search.wanted.0.is_empty() {
        process::pids()?.into_iter().try_for_each(|pid| search.look(pid))?;
    }
    search.sort();
    Ok(search.owners)
}

fn owned(sockets: Vec<Socket>, mut owners: HashMap<u64, Vec<Owner>>) -> Vec<Listener> {
    let owned = |socket: Socket| {
        let owners = owners.remove(&socket.inode).unwrap_or_default();
        socket.with_owners(owners)
    };
    sockets.into_iter().map(owned).collect()
}

/// Inodes to look for, sorted.
struct Wanted(Vec<u64>);

impl Wanted {
    fn new(inodes: &[u64]) -> Self {
        // The kernel says 0 of a socket without an inode; no descriptor can show it.
        let mut inodes: Vec<u64> = inodes.iter().copied().filter(|&inode| inode != 0).collect();
        inodes.sort_unstable();
        inodes.dedup();
        Self(inodes)
    }

    /// The inode, if `link` is `socket:[inode]` of a wanted one.
    fn find(&self, link: &[u8]) -> Option<u64> {
        let inode = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
        let inode = std::str::from_utf8(inode).ok()?.parse().ok()?;
        self.0.binary_search(&inode).is_ok().then_some(inode)
    }
}

/// A process held by its open folder in /proc.
///
/// The folder belongs to the process and not to its pid: once the process is reaped, reading below it fails with ESRCH
/// or ENOENT, even if the pid lives again. So all that is read through one `Process` is of one process.
struct Process {
    pid: u32,
    folder: OwnedFd,
}

impl Process {
    fn open(proc: &OwnedFd, name: impl Arg, pid: u32) -> io::Result<Option<Self>> {
        let folder = visible(openat(proc, name, OFlags::PATH | FOLDER, Mode::empty()))?;
        Ok(folder.map(|folder| Self { pid, folder }))
    }

    /// The wanted sockets among its descriptors, sorted, each once.
    fn held(&self, wanted: &Wanted) -> io::Result<Vec<u64>> {
        let mut held = Vec::new();
        let Some(fds) = visible(openat(&self.folder, c"fd", FOLDER, Mode::empty()))? else { return Ok(held) };
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut entries = RawDir::new(&fds, &mut buffer);
        while let Some(entry) = entries.next() {
            let Some(entry) = visible(entry)? else { break };
            let name = entry.file_name();
            if name.to_bytes().starts_with(b".") {
                continue;
            }
            // A longer link is cut, and is no socket's.
            let mut link = [MaybeUninit::uninit(); 40];
            match readlinkat_raw(&fds, name, &mut link) {
                Ok((link, _)) => held.extend(wanted.find(link)),
                Err(Errno::NOENT) => {}
                // Leave is given or refused for the whole process (ptrace(2)), though its folder may be listed.
                Err(Errno::ACCESS | Errno::PERM | Errno::SRCH) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        held.sort_unstable();
        held.dedup();
        Ok(held)
    }

    /// All that is told of it, unless it ends meanwhile.
    fn owner(&self, boot: Option<i64>) -> io::Result<Option<Owner>> {
        let Some(before) = self.stat()? else { return Ok(None) };
        let Some(uid) = self.read(c"status")?.as_deref().and_then(real_uid) else { return Ok(None) };
        let command = self.read(c"cmdline")?.as_deref().map(arguments).unwrap_or_default();
        let dir = visible(readlinkat(&self.folder, c"cwd", Vec::new()))?;
        let cgroup = self.read(c"cgroup")?.as_deref().and_then(cgroup_path);
        // The open folder rules out that another process came in between. That this one is still there is worth
        // asking: its socket is not its own any more once it has ended.
        let Some(after) = self.stat()? else { return Ok(None) };
        if after.is_dead() || after.start != before.start {
            return Ok(None);
        }
        Ok(Some(Owner {
            pid: self.pid,
            uid,
            started_ms: boot.and_then(|boot| started_ms(boot, after.start)),
            start_ticks: after.start,
            command,
            dir: dir.map(|dir| PathBuf::from(OsString::from_vec(dir.into_bytes()))),
            cgroup,
            parent: Some(after.parent).filter(|&parent| parent != 0),
            state: after.state,
            wait_channel: if after.state == 'D' { wait_channel(self.pid) } else { None },
        }))
    }

    fn stat(&self) -> io::Result<Option<Stat>> {
        Ok(self.read(c"stat")?.as_deref().and_then(parse_stat))
    }

    /// The whole of one of its files, if the process is there and lets itself be read.
    fn read(&self, name: &CStr) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let Some(file) = visible(openat(&self.folder, name, flags, Mode::empty()))? else { return Ok(None) };
        let mut text = Vec::new();
        match File::from(file).read_to_end(&mut text) {
            Ok(_) => Ok(Some(text)),
            Err(error) => match Errno::from_io_error(&error) {
                Some(errno) => visible(Err(errno)),
                None => Err(error),
            },
        }
    }
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

fn open_proc() -> io::Result<OwnedFd> {
    Ok(openat(CWD, c"/proc", FOLDER, Mode::empty())?)
}

/// None for what has ended or may not be read. Anything else, such as having no descriptors left, must not pass for
/// "nobody holds it".
fn visible<T>(result: rustix::io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Errno::NOENT | Errno::SRCH | Errno::ACCESS | Errno::PERM) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// What was attempted; the reason is its source.
#[derive(Debug)]
struct Failed {
    attempt: String,
    cause: io::Error,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.attempt)
    }
}

impl error::Error for Failed {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.cause)
    }
}

fn during(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> io::Error {
    move |cause| io::Error::new(cause.kind(), Failed { attempt: attempt.into(), cause })
}

/// The first number of the line `Uid:` (proc_pid_status(5): real, effective, saved, file system).
fn real_uid(status: &[u8]) -> Option<u32> {
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:"))?;
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

/// proc_pid_cmdline(5): the arguments, each ended by a NUL. Programs that rewrite their title leave a tail of NULs,
/// which is dropped, and with it a true empty last argument.
fn arguments(cmdline: &[u8]) -> Vec<String> {
    let Some(last) = cmdline.iter().rposition(|&byte| byte != 0) else { return Vec::new() };
    cmdline[..=last].split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// cgroups(7): lines of `hierarchy:controllers:path`. `0::` is the unified tree; where that is only mounted beside the
/// old ones everything is in its root, and systemd's `name=systemd` tells more.
fn cgroup_path(text: &[u8]) -> Option<String> {
    let (mut unified, mut systemd) = (None, None);
    for line in text.split(|&byte| byte == b'\n') {
        let mut fields = line.splitn(3, |&byte| byte == b':');
        match (fields.next(), fields.next(), fields.next()) {
            (Some(b"0"), Some(b""), path) => unified = path,
            (_, Some(b"name=systemd"), path) => systemd = path,
            _ => {}
        }
    }
    let path = match unified {
        Some(b"/") | None => systemd.or(unified)?,
        Some(path) => path,
    };
    Some(String::from_utf8_lossy(path).into_owned())
}

/// The unix time of the boot in milliseconds, by the clock as it is set now. /proc/stat has it in whole seconds only.
pub(super) fn boot_ms() -> Option<i64> {
    let now = clock_gettime(ClockId::Realtime);
    let up = clock_gettime(ClockId::Boottime);
    let seconds = now.tv_sec.checked_sub(up.tv_sec)?;
    seconds.checked_mul(1000)?.checked_add((now.tv_nsec - up.tv_nsec) / 1_000_000)
}

pub(super) fn started_ms(boot: i64, start_ticks: u64) -> Option<u64> {
    let since_boot = start_ticks.checked_mul(1000)? / clock_ticks_per_second();
    u64::try_from(boot).ok()?.checked_add(since_boot)
}

#[cfg(test)]
mod tests;
