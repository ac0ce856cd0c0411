//! The daemon of the world: performs the core's effects, takes mail, and takes over after a death, step by step as the
//! real driver does. It can die before every single effect.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use soloist_core::event::{Cause, Effect, Event, IfHeld, Listening, Notice, Wanted};
use soloist_core::id::{AskId, ClaimId};
use soloist_core::project::{Orders, Project};
use soloist_core::state::Word;

use super::World;
use super::checks;
use super::guard::{Order, Tree};
use super::machine::{Happening, Letter, Source};

#[derive(Debug)]
pub struct Held {
    pub at: usize,
    pub lock: u32,
    pub guard: Option<u32>,
    pub is_releasing: bool,
}

#[derive(Debug, Default)]
pub struct Daemon {
    pub project: Project,
    pub held: BTreeMap<ClaimId, Held>,
    claims_given: u64,
    at_once: VecDeque<(usize, Event)>,
    answers: u64,
    /// So many effects until it is killed.
    doom: Option<u32>,
}

impl World {
    pub fn tell(&mut self, at: usize, event: Event) {
        let now = self.machine.now;
        self.decide(|project, orders| project.handle(now, at, event, orders));
    }

    /// Has the core decide, and performs what it orders.
    pub fn decide(&mut self, decide: impl FnOnce(&mut Project, &mut Orders)) {
        let mut orders = Orders::new();
        if let Some(daemon) = &mut self.daemon {
            decide(&mut daemon.project, &mut orders);
        }
        self.perform(orders);
    }

    pub fn expire(&mut self) {
        let now = self.machine.now;
        self.machine.say(|| "a deadline passes".to_owned());
        self.decide(|project, orders| project.expire(now, orders));
    }

    pub fn perform(&mut self, mut orders: Orders) {
        loop {
            if self.dies_here() {
                return;
            }
            self.ledger_before.clone_from(&self.ledger);
            for (at, effect) in &orders {
                if let Effect::Record { wanted } = effect {
                    self.record(*at, *wanted);
                }
            }
            for (at, effect) in std::mem::take(&mut orders) {
                if self.dies_here() {
                    return;
                }
                self.machine.say(|| format!("  order for {at}: {effect:?}"));
                self.perform_one(at, effect);
            }
            let now = self.machine.now;
            let Some(daemon) = &mut self.daemon else { return };
            let Some((at, event)) = daemon.at_once.pop_front() else { return };
            self.machine.say(|| format!("{at}: {event:?}"));
            self.note_excuse(at, &event);
            if let Some(daemon) = &mut self.daemon {
                daemon.project.handle(now, at, event, &mut orders);
            }
        }
    }

    fn dies_here(&mut self) -> bool {
        let Some(daemon) = &mut self.daemon else { return true };
        if let Some(doom) = &mut daemon.doom {
            *doom = doom.saturating_sub(1);
            if *doom == 0 {
                self.kill_daemon();
                return true;
            }
        }
        false
    }

    fn perform_one(&mut self, at: usize, effect: Effect) {
        let soon = |event| (at, event);
        match effect {
            Effect::Record { .. } | Effect::Tell { .. } | Effect::Probe { .. } | Effect::Reload { .. } => {}
            Effect::AskClaim { ask } => self.ask_claim(at, ask),
            Effect::LookAtPorts { ask } => self.look_at_ports(at, ask),
            Effect::Spawn { claim, run, .. } => {
                let found = checks::record_comes_before_spawn(self, at)
                    .and_then(|()| checks::no_spawn_is_ordered_beside_a_living_tree(self, at, claim))
                    .and_then(|()| checks::restarts_stay_inside_the_window(self, at));
                self.machine.check(found);
                match self.guard(claim) {
                    Some(guard) => self.machine.order(guard, Order::Spawn { run }),
                    None => {
                        let why = "no guard could be started".to_owned();
                        self.answer_at_once(soon(Event::SpawnFailed { run, why, is_final: false }));
                    }
                }
            }
            Effect::CheckPorts { ask, .. } => self.probe(at, ask),
            Effect::StopTree { claim, grace, .. } => self.order(claim, Order::Stop { grace }),
            Effect::KillTree { claim, .. } => self.order(claim, Order::Kill),
            Effect::Sweep { claim, run, grace } => {
                if let Some(guard) = self.guard(claim) {
                    self.machine.count("sweeps ordered");
                    self.machine.order(guard, Order::Sweep { run, grace });
                }
            }
            Effect::Release { claim } => self.release(claim),
        }
    }

