//! Who listens on a TCP port, on Linux: the kernel tells the sockets (`sock_diag.rs`), /proc tells who holds them.
//! Three prices: `sockets` a tenth of a millisecond; `owners_among` as much again for a handful of pids; `listeners`
//! reads every process's descriptors. Ask the cheap ones first.

use std::collections::HashMap;
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

use super::sock_diag;
use crate::ports::{Listener, Owner, Socket};

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
    let mut owners = loop {
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
    let owned = |socket: Socket| {
        let owners = owners.remove(&socket.inode).unwrap_or_default();
        socket.with_owners(owners)
    };
    Ok(seen.into_iter().map(owned).collect())
}

/// Which of `pids` hold which of the sockets `inodes`: per inode that is held at all, the pids in ascending order.
/// Reads the descriptors of these pids only (proc_pid_fd(5)); one that is gone or unreadable holds nothing.
pub fn owners_among(inodes: &[u64], pids: &[u32]) -> io::Result<HashMap<u64, Vec<u32>>> {
    holders(inodes, pids).map_err(during("cannot look in /proc for the holders of sockets"))
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
    let mut owners: HashMap<u64, Vec<Owner>> = HashMap::new();
    let inodes: Vec<u64> = sockets.iter().map(|socket| socket.inode).collect();
    let wanted = Wanted::new(&inodes);
    if wanted.is_empty() {
        return Ok(owners);
    }
    let boot = boot_ms();
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let proc = open_proc()?;
    let mut entries = RawDir::new(&proc, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        let Some(pid) = name.to_str().ok().and_then(|name| name.parse().ok()) else { continue };
        let Some(process) = Process::open(&proc, name, pid)? else { continue };
        let held = process.held(&wanted)?;
        if held.is_empty() {
            continue;
        }
        let Some(owner) = process.owner(boot)? else { continue };
        for inode in held {
            owners.entry(inode).or_default().push(owner.clone());
        }
    }
    for owners in owners.values_mut() {
        owners.sort_unstable_by_key(|owner| (owner.start_ticks, owner.pid));
    }
    Ok(owners)
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

    fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        if !after.alive || after.start_ticks != before.start_ticks {
            return Ok(None);
        }
        Ok(Some(Owner {
            pid: self.pid,
            uid,
            started_ms: boot.and_then(|boot| started_ms(boot, after.start_ticks)),
            start_ticks: after.start_ticks,
            command,
            dir: dir.map(|dir| PathBuf::from(OsString::from_vec(dir.into_bytes()))),
            cgroup,
            parent: Some(after.parent).filter(|&parent| parent != 0),
        }))
    }

    fn stat(&self) -> io::Result<Option<Stat>> {
        Ok(self.read(c"stat")?.as_deref().and_then(Stat::parse))
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

/// The fields of proc_pid_stat(5) we use.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// Not a zombie, and not dead.
    alive: bool,
    /// 0 if it has no parent in this pid namespace.
    parent: u32,
    start_ticks: u64,
}

impl Stat {
    /// Fields 3 (state), 4 (ppid) and 22 (starttime). Field 2 is the name in parentheses, which may itself contain
    /// spaces and parentheses; none of the fields after it does.
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|&byte| byte == b')')?;
        let mut fields = std::str::from_utf8(&text[end + 1..]).ok()?.split_ascii_whitespace();
        let alive = !matches!(fields.next()?, "Z" | "X" | "x");
        let parent = fields.next()?.parse().ok()?;
        let start_ticks = fields.nth(22 - 5)?.parse().ok()?;
        Some(Self { alive, parent, start_ticks })
    }
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
fn boot_ms() -> Option<i64> {
    let now = clock_gettime(ClockId::Realtime);
    let up = clock_gettime(ClockId::Boottime);
    let seconds = now.tv_sec.checked_sub(up.tv_sec)?;
    seconds.checked_mul(1000)?.checked_add((now.tv_nsec - up.tv_nsec) / 1_000_000)
}

