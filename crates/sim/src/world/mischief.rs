//! What goes wrong. A swarm: each seed draws which faults there are, so that each is also met without the others.

use soloist_core::event::{Event, IfHeld};
use soloist_core::id::RunId;

use super::World;
use super::guard::{Order, Tree};
use super::machine::{Answers, Happening};
use super::plans::SPARES;
use super::random::Random;

/// The fault mix of one seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub daemon_killed: bool,
    pub daemon_killed_between_effects: bool,
    pub guard_killed: bool,
    pub lost_reports: bool,
    pub no_guards: bool,
    pub failing_claims: bool,
    pub claims_replaced: bool,
    pub slow_answers: bool,
    pub lost_answers: bool,
    pub doubled_messages: bool,
    pub slow_reports: bool,
    pub guards_frozen: bool,
    pub pids_reused: bool,
    pub disk_full: bool,
    pub ledger_torn: bool,
    pub edits: bool,
    pub memory: bool,
    pub rivals: bool,
    pub strangers: bool,
    pub undying: bool,
    pub sleeps: bool,
    pub clock_set: bool,
    pub rescheduled: bool,
}

impl Faults {
    pub fn draw(random: &mut Random) -> Faults {
        let mut coin = || random.percent(50);
        Faults {
            daemon_killed: coin(),
            daemon_killed_between_effects: coin(),
            guard_killed: coin(),
            lost_reports: coin(),
            no_guards: coin(),
            failing_claims: coin(),
            claims_replaced: coin(),
            slow_answers: coin(),
            lost_answers: coin(),
            doubled_messages: coin(),
            slow_reports: coin(),
            guards_frozen: coin(),
            pids_reused: coin(),
            disk_full: coin(),
            ledger_torn: coin(),
            edits: coin(),
            memory: coin(),
            rivals: coin(),
            strangers: coin(),
            undying: coin(),
            sleeps: coin(),
            clock_set: coin(),
            rescheduled: coin(),
        }
    }
}

impl World {
    /// One thing that somebody or something does to us, and the time of the next.
    pub fn mischief(&mut self) {
        let at = self.machine.random.below(self.bases());
        let faults = self.faults;
        // What may overlap is restarted often: that is what it is declared for.
        if self.plans[at].stand_in.is_some() && self.machine.random.percent(50) {
            self.ask_restart(at);
        }
        match self.machine.random.below(38) {
            0 | 1 => self.ask_start(at, IfHeld::Refuse),
            2 | 3 => self.ask_start(at, IfHeld::StandBy),
            4..=6 => self.ask_stop(at),
            7 | 8 => self.ask_restart(at),
            9 | 10 => self.ask_up(),
            11 => self.ask_down(),
            12 if faults.daemon_killed => self.kill_daemon(),
            13 if faults.daemon_killed_between_effects => self.doom_daemon(),
            14 | 15 if faults.guard_killed => self.kill_some_guard(),
            16 if faults.guard_killed && faults.daemon_killed => {
                self.kill_daemon();
                self.kill_some_guard();
            }
            17 | 18 if faults.rivals => self.rival(at),
            19 if faults.strangers => self.stranger(at),
            20 if faults.claims_replaced => self.replace_claim_file(at),
            21 if faults.undying => self.make_undying(),
            22 if faults.sleeps => {
                self.machine.say(|| "the machine sleeps".to_owned());
                self.machine.count("sleeps");
                self.leave_uncounted();
                self.machine.now = self.machine.now + self.machine.random.span(1000, 600_000);
            }
            30 if faults.clock_set => self.set_clock(),
            31 | 32 if faults.rescheduled => self.reschedule(at),
            33 | 34 => self.ask_run(at),
            35 | 36 => self.change_file(at),
            23 | 24 if faults.guards_frozen => self.freeze_some_guard(),
            25 if faults.pids_reused => self.machine.change_foreigners(),
            26 if faults.edits => self.edit(at),
            27 if faults.memory => self.use_memory(),
            28 if faults.disk_full => {
                self.is_disk_full = !self.is_disk_full;
                let is_full = self.is_disk_full;
                self.machine.say(|| format!("the disk is {}", if is_full { "full" } else { "good again" }));
            }
            _ => {}
        }
        let longest = self.machine.random.pick(&[10, 300, 3000, 15_000]);
        let after = self.machine.random.span(0, longest);
        self.machine.plan(after, Happening::Mischief);
    }

    /// Who is not followed yet may have missed more by what comes than will be counted.
    fn leave_uncounted(&mut self) {
        self.is_remembered.iter_mut().zip(&self.followed).for_each(|(is, of)| *is |= of.is_none());
    }

    /// By hand, or by a time server: seconds or hours, forward or backward.
    fn set_clock(&mut self) {
        let longest = self.machine.random.pick(&[3000, 60_000, 18_000_000]);
        let step = self.machine.random.span(1, longest).as_nanos() as i128 + 7_654_321;
        let is_back = self.machine.random.percent(50);
        self.count_dues();
        self.leave_uncounted();
        self.machine.clock.boot_ns += if is_back { -step } else { step };
        self.machine.count("clocks set");
        self.machine
            .say(|| format!("the clock is set {} by {step} ns", if is_back { "back" } else { "forward" }));
        (0..self.plans.len()).for_each(|at| self.recount(at));
        let after = self.machine.random.span(0, 50);
        self.machine.plan(after, Happening::ClockTold);
    }

