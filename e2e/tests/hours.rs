//! Hours that are written by hand: what begins at the opening and ends at the close, in which way, over days with two
//! sessions, over a dead daemon, and over the nights in which clocks leap.

use std::path::Path;

use e2e::clock::{milliseconds, monotonic, set_to};
use e2e::puppet::lifeline::{Life, lives};
use e2e::{LIMIT, Project, daemon, puppet, quoted, wait_until};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

const SECOND: u64 = 1_000_000_000;
/// Two readings of clocks that differ in their grain.
const GRAIN: u64 = 5_000_000;

const HOURS: &str =
    "[windows.hours]\ntimezone = \"UTC\"\ndays = \"mon-fri\"\nopen = \"09:15\"\nclose = \"15:30\"\n";

/// A project with a clock at this moment.
struct Stage(Project);

impl Stage {
    fn new() -> Stage {
        Stage(Project::empty().with_test_clock())
    }

    /// A section of soloist.toml whose runs are puppets with a lifeline of their own.
    fn section(&self, section: &str, flags: &[&str], settings: &str) -> String {
        let name = section.rsplit('.').next().unwrap_or_default();
        let lifeline = self.0.path(&format!("{name}.lives"));
        let command = quoted(&puppet(&[&["--lifeline", &lifeline], flags].concat()));
        format!("[{section}]\ncommand = {command}\nwindow = \"hours\"\n{settings}\n")
    }

    /// Writes soloist.toml, sets the clock, and has all of it up.
    fn up(&self, toml: &str, moment: &str) -> i64 {
        self.0.write("soloist.toml", toml);
        let ahead = set_to(&self.0, moment);
        self.0.soloist(&["up", "-d"]).expect(0);
        ahead
    }

    fn lives(&self, name: &str) -> Vec<Life> {
        lives(Path::new(&self.0.path(&format!("{name}.lives"))))
    }

    #[track_caller]
    fn wait_for_lives(&self, name: &str, count: usize) -> Vec<Life> {
        wait_until(&format!("{count} runs of {name}"), LIMIT, || match self.lives(name) {
            lives if lives.len() >= count => Ok(lives),
            lives => Err(format!("{lives:?}\n{}", self.0.diary())),
        })
    }

    fn is(&self, name: &str, state: &str) {
        self.0.wait_for_state(name, state, LIMIT);
    }

    /// How many runs were left out for a reason.
    fn skipped(&self, name: &str, why: &str) -> u64 {
        let told = self.0.soloist(&["history", name, "--json", "-n", "100000"]).expect(0).json();
        let entries = told["entries"].as_array().cloned().unwrap_or_default();
        let of = entries.iter().filter(|entry| {
            entry["what"] == "skipped" && entry["detail"].as_str().is_some_and(|detail| detail.contains(why))
        });
        of.map(|entry| entry["count"].as_u64().unwrap_or(1)).sum()
    }

    fn schedule(&self, name: &str) -> Value {
        let all = self.0.soloist(&["schedule", "ls", "--json"]).expect(0).json();
        let all = all["schedules"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|one| one["name"] == name).unwrap_or_default()
    }

    fn open_gate(&self, name: &str) {
        self.0.write(&format!("{name}.go"), "");
    }
}

