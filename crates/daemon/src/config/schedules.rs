//! Reads when a declaration runs by itself, and what happens to runs that cannot begin at their moment. Triggers, windows
//! and hours are read by the files of these names.

use std::collections::BTreeMap;
use std::time::Duration;

use soloist_core::schedule::{Misfire, OnClose, Overlap, Schedule, Trigger};

use super::ScheduleChange;
use super::declared::Rota;
use super::diagnostic::{Problems, Span, quoted};
use super::draft::Section;
use super::duration::{self, Zero, interval};
use super::instances::Site;
use super::settings::{choice, set};
use super::tree::{Field, Value};
use super::triggers;

/// Keys of all that keep hours.
pub(super) const WINDOW_KEYS: &[&str] = &["window", "on-close"];
/// Keys of what is triggered: a job, or a worker that is ticked.
pub(super) const TRIGGER_KEYS: &[&str] = &[
    "every",
    "cron",
    "at",
    "timezone",
    "jitter",
    "run-on-start",
    "overlap",
    "misfire",
    "misfire-grace",
    "final-run",
];
/// Keys of jobs alone.
pub(super) const JOB_KEYS: &[&str] = &["max-overlap"];
pub(super) const OVERLAPS: &[(&str, Overlap)] = &[
    ("skip", Overlap::Skip),
    ("queue", Overlap::Queue),
    ("replace", Overlap::Replace),
    ("allow", Overlap::Allow),
];
pub(super) const MISFIRES: &[(&str, Misfire)] =
    &[("skip", Misfire::Skip), ("run-once", Misfire::RunOnce), ("run-all", Misfire::RunAll)];
pub(super) const ON_CLOSES: &[(&str, OnClose)] =
    &[("stop", OnClose::Stop), ("drain", OnClose::Drain), ("finish", OnClose::Finish)];
pub(super) const WAYS: &[(&str, ())] = &[("stdin", ())];

/// So many runs at the same time, if the declaration does not say how many.
const LANES: i64 = 4;
/// Shorter, a busy machine would miss runs; longer, nobody would call it on time.
const GRACES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(31 * 24 * 3600));

/// Whether a key is read here.
pub(super) fn has(key: &str) -> bool {
    [WINDOW_KEYS, TRIGGER_KEYS, JOB_KEYS, &["trigger", "drain-timeout"]]
        .iter()
        .any(|keys| keys.contains(&key))
}

