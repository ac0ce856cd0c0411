//! Reads `[windows.NAME]`: hours by an exchange's calendar or by hand, and days that have their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use soloist_core::schedule::calendar::{Calendar, Session, SessionKind};
use soloist_core::schedule::civil::{Date, Days, Moment, TimeOfDay};
use soloist_core::schedule::window::{Beyond, Hours, Override, Rule, Window};
use soloist_core::schedule::zone::Zone;

use super::almanac::Almanac;
use super::diagnostic::{Problems, Span, quoted};
use super::settings::{choice, unknown_key};
use super::tree::{Field, Value};
use super::{OverrideChange, hours};
use crate::calendars;

/// What a calendar needs to be a window.
const BY_CALENDAR: &[&str] = &["calendar", "session", "beyond"];
const BY_HAND: &[&str] = &["timezone", "days", "open", "close", "sessions", "regimes"];
pub(super) const REGIME_KEYS: &[&str] = &["from", "days", "open", "close", "sessions"];
pub(super) const SESSION_KINDS: &[(&str, SessionKind)] = &[
    ("regular", SessionKind::Regular),
    ("pre", SessionKind::Pre),
    ("post", SessionKind::Post),
    ("extended", SessionKind::Extended),
];
pub(super) const BEYONDS: &[(&str, Beyond)] =
    &[("closed", Beyond::Closed), ("weekly-rule", Beyond::WeeklyRule)];

/// All keys of a window.
pub(super) fn keys() -> Vec<&'static str> {
    BY_CALENDAR.iter().chain(BY_HAND).chain(&["dates"]).copied().collect()
}

/// The window, or `None` after saying what is wrong with it.
pub(super) fn read(field: Field<'_>, almanac: &Almanac<'_>, problems: &mut Problems<'_>) -> Option<Window> {
    let told = problems.count();
    let (name, place) = (field.key, field.key_span);
    let mut draft = Draft::default();
    for Field { key, key_span, value } in field.value.example("[windows.NAME]").table(problems)? {
        match key {
            "calendar" => draft.calendar = almanac.calendar(&value.example("calendar = \"NSE\""), problems),
            "session" => {
                let value = value.example("session = \"regular\"");
                draft.session = choice(&value, "a session of a calendar", SESSION_KINDS, problems);
            }
            "beyond" => {
                let value = value.example("beyond = \"closed\"");
                draft.beyond = choice(&value, "an answer", BEYONDS, problems);
            }
            "timezone" => draft.zone = almanac.zone(&value.example("timezone = \"Asia/Kolkata\""), problems),
            "regimes" => regimes(&value.example("[[windows.NAME.regimes]]"), &mut draft, problems),
            "dates" => dates(&value.example("\"2026-11-08\" = \"closed\""), &mut draft, problems),
            "days" | "open" | "close" | "sessions" => part(&mut draft.base, key, value, problems),
            _ => unknown_key("a window", key, key_span.clone(), &keys(), problems),
        }
        draft.places.insert(key.to_owned(), key_span);
    }
    (problems.count() == told).then_some(())?;
    let rule = rule(&mut draft, name, place, problems)?;
    (problems.count() == told).then_some(())?;
    let zone = match &rule {
        Rule::Calendar { calendar, .. } => calendar.zone.clone(),
        Rule::Weekly(_) => draft.zone.unwrap_or_else(|| almanac.local()),
    };
    let beyond = draft.beyond.unwrap_or_default();
    Some(Window { name: name.to_owned(), zone, rule, beyond, dates: draft.dates, overrides: Vec::new() })
}

/// The hours of a calendar.
pub(super) fn of_calendar(
    name: &str,
    calendar: Arc<Calendar>,
    session: SessionKind,
    beyond: Beyond,
) -> Window {
    Window {
        name: name.to_owned(),
        zone: calendar.zone.clone(),
        rule: Rule::Calendar { calendar, session },
        beyond,
        dates: BTreeMap::new(),
        overrides: Vec::new(),
    }
}

