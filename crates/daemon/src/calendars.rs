//! Exchange calendars: the ones that come with soloist, and files of the user's own in the same format (docs/calendars.md).
//! What they mean is said by `soloist_core::schedule::calendar`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use soloist_core::schedule::calendar::{Calendar, Day, Regime, Session};
use soloist_core::schedule::civil::{Date, Days, Weekday};
use toml::Spanned;

use crate::config::suggest::zone_help;
use crate::zones;

/// Their names, the usual one first, and their files.
const BUILT_IN: [(&[&str], &str); 3] = [
    (&["NSE", "XNSE"], include_str!("../calendars/nse.toml")),
    (&["XBOM", "BSE"], include_str!("../calendars/xbom.toml")),
    (&["XNYS", "NYSE"], include_str!("../calendars/xnys.toml")),
];

/// A calendar that comes with soloist, by one of its names: `NSE`, `XBOM` or `BSE`, `XNYS` or `NYSE`.
pub fn built_in(name: &str) -> Option<Arc<Calendar>> {
    let (names, text) = BUILT_IN.iter().find(|(names, _)| names.contains(&name))?;
    parse(names[0], text).ok().map(Arc::new)
}

/// The first names of those that come with soloist.
pub fn names() -> Vec<&'static str> {
    BUILT_IN.iter().map(|(names, _)| names[0]).collect()
}

/// Reads a calendar file.
///
/// # Errors
/// What is wrong, and where, in words; one line a problem: `LINE:COLUMN: what; what to do`.
pub fn parse(name: &str, text: &str) -> Result<Calendar, Vec<String>> {
    let file: File = toml::from_str(text).map_err(|fault| {
        let message =
            fault.message().replace("unknown field", "unknown key").replace("missing field", "missing key");
        let help = "docs/calendars.md has all keys and an example";
        vec![format!("{}: {}; {help}", place(text, fault.span().unwrap_or_default()), message.trim())]
    })?;
    let mut reading = Reading { text, ..Reading::default() };
    let calendar = reading.calendar(name, &file);
    reading.problems.sort();
    match calendar {
        Some(calendar) if reading.problems.is_empty() => Ok(calendar),
        Some(_) | None => Err(reading.problems.into_iter().map(|(_, problem)| problem).collect()),
    }
}

type Text = Spanned<String>;

