//! Performs effects, in their order. What has an answer at once is told to the core at once; what takes longer comes
//! back through the inbox.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use soloist_core::event::{Cause, Effect, Event, Wanted, What};
use soloist_core::id::{AskId, ClaimId, RunId};
use soloist_core::project::Orders;
use soloist_core::schedule::civil::Moment;
use soloist_os::claim::{Claim, Inscription};
use soloist_os::guard::Order;
use soloist_os::handover::Listening;
use soloist_os::identity::Identity;
use soloist_os::log_files::error_log_of;
use soloist_os::record::Holder;

use super::{Driver, Held, Service};
use crate::convert::milliseconds;
use crate::foreground::{Settled, settle};
use crate::inbox::Input;
use crate::links::Zygote;
use crate::ports;
use crate::service::{self, Occasion};
use crate::sockets::{self, Unbound};

/// The version of a guard's protocol from which on it takes sockets.
const SOCKETS_SINCE: u32 = 3;

impl Driver {
    pub(super) fn perform(&mut self, orders: Orders) {
        let mut orders = orders;
        loop {
            // All that must be on disk first is written in one go: a thousand starts are one write.
            let records: Vec<(usize, Wanted)> = orders
                .iter()
                .filter_map(|(at, effect)| match effect {
                    Effect::Record { wanted } => Some((*at, *wanted)),
                    _ => None,
                })
                .collect();
            self.record(&records);
            for (at, effect) in orders {
                self.perform_one(at, effect);
            }
            let Some((at, event)) = self.at_once.pop_front() else { return };
            orders = Orders::new();
            self.project.handle(super::now(), at, event, &mut orders);
        }
    }

    /// A full or read-only disk must not keep anybody from starting or stopping: it is said, and we go on.
    fn record(&mut self, records: &[(usize, Wanted)]) {
        for (at, wanted) in records {
            self.ledger.note(self.project.name(*at), *wanted == Wanted::Up);
        }
        if self.keep_queues() || !records.is_empty() || self.ledger.is_behind() {
            soloist_os::fail_point!("daemon.ledger-due");
            self.write_ledger();
            soloist_os::fail_point!("daemon.ledger-written");
        }
    }

    pub(super) fn write_ledger(&mut self) {
        let said = match self.ledger.write() {
            Ok(()) => None,
            Err(e) => Some(format!("the ledger is behind: {e}")),
        };
        // It is tried again with everything that happens, and said once.
        if let Some(said) = said.as_ref().filter(|said| self.ledger_trouble.as_ref() != Some(said)) {
            self.log.say(said);
        }
        self.ledger_trouble = said;
    }

    fn perform_one(&mut self, at: usize, effect: Effect) {
        match effect {
            // Written above, before the first of its batch.
            Effect::Record { .. } => {}
            Effect::AskClaim { ask } => {
                if let Some(event) = self.ask_claim(at, ask) {
                    self.at_once.push_back((at, event));
                }
            }
            Effect::LookAtPorts { ask, ports, spares } => self.look_at_ports(at, ask, ports, spares),
            Effect::Spawn { claim, run, cause, scheduled } => {
                let ordered = self.listen(at, claim).and_then(|()| {
                    self.spawn(at, claim, run, &cause, scheduled).map_err(|e| Unbound {
                        why: format!("no guard could be started: {e}"),
                        is_final: false,
                    })
                });
                if let Err(Unbound { why, is_final }) = ordered {
                    self.at_once.push_back((at, Event::SpawnFailed { run, why, is_final }));
                }
            }
            Effect::Tick { claim, run: _, tick, scheduled } => {
                let tick = tick.to_string();
                let line = service::tick_line(&tick, scheduled);
                self.order(claim, &Order::Tick { tick, line });
            }
            Effect::CheckPorts { ask, run: _ } => self.check_ports(at, ask),
            Effect::Probe { ask, run: _, kind, timeout } => self.probe(at, ask, kind, timeout),
            Effect::Tell { note } => {
                if note.what == What::Ready
                    && let Some(claim) = self.project.instance(at).claim()
                {
                    // For the next daemon: a run that was ready needs no second way through its gates.
                    self.order(claim, &Order::Remember);
                    soloist_os::fail_point!("daemon.ready-told");
                }
                self.add_to_history(at, note);
            }
            Effect::StopTree { claim, grace, run: _ } => {
                soloist_os::fail_point!("daemon.stop-due");
                self.order(claim, &Order::Stop { grace_ms: Some(milliseconds(grace)) });
                soloist_os::fail_point!("daemon.stop-ordered");
            }
            Effect::KillTree { claim, run: _ } => self.order(claim, &Order::Kill),
            Effect::Sweep { claim, run, grace } => {
                let order = Order::Sweep { run_id: run.to_string(), grace_ms: milliseconds(grace) };
                match self.guard(claim) {
                    Ok(()) => self.order(claim, &order),
                    // The core's deadline orders again.
                    Err(e) => self.log.say(&format!("no guard could be started to end leftovers: {e}")),
                }
            }
            Effect::Reload { claim, run: _ } => {
                let signal = self.services[at].declared.program.reload_signal;
                self.order(claim, &Order::Signal { signal });
            }
            Effect::Release { claim } => self.release(claim),
        }
    }

