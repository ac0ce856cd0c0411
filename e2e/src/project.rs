//! A project of a test: a folder of its own with a `soloist.toml`, a user's state folder of its own, and the commands
//! a person would give in it. When it is dropped, `soloist down` must leave nothing alive; what it leaves is ended.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::LIMIT;
use crate::background::Background;
use crate::binaries::{binaries, with_fail_points};
use crate::identity::{Identity, with_environment};
use crate::output::Output;
use crate::pace::Pace;
use crate::puppet::beacon::Beacon;
use crate::puppet::journal::Journal;
use crate::status::{Service, Status};

/// A project folder, and what is needed to leave nothing behind.
#[derive(Debug)]
pub struct Project {
    folder: PathBuf,
    state: PathBuf,
    commands: AtomicU32,
    strict: bool,
    /// The file of its test clock.
    clock: Option<PathBuf>,
    /// The folder of its fail points.
    points: Option<PathBuf>,
    /// Last: the folder is removed after everything in it was ended.
    _kept: TempDir,
}

impl Project {
    /// A new project with this `soloist.toml`.
    #[track_caller]
    pub fn new(toml: &str) -> Project {
        let project = Project::empty();
        project.write("soloist.toml", toml);
        project
    }

    /// A new folder without a `soloist.toml`.
    #[track_caller]
    pub fn empty() -> Project {
        crate::failure::tell_at_once();
        // The first one builds them: not once a test has set a clock, or counts time.
        binaries();
        let kept = tempfile::Builder::new().prefix("soloist-e2e-").tempdir();
        let kept = kept.unwrap_or_else(|e| panic!("no folder for a project: {e}"));
        let folder = kept.path().canonicalize().unwrap_or_else(|e| panic!("{e}"));
        let state = folder.join("state");
        Project {
            folder,
            state,
            commands: AtomicU32::new(0),
            strict: true,
            clock: None,
            points: None,
            _kept: kept,
        }
    }

    /// The same user's: claims of machine scope are shared with the other project.
    #[must_use]
    pub fn sharing_state_with(mut self, other: &Project) -> Project {
        self.state.clone_from(&other.state);
        self
    }

    /// Soloist is not used in it: what lives in the end was started by the test and is ended without a word.
    #[must_use]
    pub fn without_soloist(mut self) -> Project {
        self.strict = false;
        self
    }

    /// Its folder stays when the value is dropped.
    pub fn keep(&mut self) {
        self._kept.disable_cleanup(true);
    }

    /// Its daemon goes by a clock that a test may set.
    #[must_use]
    #[track_caller]
    pub fn with_test_clock(mut self) -> Project {
        let folder = self.folder.join("clock");
        std::fs::create_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        self.clock = Some(folder.join("ahead"));
        self.set_test_clock(0);
        self
    }

    /// Its soloist is one with fail points, and stands still where [`Project::arm`] says.
    #[must_use]
    #[track_caller]
    pub fn with_fail_points(mut self) -> Project {
        let folder = self.folder.join("points");
        std::fs::create_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        self.points = Some(folder);
        self
    }

    /// Has the process that comes by this fail point next stand still there.
    #[track_caller]
    pub fn arm(&self, point: &str) {
        self.write(&format!("points/{point}"), "");
    }

    /// Nobody stands still any more.
    pub fn disarm_all(&self) {
        let points = std::fs::read_dir(self.folder.join("points")).into_iter().flatten().flatten();
        for point in points {
            let _ = std::fs::remove_file(point.path());
            let name = point.file_name().into_string().unwrap_or_default();
            let who = name.split_once('@').and_then(|(_, pid)| Identity::of(pid.parse().ok()?));
            if let Some(who) = who {
                who.signal(Signal::CONT);
            }
        }
    }

