//! `who PORT` names every process that listens, and none that does not; `free PORT` ends only what may be ended.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use e2e::{Background, LIMIT, Output, Project, free_port, is_free, puppet, wait_until};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

const OTHERS: usize = 2000;

/// A puppet that listens, and has been seen to.
fn listener(project: &Project, port: u16, flags: &[&str]) -> Background {
    let text = port.to_string();
    let puppet = project.stranger(&puppet(&[&["--listen", &text], flags].concat()));
    wait_until("it listens", LIMIT, || match listens(&puppet) {
        true => Ok(()),
        false => Err(puppet.said()),
    });
    puppet
}

/// Whether a socket of the process listens: it has one a moment before it does.
fn listens(puppet: &Background) -> bool {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", puppet.pid())).into_iter().flatten().flatten();
    let links = descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let inodes: Vec<String> = links
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    sockets().iter().any(|fields| fields[3] == LISTENING && inodes.contains(&fields[9]))
}

/// As in `/proc/net/tcp`.
const LISTENING: &str = "0A";

/// The fields of all sockets of both families (proc_pid_net(5)): 1 is the local address, 3 the state, 9 the inode.
fn sockets() -> Vec<Vec<String>> {
    let both =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let lines = both.iter().flat_map(|table| table.lines());
    let fields = lines.map(|line| line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>());
    fields.filter(|fields| fields.len() > 9).collect()
}

/// Asks twice, for people and for scripts; both must name just these. What this process listens on, each child that
/// another test starts has as well, until it is another program: so it may take another look.
#[track_caller]
fn who_names(project: &Project, port: u16, expected: &[u32]) -> Output {
    let text = port.to_string();
    let expected: BTreeSet<u64> = expected.iter().map(|pid| u64::from(*pid)).collect();
    wait_until("just those are named", LIMIT, || {
        let json = project.soloist(&["who", &text, "--json"]).expect(0);
        let mut pids = BTreeSet::new();
        collect_pids(&json.json(), &mut pids);
        if pids == expected { Ok(()) } else { Err(format!("{expected:?} are not {json}")) }
    });
    let said = project.soloist(&["who", &text]).expect(0);
    for pid in expected {
        assert!(said.names_number(pid), "pid {pid} is not named by {said}");
    }
    said
}

#[track_caller]
fn who_names_nobody(project: &Project, port: u16) {
    let text = port.to_string();
    wait_until("nobody is named", LIMIT, || match project.soloist(&["who", &text, "--json"]) {
        said if said.code() == 3 => Ok(()),
        said => Err(said),
    });
    let said = project.soloist(&["who", &text]).expect(3);
    assert!(!said.all().contains("pid"), "{said}");
}

fn collect_pids(value: &serde_json::Value, pids: &mut BTreeSet<u64>) {
    match value {
        serde_json::Value::Array(all) => all.iter().for_each(|one| collect_pids(one, pids)),
        serde_json::Value::Object(fields) => {
            pids.extend(fields.get("pid").and_then(serde_json::Value::as_u64));
            fields.values().for_each(|one| collect_pids(one, pids));
        }
        _ => {}
    }
}

/// States of sockets with this local port, of both families: 06 is TIME_WAIT.
fn states(port: u16) -> Vec<String> {
    let local = format!(":{port:04X}");
    let there = sockets().into_iter().filter(|fields| fields[1].ends_with(&local));
    there.map(|mut fields| fields.swap_remove(3)).collect()
}

fn one_listener_is_named(project: &Project) {
    let port = free_port();
    let one = listener(project, port, &[]);
    let said = who_names(project, port, &[one.pid()]);
    said.says("puppet");
}

fn a_dual_stack_listener_is_named_once(project: &Project) {
    let port = free_port();
    let dual = listener(project, port, &["--dual"]);
    who_names(project, port, &[dual.pid()]);
}

fn listeners_of_both_families_are_both_named(project: &Project) {
    let port = free_port();
    let four = listener(project, port, &[]);
    // Another address of the other family: both may listen.
    let six = TcpListener::bind(("::1", port)).unwrap();
    who_names(project, port, &[four.pid(), std::process::id()]);
    drop(six);
    who_names(project, port, &[four.pid()]);
}

fn reuseport_twins_are_both_named(project: &Project) {
    let port = free_port();
    let twins = [listener(project, port, &["--reuseport"]), listener(project, port, &["--reuseport"])];
    who_names(project, port, &[twins[0].pid(), twins[1].pid()]);
}

