//! How an instance stands with its schedule, in words: the notes of `status` and the sentences of `why`.

use jiff::Timestamp;
use soloist_api::schedule::{Answer, ScheduleStatus};

use super::edit::zone;
use crate::why::local;

/// What there is to know besides the next run, each in a few words: `paused`, `NSE is open until 15:40 IST`.
pub fn words(schedule: &ScheduleStatus, now: Timestamp) -> Vec<String> {
    let window = schedule.window.as_ref().zip(schedule.open).map(|(window, is_open)| {
        let until = |at| format!(" until {}", clock(schedule, at, now));
        let until = schedule.until.map_or(String::new(), until);
        format!("{window} is {}{until}", if is_open { "open" } else { "closed" })
    });
    let paused = schedule.paused.then(|| "paused".to_owned());
    let answer = schedule.answer.as_ref().map(answer);
    [paused, window, changed(schedule), queued(schedule), answer].into_iter().flatten().collect()
}

/// `3 runs wait for the one at work to end`
pub fn queued(schedule: &ScheduleStatus) -> Option<String> {
    match schedule.queued {
        0 => None,
        1 => Some("1 run waits for the one at work to end".to_owned()),
        count => Some(format!("{count} runs wait for the one at work to end")),
    }
}

/// What differs from soloist.toml: `every 10s, changed from 6s in soloist.toml, by ada`.
pub fn changed(schedule: &ScheduleStatus) -> Option<String> {
    let changed = schedule.changed.as_ref()?;
    let every = schedule.triggers.iter().find(|trigger| trigger.starts_with("every "));
    Some(match every.zip(changed.strip_prefix("every ")) {
        Some((every, how)) => format!("{every}, {how}"),
        None => changed.clone(),
    })
}

fn answer(answer: &Answer) -> String {
    let summary = answer.summary.as_ref().map_or(String::new(), |summary| format!(": {summary}"));
    let what = if answer.ok { "its worker answered last" } else { "its worker answered last with an error" };
    format!("{what}{summary}")
}

/// A moment in the local time of the schedule.
pub fn clock(schedule: &ScheduleStatus, at: Timestamp, now: Timestamp) -> String {
    local(at, now, &zone(schedule.zone.as_deref().unwrap_or_default()))
}
