//! The daemons of the small world: the real core, its orders performed one by one so that anything may come between, and
//! the takeover of what an earlier daemon left.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use soloist_core::event::{Cause, Effect, Event, IfHeld, Listening, Note, Notice, Wanted, What};
use soloist_core::id::ClaimId;
use soloist_core::project::{Orders, Project};

use super::guard::PID;
use super::state::{Daemon, GuardId, Held, Letter, Lock, Order, State, Todo, Tree};
use super::{Fault, Wish, World, name};

impl State {
    pub fn revive(&mut self, seat: usize, world: &World) {
        let mut project = Project::new();
        for at in 0..world.instances {
            project.add(&name(at), world.plan(at), u64::from(self.name()) << 32, self.now);
        }
        self.seats[seat].daemon = Some(Daemon {
            project,
            held: BTreeMap::new(),
            todo: VecDeque::new(),
            answers: Vec::new(),
            untaken: (0..world.instances).collect(),
            sought: BTreeSet::new(),
        });
    }

    /// What it had in mind is gone, its descriptors are closed. Whoever was not answered has asked for nothing.
    pub fn kill_daemon(&mut self, seat: usize) {
        let seat = &mut self.seats[seat];
        seat.daemon = None;
        seat.wished = seat.ledger.iter().copied().map(Some).collect();
    }

    fn daemon(&mut self, seat: usize) -> Option<&mut Daemon> {
        self.seats[seat].daemon.as_mut()
    }

    /// Has the core decide; what it orders comes before all that it was still to do.
    fn decide(&mut self, seat: usize, decide: impl FnOnce(&mut Project, &mut Orders)) {
        let Some(daemon) = self.daemon(seat) else { return };
        let mut orders = Orders::new();
        decide(&mut daemon.project, &mut orders);
        daemon.project.take_touched();
        let written: Vec<(usize, bool)> = { orders.iter() }
            .filter_map(|(at, effect)| match effect {
                Effect::Record { wanted } => Some((*at, *wanted == Wanted::Up)),
                _ => None,
            })
            .collect();
        orders.retain(|(_, effect)| is_of_matter(effect));
        orders.into_iter().rev().for_each(|(at, effect)| daemon.todo.push_front(Todo::Perform(at, effect)));
        if !written.is_empty() {
            daemon.todo.push_front(Todo::Write(written));
        }
    }

    fn tell(&mut self, seat: usize, at: usize, event: Event) {
        let now = self.now;
        self.decide(seat, |project, orders| project.handle(now, at, event, orders));
    }

    fn tell_later(&mut self, seat: usize, at: usize, event: Event) {
        if let Some(daemon) = self.daemon(seat) {
            daemon.todo.push_back(Todo::Tell(at, event));
        }
    }

    fn answer(&mut self, seat: usize, at: usize, event: Event) {
        if let Some(daemon) = self.daemon(seat) {
            daemon.answers.push((at, event));
        }
    }

    pub fn ask(&mut self, seat: usize, at: usize, wish: Wish) {
        let (now, cause) = (self.now, Cause::User("somebody".to_owned()));
        // What needs it stops too, and what it needs starts too.
        let wished = &mut self.seats[seat].wished;
        match wish {
            Wish::Stop => wished[at..].fill(Some(false)),
            Wish::Start | Wish::Restart => {
                wished[..at].fill(None);
                wished[at] = Some(true);
            }
        }
        self.decide(seat, |project, orders| match wish {
            Wish::Start => project.start(now, at, cause, IfHeld::StandBy, orders),
            Wish::Stop => project.stop(now, at, cause, orders),
            Wish::Restart => project.restart(now, at, cause, orders),
        });
    }

    pub fn pass_deadline(&mut self, seat: usize) {
        let Some(at) = self.daemon(seat).and_then(|daemon| daemon.project.next_deadline()) else { return };
        self.now = self.now.max(at);
        let now = self.now;
        self.decide(seat, |project, orders| project.expire(now, orders));
    }

    // ---- what a daemon hears

    pub fn hear_answer(&mut self, seat: usize, which: usize) {
        if let Some(daemon) = self.daemon(seat) {
            let (at, event) = daemon.answers.remove(which);
            self.tell(seat, at, event);
        }
    }

    pub fn read_report(&mut self, seat: usize, claim: ClaimId) {
        let Some(held) = self.held_mut(seat, claim) else { return };
        let at = held.at;
        match held.mail.pop_front() {
            Some(Letter::Report(event)) => self.tell(seat, at, *event),
            Some(Letter::End) => {
                held.guard = None;
                match held.is_releasing {
                    true => self.let_go(seat, claim),
                    false => self.tell(seat, at, Event::GuardLost { claim }),
                }
            }
            None => {}
        }
    }

    // ---- what a daemon does

