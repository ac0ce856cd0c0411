//! The judge of the soak can fail: what was planted is named, and what is right is not.

use std::path::Path;
use std::time::{Duration, SystemTime};

use e2e::puppet::account::{self, LENGTH};
use e2e::puppet::beacon::Beacon;
use e2e::puppet::lifeline::Lifeline;
use e2e::soak::cast::{Cast, Character, Part};
use e2e::soak::judge::{self, Excuse};
use e2e::soak::stage::Stage;
use e2e::soak::watch::Absence;
use e2e::soak::world::Bystanders;
use e2e::{Entry, Identity, Journal, Project, wait_until};
use rustix::process::Signal;

const ONE: Identity = Identity { pid: 11, start: 100 };
const OTHER: Identity = Identity { pid: 12, start: 200 };

fn of(entries: &[Entry]) -> Vec<String> {
    judge::overlaps("api", &Journal { entries: entries.to_vec() })
}

#[test]
fn an_overlap_is_named_whether_a_puppet_reported_it_or_not() {
    let one = Entry::Start { who: ONE, at: 1 };
    let end = |at| Entry::End { who: ONE, at, lines: 0 };
    let other = Entry::Start { who: OTHER, at: 5 };
    assert_eq!(of(&[one.clone(), end(4), other.clone()]), Vec::<String>::new());
    let reported = of(&[one.clone(), Entry::Overlap { who: OTHER, at: 5, other: ONE }]);
    assert!(reported.len() == 1 && reported[0].starts_with("overlap: `api`"), "{reported:?}");
    let silent = of(&[one, other, end(6)]);
    assert!(silent.len() == 1 && silent[0].contains("ended after"), "{silent:?}");
}

#[test]
fn a_child_that_outlived_its_run_and_too_many_runs_at_once_are_named() {
    let project = Project::empty().without_soloist();
    let (beacon, lifeline) = (project.folder().join("beacon"), project.folder().join("lifeline"));
    let part = Part {
        name: "scan".into(),
        character: Character::Parent,
        unit: 0,
        port: None,
        token: None,
        beacon: Some(beacon.clone()),
        account: None,
        lifeline: Some(lifeline.clone()),
    };
    let mut line = Lifeline::start(&lifeline).unwrap();
    line.beat().unwrap();
    assert_eq!(judge::runs(&part), (1, vec![]));
    Beacon::at(&beacon).report_overlap(&ONE).unwrap();
    let four: String = (1..=4).map(|pid| format!("start {pid} 10\nlives {pid} 20\n")).collect();
    std::fs::write(&lifeline, four).unwrap();
    let (runs, found) = judge::runs(&part);
    assert_eq!(runs, 4);
    assert!(found.len() == 2 && found[0].contains("OVERLAP 11") && found[1].contains("4 runs"), "{found:?}");
}

/// What is found of a log whose writer wrote ten lines.
fn found(log: &str, killed_guards: u64) -> (judge::Bytes, Vec<String>) {
    let project = Project::empty().without_soloist();
    keep_account(project.folder(), ONE, 10);
    let excuse = Excuse { killed_guards, in_the_pipe: 100, ..Excuse::default() };
    judge::bytes("api", project.folder(), log.as_bytes(), &excuse)
}

fn keep_account(folder: &Path, who: Identity, lines: u64) {
    let bytes = (lines * LENGTH as u64).to_le_bytes();
    std::fs::write(folder.join(format!("{}.{}", who.pid, who.start)), [bytes, bytes].concat()).unwrap();
}

fn lines(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers.into_iter().map(|number| account::line(ONE, number)).collect()
}

