//! A processor of market data, as people write it by hand: every 6 s in market hours, asleep outside of them, with its
//! state, its interval, its start and stop, and a log of what it has done; here as a job of soloist, with what is around it.

use e2e::clock::set_to;
use e2e::{LIMIT, Project, daemon, quoted, wait_until};
use serde_json::Value;

/// The server, and beside it the processor, on a day of the exchange.
fn project(moment: &str) -> Project {
    let process = "echo \"$SOLOIST_SCHEDULED_AT 106/204 stocks updated\" | tee -a processed; [ ! -e broken ]";
    let project = Project::new(&format!(
        "[services.web]\ncommand = [\"sleep\", \"1000\"]\n\
         [jobs.processor]\ncommand = {}\nevery = \"6s\"\nwindow = \"NSE\"\n",
        quoted(&["/bin/sh", "-c", process])
    ))
    .with_test_clock();
    set_to(&project, moment);
    project
}

/// When its runs were due.
fn processed(project: &Project) -> Vec<String> {
    project.read("processed").lines().map(|line| line[..24].to_owned()).collect()
}

#[track_caller]
fn wait_for_runs(project: &Project, count: usize) -> Vec<String> {
    wait_until(&format!("{count} runs of the processor"), LIMIT, || match processed(project) {
        runs if runs.len() >= count => Ok(runs),
        runs => Err(format!("{runs:?}\n{}", project.diary())),
    })
}

fn schedule(project: &Project) -> Value {
    let all = project.soloist(&["schedule", "ls", "--json"]).expect(0).json();
    all["schedules"][0].clone()
}

fn rests(project: &Project) {
    project.wait_for_state("processor", "scheduled", LIMIT);
}

fn history(project: &Project, what: &str) -> Vec<Value> {
    let told = project.soloist(&["history", "processor", "--json", "-n", "100000"]).expect(0).json();
    let entries = told["entries"].as_array().cloned().unwrap_or_default();
    entries.into_iter().filter(|entry| entry["what"] == what).collect()
}

/// The Sunday of the budget, on which the exchange is open.
#[test]
fn it_runs_every_6_seconds_from_the_opening_on_and_its_interval_is_changed_while_it_runs() {
    // Early enough that also a slow machine has asked before it opens.
    let project = project("2026-02-01T09:14:50+05:30");
    project.soloist(&["up", "-d"]).expect(0);
    project.soloist(&["status"]).expect(0).says("NSE is closed until Sun 2026-02-01 09:15 IST");
    assert_eq!(schedule(&project)["next"], "2026-02-01T03:45:00Z");
    let runs = wait_for_runs(&project, 2);
    assert_eq!(runs[..2], ["2026-02-01T03:45:00.000Z", "2026-02-01T03:45:06.000Z"]);
    rests(&project);
    project.soloist(&["status"]).expect(0).says("NSE is open until Sun 2026-02-01 15:30 IST");
    project
        .soloist(&["status", "processor"])
        .says("every 6s")
        .says("last exit  exit 0")
        .says("next  Sun 2026-02-01 09:15:");

    // At once, though the next one was due in 6 s.
    project.soloist(&["schedule", "set", "processor", "--every", "200ms"]).expect(0).says("every 6s → 200ms");
    wait_for_runs(&project, 5);
    project.soloist(&["status"]).expect(0).says("every 200ms, changed from 6s in soloist.toml");
    let dead = daemon::kill(&project);
    daemon::wait_for_another(&project, dead, LIMIT);
    let count = processed(&project).len();
    wait_for_runs(&project, count + 3);
    project.soloist(&["schedule", "set", "processor", "--every", "10s"]).expect(0).says("→ 10s");
    rests(&project);
    let runs = processed(&project);
    // Ten seconds after the last one.
    let next = schedule(&project)["next"].as_str().unwrap_or_default().to_owned();
    let apart = e2e::clock::milliseconds(&next) - e2e::clock::milliseconds(&runs[runs.len() - 1]);
    assert_eq!(apart, 10_000, "{runs:?} {next}");
    project.soloist(&["schedule", "reset", "processor"]).expect(0).says("10s → 6s");
    project.soloist(&["down"]).expect(0);
}