fn both_owners_of_a_forked_listener_are_named(project: &Project) {
    let port = free_port();
    let heirs = project.write(&format!("heirs-{port}"), "").display().to_string();
    let parent = listener(project, port, &["--fork-listener", "--beacon", &heirs]);
    let heir = wait_until("the heir is there", LIMIT, || {
        let beacon = e2e::Beacon::at(heirs.as_ref());
        beacon.with_role("heir").first().copied().ok_or_else(|| format!("{:?}", beacon.all()))
    });
    who_names(project, port, &[parent.pid(), heir.pid]);
    parent.signal(rustix::process::Signal::KILL);
    wait_until(
        "the parent is dead",
        LIMIT,
        || if parent.identity().is_alive() { Err("alive") } else { Ok(()) },
    );
    who_names(project, port, &[heir.pid]);
    heir.kill();
    wait_until(
        "the port is free",
        LIMIT,
        || if is_free(port) { Ok(()) } else { Err(states(port).join(" ")) },
    );
    who_names_nobody(project, port);
}

fn a_connection_in_time_wait_is_no_listener(project: &Project) {
    let port = free_port();
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (accepted, _) = server.accept().unwrap();
    // Who closes first stays in TIME_WAIT: here the server's side, with the port as its local one.
    drop(accepted);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop(client);
    drop(server);
    wait_until("the connection is in TIME_WAIT", LIMIT, || match &states(port)[..] {
        [state] if state == "06" => Ok(()),
        other => Err(other.join(" ")),
    });
    who_names_nobody(project, port);
}

fn an_outgoing_connection_that_uses_the_port_number_is_no_listener(project: &Project) {
    let (port, other) = (free_port(), free_port());
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, other)).unwrap();
    let client = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&client, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    // Bound only, then connected: neither is listening.
    who_names_nobody(project, port);
    connect(&client, &SocketAddr::from((Ipv4Addr::LOCALHOST, other))).unwrap();
    let (accepted, from) = server.accept().unwrap();
    assert_eq!(from.port(), port);
    who_names_nobody(project, port);
    who_names(project, other, &[std::process::id()]);
    // An accepted connection outlives its listener and has the listener's port.
    drop(server);
    who_names_nobody(project, other);
    drop(accepted);
}

fn a_udp_socket_is_no_listener_on_the_tcp_port(project: &Project) {
    let port = free_port();
    let _socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    who_names_nobody(project, port);
}

const CHECKS: [fn(&Project); 8] = [
    one_listener_is_named,
    a_dual_stack_listener_is_named_once,
    listeners_of_both_families_are_both_named,
    reuseport_twins_are_both_named,
    both_owners_of_a_forked_listener_are_named,
    a_connection_in_time_wait_is_no_listener,
    an_outgoing_connection_that_uses_the_port_number_is_no_listener,
    a_udp_socket_is_no_listener_on_the_tcp_port,
];

#[test]
fn who_names_every_listener_and_nothing_else() {
    let project = Project::empty();
    for check in CHECKS {
        check(&project);
    }
}

#[test]
fn who_is_right_and_quick_among_2000_other_processes() {
    let project = Project::empty();
    let sleepers = project.path("sleepers");
    let count = OTHERS.to_string();
    let crowd = project.stranger(&puppet(&["--sleepers", &count, "--beacon", &sleepers, "--life", "150"]));
    let crowd_beacon = e2e::Beacon::at(sleepers.as_ref());
    wait_until("the crowd is there", Duration::from_secs(60), || {
        let asleep = crowd_beacon.with_role("sleeper").len();
        if asleep >= OTHERS { Ok(()) } else { Err(format!("{asleep}\n{}", crowd.said())) }
    });
    for check in CHECKS {
        check(&project);
    }
    let port = free_port();
    let one = listener(&project, port, &[]);
    let said = who_names(&project, port, &[one.pid()]);
    said.is_within(Duration::from_secs(1));
    drop(crowd);
    wait_until("the crowd is gone", LIMIT, || match crowd_beacon.living().len() {
        0 => Ok(()),
        left => Err(left),
    });
}

#[test]
fn free_ends_a_foreign_listener_only_when_forced() {
    let project = Project::empty();
    let port = free_port();
    let text = port.to_string();
    let mut foreign = listener(&project, port, &[]);
    let said = project.soloist(&["free", &text]).expect(6);
    assert!(said.names_number(u64::from(foreign.pid())), "the holder is not named by {said}");
    assert!(foreign.ended().is_none(), "it was ended without --force: {said}");
    let freed = project.soloist(&["free", &text, "--force"]).expect(0);
    assert!(is_free(port), "the port is taken after {freed}");
    foreign.wait(LIMIT);
    // Already so.
    project.soloist(&["free", &text]).expect(0);
    who_names_nobody(&project, port);
}

