//! Guards as the kernel side has them: single-threaded, obeying orders in turn, sweeping before the first spawn,
//! ending a leaderless tree by themselves when no daemon is there.

use std::collections::VecDeque;
use std::time::Duration;

use soloist_core::event::{Diagnosis, Event, Exit, Notice};
use soloist_core::id::{ClaimId, RunId, TickId};
use soloist_core::time::Time;

use super::checks;
use super::machine::{Answers, Happening, Letter, Machine, Process, Record, Source, Temper};

#[derive(Clone, Copy, Debug)]
pub enum Order {
    Spawn {
        run: RunId,
        print: Option<u64>,
    },
    Sweep {
        run: RunId,
        grace: Duration,
    },
    /// A line on the standard input of its main process.
    Tick {
        run: RunId,
        tick: TickId,
    },
    Stop {
        grace: Duration,
    },
    Kill,
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    Empty,
    Led(u32),
    Leaderless,
}

#[derive(Clone, Copy, Debug)]
enum Stop {
    Polite { kill_at: Time },
    Killing { since: Time, is_told: bool },
}

/// A sweep keeps the guard busy: it hears nothing meanwhile.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    kill_at: Time,
    give_up_at: Time,
    order: Order,
}

#[derive(Clone, Debug)]
pub struct Guard {
    pub instance: usize,
    pub lock: u32,
    /// The claim under which its daemon knows it; none while no daemon is there.
    pub link: Option<ClaimId>,
    /// A `run` in the foreground: has no daemon and ends with its run.
    pub is_rival: bool,
    pub orders: VecDeque<Order>,
    pub tree: Tree,
    pub run: Option<RunId>,
    pub exit: Option<Exit>,
    pub since: Time,
    /// What it keeps for the next daemon: what its run said of itself, whether it was seen ready, from which declaration
    /// it was started.
    pub notice: Notice,
    pub was_ready: bool,
    pub print: Option<u64>,
    /// What its main process was given last and has not answered.
    pub tick: Option<TickId>,
    pub frozen_until: Option<Time>,
    looks_at: Option<Time>,
    stop: Option<Stop>,
    sweep: Option<Sweep>,
    is_released: bool,
    is_swept: bool,
    is_told: bool,
}

impl Guard {
    pub fn is_busy(&self) -> bool {
        self.sweep.is_some() || self.is_frozen()
    }

    pub fn is_frozen(&self) -> bool {
        self.frozen_until.is_some()
    }
}

impl Machine {
    pub fn fork_guard(&mut self, instance: usize, lock: u32, link: Option<ClaimId>) -> u32 {
        let id = self.number();
        self.say(|| format!("guard {id} of {instance} begins"));
        let guard = Guard {
            instance,
            lock,
            link,
            is_rival: link.is_none(),
            orders: VecDeque::new(),
            tree: Tree::Empty,
            run: None,
            exit: None,
            since: self.now,
            notice: Notice::default(),
            was_ready: false,
            print: None,
            tick: None,
            frozen_until: None,
            looks_at: None,
            stop: None,
            sweep: None,
            is_released: false,
            is_swept: false,
            is_told: false,
        };
        self.guards.insert(id, guard);
        id
    }

    pub fn order(&mut self, id: u32, order: Order) {
        let after = self.random.span(0, 5);
        if let Some(guard) = self.guards.get_mut(&id) {
            guard.orders.push_back(order);
            self.plan(after, Happening::Guard(id));
        }
    }

    /// Killed: its tree lives on as orphans, and what it had not told yet may be lost.
    pub fn kill_guard(&mut self, id: u32, loses_reports: bool) {
        let Some(guard) = self.guards.remove(&id) else { return };
        self.count("guards killed");
        self.say(|| format!("guard {id} of {} is killed", guard.instance));
        for process in self.processes.values_mut().filter(|p| p.guard == Some(id)) {
            process.guard = None;
        }
        if loses_reports {
            let kept = self.random.below(3);
            self.mail.entry(Source::Guard(id)).or_default().truncate(kept);
        }
        self.end_link(id, guard.link);
        self.close_locks();
    }

