//! The wall clock is set while a daemon runs, as far as a test may do that: it is heard at once, told, and everything
//! that soloist says of time agrees.

use std::time::{SystemTime, UNIX_EPOCH};

use e2e::clock::{milliseconds, set_to};
use e2e::{LIMIT, Project, daemon, wait_until};
use rustix::fs::{FlockOperation, flock};

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

// ---- schedules

/// Bombay's hours of a Tuesday; by the machine's clock it is another day, most likely.
const HOURS: &str =
    "[windows.hours]\ntimezone = \"Asia/Kolkata\"\ndays = \"mon-fri\"\nopen = \"09:15\"\nclose = \"15:30\"\n";

/// How often a puppet's job has run.
fn runs(project: &Project, of: &str) -> Vec<u64> {
    project.read(of).lines().map(|line| line.parse().unwrap()).collect()
}

fn job(name: &str, more: &str) -> String {
    format!("[jobs.{name}]\ncommand = [\"/bin/sh\", \"-c\", \"date +%s%3N >> {name}\"]\n{more}\n")
}

fn wait_for_runs(project: &Project, of: &str, count: usize) -> Vec<u64> {
    wait_until(&format!("{count} runs of {of}"), LIMIT, || {
        let runs = runs(project, of);
        if runs.len() >= count { Ok(runs) } else { Err(format!("{runs:?}\n{}", project.diary())) }
    })
}

