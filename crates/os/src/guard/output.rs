//! What a service writes: one pipe for standard output and error, so that their order is kept, or one for each if they are
//! kept apart; appended to the log as it is. A disk that takes no more never blocks the service, unless that is asked for:
//! what it refuses is counted and dropped, or waits.

mod file;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use self::file::{LogFile, Pace};
use super::{LogRules, OnFull};
use crate::clock;
use crate::log_files::error_log_of;

/// So much is taken of a stream at a time, so that a flood of output does not starve orders.
const TAKEN_AT_ONCE: usize = 4 << 20;
/// More than a pipe holds: after the end of the writer, so much is surely all.
const TAKEN_AT_END: usize = 16 << 20;
/// For a stream with little to say.
const LITTLE: Sizes = Sizes { read: 16 << 10, pipe: 64 << 10 };
/// For one with much. The large pipe is given back: a user has 64 MiB of them for all that he runs (pipe(7),
/// pipe-user-pages-soft).
const MUCH: Sizes = Sizes { read: 256 << 10, pipe: 1 << 20 };
/// Once a busy stream was taken to its end, it is left alone for so long: else the writer wakes us for each line.
const REST: Duration = Duration::from_millis(1);
/// A full disk is tried again so often.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// And told so often.
const TELL_AGAIN: Duration = Duration::from_secs(1);
/// A guard that ends gives a full disk so long to take what waits for it.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// What is read at once, and what the pipe holds.
struct Sizes {
    read: usize,
    pipe: usize,
}

/// The pipes of a service and the logs they go to.
#[derive(Debug)]
pub struct Output {
    rules: LogRules,
    /// Standard output, and standard error if it is kept apart.
    streams: Vec<Stream>,
    told: Trouble,
    tell_again: Option<Instant>,
}

/// What has become of output that a disk did not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// So many bytes were dropped, since the guard began.
    pub lost: u64,
    /// The disk takes nothing now.
    pub is_full: bool,
}

impl Output {
    /// Opens the logs for appending and makes the pipes. `is_new`: nothing of these logs is there.
    pub fn open(log: &Path, rules: &LogRules, is_new: bool) -> io::Result<Output> {
        let logs = [Some(log.to_owned()), rules.is_split.then(|| error_log_of(log))];
        let streams = logs.iter().flatten().map(|log| Stream::open(log, rules, is_new));
        let streams = streams.collect::<io::Result<_>>()?;
        Ok(Output { rules: rules.clone(), streams, told: Trouble::default(), tell_again: None })
    }

    /// Whether it keeps logs by these rules.
    pub fn keeps(&self, rules: &LogRules) -> bool {
        self.rules == *rules
    }