    fn end_link(&mut self, id: u32, link: Option<ClaimId>) {
        if let Some(claim) = link {
            let after = self.random.span(0, 20);
            self.send(Source::Guard(id), Letter::GuardEnded { claim }, after);
        }
    }

    pub fn report(&mut self, id: u32, event: Event) {
        let is_late = self.is_slow && self.random.percent(10);
        let longest = if self.is_calm {
            5
        } else if is_late {
            20_000
        } else {
            400
        };
        let after = self.random.span(0, longest);
        if let Some(claim) = self.guards[&id].link {
            self.send(Source::Guard(id), Letter::Report { claim, event }, after);
        }
    }

    /// It neither hears nor says anything for so long.
    pub fn freeze(&mut self, id: u32, span: Duration) {
        self.count("guards frozen");
        self.say(|| format!("guard {id} freezes for {span:?}"));
        let until = self.now + span;
        self.guards.entry(id).and_modify(|guard| guard.frozen_until = Some(until));
        self.plan(span, Happening::Guard(id));
    }

    /// All of them go on.
    pub fn thaw(&mut self) {
        let now = self.now;
        let frozen: Vec<u32> = self.guards.iter().filter(|(_, g)| g.is_frozen()).map(|(id, _)| *id).collect();
        for id in frozen {
            self.guards.entry(id).and_modify(|guard| guard.frozen_until = Some(now));
            self.plan(Duration::ZERO, Happening::Guard(id));
        }
    }

    /// A run says something of itself: kept for the next daemon, told to this one.
    pub fn note_notice(&mut self, id: u32, run: RunId, notice: Notice) {
        let Some(guard) = self.guards.get_mut(&id) else { return };
        guard.notice.is_ready |= notice.is_ready;
        guard.notice.said = notice.said.clone();
        guard.tick = guard.tick.filter(|tick| notice.answers.iter().all(|answer| answer.tick != *tick));
        self.report(id, Event::Notified { run, notice });
    }

    /// Everything a guard has to do now.
    pub fn guard_turn(&mut self, id: u32) {
        let now = self.now;
        if let Some(guard) = self.guards.get_mut(&id) {
            if guard.frozen_until.is_some_and(|until| now < until) {
                return;
            }
            guard.frozen_until = None;
        }
        while self.guards.contains_key(&id) {
            if self.guards[&id].sweep.is_some() {
                if !self.go_on_sweeping(id) {
                    return;
                }
                continue;
            }
            let Some(order) = self.guards.get_mut(&id).and_then(|guard| guard.orders.pop_front()) else {
                break;
            };
            self.obey(id, order);
        }
        self.keep_time(id);
        self.end_if_over(id);
    }

    fn obey(&mut self, id: u32, order: Order) {
        let guard = &self.guards[&id];
        let (instance, tree, lock, run) = (guard.instance, guard.tree, guard.lock, guard.run);
        self.say(|| format!("guard {id} of {instance} obeys {order:?}"));
        match order {
            Order::Spawn { run, .. } if tree != Tree::Empty => {
                let why = "a run of this instance is alive".to_owned();
                self.report(id, Event::SpawnFailed { run, why, is_final: false });
            }
            // Who ordered the run died meanwhile, and nobody would find it.
            Order::Spawn { .. } if self.is_alone(id) => {}
            Order::Spawn { .. } | Order::Sweep { .. } if !self.is_in_place(lock) => self.report_replaced(id),
            Order::Spawn { .. } => self.begin_sweep(id, self.programs[instance].grace, order),
            Order::Sweep { .. } if tree != Tree::Empty => {}
            Order::Sweep { run, grace } => {
                self.guards.entry(id).and_modify(|guard| guard.run = Some(run));
                self.begin_sweep(id, grace, order);
            }
            Order::Tick { run: of, tick } => {
                if let (Tree::Led(main), true) = (tree, run == Some(of)) {
                    self.guards.entry(id).and_modify(|guard| guard.tick = Some(tick));
                    self.tick(main, tick);
                }
            }
            Order::Stop { grace } if tree != Tree::Empty => self.begin_stop(id, grace),
            Order::Stop { .. } => {
                // It names the last run it knows; one that never began it does not know.
                self.report(id, Event::TreeEmptied { run: run.unwrap_or(RunId(0)) });
            }
            Order::Kill if tree != Tree::Empty => self.begin_kill(id),
            // Survivors of an earlier run that did not end the last time: once more, without patience.
            Order::Kill if !self.guards[&id].is_swept => {
                let run = run.unwrap_or(RunId(0));
                self.begin_sweep(id, Duration::ZERO, Order::Sweep { run, grace: Duration::ZERO });
            }
            Order::Kill => {}
            Order::Release => drop(self.guards.entry(id).and_modify(|guard| guard.is_released = true)),
        }
    }

