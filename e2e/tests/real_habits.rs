//! What people do by hand against second copies, and what goes wrong with it, under soloist: an app that starts its
//! scanner by itself with a PID file, a start script with `--force`, and an old server that goes on serving old code.

use e2e::real::http;
use e2e::tree::executes;
use e2e::{Background, Identity, LIMIT, Project, Real, Stage, binaries, free_port, is_free, wait_until};

/// The Flask application, and the scanner that it starts in a session of its own.
fn scanning(real: &Real) -> Stage {
    let python = real.python("python");
    let stage = Stage::server(real, &["scanning.py", "scanner.py"], &[&python, "scanning.py"], "");
    stage.cast(&[("scanning.py", 1), ("scanner.py", 1)])
}

/// The scanners of all times that still live.
fn scanners(project: &Project) -> Vec<Identity> {
    let mut all = project.processes();
    // `soloist run` has the same words at its end.
    all.retain(|one| one.command().ends_with("scanner.py") && !executes(*one, &binaries().soloist));
    all
}

#[test]
fn an_app_that_starts_its_own_scanner_never_has_two() {
    let Some(real) = Real::installed() else { return };
    let stage = scanning(&real);
    stage.up();
    let first = scanners(&stage.project);
    // Started again, in both ways.
    stage.project.soloist(&["up", "-d"]).expect(0);
    stage.project.soloist(&["start", "web"]).expect(0);
    assert_eq!(scanners(&stage.project), first);
    // The second copy by hand, as the project's readme says it: the claim refuses it before it starts anything.
    let python = real.python("python");
    stage.project.soloist(&["run", "web", "--", &python, "scanning.py"]).expect(75);
    assert_eq!(scanners(&stage.project), first);
    stage.stops();
    assert_eq!(scanners(&stage.project), []);
}

/// By itself the scanner would outlive a killed app, and the next app's scanner would see its PID file and give up: the
/// new app would then watch over none.
#[test]
fn the_scanner_of_a_killed_app_is_ended_before_the_next_app_starts_one() {
    let Some(real) = Real::installed() else { return };
    let stage = scanning(&real);
    let tree = stage.up();
    let first = scanners(&stage.project);
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(tree.processes[0].kill());
    let second = wait_until("another scanner runs alone", LIMIT, || match scanners(&stage.project)[..] {
        [one] if one != first[0] => Ok(one),
        _ => Err(stage.said()),
    });
    let now = stage.up();
    assert!(now.processes.contains(&second), "{now:?}");
    assert_eq!(stage.project.read("scanners").lines().count(), 2, "each run started one");
    assert_eq!(stage.project.read("scanner.pid"), second.pid.to_string());
    stage.stops();
}

#[test]
fn a_pid_file_that_names_another_process_keeps_no_scanner_from_running_alone() {
    let Some(real) = Real::installed() else { return };
    let project = real.project(&["scanner.py"]);
    let python = real.python("python");
    let first = run_scanner(&project, &python);
    let scanner = wait_for_one_scanner(&project);
    let second = project.soloist(&["run", "scanner", "--", &python, "scanner.py"]).expect(75);
    assert!(second.names_number(u64::from(scanner.pid)), "pid {} is not named by {second}", scanner.pid);
    // Killed, it leaves its PID file, and another process may get its number. Soloist asks the kernel, not the file.
    assert!(scanner.kill());
    let mut first = first;
    first.wait(LIMIT).expect(137);
    assert!(project.folder().join("scanner.pid").exists());
    let _third = run_scanner(&project, &python);
    let third = wait_for_one_scanner(&project);
    assert_ne!(third, scanner);
    project.soloist(&["stop", "scanner"]).expect(0);
    assert_eq!(scanners(&project), []);
}

fn run_scanner(project: &Project, python: &str) -> Background {
    project.spawn(&["run", "scanner", "--", python, "scanner.py"])
}

fn wait_for_one_scanner(project: &Project) -> Identity {
    wait_until("one scanner runs", LIMIT, || match scanners(project)[..] {
        [one] if project.read("scanner.pid") == one.pid.to_string() => Ok(one),
        ref other => Err(format!("{other:?}")),
    })
}

/// A start script with `--port` and `--force`, in soloist's words.
struct Script {
    project: Project,
    port: u16,
    command: Vec<String>,
}

