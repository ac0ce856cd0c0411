//! How all is, at a glance: however many ask, the driver is asked once at a time, and not again while nothing has changed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use axum::http::HeaderValue;
use soloist_api::error::Problem;
use soloist_api::status::{ServiceStatus, Status};
use soloist_os::layout::Layout;
use tokio::sync::{Mutex, oneshot};

use super::ended;
use crate::driver::Moves;
use crate::inbox::{Inbox, Input};
use crate::runs;
use crate::watch::Ages;

/// What nobody notes when it changes, such as the hours of a window that nobody keeps, is looked at again after this.
const AGE_MOST: Duration = Duration::from_secs(1);
/// A file that is written so soon after another may bear the same moment (inode_time(7): one tick of the kernel).
const TICK: Duration = Duration::from_millis(50);

/// The way to ask; clones share what was seen.
#[derive(Clone)]
pub struct Glance(Arc<Eye>);

struct Eye {
    inbox: Inbox,
    moves: Moves,
    layout: Layout,
    ages: Ages,
    /// So many have asked.
    came: AtomicU64,
    last: Mutex<Option<Look>>,
}

/// One answer, and until when it is one.
struct Look {
    seen: Arc<Seen>,
    /// It is good for who came before so many had.
    came: u64,
    moves: u64,
    written: Option<SystemTime>,
    at: Instant,
    has_runs: bool,
}

/// What was seen.
pub(super) struct Seen {
    pub(super) status: Arc<Status>,
    /// The same as JSON,
    pub(super) bytes: Bytes,
    /// and its ETag.
    pub(super) tag: HeaderValue,
}

impl Glance {
    /// For who asks this driver.
    pub(crate) fn new(inbox: Inbox, moves: Moves, layout: Layout, ages: Ages) -> Glance {
        Glance(Arc::new(Eye { inbox, moves, layout, ages, came: AtomicU64::new(0), last: Mutex::default() }))
    }

    /// How all is, not before this was asked.
    pub(super) async fn look(&self) -> Result<Arc<Seen>, Problem> {
        let eye = &self.0;
        let number = eye.came.fetch_add(1, Ordering::SeqCst);
        let mut last = eye.last.lock().await;
        if let Some(look) = last.as_ref().filter(|look| number < look.came || look.holds(eye)) {
            return Ok(Arc::clone(&look.seen));
        }
        let look = eye.look().await?;
        let seen = Arc::clone(&look.seen);
        *last = Some(look);
        Ok(seen)
    }

    /// How one is; an unknown one is told with the nearest name.
    pub(super) async fn of(&self, name: &str) -> Result<ServiceStatus, Problem> {
        let seen = self.look().await?;
        let all = &seen.status.services;
        let found = all.iter().find(|service| service.name == name);
        found.cloned().ok_or_else(|| runs::unknown_among(name, all.iter().map(|one| one.name.as_str())))
    }
}

impl Look {
    /// Whether the same would be seen again. A `run` tells nobody when it ends, so with one nothing is sure.
    fn holds(&self, eye: &Eye) -> bool {
        self.moves == eye.moves.get()
            && self.at.elapsed() < AGE_MOST
            && !self.has_runs
            && self.written.is_some()
            && self.written == written(&eye.layout)
    }
}

/// When a record was last written; nothing if that was just now, and another one may follow unseen.
fn written(layout: &Layout) -> Option<SystemTime> {
    runs::written(layout).filter(|at| at.elapsed().is_ok_and(|age| age > TICK))
}

impl Eye {
    async fn look(&self) -> Result<Look, Problem> {
        let (came, moves, at) = (self.came.load(Ordering::SeqCst), self.moves.get(), Instant::now());
        let written = written(&self.layout);
        let ages = self.ages.clone();
        let _ = tokio::task::spawn_blocking(move || ages.look()).await;
        let (reply, answer) = oneshot::channel();
        let _ = self.inbox.send(Input::List { reply });
        let known = answer.await.map_err(|_| ended())??;
        let layout = self.layout.clone();
        let (status, has_runs) =
            tokio::task::spawn_blocking(move || known.with_runs(&layout)).await.map_err(|_| ended())?;
        let bytes = Bytes::from(serde_json::to_vec(&status).unwrap_or_default());
        let seen = Arc::new(Seen { tag: tag(&bytes), bytes, status: Arc::new(status) });
        Ok(Look { seen, came, moves, written, at, has_runs })
    }
}

/// Weak: it stands for what is said, not for how (RFC 9110, 8.8.1).
pub(super) fn tag(bytes: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::runs::Known;

    #[tokio::test]
    async fn the_driver_is_asked_again_only_when_something_may_have_changed() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        layout.make().unwrap();
        let place = layout.place("one");
        place.make().unwrap();
        let (inbox, mut inputs) = mpsc::unbounded_channel();
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Some(Input::List { reply }) = inputs.recv().await {
                count.fetch_add(1, Ordering::SeqCst);
                let status = Status { daemon: None, services: Vec::new() };
                let _ = reply.send(Ok(Known { status, quiet: Vec::new() }));
            }
        });
        let moves = Moves::default();
        let glance = Glance::new(inbox, moves.clone(), layout, Ages::default());
        let look = || async {
            glance.look().await.unwrap();
            asked.load(Ordering::SeqCst)
        };
        // The folders have to be as they were for a moment; of the user's own others may write in, too.
        let rest = || async {
            let end = Instant::now() + Duration::from_secs(20);
            while look().await != look().await {
                assert!(Instant::now() < end, "the driver is asked each time");
                tokio::task::yield_now().await;
            }
            asked.load(Ordering::SeqCst)
        };
        let before = rest().await;
        moves.count();
        assert!(look().await > before, "something has happened");
        let before = rest().await;
        std::fs::write(place.record(), "").unwrap();
        assert!(look().await > before, "a run may have begun");
    }
}
