//! Adoption made complete: a killed daemon is brought back by the guards, by exactly one of them, as no part of any
//! service's tree; a signal that asks it to end is obeyed instead; and it can become another binary unnoticed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::puppet::voice;
use e2e::wait::within;
use e2e::{Identity, LIMIT, Pace, Project, Status, binaries, daemon, puppet, quoted, wait_until};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

/// What is promised: a killed daemon answers again within a second. It is asked of the median, for a machine that tests
/// other things meanwhile.
const BACK: Duration = Duration::from_secs(1);

/// So many services that write a line every few milliseconds, up.
fn talkers(count: usize) -> (Project, Status) {
    let project = Project::empty();
    let command = quoted(&puppet(&["--write-every", "5"]));
    let services: String = (0..count).map(|n| format!("[services.s{n}]\ncommand = {command}\n")).collect();
    project.write("soloist.toml", &services);
    project.soloist(&["up", "-d"]).expect(0);
    let status = project.status();
    (project, status)
}

fn pids(status: &Status) -> Vec<(String, Option<u32>, u64)> {
    status.services.iter().map(|s| (s.name.clone(), s.pid, s.restarts)).collect()
}

/// How often a daemon began, by its own log.
fn begun(project: &Project) -> usize {
    let line = format!(" for {}", project.folder().display());
    project.read(".soloist/daemon.log").lines().filter(|text| text.ends_with(&line)).count()
}

/// Looks all the time how many daemons there are, while something is done.
fn most_at_once(project: &Project, act: impl FnOnce()) -> usize {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !is_over.load(Ordering::Relaxed) {
                most = most.max(daemon::living(project).len());
                std::thread::sleep(Duration::from_millis(1));
            }
            // On a busy machine it may not have come to look at all.
            most.max(daemon::living(project).len())
        });
        act();
        is_over.store(true, Ordering::Relaxed);
        watcher.join().unwrap()
    })
}

fn comes_back(count: usize, rounds: usize) {
    let (project, before) = talkers(count);
    let mut took = Vec::new();
    let most = most_at_once(&project, || {
        for _ in 0..rounds {
            let began = begun(&project);
            let dead = daemon::kill(&project);
            let since = Instant::now();
            daemon::wait_for_another(&project, dead, LIMIT);
            took.push(since.elapsed());
            assert_eq!(begun(&project), began + 1, "{}", project.diary());
        }
    });
    assert_eq!(most, 1, "daemons at once");
    took.sort();
    assert!(took[rounds / 2] < BACK, "it took {took:?}\n{}", project.diary());
    assert_eq!(pids(&project.status()), pids(&before), "{}", project.diary());
}

#[test]
fn a_killed_daemon_is_back_within_a_second_without_any_command() {
    comes_back(1, 5);
}

#[test]
fn of_thirty_guards_exactly_one_brings_the_daemon_back() {
    comes_back(30, 5);
}

#[test]
fn a_revived_daemon_is_no_part_of_the_tree_whose_guard_brought_it_back() {
    let (project, before) = talkers(1);
    let guard = project.guard("s0");
    let service = Identity::of(before.service("s0").pid.unwrap()).unwrap();
    let dead = daemon::kill(&project);
    let revived = daemon::wait_for_another(&project, dead, LIMIT);

    let field = |pid: u32, file: &str| {
        std::fs::read(format!("/proc/{pid}/{file}"))
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .unwrap()
    };
    let parent =
        field(revived.pid, "status").lines().find_map(|l| l.strip_prefix("PPid:\t").map(str::to_owned));
    assert_ne!(parent, Some(guard.pid.to_string()));
    let environment = field(revived.pid, "environ");
    assert!(!environment.split('\0').any(|entry| entry.starts_with("SOLOIST_")), "{environment}");
    assert_eq!(field(revived.pid, "cgroup"), field(guard.pid, "cgroup"), "it is in no leaf");

    // Neither an orderly stop nor a kill of all that is left reaches it.
    project.soloist(&["stop", "s0"]).expect(0);
    assert!(!service.is_alive() && revived.is_alive());
    assert_eq!(daemon::answering(&project), Some(revived));
    project.soloist(&["start", "s0"]).expect(0);
    assert_eq!(daemon::answering(&project), Some(revived));
}

