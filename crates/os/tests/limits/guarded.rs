//! A guard of a test: forked by a zygote that is this very test program, driven over its link as the daemon does.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use soloist_os::Program;
use soloist_os::claim::Claim;
use soloist_os::guard::{
    Assignment, Limits, LogRules, OnDaemonExit, Order, Report, RunOrder, order, order_spawn, read_report,
    zygote,
};
use soloist_os::identity::{Identity, Pinned, SIGNAL_TERMINATE};
use soloist_os::link::Link;
use soloist_os::record::Holder;

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(20);
/// SIGSTOP and SIGCONT of signal(7).
const SIGNAL_STOP: i32 = 19;
pub const SIGNAL_CONTINUE: i32 = 18;
/// Set in the process that is to be the zygote.
const ZYGOTE: &str = "SOLOIST_TEST_ZYGOTE";

/// A guard, its zygote, and what it has reported.
pub struct Guarded {
    folder: tempfile::TempDir,
    zygote: Child,
    link: Link,
    seen: Vec<Report>,
    /// The other end of a link that no guard has.
    parted: Option<Link>,
    _zygote_link: Link,
}

/// In the process that was started for it: the zygote's life.
pub fn be_zygote() {
    if std::env::var_os(ZYGOTE).is_some() {
        zygote::live(soloist_os::link::inherited(0).unwrap()).unwrap();
    }
}

impl Guarded {
    /// A guard that guards nothing yet.
    pub fn new() -> Guarded {
        let folder = tempfile::Builder::new().prefix("soloist-limits-").tempdir().unwrap();
        let (ours, theirs) = Link::pair().unwrap();
        let zygote = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_zygote_of_the_tests", "--nocapture", "--test-threads", "1"])
            .env(ZYGOTE, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        for name in ["claims", "guards"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let assignment = Assignment {
            instance: "x".into(),
            base: folder.path().into(),
            project: folder.path().into(),
            holder: Holder::Daemon,
            spare: vec![std::process::id(), zygote.id()],
        };
        let claim = Claim::take(&assignment.place().claim()).unwrap().unwrap();
        let link = zygote::request(&ours, &assignment, &claim).unwrap();
        Guarded { folder, zygote, link, seen: Vec::new(), parted: None, _zygote_link: ours }
    }

    /// A guard whose run executes.
    pub fn running(script: &str, change: impl FnOnce(&mut RunOrder)) -> Guarded {
        let mut guarded = Guarded::new();
        guarded.spawn(script, change);
        guarded.wait("it executes", |report| matches!(report, Report::Spawned { .. }).then_some(()));
        guarded
    }

    /// Orders a run of a shell script.
    pub fn spawn(&mut self, script: &str, change: impl FnOnce(&mut RunOrder)) {
        let mut run = run_order(self.folder.path(), script);
        change(&mut run);
        order_spawn(&self.link, &run, &[]).unwrap();
    }

    /// Gives an order.
    pub fn order(&self, what: &Order) {
        order(&self.link, what, &[]).unwrap();
    }

    /// Orders an exec probe of a shell script.
    pub fn exec(&self, id: u64, script: &str, timeout_ms: u64) {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned).into();
        self.order(&Order::Exec { id, argv, timeout_ms });
    }

    /// Stops the guard, and says who it is. It reads what it is ordered meanwhile once it is let go on.
    pub fn freeze(&mut self) -> Pinned {
        self.order(&Order::Status);
        let guard = self.wait("it says who it is", |report| match report {
            Report::Status { guard, .. } => Some(guard.clone()),
            _ => None,
        });
        let guard = guard.pin().unwrap();
        guard.signal(SIGNAL_STOP).unwrap();
        guard
    }

    /// Closes the link, as a daemon does that dies.
    pub fn part(&mut self) {
        let (ours, theirs) = Link::pair().unwrap();
        self.link = ours;
        self.parted = Some(theirs);
    }

    /// Connects to the guard anew, as the next daemon does.
    pub fn meet(&mut self) {
        self.link = Link::connect(&self.folder.path().join("guards/x.sock")).unwrap();
        self.parted = None;
    }

    /// How a probe ended.
    pub fn ended(&mut self, asked: u64) -> Result<(), String> {
        self.wait("the probe is over", |report| match report {
            Report::ExecEnded { id, outcome } if *id == asked => Some(outcome.clone()),
            _ => None,
        })
    }

    /// Waits until the tree is empty, and says whether the kill was needed.
    pub fn emptied(&mut self) -> bool {
        self.wait("the tree is empty", |report| match report {
            Report::Emptied { killed, .. } => Some(*killed),
            _ => None,
        })
    }

    /// Waits for a report; one that came before counts.
    pub fn wait<T>(&mut self, what: &str, pick: impl Fn(&Report) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(found) = self.seen.iter().find_map(&pick) {
                return found;
            }
            let has_failed = self.seen.iter().any(|report| matches!(report, Report::SpawnFailed { .. }));
            assert!(!has_failed, "waited until {what}; seen {:?}", self.seen);
            match self.link.receive_within(end.saturating_duration_since(Instant::now())) {
                Ok(Some((bytes, _))) => self.seen.extend(read_report(&bytes)),
                other => {
                    panic!("waited until {what}, got {other:?}; log {:?}; seen {:?}", self.log(), self.seen)
                }
            }
        }
    }

