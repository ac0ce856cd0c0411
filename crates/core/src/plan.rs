//! What a declaration says that matters for decisions: kind, ports, restart rules, times.
//! It does not say how a program is started (argv, environment, folder); that is no matter for the core.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::schedule::Schedule;

/// Everything the core needs to know about one declared program.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Runs on, or runs and ends.
    pub kind: Kind,
    /// When it runs by itself: of a job its turns, of a service its hours. None: a job runs when it is asked to, a service
    /// at all hours.
    pub schedule: Option<Schedule>,
    /// The ports it must listen on before it counts as ready; empty for a worker.
    pub ports: Vec<u16>,
    /// Those of them that may move when others are on them, each with where to.
    pub spares: Vec<(u16, RangeInclusive<u16>)>,
    /// Instances that this one needs, and how far each must be before this one starts.
    pub needs: Vec<Need>,
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
    /// Exit codes after which it is never restarted.
    pub prevent_codes: Vec<i32>,
    /// It says itself when it is ready (`READY=1`, sd_notify(3)).
    pub notifies: bool,
    /// Asked first; the other probes begin when it has passed.
    pub startup: Option<Probe>,
    /// Whether it serves: it is ready when this passes, and unhealthy, though left running, when it fails later.
    pub readiness: Option<Probe>,
    /// Whether it is alive: when this fails, it is restarted.
    pub liveness: Option<Probe>,
    /// Once ready, it must say `WATCHDOG=1` so often, or it is restarted (sd_notify(3)).
    pub watchdog: Option<Duration>,
    /// A run that takes longer is stopped and counts as failed.
    pub max_runtime: Option<Duration>,
    /// What follows when its tree uses more memory than it may.
    pub over_memory: OverMemory,
    /// Two runs of it may overlap: by this name a new run stands in for it during a restart that somebody asks for.
    pub stand_in: Option<String>,
}

/// Another instance that must be so far before this one starts. It is stopped after this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its name.
    pub on: String,
    /// How far it must be.
    pub until: Condition,
}

/// How far an instance must be for another that needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Its program executes, or has ended.
    Started,
    /// It serves; a job: its last run ended as it should.
    Ready,
    /// Its last run ended, however that was.
    Completed,
    /// Its last run ended as it should.
    CompletedSuccessfully,
}

/// The rhythm of a probe, with the names and defaults of Kubernetes (`core/v1 Probe`). What is probed is no matter of
/// the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// From the start of the run (readiness, liveness: from the end of the startup probe) to the first try.
    pub initial_delay: Duration,
    /// From one try to the next.
    pub period: Duration,
    /// A try that takes longer has failed.
    pub timeout: Duration,
    /// So many in a row pass it.
    pub success_threshold: u32,
    /// So many in a row fail it.
    pub failure_threshold: u32,
    /// Once it has passed it is not asked again: a line in a log stays written.
    pub is_once: bool,
}

impl Default for Probe {
    /// As in Kubernetes: every 10 s, 1 s each, one success, three failures.
    fn default() -> Self {
        Probe {
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
            is_once: false,
        }
    }
}

/// What follows when a tree uses more memory than it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverMemory {
    /// A new run.
    #[default]
    Restart,
    /// None.
    Stop,
}

/// Who else is restarted when an instance falls, after the strategies of Erlang's supervisors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Nobody.
    #[default]
    OneForOne,
    /// All that need it, and what needs those.
    RestForOne,
    /// All of the project that are up.
    OneForAll,
}

/// A service runs on; a job runs and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A server or worker that should run on.
    Service,
    /// A program that runs and ends: when its schedule says, or when it is asked to.
    Job,
}

impl Plan {
    /// How often its schedule starts it, if it says so.
    pub fn interval(&self) -> Option<Duration> {
        self.schedule.as_ref().and_then(Schedule::interval)
    }

    /// Its stand-in's: the same program, which is tried once and follows nothing by itself.
    pub fn of_stand_in(&self) -> Plan {
        Plan { schedule: None, needs: Vec::new(), restart: Restart::No, stand_in: None, ..self.clone() }
    }
}

/// When a run that ended by itself is followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    No,
    /// After a failure; with a number, at most so many times within the restart period.
    OnFailure(Option<u32>),
    /// After every end, also a successful one. A stop that somebody asked for is kept, as with every policy, so this is
    /// `unless-stopped` too.
    Always,
    /// After a success only.
    OnSuccess,
    /// After a signal, a timeout, a missed watchdog or a failed probe, not after an exit code (systemd.service(5), table
    /// of exit causes).
    OnAbnormal,
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
            schedule: None,
            ports: Vec::new(),
            spares: Vec::new(),
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
            prevent_codes: Vec::new(),
            notifies: false,
            startup: None,
            readiness: None,
            liveness: None,
            watchdog: None,
            max_runtime: None,
            over_memory: OverMemory::Restart,
            stand_in: None,
        }
    }
}
