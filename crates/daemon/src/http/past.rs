//! The API's questions about what happened: the history, runs and `why`. The history is read from its file on a thread
//! beside the API's own; the driver is asked for the status only.

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use jiff::tz::TimeZone;
use serde::Serialize;
use soloist_api::error::Problem;
use soloist_api::history::HistoryQuery;
use soloist_api::watch::RunsQuery;
use soloist_os::layout::Layout;
use tokio::sync::oneshot;

use super::{Answer, ended, json, misunderstood, refuse};
use crate::account;
use crate::history::{self, History, read};
use crate::inbox::{Inbox, Input};

/// What questions need beside the driver.
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
        .route("/api/v1/history", get(history))
        .route("/api/v1/runs", get(runs))
        .route("/api/v1/services/{name}/why", get(why))
        .with_state(past)
}

async fn history(State(past): State<Past>, query: Result<Query<HistoryQuery>, QueryRejection>) -> Answer {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return refuse(&misunderstood(&e).hint("it may say service, since, after and limit")),
    };
    past.history.settle().await;
    aside(move || read::read(&past.layout.history(), &query)).await
}

async fn runs(State(past): State<Past>, query: Result<Query<RunsQuery>, QueryRejection>) -> Answer {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return refuse(&misunderstood(&e).hint("it may say service and limit")),
    };
    past.history.settle().await;
    aside(move || history::runs::runs(&past.layout.history(), &query)).await
}

async fn why(State(past): State<Past>, Path(name): Path<String>) -> Answer {
    let (reply, answer) = oneshot::channel();
    let _ = past.inbox.send(Input::Why { name: name.clone(), reply });
    let Ok(known) = answer.await else { return refuse(&ended()) };
    past.history.settle().await;
    aside(move || account::of(&past.layout, &name, known, &TimeZone::system())).await
}

/// Disks take their time: not on the API's one thread.
pub(super) async fn aside<T: Serialize + Send + 'static>(
    look: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Answer {
    match tokio::task::spawn_blocking(look).await {
        Ok(Ok(found)) => json(StatusCode::OK, "application/json", &found),
        Ok(Err(problem)) => refuse(&problem),
        Err(_) => refuse(&ended()),
    }
}
