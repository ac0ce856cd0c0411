//! Who may ask over TCP: programs with the token, browsers with the cookie that a one-time link became; under a name
//! of ours only, and from no foreign page. The Unix socket needs none of it: only its user can open it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;
use percent_encoding::percent_decode_str;
use soloist_api::error::{Code, Problem};
use soloist_api::request::Login;
use soloist_os::layout::Layout;
use soloist_os::secret::{fresh, is_same, kept};

use super::door::CameTo;
use super::{Answer, page, refuse};

/// How long a link can be opened.
const LINK_LIMIT: Duration = Duration::from_secs(60);
/// So many that were not opened yet are remembered.
const LINKS_MOST: usize = 16;
/// What a page adds to each write: no form and no other site's page can.
const WRITE_HEADER: HeaderName = HeaderName::from_static("x-soloist");

/// The secrets of a listener.
pub(crate) struct Access {
    address: SocketAddr,
    token: String,
    /// The cookie's value; it outlives the daemon, so that a page goes on.
    session: String,
    links: Mutex<Vec<(String, Instant)>>,
}

impl Access {
    /// The project's secrets, made if there are none, for a listener at this address.
    ///
    /// # Errors
    /// If they can be neither read nor made.
    pub(crate) fn new(layout: &Layout, address: SocketAddr) -> std::io::Result<Access> {
        let (token, session) = (kept(&layout.token())?, kept(&layout.session())?);
        Ok(Access { address, token, session, links: Mutex::default() })
    }

    /// A link that lets one browser in, once.
    pub(super) fn link(&self) -> Result<Login, Problem> {
        let code = fresh()?;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() >= LINKS_MOST {
            links.remove(0);
        }
        links.push((code.clone(), Instant::now()));
        Ok(Login { url: format!("{}/login?code={code}", url(self.address)), seconds: LINK_LIMIT.as_secs() })
    }

    fn redeem(&self, code: &str) -> bool {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|(_, made)| made.elapsed() < LINK_LIMIT);
        let found = links.iter().position(|(link, _)| is_same(link, code));
        found.map(|at| links.remove(at)).is_some()
    }

    /// Cookies know no ports: two projects on this machine must not overwrite each other's.
    fn cookie(&self) -> String {
        format!("soloist_session_{}", self.address.port())
    }

    fn has_session(&self, headers: &HeaderMap) -> bool {
        let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie() && is_same(value, &self.session))
    }

    /// Whether a name with its port, of a `Host` or an `Origin`, means this listener. A name that only resolves to it
    /// does not: that is how a foreign page gets at it (DNS rebinding).
    fn is_ours(&self, name: &str, to: SocketAddr) -> bool {
        let Ok(name) = name.parse::<Authority>() else { return false };
        let host = name.host().trim_start_matches('[').trim_end_matches(']');
        let is_known = match host.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback() || ip == to.ip().to_canonical(),
            Err(_) => host.eq_ignore_ascii_case("localhost"),
        };
        is_known && name.port_u16().unwrap_or(80) == to.port() && !name.as_str().contains('@')
    }

    fn comes_in(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        if let Some(given) = headers.get(header::AUTHORIZATION) {
            let token = given.to_str().ok().and_then(|given| {
                let (scheme, token) = given.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
            });
            return match token {
                Some(token) if is_same(token, &self.token) => Ok(()),
                _ => Err(Problem::new(Code::Unauthorized, "the token is not this project's")
                    .hint("send `Authorization: Bearer TOKEN` with the text of .soloist/token")),
            };
        }
        if !self.has_session(headers) {
            return Err(Problem::new(Code::Unauthorized, "there is neither a token nor a session")
                .hint("`soloist open` opens the page; programs send `Authorization: Bearer TOKEN` with the text of .soloist/token"));
        }
        let is_write = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if is_write && headers.get(WRITE_HEADER).is_none_or(|value| value != "1") {
            return Err(Problem::new(
                Code::Forbidden,
                "a write with a session needs the header `X-Soloist: 1`",
            ));
        }
        Ok(())
    }
}

/// An address as browsers take it; one that means all addresses is reached by this machine's own.
pub(crate) fn url(address: SocketAddr) -> String {
    let reached = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], address.port())),
        _ => address,
    };
    format!("http://{reached}")
}

/// Lets a request in, or says why not. Its body is not read before.
pub(super) async fn check(State(access): State<Arc<Access>>, request: Request, next: Next) -> Answer {
    match access.judge(&request) {
        Ok(Ruling::Pass) => next.run(request).await,
        Ok(Ruling::Welcome) => access.welcome(),
        Err(problem) if problem.code == Code::Unauthorized => {
            let accepted = request.headers().get(header::ACCEPT).and_then(|kinds| kinds.to_str().ok());
            let is_person = accepted.is_some_and(|kinds| kinds.contains("text/html"));
            let mut answer = if is_person { page::shut(&problem) } else { refuse(&problem) };
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            answer
        }
        Err(problem) => refuse(&problem),
    }
}

enum Ruling {
    Pass,
    /// With a link that was good.
    Welcome,
}

