//! The wall clock is set while a daemon runs, as far as a test may do that: it is heard at once, told, and everything
//! that soloist says of time agrees.

#![cfg(target_os = "linux")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use e2e::{Project, daemon, wait_until};

const LIMIT: Duration = Duration::from_secs(20);
const HOUR: i64 = 3_600_000;

/// The lines of the history that tell how the clock was set.
fn steps(project: &Project) -> Vec<String> {
    let told = project.soloist(&["history", "--json", "-n", "1000"]).expect(0).json();
    let mut entries = told["entries"].as_array().cloned().unwrap_or_default();
    // They are told by their time, which has been set back.
    entries.sort_by_key(|entry| entry["id"].as_i64());
    let of = entries.iter().filter(|entry| entry["what"] == "clock-set" && entry["service"] == "");
    of.map(|entry| entry["detail"].as_str().unwrap_or_default().to_owned()).collect()
}

fn wait_for_steps(project: &Project, told: &[&str]) {
    wait_until("the clock was set", LIMIT, || {
        let steps = steps(project);
        if steps == told { Ok(()) } else { Err(format!("{steps:?}\n{}", project.diary())) }
    });
}

/// What `date` says of a moment in UTC, in milliseconds.
fn milliseconds(moment: &str) -> i64 {
    let said = std::process::Command::new("date").args(["-u", "-d", moment, "+%s%3N"]).output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn a_step_of_the_clock_is_heard_and_told_and_a_daemon_that_is_back_goes_by_the_same_clock() {
    let project = Project::new("[jobs.scan]\ncommand = [\"true\"]\nevery = \"1h\"\n").with_test_clock();
    project.soloist(&["up", "-d"]).expect(0);
    project.wait_for_state("scan", "scheduled", LIMIT);
    project.set_test_clock(24 * HOUR);
    wait_for_steps(&project, &["1day forward"]);
    project.set_test_clock(23 * HOUR);
    wait_for_steps(&project, &["1day forward", "1h back"]);
    // Less than what two readings may lie apart.
    project.set_test_clock(23 * HOUR + 2);
    project.set_test_clock(23 * HOUR + 1000);
    wait_for_steps(&project, &["1day forward", "1h back", "1s forward"]);

    let dead = daemon::kill(&project);
    daemon::wait_for_another(&project, dead, LIMIT);
    let status = project.soloist(&["status", "--json"]).expect(0).json();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let since = milliseconds(status["daemon"]["since"].as_str().unwrap());
    assert!((since - 23 * HOUR - now).abs() < 60_000, "{status}");
    assert!(status["daemon"]["zones"].as_str().is_some_and(|zones| zones.contains("tzdata")), "{status}");
    assert_eq!(steps(&project).len(), 3, "a new daemon has not seen anybody set it");
}

#[test]
fn a_service_knows_nothing_of_the_test_clock() {
    let project =
        Project::new("[jobs.says]\ncommand = [\"/bin/sh\", \"-c\", \"env > seen\"]\n").with_test_clock();
    project.soloist(&["start", "says"]).expect(0);
    project.wait_for_state("says", "completed", LIMIT);
    let seen = project.read("seen");
    assert!(seen.contains("SOLOIST_SERVICE=says") && !seen.contains("SOLOIST_TEST_CLOCK"), "{seen}");
}
