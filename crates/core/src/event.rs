//! The closed lists of what can happen (events: facts, in the past) and of what can be ordered (effects).

use std::fmt;
use std::time::Duration;

use crate::id::{AskId, ClaimId, Print, RunId};
use crate::plan::{OverMemory, Plan};
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
        /// Its end, if it ended.
        exit: Option<Exit>,
        /// Start of the run.
        since: Time,
        /// Whether it was seen ready before.
        was_ready: bool,
        /// What it last said of itself.
        notice: Notice,
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
        /// Its guard was killed before the tree was seen empty: some of it may live.
        is_tree_left: bool,
        /// What the ledger says was asked for.
        wanted: Wanted,
        /// When runs of it were started because it had fallen.
        recent: Vec<Time>,
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
        /// Why.
        cause: Cause,
    },
    /// Look whether the tree, and nobody else, listens on its ports. Answer: `PortsChecked`.
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

/// What a service says of itself, in the words of sd_notify(3). What was not said is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// `READY=1`.
    pub is_ready: bool,
    /// `RELOADING=1`, until the next `READY=1`.
    pub is_reloading: bool,
    /// `STOPPING=1`.
    pub is_stopping: bool,
    /// `MAINPID=`, verified to be of the tree.
    pub main: Option<u32>,
    /// `WATCHDOG=`.
    pub watchdog: Option<Watchdog>,
    /// `WATCHDOG_USEC=`; zero turns it off.
    pub watchdog_every: Option<Duration>,
    /// `EXTEND_TIMEOUT_USEC=`.
    pub extend: Option<Duration>,
    /// What it shows to people.
    pub said: Said,
}

/// What a service shows of itself to people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// `STATUS=`: one line.
    pub status: Option<String>,
    /// `X_SOLOIST_STATE=`: a word of its own, such as `scraping`.
    pub state: Option<String>,
    /// `X_SOLOIST_PROGRESS=`, such as `12/50`.
    pub progress: Option<String>,
}

/// `WATCHDOG=` of sd_notify(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watchdog {
    /// `1`: alive.
    Alive,
    /// `trigger`: as if it had been silent for too long.
    Trigger,
}

/// What the last words of a run tell about its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// In words: `port 8001 is taken by pid 17 (python server.py)`.
    pub words: String,
    /// Trying again cannot help as long as nobody changes something.
    pub is_final: bool,
}

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What happened.
    pub what: What,
    /// To which run.
    pub run: Option<RunId>,
    /// Why.
    pub cause: Option<Cause>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// How long it took, or how long the delay is.
    pub span: Option<Duration>,
    /// More, in words.
    pub words: Option<String>,
}

/// What can happen, as the history tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Somebody wants it up.
    WantedUp,
    /// Somebody wants it down.
    WantedDown,
    /// Its program executes.
    Started,
    /// It serves; `span` is how long that took.
    Ready,
    /// It serves no more, though it runs.
    Unhealthy,
    /// It was told to read its configuration again.
    Reloaded,
    /// Its tree is told to end.
    Stopping,
    /// Its main process ended.
    Exited,
    /// Its tree is empty; `span` is how long the run took.
    Ended,
    /// It did not start.
    NotStarted,
    /// It is tried again after `span`.
    Restarting,
    /// It is tried no more.
    Failed,
    /// A start was refused, and it is wanted no more.
    Refused,
    /// Somebody else holds its claim.
    Standby,
    /// Somebody else is on its ports.
    Conflict,
    /// A job's turn was left out.
    Skipped,
    /// A new daemon has taken it over alive.
    Adopted,
    /// Its guard was killed.
    GuardLost,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::WantedUp => "wanted-up",
            What::WantedDown => "wanted-down",
            What::Started => "started",
            What::Ready => "ready",
            What::Unhealthy => "unhealthy",
            What::Reloaded => "reloaded",
            What::Stopping => "stopping",
            What::Exited => "exited",
            What::Ended => "ended",
            What::NotStarted => "not-started",
            What::Restarting => "restarting",
            What::Failed => "failed",
            What::Refused => "refused",
            What::Standby => "standby",
            What::Conflict => "conflict",
            What::Skipped => "skipped",
            What::Adopted => "adopted",
            What::GuardLost => "guard-lost",
        })
    }
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
    /// Its startup or liveness probe failed, and we stopped it: why, in words.
    Unhealthy(String),
    /// It missed its watchdog, and we stopped it.
    Watchdog,
    /// It ran for too long, and we stopped it.
    Overtime,
    /// It used too much memory, and we stopped it: how much, in words.
    OverMemory(String),
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
    pub fn is_final(&self, plan: &Plan) -> bool {
        match self {
            Ended::Exited(Exit::Code(126 | 127)) => true,
            Ended::Exited(Exit::Code(code)) => plan.prevent_codes.contains(code),
            Ended::NotStarted { is_final, .. } => *is_final,
            Ended::OverMemory(_) => plan.over_memory == OverMemory::Stop,
            Ended::Exited(Exit::Signal(_))
            | Ended::NotReady
            | Ended::Unhealthy(_)
            | Ended::Watchdog
            | Ended::Overtime
            | Ended::Unseen => false,
        }
    }

    /// Whether it ended by no exit code of its own (systemd.service(5): unclean signal, timeout, watchdog).
    pub fn is_abnormal(&self) -> bool {
        match self {
            Ended::Exited(Exit::Code(_)) | Ended::NotStarted { .. } => false,
            Ended::Exited(Exit::Signal(_))
            | Ended::NotReady
            | Ended::Unhealthy(_)
            | Ended::Watchdog
            | Ended::Overtime
            | Ended::OverMemory(_)
            | Ended::Unseen => true,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Exited(exit) => write!(f, "ended with {exit}"),
            Ended::NotStarted { why, .. } => f.write_str(why),
            Ended::NotReady => f.write_str("was not ready in time"),
            Ended::Unhealthy(why) => f.write_str(why),
            Ended::Watchdog => f.write_str("missed its watchdog"),
            Ended::Overtime => f.write_str("ran for longer than it may"),
            Ended::OverMemory(what) => write!(f, "used more memory than it may: {what}"),
            Ended::Unseen => f.write_str("its guard was killed"),
        }
    }
}
