//! The keeper of one exec probe: a small process forked by the guard, and a subreaper as the guard is, so that nothing
//! that the probe starts gets out from under it, whatever it forks or sheds. It ends the probe at its timeout, and all
//! that the probe leaves in any case; then it tells the outcome and ends.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal};

use super::RunOrder;
use super::body::start::read_run;
use crate::identity::Exit;
use crate::platform::cgroup::Leaf;
use crate::platform::signals::Signals;
use crate::platform::spawn::{Surroundings, close_all_but, spawn};
use crate::platform::tree;
use crate::program::Program;

/// What is kept of its output, for the words of its failure.
const TAIL: usize = 4096;
/// The longest line of it that is told.
const LINE_MAX: usize = 400;
/// After the kill: how often to look again.
const KILL_ROUND: Duration = Duration::from_millis(20);

/// What shall be run.
pub(super) struct Ask<'a> {
    /// The memory file of the run's order.
    pub order: BorrowedFd<'a>,
    /// The probe's command.
    pub argv: Vec<String>,
    /// After this it has failed.
    pub timeout: Duration,
    /// The leaf of the tree.
    pub leaf: Option<&'a Leaf>,
    /// Our parent.
    pub guard: u32,
}

/// A keeper at work, as its guard knows it: its child, so until it is reaped its number is its own.
#[derive(Debug)]
pub(super) struct Keeper {
    pub pid: u32,
    told: File,
}

impl Keeper {
    /// Forks one. It must be reaped by the caller, and then asked for the outcome.
    pub fn fork(ask: Ask<'_>) -> io::Result<Keeper> {
        let (told, tell) = pipe_with(PipeFlags::CLOEXEC)?;
        // SAFETY: a guard is single-threaded: it starts no thread and no runtime, so no lock can be held by a thread
        // that is missing in the child.
        #[allow(unsafe_code)]
        let pid = unsafe { libc::fork() };
        match u32::try_from(pid) {
            Ok(0) => keep(&ask, tell),
            Ok(pid) => Ok(Keeper { pid, told: told.into() }),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }

    /// Has it end its probe now.
    pub fn end(&self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
    }

    /// What it told. Only of one that was reaped: else this waits for it.
    pub fn outcome(mut self) -> Result<(), String> {
        let mut bytes = Vec::new();
        let _ = self.told.read_to_end(&mut bytes);
        serde_json::from_slice(&bytes).unwrap_or_else(|_| Err("it was killed".to_owned()))
    }
}

/// The keeper's life.
fn keep(ask: &Ask<'_>, tell: OwnedFd) -> ! {
    // The guard's claim, links and pipes must not live on in us: who sees them end relies on it.
    let leaf = ask.leaf.map(Leaf::fd);
    let kept = [Some(ask.order.as_raw_fd()), Some(tell.as_raw_fd()), leaf];
    close_all_but(&kept.into_iter().flatten().collect::<Vec<_>>());
    crate::name_process("soloist-probe");
    let outcome = attempt(ask).unwrap_or_else(|e| Err(format!("cannot be run: {e}")));
    if let Ok(bytes) = serde_json::to_vec(&outcome) {
        // Far below what a pipe holds: it never waits.
        let _ = File::from(tell).write_all(&bytes);
    }
    // SAFETY: ends this forked process at once; the guard's destructors and exit handlers are not ours to run.
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(0)
    }
}

fn attempt(ask: &Ask<'_>) -> io::Result<Result<(), String>> {
    // All of them: the polite signal that reaches us may be any, and we must outlive our probe.
    let signals = Signals::catch(&(1..=64).collect::<Vec<_>>())?;
    tree::become_subreaper()?;
    tree::hear_parent_end(libc::SIGTERM)?;
    if crate::parent_of(std::process::id()) != Some(ask.guard) {
        return Ok(Err("its guard ended".to_owned()));
    }
    let RunOrder { program, limits, .. } = read_run(&File::from(ask.order.try_clone_to_owned()?))?;
    let (pipe, end) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&pipe, true)?;
    let around = Surroundings {
        leaf: ask.leaf,
        input: None,
        output: Some(std::os::fd::AsFd::as_fd(&end)),
        error: Some(std::os::fd::AsFd::as_fd(&end)),
        detached: true,
        terminal: None,
        pid_file: None,
        sockets: &[],
        limits: &limits,
    };
    let begun = Instant::now();
    let probe = match spawn(&Program { argv: ask.argv.clone(), ..program }, &around) {
        Ok(pid) => pid,
        Err(error) => return Ok(Err(error.to_string())),
    };
    drop(end);
    Watch { signals, probe, pipe: Some(pipe), tail: Vec::new() }.wait(begun, ask.timeout)
}

