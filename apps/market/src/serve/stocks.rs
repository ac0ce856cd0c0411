//! What is asked of the stocks: names, rows, the largest changes, and how the rows came about.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Desk;
use super::problem::Problem;
use crate::board::Board;
use crate::board::rows::{self, Historical, Issue, Live, Run};
use crate::store::Location;
use crate::workbook::whole;

const LIMIT_MAX: u32 = 1000;
/// The sum of a side is no strike.
const TOTAL: &str = "Total";

/// Their routes.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(stocks))
        .route("/api/v1/stocks/", get(stocks))
        .routes(routes!(history))
        .routes(routes!(favorites))
        .routes(routes!(biggest))
        .routes(routes!(stock))
        .routes(routes!(issues))
}

/// Why there is nothing to show yet.
pub fn not_yet(database: &Location) -> String {
    format!("no run has stored anything in {database} yet; start `market process`")
}

/// At most so many.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Limit {
    /// From 1 to 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

impl Limit {
    /// What is asked for, or else what is usual.
    ///
    /// # Errors
    /// It is no number, or none that can be.
    pub fn read(query: Result<Query<Self>, QueryRejection>, usual: u32) -> Result<u32, Problem> {
        let limit = query?.limit.unwrap_or(usual);
        if (1..=LIMIT_MAX).contains(&limit) {
            return Ok(limit);
        }
        let hint = format!("write ?limit= with a number from 1 to {LIMIT_MAX}");
        Err(Problem::usage(format!("limit is {limit}")).hint(hint))
    }
}

/// The names of all stocks with rows.
#[derive(Debug, Serialize, ToSchema)]
struct AllStocks {
    all_stocks: Vec<String>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// All stocks that have rows, by name.
#[utoipa::path(get, path = "/api/v1/stocks", responses((status = 200, body = AllStocks)))]
async fn stocks(State(desk): State<Arc<Desk>>) -> Result<Json<AllStocks>, Problem> {
    let board = desk.boards.current().await?;
    let all_stocks: Vec<_> = board.stocks.iter().map(|stock| stock.name.clone()).collect();
    let message = all_stocks.is_empty().then(|| not_yet(desk.boards.location()));
    Ok(Json(AllStocks { all_stocks, message }))
}

/// Both tables of one stock, of one snapshot.
#[derive(Debug, Serialize, ToSchema)]
struct StockRows<'a> {
    stock: &'a str,
    historical: &'a [Historical],
    live: &'a [Live],
    /// Of the snapshot.
    revision: i64,
    /// When the rows were last found to be those of the workbooks.
    processed_at: Option<Timestamp>,
    /// Seconds since then.
    age_seconds: Option<i64>,
}

/// The rows of a stock, in any spelling with the same letters and digits.
#[utoipa::path(
    get,
    path = "/api/v1/stocks/{stock}",
    params(("stock" = String, Path)),
    responses((status = 200, body = StockRows))
)]
async fn stock(
    State(desk): State<Arc<Desk>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(name) = name?;
    let board = desk.boards.current().await?;
    let Some(stock) = board.stock(&name) else { return Err(unknown(&board, &name, desk.boards.location())) };
    Ok(Json(StockRows {
        stock: &stock.name,
        historical: &stock.historical,
        live: &stock.live,
        revision: board.revision,
        processed_at: board.success.as_ref().and_then(|run| run.processed_at),
        age_seconds: board.success.as_ref().and_then(Run::age_seconds),
    })
    .into_response())
}

fn unknown(board: &Board, name: &str, location: &Location) -> Problem {
    if board.stocks.is_empty() {
        return Problem::new(StatusCode::NOT_FOUND, "no-data", "there are no rows yet")
            .hint(not_yet(location));
    }
    let said = format!("no rows are stored for the stock {name:?}");
    let problem = Problem::new(StatusCode::NOT_FOUND, "unknown-stock", said);
    match board.nearest(name) {
        Some(nearest) => problem.hint(format!("did you mean {nearest}? GET /api/v1/stocks lists all")),
        None => problem.hint("GET /api/v1/stocks lists the stocks that have rows"),
    }
}

