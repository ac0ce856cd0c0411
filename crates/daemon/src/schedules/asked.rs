//! What is said to somebody who wanted a run now: what follows, although a pause, closed hours or a run at work might
//! have kept it.

use soloist_core::event::{Effect, What};
use soloist_core::plan::{Kind, Plan};
use soloist_core::project::Orders;
use soloist_core::schedule::civil::Moment;
use soloist_core::schedule::{Overlap, Schedule};
use soloist_core::state::{Status, Word};

use super::edit::zone;
use super::{timestamp, zone_of};
use crate::convert;
use crate::why::{local, short};

/// What the core was told before and after a run was asked for, and what it ordered.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// Of this instance.
    pub(crate) name: &'a str,
    /// What it was declared to do.
    pub(crate) plan: &'a Plan,
    /// How it stood.
    pub(crate) before: &'a Status,
    /// How it stands.
    pub(crate) after: &'a Status,
    /// What followed.
    pub(crate) orders: &'a Orders,
    /// The moment that is called now.
    pub(crate) now: Moment,
}

/// One line: `scan is paused; this one run happens all the same`.
pub(crate) fn asked(asked: &Asked<'_>) -> String {
    let Asked { name, plan, before, after, orders, .. } = asked;
    let Some(schedule) = &plan.schedule else { return format!("{name} runs now") };
    let skipped = orders.iter().find_map(|(_, effect)| match effect {
        Effect::Tell { note } if note.what == What::Skipped => note.words.clone(),
        _ => None,
    });
    let queued = |status: &Status| status.outlook.as_ref().map_or(0, |outlook| outlook.queued);
    let is_busy = is_at_work(before, schedule);
    let then = match (skipped, schedule.overlap) {
        _ if queued(after) > queued(before) => Some("this run begins when that is over".to_owned()),
        (Some(why), _) => Some(format!("nothing was started: {why}")),
        (None, _) if !is_busy => None,
        (None, _) if orders.is_empty() => Some("nothing was started".to_owned()),
        (None, Overlap::Replace) => Some("it is ended, and this run begins".to_owned()),
        (None, Overlap::Skip | Overlap::Queue | Overlap::Allow) => {
            Some("this run goes on beside it".to_owned())
        }
    };
    match then {
        Some(then) => format!("{name} is {}; {then}", as_it_was(asked, schedule, is_busy)),
        None => begun(asked, schedule),
    }
}

/// Whether a run, or the turn of a worker, is under way.
fn is_at_work(status: &Status, schedule: &Schedule) -> bool {
    let has_tick = status.outlook.as_ref().is_some_and(|outlook| outlook.tick.is_some());
    match schedule.is_ticked {
        true => has_tick,
        false => status.run.is_some() || status.state == Word::Starting,
    }
}

/// `at work already (run 3f2a… since 09:15:06 IST)`
fn as_it_was(asked: &Asked<'_>, schedule: &Schedule, is_busy: bool) -> String {
    let Asked { before, now, .. } = asked;
    let word = if is_busy { "at work already".to_owned() } else { before.state.to_string() };
    let Some(run) = before.run else { return word };
    let zone = zone(&zone_of(schedule).unwrap_or_default());
    let since = convert::wall(before.since).zip(timestamp(*now));
    let since = since.map_or(String::new(), |(at, now)| format!(" since {}", local(at, now, &zone)));
    format!("{word} (run {}{since})", short(&run.to_string()))
}

/// `scan runs now (run 3f2a…)`, or what it does so in spite of.
fn begun(asked: &Asked<'_>, schedule: &Schedule) -> String {
    let Asked { name, plan, after, now, .. } = asked;
    let mut despite = Vec::new();
    if schedule.is_paused {
        despite.push("paused".to_owned());
    }
    if let Some(window) = schedule.window.as_ref().filter(|window| !window.at(*now).is_open()) {
        let opens = window.at(*now).until().and_then(timestamp).zip(timestamp(*now));
        let opens = opens.map_or("which never opens again".to_owned(), |(at, now)| {
            format!("opens {}", local(at, now, &zone(window.zone.name())))
        });
        despite.push(format!("outside its window {} ({opens})", window.name));
    }
    let run = after.run.map_or(String::new(), |run| format!(" (run {})", short(&run.to_string())));
    let is_worker = plan.kind == Kind::Service;
    match (despite.is_empty(), is_worker) {
        (true, true) if schedule.is_ticked => format!("{name} is given a turn now"),
        (true, _) => format!("{name} runs now{run}"),
        (false, true) if schedule.is_ticked => {
            format!("{name} is {}; it is given this one turn all the same", despite.join(" and "))
        }
        (false, true) => format!("{name} is {}; it is started all the same{run}", despite.join(" and ")),
        (false, false) => {
            format!("{name} is {}; this one run happens all the same{run}", despite.join(" and "))
        }
    }
}