#[test]
fn a_service_does_not_start_on_a_port_that_a_foreign_process_holds() {
    let project = Project::empty();
    let port = free_port();
    let (text, token) = (port.to_string(), project.path("token"));
    let foreign = listener(&project, port, &[]);
    let command = puppet(&["--token-file", &token, "--listen", &text]);
    project.write(
        "soloist.toml",
        &format!("[services.api]\ncommand = {}\nport = {port}\n", e2e::quoted(&command)),
    );
    for command in [&["up", "-d"][..], &["start", "api"], &["ensure", "api"]] {
        let said = project.soloist(command).expect(6);
        assert!(said.names_number(u64::from(foreign.pid())), "the holder is not named by {said}");
        assert!(said.names_number(u64::from(port)), "the port is not named by {said}");
    }
    let seen = project.service("api");
    assert!(seen.pid.is_none() && !seen.ready, "{seen:?}");
    let run =
        [&["run", "one", "--port", &text, "--"][..], &command.iter().map(String::as_str).collect::<Vec<_>>()];
    let said = project.soloist(&run.concat()).expect(6);
    assert!(said.names_number(u64::from(foreign.pid())), "the holder is not named by {said}");
    assert_eq!(project.journal().starts(), [], "nothing was started");
    assert!(foreign.identity().is_alive());
    // Once the port is free it starts.
    drop(foreign);
    project.soloist(&["start", "api"]).expect(0);
    let own = project.service("api").pid.unwrap();
    who_names(&project, port, &[own]);
}

#[test]
fn what_waits_for_a_port_gets_it_when_the_port_is_freed() {
    let project = Project::empty();
    let port = free_port();
    let text = port.to_string();
    let mut foreign = listener(&project, port, &[]);
    let command = e2e::quoted(&puppet(&["--listen", &text]));
    project.write("soloist.toml", &format!("[services.api]\ncommand = {command}\nport = {port}\n"));
    project.soloist(&["up", "-d"]).expect(6);
    project.soloist(&["free", &text, "--force"]).expect(0).says("free for api, which waited for it");
    foreign.wait(LIMIT);
    let pid = wait_until("api has the port", LIMIT, || {
        let seen = project.service("api");
        seen.pid.filter(|_| seen.ready).ok_or_else(|| format!("{seen:?}"))
    });
    who_names(&project, port, &[pid]);
    // Nobody waits now: it is stopped as a service is.
    project.soloist(&["free", &text]).expect(0).says("api stopped").says("is free");
    who_names_nobody(&project, port);
    assert_eq!(project.service("api").state, "stopped");
}

#[test]
fn a_stale_server_that_answers_on_the_port_is_not_readiness() {
    let project = Project::empty();
    let port = free_port();
    // It only sleeps; a stranger begins to listen on its port after it was started.
    let command = e2e::quoted(&puppet(&["--life", "120"]));
    project.write(
        "soloist.toml",
        &format!(
            "[services.api]\ncommand = {command}\nport = {port}\nready-timeout = \"2s\"\nrestart = \"no\"\n"
        ),
    );
    let mut start = project.spawn(&["start", "api"]);
    wait_until("it is up", LIMIT, || {
        let seen = project.service("api");
        if seen.pid.is_some() { Ok(()) } else { Err(format!("{seen:?}\n{}", start.said())) }
    });
    let foreign = listener(&project, port, &["--reuseport"]);
    let said = start.wait(LIMIT);
    assert!([6, 7].contains(&said.code()), "a foreign listener was taken for readiness: {said}");
    assert!(!project.service("api").ready);
    assert!(foreign.identity().is_alive());
}

/// A service that binds its port only when it is told to, and a stranger that is quicker: what the start says then.
fn beaten_to_its_port(flags: &[&str]) -> (Project, Output) {
    let project = Project::empty();
    let (port, go) = (free_port(), project.path("go"));
    let server = puppet(&[&["--listen", &port.to_string()], flags].concat()).join(" ");
    let script = format!("while [ ! -e '{go}' ]; do sleep 0.02; done; exec {server}");
    let command = e2e::quoted(&["/bin/sh", "-c", &script]);
    project.write(
        "soloist.toml",
        &format!(
            "[services.api]\ncommand = {command}\nport = {port}\nready-timeout = \"20s\"\nrestart = \"no\"\n"
        ),
    );
    let mut start = project.spawn(&["start", "api"]);
    wait_until("it is up", LIMIT, || {
        let seen = project.service("api");
        if seen.pid.is_some() { Ok(()) } else { Err(format!("{seen:?}\n{}", start.said())) }
    });
    let foreign = listener(&project, port, flags);
    project.write("go", "");
    let said = start.wait(LIMIT);
    assert!(said.names_number(u64::from(foreign.pid())), "the stranger is not named by {said}");
    assert!(foreign.identity().is_alive());
    let history = project.soloist(&["history", "api", "--json"]).expect(0);
    assert!(!history.all().contains("\"ready\""), "it was called ready: {history}");
    (project, said)
}

#[test]
fn a_server_that_cannot_bind_while_an_old_one_answers_is_never_ready() {
    let (project, said) = beaten_to_its_port(&[]);
    assert_ne!(said.code(), 0, "{said}");
    assert!(!project.service("api").ready);
}

#[test]
fn a_server_whose_twin_shares_the_port_is_never_ready() {
    let (project, said) = beaten_to_its_port(&["--reuseport"]);
    assert_eq!(said.code(), 6, "{said}");
    assert!(!project.service("api").ready);
}