    // ---- sweeping

    fn begin_sweep(&mut self, id: u32, grace: Duration, order: Order) {
        let instance = self.guards[&id].instance;
        let needs_none =
            self.guards[&id].is_swept || self.records[instance].as_ref().is_some_and(|r| r.is_ended);
        let orphans = if needs_none { Vec::new() } else { self.orphans(instance) };
        for pid in &orphans {
            self.count("orphans swept");
            self.signal(*pid);
        }
        let kill_at = self.now + grace;
        let sweep = Sweep { kill_at, give_up_at: kill_at + Duration::from_secs(3), order };
        if orphans.is_empty() {
            return self.end_sweep(id, order, Ok(()));
        }
        self.guards.entry(id).and_modify(|guard| guard.sweep = Some(sweep));
    }

    /// Whether the guard hears again.
    fn go_on_sweeping(&mut self, id: u32) -> bool {
        let (instance, sweep) = (self.guards[&id].instance, self.guards[&id].sweep);
        let Some(sweep) = sweep else { return true };
        let orphans = self.orphans(instance);
        let is_given_up = self.now >= sweep.give_up_at;
        if orphans.is_empty() || is_given_up {
            self.guards.entry(id).and_modify(|guard| guard.sweep = None);
            if self.is_alone(id) && matches!(sweep.order, Order::Spawn { .. }) {
                // Who ordered the run died meanwhile, and nobody would find it: it is not started.
                return true;
            }
            self.end_sweep(id, sweep.order, if orphans.is_empty() { Ok(()) } else { Err(()) });
            return true;
        }
        if self.now >= sweep.kill_at {
            orphans.iter().for_each(|pid| self.kill(*pid));
        }
        self.plan(Duration::from_millis(50), Happening::Guard(id));
        false
    }

    fn end_sweep(&mut self, id: u32, order: Order, swept: Result<(), ()>) {
        let instance = self.guards[&id].instance;
        if swept.is_ok() {
            self.guards.entry(id).and_modify(|guard| guard.is_swept = true);
        }
        match (order, swept) {
            // The sweep took its time.
            (_, Ok(())) if !self.is_in_place(self.guards[&id].lock) => self.report_replaced(id),
            (Order::Spawn { run, print }, Ok(())) => self.start_run(id, run, print),
            (Order::Spawn { run, .. }, Err(())) => {
                self.count("survivors stuck");
                self.give_up(instance);
                let why = "processes of an earlier run cannot be ended".to_owned();
                self.report(id, Event::SpawnFailed { run, why, is_final: false });
            }
            (Order::Sweep { run, .. }, Ok(())) => {
                let record = self.new_record(id);
                self.records[instance] = Some(Record { is_ended: true, is_told: true, ..record });
                self.report(id, Event::TreeEmptied { run });
            }
            (Order::Sweep { .. }, Err(())) => self.report_stuck(id),
            (Order::Tick { .. } | Order::Stop { .. } | Order::Kill | Order::Release, _) => {}
        }
    }

