//! The ports: who is on them while nothing of ours should be, where they move then, and whether our tree, and nobody else,
//! is on them once it should.

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
        mut strangers: Vec<String>,
        free: Vec<u16>,
        effects: &mut Vec<Effect>,
    ) {
        match self.state {
            State::Looking { ask: current, .. } if current == ask => {
                match (self.wanted, strangers.is_empty()) {
                    (Wanted::Down, _) => self.release(now, Rest::Stopped, effects),
                    // A stop and a start may have come meanwhile, and with them its hours count again.
                    (Wanted::Up, _) if !self.is_due() => self.release(now, Rest::Scheduled, effects),
                    (Wanted::Up, true) => self.spawn(now, self.plan.ports.clone(), None, effects),
                    (Wanted::Up, false) => match self.spared(&free) {
                        // What an earlier run left is ended first: then there may be no need to move.
                        Some(ports) if self.swept == self.claim => {
                            // They may have left in this moment.
                            let is_moved = ports != self.plan.ports;
                            let to = moves(&self.plan.ports, &ports);
                            let words = format!("{to}, as others are there: {}", strangers.join("; "));
                            self.spawn(now, ports, is_moved.then_some(words), effects);
                        }
                        Some(_) => self.meet_strangers(now, strangers, effects),
                        None => {
                            let spares = self.spare_words();
                            strangers.extend(spares.map(|spares| format!("none of {spares} is free")));
                            self.meet_strangers(now, strangers, effects);
                        }
                    },
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

    /// The ports that it serves, in the order of those declared: of its run those that this was given.
    pub fn ports(&self) -> &[u16] {
        let has_run = self.state.run().is_some() || matches!(self.state, State::Freeing { .. });
        if has_run && !self.ports.is_empty() { &self.ports } else { &self.plan.ports }
    }

    /// Why its run is on other ports than the declared ones, if it is.
    pub(super) fn moved(&self) -> Option<&String> {
        self.moved.as_ref().filter(|_| self.is_up())
    }

    /// The same of a run that another daemon has moved: what was in its way is not known any more.
    pub(super) fn move_words(&self) -> Option<String> {
        let is_moved = !self.plan.spares.is_empty() && self.ports.len() == self.plan.ports.len();
        (is_moved && self.ports != self.plan.ports).then(|| moves(&self.plan.ports, &self.ports))
    }

    /// Where it can run while others are on its ports: each stays if it is free, and moves if it may to the spare port of the
    /// last run, or else to the first that is free.
    fn spared(&self, free: &[u16]) -> Option<Vec<u16>> {
        if self.plan.spares.is_empty() {
            return None;
        }
        let mut chosen = Vec::new();
        for (nth, port) in self.plan.ports.iter().enumerate() {
            let mut spares = self.plan.spares.iter().filter(|(of, _)| of == port);
            let mut range = spares.next().map(|(_, range)| range.clone());
            let is_left = |port: &u16| free.contains(port) && !chosen.contains(port);
            let last = self.ports.get(nth).filter(|last| range.as_ref().is_some_and(|r| r.contains(last)));
            let known = [Some(port), last].into_iter().flatten().copied();
            let found = known.chain(range.iter_mut().flatten()).find(is_left)?;
            chosen.push(found);
        }
        Some(chosen)
    }

    fn spare_words(&self) -> Option<String> {
        let ranges = self.plan.spares.iter().map(|(_, range)| format!("{}-{}", range.start(), range.end()));
        ranges.reduce(|all, range| format!("{all}, {range}"))
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

/// `moved from port 8001 to 8002`.
fn moves(from: &[u16], to: &[u16]) -> String {
    let moved = from.iter().zip(to).filter(|(from, to)| from != to);
    let each: Vec<String> = moved.map(|(from, to)| format!("from port {from} to {to}")).collect();
    format!("moved {}", each.join(" and "))
}
