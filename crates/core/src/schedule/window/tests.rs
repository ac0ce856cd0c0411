//! Windows at their edges: half-open, several a day, over midnight, at both changes of the clocks, at the ends of years and
//! of what is known, and under orders.

use super::*;
use crate::schedule::calendar::{Day, Regime};
use crate::schedule::civil::{TimeOfDay, Weekday};

/// New York in 2026: UTC-5, from 2026-03-08T07:00Z UTC-4, from 2026-11-01T06:00Z UTC-5 again.
fn new_york() -> Arc<Zone> {
    let changes = vec![(utc("2026-03-08 07:00"), -4 * 3600), (utc("2026-11-01 06:00"), -5 * 3600)];
    Arc::new(Zone::new("America/New_York", -5 * 3600, changes))
}

fn utc(text: &str) -> Moment {
    let (date, time) = text.split_once(' ').unwrap();
    Zone::utc().resolve(day(date), TimeOfDay::parse(time).unwrap()).moment()
}

fn day(text: &str) -> Date {
    Date::parse(text).unwrap()
}

fn sessions(list: &[&str]) -> Vec<Session> {
    list.iter().map(|text| Session::parse(text).unwrap()).collect()
}

fn hours(days: Days, list: &[&str]) -> Hours {
    Hours { from: None, days, sessions: sessions(list) }
}

fn window(zone: Arc<Zone>, rule: Rule) -> Window {
    let (dates, overrides) = (BTreeMap::new(), Vec::new());
    Window { name: "test".into(), zone, rule, beyond: Beyond::Closed, dates, overrides }
}

fn weekly(zone: Arc<Zone>, days: Days, list: &[&str]) -> Window {
    window(zone, Rule::Weekly(vec![hours(days, list)]))
}

fn in_utc(days: Days, list: &[&str]) -> Window {
    weekly(Arc::new(Zone::utc()), days, list)
}

/// 09:30-16:00 on workdays, known until the end of 2026; a holiday, a half day and a Saturday.
fn exchange(session: SessionKind, beyond: Beyond) -> Window {
    let exception = |regular: &[&str]| Day { regular: sessions(regular), ..Day::default() };
    let times = |regular: &str, post: &str| Day {
        regular: sessions(&[regular]),
        pre: Session::parse("04:00-09:30"),
        post: Session::parse(post),
        label: String::new(),
    };
    let calendar = Calendar {
        name: "test".into(),
        zone: new_york(),
        regimes: vec![Regime {
            from: day("2026-01-01"),
            days: Days::workdays(),
            day: times("09:30-16:00", "16:00-20:00"),
        }],
        exceptions: BTreeMap::from([
            (day("2026-11-26"), Day::default()),
            (day("2026-11-27"), times("09:30-13:00", "13:00-17:00")),
            (day("2026-12-05"), exception(&["10:00-11:00", "11:00-12:00"])),
        ]),
        valid_through: day("2026-12-31"),
    };
    let rule = Rule::Calendar { calendar: Arc::new(calendar), session };
    Window { beyond, ..window(new_york(), rule) }
}

/// How it stands at a moment, in UTC: `open 09:00 2026-06-01 - 17:00 2026-06-01`.
#[track_caller]
fn says(window: &Window, at: &str, expected: &str) {
    let word = |at: Moment| {
        let (date, ms) = Zone::utc().local(at);
        format!("{date} {}", TimeOfDay::new(ms / 1000).unwrap())
    };
    let until = |at: Option<Moment>| at.map_or("ever".to_owned(), word);
    let said = match window.at(utc(at)) {
        Stand::Open { since, until: end } => format!("open {} to {}", word(since), until(end)),
        Stand::Closed { until: end } => format!("closed to {}", until(end)),
    };
    assert_eq!(said, expected, "at {at}");
}

#[test]
fn it_is_open_from_its_opening_and_not_at_its_close() {
    let window = in_utc(Days::workdays(), &["09:00-17:00"]);
    says(&window, "2026-06-01 08:59:59", "closed to 2026-06-01 09:00");
    says(&window, "2026-06-01 09:00", "open 2026-06-01 09:00 to 2026-06-01 17:00");
    says(&window, "2026-06-01 16:59:59", "open 2026-06-01 09:00 to 2026-06-01 17:00");
    says(&window, "2026-06-01 17:00", "closed to 2026-06-02 09:00");
    says(&window, "2026-06-05 17:00", "closed to 2026-06-08 09:00");
}

