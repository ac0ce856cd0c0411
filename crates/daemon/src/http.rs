//! The API: routes to inputs, answers to JSON, problems to problem+json. It runs on a thread of its own, so that no
//! number of requests keeps the driver from its services.

pub(crate) mod access;
mod bounds;
mod door;
mod events;
mod feed;
mod logs;
mod looks;
mod page;
pub mod past;
mod replay;
mod samples;
mod schedules;
mod services;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use soloist_api::error::{Code, Problem};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{oneshot, watch};

use crate::http::access::Access;
use crate::http::past::Past;
use crate::inbox::{Inbox, Input, Reply};

/// Answers on the listening sockets until the driver has ended.
pub async fn serve(
    unix: UnixListener,
    tcp: Option<(TcpListener, Arc<Access>)>,
    inbox: Inbox,
    past: Past,
    end: oneshot::Receiver<()>,
) {
    let access = tcp.as_ref().map(|(_, access)| access.clone());
    // Streams end with the taking in of requests.
    let (open, over) = watch::channel(());
    let routes = routes(inbox, past, over);
    let known = Arc::default();
    let dress = |routes: Router| {
        let routes = routes.layer(from_fn_with_state(Arc::clone(&known), replay::replay));
        routes.layer(from_fn(bounds::body))
    };
    // Who can open the socket may let a browser in; who came in over TCP may not let others in.
    let login = Router::new().route("/api/v1/login", post(login)).with_state(access);
    let unix_routes = dress(routes.clone().merge(login)).layer(from_fn(bounds::headers));
    let tcp = tcp.map(|(listener, access)| {
        let routes = dress(routes).layer(from_fn_with_state(access, access::check));
        (listener, routes.layer(from_fn(bounds::headers)))
    });
    door::serve((unix, unix_routes), tcp, (end, open)).await;
}

fn routes(inbox: Inbox, past: Past, over: watch::Receiver<()>) -> Router {
    Router::new()
        .route("/livez", get(|| async { Json(serde_json::json!({ "status": "alive" })) }))
        .route("/api/v1/services/{name}/instances", post(instances))
        .route("/api/v1/up", post(up))
        .route("/api/v1/down", post(down))
        .route("/api/v1/upgrade", post(upgrade))
        .merge(schedules::routes())
        .with_state(inbox.clone())
        .merge(services::routes(inbox))
        .merge(events::routes(past.clone()))
        .merge(logs::routes(past.clone(), over))
        .merge(looks::routes(past.clone()))
        .merge(past::routes(past))
        .merge(page::routes())
        .fallback(|| async { refuse(&Problem::new(Code::NoSuchPath, "no such path; see /api/v1/services")) })
        .method_not_allowed_fallback(|| async {
            refuse(&Problem::new(Code::WrongMethod, "no such method here"))
        })
}

async fn login(State(access): State<Option<Arc<Access>>>) -> Answer {
    let Some(access) = access else {
        let problem = Problem::new(Code::NotRunning, "the daemon does not answer over TCP");
        return refuse(
            &problem.hint(
                "`soloist status --json` says why; `[http] listen` in soloist.toml turns it on and off",
            ),
        );
    };
    match access.link() {
        Ok(login) => json(StatusCode::OK, "application/json", &login),
        Err(problem) => refuse(&problem),
    }
}

type Answer = Response<Body>;

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
