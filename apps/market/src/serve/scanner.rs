//! The gap scanner: whether it runs, what it is at, orders to start and stop it, and what it has found.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Desk;
use super::problem::Problem;
use super::supervisor::{Changed, Worker, note};
use crate::board::Board;
use crate::board::quotes::{Quote, Scan};
use crate::clock;

const LIMIT_MAX: u32 = 5000;

/// Their routes.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(start))
        .routes(routes!(stop))
        .routes(routes!(scraper_status))
        .routes(routes!(cache_status))
        .routes(routes!(cache_ready))
        .routes(routes!(instant_data))
}

/// How the scanner stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScannerStatus {
    /// Its process lives.
    running: bool,
    /// Soloist knows it.
    managed_process: bool,
    /// Its claim is held: nobody else can run it.
    pid_file_detected: bool,
    pid: Option<u32>,
    /// A soloist answers.
    supervised: bool,
    /// Somebody wants it up.
    wanted: bool,
    /// What soloist says of it, in a word: `ready`, `scheduled`, `stopped`, …
    state: Option<String>,
    /// What it says of itself.
    said: Option<String>,
    /// When its window opens or closes.
    until: Option<Timestamp>,
    /// What there is to say: why it sleeps, and until when.
    note: Option<String>,
}

/// Looks at it.
pub async fn look(desk: &Desk) -> ScannerStatus {
    let worker = desk.supervisor.look(&desk.scanner).await;
    let status = worker.status();
    ScannerStatus {
        running: status.is_some_and(|status| status.pid.is_some()),
        managed_process: status.is_some(),
        pid_file_detected: status.is_some_and(|status| status.holder.is_some() || status.pid.is_some()),
        pid: status.and_then(|status| status.pid),
        supervised: worker.is_supervised(),
        wanted: status.is_some_and(|status| status.wanted == "up"),
        state: status.map(|status| status.state.clone()),
        said: status.and_then(|status| status.said.status.clone()),
        until: status.and_then(|status| status.schedule.as_ref()?.until),
        note: status.and_then(note),
    }
}

/// Whether the scanner runs, and who says so.
#[utoipa::path(get, path = "/api/scanner/status", responses((status = 200, body = ScannerStatus)))]
async fn status(State(desk): State<Arc<Desk>>) -> Json<ScannerStatus> {
    Json(look(&desk).await)
}

/// Starts the scanner; one that runs stays.
#[utoipa::path(post, path = "/api/scanner/start", responses((status = 200, body = Changed)))]
async fn start(State(desk): State<Arc<Desk>>) -> Result<Json<Changed>, Problem> {
    let status = desk.supervisor.turn(&desk.scanner, true).await?;
    Ok(Json(Changed::to(match (status.pid, note(&status)) {
        (Some(pid), _) => format!("Background scanner runs, pid {pid}"),
        (None, Some(note)) => format!("Background scanner started: {note}"),
        (None, None) => format!("Background scanner started: it is {}", status.state),
    })))
}

/// Stops the scanner, verified; so it stays.
#[utoipa::path(post, path = "/api/scanner/stop", responses((status = 200, body = Changed)))]
async fn stop(State(desk): State<Arc<Desk>>) -> Result<Json<Changed>, Problem> {
    desk.supervisor.turn(&desk.scanner, false).await?;
    Ok(Json(Changed::to("Background scanner stopped")))
}

/// What the scanner is at.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScraperStatus {
    /// Its process lives.
    running: bool,
    /// `idle`, `checking`, `scraping` or `sleeping`, as it says itself.
    state: String,
    /// How far it is: `3/12`.
    progress: Option<String>,
    /// When the last scan ended.
    last_check: Option<Timestamp>,
    process_alive: bool,
    pid: Option<u32>,
    supervised: bool,
}

/// Looks at what it is at.
pub async fn look_at_work(desk: &Desk) -> ScraperStatus {
    let worker = desk.supervisor.look(&desk.scanner).await;
    let last_check = desk.boards.current().await.ok().and_then(|board| board.scan.as_ref()?.finished_at);
    let status = worker.status();
    let pid = status.and_then(|status| status.pid);
    ScraperStatus {
        running: pid.is_some(),
        state: state(&worker),
        progress: status.and_then(|status| status.said.progress.clone()),
        last_check,
        process_alive: pid.is_some(),
        pid,
        supervised: worker.is_supervised(),
    }
}

