//! `listen`: soloist listens for a service and hands the sockets over. Whoever connects between two runs waits for the
//! next one; nobody is refused by a restart, a crash, the death of the daemon or of the guard. A stop closes them.

use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;

use e2e::{
    Crowd, Identity, LIMIT, Project, Real, binaries, daemon, free_port, is_free, program, puppet, quoted,
};
use e2e::{skip_loudly, wait_until};

const QUICK: &str =
    "backoff = { first = \"50ms\", max = \"200ms\" }\nrestart-limit = { count = 50, period = \"1m\" }\n";

fn project(lines: &str) -> Project {
    let command = quoted(&puppet(&["--handed"]));
    Project::new(&format!("[services.web]\ncommand = {command}\n{QUICK}{lines}\n"))
}

/// What it says: the name of the socket, and its pid.
fn said(mut stream: impl Read) -> io::Result<(String, u32)> {
    let mut line = String::new();
    stream.read_to_string(&mut line)?;
    let said = line.trim().split_once(' ').and_then(|(name, pid)| Some((name.to_owned(), pid.parse().ok()?)));
    said.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, format!("it said {line:?}")))
}

fn ask(port: u16) -> io::Result<(String, u32)> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    said(stream)
}

fn crowd(port: u16) -> Crowd {
    Crowd::asking(move || ask(port).map(drop))
}

fn main_process(project: &Project) -> Identity {
    let pid = project.service("web").pid.unwrap_or_else(|| panic!("it does not run\n{}", project.diary()));
    Identity::of(pid).unwrap_or_else(|| panic!("pid {pid} is gone"))
}

#[test]
fn a_run_is_handed_what_is_declared_and_a_stop_closes_it() {
    let port = free_port();
    let project = project(&format!(
        "listen = [{{ name = 'http', at = '127.0.0.1:{port}' }}, '[::1]:{port}', 'unix:web.v1.sock']"
    ));
    // What an earlier one left; nobody listens there.
    drop(std::os::unix::net::UnixListener::bind(project.path("web.v1.sock")).unwrap());
    project.soloist(&["up", "-d"]).expect(0);
    let pid = main_process(&project).pid;
    let v6 = || TcpStream::connect((Ipv6Addr::LOCALHOST, port));
    let unix = || UnixStream::connect(project.path("web.v1.sock"));
    assert_eq!(ask(port).unwrap(), ("http".to_owned(), pid));
    assert_eq!(said(v6().unwrap()).unwrap(), (port.to_string(), pid));
    assert_eq!(said(unix().unwrap()).unwrap(), ("web.v1".to_owned(), pid));
    assert_eq!(project.service("web").ports, [port]);
    let who = project.soloist(&["who", &port.to_string()]).expect(0);
    assert!(who.all().contains("service web of this project"), "{who}");
    // Nothing else goes over: 0 to 2, its three sockets, and what the puppet has opened itself.
    let sockets = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let sockets = sockets.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    assert_eq!(sockets.filter(|link| link.to_string_lossy().starts_with("socket:")).count(), 6);
    project.soloist(&["stop", "web"]).expect(0);
    assert!(is_free(port));
    for refused in [ask(port).err(), v6().err(), unix().err()] {
        assert_eq!(refused.unwrap().kind(), io::ErrorKind::ConnectionRefused);
    }
    assert_eq!(project.service("web").state, "stopped");
    project.soloist(&["start", "web"]).expect(0);
    ask(port).unwrap();
    said(unix().unwrap()).unwrap();
}

#[test]
fn nobody_is_refused_by_restarts_and_crashes() {
    const ROUNDS: usize = 10;
    let port = free_port();
    let project = project(&format!("port = {port}\nlisten = 'soloist'"));
    project.soloist(&["up", "-d"]).expect(0);
    let crowd = crowd(port);
    for _ in 0..ROUNDS {
        project.soloist(&["restart", "web"]).expect(0);
        crowd.wait_for_answers(20);
        let victim = main_process(&project);
        assert!(victim.kill());
        wait_until("the next run answers", LIMIT, || match ask(port) {
            Ok((_, pid)) if pid != victim.pid => Ok(()),
            other => Err(format!("{other:?}\n{}", project.diary())),
        });
    }
    crowd.is_content(2 * ROUNDS);
}