    /// Who stands still at this fail point, if it was come by; told once.
    #[track_caller]
    pub fn standing_at(&self, point: &str) -> Option<Identity> {
        let entries = std::fs::read_dir(self.folder.join("points")).ok()?.flatten();
        let begin = format!("{point}@");
        let met = entries.map(|entry| entry.path()).find_map(|path| {
            let pid = path.file_name()?.to_str()?.strip_prefix(&begin)?.parse().ok()?;
            Some((path, Identity::of(pid)?))
        });
        let (path, who) = met.filter(|(_, who)| who.state() == Some('T'))?;
        let _ = std::fs::remove_file(path);
        Some(who)
    }

    /// Sets that clock so many milliseconds ahead of the machine's, in one step.
    #[track_caller]
    pub fn set_test_clock(&self, ahead: i64) {
        self.write("clock/next", &ahead.to_string());
        let (next, clock) = (self.folder.join("clock/next"), self.folder.join("clock/ahead"));
        std::fs::rename(next, clock).unwrap_or_else(|e| panic!("the test clock: {e}"));
    }

    /// The folder, canonical.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The user's state folder of its commands (`XDG_STATE_HOME`).
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// A path in the folder, as text for arguments and TOML.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Writes a file in the folder and gives its path.
    #[track_caller]
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }

    /// The text of a file in the folder; empty if there is none.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join(name)).unwrap_or_default()).into_owned()
    }

    /// `soloist` with arguments, in this folder and with this state folder; not started yet.
    #[track_caller]
    pub fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let soloist = if self.points.is_some() { with_fail_points() } else { &binaries().soloist };
        let mut command = Command::new(soloist);
        command.args(arguments.iter().map(AsRef::as_ref));
        self.dress(&mut command);
        command
    }

    /// Lets a command run in this folder and with this state folder.
    pub fn dress(&self, command: &mut Command) {
        command.current_dir(&self.folder).env("XDG_STATE_HOME", &self.state).env("NO_COLOR", "1");
        for (key, _) in std::env::vars_os() {
            if key.to_str().is_some_and(|key| key.starts_with("SOLOIST_") || key == "PORT") {
                command.env_remove(key);
            }
        }
        if let Some(clock) = &self.clock {
            command.env("SOLOIST_TEST_CLOCK", clock);
        }
        if let Some(points) = &self.points {
            command.env("SOLOIST_FAIL_POINTS", points);
        }
    }

    /// Runs `soloist` to its end. It fails the test if that takes a minute, or if something that it left running
    /// still holds its stdout or stderr: `$(soloist up -d)` would hang.
    #[track_caller]
    pub fn soloist<S: AsRef<str>>(&self, arguments: &[S]) -> Output {
        finish(&mut self.command(arguments), &joined(arguments))
    }

    /// Starts `soloist` beside the test.
    #[track_caller]
    pub fn spawn<S: AsRef<str>>(&self, arguments: &[S]) -> Background {
        Background::start(
            &mut self.command(arguments),
            &format!("soloist {}", joined(arguments)),
            &self.stem(),
        )
    }

    /// Starts any other command beside the test, with nothing of this project in its folder or environment: a stranger.
    #[track_caller]
    pub fn stranger<S: AsRef<str>>(&self, command: &[S]) -> Background {
        let mut stranger = Command::new(command[0].as_ref());
        stranger.args(command[1..].iter().map(AsRef::as_ref)).current_dir("/");
        Background::start(&mut stranger, &joined(command), &self.stem()).without_farewell()
    }

    /// A new name for the outputs of a command.
    fn stem(&self) -> PathBuf {
        self.folder.join(format!("command-{}", self.commands.fetch_add(1, Ordering::Relaxed)))
    }

    /// `status --json`.
    #[track_caller]
    pub fn status(&self) -> Status {
        let output = self.soloist(&["status", "--json"]);
        assert_eq!(output.code(), 0, "exit code of {output}");
        serde_json::from_str(&output.stdout).unwrap_or_else(|e| panic!("{e} in the answer of {output}"))
    }

    /// One service of the status.
    #[track_caller]
    pub fn service(&self, name: &str) -> Service {
        self.status().service(name).clone()
    }

    /// Waits until a service is in a state, and gives it.
    #[track_caller]
    pub fn wait_for_state(&self, name: &str, state: &str, limit: Duration) -> Service {
        crate::wait_until(&format!("`{name}` is {state}"), limit, || {
            let seen = self.service(name);
            if seen.state == state { Ok(seen) } else { Err(format!("{seen:?}\n{}", self.diary())) }
        })
    }

    /// The record beside an instance's claim.
    pub fn record(&self, instance: &str) -> Option<serde_json::Value> {
        serde_json::from_str(&self.read(&format!(".soloist/claims/{instance}.json"))).ok()
    }

    /// The guard of an instance, as its record names it.
    #[track_caller]
    pub fn guard(&self, instance: &str) -> Identity {
        let record = self.record(instance).unwrap_or_else(|| panic!("no record of `{instance}`"));
        let guard = identity(&record["guard"]);
        guard.filter(Identity::is_alive).unwrap_or_else(|| panic!("no living guard in {record}"))
    }

    /// What the service has written, as soloist kept it, in however many files.
    pub fn log(&self, instance: &str) -> Vec<u8> {
        crate::log::bytes(&self.log_file(instance))
    }

    /// The file that a service's output goes to now.
    pub fn log_file(&self, instance: &str) -> PathBuf {
        self.folder.join(format!(".soloist/logs/{instance}.log"))
    }

    /// What the daemon has to say, for messages: the end of its log.
    pub fn diary(&self) -> String {
        let log = self.read(".soloist/daemon.log");
        let lines: Vec<&str> = log.lines().collect();
        format!("daemon.log:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"))
    }

    /// The beacon that puppets of this project write their identities to (`--beacon`).
    pub fn beacon(&self) -> Beacon {
        Beacon::at(&self.folder.join("beacon"))
    }

    /// The journal of the token file `token` (`--token-file`).
    pub fn journal(&self) -> Journal {
        Journal::read(&Journal::beside(&self.folder.join("token")))
    }

    /// All living processes that were started with this project's state folder in their environment: commands,
    /// daemon, guards and services.
    pub fn processes(&self) -> Vec<Identity> {
        with_environment(&format!("XDG_STATE_HOME={}", self.state.display()))
    }

    /// All that lives of this project, also what cleared its environment.
    pub fn survivors(&self) -> Vec<Identity> {
        let mut all = self.processes();
        all.extend(self.beacon().living());
        all.extend(self.recorded());
        all.sort();
        all.dedup();
        all
    }

    fn recorded(&self) -> Vec<Identity> {
        let records = self.records().into_iter();
        let named = records.flat_map(|record| [identity(&record["guard"]), identity(&record["main"])]);
        named.flatten().filter(Identity::is_alive).filter(|one| *one != Identity::mine()).collect()
    }

    /// All records, of project and of machine scope.
    fn records(&self) -> Vec<serde_json::Value> {
        let claims = std::fs::read_dir(self.folder.join(".soloist/claims"));
        let machine = std::fs::read_dir(self.state.join("soloist/claims"));
        let files = claims.into_iter().chain(machine).flatten().flatten();
        // A pipe that a test has put there would never be read to its end.
        let files = files.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let texts = files.filter_map(|entry| std::fs::read(entry.path()).ok());
        texts.filter_map(|bytes| serde_json::from_slice(&bytes).ok()).collect()
    }

    /// Waits until nothing of this project lives.
    #[track_caller]
    pub fn wait_until_nothing_lives(&self, limit: Duration) {
        crate::wait_until("nothing of the project lives", limit, || {
            let left = self.survivors();
            if left.is_empty() { Ok(()) } else { Err(format!("{}\n{}", listed(&left), self.diary())) }
        });
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let began = Instant::now();
        let down = (self.strict && !self.survivors().is_empty()).then(|| {
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.soloist(&["down"])));
            ran.map_or_else(|_| "`soloist down` failed".to_owned(), |output| output.to_string())
        });
        let mut left = self.survivors();
        while !left.is_empty() && began.elapsed() < Duration::from_secs(10) && down.is_some() {
            std::thread::sleep(Duration::from_millis(20));
            left = self.survivors();
        }
        let report = (!left.is_empty()).then(|| format!("{}{}", listed(&left), self.diary()));
        // Twice empty-handed: a process that forks while it is being killed is met again.
        let mut empty = 0;
        let killing = Instant::now();
        while empty < 2 && killing.elapsed() < Duration::from_secs(20) {
            let left = self.survivors();
            empty = if left.is_empty() { empty + 1 } else { 0 };
            for one in left {
                one.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // A guard that a test killed leaves the cgroup of its tree; it is removed by whoever starts next, and nobody will.
        for leaf in self.records().iter().filter_map(|record| record["cgroup"].as_str()) {
            let _ = std::fs::remove_dir(leaf);
        }
        if let (Some(report), true, false) = (report, self.strict, std::thread::panicking()) {
            panic!("still alive after {}:\n{report}", down.unwrap_or_default());
        }
    }
}

