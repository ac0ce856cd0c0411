//! The daemon of the world: performs the core's effects and takes mail, step by step as the real driver does. It can die
//! before every single effect; what follows then is in `succession.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use soloist_core::event::{Cause, Effect, Event, Listening, ProbeKind, Wanted};
use soloist_core::id::{AskId, ClaimId, RunId};
use soloist_core::plan::Strategy;
use soloist_core::project::{Orders, Project};
use soloist_core::state::{Status, Word};

use super::World;
use super::checks;
use super::guard::Order;
use super::machine::{Letter, Source};
use super::operator::is_down;

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
    /// As last told, of each instance.
    pub statuses: Vec<Status>,
    pub held: BTreeMap<ClaimId, Held>,
    /// Of all daemons of this world.
    pub number: u64,
    claims_given: u64,
    at_once: VecDeque<(usize, Event)>,
    answers: u64,
    /// So many effects until it is killed.
    pub doom: Option<u32>,
}

impl Daemon {
    /// Asks for the status of all.
    pub fn refresh_all(&mut self) {
        self.statuses = (0..self.project.len()).map(|at| self.project.status(at)).collect();
    }

    /// Asks for the status of those whom something happened to.
    pub fn refresh(&mut self) {
        for at in self.project.take_touched() {
            self.statuses[at] = self.project.status(at);
        }
    }

    /// Nothing of it lives or will start by itself.
    pub fn is_down(&self, at: usize) -> bool {
        is_down(self.statuses[at].state)
    }

    pub fn numbered(number: u64) -> Daemon {
        Daemon { number, ..Daemon::default() }
    }
}

impl World {
    pub fn tell(&mut self, at: usize, event: Event) {
        let now = self.machine.now;
        let due = self.expect(at, &event);
        self.decide(|project, orders| project.handle(now, at, event, orders));
        self.demand(due);
    }

    /// Has the core decide, and performs what it orders.
    pub fn decide(&mut self, decide: impl FnOnce(&mut Project, &mut Orders)) {
        let mut orders = Orders::new();
        let now = self.machine.now;
        self.machine.count("events");
        self.is_overdue = self
            .daemon
            .as_ref()
            .is_some_and(|daemon| daemon.project.next_deadline().is_some_and(|at| at <= now));
        if let Some(daemon) = &mut self.daemon {
            decide(&mut daemon.project, &mut orders);
        }
        self.note_state();
        self.perform(orders);
    }

    pub fn expire(&mut self) {
        let now = self.machine.now;
        self.machine.say(|| "a deadline passes".to_owned());
        let mut next = None;
        self.decide(|project, orders| {
            project.expire(now, orders);
            next = project.next_deadline();
        });
        self.machine.check(checks::a_passed_deadline_is_followed_by_a_later_one(now, next));
    }

