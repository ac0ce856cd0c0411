//! What a declared service may use, as whom it runs, and how its stop command ends it.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use e2e::{Identity, LIMIT, Project, quoted, skip_loudly, wait_until};

/// A project with the service `x`, a shell script.
fn project(script: &str, more: &str) -> Project {
    let command = quoted(&["/bin/sh", "-c", script]);
    Project::new(&format!("[services.x]\ncommand = {command}\n{more}"))
}

/// What the service has written, once it has so many lines.
fn log(project: &Project, lines: usize) -> String {
    wait_until(&format!("the log has {lines} lines"), LIMIT, || {
        let log = String::from_utf8_lossy(&project.log("x")).into_owned();
        if log.lines().count() >= lines { Ok(log) } else { Err(format!("{log}\n{}", project.diary())) }
    })
}

#[test]
fn a_service_has_the_limits_that_are_declared() {
    let script = "ulimit -n; ulimit -Hn; nice; umask; exec sleep 300";
    let more = "rlimits = { nofile = { soft = 64, hard = 128 } }\nnice = 7\numask = \"027\"";
    let project = project(script, more);
    project.soloist(&["up", "-d"]).expect(0);
    assert_eq!(log(&project, 4), "64\n128\n7\n0027\n");
    project.soloist(&["down"]).expect(0);
}

#[test]
fn a_service_runs_as_its_user() {
    if !rustix::process::geteuid().is_root() {
        return skip_loudly("only root may run something as somebody else");
    }
    let project = project("id -un; id -G; echo anew >/dev/stdout; exec sleep 300", "user = \"nobody\"");
    std::fs::set_permissions(project.folder(), PermissionsExt::from_mode(0o755)).unwrap();
    project.soloist(&["up", "-d"]).expect(0);
    let log = log(&project, 3);
    assert!(log.starts_with("nobody\n") && log.ends_with("\nanew\n"), "{log}");
    let groups: Vec<&str> = log.lines().nth(1).unwrap_or_default().split(' ').collect();
    assert!(!groups.contains(&"0"), "the groups of root are left behind: {log}");
    project.soloist(&["down"]).expect(0);
}

#[test]
fn a_limit_that_the_kernel_refuses_is_named_and_tried_once() {
    // Above fs.nr_open, which binds root too.
    let project = project("echo ran", "rlimits = { nofile = 9000000000 }");
    let up = project.soloist(&["up", "-d"]);
    assert_ne!(up.code(), 0, "{up}");
    let service = project.wait_for_state("x", "failed", LIMIT);
    let note = service.note.unwrap_or_default();
    assert!(note.contains("cannot set the limit nofile to 9000000000"), "{note}");
    assert_eq!((service.restarts, project.log("x").len()), (0, 0));
}

#[test]
fn a_service_that_uses_too_much_memory_is_stopped_and_it_is_said_why() {
    // 60 MB, held until it is ended.
    let script = "(head -c 60000000 /dev/zero; sleep 300) | tail";
    let project = project(script, "memory-max = \"30MiB\"\nmemory-action = \"stop\"");
    project.soloist(&["up", "-d"]).expect(0);
    let service = project.wait_for_state("x", "failed", LIMIT);
    let note = service.note.unwrap_or_default();
    assert!(note.contains("memory") && note.contains("MiB of 30 MiB"), "{note}");
    project.soloist(&["down"]).expect(0);
}

#[test]
fn the_stop_command_comes_before_the_signal() {
    let stop = quoted(&["/bin/sh", "-c", "echo stop $MAINPID $SOLOIST_SERVICE"]);
    let script = "trap 'echo term; exit 0' TERM; echo $$; while :; do sleep 0.02; done";
    let project = project(script, &format!("stop-command = {stop}"));
    project.soloist(&["up", "-d"]).expect(0);
    let main = log(&project, 1);
    project.soloist(&["stop", "x"]).expect(0);
    // A shell may tell of its own sleep that the signal ended.
    let log = log(&project, 3).replace("Terminated\n", "");
    assert_eq!(log, format!("{main}stop {} x\nterm\n", main.trim()));
    project.soloist(&["down"]).expect(0);
}

#[test]
fn a_stop_command_that_hangs_costs_no_more_than_the_grace() {
    let stop = quoted(&["/bin/sh", "-c", "trap '' TERM; echo $$; sleep 300; :"]);
    let project = project("echo up; exec sleep 300", &format!("stop-command = {stop}\nstop-grace = \"1s\""));
    project.soloist(&["up", "-d"]).expect(0);
    log(&project, 1);
    let main = project.service("x").pid.and_then(Identity::of).unwrap();
    let stop = project.soloist(&["stop", "x"]).expect(0);
    assert!(stop.took >= Duration::from_secs(1), "{stop}");
    stop.is_within(Duration::from_millis(1500));
    let hung: u32 = log(&project, 2).lines().nth(1).unwrap_or_default().parse().unwrap();
    assert!(!main.is_alive() && Identity::of(hung).is_none_or(|one| !one.is_alive()));
    project.soloist(&["down"]).expect(0);
}
