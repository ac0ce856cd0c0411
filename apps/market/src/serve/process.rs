//! A cycle of the processor by order, and how the last one went.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Desk;
use super::problem::Problem;
use super::stocks::not_yet;

/// Their routes.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new().routes(routes!(refresh)).routes(routes!(status))
}

/// How a cycle stands.
#[derive(Debug, Serialize, ToSchema)]
struct Processing {
    /// `idle`, `processing`, `completed` or `error`.
    status: String,
    message: String,
    stocks_processed: Option<i64>,
    timestamp: Timestamp,
    /// The run's id at soloist.
    run_id: Option<String>,
}

/// Has soloist run the processor now, whatever its schedule says.
#[utoipa::path(post, path = "/api/v1/process/refresh", responses((status = 202, body = Processing)))]
async fn refresh(State(desk): State<Arc<Desk>>) -> Result<(StatusCode, Json<Processing>), Problem> {
    let done = desk.supervisor.run(&desk.processor).await?;
    let processing = Processing {
        status: "processing".to_owned(),
        message: done.text,
        stocks_processed: None,
        timestamp: Timestamp::now(),
        run_id: done.run_id,
    };
    Ok((StatusCode::ACCEPTED, Json(processing)))
}

/// Whether a cycle is under way, whoever began it, and how the last one went.
#[utoipa::path(get, path = "/api/v1/process/status", responses((status = 200, body = Processing)))]
async fn status(State(desk): State<Arc<Desk>>) -> Result<Json<Processing>, Problem> {
    let worker = desk.supervisor.look(&desk.processor).await;
    let under_way = worker.status().filter(|status| status.kind == "job" && status.pid.is_some());
    let board = desk.boards.current().await?;
    let last = board.last.as_ref();
    let (status, message) = match (under_way, last) {
        (Some(_), _) => ("processing", "a cycle is under way".to_owned()),
        (None, Some(run)) if run.status == "success" => ("completed", run.message.clone()),
        (None, Some(run)) => ("error", run.message.clone()),
        (None, None) => ("idle", not_yet(desk.boards.location())),
    };
    Ok(Json(Processing {
        status: status.to_owned(),
        message,
        stocks_processed: last.map(|run| run.stocks_processed),
        timestamp: last.and_then(|run| run.processed_at).unwrap_or_else(Timestamp::now),
        run_id: under_way
            .map_or_else(|| last.and_then(|run| run.run_id.clone()), |status| status.run_id.clone()),
    }))
}
