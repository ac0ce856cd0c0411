//! Escape artists: whatever the processes of a service do to get away, after `stop` none is left, the port is free and
//! the claim is free, within the grace and half a second. The same when the guard was killed before.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use e2e::{
    Background, Identity, LIMIT, Output, Project, free_port, in_namespace, is_free, puppet, quoted,
    wait_until,
};

/// The main process ignores SIGTERM, so all of it is used up.
const GRACE: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_millis(500);
/// With the main process and the heir of its socket there are twelve.
const KINDS: &str = "group,setsid,double-fork,clearenv,group+deaf,setsid+deaf,double-fork+deaf,clearenv+deaf,\
                     deaf,regroup+deaf";

/// Times are measured here: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A project with the escape artists as its service `artists`; nothing is started.
struct Stage {
    project: Project,
    port: u16,
    command: Vec<String>,
}

impl Stage {
    fn new() -> Stage {
        let project = Project::empty();
        let port = free_port();
        let beacon = project.beacon().text();
        let listen = port.to_string();
        let flags = ["--alone", &beacon, "--beacon", &beacon, "--ignore-term", "--children", KINDS];
        let command =
            puppet(&[&flags[..], &["--fork-listener", "--listen", &listen, "--life", "120"]].concat());
        let text = quoted(&command);
        project.write(
            "soloist.toml",
            &format!(
                "[services.artists]\ncommand = {text}\nport = {port}\nstop-grace = \"2s\"\n\
                 backoff = {{ first = \"50ms\", max = \"50ms\" }}\n"
            ),
        );
        Stage { project, port, command }
    }

    fn up(&self) {
        self.project.soloist(&["up", "-d"]).expect(0);
        self.wait_for_all(1);
    }

    fn run(&self) -> Background {
        let port = self.port.to_string();
        let mut arguments = vec!["run", "artists", "--port", &port, "--stop-grace", "2s", "--"];
        arguments.extend(self.command.iter().map(String::as_str));
        let run = self.project.spawn(&arguments);
        self.wait_for_all(1);
        run
    }

    /// Waits until the nth life of the whole ensemble is complete.
    fn wait_for_all(&self, life: usize) {
        wait_until("the ensemble is complete", LIMIT, || {
            let heirs = self.project.beacon().with_role("heir");
            let living = self.project.beacon().living().len();
            if heirs.len() >= life && living >= 11 {
                return Ok(());
            }
            Err(format!("{heirs:?}, {living} live\n{}", self.project.diary()))
        });
    }

    fn main(&self) -> Identity {
        *self.project.beacon().with_role("main").last().unwrap()
    }

    fn stop(&self) -> Output {
        let output = self.project.soloist(&["stop", "artists"]).expect(0);
        let left = self.project.beacon().living();
        let named: Vec<String> = left.iter().map(ToString::to_string).collect();
        assert!(left.is_empty(), "alive after {output}: {named:?}\n{}", self.project.diary());
        assert!(is_free(self.port), "the port is taken after {output}");
        output.is_within(GRACE + SLACK);
        self.project.soloist(&["run", "artists", "--", "true"]).expect(0);
        assert_eq!(self.project.beacon().overlaps(), Vec::<String>::new());
        output
    }
}

#[test]
fn no_process_of_a_service_escapes_stop() {
    let _alone = alone();
    let stage = Stage::new();
    stage.up();
    let output = stage.stop();
    assert!(output.took >= GRACE, "it was not given its grace: {output}");
}

#[test]
fn no_process_of_a_run_escapes_stop() {
    let _alone = alone();
    let stage = Stage::new();
    let mut run = stage.run();
    stage.stop();
    run.wait(LIMIT).expect(137);
}

#[test]
fn no_process_of_a_service_whose_guard_was_killed_escapes_stop() {
    let _alone = alone();
    let stage = Stage::new();
    stage.up();
    assert!(stage.project.guard("artists").kill());
    stage.stop();
}

#[test]
fn no_process_of_a_run_whose_guard_was_killed_escapes_stop() {
    let _alone = alone();
    let stage = Stage::new();
    let mut run = stage.run();
    assert!(stage.project.guard("artists").kill());
    stage.stop();
    run.wait(LIMIT);
}

