//! A new daemon takes over: the guards it finds at work hand their claims back, and what ended meanwhile is learned
//! from the records. Nothing is restarted that lives.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use soloist_core::event::{Cause, Event, IfHeld, Wanted};
use soloist_core::id::{Print, RunId, TickId};
use soloist_core::plan::Plan;
use soloist_core::project::Orders;
use soloist_core::time::Time;
use soloist_os::guard::{Order, Past, Report};
use soloist_os::identity::Identity;
use soloist_os::layout::{Place, machine_state};
use soloist_os::record::{Holder, Record, all};

use super::past::Present;
use super::probe::Tries;
use super::{Driver, now};
use crate::config::{Config, Declared, Program};
use crate::convert::{cause_to_core, exit_to_core, notice_to_core};
use crate::history::read::Turns;
use crate::inbox::{Inbox, Input};
use crate::links::{self, Found, GuardLink};
use crate::service;
use crate::watch::Source;

/// A guard that is just ending closes its socket before its process is gone; how long that may take.
const END_LIMIT: Duration = Duration::from_millis(100);
/// How often a guard that lives and does not answer is tried again.
const SEEK_PAUSE: Duration = Duration::from_secs(1);

impl Driver {
    /// Takes over the declared instances, and every other one that a daemon of this project left running.
    pub fn take_over(&mut self, config: &Config, is_brought_back: bool) {
        self.is_brought_back = is_brought_back;
        self.declare(config);
        for (base, record) in self.left_by_a_daemon() {
            self.history.learn_record(&record);
            if self.project.position(&record.instance).is_none() && record.is_guarded() {
                let place = Place { base, instance: record.instance.clone() };
                self.add(undeclared(&record), place);
            }
        }
        let turns = Turns::open(&self.layout.history());
        // All before the first: with that the ledger tells of today.
        for at in 0..self.services.len() {
            if let Some(legacy) = self.legacy(at, self.left(at).as_ref(), &turns) {
                self.project.remember(at, legacy);
            }
        }
        for at in 0..self.services.len() {
            self.take_over_one(at);
        }
        self.write_ledger();
        self.charge_zygote();
        // Nobody has asked yet, so nobody is told.
        self.project.take_touched();
    }

    /// Brings the declared programs in. A changed declaration counts from the next start on.
    pub(super) fn declare(&mut self, config: &Config) {
        soloist_os::fail_point!("daemon.declaring");
        self.project.set_strategy(config.strategy);
        self.archive.obey(config, |name| self.layout.log(name));
        let mut is_followed = false;
        for declared in &config.declared {
            match self.project.position(&declared.name) {
                Some(at) => {
                    if self.services[at].declared != *declared || self.project.is_removed(at) {
                        is_followed |= self.services[at].declared.plan.schedule != declared.plan.schedule
                            && self.ledger.follow(&declared.name);
                        self.project.replan(now(), at, declared.plan.clone(), declared.print());
                        self.services[at].source = Source::of(declared);
                        self.services[at].declared = declared.clone();
                        self.compare_sockets(at, self.project.instance(at).claim());
                    }
                }
                None => match service::place(&self.layout, &declared.name, declared.program.scope) {
                    Ok(place) => drop(self.add(declared.clone(), place)),
                    Err(e) => self.log.say(&format!("{}: {e}", declared.name)),
                },
            }
        }
        self.find_queueing();
        if is_followed {
            self.write_ledger();
        }
        self.follow_files();
        soloist_os::fail_point!("daemon.declared");
    }

    fn left_by_a_daemon(&self) -> Vec<(PathBuf, Record)> {
        let mut bases = vec![self.layout.state()];
        bases.extend(machine_state());
        bases
            .into_iter()
            .flat_map(|base| all(&base).into_iter().map(move |record| (base.clone(), record)))
            .filter(|(_, record)| record.holder == Holder::Daemon && record.project == self.layout.root)
            .collect()
    }

    /// The record of an instance, if a daemon of this project has left it.
    fn left(&self, at: usize) -> Option<Record> {
        Record::read(&self.services[at].place.record())
            .filter(|record| record.holder == Holder::Daemon && record.project == self.layout.root)
    }

