//! Dates, times, zones and windows beside slow and simple oracles.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use soloist_core::schedule::calendar::Session;
use soloist_core::schedule::civil::{Date, Days, Moment, TimeOfDay, Weekday};
use soloist_core::schedule::times::next_of;
use soloist_core::schedule::window::{Beyond, Hours, Override, Rule, Stand, Window};
use soloist_core::schedule::zone::{Resolved, Zone};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// 2026-01-01, and the windows of these tests begin and end in the days after it.
const FIRST: i32 = 20_454;
/// So many minutes are looked at, one by one.
const LOOKED_AT: i64 = 6 * 24 * 60;

fn time(minutes: u32) -> TimeOfDay {
    TimeOfDay::new(minutes * 60).unwrap()
}

/// In order and apart from each other, up to 30:00.
fn sessions() -> impl Strategy<Value = Vec<Session>> {
    prop::collection::btree_set(0..1800_u32, 0..5).prop_map(|edges| {
        let edges: Vec<u32> = edges.into_iter().collect();
        let pairs = edges.chunks_exact(2).filter(|pair| pair[0] < 24 * 60);
        pairs.map(|pair| Session { open: time(pair[0]), close: time(pair[1]) }).collect()
    })
}

fn days() -> impl Strategy<Value = Vec<Weekday>> {
    prop::collection::vec(prop::sample::select(Weekday::ALL.to_vec()), 0..6)
}

fn overrides() -> impl Strategy<Value = Vec<Override>> {
    let one = (0..LOOKED_AT, 1..3000_i64, any::<bool>()).prop_map(|(from, length, is_open)| {
        let from = i64::from(FIRST) * DAY + from * MINUTE;
        Override { from: Moment(from), until: Moment(from + length * MINUTE), is_open }
    });
    prop::collection::vec(one, 0..3)
}

/// A zone whose clocks never change: what its local time is needs no thought.
fn window() -> impl Strategy<Value = (Window, i64)> {
    let part = (prop::option::of(0..6_i32), days(), sessions()).prop_map(|(from, days, sessions)| Hours {
        from: from.map(|from| Date(FIRST + from)),
        days: Days::of(&days),
        sessions,
    });
    let parts = prop::collection::vec(part, 1..4).prop_map(|mut parts| {
        parts.sort_by_key(|part| part.from);
        parts
    });
    let dates = prop::collection::btree_map((0..6_i32).prop_map(|day| Date(FIRST + day)), sessions(), 0..3);
    (parts, dates, overrides(), -48..=56_i64).prop_map(|(parts, dates, overrides, quarters)| {
        let offset = quarters * 15;
        let zone = Zone::new("test", i32::try_from(offset * 60).unwrap(), Vec::new());
        let window = Window {
            name: "test".to_owned(),
            zone: Arc::new(zone),
            rule: Rule::Weekly(parts),
            beyond: Beyond::Closed,
            dates,
            overrides,
        };
        (window, offset * MINUTE)
    })
}

/// Whether it is open in a minute, from the words of the documentation.
fn is_open(window: &Window, offset: i64, at: i64) -> bool {
    let ordered = window.overrides.iter().rev().find(|order| (order.from.0..order.until.0).contains(&at));
    if let Some(order) = ordered {
        return order.is_open;
    }
    let local = at + offset;
    let today = i32::try_from(local.div_euclid(DAY)).unwrap();
    let second = u32::try_from(local.rem_euclid(DAY) / 1000).unwrap();
    [(Date(today), second), (Date(today - 1), second + 24 * 3600)].iter().any(|(date, second)| {
        let holds = |session: &Session| (session.open.seconds()..session.close.seconds()).contains(second);
        hours_of(window, *date).iter().any(holds)
    })
}

fn hours_of(window: &Window, date: Date) -> Vec<Session> {
    if let Some(sessions) = window.dates.get(&date) {
        return sessions.clone();
    }
    let Rule::Weekly(parts) = &window.rule else { return Vec::new() };
    let in_force = parts.iter().filter(|part| part.from.is_none_or(|from| from <= date));
    let newest = in_force.clone().map(|part| part.from).max();
    let weekday = Weekday::ALL[usize::try_from((date.0 + 3).rem_euclid(7)).unwrap()];
    let mut of_today = in_force.filter(|part| Some(part.from) == newest && part.days.has(weekday));
    of_today.next().map_or_else(Vec::new, |part| part.sessions.clone())
}

/// At least three days apart, so that no time is there three times.
fn zone() -> impl Strategy<Value = Zone> {
    let offset = (-48..=56_i32).prop_map(|quarters| quarters * 900);
    let change = (3..400_i64, offset.clone());
    (offset, prop::collection::vec(change, 0..6)).prop_map(|(first, changes)| {
        let mut at = i64::from(FIRST) * DAY;
        let changes = changes.into_iter().map(|(days, offset)| {
            at += days * DAY + 3 * 3600 * 1000;
            (Moment(at), offset)
        });
        Zone::new("test", first, changes.collect())
    })
}