    pub fn perform(&mut self, mut orders: Orders) {
        loop {
            if self.dies_here() {
                return;
            }
            self.page_before.clone_from(&self.page);
            for (at, effect) in &orders {
                if let Effect::Record { wanted } = effect {
                    self.record(*at, *wanted);
                }
            }
            if !self.is_disk_full && orders.iter().any(|(_, e)| matches!(e, Effect::Record { .. })) {
                self.ledger.clone_from(&self.page);
            }
            for (at, effect) in std::mem::take(&mut orders) {
                if self.dies_here() {
                    return;
                }
                self.machine.say(|| format!("  order for {at}: {effect:?}"));
                self.machine.count("effects");
                self.perform_one(at, effect);
            }
            let now = self.machine.now;
            let Some(daemon) = &mut self.daemon else { return };
            let Some((at, event)) = daemon.at_once.pop_front() else { return };
            self.machine.say(|| format!("{at}: {event:?}"));
            self.note_excuse(at, &event);
            self.machine.count("events");
            self.expect(at, &event);
            if let Some(daemon) = &mut self.daemon {
                daemon.project.handle(now, at, event, &mut orders);
            }
            self.note_state();
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
            Effect::Record { .. } | Effect::Reload { .. } => {}
            Effect::Tick { claim, run, tick, scheduled } => {
                self.note_tick(at, run, tick, scheduled);
                self.order(claim, Order::Tick { run, tick });
            }
            Effect::Tell { note } => {
                self.note_skipped(at, &note);
                self.write_history(at, &note);
            }
            Effect::Probe { ask, run, kind, timeout } => {
                self.machine.check(checks::no_probe_outlives_its_run(self, at, run));
                self.probe(at, ask, run, (kind, timeout));
            }
            Effect::AskClaim { ask } => self.ask_claim(at, ask),
            Effect::LookAtPorts { ask, ports, spares } => self.look_at_ports(at, ask, &ports, spares),
            Effect::Spawn { claim, run, cause, scheduled } => {
                self.note_begun(at, run, &cause, scheduled);
                self.give_ports(at, run);
                if cause == Cause::Schedule {
                    self.wishes[at].explains_a_start = true;
                    self.wishes[at].forget_restarts();
                }
                let found = checks::record_comes_before_spawn(self, at)
                    .and_then(|()| checks::no_spawn_is_ordered_beside_a_living_tree(self, at, claim))
                    .and_then(|()| checks::nothing_starts_before_what_it_needs(self, at))
                    .and_then(|()| checks::restarts_stay_inside_the_window(self, at));
                self.machine.check(found);
                if cause == Cause::Crash {
                    let now = self.machine.now;
                    self.wishes[at].crashes.push(now);
                }
                let print = Some(self.prints[at]);
                match self.guard(claim) {
                    Some(guard) => self.machine.order(guard, Order::Spawn { run, print }),
                    None => {
                        let why = "no guard could be started".to_owned();
                        self.answer_at_once(soon(Event::SpawnFailed { run, why, is_final: false }));
                    }
                }
            }
            Effect::CheckPorts { ask, run } => {
                self.machine.check(checks::no_probe_outlives_its_run(self, at, run));
                self.check_ports(at, ask, run);
            }
            Effect::StopTree { claim, run, grace } => {
                let found = checks::an_order_names_the_tree_that_it_reaches(self, at, claim, run)
                    .and_then(|()| checks::what_needs_it_stops_first(self, at));
                self.machine.check(found);
                self.past.told_to_end.insert(run);
                if self.strategy != Strategy::OneForOne {
                    self.wishes[at].explains_a_start = true;
                }
                self.order(claim, Order::Stop { grace });
            }
            Effect::KillTree { claim, run } => {
                let found = checks::an_order_names_the_tree_that_it_reaches(self, at, claim, run);
                self.machine.check(found);
                self.order(claim, Order::Kill);
            }
            Effect::Sweep { claim, run, grace } => {
                self.machine.check(checks::no_sweep_is_ordered_beside_a_living_tree(self, at, claim));
                if let Some(guard) = self.guard(claim) {
                    self.machine.count("sweeps ordered");
                    self.machine.order(guard, Order::Sweep { run, grace });
                }
            }
            Effect::Release { claim } => self.release(claim),
        }
    }

    fn record(&mut self, at: usize, wanted: Wanted) {
        self.machine.say(|| format!("  to be written: {at} is wanted {wanted}"));
        if wanted == Wanted::Down && self.wishes[at].wanted == Some(Wanted::Up) {
            let found = checks::a_wish_is_dropped_only_for_a_reason(self, at);
            self.machine.check(found);
            self.wishes[at].wanted = Some(Wanted::Down);
        }
        let now = self.machine.now;
        self.page[at] = (wanted == Wanted::Up).then_some(self.page[at].unwrap_or(now));
    }

    pub fn answer_at_once(&mut self, answer: (usize, Event)) {
        if let Some(daemon) = &mut self.daemon {
            daemon.at_once.push_back(answer);
        }
    }

    /// At once, or by a thread that may take its time.
    fn answer(&mut self, at: usize, event: Event) {
        if self.is_doubled() {
            let after = self.machine.random.span(0, 25_000);
            self.answer_later(at, event.clone(), after);
        }
        let is_slow = self.faults.slow_answers && !self.machine.is_calm;
        if !is_slow && self.machine.random.percent(70) {
            return self.answer_at_once((at, event));
        }
        let longest = if is_slow { 25_000 } else { 30 };
        let after = self.machine.random.span(0, longest);
        self.answer_later(at, event, after);
    }

    fn is_doubled(&mut self) -> bool {
        let is_doubled =
            self.faults.doubled_messages && !self.machine.is_calm && self.machine.random.percent(5);
        if is_doubled {
            self.machine.count("messages doubled");
        }
        is_doubled
    }

    fn answer_later(&mut self, at: usize, event: Event, after: Duration) {
        if let Some(daemon) = &mut self.daemon {
            daemon.answers += 1;
            self.machine.send(Source::Answer(daemon.answers), Letter::Answer { at, event }, after);
        }
    }

