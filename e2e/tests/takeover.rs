//! Whoever holds the port of a service is named by a start that fails, and is ended by one with force, together with
//! what would start it again; who may not be ended is left alone, with the command that ends it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use e2e::{
    Background, Caller, Identity, LIMIT, Output, Project, Terminal, free_port, in_namespace, is_free,
    program, puppet, quoted, skip_loudly, wait_until,
};
use rustix::process::Signal;

const YES: [&str; 4] = ["start", "api", "--force", "--yes"];

/// The service `api` on a port, and nothing on it yet.
struct Place {
    project: Project,
    port: u16,
}

impl Place {
    fn new() -> Place {
        let port = free_port();
        let listen = port.to_string();
        let command = quoted(&puppet(&["--listen", &listen]));
        let text = format!("[services.api]\ncommand = {command}\nport = {port}\nstop-grace = \"2s\"\n");
        Place { project: Project::new(&text), port }
    }

    /// A stranger: a puppet that listens there.
    fn puppet(&self, flags: &[&str]) -> Background {
        let port = self.port.to_string();
        self.await_listener(self.project.stranger(&puppet(&[&["--listen", &port], flags].concat())))
    }

    /// A shell that runs this script, in which `$server` is a puppet on the port.
    fn shell(&self, script: &str) -> Background {
        let server = puppet(&["--listen", &self.port.to_string()]).join(" ");
        let script = script.replace("$server", &server);
        self.await_listener(self.project.stranger(&["/bin/sh", "-c", &script]))
    }

    fn await_listener(&self, stranger: Background) -> Background {
        wait_until("somebody listens", LIMIT, || match self.holders()[..] {
            [] => Err(stranger.said()),
            _ => Ok(()),
        });
        stranger
    }

    /// All that `who` names.
    fn holders(&self) -> Vec<Identity> {
        let said = self.project.soloist(&["who", &self.port.to_string(), "--json"]);
        let listeners = said.json();
        let pids = listeners.as_array().into_iter().flatten().flat_map(|one| one["pids"].as_array().cloned());
        let pids = pids.flatten().filter_map(|pid| u32::try_from(pid.as_u64()?).ok());
        pids.filter_map(Identity::of).collect()
    }

    /// The start fails and names the holder; unasked, force only shows; then it takes over, and nobody comes back.
    #[track_caller]
    fn is_taken_over_from(&self, starters: &[Identity]) -> Output {
        let holders = self.holders();
        assert!(!holders.is_empty());
        let names_all = |said: &Output, all: &[Identity]| {
            for one in all {
                assert!(said.names_number(u64::from(one.pid)), "{one} is not named by {said}");
            }
        };
        names_all(&self.project.soloist(&["start", "api"]).expect(6), &holders);
        let shown = self.project.soloist(&["start", "api", "--force"]).expect(6);
        names_all(&shown, &holders);
        names_all(&shown, starters);
        let all: Vec<Identity> = [&holders[..], starters].concat();
        assert!(all.iter().all(Identity::is_alive), "ended unasked: {shown}");
        let taken = self.project.soloist(&YES).expect(0);
        names_all(&taken, &all);
        let left: Vec<&Identity> = all.iter().filter(|one| one.is_alive()).collect();
        assert!(left.is_empty(), "{left:?} live after {taken}");
        self.is_ours();
        taken
    }

    /// The port is the service's, and nobody else's.
    #[track_caller]
    fn is_ours(&self) {
        let api = self.project.service("api");
        assert!(api.ready, "{api:?}");
        let pids: Vec<u32> = self.holders().iter().map(|one| one.pid).collect();
        assert_eq!(pids, [api.pid.unwrap()]);
    }

    /// Force does not help: the start names the holder and says this, and all of these live on.
    #[track_caller]
    fn is_refused(&self, says: &str, alive: &[Identity]) -> Output {
        let said = self.project.soloist(&YES).expect(6);
        said.says(says);
        assert!(alive.iter().all(Identity::is_alive), "{said}");
        assert!(self.project.service("api").pid.is_none());
        said
    }
}

