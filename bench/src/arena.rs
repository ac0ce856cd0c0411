//! A folder in which a supervisor is ill-treated. What was started in it is known by a mark in its environment, so that
//! it is found, and ended, also when its supervisor is gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::fifo::Fifo;
use crate::peers::{End, MARK, Order, Peer, Service};
use crate::supervisor::send;
use crate::{machine, outline};

/// So long anything may take that is to end by itself.
const LIMIT: Duration = Duration::from_secs(30);

/// A supervisor's folder and commands. All that carries its mark ends with it.
pub struct Arena<'a> {
    peer: &'a Peer,
    folder: PathBuf,
    /// Where the programs lie that are supervised: what executes one is a service.
    programs: &'a Path,
    ups: Vec<Child>,
    /// There for services that tell when they begin.
    _begun: Fifo,
}

impl<'a> Arena<'a> {
    /// Makes the folder and writes what the supervisor needs into it. Nothing is started.
    pub fn lay(
        peer: &'a Peer,
        folder: PathBuf,
        programs: &'a Path,
        services: &[Service],
    ) -> Result<Arena<'a>> {
        std::fs::create_dir_all(&folder)?;
        let begun = Fifo::make(&folder)?;
        peer.lay(&folder, services)?;
        Ok(Arena { peer, folder, programs, ups: Vec::new(), _begun: begun })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives the command that starts it, and does not wait.
    pub fn up(&mut self) -> Result<()> {
        let child = self.order(Order::Up)?;
        self.ups.push(child);
        Ok(())
    }

    /// Gives it an order, and does not wait.
    pub fn order(&self, order: Order<'_>) -> Result<Child> {
        let mut command = self.peer.order(&self.folder, order);
        quiet(&mut command).spawn().with_context(|| format!("cannot run {command:?}"))
    }

    /// Starts it and waits until so many processes of services run.
    pub fn run(&mut self, count: usize) -> Result<()> {
        self.up()?;
        let all = || self.services().values().map(Vec::len).sum::<usize>();
        let is_up = machine::wait_until(LIMIT, || all() == count);
        ensure!(is_up, "{} of {count} processes run under {}", all(), self.peer.name());
        Ok(())
    }

    /// Whether a command that starts it is still at it; one that stays in the foreground is not.
    pub fn is_starting(&mut self) -> bool {
        let is_background = matches!(self.peer.end(&self.folder), End::Command(_));
        is_background && self.ups.iter_mut().any(|up| matches!(up.try_wait(), Ok(None)))
    }

    /// The living processes of each service, by its name.
    pub fn services(&self) -> BTreeMap<String, Vec<u32>> {
        let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for pid in self.marked().into_iter().filter(|pid| self.is_service(*pid)) {
            let name = outline::words(pid).into_iter().nth(1).unwrap_or_default();
            found.entry(name).or_default().push(pid);
        }
        found
    }

    /// All other processes: the supervisor's own, and its loggers.
    pub fn supervisors(&self) -> Vec<u32> {
        self.marked().into_iter().filter(|pid| !self.is_service(*pid)).collect()
    }

    /// Ends it in order; says how many processes of services live on a second after that.
    pub fn down(&mut self) -> usize {
        match self.peer.end(&self.folder) {
            End::Signal(signal) => {
                self.reap();
                self.ups.iter().for_each(|up| send(up.id(), signal));
            }
            End::Command(mut command) => {
                if let Ok(mut child) = quiet(&mut command).spawn() {
                    finish(&mut child, LIMIT);
                }
            }
        }
        machine::wait_until(LIMIT, || {
            self.reap();
            self.supervisors().is_empty()
        });
        std::thread::sleep(Duration::from_secs(1));
        self.services().values().map(Vec::len).sum()
    }

    fn reap(&mut self) {
        self.ups.retain_mut(|up| matches!(up.try_wait(), Ok(None)));
    }

    fn marked(&self) -> Vec<u32> {
        outline::marked(MARK, &self.folder)
    }

    fn is_service(&self, pid: u32) -> bool {
        outline::program(pid).is_some_and(|program| {
            // Not the soloist that lies beside them.
            program.parent() == Some(self.programs) && program != self.peer.program
        })
    }
}

impl Drop for Arena<'_> {
    fn drop(&mut self) {
        if !self.supervisors().is_empty() {
            self.down();
        }
        let is_empty = machine::wait_until(LIMIT, || {
            let left = self.marked();
            left.iter().for_each(|pid| send(*pid, Signal::KILL));
            self.reap();
            left.is_empty()
        });
        if !is_empty {
            eprintln!("WARNING: of {} these live on: {:?}", self.peer.name(), self.marked());
        }
    }
}

/// Waits for a command that was started; one that takes longer is killed.
pub fn finish(child: &mut Child, limit: Duration) {
    if !machine::wait_until(limit, || !matches!(child.try_wait(), Ok(None))) {
        let _ = child.kill();
    }
    let _ = child.wait();
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}
