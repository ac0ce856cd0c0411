//! When runs are due, counted by the world itself: second after second of its wall clock, with arithmetic of its own.
//! What the core begins, leaves out and keeps waiting must add up to it.

use std::collections::BTreeSet;
use std::time::Duration;

use soloist_core::event::{Answer, Cause, Note, Wanted, What};
use soloist_core::id::{RunId, TickId};
use soloist_core::plan::Kind;
use soloist_core::schedule::civil::Moment;
use soloist_core::schedule::window::Rule;
use soloist_core::schedule::{Schedule, Trigger};
use soloist_core::state::Word;
use soloist_core::time::Time;

use super::{World, checks};

/// How an instance has followed its schedule since somebody last changed what it is to follow.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Runs that were due before are none of its matters.
    since: Moment,
    /// So far the wall clock has been counted, in whole seconds.
    counted: i64,
    /// Whether its hours had begun there.
    is_open: bool,
    /// The next moment of its interval.
    next: Option<Time>,
    /// So many were due.
    pub due: u64,
    /// So many may have been left out that were due before.
    pub carried: u64,
    /// Clocks were set, daemons died, somebody asked for runs: some may be missing.
    pub is_disturbed: bool,
    /// When those were due that began.
    pub begun: BTreeSet<Moment>,
    pub skipped: u64,
}

const DAY: i64 = 24 * 3600;

/// Whether its hours have begun and are not over in this second.
pub fn is_open(schedule: &Schedule, second: i64) -> bool {
    let Some(window) = &schedule.window else { return true };
    let moment = Moment(second * 1000);
    if let Some(last) = window.overrides.iter().rev().find(|o| o.from <= moment && moment < o.until) {
        return last.is_open;
    }
    let Rule::Weekly(hours) = &window.rule else { return false };
    let of_day = second.rem_euclid(DAY);
    hours.iter().flat_map(|hours| &hours.sessions).any(|session| {
        (i64::from(session.open.seconds())..i64::from(session.close.seconds())).contains(&of_day)
    })
}

/// Whether a cron expression or a list of times says this second.
fn is_due(schedule: &Schedule, second: i64) -> bool {
    schedule.triggers.iter().any(|trigger| match trigger {
        Trigger::Every(_) => false,
        Trigger::Cron { cron, .. } => fires(cron.text(), second.rem_euclid(60)),
        Trigger::At { times, .. } => {
            times.binary_search_by_key(&second.rem_euclid(DAY), |time| i64::from(time.seconds())).is_ok()
        }
    })
}

/// By its first field; the others are stars.
fn fires(cron: &str, second: i64) -> bool {
    let field = cron.split(' ').next().unwrap_or_default();
    field.split(',').any(|part| {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let (first, last) = match range.split_once('-') {
            Some(ends) => ends,
            None if range == "*" => ("0", "59"),
            None => (range, range),
        };
        let number = |text: &str| text.parse::<i64>().unwrap_or_default();
        let (first, last, step) = (number(first), number(last), number(step));
        (first..=last).contains(&second) && (second - first) % step.max(1) == 0
    })
}

/// Wall triggers and an interval together may want the same moment.
fn is_mixed(schedule: &Schedule) -> bool {
    schedule.triggers.len() > 1
}

impl Followed {
    fn begin(schedule: &Schedule, wall: Moment, now: Time, next: Option<Time>) -> Followed {
        let second = wall.0.div_euclid(1000);
        Followed {
            since: wall,
            counted: second,
            is_open: is_open(schedule, second),
            next: schedule
                .interval()
                .zip(next)
                .map(|(every, next)| if next > now { next } else { now + every }),
            due: 0,
            carried: 0,
            is_disturbed: is_mixed(schedule),
            begun: BTreeSet::new(),
            skipped: 0,
        }
    }

