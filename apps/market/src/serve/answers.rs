//! The JSON answers. Each reads one snapshot, off the server's own thread.

use std::sync::Arc;

use anyhow::Result;
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path as InPath, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::views::{self, RunView};
use crate::clock;
use crate::store::{Location, Store, Tables};

/// The database; each answer opens it anew, so it may come and go.
pub type Database = State<Arc<Location>>;

const RUNS_DEFAULT: u32 = 50;
const RUNS_MAX: u32 = 1000;

/// Why there is nothing to show yet.
pub fn not_yet(database: &Location) -> String {
    format!("no run has stored anything in {database} yet; start `market process`")
}

/// Whether the server works, and how old its data are. Missing data are no reason to restart a server, so the
/// status speaks of the server alone.
pub async fn health(database: Database) -> Response {
    let read =
        with_snapshot(&database, |tables| Ok((views::last_success(tables)?, views::runs(tables, 1)?.pop())))
            .await;
    let data = match read {
        Ok(Some((success, last))) => json!({
            "updated_at": success.as_ref().map(|run| &run.processed_at),
            "age_seconds": success.as_ref().and_then(age_seconds),
            "stocks_processed": success.as_ref().map(|run| run.stocks_processed),
            "last_run": last,
        }),
        Ok(None) => json!({ "message": not_yet(&database) }),
        Err(error) => json!({ "message": format!("{error:#}") }),
    };
    let body =
        json!({ "status": "healthy", "app": "market", "version": env!("CARGO_PKG_VERSION"), "data": data });
    answer(StatusCode::OK, body)
}

/// All stocks that have rows.
pub async fn stocks(database: Database) -> Response {
    match with_snapshot(&database, views::stocks).await {
        Ok(Some(stocks)) if !stocks.is_empty() => answer(StatusCode::OK, json!({ "all_stocks": stocks })),
        Ok(_) => answer(StatusCode::OK, json!({ "all_stocks": [], "message": not_yet(&database) })),
        Err(error) => broken(&error),
    }
}

/// Both tables of one stock.
pub async fn stock(database: Database, name: Result<InPath<String>, PathRejection>) -> Response {
    let name = match name {
        Ok(InPath(name)) => name,
        Err(rejection) => return answer(rejection.status(), json!({ "error": rejection.body_text() })),
    };
    let wanted = name.clone();
    match with_snapshot(&database, move |tables| views::stock(tables, &wanted)).await {
        Ok(Some(Some(view))) => answer(StatusCode::OK, json!(view)),
        Ok(Some(None)) => {
            let body = json!({
                "error": format!("no rows are stored for the stock {name:?}"),
                "hint": "GET /api/v1/stocks lists the stocks that have rows",
            });
            answer(StatusCode::NOT_FOUND, body)
        }
        Ok(None) => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "error": "there are no data yet", "hint": not_yet(&database) }),
        ),
        Err(error) => broken(&error),
    }
}

/// What can be asked of the history.
#[derive(Debug, Deserialize)]
pub struct HistoryQuery {
    limit: Option<u32>,
}

/// The latest runs, the newest first.
pub async fn history(database: Database, query: Result<Query<HistoryQuery>, QueryRejection>) -> Response {
    let limit = match query {
        Ok(Query(query)) => query.limit.unwrap_or(RUNS_DEFAULT).clamp(1, RUNS_MAX),
        Err(_) => {
            let hint = format!("write ?limit= with a number from 1 to {RUNS_MAX}");
            return answer(StatusCode::BAD_REQUEST, json!({ "error": "limit is no number", "hint": hint }));
        }
    };
    match with_snapshot(&database, move |tables| views::runs(tables, limit)).await {
        Ok(Some(runs)) => answer(StatusCode::OK, json!({ "processing_history": runs })),
        Ok(None) => {
            answer(StatusCode::OK, json!({ "processing_history": [], "message": not_yet(&database) }))
        }
        Err(error) => broken(&error),
    }
}

/// No such route.
pub async fn nowhere() -> Response {
    answer(
        StatusCode::NOT_FOUND,
        json!({ "error": "there is no such page", "hint": "GET / lists the routes" }),
    )
}

/// Everything here is only read.
pub async fn only_get() -> Response {
    answer(StatusCode::METHOD_NOT_ALLOWED, json!({ "error": "this server is only read", "hint": "use GET" }))
}

/// Reads by `read` from one snapshot; none without a database. SQLite blocks, so it has a thread of its own.
pub async fn with_snapshot<T: Send + 'static>(
    database: &Database,
    read: impl FnOnce(&mut dyn Tables) -> Result<T> + Send + 'static,
) -> Result<Option<T>> {
    let location = Arc::clone(&database.0);
    tokio::task::spawn_blocking(move || Store::look(&location)?.map(|mut store| store.read(read)).transpose())
        .await?
}

/// Seconds since a run.
pub fn age_seconds(run: &RunView) -> Option<i64> {
    clock::age_seconds(&run.processed_at)
}

fn broken(error: &anyhow::Error) -> Response {
    let body = json!({ "error": format!("{error:#}"), "hint": "look at the database and its rights" });
    answer(StatusCode::SERVICE_UNAVAILABLE, body)
}

fn answer(status: StatusCode, body: Value) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