proptest! {
    #[test]
    fn dates_times_and_sessions_read_back(day in -719_162..2_932_896_i32, open in 0..=172_800_u32, close in 0..=172_800_u32) {
        let date = Date(day);
        prop_assert_eq!(Date::parse(&date.to_string()), Some(date));
        let session = Session { open: TimeOfDay::new(open).unwrap(), close: TimeOfDay::new(close).unwrap() };
        prop_assert_eq!(TimeOfDay::parse(&session.open.to_string()), Some(session.open));
        prop_assert_eq!(Session::parse(&session.to_string()), Some(session));
    }

    #[test]
    fn what_is_no_date_and_no_time_is_refused_without_a_panic(text in "[0-9:é -]{0,12}") {
        if let Some(date) = Date::parse(&text) {
            prop_assert_eq!(date.to_string(), text.clone());
        }
        if let Some(time) = TimeOfDay::parse(&text) {
            prop_assert_eq!(TimeOfDay::parse(&time.to_string()), Some(time));
        }
        _ = Session::parse(&text);
    }

    #[test]
    fn a_local_time_leads_back_to_its_moment(zone in zone(), ms in 0..2500 * DAY) {
        let at = Moment(i64::from(FIRST) * DAY + ms / 1000 * 1000);
        let (date, of_day) = zone.local(at);
        let found = zone.resolve(date, TimeOfDay::new(of_day / 1000).unwrap());
        let leads_back = match found {
            Resolved::Once(one) => one == at,
            Resolved::Twice(one, other) => one < other && (one == at || other == at),
            Resolved::Never(_) => false,
        };
        prop_assert!(leads_back, "{at:?}: {found:?}");
    }

    #[test]
    fn a_time_that_the_clocks_leap_over_is_no_moments_local_time(zone in zone(), day in 0..2500_i32, second in 0..86_400_u32) {
        let (date, time) = (Date(FIRST + day), TimeOfDay::new(second).unwrap());
        let local = i64::from(date.0) * DAY + i64::from(second) * 1000;
        let candidates = (-48..=56_i64).map(|quarters| Moment(local - quarters * 900_000));
        let mut found: Vec<Moment> = candidates.filter(|at| zone.local(*at) == (date, second * 1000)).collect();
        found.sort();
        match zone.resolve(date, time) {
            Resolved::Once(at) => prop_assert_eq!(found, [at]),
            Resolved::Twice(first, second) => prop_assert_eq!(found, [first, second]),
            Resolved::Never(at) => {
                prop_assert_eq!(found, []);
                prop_assert_eq!(zone.change_after(Moment(at.0 - 1)), Some(at));
            }
        }
    }

    #[test]
    fn the_next_of_some_times_is_the_first_minute_at_which_it_is_one(
        times in prop::collection::vec(0..2880_u32, 1..4),
        quarters in -48..=56_i64,
        after in 0..LOOKED_AT,
    ) {
        let offset = quarters * 15 * MINUTE;
        let zone = Zone::new("test", i32::try_from(offset / 1000).unwrap(), Vec::new());
        let after = i64::from(FIRST) * DAY + after * MINUTE;
        let is_one = |at: i64| times.iter().any(|time| (at + offset - i64::from(*time) * MINUTE).rem_euclid(DAY) == 0);
        let expected = (1..=24 * 60).map(|minutes| after + minutes * MINUTE).find(|at| is_one(*at)).map(Moment);
        let times: Vec<TimeOfDay> = times.iter().map(|minutes| time(*minutes)).collect();
        prop_assert_eq!(next_of(&times, Moment(after), &zone), expected);
    }

    #[test]
    fn a_window_opens_and_closes_when_a_look_at_each_minute_says((window, offset) in window(), minute in 0..LOOKED_AT) {
        let first = i64::from(FIRST) * DAY;
        let at = first + minute * MINUTE;
        let open = is_open(&window, offset, at);
        let differs = |at: &i64| is_open(&window, offset, *at) != open;
        let next = (1..LOOKED_AT).map(|minutes| at + minutes * MINUTE).find(differs);
        let until = match window.at(Moment(at)) {
            Stand::Open { since, until } => {
                prop_assert!(open, "it is closed");
                let before = (1..LOOKED_AT).map(|minutes| at - minutes * MINUTE).find(differs);
                if let Some(before) = before {
                    prop_assert_eq!(since, Moment(before + MINUTE));
                }
                until
            }
            Stand::Closed { until } => {
                prop_assert!(!open, "it is open");
                until
            }
        };
        match next {
            Some(next) => prop_assert_eq!(until, Some(Moment(next))),
            None => prop_assert!(until.is_none_or(|until| until.0 >= at + LOOKED_AT * MINUTE), "{until:?}"),
        }
    }
}

#[test]
fn the_oracle_of_windows_knows_its_weekdays() {
    let weekly = |days: &[Weekday]| Hours {
        from: None,
        days: Days::of(days),
        sessions: vec![Session { open: time(0), close: time(60) }],
    };
    let window = |days: &[Weekday]| Window {
        name: "test".to_owned(),
        zone: Arc::new(Zone::utc()),
        rule: Rule::Weekly(vec![weekly(days)]),
        beyond: Beyond::Closed,
        dates: BTreeMap::new(),
        overrides: Vec::new(),
    };
    // 2026-01-01 was a Thursday.
    let at = i64::from(FIRST) * DAY;
    assert!(is_open(&window(&[Weekday::Thursday]), 0, at) && !is_open(&window(&[Weekday::Friday]), 0, at));
}
