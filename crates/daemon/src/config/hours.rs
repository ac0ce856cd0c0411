//! Reads days of the week, times of day, and the sessions of a day: each closes after it opens, and no two overlap.

use soloist_core::schedule::calendar::Session;
use soloist_core::schedule::civil::{Days, TimeOfDay, Weekday};

use super::diagnostic::{Problems, Span, quoted};
use super::suggest;
use super::tree::Value;

const DAY: u32 = 24 * 3600;

/// `"mon-fri"`, `"mon-thu,sun"`, or a list of such words.
pub(super) fn days(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Days> {
    let mut found = Vec::new();
    for (text, entry) in value.one_or_more(problems) {
        let mut start = 0;
        for word in text.split(',') {
            match span_of_days(word.trim()) {
                Ok(days) => found.extend(days),
                Err(unknown) => {
                    let at = start + word.find(unknown).unwrap_or_default();
                    let place = entry.place(text, &(at..at + unknown.len()), problems);
                    let short = unknown.get(..3).unwrap_or(unknown);
                    let help = suggest::help(short, &Weekday::ALL.map(Weekday::short));
                    problems.add(place, format!("{} is no day of the week", quoted(unknown)), help);
                    return None;
                }
            }
            start += word.len() + 1;
        }
    }
    (!found.is_empty()).then(|| Days::of(&found))
}

/// A day, or all from one to another, over the end of the week if need be; else the word that is none.
fn span_of_days(word: &str) -> Result<Vec<Weekday>, &str> {
    let day = |word: &'_ str| Weekday::ALL.into_iter().position(|day| day.short().eq_ignore_ascii_case(word));
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (first.trim(), last.trim());
    let (Some(from), Some(to)) = (day(first), day(last)) else {
        return Err(if day(first).is_some() { last } else { first });
    };
    let length = (to + 7 - from) % 7;
    Ok((from..=from + length).map(|at| Weekday::ALL[at % 7]).collect())
}

/// `"09:15"`; from 24:00 on it is a time of the next day.
pub(super) fn time(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<TimeOfDay> {
    let text = value.string(problems)?;
    time_in(text, value.span.clone(), value, problems)
}

fn time_in(text: &str, span: Span, value: &Value<'_>, problems: &mut Problems<'_>) -> Option<TimeOfDay> {
    let found = TimeOfDay::parse(text.trim());
    if found.is_none() {
        let help = format!("write it like `{}`; times of the next day go up to 48:00", value.example);
        problems.add(span, format!("{} is no time of day", quoted(text.trim())), help);
    }
    found
}

/// `"closed"`, or the sessions of a day in order.
pub(super) fn day(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Vec<Session>> {
    match value.tree.as_str() {
        Some("closed") => Some(Vec::new()),
        _ => sessions(value, problems),
    }
}

/// `"09:00-11:30"`, or a list of such, in order.
pub(super) fn sessions(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Vec<Session>> {
    let told = problems.count();
    let mut found = Vec::new();
    for (text, entry) in value.one_or_more(problems) {
        let Some((open, close)) = text.split_once('-') else {
            let help = format!("write it like `{}`", value.example);
            problems.add(entry.span, format!("{} is no session", quoted(text)), help);
            continue;
        };
        let after = text.len() - close.len();
        let places = [0..open.len(), after..text.len()].map(|part| entry.place(text, &part, problems));
        let [open_place, close_place] = places;
        let open = time_in(open, open_place, value, problems);
        let close = time_in(close, close_place, value, problems);
        if let (Some(open), Some(close)) = (open, close) {
            found.extend(session(open, close, entry.span.clone(), problems).map(|found| (found, entry.span)));
        }
    }
    (problems.count() == told).then_some(())?;
    found.sort_by_key(|(session, _)| *session);
    for pair in found.windows(2) {
        let [(first, first_span), (second, span)] = pair else { continue };
        if second.open < first.close {
            let message = format!("the sessions {} and {} overlap", shown(first), shown(second));
            let help = "end the one before the other begins, or make them one";
            problems.add(span.clone(), message, help).other(first_span.clone(), "the other one");
            return None;
        }
    }
    Some(found.into_iter().map(|(session, _)| session).collect())
}

/// A session that closes after it opens.
pub(super) fn session(
    open: TimeOfDay,
    close: TimeOfDay,
    span: Span,
    problems: &mut Problems<'_>,
) -> Option<Session> {
    let session = Session { open, close };
    if open < close {
        return Some(session);
    }
    let (message, help) = if open == close {
        let help = "for a whole day write 00:00 and 24:00".to_owned();
        (format!("it opens and closes at the same time, {open}"), help)
    } else {
        let help = match TimeOfDay::new(close.seconds() + DAY) {
            Some(next) => format!("for a session over midnight write `{next}`"),
            None => "let it close later than it opens".to_owned(),
        };
        (format!("it closes at {close}, before it opens at {open}"), help)
    };
    problems.add(span, message, help);
    None
}

/// Reports a session over midnight that overlaps with one of the day after.
pub(super) fn over_midnight(days: Days, sessions: &[Session], span: &Span, problems: &mut Problems<'_>) {
    let (Some(first), Some(last)) = (sessions.first(), sessions.last()) else { return };
    let is_followed = (0..7).any(|at| days.has(Weekday::ALL[at]) && days.has(Weekday::ALL[(at + 1) % 7]));
    if is_followed && last.close.seconds() > first.open.seconds() + DAY {
        let message = format!("the session {} overlaps with {} of the next day", shown(last), shown(first));
        problems.add(span.clone(), message, "let it close before the other opens");
    }
}

fn shown(session: &Session) -> String {
    format!("{}-{}", session.open, session.close)
}