#[test]
fn a_stranger_is_taken_over_from() {
    let place = Place::new();
    let stranger = place.puppet(&[]);
    place.is_taken_over_from(&[stranger.identity()]);
    // A second time there is nobody, and nothing changes.
    let before = place.project.service("api").pid;
    place.project.soloist(&YES).expect(0);
    place.project.soloist(&["takeover", "api"]).expect(0);
    assert_eq!(place.project.service("api").pid, before);
}

#[test]
fn a_stranger_that_ignores_the_polite_signal_is_killed() {
    let place = Place::new();
    let stranger = place.puppet(&["--deaf"]);
    place.is_taken_over_from(&[stranger.identity()]);
}

#[test]
fn a_shell_that_starts_its_server_again_and_again_is_ended_with_it() {
    let place = Place::new();
    let shell = place.shell("while true; do $server; done");
    place.is_taken_over_from(&[shell.identity()]).says("its script may start it again");
}

#[test]
fn a_loop_below_a_script_that_hears_no_signal_is_ended_too() {
    let place = Place::new();
    let shell = place.shell("trap '' TERM; sh -c 'while true; do $server; done'; true");
    place.is_taken_over_from(&[shell.identity()]);
}

#[test]
fn both_owners_of_a_forked_listener_go() {
    let place = Place::new();
    let stranger = place.puppet(&["--fork-listener", "--beacon", &place.project.path("heirs")]);
    wait_until("there are two", LIMIT, || match place.holders().len() {
        2 => Ok(()),
        other => Err(other),
    });
    place.is_taken_over_from(&[stranger.identity()]);
}

#[test]
fn twins_on_one_port_both_go() {
    let place = Place::new();
    let twins = [place.puppet(&["--reuseport"]), place.puppet(&["--reuseport"])];
    wait_until("there are two", LIMIT, || match place.holders().len() {
        2 => Ok(()),
        other => Err(other),
    });
    place.is_taken_over_from(&[twins[0].identity(), twins[1].identity()]);
}

#[test]
fn a_listener_on_ipv6_alone_goes() {
    let Some(python) = program("python3") else { return skip_loudly("there is no python3") };
    let place = Place::new();
    let script = "import socket,sys,time\ns = socket.socket(socket.AF_INET6)\n\
                  s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\n\
                  s.bind(('::', int(sys.argv[1])))\ns.listen()\ntime.sleep(300)\n";
    let command = [&python.display().to_string(), "-c", script, &place.port.to_string()].map(str::to_owned);
    let stranger = place.await_listener(place.project.stranger(&command));
    place.is_taken_over_from(&[stranger.identity()]);
}

#[test]
fn one_that_is_stopped_goes_and_is_told_to_be_stopped() {
    let place = Place::new();
    let stranger = place.puppet(&[]);
    stranger.signal(Signal::STOP);
    wait_until("it is stopped", LIMIT, || match stranger.identity().state() {
        Some('T') => Ok(()),
        other => Err(format!("{other:?}")),
    });
    place.project.soloist(&["start", "api"]).expect(6).says("stopped (state T)");
    let taken = place.is_taken_over_from(&[stranger.identity()]);
    // It heard the polite signal: nobody had to wait for the kill.
    taken.is_within(Duration::from_secs(5));
}

#[test]
fn a_service_of_another_project_is_asked_for() {
    let (place, other) = (Place::new(), Place::new());
    let command = quoted(&puppet(&["--listen", &place.port.to_string()]));
    other
        .project
        .write("soloist.toml", &format!("[services.web]\ncommand = {command}\nport = {}\n", place.port));
    let project = &other.project;
    project.soloist(&["start", "web"]).expect(0);
    let web = place.holders();
    place.project.soloist(&["start", "api"]).expect(6).says("service web of the soloist project");
    place.project.soloist(&["start", "api", "--force"]).expect(6).says("soloist is asked to stop it");
    place.project.soloist(&YES).expect(0);
    assert!(!web[0].is_alive());
    place.is_ours();
    let seen = project.service("web");
    assert_eq!((seen.state.as_str(), seen.wanted.as_str()), ("stopped", "down"));
    project.soloist(&["why", "web"]).expect(0).says("soloist start");
    // And one whose daemon died: it is brought back to be asked.
    place.project.soloist(&["stop", "api"]).expect(0);
    project.soloist(&["start", "web"]).expect(0);
    let daemon = project.status().daemon.and_then(|daemon| Identity::of(daemon.pid)).unwrap();
    daemon.kill();
    place.project.soloist(&YES).expect(0);
    place.is_ours();
}

