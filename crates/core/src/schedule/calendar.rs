//! The calendar of an exchange as data: its weekly rule in its regimes, its holidays, half days and special sessions, and
//! how far all this is known.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::civil::{Date, Days, TimeOfDay};
use super::zone::Zone;

/// A time of a day from its opening up to, not including, its close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session {
    /// When it begins.
    pub open: TimeOfDay,
    /// When it is over.
    pub close: TimeOfDay,
}

/// The sessions of a day, in order, of each kind; without any it is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// The regular ones.
    pub regular: Vec<Session>,
    /// Before them.
    pub pre: Option<Session>,
    /// After them.
    pub post: Option<Session>,
    /// What is special about it: `holiday`, `half day`, `Muhurat`; empty for a plain day.
    pub label: String,
}

/// From a day on, these are the plain days of a week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regime {
    /// Its first day.
    pub from: Date,
    /// Its days of the week.
    pub days: Days,
    /// Their sessions.
    pub day: Day,
}

/// Which sessions are meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionKind {
    /// The regular ones.
    #[default]
    Regular,
    /// Before them.
    Pre,
    /// After them.
    Post,
    /// All of them.
    Extended,
}

/// The calendar of an exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// What it is called: `NSE`.
    pub name: String,
    /// Where it stands.
    pub zone: Arc<Zone>,
    /// Its rules, the oldest first; of those with one first day each is for other days of the week.
    pub regimes: Vec<Regime>,
    /// The days that are not plain.
    pub exceptions: BTreeMap<Date, Day>,
    /// The last day of which all exceptions are known.
    pub valid_through: Date,
}

/// What a calendar says of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is so.
    Day(Day),
    /// It is beyond what is known; this is what the weekly rule alone says.
    Beyond(Day),
}

impl Calendar {
    /// What it says of a day. Before its first regime it is closed.
    pub fn day(&self, date: Date) -> Known {
        if let Some(day) = self.exceptions.get(&date) {
            return Known::Day(day.clone());
        }
        let day = self.plain(date).map(|regime| regime.day.clone()).unwrap_or_default();
        if date > self.valid_through { Known::Beyond(day) } else { Known::Day(day) }
    }

    /// The regime whose plain day it is. Several may begin on one day: a short Friday has a regime of its own.
    fn plain(&self, date: Date) -> Option<&Regime> {
        let from = self.regimes.iter().rev().find(|regime| regime.from <= date)?.from;
        self.regimes.iter().find(|regime| regime.from == from && regime.days.has(date.weekday()))
    }
}

impl Day {
    /// Its sessions of a kind, in order. Of all of them, those that touch are one.
    pub fn sessions(&self, kind: SessionKind) -> Vec<Session> {
        match kind {
            SessionKind::Regular => self.regular.clone(),
            SessionKind::Pre => self.pre.into_iter().collect(),
            SessionKind::Post => self.post.into_iter().collect(),
            SessionKind::Extended => {
                let all = self.pre.iter().chain(&self.regular).chain(&self.post);
                all.fold(Vec::new(), |mut joined: Vec<Session>, next| {
                    match joined.last_mut() {
                        Some(last) if next.open <= last.close => last.close = last.close.max(next.close),
                        Some(_) | None => joined.push(*next),
                    }
                    joined
                })
            }
        }
    }
}

impl Session {
    /// Reads `09:15-15:30`; whether it closes after it opens is not looked at.
    pub fn parse(text: &str) -> Option<Session> {
        let (open, close) = text.split_once('-')?;
        Some(Session { open: TimeOfDay::parse(open.trim())?, close: TimeOfDay::parse(close.trim())? })
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.open, self.close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::civil::Weekday;

    fn date(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    fn day(regular: &[&str]) -> Day {
        let regular = regular.iter().map(|text| Session::parse(text).unwrap()).collect();
        Day { regular, ..Day::default() }
    }

    fn calendar() -> Calendar {
        let regime = |from: &str, days, times: &[&str]| Regime { from: date(from), days, day: day(times) };
        Calendar {
            name: "test".into(),
            zone: Arc::new(Zone::utc()),
            regimes: vec![
                regime("2020-01-01", Days::workdays(), &["09:15-15:30"]),
                regime("2026-08-03", Days::of(&Weekday::ALL[..4]), &["09:15-15:40"]),
                regime("2026-08-03", Days::of(&[Weekday::Friday]), &["09:15-12:00"]),
            ],
            exceptions: BTreeMap::from([
                (date("2026-08-04"), Day { label: "holiday".into(), ..Day::default() }),
                (date("2026-08-08"), day(&["18:00-19:00"])),
                (date("2027-01-02"), day(&["09:15-10:00", "11:30-12:30"])),
            ]),
            valid_through: date("2026-12-31"),
        }
    }

    fn said(text: &str) -> String {
        let (word, day) = match calendar().day(date(text)) {
            Known::Day(day) => ("", day),
            Known::Beyond(day) => ("perhaps ", day),
        };
        let sessions: Vec<String> = day.regular.iter().map(Session::to_string).collect();
        format!("{word}{}", sessions.join(" "))
    }

    #[test]
    fn an_exception_wins_over_the_regime_in_force() {
        for (text, expected) in [
            ("2019-12-31", ""),
            ("2020-01-01", "09:15-15:30"),
            ("2026-07-31", "09:15-15:30"),
            ("2026-08-03", "09:15-15:40"),
            ("2026-08-04", ""),
            ("2026-08-07", "09:15-12:00"),
            ("2026-08-08", "18:00-19:00"),
            ("2026-08-09", ""),
            ("2026-12-31", "09:15-15:40"),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
    }

    #[test]
    fn beyond_its_last_day_only_what_is_listed_is_known() {
        assert_eq!(said("2027-01-01"), "perhaps 09:15-12:00");
        assert_eq!(said("2027-01-02"), "09:15-10:00 11:30-12:30");
        assert_eq!(said("2027-01-03"), "perhaps ");
    }

    #[test]
    fn extended_sessions_are_one_where_they_touch() {
        let session = |text| Session::parse(text);
        let mut day = day(&["09:30-12:00", "13:00-16:00"]);
        (day.pre, day.post) = (session("04:00-09:30"), session("16:00-20:00"));
        let all = day.sessions(SessionKind::Extended);
        assert_eq!(Some(all), ["04:00-12:00", "13:00-20:00"].map(session).into_iter().collect());
        assert_eq!(day.sessions(SessionKind::Pre).first().copied(), session("04:00-09:30"));
        assert_eq!(day.sessions(SessionKind::Post).first().copied(), session("16:00-20:00"));
        assert_eq!(day.sessions(SessionKind::Regular).len(), 2);
        assert!(Day::default().sessions(SessionKind::Extended).is_empty());
    }
}
