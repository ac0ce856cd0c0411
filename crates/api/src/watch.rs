//! What a page and a terminal watch: logs, processes, ports, runs, declarations, samples. Fields are added, none is
//! renamed. No value of an environment variable and of a header is ever in them.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::schedule::ScheduleStatus;
use crate::status::{ExitStatus, HolderStatus};

/// What of a log: the query of `GET /api/v1/services/{name}/logs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct LogsQuery {
    /// The last so many lines; none: 100, of a download and with `since`, `until` or `grep` all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// Only what was written from then on, to the second: `10m` ago, or a moment (RFC 3339). What has no time, because
    /// the index of the log was lost, is told too if it may be from then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Only what was written up to then; not with `follow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Only lines that match this pattern, as they are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grep: Option<String>,
    /// As server-sent events, [`LogEvent`], with what comes.
    #[serde(deserialize_with = "flag", skip_serializing_if = "is_off")]
    pub follow: bool,
    /// The bytes, to be saved.
    #[serde(deserialize_with = "flag", skip_serializing_if = "is_off")]
    pub download: bool,
    /// With its secrets, which else are masked; over the Unix socket only.
    #[serde(deserialize_with = "flag", skip_serializing_if = "is_off")]
    pub raw: bool,
}

/// What a follower of a log gets. The id of each is where it goes on: `OFFSET-SEQ`. A log has many files, which are rotated;
/// their numbers only grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum LogEvent {
    /// Lines that were written.
    Lines {
        /// Without their ends; what is not UTF-8 is replaced. One over 64 KiB comes in parts.
        lines: Vec<String>,
        /// Where in the file the first of them begins, in bytes.
        at: u64,
        /// The number of the file.
        #[serde(default)]
        seq: u64,
        /// The last one has no end yet: the first of the next goes on with it.
        #[serde(default, skip_serializing_if = "is_off")]
        open: bool,
    },
    /// The reader was too slow, or away for too long.
    Resync {
        /// It missed so many bytes, which are still in the log.
        missed_bytes: u64,
        /// It goes on here,
        at: u64,
        /// in the file with this number.
        #[serde(default)]
        seq: u64,
    },
    /// What came next was deleted, replaced or cut: it goes on at the beginning of what is there now.
    Rotated,
}

/// The processes of an instance: the answer of `GET /api/v1/services/{name}/tree`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Tree {
    /// Its name.
    pub service: String,
    /// Its guard, the parent of all of them.
    pub guard: Option<u32>,
    /// A parent before its children; none if nothing of it lives.
    pub processes: Vec<Process>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's.
    pub ppid: u32,
    /// It is the main process.
    pub main: bool,
    /// What it runs.
    pub command: Vec<String>,
    /// CPU time it used, user and system, in milliseconds.
    pub cpu_ms: u64,
    /// Its resident memory in KiB; what processes share counts for each.
    pub rss_kib: u64,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// The answer of `GET /api/v1/ports`: ports that are declared, and those that services listen on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ports {
    /// In ascending order.
    pub ports: Vec<Port>,
    /// Where the services that are up are found, by their names.
    #[serde(default)]
    pub services: BTreeMap<String, Served>,
}

/// Where a service is found that is up; also the entries of `.soloist/ports.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Served {
    /// Its first port.
    pub port: u16,
    /// All of them.
    pub ports: Vec<u16>,
    /// The address of the first on this machine: `http://127.0.0.1:8003`.
    pub url: String,
    /// The run that serves there.
    pub run_id: String,
    /// Its main process: if that is gone, so is the service, whatever is written.
    pub pid: u32,
    /// It listens, and is ready.
    pub ready: bool,
}

impl Served {
    /// What is told of a run; nothing of one without a port.
    pub fn new(ports: &[u16], run_id: impl fmt::Display, pid: u32, ready: bool) -> Option<Served> {
        let port = *ports.first()?;
        Some(Served { port, ports: ports.to_vec(), url: url(port), run_id: run_id.to_string(), pid, ready })
    }
}

/// The address of a port on this machine.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// One port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Port {
    /// Its number.
    pub port: u16,
    /// Instances that declare it.
    pub declared: Vec<String>,
    /// Who listens.
    pub listeners: Vec<PortListener>,
}

/// One listening socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PortListener {
    /// The local address.
    pub address: String,
    /// `ours`, `leftover`, `other-project`, `daemon`, `unit`, `container`, `stranger`, `other-user` or `unknown`.
    pub class: String,
    /// The instance, if it is one of soloist's.
    pub service: Option<String>,
    /// The processes that hold it; none if they cannot be seen.
    pub pids: Vec<u32>,
    /// More of each of them, or all that is known of one that cannot be seen.
    #[serde(default)]
    pub holders: Vec<HolderStatus>,
    /// Who that is, for people.
    pub text: String,
}

