//! `soloist run`: any command as a singleton, without config and without daemon. It serves as flock, tini and
//! start_server.py in one.

use std::io::Write;
use std::process::{Command, Stdio};

use e2e::{Background, Identity, LIMIT, Project, free_port, is_free, puppet, wait_until};
use rustix::process::Signal;

/// `run` with its options, then a puppet with its flags.
fn run_puppet(options: &[&str], flags: &[&str]) -> Vec<String> {
    let mut arguments: Vec<String> = ["run"].iter().chain(options).map(|word| (*word).to_owned()).collect();
    arguments.push("--".into());
    arguments.extend(puppet(flags));
    arguments
}

/// Starts it and waits until its main process has entered itself in the beacon.
fn started(project: &Project, options: &[&str], flags: &[&str]) -> (Background, Identity) {
    let before = project.beacon().with_role("main").len();
    let beacon = project.beacon().text();
    let run = project.spawn(&run_puppet(options, &[&["--alone", &beacon], flags].concat()));
    let main = wait_until("it runs", LIMIT, || {
        project.beacon().with_role("main").get(before).copied().ok_or_else(|| run.said())
    });
    (run, main)
}

#[test]
fn the_exit_code_is_the_commands() {
    let project = Project::empty();
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137), ("kill $$", 143)]
    {
        project.soloist(&["run", "x", "--", "/bin/sh", "-c", script]).expect(code);
    }
}

#[test]
fn a_command_that_is_not_found_or_not_executable_ends_as_in_a_shell() {
    let project = Project::empty();
    project.write("script", "#!/bin/sh\n");
    let said = project.soloist(&["run", "x", "--", "no-such-command-anywhere"]).expect(127);
    said.says("no-such-command-anywhere");
    project.soloist(&["run", "x", "--", "./no-such-file"]).expect(127);
    let said = project.soloist(&["run", "x", "--", "./script"]).expect(126);
    said.says("script");
    project.wait_until_nothing_lives(LIMIT);
}

