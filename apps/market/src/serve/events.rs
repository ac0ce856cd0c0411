//! `GET /api/v1/events`: what changes, as server-sent events (WHATWG HTML, section 9.2). One look a second serves all
//! readers, and there is none while nobody reads.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::background::{self, Background};
use super::problem::Problem;
use super::scanner::{self, ScannerStatus, ScraperStatus};
use super::{Desk, access};
use crate::board::quotes::Scan;

/// So many readers.
const READERS_MOST: usize = 64;
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// So often a stream on which nothing happens says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Its route.
pub fn routes() -> OpenApiRouter<Arc<Desk>> {
    OpenApiRouter::new().routes(routes!(follow))
}

/// There are other rows.
#[derive(Debug, Serialize, ToSchema)]
struct Snapshot {
    revision: i64,
    processed_at: Option<Timestamp>,
}

/// The workers have changed.
#[derive(Debug, Serialize, ToSchema)]
struct Workers {
    processor: Background,
    scanner: ScannerStatus,
    scraper: ScraperStatus,
}

/// What there is to tell, as JSON; each is told when it differs from what a reader was told before.
type News = [(&'static str, String); 3];

/// Where readers find the news.
pub struct Feed {
    news: watch::Sender<Arc<News>>,
    places: Arc<Semaphore>,
    ended: watch::Receiver<bool>,
    is_looked_after: AtomicBool,
}

impl Feed {
    /// A feed that ends when this is true.
    pub fn new(ended: watch::Receiver<bool>) -> Self {
        let places = Arc::new(Semaphore::new(READERS_MOST));
        Self { news: watch::Sender::default(), places, ended, is_looked_after: AtomicBool::new(false) }
    }
}

/// What changes from now on, and first what is so now: `snapshot` (other rows), `scan`, `workers`.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    responses((status = 200, body = inline((Snapshot, Scan, Workers)), content_type = "text/event-stream"))
)]
async fn follow(State(desk): State<Arc<Desk>>) -> Response {
    let Ok(place) = Arc::clone(&desk.feed.places).try_acquire_owned() else {
        let said = format!("{READERS_MOST} streams are open already");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "busy", said);
        return access::closed(problem.hint("close one; a page needs one"));
    };
    let mut news = desk.feed.news.subscribe();
    // The first reader sets the looks going; they end with the last, and are never doubled.
    if !desk.feed.is_looked_after.swap(true, Ordering::SeqCst) {
        tokio::spawn(look(Arc::clone(&desk)));
    }
    let mut ended = desk.feed.ended.clone();
    let (out, events) = mpsc::channel::<Event>(1);
    tokio::spawn(async move {
        let _place = place;
        let mut told = News::default();
        let tell = async {
            loop {
                let now = Arc::clone(&news.borrow_and_update());
                for (before, now) in told.iter_mut().zip(now.iter().filter(|(_, json)| !json.is_empty())) {
                    if before != now {
                        before.clone_from(now);
                        out.send(Event::default().event(now.0).data(&now.1)).await.ok()?;
                    }
                }
                news.changed().await.ok()?;
            }
        };
        tokio::select! {
            None::<()> = tell => {}
            () = out.closed() => {}
            _ = ended.wait_for(|is_ended| *is_ended) => {}
        }
    });
    let events = ReceiverStream::new(events).map(Ok::<_, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// Looks once a second as long as somebody listens.
async fn look(desk: Arc<Desk>) {
    let mut again = tokio::time::interval(LOOK_AGAIN);
    loop {
        again.tick().await;
        if desk.feed.news.receiver_count() == 0 {
            desk.feed.is_looked_after.store(false, Ordering::SeqCst);
            // Who came in between has found it looked after.
            let has_come = desk.feed.news.receiver_count() > 0;
            if !has_come || desk.feed.is_looked_after.swap(true, Ordering::SeqCst) {
                return;
            }
        }
        let board = desk.boards.current().await.ok();
        let snapshot = board.as_ref().map(|board| Snapshot {
            revision: board.revision,
            processed_at: board.success.as_ref().and_then(|run| run.processed_at),
        });
        let (processor, scanner, scraper) =
            tokio::join!(background::look(&desk), scanner::look(&desk), scanner::look_at_work(&desk));
        let news = [
            ("snapshot", json(&snapshot)),
            ("scan", json(&board.as_ref().and_then(|board| board.scan.as_ref()))),
            ("workers", json(&Workers { processor, scanner, scraper })),
        ];
        desk.feed.news.send_if_modified(|known| {
            let is_news = **known != news;
            if is_news {
                *known = Arc::new(news);
            }
            is_news
        });
    }
}

/// Nothing to tell is no text.
fn json(what: &impl Serialize) -> String {
    serde_json::to_string(what).ok().filter(|text| text != "null").unwrap_or_default()
}
