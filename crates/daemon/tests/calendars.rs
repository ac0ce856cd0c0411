//! The calendars that come with soloist, day by day, against what others say of the same days: `exchange_calendars`, as
//! `e2e/real/install` installs it, and for NSE the facts in `tests/calendars`, which were gathered apart from the file.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;
use std::sync::Arc;

use soloist_core::schedule::calendar::{Calendar, Day, Known, Session, SessionKind};
use soloist_core::schedule::civil::{Date, Moment, TimeOfDay, Weekday};
use soloist_core::schedule::window::{Beyond, Rule, Stand, Window};
use soloist_core::schedule::zone::Zone;
use soloist_daemon::calendars;

const FIRST: &str = "2015-01-01";

/// Prints each session from a day to another: its opening and close in seconds since 1970.
const ORACLE: &str = r#"
import sys, exchange_calendars
name, first, last = sys.argv[1:]
for at in exchange_calendars.get_calendar(name, start=first, end=last).schedule.itertuples():
    print(int(at.open.timestamp()), int(at.close.timestamp()))
"#;

fn date(text: &str) -> Date {
    Date::parse(text).unwrap_or_else(|| panic!("{text} is no date"))
}

fn calendar(name: &str) -> Arc<Calendar> {
    calendars::built_in(name).unwrap_or_else(|| panic!("there is no {name}"))
}

fn days(calendar: &Calendar) -> impl Iterator<Item = Date> + use<> {
    (date(FIRST).0..=calendar.valid_through.0).map(Date)
}

/// Each time that a window on the calendar is open, found as a daemon would: from change to change.
fn stretches(calendar: &Arc<Calendar>, session: SessionKind) -> Vec<(Moment, Moment)> {
    let window = Window {
        name: calendar.name.clone(),
        zone: calendar.zone.clone(),
        rule: Rule::Calendar { calendar: calendar.clone(), session },
        beyond: Beyond::Closed,
        dates: BTreeMap::new(),
        overrides: Vec::new(),
    };
    let mut found = Vec::new();
    let mut at = calendar.zone.resolve(date(FIRST), TimeOfDay::default()).moment();
    loop {
        let stand = window.at(at);
        if let Stand::Open { since, until } = stand {
            found.push((since, until.unwrap_or_else(|| panic!("open for ever at {at:?}"))));
        }
        match stand.until() {
            Some(next) => at = next,
            None => return found,
        }
    }
}

/// In words, so that a difference can be read.
fn told(stretches: &[(Moment, Moment)]) -> String {
    let utc = Zone::utc();
    let mut text = String::new();
    for (open, close) in stretches {
        let [(date, from), (_, to)] = [utc.local(*open), utc.local(*close)];
        let [from, to] = [from, to].map(|ms| TimeOfDay::new(ms / 1000).unwrap());
        writeln!(text, "{date} {from}-{to}").unwrap();
    }
    text
}

#[track_caller]
fn assert_same(found: &[(Moment, Moment)], expected: &[(Moment, Moment)]) {
    let (found, expected) = (told(found), told(expected));
    let other =
        found.lines().chain([""]).zip(expected.lines().chain([""])).find(|(ours, theirs)| ours != theirs);
    assert_eq!(other, None, "(ours, theirs), the first that differ");
    assert_eq!(found.lines().count(), expected.lines().count());
}

/// What `exchange_calendars` says; none where it is not installed.
fn oracle(calendar: &Calendar) -> Option<Vec<(Moment, Moment)>> {
    let python = e2e::Real::installed()?.python("python");
    let last = calendar.valid_through.to_string();
    let output = Command::new(python).args(["-c", ORACLE, &calendar.name, FIRST, &last]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "run e2e/real/install again if the module is missing: {words}");
    let seconds = |word: Option<&str>| Moment(word.unwrap().parse::<i64>().unwrap() * 1000);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| {
        let mut words = line.split(' ');
        (seconds(words.next()), seconds(words.next()))
    });
    Some(lines.collect())
}

#[test]
fn new_york_is_open_when_exchange_calendars_says_so() {
    let calendar = calendar("XNYS");
    let Some(expected) = oracle(&calendar) else { return };
    assert_eq!((expected.len(), calendar.valid_through), (3268, date("2027-12-31")));
    assert_same(&stretches(&calendar, SessionKind::Regular), &expected);
}

#[test]
fn bombay_is_open_when_exchange_calendars_says_so() {
    let calendar = calendar("XBOM");
    let Some(expected) = oracle(&calendar) else { return };
    assert_eq!((expected.len(), calendar.valid_through), (2956, date("2026-12-31")));
    assert_same(&stretches(&calendar, SessionKind::Regular), &expected);
}

