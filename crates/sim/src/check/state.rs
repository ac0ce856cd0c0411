//! A small world as one value: the projects with their daemons, the guards, the processes, the kernel's locks, what is on
//! disk. Two that differ only in names of things and in how late it is are the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use soloist_core::event::{Effect, Event, Exit};
use soloist_core::id::{ClaimId, RunId};
use soloist_core::project::Project;
use soloist_core::time::Time;

use super::canonical::canonical;

/// How much may go wrong, and how often somebody may ask for something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    /// Somebody asks for something so often,
    pub asks: u32,
    /// and so often a daemon is killed,
    pub daemon_kills: u32,
    /// a guard is,
    pub guard_kills: u32,
    /// and a main process ends by itself.
    pub falls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuardId(pub u32);

/// One open file description that holds an instance's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock(pub u32);

#[derive(Clone, Debug)]
pub struct State {
    pub now: Time,
    pub seats: Vec<Seat>,
    pub guards: BTreeMap<GuardId, Guard>,
    pub processes: Vec<Process>,
    /// Beside the claim of each instance.
    pub records: Vec<Option<Record>>,
    pub left: Budget,
    /// A process was started by a guard that held no claim, or one beside another's.
    pub has_spawned_unclaimed: bool,
    /// Names given so far.
    pub names: u32,
    /// Of what it is, without names.
    pub key: u64,
}

/// A project, and its daemon while one lives: a lock of its own sees to it that there is one at most.
#[derive(Clone, Debug)]
pub struct Seat {
    /// On disk: what is wanted up.
    pub ledger: Vec<bool>,
    /// What somebody asked for last, and was heard; none if it is up or not for the sake of others.
    pub wished: Vec<Option<bool>>,
    pub daemon: Option<Daemon>,
}

#[derive(Clone, Debug)]
pub struct Daemon {
    pub project: Project,
    pub held: BTreeMap<ClaimId, Held>,
    /// To be done before anything else is heard.
    pub todo: VecDeque<Todo>,
    /// From threads, in any order.
    pub answers: Vec<(usize, Event)>,
    /// Instances that it has not looked at since it began.
    pub untaken: VecDeque<usize>,
    /// Instances whose guard did not answer.
    pub sought: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
pub enum Todo {
    /// To the disk.
    Write(Vec<(usize, bool)>),
    Perform(usize, Effect),
    Tell(usize, Event),
}

#[derive(Clone, Debug)]
pub struct Held {
    pub at: usize,
    pub lock: Option<Lock>,
    pub guard: Option<GuardId>,
    pub is_releasing: bool,
    /// What its guard has sent and the daemon has not read.
    pub mail: VecDeque<Letter>,
}

#[derive(Clone, Debug)]
pub enum Letter {
    Report(Box<Event>),
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Spawn(RunId),
    Sweep(RunId),
    Remember,
    Stop,
    Kill,
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    Empty,
    Led,
    Leaderless,
}

#[derive(Clone, Debug)]
pub struct Guard {
    pub seat: usize,
    pub at: usize,
    pub lock: Option<Lock>,
    /// Under which claim its daemon knows it, as far as it has noticed.
    pub link: Option<ClaimId>,
    pub orders: VecDeque<Order>,
    pub run: Option<RunId>,
    pub since: Time,
    pub tree: Tree,
    /// How its main process ended, before it has noticed and after.
    pub exit: Option<Exit>,
    pub is_stopping: bool,
    /// An order that waits for the end of survivors.
    pub sweep: Option<Order>,
    pub is_swept: bool,
    pub is_released: bool,
    pub is_told: bool,
    pub was_ready: bool,
    pub can_be_found: bool,
    /// The record on disk is behind.
    pub is_unwritten: bool,
}

#[derive(Clone, Debug)]
pub struct Process {
    pub at: usize,
    pub run: RunId,
    pub guard: Option<GuardId>,
    pub is_main: bool,
    /// It was sent a signal.
    pub is_ending: bool,
}

#[derive(Clone, Debug)]
pub struct Record {
    pub seat: usize,
    pub guard: GuardId,
    pub exit: Option<Exit>,
    pub is_ended: bool,
    pub is_told: bool,
    /// Of what is wanted now, not of an earlier wish.
    pub is_of_wish: bool,
}

impl State {
    pub fn name(&mut self) -> u32 {
        self.names += 1;
        self.names
    }

    /// After every step.
    pub fn seal(&mut self) {
        self.key = 0;
        let mut hasher = DefaultHasher::new();
        canonical(&format!("{self:?}"), self.now).hash(&mut hasher);
        self.key = hasher.finish();
    }

    /// As the kernel sees it: somebody has a description open that holds it.
    pub fn is_locked(&self, at: usize) -> bool {
        !self.locks(at).is_empty()
    }

    pub fn locks(&self, at: usize) -> Vec<Lock> {
        let daemons = self.seats.iter().filter_map(|seat| seat.daemon.as_ref());
        let held = daemons.flat_map(|daemon| daemon.held.values()).filter(|held| held.at == at);
        let guards = self.guards.values().filter(|guard| guard.at == at);
        held.filter_map(|held| held.lock).chain(guards.filter_map(|guard| guard.lock)).collect()
    }

    pub fn held(&self, seat: usize, claim: ClaimId) -> Option<&Held> {
        self.seats[seat].daemon.as_ref()?.held.get(&claim)
    }

    /// Whether its daemon has not read all that it sent.
    pub fn has_unread(&self, guard: GuardId) -> bool {
        let guard = &self.guards[&guard];
        guard.link.is_some_and(|claim| self.held(guard.seat, claim).is_some_and(|held| !held.mail.is_empty()))
    }

    pub fn held_mut(&mut self, seat: usize, claim: ClaimId) -> Option<&mut Held> {
        self.seats[seat].daemon.as_mut()?.held.get_mut(&claim)
    }

    /// Whether anything of a guard's tree, or its main process, lives.
    pub fn has_tree(&self, guard: GuardId) -> bool {
        self.processes.iter().any(|process| process.guard == Some(guard))
    }

    pub fn has_main(&self, guard: GuardId) -> bool {
        self.processes.iter().any(|process| process.guard == Some(guard) && process.is_main)
    }
}

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        self.key == other.key
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key.hash(hasher);
    }
}