#[test]
fn output_and_input_are_the_commands_own() {
    let project = Project::empty();
    let output = project.soloist(&["run", "x", "--", "/bin/sh", "-c", "echo out; echo err >&2"]).expect(0);
    assert_eq!(output.stdout, "out\n");
    assert!(output.stderr.contains("err\n"), "{output}");
    let mut command = project.command(&["run", "x", "--", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello");
}

#[test]
fn signals_are_passed_on() {
    let project = Project::empty();
    let script = |signal: &str, code: i32| {
        format!(
            "trap 'exit {code}' {signal}; touch ready; i=0; while [ $i -lt 2000 ]; do sleep 0.05; i=$((i+1)); done"
        )
    };
    let signals =
        [("USR1", Signal::USR1), ("INT", Signal::INT), ("HUP", Signal::HUP), ("TERM", Signal::TERM)];
    for (code, (name, signal)) in (20..).zip(signals) {
        let ready = project.folder().join("ready");
        let _ = std::fs::remove_file(&ready);
        let mut run = project.spawn(&["run", "x", "--", "/bin/sh", "-c", &script(name, code)]);
        wait_until("it is ready", LIMIT, || if ready.exists() { Ok(()) } else { Err(run.said()) });
        run.signal(signal);
        run.wait(LIMIT).expect(code);
        project.wait_until_nothing_lives(LIMIT);
    }
}

#[test]
fn signals_are_passed_on_also_in_a_suite_that_ignores_them() {
    let me = std::env::current_exe().unwrap();
    let script = r#"trap '' INT HUP; exec "$0" --exact run::signals_are_passed_on"#;
    let told = Command::new("/bin/sh").args(["-c", script]).arg(me).output().unwrap();
    let told = String::from_utf8_lossy(&told.stdout);
    assert!(told.contains("test result: ok. 1 passed"), "{told}");
}

#[test]
fn a_run_that_is_asked_to_end_takes_its_whole_tree_with_it() {
    let project = Project::empty();
    let beacon = project.beacon().text();
    let flags = ["--beacon", &beacon, "--children", "plain,setsid,double-fork,clearenv"];
    let (mut run, _) = started(&project, &["x"], &flags);
    wait_until("the children are there", LIMIT, || match project.beacon().living().len() {
        5 => Ok(()),
        seen => Err(seen),
    });
    run.signal(Signal::TERM);
    run.wait(LIMIT).expect(143);
    assert_eq!(project.beacon().living(), []);
}

#[test]
fn the_second_one_names_the_first_and_exits_75() {
    let project = Project::empty();
    let (_first, main) = started(&project, &["x"], &["--life", "77"]);
    // Its guard writes down its pid right after it has started it; until then the guard's own is named.
    let second = wait_until("the first one is named by its pid", LIMIT, || {
        let second = project.soloist(&["run", "x", "--", "touch", "second"]).expect(75);
        if second.names_number(u64::from(main.pid)) { Ok(second) } else { Err(second.to_string()) }
    });
    second.says("since").says("--life 77").says(&project.folder().display().to_string());
    assert!(!project.folder().join("second").exists());
    // Another name is another instance.
    project.soloist(&["run", "y", "--", "true"]).expect(0);
}

#[test]
fn with_wait_the_second_one_runs_after_the_first() {
    let project = Project::empty();
    let end = project.path("end");
    let (mut first, _) = started(&project, &["x"], &["--exit-on-file", &end, "--code", "3"]);
    let beacon = project.beacon().text();
    let mut second = project
        .spawn(&run_puppet(&["x", "--wait"], &["--alone", &beacon, "--exit-after", "0", "--code", "4"]));
    wait_until("the second one waits", LIMIT, || match (second.ended(), second.identity().state()) {
        (None, Some('S')) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    project.soloist(&["run", "x", "--", "true"]).expect(75);
    assert!(second.ended().is_none(), "{}", second.said());
    project.write("end", "");
    first.wait(LIMIT).expect(3);
    second.wait(LIMIT).expect(4);
    assert_eq!(project.beacon().overlaps(), Vec::<String>::new());
}

#[test]
fn with_force_the_second_one_takes_over() {
    let project = Project::empty();
    let (mut first, main) = started(&project, &["x"], &[]);
    let (_second, other) = started(&project, &["x", "--force"], &[]);
    assert!(!main.is_alive() && other.is_alive());
    first.wait(LIMIT).expect(143);
    assert_eq!(project.beacon().overlaps(), Vec::<String>::new());
}

#[test]
fn the_pid_file_is_written_and_removed() {
    let project = Project::empty();
    let (mut run, main) = started(&project, &["x", "--pid-file", "x.pid"], &[]);
    wait_until("the PID file is written", LIMIT, || match project.read("x.pid").trim() {
        text if text == main.pid.to_string() => Ok(()),
        other => Err(other.to_owned()),
    });
    run.signal(Signal::TERM);
    run.wait(LIMIT);
    assert!(!project.folder().join("x.pid").exists());
}

#[test]
fn a_machine_wide_run_is_one_over_all_projects() {
    let here = Project::empty();
    let there = Project::empty().sharing_state_with(&here);
    let (mut first, main) = started(&here, &["x", "--scope", "machine"], &[]);
    let second = there.soloist(&["run", "x", "--scope", "machine", "--", "true"]).expect(75);
    assert!(second.names_number(u64::from(main.pid)), "pid {} is not named by {second}", main.pid);
    second.says(&here.folder().display().to_string());
    // A claim of the project's own is another one.
    there.soloist(&["run", "x", "--", "true"]).expect(0);
    first.signal(Signal::TERM);
    first.wait(LIMIT).expect(143);
    there.soloist(&["run", "x", "--scope", "machine", "--", "true"]).expect(0);
}

#[test]
fn a_run_is_in_the_status_and_stop_ends_it() {
    let project = Project::empty();
    let port = free_port();
    let text = port.to_string();
    let (mut run, main) = started(&project, &["x", "--port", &text], &["--listen", &text]);
    let seen = wait_until("it is ready", LIMIT, || {
        let seen = project.service("x");
        if seen.ready { Ok(seen) } else { Err(format!("{seen:?}")) }
    });
    assert_eq!((seen.pid, seen.state.as_str()), (Some(main.pid), "ready"), "{seen:?}");
    assert_eq!(seen.ports, [port]);
    assert!(seen.run_id.is_some() && seen.since.is_some(), "{seen:?}");
    let people = project.soloist(&["status"]).expect(0);
    assert!(people.says("x").names_number(u64::from(main.pid)), "{people}");
    project.soloist(&["status", "x"]).expect(0);
    project.soloist(&["stop", "x"]).expect(0);
    assert!(!main.is_alive() && is_free(port));
    run.wait(LIMIT).expect(143);
    // It is declared nowhere, so nothing of it need be known any more.
    let after = project.soloist(&["status", "x"]);
    assert!([3, 4].contains(&after.code()), "{after}");
}

#[test]
fn the_command_finds_its_port_and_name_in_its_environment() {
    let project = Project::empty();
    let port = free_port().to_string();
    let script = "echo $PORT $SOLOIST_SERVICE; test -n \"$SOLOIST_RUN_ID\" && test -f \"$SOLOIST_CLAIM\"";
    let output = project.soloist(&["run", "x", "--port", &port, "--", "/bin/sh", "-c", script]).expect(0);
    assert_eq!(output.stdout, format!("{port} x\n"));
}

#[test]
fn a_run_that_was_killed_leaves_nothing_that_the_next_one_could_meet() {
    let project = Project::empty();
    let (mut first, _) = started(&project, &["x", "--stop-grace", "1s"], &["--ignore-term"]);
    first.signal(Signal::KILL);
    first.wait(LIMIT).expect(137);
    // Held as long as the old one lives, or it is ended first: in any case never beside it.
    let beacon = project.beacon().text();
    let next = run_puppet(&["x"], &["--alone", &beacon, "--exit-after", "0", "--code", "5"]);
    let said = project.soloist(&next);
    assert!([5, 75].contains(&said.code()), "{said}");
    assert_eq!(project.beacon().overlaps(), Vec::<String>::new());
    project.soloist(&["stop", "x"]).expect(0);
    assert_eq!(project.beacon().living(), []);
    project.soloist(&next).expect(5);
}

#[test]
fn a_removed_claim_file_does_not_let_a_second_one_in() {
    let project = Project::empty();
    let (mut first, main) = started(&project, &["x"], &[]);
    std::fs::remove_file(project.folder().join(".soloist/claims/x.lock")).unwrap();
    let beacon = project.beacon().text();
    let second = project.soloist(&run_puppet(&["x"], &["--alone", &beacon, "--exit-after", "0"]));
    assert_eq!(project.beacon().overlaps(), Vec::<String>::new(), "{second}");
    // Either it is not let in, or the first one is ended before: never beside it.
    assert!(second.code() == 75 || !main.is_alive(), "{second}");
    first.signal(Signal::TERM);
    first.wait(LIMIT);
}
