//! `GET /api/v1/services/{name}/logs`: what an instance wrote, and what it writes. Files are read beside the API's thread, a
//! piece at a time, when the reader has room for it; nothing is looked at while nobody follows.

use std::fs::File;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, sse};
use jiff::{SignedDuration, Timestamp};
use soloist_api::error::{Code, Problem};
use soloist_api::watch::{LogEvent, LogsQuery, Run, RunsQuery};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::{Out, last_event_id, stream};
use super::past::Past;
use super::{Answer, ended, misunderstood, refuse};
use crate::config::STAND_IN;
use crate::history::runs::runs;
use crate::logs::{Start, Tail, last_lines, piece};

/// How often a followed file that has nothing new is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// So many lines are told if nobody says how many.
const LINES: usize = 100;
/// So many runs back the moment of `since` is looked for.
const RUNS: u32 = 1000;

/// What the questions need: the second ends with the taking in of requests.
type Logs = (Past, watch::Receiver<()>);

/// Their route.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(
    past: Past,
    over: watch::Receiver<()>,
) -> OpenApiRouter<S> {
    OpenApiRouter::new().routes(routes!(logs)).with_state((past, over))
}

/// What one wrote, as it is; with `follow`, and what it writes, as server-sent events.
#[utoipa::path(
    get,
    path = "/api/v1/services/{name}/logs",
    params(("name" = String, Path), LogsQuery, ("last-event-id" = Option<String>, Header)),
    responses((
        status = 200,
        content((String = "text/plain"), (Vec<u8> = "application/octet-stream"), (LogEvent = "text/event-stream"))
    ))
)]
async fn logs(
    State((past, over)): State<Logs>,
    Path(name): Path<String>,
    query: Result<Query<LogsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => {
            return refuse(&misunderstood(&e).hint("it may say lines, since, follow and download"));
        }
    };
    let answer = async {
        let path = log_of(&past, &name).await?;
        let resumed = last_event_id(&headers).filter(|_| query.follow).and_then(Start::parse);
        let start = match resumed {
            Some(start) => start,
            None => start(&past, &name, &path, &query).await?,
        };
        if query.follow {
            let tail = aside(move || Tail::from(&path, start)).await?;
            return Ok(stream(|out| follow(tail, over, out)));
        }
        let found = aside(move || open_at(&path, start)).await?;
        let (out, pieces) = mpsc::channel(1);
        if let Some((file, from, to)) = found {
            tokio::spawn(copy(file, from, to, query.download, out));
        }
        let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        let mut answer = (kind, Body::from_stream(ReceiverStream::new(pieces))).into_response();
        if query.download {
            let headers = answer.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            // Names of instances are fit for file names, and so for a quoted string.
            let file = HeaderValue::try_from(format!("attachment; filename=\"{name}.log\""));
            headers.extend(file.ok().map(|file| (header::CONTENT_DISPOSITION, file)));
        }
        Ok(answer)
    };
    answer.await.unwrap_or_else(|problem: Problem| refuse(&problem))
}

/// The log of an instance, of a lane of one or of its stand-in, that the driver knows.
async fn log_of(past: &Past, name: &str) -> Result<PathBuf, Problem> {
    let is_number = |lane: &str| !lane.is_empty() && lane.bytes().all(|byte| byte.is_ascii_digit());
    let is_lane = |lane: &str| lane == STAND_IN || is_number(lane);
    let base = name.split_once('~').filter(|(_, lane)| is_lane(lane)).map_or(name, |(base, _)| base);
    let status = past.glance.of(base).await?;
    if status.log.is_none() {
        let what =
            format!("{name} was started by `soloist run` and writes to the terminal it was started in");
        return Err(Problem::new(Code::NotRunning, what)
            .hint(format!("`soloist start {name}` starts one whose output is kept")));
    }
    Ok(past.layout.log(name))
}

async fn start(past: &Past, name: &str, path: &FilePath, query: &LogsQuery) -> Result<Start, Problem> {
    let lines = query.lines.map(|lines| usize::try_from(lines).unwrap_or(usize::MAX));
    let Some(since) = &query.since else {
        let all = if query.download { usize::MAX } else { LINES };
        return Ok(Start::Lines(lines.unwrap_or(all)));
    };
    if lines.is_some() {
        return Err(Problem::new(Code::Usage, "both `lines` and `since` say where to begin").hint("give one"));
    }
    let since = moment(since)?;
    past.history.settle().await;
    let (history, name, path) = (past.layout.history(), name.to_owned(), path.to_owned());
    let look = move || {
        let query = RunsQuery { service: Some(name.clone()), limit: Some(RUNS) };
        let mut known = runs(&history, &query)?.runs;
        known.retain(|run| run.service == name);
        let length = std::fs::metadata(&path).map_or(0, |found| found.len());
        place(&known, since, length)
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|_| Err(ended()))
}

/// `10m` ago, or a moment.
fn moment(text: &str) -> Result<Timestamp, Problem> {
    let ago = humantime::parse_duration(text).ok().and_then(|ago| SignedDuration::try_from(ago).ok());
    let found = match ago {
        Some(ago) => Timestamp::now().checked_sub(ago).ok(),
        None => text.parse().ok(),
    };
    found.ok_or_else(|| {
        let what = format!("`since` is neither a duration nor a moment: {text:?}");
        Problem::new(Code::Usage, what).hint("write it like 10m or 2026-03-04T14:00:00Z")
    })
}

