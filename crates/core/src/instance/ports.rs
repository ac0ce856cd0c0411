//! The ports: who is on them while nothing of ours should be, and whether our tree, and nobody else, is once it should.

use crate::event::{Effect, IfHeld, Listening, Note, Wanted, What};
use crate::id::{AskId, RunId};
use crate::instance::{Instance, RETRY};
use crate::state::{Gate, Refusal, Rest, State, Why};
use crate::time::Time;

impl Instance {
    pub(super) fn ports_seen(
        &mut self,
        now: Time,
        ask: AskId,
        strangers: Vec<String>,
        effects: &mut Vec<Effect>,
    ) {
        match self.state {
            State::Looking { ask: current, .. } if current == ask => {
                match (self.wanted, strangers.is_empty()) {
                    (Wanted::Down, _) => self.release(now, Rest::Stopped, effects),
                    // Stopped and started again meanwhile: the run that was asked for is not wanted any more.
                    (Wanted::Up, true) if !self.is_due() => self.release(now, Rest::Scheduled, effects),
                    (Wanted::Up, true) => self.spawn(now, effects),
                    (Wanted::Up, false) => self.meet_strangers(now, strangers, effects),
                }
            }
            State::Freeing { ask: current, .. } if current == ask => match self.wanted {
                Wanted::Up => self.look(now, effects),
                Wanted::Down => {
                    if !strangers.is_empty() {
                        self.note =
                            Some(format!("stopped, but its port is in use: {}", strangers.join("; ")));
                    }
                    self.release(now, Rest::Stopped, effects);
                }
            },
            State::Looking { .. }
            | State::Freeing { .. }
            | State::Stopped
            | State::Waiting
            | State::Claiming { .. }
            | State::Standby { .. }
            | State::Spawning { .. }
            | State::Probing { .. }
            | State::Ready { .. }
            | State::Unhealthy { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Releasing { .. }
            | State::Backoff { .. }
            | State::Failed
            | State::Conflict { .. }
            | State::Scheduled
            | State::Completed => {}
        }
    }

    /// Holding the claim with an empty tree, while others are on the ports.
    pub(super) fn meet_strangers(&mut self, now: Time, strangers: Vec<String>, effects: &mut Vec<Effect>) {
        if self.swept != self.claim {
            // They may be what an earlier run left: end that, and look again.
            let run = RunId(self.random.next());
            return self.sweep(now, run, Why::Asked, effects);
        }
        let refusal = Refusal::Ports(strangers);
        let words = refusal.words();
        let is_news = self.note.as_ref() != Some(&words);
        let fill = |note: &mut Note| note.words = Some(words.clone());
        let rest = match (self.if_held, self.is_recurring()) {
            // A job that is due while its place is taken is skipped, not dropped.
            (_, true) => {
                self.miss(&words, effects);
                Rest::Scheduled
            }
            (IfHeld::StandBy, false) => {
                if is_news {
                    self.tell(What::Conflict, fill, effects);
                }
                Rest::Conflict { retry_at: now + RETRY }
            }
            (IfHeld::Refuse, false) => {
                self.refuse(refusal.clone(), effects);
                Rest::Stopped
            }
        };
        self.note = Some(words);
        self.refusal = Some(refusal);
        self.release(now, rest, effects);
    }

    pub(super) fn ports_checked(
        &mut self,
        now: Time,
        ask: AskId,
        seen: Listening,
        effects: &mut Vec<Effect>,
    ) {
        let State::Probing { gate: Gate::Ports(tries), .. } = &mut self.state else { return };
        if !tries.take(ask) {
            return;
        }
        match seen {
            Listening::Ours => self.pass(now, effects),
            Listening::NotYet => self.look_again(now),
            // Two servers on one port: half of the requests would go to the wrong one.
            Listening::Strangers(strangers) => {
                let refusal = Refusal::Ports(strangers);
                let words = refusal.words();
                self.tell(What::Conflict, |note| note.words = Some(words.clone()), effects);
                self.note = Some(words);
                self.refusal = Some(refusal);
                self.stop_tree(now, Why::Conflict, effects);
            }
        }
    }
}
