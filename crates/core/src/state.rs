//! The states of an instance, and what is told of them.
//!
//! ```text
//!            StartAsked                granted            ports free          executes           listens
//!  stopped ------------> claiming ----------------> Looking --------> Spawning -------> Probing --------> ready
//!     ^  ^                  | held                     | held                              |               |
//!     |  |      standby <---+          conflict <------+                                   |  exit, stop   |
//!     |  |                                                                                 v               v
//!     |  +----- Releasing <------- Freeing <------------ tree empty ------------------ Stopping <----------+
//!     |             |                                         |
//!     |          failed, completed, scheduled              backoff ---> Looking
//! ```
//!
//! Waiting (for another instance), Looking, Spawning and Probing show as `starting`; Stopping, Freeing and Releasing as
//! `stopping`. A job is `running` instead of `ready`; a ready one whose readiness probe fails is `unhealthy` until it
//! passes again. What is *wanted* is kept apart from what is true: a stop during a start only changes what is
//! wanted, and the next answer finds that out. The claim is held from `claiming`'s grant until Releasing's end, the
//! tree may live from Spawning until its `TreeEmptied`.

use std::fmt;

use crate::event::{Answer, Cause, Ended, Exit, Said, Wanted};
use crate::health::Tries;
use crate::id::{AskId, ClaimId, RunId, TickId};
use crate::schedule::civil::Moment;
use crate::schedule::window::Stand;
use crate::time::Time;

/// What is true of an instance. Every waiting state carries its deadline.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    Stopped,
    /// Wanted, but another instance that it needs is not ready. That one's deadlines are its deadline.
    Waiting,
    /// Asked for the claim.
    Claiming {
        ask: AskId,
        until: Time,
    },
    /// Somebody else holds the claim; to be asked for again.
    Standby {
        retry_at: Time,
    },
    /// Holds the claim; asked who is on the ports.
    Looking {
        ask: AskId,
        until: Time,
    },
    /// Ordered a run.
    Spawning {
        run: RunId,
        until: Time,
    },
    /// It executes; on its way through the gates to ready.
    Probing {
        run: RunId,
        gate: Gate,
        give_up_at: Time,
    },
    Ready {
        run: RunId,
    },
    /// It was ready, lives, and its readiness probe fails.
    Unhealthy {
        run: RunId,
    },
    /// A job at work.
    Running {
        run: RunId,
    },
    /// The tree is to become empty.
    Stopping {
        run: RunId,
        until: Time,
        why: Why,
    },
    /// The tree is empty; looking whether its ports are free.
    Freeing {
        ask: AskId,
        until: Time,
    },
    /// Letting the claim go.
    Releasing {
        claim: ClaimId,
        until: Time,
        rest: Rest,
    },
    /// Holds the claim (or takes it again), waits for the next try.
    Backoff {
        until: Time,
    },
    Failed,
    /// Somebody else is on its ports; to be looked at again.
    Conflict {
        retry_at: Time,
    },
    /// It follows its schedule: not due, or out of its hours. When it goes on is the agenda's.
    Scheduled,
    Completed,
}

/// What stands between a run that executes and a ready one, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Gate {
    /// Its startup probe.
    Startup(Tries),
    /// Its ports.
    Ports(Tries),
    /// Its own word: `READY=1`.
    Notice,
    /// Its readiness probe.
    Readiness(Tries),
}

/// A tree that may live.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Life<'a> {
    /// It shall.
    Up { run: RunId },
    /// It shall not.
    Ending { run: RunId, why: &'a Why },
}

/// Why a tree is being emptied, which says what follows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Why {
    /// Somebody asked for a stop or a restart; what is wanted then says which.
    Asked,
    /// The run ended by itself, or was given up.
    Ended(Ended),
    /// Others are on its ports.
    Conflict,
}

/// Where an instance comes to rest once its claim is released.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rest {
    Stopped,
    Failed,
    Completed,
    Scheduled,
    Conflict {
        retry_at: Time,
    },
    /// Started again meanwhile, but another that it needs is not ready.
    Waiting,
    /// Started again meanwhile: claim anew.
    Again,
}

/// The words people see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Word {
    /// Not running.
    Stopped,
    /// Asking for the claim.
    Claiming,
    /// Wanted here, held elsewhere.
    Standby,
    /// On the way up.
    Starting,
    /// Serves.
    Ready,
    /// It lives, but does not serve.
    Unhealthy,
    /// On the way down.
    Stopping,
    /// Waits before the next try.
    Backoff,
    /// Given up; a start asked for by somebody tries again.
    Failed,
    /// Somebody else is on its port.
    Conflict,
    /// It follows its schedule, and waits for its time.
    Scheduled,
    /// A job at work.
    Running,
    /// A job that ended well and is not due again.
    Completed,
}

impl Word {
    /// All words.
    pub const ALL: [Word; 13] = [
        Word::Stopped,
        Word::Claiming,
        Word::Standby,
        Word::Starting,
        Word::Ready,
        Word::Unhealthy,
        Word::Stopping,
        Word::Backoff,
        Word::Failed,
        Word::Conflict,
        Word::Scheduled,
        Word::Running,
        Word::Completed,
    ];
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Word::Stopped => "stopped",
            Word::Claiming => "claiming",
            Word::Standby => "standby",
            Word::Starting => "starting",
            Word::Ready => "ready",
            Word::Unhealthy => "unhealthy",
            Word::Stopping => "stopping",
            Word::Backoff => "backoff",
            Word::Failed => "failed",
            Word::Conflict => "conflict",
            Word::Scheduled => "scheduled",
            Word::Running => "running",
            Word::Completed => "completed",
        })
    }
}