    fn record(&mut self, at: usize, wanted: Wanted) {
        self.machine.say(|| format!("  the ledger says that {at} is wanted {wanted}"));
        if wanted == Wanted::Down && self.wishes[at].wanted == Some(Wanted::Up) {
            let found = checks::a_wish_is_dropped_only_for_a_reason(self, at);
            self.machine.check(found);
            self.wishes[at].wanted = Some(Wanted::Down);
        }
        let now = self.machine.now;
        self.ledger[at] = (wanted == Wanted::Up).then_some(self.ledger[at].unwrap_or(now));
    }

    fn answer_at_once(&mut self, answer: (usize, Event)) {
        if let Some(daemon) = &mut self.daemon {
            daemon.at_once.push_back(answer);
        }
    }

    /// At once, or by a thread that may take its time.
    fn answer(&mut self, at: usize, event: Event) {
        let is_slow = self.faults.slow_answers && !self.machine.is_calm;
        if !is_slow && self.machine.random.percent(70) {
            return self.answer_at_once((at, event));
        }
        let longest = if is_slow { 25_000 } else { 30 };
        let after = self.machine.random.span(0, longest);
        if let Some(daemon) = &mut self.daemon {
            daemon.answers += 1;
            self.machine.send(Source::Answer(daemon.answers), Letter::Answer { at, event }, after);
        }
    }

    // ---- the claim

    fn ask_claim(&mut self, at: usize, ask: AskId) {
        let is_broken =
            self.faults.failing_claims && !self.machine.is_calm && self.machine.random.percent(20);
        let event = if is_broken {
            Event::ClaimFailed { ask, why: "the disk is full".to_owned() }
        } else if let Some(lock) = self.machine.take_lock(at, true) {
            Event::ClaimGranted { ask, claim: self.hold(at, lock) }
        } else if let Some(guard) = self.our_guard(at) {
            // A guard of the daemon before us, that did not answer when we looked for it.
            let wanted = if self.ledger[at].is_some() { Wanted::Up } else { Wanted::Down };
            return self.adopt(at, guard, wanted);
        } else {
            Event::ClaimHeld { ask, by: "somebody else".to_owned() }
        };
        self.answer(at, event);
    }

    /// A guard that a daemon left, at work and able to answer.
    fn our_guard(&self, at: usize) -> Option<u32> {
        let record = self.machine.records[at].as_ref().filter(|record| record.is_daemons)?;
        let guard = self.machine.guards.get(&record.guard)?;
        (guard.link.is_none() && !guard.is_busy() && guard.run.is_some()).then_some(record.guard)
    }

    fn hold(&mut self, at: usize, lock: u32) -> ClaimId {
        let Some(daemon) = &mut self.daemon else { return ClaimId(0) };
        daemon.claims_given += 1;
        let claim = ClaimId(daemon.claims_given);
        daemon.held.insert(claim, Held { at, lock, guard: None, is_releasing: false });
        claim
    }

    fn release(&mut self, claim: ClaimId) {
        let found = checks::a_claim_is_released_only_after_the_tree_is_empty(self, claim);
        self.machine.check(found);
        let Some(held) = self.daemon.as_mut().and_then(|daemon| daemon.held.get_mut(&claim)) else { return };
        held.is_releasing = true;
        match held.guard {
            Some(guard) => self.machine.order(guard, Order::Release),
            None => self.let_go(claim),
        }
    }

    fn let_go(&mut self, claim: ClaimId) {
        let Some(daemon) = &mut self.daemon else { return };
        let Some(held) = daemon.held.remove(&claim) else { return };
        self.machine.locks.entry(held.lock).and_modify(|lock| lock.is_open_in_daemon = false);
        self.machine.close_locks();
        self.answer_at_once((held.at, Event::Released { claim }));
    }

    /// Makes sure that a claim has a guard.
    fn guard(&mut self, claim: ClaimId) -> Option<u32> {
        let held = self.daemon.as_mut()?.held.get_mut(&claim)?;
        if held.guard.is_none() {
            if self.faults.no_guards && !self.machine.is_calm && self.machine.random.percent(40) {
                self.machine.count("guards not started");
                return None;
            }
            held.guard = Some(self.machine.fork_guard(held.at, held.lock, Some(claim)));
        }
        held.guard
    }

