//! Tries of a probe that ask over the network: HTTP and TCP. Each ends within its timeout, whatever the other side
//! does, and keeps no more of an answer than its head. A pattern in the log is `probe/log.rs`; a command runs in the
//! service's tree, so its guard runs it.

pub mod log;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::Ipv6Addr;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The head of an answer may be so long; one that is longer is no answer.
const HEAD_MAX: usize = 64 * 1024;

/// Asks by GET. As in Kubernetes every status from 200 to 399 passes, and a redirect is not followed. Fails in words.
pub async fn http(
    host: &str,
    port: u16,
    path: &str,
    headers: &[(String, String)],
    timeout: Duration,
) -> Result<(), String> {
    let target = format!("GET http://{}{path}", authority(host, port));
    within(timeout, &target, get(host, port, path, headers)).await
}

/// Connects, and says nothing. Fails in words.
pub async fn tcp(host: &str, port: u16, timeout: Duration) -> Result<(), String> {
    let target = format!("tcp {}", authority(host, port));
    within(timeout, &target, async { connect(host, port).await.map(drop) }).await
}

async fn within(
    timeout: Duration,
    target: &str,
    attempt: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    let outcome = tokio::time::timeout(timeout, attempt).await;
    outcome.unwrap_or_else(|_| Err(timed_out(timeout))).map_err(|why| format!("{target}: {why}"))
}

/// `timed out after 1 s`
pub fn timed_out(timeout: Duration) -> String {
    format!("timed out after {} s", timeout.as_secs_f64())
}

/// Host and port as a URL and the `Host` header have them (RFC 3986, 3.2.2): IPv6 in brackets.
fn authority(host: &str, port: u16) -> String {
    match bare(host) {
        host if host.parse::<Ipv6Addr>().is_ok() => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect((bare(host), port)).await.map_err(|e| io_words(&e))?;
    // A free port of the range that outgoing connections take theirs from can be connected to itself.
    let is_ourself = stream.local_addr().ok().is_some_and(|ours| stream.peer_addr().ok() == Some(ours));
    if is_ourself { Err("connection refused".to_owned()) } else { Ok(stream) }
}

fn io_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    }
}

async fn get(host: &str, port: u16, path: &str, headers: &[(String, String)]) -> Result<(), String> {
    let request = request(host, port, path, headers)?;
    let stream = connect(host, port).await?;
    let mut settings = http1::Builder::new();
    settings.max_buf_size(HEAD_MAX);
    let (mut sender, connection) =
        settings.handshake(TokioIo::new(stream)).await.map_err(|e| http_words(&e))?;
    let answer = sender.send_request(request);
    tokio::pin!(answer);
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ = connection => answer.await,
    };
    // The body is not read: the connection ends here.
    judge(answer.map_err(|e| http_words(&e))?.status())
}

fn request(
    host: &str,
    port: u16,
    path: &str,
    headers: &[(String, String)],
) -> Result<Request<Empty<Bytes>>, String> {
    let is_given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let ours = [
        (HOST, authority(host, port)),
        (USER_AGENT, concat!("soloist/", env!("CARGO_PKG_VERSION")).to_owned()),
        (ACCEPT, "*/*".to_owned()),
    ];
    let mut request = Request::get(path);
    for (name, value) in ours.into_iter().filter(|(name, _)| !is_given(name.as_str())) {
        request = request.header(name, value);
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.header(CONNECTION, "close").body(Empty::new()).map_err(|e| format!("cannot be asked: {e}"))
}

fn judge(status: StatusCode) -> Result<(), String> {
    match status.as_u16() {
        200..400 => Ok(()),
        _ => Err(format!("status {status}")),
    }
}

fn http_words(error: &hyper::Error) -> String {
    if error.is_parse_too_large() {
        format!("the head of the answer is longer than {} KiB", HEAD_MAX / 1024)
    } else if error.is_parse() {
        format!("what answers does not speak HTTP ({error})")
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        "the connection was closed without an answer".to_owned()
    } else {
        let reason = std::error::Error::source(error).map_or(String::new(), |reason| format!(": {reason}"));
        format!("{error}{reason}")
    }
}
