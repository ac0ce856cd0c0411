//! The truth: one machine with its clock, processes, kernel locks, records, ports and mail. It knows nothing of the
//! core; what its guards do is in `guard.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use soloist_core::event::{Event, Exit};
use soloist_core::id::{ClaimId, RunId, TickId};
use soloist_core::plan::Plan;
use soloist_core::schedule::civil::{Clock, Moment};
use soloist_core::time::Time;

use super::checks::{self, Broken, Found};
use super::guard::Guard;
use super::random::Random;
use super::schedules::first_moment;

/// Below are those that the kernel keeps for itself.
const PID_FIRST: u32 = 300;
/// A life begins so long after the boot.
const BOOTED: Duration = Duration::from_secs(1000);
/// What is going to happen.
#[derive(Clone, Copy, Debug)]
pub enum Happening {
    Mail(Source),
    Guard(u32),
    Process(Born, Turn),
    Mischief,
    /// The daemon hears that the wall clock was set.
    ClockTold,
    Revival,
    /// A guard did not answer: it is asked once more.
    TakeOver(usize),
}

/// A process for certain: pids come again, birth numbers do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Born {
    pub pid: u32,
    pub number: u64,
}

/// What a process does next.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    Listen,
    /// It listens no more, for a while.
    Deafen,
    Fork {
        is_deaf: bool,
    },
    /// Forks, and so do its children, until there are many.
    Breed {
        generation: u32,
    },
    Exit(Exit),
    /// Says something of itself.
    Say(Saying),
}

/// What a process says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saying {
    Ready,
    /// And again, until then if ever it stops.
    Alive {
        until: Option<Time>,
    },
    Extend,
    Trigger,
    /// Its turn is done.
    Answer {
        tick: TickId,
        is_ok: bool,
    },
}

/// Who speaks to the daemon. The order is kept within one source, not between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Guard(u32),
    /// A claim or port question that is answered later: each by its own thread.
    Answer(u64),
}

#[derive(Clone, Debug)]
pub enum Letter {
    /// A guard reports to the holder of a claim.
    Report { claim: ClaimId, event: Event },
    /// Something does not die.
    Stuck { claim: ClaimId },
    /// The link to the guard of a claim ended.
    GuardEnded { claim: ClaimId },
    /// The answer to a question.
    Answer { at: usize, event: Event },
}

/// How a program behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temper {
    Good,
    Deaf,
    Forks,
    /// Forks faster than it is killed.
    Breeds,
    /// Its main process ends and leaves others behind.
    Leaves,
    ExitsAtOnce(i32),
    Crashes,
    NeverReady,
    /// Its probes fail from some time on.
    Sick,
    /// Its probes pass and fail in turn, and it listens and does not.
    Flaps,
    /// Its probes get no answer.
    Silent,
    /// Never says `READY=1`.
    Mute,
    /// Stops saying that it is alive.
    Drowsy,
    Refused {
        is_final: bool,
    },
    /// Binds its port beside others.
    SharesPort,
}

/// What the machine knows of a declared program.
#[derive(Clone, Debug)]
pub struct Program {
    pub ports: Vec<u16>,
    pub may_move: bool,
    pub is_job: bool,
    pub grace: Duration,
    pub notifies: bool,
    pub watchdog: Option<Duration>,
    /// The longest run of a job.
    pub longest_ms: u64,
    pub tempers: Vec<Temper>,
}

impl Program {
    pub fn of(plan: &Plan, tempers: Vec<Temper>) -> Program {
        Program {
            ports: plan.ports.clone(),
            may_move: !plan.spares.is_empty(),
            is_job: plan.kind != soloist_core::plan::Kind::Service,
            grace: plan.stop_grace,
            notifies: plan.notifies,
            watchdog: plan.watchdog,
            // Of what is scheduled many outlast their rhythm.
            longest_ms: if plan.schedule.is_some() { 12_000 } else { 4000 },
            tempers,
        }
    }
}

/// How a program answers its probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// They pass as soon as it listens, or could.
    Good,
    /// They fail from then on.
    Until(Time),
    /// They pass and fail in turn.
    Turns(Duration),
    /// None come.
    Never,
}

#[derive(Clone, Debug)]
pub struct Process {
    pub number: u64,
    pub instance: usize,
    pub run: RunId,
    /// Under which lock it was started.
    pub lock: u32,
    /// Its living guard; an orphan has none.
    pub guard: Option<u32>,
    /// Started by a `run`, not by the daemon.
    pub is_rivals: bool,
    pub is_deaf: bool,
    pub is_undying: bool,
    /// It was reported that it does not die, and left to itself.
    pub is_given_up: bool,
    pub ports: Vec<u16>,
    pub answers: Answers,
    pub listens: bool,
    pub shares_port: bool,
}

