//! Workers that live on and are ticked: started once, given their turns on standard input, heard over the notify socket,
//! whatever becomes of the daemon or of them; each tick and each answer is in the history.

use std::path::PathBuf;

use e2e::puppet::worker::{Taken, gate, taken};
use e2e::talker::{Link, python};
use e2e::{Identity, LIMIT, Project, daemon, puppet, quoted, wait_until};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

/// A project whose service `w` is a puppet that is ticked.
struct Workshop {
    project: Project,
    notes: PathBuf,
}

impl Workshop {
    /// `turns` is what it does with its ticks, `settings` are lines of its section.
    #[track_caller]
    fn new(turns: &str, settings: &str) -> Workshop {
        Workshop::with(&["--turns", turns], settings)
    }

    #[track_caller]
    fn with(flags: &[&str], settings: &str) -> Workshop {
        let project = Project::empty();
        let (notes, beacon) = (project.path("notes"), project.beacon().text());
        let command = quoted(&puppet(&[&["--alone", &beacon, "--ticks", &notes], flags].concat()));
        project.write(
            "soloist.toml",
            &format!(
                "[services.w]\ncommand = {command}\ntrigger = \"stdin\"\nreadiness = \"notify\"\n\
                 backoff = {{ first = \"10ms\", max = \"10ms\" }}\n{settings}\n"
            ),
        );
        let shop = Workshop { notes: notes.into(), project };
        shop.project.soloist(&["up", "-d"]).expect(0);
        shop
    }

    /// Waits until it has taken so many ticks.
    #[track_caller]
    fn wait_for_ticks(&self, count: usize) -> Vec<Taken> {
        wait_until(&format!("{count} ticks are taken"), LIMIT, || match taken(&self.notes) {
            found if found.len() >= count => Ok(found),
            found => Err(format!("{found:?}\n{}", self.project.diary())),
        })
    }

    fn history(&self) -> Vec<Value> {
        history(&self.project)
    }

    /// Waits until so many lines of the history are of this kind and have these words.
    #[track_caller]
    fn wait_for_told(&self, what: &str, words: &str, count: usize) -> Vec<Value> {
        wait_until(&format!("`{what}: {words}` is told {count} times"), LIMIT, || {
            let entries = self.history();
            match told(&entries, what, words) {
                found if found.len() >= count => Ok(found),
                _ => Err(format!("{entries:#?}\n{}", self.project.diary())),
            }
        })
    }

    fn open_gate(&self) {
        std::fs::write(gate(&self.notes), "").unwrap();
    }
}

fn history(project: &Project) -> Vec<Value> {
    let output = project.soloist(&["history", "w", "--json", "-n", "10000"]).expect(0);
    output.json()["entries"].as_array().expect("entries").clone()
}

fn told(entries: &[Value], what: &str, words: &str) -> Vec<Value> {
    let has_words = |entry: &&Value| entry["detail"].as_str().unwrap_or_default().contains(words);
    entries.iter().filter(|entry| entry["what"] == what).filter(has_words).cloned().collect()
}

#[test]
fn a_worker_is_started_once_and_ticked_again_and_again() {
    let shop = Workshop::new("ok", "every = \"200ms\"");
    let ticks = shop.wait_for_ticks(6);
    let main = shop.project.service("w").pid.unwrap();
    assert!(ticks.iter().all(|one| one.pid == main), "{ticks:?}");
    assert_eq!(shop.project.beacon().all().len(), 1, "started once");
    let mut ids: Vec<&str> = ticks.iter().map(|one| one.tick.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), ticks.len());
    // From start to start, to the millisecond: `2026-11-22T03:45:06.007Z`.
    let rest = |one: &Taken| {
        let (moment, ms) = one.scheduled_at.strip_suffix('Z').unwrap().split_once('.').unwrap();
        assert_eq!((moment.len(), ms.len()), (19, 3), "{one:?}");
        ms.parse::<u32>().unwrap() % 200
    };
    assert!(ticks.iter().all(|one| rest(one) == rest(&ticks[0])), "{ticks:?}");
    for one in &ticks {
        let answered = shop.wait_for_told("answered", &format!("did {}", one.tick), 1);
        assert!(answered.len() == 1 && answered[0]["duration_ms"].is_u64(), "{answered:?}");
    }
    let entries = shop.history();
    assert_eq!(told(&entries, "started", "").len(), 1, "{entries:#?}");
    // The first one came with the start.
    let ticked = told(&entries, "ticked", "");
    assert!(ticked[1..].iter().all(|entry| entry["cause"] == "schedule"), "{entries:#?}");
}

