//! The sentences about a schedule: what is due next, in which hours, what was changed and what was left out.

use soloist_api::history::Entry;
use soloist_api::schedule::ScheduleStatus;
use soloist_api::status::ServiceStatus;

use super::Account;
use super::words::{between, plain};
use crate::schedules::{clock, words};

/// What was left out longer ago is no news.
const NEWS_MS: i64 = 24 * 3600 * 1000;

impl Account<'_> {
    /// `its next run begins in 4 s (at 09:15:06 IST); every 10s, changed from 6s in soloist.toml; NSE is open until 15:40`
    pub(super) fn outlook(&self, status: &ServiceStatus, schedule: &ScheduleStatus) -> String {
        let changed = schedule.changed.as_deref();
        // That it is paused is said of its next run.
        let words = words(schedule, self.now).into_iter().filter(|part| part != "paused").map(|part| {
            let is_change =
                changed.is_some_and(|changed| part.ends_with(changed.trim_start_matches("every ")));
            let at = changed.filter(|_| is_change).and_then(|changed| self.changed_at(changed));
            plain(&part) + &at.unwrap_or_default()
        });
        let parts: Vec<String> = self.next_run(status, schedule).into_iter().chain(words).collect();
        parts.join("; ")
    }

    fn next_run(&self, status: &ServiceStatus, schedule: &ScheduleStatus) -> Option<String> {
        let keeps_hours = schedule.triggers.is_empty();
        let what = match (status.kind.as_str(), keeps_hours) {
            ("service", true) => "it is started next",
            ("service", false) => "its next turn comes",
            _ => "its next run begins",
        };
        match schedule.next {
            Some(at) => {
                let when = clock(schedule, at, self.now);
                Some(format!("{what} in {} (at {when})", between(self.now, at)))
            }
            None if schedule.paused => Some("nothing is due as long as it is paused".to_owned()),
            // While it runs, its hours are all there is to tell.
            None if keeps_hours && status.pid.is_some() => None,
            None => Some("as far as one can see, nothing is due".to_owned()),
        }
    }

    /// When that was, if the last change is this one.
    fn changed_at(&self, changed: &str) -> Option<String> {
        let last = self.last("rescheduled")?;
        let is_it = last.cause.as_deref().is_some_and(|who| changed.ends_with(who));
        is_it.then(|| format!(" at {}", self.clock(last.at)))
    }

    /// ` It was paused at 14:00:02 by ada.`
    pub(super) fn paused(&self, status: &ServiceStatus) -> String {
        let is_pause = |entry: &&Entry| {
            entry.what == "rescheduled" && entry.detail.as_deref().is_some_and(|how| how.ends_with("paused"))
        };
        let is_paused = status.schedule.as_ref().is_some_and(|schedule| schedule.paused);
        let pause = self.past.iter().rev().find(is_pause).filter(|_| is_paused);
        pause.map_or(String::new(), |e| format!(" It was paused at {}{}.", self.clock(e.at), self.by(e)))
    }

    /// ` 12 runs were left out since 14:02:00, the last at 14:02:30: missed while the machine slept.`
    pub(super) fn skipped(&self) -> String {
        let is_news = |entry: &&Entry| {
            entry.what == "skipped" && self.now.as_millisecond() - entry.at.as_millisecond() < NEWS_MS
        };
        let skipped: Vec<&Entry> = self.past.iter().filter(is_news).collect();
        let (Some(first), Some(last)) = (skipped.first(), skipped.last()) else { return String::new() };
        let why = last.detail.as_deref().map_or(String::new(), |why| format!(": {}", plain(why)));
        let (since, at) = (self.clock(first.at), self.clock(last.at));
        match skipped.iter().map(|entry| entry.count.unwrap_or(1)).sum::<u64>() {
            1 => format!(" Its turn at {at} was left out{why}."),
            count if skipped.len() == 1 => format!(" {count} runs were left out at {at}{why}."),
            count => format!(" {count} runs were left out since {since}, the last at {at}{why}."),
        }
    }
}
