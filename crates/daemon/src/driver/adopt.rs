//! A new daemon takes over: the guards it finds at work hand their claims back, and what ended meanwhile is learned
//! from the records. Nothing is restarted that lives.

use std::collections::BTreeMap;
use std::path::PathBuf;

use soloist_core::event::{Cause, Event, IfHeld, Wanted};
use soloist_core::id::RunId;
use soloist_core::plan::Plan;
use soloist_core::project::Orders;
use soloist_os::guard::Report;
use soloist_os::identity::Identity;
use soloist_os::layout::{Place, machine_state};
use soloist_os::record::{Holder, Record, all};

use super::{Driver, now};
use crate::config::{Config, Declared, Program, Scope};
use crate::convert::{exit_to_core, since_boot};
use crate::links::{self, Found, GuardLink};
use crate::service;

impl Driver {
    /// Takes over the declared instances, and every other one that a daemon of this project left running.
    pub fn take_over(&mut self, config: &Config) {
        self.declare(config);
        for (base, record) in self.left_by_a_daemon() {
            if self.project.position(&record.instance).is_none() && record.is_guarded() {
                let place = Place { base, instance: record.instance.clone() };
                self.add(undeclared(&record), place);
            }
        }
        for at in 0..self.services.len() {
            self.take_over_one(at);
        }
        if let Err(e) = self.ledger.write() {
            self.log.say(&format!("the ledger is behind: {e}"));
        }
        // Nobody has asked yet, so nobody is told.
        self.project.take_touched();
    }

    /// Brings the declared programs in. A changed declaration counts from the next start on.
    pub(super) fn declare(&mut self, config: &Config) {
        for declared in &config.declared {
            match self.project.position(&declared.name) {
                Some(at) => {
                    if self.services[at].declared != *declared {
                        self.project.replan(at, declared.plan.clone());
                        self.services[at].declared = declared.clone();
                    }
                }
                None => match service::place(&self.layout, &declared.name, declared.program.scope) {
                    Ok(place) => drop(self.add(declared.clone(), place)),
                    Err(e) => self.log.say(&format!("{}: {e}", declared.name)),
                },
            }
        }
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

    fn take_over_one(&mut self, at: usize) {
        let name = self.project.name(at).to_owned();
        let place = self.services[at].place.clone();
        let record = Record::read(&place.record())
            .filter(|record| record.holder == Holder::Daemon && record.project == self.layout.root);
        let is_guarded = record.as_ref().is_some_and(Record::is_guarded);
        let wanted = if self.ledger.is_up(&name, is_guarded) { Wanted::Up } else { Wanted::Down };
        if let Some(record) = record.as_ref().filter(|record| record.is_guarded()) {
            match links::find(&place) {
                Ok(found) => return self.adopt(at, found, wanted),
                // It ended in this moment, and has written down how; or it does not answer, and keeps the claim.
                Err(e) => self
                    .log
                    .say(&format!("{name}: its guard (pid {}) cannot be adopted: {e}", record.guard.pid)),
            }
        }
        let ended = Record::read(&place.record()).filter(|_| record.is_some());
        let boot = Identity::mine().map(|me| me.boot).unwrap_or_default();
        match ended {
            // It ended while nobody was there to see it, or was killed with its guard.
            Some(record)
                if record.guard.boot == boot
                    && (wanted == Wanted::Down
                        || !record.ended
                        || self.ledger.covers(&name, record.since_ms)) =>
            {
                let is_tree_left = !record.ended && !record.is_guarded();
                if is_tree_left {
                    let pid = record.guard.pid;
                    self.log.say(&format!("{name}: its guard (pid {pid}) was killed; what it left is ended"));
                }
                let exit = record.exit.map(exit_to_core);
                self.tell(at, Event::EndedUnseen { exit, is_tree_left, wanted });
            }
            _ if wanted == Wanted::Up => {
                let mut orders = Orders::new();
                self.project.start(now(), at, Cause::Takeover, IfHeld::StandBy, &mut orders);
                self.perform(orders);
            }
            Some(record) => {
                let exit = record.exit.map(exit_to_core);
                self.tell(at, Event::EndedUnseen { exit, is_tree_left: false, wanted });
            }
            None => {}
        }
    }

    fn adopt(&mut self, at: usize, found: Found, wanted: Wanted) {
        let Report::Status { guard, run_id, main, exit, since_ms, .. } = found.status else { return };
        let Some(run) = run_id.and_then(|id| RunId::parse(&id)) else { return };
        let claim = self.hold(at, found.claim);
        match GuardLink::watch(found.link, claim, &self.inbox) {
            Ok(mut link) => {
                link.pid = Some(guard.pid);
                if let Some(held) = self.held.get_mut(&claim) {
                    held.guard = Some(link);
                }
            }
            Err(e) => self.log.say(&format!("the link to guard {} broke: {e}", guard.pid)),
        }
        let event = Event::Adopted {
            claim,
            run,
            pid: main.map(|main| main.pid),
            exit: exit.map(exit_to_core),
            since: since_boot(since_ms),
            wanted,
        };
        self.tell(at, event);
    }
}

/// A service that runs and is declared no more: it can be seen and stopped, and is started again by nobody.
fn undeclared(record: &Record) -> Declared {
    Declared {
        name: record.instance.clone(),
        plan: Plan {
            ports: record.ports.clone(),
            restart: soloist_core::plan::Restart::No,
            ..Plan::default()
        },
        program: Program {
            argv: record.command.clone(),
            dir: record.project.clone(),
            env: BTreeMap::new(),
            stop_signal: soloist_os::identity::SIGNAL_TERMINATE,
            scope: Scope::Project,
            pid_file: record.pid_file.clone(),
        },
    }
}
