//! Pids are reused for real, in a PID namespace of their own: a stale record or PID file names a living foreign
//! process. It is never signalled, and that the state was stale is said. Needs root and `unshare`.

use e2e::{Background, Identity, LIMIT, Project, in_namespace, puppet, quoted, wait_until};
use rustix::process::Signal;

const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// Runs the test of this name again as a child of a fresh PID namespace's first process, and there its body. The first
/// process is a shell that reaps orphans: an unreaped pid is not given out again.
fn in_fresh_pid_namespace(test: &str, body: impl FnOnce()) {
    let flags = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    in_namespace(test, &flags, "\"$0\" \"$@\" & wait $!", body);
}

/// A foreign process that has just this pid.
fn stranger_with_pid(project: &Project, pid: u32) -> Background {
    wait_until("the pid is given out again", LIMIT, || {
        std::fs::write(LAST_PID, (pid - 1).to_string()).map_err(|e| e.to_string())?;
        // Another thread may have been faster; then this one ends with its value.
        let stranger = project.stranger(&puppet(&["--life", "120"]));
        if stranger.pid() == pid { Ok(stranger) } else { Err(format!("got {}", stranger.pid())) }
    })
}

fn wait_for_death(all: &[Identity]) {
    wait_until("they are dead and reaped", LIMIT, || {
        let left: Vec<String> =
            all.iter().filter(|one| one.state().is_some()).map(ToString::to_string).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

/// It lives and was not even stopped.
#[track_caller]
fn is_untouched(strangers: &[Background], after: &str) {
    for stranger in strangers {
        let state = stranger.identity().state();
        assert!(
            matches!(state, Some('S' | 'R')),
            "a foreign process, {}, was touched by {after}",
            stranger.pid()
        );
    }
}

/// A run whose record and PID file are stale: everything of it was killed, and strangers have its pids now. The first
/// of them has the pid of the main process.
fn stale_run(project: &Project) -> Vec<Background> {
    let pid_file = project.path("worker.pid");
    let beacon = project.beacon().text();
    let flags = ["run", "worker", "--pid-file", &pid_file, "--"];
    let command = puppet(&["--beacon", &beacon]);
    let mut run =
        project.spawn(&[&flags[..], &command.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    let main = wait_until("it runs", LIMIT, || {
        project.beacon().with_role("main").first().copied().ok_or(run.said())
    });
    wait_until("its record tells the main process", LIMIT, || {
        let record = project.record("worker");
        if record.as_ref().is_some_and(|r| r["main"]["pid"] == main.pid) {
            Ok(())
        } else {
            Err(format!("{record:?}"))
        }
    });
    assert_eq!(project.read("worker.pid").trim(), main.pid.to_string());
    let guard = project.guard("worker");
    // Who guards goes first: nobody is left who could put anything in order.
    run.signal(Signal::KILL);
    guard.kill();
    main.kill();
    run.wait(LIMIT);
    wait_for_death(&[guard, main]);
    let mut pids = vec![main.pid];
    if guard.pid != main.pid {
        pids.push(guard.pid);
    }
    let strangers: Vec<Background> = pids.into_iter().map(|pid| stranger_with_pid(project, pid)).collect();
    assert_eq!(project.read("worker.pid").trim(), main.pid.to_string(), "the PID file is stale");
    strangers
}

#[test]
fn cleanup_clears_a_stale_record_and_leaves_the_foreign_process_alone() {
    in_fresh_pid_namespace("cleanup_clears_a_stale_record_and_leaves_the_foreign_process_alone", || {
        let project = Project::empty();
        let strangers = stale_run(&project);
        let status = project.soloist(&["status", "worker"]);
        assert_ne!(status.code(), 0, "a dead run is told as a living one: {status}");
        is_untouched(&strangers, "status");
        let preview = project.soloist(&["cleanup", "--dry-run"]).expect(0);
        preview.says("worker");
        is_untouched(&strangers, "cleanup --dry-run");
        let cleanup = project.soloist(&["cleanup"]).expect(0);
        cleanup.says("worker");
        assert!(cleanup.names_number(u64::from(strangers[0].pid())), "the stale pid is not said: {cleanup}");
        is_untouched(&strangers, "cleanup");
        let again = project.soloist(&["cleanup"]).expect(0);
        assert!(!again.all().contains("worker"), "it is not clean after cleanup: {again}");
        assert!(!project.folder().join("worker.pid").exists(), "the stale PID file is still there");
        is_untouched(&strangers, "the second cleanup");
    });
}

#[test]
fn stop_of_a_stale_run_leaves_the_foreign_process_alone() {
    in_fresh_pid_namespace("stop_of_a_stale_run_leaves_the_foreign_process_alone", || {
        let project = Project::empty();
        let strangers = stale_run(&project);
        let stop = project.soloist(&["stop", "worker"]);
        assert!([0, 3].contains(&stop.code()), "{stop}");
        is_untouched(&strangers, "stop");
        project.soloist(&["down"]);
        is_untouched(&strangers, "down");
    });
}

#[test]
fn the_next_run_replaces_a_stale_record_and_pid_file_and_says_so() {
    in_fresh_pid_namespace("the_next_run_replaces_a_stale_record_and_pid_file_and_says_so", || {
        let project = Project::empty();
        let strangers = stale_run(&project);
        let pid_file = project.path("worker.pid");
        // The stale file is gone before the command starts; its own is there a moment later.
        let script = "until cat worker.pid 2>/dev/null; do sleep 0.01; done";
        let words = ["run", "worker", "--pid-file", &pid_file, "--", "/bin/sh", "-c", script];
        let run = project.soloist(&words).expect(0);
        is_untouched(&strangers, "run");
        assert!(run.stderr.to_lowercase().contains("stale"), "that the state was stale is not said: {run}");
        let own: u32 = run.stdout.trim().parse().unwrap_or_else(|e| panic!("{e}: {run}"));
        assert!(strangers.iter().all(|stranger| stranger.pid() != own), "{run}");
        assert!(!project.folder().join("worker.pid").exists(), "the PID file is removed on stop");
    });
}

#[test]
fn a_forced_run_over_a_stale_record_leaves_the_foreign_process_alone() {
    in_fresh_pid_namespace("a_forced_run_over_a_stale_record_leaves_the_foreign_process_alone", || {
        let project = Project::empty();
        let strangers = stale_run(&project);
        project.soloist(&["run", "worker", "--force", "--", "true"]).expect(0);
        is_untouched(&strangers, "run --force");
    });
}

#[test]
fn a_daemon_that_finds_its_services_dead_and_their_pids_reused_starts_them_anew() {
    in_fresh_pid_namespace(
        "a_daemon_that_finds_its_services_dead_and_their_pids_reused_starts_them_anew",
        || {
            let project = Project::empty();
            let beacon = project.beacon().text();
            let command = quoted(&puppet(&["--alone", &beacon]));
            project.write(
                "soloist.toml",
                &format!("[services.worker]\ncommand = {command}\npid-file = \"worker.pid\"\n"),
            );
            project.soloist(&["up", "-d"]).expect(0);
            let of = |pid: u32| Identity::of(pid).unwrap();
            let daemon = of(project.status().daemon.unwrap().pid);
            let main = of(project.service("worker").pid.unwrap());
            let guard = project.guard("worker");
            let all: Vec<Identity> = project.survivors();
            // All stand still before the first dies: none of them is to bring another one back.
            for signal in [Signal::STOP, Signal::KILL] {
                for one in &all {
                    one.signal(signal);
                }
            }
            wait_for_death(&all);
            let strangers = [main, guard, daemon].map(|one| stranger_with_pid(&project, one.pid));
            project.soloist(&["up", "-d"]).expect(0);
            is_untouched(&strangers, "up");
            let anew = project.service("worker");
            assert!(anew.ready, "{anew:?}");
            assert!(strangers.iter().all(|stranger| Some(stranger.pid()) != anew.pid), "{anew:?}");
            assert_eq!(project.read("worker.pid").trim(), anew.pid.unwrap().to_string());
            project.soloist(&["down"]).expect(0);
            is_untouched(&strangers, "down");
        },
    );
}

#[test]
fn a_pid_file_that_names_a_foreign_process_is_never_believed() {
    let project = Project::empty();
    let stranger = [project.stranger(&puppet(&["--life", "120"]))];
    let pid = stranger[0].pid().to_string();
    let command = quoted(&puppet(&["--life", "120"]));
    project.write(
        "soloist.toml",
        &format!("[services.worker]\ncommand = {command}\npid-file = \"worker.pid\"\n"),
    );
    project.write("worker.pid", &format!("{pid}\n"));
    let stop = project.soloist(&["stop", "worker"]);
    assert!([0, 3].contains(&stop.code()), "{stop}");
    is_untouched(&stranger, "stop");
    project.write("worker.pid", &format!("{pid}\n"));
    project.soloist(&["up", "-d"]).expect(0);
    is_untouched(&stranger, "up");
    let own = project.service("worker").pid.unwrap();
    assert_eq!(project.read("worker.pid").trim(), own.to_string());
    project.soloist(&["down"]).expect(0);
    is_untouched(&stranger, "down");
    assert!(!project.folder().join("worker.pid").exists(), "the PID file is removed on stop");
    project.write("worker.pid", &format!("{pid}\n"));
    project.soloist(&["run", "worker", "--pid-file", "worker.pid", "--force", "--", "true"]).expect(0);
    is_untouched(&stranger, "run --force");
}
