//! The death of a daemon, and how the next one takes over what it left: step by step as the real driver does.

use std::collections::BTreeSet;
use std::time::Duration;

use soloist_core::event::{Cause, Event, IfHeld, Wanted};
use soloist_core::id::Print;
use soloist_core::instance::Legacy;
use soloist_core::project::Orders;

use super::World;
use super::daemon::Daemon;
use super::guard::Tree;
use super::machine::{Happening, Record};

impl World {
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
        self.followed_until = Some(self.machine.wall());
        // The next one will not know how far the clock had been.
        self.is_behind |= self.machine.wall() < self.furthest;
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
        let is_torn = self.faults.ledger_torn && !self.machine.is_calm && self.machine.random.percent(20);
        if is_torn {
            self.lose_ledger();
        }
        self.page.clone_from(&self.ledger);
        // Whoever was asking got no answer: what is on disk counts.
        for (wish, up_since) in self.wishes.iter_mut().zip(&self.ledger) {
            wish.wanted = wish
                .wanted
                .filter(|_| !is_torn)
                .map(|_| if up_since.is_some() { Wanted::Up } else { Wanted::Down });
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
        self.daemons += 1;
        // What the last one stopped this one may want.
        self.past.told_to_end.clear();
        self.past.trials.fill(None);
        let mut daemon = Daemon::numbered(self.daemons);
        daemon.project.set_strategy(self.strategy);
        self.removed.fill(false);
        self.turns.iter_mut().for_each(BTreeSet::clear);
        for (at, plan) in self.plans.iter().enumerate() {
            let (seed, now) = (self.machine.random.next(), self.machine.now);
            daemon.project.add(&super::name(at), plan.clone(), seed, now);
            daemon.project.replan(now, at, plan.clone(), Print(self.prints[at]));
        }
        for at in 0..self.plans.len() {
            let until = self.followed_until.filter(|_| self.page[at].is_some());
            self.is_remembered[at] = until.is_some();
            if let Some(until) = until {
                let legacy = Legacy { followed: until, beat: until, queue: Vec::new() };
                daemon.project.remember(at, legacy);
            }
            self.disturb(at);
        }
        daemon.refresh_all();
        self.daemon = Some(daemon);
        self.tell_clock();
        for at in 0..self.plans.len() {
            let wish = &mut self.wishes[at];
            wish.explains_a_start = true;
            self.take_over_one(at);
        }
    }

    pub fn is_stand_in(&self, at: usize) -> bool {
        self.lane_of[at].is_some_and(|base| self.plans[base].stand_in.is_some())
    }

    /// A guard that did not answer is tried again until it does or is gone, or is adopted with its claim.
    pub fn take_over_late(&mut self, at: usize) {
        let Some(daemon) = &self.daemon else { return };
        let wanted = daemon.project.status(at).wanted;
        let record = self.machine.records[at].clone().filter(|record| record.is_daemons);
        let Some(guard) = record.map(|record| record.guard).filter(|_| !self.is_held(at)) else { return };
        match self.machine.guards.get(&guard) {
            Some(guard) if guard.is_busy() => {
                self.machine.plan(Duration::from_secs(1), Happening::TakeOver(at));
            }
            Some(_) => {
                self.adopt(at, guard, wanted);
                self.perform(Orders::new());
            }
            None => {}
        }
    }

    fn is_held(&self, at: usize) -> bool {
        self.daemon.as_ref().is_some_and(|daemon| daemon.project.instance(at).claim().is_some())
    }