/// Which runs: the query of `GET /api/v1/runs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct RunsQuery {
    /// Only of this instance, or of all instances of this service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// At most so many; none: 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The answer to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Runs {
    /// The newest first.
    pub runs: Vec<Run>,
}

/// One run, as the history knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// Of which instance.
    pub service: String,
    /// Its id.
    pub run_id: String,
    /// When its program was started.
    pub start: Timestamp,
    /// When its tree was empty; none: it runs, or nobody saw its end.
    pub end: Option<Timestamp>,
    /// Why it was started.
    pub cause: Option<String>,
    /// How its main process ended.
    pub exit: Option<ExitStatus>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Its main process.
    pub pid: Option<u32>,
    /// The most memory it used, in KiB.
    pub peak_kib: Option<u64>,
    /// CPU time it used, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Where in its log it begins, in bytes.
    pub log_at: Option<u64>,
    /// In which file of its log that is: the number that its name has, or will have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_seq: Option<u64>,
}

/// How an instance is declared: the answer of `GET /api/v1/services/{name}/config`. Durations are words of soloist.toml.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Config {
    /// Its name.
    pub name: String,
    /// The section that declares it.
    pub service: String,
    /// The key of a keyed instance.
    pub key: Option<String>,
    /// `service` or `job`.
    pub kind: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The folder it runs in.
    pub dir: String,
    /// The names of the variables it is given; their values are told to nobody.
    pub env: Vec<String>,
    /// Its ports.
    pub ports: Vec<u16>,
    /// Where soloist listens for it: `127.0.0.1:8001`, `unix:/srv/api.sock`.
    #[serde(default)]
    pub listen: Vec<String>,
    /// Where it may run only once: `project` or `machine`.
    pub scope: String,
    /// What it needs, and how far that must be: `db until ready`.
    pub needs: Vec<String>,
    /// When it is restarted: `on-failure`, …
    pub restart: String,
    /// `1s to 1m, from the start again after 30s`
    pub backoff: String,
    /// `10 in 10m`
    pub restart_limit: String,
    /// Between the polite signal and the kill.
    pub stop_grace: String,
    /// Run before the polite signal.
    pub stop_command: Option<Vec<String>>,
    /// How long it may take from its start to ready.
    pub ready_timeout: String,
    /// It says itself when it is ready.
    pub notify: bool,
    /// The longest silence of its watchdog.
    pub watchdog: Option<String>,
    /// The longest run.
    pub max_runtime: Option<String>,
    /// What it may use of memory, in bytes.
    pub memory_max: Option<u64>,
    /// What it may use of CPUs, in words: `0.5`.
    pub cpu_max: Option<String>,
    /// Its probes.
    pub probes: Vec<ProbeConfig>,
    /// Its schedule.
    pub schedule: Option<ScheduleStatus>,
    /// What of its log is masked beside well-known secrets: patterns.
    pub mask: Vec<String>,
}

/// One probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbeConfig {
    /// `startup`, `readiness` or `liveness`.
    pub kind: String,
    /// `GET http://127.0.0.1:8000/health`, `connect to 127.0.0.1:5432`, `run pg_isready -q`, `log matches …`.
    pub check: String,
    /// `every 10s, 1s each, after 3 failures`
    pub rhythm: String,
}

/// What living instances use, of this moment: of events, with `samples=1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Samples {
    /// When.
    pub at: Timestamp,
    /// One for each that lives.
    pub samples: Vec<Sample>,
}

/// What one instance uses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sample {
    /// Its name.
    pub service: String,
    /// CPU since the sample before, in percent of one CPU, its whole tree; none in its first sample.
    pub cpu_percent: Option<f64>,
    /// Resident memory of its tree in KiB; what processes share counts for each.
    pub rss_kib: u64,
}

/// The body of `POST /api/v1/services/{name}/signal`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Signal {
    /// `HUP`, `USR1`, …, with or without `SIG`. It goes to the main process alone.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub signal: String,
    /// Who asks, in words.
    pub who: Option<String>,
}

/// A switch in a query: `1`, `true`, `0`, `false`; alone it is on.
pub(crate) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    let word = String::deserialize(from)?;
    match word.as_str() {
        "1" | "true" | "" => Ok(true),
        "0" | "false" => Ok(false),
        other => Err(serde::de::Error::custom(format!("`{other}` is none of 1, 0, true and false"))),
    }
}

pub(crate) fn is_off(is_on: &bool) -> bool {
    !is_on
}