    /// From now on only what comes counts.
    pub fn forget_seen(&mut self) {
        self.seen.clear();
    }

    /// All that was reported so far and was read.
    pub fn seen(&self) -> &[Report] {
        &self.seen
    }

    /// The words of all remarks so far.
    pub fn remarks(&self) -> Vec<&str> {
        let words = self.seen.iter().filter_map(|report| match report {
            Report::Remark { words } => Some(words.as_str()),
            _ => None,
        });
        words.collect()
    }

    /// What was reported of a run that did not start.
    pub fn refusal(&mut self) -> String {
        self.wait("it is refused", |report| match report {
            Report::SpawnFailed { error, .. } => Some(error.to_string()),
            _ => None,
        })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the run has written.
    pub fn log(&self) -> String {
        self.read("log")
    }

    /// A file of its folder; empty if there is none.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Waits until a file of its folder has so many lines, and gives them.
    pub fn lines(&mut self, name: &str, count: usize) -> Vec<String> {
        let end = Instant::now() + LIMIT;
        loop {
            let lines: Vec<String> = self.read(name).lines().map(str::to_owned).collect();
            if lines.len() >= count {
                return lines;
            }
            assert!(Instant::now() < end, "waited until {name} has {count} lines; last seen: {lines:?}");
            // What is reported meanwhile is kept; between two looks the link is waited for.
            match self.link.receive_within(Duration::from_millis(10)) {
                Ok(Some((bytes, _))) => self.seen.extend(read_report(&bytes)),
                Ok(None) => panic!("the guard ended; {name}: {lines:?}; seen {:?}", self.seen),
                Err(_) => {}
            }
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.parted = None;
        let _ = order(&self.link, &Order::Kill, &[]);
        let _ = order(&self.link, &Order::Release, &[]);
        // Its link ends when it has ended.
        while let Ok(Some(_)) = self.link.receive_within(Duration::from_secs(5)) {}
        let _ = self.zygote.kill();
        let _ = self.zygote.wait();
    }
}

/// A run of a shell script in a folder, with a log there.
pub fn run_order(folder: &Path, script: &str) -> RunOrder {
    let path = std::env::var("PATH").unwrap();
    RunOrder {
        run_id: "r1".into(),
        program: Program {
            argv: ["/bin/sh", "-c", script].map(str::to_owned).into(),
            env: vec![("PATH".into(), path), ("OWN".into(), "of the run".into())],
            dir: folder.into(),
        },
        log: Some(folder.join("log")),
        pid_file: None,
        ports: Vec::new(),
        stop_signal: SIGNAL_TERMINATE,
        stop_grace_ms: 5000,
        cause: String::new(),
        print: None,
        limits: Limits::default(),
        stop_command: None,
        watchdog_usec: None,
        on_daemon_exit: OnDaemonExit::Keep,
        revival: None,
        log_rules: LogRules::default(),
        is_log_new: false,
        is_ticked: false,
        sockets: Vec::new(),
    }
}

/// Whether a process lives that has this number; a zombie does not.
pub fn is_alive(pid: &str) -> bool {
    Identity::of(pid.parse().unwrap()).is_ok_and(|identity| identity.is_alive())
}
