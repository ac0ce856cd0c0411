//! What a guard does when no daemon is linked to it any more: it stops its tree, or brings the daemon back. Of many
//! guards one starts it: whoever gets the start lock, which clients take as well. With a daemon there is no timer.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::{Body, Mode, Tree};
use crate::claim::Claim;
use crate::guard::revival::{SOUND_LIFE, Started, WORD_LIMIT, Word, held_pause, pause};
use crate::guard::{OnDaemonExit, Revival};
use crate::layout::Layout;
use crate::link::is_listening;

/// The zygote ends with its daemon. What is started while it lives would be its child, and so look like something that
/// a dead guard has left to it.
const ZYGOTE_PAUSE: Duration = Duration::from_millis(3);
/// A zygote that stands still does not keep the daemon away: after so many looks it does not matter any more.
const ZYGOTE_LOOKS: u32 = 60;
/// A guard whose tree is empty keeps the claim from others while it tries; after so many tries, which is half a minute,
/// its record must do.
const TRIES_WITHOUT_TREE: u32 = 10;
/// Every early death delays the next start by a little more, so that one that dies of its work does not eat a processor;
/// never by so much that it is not back within a second.
const DEATH_PAUSE: Duration = Duration::from_micros(500);
const DEATHS_COUNTED: u32 = 1600;

/// What was ordered for the time without a daemon, and how far that is.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    on_daemon_exit: OnDaemonExit,
    revival: Option<Revival>,
    stage: Stage,
    linked: Option<Instant>,
    early_deaths: u32,
    looks: u32,
    tries: u32,
    held: u32,
}

#[derive(Debug, Default)]
enum Stage {
    /// A daemon is linked to us.
    #[default]
    Calm,
    /// None is; look again then.
    Due { at: Instant },
    /// We have started one. While the lock is held nobody else starts another.
    Started { _lock: Claim, daemon: Started, until: Instant },
    /// There is nothing more to do for us.
    Done,
}

impl Vigil {
    /// What is to be done, from this run on.
    pub(super) fn order(&mut self, on_daemon_exit: OnDaemonExit, revival: Option<Revival>) {
        self.on_daemon_exit = on_daemon_exit;
        self.revival = revival;
    }

    /// Another binary has become the daemon.
    pub(super) fn revive_by(&mut self, revival: Revival) {
        self.revival = Some(revival);
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Calm | Stage::Done => None,
            Stage::Due { at } => Some(*at),
            Stage::Started { until, .. } => Some(*until),
        }
    }

    /// What becomes readable when a daemon that was started says something.
    pub(super) fn word(&self) -> Option<BorrowedFd<'_>> {
        match &self.stage {
            Stage::Started { daemon, .. } => Some(daemon.word()),
            Stage::Calm | Stage::Due { .. } | Stage::Done => None,
        }
    }

    fn is_revival(&self) -> bool {
        self.on_daemon_exit == OnDaemonExit::Keep && self.revival.is_some()
    }

    fn try_again(&mut self, now: Instant) {
        let pause = pause(self.tries);
        self.tries += 1;
        self.stage = Stage::Due { at: now + pause };
    }

    /// Somebody else has the start lock.
    fn wait_for_lock(&mut self, now: Instant) {
        self.stage = Stage::Due { at: now + held_pause(self.held) };
        self.held += 1;
    }

    /// A daemon is there.
    fn calm_down(&mut self, now: Instant) {
        self.linked.get_or_insert(now);
        self.stage = Stage::Calm;
        self.looks = 0;
        self.tries = 0;
        self.held = 0;
    }

    /// None is there any more.
    fn wake(&mut self, now: Instant) {
        let is_early = self.linked.take().is_some_and(|since| now < since + SOUND_LIFE);
        self.early_deaths = if is_early { (self.early_deaths + 1).min(DEATHS_COUNTED) } else { 0 };
        // The first such death may be anybody's doing.
        self.stage = Stage::Due { at: now + DEATH_PAUSE * self.early_deaths.saturating_sub(1) };
    }

    fn hear(&mut self) -> Word {
        match &mut self.stage {
            Stage::Started { daemon, .. } => daemon.hear(),
            Stage::Calm | Stage::Due { .. } | Stage::Done => Word::Nothing,
        }
    }
}

