//! What is known and told of processes that outlived their guard: the same words on every system. Finding and ending
//! them is the duty of `linux/sweep.rs` and its siblings.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::identity::Identity;
use crate::record::Record;

/// The name of the environment variable that marks every process of an instance with the path of its claim.
pub const COOKIE: &str = "SOLOIST_CLAIM";

/// Where to look for survivors of an instance.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The path of its claim: the value of the cookie.
    pub claim: PathBuf,
    /// What its record says of the last run, if there is one.
    pub record: Option<Record>,
    /// The zygote that is our parent: its children that are no guards were left to it by guards that died.
    pub zygote: Option<u32>,
    /// Never to be touched, whatever the traces say: the daemon, other guards.
    pub spare: Vec<u32>,
}

/// A process that outlived its guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survivor {
    /// Who.
    pub identity: Identity,
    /// By which trace.
    pub trace: Trace,
    /// Running what.
    pub command: Vec<String>,
}

/// Why a process is known to belong to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trace {
    /// It is in the run's own cgroup leaf.
    Cgroup,
    /// Its environment carries the cookie.
    Cookie,
    /// It is the recorded main process, or of its session or group, whose number cannot be reused while it lives.
    Session,
    /// Its guard died and left it to our zygote.
    Orphan,
    /// It descends from one of the others.
    Descent,
}

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Ended.
    pub ended: Vec<Survivor>,
    /// Still there: with state and the place in the kernel where it sleeps.
    pub stuck: Vec<Stuck>,
}

/// A process that cannot be ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stuck {
    /// Which.
    pub pid: u32,
    /// `D` for a process in an uninterruptible call, …
    pub state: char,
    /// The kernel function it sleeps in, where told.
    pub wait_channel: Option<String>,
}
