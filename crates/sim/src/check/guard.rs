//! Guards of the small world: single-threaded, obeying in turn, each turn of its own so that anything may come between.

use soloist_core::event::{Event, Exit};
use soloist_core::id::{ClaimId, RunId};

use super::Fault;
use super::state::{Guard, GuardId, Letter, Lock, Order, Process, Record, State, Tree};

/// A small world has few processes: which pid one has makes no difference.
pub const PID: u32 = 7;
const TOLD: Exit = Exit::Signal(15);

/// What a guard does next, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Obey,
    /// No survivor lives any more.
    Swept,
    /// It notices that its main process, or the rest of its tree, has ended.
    Reap,
    /// It notices that its daemon is gone.
    Alone,
    /// It writes its record, which is behind.
    Write,
    End,
    /// The grace is over.
    Insist,
}

impl State {
    pub fn fork_guard(&mut self, seat: usize, at: usize, lock: Option<Lock>, link: ClaimId) -> GuardId {
        let id = GuardId(self.name());
        let guard = Guard {
            seat,
            at,
            lock,
            link: Some(link),
            orders: Default::default(),
            run: None,
            since: self.now,
            tree: Tree::Empty,
            exit: None,
            is_stopping: false,
            sweep: None,
            is_swept: false,
            is_released: false,
            is_told: false,
            was_ready: false,
            can_be_found: false,
            is_unwritten: false,
        };
        self.guards.insert(id, guard);
        id
    }

    /// What a guard may do now. Only its patience is not to be counted upon.
    pub fn turns(&self, id: GuardId) -> Vec<Turn> {
        let guard = &self.guards[&id];
        if guard.sweep.is_some() {
            let is_swept = self.processes.iter().all(|process| process.at != guard.at);
            return if is_swept { vec![Turn::Swept] } else { Vec::new() };
        }
        let (is_alone, has_orders) = (guard.link.is_none(), !guard.orders.is_empty());
        let is_over = guard.tree == Tree::Empty && (guard.is_released || is_alone && !has_orders);
        let has_news = guard.tree == Tree::Led && !self.has_main(id)
            || guard.tree == Tree::Leaderless && !self.has_tree(id);
        let can_insist =
            guard.is_stopping && self.processes.iter().any(|p| p.guard == Some(id) && !p.is_ending);
        let turns = [
            (is_over, Turn::End),
            (has_orders && !is_over, Turn::Obey),
            (has_news, Turn::Reap),
            (!is_alone && !has_orders && !self.is_linked(id), Turn::Alone),
            (guard.is_unwritten, Turn::Write),
            (can_insist, Turn::Insist),
        ];
        turns.into_iter().filter_map(|(is_so, turn)| is_so.then_some(turn)).collect()
    }

    /// Its daemon lives and knows it.
    fn is_linked(&self, id: GuardId) -> bool {
        let guard = &self.guards[&id];
        guard
            .link
            .is_some_and(|claim| self.held(guard.seat, claim).is_some_and(|held| held.guard == Some(id)))
    }

    /// It would answer a new daemon now.
    pub fn can_answer(&self, id: GuardId) -> bool {
        self.guards.get(&id).is_some_and(|g| g.can_be_found && g.sweep.is_none() && g.orders.is_empty())
    }

    pub fn take_turn(&mut self, id: GuardId, turn: Turn, fault: Option<Fault>) {
        let Some(guard) = self.guards.get_mut(&id) else { return };
        match turn {
            Turn::Obey => {
                if let Some(order) = guard.orders.pop_front() {
                    self.obey(id, order, fault);
                }
            }
            Turn::Swept => {
                if let Some(order) = guard.sweep.take() {
                    self.end_sweep(id, order, fault);
                }
            }
            Turn::Reap => self.reap(id, fault),
            Turn::Alone => {
                (guard.link, guard.is_stopping) = (None, guard.is_stopping || guard.tree == Tree::Leaderless);
                let is_leaderless = guard.tree == Tree::Leaderless;
                self.write_if_behind(id);
                if is_leaderless {
                    self.signal_tree(id);
                }
            }
            Turn::Write => self.write_if_behind(id),
            Turn::Insist => self.signal_tree(id),
            Turn::End => {
                self.write_if_behind(id);
                self.remove_guard(id);
            }
        }
    }