/// Outside its hours it sleeps; who does not run is idle.
fn state(worker: &Worker) -> String {
    let Some(status) = worker.status() else { return "idle".to_owned() };
    let is_closed = status.schedule.as_ref().is_some_and(|schedule| schedule.open == Some(false));
    match (status.pid, &status.said.state) {
        (Some(_), Some(said)) => said.clone(),
        (None, _) if status.wanted == "up" && is_closed => "sleeping".to_owned(),
        (Some(_), None) | (None, _) => "idle".to_owned(),
    }
}

/// What the scanner is at, with its process.
#[utoipa::path(get, path = "/api/scraper-status", responses((status = 200, body = ScraperStatus)))]
async fn scraper_status(State(desk): State<Arc<Desk>>) -> Json<ScraperStatus> {
    Json(look_at_work(&desk).await)
}

/// What is there of quotes.
#[derive(Debug, Serialize, ToSchema)]
struct CacheStatus {
    /// There are quotes.
    ready: bool,
    /// So many.
    count: usize,
    /// Of the last scan: `pre`, `regular`, `after`, `closed`.
    session: Option<String>,
    /// When the last scan that got all it wanted ended.
    updated_at: Option<Timestamp>,
    /// Seconds since then.
    age_seconds: Option<i64>,
    /// The oldest quote is so old, in seconds.
    oldest_seconds: Option<i64>,
    /// The last scan, whole or not.
    last_scan: Option<Scan>,
    /// Why there is nothing.
    message: Option<String>,
}

fn cache(board: &Board) -> CacheStatus {
    let updated_at = board.whole_scan.as_ref().and_then(|scan| scan.finished_at);
    let oldest = board.quotes.iter().filter_map(|quote| quote.fetched_at).min();
    let is_empty = board.quotes.is_empty();
    CacheStatus {
        ready: !is_empty,
        count: board.quotes.len(),
        session: board.scan.as_ref().and_then(|scan| scan.session.clone()),
        updated_at,
        age_seconds: updated_at.map(clock::seconds_since),
        oldest_seconds: oldest.map(clock::seconds_since),
        last_scan: board.scan.clone(),
        message: is_empty.then(|| "no scan has stored a quote yet; start the scanner".to_owned()),
    }
}

/// How many quotes there are, and how old they are.
#[utoipa::path(get, path = "/api/cache_status", responses((status = 200, body = CacheStatus)))]
async fn cache_status(State(desk): State<Arc<Desk>>) -> Result<Json<CacheStatus>, Problem> {
    Ok(Json(cache(&*desk.boards.current().await?)))
}

/// Whether there are quotes.
#[derive(Debug, Serialize, ToSchema)]
struct CacheReady {
    ready: bool,
    count: usize,
}

/// Whether there are quotes.
#[utoipa::path(get, path = "/api/cache_ready", responses((status = 200, body = CacheReady)))]
async fn cache_ready(State(desk): State<Arc<Desk>>) -> Result<Json<CacheReady>, Problem> {
    let count = desk.boards.current().await?.quotes.len();
    Ok(Json(CacheReady { ready: count > 0, count }))
}

/// Which quotes, in which order.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wish {
    /// Only of this session: `pre`, `regular`, `after`, `closed`.
    session: Option<String>,
    /// Only of this class of gaps.
    class: Option<String>,
    /// At least so many percent; a gap down is below 0.
    min_gap: Option<f64>,
    /// At most so many percent.
    max_gap: Option<f64>,
    min_price: Option<f64>,
    max_price: Option<f64>,
    min_volume: Option<f64>,
    min_relative_volume: Option<f64>,
    /// By what; `-` before it: the greatest first.
    #[param(inline)]
    sort: Sort,
    /// At most so many, from 1 to 5000.
    #[param(minimum = 1, maximum = 5000)]
    limit: Option<u32>,
}

