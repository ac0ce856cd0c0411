//! Schedules on a virtual clock: the core alone, with real zones and calendars, around every trap of wall clocks:
//! daylight saving both ways, half days, machine sleep, a clock that is set, leap days and the turn of the year.

use std::time::Duration;

use proptest::prelude::*;
use soloist_core::plan::Plan;
use soloist_core::schedule::civil::{Clock, Moment};
use soloist_core::schedule::due::{Course, Mark, Source};
use soloist_core::schedule::window::{Beyond, Stand};
use soloist_core::schedule::{Misfire, Overlap, Schedule};
use virtual_clock::world::{Facts, World, at_daily, cron, every, job, moment, window_of, zone};

mod virtual_clock {
    pub mod world;
}

const HOUR: Duration = Duration::from_secs(3600);
const OVERLAPS: [Overlap; 4] = [Overlap::Skip, Overlap::Queue, Overlap::Replace, Overlap::Allow];
const MISFIRES: [Misfire; 3] = [Misfire::Skip, Misfire::RunOnce, Misfire::RunAll];

/// Both changes of both zones, with a moment well before and well after.
const CHANGES: [(&str, &str, &str); 4] = [
    ("America/New_York", "2026-03-07T12:00Z", "2026-03-09T12:00Z"),
    ("America/New_York", "2026-10-31T12:00Z", "2026-11-02T12:00Z"),
    ("Europe/London", "2026-03-28T12:00Z", "2026-03-30T12:00Z"),
    ("Europe/London", "2026-10-24T12:00Z", "2026-10-26T12:00Z"),
];

/// Lives from one moment to another; a run takes a minute.
fn live(schedule: Schedule, from: &str, to: &str, run_time: Duration) -> Facts {
    let mut world = World::new(job(schedule), moment(from), Some(run_time));
    world.up();
    world.run_until(moment(to));
    world.facts
}

fn walls(facts: &Facts) -> Vec<String> {
    facts.starts.iter().map(|at| shown(*at)).collect()
}

fn shown(at: Moment) -> String {
    jiff::Timestamp::from_millisecond(at.0).unwrap().strftime("%m-%dT%H:%MZ").to_string()
}

/// With `Overlap::Allow` there are lanes.
fn with(schedule: Schedule, overlap: Overlap, misfire: Misfire) -> Schedule {
    let lanes = if overlap == Overlap::Allow { vec!["x~2".to_owned(), "x~3".to_owned()] } else { Vec::new() };
    Schedule { overlap, misfire, lanes, ..schedule }
}

fn policies() -> impl Iterator<Item = (Overlap, Misfire)> {
    OVERLAPS.into_iter().flat_map(|overlap| MISFIRES.into_iter().map(move |misfire| (overlap, misfire)))
}

#[test]
fn a_time_in_the_gap_fires_at_the_leap_and_one_that_is_twice_fires_once_with_every_policy() {
    // 02:30 is not in New York on 8 March, 01:30 not in London on 29 March; 01:30 is twice in both in autumn.
    let expected: [(&str, &[&str]); 4] = [
        ("02:30", &["03-08T07:00Z", "03-09T06:30Z"]),
        ("01:30", &["11-01T05:30Z", "11-02T06:30Z"]),
        ("01:30", &["03-29T01:00Z", "03-30T00:30Z"]),
        ("01:30", &["10-25T00:30Z", "10-26T01:30Z"]),
    ];
    for ((name, from, to), (time, walls_expected)) in CHANGES.into_iter().zip(expected) {
        let zone = zone(name);
        let (hour, minute) = time.split_once(':').unwrap();
        for (overlap, misfire) in policies() {
            for schedule in [at_daily(time, &zone), cron(&format!("{minute} {hour} * * *"), &zone)] {
                let facts = live(with(schedule, overlap, misfire), from, to, Duration::from_secs(60));
                assert_eq!(walls(&facts), walls_expected, "{name} {time} {overlap:?} {misfire:?}");
                assert_eq!((facts.skipped, facts.most), (0, (1, 1)));
            }
        }
    }
}