#[test]
fn a_service_and_a_job_begin_at_the_opening_and_end_at_the_close_within_a_second() {
    let stage = Stage::new();
    let toml = HOURS.to_owned()
        + &stage.section("services.feed", &[], "")
        + &stage.section("jobs.scan", &["--exit-after", "20"], "every = \"200ms\"");
    let ahead = stage.up(&toml, "2021-03-02T09:14:58Z");
    let opening = monotonic("2021-03-02T09:15:00Z", ahead);
    stage.0.soloist(&["status"]).expect(0).says("hours is closed until Tue 2021-03-02 09:15 UTC");
    assert_eq!((stage.lives("feed"), stage.lives("scan")), (vec![], vec![]));
    let feed = stage.wait_for_lives("feed", 1)[0];
    let scans = stage.wait_for_lives("scan", 4);
    for first in [feed, scans[0]] {
        assert!((opening - GRAIN..opening + SECOND).contains(&first.from), "{opening}: {first:?}");
    }
    stage.is("feed", "ready");
    stage.0.soloist(&["status"]).expect(0).says("hours is open until Tue 2021-03-02 15:30 UTC");

    let ahead = set_to(&stage.0, "2021-03-02T15:29:58Z");
    let close = monotonic("2021-03-02T15:30:00Z", ahead);
    let count = stage.lives("scan").len();
    stage.wait_for_lives("scan", count + 3);
    assert_eq!(stage.lives("feed").len(), 1);
    stage.is("feed", "scheduled");
    stage.is("scan", "scheduled");
    let (feeds, scans) = (stage.lives("feed"), stage.lives("scan"));
    assert_eq!(feeds.len(), 1, "{feeds:?}");
    // Until the close, to a beat of its lifeline on a busy machine.
    let end = feeds[0].until;
    assert!((close - SECOND / 5..close + SECOND).contains(&end), "{close}: {feeds:?}");
    let last = scans[scans.len() - 1].from;
    assert!((close - SECOND..close + SECOND / 5).contains(&last), "{close}: {last}");
    for name in ["feed", "scan"] {
        assert_eq!(stage.schedule(name)["next"], "2021-03-03T09:15:00Z", "{name}");
    }
}

#[test]
fn what_is_at_work_at_the_close_is_stopped_drained_or_left_to_finish() {
    let stage = Stage::new();
    let go = |name: &str| stage.0.path(&format!("{name}.go"));
    let deaf =
        |name: &str| [vec!["--ignore-term".to_owned(), "--exit-on-file".to_owned()], vec![go(name)]].concat();
    let service = |name: &str, settings: &str| {
        let flags = deaf(name);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let settings = format!("stop-grace = \"100ms\"\nrestart = \"always\"\n{settings}");
        stage.section(&format!("services.{name}"), &flags, &settings)
    };
    let job = |name: &str, settings: &str| {
        let settings = format!("every = \"100ms\"\noverlap = \"queue\"\n{settings}");
        stage.section(&format!("jobs.{name}"), &["--exit-on-file", &go(name)], &settings)
    };
    let toml = HOURS.to_owned()
        + &service("stops", "")
        + &service("drains", "on-close = \"drain\"\ndrain-timeout = \"60s\"")
        + &service("hurries", "on-close = \"drain\"\ndrain-timeout = \"300ms\"")
        + &service("finishes", "on-close = \"finish\"")
        + &job("job-stops", "on-close = \"stop\"")
        + &job("job-drains", "on-close = \"drain\"")
        + &job("job-finishes", "");
    stage.up(&toml, "2021-03-02T15:29:56Z");
    let jobs = ["job-stops", "job-drains", "job-finishes"];
    for name in jobs {
        stage.wait_for_lives(name, 1);
    }
    // What had no patience is gone, by force if need be.
    for name in ["stops", "hurries", "job-stops"] {
        stage.is(name, "scheduled");
        let lives = stage.lives(name);
        assert!(lives.len() == 1 && !lives[0].has_ended, "{name}: {lives:?}");
    }
    stage.0.soloist(&["status"]).expect(0).says("hours is closed until ");
    for (name, state) in [
        ("drains", "stopping"),
        ("finishes", "ready"),
        ("job-drains", "running"),
        ("job-finishes", "running"),
    ] {
        assert_eq!(stage.0.service(name).state, state, "{name}: {}", stage.0.diary());
    }
    // Runs wait where they are drained, and are told as left out elsewhere.
    let waiting = stage.schedule("job-drains")["queued"].as_u64().unwrap();
    assert!(waiting > 3, "{waiting}");
    // On a machine that stands still for longer than the interval one run stands for several, with other words.
    assert_eq!(stage.skipped("job-drains", "its window has closed"), 0);
    for name in ["job-stops", "job-finishes"] {
        assert_eq!(stage.schedule(name)["queued"], 0);
        assert!(stage.skipped(name, "its window has closed") > 3, "{name}");
    }
    for name in ["drains", "finishes", "job-drains", "job-finishes"] {
        stage.open_gate(name);
        stage.is(name, "scheduled");
        let lives = stage.lives(name);
        let count = if name == "job-drains" { waiting + 1 } else { 1 };
        assert_eq!(lives.len() as u64, count, "{name}: {lives:?}");
        assert!(lives.iter().all(|life| life.has_ended), "{name}: {lives:?}");
    }
}

