//! A client of the daemon's API over its Unix socket. One connection a request: a daemon that ends in between is
//! noticed at once, and there is no pool to think about.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::error::{Code, Problem};
use crate::event::{Cutter, Event};
use crate::history::{EventsQuery, History, HistoryQuery, Why};
use crate::request::{Change, Down, DownAnswer, Instances, Login, Up, UpAnswer, Upgrade, UpgradeAnswer};
use crate::schedule::{Clear, Done, Edit, Named, Overridden, Override, Schedules};
use crate::status::{ServiceStatus, Status};
use crate::watch::{Config, Ports, Runs, RunsQuery, Signal, Tree};

/// Speaks to one daemon.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the daemon that listens at this Unix socket.
    pub fn new(socket: &Path) -> Client {
        Client { socket: socket.to_owned() }
    }

    /// Whether a daemon answers there.
    pub async fn is_answered(&self) -> bool {
        self.get::<serde_json::Value>("/livez").await.is_ok()
    }

    /// Everything about the project.
    pub async fn status(&self) -> Result<Status, Problem> {
        self.get("/api/v1/services").await
    }

    /// One instance.
    pub async fn service(&self, name: &str) -> Result<ServiceStatus, Problem> {
        self.get(&format!("/api/v1/services/{}", escape(name))).await
    }

    /// `start`, `stop`, `restart` or `ensure`; returns when it is so.
    pub async fn change(&self, name: &str, verb: &str, change: &Change) -> Result<ServiceStatus, Problem> {
        self.request(Method::POST, &format!("/api/v1/services/{}/{verb}", escape(name)), Some(change)).await
    }

    /// Starts services; returns at once with what it set in motion.
    pub async fn up(&self, up: &Up) -> Result<UpAnswer, Problem> {
        self.request(Method::POST, "/api/v1/up", Some(up)).await
    }

    /// Adds and removes instances of a keyed service; returns at once with what it set in motion.
    pub async fn instances(&self, service: &str, change: &Instances) -> Result<UpAnswer, Problem> {
        let path = format!("/api/v1/services/{}/instances", escape(service));
        self.request(Method::POST, &path, Some(change)).await
    }

    /// Stops services, and the daemon with the last; returns when they are verified stopped.
    pub async fn down(&self, down: &Down) -> Result<DownAnswer, Problem> {
        self.request(Method::POST, "/api/v1/down", Some(down)).await
    }

    /// Has the daemon become another binary; returns when that one was found good, before it has.
    pub async fn upgrade(&self, upgrade: &Upgrade) -> Result<UpgradeAnswer, Problem> {
        self.request(Method::POST, "/api/v1/upgrade", Some(upgrade)).await
    }

    /// A link that lets one browser in.
    pub async fn login(&self) -> Result<Login, Problem> {
        self.request::<(), _>(Method::POST, "/api/v1/login", None).await
    }

    /// All schedules.
    pub async fn schedules(&self) -> Result<Schedules, Problem> {
        self.get("/api/v1/schedules").await
    }

    /// The schedule of one instance.
    pub async fn schedule(&self, name: &str) -> Result<Named, Problem> {
        self.get(&format!("/api/v1/schedules/{}", escape(name))).await
    }

    /// Changes the schedule of an instance, or of all instances of a keyed service.
    pub async fn reschedule(&self, name: &str, edit: &Edit) -> Result<Done, Problem> {
        self.request(Method::PATCH, &format!("/api/v1/schedules/{}", escape(name)), Some(edit)).await
    }

    /// One run now, whatever the schedule says; returns at once with what follows.
    pub async fn run_now(&self, name: &str, change: &Change) -> Result<Done, Problem> {
        self.request(Method::POST, &format!("/api/v1/schedules/{}/run", escape(name)), Some(change)).await
    }

    /// Opens or closes a window or calendar for a time.
    pub async fn override_hours(&self, hours: &Override) -> Result<Overridden, Problem> {
        self.request(Method::POST, "/api/v1/overrides", Some(hours)).await
    }

    /// Takes such orders back.
    pub async fn clear_overrides(&self, clear: &Clear) -> Result<Overridden, Problem> {
        self.request::<(), _>(Method::DELETE, &asking("/api/v1/overrides", clear), None).await
    }

    /// What happened.
    pub async fn history(&self, query: &HistoryQuery) -> Result<History, Problem> {
        self.get(&asking("/api/v1/history", query)).await
    }

    /// Why an instance is as it is.
    pub async fn why(&self, name: &str) -> Result<Why, Problem> {
        self.get(&format!("/api/v1/services/{}/why", escape(name))).await
    }

    /// What changes from now on.
    pub async fn events(&self) -> Result<Events, Problem> {
        self.watch(EventsQuery { history: false, samples: false }, None).await
    }

    /// What changes and what happens from now on: with the lines of the history.
    pub async fn events_and_history(&self) -> Result<Events, Problem> {
        self.watch(EventsQuery::default(), None).await
    }

    /// What happens from now on, or from the event of this id on: [`Stream::last_id`].
    pub async fn watch(&self, query: EventsQuery, after: Option<&str>) -> Result<Events, Problem> {
        self.follow(&asking("/api/v1/events", &query), after).await
    }

    /// The processes of an instance.
    pub async fn tree(&self, name: &str) -> Result<Tree, Problem> {
        self.get(&format!("/api/v1/services/{}/tree", escape(name))).await
    }

    /// How an instance is declared.
    pub async fn config(&self, name: &str) -> Result<Config, Problem> {
        self.get(&format!("/api/v1/services/{}/config", escape(name))).await
    }

    /// Who listens on ports that are declared, or are a service's.
    pub async fn ports(&self) -> Result<Ports, Problem> {
        self.get("/api/v1/ports").await
    }

    /// The runs that the history knows.
    pub async fn runs(&self, query: &RunsQuery) -> Result<Runs, Problem> {
        self.get(&asking("/api/v1/runs", query)).await
    }

    /// Sends a signal to the main process of an instance.
    pub async fn signal(&self, name: &str, signal: &Signal) -> Result<ServiceStatus, Problem> {
        self.request(Method::POST, &format!("/api/v1/services/{}/signal", escape(name)), Some(signal)).await
    }

    async fn follow<T>(&self, path: &str, after: Option<&str>) -> Result<Stream<T>, Problem> {
        let mut request = build::<()>(Method::GET, path, None)?;
        if let Some(id) = after.and_then(|id| HeaderValue::from_str(id).ok()) {
            request.headers_mut().insert("last-event-id", id);
        }
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let (ready, last_id) = (VecDeque::new(), after.map(str::to_owned));
        Ok(Stream { body: response.into_body(), cutter: Cutter::default(), ready, last_id })
    }

    async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Problem> {
        self.request::<(), A>(Method::GET, path, None).await
    }

    async fn request<B: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<A, Problem> {
        let response = self.send(build(method, path, body)?).await?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let bytes = response.into_body().collect().await.map_err(|e| broken(&e))?.to_bytes();
        serde_json::from_slice(&bytes)
            .map_err(|e| Problem::new(Code::Error, format!("the daemon's answer is not understood: {e}")))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Problem> {
        let stream = self.connect().await.map_err(|e| {
            // It was there when this client was made: it died since, and is brought back.
            Problem::new(Code::Ending, format!("no daemon answers at {}: {e}", self.socket.display()))
                .hint("ask again; its log is .soloist/daemon.log")
        })?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
        tokio::spawn(async move {
            // Its end shows in the answer; there is nobody else to tell.
            let _ = connection.await;
        });
        sender.send_request(request).await.map_err(|e| broken(&e))
    }

    /// A socket's address holds 107 bytes (unix(7)): the folder is named by a descriptor, however deep it lies.
    async fn connect(&self) -> io::Result<UnixStream> {
        use std::os::fd::AsRawFd;
        let folder = std::fs::File::open(self.socket.parent().unwrap_or(Path::new(".")))?;
        let name = self.socket.file_name().unwrap_or_default();
        UnixStream::connect(Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name)).await
    }
}