#[test]
fn a_single_lost_byte_is_named_unless_it_was_counted_or_a_guard_was_killed() {
    let (bytes, nothing) = found(&lines(0..10), 0);
    assert_eq!((bytes.written, bytes.lost, nothing), (640, 0, vec![]));
    let (bytes, lost) = found(&lines(0..10)[1..], 0);
    assert_eq!(bytes.lost, 1);
    assert!(lost.len() == 1 && lost[0].starts_with("lost bytes: of `api` 1 of 640"), "{lost:?}");
    assert_eq!(found(&lines(0..9), 1).1, Vec::<String>::new());
    assert_eq!(found(&lines(0..8), 1).1.len(), 1, "more than was in the pipe");
    let words = |bytes| format!("[soloist: {bytes} bytes of output were lost, the disk was full]\n");
    // Cut after 30 bytes, where soloist ended the line for its own words.
    let cut = |bytes| lines(0..5)[..286].to_owned() + "\n" + &words(bytes) + &lines(5..10);
    assert_eq!(found(&cut(34), 0), (judge::Bytes { written: 640, lost: 34, counted: 34, untold: 0 }, vec![]));
    assert_eq!(found(&cut(33), 0).1.len(), 1, "one more than was counted");
}

#[test]
fn the_last_bytes_of_a_run_are_excused_by_a_disk_that_was_full_then_and_by_no_other() {
    let project = Project::empty().without_soloist();
    keep_account(project.folder(), ONE, 10);
    let found = |log: &str, full| {
        let excuse = Excuse { full: vec![full], ..Excuse::default() };
        judge::bytes("api", project.folder(), log.as_bytes(), &excuse).1.len()
    };
    let now = SystemTime::now();
    let minute = Duration::from_secs(60);
    assert_eq!(found(&lines(0..7), now - minute..now + minute), 0);
    assert_eq!(found(&lines(0..7), now - 2 * minute..now - minute), 1);
    assert_eq!(found(&lines(1..10), now - minute..now + minute), 1, "not the last ones");
}

#[test]
fn a_line_that_is_there_twice_or_that_nobody_wrote_is_named() {
    let twice = found(&(lines(0..5) + &lines(4..9)), 0).1;
    assert!(twice.len() == 1 && twice[0].contains("line 4 of"), "{twice:?}");
    let nobody = found(&(lines(0..9) + &account::line(OTHER, 0)), 0).1;
    assert!(nobody.len() == 1 && nobody[0].contains("never wrote it"), "{nobody:?}");
    assert!(found(&lines(0..11), 0).1.iter().any(|one| one.contains("has 704 bytes")));
}

#[test]
fn a_late_return_is_named_and_what_explains_it_is_not() {
    let absence = |milliseconds: u64, disturbed: u64, kills, late: u64| Absence {
        name: "api".into(),
        from: 0,
        until: milliseconds * 1_000_000,
        back_within: Duration::from_millis(500),
        disturbed: Duration::from_millis(disturbed),
        kills,
        lateness: Duration::from_millis(late),
    };
    assert_eq!(absence(2_400, 0, 0, 0).verdict(), None);
    let late = absence(2_600, 0, 0, 0).verdict();
    assert!(late.as_ref().is_some_and(|late| late.starts_with("late return: `api`")), "{late:?}");
    for explained in [absence(2_600, 200, 0, 0), absence(2_600, 0, 1, 0), absence(2_600, 0, 0, 10)] {
        assert_eq!(explained.verdict(), None);
    }
}

#[test]
fn a_signal_to_a_bystander_is_named_and_so_is_its_death() {
    let project = Project::empty().without_soloist();
    let cast = Cast::new(&project, 15, Duration::from_secs(60));
    let stage = Stage::new(project, cast, None);
    let bystanders = Bystanders::start(&stage).unwrap();
    let [first, second, .., last] = bystanders.identities()[..] else { panic!("too few bystanders") };
    let limit = Duration::from_secs(30);
    // A shell takes a moment until it minds its signals, and dies of one before that.
    wait_until("all shells listen", limit, || {
        let is_ready = |number| stage.project.folder().join(format!("bystander-{number}.ready")).exists();
        if (0..bystanders.count() - 1).all(is_ready) { Ok(()) } else { Err("not yet") }
    });
    assert_eq!(bystanders.felt(), Vec::<String>::new());
    let felt = |words: &str| {
        wait_until(&format!("`{words}` is named"), limit, || {
            let felt = bystanders.felt();
            if felt.iter().any(|one| one.contains(words)) { Ok(()) } else { Err(format!("{felt:?}")) }
        });
    };
    first.signal(Signal::TERM);
    felt("got \"TERM");
    second.signal(Signal::STOP);
    felt("is stopped");
    last.kill();
    felt("is dead");
}
