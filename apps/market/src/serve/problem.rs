//! What goes wrong, as it is told: application/problem+json (RFC 9457) with a word that stays, what happened, and what to
//! do now.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not answered as it was meant.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// The word that stays: `unknown-stock`, `no-supervisor`, …
    pub code: String,
    /// The HTTP status.
    pub status: u16,
    /// What the status means.
    pub title: &'static str,
    /// What happened here, on what, and why.
    pub detail: String,
    /// What to do now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The word again, as the URI that RFC 9457 (3.1.1) asks for; nothing lies there.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(status: StatusCode, code: impl Into<String>, detail: impl Into<String>) -> Self {
        let code = code.into();
        let kind = format!("urn:market:problem:{code}");
        let title = status.canonical_reason().unwrap_or("Error");
        Self { code, status: status.as_u16(), title, detail: detail.into(), hint: None, kind }
    }

    /// The request makes no sense.
    pub fn usage(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "usage", detail)
    }

    /// With what to do now.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self)).into_response()
    }
}

/// The store does not do what it should.
impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store", format!("{error:#}"))
            .hint("look at the database and its rights")
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::usage(format!("the query is not understood: {}", rejection.body_text()))
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::usage(format!("the path is not understood: {}", rejection.body_text()))
    }
}
