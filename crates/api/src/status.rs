//! What is told of services: the answer of `status --json` and of `GET /api/v1/services`. Fields are added, none is
//! renamed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::watch::is_off;

use crate::schedule::ScheduleStatus;

/// All there is to tell of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// The project's daemon, if it lives.
    pub daemon: Option<DaemonStatus>,
    /// The project's instances, declared or started by `run`.
    pub services: Vec<ServiceStatus>,
}

/// The project's daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DaemonStatus {
    /// Its process id.
    pub pid: u32,
    /// Since when it lives.
    pub since: Timestamp,
    /// Of soloist.
    pub version: String,
    /// So many living services it took over from the daemon before it.
    #[serde(default)]
    pub taken_over: u64,
    /// What there is to say about it: a ledger that was lost, a binary that it could not become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where its time zone rules come from, and how new they are.
    #[serde(default)]
    pub zones: String,
    /// Where it answers over TCP, if it does: `http://127.0.0.1:41233`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
}

/// So many of the last lines of a failed run are told.
pub const LAST_LINES: usize = 10;

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// `service` or `job`.
    pub kind: String,
    /// What is true: a word of the glossary.
    pub state: String,
    /// What was asked for: `up` or `down`.
    pub wanted: String,
    /// It serves: its ports are listened on by its tree and by nobody else.
    pub ready: bool,
    /// The main process, while it lives.
    pub pid: Option<u32>,
    /// The current run.
    pub run_id: Option<String>,
    /// Since when it runs; without a run, since when the state is so.
    pub since: Option<Timestamp>,
    /// Restarts since somebody last asked for a start.
    pub restarts: u32,
    /// The ports it serves.
    pub ports: Vec<u16>,
    /// Why the current or last run was started.
    pub cause: Option<String>,
    /// How the last run ended.
    pub exit: Option<ExitStatus>,
    /// What it says of itself, over its notify socket.
    #[serde(default)]
    pub said: Said,
    /// Its declaration has changed since its run was started: `up` or `restart` takes the change in.
    #[serde(default)]
    pub stale: bool,
    /// Its code was changed since its run was started, and it does not load that by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_code: Option<OldCode>,
    /// Anything worth saying about the state.
    pub note: Option<String>,
    /// Why the last start was refused, if it was.
    pub refusal: Option<Refusal>,
    /// When it goes on by itself: the next try, the next run.
    pub next: Option<Timestamp>,
    /// How it stands with its schedule, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleStatus>,
    /// Grows with everything that happens to it: of two statuses the one with the greater revision is newer.
    pub revision: u64,
    /// What it runs.
    pub command: Vec<String>,
    /// Who holds its claim, if somebody does.
    pub holder: Option<HolderStatus>,
    /// The file of what it writes.
    pub log: Option<String>,
    /// What does not work as it is declared, though nothing has failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The last lines of a run that failed, at most [`LAST_LINES`], as long as that is what there is to tell.
    #[serde(default)]
    pub tail: Vec<String>,
}

/// A run that began before its code was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OldCode {
    /// The file that was changed last, in the project's folder if it lies there.
    pub path: String,
    /// When.
    pub changed: Timestamp,
}

/// What a service says of itself: `STATUS=`, `X_SOLOIST_STATE=` and `X_SOLOIST_PROGRESS=` of its notify socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Said {
    /// One line.
    pub status: Option<String>,
    /// A word of its own, such as `scraping`.
    pub state: Option<String>,
    /// Such as `12/50`.
    pub progress: Option<String>,
}

/// How a run ended: one of both is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExitStatus {
    /// It called exit with this.
    pub code: Option<i32>,
    /// This signal ended it.
    pub signal: Option<i32>,
}

/// Why a start was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Refusal {
    /// The code it gives.
    pub code: crate::error::Code,
    /// Who or what stands in the way.
    pub detail: String,
}

/// Who holds a claim, or a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HolderStatus {
    /// Of a claim `daemon` or `run`; of a port as in [`crate::watch::PortListener::class`].
    pub kind: String,
    /// The main process it runs, or the holder itself as long as nothing runs; none if it cannot be seen.
    pub pid: Option<u32>,
    /// The process that holds the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<u32>,
    /// The port, and
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// the number of the user who listens on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What it runs.
    pub command: Vec<String>,
    /// The folder of its project; of a stranger on a port, the folder it works in.
    pub project: String,
    /// Of a stranger on a port: what started it, what started that, and so on, as `npm run dev (pid 12)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// A stranger that belongs to this project by its folder, its virtual environment or its command.
    #[serde(default, skip_serializing_if = "is_off")]
    pub outside: bool,
    /// Its state, where it cannot answer: `T` stopped, `D` in a call that cannot be interrupted, waiting in
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<char>,
    /// this function of the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_channel: Option<String>,
}

impl ServiceStatus {
    /// Whether nothing of it lives and nothing will start by itself.
    pub fn is_down(&self) -> bool {
        matches!(self.state.as_str(), "stopped" | "failed" | "completed")
    }

    /// Whether it has come to where it was asked to go: nothing more will happen by itself soon.
    pub fn is_settled(&self) -> bool {
        !matches!(self.state.as_str(), "claiming" | "starting" | "stopping" | "backoff")
    }
}
