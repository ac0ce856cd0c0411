//! What daemon, clients and a guard say to each other, versioned, as JSON over a link. The guard's own loop is
//! `guard/body.rs`, the process that forks guards is `guard/zygote.rs`.
//!
//! A guard is a dumb executor: it holds the claim, is parent to the tree, obeys orders and reports facts. The only
//! thing it does on its own is to end a tree that lost its main process when nobody is there to give orders.

pub mod body;
mod keeper;
mod looker;
pub(crate) mod notify;
#[doc(hidden)]
pub mod output;
mod revival;
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

#[doc(hidden)]
pub use body::take_run;
#[doc(hidden)]
pub use notify::notice_of;
pub use revival::Charge;

/// The version of what is said here. A guard outlives the daemon that made it, so readers take what older ones say.
pub const PROTOCOL: u32 = 3;

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Why it is started, for the record.
    #[serde(default)]
    pub cause: String,
    /// The fingerprint of the declaration it is started from, for the record.
    #[serde(default)]
    pub print: Option<u64>,
    /// What it may use, and as whom it runs.
    #[serde(default)]
    pub limits: Limits,
    /// Run in the tree before the polite signal; the grace is one for both.
    #[serde(default)]
    pub stop_command: Option<Vec<String>>,
    /// The longest silence of its watchdog, told to it as `WATCHDOG_USEC`.
    #[serde(default)]
    pub watchdog_usec: Option<u64>,
    /// What the guard does when no daemon is there any more.
    #[serde(default)]
    pub on_daemon_exit: OnDaemonExit,
    /// How a dead daemon is brought back; none: it is not.
    #[serde(default)]
    pub revival: Option<Revival>,
    /// How its log is kept.
    #[serde(default)]
    pub log_rules: LogRules,
    /// Nothing of this log is there, nor any rotated file of it: the guard need not look through the folder of all logs.
    #[serde(default)]
    pub is_log_new: bool,
    /// Its standard input is a pipe that takes the lines of `Tick`, not `/dev/null`.
    #[serde(default)]
    pub is_ticked: bool,
    /// The names of the sockets that come along, in their order (`LISTEN_FDNAMES`, sd_listen_fds(3)). Since protocol 3.
    #[serde(default)]
    pub sockets: Vec<String>,
}

/// How a log is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogRules {
    /// A file of so many bytes is full: the next one is begun at the end of a line.
    pub size: u64,
    /// A file that was begun so long ago is full, too.
    pub max_age_ms: Option<u64>,
    /// Standard error goes to a log of its own (`log_files::error_log_of`).
    pub is_split: bool,
    /// What becomes of output that the disk does not take.
    pub on_full: OnFull,
}

impl Default for LogRules {
    fn default() -> LogRules {
        LogRules { size: 16 << 20, max_age_ms: None, is_split: false, on_full: OnFull::Drop }
    }
}

/// What becomes of output that the disk does not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFull {
    /// It is counted and dropped; the service runs on.
    #[default]
    Drop,
    /// It waits in the pipe; when that is full, the service waits, too.
    Block,
}

/// What a run may use, and as whom it runs. What is none is as it was for the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The memory of the whole tree in bytes: cgroup v2 `memory.max` where that controller is delegated, else watched.
    pub memory_max: Option<u64>,
    /// CPUs of the whole tree, `0.5` is half of one: cgroup v2 `cpu.max`; without that controller it is not limited, which
    /// is said.
    pub cpu_max: Option<f64>,
    /// setrlimit(2): the name without `RLIMIT_` in lower case, soft and hard limit; `u64::MAX` is no limit.
    pub rlimits: Vec<(String, u64, u64)>,
    /// -20 to 19.
    pub nice: Option<i32>,
    /// As for umask(2).
    pub umask: Option<u32>,
    /// User id to run as.
    pub user: Option<u32>,
    /// Group id to run as.
    pub group: Option<u32>,
    /// Further groups, when a user is given.
    pub groups: Vec<u32>,
}

/// What a guard does when its daemon is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDaemonExit {
    /// The tree runs on; the daemon is brought back.
    #[default]
    Keep,
    /// The tree is stopped.
    Stop,
}

/// The last line that a daemon says to whoever started it, once it answers.
pub const DAEMON_READY: &str = "ready";

/// How a guard brings its daemon back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revival {
    /// The daemon's program; if it is not there any more, our own is taken.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Locked while somebody starts a daemon: one of many guards does it.
    pub lock: PathBuf,
}

/// What a service said of itself over its notify socket, all of it together: a later word replaces an earlier one.
/// The words are those of sd_notify(3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notice {
    /// `READY=1` came.
    pub ready: bool,
    /// `RELOADING=1` came after the last `READY=1`.
    pub reloading: bool,
    /// `STOPPING=1` came.
    pub stopping: bool,
    /// `STATUS=`.
    pub status: Option<String>,
    /// `X_SOLOIST_STATE=`.
    pub state: Option<String>,
    /// `X_SOLOIST_PROGRESS=`.
    pub progress: Option<String>,
    /// `WATCHDOG=1` came since the last report.
    pub alive: bool,
    /// `WATCHDOG=trigger` came since the last report.
    pub trigger: bool,
    /// `WATCHDOG_USEC=`.
    pub watchdog_usec: Option<u64>,
    /// `EXTEND_TIMEOUT_USEC=` came since the last report.
    pub extend_usec: Option<u64>,
    /// `X_SOLOIST_RUN=` with `X_SOLOIST_RESULT=` came: the answers to its ticks that no daemon has heard yet (`Heard`), in
    /// their order. As many as a message holds; the others follow.
    pub answers: Vec<Answer>,
}