/// One open file description that holds an instance's kernel lock; it lives as long as anybody has it open.
#[derive(Clone, Debug)]
pub struct Lock {
    pub instance: usize,
    /// Its file is still the one at the path.
    pub is_in_place: bool,
    pub is_open_in_daemon: bool,
}

/// What a guard writes down beside the claim.
#[derive(Clone, Debug)]
pub struct Record {
    pub is_daemons: bool,
    pub guard: u32,
    pub exit: Option<Exit>,
    pub is_ended: bool,
    /// It was told to end.
    pub is_told: bool,
    pub since: Time,
}

/// What a run truly was.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Every process that was its main process.
    pub mains: Vec<u32>,
    /// A look at its ports saw its own tree on all of them, and nobody else.
    pub was_alone_on_ports: bool,
    pub has_said_ready: bool,
    pub startups_passed: u32,
    pub readiness_passed: u32,
}

#[derive(Debug)]
pub struct Machine {
    pub now: Time,
    /// What the wall clock makes of it.
    pub clock: Clock,
    pub random: Random,
    pub agenda: BTreeMap<(Time, u64), Happening>,
    pub programs: Vec<Program>,
    pub processes: BTreeMap<u32, Process>,
    pub guards: BTreeMap<u32, Guard>,
    pub locks: BTreeMap<u32, Lock>,
    pub records: Vec<Option<Record>>,
    /// Ports on which somebody listens who has nothing to do with us.
    pub strangers: BTreeSet<u16>,
    /// Processes that have nothing to do with us; ours get the pids that they leave.
    pub foreigners: BTreeSet<u32>,
    /// The ports that each run was given by a daemon.
    pub given: BTreeMap<RunId, Vec<u16>>,
    /// What each run truly was.
    pub lives: BTreeMap<RunId, Life>,
    /// Instances of which a run has executed, ended, ended well, since they were asked for; with a schedule: ever.
    pub executed: BTreeSet<usize>,
    pub ended: BTreeSet<usize>,
    pub succeeded: BTreeSet<usize>,
    pub mail: BTreeMap<Source, VecDeque<Letter>>,
    pub broken: Option<Broken>,
    pub trace: Option<Vec<String>>,
    pub tally: BTreeMap<&'static str, u64>,
    pub is_calm: bool,
    /// Messages come twice now and then.
    pub doubles: bool,
    /// Some reports take long.
    pub is_slow: bool,
    /// The greatest pid that is given.
    pub pid_max: u32,
    last_pid: u32,
    numbers: u32,
    sequence: u64,
}

impl Machine {
    pub fn new(mut random: Random, programs: Vec<Program>, is_traced: bool) -> Machine {
        let booted = first_moment(&mut random);
        Machine {
            now: Time(BOOTED),
            clock: Clock { boot_ns: i128::from(booted.0) * 1_000_000 - BOOTED.as_nanos() as i128 },
            random,
            agenda: BTreeMap::new(),
            records: vec![None; programs.len()],
            programs,
            processes: BTreeMap::new(),
            guards: BTreeMap::new(),
            locks: BTreeMap::new(),
            strangers: BTreeSet::new(),
            foreigners: BTreeSet::new(),
            given: BTreeMap::new(),
            lives: BTreeMap::new(),
            executed: BTreeSet::new(),
            ended: BTreeSet::new(),
            succeeded: BTreeSet::new(),
            mail: BTreeMap::new(),
            broken: None,
            trace: is_traced.then(Vec::new),
            tally: BTreeMap::new(),
            is_calm: false,
            doubles: false,
            is_slow: false,
            pid_max: 30_000,
            last_pid: PID_FIRST,
            numbers: 0,
            sequence: 0,
        }
    }