/// An order of quotes. Those without the number come last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
enum Sort {
    #[serde(rename = "symbol")]
    Symbol,
    #[serde(rename = "-symbol")]
    SymbolDown,
    #[serde(rename = "gap")]
    Gap,
    #[default]
    #[serde(rename = "-gap")]
    GapDown,
    #[serde(rename = "price")]
    Price,
    #[serde(rename = "-price")]
    PriceDown,
    #[serde(rename = "volume")]
    Volume,
    #[serde(rename = "-volume")]
    VolumeDown,
    #[serde(rename = "relative_volume")]
    RelativeVolume,
    #[serde(rename = "-relative_volume")]
    RelativeVolumeDown,
    #[serde(rename = "market_cap")]
    MarketCap,
    #[serde(rename = "-market_cap")]
    MarketCapDown,
}

impl Sort {
    fn compare(self, a: &Quote, b: &Quote) -> Ordering {
        let by = |number: fn(&Quote) -> Option<f64>, is_down: bool| match (number(a), number(b)) {
            (Some(a), Some(b)) if is_down => b.total_cmp(&a),
            (Some(a), Some(b)) => a.total_cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        let order = match self {
            Self::Symbol => Ordering::Equal,
            Self::SymbolDown => return b.symbol.cmp(&a.symbol),
            Self::Gap => by(|quote| quote.gap_percent, false),
            Self::GapDown => by(|quote| quote.gap_percent, true),
            Self::Price => by(|quote| quote.price, false),
            Self::PriceDown => by(|quote| quote.price, true),
            Self::Volume => by(|quote| quote.volume, false),
            Self::VolumeDown => by(|quote| quote.volume, true),
            Self::RelativeVolume => by(|quote| quote.relative_volume, false),
            Self::RelativeVolumeDown => by(|quote| quote.relative_volume, true),
            Self::MarketCap => by(|quote| quote.market_cap, false),
            Self::MarketCapDown => by(|quote| quote.market_cap, true),
        };
        order.then_with(|| a.symbol.cmp(&b.symbol))
    }
}

impl Wish {
    fn takes(&self, quote: &Quote) -> bool {
        let is_word = |wanted: &Option<String>, found: &Option<String>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| found.as_ref().is_some_and(|found| found.eq_ignore_ascii_case(wanted)))
        };
        // A number that is not known is not in any bounds.
        let at_least = |least: Option<f64>, found: Option<f64>| {
            least.is_none_or(|least| found.is_some_and(|n| n >= least))
        };
        let at_most =
            |most: Option<f64>, found: Option<f64>| most.is_none_or(|most| found.is_some_and(|n| n <= most));
        is_word(&self.session, &quote.session)
            && is_word(&self.class, &quote.gap_class)
            && at_least(self.min_gap, quote.gap_percent)
            && at_most(self.max_gap, quote.gap_percent)
            && at_least(self.min_price, quote.price)
            && at_most(self.max_price, quote.price)
            && at_least(self.min_volume, quote.volume)
            && at_least(self.min_relative_volume, quote.relative_volume)
    }
}

/// Quotes as they were found last, at once: nobody is asked for them now.
#[derive(Debug, Serialize, ToSchema)]
struct InstantData {
    stocks: Vec<Quote>,
    /// So many met the wish; at most `limit` of them are given. `count` is how many there are.
    matched: usize,
    #[serde(flatten)]
    cache: CacheStatus,
}

/// The quotes that meet the wish.
#[utoipa::path(get, path = "/api/instant_data", params(Wish), responses((status = 200, body = InstantData)))]
async fn instant_data(
    State(desk): State<Arc<Desk>>,
    query: Result<Query<Wish>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(wish) = query?;
    let limit = wish.limit.unwrap_or(LIMIT_MAX);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let hint = format!("write limit= with a number from 1 to {LIMIT_MAX}");
        return Err(Problem::usage(format!("limit is {limit}")).hint(hint));
    }
    let board = desk.boards.current().await?;
    let mut found: Vec<&Quote> = board.quotes.iter().filter(|quote| wish.takes(quote)).collect();
    found.sort_by(|a, b| wish.sort.compare(a, b));
    let matched = found.len();
    let stocks = found.into_iter().take(limit as usize).map(Quote::of_now).collect();
    Ok(Json(InstantData { stocks, matched, cache: cache(&board) }).into_response())
}