#[test]
fn who_connects_between_two_runs_is_answered_by_the_next() {
    let port = free_port();
    let project = project(&format!("port = {port}\nlisten = 'soloist'"));
    project.write(
        "soloist.toml",
        &project.read("soloist.toml").replace("50ms\", max = \"200ms", "2s\", max = \"2s"),
    );
    project.soloist(&["up", "-d"]).expect(0);
    for _ in 0..2 {
        let victim = main_process(&project);
        assert!(victim.kill());
        // Until then a thread of it may still take who connects, and be gone.
        wait_until("all of it is gone", LIMIT, || match Identity::of(victim.pid) {
            Some(found) if found == victim => Err(victim),
            _ => Ok(()),
        });
        assert_ne!(ask(port).unwrap().1, victim.pid);
    }
}

#[test]
fn nobody_is_refused_by_the_death_of_the_daemon_or_the_guard() {
    let port = free_port();
    let project = project(&format!("port = {port}\nlisten = 'soloist'"));
    project.soloist(&["up", "-d"]).expect(0);
    let crowd = crowd(port);
    let first = main_process(&project);
    let dead = daemon::kill(&project);
    crowd.wait_for_answers(20);
    daemon::wait_for_another(&project, dead, LIMIT);
    assert_eq!(main_process(&project), first, "{}", project.diary());
    // The sockets came back with the claim: the next run gets the same ones.
    project.soloist(&["restart", "web"]).expect(0);
    crowd.wait_for_answers(20);
    let (guard, orphan) = (project.guard("web"), main_process(&project));
    assert!(guard.kill());
    wait_until("another run answers", LIMIT, || match ask(port) {
        Ok((_, pid)) if pid != orphan.pid => Ok(()),
        other => Err(format!("{other:?}\n{}", project.diary())),
    });
    assert_ne!(project.guard("web"), guard);
    crowd.wait_for_answers(20);
    crowd.is_content(2);
}

#[test]
fn another_declaration_listens_elsewhere() {
    let (one, two) = (free_port(), free_port());
    let project = project(&format!("listen = ['127.0.0.1:{one}']"));
    project.soloist(&["up", "-d"]).expect(0);
    let crowd = crowd(one);
    let change = |from: &str, to: &str| {
        project.write("soloist.toml", &project.read("soloist.toml").replace(from, to));
        project.soloist(&["up", "-d"]).expect(0);
    };
    change("listen = [", &format!("listen = ['127.0.0.1:{two}', "));
    assert_eq!(ask(two).unwrap(), (two.to_string(), main_process(&project).pid));
    crowd.wait_for_answers(20);
    crowd.is_content(1);
    change(&format!(", '127.0.0.1:{one}'"), "");
    assert!(is_free(one));
    ask(two).unwrap();
    change(&format!("127.0.0.1:{two}"), &format!("0.0.0.0:{two}"));
    assert_eq!(ask(two).unwrap().1, main_process(&project).pid);
    // A program that does not take it finds its port taken, and by whom.
    let listens = format!("\"--listen\", \"{two}\"");
    let toml = project.read("soloist.toml").replace("\"--handed\"", &listens);
    project.write("soloist.toml", &toml);
    // It has its sockets at once, and may count as ready in the moment before it ends.
    project.soloist(&["up", "-d"]);
    wait_until("it is said who has the port", LIMIT, || {
        let told = project.soloist(&["status"]).expect(0).all();
        let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
        if words.contains("taken by soloist itself, as `listen` says") { Ok(()) } else { Err(told) }
    });
    // No more: then the program listens itself, and finds its port free.
    change(&format!("listen = ['0.0.0.0:{two}']"), &format!("port = {two}"));
    assert!(project.service("web").ready, "{}", project.diary());
}

