//! `market replay`: a provider on loopback that speaks as the real one does, for the demo and the tests. It keeps a log
//! of what it was asked, and does wrong what it is told to. Prices are made in `replay/prices`.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, put};
use axum::serve::ListenerExt;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;

use crate::say;
use crate::scan::hours::Hours;
use crate::symbols::Roster;

mod faults;
mod prices;

use faults::Fault;
use prices::Prices;

const WATCHLIST: &str = include_str!("../sample/watchlist.txt");
/// Requests kept in the log.
const LOG_MAX: usize = 10_000;
/// A byte in so much time.
const DRIP: Duration = Duration::from_millis(100);
const COOKIE: &str = "A3=d=replayed&S=loopback";
const LIMIT: &str = "Too Many Requests\r\n";

/// What to replay.
#[derive(Debug, Clone, Args)]
pub struct Order {
    /// Port to listen on, on loopback; 0 takes a free one
    #[arg(long, env = "PORT")]
    port: u16,
    /// Symbols that are known, one a line [default: those of sample/watchlist.txt]
    #[arg(long)]
    symbols: Option<PathBuf>,
    /// Other seeds are other markets
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What to do wrong from the start; later by PUT /fault/MODE
    #[arg(long, default_value = "ok")]
    fault: Fault,
    /// Moment that counts as the start, such as 2026-11-20T10:00-05:00 [default: now]
    #[arg(long)]
    clock: Option<Timestamp>,
}

/// Replays until a signal asks for the end.
///
/// # Errors
/// The list of symbols cannot be read; the port is taken.
pub fn run(order: Order) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the server's runtime")?.block_on(serve(order))
}

/// All that the answers are made from.
struct Stand {
    symbols: Vec<String>,
    prices: Prices,
    clock: Option<Timestamp>,
    began: Instant,
    mood: Mutex<Mood>,
    log: Mutex<VecDeque<Asked>>,
}

/// What can be switched.
struct Mood {
    fault: Fault,
    retry_after: String,
    /// Counts the crumbs that were made invalid.
    crumb: u32,
}

/// A line of the log.
#[derive(Debug, Clone, Serialize)]
struct Asked {
    /// Milliseconds since 1970.
    at: i64,
    path: String,
    query: String,
    agent: String,
    status: u16,
}

type Shared = State<Arc<Stand>>;

async fn serve(order: Order) -> Result<()> {
    let end = crate::serve::end_signal()?;
    let mut roster = match &order.symbols {
        Some(path) => Roster::read(path)?,
        None => Roster::listed(WATCHLIST),
    };
    let mood = Mood { fault: order.fault, retry_after: "2".to_owned(), crumb: 0 };
    let stand = Arc::new(Stand {
        symbols: roster.stocks().iter().map(|(name, _)| name.clone()).collect(),
        prices: Prices { seed: order.seed, hours: Hours::of_new_york()? },
        clock: order.clock,
        began: Instant::now(),
        mood: Mutex::new(mood),
        log: Mutex::default(),
    });
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, order.port));
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; if another program holds the port, end it or choose another by --port")
    })?;
    say::line(format_args!("replaying on http://{}", listener.local_addr()?));
    let resetting = stand.clone();
    let listener = listener.tap_io(move |stream| {
        // Closed without lingering, a connection is reset.
        if lock(&resetting.mood).fault == Fault::Reset {
            let _ = stream.set_zero_linger();
        }
    });
    let server = axum::serve(listener, router(stand));
    tokio::select! {
        done = server.into_future() => done.context("the server broke off"),
        _ = end => Ok(()),
    }
}

fn router(stand: Arc<Stand>) -> Router {
    let provider = Router::new()
        .route("/", get(cookie))
        .route("/v1/test/getcrumb", get(crumb))
        .route("/v7/finance/quote", get(quote))
        .route("/v1/finance/screener/predefined/saved", get(screen))
        .layer(middleware::from_fn_with_state(stand.clone(), faulty));
    let desk = Router::new().route("/requests", get(requests)).route("/fault/{mode}", put(switch));
    provider.merge(desk).with_state(stand)
}

/// Writes the log, and does wrong what goes wrong whatever the answer is.
async fn faulty(State(stand): Shared, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let agent = agent.unwrap_or_default().to_owned();
    let at = Timestamp::now().as_millisecond();
    let (fault, retry_after) = {
        let mood = lock(&stand.mood);
        (mood.fault, mood.retry_after.clone())
    };
    let is_data = path.contains("/finance/");
    let response = match fault {
        Fault::Limit => (StatusCode::TOO_MANY_REQUESTS, LIMIT).into_response(),
        Fault::LimitAfter => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, retry_after)], LIMIT).into_response()
        }
        // The real one does so, too.
        _ if agent.is_empty() => (StatusCode::TOO_MANY_REQUESTS, LIMIT).into_response(),
        Fault::Html if is_data => {
            ([(header::CONTENT_TYPE, "text/html")], "<!doctype html><title>Will be right back</title>")
                .into_response()
        }
        _ => next.run(request).await,
    };
    stand.note(Asked { at, path, query, agent, status: response.status().as_u16() });
    match fault {
        Fault::Drip | Fault::Truncated | Fault::Reset if is_data => spoil(response, fault).await,
        _ => response,
    }
}