    // ---- the others

    fn kill_some_guard(&mut self) {
        let guards: Vec<u32> = self.machine.guards.keys().copied().collect();
        if !guards.is_empty() {
            let guard = self.machine.random.pick(&guards);
            self.machine.kill_guard(guard, self.faults.lost_reports);
        }
    }

    /// Stopped by a signal or starved: what it is told and what it has to tell waits, and comes all at once.
    fn freeze_some_guard(&mut self) {
        let guards: Vec<u32> = self.machine.guards.keys().copied().collect();
        if !guards.is_empty() {
            let guard = self.machine.random.pick(&guards);
            let span = self.machine.random.span(100, 60_000);
            self.machine.freeze(guard, span);
        }
    }

    /// A tree uses more memory than it may.
    fn use_memory(&mut self) {
        let guards = self.machine.guards.iter();
        let busy: Vec<(u32, RunId)> = guards
            .filter(|(_, guard)| guard.tree != Tree::Empty && guard.link.is_some() && !guard.is_frozen())
            .filter_map(|(id, guard)| Some((*id, guard.run?)))
            .collect();
        if !busy.is_empty() {
            let (guard, run) = self.machine.random.pick(&busy);
            self.machine.count("trees over memory");
            self.machine.report(guard, Event::OverMemory { run, what: "900 MiB".to_owned() });
        }
    }

    /// Somebody runs it by hand, or ends what was run by hand.
    fn rival(&mut self, at: usize) {
        let running = self.machine.guards.iter().find(|(_, guard)| guard.is_rival && guard.instance == at);
        if let Some((id, _)) = running {
            let (id, grace) = (*id, self.machine.programs[at].grace);
            return self.machine.order(id, Order::Stop { grace });
        }
        let is_free = self.machine.programs[at].ports.iter().all(|port| self.machine.is_free(*port));
        if is_free && let Some(lock) = self.machine.take_lock(at, false) {
            self.machine.count("rivals");
            let guard = self.machine.fork_guard(at, lock, None);
            let run = RunId(self.machine.random.next());
            self.machine.order(guard, Order::Spawn { run, print: None });
        }
    }

    fn stranger(&mut self, at: usize) {
        let Some(mut port) = self.machine.programs[at].ports.first().copied() else { return };
        if self.machine.programs[at].may_move && self.machine.random.percent(30) {
            port = SPARES.start() + self.machine.random.below(SPARES.len()) as u16;
        }
        if self.machine.strangers.remove(&port) {
            self.machine.say(|| format!("the stranger leaves port {port}"));
        } else if self.machine.is_free(port) || self.machine.random.percent(30) {
            self.machine.count("strangers");
            self.machine.say(|| format!("a stranger listens on port {port}"));
            self.machine.strangers.insert(port);
        }
    }

    /// Somebody cleans up claim files. Under a living tree nothing could help; between two runs it must be noticed.
    fn replace_claim_file(&mut self, at: usize) {
        let is_empty = self.machine.living(at).next().is_none()
            && self.machine.guards.values().all(|g| g.instance != at || g.tree == Tree::Empty);
        if is_empty {
            self.machine.say(|| format!("the claim file of {at} is replaced"));
            for lock in self.machine.locks.values_mut().filter(|lock| lock.instance == at) {
                lock.is_in_place = false;
            }
        }
    }

    fn make_undying(&mut self) {
        let pids: Vec<u32> = self.machine.processes.keys().copied().collect();
        if pids.is_empty() {
            return;
        }
        let pid = self.machine.random.pick(&pids);
        let is_undying = self.machine.random.percent(60);
        self.machine
            .say(|| format!("process {pid} {} the kernel", if is_undying { "waits in" } else { "leaves" }));
        self.machine.processes.entry(pid).and_modify(|process| process.is_undying = is_undying);
    }

    // ---- calm

    /// Faults stop; rivals and strangers leave; what waits in the kernel comes back; a new daemon is there.
    pub fn calm(&mut self) {
        self.machine.say(|| "calm".to_owned());
        self.machine.is_calm = true;
        self.is_disk_full = false;
        self.machine.thaw();
        self.machine.strangers.clear();
        for process in self.machine.processes.values_mut() {
            (process.is_undying, process.answers) = (false, Answers::Good);
        }
        let rivals = self.machine.guards.iter().filter(|(_, guard)| guard.is_rival);
        let rivals: Vec<(u32, usize)> = rivals.map(|(id, guard)| (*id, guard.instance)).collect();
        for (id, instance) in rivals {
            let grace = self.machine.programs[instance].grace;
            self.machine.order(id, Order::Stop { grace });
        }
        self.revive_daemon();
    }
}
