//! A supervisor at work: soloist's daemon, or a peer's process. It is started by its own means and ends, with all it
//! started, when this value does.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{machine, outline};

/// So long it may take to end, and what it supervises after it.
const LIMIT: Duration = Duration::from_secs(10);

/// One supervisor.
pub struct Supervisor {
    /// Its first process.
    pub pid: u32,
    end: End,
}

enum End {
    /// A child of ours that ends in order at this signal.
    Signal(Child, Signal),
    /// A command that asks it to end.
    Asked(Command),
}

impl Supervisor {
    /// A peer that stays in the foreground and ends in order at a signal.
    pub fn start(mut command: Command, end: Signal) -> Result<Supervisor> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child =
            command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Supervisor { pid: child.id(), end: End::Signal(child, end) })
    }

    /// One that goes to the background: what starts it, what ends it, and how its process is known.
    pub fn background(
        mut start: Command,
        end: Command,
        find: impl FnOnce() -> Result<u32>,
    ) -> Result<Supervisor> {
        let started = start.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        // Also if it failed: something may be there to be ended.
        let mut supervisor = Supervisor { pid: 0, end: End::Asked(end) };
        ensure!(started.success(), "{start:?} ended with {started}");
        supervisor.pid = find()?;
        Ok(supervisor)
    }

    /// The daemon of a project, started by this command; what that waits for is so when this returns.
    pub fn soloist(soloist: &Path, folder: &Path, start: &[&str]) -> Result<Supervisor> {
        let command = |words: &[&str]| {
            let mut command = Command::new(soloist);
            command.args(words).current_dir(folder);
            command
        };
        Supervisor::background(command(start), command(&["down"]), || {
            let output = command(&["status", "--json"]).output()?;
            let status: serde_json::Value =
                serde_json::from_slice(&output.stdout).context("an unreadable status")?;
            Ok(u32::try_from(status["daemon"]["pid"].as_u64().context("no daemon in the status")?)?)
        })
    }

    /// Its own processes, without what it supervises: the first one, and those whose name begins so.
    pub fn own(&self, name: &str) -> Vec<u32> {
        let is_own = |pid: &u32| *pid == self.pid || outline::name(*pid).starts_with(name);
        outline::family(self.pid).into_iter().filter(is_own).collect()
    }

    /// All its processes but those that it supervises, which execute this program. Their names differ: one that is
    /// executed in place of a script has the script's.
    pub fn all_but(&self, program: &Path) -> Vec<u32> {
        outline::family(self.pid).into_iter().filter(|pid| !outline::executes(*pid, program)).collect()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let family = if self.pid == 0 { Vec::new() } else { outline::family(self.pid) };
        match &mut self.end {
            End::Signal(child, signal) => {
                send(child.id(), *signal);
                machine::wait_until(LIMIT, || !matches!(child.try_wait(), Ok(None)));
            }
            End::Asked(command) => {
                if let Ok(mut asking) = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn() {
                    machine::wait_until(LIMIT, || !matches!(asking.try_wait(), Ok(None)));
                    let _ = asking.kill();
                    let _ = asking.wait();
                }
            }
        }
        // Besides: pm2, asked to end while it is busy, starts a second one of itself, which nobody knows.
        let folder = match &self.end {
            End::Asked(command) => command.get_current_dir().map(Path::to_owned),
            End::Signal(..) => None,
        };
        let left = || {
            let mut left: Vec<u32> = family.iter().copied().filter(|pid| outline::is_alive(*pid)).collect();
            left.extend(folder.iter().flat_map(|folder| outline::working_below(folder)));
            left
        };
        let is_gone = || left().is_empty();
        let mut is_told = false;
        // Who starts others anew may do so while he is being killed.
        while !machine::wait_until(if is_told { Duration::from_millis(100) } else { LIMIT }, is_gone) {
            for pid in left() {
                eprintln!("WARNING: {} (pid {pid}) does not end in order and is killed", outline::name(pid));
                send(pid, Signal::KILL);
            }
            is_told = true;
        }
        if let End::Signal(child, _) = &mut self.end {
            let _ = child.wait();
        }
    }
}

/// Sends a signal to a process that is ours.
pub fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
