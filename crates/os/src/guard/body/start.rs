//! How a guard starts a run: survivors of earlier runs first, then the record, then the process. What it does with a
//! run that lives is in `body.rs`, how it ends one in `stop.rs`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::aside::Asides;
use super::past::Meter;
use super::tick::Ticks;
use super::{Body, Mode, Tree};
use crate::clock;
use crate::guard::output::Output;
use crate::guard::{Assignment, Report, RunOrder, SpawnFailure, Usage};
use crate::identity::Identity;
use crate::layout::Place;
use crate::link::Listener;
use crate::platform::spawn::{Surroundings, spawn};
use crate::platform::sweep;
use crate::record::Record;
use crate::survivor::Traces;

impl Body {
    /// Starts the run that came with these descriptors, or says why not.
    pub(super) fn spawn_ordered(&mut self, fds: Vec<OwnedFd>) {
        let run = take_run(fds);
        let run_id = run.as_ref().map_or(String::new(), |(run, ..)| run.run_id.clone());
        let run = run.map_err(|e| SpawnFailure::Other(e.to_string()));
        let spawned = run.and_then(|(run, memory, sockets)| self.spawn(run, Some(memory), sockets));
        if let Err(error) = spawned {
            self.report(&Report::SpawnFailed { run_id, error });
        }
    }

    /// Starts a run; its order as it came is kept for what is run beside it.
    pub(super) fn spawn(
        &mut self,
        mut run: RunOrder,
        order: Option<File>,
        sockets: Vec<OwnedFd>,
    ) -> Result<(), SpawnFailure> {
        if self.tree != Tree::Empty {
            return Err(SpawnFailure::Other("a run of this instance is alive; nothing was started".into()));
        }
        let grace = Duration::from_millis(run.stop_grace_ms);
        // Before anything can fail: if the daemon is gone by now, somebody must bring it back.
        self.vigil.order(run.on_daemon_exit, run.revival.take());
        self.sweep(grace)?;
        crate::fail_point!("guard.swept");
        // Only now: a sweep may take seconds.
        self.check_claim()?;
        if self.mode == Mode::Detached && !self.is_anyone_there() {
            let said = "the daemon that ordered this run is gone; the next one decides anew";
            return Err(SpawnFailure::Other(said.into()));
        }
        let other = |e: io::Error| SpawnFailure::Other(e.to_string());
        if self.listener.is_none() {
            self.listener = Some(Listener::bind(&self.place.socket()).map_err(other)?);
        }
        self.make_leaf(&run.limits);
        self.open_output(&run).map_err(other)?;
        self.lend_ear(&mut run).map_err(other)?;
        let (ticks, input) = Ticks::of(run.is_ticked).map_err(other)?;
        self.ticks = ticks;
        self.sockets = sockets;
        self.meter = Meter::default();
        self.asides = Asides::of(order, &run);
        self.stop_signal = run.stop_signal;
        self.stop_grace = grace;
        self.record.run_id = run.run_id;
        self.record.main = None;
        self.record.command.clone_from(&run.program.argv);
        self.record.ports = run.ports;
        self.record.since_ms = clock::wall_ms();
        self.record.cgroup = self.leaf.as_ref().map(|leaf| leaf.path().to_owned());
        self.record.pid_file.clone_from(&run.pid_file);
        self.record.stop_grace_ms = run.stop_grace_ms;
        self.record.cause = run.cause;
        self.record.print = run.print;
        self.record.usage = Usage::default();
        let begins = self.output.as_mut().and_then(|output| output.begin(self.record.since_ms));
        (self.record.log_seq, self.record.log_at) = begins.unzip();
        self.record.exit = None;
        self.record.exit_ms = None;
        self.record.was_stopped = false;
        self.record.ended = false;
        crate::fail_point!("guard.record-due");
        // Before the process: if we are killed on the next line, the next start knows where to look. A record that still
        // tells of the run before says the same.
        if self.is_ended_on_disk {
            self.write_record().map_err(other)?;
        }
        crate::fail_point!("guard.record-written");
        let sockets: Vec<_> =
            run.sockets.iter().map(String::as_str).zip(self.sockets.iter().map(AsFd::as_fd)).collect();
        let around = Surroundings {
            leaf: self.leaf.as_ref(),
            input: input.as_ref().map(AsFd::as_fd),
            output: self.output.as_ref().and_then(Output::end),
            error: self.output.as_ref().and_then(Output::error_end),
            detached: self.mode == Mode::Detached,
            terminal: self.terminal.as_ref().map(AsFd::as_fd),
            pid_file: run.pid_file.as_deref(),
            sockets: &sockets,
            limits: &run.limits,
        };
        let main = spawn(&run.program, &around).map_err(|e| {
            self.record.ended = true;
            let _ = self.write_record();
            SpawnFailure::Program(e)
        })?;
        crate::fail_point!("guard.spawned");
        self.tree = Tree::Led { main };
        self.begin_watch(main);
        self.was_asked = false;
        self.was_ready = false;
        // The child is not reaped yet, so this cannot name another, even if it has already ended.
        self.record.main = Identity::of(main).ok();
        let _ = self.write_record();
        crate::fail_point!("guard.spawn-noted");
        if let Some(identity) = self.record.main.clone() {
            self.report(&Report::Spawned {
                run_id: self.record.run_id.clone(),
                main: identity,
                log_at: self.record.log_at,
                log_seq: self.record.log_seq,
            });
        }
        crate::fail_point!("guard.spawn-told");
        Ok(())
    }

