//! What people ask for: start, stop, restart. Mostly a change of what is wanted; the state then finds its way.

use crate::event::{Cause, Effect, IfHeld, Wanted, What};
use crate::instance::{Instance, STOP_MARGIN};
use crate::state::{Life, Refusal, Rest, State, Why};
use crate::time::Time;

impl Instance {
    pub(super) fn start_asked(
        &mut self,
        now: Time,
        cause: Cause,
        if_held: IfHeld,
        effects: &mut Vec<Effect>,
    ) {
        // It follows its schedule already: who asks again gets no further run.
        if self.state == State::Scheduled && !self.is_due() {
            return self.refusal = None;
        }
        if !self.is_following() {
            self.follow(now, Some(&cause));
        }
        self.go_up(now, cause, if_held, effects);
    }

    pub(super) fn go_up(&mut self, now: Time, cause: Cause, if_held: IfHeld, effects: &mut Vec<Effect>) {
        self.if_held = if_held;
        self.refusal = None;
        self.is_deferred = false;
        // Also where a stop is not done yet: what follows it is this start.
        if self.wanted == Wanted::Down || matches!(self.state, State::Failed | State::Completed) {
            self.note = Some(format!("started by {cause}"));
        }
        self.want_up(&cause, effects);
        self.unseen = self.unseen.take().map(|_| Why::Asked);
        match &mut self.state {
            State::Stopped | State::Failed | State::Completed => {
                self.restarts.forget();
                self.begin(now, effects);
            }
            State::Waiting | State::Scheduled => self.begin(now, effects),
            // Somebody is impatient: try now.
            State::Standby { .. } | State::Conflict { .. } | State::Backoff { .. } => {
                self.restarts.forget();
                self.begin(now, effects);
            }
            State::Releasing { rest, .. } => *rest = Rest::Again,
            // Wanted again before it was down, or while what fell is being cleared away: up again at once then.
            State::Stopping { why, .. } => {
                *why = Why::Asked;
                self.restarts.forget();
            }
            State::Freeing { .. } => self.restarts.forget(),
            State::Claiming { .. }
            | State::Looking { .. }
            | State::Spawning { .. }
            | State::Probing { .. }
            | State::Ready { .. }
            | State::Unhealthy { .. }
            | State::Running { .. } => {}
        }
    }

    pub(super) fn start_deferred(
        &mut self,
        now: Time,
        cause: Cause,
        if_held: IfHeld,
        needs: String,
        effects: &mut Vec<Effect>,
    ) {
        if self.state == State::Scheduled && !self.is_due() {
            return self.refusal = None;
        }
        if !self.is_following() {
            self.follow(now, Some(&cause));
        }
        self.if_held = if_held;
        self.refusal = None;
        self.want_up(&cause, effects);
        self.unseen = self.unseen.take().map(|_| Why::Asked);
        let goes_along = matches!((&self.state, &cause), (State::Stopping { .. }, Cause::Dependency(_)));
        match &mut self.state {
            State::Stopped
            | State::Failed
            | State::Completed
            | State::Standby { .. }
            | State::Conflict { .. }
            | State::Scheduled => self.wait_for_needs(now, effects),
            State::Backoff { .. } => self.release(now, Rest::Waiting, effects),
            State::Releasing { rest, .. } => *rest = Rest::Waiting,
            // On its way somewhere; it will wait when it comes up again.
            State::Stopping { why, .. } => {
                *why = Why::Asked;
                self.is_deferred = true;
            }
            State::Claiming { .. } | State::Looking { .. } | State::Freeing { .. } => self.is_deferred = true,
            State::Waiting
            | State::Spawning { .. }
            | State::Probing { .. }
            | State::Ready { .. }
            | State::Unhealthy { .. }
            | State::Running { .. } => return,
        }
        if !goes_along {
            self.restarts.forget();
        }
        self.note = Some(format!("started by {cause}, waits for {needs}"));
    }

