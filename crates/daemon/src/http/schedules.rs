//! The API's routes about schedules: what they are, how they are changed, and runs beside them.

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use soloist_api::error::{Code, Problem};
use soloist_api::request::Change;
use soloist_api::schedule::{Clear, Edit};

use super::{Answer, ask, misunderstood, read, refuse};
use crate::inbox::{Inbox, Input};

pub(super) fn routes() -> Router<Inbox> {
    Router::new()
        .route("/api/v1/schedules", get(all))
        .route("/api/v1/schedules/{name}", get(one).patch(edit))
        .route("/api/v1/schedules/{name}/{verb}", post(verb))
        .route("/api/v1/overrides", post(override_hours).delete(clear))
}

async fn all(State(inbox): State<Inbox>) -> Answer {
    ask(&inbox, |reply| Input::Schedules { reply }).await
}

async fn one(State(inbox): State<Inbox>, Path(name): Path<String>) -> Answer {
    ask(&inbox, |reply| Input::Schedule { name, reply }).await
}

async fn edit(State(inbox): State<Inbox>, Path(name): Path<String>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(edit) => ask(&inbox, |reply| Input::Reschedule { name, edit, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

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

async fn override_hours(State(inbox): State<Inbox>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(hours) => ask(&inbox, |reply| Input::Override { hours, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

async fn clear(State(inbox): State<Inbox>, query: Result<Query<Clear>, QueryRejection>) -> Answer {
    match query {
        Ok(Query(clear)) => ask(&inbox, |reply| Input::ClearOverrides { clear, reply }).await,
        Err(e) => refuse(&misunderstood(&e).hint("it may say of and who")),
    }
}
