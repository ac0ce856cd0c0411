//! Schedules that are changed at run time: at once, kept when the daemon is killed, shown wherever one looks; runs beside
//! the schedule; windows that are opened and closed by order; and bad input, with one clear error each.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{SystemTime, UNIX_EPOCH};

use e2e::daemon::{kill, wait_for_another};
use e2e::{LIMIT, Project, quoted, wait_until};
use serde_json::Value;

/// `scan` is due once an hour and not at its start, `feed` keeps the hours of `always`, `night` those of `never`, and
/// `api` has no schedule.
fn project() -> Project {
    let ran = quoted(&["sh", "-c", "echo ran"]);
    let sleeps = quoted(&["sleep", "1000"]);
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600 % 24;
    let later = (hour + 12) % 24;
    Project::new(&format!(
        "[jobs.scan]\ncommand = {ran}\nevery = \"1h\"\nrun-on-start = false\n\
         [jobs.slow]\ncommand = {sleeps}\nevery = \"1h\"\nrun-on-start = false\nwindow = \"never\"\n\
         [services.feed]\ncommand = {sleeps}\nwindow = \"always\"\n\
         [services.night]\ncommand = {sleeps}\nwindow = \"never\"\n\
         [services.api]\ncommand = {sleeps}\n\
         [windows.always]\ntimezone = \"UTC\"\ndays = \"mon-sun\"\nopen = \"00:00\"\nclose = \"24:00\"\n\
         [windows.never]\ntimezone = \"UTC\"\ndays = \"mon-sun\"\nopen = \"{later:02}:00\"\nclose = \"{later:02}:01\"\n"
    ))
}

fn runs(project: &Project) -> usize {
    project.log("scan").iter().filter(|byte| **byte == b'\n').count()
}

#[track_caller]
fn wait_for_more_runs(project: &Project) {
    let before = runs(project);
    wait_until("`scan` runs again and again", LIMIT, || {
        let now = runs(project);
        if now >= before + 3 { Ok(()) } else { Err(format!("{now} after {before}\n{}", project.diary())) }
    });
}

#[track_caller]
fn schedule(project: &Project, name: &str) -> Value {
    let all = project.soloist(&["schedule", "ls", "--json"]).expect(0).json();
    let found =
        all["schedules"].as_array().and_then(|all| all.iter().find(|one| one["name"] == name).cloned());
    found.unwrap_or_else(|| panic!("no {name} in {all:#}"))
}

/// The lines of its history that tell what was changed.
#[track_caller]
fn changes(project: &Project, name: &str) -> Vec<String> {
    let history = project.soloist(&["history", name, "--json", "--lines", "1000"]).expect(0).json();
    let entries = history["entries"].as_array().expect("entries").clone();
    let told = entries.iter().filter(|entry| entry["what"] == "rescheduled");
    told.map(|entry| entry["detail"].as_str().expect("words").to_owned()).collect()
}

#[test]
fn an_interval_that_is_set_holds_at_once_and_after_the_daemon_was_killed() {
    let project = project();
    project.soloist(&["up", "-d"]).expect(0);
    assert_eq!((project.service("scan").state.as_str(), runs(&project)), ("scheduled", 0));
    let said = project.soloist(&["schedule", "set", "scan", "--every", "100ms"]).expect(0);
    said.says("scan: every 1h → 100ms");
    wait_for_more_runs(&project);

    let before = kill(&project);
    // Some command, or whoever brings it back.
    project.soloist(&["status"]).expect(0);
    wait_for_another(&project, before, LIMIT);
    wait_for_more_runs(&project);
    let now = schedule(&project, "scan");
    assert_eq!(now["triggers"][0], "every 100ms");
    assert!(
        now["changed"].as_str().is_some_and(|how| how.contains("changed from 1h in soloist.toml")),
        "{now:#}"
    );
    let changed = "every 100ms, changed from 1h in soloist.toml";
    project.soloist(&["status"]).expect(0).says(changed);
    project.soloist(&["status", "scan"]).says(changed);
    // Between two runs; of one that ends it tells that.
    wait_until("why says so", LIMIT, || {
        let said = project.soloist(&["why", "scan"]).expect(0).stdout;
        if said.contains(changed) { Ok(()) } else { Err(said) }
    });
    project.soloist(&["schedule", "ls"]).expect(0).says("changed from 1h in soloist.toml");
    assert_eq!(changes(&project, "scan"), ["every 1h → 100ms"]);
    project.soloist(&["history", "scan"]).expect(0).says("soloist schedule set").says("every 1h → 100ms");

    project
        .soloist(&["schedule", "reset", "scan"])
        .expect(0)
        .says("scan: reset to soloist.toml: every 100ms → 1h");
    let now = schedule(&project, "scan");
    assert_eq!((&now["triggers"][0], &now["changed"]), (&"every 1h".into(), &Value::Null));
    project.soloist(&["down"]).expect(0);
    assert_eq!(changes(&project, "scan").len(), 2);
}