#[test]
fn it_is_started_and_stopped_beside_its_server_and_what_it_did_is_in_the_history() {
    let project = project("2026-02-03T10:00:00+05:30");
    // Somebody who develops starts the server alone.
    project.soloist(&["start", "web"]).expect(0);
    assert_eq!(project.service("processor").state, "stopped");
    project.soloist(&["start", "processor"]).expect(0);
    project.soloist(&["schedule", "set", "processor", "--every", "200ms"]).expect(0);
    wait_for_runs(&project, 3);
    project.soloist(&["stop", "processor"]).expect(0);
    let count = processed(&project).len();
    let stopped = project.service("processor");
    assert_eq!((stopped.state.as_str(), stopped.wanted.as_str(), stopped.pid), ("stopped", "down", None));
    assert_eq!((&schedule(&project)["next"], processed(&project).len()), (&Value::Null, count));
    assert_eq!(project.service("web").state, "ready");
    // A run that fails ends nothing.
    project.write("broken", "");
    project.soloist(&["start", "processor"]).expect(0);
    wait_for_runs(&project, count + 3);
    std::fs::remove_file(project.folder().join("broken")).unwrap();
    let count = processed(&project).len();
    wait_for_runs(&project, count + 2);
    project.soloist(&["schedule", "pause", "processor"]).expect(0);
    rests(&project);

    // The processing log: each run with its duration and its end, beside what it said.
    let count = processed(&project).len();
    let (started, ended) = wait_until("the history is written", LIMIT, || {
        let (started, ended) = (history(&project, "started"), history(&project, "ended"));
        let counts = (started.len(), ended.len());
        if counts == (count, count) { Ok((started, ended)) } else { Err(format!("{counts:?} of {count}")) }
    });
    assert!(ended.iter().all(|entry| entry["duration_ms"].is_u64()), "{ended:#?}");
    let with = |code: i64| ended.iter().filter(|entry| entry["exit"]["code"] == code).count();
    // It may have been mended within the third of those that failed.
    assert!(with(1) >= 2 && with(0) >= 5 && with(0) + with(1) == count, "{ended:#?}");
    assert!(started.iter().filter(|entry| entry["cause"] == "schedule").count() >= count - 2, "{started:#?}");
    let said = project.soloist(&["logs", "processor", "-n", "1000"]).expect(0).stdout;
    assert_eq!(said.matches("106/204 stocks updated").count(), count);
    project.soloist(&["history", "processor"]).expect(0).says("exit 1").says("soloist stop");
}

#[test]
fn it_sleeps_from_the_close_over_the_weekend_and_holidays_and_runs_once_when_somebody_wants_it() {
    // A Friday.
    let project = project("2026-01-23T15:29:58+05:30");
    project.soloist(&["up", "-d"]).expect(0);
    wait_for_runs(&project, 1);
    wait_until("the market is closed", LIMIT, || match schedule(&project) {
        seen if seen["open"] == false => Ok(()),
        seen => Err(seen),
    });
    // Monday is Republic Day.
    let closed = "NSE is closed until Tue 2026-01-27 09:15 IST";
    for moment in ["2026-01-23T15:30:00+05:30", "2026-01-24T12:00:00+05:30", "2026-01-26T10:00:00+05:30"] {
        set_to(&project, moment);
        rests(&project);
        project.soloist(&["status"]).expect(0).says(closed);
        assert_eq!(schedule(&project)["next"], "2026-01-27T03:45:00Z", "{moment}");
    }
    assert_eq!(processed(&project).len(), 1);
    let said = project.soloist(&["schedule", "run", "processor"]).expect(0);
    said.says("processor is outside its window NSE (opens ").says("this one run happens all the same");
    wait_for_runs(&project, 2);
    rests(&project);
    project.soloist(&["schedule", "next", "processor", "-n", "2"]).expect(0).says("2026-01-27");
    set_to(&project, "2026-01-27T09:14:59+05:30");
    let runs = wait_for_runs(&project, 3);
    assert_eq!(runs[2], "2026-01-27T03:45:00.000Z");
    assert_eq!(history(&project, "skipped"), Vec::<Value>::new());
    // The hours of August are others.
    set_to(&project, "2026-08-03T15:34:00+05:30");
    wait_for_runs(&project, 4);
    project.soloist(&["status"]).expect(0).says("NSE is open until Mon 2026-08-03 15:40 IST");
}
