//! `Idempotency-Key`: a write that is sent again with the same key is done once, and answered twice. What it did is
//! found out also by a client whose connection broke meanwhile.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use http_body_util::BodyExt;
use soloist_api::error::{Code, Problem};
use tokio::sync::watch;

use super::{Answer, ended, refuse};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// How long a key is known,
const KNOWN_LIMIT: Duration = Duration::from_secs(600);
/// how many are,
const KNOWN_MOST: usize = 1000;
/// and how long one may be.
const KEY_MOST: usize = 255;

/// The keys of late, and what was answered.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<String, Entry>>);

struct Entry {
    since: Instant,
    /// Of what was asked for: method, path and body.
    print: u64,
    answer: watch::Receiver<Option<Kept>>,
}

#[derive(Clone)]
struct Kept {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers a write whose key is known as it was answered before, or will be.
pub(super) async fn replay(State(known): State<Arc<Known>>, request: Request, next: Next) -> Answer {
    let is_write = matches!(*request.method(), Method::POST | Method::PATCH | Method::PUT | Method::DELETE);
    let Some(key) = request.headers().get(KEY).filter(|_| is_write) else { return next.run(request).await };
    let key = match key.to_str() {
        Ok(key) if (1..=KEY_MOST).contains(&key.len()) => key.to_owned(),
        _ => {
            let said = format!("an idempotency key is 1 to {KEY_MOST} printable characters");
            return refuse(&Problem::new(Code::Usage, said));
        }
    };
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return refuse(&ended()) };
    let body = body.to_bytes();
    let mut hasher = DefaultHasher::new();
    (head.method.as_str(), head.uri.path_and_query().map(|path| path.as_str()), &body).hash(&mut hasher);
    match known.look(&key, hasher.finish()) {
        Ok(Look::New(tell)) => {
            // A task of its own: it goes on if the client does not.
            let done = tokio::spawn(async move {
                let answer = next.run(Request::from_parts(head, Body::from(body))).await;
                known.keep(&key, &tell, answer).await
            });
            done.await.unwrap_or_else(|_| refuse(&ended()))
        }
        Ok(Look::Known(mut answer)) => {
            let kept = answer.wait_for(Option::is_some).await.ok().and_then(|kept| kept.clone());
            let Some(kept) = kept else { return refuse(&ended()) };
            let mut answer = kept.answer();
            answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            answer
        }
        Err(problem) => refuse(&problem),
    }
}

enum Look {
    New(watch::Sender<Option<Kept>>),
    Known(watch::Receiver<Option<Kept>>),
}

impl Known {
    fn look(&self, key: &str, print: u64) -> Result<Look, Problem> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get(key).filter(|entry| entry.since.elapsed() < KNOWN_LIMIT) {
            return if entry.print == print {
                Ok(Look::Known(entry.answer.clone()))
            } else {
                let said = format!("the idempotency key {key:?} was used for another request");
                Err(Problem::new(Code::KeyReused, said).hint("take a new key for each request"))
            };
        }
        if known.len() >= KNOWN_MOST {
            known.retain(|_, entry| entry.since.elapsed() < KNOWN_LIMIT);
        }
        if known.len() >= KNOWN_MOST
            && let Some(oldest) =
                known.iter().min_by_key(|(_, entry)| entry.since).map(|(key, _)| key.clone())
        {
            known.remove(&oldest);
        }
        let (tell, answer) = watch::channel(None);
        known.insert(key.to_owned(), Entry { since: Instant::now(), print, answer });
        Ok(Look::New(tell))
    }

    /// What failed on our side is worth another try, and is not kept.
    async fn keep(&self, key: &str, tell: &watch::Sender<Option<Kept>>, answer: Answer) -> Answer {
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let kept = Kept { status: head.status, headers: head.headers, body };
        if kept.status.is_server_error() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        }
        let answer = kept.answer();
        tell.send_replace(Some(kept));
        answer
    }
}

impl Kept {
    fn answer(&self) -> Answer {
        let mut answer = Answer::new(Body::from(self.body.clone()));
        *answer.status_mut() = self.status;
        *answer.headers_mut() = self.headers.clone();
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_means_one_request_and_only_so_many_are_known() {
        let known = Known::default();
        assert!(matches!(known.look("a", 1), Ok(Look::New(_))));
        assert!(matches!(known.look("a", 1), Ok(Look::Known(_))));
        assert_eq!(known.look("a", 2).err().map(|problem| problem.code), Some(Code::KeyReused));
        for number in 0..KNOWN_MOST {
            assert!(matches!(known.look(&number.to_string(), 1), Ok(Look::New(_))));
        }
        assert_eq!(known.0.lock().unwrap().len(), KNOWN_MOST);
        assert!(matches!(known.look("a", 2), Ok(Look::New(_))), "the oldest was forgotten");
    }
}
