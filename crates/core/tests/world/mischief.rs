//! What goes wrong, and what the operator asks for. A seed draws which faults there are: each is off in half of them.

use std::time::Duration;

use soloist_core::event::{Cause, Ended, Event, Exit, IfHeld, Listening, Wanted};
use soloist_core::id::RunId;
use soloist_core::plan::{Backoff, Condition, Kind, Need, Plan, Restart, RestartLimit};
use soloist_core::state::Word;
use soloist_core::time::Time;

use super::guard::{Order, Tree};
use super::machine::{Happening, Program, Temper};
use super::random::Random;
use super::{World, name};

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
    pub rivals: bool,
    pub strangers: bool,
    pub undying: bool,
    pub sleeps: bool,
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
            rivals: coin(),
            strangers: coin(),
            undying: coin(),
            sleeps: coin(),
        }
    }
}

/// What the operator last asked of an instance, and what may explain that it is not so.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// None if it was started for another's sake and may end as it likes.
    pub wanted: Option<Wanted>,
    /// Its claim or port was held, or could not be asked for.
    pub is_refused: bool,
    /// A run of it ended by itself, or did not start.
    pub has_ended: bool,
    /// Trying again could not help.
    pub is_final: bool,
    /// Something else than a crash may be why the next run starts.
    pub explains_a_start: bool,
    pub restarts: Vec<Time>,
    pub starts: Vec<Time>,
}

/// The declarations of one seed, and how its programs behave.
pub fn draw_plans(random: &mut Random) -> (Vec<Plan>, Vec<Program>) {
    let is_worse = random.percent(50);
    let tempers: Vec<Temper> = [
        Temper::Deaf,
        Temper::Forks,
        Temper::Leaves,
        Temper::ExitsAtOnce(0),
        Temper::ExitsAtOnce(1),
        Temper::ExitsAtOnce(127),
        Temper::Crashes,
        Temper::NeverReady,
        Temper::Refused { is_final: false },
        Temper::Refused { is_final: true },
        Temper::SharesPort,
    ]
    .into_iter()
    .filter(|_| random.percent(if is_worse { 50 } else { 20 }))
    .chain([Temper::Good, Temper::Good])
    .collect();
    let count = 1 + random.below(3);
    (0..count).map(|at| draw_plan(random, at, tempers.clone())).unzip()
}

fn draw_plan(random: &mut Random, at: usize, tempers: Vec<Temper>) -> (Plan, Program) {
    let seconds = Duration::from_secs;
    let kind = match random.below(5) {
        0 => Kind::Job { every: random.percent(60).then(|| random.span(3000, 20_000)) },
        _ => Kind::Service,
    };
    let has_port = random.percent(60);
    let plan = Plan {
        kind,
        ports: if has_port { vec![8000 + at as u16] } else { Vec::new() },
        needs: (0..at)
            .filter(|_| random.percent(40))
            .map(|on| Need { on: name(on), until: Condition::Ready })
            .collect(),
        restart: random.pick(&[
            Restart::OnFailure(None),
            Restart::OnFailure(Some(3)),
            Restart::Always,
            Restart::No,
        ]),
        backoff: Backoff { first: random.span(200, 1000), max: seconds(8), reset_after: seconds(5) },
        limit: RestartLimit {
            count: 3 + random.below(5) as u32,
            period: random.pick(&[seconds(30), seconds(300)]),
        },
        stop_grace: random.pick(&[Duration::ZERO, Duration::from_millis(500), seconds(5)]),
        ready_timeout: random.span(2000, 8000),
        success_codes: vec![0],
        ..Plan::default()
    };
    let program =
        Program { ports: plan.ports.clone(), is_job: kind != Kind::Service, grace: plan.stop_grace, tempers };
    (plan, program)
}

