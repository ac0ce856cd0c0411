//! Reads what triggers a run: `every`, `cron` and `at`, each in the place where it is wrong.

use std::sync::Arc;

use soloist_core::schedule::Trigger;
use soloist_core::schedule::civil::TimeOfDay;
use soloist_core::schedule::cron::Cron;
use soloist_core::schedule::zone::Zone;

use super::diagnostic::{Problems, Span, harmless, quoted};
use super::duration;
use super::tree::Value;

/// An interval.
pub(super) fn every(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Trigger> {
    duration::read_interval(value, problems).map(Trigger::Every)
}

/// One expression or several.
pub(super) fn cron(value: &Value<'_>, zone: &Arc<Zone>, problems: &mut Problems<'_>) -> Vec<Trigger> {
    let mut found: Vec<(Cron, Span)> = Vec::new();
    for (text, entry) in value.one_or_more(problems) {
        match Cron::parse(text) {
            Ok(cron) => match found.iter().find(|(other, _)| *other == cron) {
                Some((_, first)) => twice(text, entry.span, first, problems),
                None => found.push((cron, entry.span)),
            },
            Err(fault) => {
                let place = entry.place(text, &fault.at, problems);
                problems.add(place, format!("{}: {}", value.called, harmless(&fault.why)), fault.help);
            }
        }
    }
    found.into_iter().map(|(cron, _)| Trigger::Cron { cron, zone: zone.clone() }).collect()
}

/// One time of day or several.
pub(super) fn at(value: &Value<'_>, zone: &Arc<Zone>, problems: &mut Problems<'_>) -> Option<Trigger> {
    const DAY: u32 = 24 * 3600;
    let mut found: Vec<(TimeOfDay, Span)> = Vec::new();
    for (text, entry) in value.one_or_more(problems) {
        let time = TimeOfDay::parse(text.trim()).filter(|time| time.seconds() < DAY);
        let Some(time) = time else {
            let help = format!("write it like `{}`, from 00:00 to 23:59:59", value.example);
            problems.add(entry.span, format!("{} is no time of a day", quoted(text)), help);
            continue;
        };
        match found.iter().find(|(other, _)| *other == time) {
            Some((_, first)) => twice(&time.to_string(), entry.span, first, problems),
            None => found.push((time, entry.span)),
        }
    }
    found.sort_by_key(|(time, _)| *time);
    let times: Vec<_> = found.into_iter().map(|(time, _)| time).collect();
    (!times.is_empty()).then(|| Trigger::At { times, zone: zone.clone() })
}

fn twice(what: &str, span: Span, first: &Span, problems: &mut Problems<'_>) {
    let message = format!("{} is there twice", quoted(what));
    problems.add(span, message, "take one of the two out").other(first.clone(), "the first time");
}

/// A trigger in the words of soloist.toml.
pub(super) fn words(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Every(span) => format!("every {}", humantime::format_duration(*span)),
        Trigger::Cron { cron, .. } => {
            let fields: Vec<_> = cron.text().split_whitespace().collect();
            format!("cron {}", fields.join(" "))
        }
        Trigger::At { times, .. } => {
            let times: Vec<_> = times.iter().map(TimeOfDay::to_string).collect();
            format!("at {}", times.join(", "))
        }
    }
}