    pub fn perform(&mut self, seat: usize, fault: Option<Fault>) {
        match self.daemon(seat).and_then(|daemon| daemon.todo.pop_front()) {
            Some(Todo::Write(wanted)) => {
                wanted.into_iter().for_each(|(at, is_up)| self.write_ledger(seat, at, is_up))
            }
            Some(Todo::Perform(at, effect)) => self.perform_one(seat, at, effect, fault),
            Some(Todo::Tell(at, event)) => self.tell(seat, at, event),
            None => {}
        }
    }

    fn write_ledger(&mut self, seat: usize, at: usize, is_up: bool) {
        let was_up = std::mem::replace(&mut self.seats[seat].ledger[at], is_up);
        if let Some(record) =
            self.records[at].as_mut().filter(|record| is_up && !was_up && record.seat == seat)
        {
            record.is_of_wish = false;
        }
    }

    fn perform_one(&mut self, seat: usize, at: usize, effect: Effect, fault: Option<Fault>) {
        match effect {
            Effect::AskClaim { ask } => {
                if !self.is_locked(at) {
                    let lock = Lock(self.name());
                    let claim = self.hold(seat, at, Some(lock));
                    self.tell_later(seat, at, Event::ClaimGranted { ask, claim });
                } else if fault == Some(Fault::ARunBeginsBeforeTheGrant) {
                    let claim = self.hold(seat, at, None);
                    self.tell_later(seat, at, Event::ClaimGranted { ask, claim });
                } else if !self.adopt_holder(seat, at) {
                    self.answer(seat, at, Event::ClaimHeld { ask, by: "somebody".to_owned() });
                }
            }
            Effect::LookAtPorts { ask, .. } => {
                let is_busy = self.processes.iter().any(|process| process.at == at);
                let strangers = if is_busy { vec!["somebody".to_owned()] } else { Vec::new() };
                self.answer(seat, at, Event::PortsSeen { ask, strangers, free: Vec::new() });
            }
            Effect::CheckPorts { ask, run } => {
                let is_ours = self.processes.iter().any(|process| process.run == run && process.is_main);
                let seen = if is_ours { Listening::Ours } else { Listening::NotYet };
                self.answer(seat, at, Event::PortsChecked { ask, seen });
            }
            Effect::Spawn { claim, run, .. } => self.order_with_guard(seat, claim, Order::Spawn(run), fault),
            Effect::Sweep { claim, run, .. } => self.order_with_guard(seat, claim, Order::Sweep(run), fault),
            Effect::StopTree { claim, .. } => self.order(seat, claim, Order::Stop),
            Effect::KillTree { claim, .. } => self.order(seat, claim, Order::Kill),
            Effect::Tell { .. } => {
                let claim = self.daemon(seat).and_then(|daemon| daemon.project.instance(at).claim());
                claim.into_iter().for_each(|claim| self.order(seat, claim, Order::Remember));
            }
            Effect::Release { claim } => {
                let Some(held) = self.held_mut(seat, claim) else { return };
                held.is_releasing = true;
                match held.guard {
                    Some(_) => self.order(seat, claim, Order::Release),
                    None => self.let_go(seat, claim),
                }
            }
            Effect::Record { .. } | Effect::Tick { .. } | Effect::Probe { .. } | Effect::Reload { .. } => {}
        }
    }

    fn hold(&mut self, seat: usize, at: usize, lock: Option<Lock>) -> ClaimId {
        let claim = ClaimId(u64::from(self.name()));
        let held = Held { at, lock, guard: None, is_releasing: false, mail: VecDeque::new() };
        if let Some(daemon) = self.daemon(seat) {
            daemon.held.insert(claim, held);
        }
        claim
    }

    fn let_go(&mut self, seat: usize, claim: ClaimId) {
        let held = self.daemon(seat).and_then(|daemon| daemon.held.remove(&claim));
        if let Some(held) = held {
            self.tell_later(seat, held.at, Event::Released { claim });
        }
    }

    fn order(&mut self, seat: usize, claim: ClaimId, order: Order) {
        let guard = self.held(seat, claim).and_then(|held| held.guard);
        if let Some(guard) = guard.and_then(|id| self.guards.get_mut(&id)) {
            guard.orders.push_back(order);
        }
    }

    /// Makes sure that a claim has a guard.
    fn order_with_guard(&mut self, seat: usize, claim: ClaimId, order: Order, fault: Option<Fault>) {
        let Some(held) = self.held(seat, claim) else { return };
        if held.guard.is_none() {
            let (at, lock) = (held.at, held.lock.filter(|_| fault != Some(Fault::TheClaimIsNotShared)));
            let guard = self.fork_guard(seat, at, lock, claim);
            if let Some(held) = self.held_mut(seat, claim) {
                held.guard = Some(guard);
            }
        }
        self.order(seat, claim, order);
    }

