//! Changes of schedules and windows at run time: what is refused, what is written down in `.soloist/schedules.json`, and
//! in which words it is told. They hold until somebody takes them back; an override that is over is dropped.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use soloist_api::error::{Code, Problem};
use soloist_api::schedule::{Clear, Edit, Override};
use soloist_core::schedule::civil::Moment;
use soloist_core::schedule::window::Window;
use soloist_os::layout::Layout;

use super::timestamp;
use crate::changes;
use crate::config::{Changes, Config, Declared, OverrideChange, ScheduleChange, interval};
use crate::runs;
use crate::why::local;

/// What was done.
#[derive(Debug)]
pub struct Done {
    /// The configuration as it is now.
    pub config: Config,
    /// The same in one line.
    pub text: String,
    /// Instances that something changed for, and what, in words.
    pub told: Vec<(String, String)>,
}

/// Changes the schedule of an instance, or of all instances of a keyed service.
///
/// # Errors
/// An unknown name, one without a schedule, an interval that is none, or nothing to change.
pub fn edit(layout: &Layout, name: &str, edit: &Edit, now: Moment) -> Result<Done, Problem> {
    if edit.every.is_none() && edit.paused.is_none() && !edit.reset {
        return Err(usage("nothing is to be changed", "say every, paused or reset"));
    }
    let every = edit.every.as_deref().map(read).transpose()?;
    let before = changes::config_or_empty(layout)?;
    let mut changed = changes::read(layout).map_err(|e| changes::bad(&e))?;
    let in_file = Changes { keys: changed.keys.clone(), ..Changes::default() };
    let in_file = Config::load_with(&layout.root, &in_file).map_err(|e| changes::bad(&e))?;
    let meant = instances(&before, name)?;
    for declared in &meant {
        check(declared, every.is_some())?;
        let change = changed.schedules.entry(declared.name.clone()).or_default();
        let was = change.clone();
        if edit.reset {
            *change = ScheduleChange::default();
        }
        if let Some(every) = every {
            let is_declared = find(&in_file, &declared.name).and_then(|d| d.plan.interval()) == Some(every);
            change.every = (!is_declared).then(|| words(every));
        }
        change.paused = edit.paused.unwrap_or(change.paused);
        if (&change.every, change.paused) == (&None, false) {
            changed.schedules.remove(&declared.name);
        } else if (&change.every, change.paused) != (&was.every, was.paused) {
            change.who = who(edit.who.as_ref());
            change.at_ms = u64::try_from(now.0).unwrap_or_default();
        }
    }
    let config = keep(layout, &mut changed, now)?;
    let told = meant.iter().filter_map(|old| {
        let new = find(&config, &old.name)?;
        difference(old, new, edit.reset).map(|words| (old.name.clone(), words))
    });
    let told: Vec<(String, String)> = told.collect();
    let text = match told.first() {
        None => format!("{name}: nothing changed"),
        Some((_, words)) if told.iter().all(|(_, other)| other == words) => format!("{name}: {words}"),
        Some(_) => told.iter().map(|(of, words)| format!("{of}: {words}")).collect::<Vec<_>>().join("; "),
    };
    Ok(Done { config, text, told })
}

/// Opens or closes a window, or all windows of a calendar, for a time.
///
/// # Errors
/// An unknown window, or a time that is over or ends before it begins.
pub fn override_hours(layout: &Layout, hours: &Override, now: Moment) -> Result<Done, Problem> {
    let config = changes::config_or_empty(layout)?;
    let zone = zone_known(&config, &hours.of)?;
    let said = |at: Timestamp| local(at, at_or_zero(now), &zone);
    let Some(until) = hours.until else {
        return Err(usage(
            "an override must end",
            "say until when: `--until 15:30`, `--until 2026-11-25T15:30`",
        ));
    };
    let from = hours.from.unwrap_or_default().max(at_or_zero(now));
    if until <= at_or_zero(now) {
        let what = format!("the override would be over already: it would end at {}", said(until));
        return Err(usage(&what, &format!("it is {} now: give a later end", said(at_or_zero(now)))));
    }
    if until <= from {
        let what = format!("the override would end at {}, before it begins at {}", said(until), said(from));
        return Err(usage(&what, "give an end after its beginning"));
    }
    let mut changed = changes::read(layout).map_err(|e| changes::bad(&e))?;
    changed.overrides.push(OverrideChange {
        of: hours.of.clone(),
        open: hours.open,
        from_ms: from.as_millisecond(),
        until_ms: until.as_millisecond(),
        who: who(hours.who.as_ref()),
    });
    let config = keep(layout, &mut changed, now)?;
    let how = if hours.open { "open" } else { "closed" };
    let begin = if from.as_millisecond() > now.0 { format!(" from {}", said(from)) } else { String::new() };
    let words = format!("{} is {how}{begin} until {}", hours.of, said(until));
    Ok(concerning(config, &hours.of, words))
}

