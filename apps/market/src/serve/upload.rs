//! Workbooks that somebody sends.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Desk;
use super::problem::Problem;
use super::stocks::not_yet;
use crate::board::rows::{Run, Upload};

/// Where they are sent to.
pub const PATH: &str = "/api/v1/upload/excel-files";
/// All of a request.
pub const REQUEST_MOST: u64 = 128 << 20;

/// Lets one upload in at a time.
#[derive(Default)]
pub struct Gate;

/// Their routes.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new().routes(routes!(status))
}

/// How the last cycle went, and what was sent.
#[derive(Debug, Serialize, ToSchema)]
struct UploadStatus<'a> {
    /// `success`, or `no_data` as long as no cycle was.
    status: &'static str,
    last_processing: Option<&'a Run>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The newest first.
    files: &'a [Upload],
}

/// How the last cycle went, and what was sent.
#[utoipa::path(get, path = "/api/v1/upload/status", responses((status = 200, body = UploadStatus)))]
async fn status(State(desk): State<Arc<Desk>>) -> Result<Response, Problem> {
    let board = desk.boards.current().await?;
    let last_processing = board.last.as_ref();
    let status = if last_processing.is_some() { "success" } else { "no_data" };
    let message = last_processing.is_none().then(|| not_yet(desk.boards.location()));
    Ok(Json(UploadStatus { status, last_processing, message, files: &board.uploads }).into_response())
}
