//! What clients ask for, and the answers that are not a status.

use serde::{Deserialize, Serialize};

use crate::watch::is_off;

/// The body of `POST /api/v1/services/{name}/{start,stop,restart,ensure}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// Who asks, in words: shown as the cause.
    pub who: Option<String>,
    /// How long to wait until it is so, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Before a start: end strangers of this user on its ports, and what would start them again. Without `yes` the
    /// answer is a refusal that says whom.
    #[serde(skip_serializing_if = "is_off")]
    pub force: bool,
    /// Do so.
    #[serde(skip_serializing_if = "is_off")]
    pub yes: bool,
}

/// The body of `POST /api/v1/up`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Up {
    /// These; none: all services and scheduled jobs.
    pub names: Vec<String>,
    /// Who asks, in words.
    pub who: Option<String>,
}

/// The answer to it: what it set in motion. Events tell how it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpAnswer {
    /// Started by this request.
    pub started: Vec<String>,
    /// Up, or on the way, before it.
    pub already: Vec<String>,
    /// Given a new run, because their declaration changed.
    #[serde(default)]
    pub restarted: Vec<String>,
    /// Stopped, because they are declared no more.
    #[serde(default)]
    pub removed: Vec<String>,
}

/// The body of `POST /api/v1/services/{name}/instances`: the keys of a keyed service change, and stay so. The answer
/// is that of `up`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Instances {
    /// Keys to have an instance each, which is started.
    pub add: Vec<String>,
    /// Keys whose instances are stopped and declared no more.
    pub remove: Vec<String>,
    /// Who asks, in words.
    pub who: Option<String>,
}

/// The body of `POST /api/v1/upgrade`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Upgrade {
    /// The absolute path of the new binary; none: what lies now where the daemon's own binary lay.
    pub binary: Option<String>,
}

/// The answer to it: the daemon becomes the new binary now. Its status tells when it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpgradeAnswer {
    /// What it becomes.
    pub binary: String,
    /// Its version, as it told.
    pub version: String,
}

/// The body of `POST /api/v1/down`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Down {
    /// Only these, and the daemon only if nothing else is up then; none: all.
    pub names: Vec<String>,
    /// Who asks, in words.
    pub who: Option<String>,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DownAnswer {
    /// Verified stopped: tree empty, claim free.
    pub stopped: Vec<String>,
    /// Not stopped: processes that cannot be ended, in words.
    pub stuck: Vec<String>,
    /// Whether the daemon ends now.
    pub daemon_ends: bool,
}

/// The answer to `POST /api/v1/login`, which the Unix socket alone has: a way in for one browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The page; it can be opened once.
    pub url: String,
    /// For so long.
    pub seconds: u64,
}
