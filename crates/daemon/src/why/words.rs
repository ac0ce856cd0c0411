//! Moments, spans, causes and ends as a tired person reads them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use soloist_api::status::ExitStatus;
use soloist_os::identity::signal_name;

/// `310 ms`, `2.1 s`, `3 min 5 s`, `2 h 5 min`, `12 days`.
pub fn span(ms: u64) -> String {
    let two = |big: u64, big_word: &str, small: u64, small_word: &str| match small {
        0 => format!("{big} {big_word}"),
        small => format!("{big} {big_word} {small} {small_word}"),
    };
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 if ms % 1_000 < 100 => format!("{} s", ms / 1_000),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => two(ms / 60_000, "min", ms / 1_000 % 60, "s"),
        3_600_000..172_800_000 => two(ms / 3_600_000, "h", ms / 60_000 % 60, "min"),
        _ => format!("{} days", ms / 86_400_000),
    }
}

/// A moment in the reader's time zone, to the millisecond.
pub fn instant(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// How long one moment is before another.
pub fn between(earlier: Timestamp, later: Timestamp) -> String {
    span(u64::try_from(later.as_millisecond() - earlier.as_millisecond()).unwrap_or(0))
}

/// `14:03:11`, with its day if that is not today.
pub fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let form = if at.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    at.strftime(form).to_string()
}

/// `15:40 IST`, `09:15:06 IST`, with its day if that is not today: a moment in a zone that may not be the reader's.
pub fn local(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (at, now) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let day = if at.date() == now.date() { "" } else { "%a %Y-%m-%d " };
    let time = if at.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    at.strftime(&format!("{day}{time} %Z")).to_string()
}

/// `exit code 1`, `signal 9 (SIGKILL)`.
pub fn exit(exit: ExitStatus) -> String {
    match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal} ({})", signal_name(signal)),
        (None, None) => "an end that nobody saw".to_owned(),
    }
}

/// Why it was started or stopped, after a verb: `by ada`, `because of db`.
pub fn because(cause: &str) -> String {
    match cause {
        "crash" => "because the run before it had fallen".to_owned(),
        "schedule" => "by its schedule".to_owned(),
        "takeover by a new daemon" => "by a new daemon, since it was wanted".to_owned(),
        _ => match cause.strip_prefix("dependency ") {
            Some(on) => format!("because of {on}"),
            None if cause.starts_with("it ") || cause.starts_with("its ") => format!("because {cause}"),
            None => format!("by {cause}"),
        },
    }
}

/// The beginning of a run's id: enough to find it in the history.
pub fn short(run: &str) -> String {
    let head: String = run.chars().take(4).collect();
    format!("{head}…")
}

/// Words that somebody else wrote, in one line and without a full stop of their own.
pub fn plain(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ").trim_end_matches('.').to_owned()
}