#[test]
fn a_run_of_the_same_name_is_asked_for() {
    let place = Place::new();
    let port = place.port.to_string();
    let server = puppet(&["--listen", &port]);
    let run = [&["run", "api", "--"][..], &server.iter().map(String::as_str).collect::<Vec<_>>()].concat();
    let mut run = place.await_listener(place.project.spawn(&run));
    place.project.soloist(&["start", "api"]).expect(75);
    place.project.soloist(&["takeover", "api"]).expect(6).says("soloist is asked to stop it");
    assert!(run.ended().is_none());
    place.project.soloist(&["takeover", "api", "--yes"]).expect(0);
    run.wait(LIMIT);
    place.is_ours();
}

#[test]
fn a_process_of_another_user_is_left_alone() {
    let place = Place::new();
    let Some(setpriv) = program("setpriv").filter(|_| rustix::process::geteuid().is_root()) else {
        return skip_loudly("another user needs root and setpriv(1)");
    };
    let Some(python) =
        ["/usr/bin/python3", "/bin/python3"].into_iter().find(|path| std::path::Path::new(path).exists())
    else {
        return skip_loudly("there is no /usr/bin/python3");
    };
    let command = [
        &setpriv.display().to_string(),
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        python,
        "-m",
        "http.server",
        &place.port.to_string(),
    ];
    let stranger = place.await_listener(place.project.stranger(&command));
    place.project.soloist(&["start", "api"]).expect(6).says("of user 65534");
    place.is_refused(
        &format!("it belongs to another user; `sudo kill {}` ends it", stranger.pid()),
        &[stranger.identity()],
    );
}

#[test]
fn who_has_started_this_command_is_left_alone() {
    let place = Place::new();
    // The listener of the test itself.
    let own = TcpListener::bind((Ipv4Addr::LOCALHOST, place.port)).unwrap();
    let me = Identity::of(std::process::id()).unwrap();
    place.is_refused("this command was started by it", &[me]);
    drop(own);
    place.project.soloist(&["start", "api"]).expect(0);
}

/// A program that nobody has in a list: it starts its child again as often as it ends.
const KEEPER: &str = "import subprocess,sys\nwhile True: subprocess.call(sys.argv[1:])\n";

#[test]
fn who_starts_it_again_though_nobody_knew_is_ended_the_next_time() {
    let Some(python) = program("python3") else { return skip_loudly("there is no python3") };
    let place = Place::new();
    let server = puppet(&["--listen", &place.port.to_string()]);
    let script = place.project.write("keeper.py", KEEPER).display().to_string();
    let python = python.display().to_string();
    let command = [&[python, script][..], &server].concat();
    let keeper = place.await_listener(place.project.stranger(&command));
    let first = place.holders();
    let taken = place.project.soloist(&YES).expect(0);
    taken.says("it has started it again");
    assert!(!keeper.identity().is_alive() && !first[0].is_alive(), "{taken}");
    place.is_ours();
}

