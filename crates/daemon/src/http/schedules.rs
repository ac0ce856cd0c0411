//! The API's routes about schedules: what they are, how they are changed, and runs beside them.

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use soloist_api::error::{Code, Problem};
use soloist_api::request::Change;
use soloist_api::schedule::{Clear, Done, Edit, Named, Overridden, Override, Schedules};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, ask, misunderstood, read, refuse};
use crate::inbox::{Inbox, Input};

pub(super) fn routes() -> OpenApiRouter<Inbox> {
    OpenApiRouter::new()
        .routes(routes!(all))
        .routes(routes!(one, edit))
        .routes(routes!(verb))
        .routes(routes!(run))
        .routes(routes!(override_hours, clear))
}

/// All schedules, and what there is to say of all of them.
#[utoipa::path(get, path = "/api/v1/schedules", responses((status = 200, body = Schedules)))]
async fn all(State(inbox): State<Inbox>) -> Answer {
    ask(&inbox, |reply| Input::Schedules { reply }).await
}

/// One schedule.
#[utoipa::path(get, path = "/api/v1/schedules/{name}", responses((status = 200, body = Named)))]
async fn one(State(inbox): State<Inbox>, Path(name): Path<String>) -> Answer {
    ask(&inbox, |reply| Input::Schedule { name, reply }).await
}

/// Changes one, until that is reset.
#[utoipa::path(
    patch,
    path = "/api/v1/schedules/{name}",
    params(("name" = String, Path)),
    request_body = Option<Edit>,
    responses((status = 200, body = Done))
)]
async fn edit(State(inbox): State<Inbox>, Path(name): Path<String>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(edit) => ask(&inbox, |reply| Input::Reschedule { name, edit, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

/// Pauses or resumes one, or runs it now.
#[utoipa::path(
    post,
    path = "/api/v1/schedules/{name}/{verb}",
    params(("name" = String, Path), ("verb" = String, Path, pattern = "^(run|pause|resume)$")),
    request_body = Option<Change>,
    responses((status = 200, body = Done))
)]
async fn verb(State(inbox): State<Inbox>, Path((name, verb)): Path<(String, String)>, body: Bytes) -> Answer {
    let change: Change = match read(&body) {
        Ok(change) => change,
        Err(problem) => return refuse(&problem),
    };
    let pause = |paused| Edit { paused: Some(paused), who: change.who.clone(), ..Edit::default() };
    let edit = match verb.as_str() {
        "run" => return ask(&inbox, |reply| Input::RunNow { name, change, reply }).await,
        "pause" => pause(true),
        "resume" => pause(false),
        other => {
            let problem = Problem::new(Code::Usage, format!("no such action: {other}"));
            return refuse(&problem.hint("run, pause and resume are"));
        }
    };
    ask(&inbox, |reply| Input::Reschedule { name, edit, reply }).await
}

/// Runs one now: the same as beside its schedule.
#[utoipa::path(
    post,
    path = "/api/v1/services/{name}/run",
    params(("name" = String, Path)),
    request_body = Option<Change>,
    responses((status = 200, body = Done))
)]
async fn run(inbox: State<Inbox>, Path(name): Path<String>, body: Bytes) -> Answer {
    verb(inbox, Path((name, "run".to_owned())), body).await
}

/// Opens or closes a window or calendar for a time.
#[utoipa::path(
    post,
    path = "/api/v1/overrides",
    request_body = Override,
    responses((status = 200, body = Overridden))
)]
async fn override_hours(State(inbox): State<Inbox>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(hours) => ask(&inbox, |reply| Input::Override { hours, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

/// Takes that back.
#[utoipa::path(delete, path = "/api/v1/overrides", params(Clear), responses((status = 200, body = Overridden)))]
async fn clear(State(inbox): State<Inbox>, query: Result<Query<Clear>, QueryRejection>) -> Answer {
    match query {
        Ok(Query(clear)) => ask(&inbox, |reply| Input::ClearOverrides { clear, reply }).await,
        Err(e) => refuse(&misunderstood(&e).hint("it may say of and who")),
    }
}
