//! Reads durations such as `"5s"` or `"1m 30s"`; a number without a unit is not one.
//! Which durations make sense for a key is said by the caller.

use std::time::Duration;

use humantime::DurationError;
use toml::de::DeValue;

use super::diagnostic::{Problems, quoted};
use super::tree::Value;

/// Far beyond any need, and safe to add to any time.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// A run that follows another so soon was not meant, and nothing starts faster.
const SHORTEST: Duration = Duration::from_millis(10);

/// Whether no time at all is a duration the key can have.
#[derive(Clone, Copy)]
pub(super) enum Zero {
    Allowed,
    /// Refused, and why.
    Refused(&'static str),
}

/// The duration, or `None` after saying what is wrong with it.
pub(super) fn read(value: &Value<'_>, zero: Zero, problems: &mut Problems<'_>) -> Option<Duration> {
    let source = problems.source(&value.span);
    let text = match value.tree {
        DeValue::String(text) => text.trim(),
        DeValue::Integer(_) | DeValue::Float(_) => {
            report_bare_number(value, source, problems);
            return None;
        }
        _ => {
            value.wrong_type("a string with a duration", problems);
            return None;
        }
    };
    if let Some(rest) = text.strip_prefix('-').filter(|rest| parse(rest).is_ok()) {
        let message = format!("{} is negative: {}", value.called, quoted(text));
        problems.add(value.span.clone(), message, format!("leave out the sign: `\"{rest}\"`"));
        return None;
    }
    let found = match parse(text) {
        Ok(found) => found,
        Err(Fault::NoUnit) => {
            report_bare_number(value, text, problems);
            return None;
        }
        Err(fault) => {
            let message = format!("{} is not a duration: {}", value.called, quoted(text));
            problems.add(value.span.clone(), message, help(value)).label(fault.reason());
            return None;
        }
    };
    if found > LONGEST {
        let message = format!("{} is too long: {}", value.called, quoted(text));
        problems.add(value.span.clone(), message, "ten years are the most");
        return None;
    }
    match zero {
        Zero::Refused(why) if found.is_zero() => {
            problems.add(value.span.clone(), format!("{} is zero", value.called), help(value)).label(why);
            None
        }
        Zero::Refused(_) | Zero::Allowed => Some(found),
    }
}

/// An interval: see [`interval`].
pub(super) fn read_interval(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Duration> {
    let found = read(value, Zero::Refused("it would start without end"), problems)?;
    if found < SHORTEST {
        let text = quoted(value.tree.as_str().unwrap_or_default());
        problems.add(
            value.span.clone(),
            format!("{} is too short: {text}", value.called),
            "10ms are the least",
        );
        return None;
    }
    Some(found)
}

/// An interval as `every` takes it, or why it is none, in one line.
pub fn interval(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    match parse(text) {
        Ok(found) if (SHORTEST..=LONGEST).contains(&found) => Ok(found),
        Ok(found) if found > LONGEST => Err(format!("{} is too long: ten years are the most", quoted(text))),
        Ok(_) => Err(format!("{} is too short: 10ms are the least", quoted(text))),
        Err(_) if text.starts_with('-') => Err(format!("{} is negative", quoted(text))),
        Err(fault) => Err(format!("{} is not a duration: {}", quoted(text), fault.reason())),
    }
}

/// A duration in which each number has its unit, or why it is none, in one line.
pub fn duration(text: &str) -> Result<Duration, String> {
    parse(text).map_err(|fault| format!("{}; write it like 5s or 1m 30s", fault.reason()))
}

enum Fault {
    NoUnit,
    UnknownUnit(String),
    TooManyDigits,
    Other(&'static str),
}

impl Fault {
    fn reason(&self) -> String {
        match self {
            Fault::NoUnit => "the unit is missing".to_owned(),
            Fault::UnknownUnit(unit) => format!("{} is no unit", quoted(unit)),
            Fault::TooManyDigits => "more digits than any duration needs".to_owned(),
            Fault::Other(reason) => (*reason).to_owned(),
        }
    }
}

fn parse(text: &str) -> Result<Duration, Fault> {
    // Eleven digits cannot reach the largest duration with any unit. Beyond, the parser checks its sums, but
    // panics where whole seconds at the limit meet exactly a thousand milliseconds.
    if text.chars().filter(char::is_ascii_digit).count() > 11 {
        return Err(Fault::TooManyDigits);
    }
    // The parser takes `0` alone for a duration; here each number has its unit.
    if !text.is_empty() && text.chars().all(|letter| letter.is_ascii_digit() || letter == '.') {
        return Err(Fault::NoUnit);
    }
    humantime::parse_duration(text).map_err(|fault| match fault {
        DurationError::UnknownUnit { unit, .. } if unit.is_empty() => Fault::NoUnit,
        DurationError::UnknownUnit { unit, .. } => Fault::UnknownUnit(unit),
        DurationError::NumberOverflow => Fault::Other("the number is too large or too fine"),
        DurationError::Empty => Fault::Other("it is empty"),
        DurationError::NumberExpected(_) => Fault::Other("a number and a unit are expected"),
        DurationError::InvalidCharacter(_) => Fault::Other("only numbers and units are expected"),
    })
}

fn report_bare_number(value: &Value<'_>, number: &str, problems: &mut Problems<'_>) {
    if number.starts_with('-') {
        let message = format!("{} is negative: {}", value.called, quoted(number));
        problems.add(value.span.clone(), message, help(value));
        return;
    }
    let is_plain = number.len() < 10 && number.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    let help = if is_plain { format!("for seconds write `\"{number}s\"`") } else { help(value) };
    let message = format!("{} is a number without a unit", value.called);
    problems.add(value.span.clone(), message, help).label("the unit is missing");
}

fn help(value: &Value<'_>) -> String {
    format!("write it like `{}`; units are ms, s, m, h, d", value.example)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_makes_the_parser_panic() {
        for text in [
            "",
            " ",
            "s",
            "1",
            "0",
            "1.",
            "1.s",
            ".5s",
            "é",
            "1é",
            "1µs",
            "18446744073709551615s 1000ms",
            "18446744073709551615s 1000000000ns",
            "584542046090y",
            "99999999999y",
            "0.00000000001y",
            "1 2 3 s",
            "\u{0}",
        ] {
            let _ = parse(text);
        }
    }

    #[test]
    fn usual_durations_are_read() {
        for (text, millis) in [("6s", 6000), ("250ms", 250), ("1m 30s", 90_000), ("1.5s", 1500), ("0s", 0)] {
            assert_eq!(parse(text).ok(), Some(Duration::from_millis(millis)), "{text}");
        }
    }
}
