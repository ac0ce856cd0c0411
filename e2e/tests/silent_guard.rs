//! A guard that lives and does not answer when a new daemon takes over: nothing false is told of its service, nothing
//! is started beside it, and once it answers it is adopted and what is wanted by then is done.

use e2e::{Identity, LIMIT, Project, daemon, wait_until};
use rustix::process::Signal;

/// `frozen` is never restarted, and its guard stands still; `other` has a guard that brings the daemon back.
struct Stage {
    project: Project,
    main: Identity,
    guard: Identity,
}

impl Stage {
    fn new() -> Stage {
        let project = Project::new(
            "[services.frozen]\ncommand = [\"sleep\", \"1000\"]\nrestart = \"no\"\n\
             [services.other]\ncommand = [\"sleep\", \"1000\"]\n",
        );
        project.soloist(&["up", "-d"]).expect(0);
        let main = Identity::of(project.service("frozen").pid.unwrap()).unwrap();
        let guard = project.guard("frozen");
        assert!(guard.signal(Signal::STOP));
        Stage { project, main, guard }
    }

    /// The daemon is killed, and another one is there.
    fn change_daemons(&self) {
        let dead = daemon::kill(&self.project);
        daemon::wait_for_another(&self.project, dead, LIMIT);
    }

    fn is_awaited(&self) {
        let seen = self.project.service("frozen");
        assert_eq!(seen.state, "standby", "{seen:?}\n{}", self.project.diary());
        assert!(self.main.is_alive());
    }
}

#[test]
fn a_service_whose_guard_did_not_answer_is_adopted_when_it_does() {
    let stage = Stage::new();
    for _ in 0..2 {
        stage.change_daemons();
        stage.is_awaited();
    }
    assert!(stage.guard.signal(Signal::CONT));
    let seen = stage.project.wait_for_state("frozen", "ready", LIMIT);
    assert_eq!((seen.pid, seen.restarts), (Some(stage.main.pid), 0), "{seen:?}");
    stage.project.soloist(&["stop", "frozen"]).expect(0);
    assert!(!stage.main.is_alive());
}

#[test]
fn a_service_whose_guard_does_not_answer_is_not_stopped_before_it_does() {
    let stage = Stage::new();
    stage.change_daemons();
    let mut stop = stage.project.spawn(&["stop", "frozen"]);
    wait_until("it is wanted down", LIMIT, || {
        let seen = stage.project.service("frozen");
        if seen.wanted == "down" { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    stage.is_awaited();
    // The next daemon has it from the ledger.
    stage.change_daemons();
    stage.is_awaited();
    assert!(stage.guard.signal(Signal::CONT));
    stage.project.wait_for_state("frozen", "stopped", LIMIT);
    stop.wait(LIMIT);
    assert!(!stage.main.is_alive());
    wait_until("its guard is gone", LIMIT, || if stage.guard.is_alive() { Err(stage.guard) } else { Ok(()) });
}

/// Its end was not seen: it is judged as every other, here by `restart = "no"`, after what it left is ended.
#[test]
fn a_guard_that_is_killed_before_it_answers_leaves_nothing_and_nothing_follows() {
    let stage = Stage::new();
    stage.change_daemons();
    stage.is_awaited();
    assert!(stage.guard.kill());
    stage.project.wait_for_state("frozen", "failed", LIMIT);
    assert!(!stage.main.is_alive());
}

#[test]
fn a_claim_whose_holder_lets_go_before_it_says_who_it_is_is_taken() {
    let project = Project::new(
        "[services.young]\ncommand = [\"sleep\", \"1000\"]\n[services.other]\ncommand = [\"sleep\", \"1000\"]\n",
    )
    .with_fail_points();
    project.soloist(&["start", "other"]).expect(0);
    project.arm("guard.born");
    let mut start = project.spawn(&["start", "young"]);
    let unborn = wait_until("its guard is born", LIMIT, || {
        project.standing_at("guard.born").ok_or_else(|| project.diary())
    });
    // Its guard has the claim, and nobody knows it: the daemon dies before it has heard of it.
    let dead = daemon::kill(&project);
    daemon::wait_for_another(&project, dead, LIMIT);
    unborn.signal(Signal::CONT);
    start.wait(LIMIT).expect(0);
    assert_eq!(project.service("young").state, "ready");
}
