//! Which runs a schedule has due: the next one, and how many have passed. Everything lies on one line of nanoseconds
//! since boot, which goes below zero for what was before the boot. Nothing here knows an instance.

use super::civil::{Clock, Moment};
use super::window::Stand;
use super::{Schedule, Trigger, times};
use crate::time::Time;

const MS: i128 = 1_000_000;
/// So many sessions are looked through for one that a cron expression meets: more than two years of days.
const SESSIONS: usize = 1000;
/// So many missed moments of the wall clock are counted: every second for a day. Who misses more knows enough.
const COUNTED: u64 = 100_000;

/// A run that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Nanoseconds since boot.
    pub at: i128,
    /// The same on the wall clock.
    pub moment: Moment,
    /// What made it due.
    pub source: Source,
}

/// What makes a run due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An interval.
    Every,
    /// A time of day, or a cron expression.
    Wall,
    /// The window has closed: the final run.
    Close,
}

/// How far a schedule was followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Intervals: up to here, in nanoseconds since boot.
    pub boot: i128,
    /// Times of the wall clock: up to this one. One that has fired does not fire again when the clock is set back.
    pub wall: Moment,
    /// From where an interval is counted, unless its window opened later.
    pub beat: i128,
}

/// The runs that were due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// So many.
    pub count: u64,
    /// The last of them.
    pub newest: Due,
    /// The last moment of an interval among them.
    pub beat: Option<i128>,
}

/// A schedule on the line.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// Which.
    pub schedule: &'a Schedule,
    /// How the wall clock stands to the line.
    pub clock: Clock,
}

/// A time since boot on the line.
pub fn line(at: Time) -> i128 {
    i128::try_from(at.0.as_nanos()).unwrap_or(i128::MAX / 2)
}

/// A place on the line as time since boot; the boot for what was before it.
pub fn time(at: i128) -> Time {
    let (secs, rest) = (at.max(0) / 1_000_000_000, at.max(0) % 1_000_000_000);
    let secs = u64::try_from(secs).unwrap_or(u64::MAX);
    Time(std::time::Duration::new(secs, u32::try_from(rest).unwrap_or_default()))
}

/// A moment of the wall clock on the line.
pub fn on_line(clock: Clock, moment: Moment) -> i128 {
    i128::from(moment.0) * MS - clock.boot_ns
}

fn moment(clock: Clock, at: i128) -> Moment {
    Moment(i64::try_from((at + clock.boot_ns).div_euclid(MS)).unwrap_or(i64::MAX))
}

impl Mark {
    /// Nothing before now counts.
    pub fn at(now: Time, clock: Clock) -> Mark {
        Mark { boot: line(now), wall: clock.wall(now), beat: line(now) }
    }

    /// What was due up to now is settled.
    pub fn advance(&mut self, now: Time, clock: Clock) {
        self.boot = line(now);
        self.wall = self.wall.max(clock.wall(now));
    }
}

/// The moments of an interval within some of the line.
#[derive(Clone, Copy, Debug)]
struct Beats {
    first: i128,
    last: i128,
    count: u64,
}

