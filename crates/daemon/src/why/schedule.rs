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
    /// `its next run begins in 4 s (at 09:15:06 IST)`
    pub(super) fn next_run(&self, status: &ServiceStatus, schedule: &ScheduleStatus) -> String {
        let what = match (status.kind.as_str(), schedule.triggers.is_empty()) {
            ("service", true) => "it is started next",
            ("service", false) => "its next turn comes",
            _ => "its next run begins",
        };
        match schedule.next {
            Some(at) => {
                let when = clock(schedule, at, self.now);
                format!("{what} in {} (at {when})", between(self.now, at))
            }
            None if schedule.paused => "nothing is due as long as it is paused".to_owned(),
            None => "as far as one can see, nothing is due".to_owned(),
        }
    }

    /// `; every 10s, changed from 6s in soloist.toml; NSE is open until 15:40 IST`
    pub(super) fn hours(&self, status: &ServiceStatus) -> String {
        let words = status.schedule.iter().flat_map(|schedule| words(schedule, self.now));
        words.map(|part| format!("; {}", plain(&part))).collect()
    }

    /// ` That was changed last at 14:00:02 by ada: paused.`, as long as it differs from soloist.toml.
    pub(super) fn rescheduled(&self, status: &ServiceStatus) -> String {
        let differs = status.schedule.as_ref().is_some_and(|one| one.paused || one.changed.is_some());
        let Some(last) = self.last("rescheduled").filter(|_| differs) else { return String::new() };
        let how = last.detail.as_deref().map_or(String::new(), |how| format!(": {}", plain(how)));
        format!(" That was changed last at {}{}{how}.", self.clock(last.at), self.by(last))
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
