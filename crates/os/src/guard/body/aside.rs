//! What a guard runs beside the main process, in the tree: the stop command before the polite signal, and exec probes,
//! each under a keeper (`guard/keeper.rs`). They see what the run sees: environment, folder, limits, user.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::start::read_run;
use super::{Body, Mode, Stop, Tree};
use crate::guard::keeper::{Ask, Keeper};
use crate::guard::output::Output;
use crate::guard::{Report, RunOrder};
use crate::identity::Exit;
use crate::platform::spawn::{Surroundings, spawn};
use crate::platform::tree;
use crate::program::Program;
use crate::stat::Reaped;

/// The most exec probes at once: startup, readiness and liveness, and one that is late.
const PROBES_MAX: usize = 4;

/// What runs aside, and what is needed to run it.
#[derive(Debug, Default)]
pub(super) struct Asides {
    /// The order of the run as it came. Not kept in memory of our own: an environment is long and seldom needed again.
    order: Option<File>,
    has_stop_command: bool,
    /// The stop command, while it is not reaped.
    stopping: Option<u32>,
    probes: Vec<(u64, Keeper)>,
}

impl Asides {
    /// For a run that is about to start.
    pub(super) fn of(order: Option<File>, run: &RunOrder) -> Asides {
        let order = order.or_else(|| crate::guard::memory_of(run).ok());
        let has_stop_command = run.stop_command.as_ref().is_some_and(|argv| !argv.is_empty());
        Asides { order, has_stop_command, ..Asides::default() }
    }

    /// The stop command has not ended: the polite signal waits for it.
    pub(super) fn is_stop_command_running(&self) -> bool {
        self.stopping.is_some()
    }

    fn run(&self) -> io::Result<RunOrder> {
        read_run(self.order.as_ref().ok_or_else(|| io::Error::other("the order of the run is not kept"))?)
    }
}

impl Body {
    // ---- the stop command

    /// Starts the stop command, if there is one. Its end is the moment of the polite signal; whatever it does, the kill
    /// comes when the one grace is over.
    pub(super) fn has_stop_command_begun(&mut self) -> bool {
        if !self.asides.has_stop_command {
            return false;
        }
        match self.start_stop_command() {
            Ok(pid) => self.asides.stopping = Some(pid),
            Err(why) => {
                let instance = &self.assignment.instance;
                let words = format!("{instance}: its stop-command did not start, the stop goes on: {why}");
                self.report(&Report::Remark { words });
            }
        }
        self.asides.stopping.is_some()
    }

    fn start_stop_command(&self) -> Result<u32, String> {
        let run = self.asides.run().map_err(|e| e.to_string())?;
        let mut program = Program { argv: run.stop_command.unwrap_or_default(), ..run.program };
        if let Tree::Led { main } = self.tree {
            program.env.retain(|(name, _)| name != "MAINPID");
            program.env.push(("MAINPID".to_owned(), main.to_string()));
        }
        let around = Surroundings {
            leaf: self.leaf.as_ref(),
            input: None,
            output: self.output.as_ref().and_then(Output::end),
            error: self.output.as_ref().and_then(Output::error_end),
            detached: self.mode == Mode::Detached,
            terminal: None,
            pid_file: None,
            sockets: &[],
            limits: &run.limits,
        };
        spawn(&program, &around).map_err(|e| e.to_string())
    }

    /// One of these children may have been the stop command. To be asked after the end of the main process was noted:
    /// the polite signal must not go to a number that is nobody's any more.
    pub(super) fn note_stop_command(&mut self, reaped: &[Reaped]) {
        let ended = reaped.iter().find(|dead| Some(dead.pid) == self.asides.stopping);
        let Some(exit) = ended.map(|dead| Exit::from_wait_status(dead.status)) else { return };
        self.asides.stopping = None;
        if exit != Exit::Code(0) {
            let words = format!("{}: its stop-command ended with {exit}", self.assignment.instance);
            self.report(&Report::Remark { words });
        }
        if matches!(self.stop, Some(Stop::Polite { .. })) {
            self.signal_politely();
        }
    }

    // ---- exec probes

    /// Runs an exec probe in the tree of the run. The answer comes once nothing of the probe is left.
    pub(super) fn exec(&mut self, id: u64, argv: Vec<String>, timeout: Duration) {
        let begun = match self.tree {
            Tree::Led { .. } if self.asides.probes.len() >= PROBES_MAX => {
                Err(format!("{PROBES_MAX} probes of it are still running; this one was not started"))
            }
            Tree::Led { .. } => self.start_probe(argv, timeout),
            Tree::Leaderless { .. } | Tree::Empty => Err("its main process does not run".to_owned()),
        };
        match begun {
            Ok(keeper) => self.asides.probes.push((id, keeper)),
            Err(why) => self.report(&Report::ExecEnded { id, outcome: Err(why) }),
        }
    }

    fn start_probe(&self, argv: Vec<String>, timeout: Duration) -> Result<Keeper, String> {
        let order = self.asides.order.as_ref().ok_or("the order of the run is not kept")?;
        let ask = Ask { order: order.as_fd(), argv, timeout, leaf: self.leaf.as_ref(), guard: self.me.pid };
        Keeper::fork(ask).map_err(|e| format!("cannot be started: {e}"))
    }

    /// The main process ended: its probes have nothing to ask any more.
    pub(super) fn end_probes(&self) {
        for (_, keeper) in &self.asides.probes {
            keeper.end();
        }
    }

    /// So many of the tree live, keepers and what they keep left out.
    pub(super) fn left(&self) -> usize {
        let keepers = self.asides.probes.iter().map(|(_, keeper)| keeper.pid);
        let kept: HashSet<u32> =
            keepers.flat_map(|pid| tree::descendants(pid).into_iter().chain([pid])).collect();
        tree::descendants(self.me.pid).iter().filter(|pid| !kept.contains(pid)).count()
    }

    /// Some of these children may have been keepers. To be asked first: from now on their numbers are others'.
    pub(super) fn note_probes(&mut self, reaped: &[Reaped]) {
        for dead in reaped {
            if let Some(at) = self.asides.probes.iter().position(|(_, keeper)| keeper.pid == dead.pid) {
                let (id, keeper) = self.asides.probes.swap_remove(at);
                self.report(&Report::ExecEnded { id, outcome: keeper.outcome() });
            }
        }
    }
}
