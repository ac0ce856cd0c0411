//! The text of a state without what makes no difference: names become numbers in the order of their appearance, times
//! become distances from now, and counters of the core that only tell, or only make new names, are left out.

use std::collections::BTreeMap;
use std::time::Duration;

use soloist_core::time::Time;

/// What is longer ago than this is long ago: every span that a plan of these worlds measures is shorter.
const LONG_AGO: Duration = Duration::from_secs(2);
const NAMES: [&str; 5] = ["RunId", "ClaimId", "AskId", "GuardId", "Lock"];
/// Left out with what is in their brackets.
const SILENT: [&str; 7] = ["plan: ", "random: ", "revision: ", "asked: ", "falls: ", "touched: ", "names: "];

pub fn canonical(text: &str, now: Time) -> String {
    let mut names: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut out = String::with_capacity(text.len() / 2);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if !first.is_ascii_alphabetic() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        if let Some(silent) = SILENT.iter().find(|silent| rest.starts_with(**silent)) {
            rest = &rest[silent.len()..];
            rest = &rest[value(rest)..];
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        out.push_str(word);
        rest = after;
        let Some(inner) = after.strip_prefix('(').and_then(|open| Some(&open[..open.find(')')?])) else {
            continue;
        };
        if NAMES.contains(&word) {
            let next = names.len();
            out.push_str(&names.entry((word, inner)).or_insert(next).to_string());
            rest = &after[inner.len() + 2..];
        } else if word == "Time" {
            let at = read(inner).unwrap_or_default();
            match at.checked_sub(now.0) {
                Some(ahead) => out.push_str(&format!("+{ahead:?}")),
                None => out.push_str(&format!("-{:?}", (now.0 - at).min(LONG_AGO))),
            }
            rest = &after[inner.len() + 2..];
        }
    }
    out
}

/// So long is the value that a text begins with: up to the comma or bracket that ends it.
fn value(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' | ',' if depth == 0 => return at,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Reads how `Duration` shows itself.
fn read(text: &str) -> Option<Duration> {
    let units = [("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (number, unit) = units.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)))?;
    Some(Duration::from_nanos((number.parse::<f64>().ok()? * unit * 1e9).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_the_hour_make_no_difference_and_all_else_does() {
        let at = |secs| Time(Duration::from_secs(secs));
        let told = |run: u64, until: u64, now: u64| {
            let text =
                format!("{{ plan: Plan {{ a: (1, 2) }}, run: RunId({run}), {:?}, asked: {run} }}", at(until));
            canonical(&text, at(now))
        };
        assert_eq!(told(17, 12, 10), told(4, 102, 100));
        assert_ne!(told(17, 12, 10), told(17, 13, 10));
        assert_eq!(told(17, 1, 50), told(17, 2, 50), "both are long ago");
        assert_ne!(canonical("RunId(1) RunId(2)", at(0)), canonical("RunId(1) RunId(1)", at(0)));
        assert_eq!(read("1.25s"), Some(Duration::from_millis(1250)));
        assert_eq!(read("3.5ms"), Some(Duration::from_micros(3500)));
    }
}
