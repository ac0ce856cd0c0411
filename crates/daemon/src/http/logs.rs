//! `GET /api/v1/services/{name}/logs`: what an instance wrote, and what it writes. Files are read beside the API's thread, a
//! piece at a time, when the reader has room for it; nothing is looked at while nobody follows.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, sse};
use jiff::{SignedDuration, Timestamp};
use regex_lite::Regex;
use soloist_api::error::{Code, Problem};
use soloist_api::watch::{LogEvent, LogsQuery};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::door::CameTo;
use super::events::{Out, last_event_id, stream};
use super::past::Past;
use super::{Answer, ended, misunderstood, refuse};
use crate::config::duration;
use crate::inbox::Input;
use crate::logs::lines::{Lines, Wish, is_match, pattern};
use crate::logs::mask::Mask;
use crate::logs::{Start, Tail, instance_of};

/// How often a followed file that has nothing new is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// So many bytes are told at once.
const PIECE: usize = 64 * 1024;

/// What the questions need: the second ends with the taking in of requests.
type Logs = (Past, watch::Receiver<()>);

/// Their route.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(
    past: Past,
    over: watch::Receiver<()>,
) -> OpenApiRouter<S> {
    OpenApiRouter::new().routes(routes!(logs)).with_state((past, over))
}

/// What one wrote, its secrets masked; with `follow`, and what it writes, as server-sent events.
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
    came_over_tcp: Option<Extension<CameTo>>,
    query: Result<Query<LogsQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let query = match query {
        Ok(Query(query)) => query,
        Err(e) => {
            let hint = "it may say lines, since, until, grep, follow, download and raw";
            return refuse(&misunderstood(&e).hint(hint));
        }
    };
    let answer = async {
        let wish = wish(&query)?;
        if query.raw && came_over_tcp.is_some() {
            let what = "secrets in logs are told over the Unix socket only";
            return Err(Problem::new(Code::Forbidden, what).hint("`soloist logs --raw` shows them"));
        }
        let (path, mask) = log_of(&past, &name, query.raw).await?;
        if query.follow {
            let resumed = last_event_id(&headers).and_then(Start::parse);
            let grep = wish.grep.clone();
            let tail = aside(move || {
                let start = resumed.map_or_else(|| wish.begin(&path).map(Start::At), Ok)?;
                Tail::from(&path, start, mask)
            });
            let tail = tail.await?;
            return Ok(stream(|out| follow(tail, grep, over, out)));
        }
        let lines = aside(move || Lines::of(&path, &wish, mask)).await?;
        let (out, pieces) = mpsc::channel(1);
        tokio::spawn(copy(lines, query.download, out));
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

/// The log of an instance, of a lane of one, or of its standard error, that the driver knows; and what of it is not shown.
async fn log_of(past: &Past, name: &str, is_raw: bool) -> Result<(PathBuf, Mask), Problem> {
    let base = instance_of(name);
    let status = past.glance.of(base).await?;
    if status.log.is_none() {
        let what =
            format!("{name} was started by `soloist run` and writes to the terminal it was started in");
        return Err(Problem::new(Code::NotRunning, what)
            .hint(format!("`soloist start {name}` starts one whose output is kept")));
    }
    let (reply, declared) = oneshot::channel();
    let _ = past.inbox.send(Input::Declared { name: base.to_owned(), reply });
    let mask = match declared.await {
        _ if is_raw => Mask::off(),
        Ok(Ok(declared)) => Mask::new(&declared.mask),
        // It is there no more, or runs undeclared.
        Ok(Err(_)) => Mask::default(),
        Err(_) => return Err(ended()),
    };
    Ok((past.layout.log(name), mask))
}

/// What a query asks for.
pub fn wish(query: &LogsQuery) -> Result<Wish, Problem> {
    let lines = query.lines.map(|lines| usize::try_from(lines).unwrap_or(usize::MAX));
    if query.follow && query.until.is_some() {
        let what = "what is followed has no end: `until` and `follow` are both given";
        return Err(Problem::new(Code::Usage, what).hint("give one"));
    }
    if query.follow && lines.is_some() && query.since.is_some() {
        let what = "both `lines` and `since` say where to begin to follow";
        return Err(Problem::new(Code::Usage, what).hint("give one"));
    }
    Ok(Wish {
        lines: lines.or((query.download && query.since.is_none()).then_some(usize::MAX)),
        since: query.since.as_ref().map(|text| moment("since", text)).transpose()?,
        until: query.until.as_ref().map(|text| moment("until", text)).transpose()?,
        grep: query.grep.as_deref().map(pattern).transpose()?,
    })
}

/// `10m` ago, or a moment; in milliseconds since 1970.
fn moment(key: &str, text: &str) -> Result<u64, Problem> {
    let ago = duration(text).ok().and_then(|ago| SignedDuration::try_from(ago).ok());
    let found: Option<Timestamp> = match ago {
        Some(ago) => Timestamp::now().checked_sub(ago).ok(),
        None => text.parse().ok(),
    };
    found.map(|at| u64::try_from(at.as_millisecond()).unwrap_or(0)).ok_or_else(|| {
        let what = format!("`{key}` is neither a duration nor a moment: {text:?}");
        Problem::new(Code::Usage, what).hint("write it like 10m or 2026-03-04T14:00:00Z")
    })
}

/// Tells lines; as text what is not UTF-8 is replaced.
async fn copy(mut lines: Lines, is_saved: bool, out: mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let looked = aside(move || {
            let mut bytes = Vec::new();
            while bytes.len() < PIECE
                && let Some(line) = lines.next().transpose()?
            {
                bytes.extend(line.bytes);
            }
            Ok((lines, bytes))
        });
        let Ok((back, bytes)) = looked.await else {
            // The answer has begun: it can only be cut.
            let _ = out.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
            return;
        };
        if bytes.is_empty() {
            return;
        }
        lines = back;
        let told = if is_saved { bytes } else { String::from_utf8_lossy(&bytes).into_owned().into_bytes() };
        if out.send(Ok(told.into())).await.is_err() {
            return;
        }
    }
}