#[test]
fn two_sessions_a_day_are_two_stretches_and_touching_ones_are_one() {
    let two = in_utc(Days::all(), &["09:00-11:30", "12:30-15:00"]);
    says(&two, "2026-06-01 11:30", "closed to 2026-06-01 12:30");
    says(&two, "2026-06-01 12:30", "open 2026-06-01 12:30 to 2026-06-01 15:00");
    let one = in_utc(Days::all(), &["09:00-12:00", "12:00-15:00"]);
    says(&one, "2026-06-01 12:00", "open 2026-06-01 09:00 to 2026-06-01 15:00");
    let over_midnight = in_utc(Days::of(&Weekday::ALL[..2]), &["08:00-24:00", "24:00-26:00"]);
    says(&over_midnight, "2026-06-02 01:00", "open 2026-06-01 08:00 to 2026-06-02 02:00");
}

#[test]
fn a_session_over_midnight_belongs_to_the_day_on_which_it_opens() {
    let window = in_utc(Days::of(&[Weekday::Friday]), &["22:00-26:00"]);
    says(&window, "2026-06-06 01:59", "open 2026-06-05 22:00 to 2026-06-06 02:00");
    says(&window, "2026-06-06 02:00", "closed to 2026-06-12 22:00");
    says(&window, "2026-06-05 01:00", "closed to 2026-06-05 22:00");
    let longest = in_utc(Days::of(&[Weekday::Friday]), &["00:00-48:00"]);
    says(&longest, "2026-06-06 23:59:59", "open 2026-06-05 00:00 to 2026-06-07 00:00");
    says(&longest, "2026-06-07 00:00", "closed to 2026-06-12 00:00");
    let mut late = in_utc(Days::of(&[Weekday::Friday]), &["30:00-31:00"]);
    late.dates.insert(day("2026-06-06"), sessions(&["05:00-05:30"]));
    says(&late, "2026-06-06 06:30", "open 2026-06-06 06:00 to 2026-06-06 07:00");
}

#[test]
fn what_is_always_open_or_never_says_so() {
    let always = in_utc(Days::all(), &["00:00-24:00"]);
    says(&always, "2026-06-01 12:00", "open 1970-01-01 00:00 to ever");
    says(&in_utc(Days::default(), &["00:00-24:00"]), "2026-06-01 12:00", "closed to ever");
    let mut kept = always.clone();
    kept.overrides = vec![order("2026-03-01 00:00", "2026-03-02 00:00", false)];
    kept.dates.insert(day("2027-08-01"), Vec::new());
    says(&kept, "2026-06-01 12:00", "open 2026-03-02 00:00 to 2027-08-01 00:00");
    let week = in_utc(Days::workdays(), &["00:00-24:00"]);
    says(&week, "2026-06-03 12:00", "open 2026-06-01 00:00 to 2026-06-06 00:00");
}

#[test]
fn a_half_day_a_holiday_and_a_saturday_are_as_the_calendar_says() {
    let regular = exchange(SessionKind::Regular, Beyond::Closed);
    says(&regular, "2026-11-25 21:00", "closed to 2026-11-27 14:30");
    says(&regular, "2026-11-27 17:59", "open 2026-11-27 14:30 to 2026-11-27 18:00");
    says(&regular, "2026-11-27 18:00", "closed to 2026-11-30 14:30");
    says(&regular, "2026-12-05 15:30", "open 2026-12-05 15:00 to 2026-12-05 17:00");
    let extended = exchange(SessionKind::Extended, Beyond::Closed);
    says(&extended, "2026-11-27 20:00", "open 2026-11-27 09:00 to 2026-11-27 22:00");
    let post = exchange(SessionKind::Post, Beyond::Closed);
    says(&post, "2026-11-27 17:00", "closed to 2026-11-27 18:00");
}

#[test]
fn own_dates_win_over_the_calendar() {
    let mut window = exchange(SessionKind::Regular, Beyond::Closed);
    window.dates.insert(day("2026-11-26"), sessions(&["18:00-19:15"]));
    window.dates.insert(day("2026-11-27"), Vec::new());
    window.dates.insert(day("2027-01-01"), sessions(&["10:00-11:00"]));
    says(&window, "2026-11-26 23:30", "open 2026-11-26 23:00 to 2026-11-27 00:15");
    says(&window, "2026-11-27 15:00", "closed to 2026-11-30 14:30");
    says(&window, "2026-12-31 21:00", "closed to 2027-01-01 15:00");
}