    /// Its lock is closed before its link.
    fn remove_guard(&mut self, id: GuardId) {
        self.send(id, Letter::End);
        self.guards.remove(&id);
        self.processes.iter_mut().filter(|p| p.guard == Some(id)).for_each(|p| p.guard = None);
    }

    /// Killed: its tree lives on. What it was about to tell may be lost.
    pub fn kill_guard(&mut self, id: GuardId, loses_report: bool) {
        let guard = &self.guards[&id];
        let (seat, link) = (guard.seat, guard.link);
        if loses_report && let Some(held) = link.and_then(|claim| self.held_mut(seat, claim)) {
            held.mail.pop_back();
        }
        self.remove_guard(id);
    }

    fn send(&mut self, id: GuardId, letter: Letter) {
        let guard = &self.guards[&id];
        let (seat, link) = (guard.seat, guard.link);
        if let Some(held) = link.and_then(|claim| self.held_mut(seat, claim)) {
            held.mail.push_back(letter);
        }
    }

    fn report(&mut self, id: GuardId, event: Event) {
        self.send(id, Letter::Report(Box::new(event)));
    }

    fn obey(&mut self, id: GuardId, order: Order, fault: Option<Fault>) {
        let Some(guard) = self.guards.get_mut(&id) else { return };
        let (has_tree, run) = (guard.tree != Tree::Empty, guard.run.unwrap_or(RunId(0)));
        match order {
            Order::Spawn(run) if has_tree => {
                let why = "a run of this instance is alive".to_owned();
                self.report(id, Event::SpawnFailed { run, why, is_final: false });
            }
            Order::Spawn(_) => self.sweep(id, order, fault),
            Order::Sweep(_) if has_tree => {}
            Order::Sweep(run) => {
                guard.run = Some(run);
                self.sweep(id, order, fault);
            }
            Order::Remember => guard.was_ready = true,
            Order::Stop | Order::Kill if has_tree => {
                (guard.is_told, guard.is_stopping) = (true, true);
                // The others hear of a polite stop once the main process has ended.
                let is_polite = guard.tree == Tree::Led && order == Order::Stop;
                let tree = self.processes.iter_mut().filter(|p| p.guard == Some(id));
                tree.filter(|p| p.is_main || !is_polite).for_each(|p| p.is_ending = true);
            }
            Order::Stop | Order::Kill if !guard.is_swept => self.sweep(id, Order::Sweep(run), fault),
            Order::Stop => self.report(id, Event::TreeEmptied { run }),
            Order::Kill => {}
            Order::Release => guard.is_released = true,
        }
    }

    fn signal_tree(&mut self, id: GuardId) {
        self.processes.iter_mut().filter(|p| p.guard == Some(id)).for_each(|p| p.is_ending = true);
    }

    /// Ends what earlier runs left, unless the last record says that nothing is.
    fn sweep(&mut self, id: GuardId, order: Order, fault: Option<Fault>) {
        let Some(guard) = self.guards.get_mut(&id) else { return };
        let at = guard.at;
        let is_over = guard.is_swept
            || fault == Some(Fault::NothingIsSwept)
            || self.records[at].as_ref().is_none_or(|record| record.is_ended);
        let mut left = self.processes.iter_mut().filter(|process| process.at == at && !is_over).peekable();
        if left.peek().is_none() {
            return self.end_sweep(id, order, fault);
        }
        left.for_each(|process| process.is_ending = true);
        guard.sweep = Some(order);
    }