impl State {
    /// The word people see.
    pub(crate) fn word(&self) -> Word {
        match self {
            State::Stopped => Word::Stopped,
            State::Claiming { .. } => Word::Claiming,
            State::Standby { .. } => Word::Standby,
            State::Waiting | State::Looking { .. } | State::Spawning { .. } | State::Probing { .. } => {
                Word::Starting
            }
            State::Ready { .. } => Word::Ready,
            State::Unhealthy { .. } => Word::Unhealthy,
            State::Running { .. } => Word::Running,
            State::Stopping { .. } | State::Freeing { .. } | State::Releasing { .. } => Word::Stopping,
            State::Backoff { .. } => Word::Backoff,
            State::Failed => Word::Failed,
            State::Conflict { .. } => Word::Conflict,
            State::Scheduled => Word::Scheduled,
            State::Completed => Word::Completed,
        }
    }

    /// The run whose tree may live, and whether it is to live.
    pub(crate) fn life(&self) -> Option<Life<'_>> {
        match self {
            State::Spawning { run, .. }
            | State::Probing { run, .. }
            | State::Ready { run }
            | State::Unhealthy { run }
            | State::Running { run } => Some(Life::Up { run: *run }),
            State::Stopping { run, why, .. } => Some(Life::Ending { run: *run, why }),
            State::Stopped
            | State::Waiting
            | State::Claiming { .. }
            | State::Standby { .. }
            | State::Looking { .. }
            | State::Freeing { .. }
            | State::Releasing { .. }
            | State::Backoff { .. }
            | State::Failed
            | State::Conflict { .. }
            | State::Scheduled
            | State::Completed => None,
        }
    }

    /// The run whose tree may live.
    pub(crate) fn run(&self) -> Option<RunId> {
        self.life().map(|life| match life {
            Life::Up { run } | Life::Ending { run, .. } => run,
        })
    }

    /// When something must happen if nothing else does.
    pub(crate) fn deadline(&self) -> Option<Time> {
        match self {
            State::Claiming { until, .. }
            | State::Looking { until, .. }
            | State::Spawning { until, .. }
            | State::Stopping { until, .. }
            | State::Freeing { until, .. }
            | State::Releasing { until, .. }
            | State::Backoff { until } => Some(*until),
            State::Standby { retry_at } | State::Conflict { retry_at } => Some(*retry_at),
            State::Probing { gate, give_up_at, .. } => Some(match gate {
                Gate::Startup(tries) | Gate::Ports(tries) | Gate::Readiness(tries) => {
                    tries.deadline().min(*give_up_at)
                }
                Gate::Notice => *give_up_at,
            }),
            State::Stopped
            | State::Waiting
            | State::Ready { .. }
            | State::Unhealthy { .. }
            | State::Running { .. }
            | State::Failed
            | State::Scheduled
            | State::Completed => None,
        }
    }
}

/// Why a start was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The claim is held elsewhere: by whom, in words.
    Held(String),
    /// Strangers are on its ports: who, in words.
    Ports(Vec<String>),
    /// It ran, but did not get ready in time.
    NotReady(String),
    /// The claim could not be asked for, or another instance that it needs is not to be had.
    Error(String),
}

impl Refusal {
    /// In one word, for counting.
    pub fn word(&self) -> &'static str {
        match self {
            Refusal::Held(_) => "claim",
            Refusal::Ports(_) => "port",
            Refusal::NotReady(_) => "not-ready",
            Refusal::Error(_) => "need",
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Refusal::Held(words) | Refusal::NotReady(words) | Refusal::Error(words) => words.clone(),
            Refusal::Ports(strangers) => strangers.join("; "),
        }
    }
}

/// How an instance stands with its schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// When the next run is due; for a service that only keeps hours, when it is next started.
    pub next: Option<Moment>,
    /// How its window stands, if it has one.
    pub stand: Option<Stand>,
    /// So many runs wait for the one at work to end.
    pub queued: usize,
    /// The turn that its worker has not answered.
    pub tick: Option<TickId>,
    /// What its worker answered last.
    pub answer: Option<Answer>,
}

/// What is told of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The word people see.
    pub state: Word,
    /// What was asked for.
    pub wanted: Wanted,
    /// The run whose tree may live.
    pub run: Option<RunId>,
    /// Its main process, while it lives.
    pub pid: Option<u32>,
    /// Since when the run executes; without one, since when the state is so.
    pub since: Time,
    /// Restarts since somebody last asked for a start.
    pub restarts: u32,
    /// Why the current or last run was started.
    pub cause: Option<Cause>,
    /// What the service says of itself.
    pub said: Said,
    /// How the last run ended.
    pub exit: Option<Exit>,
    /// Anything worth saying about the state, in words.
    pub note: Option<String>,
    /// Its declaration has changed since its run was started.
    pub is_stale: bool,
    /// Why the last start was refused, if it was.
    pub refusal: Option<Refusal>,
    /// When it goes on by itself: the next try, the next run.
    pub next: Option<Time>,
    /// How it stands with its schedule, if it has one.
    pub outlook: Option<Outlook>,
    /// Grows with everything that happens to it: of two statuses the one with the greater revision is newer.
    pub revision: u64,
}