#[test]
fn what_runs_every_so_often_follows_the_time_that_passes_through_both_changes() {
    for (name, from, to) in CHANGES {
        let zone = zone(name);
        for (overlap, misfire) in policies() {
            // From noon to noon two days later: 48 hours, whatever the clocks on the wall say.
            let plain = live(with(every(HOUR), overlap, misfire), from, to, Duration::from_secs(60));
            assert_eq!(plain.starts.len(), 49, "{name} {overlap:?}");
            let half_hours = with(cron("*/30 * * * *", &zone), overlap, misfire);
            let facts = live(half_hours, from, to, Duration::from_secs(60));
            assert_eq!(facts.starts.len(), 96, "{name} {overlap:?} {misfire:?}");
            assert!(facts.starts.windows(2).all(|pair| pair[1].since(pair[0]) == HOUR / 2));
            assert_eq!((facts.skipped, facts.most), (0, (1, 1)));
        }
    }
}

#[test]
fn a_run_longer_than_its_interval_is_dealt_with_as_declared_through_both_changes() {
    for (name, from, to) in CHANGES {
        let zone = zone(name);
        for (overlap, misfire) in policies() {
            let schedule = with(cron("*/30 * * * *", &zone), overlap, misfire);
            let facts = live(schedule, from, to, Duration::from_secs(45 * 60));
            let (starts, skipped) = (facts.starts.len() as u64, facts.skipped);
            let what = format!("{name} {overlap:?} {misfire:?}: {starts} started, {skipped} left out");
            match overlap {
                // Every second one is due while the one before is at work.
                Overlap::Skip => assert_eq!((starts, skipped, facts.most), (48, 48, (1, 1)), "{what}"),
                Overlap::Queue => {
                    assert!((63..=65).contains(&starts) && skipped == 0 && facts.most == (1, 1), "{what}");
                }
                Overlap::Replace => assert_eq!((starts, skipped, facts.most), (96, 0, (1, 1)), "{what}"),
                Overlap::Allow => assert_eq!((starts, skipped, facts.most), (96, 0, (1, 2)), "{what}"),
            }
        }
    }
}

#[test]
fn a_half_day_ends_at_its_own_close() {
    // The day after Thanksgiving, New York closes at 13:00.
    let window = window_of("XNYS", Beyond::Closed);
    let ten = Duration::from_secs(600);
    let schedule = Schedule { window: Some(window.clone()), ..every(ten) };
    let facts = live(schedule, "2026-11-27T00:00Z", "2026-11-28T00:00Z", Duration::from_secs(60));
    assert_eq!(facts.starts.first(), Some(&moment("2026-11-27T14:30Z")));
    assert_eq!(facts.starts.last(), Some(&moment("2026-11-27T17:50Z")));
    assert_eq!((facts.starts.len(), facts.skipped), (21, 0));
    let hours = Schedule { window: Some(window), ..Schedule::default() };
    let plan = Plan { schedule: Some(hours), ..Plan::default() };
    let mut world = World::new(plan, moment("2026-11-27T00:00Z"), None);
    world.up();
    for (until, is_alive) in
        [("14:29:59Z", false), ("14:30:00Z", true), ("17:59:59Z", true), ("18:00:00Z", false)]
    {
        world.run_until(moment(&format!("2026-11-27T{until}")));
        assert_eq!(world.is_alive(), is_alive, "{until}");
    }
    assert_eq!(world.facts.ends, [moment("2026-11-27T18:00Z")]);
}