/// The window with what was ordered of it at run time.
pub(super) fn overridden(mut window: Window, changes: &[OverrideChange]) -> Window {
    let own =
        changes.iter().filter(|change| change.from_ms < change.until_ms && is_meant(&window, &change.of));
    let overrides = own.map(|change| Override {
        from: Moment(change.from_ms),
        until: Moment(change.until_ms),
        is_open: change.open,
    });
    window.overrides = overrides.collect();
    window
}

/// Whether a name means this window: it is its own, or one of its calendar's.
pub(super) fn is_meant(window: &Window, name: &str) -> bool {
    window.name == name
        || match &window.rule {
            Rule::Calendar { calendar, .. } => {
                calendar.name == name
                    || calendars::built_in(name).is_some_and(|other| other.name == calendar.name)
            }
            Rule::Weekly(_) => false,
        }
}

/// What a window says, before it is known whether its parts fit together.
#[derive(Default)]
struct Draft {
    calendar: Option<Arc<Calendar>>,
    session: Option<SessionKind>,
    beyond: Option<Beyond>,
    zone: Option<Arc<Zone>>,
    base: Part,
    regimes: Vec<(Part, Span)>,
    dates: BTreeMap<Date, Vec<Session>>,
    /// The place of each key.
    places: BTreeMap<String, Span>,
}

/// Hours of a week, of the window itself or of a regime.
#[derive(Default)]
struct Part {
    from: Option<(Date, Span)>,
    days: Option<Days>,
    open: Option<(TimeOfDay, Span)>,
    close: Option<(TimeOfDay, Span)>,
    sessions: Option<(Vec<Session>, Span)>,
}

/// Reads a key of the hours.
fn part(part: &mut Part, key: &str, value: Value<'_>, problems: &mut Problems<'_>) {
    let span = value.span.clone();
    match key {
        "days" => part.days = hours::days(&value.example("days = \"mon-fri\""), problems),
        "open" => {
            part.open = hours::time(&value.example("open = \"09:15\""), problems).map(|time| (time, span));
        }
        "close" => {
            part.close = hours::time(&value.example("close = \"15:30\""), problems).map(|time| (time, span));
        }
        _ => {
            let value = value.example("sessions = [\"09:00-11:30\", \"12:30-15:00\"]");
            part.sessions = hours::sessions(&value, problems).map(|found| (found, span));
        }
    }
}

fn regimes(value: &Value<'_>, draft: &mut Draft, problems: &mut Problems<'_>) {
    for entry in value.list(problems).unwrap_or_default() {
        let mut regime = Part::default();
        let told = problems.count();
        for Field { key, key_span, value } in entry.table(problems).unwrap_or_default() {
            match key {
                "from" => {
                    let value = value.example("from = \"2026-08-03\"");
                    let found = value.string(problems).and_then(|text| date(text, &value.span, problems));
                    regime.from = found.map(|date| (date, value.span));
                }
                "days" | "open" | "close" | "sessions" => part(&mut regime, key, value, problems),
                _ => unknown_key("a regime", key, key_span, REGIME_KEYS, problems),
            }
        }
        if problems.count() > told {
            continue;
        }
        let Some((from, span)) = &regime.from else {
            let help = "say from which day on it holds: `from = \"2026-08-03\"`";
            problems.add(entry.span, "the regime has no first day", help).label("`from` is missing");
            continue;
        };
        let same =
            draft.regimes.iter().find_map(|(other, _)| other.from.as_ref().filter(|(date, _)| date == from));
        if let Some((_, first)) = same {
            let message = format!("two regimes begin on {from}");
            problems
                .add(span.clone(), message, "give one of the two another day")
                .other(first.clone(), "the other one");
            continue;
        }
        draft.regimes.push((regime, entry.span));
    }
}