    fn end_sweep(&mut self, id: GuardId, order: Order, fault: Option<Fault>) {
        let is_alone = !self.is_linked(id) && fault != Some(Fault::ARunBeginsForNobody);
        let Some(guard) = self.guards.get_mut(&id) else { return };
        guard.is_swept = true;
        match order {
            // Who ordered the run is gone, and the next daemon decides anew.
            Order::Spawn(_) if is_alone => {}
            Order::Spawn(run) => self.start(id, run),
            Order::Sweep(run) => {
                (guard.exit, guard.tree) = (None, Tree::Empty);
                self.write(id);
                self.report(id, Event::TreeEmptied { run });
            }
            Order::Remember | Order::Stop | Order::Kill | Order::Release => {}
        }
    }

    fn start(&mut self, id: GuardId, run: RunId) {
        let now = self.now;
        let Some(guard) = self.guards.get_mut(&id) else { return };
        let (seat, at, lock) = (guard.seat, guard.at, guard.lock);
        (guard.run, guard.since, guard.exit, guard.tree) = (Some(run), now, None, Tree::Led);
        (guard.is_told, guard.is_stopping, guard.was_ready, guard.can_be_found) = (false, false, false, true);
        let record =
            Record { seat, guard: id, exit: None, is_ended: false, is_told: false, is_of_wish: true };
        self.records[at] = Some(record);
        self.has_spawned_unclaimed |=
            lock.is_none() || self.locks(at).iter().any(|other| Some(*other) != lock);
        for is_main in [true, false] {
            self.processes.push(Process { at, run, guard: Some(id), is_main, is_ending: false });
        }
        self.report(id, Event::Spawned { run, pid: PID });
    }

    fn reap(&mut self, id: GuardId, fault: Option<Fault>) {
        let has_tree = self.has_tree(id);
        let Some(guard) = self.guards.get_mut(&id) else { return };
        let run = guard.run.unwrap_or(RunId(0));
        if guard.tree == Tree::Led {
            guard.tree = Tree::Leaderless;
            let exit = *guard.exit.get_or_insert(TOLD);
            guard.is_unwritten = guard.link.is_some() && !guard.is_stopping;
            let (is_stopping, is_alone) = (guard.is_stopping, guard.link.is_none());
            guard.is_stopping |= is_alone;
            self.report(id, Event::MainExited { run, exit, is_tree_left: has_tree, diagnosis: None });
            if is_stopping || is_alone {
                self.write(id);
                self.signal_tree(id);
            }
        }
        let is_empty = !has_tree || fault == Some(Fault::AGuardEndsWithItsMainProcess);
        if let Some(guard) = self.guards.get_mut(&id).filter(|_| is_empty) {
            (guard.tree, guard.is_stopping) = (Tree::Empty, false);
            if !guard.is_unwritten {
                self.write(id);
            }
            self.report(id, Event::TreeEmptied { run });
        }
    }

    fn write_if_behind(&mut self, id: GuardId) {
        if self.guards.get(&id).is_some_and(|guard| guard.is_unwritten) {
            self.write(id);
        }
    }

    fn write(&mut self, id: GuardId) {
        let Some(guard) = self.guards.get_mut(&id) else { return };
        guard.is_unwritten = false;
        let is_of_wish = self.records[guard.at].as_ref().is_some_and(|record| record.is_of_wish);
        self.records[guard.at] = Some(Record {
            seat: guard.seat,
            guard: id,
            exit: guard.exit,
            is_ended: guard.tree == Tree::Empty,
            is_told: guard.is_told,
            is_of_wish,
        });
    }

    /// A process ends; what notices it is its guard.
    pub fn end_process(&mut self, at: usize, exit: Exit) {
        let process = self.processes.remove(at);
        if let Some(guard) = process.guard.filter(|_| process.is_main).and_then(|id| self.guards.get_mut(&id))
        {
            guard.exit = Some(exit);
        }
    }
}
