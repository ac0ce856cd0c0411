//! What a service says of itself, in the words of sd_notify(3).

use std::time::Duration;

use crate::id::TickId;

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
    /// What it answers to its ticks: `X_SOLOIST_RUN=` with `X_SOLOIST_RESULT=`.
    pub answers: Vec<Answer>,
    /// What it shows to people.
    pub said: Said,
}

/// What a worker answers to a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// To which.
    pub tick: TickId,
    /// `X_SOLOIST_RESULT=ok`, not `error`.
    pub is_ok: bool,
    /// `X_SOLOIST_SUMMARY=`: one line.
    pub summary: Option<String>,
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
