//! A job that is due every 100 ms and takes 350 ms, under each overlap policy, while the clock is set and the daemon is
//! killed: what its runs write of themselves shows how many live at once, and the history accounts for all that was due.

use std::path::PathBuf;

use e2e::puppet::journal::now;
use e2e::puppet::lifeline::{Life, lives, most_at_once};
use e2e::{LIMIT, Project, daemon, puppet, quoted, wait_until};
use serde_json::Value;

const EVERY: u64 = 100_000_000;
const HOUR: i64 = 3_600_000;

/// The job, and what its runs write.
struct Busy {
    project: Project,
    lifeline: PathBuf,
    /// Before it was started.
    begun: u64,
}

/// What was due, as the history accounts for it.
#[derive(Debug, Default)]
struct Account {
    pids: Vec<u32>,
    skipped: u64,
    whys: Vec<String>,
    queued: u64,
}

impl Account {
    fn due(&self) -> u64 {
        self.pids.len() as u64 + self.skipped + self.queued
    }
}

impl Busy {
    fn new(overlap: &str) -> Busy {
        let project = Project::empty().with_test_clock();
        let lifeline = project.path("lifeline");
        // One that is to be replaced outlives its turn by far: on a loaded machine the next one comes late.
        let life = if overlap == "replace" { "3000" } else { "350" };
        let command = quoted(&puppet(&["--lifeline", &lifeline, "--exit-after", life]));
        project.write(
            "soloist.toml",
            &format!(
                "[jobs.busy]\ncommand = {command}\nevery = \"100ms\"\noverlap = \"{overlap}\"\n\
                 [jobs.idle]\ncommand = [\"true\"]\nevery = \"1h\"\n"
            ),
        );
        // The daemon is there before the time runs.
        project.soloist(&["start", "idle"]).expect(0);
        let begun = now();
        project.soloist(&["start", "busy"]).expect(0);
        Busy { project, lifeline: lifeline.into(), begun }
    }

    fn lives(&self) -> Vec<Life> {
        lives(&self.lifeline)
    }

    /// Waits until runs have begun through so many seconds.
    fn goes_on(&self, seconds: u64) -> Vec<Life> {
        wait_until(&format!("runs begin for {seconds} s"), LIMIT, || {
            let lives = self.lives();
            let (first, last) =
                (lives.first().map_or(0, |life| life.from), lives.last().map_or(0, |life| life.from));
            let count = lives.len();
            if last - first >= seconds * 1_000_000_000 {
                Ok(lives)
            } else {
                Err(format!("{count} runs\n{}", self.project.diary()))
            }
        })
    }

    fn account(&self) -> Account {
        let history = self.project.soloist(&["history", "busy", "--json", "-n", "100000"]).expect(0).json();
        let mut account = Account::default();
        for entry in history["entries"].as_array().expect("entries") {
            match entry["what"].as_str() {
                Some("started") => account.pids.push(entry["pid"].as_u64().unwrap() as u32),
                Some("skipped") => {
                    account.skipped += entry["count"].as_u64().unwrap_or(1);
                    account.whys.push(entry["detail"].as_str().unwrap_or_default().to_owned());
                }
                _ => {}
            }
        }
        let all = self.project.soloist(&["schedule", "ls", "--json"]).expect(0).json();
        let busy =
            all["schedules"].as_array().expect("schedules").iter().find(|one: &&Value| one["name"] == "busy");
        account.queued = busy.and_then(|busy| busy["queued"].as_u64()).expect("how many wait");
        account
    }

    /// Nothing is due any more: what was, between the first start and then, is started, skipped or queued, and when it
    /// is stopped what is queued is skipped.
    fn adds_up(&self) -> Account {
        let before = now();
        self.project.soloist(&["schedule", "pause", "busy"]).expect(0);
        let after = now();
        let first = self.lives()[0].from;
        // One more than there are intervals; one less or more is granted.
        let least = (before - first) / EVERY;
        let most = (after - self.begun) / EVERY + 2;
        let adds_up = |account: Account| match account.due() {
            due if (least..=most).contains(&due) => Ok(account),
            due => Err(format!(
                "{due} are told, {least} to {most} were due: {account:?}\n{}",
                self.project.diary()
            )),
        };
        // A run that is about to begin is in neither place for a moment.
        let told = wait_until("what was due is told", LIMIT, || adds_up(self.account()));
        self.project.soloist(&["stop", "busy"]).expect(0);
        let stopped = adds_up(self.account()).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(stopped.queued, 0);
        let unknown: Vec<Life> =
            self.lives().into_iter().filter(|life| !stopped.pids.contains(&life.pid)).collect();
        assert!(unknown.is_empty(), "the history knows nothing of {unknown:?}: {stopped:?}");
        told
    }
}

