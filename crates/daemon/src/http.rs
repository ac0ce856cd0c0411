//! The API: routes to inputs, answers to JSON, problems to problem+json. It runs on a thread of its own, so that no
//! number of requests keeps the driver from its services.

pub mod past;
mod schedules;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use soloist_api::error::{Code, Problem};
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use crate::http::past::Past;
use crate::inbox::{Inbox, Input, Reply, Verb};

/// Answers on a listening socket until the driver has ended.
pub async fn serve(
    listener: UnixListener,
    inbox: Inbox,
    past: Past,
    end: oneshot::Receiver<()>,
) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/livez", get(|| async { Json(serde_json::json!({ "status": "alive" })) }))
        .route("/api/v1/services", get(list))
        .route("/api/v1/services/{name}", get(service))
        .route("/api/v1/services/{name}/instances", post(instances))
        .route("/api/v1/services/{name}/{verb}", post(change))
        .route("/api/v1/up", post(up))
        .route("/api/v1/down", post(down))
        .route("/api/v1/upgrade", post(upgrade))
        .merge(schedules::routes())
        .fallback(|| async { refuse(&Problem::new(Code::Usage, "no such path; see /api/v1/services")) })
        .with_state(inbox)
        .merge(past::routes(past));
    axum::serve(listener, routes)
        .with_graceful_shutdown(async move {
            let _ = end.await;
        })
        .await
}

type Answer = Response<Body>;

async fn list(State(inbox): State<Inbox>) -> Answer {
    ask(&inbox, |reply| Input::List { reply }).await
}

async fn service(State(inbox): State<Inbox>, Path(name): Path<String>) -> Answer {
    ask(&inbox, |reply| Input::Get { name, reply }).await
}

async fn change(
    State(inbox): State<Inbox>,
    Path((name, verb)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let verb = match verb.as_str() {
        "start" => Verb::Start,
        "ensure" => Verb::Ensure,
        "stop" => Verb::Stop,
        "restart" => Verb::Restart,
        "reload" => Verb::Reload,
        other => {
            let problem = Problem::new(Code::Usage, format!("no such action: {other}"));
            return refuse(&problem.hint("start, ensure, stop, restart and reload are"));
        }
    };
    match read(&body) {
        Ok(change) => ask(&inbox, |reply| Input::Change { name, verb, change, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

async fn instances(State(inbox): State<Inbox>, Path(service): Path<String>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(change) => ask(&inbox, |reply| Input::Instances { service, change, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

async fn up(State(inbox): State<Inbox>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(up) => ask(&inbox, |reply| Input::Up { up, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

async fn down(State(inbox): State<Inbox>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(down) => ask(&inbox, |reply| Input::Down { down, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

async fn upgrade(State(inbox): State<Inbox>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(upgrade) => ask(&inbox, |reply| Input::Upgrade { upgrade, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

async fn ask<T: Serialize>(inbox: &Inbox, input: impl FnOnce(Reply<T>) -> Input) -> Answer {
    let (reply, answer) = oneshot::channel();
    let _ = inbox.send(input(reply));
    match answer.await {
        Ok(Ok(found)) => json(StatusCode::OK, "application/json", &found),
        Ok(Err(problem)) => refuse(&problem),
        Err(_) => refuse(&ended()),
    }
}

fn ended() -> Problem {
    Problem::new(Code::Ending, "the daemon is about to end").hint("ask again")
}

fn misunderstood(rejection: &QueryRejection) -> Problem {
    Problem::new(Code::Usage, format!("the query is not understood: {}", rejection.body_text()))
}

/// No body is the default of everything.
fn read<T: DeserializeOwned + Default>(body: &Bytes) -> Result<T, Problem> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body)
        .map_err(|e| Problem::new(Code::Usage, format!("the body is not understood: {e}")))
}

fn refuse(problem: &Problem) -> Answer {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, "application/problem+json", problem)
}

fn json<T: Serialize>(status: StatusCode, kind: &'static str, what: &T) -> Answer {
    let bytes = serde_json::to_vec(what).unwrap_or_default();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
