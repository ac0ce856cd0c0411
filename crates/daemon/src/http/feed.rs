//! What happens, numbered and kept for a while, so that a reader who comes again misses nothing. Readers take from one ring
//! at their own pace: a slow one costs no memory and slows nobody. Nothing is kept while nobody reads.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use soloist_api::error::Problem;
use soloist_api::event::Event;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot, watch};

use super::ended;
use super::past::Past;
use crate::inbox::Input;

/// So many events are kept: as many as the driver keeps for us.
const KEPT: usize = 1024;
/// So long after its last reader has gone a feed goes on, for the one who comes again.
const LINGER: Duration = Duration::from_secs(60);

/// Where readers find the feed.
pub(super) struct Source {
    past: Past,
    feed: Mutex<Option<Arc<Feed>>>,
}

/// Events since somebody began to read.
struct Feed {
    /// Tells its numbers from those of another feed.
    name: String,
    ring: Mutex<Ring>,
    /// The number of the last event; whoever waits for the next one waits here.
    last: watch::Sender<u64>,
}

#[derive(Default)]
struct Ring {
    /// How many came before the first that is kept.
    gone: u64,
    kept: VecDeque<Kept>,
    is_over: bool,
}

#[derive(Clone)]
struct Kept {
    json: Arc<str>,
    is_history: bool,
}

/// One event for one reader.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// From where a reader that comes again goes on.
    pub(super) id: String,
    /// The event; none at first: the reader only learns the id.
    pub(super) json: Option<Arc<str>>,
}

/// One reader.
pub(super) struct Reader {
    feed: Arc<Feed>,
    news: watch::Receiver<u64>,
    /// The number of the last event it has had.
    at: u64,
    has_history: bool,
    is_told_its_place: bool,
}

impl Source {
    pub(super) fn new(past: Past) -> Source {
        Source { past, feed: Mutex::new(None) }
    }

    /// A reader of what happens from now on, or after the event of this id. Once it is there it misses nothing.
    pub(super) async fn read(
        self: &Arc<Self>,
        has_history: bool,
        after: Option<&str>,
    ) -> Result<Reader, Problem> {
        if let Some(feed) = &*locked(&self.feed) {
            return Ok(Reader::new(feed, has_history, after));
        }
        let lines = self.past.history.subscribe();
        let (reply, answer) = oneshot::channel();
        let _ = self.past.inbox.send(Input::Subscribe { reply });
        let changes = answer.await.unwrap_or_else(|_| Err(ended()))?;
        let mut place = locked(&self.feed);
        // Another reader may have made one meanwhile: it has all that ours would have.
        let feed = place.get_or_insert_with(|| {
            let feed = Arc::new(Feed::new());
            tokio::spawn(Arc::clone(self).fill(Arc::clone(&feed), changes, lines));
            feed
        });
        Ok(Reader::new(feed, has_history, after))
    }

    /// Takes in what happens until the driver has ended, or nobody reads any more.
    async fn fill(
        self: Arc<Self>,
        feed: Arc<Feed>,
        mut changes: broadcast::Receiver<Event>,
        mut lines: broadcast::Receiver<Event>,
    ) {
        let mut unread = pin!(feed.unread());
        loop {
            let next = tokio::select! {
                change = changes.recv() => change,
                line = lines.recv() => line,
                () = &mut unread => {
                    let mut place = locked(&self.feed);
                    if feed.last.receiver_count() == 0 {
                        *place = None;
                        return;
                    }
                    unread.set(feed.unread());
                    continue;
                }
            };
            match next {
                Ok(event) => feed.put(&event),
                Err(RecvError::Lagged(_)) => feed.put(&Event::Resync),
                Err(RecvError::Closed) => break,
            }
        }
        // The driver has ended; what it told last is on its way.
        self.past.history.settle().await;
        while let Ok(line) = lines.try_recv() {
            feed.put(&line);
        }
        locked(&feed.ring).is_over = true;
        feed.last.send_modify(|_| {});
    }
}

impl Feed {
    fn new() -> Feed {
        // A part of its number is enough: an id must not be taken for one of the feeds of an earlier daemon.
        let name = format!("{:08x}", soloist_os::random_u64() as u32);
        Feed { name, ring: Mutex::new(Ring::default()), last: watch::channel(0).0 }
    }

    fn put(&self, event: &Event) {
        let Ok(json) = serde_json::to_string(event) else { return };
        let mut ring = locked(&self.ring);
        ring.kept.push_back(Kept { json: json.into(), is_history: matches!(event, Event::History(_)) });
        if ring.kept.len() > KEPT {
            ring.kept.pop_front();
            ring.gone += 1;
        }
        let last = ring.last();
        drop(ring);
        self.last.send_replace(last);
    }

    /// Returns some time after the last reader has gone; another may have come.
    async fn unread(&self) {
        self.last.closed().await;
        tokio::time::sleep(LINGER).await;
    }
}

impl Ring {
    fn last(&self) -> u64 {
        self.gone + self.kept.len() as u64
    }

    /// The event of this number, if it is kept.
    fn get(&self, number: u64) -> Option<&Kept> {
        self.kept.get(usize::try_from(number.checked_sub(self.gone + 1)?).ok()?)
    }
}

impl Reader {
    fn new(feed: &Arc<Feed>, has_history: bool, after: Option<&str>) -> Reader {
        let last = locked(&feed.ring).last();
        let place = after.map(|id| {
            let number = id.strip_prefix(&feed.name).and_then(|rest| rest.strip_prefix('-')?.parse().ok());
            // Of a number that is in no ring, such as that of an earlier daemon, nothing is known but that it is gone.
            number.filter(|number| *number <= last).unwrap_or(u64::MAX)
        });
        Reader {
            feed: Arc::clone(feed),
            news: feed.last.subscribe(),
            at: place.unwrap_or(last),
            has_history,
            is_told_its_place: place.is_some(),
        }
    }

    /// The next event; `None` once the driver has ended and all is told.
    pub(super) async fn next(&mut self) -> Option<Item> {
        if !std::mem::replace(&mut self.is_told_its_place, true) {
            return Some(self.item(None));
        }
        loop {
            self.news.mark_unchanged();
            let (next, is_over) = {
                let ring = locked(&self.feed.ring);
                if self.at < ring.gone || self.at > ring.last() {
                    self.at = ring.last();
                    let resync = serde_json::to_string(&Event::Resync).unwrap_or_default();
                    (Some(Kept { json: resync.into(), is_history: false }), ring.is_over)
                } else {
                    let next = ring.get(self.at + 1).cloned();
                    self.at += u64::from(next.is_some());
                    (next, ring.is_over)
                }
            };
            match next {
                Some(kept) if self.has_history || !kept.is_history => {
                    return Some(self.item(Some(kept.json)));
                }
                Some(_) => {}
                None if is_over => return None,
                None => self.news.changed().await.ok()?,
            }
        }
    }

    fn item(&self, json: Option<Arc<str>>) -> Item {
        Item { id: format!("{}-{}", self.feed.name, self.at), json }
    }
}

/// Nobody panics while holding one of these.
fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