/// The command line of a puppet, as a list.
#[track_caller]
pub fn puppet<S: AsRef<str>>(arguments: &[S]) -> Vec<String> {
    let mut command = vec![binaries().puppet.display().to_string()];
    command.extend(arguments.iter().map(|argument| argument.as_ref().to_owned()));
    command
}

/// A command line as an array of TOML.
pub fn quoted<S: AsRef<str>>(command: &[S]) -> String {
    let words: Vec<&str> = command.iter().map(AsRef::as_ref).collect();
    // What JSON escapes, TOML escapes alike.
    serde_json::to_string(&words).unwrap_or_default()
}

/// Runs a command to its end, at most a minute, with both outputs read.
#[track_caller]
pub fn finish(command: &mut Command, arguments: &str) -> Output {
    finish_within(LIMIT, command, arguments)
}

/// As [`finish`], of a program that takes longer than any command of soloist.
#[track_caller]
pub fn finish_within(limit: Duration, command: &mut Command, arguments: &str) -> Output {
    end_within(limit, command, arguments).unwrap_or_else(|why| panic!("{why}"))
}

/// As [`finish`]; `Err` says what went wrong.
pub fn try_finish(command: &mut Command, arguments: &str) -> Result<Output, String> {
    end_within(LIMIT, command, arguments)
}