fn dates(value: &Value<'_>, draft: &mut Draft, problems: &mut Problems<'_>) {
    for Field { key, key_span, value } in value.table(problems).unwrap_or_default() {
        let value = value.example("\"2026-11-08\" = \"closed\"");
        if let Some(date) = date(key, &key_span, problems) {
            draft.dates.extend(hours::day(&value, problems).map(|sessions| (date, sessions)));
        }
    }
}

fn date(text: &str, span: &Span, problems: &mut Problems<'_>) -> Option<Date> {
    let found = Date::parse(text);
    if found.is_none() {
        let help = "a day is a year, a month and a day: `2026-11-08`";
        problems.add(span.clone(), format!("{} is no day", quoted(text)), help);
    }
    found
}

fn rule(draft: &mut Draft, name: &str, span: Span, problems: &mut Problems<'_>) -> Option<Rule> {
    let place = |keys: &[&'static str]| {
        let key = keys.iter().find(|key| draft.places.contains_key(**key))?;
        Some((*key, draft.places.get(*key)?.clone()))
    };
    if let Some(calendar) = draft.calendar.take() {
        if let Some((key, span)) = place(BY_HAND) {
            let help = "keep one of the two; a day that differs stands under `dates`";
            let message = format!("`calendar` and `{key}` are both declared");
            let problem = problems.add(span, message, help);
            if let Some(calendar) = draft.places.get("calendar") {
                problem.other(calendar.clone(), "the calendar");
            }
        }
        return Some(Rule::Calendar { calendar, session: draft.session.unwrap_or_default() });
    }
    if let Some((key, span)) = place(BY_CALENDAR) {
        let help = "name the calendar: `calendar = \"NSE\"`, or take it out";
        problems.add(span, format!("`{key}` is declared without `calendar`"), help);
        return None;
    }
    let regimes = std::mem::take(&mut draft.regimes);
    let base = std::mem::take(&mut draft.base);
    let mut weekly = Vec::new();
    let has_own = place(&["open", "close", "sessions"]).is_some();
    if has_own {
        weekly.extend(week(&base, base.days, &span, problems));
    } else if regimes.is_empty() && draft.dates.is_empty() {
        let help = "write `open` and `close`, `sessions`, or `calendar`";
        let message = format!("the window {} has no hours", quoted(name));
        problems.add(span, message, help);
    }
    for (regime, span) in &regimes {
        weekly.extend(week(regime, regime.days.or(base.days), span, problems));
    }
    weekly.sort_by_key(|hours| hours.from);
    Some(Rule::Weekly(weekly))
}

/// The hours of a window or regime, which stands there; without `days` they are those of every day.
fn week(part: &Part, days: Option<Days>, span: &Span, problems: &mut Problems<'_>) -> Option<Hours> {
    let (sessions, place) = match (&part.open, &part.close, &part.sessions) {
        (Some((open, _)), Some((close, closes)), None) => {
            (vec![hours::session(*open, *close, closes.clone(), problems)?], closes.clone())
        }
        (None, None, Some((sessions, span))) => (sessions.clone(), span.clone()),
        (Some((_, span)), _, Some(_)) | (_, Some((_, span)), Some(_)) => {
            let message = "`sessions` stands beside `open` or `close`";
            problems.add(span.clone(), message, "write all of them as `sessions`");
            return None;
        }
        (None, None, None) => {
            problems.add(span.clone(), "the regime has no hours", "write `open` and `close`, or `sessions`");
            return None;
        }
        (Some((_, span)), None, None) => {
            problems.add(
                span.clone(),
                "`open` is declared without `close`",
                "say when it closes: `close = \"15:30\"`",
            );
            return None;
        }
        (None, Some((_, span)), None) => {
            problems.add(
                span.clone(),
                "`close` is declared without `open`",
                "say when it opens: `open = \"09:15\"`",
            );
            return None;
        }
    };
    let days = days.unwrap_or(Days::all());
    hours::over_midnight(days, &sessions, &place, problems);
    Some(Hours { from: part.from.as_ref().map(|(date, _)| *date), days, sessions })
}
