//! The main process is killed while children that Python and Node started live on: the claim stays held until the
//! last of them is gone, and nothing new starts before. Such children do not keep an inherited lock descriptor.

use std::process::Command;
use std::time::Duration;

use e2e::{Identity, LIMIT, Project, program, puppet, quoted, skip_loudly, wait_until};

/// The children ignore SIGTERM, so they live as long as this after the main process.
const GRACE: Duration = Duration::from_secs(2);
const CHILDREN: usize = 3;

const SUBPROCESS: &str = r#"
import subprocess, sys, time
puppet, beacon = sys.argv[1:3]
children = [subprocess.Popen([puppet, "--beacon", beacon, "--role", "child", "--deaf", "--life", "120"]) for _ in range(3)]
time.sleep(120)
"#;

const MULTIPROCESSING: &str = r#"
import multiprocessing, os, signal, sys, time

def child(beacon):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open("/proc/self/stat") as stat:
        start = stat.read().rsplit(")", 1)[1].split()[19]
    with open(beacon, "a") as file:
        file.write(f"{os.getpid()} {start} child\n")
    time.sleep(120)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    for _ in range(3):
        context.Process(target=child, args=(sys.argv[2],)).start()
    time.sleep(120)
"#;

const NODE: &str = r#"
const { spawn } = require("node:child_process");
const [puppet, beacon] = process.argv.slice(2);
for (let i = 0; i < 3; i++) spawn(puppet, ["--beacon", beacon, "--role", "child", "--deaf", "--life", "120"], { stdio: "inherit" });
setTimeout(() => {}, 120000);
"#;

/// The language the main process is written in.
struct Language {
    interpreter: &'static str,
    file: &'static str,
    script: &'static str,
}

const PYTHON_SUBPROCESS: Language = Language { interpreter: "python3", file: "main.py", script: SUBPROCESS };
const PYTHON_MULTIPROCESSING: Language =
    Language { interpreter: "python3", file: "main.py", script: MULTIPROCESSING };
const NODE_SPAWN: Language = Language { interpreter: "node", file: "main.js", script: NODE };