/// How many runs of a job were left out, by the history, and why.
fn skipped(project: &Project, of: &str) -> Vec<String> {
    let told = project.soloist(&["history", of, "--json", "-n", "1000"]).expect(0).json();
    let entries = told["entries"].as_array().cloned().unwrap_or_default();
    let of = entries.iter().filter(|entry| entry["what"] == "skipped");
    of.map(|entry| entry["detail"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_service_keeps_its_hours_whatever_is_done_to_the_clock() {
    let project = Project::new(&format!(
        "{HOURS}[services.feed]\ncommand = [\"sleep\", \"1000\"]\nwindow = \"hours\"\n"
    ))
    .with_test_clock();
    set_to(&project, "2026-11-24T08:00:00+05:30");
    project.soloist(&["up", "-d"]).expect(0);
    project.wait_for_state("feed", "scheduled", LIMIT);
    // Over the opening, back before it, into the hours again.
    for (moment, state) in [
        ("2026-11-24T10:00:00+05:30", "ready"),
        ("2026-11-24T09:00:00+05:30", "scheduled"),
        ("2026-11-24T11:00:00+05:30", "ready"),
    ] {
        set_to(&project, moment);
        project.wait_for_state("feed", state, LIMIT);
    }
    // An hour forth and back within the hours does nothing to it.
    let main = project.service("feed").pid;
    for moment in ["2026-11-24T12:00:00+05:30", "2026-11-24T11:00:00+05:30"] {
        let steps = steps(&project).len();
        set_to(&project, moment);
        wait_until("that was heard", LIMIT, || {
            let told = self::steps(&project);
            if told.len() > steps { Ok(()) } else { Err(format!("{told:?}")) }
        });
        assert_eq!(project.service("feed").pid, main);
    }
    // And nobody has to set it: it closes when the time has come.
    set_to(&project, "2026-11-24T15:29:58+05:30");
    assert_eq!(project.service("feed").pid, main);
    project.wait_for_state("feed", "scheduled", LIMIT);
    set_to(&project, "2026-11-28T10:00:00+05:30");
    set_to(&project, "2026-11-30T09:14:58+05:30");
    project.wait_for_state("feed", "ready", LIMIT);
}

#[test]
fn a_rhythm_does_not_stumble_over_a_step_of_an_hour_and_a_time_of_day_comes_once() {
    let jobs = job("tick", "every = \"500ms\"\nwindow = \"hours\"")
        + &job("noon", "at = \"12:00\"\nwindow = \"hours\"\nmisfire = \"run-once\"")
        + &job("late", "at = \"12:00\"\nwindow = \"hours\"");
    let project = Project::new(&format!("{HOURS}{jobs}")).with_test_clock();
    set_to(&project, "2026-11-24T11:30:00+05:30");
    project.soloist(&["up", "-d"]).expect(0);
    wait_for_runs(&project, "tick", 3);
    set_to(&project, "2026-11-24T12:30:00+05:30");
    wait_for_runs(&project, "noon", 1);
    let told = wait_until("the other one is told as missed", LIMIT, || {
        let told = skipped(&project, "late");
        if told.is_empty() { Err(project.diary()) } else { Ok(told) }
    });
    assert!(told.len() == 1 && told[0].contains("clock was set"), "{told:?}");
    set_to(&project, "2026-11-24T11:30:00+05:30");
    let before = runs(&project, "tick").len();
    wait_for_runs(&project, "tick", before + 3);
    // It is noon again, and noon has been.
    set_to(&project, "2026-11-24T11:59:59+05:30");
    let before = runs(&project, "tick").len();
    let ticks = wait_for_runs(&project, "tick", before + 6);
    assert_eq!((runs(&project, "noon").len(), runs(&project, "late").len()), (1, 0), "{}", project.diary());
    let apart: Vec<u64> = ticks.windows(2).map(|two| two[1] - two[0]).collect();
    // A busy machine begins a run late, and the next one no later for it; but never one too many.
    let least = 500 * apart.len() as u64 - 450;
    assert!(apart.iter().sum::<u64>() >= least && apart.iter().all(|ms| *ms < 5000), "{apart:?}");
    // Nor does it run into itself, but where half a second is too short for a run.
    let stumbled: Vec<_> =
        skipped(&project, "tick").into_iter().filter(|why| !why.contains("still at work")).collect();
    assert_eq!(stumbled, Vec::<String>::new());
}

#[test]
fn what_was_due_while_no_daemon_ran_is_made_up_for_once() {
    let jobs = job("noon", "at = \"12:00\"\ntimezone = \"Asia/Kolkata\"\nmisfire = \"run-once\"")
        + &job("late", "at = \"12:00\"\ntimezone = \"Asia/Kolkata\"");
    let project = Project::new(&jobs).with_test_clock();
    set_to(&project, "2026-11-24T11:30:00+05:30");
    project.soloist(&["up", "-d"]).expect(0);
    project.wait_for_state("noon", "scheduled", LIMIT);
    // Nothing of it has ever run. As long as somebody else is starting a daemon, nobody does.
    let starting = std::fs::File::open(project.folder().join(".soloist/start.lock")).unwrap();
    flock(&starting, FlockOperation::LockExclusive).unwrap();
    let dead = daemon::kill(&project);
    set_to(&project, "2026-11-24T12:30:00+05:30");
    drop(starting);
    daemon::wait_for_another(&project, dead, LIMIT);
    wait_for_runs(&project, "noon", 1);
    let told = skipped(&project, "late");
    assert!(told.len() == 1 && told[0].contains("no daemon"), "{told:?}");
    // The next daemon has nothing to make up for.
    for is_killed in [true, false] {
        if is_killed {
            let dead = daemon::kill(&project);
            daemon::wait_for_another(&project, dead, LIMIT);
        } else {
            project.soloist(&["upgrade"]).expect(0);
        }
        project.wait_for_state("noon", "scheduled", LIMIT);
        let seen = (runs(&project, "noon").len(), skipped(&project, "late").len());
        assert_eq!(seen, (1, 1), "{}", project.diary());
    }
}

#[test]
fn rules_of_a_zone_that_change_are_taken_in_while_the_daemon_runs() {
    let project = Project::new(&job("noon", "at = \"12:00\"\ntimezone = \"Asia/Kolkata\""));
    let system = std::path::Path::new("/usr/share/zoneinfo");
    if !system.join("Asia/Tokyo").exists() {
        return e2e::skip_loudly("no zones in /usr/share/zoneinfo");
    }
    let zones = project.folder().join("zones");
    std::fs::create_dir_all(zones.join("Asia")).unwrap();
    let have = |zone: &str, version: &str| {
        std::fs::copy(system.join(zone), zones.join("Asia/next")).unwrap();
        std::fs::rename(zones.join("Asia/next"), zones.join("Asia/Kolkata")).unwrap();
        std::fs::write(zones.join("tzdata.zi"), format!("# version {version}\n")).unwrap();
    };
    have("Asia/Kolkata", "2026a");
    let up = project.command(&["up", "-d"]).env("TZDIR", &zones).output().unwrap();
    assert!(up.status.success(), "{up:?}");
    let seen = || {
        let status = project.soloist(&["status", "--json"]).expect(0).json();
        let next = milliseconds(status["services"][0]["next"].as_str().unwrap_or_default());
        (status["daemon"]["zones"].as_str().unwrap_or_default().to_owned(), next)
    };
    let (source, before) = seen();
    assert_eq!(source, format!("the system's tzdata 2026a ({})", zones.display()));
    have("Asia/Tokyo", "2026b");
    let after = wait_until("the new rules are in", LIMIT, || {
        let (source, next) = seen();
        // The schedule is looked at when the driver has nothing else to do.
        if source.contains("2026b") && next != before { Ok(next) } else { Err(project.diary()) }
    });
    // It is noon in Tokyo three hours and a half before it is in Kolkata; or was today, and is so tomorrow.
    let earlier = (before - after).rem_euclid(24 * HOUR);
    assert_eq!(earlier, 7 * HOUR / 2, "{before} {after}");
    let told = project.soloist(&["history", "noon", "--json", "-n", "1000"]).expect(0).stdout;
    assert!(told.contains("zone rules have changed"), "{told}");
}
