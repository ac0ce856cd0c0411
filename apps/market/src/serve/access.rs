//! Who may ask, and what every answer carries: only names of ours are answered, which keeps pages out whose name was made
//! to mean this machine (DNS rebinding); writes are taken from our own page and from programs, from no other page.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use percent_encoding::percent_decode_str;

use super::door::CameTo;
use super::problem::Problem;
use super::upload;

/// No other request has a body worth mentioning.
const BODY_MOST: u64 = 64 << 10;
/// Nothing from elsewhere, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Under which names the server answers.
pub struct Host {
    allowed: Vec<String>,
}

impl Host {
    /// Beside the machine's own these.
    pub fn new(allowed: Vec<String>) -> Self {
        Self { allowed }
    }

    fn is_ours(&self, name: &Authority, to: Option<IpAddr>) -> bool {
        let host = name.host().trim_start_matches('[').trim_end_matches(']');
        let is_known = match host.parse::<IpAddr>() {
            Ok(ip) => {
                ip.to_canonical().is_loopback() || to.is_some_and(|to| to.to_canonical() == ip.to_canonical())
            }
            Err(_) => host.eq_ignore_ascii_case("localhost"),
        };
        let is_allowed = || self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(host));
        (is_known || is_allowed()) && !name.as_str().contains('@')
    }

    fn judge(&self, request: &Request) -> Result<(), Problem> {
        let headers = request.headers();
        let to = request.extensions().get::<CameTo>().map(|to| to.0.ip());
        let forbid = |code: &str, said: String| Problem::new(StatusCode::FORBIDDEN, code, said);
        let named = text(headers, header::HOST);
        let name = named.parse::<Authority>().ok().filter(|name| self.is_ours(name, to));
        let whole = request.uri().authority().is_none_or(|name| self.is_ours(name, to));
        let Some(name) = name.filter(|_| whole && headers.get_all(header::HOST).iter().count() == 1) else {
            let hint = "use http://localhost and the port, or name this host by --allow-host";
            return Err(forbid("foreign-host", format!("this is not the host {named:?}")).hint(hint));
        };
        if !is_plain(request.uri().path()) {
            return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-path", "no path here has such parts"));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            let mut origins = headers.get_all(header::ORIGIN).iter();
            let is_foreign = |origin: &HeaderValue| {
                let origin = origin.to_str().unwrap_or("").split_once("://").map_or("", |(_, origin)| origin);
                !origin.eq_ignore_ascii_case(name.as_str())
            };
            let site = text(headers, header::HeaderName::from_static("sec-fetch-site"));
            if origins.any(is_foreign) || !matches!(site, "" | "same-origin" | "none") {
                let said =
                    format!("a page of {:?} may not change anything here", text(headers, header::ORIGIN));
                return Err(forbid("foreign-page", said));
            }
        }
        let length = text(headers, header::CONTENT_LENGTH).parse::<u64>().unwrap_or(0);
        let most = if request.uri().path() == upload::PATH { upload::REQUEST_MOST } else { BODY_MOST };
        if length > most {
            let said = format!("a body may have {most} bytes here, this one has {length}");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", said));
        }
        Ok(())
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"))
}

/// Whether each part of a path is a part still when it is decoded.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|part| {
        let part = percent_decode_str(part).decode_utf8();
        part.is_ok_and(|part| part != "." && part != ".." && !part.contains(['/', '\\', '\0']))
    })
}

/// Lets a request in, or says why not. Its body is not read before.
pub async fn check(State(host): State<Arc<Host>>, request: Request, next: Next) -> Response {
    match host.judge(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => closed(problem),
    }
}

/// A refusal after which the rest of the body is not read.
pub fn closed(problem: Problem) -> Response {
    ([(header::CONNECTION, "close")], problem).into_response()
}

/// Adds the headers that every answer has.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // What may be kept says so itself.
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;

    use super::{Host, is_plain};

    fn code(method: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut request = Request::builder().method(method).uri("/api/v1/process/refresh");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let host = Host::new(vec!["market.example".to_owned()]);
        host.judge(&request.body(Body::empty()).unwrap()).err().map(|problem| problem.code)
    }

    #[test]
    fn only_names_of_ours_are_answered() {
        for name in ["localhost:9000", "127.0.0.1", "[::1]:9000", "Market.Example", "market.example:443"] {
            assert_eq!(code("GET", &[("host", name)]), None, "{name}");
        }
        for name in
            ["evil.example", "localhost.evil.example", "10.1.2.3", "", "x@localhost", "market.example.evil"]
        {
            assert_eq!(code("GET", &[("host", name)]).as_deref(), Some("foreign-host"), "{name}");
        }
        assert_eq!(code("GET", &[]).as_deref(), Some("foreign-host"));
        assert_eq!(
            code("GET", &[("host", "localhost"), ("host", "localhost")]).as_deref(),
            Some("foreign-host")
        );
    }

    #[test]
    fn only_our_own_page_and_programs_may_write() {
        let with = |name, value| code("POST", &[("host", "localhost:9000"), (name, value)]);
        assert_eq!(code("POST", &[("host", "localhost:9000")]), None);
        assert_eq!(with("origin", "http://localhost:9000"), None);
        assert_eq!(with("sec-fetch-site", "same-origin"), None);
        for origin in ["http://localhost:9001", "http://evil.example", "null", "", "http://127.0.0.1:9000"] {
            assert_eq!(with("origin", origin).as_deref(), Some("foreign-page"), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert_eq!(with("sec-fetch-site", site).as_deref(), Some("foreign-page"), "{site}");
        }
        // What only reads says nothing to a foreign page: no answer allows it to look.
        assert_eq!(code("GET", &[("host", "localhost:9000"), ("origin", "http://evil.example")]), None);
    }

    #[test]
    fn a_path_that_means_another_one_is_none() {
        for path in ["/", "/api/v1/stocks/M%26M", "/api/v1/stocks/", "/x/..."] {
            assert!(is_plain(path), "{path}");
        }
        for path in ["/x/..", "/x/..%2f..%2fetc", "/x/%2e%2e/y", "/x/a%2Fb", "/x/a%5cb", "/x/%00", "/x/%ff"] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