    // ---- the claim

    fn ask_claim(&mut self, at: usize, ask: AskId) -> Option<Event> {
        let place = self.services[at].place.clone();
        match Claim::take(&place.claim()) {
            Ok(Some(claim)) => Some(self.take_claim(at, ask, claim)),
            Ok(None) => self.adopt_holder(at).or_else(|| {
                // The winner may take a moment to say who it is: not here, where everybody waits.
                let inbox = self.inbox.clone();
                tokio::task::spawn_blocking(move || {
                    let _ = inbox.send(match settle(&place) {
                        Ok(Settled::Ours(claim)) => Input::ClaimTaken { at, ask, claim },
                        Ok(Settled::Theirs(by)) => Input::Seen { at, event: Event::ClaimHeld { ask, by } },
                        Err(e) => Input::Seen { at, event: Event::ClaimFailed { ask, why: e.to_string() } },
                    });
                });
                None
            }),
            Err(e) => Some(Event::ClaimFailed { ask, why: e.to_string() }),
        }
    }

    /// A claim is ours; whether it is still wanted is for the core to say.
    pub(super) fn take_claim(&mut self, at: usize, ask: AskId, claim: Claim) -> Event {
        soloist_os::fail_point!("daemon.claim-taken");
        let inscribed = Identity::mine().and_then(|claimant| {
            claim.inscribe(&Inscription {
                claimant,
                holder: Holder::Daemon,
                project: self.layout.root.clone(),
                since_ms: soloist_os::clock::wall_ms(),
                command: self.services[at].declared.program.argv.clone(),
            })
        });
        if let Err(e) = inscribed {
            // The lock is what counts; only the name of its holder is missing.
            self.log.say(&format!("the claim {} has no inscription: {e}", claim.path().display()));
        }
        let claim = self.hold(at, claim);
        Event::ClaimGranted { ask, claim }
    }

    pub(super) fn hold(&mut self, at: usize, claim: Claim) -> ClaimId {
        self.claims_given += 1;
        let id = ClaimId(self.claims_given);
        let held =
            Held { at, claim, sockets: Vec::new(), guard: None, is_reviver: false, is_releasing: false };
        self.held.insert(id, held);
        id
    }

    fn release(&mut self, claim: ClaimId) {
        let Some(held) = self.held.get_mut(&claim) else { return };
        held.is_releasing = true;
        soloist_os::fail_point!("daemon.release-due");
        self.charge_zygote();
        let Some(held) = self.held.get(&claim) else { return };
        match &held.guard {
            // It ends when its tree is empty; the end of its link says so.
            Some(guard) => {
                let _ = guard.order(&Order::Release);
                soloist_os::fail_point!("daemon.release-ordered");
            }
            None => self.let_go(claim),
        }
    }

