//! How a process and a run can end, and what such an end says about another try.

use std::fmt;

use crate::plan::{OverMemory, Plan};

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

/// What the last words of a run tell about its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// In words: `port 8001 is taken by pid 17 (python server.py)`.
    pub words: String,
    /// Trying again cannot help as long as nobody changes something.
    pub is_final: bool,
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
    /// It did not get ready in time, and we stopped it: what was missing, in words.
    NotReady(String),
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
            | Ended::NotReady(_)
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
            | Ended::NotReady(_)
            | Ended::Unhealthy(_)
            | Ended::Watchdog
            | Ended::Overtime
            | Ended::OverMemory(_)
            | Ended::Unseen => true,
        }
    }
}

impl Ended {
    /// In one word, for counting.
    pub fn word(&self) -> &'static str {
        match self {
            Ended::Exited(Exit::Code(_)) => "exit",
            Ended::Exited(Exit::Signal(_)) => "signal",
            Ended::NotStarted { .. } => "not-started",
            Ended::NotReady(_) => "not-ready",
            Ended::Unhealthy(_) => "unhealthy",
            Ended::Watchdog => "watchdog",
            Ended::Overtime => "overtime",
            Ended::OverMemory(_) => "memory",
            Ended::Unseen => "unseen",
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Exited(exit) => write!(f, "ended with {exit}"),
            Ended::NotStarted { why, .. } => f.write_str(why),
            Ended::NotReady(why) | Ended::Unhealthy(why) => f.write_str(why),
            Ended::Watchdog => f.write_str("missed its watchdog"),
            Ended::Overtime => f.write_str("ran for longer than it may"),
            Ended::OverMemory(what) => write!(f, "used more memory than it may: {what}"),
            Ended::Unseen => f.write_str("its guard was killed"),
        }
    }
}
