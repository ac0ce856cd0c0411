//! The stand-in of an instance of which two runs may overlap. A restart that somebody asks for begins with it: a new run,
//! tried beside the one that serves. When it is ready, it serves while the instance itself is restarted, and is stopped
//! once that is ready again. When it does not get ready, all stays as it is.

use crate::event::{Cause, Event, IfHeld, Wanted};
use crate::id::RunId;
use crate::project::{Orders, Project};
use crate::state::{Status, Word};
use crate::time::Time;

/// A restart whose new run is tried beside the old one.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    cause: Cause,
    /// The run that serves. If it ends by itself, the next one is the new one.
    run: RunId,
}

impl Project {
    /// The stand-in of an instance, if two runs of it may overlap.
    pub fn stand_in(&self, at: usize) -> Option<usize> {
        let name = self.members[at].instance.plan().stand_in.as_ref()?;
        self.position(name).filter(|stand_in| !self.members[*stand_in].is_removed)
    }

    /// For whom it stands in.
    pub fn base(&self, at: usize) -> Option<usize> {
        self.index.base(self.name(at))
    }

    /// Whether a new run is tried beside its own: how its restart goes is not known yet.
    pub fn is_on_trial(&self, at: usize) -> bool {
        self.members[at].trial.is_some()
    }

    /// Whether its run listens elsewhere than it is declared to: nobody can stand in for it then.
    pub fn set_elsewhere(&mut self, at: usize, is_elsewhere: bool) {
        self.members[at].is_elsewhere = is_elsewhere;
    }

    /// Whether what is tried beside it, or about to be, comes from the present declaration.
    pub(super) fn tries_present(&self, at: usize) -> bool {
        let is_old = |instance: &crate::instance::Instance| instance.is_up() && instance.is_stale();
        // What it needs from now on comes first.
        let stand_in = self.stand_in(at).filter(|_| self.is_on_trial(at) && self.unmet(at).is_empty());
        stand_in.is_some_and(|stand_in| !is_old(&self.members[stand_in].instance))
    }

    /// A restart begins with the stand-in, if the instance has one and serves. Asked again, what is tried begins anew: it
    /// may be old already.
    pub(super) fn try_beside(&mut self, now: Time, at: usize, cause: &Cause, orders: &mut Orders) -> bool {
        let own = &self.members[at].instance;
        let (status, may_overlap) = (own.status(), own.is_due() && !self.members[at].is_elsewhere);
        let (Some(stand_in), Some(run), Word::Ready, true) =
            (self.stand_in(at), status.run, status.state, may_overlap)
        else {
            return false;
        };
        self.members[at].trial = Some(Trial { cause: cause.clone(), run });
        self.members[at].instance.forget_refusal();
        let cause = cause.clone();
        let event = match self.members[stand_in].instance.is_up() {
            true => Event::RestartAsked { cause },
            false => Event::StartAsked { cause, if_held: IfHeld::Refuse },
        };
        self.tell(now, stand_in, event, orders);
        true
    }

    /// What follows for an instance and its stand-in from how both are; says whether anything did. Each time a trial ends
    /// or a stand-in is wanted no more, so this ends.
    pub(super) fn follow_stand_in(&mut self, now: Time, at: usize, orders: &mut Orders) -> bool {
        let Some(stand_in) = self.stand_in(at) else { return self.members[at].trial.take().is_some() };
        let (own, its) = (&self.members[at].instance, self.members[stand_in].instance.status());
        let (status, is_due) = (own.status(), own.is_due());
        let serves_on = is_due && own.is_up();
        let Some(trial) = self.members[at].trial.take() else {
            let goes = its.wanted == Wanted::Up && (!is_due || needs_no_stand_in(&status));
            if goes {
                let cause = Cause::Dependency(self.name(at).to_owned());
                self.tell(now, stand_in, Event::StopAsked { cause }, orders);
            }
            return goes;
        };
        if !serves_on || status.run != Some(trial.run) {
            return true;
        }
        match its.state {
            Word::Claiming | Word::Starting | Word::Stopping => {
                self.members[at].trial = Some(trial);
                return false;
            }
            Word::Ready => self.tell(now, at, Event::RestartAsked { cause: trial.cause }, orders),
            Word::Stopped
            | Word::Failed
            | Word::Completed
            | Word::Standby
            | Word::Conflict
            | Word::Backoff
            | Word::Scheduled
            | Word::Running
            | Word::Unhealthy => {
                let why = its.note.unwrap_or_else(|| its.state.to_string());
                let mut effects = Vec::new();
                self.members[at].instance.stay(format!("the new run did not get ready: {why}"), &mut effects);
                orders.extend(effects.into_iter().map(|effect| (at, effect)));
                self.note(at);
            }
        }
        true
    }

    /// What happens to a stand-in is told of its instance.
    pub(super) fn touch_base(&mut self, at: usize) {
        if let Some(base) = self.base(at) {
            self.members[base].instance.touch();
            self.note(base);
        }
    }

    /// What is told of an instance says who stands in for it.
    pub(super) fn with_stand_in(&self, at: usize, mut status: Status) -> Status {
        let Some(stand_in) = self.stand_in(at) else { return status };
        let name = self.name(stand_in);
        if let Some(trial) = &self.members[at].trial {
            status.note = Some(format!("restarted by {}: {name} is tried beside it", trial.cause));
        } else if status.state != Word::Ready && self.members[stand_in].instance.status().state == Word::Ready
        {
            let note = status.note.map_or(String::new(), |note| format!("{note}; "));
            status.note = Some(format!("{note}{name} serves meanwhile"));
        }
        status
    }
}

/// It serves itself, or is not to serve here and now. What has failed goes on being stood in for.
fn needs_no_stand_in(status: &Status) -> bool {
    let is_through = match status.state {
        Word::Stopped
        | Word::Standby
        | Word::Ready
        | Word::Unhealthy
        | Word::Scheduled
        | Word::Running
        | Word::Completed => true,
        Word::Claiming | Word::Starting | Word::Stopping | Word::Backoff | Word::Conflict | Word::Failed => {
            false
        }
    };
    is_through || status.wanted == Wanted::Down
}
