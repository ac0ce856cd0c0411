//! Reads the tables `startup`, `readiness` and `liveness`: what is asked, and in which rhythm.
//! The names of the rhythm, and what they may be, are those of Kubernetes (`core/v1 Probe`).

use std::time::Duration;

use soloist_core::plan::Probe;
use toml::de::DeValue;

use super::diagnostic::{Problems, Span, quoted};
use super::instances::Site;
use super::question;
use super::settings::{set, unknown_key};
use super::tree::{Field, Value};
use super::{Check, limits, suggest};

const RHYTHM_KEYS: &[&str] =
    &["initial-delay-seconds", "period-seconds", "timeout-seconds", "success-threshold", "failure-threshold"];

/// Which of the three probes of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Startup,
    Readiness,
    Liveness,
}

impl Which {
    pub(super) fn named(key: &str) -> Option<Which> {
        match key {
            "startup" => Some(Which::Startup),
            "readiness" => Some(Which::Readiness),
            "liveness" => Some(Which::Liveness),
            _ => None,
        }
    }

    fn example(self) -> &'static str {
        match self {
            Which::Startup => "startup = { log = \"listening\" }",
            Which::Readiness => "readiness = { http = \"/health\" }",
            Which::Liveness => "liveness = { http = \"/health\" }",
        }
    }

    /// What it may ask.
    pub(super) fn kinds(self) -> &'static [&'static str] {
        match self {
            Which::Startup => &["http", "tcp", "exec", "log"],
            Which::Readiness => &["http", "tcp", "exec", "log", "notify"],
            Which::Liveness => &["http", "tcp", "exec"],
        }
    }

    pub(super) fn keys(self) -> Vec<&'static str> {
        self.kinds().iter().chain(RHYTHM_KEYS).copied().collect()
    }
}

/// What a service is asked.
pub(super) enum Asked {
    Nothing,
    /// It says itself that it is ready.
    Notify,
    /// We ask.
    Check(Probe, Check),
}

/// `None` after saying what is wrong.
pub(super) fn read(
    which: Which,
    key_span: Span,
    value: Value<'_>,
    first_port: Option<u16>,
    site: Site<'_>,
    problems: &mut Problems<'_>,
) -> Option<Asked> {
    let value = value.example(which.example());
    if let (Which::Readiness, DeValue::String(word)) = (which, value.tree) {
        return shorthand(word, &value, first_port, problems);
    }
    let mut probe = Probe::default();
    let mut found: Option<(Span, Option<Asked>)> = None;
    let mut rhythm: Option<(&str, Span)> = None;
    let mut is_known = true;
    for Field { key, key_span, value } in value.table(problems)? {
        if RHYTHM_KEYS.contains(&key) {
            rhythm_of(&mut probe, which, key, &value, problems);
            rhythm = rhythm.or(Some((key, key_span)));
        } else if !which.kinds().contains(&key) {
            unknown(which, key, key_span, problems);
            is_known = false;
        } else if let Some((first, _)) = &found {
            let message = format!("{} asks two things", quoted(name(which)));
            problems
                .add(key_span, message, "take one of the two out")
                .label("the second")
                .other(first.clone(), "the first");
        } else {
            let check = match key {
                "notify" => is_true(&value, problems).then_some(Asked::Notify),
                _ => question::read(key, value, first_port, site, problems)
                    .map(|check| Asked::Check(probe, check)),
            };
            found = Some((key_span, check));
        }
    }
    match (found, rhythm) {
        // An unknown key was most likely what it should ask.
        (None, _) if !is_known => None,
        (None, _) => {
            let kinds: Vec<_> = which.kinds().iter().map(|kind| quoted(kind)).collect();
            let message = format!("{} does not say what to ask", quoted(name(which)));
            problems.add(key_span, message, format!("give it one of {}", kinds.join(", ")));
            None
        }
        (Some((_, Some(Asked::Notify))), Some((key, span))) => {
            let message = format!("{} has no meaning with `notify`: nobody is asked", quoted(key));
            problems.add(span, message, "take it out; `ready-timeout` says how long it may take");
            None
        }
        (Some((_, Some(Asked::Check(_, check)))), _) => Some(Asked::Check(probe, check)),
        (Some((_, asked)), _) => asked,
    }
}