    fn take_over_one(&mut self, at: usize) {
        let name = self.project.name(at).to_owned();
        let place = self.services[at].place.clone();
        let record = self.left(at);
        let is_guarded = record.as_ref().is_some_and(Record::is_guarded);
        let wanted = if self.ledger.is_up(&name, is_guarded) { Wanted::Up } else { Wanted::Down };
        if let Some(record) = record.as_ref().filter(|record| record.is_guarded()) {
            match links::find(&place) {
                Ok(found) => {
                    if let Some(event) = self.adopt(at, found, wanted) {
                        self.tell(at, event);
                    }
                    return;
                }
                Err(e) if lives_on(&record.guard, &e) => {
                    self.log.say(&format!(
                        "{name}: its guard (pid {}) does not answer ({e}); it is adopted when it does",
                        record.guard.pid
                    ));
                    return self.await_answer(at, record, wanted);
                }
                // It ended in this moment, and has written down how.
                Err(_) => {}
            }
        }
        let ended = Record::read(&place.record()).filter(|_| record.is_some());
        if let Some(record) = &ended {
            self.history.learn_record(record);
        }
        match ended.filter(|record| self.is_told_by(&name, record, wanted)) {
            Some(record) => {
                let is_tree_left = !record.ended;
                if is_tree_left {
                    let pid = record.guard.pid;
                    self.log.say(&format!("{name}: its guard (pid {pid}) was killed; what it left is ended"));
                    self.add_lost_guard(&record);
                    self.services[at].lost = Some(record.clone());
                }
                let exit = record.exit.map(exit_to_core);
                let recent = self.falls(at, Some(&record), &record.past);
                let ended_at = record.exit_ms.map(|ms| self.since_boot(ms));
                let is_current = self.ledger.is_inherited() && !record.was_stopped;
                self.tell(
                    at,
                    Event::EndedUnseen { exit, ended_at, is_tree_left, wanted, recent, is_current },
                );
            }
            // A stand-in that is gone stands in no more, and a lane runs only what its instance has no time for: what is
            // due is for its schedule to say.
            None if wanted == Wanted::Up && self.services[at].declared.lane_of.is_none() => {
                let mut orders = Orders::new();
                self.project.start(now(), at, Cause::Takeover, IfHeld::StandBy, &mut orders);
                self.perform(orders);
            }
            None => {}
        }
    }

    /// Its guard is frozen, or ends what an earlier run left: nothing is judged and nothing started until it answers, for
    /// it holds the claim. If it ends instead, what it may have left is ended first.
    fn await_answer(&mut self, at: usize, record: &Record, wanted: Wanted) {
        self.history.learn_record(record);
        self.seek(at, record.guard.clone());
        let exit = record.exit.map(exit_to_core);
        let recent = self.falls(at, Some(record), &record.past);
        let ended_at = record.exit_ms.map(|ms| self.since_boot(ms));
        let left =
            Event::EndedUnseen { exit, ended_at, is_tree_left: true, wanted, recent, is_current: false };
        self.tell(at, left);
    }

    fn seek(&mut self, at: usize, guard: Identity) {
        if !std::mem::replace(&mut self.services[at].is_sought, true) {
            tokio::spawn(seek(at, self.services[at].place.clone(), guard, self.inbox.clone()));
        }
    }

    /// A guard that was sought has answered, or has ended: then its claim is free.
    pub(super) fn take_sought(&mut self, at: usize, found: Option<Found>) {
        self.services[at].is_sought = false;
        let Some(found) = found else { return self.learn_how_it_ended(at) };
        let wanted = self.project.status(at).wanted;
        if let Some(event) = self.adopt(at, found, wanted) {
            self.tell(at, event);
        }
    }

    /// Whether a record says how the present wish fares: that its run ended unseen. A run of an earlier boot, of an
    /// earlier wish, or one that somebody had stopped to start it anew says nothing about it.
    fn is_told_by(&self, name: &str, record: &Record, wanted: Wanted) -> bool {
        let is_of_this_boot = soloist_os::boot_id().is_ok_and(|boot| boot == record.guard.boot);
        match wanted {
            Wanted::Down => true,
            Wanted::Up if !is_of_this_boot => false,
            Wanted::Up => !record.ended || !record.was_stopped && self.ledger.covers(name, record.since_ms),
        }
    }

    /// When runs of the present wish were started because the one before had fallen: the last daemon counted them, and so
    /// does this one.
    fn falls(&self, at: usize, record: Option<&Record>, past: &[Past]) -> Vec<Time> {
        let name = self.project.name(at);
        let runs = past.iter().map(|past| (&past.cause, past.since_ms));
        // One that is over is among the past ones already.
        let last = record.filter(|record| past.iter().all(|past| past.run_id != record.run_id));
        runs.chain(last.map(|record| (&record.cause, record.since_ms)))
            .filter(|(cause, since_ms)| {
                cause_to_core(cause) == Some(Cause::Crash) && self.ledger.covers(name, *since_ms)
            })
            .map(|(_, since_ms)| self.since_boot(since_ms))
            .collect()
    }

    fn learn_how_it_ended(&mut self, at: usize) {
        let record = Record::read(&self.services[at].place.record());
        let Some(record) = record.filter(|record| !record.is_guarded()) else { return };
        self.history.learn_record(&record);
        if !record.ended {
            self.add_lost_guard(&record);
            self.services[at].lost = Some(record);
        }
    }

    /// The claim is held by a guard of this very project, which no daemon knows: it is ours to adopt.
    pub(super) fn adopt_holder(&mut self, at: usize) -> Option<Event> {
        let place = self.services[at].place.clone();
        let is_known = self.services[at].is_sought || self.held.values().any(|held| held.at == at);
        let record = Record::read(&place.record()).filter(|r| {
            r.holder == Holder::Daemon && r.project == self.layout.root && r.is_guarded() && !is_known
        })?;
        let Ok(found) = links::find(&place) else {
            self.seek(at, record.guard);
            return None;
        };
        let wanted = self.project.status(at).wanted;
        self.adopt(at, found, wanted)
    }

