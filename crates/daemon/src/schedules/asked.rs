//! What is said to somebody who wanted a run now: what follows, although a pause, closed hours or a run at work might
//! have kept it.

use soloist_core::event::{Effect, What};
use soloist_core::plan::Plan;
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
    let Asked { name, plan, before, after, orders, now } = asked;
    let Some(schedule) = &plan.schedule else { return format!("{name} runs now") };
    let skipped = orders.iter().find_map(|(_, effect)| match effect {
        Effect::Tell { note } if note.what == What::Skipped => note.words.clone(),
        _ => None,
    });
    let queued = |status: &Status| status.outlook.as_ref().map_or(0, |outlook| outlook.queued);
    if queued(after) > queued(before) {
        return format!("{}; this run begins when that is over", at_work(asked, schedule));
    }
    if let Some(why) = skipped {
        return format!("{}; nothing was started: {why}", at_work(asked, schedule));
    }
    if is_at_work(before, schedule) {
        let then = match schedule.overlap {
            _ if orders.is_empty() => "nothing was started",
            Overlap::Skip | Overlap::Queue => "this run begins when that is over",
            Overlap::Replace => "it is ended, and this run begins",
            Overlap::Allow => "this run goes on beside it",
        };
        return format!("{}; {then}", at_work(asked, schedule));
    }
    let mut despite = Vec::new();
    if schedule.is_paused {
        despite.push("paused".to_owned());
    }
    if let Some(window) = &schedule.window
        && let stand = window.at(*now)
        && !stand.is_open()
    {
        let opens = stand.until().and_then(timestamp).zip(timestamp(*now));
        let zone = zone(window.zone.name());
        let opens = opens.map_or("which never opens again".to_owned(), |(at, now)| {
            format!("opens {}", local(at, now, &zone))
        });
        despite.push(format!("outside its window {} ({opens})", window.name));
    }
    let run = after.run.map_or(String::new(), |run| format!(" (run {})", short(&run.to_string())));
    match despite.is_empty() {
        true => format!("{name} runs now{run}"),
        false => format!("{name} is {}; this one run happens all the same{run}", despite.join(" and ")),
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

/// `scan is at work already (run 3f2a… since 09:15:06 IST)`
fn at_work(asked: &Asked<'_>, schedule: &Schedule) -> String {
    let Asked { name, before, now, .. } = asked;
    let Some(run) = before.run else { return format!("{name} is {}", before.state) };
    let zone = zone(&zone_of(schedule).unwrap_or_default());
    let since = convert::wall(before.since).zip(timestamp(*now));
    let since = since.map_or(String::new(), |(at, now)| format!(" since {}", local(at, now, &zone)));
    match is_at_work(before, schedule) {
        true => format!("{name} is at work already (run {}{since})", short(&run.to_string())),
        false => format!("{name} is {} (run {}{since})", before.state, short(&run.to_string())),
    }
}