impl Access {
    fn judge(&self, request: &Request) -> Result<Ruling, Problem> {
        let to = request.extensions().get::<CameTo>().map_or(self.address, |to| to.0);
        let headers = request.headers();
        let named: Vec<&str> =
            headers.get_all(header::HOST).iter().map(|v| v.to_str().unwrap_or("")).collect();
        let whole = request.uri().authority().is_none_or(|name| self.is_ours(name.as_str(), to));
        if !whole || named.len() != 1 || !named.iter().all(|name| self.is_ours(name, to)) {
            let said = format!("this is not the host {:?}", named.join(", "));
            return Err(Problem::new(Code::Forbidden, said).hint(format!("use {}", url(to))));
        }
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or("");
            if !origin.strip_prefix("http://").is_some_and(|name| self.is_ours(name, to)) {
                let said = format!("pages of {origin:?} may not ask here");
                return Err(Problem::new(Code::Forbidden, said));
            }
        }
        let path = request.uri().path();
        if path == "/livez" {
            return Ok(Ruling::Pass);
        }
        let query = request.uri().query().unwrap_or("");
        let pairs: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let is_token =
            |value: &str| percent_decode_str(value).decode_utf8().is_ok_and(|v| is_same(&v, &self.token));
        if pairs.iter().any(|(key, value)| matches!(*key, "token" | "access_token") || is_token(value)) {
            let said = "a token in a query ends up in logs and histories, so it is not taken";
            let problem = Problem::new(Code::Usage, said);
            return Err(problem.hint("send it as `Authorization: Bearer TOKEN`; if it was the right one, delete .soloist/token and run `soloist upgrade`"));
        }
        if path == "/login" && request.method() == Method::GET {
            let code = pairs.iter().find(|(key, _)| *key == "code").map_or("", |(_, code)| code);
            return match self.redeem(code) {
                true => Ok(Ruling::Welcome),
                // Opened twice, most likely, by somebody who is in.
                false if self.has_session(headers) => Ok(Ruling::Welcome),
                false => {
                    Err(Problem::new(Code::Unauthorized, "this link was used, or is older than a minute")
                        .hint("`soloist open` makes a new one"))
                }
            };
        }
        self.comes_in(request)?;
        Ok(Ruling::Pass)
    }

    fn welcome(&self) -> Answer {
        let cookie = format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie(), self.session);
        (StatusCode::SEE_OTHER, [(header::LOCATION, "/".to_owned()), (header::SET_COOKIE, cookie)])
            .into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn access() -> Access {
        let address = SocketAddr::from(([127, 0, 0, 1], 8700));
        Access { address, token: "t".repeat(64), session: "s".repeat(64), links: Mutex::default() }
    }

    #[test]
    fn only_names_of_this_machine_with_the_right_port_are_ours() {
        let (access, to) = (access(), SocketAddr::from(([127, 0, 0, 1], 8700)));
        for name in ["127.0.0.1:8700", "localhost:8700", "LOCALHOST:8700", "[::1]:8700"] {
            assert!(access.is_ours(name, to), "{name}");
        }
        for name in [
            "127.0.0.1",
            "localhost",
            "localhost:80",
            "evil.example:8700",
            "localhost.evil.example:8700",
            "10.0.0.7:8700",
            "",
            "x@localhost:8700",
            "null",
            "localhost:8700/x",
        ] {
            assert!(!access.is_ours(name, to), "{name}");
        }
        let lan = SocketAddr::from(([10, 0, 0, 7], 8700));
        assert!(access.is_ours("10.0.0.7:8700", lan) && !access.is_ours("10.0.0.8:8700", lan));
        assert!(access.is_ours("localhost", SocketAddr::from(([127, 0, 0, 1], 80))));
    }

    #[test]
    fn a_link_opens_once_and_becomes_a_session() {
        let access = access();
        let link = access.link().unwrap().url;
        let path = link.strip_prefix("http://127.0.0.1:8700").unwrap().to_owned();
        let ask =
            || Request::get(path.as_str()).header("host", "localhost:8700").body(Body::empty()).unwrap();
        assert!(matches!(access.judge(&ask()), Ok(Ruling::Welcome)));
        let again = access.judge(&ask()).err().unwrap();
        assert_eq!(again.code, Code::Unauthorized);
        let cookie = access.welcome().headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/"), "{cookie}");
        let pair = cookie.split(';').next().unwrap().to_owned();
        let with = |method: &str, extra: &str| {
            let request =
                Request::builder().method(method).uri("/api/v1/up").header("host", "localhost:8700");
            let request = request.header("cookie", format!("other=1; {pair}")).header("x-soloist", extra);
            access.judge(&request.body(Body::empty()).unwrap()).map(drop)
        };
        assert!(with("GET", "").is_ok() && with("POST", "1").is_ok());
        assert_eq!(with("POST", "").unwrap_err().code, Code::Forbidden);
    }

    #[test]
    fn only_the_newest_links_are_remembered() {
        let access = access();
        let code = |login: Login| login.url.split_once("code=").unwrap().1.to_owned();
        let first = code(access.link().unwrap());
        let rest: Vec<_> = (0..LINKS_MOST).map(|_| code(access.link().unwrap())).collect();
        assert!(!access.redeem(&first) && rest.iter().all(|code| access.redeem(code)));
    }
}