    /// Counts on up to now.
    fn advance(&mut self, schedule: &Schedule, now: Time, wall: Moment, boot: impl Fn(Moment) -> Time) {
        let second = wall.0.div_euclid(1000);
        while self.counted < second {
            self.counted += 1;
            let at = boot(Moment(self.counted * 1000));
            let is_open = is_open(schedule, self.counted);
            if is_open && !self.is_open {
                self.next = schedule.interval().map(|_| at);
            } else if !is_open && self.is_open {
                // Half-open: what were due at the close is not.
                self.count_interval(schedule, |next| next < at);
                self.next = None;
                self.due += u64::from(schedule.has_final_run);
            }
            self.is_open = is_open;
            self.due += u64::from(is_open && is_due(schedule, self.counted));
        }
        // What the core tells of its next moment lacks what is below a millisecond.
        self.count_interval(schedule, |next| next + Duration::from_millis(1) <= now);
    }

    /// The clock was set back: hours that were over may come again, and with them the moments of an interval.
    fn rewind(&mut self, schedule: &Schedule, now: Time, wall: Moment) {
        let second = wall.0.div_euclid(1000);
        if second < self.counted {
            (self.counted, self.is_open) = (second, is_open(schedule, second));
            self.next = schedule.interval().filter(|_| self.is_open).map(|every| now + every);
        }
    }

    fn count_interval(&mut self, schedule: &Schedule, is_past: impl Fn(Time) -> bool) {
        let Some(every) = schedule.interval() else { return };
        while let Some(next) = self.next.filter(|next| is_past(*next)) {
            self.due += 1;
            self.next = Some(next + every);
        }
    }
}

impl World {
    /// Of those that have one with triggers: their schedule.
    pub fn rhythm(&self, at: usize) -> Option<&Schedule> {
        self.plans[at].schedule.as_ref().filter(|schedule| !schedule.triggers.is_empty())
    }

    /// Time has passed, or the clock is about to be set.
    pub fn count_dues(&mut self) {
        let (now, wall, clock) = (self.machine.now, self.machine.wall(), self.machine.clock);
        self.furthest = self.furthest.max(wall);
        for at in 0..self.plans.len() {
            let Some(schedule) = &self.plans[at].schedule else { continue };
            if let Some(followed) = &mut self.followed[at] {
                followed.advance(schedule, now, wall, |moment| clock.boot(moment));
            }
            // Up to the next close, and as long as it is wanted.
            let is_wanted = self.daemon.as_ref().is_none_or(|d| d.statuses[at].wanted == Wanted::Up);
            self.is_once[at] &= is_wanted;
            let has_begun = is_open(schedule, wall.0.div_euclid(1000)) && !schedule.is_paused;
            self.is_forced[at] &= is_wanted && !has_begun;
        }
    }

    /// What was counted no longer holds: some more may be due.
    pub fn disturb(&mut self, at: usize) {
        if let Some(followed) = &mut self.followed[at] {
            followed.is_disturbed = true;
            followed.carried += 10;
        }
    }

    /// The wall clock was set.
    pub fn recount(&mut self, at: usize) {
        self.disturb(at);
        let (now, wall) = (self.machine.now, self.machine.wall());
        if let (Some(followed), Some(schedule)) = (&mut self.followed[at], &self.plans[at].schedule) {
            followed.rewind(schedule, now, wall);
        }
    }

    /// What it is to follow is another from now on.
    pub fn follow_anew(&mut self, at: usize) {
        self.followed[at] = None;
        self.is_changed[at] = true;
    }

    /// After each decision: whoever begins to follow its schedule is counted from there.
    pub fn note_followed(&mut self) {
        let Some(daemon) = &self.daemon else { return };
        for at in 0..self.plans.len() {
            let Some(schedule) = &self.plans[at].schedule else { continue };
            let status = &daemon.statuses[at];
            if status.wanted == Wanted::Down || schedule.is_paused {
                self.followed[at] = None;
            } else if self.followed[at].is_none()
                && let Some(outlook) = &status.outlook
                && let Some(next) = outlook.next
                && self.clock_told == self.machine.clock
                && daemon.project.instance(at).next_deadline().is_none_or(|at| at > self.machine.now)
            {
                let (wall, clock) = (self.machine.wall(), self.machine.clock);
                let mut followed = Followed::begin(schedule, wall, self.machine.now, Some(clock.boot(next)));
                // Whatever was under way, or is to be made up for since the last daemon.
                followed.carried = outlook.queued as u64 + 3 + schedule.lanes.len() as u64;
                // What the clock showed before it was set back is not due again.
                followed.is_disturbed |= self.is_remembered[at] || self.furthest > wall;
                let is_open = self.is_remembered[at] || self.is_changed[at];
                followed.carried += if is_open { 100_000 } else { 0 };
                (self.is_remembered[at], self.is_changed[at]) = (false, false);
                self.followed[at] = Some(followed);
            }
        }
    }

