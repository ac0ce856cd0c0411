//! The closed lists of what can happen (events: facts, in the past) and of what can be ordered (effects).

mod ended;
mod note;
mod notice;

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::id::{AskId, ClaimId, Print, RunId, TickId};
use crate::schedule::civil::{Clock, Moment};
use crate::time::Time;

pub use ended::{Diagnosis, Ended, Exit};
pub use note::{LeftOut, Note, What};
pub use notice::{Answer, Notice, Said, Watchdog};

/// Everything that can happen to an instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody wants it up.
    StartAsked {
        /// Why.
        cause: Cause,
        /// What to do if its claim or port is held by somebody else.
        if_held: IfHeld,
    },
    /// Somebody wants it up, and others that it needs are on their way.
    StartDeferred {
        /// Why.
        cause: Cause,
        /// As for `StartAsked`.
        if_held: IfHeld,
        /// Which others.
        needs: String,
    },
    /// All that it needs is there.
    NeedsMet,
    /// Something it needs is not to be had.
    NeedsFailed {
        /// What and why, in words.
        why: String,
    },
    /// Somebody wants it down.
    StopAsked {
        /// Why.
        cause: Cause,
    },
    /// Somebody wants a new run of it.
    RestartAsked {
        /// Why.
        cause: Cause,
    },
    /// Somebody wants one run of it now, whatever its schedule, its window or a pause say.
    RunAsked {
        /// Why.
        cause: Cause,
    },
    /// The wall clock was set, or is told for the first time.
    ClockSet {
        /// How it stands to the clock that counts from boot.
        clock: Clock,
    },
    /// Somebody wants it to read its own configuration again.
    ReloadAsked {
        /// Why.
        cause: Cause,
    },
    /// The claim is ours.
    ClaimGranted {
        /// The question.
        ask: AskId,
        /// What we hold now.
        claim: ClaimId,
    },
    /// Somebody else holds the claim.
    ClaimHeld {
        /// The question.
        ask: AskId,
        /// Who, in words.
        by: String,
    },
    /// The claim could not be asked for.
    ClaimFailed {
        /// The question.
        ask: AskId,
        /// Why, in words.
        why: String,
    },
    /// Who listens on our ports, while nothing of ours should.
    PortsSeen {
        /// The question.
        ask: AskId,
        /// Everybody who does, in words; empty if the ports are free.
        strangers: Vec<String>,
        /// If they are not: those of the ports, and of the spare ones, that nobody listens on.
        free: Vec<u16>,
    },
    /// The main process executes.
    Spawned {
        /// Of this run.
        run: RunId,
        /// Its process id.
        pid: u32,
    },
    /// Nothing was started; the tree of the run is empty.
    SpawnFailed {
        /// Of this run.
        run: RunId,
        /// Why, in words.
        why: String,
        /// Trying again cannot help: no such command, not executable.
        is_final: bool,
    },
    /// How the ports look while our tree runs.
    PortsChecked {
        /// The question.
        ask: AskId,
        /// What was seen.
        seen: Listening,
    },
    /// A probe has its answer.
    Probed {
        /// The question.
        ask: AskId,
        /// Why it failed, in words, if it did.
        outcome: Result<(), String>,
    },
    /// The service said something of itself (sd_notify(3)).
    Notified {
        /// Of this run.
        run: RunId,
        /// What.
        notice: Notice,
    },
    /// Its tree uses more memory than it may.
    OverMemory {
        /// Of this run.
        run: RunId,
        /// So much, in words.
        what: String,
    },
    /// The main process ended.
    MainExited {
        /// Of this run.
        run: RunId,
        /// How.
        exit: Exit,
        /// Whether others of its tree live.
        is_tree_left: bool,
        /// What its last words tell about the reason, if they do.
        diagnosis: Option<Diagnosis>,
    },
    /// The tree is empty.
    TreeEmptied {
        /// Of this run.
        run: RunId,
    },
    /// Some of the tree do not die.
    TreeStuck {
        /// Of this run.
        run: RunId,
        /// Which and why, in words.
        what: String,
    },
    /// The claim's file was removed or replaced; nothing was started.
    ClaimReplaced {
        /// Which claim.
        claim: ClaimId,
    },
    /// The guard ended although it should not have; its tree may live.
    GuardLost {
        /// The claim it guarded; we still hold it.
        claim: ClaimId,
    },
    /// The claim is free again.
    Released {
        /// Which.
        claim: ClaimId,
    },
    /// A new driver found a guard at work and has the claim back.
    Adopted {
        /// What we hold now.
        claim: ClaimId,
        /// The run it guards.
        run: RunId,
        /// The main process, if it lives.
        pid: Option<u32>,
        /// The ports it was given, if that is known.
        ports: Vec<u16>,
        /// Its end, if it ended.
        exit: Option<Exit>,
        /// When its main process ended, if that is known.
        ended_at: Option<Time>,
        /// Start of the run.
        since: Time,
        /// Whether it was seen ready before.
        was_ready: bool,
        /// What it last said of itself.
        notice: Notice,
        /// The tick it was given and has not answered.
        tick: Option<TickId>,
        /// The fingerprint of the declaration it was started from.
        print: Option<Print>,
        /// Why it was started, if that is known.
        cause: Option<Cause>,
        /// When runs of it were started because it had fallen.
        recent: Vec<Time>,
        /// What the ledger says was asked for.
        wanted: Wanted,
    },
    /// A new driver found that a run ended while no driver was there.
    EndedUnseen {
        /// How, if that was recorded.
        exit: Option<Exit>,
        /// When its main process ended, if that is known.
        ended_at: Option<Time>,
        /// Its guard was killed before the tree was seen empty: some of it may live.
        is_tree_left: bool,
        /// What the ledger says was asked for.
        wanted: Wanted,
        /// When runs of it were started because it had fallen.
        recent: Vec<Time>,
        /// Nobody has asked for anything else since: those that need its end have it.
        is_current: bool,
    },
    /// The time of `next_deadline` has come.
    DeadlinePassed,
}

