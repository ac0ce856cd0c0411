//! Whoever calls the daemon over TCP: raw requests, so that a test can send what no decent client would.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::LIMIT;
use crate::project::Project;
use crate::wait_until;

/// The door of a project's daemon, with its token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Where the daemon listens.
    pub address: SocketAddr,
    /// What lets programs in.
    pub token: String,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The lines before the body, names in lower case.
    pub head: String,
    /// The body, its chunks not put together.
    pub body: String,
}

impl Caller {
    /// Of the daemon that is published now.
    #[track_caller]
    pub fn of(project: &Project) -> Caller {
        wait_until("the daemon listens over TCP", LIMIT, || {
            let text = project.read(".soloist/http.json");
            let found: Option<serde_json::Value> = serde_json::from_str(&text).ok();
            let address = found.as_ref().filter(|found| found["pid"].is_u64());
            let address = address.and_then(|found| found["address"].as_str()?.parse().ok());
            let token = project.read(".soloist/token");
            address
                .map(|address| Caller { address, token })
                .ok_or_else(|| format!("{text}\n{}", project.diary()))
        })
    }

    /// A connection.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(stream)
    }

    /// A request as bytes: first line, host, these headers, a body if there is one.
    pub fn request(&self, line: &str, headers: &[&str], body: &str) -> String {
        let mut text = format!("{line} HTTP/1.1\r\n");
        if !headers.iter().any(|header| header.to_ascii_lowercase().starts_with("host:")) {
            text.push_str(&format!("Host: {}\r\n", self.address));
        }
        headers.iter().for_each(|header| text.push_str(&format!("{header}\r\n")));
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        format!("{text}Connection: close\r\n\r\n{body}")
    }

    /// The header that lets it in.
    pub fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    /// Asks without any secret.
    #[track_caller]
    pub fn ask(&self, line: &str, headers: &[&str], body: &str) -> Reply {
        self.try_ask(line, headers, body).unwrap_or_else(|e| panic!("{line}: {e}"))
    }

    /// Asks with the token.
    #[track_caller]
    pub fn ask_known(&self, line: &str, headers: &[&str], body: &str) -> Reply {
        let bearer = self.bearer();
        let headers: Vec<&str> = headers.iter().copied().chain([bearer.as_str()]).collect();
        self.ask(line, &headers, body)
    }

    /// As `ask`, for who is perhaps not answered.
    pub fn try_ask(&self, line: &str, headers: &[&str], body: &str) -> io::Result<Reply> {
        let mut stream = self.connect()?;
        stream.write_all(self.request(line, headers, body).as_bytes())?;
        answer(&mut stream)
    }
}

/// Reads an answer up to the end of the connection.
pub fn answer(stream: &mut TcpStream) -> io::Result<Reply> {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Err(read.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
    };
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let lower = |line: &str| match line.split_once(':') {
        Some((name, value)) => format!("{}:{value}\n", name.to_ascii_lowercase()),
        None => format!("{line}\n"),
    };
    let head = head.lines().map(lower).collect();
    Ok(Reply { status: status.ok_or(io::ErrorKind::InvalidData)?, head, body: body.to_owned() })
}

impl Reply {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// Fails the test unless it is a problem with this status and code that says this.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str, said: &str) -> &Reply {
        assert_eq!(
            (self.status, self.header("content-type")),
            (status, Some("application/problem+json")),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], format!("urn:soloist:problem:{code}"), "{problem}");
        assert!(problem.to_string().contains(said), "{said:?} is not said by {problem}");
        self
    }
}
