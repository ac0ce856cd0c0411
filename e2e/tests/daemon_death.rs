//! The daemon is killed with SIGKILL: services run on, no byte of their output is lost, nobody dies of a broken pipe;
//! the next command starts a daemon that has everything back, and later tells true exit codes.

use std::io::Write;

use e2e::daemon::{answering, kill, wait_for_another};
use e2e::puppet::voice;
use e2e::status::Exit;
use e2e::{Identity, LIMIT, Project, Status, free_port, in_namespace, puppet, quoted, wait_until};

const SHOUTED: u64 = 200_000;

struct Stage {
    project: Project,
}

impl Stage {
    /// `talker` writes until the file `end` is there, then exits with 42; `shouter` begins with 11 MB at once; `frail`
    /// is a shell, so a broken pipe would kill it; `api` listens.
    fn new() -> Stage {
        let project = Project::empty();
        let (port, end, token) = (free_port(), project.path("end"), project.path("token"));
        let flags = ["--token-file", &token, "--write-every", "2", "--exit-on-file", &end, "--code", "42"];
        let talker = quoted(&puppet(&flags));
        let shouter = quoted(&puppet(&["--write", &SHOUTED.to_string()]));
        let frail = quoted(&["/bin/sh", "-c", "while :; do echo tick; sleep 0.02; done"]);
        let api = quoted(&puppet(&["--listen", &port.to_string()]));
        project.write(
            "soloist.toml",
            &format!(
                "[services.talker]\ncommand = {talker}\nrestart = \"no\"\n\
                 [services.shouter]\ncommand = {shouter}\n\
                 [services.frail]\ncommand = {frail}\nstop-grace = \"2s\"\n\
                 [services.api]\ncommand = {api}\nport = {port}\n"
            ),
        );
        Stage { project }
    }

    fn up(&self) -> Status {
        self.project.soloist(&["up", "-d"]).expect(0);
        self.project.status()
    }

    fn lines(&self, name: &str) -> usize {
        self.project.log(name).iter().filter(|byte| **byte == b'\n').count()
    }

    fn wait_for_more(&self, name: &str, more: usize) {
        let before = self.lines(name);
        wait_until(&format!("`{name}` has written {more} more lines"), LIMIT, || {
            let lines = self.lines(name);
            if lines >= before + more { Ok(()) } else { Err(format!("{lines} after {before}")) }
        });
    }
}

/// The daemon, killed and seen dead.
fn kill_daemon(status: &Status) {
    let daemon = Identity::of(status.daemon.as_ref().expect("a daemon").pid).expect("a living daemon");
    assert!(daemon.kill());
    wait_until("the daemon is dead", LIMIT, || if daemon.is_alive() { Err(daemon) } else { Ok(()) });
}

fn pids(status: &Status) -> Vec<(String, Option<u32>, Option<String>, u64)> {
    let one = |s: &e2e::Service| (s.name.clone(), s.pid, s.run_id.clone(), s.restarts);
    status.services.iter().map(one).collect()
}

#[test]
fn services_run_on_without_the_daemon_and_the_next_one_has_them_all_back() {
    let stage = Stage::new();
    let before = stage.up();
    assert!(before.services.iter().all(|service| service.pid.is_some()), "{before:?}");
    for _ in 0..3 {
        // The daemon may be one of those that came later.
        let status = stage.project.status();
        kill_daemon(&status);
        stage.wait_for_more("talker", 100);
        stage.wait_for_more("frail", 5);
        stage.project.soloist(&["ensure", "api"]).expect(0);
        let after = stage.project.status();
        assert_eq!(pids(&after), pids(&before), "{}", stage.project.diary());
        assert!(after.services.iter().all(|service| service.ready), "{after:?}");
        assert_ne!(after.daemon.map(|d| d.pid), status.daemon.map(|d| d.pid));
    }

    // Later it tells the true exit code, and all bytes are there.
    let talker = before.service("talker").pid.unwrap();
    stage.project.write("end", "");
    let exit = wait_until("the exit is told", LIMIT, || {
        let seen = stage.project.service("talker");
        seen.exit.filter(|_| seen.pid.is_none()).ok_or_else(|| format!("{seen:?}"))
    });
    assert_eq!(exit, Exit { code: Some(42), signal: None });
    let written = stage.project.journal().lines_of(talker);
    assert_eq!(voice::count(&stage.project.log("talker")).map(Some), Ok(written));
    assert_eq!(voice::count(&stage.project.log("shouter")), Ok(SHOUTED));

    let down = stage.project.soloist(&["down"]).expect(0);
    assert_eq!(stage.project.survivors(), [], "after {down}");
}

#[test]
fn not_a_byte_is_lost_of_a_service_that_writes_as_fast_as_it_can_while_the_daemon_dies() {
    let project = Project::empty();
    let token = project.path("token");
    let lines = SHOUTED * 5;
    let flags = ["--token-file", &token, "--write", &lines.to_string(), "--exit-after", "0", "--code", "7"];
    let command = quoted(&puppet(&flags));
    project.write("soloist.toml", &format!("[services.shouter]\ncommand = {command}\nrestart = \"no\"\n"));
    project.soloist(&["up", "-d"]).expect(0);
    kill_daemon(&project.status());
    let written = wait_until("it has written all", LIMIT, || {
        let starts = project.journal().starts();
        starts
            .first()
            .and_then(|who| project.journal().lines_of(who.pid))
            .ok_or_else(|| project.log("shouter").len())
    });
    assert_eq!(written, lines);
    project.soloist(&["cleanup"]).expect(0);
    assert_eq!(voice::count(&project.log("shouter")), Ok(lines));
}

