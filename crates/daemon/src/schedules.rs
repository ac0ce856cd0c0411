//! Schedules as they are told: how an instance stands with its own, overrides in force, calendars that end soon. How they
//! are changed is `schedules/edit.rs`; what they mean is `soloist_core::schedule`.

mod asked;
pub mod edit;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use soloist_api::schedule::{Answer, Hours, Named, Override, ScheduleStatus, Schedules, Session, Upcoming};
use soloist_api::status::ServiceStatus;
use soloist_core::schedule::civil::{Clock, Moment};
use soloist_core::schedule::due::{Course, Mark};
use soloist_core::schedule::window::{Beyond, Rule, Stand, WARN_DAYS, Window};
use soloist_core::schedule::{Schedule, Trigger};
use soloist_core::state::Outlook;
use soloist_core::time::Time;

pub(crate) use asked::{Asked, asked};
pub use words::{changed, clock, queued, words};

use crate::config::{Changes, Declared};
use crate::why::local;
use crate::zones;

/// This moment.
pub fn now() -> Moment {
    Moment(i64::try_from(soloist_os::clock::wall_ms()).unwrap_or(i64::MAX))
}

/// How an instance stands with its schedule, if it has one; without an outlook nobody follows it.
pub fn told(declared: &Declared, outlook: Option<&Outlook>, now: Moment) -> Option<ScheduleStatus> {
    let (rota, schedule) = (declared.rota.as_ref()?, declared.plan.schedule.as_ref()?);
    let seen = outlook.and_then(|outlook| outlook.stand);
    let stand = seen.or_else(|| schedule.window.as_ref().map(|window| window.at(now)));
    let answer = outlook.and_then(|outlook| outlook.answer.as_ref());
    Some(ScheduleStatus {
        triggers: rota.triggers.clone(),
        window: rota.window.clone(),
        open: stand.map(|stand| stand.is_open()),
        until: stand.and_then(|stand| stand.until()).and_then(timestamp),
        next: outlook.and_then(|outlook| outlook.next).and_then(timestamp),
        zone: zone_of(schedule),
        paused: schedule.is_paused,
        changed: rota.changed.clone(),
        queued: outlook.map_or(0, |outlook| outlook.queued as u64),
        answer: answer.map(|answer| Answer {
            tick: answer.tick.to_string(),
            ok: answer.is_ok,
            summary: answer.summary.clone(),
        }),
        warning: schedule.window.as_ref().and_then(|window| warning(window, now)),
    })
}

/// The schedules among what is true of all services, and what there is to say of all of them.
pub fn of(services: Vec<ServiceStatus>, changes: &Changes, now: Moment) -> Schedules {
    let named = |service: ServiceStatus| {
        let (name, state, exit) = (service.name, service.state, service.exit);
        service.schedule.map(|schedule| Named { name, state, exit, schedule })
    };
    let schedules: Vec<Named> = services.into_iter().filter_map(named).collect();
    let warnings = warnings(schedules.iter().map(|one| &one.schedule));
    let overrides = overrides(changes, now);
    Schedules { schedules, zones: zones::source(), overrides, warnings, hours: Vec::new() }
}

/// A day.
const DAY_MS: i64 = 86_400_000;

/// A window that changes more often in these three days is not told further.
const MOST_SESSIONS: usize = 64;

/// The hours of each window that these keep, from a day ago to two days ahead.
pub fn hours<'a>(declared: impl IntoIterator<Item = &'a Declared>, now: Moment) -> Vec<Hours> {
    let mut all: BTreeMap<&str, Vec<Session>> = BTreeMap::new();
    for one in declared {
        let name = one.rota.as_ref().and_then(|rota| rota.window.as_deref());
        let window = one.plan.schedule.as_ref().and_then(|schedule| schedule.window.as_ref());
        if let (Some(name), Some(window)) = (name, window) {
            all.entry(name).or_insert_with(|| sessions(window, now));
        }
    }
    all.into_iter().map(|(name, sessions)| Hours { window: name.to_owned(), sessions }).collect()
}

fn sessions(window: &Window, now: Moment) -> Vec<Session> {
    let (mut at, end) = (Moment(now.0 - DAY_MS), Moment(now.0 + 2 * DAY_MS));
    let mut found = Vec::new();
    while at < end && found.len() < MOST_SESSIONS {
        let stand = window.at(at);
        if let Stand::Open { since, until } = stand
            && let Some(open) = timestamp(since)
        {
            found.push(Session { open, close: until.and_then(timestamp) });
        }
        let Some(next) = stand.until() else { break };
        at = next;
    }
    found
}

