//! The hours of an instance: what becomes of it when its window opens and when it closes.

use crate::event::{Cause, Effect, What};
use crate::instance::Instance;
use crate::instance::agenda::CLOSED;
use crate::plan::Kind;
use crate::schedule::OnClose;
use crate::state::{Refusal, Rest, State, Why};
use crate::time::Time;

impl Instance {
    /// Whether a window starts and stops it.
    pub(super) fn has_hours(&self) -> bool {
        self.is_following() && self.plan.schedule.as_ref().is_some_and(|schedule| schedule.window.is_some())
    }

    /// What it needs is on its way; out of its hours it does not wait for that.
    pub(super) fn wait_for_needs(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.is_due() {
            self.state = State::Waiting;
        } else {
            self.release(now, Rest::Scheduled, effects);
        }
    }

    /// What it needs is not to be had.
    pub(super) fn needs_failed(&mut self, now: Time, why: String, effects: &mut Vec<Effect>) {
        if self.state != State::Waiting {
            return;
        }
        if self.unseen.is_none() && self.cause == Some(Cause::Schedule) && self.is_following() {
            // It was its schedule's wish, which goes on.
            self.note = Some(why.clone());
            if self.plan.kind == Kind::Job {
                self.miss(&why, effects);
                return self.release(now, Rest::Scheduled, effects);
            }
            self.tell(What::Failed, |note| note.words = Some(why), effects);
            return self.state = State::Failed;
        }
        self.refuse(Refusal::Error(why), effects);
        self.state = State::Stopped;
        // What an unseen run left must be ended all the same.
        if self.unseen.is_some() {
            self.begin(now, effects);
        }
    }

    pub(super) fn open(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.agenda.is_closing = false;
        if self.plan.kind == Kind::Service && self.is_at_rest() {
            // What failed in its last hours begins anew.
            self.restarts.forget();
            self.cause = Some(Cause::Schedule);
            self.note = Some("its window has opened".to_owned());
            self.rise(now, effects);
        }
    }

    pub(super) fn close(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Some(schedule) = &self.plan.schedule else { return };
        let (on_close, patience, has_final) =
            (schedule.on_close, schedule.drain_timeout, schedule.has_final_run);
        self.agenda.is_forced = false;
        let is_job = self.plan.kind == Kind::Job;
        if on_close != OnClose::Drain {
            self.drop_queue(CLOSED, effects);
        }
        if is_job && on_close != OnClose::Stop {
            return;
        }
        if is_job {
            self.agenda.has_closed_lanes = true;
            let has_begun = self.state.run().is_some();
            if self.agenda.turn.take().is_some() && !has_begun && self.unseen.is_none() {
                self.skip(1, CLOSED, effects);
            }
        }
        if !self.is_up() {
            return self.withdraw(now, effects);
        }
        let is_answered = self.agenda.ticks.is_empty() && self.agenda.queue.is_empty();
        if self.is_ticked() {
            self.agenda.is_closing = has_final || (on_close != OnClose::Stop && !is_answered);
            if self.agenda.is_closing {
                return;
            }
        } else if on_close == OnClose::Finish {
            return;
        }
        let is_drained = on_close == OnClose::Drain && !is_job && !self.is_ticked();
        self.stop_at_close(now, if is_drained { patience } else { self.plan.stop_grace }, effects);
    }

    /// Its hours are over.
    pub(super) fn stop_at_close(&mut self, now: Time, grace: std::time::Duration, effects: &mut Vec<Effect>) {
        self.note = Some("stopped by schedule: its window has closed".to_owned());
        self.stop_tree_within(now, Why::Asked, grace, effects);
    }

    /// A start that has not come to a run yet is taken back. Where an answer is awaited it finds out by itself.
    fn withdraw(&mut self, now: Time, effects: &mut Vec<Effect>) {
        match self.state {
            State::Waiting
            | State::Standby { .. }
            | State::Conflict { .. }
            | State::Looking { .. }
            | State::Backoff { .. }
                if self.unseen.is_none() =>
            {
                self.note = Some(CLOSED.1.to_owned());
                self.release(now, Rest::Scheduled, effects);
            }
            State::Waiting
            | State::Standby { .. }
            | State::Conflict { .. }
            | State::Looking { .. }
            | State::Backoff { .. }
            | State::Stopped
            | State::Claiming { .. }
            | State::Spawning { .. }
            | State::Probing { .. }
            | State::Ready { .. }
            | State::Unhealthy { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Freeing { .. }
            | State::Releasing { .. }
            | State::Failed
            | State::Scheduled
            | State::Completed => {}
        }
    }
}