    pub fn say(&mut self, words: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let at = self.now.0.saturating_sub(BOOTED);
            trace.push(format!("{:>10.3}  {}", at.as_secs_f64(), words()));
        }
    }

    /// What the wall clock says.
    pub fn wall(&self) -> Moment {
        self.clock.wall(self.now)
    }

    pub fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// The first broken promise ends the run.
    pub fn check(&mut self, found: Found) {
        if let Err(words) = found {
            self.broken.get_or_insert(words);
        }
    }

    pub fn plan(&mut self, after: Duration, what: Happening) {
        self.sequence += 1;
        self.agenda.insert((self.now + after, self.sequence), what);
    }

    pub fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    /// The next free pid, as the kernel gives them: around and around.
    pub fn pid(&mut self) -> u32 {
        for _ in PID_FIRST..=self.pid_max {
            self.last_pid = if self.last_pid >= self.pid_max { PID_FIRST } else { self.last_pid + 1 };
            if !self.processes.contains_key(&self.last_pid) && !self.foreigners.contains(&self.last_pid) {
                return self.last_pid;
            }
        }
        self.pid_max += 1;
        self.pid_max
    }

    /// Others come and go; what they leave is given to ours, and the other way round.
    pub fn change_foreigners(&mut self) {
        self.foreigners.clear();
        for _ in 0..self.random.below(12) {
            let pid = self.pid();
            self.foreigners.insert(pid);
        }
    }

    // ---- mail

    pub fn send(&mut self, source: Source, letter: Letter, after: Duration) {
        let is_message = matches!(letter, Letter::Report { .. } | Letter::Answer { .. });
        if is_message && self.doubles && !self.is_calm && self.random.percent(5) {
            self.count("messages doubled");
            let later = self.random.span(0, 20_000);
            self.mail.entry(source).or_default().push_back(letter.clone());
            self.plan(after + later, Happening::Mail(source));
        }
        self.mail.entry(source).or_default().push_back(letter);
        self.plan(after, Happening::Mail(source));
    }

    // ---- locks

    /// Takes an instance's lock, as the kernel would give it.
    pub fn take_lock(&mut self, instance: usize, is_open_in_daemon: bool) -> Option<u32> {
        self.close_locks();
        if self.is_locked(instance) {
            return None;
        }
        let id = self.number();
        self.locks.insert(id, Lock { instance, is_in_place: true, is_open_in_daemon });
        Some(id)
    }

    pub fn is_locked(&self, instance: usize) -> bool {
        self.locks.iter().any(|(id, lock)| lock.instance == instance && lock.is_in_place && self.is_open(*id))
    }

    pub fn is_open(&self, id: u32) -> bool {
        self.locks.get(&id).is_some_and(|lock| lock.is_open_in_daemon)
            || self.guards.values().any(|g| g.lock == id)
    }

    /// The kernel forgets descriptions that nobody has open any more.
    pub fn close_locks(&mut self) {
        let closed: Vec<u32> = self.locks.keys().copied().filter(|id| !self.is_open(*id)).collect();
        for id in closed {
            self.locks.remove(&id);
        }
    }

    // ---- ports

    pub fn listeners(&self, port: u16) -> Vec<u32> {
        let listens = |p: &Process| p.listens && p.ports.contains(&port);
        self.processes.iter().filter(|(_, p)| listens(p)).map(|(pid, _)| *pid).collect()
    }

    pub fn is_free(&self, port: u16) -> bool {
        !self.strangers.contains(&port) && self.listeners(port).is_empty()
    }

    // ---- processes

    pub fn living(&self, instance: usize) -> impl Iterator<Item = (&u32, &Process)> {
        self.processes.iter().filter(move |(_, process)| process.instance == instance)
    }

    pub fn orphans(&self, instance: usize) -> Vec<u32> {
        self.living(instance).filter(|(_, p)| p.guard.is_none()).map(|(pid, _)| *pid).collect()
    }

    pub fn tree_of(&self, guard: u32) -> Vec<u32> {
        self.processes.iter().filter(|(_, p)| p.guard == Some(guard)).map(|(pid, _)| *pid).collect()
    }

    fn turn(&self, pid: u32, turn: Turn) -> Option<Happening> {
        let number = self.processes.get(&pid)?.number;
        Some(Happening::Process(Born { pid, number }, turn))
    }

    pub fn plan_turn(&mut self, after: Duration, pid: u32, turn: Turn) {
        if let Some(turn) = self.turn(pid, turn) {
            self.plan(after, turn);
        }
    }

    /// A probe of a run: whether it passes, or nothing if no answer comes.
    pub fn probe(&self, guard: Option<u32>, run: RunId) -> Option<bool> {
        let mut tree =
            self.processes.values().filter(|p| p.run == run && p.guard == guard && guard.is_some());
        let Some(process) = tree.next() else { return Some(false) };
        let serves = process.ports.is_empty() || process.listens;
        match process.answers {
            Answers::Good => Some(serves),
            Answers::Until(until) => Some(serves && self.now < until),
            Answers::Turns(span) => {
                Some(serves && (self.now.0.as_millis() / span.as_millis().max(1)).is_multiple_of(2))
            }
            Answers::Never => None,
        }
    }

    pub fn signal(&mut self, pid: u32) {
        self.check(checks::nothing_foreign_is_signalled(self, pid));
        let Some(process) = self.processes.get(&pid) else { return };
        if process.is_deaf || process.is_undying {
            return;
        }
        let exit = if self.random.percent(50) { Exit::Code(0) } else { Exit::Signal(15) };
        let after = self.random.span(1, 300);
        self.plan_turn(after, pid, Turn::Exit(exit));
    }

    pub fn kill(&mut self, pid: u32) {
        self.check(checks::nothing_foreign_is_signalled(self, pid));
        if self.processes.get(&pid).is_some_and(|process| !process.is_undying) {
            let after = self.random.span(0, 3);
            self.plan_turn(after, pid, Turn::Exit(Exit::Signal(9)));
        }
    }
}