    /// Ends what earlier runs left behind, once in our life. Free if the last record says that its tree was empty.
    pub(super) fn sweep(&mut self, grace: Duration) -> Result<usize, SpawnFailure> {
        if self.swept {
            return Ok(0);
        }
        // Under a claim that excludes nobody, the tree that is found may be the rightful holder's.
        self.check_claim()?;
        let traces = traces(&self.assignment, self.zygote.map(|zygote| zygote.pid));
        if let Some(before) = &traces.record {
            self.inherit(before);
        }
        let is_over = match &traces.record {
            Some(record) => record.ended || record.guard.boot != self.me.boot,
            None => self.zygote.is_some_and(|zygote| zygote.is_unmarked),
        };
        self.swept = true;
        if is_over {
            return Ok(0);
        }
        let swept = sweep::end(&traces, self.stop_signal, grace);
        sweep::give_back_memory();
        if !swept.stuck.is_empty() {
            self.swept = false;
            return Err(SpawnFailure::Survivors(swept.stuck));
        }
        if let Some(pid_file) = traces.record.and_then(|record| record.pid_file) {
            // It names a process of a run that is over; whoever has that number now is no matter of ours.
            let _ = std::fs::remove_file(pid_file);
        }
        Ok(swept.ended.len())
    }

    fn check_claim(&self) -> Result<(), SpawnFailure> {
        let is_in_place = self.claim.is_in_place();
        is_in_place.then_some(()).ok_or_else(|| SpawnFailure::ClaimReplaced(self.claim.path().to_owned()))
    }

    /// Whether any link still has its other end.
    fn is_anyone_there(&self) -> bool {
        let mut fds: Vec<PollFd<'_>> = self.links.iter().map(|l| PollFd::new(l, PollFlags::IN)).collect();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_err() || fds.iter().any(|fd| !fd.revents().contains(PollFlags::HUP))
    }

    pub(super) fn write_record(&mut self) -> io::Result<()> {
        self.write_by = None;
        self.record.write(&self.place)?;
        self.is_ended_on_disk = self.record.ended;
        Ok(())
    }
}

/// Where to look for survivors of earlier runs of an instance.
pub(in crate::guard) fn traces(assignment: &Assignment, zygote: Option<u32>) -> Traces {
    let place = assignment.place();
    let record = Record::read(&place.record());
    Traces { claim: place.claim(), record, zygote, spare: assignment.spare.clone() }
}

/// The order that came with these descriptors, the memory file that it is in, and its sockets.
///
/// # Errors
/// It is not there, or is none; or not all of its sockets came.
pub fn take_run(fds: Vec<OwnedFd>) -> io::Result<(RunOrder, File, Vec<OwnedFd>)> {
    let mut fds = fds.into_iter();
    let memory = fds.next().ok_or_else(|| io::Error::other("an order to spawn came without a program"))?;
    let memory = File::from(memory);
    let (run, sockets) = (read_run(&memory)?, fds.collect::<Vec<_>>());
    if sockets.len() != run.sockets.len() {
        // The kernel leaves out what does not fit under the limit of open descriptors (unix(7)).
        let (came, named) = (sockets.len(), run.sockets.len());
        return Err(io::Error::other(format!("{came} of {named} sockets came; is `nofile` too low?")));
    }
    Ok((run, memory, sockets))
}

/// Reads an order; where the file stands is shared with other processes and no matter.
pub(in crate::guard) fn read_run(memory: &File) -> io::Result<RunOrder> {
    let length = usize::try_from(memory.metadata()?.len()).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    memory.read_exact_at(&mut bytes, 0)?;
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}

/// `soloist-api-1a2b3c4d`: readable, and its own for each claim path.
pub(super) fn leaf_name(place: &Place) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    place.claim().hash(&mut hasher);
    format!("soloist-{}-{:08x}", place.instance, hasher.finish() as u32)
}
