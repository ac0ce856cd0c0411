//! Reads what a program may use: memory, CPU, limits of setrlimit(2), niceness, umask.
//! Whether the system can keep it is seen when it is started.

use toml::de::DeValue;

use super::diagnostic::{Problems, Span, quoted};
use super::settings::unknown_key;
use super::suggest;
use super::tree::{Field, Value, integer};

const UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// The names of setrlimit(2) in lower case, without `RLIMIT_`.
pub(super) const RLIMITS: &[&str] = &[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Bytes.
pub(super) fn memory(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<u64> {
    let help = || format!("write it like `{}`; units are KiB, MiB, GiB and KB, MB, GB", value.example);
    // Above, no fraction is exact any more; no machine has so much.
    const MOST: f64 = (1_u64 << 52) as f64;
    let text = match value.tree {
        DeValue::String(text) => text.trim(),
        DeValue::Integer(_) | DeValue::Float(_) => problems.source(&value.span),
        _ => {
            value.wrong_type("a string with a size", problems);
            return None;
        }
    };
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).trim_end();
    let unit = text.get(digits.len()..).unwrap_or_default().trim_start();
    let Some(number) = decimal(digits) else {
        let message = format!("{} is not a size: {}", value.called, quoted(text));
        problems.add(value.span.clone(), message, help()).label("a number and a unit are expected");
        return None;
    };
    let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        no_unit(value, digits, unit, help(), problems);
        return None;
    };
    let bytes = number * *size as f64;
    if !(1.0..=MOST).contains(&bytes) {
        problems.add(value.span.clone(), format!("{} is no usable size", quoted(text)), help());
        return None;
    }
    Some(bytes as u64)
}

/// `512M` is 512 MiB for systemd and 512 MB for Kubernetes: nothing is taken for granted.
fn no_unit(value: &Value<'_>, digits: &str, unit: &str, help: String, problems: &mut Problems<'_>) {
    if unit.is_empty() {
        let message = format!("{} is a number without a unit", value.called);
        problems.add(value.span.clone(), message, help).label("the unit is missing");
        return;
    }
    let is_near = |name: &str| {
        [name, &name.replace('i', ""), &name[..1]].iter().any(|near| near.eq_ignore_ascii_case(unit))
    };
    let help = match UNITS.iter().find(|(name, _)| is_near(name)) {
        Some((meant, _)) => format!("did you mean `\"{digits}{meant}\"`?"),
        None => help,
    };
    problems.add(value.span.clone(), format!("{} is no unit of a size", quoted(unit)), help);
}

/// Digits and a point, without sign and exponent.
fn decimal(text: &str) -> Option<f64> {
    let is_plain = text.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
    text.parse::<f64>().ok().filter(|number| is_plain && number.is_finite())
}

/// CPUs, a fraction is part of one.
pub(super) fn cpu(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<f64> {
    const LEAST: f64 = 0.01;
    const MOST: f64 = 4096.0;
    let found = match value.tree {
        DeValue::String(text) => text.strip_suffix('%').and_then(decimal).map(|percent| percent / 100.0),
        DeValue::Integer(_) | DeValue::Float(_) => number(value),
        _ => {
            value.wrong_type("a number or a string with a percentage", problems);
            return None;
        }
    };
    let found = found.filter(|cpus| (LEAST..=MOST).contains(cpus));
    if found.is_none() {
        let message = format!("{} is no number of CPUs", quoted(problems.source(&value.span)));
        let help = format!("write `cpu-max = 1.5` or `cpu-max = \"150%\"`; from {LEAST} to {MOST}");
        problems.add(value.span.clone(), message, help);
    }
    found
}

/// A number, whole or not; `None` for what is none, and for what does not fit.
pub(super) fn number(value: &Value<'_>) -> Option<f64> {
    match value.tree {
        DeValue::Integer(digits) => i32::try_from(integer(digits)?).ok().map(f64::from),
        DeValue::Float(digits) => digits.as_str().parse::<f64>().ok().filter(|number| number.is_finite()),
        _ => None,
    }
}

pub(super) fn rlimits(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Vec<(String, u64, u64)>> {
    let mut limits = Vec::new();
    for Field { key, key_span, value } in value.table(problems)? {
        if !RLIMITS.contains(&key) {
            // As in limits.h and getrlimit(2).
            let bare = key.to_lowercase();
            let bare = bare.strip_prefix("rlimit_").unwrap_or(&bare);
            let message = format!("rlimits has no key {}", quoted(key));
            problems.add(key_span, message, suggest::help(bare, RLIMITS)).label("unknown");
            continue;
        }
        let value = value.example(
            "rlimits = { nofile = 65536, core = \"unlimited\", nproc = { soft = 100, hard = 200 } }",
        );
        if let Some((soft, hard)) = soft_and_hard(&value, problems) {
            limits.push((key.to_owned(), soft, hard));
        }
    }
    // The order of the file does not matter, and so must not tell two declarations apart.
    limits.sort();
    Some(limits)
}

fn soft_and_hard(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<(u64, u64)> {
    if !value.tree.is_table() {
        let both = rlimit(value, problems)?;
        return Some((both, both));
    }
    let mut soft: Option<(u64, Span)> = None;
    let mut hard: Option<(u64, Span)> = None;
    for field in value.table(problems)? {
        let value = field.value.example(value.example);
        match field.key {
            "soft" => soft = Some((rlimit(&value, problems)?, value.span)),
            "hard" => hard = Some((rlimit(&value, problems)?, value.span)),
            key => unknown_key("a limit", key, field.key_span, &["soft", "hard"], problems),
        }
    }
    match (soft, hard) {
        (Some((soft, soft_span)), Some((hard, hard_span))) if soft > hard => {
            problems
                .add(soft_span, "the soft limit is above the hard one", "lower `soft`, or raise `hard`")
                .other(hard_span, "the hard limit");
            None
        }
        (Some((soft, _)), Some((hard, _))) => Some((soft, hard)),
        (soft, _) => {
            let missing = if soft.is_some() { "hard" } else { "soft" };
            let message = format!("{} has no `{missing}`", value.called);
            problems.add(value.span.clone(), message, "give both, or one number for both");
            None
        }
    }
}

fn rlimit(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<u64> {
    match value.tree {
        DeValue::String(text) if text == "unlimited" => Some(u64::MAX),
        DeValue::String(text) => {
            let message = format!("{} is no limit", quoted(text));
            problems.add(value.span.clone(), message, "write a number without quotes, or `\"unlimited\"`");
            None
        }
        _ => value.whole("a limit", 0, i64::MAX, problems).and_then(|limit| u64::try_from(limit).ok()),
    }
}

pub(super) fn nice(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<i32> {
    value.whole("a niceness", -20, 19, problems).and_then(|nice| i32::try_from(nice).ok())
}

/// A string, for a number in TOML loses its leading zero, and with it what it means.
pub(super) fn umask(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<u32> {
    let text = value.string(problems)?;
    let is_octal = (1..=4).contains(&text.len()) && text.chars().all(|digit| digit.is_digit(8));
    let found = u32::from_str_radix(text, 8).ok().filter(|mask| is_octal && *mask <= 0o777);
    if found.is_none() {
        let message = format!("{} is not a umask", quoted(text));
        problems.add(value.span.clone(), message, "write three octal digits: `umask = \"027\"`");
    }
    found
}
