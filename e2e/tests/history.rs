//! What happened is known afterwards: with causes, once, after `down`, without a daemon, and whatever becomes of the
//! file or the disk it is on.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use e2e::{Identity, LIMIT, Project, in_namespace, puppet, quoted, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// A service that runs until it is told, and one that crashes and is given up.
const TWO: &str = "[services.steady]\ncommand = [\"sleep\", \"1000\"]\n\
     [services.frail]\ncommand = [\"/bin/sh\", \"-c\", \"echo no such thing >&2; exit 3\"]\nrestart = \"on-failure:1\"\n\
     backoff = { first = \"10ms\", max = \"10ms\" }\n";

/// The history of a service, as `--json` tells it.
#[track_caller]
fn history(project: &Project, name: &str) -> Vec<Value> {
    let output = project.soloist(&["history", name, "--json", "-n", "10000"]).expect(0);
    output.json()["entries"].as_array().expect("entries").clone()
}

/// All of one kind.
fn of<'a>(entries: &'a [Value], what: &str) -> Vec<&'a Value> {
    entries.iter().filter(|entry| entry["what"] == what).collect()
}

/// Waits until a kind of line is there so many times.
#[track_caller]
fn wait_for(project: &Project, name: &str, what: &str, count: usize) -> Vec<Value> {
    wait_until(&format!("`{name}` has {count} times `{what}`"), LIMIT, || {
        let entries = history(project, name);
        if of(&entries, what).len() >= count { Ok(entries) } else { Err(format!("{entries:#?}")) }
    })
}

/// Every run in the history started, exited and ended, each once.
#[track_caller]
fn each_run_is_told_once(entries: &[Value]) -> usize {
    let runs = |what: &str| {
        let mut runs: Vec<String> =
            of(entries, what).iter().map(|entry| entry["run_id"].as_str().unwrap().to_owned()).collect();
        runs.sort();
        runs
    };
    let started = runs("started");
    let mut once = started.clone();
    once.dedup();
    assert_eq!(started, once, "started twice in {entries:#?}");
    assert_eq!(started, runs("exited"), "exits in {entries:#?}");
    assert_eq!(started, runs("ended"), "ends in {entries:#?}");
    started.len()
}

#[track_caller]
fn kill_daemon(project: &Project) {
    let daemon = Identity::of(project.status().daemon.expect("a daemon").pid).expect("a living daemon");
    assert!(daemon.kill());
    wait_until("the daemon is dead", LIMIT, || if daemon.is_alive() { Err(daemon) } else { Ok(()) });
}

#[test]
fn starts_crashes_and_stops_are_told_with_their_causes_also_after_down() {
    let project = Project::new(TWO);
    project.soloist(&["up", "-d"]);
    project.soloist(&["wait", "frail", "--for", "failed"]).expect(0);
    project.soloist(&["stop", "steady"]).expect(0);

    let steady = history(&project, "steady");
    let cause = |entry: &Value| entry["cause"].as_str().unwrap_or_default().to_owned();
    assert!(cause(of(&steady, "wanted-up")[0]).contains("soloist up"), "{steady:#?}");
    assert!(cause(of(&steady, "started")[0]).contains("soloist up"), "{steady:#?}");
    assert!(cause(of(&steady, "wanted-down")[0]).contains("soloist stop"), "{steady:#?}");
    assert_eq!(of(&steady, "exited")[0]["exit"]["signal"], 15, "{steady:#?}");
    assert_eq!(each_run_is_told_once(&steady), 1);

    let frail = history(&project, "frail");
    assert_eq!(each_run_is_told_once(&frail), 2);
    assert_eq!(cause(of(&frail, "started")[1]), "crash");
    assert!(of(&frail, "exited").iter().all(|entry| entry["exit"]["code"] == 3), "{frail:#?}");
    assert_eq!(of(&frail, "failed").len(), 1);
    let why = project.soloist(&["why", "frail"]).expect(0);
    why.says("frail has failed").says("exit code 3").says("`no such thing`").says("soloist start frail");
    let why_steady = project.soloist(&["why", "steady"]).expect(0);
    why_steady.says("steady is stopped").says("soloist stop").says("SIGTERM");

    project.soloist(&["down"]).expect(0);
    // Without a daemon the file itself is read, and nothing is started.
    assert_eq!(of(&history(&project, "steady"), "ended").len(), 1);
    project.soloist(&["why", "steady"]).expect(0).says("steady is stopped");
    assert_eq!(project.soloist(&["why", "steady", "--json"]).expect(0).json()["service"], "steady");
    let all = project.soloist(&["history", "-n", "4"]).expect(0);
    assert_eq!(all.stdout.lines().count(), 5, "{all}");
    let since = project.soloist(&["history", "--since", "0s", "--json"]).expect(0);
    assert_eq!(since.json()["entries"].as_array().map(Vec::len), Some(0), "{since}");
    assert!(project.status().daemon.is_none());
    project.soloist(&["history", "nobody"]).expect(4);
    project.soloist(&["why", "nobody"]).expect(4);
    // Declared no more, and not forgotten.
    project.write("soloist.toml", "");
    project.soloist(&["why", "frail"]).expect(0).says("not declared");
    assert_eq!(of(&history(&project, "frail"), "failed").len(), 1);
    project.soloist(&["history", "frail", "--since", "0s"]).expect(0).says("nothing happened");
}