    /// Its daemon is gone.
    fn is_alone(&self, id: u32) -> bool {
        self.guards[&id].link.is_none() && !self.guards[&id].is_rival
    }

    fn is_in_place(&self, lock: u32) -> bool {
        self.locks.get(&lock).is_some_and(|lock| lock.is_in_place)
    }

    fn report_replaced(&mut self, id: u32) {
        if let Some(claim) = self.guards[&id].link {
            self.count("claims replaced");
            self.report(id, Event::ClaimReplaced { claim });
        }
    }

    /// What cannot be ended is told of, and left to itself.
    fn give_up(&mut self, instance: usize) {
        for process in self.processes.values_mut().filter(|p| p.instance == instance && p.guard.is_none()) {
            process.is_given_up = true;
        }
    }

    fn report_stuck(&mut self, id: u32) {
        self.count("trees stuck");
        if let Some(claim) = self.guards[&id].link {
            self.send(Source::Guard(id), Letter::Stuck { claim }, Duration::ZERO);
        }
    }

    // ---- running

    fn new_record(&self, id: u32) -> Record {
        let is_daemons = !self.guards[&id].is_rival;
        Record { is_daemons, guard: id, exit: None, is_ended: false, is_told: false, since: self.now }
    }

    fn start_run(&mut self, id: u32, run: RunId, print: Option<u64>) {
        let (instance, lock, now) = (self.guards[&id].instance, self.guards[&id].lock, self.now);
        let tempers = &self.programs[instance].tempers;
        let temper = if self.is_calm { Temper::Good } else { tempers[self.random.below(tempers.len())] };
        let record = self.new_record(id);
        self.guards.entry(id).and_modify(|guard| {
            (guard.run, guard.exit, guard.since, guard.is_told) = (Some(run), None, now, false);
            (guard.notice, guard.was_ready, guard.print) = (Notice::default(), false, print);
        });
        if let Temper::Refused { is_final } = temper {
            self.count("spawns refused");
            self.records[instance] = Some(Record { is_ended: true, ..record });
            let why = "it cannot be executed".to_owned();
            return self.report(id, Event::SpawnFailed { run, why, is_final });
        }
        self.records[instance] = Some(record);
        self.check(checks::no_spawn_without_a_claim(self, id));
        self.check(checks::no_run_before_the_last_tree_is_empty(self, instance));
        let ports = self.given.get(&run).unwrap_or(&self.programs[instance].ports).clone();
        let process = Process {
            number: 0,
            instance,
            run,
            lock,
            guard: Some(id),
            is_rivals: self.guards[&id].is_rival,
            is_deaf: temper == Temper::Deaf,
            is_undying: false,
            is_given_up: false,
            ports,
            answers: Answers::Good,
            listens: false,
            shares_port: temper == Temper::SharesPort,
        };
        let main = self.execute(process, temper);
        self.count("runs started");
        self.guards.entry(id).and_modify(|guard| guard.tree = Tree::Led(main));
        self.report(id, Event::Spawned { run, pid: main });
    }

    /// What its last words tell, if they tell anything.
    fn diagnose(&mut self, exit: Exit) -> Option<Diagnosis> {
        let is_told = exit == Exit::Code(1) && self.random.percent(30);
        is_told
            .then(|| Diagnosis { words: "a module is missing".to_owned(), is_final: self.random.percent(50) })
    }