#[test]
fn the_stop_of_a_deaf_tree_does_not_reach_the_daemon_that_its_guard_brought_back() {
    let project = Project::empty();
    let command = quoted(&puppet(&["--deaf", "--children", "deaf,setsid+deaf"]));
    project.write("soloist.toml", &format!("[services.deaf]\ncommand = {command}\nstop-grace = \"100ms\"\n"));
    project.soloist(&["up", "-d"]).expect(0);
    let dead = daemon::kill(&project);
    let revived = daemon::wait_for_another(&project, dead, LIMIT);
    project.soloist(&["stop", "deaf"]).expect(0);
    assert_eq!(daemon::answering(&project), Some(revived));
}

#[test]
fn a_daemon_that_is_brought_back_only_to_finish_a_stop_ends_with_it() {
    let project = Project::empty();
    let command = quoted(&puppet(&["--deaf"]));
    project.write("soloist.toml", &format!("[services.deaf]\ncommand = {command}\nstop-grace = \"2s\"\n"));
    project.soloist(&["up", "-d"]).expect(0);
    let mut asking = project.spawn(&["down"]);
    project.wait_for_state("deaf", "stopping", LIMIT);
    // Nobody is left who asked: what was wanted is in the ledger.
    assert!(asking.identity().kill());
    asking.wait(LIMIT);
    let dead = daemon::kill(&project);
    daemon::wait_for_another(&project, dead, LIMIT);
    wait_until("the tree has ended, and all daemons", LIMIT, || {
        let left = project.survivors();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}\n{}", project.diary())) }
    });
    assert_eq!(begun(&project), 2);
    project.soloist(&["up", "-d"]).expect(0);
    assert_eq!(project.service("deaf").state, "ready");
}

#[test]
fn a_service_that_falls_while_the_daemon_is_dead_is_restarted_without_any_command() {
    let project = Project::empty();
    let beacon = project.beacon().text();
    let command = quoted(&puppet(&["--alone", &beacon]));
    project.write(
        "soloist.toml",
        &format!(
            "[services.worker]\ncommand = {command}\nbackoff = {{ first = \"50ms\", max = \"50ms\" }}\n"
        ),
    );
    project.soloist(&["up", "-d"]).expect(0);
    let main = Identity::of(project.service("worker").pid.unwrap()).unwrap();
    let guard = project.guard("worker");
    // As long as somebody else is starting a daemon, no guard does: so its fall happens without one.
    let starting = std::fs::File::open(project.folder().join(".soloist/start.lock")).unwrap();
    flock(&starting, FlockOperation::LockExclusive).unwrap();
    let dead = daemon::kill(&project);
    assert!(main.kill());
    wait_until("its record says how it ended", LIMIT, || {
        let record = project.record("worker");
        record.clone().filter(|record| record["exit"]["signal"] == 9).ok_or_else(|| format!("{record:?}"))
    });
    assert!(guard.is_alive() && daemon::living(&project).is_empty());
    drop(starting);
    daemon::wait_for_another(&project, dead, LIMIT);
    let again = wait_until("it runs again", LIMIT, || {
        let living = project.beacon().living();
        living.first().copied().filter(|one| *one != main).ok_or_else(|| project.diary())
    });
    let seen = project.wait_for_state("worker", "ready", LIMIT);
    assert_eq!((seen.pid, seen.restarts), (Some(again.pid), 1), "{seen:?}");
    assert_eq!(project.beacon().overlaps(), Vec::<String>::new());
}

#[test]
fn however_long_somebody_else_was_starting_a_daemon_a_guard_soon_does_when_he_is_gone() {
    let (project, _) = talkers(1);
    let starting = std::fs::File::open(project.folder().join(".soloist/start.lock")).unwrap();
    flock(&starting, FlockOperation::LockExclusive).unwrap();
    let dead = daemon::kill(&project);
    // Nobody starts one for these seconds, in which a pause that doubles grows to four.
    let started = within(Duration::from_secs(4), || daemon::living(&project).pop().ok_or(()));
    assert_eq!(started, Err(()));
    drop(starting);
    let pace = Pace::start();
    daemon::wait_for_another(&project, dead, LIMIT);
    assert!(pace.own() < Duration::from_secs(2), "{:?}\n{}", pace.elapsed(), project.diary());
}

