//! The API's routes about services: what they are, with an ETag, and how they are changed.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use soloist_api::error::{Code, Problem};
use soloist_api::request::Change;
use soloist_api::status::{ServiceStatus, Status};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::glance::{Glance, tag};
use super::past::{Past, aside};
use super::{Answer, ended, json, misunderstood, read, refuse};
use crate::inbox::{Input, Verb};
use crate::ports::{self, takeover};

/// What strangers on a port are given to end, before they are killed.
const GRACE: Duration = Duration::from_secs(5);

pub(super) fn routes<S: Clone + Send + Sync + 'static>(past: Past) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .with_state(past.glance.clone())
        .merge(OpenApiRouter::new().routes(routes!(change)).with_state(past))
}

/// All instances.
#[utoipa::path(get, path = "/api/v1/services", responses((status = 200, body = Status), (status = 304)))]
async fn list(State(glance): State<Glance>, headers: HeaderMap) -> Answer {
    match glance.look().await {
        Ok(seen) => tagged(&headers, seen.tag.clone(), seen.bytes.clone()),
        Err(problem) => refuse(&problem),
    }
}

/// One instance.
#[utoipa::path(
    get,
    path = "/api/v1/services/{name}",
    params(("name" = String, Path)),
    responses((status = 200, body = ServiceStatus), (status = 304))
)]
async fn one(State(glance): State<Glance>, Path(name): Path<String>, headers: HeaderMap) -> Answer {
    match glance.of(&name).await {
        Ok(found) => {
            let bytes = Bytes::from(serde_json::to_vec(&found).unwrap_or_default());
            tagged(&headers, tag(&bytes), bytes)
        }
        Err(problem) => refuse(&problem),
    }
}

/// The answer, or that it is the one that the client has.
fn tagged(headers: &HeaderMap, tag: HeaderValue, bytes: Bytes) -> Answer {
    let known = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|known| {
        let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        known.trim() == "*" || tag.to_str().is_ok_and(|tag| strong(tag) == strong(known))
    });
    let mut answer = Answer::new(if is_known { Body::empty() } else { Body::from(bytes) });
    if is_known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    answer.headers_mut().insert(header::ETAG, tag);
    answer
}

#[derive(Debug, Default, Deserialize, Serialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Patience {
    /// 0: the answer tells what was set in motion, and where to look.
    wait: Option<u8>,
}

/// Starts, stops, restarts or reloads one, and answers when that is so; or at once, and where to look.
#[utoipa::path(
    post,
    path = "/api/v1/services/{name}/{verb}",
    params(("name" = String, Path), ("verb" = inline(Verb), Path), Patience),
    request_body = Option<Change>,
    responses((status = 200, body = ServiceStatus), (status = 202, body = ServiceStatus))
)]
async fn change(
    State(past): State<Past>,
    Path((name, verb)): Path<(String, String)>,
    query: Result<Query<Patience>, QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let verb = match verb.as_str() {
        "start" => Verb::Start,
        "ensure" => Verb::Ensure,
        "stop" => Verb::Stop,
        "restart" => Verb::Restart,
        "reload" => Verb::Reload,
        other => {
            let problem = Problem::new(Code::NoSuchPath, format!("no such action: {other}"));
            return refuse(&problem.hint("start, ensure, stop, restart and reload are"));
        }
    };
    let (query, change) = match (query, read::<Change>(&body)) {
        (Ok(Query(query)), Ok(change)) => (query, change),
        (Err(e), _) => return refuse(&misunderstood(&e).hint("it may say wait=0")),
        (_, Err(problem)) => return refuse(&problem),
    };
    let prefers = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let is_hasty = query.wait == Some(0)
        || prefers.flat_map(|value| value.split(',')).any(|word| word.trim() == "respond-async");
    if change.force
        && matches!(verb, Verb::Start | Verb::Ensure | Verb::Restart)
        && let Err(problem) = take_ports(&past, &name, &change).await
    {
        return refuse(&problem);
    }
    let (reply, mut answer) = oneshot::channel();
    let _ = past.inbox.send(Input::Change { name: name.clone(), verb, change, reply });
    if is_hasty {
        // One question after the other: when the second is answered, the first was taken, and refused if it had to be.
        let (reply, status) = oneshot::channel();
        let _ = past.inbox.send(Input::Get { name: name.clone(), reply });
        let status = status.await;
        match (answer.try_recv(), status) {
            (Ok(done), _) => return told(past, name, done).await,
            (Err(TryRecvError::Empty), Ok(Ok(status))) => {
                let mut answer = json(StatusCode::ACCEPTED, "application/json", &status);
                let place = HeaderValue::try_from(format!("/api/v1/services/{name}"));
                answer.headers_mut().extend(place.map(|place| (header::LOCATION, place)));
                return answer;
            }
            (Err(TryRecvError::Closed), _) => return refuse(&ended()),
            (Err(TryRecvError::Empty), _) => {}
        }
    }
    match answer.await {
        Ok(done) => told(past, name, done).await,
        Err(_) => refuse(&ended()),
    }
}

/// Takes over the ports of one, or says whom that would end.
async fn take_ports(past: &Past, name: &str, change: &Change) -> Result<(), Problem> {
    let ports = past.glance.of(name).await?.ports;
    let (layout, own, is_agreed) = (past.layout.clone(), [name.to_owned()], change.yes);
    let who = change.who.clone().unwrap_or_else(|| "a client".to_owned());
    let take = move || {
        let wish = takeover::Wish { ports: &ports, own: &own, grace: GRACE, who: &who };
        let plan = takeover::plan(&layout, &wish)?;
        if !plan.is_empty() && !is_agreed {
            return Err(plan.problem("ask again with `yes`"));
        }
        takeover::take(&layout, &wish, plan, &|_| {}).map(drop)
    };
    tokio::task::spawn_blocking(take).await.unwrap_or_else(|_| Err(ended()))
}

/// Who is on a port is looked up here: the driver only has it in words.
async fn told(past: Past, name: String, done: Result<ServiceStatus, Problem>) -> Answer {
    let problem = match done {
        Ok(status) => return json(StatusCode::OK, "application/json", &status),
        Err(problem) if problem.code != Code::PortHeld => return refuse(&problem),
        Err(problem) => problem,
    };
    match past.glance.of(&name).await {
        Ok(status) => {
            let look = move || match ports::stranger(&past.layout, &status.ports) {
                Some((port, holder)) => {
                    let hint =
                        format!("`soloist takeover {name}` ends it, or choose another port than {port}");
                    Err::<(), _>(problem.hint(hint).holder(Some(holder)))
                }
                None => Err(problem),
            };
            aside(look).await
        }
        Err(_) => refuse(&problem),
    }
}
