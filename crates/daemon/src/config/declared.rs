//! What a checked declaration consists of: how its program is started, signalled, limited, claimed and asked.
//! Only shapes; reading and checking them is the matter of the other files here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use soloist_core::id::Print;
use soloist_core::plan::Plan;
use soloist_os::guard::{Limits, LogRules, OnDaemonExit};
use soloist_os::handover::Address;

use super::{fingerprint, program};

/// One declared service or job; of a keyed one, one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Unique among services and jobs of the project; fit for a file name. `scraper@antica` for the key `antica`.
    pub name: String,
    /// The name of the section that declares it: `scraper` of `scraper@antica`.
    pub service: String,
    /// The key of a keyed instance.
    pub key: Option<String>,
    /// The instance that it is a lane of: `scan~2` takes a run of `scan` while that is busy (`overlap = "allow"`),
    /// `api~new` stands in for `api` while that is restarted (`reload = "overlap-safe"`).
    pub lane_of: Option<String>,
    /// Its schedule in words, if it has one.
    pub rota: Option<Rota>,
    /// What matters for decisions.
    pub plan: Plan,
    /// What matters for starting and stopping it.
    pub program: Program,
}

/// A schedule in words; what it means is `Plan::schedule`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rota {
    /// What triggers it as it is now: `every 6s`, `cron */5 9-15 * * mon-fri`, `at 09:15, 15:31`.
    pub triggers: Vec<String>,
    /// Its window's name, if it has one.
    pub window: Option<String>,
    /// What differs from soloist.toml, and who changed it: `every changed from 6s in soloist.toml, by …`.
    pub changed: Option<String>,
}

/// How a declared program is started, signalled, claimed and asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The program and its arguments as declared; never empty. See [`Program::executable`].
    pub argv: Vec<String>,
    /// The folder it runs in, absolute.
    pub dir: PathBuf,
    /// Variables added to its environment: those of `env` and of the files of `env-file`.
    pub env: BTreeMap<String, String>,
    /// The number of the polite signal on this system.
    pub stop_signal: i32,
    /// Run before the polite signal; see [`Program::resolved`].
    pub stop_command: Option<Vec<String>>,
    /// The number of the signal that makes it read its own files again.
    pub reload_signal: i32,
    /// Where it may run only once.
    pub scope: Scope,
    /// A file that takes its pid, absolute.
    pub pid_file: Option<PathBuf>,
    /// What it may use, and as whom it runs.
    pub limits: Limits,
    /// What becomes of it when the daemon is gone.
    pub on_daemon_exit: OnDaemonExit,
    /// What the probes of its plan ask.
    pub checks: Checks,
    /// How its log is kept.
    pub log: Logging,
    /// Where soloist listens in its place, in the order in which a run is handed the sockets.
    pub sockets: Vec<Socket>,
    /// Patterns of the files in the project's folder whose change gives it a new run.
    pub watch: Vec<String>,
    /// Of these files those that do not.
    pub watch_ignore: Vec<String>,
}

/// A socket that soloist listens on for a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// As a run knows it, from `LISTEN_FDNAMES`.
    pub name: String,
    /// Where it listens.
    pub at: Address,
}

impl Socket {
    /// Named as its port or its file, without what stands behind the dot.
    pub fn at(at: Address) -> Socket {
        let name = match &at {
            Address::Tcp(address) => address.port().to_string(),
            // A name ends at a colon.
            Address::Unix(path) => path.file_stem().unwrap_or_default().to_string_lossy().replace(':', "_"),
        };
        Socket { name, at }
    }
}

impl Default for Program {
    /// What a declaration that says nothing of it gets.
    fn default() -> Self {
        Program {
            argv: Vec::new(),
            dir: PathBuf::new(),
            env: BTreeMap::new(),
            stop_signal: soloist_os::identity::SIGNAL_TERMINATE,
            stop_command: None,
            reload_signal: HUP,
            scope: Scope::default(),
            pid_file: None,
            limits: Limits::default(),
            on_daemon_exit: OnDaemonExit::default(),
            checks: Checks::default(),
            log: Logging::default(),
            sockets: Vec::new(),
            watch: Vec::new(),
            watch_ignore: Vec::new(),
        }
    }
}

/// How a log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// What its guard must know. The age counts for the file that is written, and for those that are kept.
    pub rules: LogRules,
    /// So many files are kept beside the one that is written.
    pub keep: usize,
    /// Those are compressed.
    pub compress: bool,
    /// Regular expressions that `regex_lite` takes; what they match is not shown. Those of the project come first.
    pub mask: Vec<String>,
}

impl Default for Logging {
    fn default() -> Logging {
        const MONTH_MS: u64 = 30 * 24 * 3600 * 1000;
        let rules = LogRules { max_age_ms: Some(MONTH_MS), ..LogRules::default() };
        Logging { rules, keep: 10, compress: true, mask: Vec::new() }
    }
}

/// The signal that daemons read their files again at; the same number on all systems (signal(7)).
pub(super) const HUP: i32 = 1;

/// Where a program may run only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Once in the project's folder.
    #[default]
    Project,
    /// Once on the machine, whatever the folder.
    Machine,
}

/// What is asked by the probes whose rhythm stands in [`Plan`]: each is there if and only if its rhythm is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Of `Plan::startup`.
    pub startup: Option<Check>,
    /// Of `Plan::readiness`.
    pub readiness: Option<Check>,
    /// Of `Plan::liveness`.
    pub liveness: Option<Check>,
}

/// One question to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// GET: passed by an answer from 200 to 399, as in Kubernetes.
    Http {
        /// A name or an address; an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
        /// Path and query, beginning with `/`.
        path: String,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// Passed if a connection is accepted.
    Tcp {
        /// A name or an address; an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// Passed if it exits with 0; runs in the service's folder and environment. See [`Program::resolved`].
    Exec {
        /// The program and its arguments; never empty.
        argv: Vec<String>,
    },
    /// Passed once a line of the run's log matches.
    Log {
        /// A regular expression that `regex_lite` takes.
        pattern: String,
    },
}

impl Check {
    /// The same question where a port of this machine is now.
    pub fn at(mut self, now: impl Fn(u16) -> u16) -> Check {
        if let Check::Http { host, port, .. } | Check::Tcp { host, port } = &mut self
            && matches!(host.as_str(), "127.0.0.1" | "localhost" | "::1")
        {
            *port = now(*port);
        }
        self
    }
}

impl Declared {
    /// The fingerprint of what a run of it is started from; see `config/fingerprint.rs` for what counts.
    pub fn print(&self) -> Print {
        fingerprint::print(&self.plan, &self.program)
    }
}

impl Program {
    /// What to execute: a relative path with a slash counts from `dir`, a bare name is left to `PATH`.
    pub fn executable(&self) -> PathBuf {
        self.argv.first().map_or_else(PathBuf::new, |first| self.located(first))
    }

    /// A command with its program found as in [`Program::executable`].
    pub fn resolved(&self, argv: &[String]) -> Vec<String> {
        let mut argv = argv.to_vec();
        if let Some(first) = argv.first_mut() {
            *first = self.located(first).to_string_lossy().into_owned();
        }
        argv
    }

    fn located(&self, program: &str) -> PathBuf {
        match program.contains('/') {
            true => program::tidy(&self.dir.join(program)),
            false => PathBuf::from(program),
        }
    }
}
