//! Projects in which nothing runs, and something waits for its time: no guard is there that could bring a killed daemon
//! back, and it is back all the same; unless somebody had everything stopped.

use std::os::unix::fs::PermissionsExt;

use e2e::clock::milliseconds;
use e2e::{Identity, LIMIT, Project, binaries, daemon, puppet, quoted, wait_until};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

/// A job of which nothing lives until its next run.
fn waiting(every: &str, more: &str) -> Project {
    let project = Project::new(&format!(
        "[jobs.scan]\ncommand = [\"/bin/sh\", \"-c\", \"date +%s%3N >> runs\"]\nevery = \"{every}\"\n{more}"
    ));
    project.soloist(&["up", "-d"]).expect(0);
    wait_until_it_waits(&project);
    project
}

fn wait_until_it_waits(project: &Project) {
    project.wait_for_state("scan", "scheduled", LIMIT);
    wait_until("nothing is left but daemon and zygote", LIMIT, || {
        let (living, zygotes) = (project.processes().len(), zygotes(project).len());
        if (living, zygotes) == (2, 1) { Ok(()) } else { Err(format!("{:?}", project.processes())) }
    });
}

fn zygotes(project: &Project) -> Vec<Identity> {
    let mut found = project.processes();
    found.retain(|one| one.command().contains("__zygote"));
    found
}

/// When its runs began, in milliseconds, as they wrote it down.
fn starts(project: &Project) -> Vec<u64> {
    project.read("runs").lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn a_daemon_that_only_waits_for_a_schedule_is_back_without_any_command() {
    let project = waiting("1h", "");
    let ledger = project.read(".soloist/ledger.json");
    for _ in 0..2 {
        let dead = daemon::kill(&project);
        daemon::wait_for_another(&project, dead, LIMIT);
        wait_until_it_waits(&project);
        assert_eq!(project.read(".soloist/ledger.json"), ledger);
        assert_eq!(starts(&project).len(), 1, "{}", project.diary());
    }
    project.soloist(&["down"]).expect(0);
    project.wait_until_nothing_lives(LIMIT);
}

#[test]
fn a_run_that_is_due_after_the_daemon_is_back_begins_once_and_in_its_rhythm() {
    let project = waiting("5s", "");
    let dead = daemon::kill(&project);
    daemon::wait_for_another(&project, dead, LIMIT);
    assert_eq!(starts(&project).len(), 1, "{}", project.diary());
    let starts = wait_until("it has run again", LIMIT, || {
        let starts = starts(&project);
        if starts.len() > 1 { Ok(starts) } else { Err(project.diary()) }
    });
    let apart = starts[1] - starts[0];
    assert!(starts.len() == 2 && (4800..6500).contains(&apart), "{apart} ms: {starts:?}");
}

#[test]
fn a_zygote_that_was_killed_is_replaced_by_one_that_brings_the_daemon_back() {
    let project = waiting("1h", "");
    let dead = zygotes(&project)[0];
    assert!(dead.kill());
    wait_until("there is another", LIMIT, || {
        let found = zygotes(&project);
        if found.iter().any(|one| *one != dead && one.is_alive()) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
    wait_until_it_waits(&project);
    let dead = daemon::kill(&project);
    daemon::wait_for_another(&project, dead, LIMIT);
}

#[test]
fn a_daemon_that_cannot_start_is_tried_again_until_it_can() {
    let project = waiting("1h", "");
    let copy = project.folder().join("copy");
    binaries().copy_soloist(&copy);
    project.soloist(&["upgrade", "--binary", &copy.display().to_string()]).expect(0);
    wait_until_it_waits(&project);
    // What lies there now says that it was called, and is no daemon.
    let aside = project.folder().join("aside");
    std::fs::rename(&copy, &aside).unwrap();
    let script = project.write("script", &format!("#!/bin/sh\necho tried >> {}\n", project.path("tries")));
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&script, &copy).unwrap();
    let dead = daemon::kill(&project);
    wait_until("it was tried twice", LIMIT, || {
        let tries = project.read("tries");
        if tries.lines().count() > 1 { Ok(()) } else { Err(tries) }
    });
    std::fs::rename(&aside, &copy).unwrap();
    daemon::wait_for_another(&project, dead, LIMIT);
    wait_until_it_waits(&project);
}

#[test]
fn a_rhythm_goes_on_over_an_upgrade_and_the_death_of_a_daemon() {
    let project = waiting("1h", "");
    let began = starts(&project)[0];
    let next = || {
        let status = project.soloist(&["status", "--json"]).expect(0).json();
        milliseconds(status["services"][0]["next"].as_str().unwrap_or_default()) as u64
    };
    for is_killed in [false, true, false] {
        if is_killed {
            let dead = daemon::kill(&project);
            daemon::wait_for_another(&project, dead, LIMIT);
        } else {
            project.soloist(&["upgrade"]).expect(0);
        }
        wait_until_it_waits(&project);
        // An hour after it began, to what the start of a process takes on a busy machine.
        let late = (next() + 200).saturating_sub(began + 3_600_000);
        assert!(late <= 250, "{late} ms, less 200: {}", project.diary());
    }
    assert_eq!(starts(&project).len(), 1);
}

#[test]
fn what_was_stopped_meanwhile_is_not_brought_back_by_a_zygote_that_was_late() {
    let project = waiting("1h", "");
    // As long as somebody else is starting a daemon, no zygote does.
    let starting = std::fs::File::open(project.folder().join(".soloist/start.lock")).unwrap();
    flock(&starting, FlockOperation::LockExclusive).unwrap();
    daemon::kill(&project);
    let late = zygotes(&project)[0];
    let mut by_hand = project.spawn(&["__daemon", &project.folder().display().to_string()]);
    wait_until("a daemon was started by hand", LIMIT, || {
        daemon::answering(&project).ok_or_else(|| project.diary())
    });
    stopped(&late, || {
        project.soloist(&["down"]).expect(0);
        by_hand.wait(LIMIT);
    });
    drop(starting);
    project.wait_until_nothing_lives(LIMIT);
    assert!(!late.is_alive() && daemon::answering(&project).is_none());
}

/// Has a process stand still while something is done.
fn stopped(process: &Identity, act: impl FnOnce()) {
    assert!(process.signal(Signal::STOP));
    act();
    assert!(process.signal(Signal::CONT));
}

#[test]
fn what_is_to_end_with_its_daemon_is_not_waited_for() {
    let project = waiting("1h", "on-daemon-exit = \"stop\"\n");
    let dead = daemon::kill(&project);
    project.wait_until_nothing_lives(LIMIT);
    assert!(!dead.is_alive() && daemon::answering(&project).is_none());
}

#[test]
fn a_tree_that_is_to_end_with_its_daemon_has_ended_before_that_is_back() {
    let command = quoted(&puppet(&["--children", "setsid"]));
    let project = Project::new(&format!(
        "[jobs.scan]\ncommand = [\"true\"]\nevery = \"1h\"\n\
         [services.s]\ncommand = {command}\non-daemon-exit = \"stop\"\n"
    ));
    project.soloist(&["up", "-d"]).expect(0);
    project.wait_for_state("scan", "scheduled", LIMIT);
    let main = Identity::of(project.wait_for_state("s", "ready", LIMIT).pid.unwrap()).unwrap();
    let dead = daemon::kill(&project);
    daemon::wait_for_another(&project, dead, LIMIT);
    assert!(!main.is_alive(), "{}", project.diary());
    project.wait_for_state("scan", "scheduled", LIMIT);
    project.wait_for_state("s", "ready", LIMIT);
}