/// Takes all overrides of a window or calendar back.
///
/// # Errors
/// An unknown window without overrides.
pub fn clear(layout: &Layout, clear: &Clear, now: Moment) -> Result<Done, Problem> {
    let mut changed = changes::read(layout).map_err(|e| changes::bad(&e))?;
    let count = changed.overrides.iter().filter(|one| one.of == clear.of && one.until_ms > now.0).count();
    changed.overrides.retain(|one| one.of != clear.of);
    if count == 0 {
        zone_known(&changes::config_or_empty(layout)?, &clear.of)?;
    }
    let config = keep(layout, &mut changed, now)?;
    if count == 0 {
        return Ok(Done { config, text: format!("{} has no override", clear.of), told: Vec::new() });
    }
    Ok(concerning(config, &clear.of, format!("{} goes by its rule again", clear.of)))
}

fn keep(layout: &Layout, changed: &mut Changes, now: Moment) -> Result<Config, Problem> {
    changed.overrides.retain(|one| one.until_ms > now.0);
    changes::keep(layout, changed, &layout.schedules(), changed)
}

fn read(every: &str) -> Result<Duration, Problem> {
    interval(every).map_err(|why| usage(&format!("every: {why}"), "write it like 10s, 5m or 1h 30m"))
}

/// The instance of this name, or all instances of a keyed service of this name.
pub fn instances<'c>(config: &'c Config, name: &'c str) -> Result<Vec<&'c Declared>, Problem> {
    let meant: Vec<&Declared> = match config.declared.iter().find(|d| d.name == name && d.lane_of.is_none()) {
        Some(one) => vec![one],
        None => config.instances_of(name).collect(),
    };
    if meant.is_empty() { Err(runs::unknown(name, config)) } else { Ok(meant) }
}

fn find<'c>(config: &'c Config, name: &str) -> Option<&'c Declared> {
    config.declared.iter().find(|declared| declared.name == name)
}

fn check(declared: &Declared, is_interval: bool) -> Result<(), Problem> {
    let name = &declared.name;
    match &declared.plan.schedule {
        None => Err(usage(
            &format!("{name} has no schedule"),
            &format!("give {} one in soloist.toml: `every`, `cron`, `at` or `window`", declared.service),
        )),
        Some(schedule) if is_interval && schedule.triggers.is_empty() => Err(usage(
            &format!("{name} runs in the hours of its window; it has no runs that could come every so often"),
            "an interval is for jobs, and for services with `trigger = \"stdin\"`",
        )),
        Some(_) => Ok(()),
    }
}

/// What changed, in words: `every 6s → 10s`, `paused`.
fn difference(old: &Declared, new: &Declared, is_reset: bool) -> Option<String> {
    let mut parts = Vec::new();
    match (old.plan.interval(), new.plan.interval()) {
        (Some(old), Some(new)) if old != new => parts.push(format!("every {} → {}", words(old), words(new))),
        (None, Some(new)) => parts.push(format!("every {} added", words(new))),
        (Some(old), None) => parts.push(format!("every {} taken out", words(old))),
        (Some(_), Some(_)) | (None, None) => {}
    }
    let is_paused = |of: &Declared| of.plan.schedule.as_ref().is_some_and(|schedule| schedule.is_paused);
    match (is_paused(old), is_paused(new)) {
        (false, true) => parts.push("paused".to_owned()),
        (true, false) => parts.push("resumed".to_owned()),
        (true, true) | (false, false) => {}
    }
    let words = parts.join(", ");
    match (words.is_empty(), is_reset) {
        (true, _) => None,
        (false, true) => Some(format!("reset to soloist.toml: {words}")),
        (false, false) => Some(words),
    }
}

/// The zone of a window or calendar of this name.
///
/// # Errors
/// There is none, with the nearest name.
pub fn zone_known(config: &Config, name: &str) -> Result<TimeZone, Problem> {
    if let Some(window) = config.windows_of(name).next() {
        return Ok(zone(window.zone.name()));
    }
    let names: Vec<&str> = config.windows.iter().map(|window| window.name.as_str()).collect();
    let hint = runs::nearest(name, &names).unwrap_or_else(|| {
        "soloist.toml has no window; write `window = \"NSE\"` under a job or service".to_owned()
    });
    Err(usage(&format!("no window or calendar is called `{name}` here"), &hint))
}

/// Told of all instances whose hours a name stands for.
fn concerning(config: Config, name: &str, words: String) -> Done {
    let is_meant = |declared: &&Declared| {
        let window = declared.plan.schedule.as_ref().and_then(|schedule| schedule.window.as_ref());
        let is_it = |window: &Arc<Window>| config.windows_of(name).any(|other| other.name == window.name);
        declared.lane_of.is_none() && window.is_some_and(is_it)
    };
    let names: Vec<String> = config.declared.iter().filter(is_meant).map(|d| d.name.clone()).collect();
    let text = match names.is_empty() {
        true => format!("{words}; nothing here goes by it"),
        false => format!("{words}: {}", names.join(", ")),
    };
    let told = names.into_iter().map(|name| (name, words.clone())).collect();
    Done { config, text, told }
}

/// A zone by its name; without one the machine's.
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or_else(|_| TimeZone::system())
}

fn words(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}

pub(crate) fn who(who: Option<&String>) -> String {
    who.cloned().unwrap_or_else(|| "a client".to_owned())
}

fn at_or_zero(now: Moment) -> Timestamp {
    timestamp(now).unwrap_or_default()
}

fn usage(what: &str, hint: &str) -> Problem {
    Problem::new(Code::Usage, what).hint(hint)
}