/// The keys of a declaration that are read here.
#[derive(Default)]
pub(super) struct Asked<'a>(BTreeMap<&'a str, (Span, Value<'a>)>);

impl<'a> Asked<'a> {
    pub(super) fn add(&mut self, field: Field<'a>) {
        self.0.insert(field.key, (field.key_span, field.value));
    }

    fn value(&self, key: &str, example: &'static str) -> Option<Value<'a>> {
        self.0.get(key).map(|(_, value)| value.clone().example(example))
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    fn place(&self, key: &str) -> Option<Span> {
        self.0.get(key).map(|(place, _)| place.clone())
    }
}

/// The schedule of an instance, if anything was said of it.
pub(super) fn read(
    section: Section,
    name: &str,
    asked: &Asked<'_>,
    site: Site<'_>,
    problems: &mut Problems<'_>,
) -> Option<Schedule> {
    if asked.0.is_empty() {
        return None;
    }
    let told = problems.count();
    let mut schedule = Schedule::default();
    if let Some(value) = asked.value("trigger", "trigger = \"stdin\"") {
        schedule.is_ticked = choice(&value, "a way to be triggered", WAYS, problems).is_some();
    }
    if let Some(value) = asked.value("window", "window = \"NSE\"") {
        schedule.window = site.almanac.window(&value, problems);
    }
    triggers(&mut schedule, asked, site, problems);
    policies(&mut schedule, section, asked, problems);
    let mut runs = LANES;
    if let Some(value) = asked.value("max-overlap", "max-overlap = 4") {
        set(&mut runs, value.whole("a number of runs at the same time", 2, 32, problems));
    }
    if schedule.overlap == Overlap::Allow && section == Section::Jobs {
        schedule.lanes = (2..=runs).map(|number| format!("{name}~{number}")).collect();
    }
    // What could not be read is not said to be missing too.
    if problems.count() == told {
        fit(&schedule, section, asked, problems);
    }
    Some(schedule)
}

fn triggers(schedule: &mut Schedule, asked: &Asked<'_>, site: Site<'_>, problems: &mut Problems<'_>) {
    if let Some(value) = asked.value("every", "every = \"6s\"") {
        schedule.triggers.extend(triggers::every(&value, problems));
        schedule.run_on_start = true;
    }
    let zone = match asked.value("timezone", "timezone = \"Asia/Kolkata\"") {
        Some(value) => site.almanac.zone(&value, problems),
        None => schedule.window.as_ref().map(|window| window.zone.clone()),
    };
    let zone = || zone.unwrap_or_else(|| site.almanac.local());
    let (cron, at) = (
        asked.value("cron", "cron = \"*/5 9-15 * * mon-fri\""),
        asked.value("at", "at = [\"09:15\", \"15:31\"]"),
    );
    if cron.is_none() && at.is_none() {
        return;
    }
    let zone = zone();
    schedule.triggers.extend(cron.into_iter().flat_map(|value| triggers::cron(&value, &zone, problems)));
    schedule.triggers.extend(at.and_then(|value| triggers::at(&value, &zone, problems)));
}

fn policies(schedule: &mut Schedule, section: Section, asked: &Asked<'_>, problems: &mut Problems<'_>) {
    if let Some(value) = asked.value("jitter", "jitter = \"500ms\"") {
        set(&mut schedule.jitter, duration::read(&value, Zero::Allowed, problems));
    }
    if let Some(value) = asked.value("run-on-start", "run-on-start = true") {
        set(&mut schedule.run_on_start, value.boolean(problems));
    }
    if let Some(value) = asked.value("overlap", "overlap = \"skip\"") {
        set(&mut schedule.overlap, choice(&value, "an overlap rule", OVERLAPS, problems));
    }
    if let Some(value) = asked.value("misfire", "misfire = \"skip\"") {
        set(&mut schedule.misfire, choice(&value, "a misfire rule", MISFIRES, problems));
    }
    if let Some(value) = asked.value("misfire-grace", "misfire-grace = \"10s\"") {
        let why = Zero::Refused("no run begins in no time, so each would be missed");
        let found = duration::read(&value, why, problems);
        if found.is_some_and(|grace| grace < GRACES.0 || grace > GRACES.1) {
            let text = quoted(value.tree.as_str().unwrap_or_default());
            let message = format!("{text} is no grace for a run that is late");
            problems.add(value.span.clone(), message, "it is from 100ms to 31 days");
        }
        set(&mut schedule.misfire_grace, found);
    }
    schedule.on_close = match section {
        Section::Services => OnClose::Stop,
        Section::Jobs => OnClose::Finish,
    };
    if let Some(value) = asked.value("on-close", "on-close = \"stop\"") {
        set(&mut schedule.on_close, choice(&value, "what the end of a window does", ON_CLOSES, problems));
    }
    if let Some(value) = asked.value("drain-timeout", "drain-timeout = \"5m\"") {
        let why = Zero::Refused("nothing is drained in no time");
        set(&mut schedule.drain_timeout, duration::read(&value, why, problems));
    }
    if let Some(value) = asked.value("final-run", "final-run = true") {
        set(&mut schedule.has_final_run, value.boolean(problems));
    }
}

/// Reports keys that mean nothing without another one, and values that do not go together.
fn fit(schedule: &Schedule, section: Section, asked: &Asked<'_>, problems: &mut Problems<'_>) {
    let mut without = |key: &str, what: &str, help: &str| {
        if let Some(place) = asked.place(key) {
            problems.add(place, format!("`{key}` is declared without {what}"), help);
        }
    };
    if schedule.triggers.is_empty() && (section == Section::Jobs || schedule.is_ticked) {
        for key in asked.0.keys() {
            let help = "say when it runs: `every = \"6s\"`, `cron = \"0 9 * * mon-fri\"` or `at = \"09:15\"`";
            without(key, "`every`, `cron` or `at`", help);
        }
        return;
    }
    if schedule.window.is_none() {
        for key in ["on-close", "final-run", "drain-timeout"] {
            without(key, "`window`", "say in which hours it runs: `window = \"NSE\"`, or take it out");
        }
    } else if schedule.on_close != OnClose::Drain {
        without("drain-timeout", "`on-close = \"drain\"`", "add that, or take it out");
    }
    if !asked.has("cron") && !asked.has("at") {
        let help = "take it out: `every` goes by no clock on the wall, and a window has a zone of its own";
        without("timezone", "`cron` or `at`", help);
    }
    if schedule.overlap != Overlap::Allow {
        without("max-overlap", "`overlap = \"allow\"`", "add that, or take it out");
    }
    if let Some(place) =
        asked.place("overlap").filter(|_| schedule.is_ticked && schedule.overlap == Overlap::Replace)
    {
        let help = "write `skip` or `queue`: a worker that lives on is not ended for its next turn";
        problems.add(place, "`overlap = \"replace\"` cannot be had with `trigger = \"stdin\"`", help);
    }
    let (Some(every), Some(place)) = (schedule.interval(), asked.place("jitter")) else { return };
    if schedule.jitter >= every {
        let message = format!(
            "the jitter, {}, is not shorter than the interval, {}",
            humantime::format_duration(schedule.jitter),
            humantime::format_duration(every)
        );
        let problem = problems.add(place, message, "a run begins before the next one is due: shorten it");
        if let Some(place) = asked.place("every") {
            problem.other(place, "the interval");
        }
    }
}

/// Applies what was changed at run time, and says what now differs from soloist.toml. What does not fit any more is
/// passed over.
pub(super) fn change(schedule: &mut Schedule, change: &ScheduleChange) -> Option<String> {
    schedule.is_paused = change.paused;
    let every = change.every.as_deref().and_then(|text| interval(text).ok())?;
    let before = schedule.interval();
    // What only keeps hours has no turns.
    if schedule.triggers.is_empty() || before == Some(every) {
        return None;
    }
    schedule.triggers.retain(|trigger| !matches!(trigger, Trigger::Every(_)));
    schedule.triggers.insert(0, Trigger::Every(every));
    let what = match before {
        Some(before) => format!("every changed from {} in soloist.toml", humantime::format_duration(before)),
        None => "every added to what soloist.toml says".to_owned(),
    };
    Some(if change.who.is_empty() { what } else { format!("{what}, by {}", change.who) })
}

/// A schedule in words.
pub(super) fn rota(schedule: &Schedule, changed: Option<String>) -> Rota {
    let window = schedule.window.as_ref().map(|window| window.name.clone());
    Rota { triggers: schedule.triggers.iter().map(triggers::words).collect(), window, changed }
}