impl Course<'_> {
    /// The first run that is due after the mark.
    pub fn next(&self, mark: &Mark) -> Option<Due> {
        let beat = self.beats(mark, mark.boot + 1, i128::MAX / 2, true).map(|beats| self.due(beats.first));
        // Of two at once the wall clock's stands for both.
        [self.next_on_wall(mark.wall), beat].into_iter().flatten().min_by_key(|due| due.at)
    }

    /// All that are due after the mark and up to now, one by one.
    pub fn all(&self, mut mark: Mark, now: Time) -> impl Iterator<Item = Due> {
        std::iter::from_fn(move || {
            let due = self.next(&mark).filter(|due| due.at <= line(now))?;
            mark = self.after(&mark, due);
            Some(due)
        })
    }

    /// The mark once this run is settled.
    pub fn after(&self, mark: &Mark, due: Due) -> Mark {
        Mark { boot: mark.boot.max(due.at), wall: mark.wall.max(due.moment), beat: mark.beat }
    }

    /// All that were due after the mark and up to now.
    pub fn passed(&self, mark: &Mark, now: Time) -> Option<Passed> {
        let end = line(now) + 1;
        let (mut from, mut wall) = (mark.boot + 1, mark.wall);
        let (mut count, mut newest, mut beat): (u64, Option<Due>, Option<i128>) = (0, None, None);
        loop {
            let due = self.next_on_wall(wall).filter(|due| due.at < end && count < COUNTED);
            let until = due.map_or(end, |due| due.at);
            if let Some(beats) = self.beats(mark, from, until, false) {
                count += beats.count;
                beat = Some(beats.last);
                newest = Some(self.due(beats.last));
            }
            let Some(due) = due else { break };
            (from, wall) = (from.max(due.at + 1), due.moment);
            count += 1;
            newest = Some(due);
        }
        newest.map(|newest| Passed { count, newest, beat })
    }

    fn due(&self, at: i128) -> Due {
        Due { at, moment: moment(self.clock, at), source: Source::Every }
    }

    // ---- intervals

    /// The moments of the interval from one place up to, not including, another, inside the window; or only the first.
    fn beats(&self, mark: &Mark, mut from: i128, end: i128, is_first_enough: bool) -> Option<Beats> {
        let span = i128::try_from(self.schedule.interval()?.as_nanos()).unwrap_or(i128::MAX).max(1);
        let mut found: Option<Beats> = None;
        for _ in 0..SESSIONS {
            let stand = self.stand(from);
            let (base, close) = match stand {
                None => (mark.beat, end),
                Some(Stand::Open { since, until }) => {
                    let open = on_line(self.clock, since);
                    (open.max(mark.beat), until.map_or(end, |until| on_line(self.clock, until)))
                }
                Some(Stand::Closed { until: Some(open) }) => {
                    from = on_line(self.clock, open);
                    if from >= end {
                        break;
                    }
                    continue;
                }
                Some(Stand::Closed { until: None }) => break,
            };
            let missing = (from - base + span - 1).div_euclid(span).max(0);
            let (first, stop) = (base + missing * span, close.min(end));
            if first < stop {
                let more = (stop - 1 - first) / span;
                let count =
                    found.map_or(0, |found| found.count) + u64::try_from(more + 1).unwrap_or(u64::MAX);
                let last = first + more * span;
                found = Some(Beats { first: found.map_or(first, |found| found.first), last, count });
                if is_first_enough {
                    break;
                }
            }
            if close >= end {
                break;
            }
            from = close;
        }
        found
    }

    fn stand(&self, at: i128) -> Option<Stand> {
        self.schedule.window.as_ref().map(|window| window.at(moment(self.clock, at)))
    }

    // ---- the wall clock

    fn next_on_wall(&self, after: Moment) -> Option<Due> {
        let due = |source| move |moment| Due { at: on_line(self.clock, moment), moment, source };
        let timed = self.next_time(after).map(due(Source::Wall));
        let close = self.next_close(after).map(due(Source::Close));
        [close, timed].into_iter().flatten().min_by_key(|due| due.moment)
    }

    fn next_time(&self, mut after: Moment) -> Option<Moment> {
        for _ in 0..SESSIONS {
            let found = self.schedule.triggers.iter().filter_map(|trigger| trigger.next(after)).min()?;
            match self.schedule.window.as_ref().map(|window| window.at(found)) {
                None | Some(Stand::Open { .. }) => return Some(found),
                Some(Stand::Closed { until }) => after = Moment(until?.0 - 1),
            }
        }
        None
    }

    fn next_close(&self, after: Moment) -> Option<Moment> {
        let window = self.schedule.window.as_ref().filter(|_| self.schedule.has_final_run)?;
        match window.at(after) {
            Stand::Open { until, .. } => until,
            Stand::Closed { until } => window.at(until?).until(),
        }
    }
}

impl Trigger {
    /// Its first moment on the wall clock after this one; an interval has none there.
    fn next(&self, after: Moment) -> Option<Moment> {
        match self {
            Trigger::Every(_) => None,
            Trigger::Cron { cron, zone } => cron.next(after, zone),
            Trigger::At { times, zone } => times::next_of(times, after, zone),
        }
    }
}

#[cfg(test)]
mod tests;
