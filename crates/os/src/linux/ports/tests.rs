//! The look-up against listeners, twins and children made here, and its readers against texts as /proc writes them.

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
fn the_first_owner_leads_to_those_who_share_the_socket_with_it() {
    let _alone = alone();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let short = Short::holding(OwnedFd::from(listener.try_clone().unwrap()).into());
    for near in [&[][..], &[process::id()], &[short.0.id()], &[u32::MAX]] {
        let found = first_listeners(port_of(&listener), near).unwrap();
        let [found] = &found[..] else { panic!("{found:?}") };
        assert!(is_among(process::id(), &found.owners), "{near:?}: {found:?}");
        assert!(is_among(short.0.id(), &found.owners), "{near:?}: {found:?}");
        assert!(found.owners.is_sorted_by_key(|owner| owner.start_ticks));
    }
    let port = port_of(&listener);
    drop((short, listener));
    // Other tests fork meanwhile, and a child before its exec still holds our sockets.
    assert!(first_listeners(port, &[]).unwrap().iter().all(|one| !is_among(process::id(), &one.owners)));
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
    assert_eq!(me.start_ticks, crate::platform::stat(process::id()).unwrap().start);
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
    for other in ["socket:[1]", "socket:[0]", "socket:[12", "socket:[]", "pipe:[12]", "/tmp/socket:[12]"] {
        assert_eq!(wanted.find(other.as_bytes()), None, "{other}");
    }
}