fn end_within(limit: Duration, command: &mut Command, arguments: &str) -> Result<Output, String> {
    let began = Pace::start();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("soloist {arguments}: {e}"))?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < limit => std::thread::sleep(Duration::from_millis(2)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                let said = stdout.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
                let complained = stderr.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
                return Err(format!(
                    "`soloist {arguments}` did not end within {limit:?}\n{said}\n{complained}"
                ));
            }
        }
    };
    let (took, waited) = (began.elapsed(), began.waited());
    let collect = |output: mpsc::Receiver<String>, which: &str| {
        output.recv_timeout(Duration::from_secs(5)).map_err(|_| {
            format!("`soloist {arguments}` ended ({status}), but something it left running still holds its {which}")
        })
    };
    let (stdout, stderr) = (collect(stdout, "stdout")?, collect(stderr, "stderr")?);
    Ok(Output { arguments: arguments.to_owned(), status, stdout, stderr, took, waited })
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn identity(value: &serde_json::Value) -> Option<Identity> {
    Some(Identity { pid: u32::try_from(value["pid"].as_u64()?).ok()?, start: value["start"].as_u64()? })
}

fn joined<S: AsRef<str>>(words: &[S]) -> String {
    words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ")
}

/// Processes, one a line, for messages.
fn listed(processes: &[Identity]) -> String {
    processes.iter().map(|one| format!("{one}, state {:?}\n", one.state())).collect()
}