#[test]
fn beyond_what_is_known_it_is_closed_or_as_the_week_says() {
    let closed = exchange(SessionKind::Regular, Beyond::Closed);
    says(&closed, "2026-12-31 20:00", "open 2026-12-31 14:30 to 2026-12-31 21:00");
    says(&closed, "2026-12-31 21:00", "closed to ever");
    says(&closed, "2027-01-04 15:00", "closed to ever");
    let as_ever = exchange(SessionKind::Regular, Beyond::WeeklyRule);
    says(&as_ever, "2026-12-31 21:00", "closed to 2027-01-01 14:30");
    says(&as_ever, "2027-01-04 15:00", "open 2027-01-04 14:30 to 2027-01-04 21:00");
}

#[test]
fn how_long_it_is_known_counts_days_of_its_zone() {
    let window = exchange(SessionKind::Regular, Beyond::Closed);
    assert_eq!(window.days_left(utc("2026-11-02 05:00")), Some(59));
    assert_eq!(window.days_left(utc("2026-11-02 04:59")), Some(WARN_DAYS));
    assert_eq!(window.days_left(utc("2027-01-01 04:59")), Some(0));
    assert_eq!(window.days_left(utc("2027-01-01 05:00")), Some(-1));
    assert_eq!(in_utc(Days::all(), &[]).days_left(utc("2026-01-01 00:00")), None);
}

#[test]
fn the_same_hours_are_another_moment_after_the_clocks_change() {
    let window = weekly(new_york(), Days::workdays(), &["09:30-16:00"]);
    says(&window, "2026-03-06 21:00", "closed to 2026-03-09 13:30");
    says(&window, "2026-10-30 20:00", "closed to 2026-11-02 14:30");
}

#[test]
fn an_edge_in_the_gap_is_the_leap_and_one_that_is_twice_the_first() {
    let gap = |list: &[&str]| weekly(new_york(), Days::of(&[Weekday::Sunday]), list);
    says(&gap(&["02:30-04:00"]), "2026-03-08 06:00", "closed to 2026-03-08 07:00");
    says(&gap(&["02:30-04:00"]), "2026-03-08 07:00", "open 2026-03-08 07:00 to 2026-03-08 08:00");
    says(&gap(&["01:00-02:30"]), "2026-03-08 06:30", "open 2026-03-08 06:00 to 2026-03-08 07:00");
    says(
        &gap(&["01:00-02:10", "02:50-04:00"]),
        "2026-03-08 07:30",
        "open 2026-03-08 06:00 to 2026-03-08 08:00",
    );
    says(&gap(&["02:10-02:50"]), "2026-03-08 06:00", "closed to 2026-03-15 06:10");
    says(&gap(&["01:30-03:00"]), "2026-11-01 05:00", "closed to 2026-11-01 05:30");
    says(&gap(&["01:30-03:00"]), "2026-11-01 06:45", "open 2026-11-01 05:30 to 2026-11-01 08:00");
    says(&gap(&["00:00-01:30"]), "2026-11-01 06:15", "closed to 2026-11-08 05:00");
}

#[test]
fn clocks_that_go_back_over_midnight_close_nothing() {
    // As in Newfoundland until 2011: at 00:01 it was 23:01 of the day before again.
    let changes = vec![(utc("2010-11-07 02:31"), -12_600), (utc("2010-03-14 03:31"), -9000)];
    let zone = Arc::new(Zone::new("America/St_Johns", -12_600, changes));
    let window = weekly(zone, Days::of(&[Weekday::Sunday]), &["00:00-08:00"]);
    for at in ["2010-11-07 02:30", "2010-11-07 02:31", "2010-11-07 03:00", "2010-11-07 11:29"] {
        says(&window, at, "open 2010-11-07 02:30 to 2010-11-07 11:30");
    }
    // By the wall the order begins on Saturday, after Sunday has.
    let overrides = vec![order("2010-11-07 02:45", "2010-11-07 12:00", true)];
    let ordered = Window { overrides, ..window };
    says(&ordered, "2010-11-07 02:00", "closed to 2010-11-07 02:30");
}

#[test]
fn a_year_ends_and_a_leap_day_comes() {
    let nights = in_utc(Days::all(), &["22:00-26:00"]);
    says(&nights, "2026-12-31 23:59", "open 2026-12-31 22:00 to 2027-01-01 02:00");
    says(&nights, "2027-01-01 02:00", "closed to 2027-01-01 22:00");
    says(&nights, "2028-02-29 23:00", "open 2028-02-29 22:00 to 2028-03-01 02:00");
    says(&nights, "2028-02-28 23:00", "open 2028-02-28 22:00 to 2028-02-29 02:00");
    let mut leap = in_utc(Days::default(), &[]);
    leap.dates.insert(day("2028-02-29"), sessions(&["09:00-10:00"]));
    says(&leap, "2027-03-01 00:00", "closed to 2028-02-29 09:00");
    says(&leap, "2026-02-01 00:00", "closed to ever");
}

