//! The past as it is told: the answer of `history --json` and of `GET /api/v1/history`. Fields are added, none is renamed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::status::ExitStatus;
use crate::watch::flag;

/// Lines of the history, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct History {
    /// The lines.
    pub entries: Vec<Entry>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// Grows from line to line; of an event 0 as long as the line could not be written.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// To which instance; empty if to the history itself.
    pub service: String,
    /// What: `started`, `ready`, `exited`, … (GLOSSARY.md has all of them).
    pub what: String,
    /// Of which run.
    pub run_id: Option<String>,
    /// Why: which user and command, schedule, crash, dependency, changed declaration.
    pub cause: Option<String>,
    /// How it ended.
    pub exit: Option<ExitStatus>,
    /// How long it took in milliseconds; for `restarting`, the delay.
    pub duration_ms: Option<u64>,
    /// The main process.
    pub pid: Option<u32>,
    /// The most memory it used, in KiB.
    pub peak_kib: Option<u64>,
    /// CPU time it used, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Where in its log it began, in bytes.
    pub log_at: Option<u64>,
    /// In which file of its log that is: the number that its name has, or will have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_seq: Option<u64>,
    /// So many at once, of `skipped`: runs that were left out for one reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// More, in words.
    pub detail: Option<String>,
}

/// Which lines of the history: the query of `GET /api/v1/history`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct HistoryQuery {
    /// Only of this instance, or of all instances of this service.
    pub service: Option<String>,
    /// Only from this moment on.
    pub since: Option<Timestamp>,
    /// Only lines after this one.
    pub after: Option<i64>,
    /// At most so many, the newest.
    pub limit: Option<u32>,
}

/// What a reader of events wants: the query of `GET /api/v1/events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct EventsQuery {
    /// Also the lines of the history.
    #[serde(deserialize_with = "flag")]
    pub history: bool,
    /// Also what living instances use, every two seconds. Costs a look at their processes each time.
    #[serde(deserialize_with = "flag")]
    pub samples: bool,
}

impl Default for EventsQuery {
    fn default() -> Self {
        EventsQuery { history: true, samples: false }
    }
}

/// The answer of `why`: a paragraph for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Why {
    /// About which instance.
    pub service: String,
    /// What happened last, why, what was done, and what happens next and when.
    pub text: String,
}
