//! The turns of an instance: what comes of runs that are due or missed, in which order they begin, and which are left
//! out.

use crate::event::{Cause, Effect, IfHeld, LeftOut, Wanted, What};
use crate::instance::Instance;
use crate::instance::agenda::{CLOSED, Turn};
use crate::plan::Kind;
use crate::schedule::due::{self, Due, Mark, Passed, Source};
use crate::schedule::{Misfire, OnClose, Overlap};
use crate::state::{Rest, State, Why};
use crate::time::Time;

/// So many runs may wait for the one at work.
const MOST_QUEUED: usize = 100;
pub(super) const AT_WORK: LeftOut<'_> = ("overlap", "the run before is still at work");
const WAITS: LeftOut<'_> = ("blocked", "it waits for what it needs");
const QUEUE_FULL: LeftOut<'_> = ("queue-full", "the queue is full");
const REPLACED: LeftOut<'_> = ("replaced", "replaced before it began");

impl Instance {
    /// Runs were due: what comes of them.
    pub(super) fn take_in(&mut self, now: Time, mark: Mark, passed: Passed, effects: &mut Vec<Effect>) {
        let Some(course) = self.course() else { return };
        let (schedule, why, newest) = (course.schedule, self.agenda.why, passed.newest);
        let patience = schedule.misfire_grace + schedule.jitter;
        let is_on_time = due::line(now) - newest.at <= due::line(Time(patience));
        let missed = passed.count - u64::from(is_on_time);
        let may_all_begin =
            self.agenda.is_open || (schedule.on_close == OnClose::Drain && self.plan.kind == Kind::Job);
        if !may_all_begin && newest.source != Source::Close {
            return self.skip(passed.count, if missed == 0 { CLOSED } else { why }, effects);
        }
        match schedule.misfire {
            Misfire::Skip => {
                self.skip(missed, why, effects);
                if is_on_time {
                    self.offer(now, newest, effects);
                }
            }
            Misfire::RunOnce => {
                self.skip(passed.count - 1, ("missed", "one run stands for all that were missed"), effects);
                self.offer(now, newest, effects);
            }
            Misfire::RunAll if missed == 0 => self.offer(now, newest, effects),
            // Nothing but the final run begins when it has closed.
            Misfire::RunAll if !may_all_begin => {
                self.skip(passed.count - 1, CLOSED, effects);
                self.offer(now, newest, effects);
            }
            Misfire::RunAll => {
                let space = MOST_QUEUED.saturating_sub(self.agenda.queue.len());
                let turns = course.all(mark, now).take(space);
                let turns: Vec<Turn> =
                    turns.map(|due| Turn { due: due.moment, cause: Cause::Schedule }).collect();
                let rest = passed.count.saturating_sub(turns.len() as u64);
                self.agenda.queue.extend(turns);
                self.skip(rest, QUEUE_FULL, effects);
                if self.plan.kind == Kind::Job {
                    self.rise(now, effects);
                }
            }
        }
    }

    fn offer(&mut self, now: Time, due: Due, effects: &mut Vec<Effect>) {
        let turn = Turn { due: due.moment, cause: Cause::Schedule };
        match due.source {
            // It comes after all others, whatever is at work.
            Source::Close => self.enqueue(now, turn, effects),
            Source::Every | Source::Wall => self.take(now, turn, effects),
        }
    }

    pub(super) fn begin_first(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Some(cause) = self.agenda.first.take() else { return };
        self.agenda.mark.beat = due::line(now);
        let turn = Turn { due: self.clock().wall(now), cause };
        // A worker that is ticked is about to start.
        if self.is_ticked() { self.enqueue(now, turn, effects) } else { self.take(now, turn, effects) }
    }

    /// What waited under an earlier daemon goes on waiting, if its hours are not over.
    pub(super) fn inherit(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let waiting = std::mem::take(&mut self.agenda.inherited);
        let is_drained = self.plan.schedule.as_ref().is_some_and(|s| s.on_close == OnClose::Drain);
        if !self.agenda.is_open && !is_drained {
            return self.skip(waiting.len() as u64, CLOSED, effects);
        }
        for due in waiting {
            self.enqueue(now, Turn { due, cause: Cause::Schedule }, effects);
        }
    }

    // ---- turns

    /// A run is wanted now.
    pub(super) fn take(&mut self, now: Time, turn: Turn, effects: &mut Vec<Effect>) {
        if self.is_ticked() {
            return self.take_tick(now, turn, effects);
        }
        if self.is_at_rest() {
            return self.enqueue(now, turn, effects);
        }
        match self.overlap() {
            Overlap::Skip => {
                let why = if self.is_waiting() { WAITS } else { AT_WORK };
                self.skip(1, why, effects);
            }
            Overlap::Queue => self.enqueue(now, turn, effects),
            Overlap::Allow => self.agenda.lent.push(turn),
            Overlap::Replace => self.replace(now, turn, effects),
        }
    }

    fn replace(&mut self, now: Time, turn: Turn, effects: &mut Vec<Effect>) {
        self.drop_queue(REPLACED, effects);
        let has_begun = self.state.run().is_some();
        if !has_begun && self.agenda.turn.is_some() {
            self.skip(1, REPLACED, effects);
            (self.agenda.turn, self.cause) = (Some(turn.due), Some(turn.cause));
            return;
        }
        self.agenda.queue.push_back(turn);
        if self.is_up() {
            self.agenda.turn = None;
            self.note = Some("stopped by schedule: its next run is due".to_owned());
            self.stop_tree(now, Why::Asked, effects);
        }
    }

