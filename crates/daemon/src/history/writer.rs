//! The thread that writes the history: takes what has come together into one transaction, keeps what cannot be written
//! now and tries again, ever more seldom. It sleeps while nothing happens.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use soloist_api::event::Event;
use soloist_api::history::Entry;
use soloist_os::clock::wall_ms;
use tokio::sync::{broadcast, oneshot};

use super::store::{Fault, Store, move_aside};
use super::{Message, blank};
use crate::convert::moment;
use crate::serve::Log;

/// So many lines are kept while they cannot be written; beyond it the oldest are lost, counted, and told later.
const KEPT_WAITING: usize = 10_000;
/// So many lines are written in one transaction.
const TOGETHER: usize = 1_000;
/// What comes so soon after the first is written with it: a restart is one transaction, not four.
const SOON: Duration = Duration::from_millis(5);
/// After so many lines the old ones are looked for.
const PRUNE_AFTER: usize = 1_000;
/// The first and the longest time until a failed write is tried again.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// What the history says of itself.
const LOST: &str = "lost";

/// What the thread knows.
pub(super) struct Writer {
    path: PathBuf,
    log: Log,
    events: broadcast::Sender<Event>,
    lost: Arc<AtomicU64>,
    store: Option<Store>,
    /// Not written yet, oldest first.
    waiting: VecDeque<Entry>,
    /// Of those the first so many were told as events when they could not be written.
    told: usize,
    since_pruned: usize,
    /// A file was moved aside, and nothing was written since: the next one is not to blame.
    is_fresh: bool,
    /// After a failed write: when to try again, and the delay that led there.
    retry: Option<(Instant, Duration)>,
}

impl Writer {
    pub(super) fn new(
        path: &Path,
        log: Log,
        events: broadcast::Sender<Event>,
        lost: Arc<AtomicU64>,
    ) -> Writer {
        Writer {
            path: path.to_owned(),
            log,
            events,
            lost,
            store: None,
            waiting: VecDeque::new(),
            told: 0,
            since_pruned: 0,
            is_fresh: false,
            retry: None,
        }
    }

    /// Until nobody can tell anything any more, or the end is asked for.
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        // A corrupt file is found and said now, not when something happens.
        self.try_to_write();
        while let Some(first) = self.next(inbox) {
            let mut answers: Vec<oneshot::Sender<()>> = Vec::new();
            let mut is_end = false;
            let (mut message, until) = (first, Instant::now() + SOON);
            loop {
                match message {
                    Some(Message::Lines(lines)) => self.keep(lines),
                    Some(Message::Settle(answer)) => answers.push(answer),
                    Some(Message::End(answer)) => {
                        answers.push(answer);
                        is_end = true;
                    }
                    None => {}
                }
                if self.waiting.len() >= TOGETHER {
                    break;
                }
                // Whoever waits for an answer waits no longer.
                let patience = if answers.is_empty() {
                    until.saturating_duration_since(Instant::now())
                } else {
                    Duration::ZERO
                };
                match inbox.recv_timeout(patience) {
                    Ok(next) => message = Some(next),
                    Err(_) => break,
                }
            }
            if is_end || self.retry.is_none_or(|(at, _)| at <= Instant::now()) {
                soloist_os::fail_point!("daemon.history-due");
                self.try_to_write();
                soloist_os::fail_point!("daemon.history-written");
            } else {
                self.tell_unwritten();
            }
            if is_end {
                self.store = None;
                if !self.waiting.is_empty() {
                    let count = self.waiting.len();
                    self.log.say(&format!("{count} lines of the history were never written"));
                }
            }
            for answer in answers {
                let _ = answer.send(());
            }
            if is_end {
                return;
            }
        }
        self.try_to_write();
    }

    /// The next message, or nothing when it is time to try again; `None` when there will be none.
    fn next(&self, inbox: &Receiver<Message>) -> Option<Option<Message>> {
        match self.retry {
            None => inbox.recv().ok().map(Some),
            Some((at, _)) => match inbox.recv_timeout(at.saturating_duration_since(Instant::now())) {
                Ok(message) => Some(Some(message)),
                Err(RecvTimeoutError::Timeout) => Some(None),
                Err(RecvTimeoutError::Disconnected) => None,
            },
        }
    }

    fn keep(&mut self, lines: Vec<Entry>) {
        self.waiting.extend(lines);
        let over = self.waiting.len().saturating_sub(KEPT_WAITING);
        if over > 0 {
            self.waiting.drain(..over);
            self.told = self.told.saturating_sub(over);
            self.lost.fetch_add(over as u64, Ordering::Relaxed);
        }
    }

    fn try_to_write(&mut self) {
        match self.write_all() {
            Ok(()) => {
                self.is_fresh = false;
                if self.retry.take().is_some() {
                    self.log.say("the history is written again");
                }
            }
            Err(fault) => {
                let delay = match self.retry {
                    None => {
                        self.log.say(&format!(
                            "the history {} cannot be written: {fault}; up to {KEPT_WAITING} lines are kept until it can",
                            self.path.display()
                        ));
                        RETRY.0
                    }
                    Some((_, delay)) => (delay * 2).min(RETRY.1),
                };
                self.retry = Some((Instant::now() + delay, delay));
                self.tell_unwritten();
            }
        }
    }

    /// A file that is to blame is moved aside, once; trouble with the next one is the disk's.
    fn write_all(&mut self) -> Result<(), Fault> {
        match self.write_what_waits() {
            Err(Fault::Broken(why)) if !self.is_fresh => {
                self.store = None;
                self.is_fresh = true;
                let moved = move_aside(&self.path, wall_ms()).map_err(|e| {
                    Fault::Passing(format!("it is corrupt ({why}), and cannot be moved aside: {e}"))
                })?;
                self.log.say(&format!(
                    "the history {} is corrupt ({why}); it was moved to {}, a new one begins",
                    self.path.display(),
                    moved.display()
                ));
                self.write_what_waits()
            }
            other => other,
        }
    }

    fn write_what_waits(&mut self) -> Result<(), Fault> {
        if self.store.as_ref().is_some_and(|store| !store.is_in_place()) {
            self.store = None;
        }
        let store = match &mut self.store {
            Some(store) => store,
            None => self.store.insert(Store::open(&self.path, wall_ms())?),
        };
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.waiting.push_back(lost_lines(lost));
        }
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(TOGETHER);
            let rows = &mut self.waiting.make_contiguous()[..count];
            store.write(rows)?;
            for row in rows.iter().skip(self.told).filter(|row| row.id > 0) {
                tell(&self.events, row);
            }
            self.waiting.drain(..count);
            self.told = self.told.saturating_sub(count);
            self.since_pruned += count;
            if self.since_pruned >= PRUNE_AFTER {
                self.since_pruned = 0;
                store.prune(wall_ms())?;
            }
        }
        Ok(())
    }

    /// Who follows hears of it although it is not on disk.
    fn tell_unwritten(&mut self) {
        for row in self.waiting.iter_mut().skip(self.told) {
            row.id = 0;
            tell(&self.events, row);
        }
        self.told = self.waiting.len();
    }
}

fn tell(events: &broadcast::Sender<Event>, row: &Entry) {
    if events.receiver_count() > 0 {
        let _ = events.send(Event::History(Box::new(row.clone())));
    }
}

/// One line for lines that are not there.
fn lost_lines(count: u64) -> Entry {
    let at = moment(wall_ms()).unwrap_or_default();
    let detail = Some(format!("{count} lines could not be written before this one"));
    Entry { detail, ..blank(at, "", LOST.to_owned()) }
}