#[test]
fn a_tick_that_fails_is_told_and_the_next_one_comes() {
    let shop = Workshop::new("error,ok", "every = \"100ms\"");
    let ticks = shop.wait_for_ticks(2);
    shop.wait_for_told("answered", &format!("error: did {}", ticks[0].tick), 1);
    let answered = shop.wait_for_told("answered", &format!("did {}", ticks[1].tick), 1);
    assert_eq!(answered[0]["detail"], format!("did {}", ticks[1].tick));
}

#[test]
fn the_death_of_the_daemon_loses_no_tick_and_gives_none_twice() {
    let shop = Workshop::new("ok,late", "every = \"100ms\"");
    let before = shop.wait_for_ticks(2);
    let dead = daemon::kill(&shop.project);
    daemon::wait_for_another(&shop.project, dead, LIMIT);
    // The new one has looked at its schedule again and again, and knows that a tick is out.
    let skipped = told(&shop.history(), "skipped", "still at work").len();
    shop.wait_for_told("skipped", "still at work", skipped + 3);
    assert_eq!(taken(&shop.notes), before);
    shop.open_gate();
    let after = shop.wait_for_ticks(4);
    assert!(after.iter().all(|one| one.pid == before[0].pid), "{after:?}");
    let answered = shop.wait_for_told("answered", &format!("did {}", before[1].tick), 1);
    assert_eq!(answered.len(), 1, "{answered:#?}");
    assert_eq!(told(&shop.history(), "answered", "ended before").len(), 0);
}

#[test]
fn an_answer_that_no_daemon_hears_is_told_by_the_next_one() {
    let shop = Workshop::new("late", "every = \"100ms\"");
    let before = shop.wait_for_ticks(1);
    // As long as somebody else seems to start a daemon, the guard does not.
    let starting = std::fs::File::open(shop.project.path(".soloist/start.lock")).unwrap();
    flock(&starting, FlockOperation::LockExclusive).unwrap();
    daemon::kill(&shop.project);
    shop.open_gate();
    let link = Link::to(&shop.project, "w");
    wait_until("the guard has the answer", LIMIT, || match link.status() {
        status if status["notice"]["answers"][0]["tick"] == *before[0].tick => Ok(()),
        status => Err(status),
    });
    drop((link, starting));
    let answered = shop.wait_for_told("answered", &format!("did {}", before[0].tick), 1);
    assert_eq!(answered.len(), 1, "{answered:#?}");
    let after = shop.wait_for_ticks(2);
    assert_eq!(after[1].pid, before[0].pid, "it was ticked on");
}

#[test]
fn a_worker_that_dies_over_a_tick_is_started_anew_and_the_loss_is_told_once() {
    let shop = Workshop::new("ok,never", "every = \"100ms\"");
    let before = shop.wait_for_ticks(2);
    let main = Identity::of(before[0].pid).unwrap();
    assert!(main.kill());
    let after = shop.wait_for_ticks(3);
    assert_ne!(after[2].pid, main.pid);
    shop.wait_for_told("answered", &format!("did {}", after[2].tick), 1);
    let entries = shop.history();
    let lost = told(&entries, "answered", "ended before it answered");
    assert_eq!(lost.len(), 1, "{entries:#?}");
    let started = told(&entries, "started", "");
    assert_eq!((started.len(), &lost[0]["run_id"]), (2, &started[0]["run_id"]), "{entries:#?}");
    assert_eq!(shop.project.beacon().overlaps(), Vec::<String>::new());
}

#[test]
fn a_worker_that_ends_at_each_tick_is_started_anew_for_the_next_one() {
    let shop = Workshop::new("die", "every = \"100ms\"\nrestart = \"always\"");
    let ticks = shop.wait_for_ticks(3);
    assert_ne!(ticks[0].pid, ticks[1].pid);
    assert_ne!(ticks[1].pid, ticks[2].pid);
    shop.wait_for_told("answered", "ended before it answered", 2);
}

#[test]
fn a_worker_that_has_closed_its_input_is_no_secret() {
    let shop = Workshop::new("close", "every = \"100ms\"");
    shop.wait_for_told("answered", "error: it has closed its standard input", 2);
    assert_eq!(shop.wait_for_ticks(1).len(), 1);
    assert_eq!(shop.project.service("w").restarts, 0);
}