    pub(super) fn stop_asked(&mut self, now: Time, cause: Cause, effects: &mut Vec<Effect>) {
        self.is_deferred = false;
        self.refusal = None;
        self.forget_outcome();
        let was_up = self.wanted == Wanted::Up;
        if was_up || self.state.run().is_some() {
            self.tell(What::WantedDown, |note| note.cause = Some(cause.clone()), effects);
        }
        self.want(Wanted::Down, effects);
        let is_going = matches!(self.state, State::Stopping { .. } | State::Releasing { .. });
        if self.state != State::Stopped && (was_up || !is_going) {
            // Also where a restart, or a failure, has begun to end it: from here on this is why it stays down.
            self.note = Some(format!("stopped by {cause}"));
        }
        match &mut self.state {
            State::Stopped => {}
            // What an unseen run left must be ended first.
            State::Standby { .. } if self.unseen.is_some() => {}
            State::Waiting if self.unseen.is_some() => self.begin(now, effects),
            State::Waiting
            | State::Failed
            | State::Completed
            | State::Standby { .. }
            | State::Conflict { .. }
            | State::Scheduled => self.state = State::Stopped,
            // The answer finds out that nothing is wanted any more.
            State::Claiming { .. } | State::Looking { .. } | State::Freeing { .. } => {}
            State::Backoff { .. } => self.release(now, Rest::Stopped, effects),
            State::Releasing { rest, .. } => *rest = Rest::Stopped,
            State::Spawning { .. }
            | State::Probing { .. }
            | State::Ready { .. }
            | State::Unhealthy { .. }
            | State::Running { .. } => self.stop_tree(now, Why::Asked, effects),
            State::Stopping { why, until, .. } => {
                *why = Why::Asked;
                // It may be given a long time to drain. A sweep has no tree to stop.
                if was_up && !self.is_sweeping && *until > now + self.plan.stop_grace + STOP_MARGIN {
                    self.stop_tree(now, Why::Asked, effects);
                }
            }
        }
    }

    pub(super) fn restart_asked(&mut self, now: Time, cause: Cause, effects: &mut Vec<Effect>) {
        match &mut self.state {
            State::Spawning { .. }
            | State::Probing { .. }
            | State::Ready { .. }
            | State::Unhealthy { .. }
            | State::Running { .. } => {
                self.want(Wanted::Up, effects);
                self.refusal = None;
                // Two that fall and take each other with them would else never be too many.
                if !matches!(cause, Cause::Dependency(_)) {
                    self.restarts.forget();
                }
                self.note = Some(format!("restarted by {cause}"));
                self.cause = Some(cause);
                self.stop_tree(now, Why::Asked, effects);
            }
            State::Stopping { why, .. } => {
                *why = Why::Asked;
                self.start_asked(now, cause, self.if_held_again(), effects);
            }
            State::Stopped
            | State::Waiting
            | State::Failed
            | State::Completed
            | State::Claiming { .. }
            | State::Standby { .. }
            | State::Looking { .. }
            | State::Freeing { .. }
            | State::Releasing { .. }
            | State::Backoff { .. }
            | State::Conflict { .. }
            | State::Scheduled => self.start_asked(now, cause, self.if_held_again(), effects),
        }
    }

    /// A restart begins that leaves its run alone for now.
    pub(crate) fn forget_refusal(&mut self) {
        self.touch();
        (self.refusal, self.note) = (None, None);
    }

    /// The run that was to take its place did not get ready: it stays, and that is kept in sight.
    pub(crate) fn stay(&mut self, why: String, effects: &mut Vec<Effect>) {
        self.touch();
        self.note = Some(why.clone());
        self.refusal = Some(Refusal::NotReady(why.clone()));
        self.tell(What::Kept, |note| (note.reason, note.words) = (Some("not-ready"), Some(why)), effects);
    }

    /// Something is told of it that was not before.
    pub(crate) fn touch(&mut self) {
        self.revision += 1;
    }

    /// Only what lives can read anything again.
    pub(super) fn reload_asked(&mut self, cause: Cause, effects: &mut Vec<Effect>) {
        if let (Some(Life::Up { run }), Some(claim), Some(_)) = (self.state.life(), self.claim, self.pid) {
            effects.push(Effect::Reload { claim, run });
            self.tell(What::Reloaded, |note| note.cause = Some(cause), effects);
        }
    }

    /// Wanted from now on. What does not live yet will be started because of it.
    pub(super) fn want_up(&mut self, cause: &Cause, effects: &mut Vec<Effect>) {
        let is_up = matches!(self.state.life(), Some(Life::Up { .. }));
        let is_new = self.wanted == Wanted::Down || matches!(self.state, State::Failed | State::Completed);
        if is_new {
            self.forget_outcome();
        }
        self.want(Wanted::Up, effects);
        // A run that is due is no wish: its lines say why it came.
        if is_new && *cause != Cause::Schedule {
            self.tell(What::WantedUp, |note| note.cause = Some(cause.clone()), effects);
        }
        if !is_up {
            self.cause = Some(cause.clone());
        }
    }

    /// What is wanted already keeps its patience: a restart must not make a standing wish a passing one.
    pub(crate) fn if_held_again(&self) -> IfHeld {
        match self.wanted {
            Wanted::Up => self.if_held,
            Wanted::Down => IfHeld::Refuse,
        }
    }
}