#[test]
fn a_machine_that_slept_over_the_opening_goes_on_as_declared() {
    let five = Duration::from_secs(300);
    for (overlap, misfire) in policies() {
        let window = window_of("XNYS", Beyond::Closed);
        let schedule = with(Schedule { window: Some(window), ..every(five) }, overlap, misfire);
        let mut world = World::new(job(schedule), moment("2026-06-15T04:00Z"), Some(Duration::from_secs(1)));
        world.up();
        // New York opens at 13:30Z in summer.
        world.run_until(moment("2026-06-15T11:02:30Z"));
        assert_eq!(world.facts.starts.len(), 0);
        world.suspend(8 * HOUR);
        // 13:30 to 19:00 inclusive are 67 moments, none of them on time at 19:02:30.
        world.run_until(moment("2026-06-15T19:04:59Z"));
        let (made_up, skipped) = (world.facts.starts.len(), world.facts.skipped);
        match misfire {
            Misfire::Skip => assert_eq!((made_up, skipped), (0, 67), "{overlap:?}"),
            Misfire::RunOnce => assert_eq!((made_up, skipped), (1, 66), "{overlap:?}"),
            Misfire::RunAll => assert_eq!((made_up, skipped), (67, 0), "{overlap:?}"),
        }
        world.run_until(moment("2026-06-15T23:00Z"));
        assert_eq!(world.facts.most.0, 1);
        // 19:05 to 19:55: eleven, on time.
        let expected = match misfire {
            Misfire::Skip => 11,
            Misfire::RunOnce => 12,
            Misfire::RunAll => 78,
        };
        assert_eq!(world.facts.starts.len(), expected, "{overlap:?} {misfire:?} {:?}", world.facts.reasons);
    }
    let hours = Schedule { window: Some(window_of("XNYS", Beyond::Closed)), ..Schedule::default() };
    let plan = Plan { schedule: Some(hours), ..Plan::default() };
    let mut world = World::new(plan, moment("2026-06-15T04:00Z"), None);
    world.up();
    world.run_until(moment("2026-06-15T11:02:30Z"));
    world.suspend(8 * HOUR);
    assert!(world.is_alive(), "it is in its hours");
}

#[test]
fn a_clock_that_is_set_moves_the_hours_and_not_the_rhythm() {
    // NSE opens at 03:45Z and closes at 10:10Z.
    let hours = Schedule { window: Some(window_of("NSE", Beyond::Closed)), ..Schedule::default() };
    let service = Plan { schedule: Some(hours.clone()), ..Plan::default() };
    let mut world = World::new(service, moment("2026-11-23T00:00Z"), None);
    world.up();
    world.run_until(moment("2026-11-23T04:00Z"));
    assert!(world.is_alive());
    world.step(HOUR, false);
    world.run_until(moment("2026-11-23T03:00:01Z"));
    assert!(!world.is_alive(), "it is 03:00 now, before the opening");
    world.run_until(moment("2026-11-23T03:45:01Z"));
    assert!(world.is_alive(), "it has opened once more");
    world.step(HOUR, true);
    world.run_until(moment("2026-11-23T04:46Z"));
    assert!(world.is_alive() && world.facts.starts.len() == 2, "in the hours before and after");
    world.run_until(moment("2026-11-23T09:30Z"));
    world.step(HOUR, true);
    world.run_until(moment("2026-11-23T10:30:01Z"));
    assert!(!world.is_alive(), "it is after the close now");

    let six = Duration::from_secs(6);
    let mut world = World::new(
        job(Schedule { triggers: every(six).triggers, ..hours }),
        moment("2026-11-23T00:00Z"),
        Some(Duration::from_secs(1)),
    );
    world.up();
    world.run_until(moment("2026-11-23T05:00:00Z"));
    let before = world.facts.starts.len();
    assert_eq!(before, 751, "75 minutes of ten a minute, and the first");
    world.step(HOUR, true);
    world.run_until(moment("2026-11-23T06:10:00Z"));
    assert_eq!(world.facts.starts.len() - before, 100, "ten minutes have passed, none is made up for");
    assert_eq!((world.facts.skipped, world.facts.most), (0, (1, 1)));
}

#[test]
fn a_moment_that_has_fired_does_not_fire_again_when_the_clock_is_set_back() {
    let zone = zone("UTC");
    for (overlap, misfire) in policies() {
        let schedule = with(cron("*/5 * * * *", &zone), overlap, misfire);
        let mut world = World::new(job(schedule), moment("2026-01-10T10:01Z"), Some(Duration::from_secs(10)));
        world.up();
        world.run_until(moment("2026-01-10T11:01Z"));
        assert_eq!(world.facts.starts.len(), 12);
        world.step(HOUR, false);
        world.run_until(moment("2026-01-10T11:01Z"));
        assert_eq!((world.facts.starts.len(), world.facts.skipped), (12, 0), "{overlap:?} {misfire:?}");
        world.run_until(moment("2026-01-10T11:06Z"));
        assert_eq!(world.facts.starts.len(), 13);
        // Forward over twelve moments, the last of which is a minute ago.
        world.step(HOUR, true);
        world.run_until(moment("2026-01-10T12:09Z"));
        let made_up = world.facts.starts.len() - 13;
        let expected = match misfire {
            Misfire::Skip => (0, 12),
            Misfire::RunOnce => (1, 11),
            Misfire::RunAll => (12, 0),
        };
        assert_eq!((made_up, world.facts.skipped), expected, "{overlap:?} {misfire:?}");
    }
}

