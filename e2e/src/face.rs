//! The daemon's API as any client sees it: requests over its Unix socket, and streams of server-sent events that a test
//! reads at its own pace. HTTP/1.0, so that an answer ends with its connection.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::LIMIT;
use crate::Project;

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, one a line.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    /// With this status, or the test fails.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text());
        self
    }
}

/// `GET`.
#[track_caller]
pub fn get(project: &Project, path: &str) -> Answer {
    ask(project, "GET", path, "")
}

/// `POST` with a body of JSON.
#[track_caller]
pub fn post(project: &Project, path: &str, body: &str) -> Answer {
    ask(project, "POST", path, body)
}

#[track_caller]
fn ask(project: &Project, method: &str, path: &str, body: &str) -> Answer {
    try_ask(project, method, path, body).unwrap_or_else(|e| panic!("{method} {path}: {e}"))
}

/// Asks a daemon that may be killed meanwhile.
pub fn try_ask(project: &Project, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    let mut stream = send(project, method, path, "", body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(ErrorKind::InvalidData)?;
    Ok(Answer { status, head, body: bytes[end + 4..].to_vec() })
}

fn send(
    project: &Project,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(project.folder().join(".soloist/daemon.sock"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nhost: soloist\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )?;
    Ok(stream)
}

/// A stream of server-sent events.
#[derive(Debug)]
pub struct Stream {
    lines: BufReader<UnixStream>,
    /// The last id there was.
    pub id: Option<String>,
}

impl Stream {
    /// Opens it, after the event of an id if one is given.
    pub fn open(project: &Project, path: &str, after: Option<&str>) -> std::io::Result<Stream> {
        let header = after.map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
        let mut lines = BufReader::new(send(project, "GET", path, &header, "")?);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if lines.read_line(&mut head)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        if !head.contains(" 200 ") || !head.contains("text/event-stream") {
            return Err(std::io::Error::other(head));
        }
        Ok(Stream { lines, id: after.map(str::to_owned) })
    }

    /// Reads on until an event is meant.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut is_meant: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for event in self.by_ref() {
            if is_meant(&event) {
                return event;
            }
            last = event;
        }
        panic!("the stream ended before {what}; the last event was {last}")
    }
}

impl Iterator for Stream {
    type Item = Value;

    /// The next event; `None` at the end, also one that is cut.
    fn next(&mut self) -> Option<Value> {
        let mut data = None;
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line);
            if read.is_err() || !line.ends_with('\n') {
                return None;
            }
            match line.trim_end().split_once(':') {
                Some(("id", id)) => self.id = Some(id.trim().to_owned()),
                Some(("data", json)) => data = serde_json::from_str(json).ok(),
                _ if line == "\n" && data.is_some() => return data,
                _ => {}
            }
        }
    }
}
