//! The inbox: the closed list of everything that can reach the driver, and the one door it comes through.

use std::path::PathBuf;

use soloist_api::error::Problem;
use soloist_api::event::Event as ApiEvent;
use soloist_api::request::{Change, Down, DownAnswer, Instances, Up, UpAnswer, Upgrade, UpgradeAnswer};
use soloist_api::schedule::{Clear, Done, Edit, Named, Overridden, Override, Schedules};
use soloist_api::status::ServiceStatus;
use soloist_api::watch::{Config, Signal};
use soloist_core::event::Event;
use soloist_core::id::{AskId, ClaimId};
use soloist_os::claim::Claim;
use soloist_os::guard::Report;
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::config::Declared;
use crate::links::Found;
use crate::runs::Known;

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, Problem>>;

/// The way in.
pub type Inbox = mpsc::UnboundedSender<Input>;

/// Everything that can reach the driver.
#[derive(Debug)]
pub enum Input {
    /// A guard reported.
    Guard {
        /// The claim it guards.
        claim: ClaimId,
        /// What.
        report: Report,
    },
    /// The link to a guard ended.
    GuardEnded {
        /// The claim it guarded.
        claim: ClaimId,
    },
    /// A zygote ended.
    ZygoteEnded {
        /// Which: it may have been replaced by now.
        pid: u32,
    },
    /// Somebody may have set the wall clock.
    ClockSet,
    /// Zone rules have changed.
    ZonesChanged,
    /// Watched files have changed and are quiet again.
    FilesChanged {
        /// Who runs them.
        names: Vec<String>,
        /// Which, in words.
        what: String,
        /// When the newest has, in milliseconds since 1970.
        at_ms: u64,
    },
    /// A claim that was held at first is ours.
    ClaimTaken {
        /// Whose.
        at: usize,
        /// What asked for it.
        ask: AskId,
        /// It.
        claim: Claim,
    },
    /// A look that took longer has an answer for the core.
    Seen {
        /// The instance's position.
        at: usize,
        /// The answer.
        event: Event,
    },
    /// A guard that did not answer at first has answered, or has ended.
    Sought {
        /// The instance's position.
        at: usize,
        /// The guard, if it lives.
        found: Option<Box<Found>>,
    },
    /// A client asks for the status of all.
    List {
        /// Where the answer goes; what `run`s hold is not in it.
        reply: Reply<Known>,
    },
    /// A client asks for one.
    Get {
        /// Its name.
        name: String,
        /// Where the answer goes.
        reply: Reply<ServiceStatus>,
    },
    /// A client asks why one is as it is: its status, and what it was declared to do.
    Why {
        /// Its name.
        name: String,
        /// Where the answer goes.
        reply: Reply<(ServiceStatus, Option<Declared>)>,
    },
    /// A client asks how one is declared.
    Declared {
        /// Its name.
        name: String,
        /// Where the answer goes.
        reply: Reply<Config>,
    },
    /// A client sends a signal to the main process of one.
    Signal {
        /// Its name.
        name: String,
        /// Which.
        signal: Signal,
        /// Where the answer goes.
        reply: Reply<ServiceStatus>,
    },
    /// A client wants one changed.
    Change {
        /// Its name.
        name: String,
        /// How.
        verb: Verb,
        /// By whom, and how long to wait.
        change: Change,
        /// Where the answer goes.
        reply: Reply<ServiceStatus>,
    },
    /// A client wants services up.
    Up {
        /// Which.
        up: Up,
        /// Where the answer goes.
        reply: Reply<UpAnswer>,
    },
    /// A client changes the keys of a keyed service.
    Instances {
        /// Its name.
        service: String,
        /// Which.
        change: Instances,
        /// Where the answer goes.
        reply: Reply<UpAnswer>,
    },
    /// A client asks for all schedules.
    Schedules {
        /// Where the answer goes.
        reply: Reply<Schedules>,
    },
    /// A client asks for one.
    Schedule {
        /// Of this instance.
        name: String,
        /// Where the answer goes.
        reply: Reply<Named>,
    },
    /// A client changes one.
    Reschedule {
        /// Of this instance, or of all of this keyed service.
        name: String,
        /// How.
        edit: Edit,
        /// Where the answer goes.
        reply: Reply<Done>,
    },
    /// A client wants a run now, whatever the schedule says.
    RunNow {
        /// Of this instance, or of all of this keyed service.
        name: String,
        /// Who asks.
        change: Change,
        /// Where the answer goes.
        reply: Reply<Done>,
    },
    /// A client opens or closes a window for a time.
    Override {
        /// Which, and how long.
        hours: Override,
        /// Where the answer goes.
        reply: Reply<Overridden>,
    },
    /// A client takes that back.
    ClearOverrides {
        /// Of which.
        clear: Clear,
        /// Where the answer goes.
        reply: Reply<Overridden>,
    },
    /// A client wants services down.
    Down {
        /// Which.
        down: Down,
        /// Where the answer goes.
        reply: Reply<DownAnswer>,
    },
    /// A client wants the daemon replaced by another binary.
    Upgrade {
        /// By which.
        upgrade: Upgrade,
        /// Where the answer goes.
        reply: Reply<UpgradeAnswer>,
    },
    /// The binary that is to become the daemon was looked at.
    BinarySeen {
        /// Where it lies.
        binary: PathBuf,
        /// Its version, or why it cannot be used.
        version: Result<String, Problem>,
        /// Where the answer goes.
        reply: Reply<UpgradeAnswer>,
    },
    /// All clients have their answers, and none is taken in any more.
    Answered,
    /// A client wants to hear what happens.
    Subscribe {
        /// Where the stream goes.
        reply: Reply<broadcast::Receiver<ApiEvent>>,
    },
}

impl Input {
    /// What it is.
    pub fn sort(&self) -> Sort {
        match self {
            Input::Guard { .. }
            | Input::GuardEnded { .. }
            | Input::ZygoteEnded { .. }
            | Input::ClockSet
            | Input::ZonesChanged
            | Input::FilesChanged { .. }
            | Input::ClaimTaken { .. }
            | Input::Seen { .. }
            | Input::Sought { .. }
            | Input::BinarySeen { .. }
            | Input::Answered => Sort::News,
            Input::List { .. }
            | Input::Get { .. }
            | Input::Why { .. }
            | Input::Declared { .. }
            | Input::Schedules { .. }
            | Input::Schedule { .. }
            | Input::Subscribe { .. } => Sort::Question,
            Input::Signal { .. }
            | Input::Change { .. }
            | Input::Up { .. }
            | Input::Instances { .. }
            | Input::Reschedule { .. }
            | Input::RunNow { .. }
            | Input::Override { .. }
            | Input::ClearOverrides { .. }
            | Input::Down { .. }
            | Input::Upgrade { .. } => Sort::Wish,
        }
    }
}

/// The sorts of inputs. Of the last two a client waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Something happened; no number of clients keeps it waiting.
    News,
    /// Something is wanted.
    Wish,
    /// Something is to be told; nothing changes by that.
    Question,
}

/// What can be asked of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(rename_all = "kebab-case")]
pub enum Verb {
    /// Run it, unless it does.
    Start,
    /// Run it, unless somebody does, whoever that is.
    Ensure,
    /// End it.
    Stop,
    /// End it and run it anew.
    Restart,
    /// Have it read its own configuration again.
    Reload,
}
