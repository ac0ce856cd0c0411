//! Errors: one table from a stable code to its HTTP status and its exit code, and the body that carries one
//! (application/problem+json, RFC 9457).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::status::HolderStatus;

/// What went wrong, in a word that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Anything that has no word of its own.
    Error,
    /// The request or the command line makes no sense.
    Usage,
    /// soloist.toml is missing or faulty.
    BadConfig,
    /// It is not running.
    NotRunning,
    /// No such instance.
    UnknownService,
    /// It runs, or should, but does not serve.
    Unhealthy,
    /// A process that is not ours listens on the port.
    PortHeld,
    /// It did not get ready in time.
    NotReady,
    /// Somebody else holds the claim.
    ClaimHeld,
    /// The daemon is about to end.
    Ending,
    /// Over TCP: no token and no session, or wrong ones.
    Unauthorized,
    /// Over TCP: under a foreign name, from a foreign page, or a write without its header.
    Forbidden,
    /// The API has no such path.
    NoSuchPath,
    /// The path has no such method.
    WrongMethod,
    /// The body did not come in time.
    TooSlow,
    /// The body is too long.
    TooLarge,
    /// The idempotency key was used for something else.
    KeyReused,
    /// There are too many of these already.
    Busy,
    /// Somebody asked for the opposite before it was done.
    Overtaken,
}

impl Code {
    /// All of them.
    pub const ALL: [Code; 19] = [
        Code::Error,
        Code::Usage,
        Code::BadConfig,
        Code::NotRunning,
        Code::UnknownService,
        Code::Unhealthy,
        Code::PortHeld,
        Code::NotReady,
        Code::ClaimHeld,
        Code::Ending,
        Code::Unauthorized,
        Code::Forbidden,
        Code::NoSuchPath,
        Code::WrongMethod,
        Code::TooSlow,
        Code::TooLarge,
        Code::KeyReused,
        Code::Busy,
        Code::Overtaken,
    ];

    /// The word, the HTTP status, the exit code, and what it means to a person. The one table.
    pub fn row(self) -> (&'static str, u16, i32, &'static str) {
        match self {
            Code::Error => ("error", 500, 1, "something failed; the message says what"),
            Code::Usage => ("usage", 400, 2, "the request makes no sense; the message says which part"),
            Code::BadConfig => {
                ("bad-config", 422, 1, "soloist.toml is missing or faulty; the message shows the place")
            }
            Code::NotRunning => ("not-running", 409, 3, "the service does not run"),
            Code::UnknownService => ("unknown-service", 404, 4, "no service or job has this name"),
            Code::Unhealthy => {
                ("unhealthy", 503, 5, "the service runs or should, but does not serve; see its log")
            }
            Code::PortHeld => (
                "port-held",
                409,
                6,
                "a process that is not ours listens on the port; `soloist who PORT` names it",
            ),
            Code::NotReady => ("not-ready", 504, 7, "the service was not ready in time; see its log"),
            // EX_TEMPFAIL of sysexits.h: try again later.
            Code::ClaimHeld => {
                ("claim-held", 423, 75, "another holder runs this instance; the message names it")
            }
            Code::Ending => ("ending", 503, 1, "the daemon is about to end; ask again"),
            Code::Unauthorized => ("unauthorized", 401, 1, "over TCP the token or a session is needed"),
            Code::Forbidden => (
                "forbidden",
                403,
                1,
                "asked under a foreign name, from a foreign page, without `X-Soloist: 1`, or for the secrets of a log",
            ),
            Code::NoSuchPath => ("no-such-path", 404, 2, "the API has no such path"),
            Code::WrongMethod => {
                ("wrong-method", 405, 2, "the path has no such method; `Allow` names its own")
            }
            Code::TooSlow => ("too-slow", 408, 1, "the body did not come in time"),
            Code::TooLarge => ("too-large", 413, 2, "the body is too long"),
            Code::KeyReused => ("key-reused", 422, 2, "the idempotency key was used for another request"),
            Code::Busy => ("busy", 503, 1, "there are too many of these already; end one or ask later"),
            Code::Overtaken => (
                "overtaken",
                409,
                1,
                "somebody asked for the opposite before it was done; `soloist history` names who",
            ),
        }
    }

    /// The exit code of the command line.
    pub fn exit_code(self) -> i32 {
        self.row().2
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().0)
    }
}

/// An error as it travels: the code for programs, the detail and the hint for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// The stable word.
    pub code: Code,
    /// The HTTP status.
    pub status: u16,
    /// What the code means.
    pub title: String,
    /// What happened here, on what, and why.
    pub detail: String,
    /// What to do now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The code again, as the URI that RFC 9457 (3.1.1) asks for; nothing lies there.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Who holds the claim or the port, if that is what stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Box<HolderStatus>>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        let (word, status, _, title) = code.row();
        let kind = format!("urn:soloist:problem:{word}");
        Problem {
            code,
            status,
            title: title.to_owned(),
            detail: detail.into(),
            hint: None,
            kind,
            holder: None,
        }
    }

    /// With what to do now.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// With who holds the claim or the port.
    #[must_use]
    pub fn holder(mut self, holder: Option<HolderStatus>) -> Problem {
        self.holder = holder.map(Box::new);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {hint}"))
    }
}

impl std::error::Error for Problem {}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Problem {
        Problem::new(Code::Error, error.to_string())
    }
}