/// It lets go of its link as a guard does whose tree is empty.
#[test]
fn no_process_of_a_run_whose_guard_is_killed_while_it_is_asked_to_stop_escapes() {
    let _alone = alone();
    let stage = Stage::new();
    let mut run = stage.run();
    let guard = stage.project.guard("artists");
    assert!(guard.signal(rustix::process::Signal::STOP));
    let mut stop = stage.project.spawn(&["stop", "artists"]);
    let at = format!("/proc/{}/wchan", stop.pid());
    wait_until("it waits for the answer", LIMIT, || {
        let sleeps_in = std::fs::read_to_string(&at).unwrap_or_default();
        if sleeps_in.contains("poll") { Ok(()) } else { Err(sleeps_in) }
    });
    assert!(guard.kill());
    stop.wait(LIMIT).expect(0);
    let left = stage.project.beacon().living();
    assert!(left.is_empty(), "{left:?}");
    run.wait(LIMIT);
}

#[test]
fn no_process_escapes_stop_after_the_guard_and_the_daemon_were_killed() {
    let _alone = alone();
    let stage = Stage::new();
    stage.up();
    let guard = stage.project.guard("artists");
    let daemon = stage.project.status().daemon.map(|daemon| daemon.pid).and_then(Identity::of).unwrap();
    assert!(daemon.kill() && guard.kill());
    stage.stop();
}

#[test]
fn after_the_guard_was_killed_nothing_new_starts_beside_its_survivors() {
    let _alone = alone();
    let stage = Stage::new();
    stage.up();
    let first = stage.main();
    assert!(stage.project.guard("artists").kill());
    // By itself, as after a crash, or because it is asked to: here both.
    stage.project.soloist(&["start", "artists"]).expect(0);
    let second = stage.main();
    assert!(!first.is_alive() || first == second, "two are alive");
    assert_eq!(stage.project.beacon().overlaps(), Vec::<String>::new());
    stage.wait_for_all(if first == second { 1 } else { 2 });
    stage.stop();
}

#[test]
fn after_the_guard_of_a_run_was_killed_the_next_run_ends_its_survivors_first() {
    let _alone = alone();
    let stage = Stage::new();
    let mut first = stage.run();
    assert!(stage.project.guard("artists").kill());
    first.wait(LIMIT);
    // A puppet that finds any of them alive reports it and ends with 99.
    let beacon = stage.project.beacon().text();
    let mut arguments = vec!["run".to_owned(), "artists".into(), "--wait".into(), "--".into()];
    arguments.extend(puppet(&["--alone", &beacon, "--exit-after", "0", "--code", "7"]));
    stage.project.soloist(&arguments).expect(7);
    assert_eq!(stage.project.beacon().overlaps(), Vec::<String>::new());
    assert_eq!(stage.project.beacon().living(), []);
}

/// Takes the cgroup v2 hierarchy away, as on machines that delegate none: no cgroup leaf can be made.
const WITHOUT_CGROUPS: &str = r#"
    awk '/ - cgroup2 /{ print $5 }' /proc/self/mountinfo | while read -r mount; do umount -l "$mount" || exit 1; done
    exec "$0" "$@""#;

fn without_cgroups(test: &str, body: impl FnOnce()) {
    let _alone = alone();
    in_namespace(test, &["--mount"], WITHOUT_CGROUPS, body);
}

fn has_no_leaf(stage: &Stage) {
    assert!(stage.project.record("artists").unwrap()["cgroup"].is_null(), "there is a leaf after all");
}

#[test]
fn without_a_cgroup_no_process_of_a_service_escapes_stop() {
    without_cgroups("without_a_cgroup_no_process_of_a_service_escapes_stop", || {
        let stage = Stage::new();
        stage.up();
        has_no_leaf(&stage);
        stage.stop();
    });
}

/// What shed environment and session is then found only as a child that the dead guard left to the zygote.
#[test]
fn without_a_cgroup_no_process_of_a_service_whose_guard_was_killed_escapes_stop() {
    without_cgroups("without_a_cgroup_no_process_of_a_service_whose_guard_was_killed_escapes_stop", || {
        let stage = Stage::new();
        stage.up();
        has_no_leaf(&stage);
        assert!(stage.project.guard("artists").kill());
        stage.stop();
    });
}