#[test]
fn what_happened_without_a_daemon_is_told_by_the_next_one_and_nothing_twice() {
    let project = Project::empty();
    let end = project.path("end");
    let brief = quoted(&puppet(&["--exit-on-file", &end, "--code", "42"]));
    project.write(
        "soloist.toml",
        &format!(
            "[services.brief]\ncommand = {brief}\nrestart = \"no\"\n\
             [services.frail]\ncommand = [\"sleep\", \"1000\"]\nbackoff = {{ first = \"10ms\", max = \"10ms\" }}\n\
             [services.other]\ncommand = [\"sleep\", \"1000\"]\n"
        ),
    );
    project.soloist(&["up", "-d"]).expect(0);
    let before = project.status();
    let main = |name: &str| Identity::of(before.service(name).pid.unwrap()).unwrap();
    let (brief, frail) = (main("brief"), main("frail"));
    kill_daemon(&project);
    project.write("end", "");
    assert!(frail.kill());
    wait_until("both have ended", LIMIT, || {
        if brief.is_alive() || frail.is_alive() { Err(format!("{brief}, {frail}")) } else { Ok(()) }
    });
    // Whoever asks for the history brings a daemon back, which learns what it missed; and then dies, again and again.
    for _ in 0..3 {
        let told = wait_for(&project, "brief", "ended", 1);
        assert_eq!(each_run_is_told_once(&told), 1);
        assert_eq!(of(&told, "exited")[0]["exit"]["code"], 42, "{told:#?}");
        wait_for(&project, "frail", "ended", 1);
        project.wait_for_state("frail", "ready", LIMIT);
        kill_daemon(&project);
    }
    project.soloist(&["down"]).expect(0);
    let frail = history(&project, "frail");
    assert_eq!(each_run_is_told_once(&frail), 2, "{frail:#?}");
    assert_eq!(of(&frail, "exited")[0]["exit"]["signal"], 9, "{frail:#?}");
    assert_eq!(each_run_is_told_once(&history(&project, "other")), 1);
}

#[test]
fn a_run_whose_guard_was_killed_without_a_daemon_has_an_end_in_the_history() {
    let project = Project::new("[services.steady]\ncommand = [\"sleep\", \"1000\"]\n");
    project.soloist(&["up", "-d"]).expect(0);
    let (guard, run) = (project.guard("steady"), project.service("steady").run_id);
    // A frozen one does not bring the daemon back.
    assert!(guard.signal(Signal::STOP));
    kill_daemon(&project);
    assert!(guard.kill());
    wait_for(&project, "steady", "guard-lost", 1);
    let told = wait_for(&project, "steady", "started", 2);
    let ends = of(&told, "ended");
    assert_eq!(ends.len(), 1, "{told:#?}");
    assert_eq!(ends[0]["run_id"].as_str(), run.as_deref(), "{told:#?}");
    assert!(ends[0]["exit"].is_null() && ends[0]["detail"].as_str().is_some(), "{told:#?}");
    // No later daemon adds to it.
    kill_daemon(&project);
    project.wait_for_state("steady", "ready", LIMIT);
    project.soloist(&["down"]).expect(0);
    let told = history(&project, "steady");
    assert_eq!((of(&told, "started").len(), of(&told, "ended").len()), (2, 2), "{told:#?}");
}

