//! The API's questions about what happens and happened: events, the history and `why`. The history is read from its file
//! on a thread beside the API's own; the driver is asked for the status only.

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::sse::{self, Sse};
use axum::routing::get;
use jiff::tz::TimeZone;
use serde::Serialize;
use soloist_api::error::Problem;
use soloist_api::event::Event;
use soloist_api::history::{EventsQuery, HistoryQuery};
use soloist_os::layout::Layout;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::{Answer, ended, json, misunderstood, refuse};
use crate::account;
use crate::history::{History, read};
use crate::inbox::{Inbox, Input};

/// How many events may be on their way to one reader.
const EVENTS_AHEAD: usize = 64;

/// What the questions about the past need.
#[derive(Clone)]
pub struct Past {
    /// To ask the driver.
    pub inbox: Inbox,
    /// To have all written that is under way.
    pub history: History,
    /// Where things lie.
    pub layout: Layout,
}

/// Their routes.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(past: Past) -> Router<S> {
    Router::new()
        .route("/api/v1/events", get(events))
        .route("/api/v1/history", get(history))
        .route("/api/v1/services/{name}/why", get(why))
        .with_state(past)
}

async fn events(State(past): State<Past>, query: Result<Query<EventsQuery>, QueryRejection>) -> Answer {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return refuse(&misunderstood(&e)),
    };
    let lines = query.history.then(|| past.history.subscribe());
    let (reply, answer) = oneshot::channel();
    let _ = past.inbox.send(Input::Subscribe { reply });
    match answer.await {
        Ok(Ok(changes)) => {
            let (out, events) = mpsc::channel(EVENTS_AHEAD);
            tokio::spawn(pass_on(changes, lines, past.history, out));
            let events = ReceiverStream::new(events);
            Sse::new(events.map(|event| sse::Event::default().json_data(event))).into_response()
        }
        Ok(Err(problem)) => refuse(&problem),
        Err(_) => refuse(&ended()),
    }
}

/// Passes events on until the reader has gone or the driver has ended. A reader that was too slow is told so, and never
/// slows anybody.
async fn pass_on(
    mut changes: broadcast::Receiver<Event>,
    mut lines: Option<broadcast::Receiver<Event>>,
    history: History,
    out: mpsc::Sender<Event>,
) {
    loop {
        let next = tokio::select! {
            () = out.closed() => return,
            change = changes.recv() => change,
            line = next_of(&mut lines) => line,
        };
        let event = match next {
            Ok(event) => event,
            Err(RecvError::Lagged(_)) => Event::Resync,
            Err(RecvError::Closed) => break,
        };
        if out.send(event).await.is_err() {
            return;
        }
    }
    // The driver has ended; what it told last is on its way.
    history.settle().await;
    while let Some(Ok(line)) = lines.as_mut().map(broadcast::Receiver::try_recv) {
        if out.send(line).await.is_err() {
            return;
        }
    }
}

async fn next_of(lines: &mut Option<broadcast::Receiver<Event>>) -> Result<Event, RecvError> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

async fn history(State(past): State<Past>, query: Result<Query<HistoryQuery>, QueryRejection>) -> Answer {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return refuse(&misunderstood(&e).hint("it may say service, since, after and limit")),
    };
    past.history.settle().await;
    aside(move || read::read(&past.layout.history(), &query)).await
}

async fn why(State(past): State<Past>, Path(name): Path<String>) -> Answer {
    let (reply, answer) = oneshot::channel();
    let _ = past.inbox.send(Input::Why { name: name.clone(), reply });
    let Ok(known) = answer.await else { return refuse(&ended()) };
    past.history.settle().await;
    aside(move || account::of(&past.layout, &name, known, &TimeZone::system())).await
}

/// Disks take their time: not on the API's one thread.
async fn aside<T: Serialize + Send + 'static>(
    look: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Answer {
    match tokio::task::spawn_blocking(look).await {
        Ok(Ok(found)) => json(StatusCode::OK, "application/json", &found),
        Ok(Err(problem)) => refuse(&problem),
        Err(_) => refuse(&ended()),
    }
}