#[test]
fn a_crash_loop_does_not_become_faster_when_the_daemon_is_killed() {
    let project = Project::new(
        "[services.frail]\ncommand = [\"/bin/sh\", \"-c\", \"exit 3\"]\n\
         backoff = { first = \"100ms\", max = \"1h\", reset-after = \"1h\" }\n\
         [services.steady]\ncommand = [\"sleep\", \"1000\"]\n",
    );
    // It waits for what does not come; the guard of the steady one brings the daemon back.
    let mut up = project.spawn(&["up", "-d"]);
    let delays = || {
        let told = project.soloist(&["history", "frail", "--json", "-n", "1000"]).expect(0).json();
        let entries = told["entries"].as_array().cloned().unwrap_or_default();
        let of = entries.iter().filter(|entry| entry["what"] == "restarting");
        of.map(|entry| entry["duration_ms"].as_u64().unwrap()).collect::<Vec<u64>>()
    };
    let falls = wait_until("it waits for seconds", LIMIT, || {
        let delays = delays();
        if delays.last() > Some(&3000) { Ok(delays.len()) } else { Err(format!("{delays:?}")) }
    });
    let before = project.wait_for_state("frail", "backoff", LIMIT);
    let dead = daemon::kill(&project);
    daemon::wait_for_another(&project, dead, LIMIT);
    let after = project.wait_for_state("frail", "backoff", LIMIT);
    assert_eq!(after.restarts, before.restarts, "{after:?}");
    let delays = wait_until("it is judged anew", LIMIT, || {
        let delays = delays();
        if delays.len() > falls { Ok(delays) } else { Err(format!("{delays:?}")) }
    });
    // A fifth of jitter on both sides.
    assert!(delays[falls] * 2 > delays[falls - 1], "{delays:?}");
    project.soloist(&["down"]).expect(0);
    up.wait(LIMIT);
}

#[test]
fn a_daemon_that_cannot_start_is_tried_again_while_the_output_goes_on() {
    let (project, before) = talkers(1);
    // No daemon can open its lock where a folder lies.
    let lock = project.folder().join(".soloist/daemon.lock");
    std::fs::rename(&lock, project.folder().join("aside")).unwrap();
    std::fs::create_dir(&lock).unwrap();
    let dead = daemon::kill(&project);
    let written = project.log("s0").len();
    wait_until("more is written than a pipe holds", LIMIT, || {
        let length = project.log("s0").len();
        if length > written + (64 << 10) { Ok(()) } else { Err(length) }
    });
    assert_eq!(daemon::answering(&project), None);
    std::fs::remove_dir(&lock).unwrap();
    daemon::wait_for_another(&project, dead, LIMIT);
    assert_eq!(pids(&project.status()), pids(&before));
    assert!(voice::count(&whole_lines(&project, "s0")).is_ok());
}

#[test]
fn a_daemon_that_is_asked_to_end_stops_everything_and_stays_away() {
    for signal in [Signal::TERM, Signal::INT] {
        let (project, _) = talkers(3);
        let daemon = daemon::answering(&project).unwrap();
        assert!(daemon.signal(signal));
        project.wait_until_nothing_lives(LIMIT);
        assert_eq!(begun(&project), 1, "{}", project.diary());
        let status = project.status();
        assert!(status.daemon.is_none() && status.services.iter().all(|s| s.wanted == "down"), "{status:?}");
    }
}

// ---- on-daemon-exit = "stop"

/// A service that is to be stopped without a daemon, up.
fn leaving_with_its_daemon() -> (Project, Identity) {
    let project = Project::empty();
    let command = quoted(&puppet(&["--children", "setsid", "--beacon", &project.path("beacon")]));
    project.write("soloist.toml", &format!("[services.s]\ncommand = {command}\non-daemon-exit = \"stop\"\n"));
    project.soloist(&["up", "-d"]).expect(0);
    let main = project.service("s").pid.unwrap_or_else(|| panic!("{}", project.diary()));
    (project, Identity::of(main).unwrap())
}