#[test]
fn an_exit_without_a_daemon_is_told_truly_by_the_next_one() {
    let stage = Stage::new();
    let before = stage.up();
    let talker = Identity::of(before.service("talker").pid.unwrap()).unwrap();
    stage.wait_for_more("talker", 50);
    kill_daemon(&before);
    stage.project.write("end", "");
    wait_until("the talker has ended", LIMIT, || if talker.is_alive() { Err(talker) } else { Ok(()) });
    stage.project.soloist(&["ensure", "api"]).expect(0);
    let exit = wait_until("the exit is told", LIMIT, || {
        let seen = stage.project.service("talker");
        seen.exit.ok_or_else(|| format!("{seen:?}\n{}", stage.project.diary()))
    });
    assert_eq!(exit, Exit { code: Some(42), signal: None });
    let written = stage.project.journal().lines_of(talker.pid);
    assert_eq!(voice::count(&stage.project.log("talker")).map(Some), Ok(written));
}

#[test]
fn a_service_that_fell_without_a_daemon_is_restarted_by_the_next_one() {
    let project = Project::empty();
    let beacon = project.beacon().text();
    let command = quoted(&puppet(&["--alone", &beacon]));
    project.write(
        "soloist.toml",
        &format!(
            "[services.worker]\ncommand = {command}\nbackoff = {{ first = \"50ms\", max = \"50ms\" }}\n\
             [services.other]\ncommand = [\"sleep\", \"100\"]\n"
        ),
    );
    project.soloist(&["up", "-d"]).expect(0);
    let before = project.status();
    let main = Identity::of(before.service("worker").pid.unwrap()).unwrap();
    kill_daemon(&before);
    assert!(main.kill());
    project.soloist(&["ensure", "other"]).expect(0);
    let after = wait_until("it is restarted", LIMIT, || {
        let seen = project.service("worker");
        if seen.ready && seen.pid != Some(main.pid) {
            Ok(seen)
        } else {
            Err(format!("{seen:?}\n{}", project.diary()))
        }
    });
    assert_eq!(after.restarts, 1, "{after:?}");
    assert_eq!(project.beacon().overlaps(), Vec::<String>::new());
    assert_eq!(project.service("other").pid, before.service("other").pid);
}

/// The folder of the project on a file system of two megabytes.
const TINY: &str = "mount -t tmpfs -o size=2m tiny /mnt && TMPDIR=/mnt exec \"$0\" \"$@\"";

#[test]
fn what_was_stopped_on_a_full_disk_stays_stopped_when_the_daemon_dies() {
    let test = "what_was_stopped_on_a_full_disk_stays_stopped_when_the_daemon_dies";
    in_namespace(test, &["--mount"], TINY, || {
        let steady = quoted(&puppet(&["--life", "1000"]));
        let both = format!("[services.one]\ncommand = {steady}\n[services.two]\ncommand = {steady}\n");
        let project = Project::new(&both);
        project.soloist(&["up", "-d"]).expect(0);
        let mut ballast = std::fs::File::create(project.folder().join("ballast")).unwrap();
        for size in [4096, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
        project.soloist(&["stop", "one"]).expect(0);
        let before = kill(&project);
        project.soloist(&["status"]).expect(0);
        wait_for_another(&project, before, LIMIT);
        assert_eq!(
            (project.service("one").state.as_str(), project.service("two").state.as_str()),
            ("stopped", "ready")
        );
        project.soloist(&["down"]).expect(0);
        project.soloist(&["status"]).expect(0);
        assert_eq!(project.service("two").state, "stopped");
        assert!(answering(&project).is_none(), "{}", project.diary());
    });
}

/// The daemon dies when it has written down that all is to stop, and before it has stopped anything; the guard with it.
#[test]
fn down_ends_what_a_killed_guard_and_a_killed_daemon_have_left() {
    let project = Project::empty().with_fail_points();
    let (token, beacon) = (project.path("token"), project.beacon().text());
    let parent = quoted(&puppet(&["--token-file", &token, "--children", "setsid+deaf", "--beacon", &beacon]));
    project.write("soloist.toml", &format!("[services.parent]\ncommand = {parent}\n"));
    project.soloist(&["up", "-d"]).expect(0);
    let guard = project.guard("parent");
    project.arm("daemon.ledger-written");
    let mut client = project.spawn(&["down"]);
    let daemon = wait_until("all is noted as stopped", LIMIT, || {
        project.standing_at("daemon.ledger-written").ok_or_else(|| project.diary())
    });
    assert!(guard.kill() && daemon.kill());
    wait_until("`down` has ended", LIMIT, || match client.ended() {
        Some(status) if status.success() => Ok(()),
        _ => Err(format!("{}\n{}", client.said(), project.diary())),
    });
    assert_eq!(project.survivors(), [], "{}", project.diary());
}