fn started_ms(boot: i64, start_ticks: u64) -> Option<u64> {
    let since_boot = start_ticks.checked_mul(1000)? / clock_ticks_per_second();
    u64::try_from(boot).ok()?.checked_add(since_boot)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
    use std::os::fd::AsFd as _;
    use std::process::{self, Child, Command, Stdio};
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
    use std::{fs, thread};

    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with, sockopt};

    use super::*;

    fn port_of(listener: &TcpListener) -> u16 {
        listener.local_addr().unwrap().port()
    }

    fn inode_of(socket: impl std::os::fd::AsFd) -> u64 {
        rustix::fs::fstat(socket).unwrap().st_ino
    }

    fn tcp(family: AddressFamily) -> OwnedFd {
        socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
    }

    /// A listener that lets others of its kind listen on its port.
    fn twin(port: u16) -> TcpListener {
        let socket = tcp(AddressFamily::INET);
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
        listen(&socket, 1).unwrap();
        TcpListener::from(socket)
    }

    fn v6(v6_only: bool) -> TcpListener {
        let socket = tcp(AddressFamily::INET6);
        sockopt::set_ipv6_v6only(&socket, v6_only).unwrap();
        bind(&socket, &SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).unwrap();
        listen(&socket, 1).unwrap();
        TcpListener::from(socket)
    }

    /// The kernel may give an IPv4 and an IPv6 socket the same free port: one test at a time makes them.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other tests fork meanwhile, and a child before its exec still holds our sockets: hence "among".
    fn is_among(pid: u32, owners: &[Owner]) -> bool {
        owners.iter().any(|owner| owner.pid == pid)
    }

    /// A process killed at the end of its test.
    struct Short(Child);

    impl Short {
        fn holding(stdin: Stdio) -> Self {
            Self(Command::new("sleep").arg("60").stdin(stdin).spawn().unwrap())
        }
    }

    impl Drop for Short {
        fn drop(&mut self) {
            self.0.kill().and_then(|()| self.0.wait()).ok();
        }
    }

    #[test]
    fn an_ipv4_listener_is_found_with_its_owner() {
        let _alone = alone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let found = listeners(port_of(&listener)).unwrap();
        let [found] = &found[..] else { panic!("{found:?}") };
        assert_eq!(found.port, port_of(&listener));
        assert_eq!(found.address, IpAddr::from(Ipv4Addr::LOCALHOST));
        assert!(!found.v6_only);
        assert_eq!(found.inode, inode_of(&listener));
        assert_eq!(found.uid, rustix::process::geteuid().as_raw());
        assert!(is_among(process::id(), &found.owners));
    }

    #[test]
    fn a_dual_stack_listener_is_one_socket_and_a_v6_only_one_says_so() {
        let _alone = alone();
        for v6_only in [false, true] {
            let listener = v6(v6_only);
            let found = sockets(port_of(&listener)).unwrap();
            let [found] = &found[..] else { panic!("{found:?}") };
            assert_eq!(found.address, IpAddr::from(Ipv6Addr::UNSPECIFIED));
            assert_eq!(found.v6_only, v6_only);
            assert_eq!(found.inode, inode_of(&listener));
        }
    }

    #[test]
    fn twins_on_one_port_are_two_sockets() {
        let _alone = alone();
        let first = twin(0);
        let second = twin(port_of(&first));
        let found = listeners(port_of(&first)).unwrap();
        let mut expected = [inode_of(&first), inode_of(&second)];
        expected.sort_unstable();
        assert_eq!(found.iter().map(|socket| socket.inode).collect::<Vec<_>>(), expected);
        assert!(found.iter().all(|socket| is_among(process::id(), &socket.owners)));
    }

    #[test]
    fn a_port_in_time_wait_has_no_listener() {
        let _alone = alone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = port_of(&listener);
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let (served, _) = listener.accept().unwrap();
        drop(listener);
        // The side that closes first is the one left in TIME_WAIT.
        drop(served);
        drop(client);
        // Without this the test could pass for a port that is simply free. In proc_pid_net(5) the second field is the
        // local address, the fourth the state, and 06 is TIME_WAIT.
        let local = format!("0100007F:{port:04X}");
        let limit = Instant::now() + Duration::from_secs(5);
        loop {
            let table = fs::read_to_string("/proc/net/tcp").unwrap();
            let rows = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
            let states: Vec<_> = rows.filter(|row| row[1] == local).map(|row| row[3].to_owned()).collect();
            if states == ["06"] {
                break;
            }
            assert!(Instant::now() < limit, "not left in TIME_WAIT, last seen {states:?}");
            thread::yield_now();
        }
        assert_eq!(sockets(port).unwrap(), []);
        assert_eq!(listeners(port).unwrap(), []);
    }

    #[test]
    fn a_port_used_by_an_outgoing_connection_has_no_listener() {
        let _alone = alone();
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port_of(&server))).unwrap();
        assert_eq!(listeners(client.local_addr().unwrap().port()).unwrap(), []);
    }

    #[test]
    fn an_outgoing_connection_is_not_named_beside_the_true_listener() {
        let _alone = alone();
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Over IPv4 the port may still be in the TIME_WAIT of an earlier test.
        let pair = || {
            let true_one = v6(true);
            let outgoing = tcp(AddressFamily::INET);
            let from = SocketAddr::from((Ipv4Addr::LOCALHOST, port_of(&true_one)));
            bind(&outgoing, &from).ok().map(|()| (true_one, outgoing))
        };
        let (true_one, outgoing) = (0..100).find_map(|_| pair()).unwrap();
        connect(&outgoing, &server.local_addr().unwrap()).unwrap();
        let found = sockets(port_of(&true_one)).unwrap();
        let [found] = &found[..] else { panic!("{found:?}") };
        assert_eq!(found.inode, inode_of(&true_one));
    }

    #[test]
    fn a_bound_socket_that_does_not_listen_is_no_listener() {
        let _alone = alone();
        let socket = tcp(AddressFamily::INET);
        bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let bound = TcpListener::from(socket);
        assert_eq!(sockets(port_of(&bound)).unwrap(), []);
    }

    #[test]
    fn nothing_listens_on_port_0() {
        let _alone = alone();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(sockets(0).unwrap(), []);
    }

    #[test]
    fn an_answer_of_many_parts_is_read_whole() {
        let _alone = alone();
        let first = twin(0);
        let port = port_of(&first);
        let more: Vec<_> = (1..300).map(|_| twin(port)).collect();
        let mut expected: Vec<_> = more.iter().map(inode_of).chain([inode_of(&first)]).collect();
        expected.sort_unstable();
        let inodes = |found: Vec<Socket>| found.iter().map(|socket| socket.inode).collect::<Vec<_>>();
        assert_eq!(inodes(sockets(port).unwrap()), expected);
    }

    #[test]
    fn a_listener_passed_to_a_child_has_both_as_owners_the_elder_first() {
        let _alone = alone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let before = now();
        let short = Short::holding(OwnedFd::from(listener.try_clone().unwrap()).into());
        let child = short.0.id();
        let limit = Instant::now() + Duration::from_secs(5);
        let child = loop {
            let found = listeners(port_of(&listener)).unwrap();
            let [found] = &found[..] else { panic!("{found:?}") };
            assert!(found.owners.is_sorted_by_key(|owner| owner.start_ticks));
            assert!(is_among(process::id(), &found.owners));
            let child = found.owners.iter().find(|owner| owner.pid == child).unwrap();
            // The spawn is over a moment before the kernel has laid out the arguments.
            if !child.command.is_empty() || Instant::now() > limit {
                break child.clone();
            }
        };
        assert_eq!(child.command, ["sleep", "60"]);
        assert_eq!(child.parent, Some(process::id()));
        // A second of grace: start times are cut to clock ticks, and clocks are put right.
        let started = child.started_ms.unwrap();
        assert!((before - 1000..=now() + 1000).contains(&started), "{started} is not near {before}");
    }

    #[test]
    fn the_owner_is_described() {
        let _alone = alone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let found = listeners(port_of(&listener)).unwrap();
        let me = found[0].owners.iter().find(|owner| owner.pid == process::id()).unwrap();
        assert_eq!(me.uid, rustix::process::getuid().as_raw());
        assert_eq!(me.command, std::env::args().collect::<Vec<_>>());
        assert_eq!(me.dir, std::env::current_dir().ok());
        assert_eq!(me.parent, Some(std::os::unix::process::parent_id()).filter(|&parent| parent != 0));
        let stat = fs::read("/proc/self/stat").unwrap();
        assert_eq!(me.start_ticks, Stat::parse(&stat).unwrap().start_ticks);
    }

    #[test]
    fn owners_are_looked_for_only_among_the_pids_given() {
        let _alone = alone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let child = Short::holding(OwnedFd::from(listener.try_clone().unwrap()).into());
        let (me, child) = (process::id(), child.0.id());
        let (shared, mine) = (inode_of(&listener), inode_of(&other));
        let nobody = u32::MAX;

        let held = owners_among(&[shared, mine, 0], &[child, me, nobody, me]).unwrap();
        let mut both = vec![me, child];
        both.sort_unstable();
        assert_eq!(held, HashMap::from([(shared, both), (mine, vec![me])]));

        assert_eq!(owners_among(&[shared], &[child]).unwrap(), HashMap::from([(shared, vec![child])]));
        assert_eq!(owners_among(&[mine], &[child]).unwrap(), HashMap::new());
        assert_eq!(owners_among(&[], &[me]).unwrap(), HashMap::new());
    }

    #[test]
    fn a_process_that_ended_after_it_was_found_is_not_named() {
        let _alone = alone();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut child = Short::holding(OwnedFd::from(listener.try_clone().unwrap()).into());
        let pid = child.0.id();
        let process = Process::open(&open_proc().unwrap(), DecInt::new(pid), pid).unwrap().unwrap();
        let wanted = Wanted::new(&[inode_of(listener.as_fd())]);
        assert_eq!(process.held(&wanted).unwrap(), wanted.0);
        assert_eq!(process.owner(boot_ms()).unwrap().unwrap().pid, pid);
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        assert_eq!(process.held(&wanted).unwrap(), Vec::<u64>::new());
        assert_eq!(process.owner(boot_ms()).unwrap(), None);
    }

    #[test]
    fn a_process_name_with_parentheses_does_not_shift_the_fields() {
        let text = b"7 (a) R 1 (x) S 3 7 7 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 4242 9 9\n";
        assert_eq!(Stat::parse(text), Some(Stat { alive: true, parent: 3, start_ticks: 4242 }));
        let zombie = b"7 (a) Z 0 7 7 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 4242 9 9\n";
        assert_eq!(Stat::parse(zombie), Some(Stat { alive: false, parent: 0, start_ticks: 4242 }));
        assert_eq!(Stat::parse(b"7 (a) R 1"), None);
    }

    #[test]
    fn the_cgroup_is_the_one_that_tells_something() {
        let path = |text: &str| cgroup_path(text.as_bytes());
        assert_eq!(path("0::/user.slice/a:b\n").as_deref(), Some("/user.slice/a:b"));
        assert_eq!(path("2:cpu:/x\n1:name=systemd:/user.slice\n0::/\n").as_deref(), Some("/user.slice"));
        assert_eq!(path("1:name=systemd:/user.slice\n0::/own\n").as_deref(), Some("/own"));
        assert_eq!(path("1:name=systemd:/user.slice\n").as_deref(), Some("/user.slice"));
        assert_eq!(path("0::/\n").as_deref(), Some("/"));
        assert_eq!(path(""), None);
    }

    #[test]
    fn an_error_says_what_was_attempted_and_keeps_its_reason() {
        let error = during("cannot look")(io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), "cannot look");
        let source = error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.and_then(io::Error::raw_os_error), Some(libc::ENOENT));
    }

    #[test]
    fn arguments_are_split_at_their_nuls() {
        assert_eq!(arguments(b"sh\0-c\0\0x y\0"), ["sh", "-c", "", "x y"]);
        assert_eq!(arguments(b"postgres: writer\0\0\0\0"), ["postgres: writer"]);
        assert_eq!(arguments(b""), Vec::<String>::new());
    }

    #[test]
    fn only_a_wanted_socket_is_taken_from_a_link() {
        let wanted = Wanted::new(&[12, 7, 0, 12]);
        assert_eq!(wanted.find(b"socket:[12]"), Some(12));
        for other in ["socket:[1]", "socket:[0]", "socket:[12", "socket:[]", "pipe:[12]", "/tmp/socket:[12]"]
        {
            assert_eq!(wanted.find(other.as_bytes()), None, "{other}");
        }
    }
}