    // ---- takeovers

    /// The guard of a record that this project's daemon left, if it lives.
    fn left_guard(&self, seat: usize, at: usize) -> Option<GuardId> {
        let record = self.records[at].as_ref().filter(|record| record.seat == seat)?;
        Some(record.guard).filter(|guard| self.guards.contains_key(guard))
    }

    /// The next instance that a new daemon looks at.
    pub fn take_over_next(&mut self, seat: usize) {
        let Some(at) = self.daemon(seat).and_then(|daemon| daemon.untaken.pop_front()) else { return };
        let wanted = if self.seats[seat].ledger[at] { Wanted::Up } else { Wanted::Down };
        let record = self.records[at].clone().filter(|record| record.seat == seat);
        let is_current = self.seats[seat].ledger.contains(&true);
        let unseen = |exit, is_tree_left| Event::EndedUnseen {
            exit,
            ended_at: None,
            is_tree_left,
            wanted,
            recent: Vec::new(),
            is_current,
        };
        match (self.left_guard(seat, at), record) {
            (Some(guard), _) if self.can_answer(guard) => {
                if let Some(event) = self.adopt(seat, at, guard, wanted) {
                    self.tell(seat, at, event);
                }
            }
            // Nothing is judged until it answers or ends.
            (Some(_), Some(record)) => {
                self.seek(seat, at);
                self.tell(seat, at, unseen(record.exit, true));
            }
            (_, Some(record))
                if wanted == Wanted::Down || !record.is_ended || !record.is_told && record.is_of_wish =>
            {
                self.tell(seat, at, unseen(record.exit, !record.is_ended));
            }
            _ if wanted == Wanted::Up => {
                let now = self.now;
                self.decide(seat, |project, orders| {
                    project.start(now, at, Cause::Takeover, IfHeld::StandBy, orders);
                });
            }
            _ => {}
        }
    }

    fn seek(&mut self, seat: usize, at: usize) {
        if let Some(daemon) = self.daemon(seat) {
            daemon.sought.insert(at);
        }
    }

    /// Whether a guard that was sought can be had now, or is gone.
    pub fn is_found(&self, seat: usize, at: usize) -> bool {
        self.left_guard(seat, at).is_none_or(|guard| self.can_answer(guard))
    }

    pub fn take_sought(&mut self, seat: usize, at: usize) {
        let Some(daemon) = self.daemon(seat) else { return };
        daemon.sought.remove(&at);
        let wanted = daemon.project.status(at).wanted;
        if let Some(event) = self.left_guard(seat, at).and_then(|guard| self.adopt(seat, at, guard, wanted)) {
            self.tell(seat, at, event);
        }
    }

    /// The claim is held, perhaps by a guard of this very project which no daemon knows: says whether it was adopted.
    fn adopt_holder(&mut self, seat: usize, at: usize) -> bool {
        let Some(daemon) = self.daemon(seat) else { return false };
        let is_known = daemon.sought.contains(&at) || daemon.held.values().any(|held| held.at == at);
        let wanted = daemon.project.status(at).wanted;
        let Some(guard) = self.left_guard(seat, at).filter(|_| !is_known) else { return false };
        if !self.can_answer(guard) {
            self.seek(seat, at);
            return false;
        }
        let adopted = self.adopt(seat, at, guard, wanted);
        let is_adopted = adopted.is_some();
        adopted.into_iter().for_each(|event| self.tell_later(seat, at, event));
        is_adopted
    }

    fn adopt(&mut self, seat: usize, at: usize, id: GuardId, wanted: Wanted) -> Option<Event> {
        let is_held = self.daemon(seat)?.held.values().any(|held| held.at == at);
        let guard = self.guards.get(&id).filter(|_| !is_held)?.clone();
        let run = guard.run?;
        let claim = self.hold(seat, at, guard.lock);
        self.held_mut(seat, claim)?.guard = Some(id);
        self.guards.get_mut(&id)?.link = Some(claim);
        let (pid, exit) = match guard.tree {
            Tree::Led => (Some(PID), None),
            Tree::Leaderless | Tree::Empty => (None, guard.exit),
        };
        Some(Event::Adopted {
            claim,
            run,
            pid,
            ports: self.daemon(seat)?.project.instance(at).plan().ports.clone(),
            exit,
            ended_at: None,
            since: guard.since,
            was_ready: guard.was_ready,
            notice: Notice::default(),
            tick: None,
            print: None,
            cause: None,
            recent: Vec::new(),
            wanted,
        })
    }
}

/// Of what is told to the past only that a run is ready makes a difference: its guard is to remember it.
fn is_of_matter(effect: &Effect) -> bool {
    match effect {
        Effect::Record { .. } => false,
        Effect::Tell { note: Note { what, .. } } => *what == What::Ready,
        _ => true,
    }
}
