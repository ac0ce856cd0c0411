//! Leaving for another binary: it is looked at, clients get their last answers, and then the driver stands still with
//! everything in its hands, so that it can go on if the binary cannot be executed after all.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use soloist_api::error::{Code, Problem};
use soloist_api::request::{Upgrade, UpgradeAnswer};
use tokio::sync::{broadcast, oneshot};

use super::{Driver, EVENTS_KEPT, answer};
use crate::inbox::{Input, Reply};
use crate::upgrade;

/// Why a driver runs no more.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Everything was asked to stop, and has.
    Stopped,
    /// This binary is to become the daemon.
    Succeeded(PathBuf),
}

/// How far the way to a successor is.
#[derive(Debug, Default)]
pub(super) struct Succession {
    /// Ends the taking in of requests.
    hush: Option<oneshot::Sender<()>>,
    binary: Option<PathBuf>,
    is_open: bool,
}

impl Succession {
    /// All clients have their answers.
    pub(super) fn open(&mut self) {
        self.is_open = self.binary.is_some();
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn end(&mut self) -> End {
        self.is_open = false;
        self.binary.take().map_or(End::Stopped, End::Succeeded)
    }
}

impl Driver {
    /// Requests are taken in until this is used, or the driver is gone.
    pub fn hushes(&mut self, hush: oneshot::Sender<()>) {
        self.succession.hush = Some(hush);
    }

    /// Whether a successor is under way: who asks for something now has to ask that one.
    pub(super) fn is_leaving(&self) -> bool {
        self.succession.binary.is_some()
    }

    /// The links to all guards, for a successor to keep open until it has its own.
    pub fn links(&self) -> Vec<BorrowedFd<'_>> {
        self.held.values().filter_map(|held| held.guard.as_ref()).map(|guard| guard.as_fd()).collect()
    }

    /// There is no successor after all.
    pub fn stays(&mut self, why: String) {
        self.log.say(&why);
        self.moves.count();
        self.daemon.note = Some(why);
    }

    pub(super) fn upgrade(&mut self, upgrade: Upgrade, reply: Reply<UpgradeAnswer>) {
        if self.is_ending || self.is_leaving() {
            return drop(reply.send(Err(answer::ending())));
        }
        let ours = || self.revival.as_ref().map(|revival| revival.program.clone());
        let Some(binary) = upgrade.binary.map(PathBuf::from).or_else(ours) else {
            let said = "the daemon does not know where its own binary lies";
            let problem = Problem::new(Code::Error, said).hint("give it: `soloist upgrade --binary PATH`");
            return drop(reply.send(Err(problem)));
        };
        if !binary.is_absolute() {
            let said = format!("{} is no absolute path", binary.display());
            return drop(reply.send(Err(Problem::new(Code::Usage, said))));
        }
        let inbox = self.inbox.clone();
        tokio::task::spawn_blocking(move || {
            let version = upgrade::version_of(&binary);
            let _ = inbox.send(Input::BinarySeen { binary, version, reply });
        });
    }

    pub(super) fn leave_to(
        &mut self,
        binary: PathBuf,
        version: Result<String, Problem>,
        reply: Reply<UpgradeAnswer>,
    ) {
        let version = match version {
            Ok(version) if !self.is_ending && !self.is_leaving() => version,
            Ok(_) => return drop(reply.send(Err(answer::ending()))),
            Err(problem) => return drop(reply.send(Err(problem))),
        };
        self.daemon.note = None;
        self.log.say(&format!("becoming soloist {version} of {}", binary.display()));
        let _ = reply.send(Ok(UpgradeAnswer { binary: binary.display().to_string(), version }));
        self.succession.binary = Some(binary);
        self.send_waiters_away();
        // Ends every stream of events: their readers come again.
        self.events = broadcast::channel(EVENTS_KEPT).0;
        self.succession.hush = None;
    }
}