/// It is in the group of a main process that ended by itself, and would have all the grace to hear the polite signal.
#[test]
fn what_a_main_process_leaves_in_its_group_hears_the_polite_signal() {
    let child = "trap 'echo heard; exit' TERM; echo waits > waits; while :; do sleep 0.02; done";
    let script = format!("({child}) & until [ -s waits ]; do sleep 0.01; done; exit 3");
    let command = quoted(&["/bin/sh", "-c", &script]);
    let project =
        Project::new(&format!("[services.s]\ncommand = {command}\nrestart = \"no\"\nstop-grace = \"1h\"\n"));
    project.soloist(&["up", "-d"]);
    project.wait_for_state("s", "failed", LIMIT);
    let said = project.log("s");
    // A shell tells of its child, too, which heard it as well.
    assert!(said.ends_with(b"heard\n"), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn a_service_restarts_only_after_the_last_child_of_python_subprocess() {
    service_restarts_after_the_last_child(&PYTHON_SUBPROCESS);
}

#[test]
fn a_service_restarts_only_after_the_last_child_of_python_multiprocessing() {
    service_restarts_after_the_last_child(&PYTHON_MULTIPROCESSING);
}

#[test]
fn a_service_restarts_only_after_the_last_child_of_node() {
    service_restarts_after_the_last_child(&NODE_SPAWN);
}

#[test]
fn a_run_holds_its_claim_until_the_last_child_of_python_subprocess() {
    run_holds_until_the_last_child(&PYTHON_SUBPROCESS);
}

#[test]
fn a_run_holds_its_claim_until_the_last_child_of_python_multiprocessing() {
    run_holds_until_the_last_child(&PYTHON_MULTIPROCESSING);
}

#[test]
fn a_run_holds_its_claim_until_the_last_child_of_node() {
    run_holds_until_the_last_child(&NODE_SPAWN);
}

fn service_restarts_after_the_last_child(language: &Language) {
    let project = Project::empty();
    let Some(command) = prepared(language, &project) else { return };
    project.write(
        "soloist.toml",
        &format!(
            "[services.leader]\ncommand = {}\nstop-grace = \"2s\"\nbackoff = {{ first = \"50ms\", max = \"50ms\" }}\n",
            quoted(&command)
        ),
    );
    project.soloist(&["up", "-d"]).expect(0);
    let (main, children) = family(&project);
    assert_eq!(project.service("leader").pid, Some(main.pid));
    assert!(main.kill());
    claim_is_held_while_they_live(&project, &children);

    // The new main process looks for itself whether it is alone.
    let second = wait_until("it is restarted", LIMIT, || match project.beacon().with_role("main")[..] {
        [_, second, ..] => Ok(second),
        _ => Err(format!("{:?}\n{}", project.status(), project.diary())),
    });
    let seen = wait_until("the status tells the restart", LIMIT, || {
        let seen = project.service("leader");
        if seen.pid == Some(second.pid) { Ok(seen) } else { Err(format!("{seen:?}")) }
    });
    assert_eq!(seen.restarts, 1, "{seen:?}");
    assert_eq!(project.beacon().overlaps(), Vec::<String>::new());
    project.soloist(&["down"]).expect(0);
    assert_eq!(project.beacon().living(), []);
}

fn run_holds_until_the_last_child(language: &Language) {
    let project = Project::empty();
    let Some(command) = prepared(language, &project) else { return };
    let mut arguments: Vec<&str> = vec!["run", "leader", "--stop-grace", "2s", "--"];
    arguments.extend(command.iter().map(String::as_str));
    let mut first = project.spawn(&arguments);
    let (main, children) = family(&project);
    arguments.insert(2, "--wait");
    let mut second = project.spawn(&arguments);
    assert!(main.kill());
    claim_is_held_while_they_live(&project, &children);
    first.wait(LIMIT).expect(137);
    wait_until("the waiting one has started", LIMIT, || match project.beacon().with_role("main").len() {
        2 => Ok(()),
        _ => Err(second.said()),
    });
    assert_eq!(project.beacon().overlaps(), Vec::<String>::new());
    project.soloist(&["stop", "leader"]).expect(0);
    second.wait(LIMIT);
    assert_eq!(project.beacon().living(), []);
}

/// The command of the main process: a puppet that first looks whether it is alone, then becomes the interpreter.
fn prepared(language: &Language, project: &Project) -> Option<Vec<String>> {
    let Some(found) = program(language.interpreter) else {
        skip_loudly(&format!("{} is not installed", language.interpreter));
        return None;
    };
    let script = project.write(language.file, language.script).display().to_string();
    let interpreter = match language.interpreter {
        // A version switcher in its place would be one more process and change what is tested.
        "python3" => {
            let output =
                Command::new(&found).args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        }
        _ => found.display().to_string(),
    };
    let beacon = project.beacon().text();
    let child = puppet(&[""; 0]).remove(0);
    Some(puppet(&["--alone", &beacon, "--exec", &interpreter, &script, &child, &beacon]))
}

/// Waits until the main process and its children are there.
fn family(project: &Project) -> (Identity, Vec<Identity>) {
    wait_until("the children are there", LIMIT, || {
        let (main, children) = (project.beacon().with_role("main"), project.beacon().with_role("child"));
        match main[..] {
            [main] if children.len() == CHILDREN => Ok((main, children)),
            _ => Err(format!("{main:?} {children:?}\n{}", project.diary())),
        }
    })
}

fn claim_is_held_while_they_live(project: &Project, children: &[Identity]) {
    let is_left = || children.iter().any(Identity::is_alive);
    let mut probes = 0;
    wait_until("the last child is gone", LIMIT, || {
        let probe = project.soloist(&["run", "leader", "--", "true"]);
        if is_left() {
            // Alive after the probe, so alive during it.
            assert_eq!(probe.code(), 75, "the claim was free while a child lived: {probe}");
            probes += 1;
            return Err(format!("{children:?}\n{}", project.diary()));
        }
        assert!([0, 75].contains(&probe.code()), "{probe}");
        Ok(())
    });
    assert!(probes > 0, "the window of {GRACE:?} was never seen");
}