#[test]
fn what_cannot_be_listened_on_is_said_and_not_tried_again() {
    // Of a network for documents (RFC 5737): no machine has it.
    let project = project(&format!("listen = '192.0.2.1:{}'", free_port()));
    let output = project.soloist(&["start", "web"]);
    assert_ne!(output.code(), 0, "{output}");
    for part in ["cannot listen on 192.0.2.1:", "no network interface", "`listen`"] {
        assert!(output.all().contains(part), "{part}: {output}");
    }
    let service = project.service("web");
    assert_eq!((service.state.as_str(), service.restarts), ("failed", 0), "{service:?}");

    let file = self::project("listen = 'unix:taken'");
    file.write("taken", "not a socket");
    let output = file.soloist(&["up", "-d"]);
    assert!(output.all().contains("taken: Address already in use"), "{output}\n{}", file.diary());
    assert_eq!(file.read("taken"), "not a socket");
}

#[test]
fn a_port_that_others_have_is_refused_with_their_name() {
    let port = free_port();
    let project = project(&format!("port = {port}\nlisten = 'soloist'"));
    let other = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let output = project.soloist(&["start", "web"]).expect(6);
    assert!(output.names_number(u64::from(std::process::id())), "{output}");
    drop(other);
    project.soloist(&["start", "web"]).expect(0);
    ask(port).unwrap();
}

#[test]
fn a_privileged_port_needs_its_right() {
    let least = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    let port = (1..1024).find(|port| is_free(*port)).unwrap();
    if least.trim().parse::<u16>().is_ok_and(|least| least <= port) {
        return skip_loudly("this machine has no privileged ports");
    }
    let Some(setpriv) = program("setpriv") else { return skip_loudly("setpriv(1) is not here") };
    let project = project(&format!("port = {port}\nlisten = 'soloist'"));
    let mut command = Command::new(setpriv);
    command.args(["--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"]);
    command.arg(&binaries().soloist).args(["start", "web"]);
    project.dress(&mut command);
    let output = e2e::project::finish(&mut command, "start web, without the right");
    for part in [&format!("cannot listen on 127.0.0.1:{port}"), "ip_unprivileged_port_start", "higher port"] {
        assert!(output.all().contains(part), "{part}: {output}\n{}", project.diary());
    }
    assert_eq!(project.service("web").state, "failed");
}

/// A real server as docs/sockets.md says, restarted while a crowd asks.
fn real_server(services: &[&str], command: impl FnOnce(&Real) -> Vec<String>) {
    const ROUNDS: usize = 5;
    let Some(real) = Real::installed() else { return };
    let (port, project) = (free_port(), real.project(services));
    let command = quoted(&command(&real));
    let home = project.path("home");
    project.write(
        "soloist.toml",
        &format!(
            "[services.web]\ncommand = {command}\nport = {port}\nlisten = \"soloist\"\nenv = {{ HOME = \"{home}\" }}\n\
             readiness = {{ http = \"/\", period-seconds = 0.1 }}\n{QUICK}"
        ),
    );
    project.soloist(&["up", "-d"]).expect(0);
    let ask = move || match e2e::real::http::get_within(port, LIMIT)? {
        (200, _) => Ok(()),
        other => Err(io::Error::other(format!("{other:?}"))),
    };
    let crowd = Crowd::asking(ask);
    for _ in 0..ROUNDS {
        crowd.wait_for_answers(20);
        project.soloist(&["restart", "web"]).expect(0);
    }
    crowd.wait_for_answers(20);
    let victim = main_process(&project);
    assert!(victim.kill());
    wait_until("the next run is ready", LIMIT, || match project.service("web") {
        service if service.ready && service.pid != Some(victim.pid) => Ok(()),
        service => Err(format!("{service:?}\n{}", project.diary())),
    });
    crowd.wait_for_answers(20);
    crowd.is_content(ROUNDS + 1);
    project.soloist(&["stop", "web"]).expect(0);
    assert!(is_free(port));
}

#[test]
fn real_uvicorn_is_restarted_and_nobody_is_refused() {
    real_server(&["asgi.py"], |real| {
        vec![real.python("uvicorn"), "--fd".into(), "3".into(), "asgi:app".into()]
    });
}

#[test]
fn real_gunicorn_is_restarted_and_nobody_is_refused() {
    real_server(&["wsgi.py"], |real| {
        vec![real.python("gunicorn"), "--workers".into(), "2".into(), "wsgi:app".into()]
    });
}

#[test]
fn real_node_is_restarted_and_nobody_is_refused() {
    real_server(&["handed.js"], |_| vec!["node".into(), "handed.js".into()]);
}