/// Days by their year, as `"01-26 Republic Day"`.
type Years = BTreeMap<Text, Vec<Text>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    timezone: Text,
    valid_through: Text,
    regimes: Vec<RegimeKeys>,
    #[serde(default)]
    holidays: Years,
    half_days: Option<HalfDays>,
    #[serde(default)]
    special: Vec<Special>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegimeKeys {
    from: Text,
    days: Text,
    regular: Text,
    pre: Option<Text>,
    post: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HalfDays {
    on: Years,
    regular: Text,
    pre: Option<Text>,
    post: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Special {
    date: Text,
    label: Option<String>,
    regular: Text,
    pre: Option<Text>,
    post: Option<Text>,
}

/// A file that is being read, and what was found wrong so far, each with its place.
#[derive(Default)]
struct Reading<'t> {
    text: &'t str,
    exceptions: BTreeMap<Date, Day>,
    /// Where each of them stands.
    places: BTreeMap<Date, Range<usize>>,
    problems: Vec<(usize, String)>,
}

impl Reading<'_> {
    /// The calendar, but for what was found wrong.
    fn calendar(&mut self, name: &str, file: &File) -> Option<Calendar> {
        let zone = zones::named(file.timezone.get_ref());
        if zone.is_none() {
            let word = file.timezone.get_ref();
            self.problem(&file.timezone, format!("{word:?} is no time zone; {}", zone_help(word)));
        }
        let valid_through = self.date(&file.valid_through);
        let regimes = self.regimes(&file.regimes);
        self.years(&file.holidays, &Day { label: "holiday".to_owned(), ..Day::default() });
        if let Some(half) = &file.half_days {
            let day = self.day([half.pre.as_ref(), Some(&half.regular), half.post.as_ref()], "half day");
            self.years(&half.on, &day);
        }
        for special in &file.special {
            let label = special.label.as_deref().unwrap_or("special session");
            let day = self.day([special.pre.as_ref(), Some(&special.regular), special.post.as_ref()], label);
            if let Some(date) = self.date(&special.date) {
                self.except(date, day, &special.date);
            }
        }
        let exceptions = std::mem::take(&mut self.exceptions);
        Some(Calendar {
            name: name.to_owned(),
            zone: zone?,
            regimes,
            exceptions,
            valid_through: valid_through?,
        })
    }

    fn regimes(&mut self, list: &[RegimeKeys]) -> Vec<Regime> {
        let mut found: Vec<Regime> = Vec::new();
        for keys in list {
            let day = self.day([keys.pre.as_ref(), Some(&keys.regular), keys.post.as_ref()], "");
            let (from, days) = (self.date(&keys.from), self.days(&keys.days));
            let (Some(from), Some(days)) = (from, days) else { continue };
            let has_both =
                |other: &Regime| Weekday::ALL.iter().any(|day| days.has(*day) && other.days.has(*day));
            if found.last().is_some_and(|last| from < last.from) {
                self.problem(&keys.from, format!("{from} is before the regime above; put the oldest first"));
            } else if found.iter().any(|other| other.from == from && has_both(other)) {
                let help = "give each other days, or the later one its own first day";
                self.problem(&keys.from, format!("two regimes begin on {from} for the same days; {help}"));
            }
            found.push(Regime { from, days, day });
        }
        found
    }

    /// Each of the listed days is such a day.
    fn years(&mut self, years: &Years, day: &Day) {
        for (year, days) in years {
            for entry in days {
                let (date, label) = entry.get_ref().split_once(' ').unwrap_or((entry.get_ref(), ""));
                let Some(date) = Date::parse(&format!("{}-{date}", year.get_ref())) else {
                    let what =
                        format!("{date:?} is no day of {}; write month and day: `01-26`", year.get_ref());
                    self.problem(entry, what);
                    continue;
                };
                let label = if label.is_empty() { &day.label } else { label.trim() };
                self.except(date, Day { label: label.to_owned(), ..day.clone() }, entry);
            }
        }
    }

    fn except(&mut self, date: Date, day: Day, entry: &Text) {
        match self.places.entry(date) {
            Entry::Vacant(free) => {
                free.insert(entry.span());
                self.exceptions.insert(date, day);
            }
            Entry::Occupied(other) => {
                let other = place(self.text, other.get().clone());
                self.problem(entry, format!("{date} is listed twice, also at {other}; keep one of the two"));
            }
        }
    }

    /// A day with these sessions: before, regular, after.
    fn day(&mut self, parts: [Option<&Text>; 3], label: &str) -> Day {
        let mut last: Option<Session> = None;
        let [pre, regular, post] = parts.map(|part| {
            let Some(part) = part else { return Vec::new() };
            let sessions: Vec<Session> =
                part.get_ref().split(',').filter_map(|word| self.session(word.trim(), part)).collect();
            for session in &sessions {
                if let Some(before) = last.filter(|before| session.open < before.close) {
                    let what =
                        format!("{session} overlaps {before} before it; let it open when that has closed");
                    self.problem(part, what);
                }
                last = Some(*session);
            }
            sessions
        });
        for (part, found) in parts.iter().zip([&pre, &Vec::new(), &post]) {
            if let (Some(part), 2..) = (part, found.len()) {
                self.problem(part, format!("{:?} are several; give one session here", part.get_ref()));
            }
        }
        Day { regular, pre: pre.first().copied(), post: post.first().copied(), label: label.to_owned() }
    }

    fn session(&mut self, word: &str, place: &Text) -> Option<Session> {
        let found = Session::parse(word);
        match &found {
            None => self.problem(place, format!("{word:?} is no session; write it like `09:15-15:30`")),
            Some(session) if session.close <= session.open => {
                let help = "after midnight count on: `22:00-26:00`";
                self.problem(place, format!("{word:?} closes before it opens; {help}"));
            }
            Some(_) => {}
        }
        found
    }

    fn date(&mut self, entry: &Text) -> Option<Date> {
        let found = Date::parse(entry.get_ref());
        if found.is_none() {
            self.problem(entry, format!("{:?} is no date; write it like `2026-08-03`", entry.get_ref()));
        }
        found
    }

    fn days(&mut self, entry: &Text) -> Option<Days> {
        let found = days(entry.get_ref());
        if found.is_none() {
            let what = format!("{:?} are no days; write them like `mon-fri` or `mon, wed`", entry.get_ref());
            self.problem(entry, what);
        }
        found
    }

    fn problem(&mut self, at: &Text, what: String) {
        self.problems.push((at.span().start, format!("{}: {what}", place(self.text, at.span()))));
    }
}

/// `mon-fri`, `sun-thu` or `mon, wed`.
fn days(text: &str) -> Option<Days> {
    let day =
        |word: &str| Weekday::ALL.into_iter().position(|day| day.short().eq_ignore_ascii_case(word.trim()));
    let mut found = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        found.extend((first..=first + (last + 7 - first) % 7).map(|at| Weekday::ALL[at % 7]));
    }
    Some(Days::of(&found))
}

/// `LINE:COLUMN`, from 1, in characters.
fn place(text: &str, span: Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    format!("{}:{}", before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