/// Where in a log of this length that begins which was written from a moment on. Only runs tell: they are known with the
/// place where they begin, newest first.
fn place(runs: &[Run], since: Timestamp, length: u64) -> Result<Start, Problem> {
    let split = runs.partition_point(|run| run.start >= since);
    let (after, before) = (runs[..split].last(), runs.get(split));
    let untold = |run: Option<&Run>| {
        let what = format!("a log carries no times, and {since} lies in no gap between known runs");
        let hint = run.map_or("ask for `lines`".to_owned(), |run| {
            format!("ask for `lines`, or since={}, when a run began", run.start)
        });
        Err(Problem::new(Code::Usage, what).hint(hint))
    };
    if before.is_some_and(|run| run.end.is_none_or(|end| end > since)) {
        return untold(before);
    }
    match after {
        // A log that is shorter was begun anew.
        Some(Run { log_at: Some(at), .. }) if *at > length => Ok(Start::At(0, None)),
        Some(Run { log_at: Some(at), .. }) if before.is_some() || *at == 0 => Ok(Start::At(*at, None)),
        Some(run) => untold(Some(run)),
        None if before.is_some() || length == 0 => Ok(Start::At(length, None)),
        None => untold(None),
    }
}

fn open_at(path: &FilePath, start: Start) -> io::Result<Option<(File, u64, u64)>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let length = file.metadata()?.len();
    let from = match start {
        Start::Lines(usize::MAX) => 0,
        Start::Lines(lines) => last_lines(&mut file, lines)?,
        Start::At(at, _) => at,
    };
    Ok(Some((file, from, length)))
}

/// Tells a part of a file; as text what is not UTF-8 is replaced.
async fn copy(file: File, mut from: u64, to: u64, is_raw: bool, out: mpsc::Sender<io::Result<Bytes>>) {
    let mut file = Some(file);
    while let Some(open) = file.take() {
        let looked = aside(move || piece(&open, from, to).map(|bytes| (bytes, open))).await;
        let Ok((bytes, open)) = looked else {
            // The answer has begun: it can only be cut.
            let _ = out.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
            return;
        };
        if bytes.is_empty() {
            return;
        }
        from += bytes.len() as u64;
        let told = match is_raw {
            true => Bytes::from(bytes),
            false => Bytes::from(String::from_utf8_lossy(&bytes).into_owned()),
        };
        if out.send(Ok(told)).await.is_err() {
            return;
        }
        file = Some(open);
    }
}

/// Tells what is written until requests are taken in no more: then all that is there, and no more.
async fn follow(mut tail: Tail, mut over: watch::Receiver<()>, out: Out) {
    let mut is_over = false;
    if out.send(sse::Event::default().id(tail.id())).await.is_err() {
        return;
    }
    loop {
        let looked = aside(move || tail.look().map(|next| (tail, next))).await;
        let Ok((back, next)) = looked else { return };
        tail = back;
        match next {
            Some(event) => {
                let Ok(json) = serde_json::to_string(&event) else { return };
                if out.send(sse::Event::default().id(tail.id()).data(json)).await.is_err() {
                    return;
                }
            }
            None if is_over && !tail.is_mid_line() => return,
            None if is_over => {}
            None => tokio::select! {
                ended = over.changed() => is_over = ended.is_err(),
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            },
        }
    }
}

async fn aside<T: Send + 'static>(
    look: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let looked = tokio::task::spawn_blocking(look).await.map_err(|_| ended())?;
    looked.map_err(|e| Problem::new(Code::Error, format!("the log cannot be read: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(start: i64, end: Option<i64>, log_at: Option<u64>) -> Run {
        let at = |second| Timestamp::from_second(second).unwrap();
        Run { start: at(start), end: end.map(at), log_at, ..Run::default() }
    }

    #[test]
    fn a_moment_is_found_between_runs_and_refused_within_one() {
        let runs = [run(300, None, Some(70)), run(200, Some(250), Some(40)), run(100, Some(150), Some(0))];
        let of = |runs: &[Run], second| place(runs, Timestamp::from_second(second).unwrap(), 90);
        let at = |place| Ok(Start::At(place, None));
        assert_eq!(of(&runs, 50), at(0), "all there ever was");
        assert_eq!((of(&runs, 150), of(&runs, 199), of(&runs, 200)), (at(40), at(40), at(40)));
        assert_eq!((of(&runs, 251), of(&runs, 300)), (at(70), at(70)));
        assert_eq!(of(&runs[1..], 400), at(90), "nothing since");
        for within in [101, 149, 249, 301] {
            let problem = of(&runs, within).unwrap_err();
            assert_eq!(problem.code, Code::Usage, "{within}");
            assert!(problem.detail.contains("no times") && problem.hint.unwrap().contains("since=1970"));
        }
        // What was before the first run that is known is not known.
        assert!(of(&runs[..1], 50).is_err() && of(&[], 50).is_err());
        assert_eq!(place(&[], Timestamp::UNIX_EPOCH, 0), at(0));
        assert_eq!(of(&[run(300, None, Some(91)), run(100, Some(150), Some(0))], 200), at(0), "begun anew");
    }

    #[test]
    fn a_moment_is_said_as_a_duration_or_a_time() {
        assert!(moment("10m").unwrap() < Timestamp::now());
        assert_eq!(moment("1970-01-01T00:00:00Z").unwrap(), Timestamp::UNIX_EPOCH);
        for text in ["", "noon", "-1h", "10", "99999999999999999999y", "2026-13-01T00:00:00Z"] {
            assert_eq!(moment(text).unwrap_err().code, Code::Usage, "{text}");
        }
    }
}