    fn take_over_one(&mut self, at: usize) {
        if self.daemon.is_none() {
            return;
        }
        let wanted = if self.page[at].is_some() { Wanted::Up } else { Wanted::Down };
        let record = self.machine.records[at].clone().filter(|record| record.is_daemons);
        if let Some(record) = &record
            && self.machine.guards.contains_key(&record.guard)
        {
            // What the daemon before us ordered was there before our question.
            self.machine.guard_turn(record.guard);
            match self.machine.guards.get(&record.guard) {
                // It does not answer: nothing is judged until it does, or its claim is free.
                Some(guard) if guard.is_busy() => {
                    self.machine.plan(Duration::from_secs(1), Happening::TakeOver(at));
                    let event = Event::EndedUnseen {
                        exit: record.exit,
                        ended_at: None,
                        is_tree_left: true,
                        wanted,
                        recent: self.wishes[at].crashes.clone(),
                        is_current: false,
                    };
                    // What lives is no excuse.
                    if record.exit.is_some() {
                        self.note_excuse(at, &event);
                    }
                    return self.tell(at, event);
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
                    ended_at: None,
                    is_tree_left: !record.is_ended,
                    wanted,
                    recent: self.wishes[at].crashes.clone(),
                    is_current: self.page.iter().any(Option::is_some) && !record.is_told,
                };
                self.note_excuse(at, &event);
                self.tell(at, event);
            }
            // A stand-in that is gone stands in no more, and a lane runs only what its instance has no time for.
            _ if wanted == Wanted::Up && self.lane_of[at].is_none() => self.start_again(at),
            Some(_) | None => {}
        }
    }

    fn start_again(&mut self, at: usize) {
        let now = self.machine.now;
        self.wishes[at].forget_restarts();
        self.wish_again(at, false);
        self.decide(|project, orders| project.start(now, at, Cause::Takeover, IfHeld::StandBy, orders));
    }

    /// The file cannot be read any more: what runs is taken as wanted, and nothing else is.
    fn lose_ledger(&mut self) {
        self.machine.count("ledgers torn");
        self.machine.say(|| "the ledger is torn".to_owned());
        let now = self.machine.now;
        for at in 0..self.plans.len() {
            let guards = &self.machine.guards;
            let is_guarded = self.machine.records[at]
                .as_ref()
                .is_some_and(|r| r.is_daemons && guards.contains_key(&r.guard));
            self.ledger[at] = is_guarded.then_some(now);
        }
    }

    fn is_told_of_this_wish(&self, at: usize, record: &Record) -> bool {
        record.is_ended && (record.is_told || self.page[at].is_some_and(|since| record.since < since))
    }

    pub fn adopt(&mut self, at: usize, id: u32, wanted: Wanted) {
        let Some(guard) = self.machine.guards.get(&id) else { return };
        let Some(run) = guard.run else { return };
        // It was asked for its claim in this very takeover, by a lane that another instance wants.
        if self.daemon.as_ref().is_some_and(|daemon| daemon.held.values().any(|held| held.at == at)) {
            return;
        }
        let (lock, exit, since, base) = (guard.lock, guard.exit, guard.since, self.base(at));
        let (was_ready, notice, print) = (guard.was_ready, guard.notice.clone(), guard.print.map(Print));
        let tick = guard.tick;
        let pid = if let Tree::Led(main) = guard.tree { Some(main) } else { None };
        let claim = self.hold(at, lock);
        self.machine.count("guards adopted");
        self.machine.guards.entry(id).and_modify(|guard| guard.link = Some(claim));
        self.machine.locks.entry(lock).and_modify(|lock| lock.is_open_in_daemon = true);
        if let Some(held) = self.daemon.as_mut().and_then(|daemon| daemon.held.get_mut(&claim)) {
            held.guard = Some(id);
        }
        // Its run counts as due when it began, and so does the one that somebody wants in its place.
        self.asked[base].insert(self.clock_told.wall(since));
        let recent = self.wishes[at].crashes.clone();
        let event = Event::Adopted {
            claim,
            run,
            pid,
            ports: self.machine.given.get(&run).cloned().unwrap_or_default(),
            exit,
            ended_at: None,
            since,
            was_ready,
            notice,
            tick,
            print,
            cause: None,
            recent,
            wanted,
        };
        self.answer_at_once((at, event));
    }
}
