//! Guesses what was meant by a word that is not known.
//! Owns the measure of nearness and the words of other tools; known words are listed where they are used.

use super::diagnostic::quoted;
use crate::zones;

/// Words of other tools, and what they are called here.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("cmd", "command"),
    ("exec", "command"),
    ("run", "command"),
    ("program", "command"),
    ("cwd", "dir"),
    ("directory", "dir"),
    ("workdir", "dir"),
    ("working-dir", "dir"),
    ("working-directory", "dir"),
    ("environment", "env"),
    ("vars", "env"),
    ("schedule", "every"),
    ("interval", "every"),
    ("kill-signal", "stop-signal"),
    ("signal", "stop-signal"),
    ("grace", "stop-grace"),
    ("stop-timeout", "stop-grace"),
    ("timeout", "ready-timeout"),
    ("start-timeout", "ready-timeout"),
    ("restart-policy", "restart"),
    ("needs", "depends-on"),
    ("requires", "depends-on"),
    ("after", "depends-on"),
    ("exit-codes", "success-exit-codes"),
    ("initial", "first"),
    ("min", "first"),
    ("limit", "max"),
    ("reset", "reset-after"),
    ("window", "period"),
    ("max", "count"),
    ("tasks", "jobs"),
    ("processes", "services"),
    ("programs", "services"),
    ("never", "no"),
    ("off", "no"),
    ("on-error", "on-failure"),
    ("on-error", "on-abnormal"),
    ("global", "machine"),
    ("host", "machine"),
    ("timeout", "timeout-seconds"),
    ("timeout", "max-runtime"),
    ("runtime-max", "max-runtime"),
    ("interval", "period-seconds"),
    ("period", "period-seconds"),
    ("delay", "initial-delay-seconds"),
    ("start-period", "initial-delay-seconds"),
    ("retries", "failure-threshold"),
    ("command", "exec"),
    ("cmd", "exec"),
    ("http-get", "http"),
    ("httpget", "http"),
    ("url", "http"),
    ("tcp-socket", "tcp"),
    ("tcpsocket", "tcp"),
    ("health", "liveness"),
    ("healthcheck", "liveness"),
    ("readiness-probe", "readiness"),
    ("liveness-probe", "liveness"),
    ("startup-probe", "startup"),
    ("memory", "memory-max"),
    ("mem", "memory-max"),
    ("memory-limit", "memory-max"),
    ("mem-limit", "memory-max"),
    ("max-memory-restart", "memory-max"),
    ("cpu", "cpu-max"),
    ("cpus", "cpu-max"),
    ("cpu-quota", "cpu-max"),
    ("ulimits", "rlimits"),
    ("ulimit", "rlimits"),
    ("niceness", "nice"),
    ("uid", "user"),
    ("gid", "group"),
    ("dotenv", "env-file"),
    ("environment-file", "env-file"),
    ("keys", "instances"),
    ("pre-stop", "stop-command"),
    ("exec-stop", "stop-command"),
    ("service-healthy", "ready"),
    ("healthy", "ready"),
    ("service-started", "started"),
    ("service-completed-successfully", "completed-successfully"),
    ("succeeded", "completed-successfully"),
    ("tz", "timezone"),
    ("time-zone", "timezone"),
    ("on-calendar", "cron"),
    ("time", "at"),
    ("times", "at"),
    ("randomized-delay-sec", "jitter"),
    ("concurrency", "overlap"),
    ("concurrency-policy", "overlap"),
    ("max-instances", "max-overlap"),
    ("coalesce", "misfire"),
    ("misfire-grace-time", "misfire-grace"),
    ("forbid", "skip"),
    ("calendar", "window"),
    ("hours", "window"),
    ("session", "window"),
    ("hours", "sessions"),
    ("weekdays", "days"),
    ("start", "open"),
    ("end", "close"),
    ("holidays", "dates"),
    ("exceptions", "dates"),
    ("path", "file"),
    // The one zone of those who write it, and no name of the database.
    ("ist", "Asia/Kolkata"),
];

/// The known word that was probably meant.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // Guessing costs the product of the lengths; nobody mistypes a hundred letters.
    if word.is_empty() || word.len() > 100 {
        return None;
    }
    let folded = word.to_lowercase().replace('_', "-");
    let alias = OTHER_WORDS.iter().find(|(other, here)| *other == folded && known.contains(here));
    if let Some((_, here)) = alias {
        return known.iter().find(|candidate| *candidate == here).copied();
    }
    let distances = known.iter().map(|candidate| {
        let distance = strsim::damerau_levenshtein(&folded, &candidate.to_lowercase().replace('_', "-"));
        (distance, candidate)
    });
    let (distance, candidate) = distances.min_by_key(|(distance, _)| *distance)?;
    let length = folded.chars().count();
    // A word of which nothing is left was not meant.
    (distance <= length.max(3) / 3 && distance < length.max(candidate.len())).then_some(*candidate)
}

/// A help line: the nearest word, or all of them.
pub(super) fn help(word: &str, known: &[&str]) -> String {
    const LISTED_MOST: usize = 20;
    match nearest(word, known) {
        Some(meant) => format!("did you mean {}?", quoted(meant)),
        None => {
            let mut shown: Vec<_> = known.iter().take(LISTED_MOST).map(|word| quoted(word)).collect();
            if known.len() > LISTED_MOST {
                shown.push("…".to_owned());
            }
            format!("known are {}", shown.join(", "))
        }
    }
}

/// What to do about a name that is no time zone: the nearest one, by the whole or by the city alone.
pub(crate) fn zone_help(name: &str) -> String {
    let names = zones::names();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let city =
        |name: &str| name.rsplit('/').next().unwrap_or_default().replace(' ', "_").to_ascii_lowercase();
    let same = known.iter().find(|zone| zone.contains('/') && city(zone) == city(name)).copied();
    match same.or_else(|| nearest(name, &known)) {
        Some(meant) => format!("did you mean {}?", quoted(meant)),
        None => {
            "write a name of the IANA database, like `Asia/Kolkata`; it need not be abbreviated".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_other_spellings_and_other_words_are_understood() {
        let known = ["command", "dir", "depends-on", "port", "ports"];
        for (word, meant) in [
            ("comand", "command"),
            ("COMMAND", "command"),
            ("cwd", "dir"),
            ("depends_on", "depends-on"),
            ("prot", "port"),
            ("portz", "port"),
        ] {
            assert_eq!(nearest(word, &known), Some(meant), "{word}");
        }
    }

    #[test]
    fn a_far_word_gets_no_guess_but_the_list() {
        assert_eq!(nearest("banana", &["command", "dir"]), None);
        assert_eq!(nearest("", &["a"]), None);
        assert_eq!(nearest("x", &["a"]), None);
        assert_eq!(help("banana", &["command", "dir"]), "known are `command`, `dir`");
    }
}