    pub(super) fn let_go(&mut self, claim: ClaimId) {
        if let Some(held) = self.held.remove(&claim) {
            // The lock ends here, before the core hears that it has; what it covers first.
            drop(held.sockets);
            held.claim.let_go();
            soloist_os::fail_point!("daemon.claim-let-go");
            self.at_once.push_back((held.at, Event::Released { claim }));
        }
    }

    // ---- the guard

    /// Makes sure that a claim has a guard. A zygote that ended, and of whose end we have not heard yet, is replaced.
    fn guard(&mut self, id: ClaimId) -> std::io::Result<()> {
        let Err(_) = self.ask_for_guard(id) else { return Ok(()) };
        if let Some(pid) = self.zygote.as_ref().map(Zygote::pid) {
            self.take_zygote_end(pid);
        }
        self.ask_for_guard(id)
    }

    fn ask_for_guard(&mut self, id: ClaimId) -> std::io::Result<()> {
        self.zygote(true)?;
        let (Some(zygote), Some(held)) = (&self.zygote, self.held.get_mut(&id)) else { return Ok(()) };
        if held.guard.is_none() {
            let assignment = service::assignment(&self.layout, &self.services[held.at].place, Holder::Daemon);
            held.guard = Some(zygote.guard(&assignment, &held.claim, id, &self.inbox)?);
            soloist_os::fail_point!("daemon.guard-asked");
        }
        Ok(())
    }

    /// Listens for its next run; what earlier ones were handed stays as it is.
    fn listen(&mut self, at: usize, claim: ClaimId) -> Result<(), Unbound> {
        let twins = self.twin(at).and_then(|twin| self.project.instance(twin).claim());
        let own = self.sockets_under(Some(claim));
        let others =
            self.sockets_under(twins).iter().filter(|one| own.iter().all(|own| own.at() != one.at()));
        let shared: Vec<Listening> = others.filter_map(|one| one.share().ok()).collect();
        let declared = &self.services[at].declared.program.sockets;
        let Some(held) = self.held.get_mut(&claim) else { return Ok(()) };
        if !declared.is_empty() && held.guard.as_ref().is_some_and(|guard| guard.version < SOCKETS_SINCE) {
            let name = self.project.name(at);
            let why = format!(
                "its guard is of an older soloist and can hand over no sockets: `soloist stop {name}`, then start it"
            );
            return Err(Unbound { why, is_final: true });
        }
        held.sockets.extend(shared);
        sockets::listen(declared, &mut held.sockets)?;
        self.compare_sockets(at, Some(claim));
        Ok(())
    }

    /// What is listened on for it: no stranger, whoever holds it.
    fn own_sockets(&self, at: usize) -> Vec<u64> {
        let both = [Some(at), self.twin(at)].into_iter().flatten();
        let held = both.flat_map(|at| self.sockets_under(self.project.instance(at).claim()));
        held.filter_map(Listening::inode).collect()
    }

    fn sockets_under(&self, claim: Option<ClaimId>) -> &[Listening] {
        claim.and_then(|claim| self.held.get(&claim)).map_or(&[], |held| &held.sockets)
    }

    /// Of an instance its stand-in, and the other way round: they have the same sockets.
    fn twin(&self, at: usize) -> Option<usize> {
        self.project.stand_in(at).or_else(|| self.project.base(at))
    }

    /// A stand-in is of use only where its instance listens.
    pub(super) fn compare_sockets(&mut self, at: usize, claim: Option<ClaimId>) {
        let declared = self.services[at].declared.program.sockets.iter().map(|socket| &socket.at);
        let is_elsewhere = !self.sockets_under(claim).iter().map(Listening::at).eq(declared);
        self.project.set_elsewhere(at, is_elsewhere);
    }

