//! Brings a dead daemon back: starts it beside us and hears its word. Guards do it, each with its own patience
//! (`body/revive.rs`), and the zygote where no guard is left to do it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};

use super::{DAEMON_READY, Revival};
use crate::claim::Claim;
use crate::layout::Layout;
use crate::link::is_listening;
use crate::platform::beside::start_beside;
use crate::platform::signals::Signals;
use crate::platform::tree;

/// How long a daemon may take until it says its word.
pub(super) const WORD_LIMIT: Duration = Duration::from_secs(15);
/// A daemon that lived so long has not died of being started.
pub(super) const SOUND_LIFE: Duration = Duration::from_secs(10);
/// Between tries: the first few are quick, for a daemon may be killed while it starts; then doubled
/// up to the last.
const QUICK_TRIES: u32 = 5;
const QUICK_PAUSE: Duration = Duration::from_millis(100);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// While somebody else holds the start lock it is looked again so often, and not ever more seldom: he may be killed, and the
/// next one is not to sleep on. With thousands of guards more often would keep the daemon from its start.
const HELD_PAUSE: Duration = Duration::from_millis(250);
/// So long a daemon that is ending may take to let go of its socket, in looks.
const END_LOOKS: u32 = 60;
const END_PAUSE: Duration = Duration::from_millis(3);
/// How often it is looked whether guards that are ending still keep us waiting.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// A daemon without guards that dies young is brought back so much later: each has another zygote, which knows nothing of
/// the deaths before, and one that dies of its work is not to eat a processor.
const YOUNG_PAUSE: Duration = Duration::from_millis(500);

/// How long to wait after so many tries.
pub(super) fn pause(tries: u32) -> Duration {
    match tries.checked_sub(QUICK_TRIES) {
        None => QUICK_PAUSE,
        Some(doubled) => FIRST_PAUSE.saturating_mul(1 << doubled.min(6)).min(LAST_PAUSE),
    }
}

/// How long to wait after the start lock was found held so many times.
pub(super) fn held_pause(looks: u32) -> Duration {
    if looks < QUICK_TRIES { QUICK_PAUSE } else { HELD_PAUSE }
}

/// What a daemon that was started has said so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Not enough.
    Nothing,
    /// It answers.
    Ready,
    /// It ended, or said that it cannot.
    Failed,
}

/// A daemon that was started and has not said its word.
#[derive(Debug)]
pub(super) struct Started {
    word: File,
    said: Vec<u8>,
}

impl Started {
    /// Starts the daemon beside us, not below: it must be no part of what we hold. Our environment is the one it gave its
    /// zygote: its own, without anything of a run.
    pub(super) fn start(revival: &Revival) -> io::Result<Started> {
        let (word, end) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&word, true)?;
        start_beside(&[&revival.program, Path::new("/proc/self/exe")], &revival.arguments, end.as_fd())?;
        Ok(Started { word: File::from(word), said: Vec::new() })
    }

    /// What becomes readable when it says something.
    pub(super) fn word(&self) -> BorrowedFd<'_> {
        self.word.as_fd()
    }

    /// Reads what it has said meanwhile.
    pub(super) fn hear(&mut self) -> Word {
        let mut bytes = [0u8; 1024];
        loop {
            match self.word.read(&mut bytes) {
                Ok(0) => return Word::Failed,
                Ok(length) => self.said.extend_from_slice(&bytes[..length]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Word::Nothing,
                Err(_) => return Word::Failed,
            }
            if self.said.ends_with(format!("{DAEMON_READY}\n").as_bytes()) {
                return Word::Ready;
            }
        }
    }
}

/// What a zygote has to do when its daemon dies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The project.
    pub project: PathBuf,
    /// How its daemon is brought back.
    pub revival: Revival,
}

impl Charge {
    /// Brings the dead daemon back, beside the one that waits for it, `ends` of which tell it to give up. It also gives up
    /// when it sees that another daemon has been there: whether that one left anything to do is not known here.
    pub(super) fn fulfil(&self, orphan: &mut Orphan<'_>) {
        while orphan.ends.next().is_some() {}
        let socket = Layout { root: self.project.clone() }.daemon_socket();
        let mut left = trace(&socket);
        for _ in 0..END_LOOKS {
            let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get() as u32);
            if parent != orphan.parent || orphan.rests(END_PAUSE) {
                break;
            }
        }
        // One that is told to end, or to stop its tree, does that first: a new daemon would take its tree over.
        while orphan.has_guards() {
            if orphan.rests(LOOK_PAUSE) || trace(&socket) != left {
                return;
            }
        }
        if orphan.since.elapsed() < SOUND_LIFE && orphan.rests(YOUNG_PAUSE) {
            return;
        }
        for tries in 0.. {
            // Somebody else who holds the lock is starting one: then it is looked at again.
            if let Ok(Some(_lock)) = Claim::take(&self.revival.lock) {
                if trace(&socket) != left || is_listening(&socket) || self.start(orphan.ends) {
                    return;
                }
                left = trace(&socket);
            }
            if orphan.rests(pause(tries)) || !socket.parent().is_some_and(Path::is_dir) {
                return;
            }
        }
    }

    /// Starts one; whether it has said that it answers.
    fn start(&self, ends: &Signals) -> bool {
        let Ok(mut started) = Started::start(&self.revival) else { return false };
        let end = Instant::now() + WORD_LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match started.hear() {
                Word::Ready => return true,
                Word::Failed => return false,
                Word::Nothing if left.is_zero() => return false,
                Word::Nothing => wait(&mut [PollFd::new(&started.word, PollFlags::IN)], left),
            }
            if ends.next().is_some() {
                return true;
            }
        }
    }
}

/// A zygote without its daemon.
#[derive(Debug)]
pub(super) struct Orphan<'a> {
    /// Its daemon.
    pub(super) parent: Option<u32>,
    /// Since when it has lived.
    pub(super) since: Instant,
    /// The guards it has forked.
    pub(super) guards: Vec<u32>,
    /// Tells that a guard has ended.
    pub(super) signals: &'a Signals,
    /// Tells it to end.
    pub(super) ends: &'a Signals,
}

impl Orphan<'_> {
    fn has_guards(&mut self) -> bool {
        let mut reaped = Vec::new();
        tree::reap(&mut reaped);
        self.guards.retain(|guard| !reaped.iter().any(|dead| dead.pid == *guard));
        !self.guards.is_empty()
    }

    /// Rests so long, or until a child ends; whether it was told to end itself.
    fn rests(&self, span: Duration) -> bool {
        wait(&mut [PollFd::new(self.ends, PollFlags::IN), PollFd::new(self.signals, PollFlags::IN)], span);
        while self.signals.next().is_some() {}
        self.ends.next().is_some()
    }
}

/// What a daemon leaves of itself when it is killed, and replaces or removes when it lives: its socket.
fn trace(socket: &Path) -> Option<(u64, i64, i64)> {
    std::fs::symlink_metadata(socket).ok().map(|found| (found.ino(), found.ctime(), found.ctime_nsec()))
}

fn wait(fds: &mut [PollFd<'_>], span: Duration) {
    let limit = Timespec { tv_sec: span.as_secs() as i64, tv_nsec: span.subsec_nanos().into() };
    // An interruption only makes the wait shorter.
    let _ = poll(fds, Some(&limit));
}