/// Overrides in force or to come.
pub fn overrides(changes: &Changes, now: Moment) -> Vec<Override> {
    let lasting = changes.overrides.iter().filter(|change| change.until_ms > now.0);
    lasting
        .map(|change| Override {
            of: change.of.clone(),
            open: change.open,
            from: timestamp(Moment(change.from_ms)),
            until: timestamp(Moment(change.until_ms)),
            who: Some(change.who.clone()),
        })
        .collect()
}

/// The next runs of an instance, at most so many, told from its declaration alone; none if it has no schedule.
pub fn upcoming(declared: &Declared, count: usize, now: Moment) -> Option<Upcoming> {
    let (status, schedule) = (told(declared, None, now)?, declared.plan.schedule.as_ref()?);
    let is_paused = schedule.is_paused;
    let next = if is_paused { Vec::new() } else { dues(schedule, count, now) };
    let mut notes = Vec::new();
    if is_paused {
        notes.push(format!("paused: `soloist schedule resume {}` ends that", declared.name));
    }
    if let (Some(window), Some(false)) = (&status.window, status.open) {
        let zone = edit::zone(status.zone.as_deref().unwrap_or_default());
        let until = status.until.zip(timestamp(now));
        notes.push(match until {
            Some((until, now)) => format!("{window} is closed until {}", local(until, now, &zone)),
            None => format!("{window} is closed, as far as one can see"),
        });
    }
    if schedule.window.is_none() && schedule.interval().is_some() {
        notes.push("its interval is counted from its start; these are as if that were now".to_owned());
    }
    notes.extend(status.warning);
    let name = declared.name.clone();
    let (triggers, window, zone) = (status.triggers, status.window, status.zone);
    Some(Upcoming { name, triggers, window, zone, next, notes })
}

/// What a schedule would do from now on. Who follows it knows more: when that began, and what was missed.
fn dues(schedule: &Schedule, count: usize, now: Moment) -> Vec<Timestamp> {
    if let (true, Some(window)) = (schedule.triggers.is_empty(), &schedule.window) {
        let mut at = now;
        let openings = std::iter::from_fn(|| {
            let closed = if window.at(at).is_open() { window.at(at).until()? } else { at };
            at = window.at(closed).until()?;
            timestamp(at)
        });
        return openings.take(count).collect();
    }
    // As if the machine had booted now; an interval in a window is counted from its opening.
    let clock = Clock { boot_ns: i128::from(now.0) * 1_000_000 };
    let mut mark = Mark::at(Time::default(), clock);
    if schedule.window.is_some() {
        mark.beat = i128::from(i64::MIN);
    }
    let course = Course { schedule, clock };
    let all = course.all(mark, Time(Duration::MAX));
    all.filter_map(|due| timestamp(due.moment)).take(count).collect()
}

/// What there is to warn of in these schedules: calendars that end soon, each once.
pub fn warnings<'a>(schedules: impl IntoIterator<Item = &'a ScheduleStatus>) -> Vec<String> {
    let found: BTreeSet<&String> = schedules.into_iter().filter_map(|one| one.warning.as_ref()).collect();
    found.into_iter().cloned().collect()
}

/// `calendar NSE knows no day after 2026-12-31 (39 days left): closed from then on; …`
fn warning(window: &Window, now: Moment) -> Option<String> {
    let Rule::Calendar { calendar, .. } = &window.rule else { return None };
    let left = window.days_left(now).filter(|left| *left <= WARN_DAYS)?;
    let left = match left {
        ..0 => "over".to_owned(),
        0 => "today".to_owned(),
        1 => "1 day left".to_owned(),
        days => format!("{days} days left"),
    };
    let then = match window.beyond {
        Beyond::Closed => "closed from then on",
        Beyond::WeeklyRule => "only its weekly rule from then on",
    };
    Some(format!(
        "calendar {name} knows no day after {} ({left}): {then}; a newer soloist or `[calendars.{name}] file` knows more",
        calendar.valid_through,
        name = calendar.name
    ))
}

/// The zone people think of it in.
fn zone_of(schedule: &Schedule) -> Option<String> {
    let of_window = schedule.window.as_ref().map(|window| &window.zone);
    let of_times = schedule.triggers.iter().find_map(|trigger| match trigger {
        Trigger::Cron { zone, .. } | Trigger::At { zone, .. } => Some(zone),
        Trigger::Every(_) => None,
    });
    of_window.or(of_times).map(|zone| zone.name().to_owned())
}

/// A moment for people.
pub fn timestamp(at: Moment) -> Option<Timestamp> {
    Timestamp::from_millisecond(at.0).ok()
}