#[test]
fn a_final_run_comes_once_after_the_close_and_after_the_run_at_work() {
    let stage = Stage::new();
    let script = "echo $SOLOIST_SCHEDULED_AT >> at; until [ -e go ]; do sleep 0.01; done";
    let toml = format!(
        "{HOURS}[jobs.scan]\ncommand = {}\nevery = \"1h\"\nwindow = \"hours\"\nfinal-run = true\n",
        quoted(&["/bin/sh", "-c", script])
    );
    stage.up(&toml, "2021-03-02T15:29:58Z");
    let queued = || stage.schedule("scan")["queued"].as_u64().unwrap_or_default();
    wait_until("the final run waits for the one at work", LIMIT, || match queued() {
        1 => Ok(()),
        _ => Err(stage.0.diary()),
    });
    stage.0.soloist(&["status"]).expect(0).says("hours is closed until ");
    assert_eq!(stage.0.read("at").lines().count(), 1);
    stage.0.write("go", "");
    stage.is("scan", "scheduled");
    let at = stage.0.read("at");
    let at: Vec<&str> = at.lines().collect();
    assert!(at.len() == 2 && at[0].starts_with("2021-03-02T15:29:5"), "{at:?}");
    assert_eq!(at[1], "2021-03-02T15:30:00.000Z");
    assert_eq!(stage.schedule("scan")["next"], "2021-03-03T09:15:00Z");
}

#[test]
fn a_day_with_two_sessions_has_two_openings() {
    let stage = Stage::new();
    let toml = "[windows.hours]\ntimezone = \"UTC\"\nsessions = [\"09:00-11:30\", \"12:30-15:00\"]\n"
        .to_owned()
        + &stage.section("services.feed", &[], "")
        + &stage.section("jobs.scan", &["--exit-after", "10"], "every = \"1h\"");
    stage.up(&toml, "2021-03-02T08:59:59Z");
    let mut opened = 0;
    for (moment, is_open, words) in [
        ("2021-03-02T08:59:59Z", true, "hours is open until Tue 2021-03-02 11:30 UTC"),
        ("2021-03-02T11:30:00Z", false, "hours is closed until Tue 2021-03-02 12:30 UTC"),
        ("2021-03-02T12:29:59Z", true, "hours is open until Tue 2021-03-02 15:00 UTC"),
        ("2021-03-02T14:59:59Z", false, "hours is closed until Wed 2021-03-03 09:00 UTC"),
    ] {
        set_to(&stage.0, moment);
        opened += usize::from(is_open);
        stage.is("feed", if is_open { "ready" } else { "scheduled" });
        stage.0.soloist(&["status", "feed"]).says(words);
        // The first run of a session is due at its opening.
        stage.wait_for_lives("scan", opened);
        assert_eq!((stage.lives("feed").len(), stage.lives("scan").len()), (opened, opened), "{moment}");
    }
}

