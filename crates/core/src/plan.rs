//! What a declaration says that matters for decisions: kind, ports, restart rules, times.
//! It does not say how a program is started (argv, environment, folder); that is no matter for the core.

use std::time::Duration;

/// Everything the core needs to know about one declared program.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Runs on, or runs and ends.
    pub kind: Kind,
    /// The ports it must listen on before it counts as ready; empty for a worker.
    pub ports: Vec<u16>,
    /// Names of instances that must be ready (a job: completed) before this one starts.
    pub needs: Vec<String>,
    /// When a run that ended by itself is followed by another.
    pub restart: Restart,
    /// How long to wait between restarts.
    pub backoff: Backoff,
    /// How often a service may be restarted before it counts as failed.
    pub limit: RestartLimit,
    /// The one budget between the polite signal and the kill, shared by the whole tree.
    pub stop_grace: Duration,
    /// How long a service may take from spawn to ready.
    pub ready_timeout: Duration,
    /// Exit codes that count as success.
    pub success_codes: Vec<i32>,
}

/// A service runs on; a job runs and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A server or worker that should run on.
    Service,
    /// A program that runs and ends, once when asked or every so often (start to start).
    Job {
        /// The time between two starts; `None` for a job that runs when it is asked to.
        every: Option<Duration>,
    },
}

/// When a run that ended by itself is followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    No,
    /// After a failure; with a number, at most so many times within the restart period.
    OnFailure(Option<u32>),
    /// After every end, also a successful one.
    Always,
}

/// A growing, jittered delay between restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first delay; each later one is twice the one before.
    pub first: Duration,
    /// The longest delay.
    pub max: Duration,
    /// A run that was ready for so long starts the series again.
    pub reset_after: Duration,
}

/// A limit of restarts in a period; beyond it the service is failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartLimit {
    /// So many restarts
    pub count: u32,
    /// within this time.
    pub period: Duration,
}

impl Default for Plan {
    /// The conventions of the field: grace 5 s, backoff 1 s doubling to 60 s, failed after 10 restarts in 10 min.
    fn default() -> Self {
        Plan {
            kind: Kind::Service,
            ports: Vec::new(),
            needs: Vec::new(),
            restart: Restart::OnFailure(None),
            backoff: Backoff {
                first: Duration::from_secs(1),
                max: Duration::from_secs(60),
                reset_after: Duration::from_secs(30),
            },
            limit: RestartLimit { count: 10, period: Duration::from_secs(600) },
            stop_grace: Duration::from_secs(5),
            ready_timeout: Duration::from_secs(60),
            success_codes: vec![0],
        }
    }
}