#[test]
fn a_service_that_is_to_end_with_its_daemon_does_and_the_daemon_stays_away() {
    let (project, main) = leaving_with_its_daemon();
    let guard = project.guard("s");
    daemon::kill(&project);
    wait_until("tree and guard have ended", LIMIT, || {
        let living = project.survivors();
        if living.is_empty() { Ok(()) } else { Err(format!("{living:?}")) }
    });
    assert!(!main.is_alive() && !guard.is_alive());
    assert_eq!((begun(&project), daemon::answering(&project)), (1, None));
    let record = project.record("s").unwrap();
    assert!(record["ended"] == true && record["was_stopped"] == true, "{record}");
    // It is still wanted: with the next daemon it is back, and that was no crash.
    project.soloist(&["ensure", "s"]).expect(0);
    assert_eq!(project.service("s").restarts, 0);
}

#[test]
fn an_upgrade_is_no_end_of_a_daemon() {
    let (project, main) = leaving_with_its_daemon();
    for _ in 0..3 {
        project.soloist(&["upgrade"]).expect(0).says("1 service taken over");
    }
    assert_eq!(project.service("s").pid, Some(main.pid));
}

// ---- upgrade

/// The log up to its last whole line: a puppet may be in the middle of one.
fn whole_lines(project: &Project, name: &str) -> Vec<u8> {
    let log = project.log(name);
    let end = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    log[..end].to_vec()
}

#[test]
fn an_upgrade_touches_no_service_and_loses_no_byte_and_no_client() {
    let (project, before) = talkers(10);
    let guards: Vec<Identity> = (0..10).map(|n| project.guard(&format!("s{n}"))).collect();
    let copy = project.folder().join("newer");
    binaries().copy_soloist(&copy);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Whoever asks while one daemon becomes another gets its answer.
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !is_over.load(Ordering::Relaxed) {
                project.soloist(&["status", "--json"]).expect(0);
                project.soloist(&["ensure", "s3"]).expect(0);
                asked += 1;
            }
            asked
        });
        for binary in [copy.as_path(), &binaries().soloist, &copy] {
            let output = project.soloist(&["upgrade", "--binary", &binary.display().to_string()]).expect(0);
            output.says("10 services taken over");
            output.says(&binary.display().to_string());
            let daemon = daemon::answering(&project).unwrap();
            assert_eq!(std::fs::read_link(format!("/proc/{}/exe", daemon.pid)).unwrap(), binary);
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(asking.join().unwrap() > 0);
    });
    // Without a path: what lies there now, where the daemon's own binary lay.
    std::fs::rename(&copy, project.folder().join("old")).unwrap();
    binaries().copy_soloist(&copy);
    project.soloist(&["upgrade"]).expect(0).says(&copy.display().to_string());

    let after = project.status();
    assert_eq!(pids(&after), pids(&before), "{}", project.diary());
    assert!(guards.iter().all(Identity::is_alive));
    assert_eq!(daemon::living(&project).len(), 1);
    for service in &after.services {
        assert!(voice::count(&whole_lines(&project, &service.name)).is_ok_and(|lines| lines > 0));
    }
    // The guards bring back the binary that the daemon is now.
    let dead = daemon::kill(&project);
    let revived = daemon::wait_for_another(&project, dead, LIMIT);
    assert_eq!(std::fs::read_link(format!("/proc/{}/exe", revived.pid)).unwrap(), copy);
    assert_eq!(pids(&project.status()), pids(&before));
    project.soloist(&["down"]).expect(0);
}

#[test]
fn who_waits_for_a_start_while_the_daemon_is_replaced_or_dies_gets_the_answer() {
    let project = Project::empty();
    let port = e2e::free_port();
    let go = project.path("go");
    let listens = puppet(&["--listen", &port.to_string()]).join(" ");
    let script = format!("while [ ! -e {go} ]; do sleep 0.05; done; exec {listens}");
    let command = quoted(&["/bin/sh", "-c", &script]);
    project.write("soloist.toml", &format!("[services.slow]\ncommand = {command}\nport = {port}\n"));
    let mut start = project.spawn(&["start", "slow"]);
    let before = wait_until("it is starting", LIMIT, || {
        let seen = project.status().services.into_iter().find(|s| s.name == "slow" && s.pid.is_some());
        seen.ok_or_else(|| project.diary())
    });
    project.soloist(&["upgrade"]).expect(0);
    let dead = daemon::kill(&project);
    daemon::wait_for_another(&project, dead, LIMIT);
    assert!(start.ended().is_none(), "{}", start.said());
    project.write("go", "");
    start.wait(LIMIT).expect(0).says("slow ready");
    let after = project.service("slow");
    assert_eq!((after.pid, after.restarts), (before.pid, 0));
}

