//! Doubts what is due: the next run against the plain definition, over seeded schedules, windows and clocks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::random::Random;
use crate::schedule::calendar::Session;
use crate::schedule::civil::{Days, TimeOfDay};
use crate::schedule::cron::Cron;
use crate::schedule::window::{Beyond, Hours, Rule, Window};
use crate::schedule::zone::Zone;

const HOUR: i64 = 3_600_000;
/// 2026-03-08T07:00Z: New York's clocks leap.
const LEAP: i64 = 1_772_953_200_000;

fn new_york() -> Arc<Zone> {
    let back = Moment(1_793_512_800_000);
    Arc::new(Zone::new("America/New_York", -5 * 3600, vec![(Moment(LEAP), -4 * 3600), (back, -5 * 3600)]))
}

fn window(sessions: &[(u32, u32)]) -> Option<Arc<Window>> {
    let time = |minutes: u32| TimeOfDay::new(minutes * 60).unwrap();
    let sessions =
        sessions.iter().map(|(open, close)| Session { open: time(*open), close: time(*close) }).collect();
    Some(Arc::new(Window {
        name: "hours".to_owned(),
        zone: new_york(),
        rule: Rule::Weekly(vec![Hours { from: None, days: Days::workdays(), sessions }]),
        beyond: Beyond::Closed,
        dates: BTreeMap::new(),
        overrides: Vec::new(),
    }))
}

fn schedule(random: &mut Random) -> Schedule {
    let mut of = |many: u64| random.next() % many;
    let mut triggers = vec![Trigger::Every(Duration::from_millis(60_000 * (20 + of(300)) + of(2) * 333))];
    if of(2) == 0 {
        let times = vec![TimeOfDay::new(of(1440) as u32 * 60).unwrap(), TimeOfDay::parse("02:30").unwrap()];
        triggers.push(Trigger::At { times, zone: new_york() });
    }
    if of(2) == 0 {
        let cron = Cron::parse(&format!("*/{} {}-20 * * *", 20 + of(30), of(20))).unwrap();
        triggers.push(Trigger::Cron { cron, zone: new_york() });
    }
    if of(4) == 0 {
        triggers.remove(0);
    }
    let (open, noon) = (60 + of(500) as u32, 600 + of(60) as u32);
    let window = window(&[(open, noon), (noon + 30, 1300 + of(300) as u32)]).filter(|_| of(4) > 0);
    Schedule { triggers, window, has_final_run: of(2) == 0, ..Schedule::default() }
}

#[test]
fn each_run_is_later_than_the_last_and_in_its_window_and_none_is_skipped() {
    let mut random = Random::new(11);
    for round in 0..60 {
        let schedule = schedule(&mut random);
        // A clock that knew no boot before the mark, too.
        let clock = Clock { boot_ns: i128::from(LEAP - 72 * HOUR + (round % 3) * 100 * HOUR) * MS + 77_777 };
        let course = Course { schedule: &schedule, clock };
        let wall = Moment(LEAP - 48 * HOUR + round * 11_111);
        let boot = on_line(clock, wall);
        let mark = Mark { boot, wall, beat: boot - i128::from(round) * 7_000_000_007 };
        let now = time(on_line(clock, Moment(LEAP + 60 * HOUR + round * 1_234_567)));

        let dues: Vec<Due> = course.all(mark, now).collect();
        let passed = course.passed(&mark, now);
        assert_eq!(passed.map_or(0, |passed| passed.count), dues.len() as u64, "round {round}: {schedule:?}");
        assert_eq!(passed.map(|passed| passed.newest), dues.last().copied(), "round {round}");
        assert!(dues.is_sorted_by(|a, b| a.at < b.at), "round {round}: {dues:?}");
        for due in &dues {
            let stand = schedule.window.as_ref().map(|window| window.at(due.moment));
            match due.source {
                Source::Close => assert!(!stand.unwrap().is_open(), "round {round}: {due:?}"),
                Source::Every | Source::Wall => assert!(stand.is_none_or(Stand::is_open), "{due:?}"),
            }
        }
        // From any place on the way the next is the same.
        for pair in dues.windows(2) {
            let halfway = (pair[0].at + pair[1].at) / 2;
            let mark = Mark { boot: halfway, wall: moment(clock, halfway), ..mark };
            assert_eq!(course.next(&mark), Some(pair[1]), "round {round}");
        }
    }
}

#[test]
fn an_interval_is_counted_from_the_opening_and_begins_anew_with_each_session() {
    let schedule = Schedule {
        triggers: vec![Trigger::Every(Duration::from_secs(7 * 60))],
        window: window(&[(9 * 60, 9 * 60 + 20), (10 * 60, 10 * 60 + 5)]),
        has_final_run: true,
        ..Schedule::default()
    };
    let clock = Clock { boot_ns: i128::from(LEAP) * MS };
    let course = Course { schedule: &schedule, clock };
    // Monday, 9 March, midnight in New York.
    let midnight = Moment(LEAP + 21 * HOUR);
    let mark = Mark { boot: on_line(clock, midnight), wall: midnight, beat: 0 };
    let until = time(on_line(clock, Moment(midnight.0 + 24 * HOUR)));
    let minutes = |due: Due| (due.moment.0 - midnight.0) / 60_000;
    let dues: Vec<i64> = course.all(mark, until).map(minutes).collect();
    assert_eq!(dues, [540, 547, 554, 560, 600, 605]);
    // One that was begun in the middle of the hours counts from there.
    let late = Moment(midnight.0 + 543 * 60_000);
    let mark = Mark { boot: on_line(clock, late), wall: late, beat: on_line(clock, late) };
    assert_eq!(course.all(mark, until).map(minutes).collect::<Vec<_>>(), [550, 557, 560, 600, 605]);
}

#[test]
fn years_of_short_intervals_are_counted_without_walking_them() {
    let schedule = Schedule {
        triggers: vec![Trigger::Every(Duration::from_millis(100))],
        window: window(&[(540, 600)]),
        ..Schedule::default()
    };
    let clock = Clock { boot_ns: i128::from(LEAP) * MS };
    let course = Course { schedule: &schedule, clock };
    let now = Time(Duration::from_secs(365 * 24 * 3600));
    let passed = course.passed(&Mark { wall: Moment(LEAP), ..Mark::default() }, now).unwrap();
    assert_eq!(passed.count, 260 * 36_000);
}
