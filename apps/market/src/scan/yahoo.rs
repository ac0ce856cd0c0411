//! Yahoo's unofficial endpoints: a cookie, a crumb for it, screeners, and quotes by the hundred.
//! docs/market-scanner.md says which, and on which terms they may be used.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::gate::{Gate, Pass, Way, epoch};
use super::limiter::Rules;
use super::line::{Line, Reply};
use super::provider::{Answer, Fault, Provider};
use crate::store::{Location, Writer};

pub mod fields;

/// The most symbols a request asks for, and the most bytes its URL has.
const SYMBOLS_MAX: usize = 100;
const URL_MAX: usize = 1_800;
/// How many quotes of a screener are wanted.
const SCREEN_COUNT: u32 = 100;
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// How often it is looked whether another process has fetched the crumb.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The provider, or what speaks like it.
#[derive(Debug)]
pub struct Yahoo {
    line: Line,
    base: String,
    cookie_url: String,
    /// Time to fetch a pass in.
    lease: Duration,
}

impl Yahoo {
    /// `name` is `yahoo`, or a base URL such as `http://127.0.0.1:9100`.
    ///
    /// # Errors
    /// It is neither; the database cannot be opened.
    pub fn open(
        name: &str,
        database: &Location,
        writer: &Writer,
        rules: Rules,
        deadline: Duration,
    ) -> Result<Self> {
        let (base, cookie_url) = match name {
            "yahoo" => ("https://query1.finance.yahoo.com".to_owned(), "https://fc.yahoo.com/".to_owned()),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                let base = url.trim_end_matches('/');
                (base.to_owned(), format!("{base}/"))
            }
            other => {
                bail!("no provider {other:?} is known; give `yahoo`, or the URL of one that speaks like it")
            }
        };
        let uri: ureq::http::Uri =
            base.parse().with_context(|| format!("{base:?} is no URL of a provider"))?;
        let host = uri.authority().with_context(|| format!("{base:?} names no host"))?;
        let is_direct = matches!(host.host(), "localhost" | "127.0.0.1" | "[::1]");
        let gate = Gate::open(database, writer, host.as_str(), rules)?;
        Ok(Self { line: Line::new(gate, deadline, is_direct), base, cookie_url, lease: deadline * 3 })
    }

    /// Asks with cookie and crumb. A pass that is not known any more is fetched anew, once.
    fn ask(&mut self, path: &str) -> Result<Value, Fault> {
        let mut pass = self.pass()?;
        let mut reply = self.line.get(&self.url(path, &pass), Some(&pass.cookie))?;
        if reply.status == 401 {
            self.line.gate.forget(&pass)?;
            pass = self.pass()?;
            reply = self.line.get(&self.url(path, &pass), Some(&pass.cookie))?;
            if reply.status == 401 {
                self.line.gate.forget(&pass)?;
                return Err(self.line.refused(&reply, "the provider refuses a fresh crumb"));
            }
        }
        self.json(&reply)
    }

    fn json(&mut self, reply: &Reply) -> Result<Value, Fault> {
        if let Ok(value) = serde_json::from_slice(&reply.body)
            && reply.status < 400
        {
            self.line.gate.served(reply.permit)?;
            return Ok(value);
        }
        let text = String::from_utf8_lossy(&reply.body);
        if speaks_of_a_limit(&text) {
            return Err(self.line.refused(reply, "the provider says that these were too many requests"));
        }
        let status = reply.status;
        Err(Fault::Bad(match text.trim_start().chars().next() {
            Some('<') => format!("the provider answered {status} with a page in place of quotes"),
            Some(_) if status < 400 => "the provider's answer is no whole JSON".to_owned(),
            _ => format!("the provider answered {status}"),
        }))
    }

    fn url(&self, path: &str, pass: &Pass) -> String {
        format!("{}{path}&crumb={}", self.base, utf8_percent_encode(&pass.crumb, ESCAPED))
    }

    /// Cookie and crumb. However many processes want them, one fetches.
    fn pass(&mut self) -> Result<Pass, Fault> {
        let began = Instant::now();
        loop {
            match self.line.gate.way(self.lease)? {
                Way::Known(pass) => return Ok(pass),
                Way::Fetch(cookie) => return self.fetch(cookie),
                Way::Wait if began.elapsed() < self.lease * 2 => std::thread::sleep(LOOK_AGAIN),
                Way::Wait => return Err(Fault::Bad("nobody got a crumb of the provider".to_owned())),
            }
        }
    }

    fn fetch(&mut self, known: Option<String>) -> Result<Pass, Fault> {
        let mut cookie = known;
        let fetched = self.fetch_with(&mut cookie);
        self.line.gate.keep(cookie.clone(), fetched.as_ref().ok().cloned())?;
        Ok(Pass { crumb: fetched?, cookie: cookie.unwrap_or_default() })
    }

    fn fetch_with(&mut self, cookie: &mut Option<String>) -> Result<String, Fault> {
        let with = match cookie {
            Some(known) => known.clone(),
            None => {
                // It answers 404; all that is wanted is its cookie.
                let reply = self.line.get(&self.cookie_url, None)?;
                let found =
                    reply.cookies.iter().find(|pair| pair.starts_with("A3=")).or(reply.cookies.first());
                cookie
                    .insert(found.cloned().ok_or_else(|| {
                        Fault::Bad(
                            "the provider gave no cookie; it may want a person's consent first".to_owned(),
                        )
                    })?)
                    .clone()
            }
        };
        let url = format!("{}/v1/test/getcrumb", self.base);
        let reply = self.line.get(&url, Some(&with))?;
        match std::str::from_utf8(&reply.body) {
            Ok(crumb) if reply.status < 400 && is_crumb(crumb) => Ok(crumb.to_owned()),
            _ => {
                if reply.status == 401 {
                    *cookie = None;
                }
                Err(self.line.refused(&reply, "the provider gave no crumb but other words"))
            }
        }
    }
}

