//! Whether the server works, how old its data are, and whether the processor does what it should.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Desk;
use super::scanner::{self, ScannerStatus};
use super::stocks::not_yet;
use super::supervisor::is_on;
use crate::board::rows::Run;

/// Their routes.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(monitoring))
}

/// The server, and its data.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// Always `healthy`: who answers is. Missing data are no reason to restart a server.
    status: &'static str,
    app: &'static str,
    version: &'static str,
    data: Data,
    scanner: ScannerStatus,
}

/// How old the data are.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Data {
    /// When the rows were last found to be those of the workbooks.
    updated_at: Option<Timestamp>,
    /// Seconds since then.
    age_seconds: Option<i64>,
    stocks_processed: Option<i64>,
    revision: i64,
    last_run: Option<Run>,
    /// What is missing, or wrong with the store.
    message: Option<String>,
}

/// Whether the server works, and how old its data are.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health)))]
async fn health(State(desk): State<Arc<Desk>>) -> Json<Health> {
    let data = match desk.boards.current().await {
        Ok(board) => {
            let success = board.success.as_ref();
            let missing = board.last.is_none().then(|| not_yet(desk.boards.location()));
            Data {
                updated_at: success.and_then(|run| run.processed_at),
                age_seconds: success.and_then(Run::age_seconds),
                stocks_processed: success.map(|run| run.stocks_processed),
                revision: board.revision,
                last_run: board.last.clone(),
                message: desk.boards.trouble().or(missing),
            }
        }
        Err(error) => Data { message: Some(format!("{error:#}")), ..Data::default() },
    };
    let scanner = scanner::look(&desk).await;
    Json(Health { status: "healthy", app: "market", version: env!("CARGO_PKG_VERSION"), data, scanner })
}

/// Whether the processor does what it should.
#[derive(Debug, Serialize, ToSchema)]
struct Monitoring {
    /// `healthy`; `unhealthy`: the market is open and the processor does not run; `unknown`: no soloist answers.
    status: &'static str,
    /// Why it is not healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// Unhealthy as long as the market is open and the processor does not run.
#[utoipa::path(get, path = "/monitoring/health", responses((status = 200, body = Monitoring)))]
async fn monitoring(State(desk): State<Arc<Desk>>) -> Json<Monitoring> {
    let worker = desk.supervisor.look(&desk.processor).await;
    let is_open = worker.status().is_some_and(|status| {
        let hours = status.schedule.as_ref().and_then(|schedule| schedule.open);
        hours.unwrap_or(true)
    });
    let (status, reason) = match worker.status() {
        None if !worker.is_supervised() => {
            ("unknown", Some("No soloist answers that could tell of the processor"))
        }
        Some(status) if !is_open || is_on(status) => ("healthy", None),
        None | Some(_) => ("unhealthy", Some("Background processor not running during market hours")),
    };
    Json(Monitoring { status, reason })
}
