//! The stop command and exec probes.

use std::time::{Duration, Instant};

use soloist_os::guard::{Order, Report};
use soloist_os::identity::Identity;

use crate::guarded::{Guarded, is_alive};

/// Says that it is there, and of the polite signal that it came.
const POLITE: &str = "trap 'echo term; exit 0' TERM; echo $$; while :; do sleep 0.02; done";

fn command(script: &str) -> Option<Vec<String>> {
    Some(["/bin/sh", "-c", script].map(str::to_owned).into())
}

#[test]
fn the_stop_command_runs_before_the_polite_signal_with_the_run_s_environment() {
    let mut guarded = Guarded::running(POLITE, |run| {
        run.stop_command = command("echo stop $MAINPID $OWN $(ulimit -n); sleep 0.1; echo stopped");
        run.limits.rlimits = vec![("nofile".into(), 64, 64)];
    });
    let main = guarded.lines("log", 1).remove(0);
    guarded.order(&Order::Stop { grace_ms: None });
    assert!(!guarded.emptied(), "no kill");
    // A shell may tell of its own sleep that the signal ended.
    let log = guarded.log().replace("Terminated\n", "");
    assert_eq!(log, format!("{main}\nstop {main} of the run 64\nstopped\nterm\n"));
    assert!(guarded.remarks().is_empty());
}

#[test]
fn a_stop_command_that_hangs_has_no_more_than_the_grace() {
    let mut guarded = Guarded::running(POLITE, |run| {
        run.stop_command = command("trap '' TERM; echo $$ >stop; sleep 300 & wait; sleep 300");
    });
    guarded.lines("log", 1);
    let begun = Instant::now();
    guarded.order(&Order::Stop { grace_ms: Some(1000) });
    assert!(guarded.emptied(), "killed");
    let took = begun.elapsed();
    assert!(Duration::from_millis(950) < took && took < Duration::from_millis(1500), "{took:?}");
    assert!(!is_alive(&guarded.lines("stop", 1)[0]));
    assert!(!guarded.log().contains("term"), "the signal waits for the stop command");
}

#[test]
fn a_stop_command_that_cannot_start_is_told_and_the_signal_follows() {
    let mut guarded = Guarded::running(POLITE, |run| run.stop_command = Some(vec!["/no/such/stop".into()]));
    guarded.lines("log", 1);
    guarded.order(&Order::Stop { grace_ms: None });
    assert!(!guarded.emptied());
    assert!(guarded.log().ends_with("term\n"), "{}", guarded.log());
    let said = guarded.remarks();
    assert!(said.len() == 1 && said[0].contains("command not found: /no/such/stop"), "{said:?}");
}

#[test]
fn a_stop_command_may_go_on_after_the_main_process_has_ended() {
    let script = "echo up; while ! [ -e enough ]; do sleep 0.02; done; exit 0";
    let mut guarded = Guarded::running(script, |run| {
        let stop =
            "touch enough; while kill -0 $MAINPID 2>/dev/null; do sleep 0.02; done; echo clean; exit 3";
        run.stop_command = command(stop);
    });
    guarded.lines("log", 1);
    guarded.order(&Order::Stop { grace_ms: None });
    assert!(!guarded.emptied());
    assert_eq!(guarded.log(), "up\nclean\n");
    let said = guarded.remarks();
    assert!(said.len() == 1 && said[0].contains("exit code 3"), "{said:?}");
}

#[test]
fn a_probe_sees_what_the_run_sees_and_its_words_stay_out_of_the_log() {
    let mut guarded = Guarded::running("exec sleep 300", |run| {
        run.limits.rlimits = vec![("nofile".into(), 64, 64)];
    });
    guarded.exec(
        1,
        "echo noise; [ \"$OWN\" = 'of the run' ] && [ $(ulimit -n) = 64 ] && [ -d claims ]",
        5000,
    );
    assert_eq!(guarded.ended(1), Ok(()));
    guarded.exec(2, "echo first; echo 'no such table' >&2; exit 3", 5000);
    assert_eq!(guarded.ended(2), Err("exit code 3: no such table".into()));
    guarded.exec(3, "kill -9 $$", 5000);
    assert_eq!(guarded.ended(3), Err("signal SIGKILL (9)".into()));
    guarded.order(&Order::Exec { id: 4, argv: vec!["no-such-probe".into()], timeout_ms: 5000 });
    assert_eq!(guarded.ended(4), Err("command not found: no-such-probe".into()));
    guarded.exec(5, "yes | head -c 3000000; echo last; exit 1", 20_000);
    assert_eq!(guarded.ended(5), Err("exit code 1: last".into()));
    guarded.exec(6, "yes", 300);
    assert_eq!(guarded.ended(6), Err("timed out after 300 ms".into()));
    assert_eq!(guarded.log(), "");
}