#[test]
fn a_shell_in_which_somebody_types_is_not_ended_and_named() {
    let place = Place::new();
    let Some(bash) = program("bash") else { return skip_loudly("there is no bash") };
    let mut terminal = Terminal::new(200, 30);
    let mut command = Command::new(bash);
    command.args(["--norc", "--noprofile", "-i"]).current_dir("/").env("PS1", "$ ");
    terminal.dress(&mut command);
    let mut shell = command.spawn().unwrap();
    let server = puppet(&["--listen", &place.port.to_string()]).join(" ");
    terminal.type_keys(&format!("while true; do {server}; done\n"));
    wait_until("it listens", LIMIT, || if is_free(place.port) { Err(terminal.text()) } else { Ok(()) });
    let typed = Identity::of(shell.id()).unwrap();
    let said = place.is_refused("starts it again; end that there", &[typed]);
    assert!(said.names_number(u64::from(typed.pid)), "{said}");
    typed.kill();
    let _ = shell.wait();
    for holder in place.holders() {
        holder.kill();
    }
}

#[test]
fn on_a_terminal_it_asks_and_a_no_changes_nothing() {
    let place = Place::new();
    let stranger = place.puppet(&[]);
    for (answer, code) in [("n\n", 6), ("y\n", 0)] {
        let mut terminal = Terminal::new(300, 30);
        let mut command = place.project.command(&["takeover", "api"]);
        terminal.dress(&mut command);
        let mut asking = command.spawn().unwrap();
        let text = terminal.wait_for("[y/N]", LIMIT);
        assert!(text.contains(&format!("pid {}", stranger.pid())), "{text}");
        assert!(stranger.identity().is_alive());
        terminal.type_keys(answer);
        assert_eq!(asking.wait().unwrap().code(), Some(code), "{}", terminal.text());
        assert_eq!(stranger.identity().is_alive(), code != 0);
    }
    place.is_ours();
}

