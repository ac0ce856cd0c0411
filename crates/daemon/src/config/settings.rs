//! Reads the values that are soloist's own: ports, restart rules, exit codes, signals, words of a choice.
//! One function a key; each returns the value or `None` after saying what is wrong with it.

use std::time::Duration;

use soloist_core::plan::{Backoff, Restart, RestartLimit};

use super::declared::HUP;
use super::diagnostic::{Problems, Span, quoted};
use super::duration::{self, Zero};
use super::tree::{Field, Value};
use super::{spares, suggest};

pub(super) const BACKOFF_KEYS: &[&str] = &["first", "max", "reset-after"];
pub(super) const LIMIT_KEYS: &[&str] = &["count", "period"];
pub(super) const RESTARTS: &[(&str, Restart)] = &[
    ("no", Restart::No),
    ("on-failure", Restart::OnFailure(None)),
    ("on-failure:3", Restart::OnFailure(Some(3))),
    ("always", Restart::Always),
    // A stop that was asked for is kept by each of them.
    ("unless-stopped", Restart::Always),
    ("on-success", Restart::OnSuccess),
    ("on-abnormal", Restart::OnAbnormal),
];
const SIGNALS: &[&str] = &["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "KILL"];

/// The two signals whose numbers differ between systems.
const USR: (i32, i32) =
    if cfg!(any(target_os = "linux", target_os = "android")) { (10, 12) } else { (30, 31) };

pub(super) fn port(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<u16> {
    u16::try_from(value.whole("a port", 1, 65535, problems)?).ok()
}

pub(super) fn ports(value: &Value<'_>, problems: &mut Problems<'_>) -> Vec<spares::Asked> {
    let entries = value.list(problems).unwrap_or_default();
    entries.iter().filter_map(|entry| spares::read(entry, problems)).collect()
}

pub(super) fn success_codes(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Vec<i32>> {
    if value.tree.as_array().is_some_and(|list| list.is_empty()) {
        let help = "name at least one code, or leave the key out for `[0]`";
        problems.add(value.span.clone(), format!("{} is empty: no run could succeed", value.called), help);
        return None;
    }
    exit_codes(value, problems)
}

pub(super) fn exit_codes(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Vec<i32>> {
    let entries = value.list(problems)?;
    let codes = entries.iter().filter_map(|entry| entry.whole("an exit code", 0, 255, problems));
    Some(codes.filter_map(|code| i32::try_from(code).ok()).collect())
}

pub(super) fn restart(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Restart> {
    let Some(number) = value.tree.as_str().and_then(|word| word.strip_prefix("on-failure:")) else {
        return choice(value, "a restart rule", RESTARTS, problems);
    };
    match number.parse::<u32>() {
        Ok(0) => {
            let message = "`on-failure:0` would never restart";
            problems.add(value.span.clone(), message, "write `restart = \"no\"`");
            None
        }
        Ok(most) => Some(Restart::OnFailure(Some(most))),
        Err(_) => {
            let message = format!("{} is not a number of restarts", quoted(number));
            problems.add(value.span.clone(), message, "write it like `restart = \"on-failure:3\"`");
            None
        }
    }
}

/// One of some words; `as_what` says what they are, as in "a scope".
pub(super) fn choice<T: Copy>(
    value: &Value<'_>,
    as_what: &str,
    words: &[(&str, T)],
    problems: &mut Problems<'_>,
) -> Option<T> {
    let word = value.string(problems)?;
    let found = words.iter().find(|(known, _)| *known == word).map(|(_, meant)| *meant);
    if found.is_none() {
        let known: Vec<_> = words.iter().map(|(known, _)| *known).collect();
        let message = format!("{} is not {as_what}", quoted(word));
        problems.add(value.span.clone(), message, suggest::help(word, &known));
    }
    found
}

pub(super) fn backoff(value: &Value<'_>, standard: Backoff, problems: &mut Problems<'_>) -> Option<Backoff> {
    let mut backoff = standard;
    let mut places: (Option<Span>, Option<Span>) = (None, None);
    for Field { key, key_span, value } in value.table(problems)? {
        let place = Some(value.span.clone());
        match key {
            "first" => {
                let why = Zero::Refused("restarts would follow each other without a pause");
                set(&mut backoff.first, duration::read(&value.example("first = \"1s\""), why, problems));
                places.0 = place;
            }
            "max" => {
                let why = Zero::Refused("restarts would follow each other without a pause");
                set(&mut backoff.max, duration::read(&value.example("max = \"60s\""), why, problems));
                places.1 = place;
            }
            "reset-after" => {
                let value = value.example("reset-after = \"30s\"");
                set(&mut backoff.reset_after, duration::read(&value, Zero::Allowed, problems));
            }
            _ => unknown_key("backoff", key, key_span, BACKOFF_KEYS, problems),
        }
    }
    if backoff.first > backoff.max {
        let (first, max) = (shown(backoff.first), shown(backoff.max));
        let help = "raise `max`, or lower `first`";
        let message = format!("the first delay, {first}, is longer than the longest, {max}");
        match places {
            (Some(first_span), Some(max_span)) => {
                problems.add(first_span, message, help).label("the first").other(max_span, "the longest");
            }
            (Some(span), None) => {
                problems.add(span, message, help).label(format!("without `max` the longest is {max}"));
            }
            (None, Some(span)) => {
                problems.add(span, message, help).label(format!("without `first` the first is {first}"));
            }
            // The standard is in order.
            (None, None) => {}
        }
    }
    Some(backoff)
}

pub(super) fn restart_limit(
    value: &Value<'_>,
    standard: RestartLimit,
    problems: &mut Problems<'_>,
) -> Option<RestartLimit> {
    let mut limit = standard;
    for Field { key, key_span, value } in value.table(problems)? {
        match key {
            "count" => {
                let value = value.example("count = 10");
                let count = value.whole("a count of restarts", 1, i64::from(u32::MAX), problems);
                set(&mut limit.count, count.and_then(|count| u32::try_from(count).ok()));
            }
            "period" => {
                let why = Zero::Refused("no two restarts are within no time, so the limit would not limit");
                set(&mut limit.period, duration::read(&value.example("period = \"10m\""), why, problems));
            }
            _ => unknown_key("restart-limit", key, key_span, LIMIT_KEYS, problems),
        }
    }
    Some(limit)
}

/// `purpose` says what it is for, as in "stop with".
pub(super) fn signal(value: &Value<'_>, purpose: &str, problems: &mut Problems<'_>) -> Option<i32> {
    let word = value.string(problems)?;
    let name = word.strip_prefix("SIG").unwrap_or(word);
    let number = match name {
        "TERM" => 15,
        "INT" => 2,
        "HUP" => HUP,
        "QUIT" => 3,
        "USR1" => USR.0,
        "USR2" => USR.1,
        "KILL" => 9,
        _ => {
            let upper = name.to_uppercase();
            let upper = upper.strip_prefix("SIG").unwrap_or(&upper);
            let message = format!("{} is not a signal to {purpose}", quoted(word));
            problems.add(value.span.clone(), message, suggest::help(upper, SIGNALS));
            return None;
        }
    };
    Some(number)
}

pub(super) fn unknown_key(owner: &str, key: &str, span: Span, known: &[&str], problems: &mut Problems<'_>) {
    let message = format!("{owner} has no key {}", quoted(key));
    problems.add(span, message, suggest::help(key, known)).label("unknown");
}

/// Takes a value that could be read; after a problem the old one stays, and the file is refused anyway.
pub(super) fn set<T>(place: &mut T, found: Option<T>) {
    if let Some(found) = found {
        *place = found;
    }
}

fn shown(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use soloist_core::plan::Plan;

    #[test]
    fn the_standard_backoff_is_in_order() {
        let standard = Plan::default().backoff;
        assert!(standard.first <= standard.max);
    }
}
