//! The API's looks at what runs: the processes of an instance, its declaration, the ports; and a signal to it. What the
//! kernel has to tell is asked on a thread beside the API's own.

use axum::body::Bytes;
use axum::extract::{Path, State};
use soloist_api::status::ServiceStatus;
use soloist_api::watch::{Config, Ports, Process, Signal, Tree};
use soloist_os::layout::Layout;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::past::{Past, aside};
use super::{Answer, ask, read, refuse};
use crate::convert::{milliseconds, moment};
use crate::inbox::Input;
use crate::{ports, runs};

/// Their routes.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(past: Past) -> OpenApiRouter<S> {
    OpenApiRouter::new()
        .routes(routes!(tree))
        .routes(routes!(config))
        .routes(routes!(signal))
        .routes(routes!(ports))
        .with_state(past)
}

/// How one is declared.
#[utoipa::path(get, path = "/api/v1/services/{name}/config", responses((status = 200, body = Config)))]
async fn config(State(past): State<Past>, Path(name): Path<String>) -> Answer {
    ask(&past.inbox, |reply| Input::Declared { name, reply }).await
}

/// Sends a signal to the main process of one.
#[utoipa::path(
    post,
    path = "/api/v1/services/{name}/signal",
    params(("name" = String, Path)),
    request_body = Signal,
    responses((status = 200, body = ServiceStatus))
)]
async fn signal(State(past): State<Past>, Path(name): Path<String>, body: Bytes) -> Answer {
    match read(&body) {
        Ok(signal) => ask(&past.inbox, |reply| Input::Signal { name, signal, reply }).await,
        Err(problem) => refuse(&problem),
    }
}

/// The processes of one.
#[utoipa::path(get, path = "/api/v1/services/{name}/tree", responses((status = 200, body = Tree)))]
async fn tree(State(past): State<Past>, Path(name): Path<String>) -> Answer {
    // A name that the driver does not know leads to no file.
    match past.glance.of(&name).await {
        Ok(status) => aside(move || Ok(tree_of(&past.layout, status.name))).await,
        Err(problem) => refuse(&problem),
    }
}

/// Ports that are declared, and those that services listen on.
#[utoipa::path(get, path = "/api/v1/ports", responses((status = 200, body = Ports)))]
async fn ports(State(past): State<Past>) -> Answer {
    match past.glance.look().await {
        Ok(seen) => aside(move || Ok(ports::overview(&past.layout, &seen.status.services)?)).await,
        Err(problem) => refuse(&problem),
    }
}

fn tree_of(layout: &Layout, service: String) -> Tree {
    let record = runs::guarded_of(layout, &service).next().map(|(_, record)| record);
    let guard = record.as_ref().map(|record| record.guard.pid);
    let main = record.and_then(|record| record.main).map(|main| main.pid);
    let found = guard.map(soloist_os::usage::processes).unwrap_or_default();
    let told = |process: soloist_os::usage::Process| Process {
        pid: process.pid,
        ppid: process.parent,
        main: main == Some(process.pid),
        command: process.command,
        cpu_ms: milliseconds(process.cpu),
        rss_kib: process.rss_kib,
        since: process.started_ms.and_then(moment),
    };
    Tree { processes: found.into_iter().map(told).collect(), service, guard }
}