/// Three that want to live: deaf, in a session of its own, without environment and without parent.
const ESCAPING: &str = "trap '' TERM HUP INT
    echo $$ >>pids
    setsid sh -c 'echo $$ >>pids; sleep 300; :' &
    env -i setsid /bin/sh -c '(echo started; sh -c \"echo \\$PPID >>pids; sleep 300; :\"; :) & exit 0' &
    wait; sleep 300";

#[test]
fn nothing_of_a_probe_outlives_its_timeout() {
    let mut guarded = Guarded::running("exec sleep 300", |_| {});
    guarded.exec(1, ESCAPING, 1000);
    assert_eq!(guarded.ended(1), Err("timed out after 1 s".into()));
    let pids = guarded.lines("pids", 3);
    assert!(!pids.iter().any(|pid| is_alive(pid)), "{pids:?}");
    guarded.order(&Order::Status);
    let main = guarded.wait("it tells", |report| match report {
        Report::Status { main, .. } => Some(main.clone()),
        _ => None,
    });
    assert!(main.is_some_and(|main| main.is_alive()), "the run goes on");
}

#[test]
fn what_a_probe_leaves_behind_ends_with_it() {
    let mut guarded = Guarded::running("exec sleep 300", |_| {});
    guarded.exec(
        1,
        "env -i setsid sh -c 'echo $$ >>pids; sleep 300; :' & while ! [ -s pids ]; do :; done",
        9000,
    );
    assert_eq!(guarded.ended(1), Ok(()));
    assert!(!is_alive(&guarded.lines("pids", 1)[0]));
}

#[test]
fn probes_are_no_part_of_what_a_run_leaves() {
    let script = "while ! [ -e enough ]; do sleep 0.02; done";
    let mut guarded = Guarded::running(script, |_| {});
    for id in 1..=4 {
        guarded.exec(id, ESCAPING, 60_000);
    }
    guarded.lines("pids", 12);
    guarded.exec(5, "true", 5000);
    assert!(guarded.ended(5).unwrap_err().contains("4 probes"));
    std::fs::write(guarded.folder().join("enough"), "").unwrap();
    let left = guarded.wait("the main process ends", |report| match report {
        Report::MainExited { left, .. } => Some(*left),
        _ => None,
    });
    assert_eq!(left, 0);
    assert!(!guarded.emptied(), "the kill of the run was not needed");
    for id in 1..=4 {
        assert_eq!(guarded.ended(id), Err("the run ended meanwhile".into()));
    }
    let pids = guarded.read("pids");
    assert!(!pids.lines().any(is_alive), "{pids}");
    guarded.exec(6, "true", 5000);
    assert!(guarded.ended(6).unwrap_err().contains("does not run"));
}

#[test]
fn a_stop_ends_probes_that_are_deaf() {
    let mut guarded = Guarded::running(POLITE, |_| {});
    guarded.lines("log", 1);
    guarded.exec(1, ESCAPING, 60_000);
    let pids = guarded.lines("pids", 3);
    guarded.order(&Order::Kill);
    assert!(guarded.emptied());
    assert!(guarded.ended(1).is_err());
    assert!(!pids.iter().any(|pid| is_alive(pid)), "{pids:?}");
}

#[test]
fn a_probe_ends_with_its_guard() {
    let mut guarded = Guarded::running("exec sleep 300", |_| {});
    guarded.exec(1, ESCAPING, 60_000);
    let pids = guarded.lines("pids", 3);
    guarded.order(&Order::Status);
    let (guard, main) = guarded.wait("it tells", |report| match report {
        Report::Status { guard, main, .. } => Some((guard.clone(), main.clone())),
        _ => None,
    });
    let pins: Vec<_> = pids.iter().filter_map(|pid| Identity::of(pid.parse().unwrap()).ok()?.pin()).collect();
    assert_eq!(pins.len(), 3, "all of it lives");
    let kill = |one: &Identity| one.pin().unwrap().signal(soloist_os::identity::SIGNAL_KILL).unwrap();
    kill(&guard);
    for pin in pins {
        assert!(pin.wait(Duration::from_secs(20)).unwrap(), "{} outlives its guard", pin.identity);
    }
    main.iter().for_each(kill);
}
