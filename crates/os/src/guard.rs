//! What daemon, clients and a guard say to each other, versioned, as JSON over a link. The guard's own loop is
//! `guard/body.rs`, the process that forks guards is `guard/zygote.rs`.
//!
//! A guard is a dumb executor: it holds the claim, is parent to the tree, obeys orders and reports facts. The only
//! thing it does on its own is to end a tree that lost its main process when nobody is there to give orders.

pub mod body;
mod output;
pub mod zygote;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::identity::{Exit, Identity};
use crate::layout::Place;
use crate::link::Link;
use crate::program::{Program, SpawnError};
use crate::record::Holder;
use crate::survivor::Stuck;

/// The version of what is said here. A guard outlives the daemon that made it, so readers take what older ones say.
pub const PROTOCOL: u32 = 1;

/// What a guard must know of its instance before it can guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The instance's name.
    pub instance: String,
    /// The folder of its claim, record and socket.
    pub base: PathBuf,
    /// The project folder.
    pub project: PathBuf,
    /// Who holds the claim.
    pub holder: Holder,
    /// The processes that a sweep must not touch: the daemon and what belongs to it.
    #[serde(default)]
    pub spare: Vec<u32>,
}

impl Assignment {
    /// Its claim, record and socket.
    pub fn place(&self) -> Place {
        Place { base: self.base.clone(), instance: self.instance.clone() }
    }
}

/// What to run, in full: travels in a memory file, for an environment may be longer than a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrder {
    /// The id of the run.
    pub run_id: String,
    /// What to start.
    pub program: Program,
    /// Where its output goes; `None`: wherever ours goes.
    pub log: Option<PathBuf>,
    /// Written once the main process runs, removed when its tree is empty. Never believed.
    pub pid_file: Option<PathBuf>,
    /// For the record.
    pub ports: Vec<u16>,
    /// The polite signal.
    pub stop_signal: i32,
    /// The time between it and the kill, when the guard must stop the tree by itself.
    pub stop_grace_ms: u64,
}

/// Orders to a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// End survivors of earlier runs, then start a run: the `RunOrder` is in the memory file that comes along.
    Spawn,
    /// End survivors of an earlier run and start nothing.
    Sweep {
        /// The run that is to be known as ended.
        run_id: String,
        /// Between the polite signal and the kill.
        grace_ms: u64,
    },
    /// Stop the tree: the polite signal, one shared grace, then the kill, until it is empty.
    Stop {
        /// The grace in milliseconds; none: the run's own.
        grace_ms: Option<u64>,
    },
    /// Kill the tree now.
    Kill,
    /// Send this signal to the main process's group.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// Tell the state; the claim's descriptor comes with the answer.
    Status,
    /// End as soon as the tree is empty.
    Release,
}

/// What a guard reports. Facts, sent to every link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case")]
pub enum Report {
    /// The answer to `Status`.
    Status {
        /// Of the protocol.
        version: u32,
        /// The guard.
        guard: Identity,
        /// The run it guards or guarded last.
        run_id: Option<String>,
        /// Its main process, while it lives.
        main: Option<Identity>,
        /// Its end, if it ended.
        exit: Option<Exit>,
        /// Whether the tree is empty.
        empty: bool,
        /// Start of the run in milliseconds since 1970 UTC.
        since_ms: u64,
    },
    /// Survivors of an earlier run were ended.
    Swept {
        /// So many.
        ended: usize,
    },
    /// The main process executes.
    Spawned {
        /// Of this run.
        run_id: String,
        /// The main process.
        main: Identity,
    },
    /// Nothing was started.
    SpawnFailed {
        /// Of this run.
        run_id: String,
        /// At which step, and why.
        error: SpawnFailure,
    },
    /// The main process ended; others of its tree may live.
    MainExited {
        /// Of this run.
        run_id: String,
        /// How.
        exit: Exit,
        /// So many of the tree are left.
        left: usize,
    },
    /// The tree is empty.
    Emptied {
        /// Of this run.
        run_id: String,
        /// Whether the kill was needed.
        killed: bool,
    },
    /// These do not die; the guard goes on trying and keeps the claim.
    Stuck {
        /// Which, with state and wait channel.
        processes: Vec<Stuck>,
    },
}

/// Why a run did not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpawnFailure {
    /// The program could not be started.
    Program(SpawnError),
    /// The claim's file was removed or replaced: this claim excludes nobody any more.
    ClaimReplaced(PathBuf),
    /// Survivors of an earlier run cannot be ended.
    Survivors(Vec<Stuck>),
    /// Anything else: a full disk, an unreadable order.
    Other(String),
}

impl std::fmt::Display for SpawnFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SpawnFailure::Program(error) => error.fmt(f),
            SpawnFailure::ClaimReplaced(path) => write!(
                f,
                "the claim {} was removed or replaced while it was held; start again to claim it anew",
                path.display()
            ),
            SpawnFailure::Survivors(stuck) => {
                write!(f, "processes of an earlier run cannot be ended:")?;
                stuck.iter().try_for_each(|s| {
                    let channel = s.wait_channel.as_deref().unwrap_or("unknown");
                    write!(f, " pid {} (state {}, waits in {channel})", s.pid, s.state)
                })
            }
            SpawnFailure::Other(text) => f.write_str(text),
        }
    }
}

/// Says an order.
pub fn order(link: &Link, order: &Order, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    link.send(&serde_json::to_vec(order).map_err(io::Error::other)?, fds)
}

/// Says `Spawn` with its memory file.
pub fn order_spawn(link: &Link, run: &RunOrder) -> io::Result<()> {
    use std::io::{Seek, Write};
    use std::os::fd::AsFd;
    let memory = rustix::fs::memfd_create("soloist-run", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(&serde_json::to_vec(run).map_err(io::Error::other)?)?;
    file.rewind()?;
    order(link, &Order::Spawn, &[file.as_fd()])
}

/// Reads a report; what a newer guard says and we do not know is no error, but nothing.
pub fn read_report(bytes: &[u8]) -> Option<Report> {
    serde_json::from_slice(bytes).ok()
}
