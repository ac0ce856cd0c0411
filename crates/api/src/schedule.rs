//! Schedules as they travel: what is told of them, and what can be changed at run time. Fields are added, none is
//! renamed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::status::ExitStatus;

/// How an instance stands with its schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ScheduleStatus {
    /// What triggers it, in the words of soloist.toml: `every 6s`, `cron */5 9-15 * * mon-fri`, `at 09:15, 15:31`.
    pub triggers: Vec<String>,
    /// Its window's name, if it has one.
    pub window: Option<String>,
    /// Whether that is open.
    pub open: Option<bool>,
    /// When that changes; none: as far as one can see, never.
    pub until: Option<Timestamp>,
    /// When the next run is due; of a service that only keeps hours, when it is next started. None: as far as one can
    /// see, never.
    pub next: Option<Timestamp>,
    /// In whose local time it is: the IANA name of the zone of its window, else of its times; none: the machine's.
    pub zone: Option<String>,
    /// Nothing is due by itself until somebody resumes it.
    pub paused: bool,
    /// What differs from soloist.toml, and who changed it: `every changed from 6s in soloist.toml`.
    pub changed: Option<String>,
    /// So many runs wait for the one at work to end.
    pub queued: u64,
    /// What its worker answered last.
    pub answer: Option<Answer>,
    /// What there is to warn of: a calendar that ends soon.
    pub warning: Option<String>,
}

/// What a worker that lives on answered to a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Answer {
    /// The turn.
    pub tick: String,
    /// Whether it went well.
    pub ok: bool,
    /// What it said of it.
    pub summary: Option<String>,
}

/// The answer of `schedule ls --json` and of `GET /api/v1/schedules`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Schedules {
    /// All instances that have a schedule.
    pub schedules: Vec<Named>,
    /// Where time zones come from: `the system's tzdata 2026b (/usr/share/zoneinfo)`, `tzdata 2026b bundled with soloist`.
    pub zones: String,
    /// Overrides in force or to come.
    pub overrides: Vec<Override>,
    /// What there is to warn of: calendars that end soon.
    pub warnings: Vec<String>,
    /// The hours of their windows around now; only a daemon tells them.
    pub hours: Vec<Hours>,
}

/// The hours of one window, from a day ago to two days ahead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Hours {
    /// Its name.
    pub window: String,
    /// Its sessions, in order, with all that is ordered in them.
    pub sessions: Vec<Session>,
}

/// One stretch in which a window is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Session {
    /// From then on.
    pub open: Timestamp,
    /// Up to, not including, then; none: as far as one can see, it stays open.
    pub close: Option<Timestamp>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Named {
    /// The instance.
    pub name: String,
    /// Its state: a word of the glossary.
    pub state: String,
    /// How its last run ended.
    pub exit: Option<ExitStatus>,
    /// Its schedule.
    #[serde(flatten)]
    pub schedule: ScheduleStatus,
}

/// The answer of `schedule next --json`: what one would do, told from soloist.toml alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upcoming {
    /// The instance.
    pub name: String,
    /// What triggers it, as in [`ScheduleStatus`].
    pub triggers: Vec<String>,
    /// As in [`ScheduleStatus`].
    pub window: Option<String>,
    /// As in [`ScheduleStatus`].
    pub zone: Option<String>,
    /// The next runs; of a service that only keeps hours, the next openings.
    pub next: Vec<Timestamp>,
    /// What there is to say: that it is paused, its window closed, or its calendar at its end.
    pub notes: Vec<String>,
}

/// The body of `PATCH /api/v1/schedules/{name}`: what is given changes, and stays so until it is reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Edit {
    /// As in soloist.toml: `10s`.
    pub every: Option<String>,
    /// Nothing is due by itself; false: again.
    pub paused: Option<bool>,
    /// First drop all that was changed before.
    pub reset: bool,
    /// Who asks, in words.
    pub who: Option<String>,
}

/// The answer to it, and to `run`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Done {
    /// What was done, in words: one line.
    pub text: String,
    /// How it stands now; of several instances of a keyed service, the first.
    pub schedule: ScheduleStatus,
    /// Of `run`: the run that is at work now, this one or the one that was there before it; of a worker that is ticked, its
    /// own; of several instances of a keyed service, the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

/// A window or calendar that is open or closed for a time, whatever its rule says: the body of
/// `POST /api/v1/overrides`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Override {
    /// The name of a window, or of a calendar and so of all windows that go by it.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub of: String,
    /// Open, else closed.
    pub open: bool,
    /// From then on; none: from now on.
    pub from: Option<Timestamp>,
    /// Up to, not including, then.
    pub until: Option<Timestamp>,
    /// Who asks, in words.
    pub who: Option<String>,
}

/// The query of `DELETE /api/v1/overrides`: all overrides of this window or calendar are taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(default, deny_unknown_fields)]
pub struct Clear {
    /// As in [`Override::of`].
    #[cfg_attr(feature = "openapi", param(required = true))]
    pub of: String,
    /// Who asks, in words.
    pub who: Option<String>,
}

/// The answer to an override, and to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Overridden {
    /// What was done, in words: one line.
    pub text: String,
    /// Overrides in force or to come, now.
    pub overrides: Vec<Override>,
}
