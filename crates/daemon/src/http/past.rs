//! The API's questions about what happened: the history, runs and `why`. The history is read from its file on a thread
//! beside the API's own; the driver is asked for the status only.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use jiff::tz::TimeZone;
use serde::Serialize;
use soloist_api::error::Problem;
use soloist_api::history::{HistoryQuery, Why};
use soloist_api::watch::{Runs, RunsQuery};
use soloist_os::layout::Layout;
use tokio::sync::oneshot;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::glance::Glance;
use super::{Answer, ended, json, misunderstood, refuse};
use crate::account;
use crate::history::{self, History, read};
use crate::inbox::{Inbox, Input};
use crate::tally::Tally;

/// What questions need beside the driver.
#[derive(Clone)]
pub struct Past {
    /// To ask the driver.
    pub inbox: Inbox,
    /// To have all written that is under way.
    pub history: History,
    /// What is counted.
    pub tally: Tally,
    /// How all is.
    pub glance: Glance,
    /// Where things lie.
    pub layout: Layout,
}

/// Their routes.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(past: Past) -> OpenApiRouter<S> {
    OpenApiRouter::new().routes(routes!(history)).routes(routes!(runs)).routes(routes!(why)).with_state(past)
}

/// What happened.
#[utoipa::path(
    get,
    path = "/api/v1/history",
    params(HistoryQuery),
    responses((status = 200, body = soloist_api::history::History))
)]
async fn history(State(past): State<Past>, query: Result<Query<HistoryQuery>, QueryRejection>) -> Answer {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return refuse(&misunderstood(&e).hint("it may say service, since, after and limit")),
    };
    past.history.settle().await;
    aside(move || read::read(&past.layout.history(), &query)).await
}

/// Runs, the newest first.
#[utoipa::path(get, path = "/api/v1/runs", params(RunsQuery), responses((status = 200, body = Runs)))]
async fn runs(State(past): State<Past>, query: Result<Query<RunsQuery>, QueryRejection>) -> Answer {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => return refuse(&misunderstood(&e).hint("it may say service and limit")),
    };
    past.history.settle().await;
    aside(move || history::runs::runs(&past.layout.history(), &query)).await
}

/// Why one is as it is, in words.
#[utoipa::path(get, path = "/api/v1/services/{name}/why", responses((status = 200, body = Why)))]
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