    pub fn lanes(&self, base: usize) -> Vec<usize> {
        (0..self.plans.len()).filter(|at| self.lane_of[*at] == Some(base)).collect()
    }

    /// Somebody asked for a run now.
    pub fn note_asked(&mut self, at: usize) {
        // In the words of who is asked.
        let now = self.clock_told.wall(self.machine.now);
        self.asked[at].insert(now);
        self.is_forced[at] = true;
        let is_wanted = self.daemon.as_ref().is_some_and(|d| d.statuses[at].wanted == Wanted::Up);
        self.is_once[at] |= !is_wanted && self.plans[at].kind == Kind::Job;
        self.disturb(at);
    }

    pub fn tell_clock(&mut self) {
        let (now, clock) = (self.machine.now, self.machine.clock);
        if self.daemon.is_some() {
            self.clock_told = clock;
            self.machine.say(|| format!("the clock says {:?}", clock.wall(now)));
            self.decide(|project, orders| project.set_clock(now, clock, orders));
        }
    }

    // ---- what the core does

    /// Whose schedule an instance's runs follow: a lane has its base's.
    pub fn base(&self, at: usize) -> usize {
        self.lane_of[at].unwrap_or(at)
    }

    pub fn note_begun(&mut self, at: usize, run: RunId, cause: &Cause, scheduled: Option<Moment>) {
        let found = checks::nothing_starts_outside_its_hours(self, at, cause, scheduled)
            .and_then(|()| checks::what_is_paused_starts_nothing(self, at, scheduled))
            .and_then(|()| checks::no_due_moment_is_begun_twice(self, at, cause, scheduled));
        self.machine.check(found);
        let base = self.base(at);
        if let (Some(followed), Some(scheduled)) = (&mut self.followed[base], scheduled) {
            if scheduled > followed.since && !self.asked[base].contains(&scheduled) {
                followed.begun.insert(scheduled);
            }
            self.scheduled_runs.insert((run, scheduled), base);
        }
        if scheduled.is_some() {
            self.machine.count("runs scheduled");
        }
    }

    pub fn note_tick(&mut self, at: usize, run: RunId, tick: TickId, scheduled: Moment) {
        self.machine.check(checks::no_turn_is_given_to_a_worker_at_work(self, at, run));
        self.turns[at].insert((run, tick));
        self.note_begun(at, run, &Cause::Schedule, Some(scheduled));
    }

    /// Its worker has answered, as far as the daemon heard.
    pub fn note_answers(&mut self, at: usize, answers: &[Answer]) {
        self.turns[at].retain(|(_, tick)| answers.iter().all(|answer| answer.tick != *tick));
    }

    pub fn note_skipped(&mut self, at: usize, note: &Note) {
        if note.what != What::Skipped {
            return;
        }
        self.machine.count("runs skipped");
        let base = self.base(at);
        if let Some(followed) = &mut self.followed[base] {
            followed.skipped += note.count.unwrap_or(1);
        }
    }

    /// On its way to begin, or waiting for a moment of the jitter.
    pub fn under_way(&self, at: usize) -> u64 {
        let Some(daemon) = &self.daemon else { return 0 };
        let schedule = self.plans[at].schedule.as_ref();
        let is_jittered = schedule.is_some_and(|schedule| !schedule.jitter.is_zero());
        let lanes = (0..self.plans.len()).filter(|lane| *lane == at || self.lane_of[*lane] == Some(at));
        let making = lanes.filter(|lane| {
            let status = &daemon.statuses[*lane];
            status.run.is_none()
                && !matches!(status.state, Word::Scheduled | Word::Stopped | Word::Failed | Word::Completed)
                || status.state == Word::Stopping
        });
        making.count() as u64 + u64::from(is_jittered)
    }
}
