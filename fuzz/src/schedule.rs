//! When something is due, and when something is open: each quick answer beside a slow one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use soloist_core::schedule::calendar::SessionKind;
use soloist_core::schedule::civil::{Date, Moment, TimeOfDay, days_of};
use soloist_core::schedule::cron::Cron;
use soloist_core::schedule::window::{Beyond, Rule, Stand, Window};
use soloist_daemon::{calendars, zones};

const ZONES: [&str; 6] =
    ["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata"];
/// Moments are chosen from 1970 to 2100.
const LAST: i64 = 4_102_444_800_000;
const DAY: i64 = 24 * 3600 * 1000;

/// An expression, read in a zone and asked at a moment: its next moment is later, none is between, and in UTC it is the one
/// that a look at each day and second finds.
pub fn cron(data: &[u8]) {
    let Some((zone, rest)) = super::choose(data, ZONES.len()) else { return };
    let Some((moment, text)) = rest.split_first_chunk::<8>() else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    let cron = match Cron::parse(text) {
        Ok(cron) => cron,
        Err(error) => {
            assert!(text.get(error.at).is_some() && !error.why.is_empty() && !error.help.is_empty());
            return;
        }
    };
    let after = Moment(i64::from_le_bytes(*moment).rem_euclid(LAST));
    let zone = zones::named(ZONES[zone]).expect("a zone");
    let next = cron.next(after, &zone).expect("it fires within forty years");
    assert!(next > after && next.0 % 1000 == 0, "{next:?} after {after:?}");
    for between in [next.0 - 1, after.0 + (next.0 - after.0) / 2] {
        assert_eq!(cron.next(Moment(between), &zone), Some(next), "{text} between {after:?}");
    }
    if zone.name() == "UTC" {
        assert_eq!(Some(next), Slow::read(text).and_then(|slow| slow.next(after)), "{text} after {after:?}");
    }
}

/// The same expression, read without care for places and words, and looked through day by day.
struct Slow {
    /// Second, minute, hour, day, month, weekday.
    sets: [BTreeSet<u32>; 6],
    has_last: bool,
    is_either: bool,
}

impl Slow {
    fn read(text: &str) -> Option<Slow> {
        let text = text.to_ascii_lowercase();
        let text = match text.trim_matches(|c: char| c.is_ascii_whitespace()) {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let mut fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let months = "jan feb mar apr may jun jul aug sep oct nov dec";
        let bounds = [
            (0, 59, ""),
            (0, 59, ""),
            (0, 23, ""),
            (1, 31, ""),
            (1, 12, months),
            (0, 7, "sun mon tue wed thu fri sat"),
        ];
        let mut sets: [BTreeSet<u32>; 6] = Default::default();
        for ((set, field), (least, most, names)) in sets.iter_mut().zip(&fields).zip(bounds) {
            for item in field.split(',').filter(|item| *item != "l") {
                let value = |word: &str| {
                    let named = names.split(' ').position(|name| name == word).map(|at| at as u32 + least);
                    named.or(word.parse().ok())
                };
                let (range, step) = item.split_once('/').unwrap_or((item, ""));
                let (first, last) = match range.split_once('-') {
                    _ if range == "*" || range == "?" => (least, most),
                    Some((first, "sun")) if value(first)? > 0 => (value(first)?, 7),
                    Some((first, last)) => (value(first)?, value(last)?),
                    None if step.is_empty() => (value(range)?, value(range)?),
                    None => (value(range)?, most),
                };
                let step = if step.is_empty() { 1 } else { step.parse().ok()? };
                set.extend((first..=last).filter(|at| (at - first) % step == 0));
            }
        }
        let is_free = |field: &str| field.starts_with(['*', '?']);
        if sets[5].contains(&7) {
            sets[5].insert(0);
        }
        let has_last = fields.get(3)?.split(',').any(|item| item == "l");
        Some(Slow { sets, has_last, is_either: !is_free(fields[3]) && !is_free(fields.get(5)?) })
    }

    fn next(&self, after: Moment) -> Option<Moment> {
        let [seconds, minutes, hours, ..] = &self.sets;
        let today = after.0.div_euclid(DAY);
        let date = |day: i64| Date(i32::try_from(day).unwrap_or(i32::MAX));
        (today..today + 41 * 366).filter(|day| self.is_on(date(*day))).find_map(|day| {
            let times = hours.iter().flat_map(|hour| {
                minutes.iter().flat_map(move |minute| {
                    seconds.iter().map(move |second| (hour * 60 + minute) * 60 + second)
                })
            });
            let mut moments = times.map(|time| Moment(day * DAY + i64::from(time) * 1000));
            moments.find(|moment| *moment > after)
        })
    }

    fn is_on(&self, date: Date) -> bool {
        let (year, month, day) = date.parts();
        let by_number = self.sets[3].contains(&day) || self.has_last && day == days_of(year, month);
        let by_week = self.sets[5].contains(&((date.weekday() as u32 + 1) % 7));
        let is_day = if self.is_either { by_number || by_week } else { by_number && by_week };
        is_day && self.sets[4].contains(&month)
    }
}

/// A calendar's file: what is wrong has its place; else its window changes when it says it does, and not before.
pub fn calendar(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let calendar = match calendars::parse("X", text) {
        Ok(calendar) => Arc::new(calendar),
        Err(problems) => {
            let lines = text.split('\n').count();
            for problem in &problems {
                let line = problem.split(':').next().and_then(|line| line.parse().ok());
                assert!(line.is_some_and(|line: usize| (1..=lines).contains(&line)), "{problem}");
            }
            assert!(!problems.is_empty());
            return;
        }
    };
    let first = calendar.regimes.first().map_or(Date(0), |regime| regime.from);
    let dates =
        [first, calendar.valid_through].into_iter().chain(calendar.exceptions.keys().copied().take(3));
    for (date, session) in dates.zip([SessionKind::Regular, SessionKind::Extended].into_iter().cycle()) {
        let window = Window {
            name: "X".to_owned(),
            zone: Arc::clone(&calendar.zone),
            rule: Rule::Calendar { calendar: Arc::clone(&calendar), session },
            beyond: if session == SessionKind::Regular { Beyond::Closed } else { Beyond::WeeklyRule },
            dates: BTreeMap::new(),
            overrides: Vec::new(),
        };
        let mut at = calendar.zone.resolve(date.plus(-1), TimeOfDay::default()).moment();
        for _ in 0..4 {
            let stand = window.at(at);
            // What has been open for two years counts as open since 1970.
            if let Stand::Open { since: since @ Moment(1..), .. } = stand {
                assert!(since <= at && window.at(since).is_open());
            }
            let Some(until) = stand.until() else { break };
            assert!(until > at, "{until:?} after {at:?}");
            for before in [until.0 - 1, at.0 + (until.0 - at.0) / 2] {
                assert_eq!(
                    window.at(Moment(before)).is_open(),
                    stand.is_open(),
                    "{before} between {at:?} and {until:?}"
                );
            }
            assert_ne!(window.at(until).is_open(), stand.is_open(), "at {until:?}");
            at = until;
        }
    }
}