/// Tells what is written until requests are taken in no more: then all that is there, and no more.
async fn follow(mut tail: Tail, grep: Option<Regex>, mut over: watch::Receiver<()>, out: Out) {
    let mut is_over = false;
    if out.send(sse::Event::default().id(tail.id())).await.is_err() {
        return;
    }
    loop {
        let looked = aside(move || tail.look().map(|next| (tail, next))).await;
        let Ok((back, next)) = looked else { return };
        tail = back;
        match next {
            Some(mut event) => {
                if let (LogEvent::Lines { lines, .. }, Some(grep)) = (&mut event, &grep) {
                    lines.retain(|line| is_match(grep, line.as_bytes()));
                    if lines.is_empty() {
                        continue;
                    }
                }
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

    #[test]
    fn a_moment_is_said_as_a_duration_or_a_time() {
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap();
        assert!((now - 601_000..=now).contains(&moment("since", "10m").unwrap()));
        assert_eq!(moment("since", "1970-01-01T00:00:00Z").unwrap(), 0);
        assert_eq!(moment("since", "1969-01-01T00:00:00Z").unwrap(), 0);
        for text in [
            "",
            "noon",
            "-1h",
            "10",
            "99999999999999999999y",
            "18446744073709551615s 1000ms",
            "2026-13-01T00:00:00Z",
        ] {
            let problem = moment("until", text).unwrap_err();
            assert!(problem.code == Code::Usage && problem.detail.contains("`until`"), "{text}");
        }
    }

    #[test]
    fn a_query_that_contradicts_itself_is_refused() {
        let said = Some("1m".to_owned());
        let (since, until) = (said.clone(), said.clone());
        let odd = [
            LogsQuery { follow: true, until, ..LogsQuery::default() },
            LogsQuery { follow: true, lines: Some(1), since, ..LogsQuery::default() },
            LogsQuery { grep: Some("(".to_owned()), ..LogsQuery::default() },
        ];
        for query in odd {
            assert_eq!(wish(&query).unwrap_err().code, Code::Usage, "{query:?}");
        }
        let all = wish(&LogsQuery { download: true, ..LogsQuery::default() }).unwrap();
        assert_eq!(all.lines, Some(usize::MAX));
    }
}
