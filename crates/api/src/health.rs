//! Whether all is as it should be: the answers of `GET /health` and `GET /readyz`. Fields are added, none is renamed.

use serde::{Deserialize, Serialize};

/// The answer of `GET /livez`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alive {
    /// Always `alive`.
    pub status: String,
}

/// The answer of `GET /health`, and of `GET /readyz` with only those services that are not ready.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// Of all services: what was asked for is so.
    pub ok: bool,
    /// One entry an instance.
    pub services: Vec<ServiceHealth>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceHealth {
    /// The instance.
    pub name: String,
    /// Nothing is wrong with it: it serves, is on its way, rests until its time, or is not wanted.
    pub healthy: bool,
    /// As `healthy`, and not only on its way.
    pub ready: bool,
    /// Its state: a word of the glossary.
    pub state: String,
    /// Why it is judged so.
    pub reason: String,
}
