//! The truth: one machine with its clock, processes, kernel locks, records, ports and mail. It knows nothing of the
//! core; what its guards do is in `guard.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use soloist_core::event::{Event, Exit};
use soloist_core::id::{ClaimId, RunId};
use soloist_core::time::Time;

use super::guard::Guard;
use super::random::Random;

/// What is going to happen.
#[derive(Clone, Copy, Debug)]
pub enum Happening {
    Mail(Source),
    Guard(u32),
    Process(u32, Turn),
    Mischief,
    Revival,
    /// A guard did not answer: it is asked once more.
    TakeOver(usize),
}

/// What a process does next.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    Listen,
    Fork { is_deaf: bool },
    Exit(Exit),
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
    /// Its main process ends and leaves others behind.
    Leaves,
    ExitsAtOnce(i32),
    Crashes,
    NeverReady,
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
    pub is_job: bool,
    pub grace: Duration,
    pub tempers: Vec<Temper>,
}

#[derive(Clone, Debug)]
pub struct Process {
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

#[derive(Debug)]
pub struct Machine {
    pub now: Time,
    pub random: Random,
    pub agenda: BTreeMap<(Time, u64), Happening>,
    pub programs: Vec<Program>,
    pub processes: BTreeMap<u32, Process>,
    pub guards: BTreeMap<u32, Guard>,
    pub locks: BTreeMap<u32, Lock>,
    pub records: Vec<Option<Record>>,
    /// Ports on which somebody listens who has nothing to do with us.
    pub strangers: BTreeSet<u16>,
    pub mail: BTreeMap<Source, VecDeque<Letter>>,
    pub broken: Option<String>,
    pub trace: Option<Vec<String>>,
    pub tally: BTreeMap<&'static str, u64>,
    pub is_calm: bool,
    numbers: u32,
    sequence: u64,
}

impl Machine {
    pub fn new(random: Random, programs: Vec<Program>, is_traced: bool) -> Machine {
        Machine {
            now: Time(Duration::from_secs(1000)),
            random,
            agenda: BTreeMap::new(),
            records: vec![None; programs.len()],
            programs,
            processes: BTreeMap::new(),
            guards: BTreeMap::new(),
            locks: BTreeMap::new(),
            strangers: BTreeSet::new(),
            mail: BTreeMap::new(),
            broken: None,
            trace: is_traced.then(Vec::new),
            tally: BTreeMap::new(),
            is_calm: false,
            numbers: 0,
            sequence: 0,
        }
    }

    pub fn say(&mut self, words: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let at = self.now.0.saturating_sub(Duration::from_secs(1000));
            trace.push(format!("{:>10.3}  {}", at.as_secs_f64(), words()));
        }
    }

    pub fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// The first broken promise ends the run.
    pub fn check(&mut self, found: Result<(), String>) {
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

    // ---- mail

    pub fn send(&mut self, source: Source, letter: Letter, after: Duration) {
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
        let listens = |p: &Process| p.listens && self.programs[p.instance].ports.contains(&port);
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

    pub fn signal(&mut self, pid: u32) {
        let Some(process) = self.processes.get(&pid) else { return };
        if process.is_deaf || process.is_undying {
            return;
        }
        let exit = if self.random.percent(50) { Exit::Code(0) } else { Exit::Signal(15) };
        let after = self.random.span(1, 300);
        self.plan(after, Happening::Process(pid, Turn::Exit(exit)));
    }

    pub fn kill(&mut self, pid: u32) {
        if self.processes.get(&pid).is_some_and(|process| !process.is_undying) {
            let after = self.random.span(0, 3);
            self.plan(after, Happening::Process(pid, Turn::Exit(Exit::Signal(9))));
        }
    }

    pub fn take_turn(&mut self, pid: u32, turn: Turn) {
        let Some(process) = self.processes.get(&pid).cloned() else { return };
        match turn {
            Turn::Listen => {
                let ports = self.programs[process.instance].ports.clone();
                if process.shares_port || ports.iter().all(|port| self.is_free(*port)) {
                    self.processes.entry(pid).and_modify(|p| p.listens = true);
                } else {
                    self.say(|| format!("process {pid} finds its port in use"));
                    self.take_turn(pid, Turn::Exit(Exit::Code(1)));
                }
            }
            Turn::Fork { is_deaf } => {
                let child = self.number();
                self.say(|| format!("process {pid} forks {child}{}", if is_deaf { ", deaf" } else { "" }));
                self.processes.insert(child, Process { is_deaf, ..process });
            }
            Turn::Exit(exit) => {
                if process.is_undying {
                    return self.plan(Duration::from_secs(1), Happening::Process(pid, turn));
                }
                self.say(|| format!("process {pid} of {} ends with {exit}", process.instance));
                self.processes.remove(&pid);
                if let Some(guard) = process.guard {
                    self.reap(guard, pid, exit);
                }
            }
        }
    }

    /// A process starts and goes its way.
    pub fn execute(&mut self, process: Process, temper: Temper) -> u32 {
        let (pid, is_job) = (self.number(), self.programs[process.instance].is_job);
        self.say(|| {
            format!("process {pid} of {} executes ({temper:?}), run {}", process.instance, process.run)
        });
        self.processes.insert(pid, process);
        let turn = |turn| Happening::Process(pid, turn);
        if is_job {
            let exit = if self.random.percent(70) { Exit::Code(0) } else { Exit::Code(3) };
            let after = self.random.span(20, 4000);
            self.plan(after, turn(Turn::Exit(exit)));
        } else if !matches!(temper, Temper::NeverReady | Temper::ExitsAtOnce(_)) {
            let after = self.random.span(5, 600);
            self.plan(after, turn(Turn::Listen));
        }
        match temper {
            Temper::Good
            | Temper::Deaf
            | Temper::NeverReady
            | Temper::SharesPort
            | Temper::Refused { .. } => {}
            Temper::Forks | Temper::Leaves => {
                for _ in 0..=self.random.below(2) {
                    let (after, is_deaf) = (self.random.span(1, 700), self.random.percent(40));
                    self.plan(after, turn(Turn::Fork { is_deaf }));
                }
                if temper == Temper::Leaves {
                    let (after, code) = (self.random.span(300, 5000), self.random.pick(&[0, 1]));
                    self.plan(after, turn(Turn::Exit(Exit::Code(code))));
                }
            }
            Temper::ExitsAtOnce(code) => {
                let after = self.random.span(0, 2);
                self.plan(after, turn(Turn::Exit(Exit::Code(code))));
            }
            Temper::Crashes => {
                let after = self.random.span(100, 20_000);
                self.plan(after, turn(Turn::Exit(Exit::Code(1))));
            }
        }
        pid
    }
}