/// Everything an instance can order. Performed in this order; a crash between any two is survivable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write down what is wanted, before anything else is done.
    Record {
        /// What was asked for.
        wanted: Wanted,
    },
    /// Ask for the claim. Answers: `ClaimGranted`, `ClaimHeld`, `ClaimFailed`.
    AskClaim {
        /// The question.
        ask: AskId,
    },
    /// Look who listens on its ports. Answer: `PortsSeen`.
    LookAtPorts {
        /// The question.
        ask: AskId,
        /// On these;
        ports: Vec<u16>,
        /// and if somebody does, which of these are free.
        spares: Vec<RangeInclusive<u16>>,
    },
    /// Start a run, on [`crate::instance::Instance::ports`]. Answers: `Spawned`, `SpawnFailed`, `GuardLost`.
    Spawn {
        /// Under this claim.
        claim: ClaimId,
        /// With this id.
        run: RunId,
        /// Why.
        cause: Cause,
        /// When its schedule wanted it.
        scheduled: Option<Moment>,
    },
    /// Give a worker that lives on a turn. Its answer is in `Notified`.
    Tick {
        /// Under this claim.
        claim: ClaimId,
        /// The run.
        run: RunId,
        /// The turn.
        tick: TickId,
        /// When its schedule wanted it.
        scheduled: Moment,
    },
    /// Look whether the tree, and nobody else, listens on [`crate::instance::Instance::ports`]. Answer: `PortsChecked`.
    CheckPorts {
        /// The question.
        ask: AskId,
        /// The run.
        run: RunId,
    },
    /// Try a probe; it is given up after its timeout. Answer: `Probed`.
    Probe {
        /// The question.
        ask: AskId,
        /// The run.
        run: RunId,
        /// Which.
        kind: ProbeKind,
        /// After this it has failed.
        timeout: Duration,
    },
    /// Tell the past: one line of the history. Nothing waits for it.
    Tell {
        /// What happened.
        note: Note,
    },
    /// Stop the tree politely, then kill it. Answer: `TreeEmptied`.
    StopTree {
        /// Under this claim.
        claim: ClaimId,
        /// The run.
        run: RunId,
        /// The time between both.
        grace: Duration,
    },
    /// Kill the tree. Answer: `TreeEmptied`.
    KillTree {
        /// Under this claim.
        claim: ClaimId,
        /// The run.
        run: RunId,
    },
    /// The guard is gone: have a new one end what it left. Answer: `TreeEmptied`.
    Sweep {
        /// Under this claim.
        claim: ClaimId,
        /// The run.
        run: RunId,
        /// Between polite signal and kill.
        grace: Duration,
    },
    /// Send the main process the signal at which it reads its configuration again. No answer.
    Reload {
        /// Under this claim.
        claim: ClaimId,
        /// The run.
        run: RunId,
    },
    /// Let the claim go. Answer: `Released`.
    Release {
        /// Which.
        claim: ClaimId,
    },
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It should run (a job: when it is due).
    Up,
    /// It should not run.
    Down,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wanted::Up => "up",
            Wanted::Down => "down",
        })
    }
}

/// What to do if the claim or a port is held by somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfHeld {
    /// Say so and want it no more.
    Refuse,
    /// Wait until it is free.
    StandBy,
}

/// Why something was started or stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked: who, in words.
    User(String),
    /// It was due.
    Schedule,
    /// It fell.
    Crash,
    /// Another instance needs it, or it needs another that stops.
    Dependency(String),
    /// A new daemon goes on where the last one ended.
    Takeover,
    /// Its declaration changed: what of it, in words.
    Declaration(String),
    /// Files that it runs changed: which, in words.
    File(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::User(who) => f.write_str(who),
            Cause::Schedule => f.write_str("schedule"),
            Cause::Crash => f.write_str("crash"),
            Cause::Dependency(on) => write!(f, "dependency {on}"),
            Cause::Takeover => f.write_str("takeover by a new daemon"),
            Cause::Declaration(what) => f.write_str(what),
            Cause::File(what) => write!(f, "a change of {what}"),
        }
    }
}

/// How the ports look while our tree runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listening {
    /// Not all are listened on.
    NotYet,
    /// Our tree listens on all of them, and nobody else does.
    Ours,
    /// These others listen too, or instead.
    Strangers(Vec<String>),
}

/// The three probes, as in Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Has it started?
    Startup,
    /// Does it serve?
    Readiness,
    /// Is it alive?
    Liveness,
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProbeKind::Startup => "startup",
            ProbeKind::Readiness => "readiness",
            ProbeKind::Liveness => "liveness",
        })
    }
}