impl Body {
    /// Whether a guard without a tree has to stay until a daemon is back: somebody must hear how its run ended.
    pub(super) fn waits_for_daemon(&self) -> bool {
        self.vigil.is_revival() && !matches!(self.vigil.stage, Stage::Done)
    }

    /// Called after whatever happened: does what the absence of a daemon demands.
    pub(super) fn look_for_daemon(&mut self) {
        let now = Instant::now();
        match &self.vigil.stage {
            // The lock is kept until its word: linked to us is not yet answering clients.
            Stage::Started { until, .. } => {
                let is_late = now >= *until;
                match self.vigil.hear() {
                    Word::Nothing if !is_late => {}
                    Word::Ready if !self.links.is_empty() => self.vigil.calm_down(now),
                    Word::Ready | Word::Failed | Word::Nothing => self.vigil.try_again(now),
                }
            }
            Stage::Calm | Stage::Due { .. } | Stage::Done if !self.links.is_empty() => {
                self.vigil.calm_down(now);
            }
            Stage::Calm if self.is_concerned() => {
                self.vigil.wake(now);
                self.act_if_due(now);
            }
            Stage::Due { .. } if !self.is_concerned() => self.vigil.stage = Stage::Done,
            Stage::Due { .. } => self.act_if_due(now),
            Stage::Calm | Stage::Done => {}
        }
    }

    fn act_if_due(&mut self, now: Instant) {
        if matches!(self.vigil.stage, Stage::Due { at } if now >= at) {
            self.act_without_daemon(now);
        }
    }

    fn is_concerned(&self) -> bool {
        let is_ours = match self.vigil.on_daemon_exit {
            OnDaemonExit::Stop => self.tree != Tree::Empty,
            OnDaemonExit::Keep => self.vigil.revival.is_some(),
        };
        self.mode == Mode::Detached && !self.released && is_ours
    }

    fn act_without_daemon(&mut self, now: Instant) {
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get() as u32);
        let is_orphan = self.zygote.as_ref().is_none_or(|zygote| parent != Some(zygote.pid));
        if !is_orphan && self.vigil.looks < ZYGOTE_LOOKS {
            self.vigil.looks += 1;
            self.vigil.stage = Stage::Due { at: now + ZYGOTE_PAUSE };
            return;
        }
        if self.tree == Tree::Empty && self.vigil.tries >= TRIES_WITHOUT_TREE {
            self.vigil.stage = Stage::Done;
            return;
        }
        let layout = Layout { root: self.assignment.project.clone() };
        let lock = self.vigil.revival.as_ref().map_or_else(|| layout.start_lock(), |r| r.lock.clone());
        // Without a lock that can be taken nobody starts a daemon; that none is there can still be seen.
        let lock = match Claim::take(&lock) {
            Ok(None) => return self.vigil.wait_for_lock(now),
            Ok(lock) => lock,
            Err(_) => None,
        };
        crate::fail_point!("guard.start-lock-taken");
        if is_listening(&layout.daemon_socket()) {
            // A daemon that answers has taken over all that it could. It let go of a link that was too slow and makes it
            // anew; or it reads in the record what we could tell.
            self.vigil.try_again(now);
            if self.tree == Tree::Empty {
                self.vigil.stage = Stage::Done;
            }
            return;
        }
        match (self.vigil.on_daemon_exit, lock, &self.vigil.revival) {
            (OnDaemonExit::Stop, _, _) => {
                self.vigil.stage = Stage::Done;
                self.released = true;
                self.was_asked = true;
                self.begin_stop(self.stop_grace);
            }
            (OnDaemonExit::Keep, Some(lock), Some(revival)) => match Started::start(revival) {
                Ok(daemon) => {
                    crate::fail_point!("guard.daemon-started");
                    let until = now + WORD_LIMIT;
                    self.vigil.stage = Stage::Started { _lock: lock, daemon, until };
                }
                Err(_) => self.vigil.try_again(now),
            },
            (OnDaemonExit::Keep, _, _) => self.vigil.try_again(now),
        }
    }
}