fn name(which: Which) -> &'static str {
    match which {
        Which::Startup => "startup",
        Which::Readiness => "readiness",
        Which::Liveness => "liveness",
    }
}

fn shorthand(
    word: &str,
    value: &Value<'_>,
    first_port: Option<u16>,
    problems: &mut Problems<'_>,
) -> Option<Asked> {
    let help = match word {
        "notify" => return Some(Asked::Notify),
        "port" if first_port.is_some() => return Some(Asked::Nothing),
        "port" => {
            let help = "declare it: `port = 9000`";
            problems.add(value.span.clone(), "`readiness` is `port`, but there is no port", help);
            return None;
        }
        _ if suggest::nearest(word, &["notify", "port"]).is_some() => {
            suggest::help(word, &["notify", "port"])
        }
        _ => format!("write `\"notify\"`, `\"port\"` or a table: `{}`", value.example),
    };
    problems.add(value.span.clone(), format!("{} is no way to be ready", quoted(word)), help);
    None
}

fn unknown(which: Which, key: &str, span: Span, problems: &mut Problems<'_>) {
    let (message, help) = match (which, key) {
        (Which::Liveness, "log") => (
            "a line in the log does not show that a service is alive",
            "it stays there when the service is not; ask by `http`, `tcp` or `exec`, or declare `watchdog = \"30s\"`",
        ),
        (Which::Liveness, "notify") => {
            ("`notify` belongs to readiness", "a service says that it is alive by `watchdog = \"30s\"`")
        }
        (Which::Startup, "notify") => ("`notify` belongs to readiness", "write `readiness = \"notify\"`"),
        _ => {
            unknown_key(name(which), key, span, &which.keys(), problems);
            return;
        }
    };
    problems.add(span, message, help);
}

fn is_true(value: &Value<'_>, problems: &mut Problems<'_>) -> bool {
    match value.tree {
        DeValue::Boolean(true) => true,
        DeValue::Boolean(false) => {
            problems.add(value.span.clone(), "`notify` is false: then nothing is asked", "take it out");
            false
        }
        _ => {
            value.wrong_type("`true`", problems);
            false
        }
    }
}

fn rhythm_of(probe: &mut Probe, which: Which, key: &str, value: &Value<'_>, problems: &mut Problems<'_>) {
    // Shorter ones would only keep the machine busy.
    const SHORTEST: f64 = 0.01;
    match key {
        "initial-delay-seconds" => set(&mut probe.initial_delay, seconds(value, 0.0, problems)),
        "period-seconds" => set(&mut probe.period, seconds(value, SHORTEST, problems)),
        "timeout-seconds" => set(&mut probe.timeout, seconds(value, SHORTEST, problems)),
        "failure-threshold" => set(&mut probe.failure_threshold, threshold(value, problems)),
        _ => {
            let found = threshold(value, problems);
            if which != Which::Readiness && found.is_some_and(|times| times > 1) {
                let message = format!("`success-threshold` must be 1 for {}", quoted(name(which)));
                let help = "take it out; one success is enough, as in Kubernetes";
                problems.add(value.span.clone(), message, help);
            }
            set(&mut probe.success_threshold, found);
        }
    }
}

fn threshold(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<u32> {
    let found = value.whole("a number of tries", 1, 1_000_000, problems);
    found.and_then(|times| u32::try_from(times).ok())
}

fn seconds(value: &Value<'_>, least: f64, problems: &mut Problems<'_>) -> Option<Duration> {
    const MOST: f64 = 1_000_000.0;
    if !matches!(value.tree, DeValue::Integer(_) | DeValue::Float(_)) {
        let message = format!("{} is no number of seconds", value.called);
        let help = "write the seconds without quotes and unit: `10` or `0.5`";
        problems.add(value.span.clone(), message, help);
        return None;
    }
    let found = limits::number(value).filter(|seconds| (least..=MOST).contains(seconds));
    if found.is_none() {
        let message =
            format!("{} is no number of seconds for {}", quoted(problems.source(&value.span)), value.called);
        problems.add(value.span.clone(), message, format!("it is a number from {least} to {MOST}"));
    }
    found.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}