    /// A thread that hangs never answers.
    fn is_answer_lost(&mut self) -> bool {
        let is_lost = self.faults.lost_answers && !self.machine.is_calm && self.machine.random.percent(10);
        if is_lost {
            self.machine.count("answers lost");
        }
        is_lost
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
            let wanted = if self.page[at].is_some() { Wanted::Up } else { Wanted::Down };
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

    pub fn hold(&mut self, at: usize, lock: u32) -> ClaimId {
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
        if self.is_doubled() {
            let after = self.machine.random.span(0, 25_000);
            self.answer_later(held.at, Event::Released { claim }, after);
        }
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

    fn strangers(&self, ports: &[u16], ours: Option<u32>) -> Vec<String> {
        let mut found = Vec::new();
        for port in ports {
            let is_foreign = |pid: &&u32| ours.is_none() || self.machine.processes[*pid].guard != ours;
            let foreign = self.machine.listeners(*port);
            found.extend(foreign.iter().filter(is_foreign).map(|pid| format!("pid {pid}")));
            if self.machine.strangers.contains(port) {
                found.push("somebody".to_owned());
            }
        }
        found
    }

    fn look_at_ports(&mut self, at: usize, ask: AskId, ports: &[u16], spares: Vec<RangeInclusive<u16>>) {
        let (free, busy) = ports
            .iter()
            .copied()
            .chain(spares.into_iter().flatten())
            .partition(|port| self.machine.is_free(*port));
        self.past.busy.insert(at, busy);
        if !self.is_answer_lost() {
            let strangers = self.strangers(ports, None);
            self.answer(at, Event::PortsSeen { ask, strangers, free });
        }
    }

    /// The ports that a run has are those that the core has for it at its spawn.
    fn give_ports(&mut self, at: usize, run: RunId) {
        let Some(daemon) = &self.daemon else { return };
        let ports = daemon.project.instance(at).ports().to_vec();
        let found = checks::no_port_is_given_twice(self, at, &ports)
            .and_then(|()| checks::a_port_moves_only_while_others_are_on_it(self, at, &ports));
        self.machine.check(found);
        if ports != self.plans[at].ports {
            self.machine.count("ports moved");
        }
        self.machine.given.insert(run, ports);
    }

    /// The guard of the claim that the core holds.
    fn guard_of(&self, at: usize) -> Option<u32> {
        let daemon = self.daemon.as_ref()?;
        daemon.project.instance(at).claim().and_then(|claim| daemon.held.get(&claim)?.guard)
    }

    fn check_ports(&mut self, at: usize, ask: AskId, run: RunId) {
        if self.is_answer_lost() {
            return;
        }
        let guard = self.guard_of(at);
        let ports = self.daemon.as_ref().map_or(Vec::new(), |d| d.project.instance(at).ports().to_vec());
        let seen = match guard {
            None => Listening::NotYet,
            Some(_) if ports.iter().any(|port| self.machine.is_free(*port)) => Listening::NotYet,
            Some(_) => match self.strangers(&ports, guard) {
                strangers if strangers.is_empty() => Listening::Ours,
                strangers => Listening::Strangers(strangers),
            },
        };
        if seen == Listening::Ours {
            self.machine.lives.entry(run).or_default().was_alone_on_ports = true;
        }
        self.answer(at, Event::PortsChecked { ask, seen });
    }

    fn probe(&mut self, at: usize, ask: AskId, run: RunId, (kind, timeout): (ProbeKind, Duration)) {
        self.machine.count("probes");
        if kind == ProbeKind::Startup {
            self.past.startup_asks.insert((at, ask));
        }
        if self.is_answer_lost() {
            return;
        }
        let Some(is_passed) = self.machine.probe(self.guard_of(at), run) else {
            let outcome = Err("no answer in time".to_owned());
            return self.answer_later(at, Event::Probed { ask, outcome }, timeout);
        };
        let life = self.machine.lives.entry(run).or_default();
        match kind {
            ProbeKind::Startup => life.startups_passed += u32::from(is_passed),
            ProbeKind::Readiness => life.readiness_passed += u32::from(is_passed),
            ProbeKind::Liveness => {}
        }
        if !is_passed {
            self.machine.count("probes failed");
        }
        let outcome = if is_passed { Ok(()) } else { Err("it says 503".to_owned()) };
        self.answer(at, Event::Probed { ask, outcome });
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
                if let Some(run) = daemon.statuses[at].run {
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

    /// What the core says of an instance.
    pub fn word(&self, at: usize) -> Option<Word> {
        Some(self.daemon.as_ref()?.statuses[at].state)
    }
}
