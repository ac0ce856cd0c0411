//! The soloist beside this server: what it knows of the workers, and orders to it. Each question has its time; a soloist
//! that hangs or is away makes a refusal, never a wait.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use jiff::tz::TimeZone;
use serde::Serialize;
use soloist_api::client::Client;
use soloist_api::error::{Code, Problem as Refused};
use soloist_api::request::Change;
use soloist_api::schedule::{Done, Edit};
use soloist_api::status::ServiceStatus;
use utoipa::ToSchema;

use super::problem::Problem;

/// A question is answered in milliseconds.
const ANSWER: Duration = Duration::from_secs(2);
/// A start and a stop take as long as the service does.
const CHANGE: Duration = Duration::from_secs(20);

/// One that did not answer in time is not looked at again for so long: those who only look do not wait each time.
const REST: Duration = Duration::from_secs(10);

/// Where soloist answers, if it is known.
pub struct Supervisor {
    client: Option<Client>,
    silent_since: Mutex<Option<Instant>>,
}

/// What a change of a worker came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changed {
    /// `success`.
    pub status: &'static str,
    /// What is so now, in words.
    pub message: String,
}

impl Changed {
    /// It is as it was wanted.
    pub fn to(message: impl Into<String>) -> Self {
        Self { status: "success", message: message.into() }
    }
}

/// What there is to know of a worker.
pub enum Worker {
    /// No soloist answers.
    Unsupervised,
    /// Soloist has nothing of this name.
    Unknown,
    /// It is as soloist says.
    Known(Box<ServiceStatus>),
}

impl Worker {
    /// What soloist says of it.
    pub fn status(&self) -> Option<&ServiceStatus> {
        match self {
            Self::Known(status) => Some(status),
            Self::Unsupervised | Self::Unknown => None,
        }
    }

    /// Whether a soloist answers.
    pub fn is_supervised(&self) -> bool {
        !matches!(self, Self::Unsupervised)
    }
}

/// Wanted up, and nothing that somebody ordered keeps it.
pub fn is_on(status: &ServiceStatus) -> bool {
    let is_paused = status.schedule.as_ref().is_some_and(|schedule| schedule.paused);
    status.wanted == "up" && !is_paused && status.state != "failed"
}

/// What there is to say of it: why it sleeps and until when, or what soloist has noted.
pub fn note(status: &ServiceStatus) -> Option<String> {
    let closed = status.schedule.as_ref().filter(|s| s.open == Some(false) && status.state == "scheduled");
    let Some(schedule) = closed else { return status.note.clone() };
    let window = schedule.window.as_deref().unwrap_or("its window");
    let zone = schedule.zone.as_deref().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
    let until =
        schedule.until.map(|at| at.to_zoned(zone).strftime(" until %a %Y-%m-%d %H:%M %Z").to_string());
    Some(format!("{window} is closed{}", until.unwrap_or_default()))
}

impl Supervisor {
    /// The one whose daemon listens at this socket.
    pub fn new(socket: Option<PathBuf>) -> Self {
        Self { client: socket.map(|path| Client::new(&path)), silent_since: Mutex::default() }
    }

    fn silent_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a worker.
    pub async fn look(&self, name: &str) -> Worker {
        if self.silent_since().is_some_and(|since| since.elapsed() < REST) {
            return Worker::Unsupervised;
        }
        match self.ask(ANSWER, |client| async move { client.service(name).await }).await {
            Ok(status) => Worker::Known(Box::new(status)),
            Err(problem) if problem.code == Code::UnknownService.row().0 => Worker::Unknown,
            Err(_) => Worker::Unsupervised,
        }
    }

    /// Starts or stops a worker; one that was paused goes on.
    pub async fn turn(&self, name: &str, is_on: bool) -> Result<ServiceStatus, Problem> {
        if is_on {
            let paused = match self.look(name).await {
                Worker::Known(status) => status.schedule.is_some_and(|schedule| schedule.paused),
                Worker::Unsupervised | Worker::Unknown => false,
            };
            if paused {
                self.edit(name, Edit { paused: Some(false), ..Edit::default() }).await?;
            }
        }
        let change = &change(Some(CHANGE / 2));
        let verb = if is_on { "start" } else { "stop" };
        self.ask(CHANGE, |client| async move { client.change(name, verb, change).await }).await
    }

    /// Changes a worker's schedule.
    pub async fn edit(&self, name: &str, edit: Edit) -> Result<Done, Problem> {
        let edit = &Edit { who: who(), ..edit };
        self.ask(ANSWER, |client| async move { client.reschedule(name, edit).await }).await
    }

    /// One run now.
    pub async fn run(&self, name: &str) -> Result<Done, Problem> {
        let change = &change(None);
        self.ask(ANSWER, |client| async move { client.run_now(name, change).await }).await
    }

    async fn ask<T, F: Future<Output = Result<T, Refused>>>(
        &self,
        limit: Duration,
        ask: impl FnOnce(Client) -> F,
    ) -> Result<T, Problem> {
        let Some(client) = self.client.clone() else {
            return Err(away("it is not known which soloist runs the workers"));
        };
        let answer = tokio::time::timeout(limit, ask(client)).await;
        *self.silent_since() = answer.is_err().then(Instant::now);
        match answer {
            Ok(answer) => answer.map_err(refused),
            Err(_) => Err(away(format!("soloist does not answer within {} s", limit.as_secs()))),
        }
    }
}

fn who() -> Option<String> {
    Some("the market's page".to_owned())
}

fn change(limit: Option<Duration>) -> Change {
    let timeout_ms = limit.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    Change { who: who(), timeout_ms, ..Change::default() }
}

fn away(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-supervisor", detail)
        .hint("start it by `soloist up -d` in the folder of soloist.toml, or name its socket by --soloist")
}

/// What soloist refuses is said in its words. Its own faults are none of this server.
fn refused(problem: Refused) -> Problem {
    if problem.code == Code::Ending {
        return away(problem.detail);
    }
    let status = StatusCode::from_u16(problem.status).ok().filter(StatusCode::is_client_error);
    let said =
        Problem::new(status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE), problem.code.row().0, problem.detail);
    match problem.hint {
        Some(hint) => said.hint(hint),
        None => said,
    }
}