#[test]
fn an_answer_that_takes_too_long_is_not_waited_for() {
    let shop = Workshop::new("ok,never", "every = \"100ms\"\nmax-runtime = \"300ms\"");
    let ticks = shop.wait_for_ticks(3);
    assert_ne!(ticks[2].pid, ticks[0].pid, "it was started anew");
    shop.wait_for_told("answered", "no answer in", 1);
}

#[test]
fn a_stop_ends_the_input_and_with_it_a_worker_that_hears_no_signal() {
    let shop = Workshop::with(&["--ignore-term", "--code", "3"], "every = \"100ms\"");
    shop.wait_for_ticks(2);
    shop.project.soloist(&["stop", "w"]).expect(0);
    let exited = shop.wait_for_told("exited", "", 1);
    assert_eq!(exited[0]["exit"]["code"], 3, "{exited:#?}");
    let count = taken(&shop.notes).len();
    shop.project.soloist(&["start", "w"]).expect(0);
    shop.wait_for_ticks(count + 1);
}

#[test]
fn the_example_in_python_is_ticked() {
    let Some(python) = python() else { return };
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/ticked_worker.py");
    let project = Project::new(&format!(
        "[services.w]\ncommand = {}\ntrigger = \"stdin\"\nevery = \"100ms\"\n",
        quoted(&[&python, example])
    ));
    project.soloist(&["up", "-d"]).expect(0);
    wait_until("it has answered three times", LIMIT, || {
        let entries = history(&project);
        match told(&entries, "answered", "did what was due at 2").len() {
            0..3 => Err(format!("{entries:#?}\n{}", project.diary())),
            _ => Ok(()),
        }
    });
    let entries = history(&project);
    assert_eq!(told(&entries, "started", "").len(), 1, "{entries:#?}");
    assert_eq!(told(&entries, "answered", "error").len(), 0, "{entries:#?}");
}

#[test]
fn a_run_finds_when_its_schedule_wanted_it() {
    let command = quoted(&["/bin/sh", "-c", "echo \"$SOLOIST_SCHEDULED_AT\" >>at"]);
    let project = Project::new(&format!(
        "[jobs.w]\ncommand = {command}\nevery = \"100ms\"\n[jobs.asked]\ncommand = {command}\n"
    ));
    project.soloist(&["up", "-d"]).expect(0);
    let at = wait_until("it has run three times", LIMIT, || {
        let text = project.read("at");
        if text.lines().count() >= 3 { Ok(text) } else { Err(format!("{text}\n{}", project.diary())) }
    });
    let mut lines: Vec<&str> = at.lines().collect();
    assert!(lines.iter().all(|line| line.len() == 24 && line.ends_with('Z')), "{lines:?}");
    assert!(lines.is_sorted(), "{lines:?}");
    lines.dedup();
    assert!(lines.len() >= 3, "each has its own moment: {lines:?}");
    // Nobody scheduled this one, though the daemon may have been started from such a run.
    project.soloist(&["stop", "w"]).expect(0);
    let count = project.read("at").lines().count();
    project.soloist(&["start", "asked"]).expect(0);
    wait_until("it has run", LIMIT, || match project.read("at") {
        text if text.lines().count() > count => {
            assert_eq!(text.lines().last(), Some(""));
            Ok(())
        }
        text => Err(text),
    });
}

#[test]
fn a_daemon_that_is_killed_again_and_again_loses_no_answer() {
    let shop = Workshop::new("ok", "every = \"10ms\"");
    let mut count = 0;
    for _ in 0..5 {
        count = shop.wait_for_ticks(count + 10).len();
        let dead = daemon::kill(&shop.project);
        daemon::wait_for_another(&shop.project, dead, LIMIT);
    }
    shop.wait_for_ticks(count + 10);
    shop.project.soloist(&["schedule", "pause", "w"]).expect(0);
    let ticks = shop.wait_for_ticks(count + 10);
    for one in &ticks {
        shop.wait_for_told("answered", &format!("did {}", one.tick), 1);
    }
    assert!(ticks.iter().all(|one| one.pid == ticks[0].pid), "{ticks:?}");
    let mut ids: Vec<&str> = ticks.iter().map(|one| one.tick.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), ticks.len(), "none is given twice");
}