/// The past of the processor.
#[derive(Debug, Serialize, ToSchema)]
struct ProcessingHistory {
    /// The newest first.
    processing_history: Vec<Run>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// The latest runs, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/stocks/processing-history",
    params(Limit),
    responses((status = 200, body = ProcessingHistory))
)]
async fn history(
    State(desk): State<Arc<Desk>>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Json<ProcessingHistory>, Problem> {
    let limit = Limit::read(query, 50)?;
    let runs = desk.boards.read(move |tables| rows::runs(tables, limit)).await?;
    let message = runs.is_none().then(|| not_yet(desk.boards.location()));
    Ok(Json(ProcessingHistory { processing_history: runs.unwrap_or_default(), message }))
}

/// What somebody likes to see.
#[derive(Debug, Serialize, ToSchema)]
struct Favorites {
    favorites: Vec<String>,
}

/// The lines of the file of favourites; none without one.
#[utoipa::path(get, path = "/api/v1/stocks/favorites/list", responses((status = 200, body = Favorites)))]
async fn favorites(State(desk): State<Arc<Desk>>) -> Result<Json<Favorites>, Problem> {
    let path = desk.favorites.clone();
    let read = tokio::task::spawn_blocking(move || whole::read_small(&path)).await;
    let bytes = match read.map_err(|e| anyhow::anyhow!(e))? {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => {
            let said = format!("cannot read {}: {e}", desk.favorites.display());
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store", said)
                .hint("check the file of --favorites and its rights"));
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let favorites = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned);
    Ok(Json(Favorites { favorites: favorites.collect() }))
}

/// A strike whose open interest has changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Move {
    stock: String,
    /// `Call` or `Put`.
    side: &'static str,
    /// `Call Support`, `Put Resistance`, …
    section: String,
    strike: Option<f64>,
    /// Open interest now.
    oi: Option<f64>,
    /// How far that is from what it was.
    diff: f64,
}

/// Where most was opened and most was closed.
#[derive(Debug, Serialize, ToSchema)]
struct Biggest {
    /// The greatest first.
    builds: Vec<Move>,
    /// The least first.
    unwinds: Vec<Move>,
    revision: i64,
}

/// The biggest builds and unwinds of open interest across all stocks.
#[utoipa::path(get, path = "/api/v1/stocks/biggest", params(Limit), responses((status = 200, body = Biggest)))]
async fn biggest(
    State(desk): State<Arc<Desk>>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Json<Biggest>, Problem> {
    let limit = Limit::read(query, 20)? as usize;
    let board = desk.boards.current().await?;
    let mut moves = moves(&board);
    moves.sort_by(|a, b| b.diff.total_cmp(&a.diff).then_with(|| by_place(a, b)));
    let builds = moves.iter().take_while(|one| one.diff > 0.0).take(limit).cloned().collect();
    moves.sort_by(|a, b| a.diff.total_cmp(&b.diff).then_with(|| by_place(a, b)));
    let unwinds = moves.into_iter().take_while(|one| one.diff < 0.0).take(limit).collect();
    Ok(Json(Biggest { builds, unwinds, revision: board.revision }))
}

/// Each strike of a side once, though it may be support and resistance.
fn moves(board: &Board) -> Vec<Move> {
    let mut moves = Vec::new();
    for stock in &board.stocks {
        let mut seen = HashSet::new();
        for row in stock.live.iter().filter(|row| !row.label.starts_with(TOTAL)) {
            let side = if row.section.starts_with("Call") { "Call" } else { "Put" };
            let Some(diff) = row.numbers.oi_diff.filter(|_| seen.insert((side, &row.strike))) else {
                continue;
            };
            let (stock, section) = (stock.name.clone(), row.section.clone());
            moves.push(Move {
                stock,
                side,
                section,
                strike: row.numbers.strike,
                oi: row.numbers.prev_oi,
                diff,
            });
        }
    }
    moves
}

fn by_place(a: &Move, b: &Move) -> Ordering {
    let strike = |one: &Move| one.strike.unwrap_or(0.0);
    a.stock.cmp(&b.stock).then(a.side.cmp(b.side)).then(strike(a).total_cmp(&strike(b)))
}

/// Cells that are not what they should be.
#[derive(Debug, Serialize, ToSchema)]
struct Issues<'a> {
    /// In the order of the workbooks.
    issues: Vec<&'a Issue>,
    /// How many there are in all.
    total: i64,
}

/// The odd cells of the snapshot.
#[utoipa::path(get, path = "/api/v1/issues", params(Limit), responses((status = 200, body = Issues)))]
async fn issues(
    State(desk): State<Arc<Desk>>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Response, Problem> {
    let limit = Limit::read(query, 100)? as usize;
    let board = desk.boards.current().await?;
    let issues = board.issues.iter().take(limit).collect();
    Ok(Json(Issues { issues, total: board.issue_count }).into_response())
}