    fn adopt(&mut self, at: usize, found: Found, wanted: Wanted) -> Option<Event> {
        // One adopted before it brought it in already, or its search was overtaken. A second claim would be let go by the
        // core, and the guard take that for its release.
        if self.held.values().any(|held| held.at == at) {
            return None;
        }
        let Report::Status {
            version,
            guard,
            run_id,
            main,
            exit,
            since_ms,
            was_ready,
            notice,
            print,
            past,
            tick,
            ..
        } = found.status
        else {
            return None;
        };
        let run = run_id.and_then(|id| RunId::parse(&id))?;
        soloist_os::fail_point!("daemon.guard-found");
        let record = Record::read(&self.services[at].place.record());
        self.daemon.taken_over += u64::from(main.is_some());
        self.learn_of_adopted(
            at,
            record.as_ref(),
            &past,
            &Present { run, main: main.as_ref(), exit, since_ms },
        );
        self.services[at].traces.begin(run, main.as_ref().map(|main| main.pid));
        let claim = self.hold(at, found.claim);
        if let Some(held) = self.held.get_mut(&claim) {
            held.sockets = found.sockets;
        }
        self.compare_sockets(at, Some(claim));
        self.services[at].log_at = record.as_ref().and_then(|record| record.log_at);
        self.services[at].log_seq = record.as_ref().and_then(|record| record.log_seq);
        self.services[at].tries = Tries::adopted(was_ready);
        match GuardLink::watch(found.link, claim, &self.inbox) {
            Ok(mut link) => {
                (link.pid, link.version) = (Some(guard.pid), version);
                // An older guard does not know this order, and leaves it undone.
                if let Some(revival) = self.revival.clone() {
                    let _ = link.order(&Order::Revive { revival });
                }
                let is_reviver = self.revival.is_some() && self.outlives(at);
                if let Some(held) = self.held.get_mut(&claim) {
                    held.guard = Some(link);
                    held.is_reviver = is_reviver;
                }
            }
            Err(e) => {
                self.log.say(&format!("the link to guard {} broke: {e}", guard.pid));
                // Nobody reads it, who would tell its end; this one comes after we have adopted it.
                let _ = self.inbox.send(Input::GuardEnded { claim });
            }
        }
        soloist_os::fail_point!("daemon.guard-linked");
        Some(Event::Adopted {
            claim,
            run,
            pid: main.map(|main| main.pid),
            ports: record
                .as_ref()
                .filter(|record| record.run_id == run.to_string())
                .map_or_else(Vec::new, |record| record.ports.clone()),
            exit: exit.map(exit_to_core),
            ended_at: record
                .as_ref()
                .filter(|_| exit.is_some())
                .and_then(|record| record.exit_ms)
                .map(|ms| self.since_boot(ms)),
            since: self.since_boot(since_ms),
            was_ready,
            notice: notice_to_core(notice, None),
            tick: tick.as_deref().and_then(TickId::parse),
            print: print.map(Print),
            cause: record.as_ref().and_then(|record| cause_to_core(&record.cause)),
            recent: self.falls(at, record.as_ref(), &past),
            wanted,
        })
    }
}

/// Whether a guard that could not be reached for this reason is going to live on.
fn lives_on(guard: &Identity, reason: &std::io::Error) -> bool {
    let is_late = matches!(reason.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock);
    let limit = if is_late { Duration::ZERO } else { END_LIMIT };
    guard.pin().is_some_and(|guard| !guard.wait(limit).unwrap_or(false))
}

/// Tries a guard again until it answers or has ended.
async fn seek(at: usize, place: Place, guard: Identity, inbox: Inbox) {
    loop {
        tokio::time::sleep(SEEK_PAUSE).await;
        let (place, guard) = (place.clone(), guard.clone());
        let look = move || match links::find(&place) {
            Ok(found) => Some(Some(found)),
            Err(reason) => (!lives_on(&guard, &reason)).then_some(None),
        };
        if let Ok(Some(found)) = tokio::task::spawn_blocking(look).await {
            let _ = inbox.send(Input::Sought { at, found: found.map(Box::new) });
            return;
        }
    }
}

/// A service that runs and is declared no more: it can be seen and stopped, and is started again by nobody.
fn undeclared(record: &Record) -> Declared {
    Declared {
        name: record.instance.clone(),
        service: record.instance.split(['@', '~']).next().unwrap_or_default().to_owned(),
        key: record.instance.split_once('@').map(|(_, key)| key.to_owned()),
        lane_of: record.instance.split_once('~').map(|(base, _)| base.to_owned()),
        rota: None,
        plan: Plan {
            ports: record.ports.clone(),
            restart: soloist_core::plan::Restart::No,
            ..Plan::default()
        },
        program: Program {
            argv: record.command.clone(),
            dir: record.project.clone(),
            pid_file: record.pid_file.clone(),
            ..Program::default()
        },
    }
}
