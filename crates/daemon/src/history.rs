//! The history: what happened, in `.soloist/history.db`. One thread writes it; whoever tells it something never waits
//! for a disk. How rows lie on disk is `history/store.rs`, when they are written `history/writer.rs`, reading (with or
//! without a daemon) `history/read.rs`, the same run by run `history/runs.rs`, what guards and records tell of the past `history/learn.rs`.

mod learn;
pub mod read;
pub mod runs;
mod store;
mod writer;

pub use learn::Remembered;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use soloist_api::event::Event;
use soloist_api::history::Entry;
use tokio::sync::{broadcast, oneshot};

use crate::history::writer::Writer;
use crate::serve::Log;

/// So many messages may be under way to the writer; beyond it lines are lost, counted, and told later.
const UNDER_WAY: usize = 8192;
/// How many lines a slow follower may lag behind before it is told that it has missed some.
const EVENTS_KEPT: usize = 1024;
/// How long anybody waits for the writer: a disk that hangs keeps nobody longer.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);
/// A longer text is cut: what a service says of itself is nobody's to bound but ours.
const TEXT_MAX: usize = 4096;

/// What the writer is told.
enum Message {
    /// These happened.
    Lines(Vec<Entry>),
    /// Answer once all that came before was tried.
    Settle(oneshot::Sender<()>),
    /// The same, and close the file.
    End(oneshot::Sender<()>),
}

/// The way to the history of a project. Cheap to clone.
#[derive(Clone, Debug)]
pub struct History {
    messages: SyncSender<Message>,
    events: broadcast::Sender<Event>,
    /// Lines that did not get through.
    lost: Arc<AtomicU64>,
}

impl History {
    /// Opens the history at a path, on a thread of its own; any trouble is said in the daemon's log and keeps nobody from
    /// anything.
    pub fn open(path: &Path, log: Log) -> History {
        let (messages, inbox) = sync_channel(UNDER_WAY);
        let lost = Arc::new(AtomicU64::new(0));
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let writer = Writer::new(path, log.clone(), events.clone(), Arc::clone(&lost));
        let thread = std::thread::Builder::new().name("history".to_owned());
        if let Err(e) = thread.spawn(move || writer.run(&inbox)) {
            log.say(&format!("nothing is written to the history: its thread cannot be made: {e}"));
        }
        History { messages, events, lost }
    }

    /// The lines that are new from now on, as events.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Adds lines. Never waits: lines that do not get through are counted and told as one later.
    pub fn add(&self, mut lines: Vec<Entry>) {
        if lines.is_empty() {
            return;
        }
        for line in &mut lines {
            line.cause = line.cause.take().map(bounded);
            line.detail = line.detail.take().map(bounded);
        }
        let count = lines.len() as u64;
        if self.messages.try_send(Message::Lines(lines)).is_err() {
            self.lost.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Returns when all that was added is on disk or could not be written; false: after two seconds it was not yet tried.
    pub async fn settle(&self) -> bool {
        self.ask(Message::Settle).await
    }

    /// As `settle`, and closes the file: the daemon ends.
    pub async fn end(&self) -> bool {
        self.ask(Message::End).await
    }

    async fn ask(&self, message: impl FnOnce(oneshot::Sender<()>) -> Message) -> bool {
        let (answer, answered) = oneshot::channel();
        self.messages.try_send(message(answer)).is_ok()
            && matches!(tokio::time::timeout(SETTLE_LIMIT, answered).await, Ok(Ok(())))
    }
}

/// A line of which nothing else is known.
pub fn blank(at: Timestamp, service: &str, what: String) -> Entry {
    Entry {
        id: 0,
        at,
        service: service.to_owned(),
        what,
        run_id: None,
        cause: None,
        exit: None,
        duration_ms: None,
        pid: None,
        peak_kib: None,
        cpu_ms: None,
        log_at: None,
        log_seq: None,
        count: None,
        detail: None,
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