    /// A process of its tree has ended.
    pub fn reap(&mut self, id: u32, pid: u32, exit: Exit) {
        let Some(guard) = self.guards.get_mut(&id) else { return };
        let (instance, run, is_told) = (guard.instance, guard.run.unwrap_or(RunId(0)), guard.is_told);
        let (is_main, is_linked) = (guard.tree == Tree::Led(pid), guard.link.is_some());
        let left = self.tree_of(id);
        if is_main {
            if let Some(guard) = self.guards.get_mut(&id) {
                (guard.tree, guard.exit, guard.tick) = (Tree::Leaderless, Some(exit), None);
            }
            if let Some(record) = &mut self.records[instance] {
                (record.exit, record.is_ended, record.is_told) = (Some(exit), left.is_empty(), is_told);
            }
            let diagnosis = self.diagnose(exit);
            self.report(id, Event::MainExited { run, exit, is_tree_left: !left.is_empty(), diagnosis });
            if !left.is_empty() {
                match self.guards[&id].stop {
                    Some(Stop::Polite { .. }) => left.iter().for_each(|pid| self.signal(*pid)),
                    Some(Stop::Killing { .. }) => {}
                    None if !is_linked => self.begin_stop(id, self.programs[instance].grace),
                    None => {}
                }
            }
        }
        if left.is_empty() {
            if let Some(guard) = self.guards.get_mut(&id) {
                (guard.tree, guard.stop) = (Tree::Empty, None);
            }
            if let Some(record) = &mut self.records[instance] {
                record.is_ended = true;
            }
            self.report(id, Event::TreeEmptied { run });
            self.plan(Duration::ZERO, Happening::Guard(id));
        }
    }

    // ---- stopping

    fn begin_stop(&mut self, id: u32, grace: Duration) {
        if grace.is_zero() {
            return self.begin_kill(id);
        }
        let kill_at = self.now + grace;
        let tree = self.tree_of(id);
        let Some(guard) = self.guards.get_mut(&id) else { return };
        guard.is_told = true;
        match &mut guard.stop {
            Some(Stop::Killing { .. }) => return,
            Some(Stop::Polite { kill_at: earlier }) => *earlier = (*earlier).min(kill_at),
            None => {
                guard.stop = Some(Stop::Polite { kill_at });
                match guard.tree {
                    Tree::Led(main) => self.signal(main),
                    Tree::Leaderless | Tree::Empty => tree.iter().for_each(|pid| self.signal(*pid)),
                }
            }
        }
        self.plan(grace, Happening::Guard(id));
    }

    fn begin_kill(&mut self, id: u32) {
        let now = self.now;
        self.guards.entry(id).and_modify(|guard| {
            guard.is_told = true;
            guard.stop = Some(Stop::Killing { since: now, is_told: false });
        });
        self.plan(Duration::ZERO, Happening::Guard(id));
    }

    fn keep_time(&mut self, id: u32) {
        let Some(guard) = self.guards.get(&id) else { return };
        match guard.stop {
            None if guard.link.is_none() && !guard.is_rival && guard.tree == Tree::Leaderless => {
                self.begin_stop(id, self.programs[guard.instance].grace);
            }
            Some(Stop::Polite { kill_at }) if self.now >= kill_at => self.begin_kill(id),
            Some(Stop::Killing { since, is_told }) if guard.tree != Tree::Empty => {
                let is_stuck = self.now >= since + Duration::from_secs(2);
                self.tree_of(id).iter().for_each(|pid| self.kill(*pid));
                if is_stuck && !is_told {
                    self.guards
                        .entry(id)
                        .and_modify(|g| g.stop = Some(Stop::Killing { since, is_told: true }));
                    self.report_stuck(id);
                }
                self.look_again(id, Duration::from_millis(if is_stuck { 500 } else { 20 }));
            }
            _ => {}
        }
    }

    /// Once, however often it is woken meanwhile.
    fn look_again(&mut self, id: u32, after: Duration) {
        let now = self.now;
        let Some(guard) = self.guards.get_mut(&id).filter(|g| g.looks_at.is_none_or(|at| at <= now)) else {
            return;
        };
        guard.looks_at = Some(now + after);
        self.plan(after, Happening::Guard(id));
    }

    fn end_if_over(&mut self, id: u32) {
        let Some(guard) = self.guards.get(&id) else { return };
        let is_over =
            guard.tree == Tree::Empty && guard.sweep.is_none() && (guard.is_released || guard.link.is_none());
        if is_over {
            let (link, instance) = (guard.link, guard.instance);
            self.say(|| format!("guard {id} of {instance} ends"));
            self.guards.remove(&id);
            self.close_locks();
            self.end_link(id, link);
        }
    }
}