#[test]
fn a_leap_day_and_the_turn_of_the_year_come_when_they_come() {
    let zone = zone("UTC");
    let facts = live(cron("0 12 29 2 *", &zone), "2026-01-01T00:00Z", "2033-01-01T00:00Z", HOUR);
    assert_eq!(facts.starts, [moment("2028-02-29T12:00Z"), moment("2032-02-29T12:00Z")]);
    let facts =
        live(cron("*/20 * * * *", &zone), "2027-12-31T23:01Z", "2028-01-01T01:01Z", Duration::from_secs(5));
    assert_eq!(
        walls(&facts),
        ["12-31T23:20Z", "12-31T23:40Z", "01-01T00:00Z", "01-01T00:20Z", "01-01T00:40Z", "01-01T01:00Z"]
    );
    // The calendar knows nothing of 2027: closed, or the weekly rule, as declared. 2027-01-01 is a Friday.
    for (beyond, days) in [(Beyond::Closed, 0), (Beyond::WeeklyRule, 6)] {
        let schedule = Schedule { window: Some(window_of("NSE", beyond)), ..every(24 * HOUR) };
        let facts = live(schedule, "2026-12-31T12:00Z", "2027-01-09T00:00Z", Duration::from_secs(60));
        assert_eq!(facts.starts.len(), days, "{beyond:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Ten years of any schedule: each next moment is later than the one before, inside the window, and the same from
    /// wherever between the two it is asked for; and no opening passes without the first run of an interval.
    #[test]
    fn for_ten_years_the_next_moment_is_later_inside_the_window_and_never_left_out(
        which in 0..6usize,
        calendar in prop::sample::select(vec!["", "NSE", "XNYS", "XBOM"]),
        start in 1_420_070_400i64..1_767_225_600,
        between in prop::collection::vec(0.0..1.0f64, 2),
    ) {
        let zone = zone(["America/New_York", "Europe/London", "Asia/Kolkata"][which % 3]);
        let plain = [
            cron("0 2 * * *", &zone),
            cron("30 1 1,15 * mon", &zone),
            cron("15 */7 * * mon-fri", &zone),
            at_daily("12:30", &zone),
            every(3 * HOUR),
            cron("45 15 29 2 *", &zone),
        ][which].clone();
        let window = (!calendar.is_empty()).then(|| window_of(calendar, Beyond::WeeklyRule));
        let schedule = Schedule { window: window.clone(), ..plain };
        let clock = Clock { boot_ns: i128::from(start) * 1_000_000_000 };
        let course = Course { schedule: &schedule, clock };
        let mark_at = |at: i128| Mark { boot: at, wall: wall_of(clock, at), beat: 0 };
        let end = 10 * 366 * 24 * 3600 * 1_000_000_000i128;
        let mut mark = mark_at(0);
        while let Some(due) = course.next(&mark).filter(|due| due.at < end) {
            prop_assert!(due.at > mark.boot);
            if let Some(window) = &window {
                prop_assert!(window.at(due.moment).is_open(), "{:?} is outside", due.moment);
            }
            for part in &between {
                let from = mark.boot + ((due.at - mark.boot - 1) as f64 * part) as i128;
                prop_assert_eq!(course.next(&mark_at(from)), Some(due));
            }
            if let (Some(window), Source::Every) = (&window, due.source)
                && let Stand::Closed { until } = window.at(wall_of(clock, mark.boot + 1))
            {
                prop_assert_eq!(Some(due.moment), until, "the first run of a session is at its opening");
            }
            mark = mark_at(due.at);
        }
    }
}

fn wall_of(clock: Clock, at: i128) -> Moment {
    Moment(i64::try_from((clock.boot_ns + at).div_euclid(1_000_000)).unwrap())
}
