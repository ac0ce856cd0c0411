//! A line of the history: what happened, told by the machine that made it happen.

use std::fmt;
use std::time::Duration;

use super::{Cause, Exit};
use crate::id::RunId;

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
    /// So many at once: runs that were left out for one reason.
    pub count: Option<u64>,
    /// Why, in one word of a short list: by it such lines are counted.
    pub reason: Option<&'static str>,
    /// More, in words.
    pub words: Option<String>,
}

/// Why runs are left out: in one word of a short list, and in words.
pub type LeftOut<'a> = (&'static str, &'a str);

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
    /// The run that was to take its place did not get ready: it stays.
    Kept,
    /// Somebody sent its main process a signal: which, in words.
    Signalled,
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
    /// Runs that were due were left out: `count` of them, and why in words.
    Skipped,
    /// A worker that lives on was given a turn.
    Ticked,
    /// It has answered, or will not any more; `span` is how long that took.
    Answered,
    /// Its schedule was changed, paused or resumed by somebody: how, in words.
    Rescheduled,
    /// The wall clock was set: by how much, in words.
    ClockSet,
    /// The disk does not take what it writes: what becomes of that, in words.
    LogFull,
    /// The disk takes it again: what was lost, in words.
    LogFree,
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
            What::Kept => "kept",
            What::Signalled => "signalled",
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
            What::Ticked => "ticked",
            What::Answered => "answered",
            What::Rescheduled => "rescheduled",
            What::ClockSet => "clock-set",
            What::LogFull => "log-full",
            What::LogFree => "log-free",
            What::Adopted => "adopted",
            What::GuardLost => "guard-lost",
        })
    }
}