/// Its guard stands still in its last moment, so the next run cannot begin before the client has asked for it.
#[test]
fn a_run_that_is_asked_for_while_the_one_before_lets_go_is_named() {
    let project = project().with_fail_points();
    project.soloist(&["up", "-d"]).expect(0);
    project.arm("guard.ending");
    let first = project.soloist(&["schedule", "run", "scan", "--json"]).expect(0).json();
    let guard = wait_until("its guard stands still", LIMIT, || {
        project.standing_at("guard.ending").ok_or_else(|| project.diary())
    });
    let mut client = project.spawn(&["schedule", "run", "scan", "--json"]);
    wait_until("the second run is asked for", LIMIT, || {
        let told = schedule(&project, "scan");
        if told["queued"] == 1 || client.ended().is_some() { Ok(()) } else { Err(told) }
    });
    guard.signal(rustix::process::Signal::CONT);
    wait_until("the client has its answer", LIMIT, || client.ended().ok_or_else(|| project.diary()));
    let second: Value =
        serde_json::from_str(&client.said()).unwrap_or_else(|e| panic!("{e}: {}", client.said()));
    assert!(second["run_id"].is_string() && second["run_id"] != first["run_id"], "{first} {second}");
}

#[test]
fn a_pause_keeps_all_but_the_runs_that_somebody_wants_now() {
    let project = project();
    project.soloist(&["up", "-d"]).expect(0);
    project.soloist(&["schedule", "pause", "scan"]).expect(0).says("scan: paused");
    project.soloist(&["schedule", "set", "scan", "--every", "50ms"]).expect(0);
    let paused = schedule(&project, "scan");
    assert_eq!((&paused["paused"], &paused["next"]), (&true.into(), &Value::Null));
    project.soloist(&["status"]).expect(0).says("paused");
    project.soloist(&["why", "scan"]).expect(0).says("nothing is due as long as it is paused");
    project.soloist(&["schedule", "next", "scan"]).expect(0).says("soloist schedule resume scan");

    let said = project.soloist(&["schedule", "run", "scan"]).expect(0);
    said.says("scan is paused; this one run happens all the same");
    wait_until("the one run is over", LIMIT, || {
        match (runs(&project), project.service("scan").state.as_str()) {
            (1, "scheduled") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    // A daemon that comes later keeps the pause.
    kill(&project);
    project.soloist(&["status"]).expect(0);
    assert_eq!((&schedule(&project, "scan")["paused"], runs(&project)), (&true.into(), 1));
    project.soloist(&["schedule", "resume", "scan"]).expect(0).says("scan: resumed");
    wait_for_more_runs(&project);
    project.soloist(&["schedule", "resume", "scan"]).expect(0).says("scan: nothing changed");
    assert_eq!(changes(&project, "scan"), ["paused", "every 1h → 50ms", "resumed"]);
    project.soloist(&["down"]).expect(0);
}

#[test]
fn a_run_outside_the_window_says_so_and_a_second_one_is_not_begun() {
    let project = project();
    project.soloist(&["up", "-d"]).expect(0);
    let said = project.soloist(&["schedule", "run", "slow"]).expect(0);
    said.says("slow is outside its window never (opens ").says("this one run happens all the same");
    let run = project.wait_for_state("slow", "running", LIMIT).run_id;
    let said = project.soloist(&["schedule", "run", "slow"]).expect(0);
    said.says("slow is at work already (run ").says("nothing was started");
    assert_eq!(project.service("slow").run_id, run);
    project.soloist(&["schedule", "run", "api"]).expect(2).says("`soloist start api`");
    project.soloist(&["down"]).expect(0);
}

#[test]
fn a_window_is_closed_and_opened_by_order() {
    let project = project();
    project.soloist(&["up", "-d"]).expect(0);
    project.wait_for_state("feed", "ready", LIMIT);
    assert_eq!(project.service("night").state, "scheduled");

    let said = project.soloist(&["schedule", "override", "always", "--closed", "--until", "2h"]).expect(0);
    said.says("always is closed until ").says("feed");
    project.wait_for_state("feed", "scheduled", LIMIT);
    project.soloist(&["status"]).expect(0).says("always is closed until ");
    project
        .soloist(&["schedule", "ls"])
        .expect(0)
        .says("always is closed until ")
        .says("soloist schedule override");
    project.soloist(&["schedule", "override", "never", "--open", "--until", "2h"]).expect(0);
    project.wait_for_state("night", "ready", LIMIT);

    // It outlives the daemon, too.
    kill(&project);
    project.soloist(&["status"]).expect(0);
    project.wait_for_state("night", "ready", LIMIT);
    assert_eq!(project.service("feed").state, "scheduled");

    project.soloist(&["schedule", "override", "always", "--clear"]).expect(0).says("goes by its rule again");
    project.wait_for_state("feed", "ready", LIMIT);
    project.soloist(&["schedule", "override", "never", "--clear"]).expect(0);
    project.wait_for_state("night", "scheduled", LIMIT);
    project.soloist(&["schedule", "override", "never", "--clear"]).expect(0).says("never has no override");
    assert_eq!(changes(&project, "feed").len(), 2);
    project.soloist(&["down"]).expect(0);
}

#[test]
fn bad_input_has_one_clear_error_each_and_changes_nothing() {
    let project = project();
    project.soloist(&["up", "-d"]).expect(0);
    let refused = |words: &[&str], code: i32, said: &str| {
        let output = project.soloist(words).expect(code);
        output.says(said);
        assert_eq!(output.stderr.matches("error:").count(), 1, "{output}");
    };
    for (every, said) in [
        ("0s", "too short"),
        ("-1s", "negative"),
        ("1 fortnight", "`fortnight` is no unit"),
        ("4000d", "ten years are the most"),
        ("10", "the unit is missing"),
    ] {
        refused(&["schedule", "set", "scan", "--every", every], 2, said);
    }
    refused(&["schedule", "set", "scna", "--every", "6s"], 4, "did you mean `scan`?");
    refused(&["schedule", "pause", "api"], 2, "api has no schedule");
    refused(&["schedule", "set", "feed", "--every", "6s"], 2, "feed runs in the hours of its window");
    let hours = |of: &'static str, more: &[&'static str]| [&["schedule", "override", of], more].concat();
    refused(&hours("alwyas", &["--closed", "--until", "2h"]), 2, "did you mean `always`?");
    refused(&hours("always", &["--closed", "--until", "2020-01-01"]), 2, "over already");
    refused(&hours("always", &["--closed", "--from", "3h", "--until", "2h"]), 2, "before it begins");
    refused(&hours("always", &["--closed", "--until", "soon"]), 2, "--until is no moment");
    refused(&hours("always", &["--closed"]), 2, "--until");
    refused(&hours("always", &["--until", "2h"]), 2, "--closed");
    assert!(!project.folder().join(".soloist/schedules.json").exists());
    // What is not understood is named, with what to do.
    project.write(".soloist/schedules.json", "{");
    refused(&["schedule", "pause", "scan"], 1, "schedules.json");
    std::fs::remove_file(project.folder().join(".soloist/schedules.json")).unwrap();
    project.soloist(&["down"]).expect(0);
}

#[test]
fn a_lane_is_seen_while_it_is_busy_and_tells_under_the_name_of_its_base() {
    let runs = quoted(&["sh", "-c", "echo ran; exec sleep 1000"]);
    let project = Project::new(&format!(
        "[jobs.busy]\ncommand = {runs}\nevery = \"100ms\"\noverlap = \"allow\"\nmax-overlap = 2\n"
    ));
    let names = || project.status().services.into_iter().map(|service| service.name).collect::<Vec<_>>();
    project.soloist(&["up", "-d"]).expect(0);
    wait_until("the lane is busy", LIMIT, || match names() {
        names if names == ["busy", "busy~2"] => Ok(()),
        names => Err(format!("{names:?}")),
    });
    let skipped = wait_until("a third run is left out", LIMIT, || {
        let said = project.soloist(&["history", "busy"]).expect(0);
        // A run is left out also while the two before it are only about to start.
        let is_told = said.stdout.contains("skipped") && said.stdout.contains("busy~2");
        if is_told { Ok(said) } else { Err(said) }
    });
    skipped.says("2 runs are at work, the most it may");
    project.soloist(&["why", "busy"]).expect(0).says("left out").says("2 runs are at work, the most it may");
    let shown = wait_until("both have written", LIMIT, || {
        let said = project.soloist(&["logs", "busy"]).stdout;
        if said.matches("ran").count() == 2 { Ok(said) } else { Err(said) }
    });
    let mut lines: Vec<&str> = shown.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["busy   | ran", "busy~2 | ran"]);
    project.soloist(&["stop", "busy"]).expect(0);
    assert_eq!(names(), ["busy"], "an idle lane is nobody's matter");
    project.soloist(&["down"]).expect(0);
}

/// The status and the body of an answer of the API.
#[track_caller]
fn ask(project: &Project, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut daemon = UnixStream::connect(project.folder().join(".soloist/daemon.sock")).unwrap();
    daemon.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    write!(
        daemon,
        "{method} /api/v1/{path} HTTP/1.1\r\nhost: soloist\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    daemon.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), serde_json::from_str(body).unwrap_or_else(|e| panic!("no JSON ({e}): {answer}")))
}

#[test]
fn a_program_changes_schedules_over_the_api() {
    let project = project();
    project.soloist(&["up", "-d"]).expect(0);
    let (status, done) = ask(&project, "PATCH", "schedules/scan", r#"{"every":"2h","who":"a program"}"#);
    assert_eq!((status, &done["text"]), (200, &"scan: every 1h → 2h".into()));
    assert_eq!(done["schedule"]["changed"], "every changed from 1h in soloist.toml, by a program");
    assert_eq!(ask(&project, "POST", "schedules/scan/pause", "").1["schedule"]["paused"], true);
    assert_eq!(ask(&project, "POST", "schedules/scan/resume", "").1["schedule"]["paused"], false);
    let (status, one) = ask(&project, "GET", "schedules/scan", "");
    assert_eq!((status, &one["state"], &one["triggers"][0]), (200, &"scheduled".into(), &"every 2h".into()));
    let hours = r#"{"of":"always","open":false,"until":"2199-01-01T00:00:00Z"}"#;
    let (status, done) = ask(&project, "POST", "overrides", hours);
    assert_eq!((status, &done["overrides"][0]["until"]), (200, &"2199-01-01T00:00:00Z".into()));
    assert_eq!(ask(&project, "GET", "schedules", "").1["overrides"][0]["of"], "always");
    assert_eq!(
        ask(&project, "DELETE", "overrides?of=always&who=a%20program", "").1["overrides"],
        Value::Array(vec![])
    );
    assert_eq!(changes(&project, "scan"), ["every 1h → 2h", "paused", "resumed"]);
    for path in ["schedules/scan/run", "services/scan/run"] {
        let (status, done) = ask(&project, "POST", path, "");
        assert!(status == 200 && done["text"].as_str().is_some_and(|text| text.contains("scan")), "{done}");
    }
    for (method, path, body, status) in [
        ("PATCH", "schedules/scan", r#"{"every":"0s"}"#, 400),
        ("PATCH", "schedules/scan", r#"{"evry":"6s"}"#, 400),
        ("PATCH", "schedules/scan", "{}", 400),
        ("PATCH", "schedules/ghost", r#"{"paused":true}"#, 404),
        ("GET", "schedules/ghost", "", 404),
        ("GET", "schedules/api", "", 400),
        ("POST", "schedules/scan/jump", "", 400),
        ("POST", "schedules/ghost/run", "", 404),
        ("POST", "overrides", r#"{"of":"always","open":true}"#, 400),
        ("DELETE", "overrides?of=ghost", "", 400),
        ("DELETE", "overrides?from=now", "", 400),
    ] {
        let (found, problem) = ask(&project, method, path, body);
        assert_eq!(found, status, "{method} {path} {body}: {problem}");
        assert!(problem["detail"].is_string(), "{problem}");
    }
    project.soloist(&["down"]).expect(0);
}