impl Provider for Yahoo {
    fn screen(&mut self, name: &str) -> Result<Answer, Fault> {
        let name = utf8_percent_encode(name, ESCAPED);
        let path = format!("/v1/finance/screener/predefined/saved?scrIds={name}&count={SCREEN_COUNT}");
        let answer = self.ask(&path)?;
        answer.pointer("/finance/result/0/quotes").and_then(fields::read_all).ok_or_else(|| {
            Fault::Bad(format!("the provider gave no list {name}; is it one of its predefined screeners?"))
        })
    }

    fn quotes(&mut self, symbols: &[&str]) -> (usize, Result<Answer, Fault>) {
        // A crumb is at most 128 bytes, each of which may be escaped.
        let room = URL_MAX.saturating_sub(self.base.len() + 128 * 3 + "&crumb=".len());
        let (count, path) = batch(symbols, room);
        let answer = self.ask(&path).and_then(|answer| {
            answer
                .pointer("/quoteResponse/result")
                .and_then(fields::read_all)
                .ok_or_else(|| Fault::Bad("the provider's answer has no list of quotes".to_owned()))
        });
        (count, answer)
    }

    fn requests(&self) -> u32 {
        self.line.requests
    }

    fn shut_until(&mut self) -> Result<Option<f64>> {
        self.line.gate.shut_until().map(|until| until.filter(|until| *until > epoch()))
    }
}

/// How many of the symbols one request asks for, at least one, and its path, at most `room` bytes long.
fn batch(symbols: &[&str], room: usize) -> (usize, String) {
    let mut path = String::from("/v7/finance/quote?symbols=");
    for (at, symbol) in symbols.iter().take(SYMBOLS_MAX).enumerate() {
        let before = path.len();
        path.extend((at > 0).then_some(','));
        path.extend(utf8_percent_encode(symbol, ESCAPED));
        if at > 0 && path.len() > room {
            path.truncate(before);
            return (at, path);
        }
    }
    (symbols.len().min(SYMBOLS_MAX), path)
}

/// Texts such as `Too Many Requests` were taken for crumbs by others, and kept.
fn is_crumb(text: &str) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '{' | '[');
    let lower = text.to_lowercase();
    let is_speech = ["unauthorized", "toomany", "forbidden", "error"].iter().any(|word| lower.contains(word));
    (1..=128).contains(&text.len()) && !text.chars().any(is_odd) && !is_speech
}

fn speaks_of_a_limit(text: &str) -> bool {
    text.len() < 1_000 && text.to_lowercase().contains("too many requests")
}

#[cfg(test)]
mod tests {
    use super::{SYMBOLS_MAX, batch, is_crumb};

    #[test]
    fn a_crumb_is_one_short_word_without_a_message_in_it() {
        for crumb in ["aB/3.x%=Zq9", "Kb7.uG0QxYz", "a"] {
            assert!(is_crumb(crumb), "{crumb}");
        }
        let long = "x".repeat(129);
        for text in [
            "",
            "Too Many Requests\r\n",
            "Edge: Too Many Requests",
            "<html>",
            "{\"finance\":1}",
            "[]",
            "Unauthorized",
            "TooManyRequests",
            "a b",
            "a\n",
            &long,
        ] {
            assert!(!is_crumb(text), "{text}");
        }
    }

    #[test]
    fn a_request_has_at_most_a_hundred_symbols_and_never_too_long_a_path() {
        let symbols: Vec<String> = (0..250).map(|at| format!("S{at}")).collect();
        let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
        let (count, path) = batch(&symbols, 1_300);
        assert_eq!((count, path.matches(',').count()), (SYMBOLS_MAX, SYMBOLS_MAX - 1));
        let long: Vec<&str> = vec!["^ABCDEFGHIJKLMNOPQRSTUVWXYZ-0123"; 100];
        let (count, path) = batch(&long, 1_300);
        assert!(path.len() <= 1_300 && path.len() > 1_250, "{}", path.len());
        assert_eq!(path.matches("%5E").count(), count);
        // One always goes, or nothing ever would.
        assert_eq!(batch(&long, 10).0, 1);
        assert_eq!(batch(&["A", "B"], 1_300), (2, "/v7/finance/quote?symbols=A,B".to_owned()));
    }
}