#[test]
fn an_opening_while_no_daemon_ran_is_made_up_for_once() {
    let stage = Stage::new();
    let toml = HOURS.to_owned()
        + &stage.section("services.feed", &[], "")
        + &stage.section("jobs.scan", &["--exit-after", "10"], "every = \"1h\"");
    stage.up(&toml, "2021-03-02T09:00:00Z");
    stage.is("feed", "scheduled");
    // As long as somebody else is starting a daemon, nobody does.
    let starting = std::fs::File::open(stage.0.path(".soloist/start.lock")).unwrap();
    flock(&starting, FlockOperation::LockExclusive).unwrap();
    let dead = daemon::kill(&stage.0);
    set_to(&stage.0, "2021-03-02T09:20:00Z");
    assert_eq!(stage.lives("feed").len(), 0);
    drop(starting);
    let second = daemon::wait_for_another(&stage.0, dead, LIMIT);
    stage.is("feed", "ready");
    let missed = || stage.skipped("scan", "no daemon");
    wait_until("the run at the opening is told as missed", LIMIT, || match missed() {
        1 => Ok(()),
        other => Err(format!("{other}\n{}", stage.0.diary())),
    });
    assert_eq!(stage.schedule("scan")["next"], "2021-03-02T10:15:00Z");
    // Nor does the next daemon begin anything again.
    assert!(second.kill());
    daemon::wait_for_another(&stage.0, second, LIMIT);
    stage.is("feed", "ready");
    assert_eq!((stage.lives("feed").len(), stage.lives("scan").len(), missed()), (1, 0, 1));
    assert_eq!(stage.schedule("scan")["next"], "2021-03-02T10:15:00Z");
}

/// A job that writes when it was due, and how often it has.
fn due_at(project: &Project, name: &str) -> Vec<String> {
    project.read(name).lines().map(str::to_owned).collect()
}

fn writes(name: &str, at: &str, zone: &str) -> String {
    let command = quoted(&["/bin/sh", "-c", &format!("echo $SOLOIST_SCHEDULED_AT >> {name}")]);
    format!("[jobs.{name}]\ncommand = {command}\nat = \"{at}\"\ntimezone = \"{zone}\"\n")
}

#[track_caller]
fn wait_for(project: &Project, name: &str, last: &str) {
    wait_until(&format!("{name} runs at {last}"), LIMIT, || match due_at(project, name) {
        due if due.last().is_some_and(|at| at == last) => Ok(()),
        due => Err(format!("{due:?}\n{}", project.diary())),
    });
}

#[test]
fn a_time_over_which_the_clocks_leap_comes_when_they_do_and_once() {
    let stage = Stage::new();
    // A second later by another clock: nothing more has come.
    let toml = writes("night", "02:30", "America/New_York") + &writes("after", "07:00:01", "UTC");
    stage.up(&toml, "2026-03-08T06:59:57Z");
    assert_eq!(stage.schedule("night")["next"], "2026-03-08T07:00:00Z");
    wait_for(&stage.0, "after", "2026-03-08T07:00:01.000Z");
    assert_eq!(due_at(&stage.0, "night"), ["2026-03-08T07:00:00.000Z"]);
    assert_eq!(stage.schedule("night")["next"], "2026-03-09T06:30:00Z");
    // Half past two by the time that was, and by the time that is.
    for moment in ["2026-03-08T07:29:59Z", "2026-03-08T07:30:01Z", "2026-03-09T06:29:59Z"] {
        set_to(&stage.0, moment);
    }
    wait_for(&stage.0, "night", "2026-03-09T06:30:00.000Z");
    assert_eq!(due_at(&stage.0, "night").len(), 2);
}

#[test]
fn a_time_that_comes_twice_in_a_night_is_the_first() {
    let stage = Stage::new();
    let toml = writes("night", "01:30", "America/New_York") + &writes("after", "06:30:01", "UTC");
    stage.up(&toml, "2026-11-01T05:29:58Z");
    wait_for(&stage.0, "night", "2026-11-01T05:30:00.000Z");
    set_to(&stage.0, "2026-11-01T06:29:58Z");
    wait_for(&stage.0, "after", "2026-11-01T06:30:01.000Z");
    assert_eq!(due_at(&stage.0, "night").len(), 1);
    assert_eq!(stage.schedule("night")["next"], "2026-11-02T06:30:00Z");
    assert_eq!(stage.skipped("night", ""), 0);
    assert!(milliseconds("2026-11-02T06:30:00Z") - milliseconds("2026-11-01T05:30:00Z") == 25 * 3_600_000);
}
