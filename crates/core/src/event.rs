//! The closed lists of what can happen (events: facts, in the past) and of what can be ordered (effects).

use std::fmt;
use std::time::Duration;

use crate::id::{AskId, ClaimId, RunId};
use crate::plan::Plan;
use crate::time::Time;

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
    Probed {
        /// The question.
        ask: AskId,
        /// What was seen.
        seen: Probe,
    },
    /// The main process ended.
    MainExited {
        /// Of this run.
        run: RunId,
        /// How.
        exit: Exit,
        /// Whether others of its tree live.
        is_tree_left: bool,
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
        /// Its end, if it ended.
        exit: Option<Exit>,
        /// Start of the run.
        since: Time,
        /// What the ledger says was asked for.
        wanted: Wanted,
    },
    /// A new driver found that a run ended while no driver was there.
    EndedUnseen {
        /// How, if that was recorded.
        exit: Option<Exit>,
        /// Its guard was killed before the tree was seen empty: some of it may live.
        is_tree_left: bool,
        /// What the ledger says was asked for.
        wanted: Wanted,
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
    },
    /// Start a run. Answers: `Spawned`, `SpawnFailed`, `GuardLost`.
    Spawn {
        /// Under this claim.
        claim: ClaimId,
        /// With this id.
        run: RunId,
    },
    /// Look whether the tree, and nobody else, listens on its ports. Answer: `Probed`.
    Probe {
        /// The question.
        ask: AskId,
        /// The run.
        run: RunId,
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
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::User(who) => f.write_str(who),
            Cause::Schedule => f.write_str("schedule"),
            Cause::Crash => f.write_str("crash"),
            Cause::Dependency(on) => write!(f, "dependency {on}"),
            Cause::Takeover => f.write_str("takeover by a new daemon"),
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// How the ports look while our tree runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Not all are listened on.
    NotYet,
    /// Our tree listens on all of them, and nobody else does.
    Ours,
    /// These others listen too, or instead.
    Strangers(Vec<String>),
}

/// How a run ended that nobody asked to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its main process ended.
    Exited(Exit),
    /// It never started.
    NotStarted {
        /// Why, in words.
        why: String,
        /// Trying again cannot help.
        is_final: bool,
    },
    /// It did not get ready in time, and we stopped it.
    NotReady,
    /// Its guard was killed; how it ended is not known.
    Unseen,
}

impl Ended {
    /// Whether it ended as it should.
    pub fn is_success(&self, plan: &Plan) -> bool {
        matches!(self, Ended::Exited(Exit::Code(code)) if plan.success_codes.contains(code))
    }

    /// Whether another try is known to end the same. 126 and 127 are a shell's words for "not executable" and "not
    /// found" (POSIX XCU 2.8.2).
    pub fn is_final(&self) -> bool {
        match self {
            Ended::Exited(Exit::Code(126 | 127)) => true,
            Ended::NotStarted { is_final, .. } => *is_final,
            Ended::Exited(Exit::Code(_) | Exit::Signal(_)) | Ended::NotReady | Ended::Unseen => false,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Exited(exit) => write!(f, "ended with {exit}"),
            Ended::NotStarted { why, .. } => f.write_str(why),
            Ended::NotReady => f.write_str("was not ready in time"),
            Ended::Unseen => f.write_str("its guard was killed"),
        }
    }
}