#[test]
fn what_is_no_working_soloist_does_not_become_the_daemon() {
    use std::os::unix::fs::PermissionsExt;
    let (project, before) = talkers(2);
    let daemon = daemon::answering(&project).unwrap();
    let script = |name: &str, text: &str| {
        let path = project.write(name, text);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    };
    let other = script("other", "#!/bin/sh\necho another 1.2.3\n");
    let broken = script("broken", "#!/bin/sh\nexit 3\n");
    // Fine when it is looked at, gone when it is to be executed.
    let fading = script("fading", "#!/bin/sh\nrm -- \"$0\"\necho soloist 9.9.9\n");
    let absent = project.path("absent");
    for (binary, code, said) in [
        (&other, 2, "does not say that it is soloist"),
        (&broken, 2, "ended with exit status: 3"),
        (&absent, 2, "No such file"),
        (&fading, 1, "cannot be executed"),
    ] {
        project.soloist(&["upgrade", "--binary", binary]).expect(code).says(said);
        assert_eq!(daemon::answering(&project), Some(daemon), "after {binary}");
        assert_eq!(pids(&project.status()), pids(&before), "after {binary}");
    }
    // It goes on as before, restarts and all.
    project.soloist(&["restart", "s0"]).expect(0);
    assert_ne!(project.service("s0").pid, before.service("s0").pid);
    assert_eq!(project.service("s1").pid, before.service("s1").pid);
}

#[test]
fn of_a_binary_that_dies_as_a_daemon_the_last_one_is_brought_back() {
    use std::os::unix::fs::PermissionsExt;
    let (project, before) = talkers(3);
    let was = daemon::answering(&project).unwrap();
    let text = "#!/bin/sh\nif [ \"$1\" = --version ]; then echo soloist 9.9.9; else exit 1; fi\n";
    let stillborn = project.write("stillborn", text);
    std::fs::set_permissions(&stillborn, std::fs::Permissions::from_mode(0o755)).unwrap();
    let upgrade = project.soloist(&["upgrade", "--binary", &stillborn.display().to_string()]).expect(1);
    let version = env!("CARGO_PKG_VERSION");
    upgrade.says(&format!("became the daemon and ended; soloist {version} was brought back"));
    assert_ne!(daemon::answering(&project), Some(was));
    assert_eq!(pids(&project.status()), pids(&before), "{}", project.diary());
}

#[test]
fn up_in_the_foreground_goes_on_with_the_daemon_that_was_brought_back() {
    let project = Project::empty();
    let command = quoted(&["/bin/sh", "-c", "while :; do echo tick; sleep 0.02; done"]);
    project.write("soloist.toml", &format!("[services.ticker]\ncommand = {command}\n"));
    let mut up = project.spawn(&["up"]);
    let said = |more: usize| {
        let before = up.said().matches("tick").count();
        wait_until("more output is shown", LIMIT, || {
            let shown = up.said().matches("tick").count();
            if shown >= before + more { Ok(()) } else { Err(up.said()) }
        });
    };
    said(5);
    let dead = daemon::kill(&project);
    let revived = daemon::wait_for_another(&project, dead, LIMIT);
    said(20);
    project.soloist(&["upgrade"]).expect(0);
    said(20);
    assert_eq!(daemon::answering(&project), Some(revived));
    // It hears of what happens, and Ctrl+C still stops what it has started.
    project.soloist(&["restart", "ticker"]).expect(0);
    let pid = project.service("ticker").pid.unwrap();
    wait_until("the restart is shown", LIMIT, || {
        let said = up.said();
        if said.contains(&format!("ready, pid {pid}")) { Ok(()) } else { Err(said) }
    });
    up.signal(Signal::INT);
    up.wait(LIMIT).expect(0).says("ticker stopped");
    project.wait_until_nothing_lives(LIMIT);
}

#[test]
fn without_a_daemon_there_is_nothing_to_upgrade() {
    let project = Project::new("[services.s]\ncommand = [\"sleep\", \"100\"]\n");
    project.soloist(&["upgrade"]).expect(0).says("no daemon runs here");
    assert!(!project.folder().join(".soloist").exists());
}