    fn order(&mut self, claim: ClaimId, order: Order) {
        let guard = self.daemon.as_ref().and_then(|daemon| daemon.held.get(&claim)?.guard);
        if let Some(guard) = guard {
            self.machine.order(guard, order);
        }
    }

    // ---- the ports

    fn strangers(&self, at: usize, ours: Option<u32>) -> Vec<String> {
        let mut found = Vec::new();
        for port in &self.machine.programs[at].ports {
            let is_foreign = |pid: &&u32| ours.is_none() || self.machine.processes[*pid].guard != ours;
            let foreign = self.machine.listeners(*port);
            found.extend(foreign.iter().filter(is_foreign).map(|pid| format!("pid {pid}")));
            if self.machine.strangers.contains(port) {
                found.push("somebody".to_owned());
            }
        }
        found
    }

    fn look_at_ports(&mut self, at: usize, ask: AskId) {
        let strangers = self.strangers(at, None);
        self.answer(at, Event::PortsSeen { ask, strangers });
    }

    fn probe(&mut self, at: usize, ask: AskId) {
        let Some(daemon) = &self.daemon else { return };
        let guard = daemon.project.instance(at).claim().and_then(|claim| daemon.held.get(&claim)?.guard);
        let ports = &self.machine.programs[at].ports;
        let seen = match guard {
            None => Listening::NotYet,
            Some(_) if ports.iter().any(|port| self.machine.is_free(*port)) => Listening::NotYet,
            Some(_) => match self.strangers(at, guard) {
                strangers if strangers.is_empty() => Listening::Ours,
                strangers => Listening::Strangers(strangers),
            },
        };
        self.answer(at, Event::PortsChecked { ask, seen });
    }

    // ---- mail

    pub fn take_mail(&mut self, source: Source) {
        let Some(letter) = self.machine.mail.get_mut(&source).and_then(VecDeque::pop_front) else { return };
        self.machine.say(|| format!("{letter:?}"));
        let Some(daemon) = &mut self.daemon else { return };
        match letter {
            Letter::Answer { at, event } => {
                self.note_excuse(at, &event);
                self.tell(at, event);
            }
            Letter::Report { claim, event } => {
                let Some(held) = daemon.held.get(&claim) else { return };
                let at = held.at;
                self.note_excuse(at, &event);
                self.tell(at, event);
            }
            Letter::Stuck { claim } => {
                let Some(held) = daemon.held.get(&claim) else { return };
                let at = held.at;
                if let Some(run) = daemon.project.status(at).run {
                    self.tell(at, Event::TreeStuck { run, what: "waits in the kernel".to_owned() });
                }
            }
            Letter::GuardEnded { claim } => {
                let Some(held) = daemon.held.get_mut(&claim) else { return };
                held.guard = None;
                let (at, is_releasing) = (held.at, held.is_releasing);
                if is_releasing {
                    self.let_go(claim);
                    self.perform(Orders::new());
                } else {
                    self.note_excuse(at, &Event::GuardLost { claim });
                    self.tell(at, Event::GuardLost { claim });
                }
            }
        }
    }

    // ---- death and succession

    pub fn doom_daemon(&mut self) {
        let doom = 1 + self.machine.random.below(12) as u32;
        if let Some(daemon) = &mut self.daemon {
            daemon.doom = Some(doom);
        }
    }

    pub fn kill_daemon(&mut self) {
        if self.daemon.take().is_none() {
            return;
        }
        self.machine.count("daemons killed");
        self.machine.say(|| "the daemon is killed".to_owned());
        self.machine.mail.clear();
        for lock in self.machine.locks.values_mut() {
            lock.is_open_in_daemon = false;
        }
        let guards: Vec<u32> = self.machine.guards.keys().copied().collect();
        for id in guards {
            self.machine.guards.entry(id).and_modify(|guard| guard.link = None);
            let after = self.machine.random.span(0, 20);
            self.machine.plan(after, Happening::Guard(id));
        }
        self.machine.close_locks();
        // Whoever was asking got no answer: what is on disk counts.
        for (wish, up_since) in self.wishes.iter_mut().zip(&self.ledger) {
            wish.wanted = wish.wanted.map(|_| if up_since.is_some() { Wanted::Up } else { Wanted::Down });
        }
        let after = self.machine.random.span(20, 8000);
        self.machine.plan(after, Happening::Revival);
    }