impl World {
    /// One thing that somebody or something does to us, and the time of the next.
    pub fn mischief(&mut self) {
        let at = self.machine.random.below(self.plans.len());
        let faults = self.faults;
        match self.machine.random.below(24) {
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
                self.machine.now = self.machine.now + self.machine.random.span(1000, 600_000);
            }
            _ => {}
        }
        let longest = self.machine.random.pick(&[10, 300, 3000, 15_000]);
        let after = self.machine.random.span(0, longest);
        self.machine.plan(after, Happening::Mischief);
    }

    // ---- the operator

    fn cause() -> Cause {
        Cause::User("somebody".to_owned())
    }

    fn wish(&mut self, at: usize, wanted: Wanted) {
        // What is being stopped because it ended is judged first.
        let is_ending = self.word(at) == Some(Word::Stopping);
        let wish = &mut self.wishes[at];
        wish.wanted = Some(wanted);
        if wanted == Wanted::Up {
            (wish.is_refused, wish.has_ended) = (false, is_ending);
            wish.is_final &= is_ending;
            wish.explains_a_start = true;
            wish.restarts.clear();
        }
    }

    /// It, and every service it needs; what becomes of a job that it needs is the job's matter.
    fn wish_up(&mut self, at: usize) {
        self.wish(at, Wanted::Up);
        for need in self.needs(at) {
            if self.plans[need].kind != Kind::Service {
                self.wish_either(need);
            } else if self.word(need) == Some(Word::Ready) {
                self.wishes[need].wanted = Some(Wanted::Up);
                self.wish_kept(need);
            } else if self.wishes[need].wanted != Some(Wanted::Up) || self.word(need).is_none_or(is_down) {
                self.wish_up(need);
            }
        }
    }

    /// It may have to run first, with all that it needs, or may have done so.
    fn wish_either(&mut self, at: usize) {
        let wish = &mut self.wishes[at];
        wish.wanted = None;
        wish.explains_a_start = true;
        wish.restarts.clear();
        for need in self.needs(at) {
            self.wish_either(need);
        }
    }

    /// A new daemon starts it again, and with it what it needs, wanted or not.
    pub fn wish_again(&mut self, at: usize) {
        for need in self.needs(at) {
            if self.wishes[need].wanted != Some(Wanted::Up) {
                self.wish_either(need);
            }
        }
    }

    /// What it needs is not started anew, but a stop that waits for it is taken back.
    fn wish_kept(&mut self, at: usize) {
        for need in self.needs(at) {
            if self.ledger[need].is_some() && self.wishes[need].wanted == Some(Wanted::Down) {
                let is_service = self.plans[need].kind == Kind::Service;
                self.wishes[need].wanted = is_service.then_some(Wanted::Up);
                self.wish_kept(need);
            }
        }
    }

    fn wish_down(&mut self, at: usize) {
        for other in 0..self.plans.len() {
            if self.needs(other).contains(&at) && self.word(other).is_some_and(|word| !is_down(word)) {
                self.wish_down(other);
            }
        }
        self.wish(at, Wanted::Down);
    }

    fn needs(&self, at: usize) -> Vec<usize> {
        (0..at).filter(|need| self.plans[at].needs.iter().any(|n| n.on == name(*need))).collect()
    }

    fn is_up(&self, at: usize) -> bool {
        self.wishes[at].wanted == Some(Wanted::Up)
            && self.word(at).is_some_and(|word| !matches!(word, Word::Failed | Word::Completed))
    }

    pub fn ask_start(&mut self, at: usize, if_held: IfHeld) {
        if self.daemon.is_none() {
            return;
        }
        self.machine.say(|| format!("somebody starts {at}, {if_held:?}"));
        self.wish_up(at);
        let now = self.machine.now;
        self.decide(|project, orders| project.start(now, at, World::cause(), if_held, orders));
    }

    fn ask_stop(&mut self, at: usize) {
        if self.daemon.is_none() {
            return;
        }
        self.machine.say(|| format!("somebody stops {at}"));
        self.wish_down(at);
        let now = self.machine.now;
        self.decide(|project, orders| project.stop(now, at, World::cause(), orders));
    }

    fn ask_restart(&mut self, at: usize) {
        if self.daemon.is_none() {
            return;
        }
        self.machine.say(|| format!("somebody restarts {at}"));
        if self.word(at).is_none_or(is_down) {
            self.wish_up(at);
        } else {
            self.wish(at, Wanted::Up);
            self.wish_kept(at);
        }
        let now = self.machine.now;
        self.decide(|project, orders| project.restart(now, at, World::cause(), orders));
    }

    fn ask_up(&mut self) {
        for at in 0..self.plans.len() {
            if !self.is_up(at) {
                self.ask_start(at, IfHeld::StandBy);
            }
        }
    }

    fn ask_down(&mut self) {
        (0..self.plans.len()).for_each(|at| self.ask_stop(at));
    }

    // ---- the others

    fn kill_some_guard(&mut self) {
        let guards: Vec<u32> = self.machine.guards.keys().copied().collect();
        if !guards.is_empty() {
            let guard = self.machine.random.pick(&guards);
            self.machine.kill_guard(guard, self.faults.lost_reports);
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
            self.machine.order(guard, Order::Spawn { run });
        }
    }

    fn stranger(&mut self, at: usize) {
        let Some(port) = self.machine.programs[at].ports.first().copied() else { return };
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
        self.machine.strangers.clear();
        self.machine.processes.values_mut().for_each(|process| process.is_undying = false);
        let rivals = self.machine.guards.iter().filter(|(_, guard)| guard.is_rival);
        let rivals: Vec<(u32, usize)> = rivals.map(|(id, guard)| (*id, guard.instance)).collect();
        for (id, instance) in rivals {
            let grace = self.machine.programs[instance].grace;
            self.machine.order(id, Order::Stop { grace });
        }
        self.revive_daemon();
    }

    // ---- what may explain an outcome

    pub fn note_excuse(&mut self, at: usize, event: &Event) {
        let plan = &self.plans[at];
        let wish = &mut self.wishes[at];
        match event {
            Event::ClaimHeld { .. }
            | Event::ClaimFailed { .. }
            | Event::PortsChecked { seen: Listening::Strangers(_), .. } => {
                wish.is_refused = true;
                wish.explains_a_start = true;
            }
            Event::PortsSeen { strangers, .. } if !strangers.is_empty() => {
                wish.is_refused = true;
                wish.explains_a_start = true;
            }
            Event::ClaimReplaced { .. } => wish.explains_a_start = true,
            Event::MainExited { exit, .. }
            | Event::Adopted { exit: Some(exit), .. }
            | Event::EndedUnseen { exit: Some(exit), .. } => {
                wish.has_ended = true;
                wish.is_final |= Ended::Exited(*exit).is_final(&self.plans[at]) || *exit == Exit::Code(0);
            }
            Event::SpawnFailed { is_final, .. } => {
                wish.has_ended = true;
                wish.is_final |= *is_final;
            }
            Event::GuardLost { .. } | Event::TreeEmptied { .. } | Event::EndedUnseen { exit: None, .. } => {
                wish.has_ended = true
            }
            _ => {}
        }
        wish.is_final |= plan.restart == Restart::No && wish.has_ended;
    }
}

fn is_down(word: Word) -> bool {
    matches!(word, Word::Stopped | Word::Failed | Word::Completed)
}
