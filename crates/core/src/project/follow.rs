//! What follows for others: when an instance falls (its strategy), and when soloist.toml or files of the program have
//! changed.

use crate::event::{Cause, Event, IfHeld, Wanted};
use crate::plan::{Kind, Strategy};
use crate::project::{Orders, Project};
use crate::state::{Status, Word};
use crate::time::Time;

impl Project {
    /// One has fallen: those that go with it are stopped, and come up again once what they need is there.
    pub(super) fn spread(&mut self, now: Time, fallen: usize, orders: &mut Orders) {
        if self.members[fallen].instance.plan().kind != Kind::Service || self.base(fallen).is_some() {
            return;
        }
        let with_it: Vec<usize> = match self.strategy {
            Strategy::OneForOne => return,
            Strategy::RestForOne => self.dependents(fallen),
            Strategy::OneForAll => (0..self.members.len()).filter(|at| *at != fallen).collect(),
        };
        let cause = Cause::Dependency(self.name(fallen).to_owned());
        for at in with_it {
            let instance = &self.members[at].instance;
            if instance.plan().kind != Kind::Service || !instance.is_up() || self.base(at).is_some() {
                continue;
            }
            self.tell(now, at, Event::RestartAsked { cause: cause.clone() }, orders);
            // It waits when its tree is empty: what it needs may have fallen.
            let (cause, needs) = (cause.clone(), self.name(fallen).to_owned());
            self.tell(now, at, Event::StartDeferred { cause, if_held: IfHeld::StandBy, needs }, orders);
        }
    }

    /// All that need it, and what needs those.
    fn dependents(&self, at: usize) -> Vec<usize> {
        let mut found = vec![at];
        let mut looked_at = 0;
        while let Some(need) = found.get(looked_at).copied() {
            let more = self.index.dependents(self.name(need)).filter(|other| !found.contains(other));
            let more: Vec<usize> = more.collect();
            found.extend(more);
            looked_at += 1;
        }
        found.split_off(1)
    }

    /// soloist.toml was read again and declares these: what runs from an older declaration gets a new run, what is declared
    /// no more is stopped, everything else is left alone; with `only`, among those. Says which were touched.
    pub fn reconcile(
        &mut self,
        now: Time,
        declared: &[usize],
        only: Option<&[usize]>,
        orders: &mut Orders,
    ) -> Vec<usize> {
        let mut touched = Vec::new();
        for at in (0..self.members.len()).filter(|at| only.is_none_or(|only| only.contains(at))) {
            let is_removed = !declared.contains(&at);
            if is_removed && !self.members[at].is_removed {
                self.members[at].is_removed = true;
                self.touched.push(at);
                if !self.is_down(at) {
                    self.stop(
                        now,
                        at,
                        Cause::Declaration("soloist.toml, which declares it no more".to_owned()),
                        orders,
                    );
                    touched.push(at);
                }
            } else if !is_removed && self.members[at].instance.is_stale() && !self.is_going(at) {
                let cause = Cause::Declaration("a changed declaration".to_owned());
                self.restart(now, at, cause, orders);
                touched.push(at);
            }
        }
        // Whoever waited for what is needed no more goes on.
        self.settle(now, orders);
        touched
    }

    /// Files of an instance have changed, the last of them then: a new run, unless nobody wants it up, its run began later,
    /// or it will begin anyway. What had fallen is tried again as if for the first time.
    pub fn renew(&mut self, now: Time, at: usize, changed: Time, cause: Cause, orders: &mut Orders) {
        let Status { wanted, state, pid, since, .. } = self.status(at);
        if wanted == Wanted::Down || self.members[at].stop_after.is_some() {
            return;
        }
        match state {
            Word::Starting | Word::Ready | Word::Unhealthy | Word::Running => {
                if pid.is_some() && since < changed {
                    self.restart(now, at, cause, orders);
                }
            }
            // What stops to come up again, or fell a moment ago.
            Word::Stopping | Word::Backoff | Word::Failed => {
                self.start(now, at, cause, IfHeld::StandBy, orders);
            }
            Word::Stopped
            | Word::Claiming
            | Word::Standby
            | Word::Conflict
            | Word::Scheduled
            | Word::Completed => {}
        }
    }

    /// Whether its run ends or is to end: the next one is started from the present declaration, if there is one. A
    /// stand-in goes when its work is done.
    fn is_going(&self, at: usize) -> bool {
        let is_up = self.members[at].instance.is_up();
        self.members[at].stop_after.is_some() || !is_up || self.base(at).is_some() || self.tries_present(at)
    }

    /// Whether it is declared no more.
    pub fn is_removed(&self, at: usize) -> bool {
        self.members[at].is_removed
    }
}
