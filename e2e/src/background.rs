//! A command of soloist (or another process of a test) that runs on beside the test; it is ended with the value.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::identity::Identity;
use crate::output::Output;
use crate::pace::Pace;

/// How long a command of soloist may take to end once it was asked to, when its value is dropped.
pub const FAREWELL: Duration = Duration::from_secs(15);

/// A process that runs beside the test. Its stdout and stderr go to files, so nobody has to read them.
#[derive(Debug)]
pub struct Background {
    child: Child,
    identity: Identity,
    arguments: String,
    stdout: PathBuf,
    stderr: PathBuf,
    began: Pace,
    status: Option<ExitStatus>,
    farewell: Duration,
}

impl Background {
    /// Starts a command with its outputs in files named `stem.out` and `stem.err`.
    #[track_caller]
    pub fn start(command: &mut Command, arguments: &str, stem: &Path) -> Background {
        let (stdout, stderr) = (stem.with_extension("out"), stem.with_extension("err"));
        let create = |path: &Path| File::create(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        command.stdin(Stdio::null()).stdout(create(&stdout)).stderr(create(&stderr));
        do_not_hand_down_ignored_signals();
        let began = Pace::start();
        let child = command.spawn().unwrap_or_else(|e| panic!("{arguments}: {e}"));
        let pid = child.id();
        // A child of ours keeps its number until we wait for it.
        let identity = Identity::of(pid).unwrap_or(Identity { pid, start: 0 });
        Background {
            child,
            identity,
            arguments: arguments.to_owned(),
            stdout,
            stderr,
            began,
            status: None,
            farewell: FAREWELL,
        }
    }

    /// It is killed at once when its value is dropped: it holds nothing that it would have to put in order.
    #[must_use]
    pub fn without_farewell(mut self) -> Background {
        self.farewell = Duration::ZERO;
        self
    }

    /// Who it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.identity.pid
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.identity.signal(signal);
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// What it has written to stdout and stderr up to now.
    pub fn said(&self) -> String {
        format!("{}\n{}", read(&self.stdout), read(&self.stderr))
    }

    /// Waits until it has ended; fails the test, with what it said, after the limit.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> Output {
        let what = format!("`{}` has ended", self.arguments);
        let status = crate::wait_until(&what, limit, || self.ended().ok_or_else(|| self.said()));
        Output {
            arguments: self.arguments.clone(),
            status,
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            took: self.began.elapsed(),
            waited: self.began.waited(),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        if self.ended().is_some() {
            return Ok(());
        }
        let asked = Instant::now();
        if !self.farewell.is_zero() {
            self.signal(Signal::TERM);
        }
        while self.ended().is_none() && asked.elapsed() < self.farewell {
            std::thread::sleep(Duration::from_millis(10));
        }
        if self.ended().is_none() {
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// What ignores a signal hands that down over execve(2), so a suite begun by nohup(1) or with `&` by a script would
/// start programs that no Ctrl-C ends. A handler that only takes note is not handed down, and ends nothing either.
fn do_not_hand_down_ignored_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = told.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        for signal in [Signal::INT, Signal::QUIT, Signal::HUP, Signal::TERM] {
            if ignored & (1 << (signal.as_raw() - 1)) != 0 {
                signal_hook::flag::register(signal.as_raw(), Arc::default())
                    .unwrap_or_else(|e| panic!("a handler for {signal:?}: {e}"));
            }
        }
    });
}
