//! What every request and every answer has to keep to: no path that means another one, a body that is short and comes
//! soon, and headers that make browsers careful.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use soloist_api::error::{Code, Problem};

use super::{Answer, refuse};

/// The longest body: a thousand times what any request needs.
const BODY_MOST: u64 = 1 << 20;
/// How long it may take to come.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// No other origin, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Reads the body whole, or refuses the request.
pub(super) async fn body(request: Request, next: Next) -> Answer {
    if !is_plain(request.uri().path()) {
        return refuse(&Problem::new(Code::NoSuchPath, "a path of this API has no such parts"));
    }
    let (head, body) = request.into_parts();
    match collected(&head.headers, body).await {
        Ok(body) => next.run(Request::from_parts(head, body)).await,
        Err(problem) => {
            let mut answer = refuse(&problem);
            // The rest of the body is not read.
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            answer
        }
    }
}

async fn collected(headers: &HeaderMap, body: Body) -> Result<Body, Problem> {
    let too_large = || Problem::new(Code::TooLarge, format!("a body may have {BODY_MOST} bytes"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if announced.and_then(|length| length.parse().ok()).is_some_and(|length: u64| length > BODY_MOST) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_LIMIT, Limited::new(body, BODY_MOST as usize).collect()).await {
        Ok(Ok(whole)) => Ok(Body::from(whole.to_bytes())),
        Ok(Err(e)) if e.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(e)) => Err(Problem::new(Code::Usage, format!("the body cannot be read: {e}"))),
        Err(_) => Err(Problem::new(Code::TooSlow, format!("the body did not come within {BODY_LIMIT:?}"))),
    }
}

/// Whether each part of a path is a part still when it is decoded.
pub fn is_plain(path: &str) -> bool {
    path.split('/').all(|part| {
        let part = percent_decode_str(part).decode_utf8();
        part.is_ok_and(|part| part != "." && part != ".." && !part.contains(['/', '\\', '\0']))
    })
}

/// Adds the headers that every answer has.
pub(super) async fn headers(request: Request, next: Next) -> Answer {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What may be kept says so itself.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_means_another_one_is_none() {
        for path in ["/", "/api/v1/services/a.b-c_d@k~2", "/api/v1/services/%41", "/x/...", "/x//y"] {
            assert!(is_plain(path), "{path}");
        }
        for path in [
            "/x/..",
            "/x/./y",
            "/x/..%2f..%2fetc",
            "/x/%2e%2e/y",
            "/x/%2E",
            "/x/a%2Fb",
            "/x/a%5cb",
            "/x/%00",
            "/x/%ff",
        ] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
