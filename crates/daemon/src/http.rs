//! The API: routes to inputs, answers to JSON, problems to problem+json. It runs on a thread of its own, so that no
//! number of requests keeps the driver from its services.

pub(crate) mod access;
mod bounds;
mod door;
mod events;
mod feed;
pub mod glance;
mod health;
mod logs;
mod looks;
mod metrics;
mod openapi;
mod page;
pub mod past;
mod proxy;
mod replay;
mod samples;
mod schedules;
mod services;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::post;
use serde::Serialize;
use serde::de::DeserializeOwned;
use soloist_api::error::{Code, Problem};
use soloist_api::request::{Down, DownAnswer, Instances, Up, UpAnswer, Upgrade, UpgradeAnswer};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{oneshot, watch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::access::Access;
use crate::http::past::Past;
use crate::inbox::{Inbox, Input, Reply};
use crate::serve::Log;

/// Readers of requests, for the fuzz targets alone.
#[doc(hidden)]
pub mod inner {
    pub use super::bounds::is_plain;
    pub use super::logs::wish;
    pub use super::proxy::{forwarded, label, named};
    pub use super::read;
}

/// Answers on the listening sockets until the driver has ended.
pub async fn serve(
    unix: UnixListener,
    tcp: Option<(TcpListener, Arc<Access>)>,
    proxy: Option<(u16, Log)>,
    inbox: Inbox,
    past: Past,
    end: oneshot::Receiver<()>,
) {
    let glance = past.glance.clone();
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
    let named = async {
        if let Some((port, log)) = proxy {
            proxy::serve(port, glance, log).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        () = door::serve((unix, unix_routes), tcp, (end, open)) => {}
        () = named => {}
    }
}

/// All routes; each but the page and the fallbacks is described where it is written.
fn routes(inbox: Inbox, past: Past, over: watch::Receiver<()>) -> Router {
    let (routes, description) = OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(instances))
        .routes(routes!(up))
        .routes(routes!(down))
        .routes(routes!(upgrade))
        .merge(schedules::routes())
        .with_state(inbox)
        .merge(health::routes(past.glance.clone()))
        .merge(metrics::routes(past.clone()))
        .merge(services::routes(past.clone()))
        .merge(events::routes(past.clone()))
        .merge(logs::routes(past.clone(), over))
        .merge(looks::routes(past.clone()))
        .merge(past::routes(past))
        .split_for_parts();
    routes
        .merge(page::routes())
        .merge(openapi::routes(description))
        .fallback(|| async { refuse(&Problem::new(Code::NoSuchPath, "no such path; see /openapi.json")) })
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

/// Changes the keys of a keyed service.
#[utoipa::path(
    post,
    path = "/api/v1/services/{name}/instances",
    params(("name" = String, Path)),
    request_body = Option<Instances>,
    responses((status = 200, body = UpAnswer))
)]
async fn instances(State(inbox): State<Inbox>, Path(service): Path<String>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(change) => ask(&inbox, |reply| Input::Instances { service, change, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

/// Sets all, or these, going.
#[utoipa::path(
    post,
    path = "/api/v1/up",
    request_body = Option<Up>,
    responses((status = 200, body = UpAnswer))
)]
async fn up(State(inbox): State<Inbox>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(up) => ask(&inbox, |reply| Input::Up { up, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

/// Stops all, or these, and the daemon once nothing is left.
#[utoipa::path(
    post,
    path = "/api/v1/down",
    request_body = Option<Down>,
    responses((status = 200, body = DownAnswer))
)]
async fn down(State(inbox): State<Inbox>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(down) => ask(&inbox, |reply| Input::Down { down, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

/// Has another binary become the daemon.
#[utoipa::path(
    post,
    path = "/api/v1/upgrade",
    request_body = Option<Upgrade>,
    responses((status = 200, body = UpgradeAnswer))
)]
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

/// No body, or `null`, is the default of everything.
pub fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return Ok(T::default());
    }
    // serde would take a list as the fields in their order, which is nobody's to know.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(Problem::new(Code::Usage, "the body is a list; it must be an object"));
    }
    serde_json::from_slice(body)
        .map(Option::unwrap_or_default)
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

#[cfg(test)]
mod tests {
    use soloist_api::request::Change;

    use super::*;

    #[test]
    fn a_body_is_an_object_or_nothing() {
        let told = |body: &'static str| read::<Change>(body.as_bytes());
        assert_eq!(told(""), Ok(Change::default()));
        assert_eq!(told("null"), Ok(Change::default()));
        assert_eq!(told(r#"{"timeout_ms": 7}"#), Ok(Change { timeout_ms: Some(7), ..Change::default() }));
        for odd in ["[]", " [null, null]", "7", r#"{"unheard": 1}"#, "{"] {
            assert!(told(odd).is_err_and(|problem| problem.code == Code::Usage), "{odd}");
        }
    }
}
