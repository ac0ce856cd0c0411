//! One HTTP request at a time, each through the gate, with a total deadline and a cap on its body.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use ureq::http::HeaderMap;

use super::gate::{Gate, epoch};
use super::limiter::{Admission, Permit};
use super::provider::Fault;

/// A hundred quotes are a quarter of that.
const BODY_MAX: u64 = 4 << 20;
/// Nobody waits longer for his turn within a scan; the hour is full then.
const PATIENCE: f64 = 60.0;

/// Tells the provider who asks. It does not pretend to be a browser.
const AGENT: &str = concat!("soloist-market/", env!("CARGO_PKG_VERSION"), " (gap scanner)");

/// The way to a provider.
#[derive(Debug)]
pub struct Line {
    agent: ureq::Agent,
    /// Who lets requests through.
    pub gate: Gate,
    /// Requests sent.
    pub requests: u32,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `NAME=value` of the cookies that were set.
    pub cookies: Vec<String>,
    /// The whole body.
    pub body: Vec<u8>,
    /// Of the request.
    pub permit: Permit,
    retry_after: Option<f64>,
}

impl Line {
    /// A line on which each request, with its whole answer, has so much time.
    pub fn new(gate: Gate, deadline: Duration, is_direct: bool) -> Self {
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(deadline))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(AGENT);
        if is_direct {
            config = config.proxy(None);
        }
        Self { agent: config.build().new_agent(), gate, requests: 0 }
    }

    /// Asks when the gate lets it through. A refusal opens the circuit.
    ///
    /// # Errors
    /// No answer within the deadline, a body that breaks off or is too large; a refusal; not allowed now.
    pub fn get(&mut self, url: &str, cookie: Option<&str>) -> Result<Reply, Fault> {
        let permit = self.admit()?;
        self.requests += 1;
        let reply = match self.ask(url, cookie, permit) {
            Ok(reply) => reply,
            Err(error) => {
                self.gate.failed(permit)?;
                return Err(Fault::Bad(words(&error)));
            }
        };
        // 403 is how a client is told that it is not wanted, 503 how all are told to come later.
        if matches!(reply.status, 403 | 429 | 503) {
            return Err(self.refused(&reply, &format!("the provider answered {}", reply.status)));
        }
        self.gate.answered(permit)?;
        Ok(reply)
    }

    /// Opens the circuit because of this answer.
    pub fn refused(&mut self, reply: &Reply, why: &str) -> Fault {
        match self.gate.refused(reply.permit, reply.retry_after) {
            Ok(until) => {
                Fault::Shut { until, why: format!("{why}: it is left alone for {:.0} s", until - epoch()) }
            }
            Err(error) => Fault::Store(error),
        }
    }

    fn admit(&mut self) -> Result<Permit, Fault> {
        loop {
            match self.gate.admit()? {
                Admission::Go(permit) => return Ok(permit),
                Admission::Wait(seconds) if seconds <= PATIENCE => {
                    std::thread::sleep(Duration::from_secs_f64(seconds));
                }
                Admission::Wait(seconds) => {
                    let why =
                        format!("the requests of this hour are used up, the next may go in {seconds:.0} s");
                    return Err(Fault::Shut { until: epoch() + seconds, why });
                }
                Admission::Shut(until) => {
                    let why = format!("the provider asked for quiet, for another {:.0} s", until - epoch());
                    return Err(Fault::Shut { until, why });
                }
            }
        }
    }

    fn ask(&self, url: &str, cookie: Option<&str>, permit: Permit) -> Result<Reply, ureq::Error> {
        let mut request =
            self.agent.get(url).header("accept", "application/json, text/plain;q=0.9, */*;q=0.1");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let mut response = request.call()?;
        let body = response.body_mut().with_config().limit(BODY_MAX).read_to_vec()?;
        let headers = response.headers();
        Ok(Reply {
            status: response.status().as_u16(),
            cookies: cookies(headers),
            retry_after: retry_after(headers, Timestamp::now()),
            body,
            permit,
        })
    }
}

/// Why a request failed, without its URL: the crumb stands there.
fn words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "the provider did not answer in time".to_owned(),
        ureq::Error::BodyExceedsLimit(bytes) => format!("the provider answered more than {bytes} bytes"),
        other => format!("the provider did not answer: {other}"),
    }
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let set = headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    set.filter_map(|value| value.split(';').next()).map(|pair| pair.trim().to_owned()).collect()
}

/// Seconds until the provider wants to be asked again: given as such, or as a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<f64> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let seconds = match text.parse::<u32>() {
        Ok(seconds) => f64::from(seconds),
        Err(_) => DateTimeParser::new().parse_timestamp(text).ok()?.duration_since(now).as_secs_f64(),
    };
    (seconds > 0.0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use ureq::http::{HeaderMap, HeaderValue};

    use super::retry_after;

    #[test]
    fn a_provider_may_say_seconds_or_a_date() {
        let now: Timestamp = "2026-11-20T15:00:00Z".parse().expect("a moment");
        let said = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", HeaderValue::from_static(text));
            retry_after(&headers, now)
        };
        assert_eq!(said("120"), Some(120.0));
        assert_eq!(said(" 7 "), Some(7.0));
        assert_eq!(said("Fri, 20 Nov 2026 15:10:00 GMT"), Some(600.0));
        for nonsense in ["0", "-5", "soon", "Fri, 20 Nov 2026 14:00:00 GMT", "99999999999999999999", ""] {
            assert_eq!(said(nonsense), None, "{nonsense}");
        }
    }
}