/// What a worker answers to a tick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// `X_SOLOIST_RUN=`: to which.
    pub tick: String,
    /// `X_SOLOIST_RESULT=ok`, not `error`.
    pub ok: bool,
    /// `X_SOLOIST_SUMMARY=`
    pub summary: Option<String>,
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// The most memory: of the tree where a cgroup counts it, else of its largest process.
    pub peak_kib: Option<u64>,
    /// CPU time, user and system, of all that were waited for.
    pub cpu_ms: Option<u64>,
}

/// A run that is over, kept for a daemon that did not hear of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The run.
    pub run_id: String,
    /// Its main process.
    #[serde(default)]
    pub pid: Option<u32>,
    /// Why it was started.
    pub cause: String,
    /// Its start in milliseconds since 1970 UTC.
    pub since_ms: u64,
    /// How its main process ended.
    pub exit: Option<Exit>,
    /// When, in milliseconds since 1970 UTC.
    pub exit_ms: Option<u64>,
    /// Whether somebody had it stopped.
    pub was_stopped: bool,
    /// What it used.
    pub usage: Usage,
    /// The length of its log before it wrote anything.
    #[serde(default)]
    pub log_at: Option<u64>,
    /// The number of the file which that is the length of.
    #[serde(default)]
    pub log_seq: Option<u64>,
}

/// Orders to a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// End survivors of earlier runs, then start a run: the `RunOrder` is in the memory file that comes along, first, and
    /// then its sockets. The guard keeps them while it lives.
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
    /// Send this signal to the main process alone, as systemd does for a reload: its workers may not know the signal,
    /// and would end of it (gunicorn's do of SIGHUP). A shell in between must hand it on, or `exec` the program.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// Tell the state; the claim's descriptor comes with the answer, and behind it the sockets.
    Status,
    /// End as soon as the tree is empty.
    Release,
    /// Remember for the next daemon that the run was seen ready.
    Remember,
    /// Run a probe in the tree, as the run is: environment, folder, limits, user. Answer: `ExecEnded`, once all that the
    /// probe started is gone. At most four at once. Since protocol 2.
    Exec {
        /// The question.
        id: u64,
        /// Its command.
        argv: Vec<String>,
        /// After this it has failed and is killed.
        timeout_ms: u64,
    },
    /// Write this line to the standard input of the main process. The tick counts as unanswered until an answer names it,
    /// also for a later daemon.
    Tick {
        /// The tick.
        tick: String,
        /// The line, without its end.
        line: String,
    },
    /// The answers to these ticks have been heard; until then they are told again to whoever asks for the status.
    Heard {
        /// Which ticks.
        ticks: Vec<String>,
    },
    /// From now on the daemon is brought back this way: another binary has become the daemon.
    Revive {
        /// How.
        revival: Revival,
    },
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
        /// Whether a daemon has seen it ready. From here on: since protocol 2.
        #[serde(default)]
        was_ready: bool,
        /// What it said of itself.
        #[serde(default)]
        notice: Notice,
        /// The fingerprint of the declaration it was started from.
        #[serde(default)]
        print: Option<u64>,
        /// The last runs that are over, oldest first.
        #[serde(default)]
        past: Vec<Past>,
        /// The last tick, unless its answer was heard.
        #[serde(default)]
        tick: Option<String>,
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
        /// The length of its log before it wrote anything.
        #[serde(default)]
        log_at: Option<u64>,
        /// The number of the file which that is the length of.
        #[serde(default)]
        log_seq: Option<u64>,
    },
    /// The run said something of itself; all it has said so far comes along.
    Notified {
        /// Which run.
        run_id: String,
        /// What.
        notice: Notice,
        /// The main process it has named, if that is another one now.
        main: Option<u32>,
    },
    /// The tree uses more memory than it may.
    OverMemory {
        /// Of this run.
        run_id: String,
        /// So much.
        kib: u64,
        /// So much it may.
        #[serde(default)]
        max_kib: u64,
    },
    /// A log has begun a new file.
    Rotated {
        /// The log, as it is called now.
        path: PathBuf,
    },
    /// The disk does not take what the run writes, or takes it again. Told each second while it lasts.
    LogLost {
        /// Which run.
        run_id: String,
        /// So many bytes were dropped since the guard began.
        bytes: u64,
        /// It takes it again.
        is_over: bool,
    },
    /// A probe of `Exec` is over.
    ExecEnded {
        /// Which.
        id: u64,
        /// Why it failed, in words, if it did: `exit code 3: ` and the last line of its output, `timed out after 1 s`.
        outcome: Result<(), String>,
    },
    /// Worth a line in the daemon's log: a stranger's notify, a limit that cannot be set.
    Remark {
        /// In words.
        words: String,
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
        /// What the run used.
        #[serde(default)]
        usage: Usage,
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

/// Says `Spawn` with its memory file and its sockets, as many as are named in it.
pub fn order_spawn(link: &Link, run: &RunOrder, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    use std::os::fd::AsFd;
    let memory = memory_of(run)?;
    order(link, &Order::Spawn, &[&[memory.as_fd()], sockets].concat())
}

/// A run's order in a memory file, as it travels.
fn memory_of(run: &RunOrder) -> io::Result<std::fs::File> {
    use std::io::{Seek, Write};
    let memory = rustix::fs::memfd_create("soloist-run", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(&serde_json::to_vec(run).map_err(io::Error::other)?)?;
    // For guards of before protocol 2, which read from where the file stands.
    file.rewind()?;
    Ok(file)
}

/// Reads a report; what a newer guard says and we do not know is no error, but nothing.
pub fn read_report(bytes: &[u8]) -> Option<Report> {
    serde_json::from_slice(bytes).ok()
}
