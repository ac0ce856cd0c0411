//! The claim: asked for, granted or held by somebody else, let go again.

use crate::event::{Effect, IfHeld, Note, Wanted, What};
use crate::id::{AskId, ClaimId, RunId};
use crate::instance::{Instance, RETRY};
use crate::state::{Refusal, Rest, State};
use crate::time::Time;

impl Instance {
    pub(super) fn claim_granted(&mut self, now: Time, ask: AskId, claim: ClaimId, effects: &mut Vec<Effect>) {
        if !matches!(self.state, State::Claiming { ask: current, .. } if current == ask) {
            // An answer to a question that was given up: let it go, whatever we hold now is another one. The same one
            // told twice is not let go: it is in use.
            if self.claim != Some(claim) {
                effects.push(Effect::Release { claim });
            }
            return;
        }
        self.claim = Some(claim);
        match (self.wanted, self.unseen.take()) {
            (_, Some(why)) => {
                let run = RunId(self.random.next());
                self.sweep(now, run, why, effects);
            }
            (Wanted::Up, None) => self.look(now, effects),
            (Wanted::Down, None) => self.release(now, Rest::Stopped, effects),
        }
    }

    pub(super) fn claim_refused(
        &mut self,
        now: Time,
        ask: AskId,
        refusal: Refusal,
        effects: &mut Vec<Effect>,
    ) {
        if !matches!(self.state, State::Claiming { ask: current, .. } if current == ask) {
            return;
        }
        let words = refusal.words();
        let is_news = self.note.as_ref() != Some(&words);
        let waiting = State::Standby { retry_at: now + RETRY };
        let comes_again = self.is_recurring() || !self.is_due();
        self.state = match (self.wanted, comes_again, self.if_held) {
            (Wanted::Down, _, _) | (_, true, _) if self.unseen.is_some() => waiting,
            (Wanted::Down, _, _) => State::Stopped,
            // A job that is due while somebody else runs it is skipped, not queued.
            (Wanted::Up, true, _) => {
                self.miss(&words, effects);
                State::Scheduled
            }
            // Somebody else is at work: a better time is waited for.
            (Wanted::Up, false, IfHeld::StandBy) => {
                if is_news {
                    let fill = |note: &mut Note| {
                        (note.reason, note.words) = (Some(refusal.word()), Some(words.clone()));
                    };
                    self.tell(What::Standby, fill, effects);
                }
                waiting
            }
            (Wanted::Up, false, IfHeld::Refuse) => {
                self.refuse(refusal, effects);
                return self.state = if self.unseen.is_some() { waiting } else { State::Stopped };
            }
        };
        self.note = Some(words);
        self.refusal = Some(refusal);
    }

    pub(super) fn released(&mut self, now: Time, claim: ClaimId, effects: &mut Vec<Effect>) {
        // Anything else is an answer to an old order: a claim that is in use is not let go by it.
        let State::Releasing { claim: current, rest, .. } = self.state else { return };
        if current != claim {
            return;
        }
        (self.ports, self.moved) = (Vec::new(), None);
        self.claim = None;
        self.state = match rest {
            Rest::Stopped => State::Stopped,
            Rest::Waiting => State::Waiting,
            Rest::Failed => State::Failed,
            Rest::Completed => State::Completed,
            Rest::Scheduled => {
                (self.if_held, self.is_deferred) = (IfHeld::StandBy, false);
                State::Scheduled
            }
            Rest::Conflict { retry_at } => State::Conflict { retry_at },
            Rest::Again => return self.begin(now, effects),
        };
    }
}