#[test]
fn over_the_api_force_shows_the_plan_and_yes_does_it() {
    let place = Place::new();
    let shell = place.shell("while true; do $server; done");
    place.project.soloist(&["open", "--print"]).expect(0);
    let ask = |body: &str| Caller::of(&place.project).ask_known("POST /api/v1/services/api/start", &[], body);
    let refused = ask(r#"{"force": true}"#);
    refused.refuses(409, "port-held", &format!("pid {}", shell.pid()));
    assert!(shell.identity().is_alive());
    let taken = ask(r#"{"force": true, "yes": true}"#);
    assert_eq!(taken.status, 200, "{taken:?}");
    assert!(!shell.identity().is_alive());
    place.is_ours();
}

#[test]
fn up_and_run_and_restart_take_over_as_start_does() {
    let place = Place::new();
    let port = place.port.to_string();
    for command in [&["up", "-d"][..], &["restart", "api"], &["takeover", "api"]] {
        let stranger = place.puppet(&[]);
        place.project.soloist(command).expect(6);
        let force: &[&str] = if command[0] == "takeover" { &["--yes"] } else { &["--force", "--yes"] };
        place.project.soloist(&[command, force].concat()).expect(0);
        assert!(!stranger.identity().is_alive());
        place.is_ours();
        place.project.soloist(&["stop", "api"]).expect(0);
    }
    let stranger = place.puppet(&[]);
    let server = puppet(&["--listen", &port]);
    let server: Vec<&str> = server.iter().map(String::as_str).collect();
    let run = |options: &str| {
        let words = ["run", "one", "--port", &port].into_iter().chain(options.split(' ')).chain(["--"]);
        words.chain(server.iter().copied()).map(str::to_owned).collect::<Vec<_>>()
    };
    let shown = place.project.soloist(&run("--force")).expect(6);
    assert!(shown.names_number(u64::from(stranger.pid())) && stranger.identity().is_alive(), "{shown}");
    let one = place.project.spawn(&run("--force --yes"));
    wait_until("it listens", LIMIT, || {
        match place.project.status().services.iter().find(|one| one.name == "one") {
            Some(one) if one.pid.is_some() && !is_free(place.port) && !stranger.identity().is_alive() => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    });
    drop(one);
}

#[test]
fn what_was_started_by_hand_from_the_project_is_told_to_be() {
    let place = Place::new();
    let port = place.port.to_string();
    let server = puppet(&["--listen", &port]);
    let start = |dir: &std::path::Path, venv: Option<&str>| {
        let mut command = Command::new(&server[0]);
        command.args(&server[1..]).current_dir(dir);
        venv.map(|venv| command.env("VIRTUAL_ENV", venv));
        let stem = place.project.folder().join("by-hand");
        place.await_listener(Background::start(&mut command, "by hand", &stem).without_farewell())
    };
    let told = "started outside soloist from this project";
    for (dir, venv, is_told) in [
        (place.project.folder(), None, true),
        ("/".as_ref(), Some(place.project.path(".venv")), true),
        ("/".as_ref(), None, false),
    ] {
        let by_hand = start(dir, venv.as_deref());
        let said = place.project.soloist(&["who", &port]).expect(0);
        assert_eq!(said.all().contains(told), is_told, "{said}");
        let json = place.project.soloist(&["who", &port, "--json"]).expect(0).json();
        assert_eq!(json[0]["holders"][0]["outside"].as_bool().unwrap_or_default(), is_told, "{json}");
        assert!(!json[0]["holders"][0]["parents"].as_array().unwrap().is_empty(), "{json}");
        drop(by_hand);
        wait_until("it is gone", LIMIT, || if is_free(place.port) { Ok(()) } else { Err("held") });
    }
}

/// A file system that is frozen (fsfreeze(8)) keeps whoever writes to it in state D, deaf to SIGKILL.
const FROZEN: &str = "set -e; mkdir -p \"$FROZEN\"; truncate -s 16M \"$FROZEN.image\"; \
     mkfs.ext4 -q \"$FROZEN.image\"; mount -o loop \"$FROZEN.image\" \"$FROZEN\"; code=0; \"$0\" \"$@\" || code=$?; \
     fsfreeze --unfreeze \"$FROZEN\" 2>/dev/null || true; umount \"$FROZEN\" || umount -l \"$FROZEN\"; exit $code";

/// It listens, says so, and writes where it was told to when somebody connects.
const WRITER: &str = "import socket,sys\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n\
     s.accept()\nopen(sys.argv[2], 'w').write('x')\n";

#[test]
fn one_that_cannot_die_is_told_with_its_state_and_where_it_waits() {
    for needed in ["fsfreeze", "mkfs.ext4", "python3"] {
        if program(needed).is_none() {
            return skip_loudly(&format!("there is no {needed}"));
        }
    }
    if !std::path::Path::new("/dev/loop-control").exists() {
        return skip_loudly("there are no loop devices");
    }
    let outside = Project::empty();
    let folder =
        std::env::var_os("FROZEN").map_or_else(|| outside.folder().join("frozen"), std::path::PathBuf::from);
    let script = format!("FROZEN='{}'; export FROZEN; {FROZEN}", folder.display());
    in_namespace(
        "one_that_cannot_die_is_told_with_its_state_and_where_it_waits",
        &["--mount"],
        &script,
        || frozen_holder(&folder),
    );
}

fn frozen_holder(folder: &std::path::Path) {
    let place = Place::new();
    let freeze = |how: &str| Command::new("fsfreeze").arg(how).arg(folder).status().unwrap().success();
    let file = folder.join("file").display().to_string();
    let stranger = place.project.stranger(&["python3", "-c", WRITER, &place.port.to_string(), &file]);
    let stranger = place.await_listener(stranger);
    assert!(freeze("--freeze"));
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, place.port)).unwrap();
    let _ = connection.write(b"x");
    wait_until("it cannot be interrupted", LIMIT, || match stranger.identity().state() {
        Some('D') => Ok(()),
        other => Err(format!("{other:?} {}", stranger.said())),
    });
    let named = place.project.soloist(&["start", "api"]).expect(6);
    named.says("state D, waits in ");
    let said = place.project.soloist(&YES).expect(6);
    said.says("killed, but still there").says("state D, waits in ");
    assert!(stranger.identity().is_alive());
    assert!(freeze("--unfreeze"));
    wait_until("it is gone", LIMIT, || if stranger.identity().is_alive() { Err("alive") } else { Ok(()) });
    let _ = connection.read(&mut [0]);
    place.project.soloist(&["start", "api"]).expect(0);
    place.is_ours();
}