/// Six seconds and more of it, the clock set in their midst: judges how many lived at once, and gives the lives and the
/// account.
#[track_caller]
fn observe(overlap: &str, is_killed: bool) -> (Vec<Life>, Account) {
    let busy = Busy::new(overlap);
    busy.goes_on(1);
    busy.project.set_test_clock(HOUR);
    busy.goes_on(3);
    if is_killed {
        let dead = daemon::kill(&busy.project);
        daemon::wait_for_another(&busy.project, dead, LIMIT);
    } else {
        busy.project.set_test_clock(0);
    }
    busy.goes_on(6);
    let account = busy.adds_up();
    let lives = busy.lives();
    let (least, most) = if overlap == "allow" { (3, 4) } else { (1, 1) };
    let found = most_at_once(&lives);
    assert!((least..=most).contains(&found), "{found} at once: {lives:#?}");
    (lives, account)
}

fn has_ended(lives: &[Life]) -> usize {
    lives.iter().filter(|life| life.has_ended).count()
}

fn skips(is_killed: bool) {
    let (lives, account) = observe("skip", is_killed);
    // All but the one that was stopped in the end.
    assert!(has_ended(&lives) + 1 >= lives.len(), "{lives:#?}");
    assert!(account.whys.iter().any(|why| why == "the run before is still at work"), "{account:?}");
    assert!(account.skipped > 2 * lives.len() as u64 && account.queued == 0, "{account:?}");
}

fn queues(is_killed: bool) {
    let (lives, account) = observe("queue", is_killed);
    assert!(has_ended(&lives) + 1 >= lives.len(), "{lives:#?}");
    // What waits is not forgotten with a daemon. Only what was due while there was none, or while the machine stood still,
    // is missed: on a busy one that may be many.
    assert!(account.skipped < account.queued && account.queued > 2 * lives.len() as u64, "{account:?}");
    let is_missed =
        |why: &String| why == "missed while the machine slept" || is_killed && why.starts_with("missed");
    assert!(account.whys.iter().all(is_missed), "{account:?}");
}

fn replaces(is_killed: bool) {
    let (lives, account) = observe("replace", is_killed);
    // None comes to its end, but where nobody was there to replace it.
    assert!(has_ended(&lives) <= usize::from(is_killed), "{lives:#?}");
    assert!(lives.len() > 20 && account.queued <= 1, "{} lives, {account:?}", lives.len());
}

fn allows(is_killed: bool) {
    let (lives, account) = observe("allow", is_killed);
    assert!(has_ended(&lives) + 4 >= lives.len(), "{lives:#?}");
    assert!(account.queued == 0, "{account:?}");
}

#[test]
fn a_job_that_skips_never_runs_twice_at_once_and_all_that_was_due_is_told() {
    skips(false);
}

#[test]
fn a_job_that_skips_does_so_when_its_daemon_was_killed() {
    skips(true);
}

#[test]
fn a_job_that_queues_never_runs_twice_at_once_and_all_that_was_due_is_told() {
    queues(false);
}

#[test]
fn a_job_that_queues_does_so_when_its_daemon_was_killed() {
    queues(true);
}

#[test]
fn a_job_that_replaces_never_runs_twice_at_once_and_all_that_was_due_is_told() {
    replaces(false);
}

#[test]
fn a_job_that_replaces_does_so_when_its_daemon_was_killed() {
    replaces(true);
}

#[test]
fn a_job_that_allows_four_at_once_never_has_more_and_all_that_was_due_is_told() {
    allows(false);
}

#[test]
fn a_job_that_allows_four_at_once_does_so_when_its_daemon_was_killed() {
    allows(true);
}