/// The rows of a table with a heading; what is between quotes comes last and is not needed here.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().skip(1).map(|line| line.split(',').collect())
}

fn sessions(text: &str) -> Vec<Session> {
    text.split('|').map(|text| Session::parse(text).unwrap_or_else(|| panic!("{text}"))).collect()
}

#[test]
fn nse_is_open_when_its_circulars_say_so() {
    let calendar = calendar("NSE");
    let exceptions: BTreeMap<Date, Vec<Session>> = rows(include_str!("calendars/NSE.exceptions.csv"))
        .map(|row| (date(row[0]), if row[1] == "closed" { Vec::new() } else { sessions(row[3]) }))
        .collect();
    let regimes: Vec<(Date, Vec<Session>)> = rows(include_str!("calendars/NSE.regimes.csv"))
        .map(|row| (date(row[0]), sessions(&format!("{}-{}", row[3], row[4]))))
        .collect();
    let (saturday, utc) = (Weekday::Saturday, Zone::utc());
    let mut expected = Vec::new();
    for date in days(&calendar) {
        let plain = || regimes.iter().rev().find(|(from, _)| *from <= date && date.weekday() < saturday);
        let sessions = exceptions.get(&date).or_else(|| plain().map(|(_, sessions)| sessions));
        let moment = |time| utc.resolve(date, time).moment();
        expected.extend(sessions.into_iter().flatten().map(|one| (moment(one.open), moment(one.close))));
    }
    assert_same(&stretches(&calendar, SessionKind::Regular), &expected);
    assert!(calendar.exceptions.keys().eq(exceptions.keys()), "the same days are special");
}

#[test]
fn nse_has_as_many_sessions_holidays_and_special_sessions_a_year_as_were_counted() {
    let calendar = calendar("NSE");
    let mut counts: BTreeMap<String, [u32; 3]> = BTreeMap::new();
    for date in days(&calendar) {
        let Known::Day(day) = calendar.day(date) else { panic!("{date} is not known") };
        let (is_open, is_special) = (!day.regular.is_empty(), calendar.exceptions.contains_key(&date));
        let is_holiday = !is_open && date.weekday() < Weekday::Saturday;
        let count = counts.entry(date.parts().0.to_string()).or_default();
        for (count, is_one) in count.iter_mut().zip([is_open, is_holiday, is_open && is_special]) {
            *count += u32::from(is_one);
        }
    }
    let expected = rows(include_str!("calendars/NSE.counts.csv"))
        .map(|row| (row[0].to_owned(), [1, 2, 3].map(|at| row[at].parse().unwrap())));
    assert_eq!(counts, expected.collect());
}

fn on(name: &str, text: &str) -> Day {
    match calendar(name).day(date(text)) {
        Known::Day(day) => day,
        Known::Beyond(_) => panic!("{text} is not known"),
    }
}

#[test]
fn special_sessions_are_there_and_say_what_they_are() {
    for (text, label, expected) in [
        ("2015-11-11", "Muhurat", "17:45-18:45"),
        ("2019-10-27", "Muhurat", "18:15-19:15"),
        ("2020-02-01", "budget", "09:15-15:30"),
        ("2021-02-24", "outage", "09:15-11:40|15:45-17:00"),
        ("2024-01-20", "Saturday session", "09:15-15:30"),
        ("2024-03-02", "disaster recovery drill", "09:15-10:00|11:30-12:30"),
        ("2025-10-21", "Muhurat", "13:45-14:45"),
        ("2026-02-01", "budget", "09:15-15:30"),
    ] {
        let day = on("NSE", text);
        assert_eq!((day.label.as_str(), day.regular), (label, sessions(expected)), "{text}");
    }
    assert_eq!(on("NSE", "2026-07-31").regular, sessions("09:15-15:30"));
    assert_eq!(on("NSE", "2026-08-03").regular, sessions("09:15-15:40"));
    assert_eq!(on("XNYS", "2025-01-09").label, "mourning for J. Carter");
}

#[test]
fn new_york_trades_from_four_to_eight_and_until_five_on_half_days() {
    let calendar = calendar("XNYS");
    let mut count = 0;
    for date in days(&calendar) {
        let Known::Day(day) = calendar.day(date) else { panic!("{date} is not known") };
        let expected = match day.regular.first().map(|session| session.close.seconds() / 3600) {
            None => Vec::new(),
            Some(13) => sessions("04:00-17:00"),
            Some(_) => sessions("04:00-20:00"),
        };
        assert_eq!(day.sessions(SessionKind::Extended), expected, "{date}");
        count += expected.len();
    }
    assert_eq!(stretches(&calendar, SessionKind::Extended).len(), count);
    assert_eq!(on("XNYS", "2026-11-27").post, Session::parse("13:00-17:00"));
}