    /// What the service writes to. We keep it open, so the pipe outlives each run.
    pub fn end(&self) -> Option<BorrowedFd<'_>> {
        self.streams.first().map(|stream| stream.end.as_fd())
    }

    /// What it writes errors to.
    pub fn error_end(&self) -> Option<BorrowedFd<'_>> {
        self.streams.last().map(|stream| stream.end.as_fd())
    }

    /// Notes that a run begins; tells the number of the log's current file, and how long that is.
    pub fn begin(&mut self, wall_ms: u64) -> Option<(u64, u64)> {
        self.streams.iter_mut().for_each(|stream| stream.log.begin(wall_ms));
        self.streams.first().map(|stream| (stream.log.seq, stream.log.length))
    }

    /// What becomes readable when there is output that is to be taken.
    pub fn pipes(&self, now: Instant) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.streams
            .iter()
            .filter(move |stream| stream.leave_until().is_none_or(|at| at <= now))
            .map(|s| s.pipe.as_fd())
    }

    /// When it is to be taken again, output or not.
    pub fn deadline(&self) -> Option<Instant> {
        self.streams.iter().flat_map(|stream| [stream.rest_until, stream.full_until]).flatten().min()
    }

    /// Takes some of what there is.
    pub fn take(&mut self, now: Instant) {
        for stream in &mut self.streams {
            if stream.leave_until().is_none_or(|at| at <= now) {
                stream.copy(TAKEN_AT_ONCE, now, &self.rules);
            }
        }
    }

    /// Takes all there is.
    pub fn drain(&mut self, now: Instant) {
        self.streams.iter_mut().for_each(|stream| stream.copy(TAKEN_AT_END, now, &self.rules));
    }

    /// Takes all there is for the last time: what a full disk does not take now is lost, and counted.
    pub fn close(&mut self) {
        let patience = Instant::now() + LAST_PATIENCE;
        loop {
            let now = Instant::now();
            self.streams.iter_mut().for_each(|stream| stream.full_until = stream.full_until.map(|_| now));
            self.drain(now);
            let waits =
                self.rules.on_full == OnFull::Block && self.streams.iter().any(|s| s.full_until.is_some());
            if !waits {
                return;
            }
            if now >= patience {
                self.rules.on_full = OnFull::Drop;
                continue;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The logs that have begun a new file since this was asked last.
    pub fn rotated(&mut self) -> impl Iterator<Item = PathBuf> {
        self.streams
            .iter_mut()
            .filter_map(|s| std::mem::take(&mut s.log.was_rotated).then(|| s.log.path.clone()))
    }

    /// What has become of a full disk, if that is to be told: when it begins, each second while it lasts, when it ends.
    pub fn trouble(&mut self, now: Instant) -> Option<Trouble> {
        let trouble = Trouble {
            lost: self.lost(),
            is_full: self.streams.iter().any(|stream| stream.full_until.is_some()),
        };
        let is_due = trouble.is_full && self.tell_again.is_none_or(|at| at <= now);
        if trouble.is_full == self.told.is_full
            && !is_due
            && (trouble.is_full || trouble.lost == self.told.lost)
        {
            return None;
        }
        self.told = trouble;
        self.tell_again = trouble.is_full.then(|| now + TELL_AGAIN);
        Some(trouble)
    }

    /// The same at its end, where nothing is told later: also what a disk that is still full took last.
    pub fn last_trouble(&self) -> Option<Trouble> {
        let last = Trouble { lost: self.lost(), is_full: false };
        (last != self.told).then_some(last)
    }

    fn lost(&self) -> u64 {
        self.streams.iter().map(|stream| stream.lost).sum()
    }
}

/// One pipe and the log it goes to.
#[derive(Debug)]
struct Stream {
    pipe: OwnedFd,
    end: OwnedFd,
    log: LogFile,
    buffer: Vec<u8>,
    /// What of the buffer is not written yet: only while a full disk is waited for.
    held: std::ops::Range<usize>,
    rest_until: Option<Instant>,
    /// The disk did not take what was written, and is tried again then.
    full_until: Option<Instant>,
    /// So many bytes were dropped in all …
    lost: u64,
    /// … and so many of them the log does not tell of yet.
    untold: u64,
}

impl Stream {
    fn open(log: &Path, rules: &LogRules, is_new: bool) -> io::Result<Stream> {
        let log = LogFile::open(log, rules, is_new)?;
        let (pipe, end) = pipe_with(PipeFlags::CLOEXEC)?;
        // Only our end: a service that finds its standard output non-blocking would lose lines.
        rustix::io::ioctl_fionbio(&pipe, true)?;
        let (buffer, held) = (vec![0; LITTLE.read], 0..0);
        Ok(Stream { pipe, end, log, buffer, held, rest_until: None, full_until: None, lost: 0, untold: 0 })
    }

    /// Until when it is not looked at: while it rests, and while it holds what a full disk does not take.
    fn leave_until(&self) -> Option<Instant> {
        if self.held.is_empty() { self.rest_until } else { self.full_until }
    }

    fn copy(&mut self, most: usize, now: Instant, rules: &LogRules) {
        self.rest_until = None;
        // What waits was taken earlier than now.
        match self.held.is_empty().then(|| self.log.mark(clock::wall_ms())).flatten() {
            Some(Pace::Much) => self.resize(&MUCH),
            Some(Pace::Little) => self.resize(&LITTLE),
            None => {}
        }
        let mut taken = 0;
        while self.write_held(now, rules) && taken < most {
            match rustix::io::read(&self.pipe, &mut self.buffer) {
                Ok(0) => return,
                Ok(length) => {
                    self.held = 0..length;
                    taken += length;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => {
                    self.rest_until = (self.buffer.len() == MUCH.read).then(|| Instant::now() + REST);
                    return;
                }
            }
        }
    }

    /// As long as the pipe keeps its size, nothing else is changed either: it is full, or the user has too many large ones.
    fn resize(&mut self, to: &Sizes) {
        if self.buffer.len() != to.read && fcntl_setpipe_size(&self.pipe, to.pipe).is_ok() {
            self.buffer = vec![0; to.read];
        }
    }

    /// Writes what was read. Whether nothing of it is left, so that more may be read.
    fn write_held(&mut self, now: Instant, rules: &LogRules) -> bool {
        if self.full_until.is_none_or(|at| at <= now) {
            let is_told = self.tell_loss();
            if is_told {
                self.held.start += self.log.append(&self.buffer[self.held.clone()]);
            }
            self.full_until = (!is_told || !self.held.is_empty()).then(|| now + TRY_AGAIN);
        }
        if self.held.is_empty() || rules.on_full == OnFull::Drop {
            let dropped = std::mem::take(&mut self.held).len() as u64;
            self.lost += dropped;
            self.untold += dropped;
        }
        self.held.is_empty()
    }

    /// Says in the log itself what is missing there.
    fn tell_loss(&mut self) -> bool {
        // Asked before each write: the words are made only when there is something to say.
        if self.untold == 0 {
            return true;
        }
        let words = format!("[soloist: {} bytes of output were lost, the disk was full]", self.untold);
        let is_told = self.log.remark(&words);
        if is_told {
            self.untold = 0;
        }
        is_told
    }
}