#[test]
fn no_run_is_missing_or_told_twice_however_often_the_daemon_is_killed() {
    let project = Project::empty();
    let names = ["quick", "brisk", "slow"];
    let toml: Vec<String> = names
        .iter()
        .zip([3, 40, 170])
        .map(|(name, ms)| {
            format!(
                "[services.{name}]\ncommand = [\"/bin/sh\", \"-c\", \"echo up; sleep 0.{ms:03}; exit 3\"]\n\
                 backoff = {{ first = \"5ms\", max = \"5ms\" }}\n\
                 restart-limit = {{ count = 100000, period = \"1h\" }}\n"
            )
        })
        .collect();
    project.write("soloist.toml", &toml.concat());
    project.soloist(&["up", "-d"]);
    let starts = || names.iter().map(|name| project.log(name).len()).sum::<usize>() / "up\n".len();
    for round in 0..20 {
        // Whoever looks brings a daemon back. It dies after so many more starts: at another moment each time.
        let status = project.status();
        let (before, more) = (starts(), round % 7);
        wait_until("they start again", LIMIT, || {
            let now = starts();
            if now >= before + more { Ok(()) } else { Err(format!("{now} starts, {before} before")) }
        });
        let daemon = Identity::of(status.daemon.expect("a daemon").pid).expect("a living daemon");
        assert!(daemon.kill());
        wait_until("the daemon is dead", LIMIT, || if daemon.is_alive() { Err(daemon) } else { Ok(()) });
    }
    project.soloist(&["down"]).expect(0);
    let told: usize = names.iter().map(|name| each_run_is_told_once(&history(&project, name))).sum();
    // Of each the last may have been stopped before it wrote its word.
    let (least, most) = (starts(), starts() + names.len());
    assert!((least..=most).contains(&told), "{told} runs told, {least} wrote\n{}", project.diary());
}

#[test]
fn wait_tells_by_its_exit_code_how_it_went() {
    let project = Project::new(TWO);
    project.soloist(&["wait", "nobody"]).expect(4).says("nobody");
    project.soloist(&["wait", "steady", "--timeout", "10ms"]).expect(7).says("steady is stopped");
    // It may come before everything else.
    let mut early = project.spawn(&["wait", "steady", "--timeout", "60s"]);
    project.soloist(&["up", "-d"]);
    early.wait(LIMIT).expect(0).says("steady ready");
    project.soloist(&["wait", "steady", "--for", "running"]).expect(0);
    project.soloist(&["wait", "frail", "--for", "failed"]).expect(0);
    project.soloist(&["wait", "steady", "frail", "--timeout", "60s"]).expect(5).says("frail");
    project.soloist(&["wait", "steady", "--for", "stopped", "--timeout", "10ms"]).expect(7);
    let mut later = project.spawn(&["wait", "steady", "frail", "--for", "stopped", "--timeout", "60s"]);
    project.soloist(&["down"]).expect(0);
    later.wait(LIMIT).expect(0);
}

#[test]
fn events_are_followed_until_the_daemon_ends() {
    let project = Project::new(TWO);
    project.soloist(&["events", "-f"]).expect(3);
    project.soloist(&["start", "steady"]).expect(0);
    let mut follower = project.spawn(&["events", "-f", "--json"]);
    // What was before is told first: then it follows.
    wait_until("the past is shown", LIMIT, || {
        let said = follower.said();
        if said.contains("\"ready\"") { Ok(()) } else { Err(said) }
    });
    project.soloist(&["restart", "steady"]).expect(0);
    project.soloist(&["down"]).expect(0);
    let output = follower.wait(LIMIT).expect(0);
    let lines: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(of(&lines, "started").len(), 2, "{output}");
    assert_eq!(of(&lines, "ended").len(), 2, "the very last is told too: {output}");
    let ids: Vec<i64> = lines.iter().map(|line| line["id"].as_i64().unwrap()).collect();
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(ids, once, "in order, and nothing twice");
    let past = project.soloist(&["events"]).expect(0);
    assert!(past.stdout.contains("wanted-down"), "{past}");
}