#[test]
fn a_later_part_of_the_rule_holds_from_its_first_day_on() {
    let from = |from, days, list: &[&str]| Hours { from, ..hours(days, list) };
    let first = Some(day("2026-08-03"));
    let window = window(
        Arc::new(Zone::utc()),
        Rule::Weekly(vec![
            hours(Days::workdays(), &["09:15-15:30"]),
            from(first, Days::of(&Weekday::ALL[..4]), &["09:15-15:40"]),
            from(first, Days::of(&[Weekday::Friday]), &["09:15-12:00"]),
        ]),
    );
    says(&window, "2026-07-31 12:00", "open 2026-07-31 09:15 to 2026-07-31 15:30");
    says(&window, "2026-08-03 12:00", "open 2026-08-03 09:15 to 2026-08-03 15:40");
    says(&window, "2026-08-06 15:40", "closed to 2026-08-07 09:15");
    says(&window, "2026-08-07 10:00", "open 2026-08-07 09:15 to 2026-08-07 12:00");
}

fn order(from: &str, until: &str, is_open: bool) -> Override {
    Override { from: utc(from), until: utc(until), is_open }
}

#[test]
fn an_order_cuts_and_adds_whatever_the_rule_says() {
    let plain = in_utc(Days::workdays(), &["09:00-17:00"]);
    let with = |overrides: Vec<Override>| Window { overrides, ..plain.clone() };
    let middle = with(vec![order("2026-06-01 12:00", "2026-06-01 13:00", false)]);
    says(&middle, "2026-06-01 10:00", "open 2026-06-01 09:00 to 2026-06-01 12:00");
    says(&middle, "2026-06-01 12:00", "closed to 2026-06-01 13:00");
    says(&middle, "2026-06-01 14:00", "open 2026-06-01 13:00 to 2026-06-01 17:00");
    let days = with(vec![order("2026-06-01 12:00", "2026-06-09 08:00", false)]);
    says(&days, "2026-06-02 10:00", "closed to 2026-06-09 09:00");
    let night = with(vec![order("2026-06-05 20:00", "2026-06-06 03:00", true)]);
    says(&night, "2026-06-05 17:00", "closed to 2026-06-05 20:00");
    says(&night, "2026-06-06 01:00", "open 2026-06-05 20:00 to 2026-06-06 03:00");
    let longer = with(vec![order("2026-06-01 16:00", "2026-06-01 18:30", true)]);
    says(&longer, "2026-06-01 17:30", "open 2026-06-01 09:00 to 2026-06-01 18:30");
    let far = with(vec![order("2026-06-01 00:00", "2031-01-01 00:00", false)]);
    says(&far, "2026-06-01 10:00", "closed to ever");
    says(&far, "2030-12-01 10:00", "closed to 2031-01-01 09:00");
}

#[test]
fn of_two_orders_the_later_holds() {
    let mut window = in_utc(Days::workdays(), &["09:00-17:00"]);
    window.overrides = vec![
        order("2026-06-01 00:00", "2026-06-02 00:00", false),
        order("2026-06-01 10:00", "2026-06-01 11:00", true),
    ];
    says(&window, "2026-06-01 09:30", "closed to 2026-06-01 10:00");
    says(&window, "2026-06-01 10:30", "open 2026-06-01 10:00 to 2026-06-01 11:00");
    window.overrides.reverse();
    says(&window, "2026-06-01 10:30", "closed to 2026-06-02 09:00");
}

#[test]
fn each_change_is_where_it_says_and_nowhere_else() {
    let mut window = exchange(SessionKind::Extended, Beyond::WeeklyRule);
    window.dates.insert(day("2026-03-07"), sessions(&["20:00-27:00"]));
    window.dates.insert(day("2026-10-31"), sessions(&["20:00-25:30", "26:00-31:00"]));
    window.overrides = vec![order("2026-03-08 06:40", "2026-03-08 07:20", false)];
    // Every ten minutes of the days around both changes of the clocks.
    for begin in ["2026-03-06 00:00", "2026-10-30 00:00"] {
        let moments: Vec<Moment> = (0..6 * 24 * 5).map(|n| Moment(utc(begin).0 + n * 600_000)).collect();
        for pair in moments.windows(2) {
            let (now, next) = (window.at(pair[0]), window.at(pair[1]));
            assert_eq!(now.until().is_some_and(|at| at <= pair[1]), now.is_open() != next.is_open());
            if let Stand::Open { since, until } = now {
                assert!(since <= pair[0] && until > Some(pair[0]), "{now:?}");
            }
        }
    }
}
