//! The answer of `soloist status --json`, in the shape that is promised to scripts: a field that is missing or of
//! another type fails the test that reads it; fields beyond these may be added.

use serde::Deserialize;

/// The whole answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Status {
    /// The project's daemon, if one runs.
    pub daemon: Option<Daemon>,
    /// All services and jobs, those of `soloist run` too.
    pub services: Vec<Service>,
}

/// The daemon in a status.
#[derive(Clone, Debug, Deserialize)]
pub struct Daemon {
    /// Its pid.
    pub pid: u32,
    /// Its start.
    pub since: String,
    /// Its version.
    pub version: String,
}

/// A service or job in a status.
#[derive(Clone, Debug, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// What is true.
    pub state: String,
    /// What was asked for: `up` or `down`.
    pub wanted: String,
    /// Whether it says, or shows, that it serves.
    pub ready: bool,
    /// Its main process.
    pub pid: Option<u32>,
    /// The run it is in.
    pub run_id: Option<String>,
    /// When that run or state began.
    pub since: Option<String>,
    /// How often it was restarted after it fell.
    pub restarts: u64,
    /// Its ports.
    pub ports: Vec<u16>,
    /// `service` or `job`.
    #[serde(default)]
    pub kind: Option<String>,
    /// How its last run ended.
    #[serde(default)]
    pub exit: Option<Exit>,
    /// What it said of itself.
    #[serde(default)]
    pub said: Said,
    /// What there is to say about it.
    #[serde(default)]
    pub note: Option<String>,
    /// What runs.
    #[serde(default)]
    pub command: Vec<String>,
    /// Who holds its claim.
    #[serde(default)]
    pub holder: Option<serde_json::Value>,
    /// The last lines of a run that failed.
    #[serde(default)]
    pub tail: Vec<String>,
}

/// What a service said of itself over its notify socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Said {
    /// `STATUS=`.
    pub status: Option<String>,
    /// `X_SOLOIST_STATE=`.
    pub state: Option<String>,
    /// `X_SOLOIST_PROGRESS=`.
    pub progress: Option<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Exit {
    /// The exit code, if it called exit.
    pub code: Option<i32>,
    /// The signal, if one ended it.
    pub signal: Option<i32>,
}

impl Status {
    /// The service of this name; fails the test if there is none.
    #[track_caller]
    pub fn service(&self, name: &str) -> &Service {
        let found = self.services.iter().find(|service| service.name == name);
        found.unwrap_or_else(|| panic!("no `{name}` in {self:?}"))
    }
}
