//! The schedules of a story: `job scan every=6s window=09:15-15:30 overlap=queue`. All local times are UTC.

use std::sync::Arc;

use soloist_core::schedule::calendar::Session;
use soloist_core::schedule::civil::{Date, Days, Moment, TimeOfDay};
use soloist_core::schedule::cron::Cron;
use soloist_core::schedule::window::{Beyond, Hours, Rule, Window};
use soloist_core::schedule::zone::Zone;
use soloist_core::schedule::{Misfire, OnClose, Overlap, Schedule, Trigger};

use super::command::{Command, span};

pub const KEYS: [&str; 14] = [
    "every",
    "cron",
    "at",
    "window",
    "jitter",
    "run-on-start",
    "overlap",
    "misfire",
    "misfire-grace",
    "on-close",
    "drain-timeout",
    "final-run",
    "lanes",
    "trigger",
];

pub fn read(command: &Command) -> Result<Option<Schedule>, String> {
    if !command.has_any(&KEYS) {
        return Ok(None);
    }
    let zone = Arc::new(Zone::utc());
    let mut schedule = Schedule::default();
    if let Some(every) = command.value("every") {
        schedule.triggers.push(Trigger::Every(span(every)?));
        schedule.run_on_start = true;
    }
    if let Some(text) = command.value("cron") {
        let cron = Cron::parse(text).map_err(|e| e.why)?;
        schedule.triggers.push(Trigger::Cron { cron, zone: Arc::clone(&zone) });
    }
    if let Some(text) = command.value("at") {
        let times = text.split(',').map(time).collect::<Result<_, _>>()?;
        schedule.triggers.push(Trigger::At { times, zone });
    }
    let said = |key: &str| command.value(key).unwrap_or_default().to_owned();
    schedule.window = command.value("window").map(window).transpose()?;
    schedule.jitter = command.value("jitter").map_or(Ok(schedule.jitter), span)?;
    schedule.misfire_grace = command.value("misfire-grace").map_or(Ok(schedule.misfire_grace), span)?;
    schedule.drain_timeout = command.value("drain-timeout").map_or(Ok(schedule.drain_timeout), span)?;
    schedule.run_on_start = command.value("run-on-start").map_or(schedule.run_on_start, |text| text == "yes");
    schedule.has_final_run = said("final-run") == "yes";
    schedule.is_ticked = said("trigger") == "stdin";
    schedule.is_paused = command.is("paused");
    schedule.lanes =
        command.value("lanes").map_or(Vec::new(), |text| text.split(',').map(str::to_owned).collect());
    schedule.overlap = match said("overlap").as_str() {
        "" | "skip" => Overlap::Skip,
        "queue" => Overlap::Queue,
        "replace" => Overlap::Replace,
        "allow" => Overlap::Allow,
        other => return Err(format!("`{other}` is no overlap")),
    };
    schedule.misfire = match said("misfire").as_str() {
        "" | "skip" => Misfire::Skip,
        "run-once" => Misfire::RunOnce,
        "run-all" => Misfire::RunAll,
        other => return Err(format!("`{other}` is no misfire")),
    };
    schedule.on_close = match said("on-close").as_str() {
        "" | "stop" => OnClose::Stop,
        "drain" => OnClose::Drain,
        "finish" => OnClose::Finish,
        other => return Err(format!("`{other}` is no close")),
    };
    Ok(Some(schedule))
}

fn time(text: &str) -> Result<TimeOfDay, String> {
    TimeOfDay::parse(text).ok_or_else(|| format!("{text} is no time of day"))
}

/// `09:15-15:30,16:00-17:00`, every day.
fn window(text: &str) -> Result<Arc<Window>, String> {
    let session = |text: &str| {
        let (open, close) = text.split_once('-').ok_or("from-to?")?;
        Ok::<Session, String>(Session { open: time(open)?, close: time(close)? })
    };
    let sessions = text.split(',').map(session).collect::<Result<_, _>>()?;
    Ok(Arc::new(Window {
        name: "hours".to_owned(),
        zone: Arc::new(Zone::utc()),
        rule: Rule::Weekly(vec![Hours { from: None, days: Days::all(), sessions }]),
        beyond: Beyond::Closed,
        dates: Default::default(),
        overrides: Vec::new(),
    }))
}

/// `2026-08-03T09:14:50`.
pub fn moment(text: &str) -> Result<Moment, String> {
    let wrong = || format!("{text} is no moment");
    let (date, of_day) = text.split_once('T').ok_or_else(wrong)?;
    let date = Date::parse(date).ok_or_else(wrong)?;
    Ok(Zone::utc().resolve(date, time(of_day)?).moment())
}

/// `09:14:50`, with the milliseconds if there are any.
pub fn clock(at: Moment) -> String {
    let (_, ms) = Zone::utc().local(at);
    let time = TimeOfDay::new(ms / 1000).map_or(String::new(), |time| time.to_string());
    let time = if time.len() == 5 { format!("{time}:00") } else { time };
    if ms % 1000 == 0 { time } else { format!("{time}.{:03}", ms % 1000) }
}