    fn spawn(
        &mut self,
        at: usize,
        claim: ClaimId,
        run: RunId,
        cause: &Cause,
        scheduled: Option<Moment>,
    ) -> std::io::Result<()> {
        self.guard(claim)?;
        let log = self.layout.log(&self.services[at].declared.name);
        // The guard tells it, unless it is an older one.
        self.services[at].begin(std::fs::metadata(&log).map_or(0, |log| log.len()));
        let gone = || std::io::Error::other("the claim is not held any more");
        let token = self.held.get(&claim).ok_or_else(gone)?.claim.next_token();
        let (ports, needs) = (self.project.instance(at).ports().to_vec(), self.needs_served(at));
        let occasion = Occasion { run_id: run.to_string(), token, scheduled, ports, needs };
        let Service { declared, place, .. } = &self.services[at];
        let (plan, program, socket) = (&declared.plan, &declared.program, self.layout.daemon_socket());
        let mut order =
            service::run_order(&declared.name, occasion, plan, program, place, Some(log), &socket);
        order.is_log_new = self.logs.as_mut().is_some_and(|logs| {
            order
                .log
                .as_ref()
                .is_some_and(|log| !logs.contains(&error_log_of(log)) && logs.insert(log.clone()))
        });
        order.cause = cause.to_string();
        order.revival.clone_from(&self.revival);
        let outlives = self.outlives(at);
        let held = self.held.get_mut(&claim).ok_or_else(gone)?;
        soloist_os::fail_point!("daemon.run-due");
        held.guard.as_ref().ok_or_else(gone)?.spawn(&order, &held.sockets)?;
        soloist_os::fail_point!("daemon.run-ordered");
        held.is_reviver = outlives && order.revival.is_some();
        Ok(())
    }

    pub(super) fn order(&mut self, claim: ClaimId, order: &Order) {
        if let Some(guard) = self.held.get(&claim).and_then(|held| held.guard.as_ref())
            && let Err(e) = guard.order(order)
        {
            self.log.say(&format!("a guard does not take an order ({e}); it will be given again"));
        }
    }

    // ---- the ports

    /// What it needs and is up, with its first port.
    fn needs_served(&self, at: usize) -> Vec<(String, u16)> {
        let needs = self.services[at].declared.plan.needs.iter();
        let served = needs.filter_map(|need| {
            let instance = self.project.instance(self.project.position(&need.on)?);
            Some((need.on.clone(), *instance.ports().first().filter(|_| instance.is_up())?))
        });
        served.collect()
    }

    fn look_at_ports(&mut self, at: usize, ask: AskId, wanted: Vec<u16>, spares: Vec<RangeInclusive<u16>>) {
        let own = self.own_sockets(at);
        if ports::are_free_but(&wanted, &own) {
            let event = Event::PortsSeen { ask, strangers: Vec::new(), free: Vec::new() };
            return self.at_once.push_back((at, event));
        }
        // Naming them means looking at every process: not here, where everybody waits.
        let (layout, inbox) = (self.layout.clone(), self.inbox.clone());
        tokio::task::spawn_blocking(move || {
            let strangers = ports::strangers(&layout, &wanted, &own);
            let asked = wanted.into_iter().filter(|_| !spares.is_empty());
            let known: BTreeSet<u16> = asked.chain(spares.iter().cloned().flatten()).collect();
            let free = known.into_iter().filter(|port| ports::are_free_but(&[*port], &own)).collect();
            let _ = inbox.send(Input::Seen { at, event: Event::PortsSeen { ask, strangers, free } });
        });
    }

    fn check_ports(&mut self, at: usize, ask: AskId) {
        let wanted = self.project.instance(at).ports().to_vec();
        let claim = self.project.instance(at).claim();
        let guard = claim.and_then(|claim| self.held.get(&claim)?.guard.as_ref()?.pid);
        let Some(guard) = guard else {
            let event = Event::PortsChecked { ask, seen: soloist_core::event::Listening::NotYet };
            return self.at_once.push_back((at, event));
        };
        if let Some(seen) = ports::quick_check(&wanted, guard) {
            return self.at_once.push_back((at, Event::PortsChecked { ask, seen }));
        }
        let (layout, inbox, own) = (self.layout.clone(), self.inbox.clone(), self.own_sockets(at));
        tokio::task::spawn_blocking(move || {
            let seen = ports::slow_check(&layout, &wanted, guard, &own);
            let _ = inbox.send(Input::Seen { at, event: Event::PortsChecked { ask, seen } });
        });
    }
}