/// Sends the body otherwise than it should be.
async fn spoil(response: Response, fault: Fault) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let half = body.slice(..body.len() / 2);
    parts.headers.remove(header::CONTENT_LENGTH);
    if fault == Fault::Truncated {
        return Response::from_parts(parts, Body::from(half));
    }
    let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(1);
    tokio::spawn(async move {
        if fault == Fault::Reset {
            let _ = sender.send(Ok(half)).await;
            let _ = sender.send(Err(std::io::Error::other("reset on demand"))).await;
            return;
        }
        for at in 0..body.len() {
            // The reader went away.
            if sender.send(Ok(body.slice(at..=at))).await.is_err() {
                return;
            }
            tokio::time::sleep(DRIP).await;
        }
    });
    Response::from_parts(parts, Body::from_stream(ReceiverStream::new(receiver)))
}

async fn cookie() -> Response {
    let cookie = format!("{COOKIE}; Expires=Tue, 23 Nov 2027 00:00:00 GMT; Path=/; HttpOnly");
    (StatusCode::NOT_FOUND, [(header::SET_COOKIE, cookie)], "").into_response()
}

async fn crumb(State(stand): Shared, headers: HeaderMap) -> Response {
    let (fault, crumb) = {
        let mood = lock(&stand.mood);
        (mood.fault, mood.crumb())
    };
    match fault {
        Fault::CrumbLimit => LIMIT.into_response(),
        _ if !has_cookie(&headers) => unauthorized("Invalid Cookie"),
        _ => crumb.into_response(),
    }
}

async fn quote(
    State(stand): Shared,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = stand.refuse(&query, &headers) {
        return refusal;
    }
    let wanted = query.get("symbols").map_or("", String::as_str).split(',');
    let known = wanted.filter(|symbol| stand.symbols.iter().any(|known| known == symbol));
    let quotes = stand.quotes(known);
    Json(json!({"quoteResponse": {"result": quotes, "error": null}})).into_response()
}

async fn screen(
    State(stand): Shared,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = stand.refuse(&query, &headers) {
        return refusal;
    }
    let by = match query.get("scrIds").map(String::as_str) {
        Some("day_gainers") => (1.0, "regularMarketChangePercent"),
        Some("day_losers") => (-1.0, "regularMarketChangePercent"),
        Some("most_actives") => (1.0, "regularMarketVolume"),
        _ => {
            let error = json!({"finance": {"result": null, "error": {"code": "Not Found", "description": "No such screener"}}});
            return (StatusCode::NOT_FOUND, Json(error)).into_response();
        }
    };
    let now = stand.now();
    let rank = |symbol: &str| by.0 * stand.prices.quote(symbol, now)[by.1].as_f64().unwrap_or(0.0);
    let mut symbols: Vec<&str> = stand.symbols.iter().map(String::as_str).collect();
    symbols.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    let count = query.get("count").and_then(|count| count.parse().ok()).unwrap_or(25).min(250);
    let quotes = stand.quotes(symbols.into_iter().take(count));
    let list = json!({"id": "replayed", "title": query.get("scrIds"), "total": stand.symbols.len(), "count": quotes.len(), "quotes": quotes});
    Json(json!({"finance": {"result": [list], "error": null}})).into_response()
}

async fn requests(State(stand): Shared) -> Json<Vec<Asked>> {
    Json(lock(&stand.log).iter().cloned().collect())
}

async fn switch(
    State(stand): Shared,
    Path(mode): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let fault: Fault = match mode.parse() {
        Ok(fault) => fault,
        Err(why) => {
            return (StatusCode::NOT_FOUND, format!("no fault {mode:?} is known; {why}\n")).into_response();
        }
    };
    let mut mood = lock(&stand.mood);
    if let Some(after) = query.get("retry-after").filter(|after| HeaderValue::from_str(after).is_ok()) {
        mood.retry_after.clone_from(after);
    }
    mood.crumb += u32::from(fault == Fault::StaleCrumb);
    mood.fault = fault;
    format!("{fault}\n").into_response()
}

impl Mood {
    /// With signs that must be escaped in a URL.
    fn crumb(&self) -> String {
        format!("aB/3.x%=q{:02}", self.crumb)
    }
}

impl Stand {
    fn now(&self) -> Timestamp {
        match self.clock {
            Some(start) => start.saturating_add(self.began.elapsed()).unwrap_or(Timestamp::MAX),
            None => Timestamp::now(),
        }
    }

    fn note(&self, asked: Asked) {
        let mut log = lock(&self.log);
        if log.len() == LOG_MAX {
            log.pop_front();
        }
        log.push_back(asked);
    }

    fn quotes<'a>(&self, symbols: impl Iterator<Item = &'a str>) -> Vec<Value> {
        let now = self.now();
        let mut quotes: Vec<Value> = symbols.map(|symbol| self.prices.quote(symbol, now)).collect();
        prices::harm(&mut quotes, lock(&self.mood).fault);
        quotes
    }

    /// The answer to a request without the right cookie and crumb.
    fn refuse(&self, query: &HashMap<String, String>, headers: &HeaderMap) -> Option<Response> {
        let mood = lock(&self.mood);
        if !has_cookie(headers) {
            Some(unauthorized("Invalid Cookie"))
        } else if mood.fault == Fault::Unauthorized || query.get("crumb") != Some(&mood.crumb()) {
            Some(unauthorized("Invalid Crumb"))
        } else {
            None
        }
    }
}

fn has_cookie(headers: &HeaderMap) -> bool {
    headers.get(header::COOKIE).is_some_and(|cookie| cookie == COOKIE)
}

fn unauthorized(why: &str) -> Response {
    let error = json!({"finance": {"result": null, "error": {"code": "Unauthorized", "description": why}}});
    (StatusCode::UNAUTHORIZED, Json(error)).into_response()
}

/// Nothing panics while it holds one of these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