    /// A run waits for those before it; begins at once if there are none.
    pub(super) fn enqueue(&mut self, now: Time, turn: Turn, effects: &mut Vec<Effect>) {
        if self.agenda.queue.len() >= MOST_QUEUED {
            return self.skip(1, QUEUE_FULL, effects);
        }
        self.agenda.queue.push_back(turn);
        if self.plan.kind == Kind::Job {
            self.rise(now, effects);
        }
    }

    /// The run that waits longest is the next.
    pub(super) fn take_next_turn(&mut self) {
        if self.plan.kind == Kind::Job
            && self.agenda.turn.is_none()
            && let Some(turn) = self.agenda.queue.pop_front()
        {
            (self.agenda.turn, self.cause) = (Some(turn.due), Some(turn.cause));
        }
    }

    /// Whether it only waits for its time.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(
            self.state,
            State::Scheduled | State::Failed | State::Releasing { rest: Rest::Scheduled | Rest::Failed, .. }
        )
    }

    /// Begins, if it only waits for its time and that has come.
    pub(super) fn rise(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if !self.is_at_rest() || !self.is_due() {
            return;
        }
        self.if_held = IfHeld::StandBy;
        if let State::Releasing { rest, .. } = &mut self.state {
            *rest = Rest::Again;
        } else if self.plan.needs.is_empty() {
            self.begin(now, effects);
        } else {
            self.take_next_turn();
            self.state = State::Waiting;
        }
    }

    /// Somebody wants one run now.
    pub(super) fn run_asked(&mut self, now: Time, cause: Cause, effects: &mut Vec<Effect>) {
        if self.plan.schedule.is_none() {
            return;
        }
        let turn = Turn { due: self.clock().wall(now), cause: cause.clone() };
        if self.wanted == Wanted::Up && !matches!(self.state, State::Failed) {
            return self.run_now(now, turn, effects);
        }
        match self.plan.kind {
            // One run, as of a job without a schedule.
            Kind::Job => self.agenda.turn = Some(turn.due),
            Kind::Service => {
                self.follow(now, None);
                self.agenda.is_forced = true;
                if self.is_ticked() {
                    self.agenda.queue.push_back(turn);
                }
            }
        }
        if self.plan.needs.is_empty() {
            return self.go_up(now, cause, IfHeld::Refuse, effects);
        }
        // What it needs comes first, as with any start.
        self.if_held = IfHeld::Refuse;
        self.refusal = None;
        self.want_up(&cause, effects);
        self.unseen = self.unseen.take().map(|_| Why::Asked);
        self.restarts.forget();
        match self.state {
            State::Stopped | State::Failed | State::Completed => {
                self.note = Some(format!("run by {cause}, waits for what it needs"));
                self.state = State::Waiting;
            }
            State::Stopping { .. } | State::Freeing { .. } => self.is_deferred = true,
            State::Releasing { ref mut rest, .. } => *rest = Rest::Waiting,
            State::Waiting
            | State::Claiming { .. }
            | State::Standby { .. }
            | State::Looking { .. }
            | State::Spawning { .. }
            | State::Probing { .. }
            | State::Ready { .. }
            | State::Unhealthy { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Conflict { .. }
            | State::Scheduled => {}
        }
    }

    fn run_now(&mut self, now: Time, turn: Turn, effects: &mut Vec<Effect>) {
        let (is_at_rest, is_free) = (self.is_at_rest(), self.overlap() != Overlap::Skip);
        if self.plan.kind == Kind::Job {
            if is_at_rest || is_free {
                self.take(now, turn, effects);
            }
            return;
        }
        self.agenda.is_forced |= !self.agenda.is_open;
        if is_at_rest {
            self.cause = Some(turn.cause.clone());
            self.note = Some(format!("run by {}", turn.cause));
        }
        let is_ready = matches!(self.state, State::Ready { .. });
        if self.is_ticked() && !is_ready {
            // A worker that is not there yet is waited for, whatever the policy.
            self.enqueue(now, turn, effects);
        } else if self.is_ticked() && (is_free || self.agenda.ticks.is_empty()) {
            self.take(now, turn, effects);
        }
        self.rise(now, effects);
    }

    // ---- what is left out

    /// Runs that were due are left out.
    pub(crate) fn skip(&self, count: u64, (reason, words): LeftOut<'_>, effects: &mut Vec<Effect>) {
        if count > 0 {
            self.tell(
                What::Skipped,
                |note| {
                    (note.run, note.count) = (None, Some(count));
                    (note.reason, note.words) = (Some(reason), Some(words.to_owned()));
                },
                effects,
            );
        }
    }

    pub(super) fn drop_queue(&mut self, why: LeftOut<'_>, effects: &mut Vec<Effect>) {
        let count = std::mem::take(&mut self.agenda.queue).len() as u64;
        self.skip(count, why, effects);
    }

    /// A job's run cannot begin, nor can those that wait behind it: to its next moment.
    pub(super) fn miss(&mut self, why: &str, effects: &mut Vec<Effect>) {
        let count = u64::from(self.agenda.turn.take().is_some()) + self.agenda.queue.len() as u64;
        self.agenda.queue.clear();
        self.skip(count, ("blocked", why), effects);
    }
}
