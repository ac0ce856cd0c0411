//! `GET /api/v1/events`: what happens, as server-sent events (WHATWG HTML, section 9.2).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{self, KeepAlive, Sse};
use soloist_api::event::Event;
use soloist_api::history::EventsQuery;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::feed::{Reader, Source};
use super::past::Past;
use super::samples::Sampler;
use super::{Answer, misunderstood, refuse};

/// So often a stream on which nothing happens says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Where a stream goes: one event is on its way, the next is made when there is room for it.
pub(super) type Out = mpsc::Sender<sse::Event>;

/// What happens, and what is used meanwhile.
#[derive(Clone)]
struct Events {
    source: Arc<Source>,
    sampler: Arc<Sampler>,
}

/// Its route.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(past: Past) -> OpenApiRouter<S> {
    let sampler = Arc::new(Sampler::new(past.layout.clone()));
    let events = Events { source: Arc::new(Source::new(past)), sampler };
    OpenApiRouter::new().routes(routes!(follow)).with_state(events)
}

/// What happens from now on, as server-sent events; with `Last-Event-ID`, from there on.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    params(EventsQuery, ("last-event-id" = Option<String>, Header)),
    responses((status = 200, body = Event, content_type = "text/event-stream"))
)]
async fn follow(
    State(events): State<Events>,
    query: Result<Query<EventsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return refuse(&misunderstood(&e).hint("it may say history and samples")),
    };
    match events.source.read(query.history, last_event_id(&headers)).await {
        Ok(reader) => {
            let samples = query.samples.then(|| events.sampler.watch());
            stream(|out| pass_on(reader, samples, out))
        }
        Err(problem) => refuse(&problem),
    }
}

/// Passes events on until the driver has ended.
async fn pass_on(mut reader: Reader, mut samples: Option<watch::Receiver<Arc<str>>>, out: Out) {
    loop {
        let event = tokio::select! {
            next = reader.next() => match next {
                Some(item) => with_data(sse::Event::default().id(item.id), item.json.as_deref()),
                None => return,
            },
            sample = latest(&mut samples) => with_data(sse::Event::default(), Some(&sample)),
        };
        if out.send(event).await.is_err() {
            return;
        }
    }
}

fn with_data(event: sse::Event, json: Option<&str>) -> sse::Event {
    match json {
        Some(json) => event.data(json),
        None => event,
    }
}

async fn latest(samples: &mut Option<watch::Receiver<Arc<str>>>) -> Arc<str> {
    if let Some(samples) = samples
        && samples.changed().await.is_ok()
    {
        return Arc::clone(&samples.borrow_and_update());
    }
    std::future::pending().await
}

/// From where a reader that comes again wants to go on.
pub(super) fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("last-event-id").and_then(|id| id.to_str().ok())
}

/// The answer that a task fills. The task ends with its reader.
pub(super) fn stream<F: Future<Output = ()> + Send + 'static>(fill: impl FnOnce(Out) -> F) -> Answer {
    let (out, events) = mpsc::channel(1);
    let task = fill(out.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = out.closed() => {}
            () = task => {}
        }
    });
    let events = ReceiverStream::new(events).map(Ok::<_, std::convert::Infallible>);
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}