/// A probe that runs.
struct Watch {
    signals: Signals,
    probe: u32,
    pipe: Option<OwnedFd>,
    tail: Vec<u8>,
}

impl Watch {
    /// Until nothing of it is left.
    fn wait(mut self, begun: Instant, timeout: Duration) -> io::Result<Result<(), String>> {
        let mut exit = None;
        let mut ended = None;
        loop {
            let is_over = exit.is_some() || ended.is_some();
            let left = if is_over { KILL_ROUND } else { timeout.saturating_sub(begun.elapsed()) };
            let is_told_to_end = self.sleep(left)?;
            let mut reaped = Vec::new();
            let has_children = tree::reap(&mut reaped);
            let status = reaped.iter().find(|dead| dead.pid == self.probe).map(|dead| dead.status);
            exit = exit.or(status.filter(|_| ended.is_none()).map(Exit::from_wait_status));
            if exit.is_none() && ended.is_none() {
                ended = if is_told_to_end {
                    Some("the run ended meanwhile".to_owned())
                } else {
                    (begun.elapsed() >= timeout).then(|| format!("timed out after {}", seconds(timeout)))
                };
            }
            if !has_children {
                break;
            }
            if exit.is_some() || ended.is_some() {
                tree::kill_descendants(std::process::id(), &[]);
            }
        }
        self.take_output();
        Ok(match (ended, exit) {
            (Some(why), _) => Err(why),
            (None, Some(Exit::Code(0))) => Ok(()),
            (None, Some(exit)) => Err(with_last_line(&exit.to_string(), &self.tail)),
            (None, None) => Err("it was lost".to_owned()),
        })
    }

    /// Sleeps until something happens, and says whether we are told to end.
    fn sleep(&mut self, limit: Duration) -> io::Result<bool> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(self.pipe.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
        match poll(&mut fds, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        self.take_output();
        let mut is_told_to_end = false;
        while let Some(signal) = self.signals.next() {
            is_told_to_end |= signal == libc::SIGTERM;
        }
        Ok(is_told_to_end)
    }

    /// Takes what it has written, a pipe full at most, and keeps the last of it.
    fn take_output(&mut self) {
        let mut bytes = [0u8; TAIL];
        for _ in 0..16 {
            let Some(pipe) = &self.pipe else { return };
            match rustix::io::read(pipe, &mut bytes) {
                Ok(0) => self.pipe = None,
                Ok(length) => {
                    self.tail.extend_from_slice(&bytes[..length]);
                    let surplus = self.tail.len().saturating_sub(TAIL);
                    self.tail.drain(..surplus);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// `exit code 3: no such table`: the last line that says something, without what a terminal would obey.
fn with_last_line(what: &str, tail: &[u8]) -> String {
    let text = String::from_utf8_lossy(tail);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line: String = line.chars().filter(|c| !c.is_control()).take(LINE_MAX).collect();
    if line.is_empty() { what.to_owned() } else { format!("{what}: {line}") }
}

/// `1 s`, `1.5 s`, `20 ms`.
fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{} s", time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_something_is_told() {
        assert_eq!(with_last_line("exit code 3", b"one\n\x1b[31mtwo\x07\n \n\n"), "exit code 3: [31mtwo");
        assert_eq!(with_last_line("exit code 3", b"\n"), "exit code 3");
        assert_eq!(with_last_line("exit code 3", &[0xff; 9000]).chars().count(), 13 + LINE_MAX);
    }

    #[test]
    fn times_are_told_as_people_say_them() {
        let said = [20, 1000, 1500].map(|ms| seconds(Duration::from_millis(ms)));
        assert_eq!(said, ["20 ms", "1 s", "1.5 s"]);
    }
}