#[test]
fn a_query_that_makes_no_sense_is_refused_with_its_word() {
    let project = Project::new(TWO);
    project.soloist(&["start", "steady"]).expect(0);
    let ask = |path: &str| {
        let mut daemon = UnixStream::connect(project.folder().join(".soloist/daemon.sock")).unwrap();
        daemon.set_read_timeout(Some(LIMIT)).unwrap();
        write!(daemon, "GET {path} HTTP/1.1\r\nhost: soloist\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        daemon.read_to_string(&mut answer).unwrap();
        answer
    };
    let good = ask("/api/v1/history?service=steady&limit=1&after=0&since=2020-01-01T00:00:00Z");
    assert!(good.starts_with("HTTP/1.1 200 ") && good.contains("\"ready\""), "{good}");
    for query in
        ["history?limit=many", "history?limit=-1", "history?since=noon", "history?name=a", "events?histoy=1"]
    {
        let answer = ask(&format!("/api/v1/{query}"));
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("problem+json"), "{query}: {answer}");
        let (_, faulty) = query.split_once('?').unwrap();
        let (word, value) = faulty.split_once('=').unwrap();
        assert!(answer.contains(word) || answer.contains(value), "{query}: {answer}");
    }
    let unknown = ask("/api/v1/services/nobody/why");
    assert!(unknown.starts_with("HTTP/1.1 404 ") && unknown.contains("unknown-service"), "{unknown}");
}

#[test]
fn a_corrupt_history_keeps_nobody_from_starting_and_stopping() {
    let project = Project::new(TWO);
    project.soloist(&["up", "-d"]);
    project.soloist(&["down"]).expect(0);
    project.write(".soloist/history.db", &"no database at all ".repeat(1_000));
    project.soloist(&["history"]).expect(1).says("history.db cannot be read");
    project.soloist(&["why", "steady"]).expect(0).says("steady is stopped");
    project.soloist(&["start", "steady"]).expect(0);
    project.soloist(&["stop", "steady"]).expect(0);
    // The run before is not forgotten: its record knows it.
    assert_eq!(each_run_is_told_once(&history(&project, "steady")), 2);
    project.soloist(&["down"]).expect(0);
    let folder = std::fs::read_dir(project.folder().join(".soloist")).unwrap().flatten();
    let aside = folder.filter(|entry| entry.file_name().to_string_lossy().contains("history.db.corrupt-"));
    assert_eq!(aside.count(), 1, "{}", project.diary());
    assert_eq!(project.diary().matches("is corrupt").count(), 1, "{}", project.diary());
}

/// The folder of the project on a file system of two megabytes.
const TINY: &str = "mount -t tmpfs -o size=2m tiny /mnt && TMPDIR=/mnt exec \"$0\" \"$@\"";

#[test]
fn a_full_disk_keeps_nobody_from_stopping_and_the_history_catches_up() {
    let test = "a_full_disk_keeps_nobody_from_stopping_and_the_history_catches_up";
    in_namespace(test, &["--mount"], TINY, || {
        let project = Project::new(TWO);
        project.soloist(&["start", "steady"]).expect(0);
        assert_eq!(of(&history(&project, "steady"), "started").len(), 1);
        let mut ballast = File::create(project.folder().join("ballast")).unwrap();
        for size in [4096, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
        project.soloist(&["stop", "steady"]).expect(0);
        assert_eq!(of(&history(&project, "steady"), "ended").len(), 0, "the disk was not full");
        project.soloist(&["why", "steady"]).expect(0).says("steady is stopped");
        drop(ballast);
        std::fs::remove_file(project.folder().join("ballast")).unwrap();
        let told = wait_for(&project, "steady", "ended", 1);
        assert_eq!(each_run_is_told_once(&told), 1);
        project.soloist(&["start", "steady"]).expect(0);
        project.soloist(&["down"]).expect(0);
        // What nobody can write any more can still be read.
        let mounted = Command::new("mount").args(["-o", "remount,ro", "/mnt"]).status().unwrap();
        assert!(mounted.success());
        assert_eq!(each_run_is_told_once(&history(&project, "steady")), 2);
    });
}