    /// A new daemon takes over what the last one left.
    pub fn revive_daemon(&mut self) {
        if self.daemon.is_some() {
            return;
        }
        self.machine.say(|| "a new daemon begins".to_owned());
        let mut daemon = Daemon::default();
        for (at, plan) in self.plans.iter().enumerate() {
            let seed = self.machine.random.next();
            daemon.project.add(&super::name(at), plan.clone(), seed, self.machine.now);
        }
        self.daemon = Some(daemon);
        for at in 0..self.plans.len() {
            let wish = &mut self.wishes[at];
            wish.explains_a_start = true;
            wish.restarts.clear();
            self.take_over_one(at);
        }
    }

    /// What could not be taken over at once: unless it is somebody's matter by now.
    pub fn take_over_late(&mut self, at: usize) {
        if self.word(at) == Some(Word::Stopped) {
            self.take_over_one(at);
        } else if self.machine.records[at].as_ref().is_some_and(|record| !record.is_ended)
            && !self.is_held(at)
        {
            self.machine.plan(Duration::from_secs(1), Happening::TakeOver(at));
        }
    }

    fn is_held(&self, at: usize) -> bool {
        self.daemon.as_ref().is_some_and(|daemon| daemon.project.instance(at).claim().is_some())
    }

    fn take_over_one(&mut self, at: usize) {
        if self.daemon.is_none() {
            return;
        }
        let wanted = if self.ledger[at].is_some() { Wanted::Up } else { Wanted::Down };
        let record = self.machine.records[at].clone().filter(|record| record.is_daemons);
        if let Some(record) = &record
            && self.machine.guards.contains_key(&record.guard)
        {
            // What the daemon before us ordered was there before our question.
            self.machine.guard_turn(record.guard);
            match self.machine.guards.get(&record.guard) {
                Some(guard) if guard.is_busy() => {
                    return self.machine.plan(Duration::from_secs(1), Happening::TakeOver(at));
                }
                Some(_) => {}
                None => return self.take_over_one(at),
            }
            self.adopt(at, record.guard, wanted);
            return self.perform(Orders::new());
        }
        match record {
            // A run that was told to end, or ended before it was wanted, says nothing about what is wanted now.
            Some(record) if wanted == Wanted::Down || !self.is_told_of_this_wish(at, &record) => {
                self.machine.count("ends unseen");
                let event = Event::EndedUnseen {
                    exit: record.exit,
                    is_tree_left: !record.is_ended,
                    wanted,
                    recent: Vec::new(),
                };
                self.note_excuse(at, &event);
                self.tell(at, event);
            }
            _ if wanted == Wanted::Up => {
                let now = self.machine.now;
                self.wish_again(at);
                self.decide(|project, orders| {
                    project.start(now, at, Cause::Takeover, IfHeld::StandBy, orders)
                });
            }
            Some(_) | None => {}
        }
    }

    fn is_told_of_this_wish(&self, at: usize, record: &super::machine::Record) -> bool {
        record.is_ended && (record.is_told || self.ledger[at].is_some_and(|since| record.since < since))
    }

    fn adopt(&mut self, at: usize, id: u32, wanted: Wanted) {
        let Some(guard) = self.machine.guards.get(&id) else { return };
        let Some(run) = guard.run else { return };
        let (lock, exit, since) = (guard.lock, guard.exit, guard.since);
        let pid = if let Tree::Led(main) = guard.tree { Some(main) } else { None };
        let claim = self.hold(at, lock);
        self.machine.count("guards adopted");
        self.machine.guards.entry(id).and_modify(|guard| guard.link = Some(claim));
        self.machine.locks.entry(lock).and_modify(|lock| lock.is_open_in_daemon = true);
        if let Some(held) = self.daemon.as_mut().and_then(|daemon| daemon.held.get_mut(&claim)) {
            held.guard = Some(id);
        }
        let event = Event::Adopted {
            claim,
            run,
            pid,
            exit,
            since,
            wanted,
            was_ready: false,
            notice: Notice::default(),
            print: None,
            cause: None,
            recent: Vec::new(),
        };
        self.answer_at_once((at, event));
    }

    /// What the core says of an instance.
    pub fn word(&self, at: usize) -> Option<Word> {
        Some(self.daemon.as_ref()?.project.status(at).state)
    }
}