/// A running stream of what happens.
pub type Events = Stream<Event>;

/// A running stream of events of one kind.
#[derive(Debug)]
pub struct Stream<T> {
    body: Incoming,
    cutter: Cutter,
    ready: VecDeque<(T, Option<String>)>,
    last_id: Option<String>,
}

impl<T: DeserializeOwned> Stream<T> {
    /// The next event; `None` when the daemon has ended the stream.
    pub async fn next(&mut self) -> Option<T> {
        loop {
            if let Some((event, id)) = self.ready.pop_front() {
                self.last_id = id.or(self.last_id.take());
                return Some(event);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(bytes) = frame.into_data() {
                self.ready = self.cutter.take(&bytes).into();
            }
            if self.ready.is_empty() {
                // An id may come alone: from there on nothing has happened yet.
                self.last_id = self.cutter.last_id().or(self.last_id.as_deref()).map(str::to_owned);
            }
        }
    }

    /// From where a new stream goes on where this one ended.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }
}

async fn refusal(response: Response<Incoming>) -> Problem {
    let status = response.status();
    let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    serde_json::from_slice(&body)
        .unwrap_or_else(|_| Problem::new(Code::Error, format!("the daemon answered {status}")))
}

fn build<B: Serialize>(
    method: Method,
    path: &str,
    body: Option<&B>,
) -> Result<Request<Full<Bytes>>, Problem> {
    let fail = |e: String| Problem::new(Code::Usage, format!("cannot ask for {path}: {e}"));
    let bytes = match body {
        Some(body) => serde_json::to_vec(body).map_err(|e| fail(e.to_string()))?,
        None => Vec::new(),
    };
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "soloist")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(bytes)))
        .map_err(|e| fail(e.to_string()))
}

fn broken(error: &hyper::Error) -> Problem {
    Problem::new(Code::Ending, format!("the daemon ended before it answered: {error}"))
        .hint("ask again; its log is .soloist/daemon.log")
}

/// A path with its query.
fn asking(path: &str, query: &impl Serialize) -> String {
    // Of these shapes nothing is nested, which is all that it could not write.
    format!("{path}?{}", serde_urlencoded::to_string(query).unwrap_or_default())
}

/// Percent-encodes what is not unreserved (RFC 3986, 2.3): a name from the command line must not become a path.
fn escape(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