impl Script {
    fn new() -> Option<Script> {
        let real = Real::installed()?;
        let port = free_port();
        let command = [&real.python("uvicorn"), "asgi:app", "--port", &port.to_string()].map(str::to_owned);
        Some(Script { project: real.project(&["asgi.py"]), port, command: command.to_vec() })
    }

    fn arguments(&self, options: &[&str]) -> Vec<String> {
        let port = self.port.to_string();
        let mut arguments: Vec<String> = ["run", "backend", "--port", &port].map(str::to_owned).to_vec();
        arguments.extend(options.iter().map(|option| (*option).to_owned()));
        arguments.push("--".to_owned());
        arguments.extend(self.command.iter().cloned());
        arguments
    }

    fn start(&self, options: &[&str]) -> Background {
        self.project.spawn(&self.arguments(options))
    }

    /// The process that answers, once it is another one than before.
    fn answers(&self, but: Option<u32>, said: &Background) -> u32 {
        wait_until("it answers", LIMIT, || match http::get(self.port) {
            Ok((200, body)) => {
                let pid = body.rsplit(' ').next().and_then(|pid| pid.parse().ok());
                pid.filter(|pid| Some(*pid) != but).ok_or(body)
            }
            other => Err(format!("{other:?}\n{}", said.said())),
        })
    }
}

#[test]
fn a_start_script_refuses_the_second_and_takes_over_with_force() {
    let Some(script) = Script::new() else { return };
    let mut first = script.start(&[]);
    let old = script.answers(None, &first);
    let second = script.project.soloist(&script.arguments(&[])).expect(75);
    assert!(second.names_number(u64::from(old)), "pid {old} is not named by {second}");
    let forced = script.start(&["--force"]);
    let new = script.answers(Some(old), &forced);
    first.wait(LIMIT);
    assert!(Identity::of(old).is_none_or(|old| !old.is_alive()), "two servers");
    assert!(Identity::of(new).is_some_and(|new| new.is_alive()));
    script.project.soloist(&["stop", "backend"]).expect(0);
    assert!(is_free(script.port));
}

#[test]
fn a_start_script_names_the_stranger_on_its_port_and_free_ends_it_only_when_forced() {
    let Some(script) = Script::new() else { return };
    // Started by hand, as the readme said before soloist.
    let mut by_hand = std::process::Command::new(&script.command[0]);
    by_hand.args(&script.command[1..]).current_dir(script.project.folder());
    let stem = script.project.folder().join("by-hand");
    let mut stranger = Background::start(&mut by_hand, "uvicorn", &stem).without_farewell();
    let pid = script.answers(None, &stranger);
    assert_eq!(pid, stranger.pid());
    let port = script.port.to_string();
    let refused = script.project.soloist(&script.arguments(&[])).expect(6);
    assert!(refused.names_number(u64::from(pid)), "pid {pid} is not named by {refused}");
    script.project.soloist(&["free", &port]).expect(6);
    assert!(stranger.identity().is_alive());
    script.project.soloist(&["free", "--force", &port]).expect(0);
    assert!(is_free(script.port));
    stranger.wait(LIMIT);
    let run = script.start(&[]);
    script.answers(Some(pid), &run);
    script.project.soloist(&["stop", "backend"]).expect(0);
    assert!(is_free(script.port));
}

#[test]
fn after_a_restart_no_server_serves_yesterdays_code() {
    let Some(real) = Real::installed() else { return };
    let python = real.python("python");
    let stage =
        Stage::server(&real, &["stubborn.py"], &[&python, "stubborn.py"], "").cast(&[("stubborn.py", 2)]);
    let old = stage.up();
    assert!(stage.body().contains("version 1"), "{}", stage.body());
    let text = stage.project.read("stubborn.py").replace("VERSION = 1", "VERSION = 2");
    stage.project.write("stubborn.py", &text);
    stage.project.soloist(&["restart", "web"]).expect(0);
    let left: Vec<&Identity> = old.processes.iter().filter(|one| one.is_alive()).collect();
    assert!(left.is_empty(), "deaf to the polite signal, and alive: {left:?}");
    let new = stage.up();
    assert_ne!(new.run, old.run);
    // Both of its processes accept: each of many answers is today's.
    for _ in 0..20 {
        assert!(stage.body().contains("version 2"), "{}", stage.body());
    }
    stage.stops();
}
