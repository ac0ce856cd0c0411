//! The guard itself: one single-threaded loop over signals, links, output and one deadline. It holds the claim, is
//! parent to the tree, writes the record, and ends when the tree is empty and nobody needs it any more. Starting is
//! `body/start.rs`, stopping `body/stop.rs`, what is noted of an end `body/ended.rs`, its limits `body/bounds.rs`, what runs
//! beside it `body/aside.rs`.

mod aside;
mod bounds;
mod capture;
mod ended;
mod notify;
mod past;
mod revive;
pub(super) mod start;
mod stop;
mod terminal;
mod tick;

#[doc(hidden)]
pub use start::take_run;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};

use super::{Assignment, Notice, Order, PROTOCOL, Report, RunOrder, SpawnFailure, Usage};
use crate::claim::Claim;
use crate::clock;
use crate::guard::body::revive::Vigil;
use crate::guard::output::Output;
use crate::identity::{Exit, Identity};
use crate::layout::Place;
use crate::link::{Link, Listener};
use crate::platform::cgroup::Leaf;
use crate::platform::signals::Signals;
use crate::platform::sweep;
use crate::platform::tree;
use crate::record::Record;

/// How long the record of an end may wait for the order to start again: that order is on its way to us, and a file
/// written meanwhile is time the service is down. Without a daemon it is written at once.
const RECORD_DELAY: Duration = Duration::from_millis(20);

/// How a run in the foreground went.
#[derive(Debug)]
pub enum Outcome {
    /// It ran and ended so.
    Ended(Exit),
    /// It used more memory than it may, and was ended for it.
    OverMemory {
        /// So much.
        kib: u64,
        /// So much it may.
        max_kib: u64,
    },
    /// It did not start.
    NotStarted(SpawnFailure),
}

/// A guard forked by the zygote: obeys its daemon, never returns.
pub fn guard(assignment: Assignment, claim: Claim, daemon: Link, zygote: Zygote) -> ! {
    crate::name_process("soloist-guard");
    crate::fail_point!("guard.born");
    let _ = rustix::process::setsid();
    // The zygote's memory, a standard input of /dev/null and the daemon's log as output: all shared, nothing to undo.
    let code = match Body::new(assignment, claim, Mode::Detached, Some(zygote)) {
        Ok(mut body) => {
            body.links.push(daemon);
            body.live();
            crate::fail_point!("guard.ending");
            // The claim before the links: who sees its link end may rely on the claim being gone. What it covers first.
            drop(body.sockets);
            drop(body.claim);
            crate::fail_point!("guard.claim-let-go");
            drop(body.links);
            0
        }
        // The daemon sees the link end and says that the guard was lost.
        Err(_) => 1,
    };
    // SAFETY: ends this forked process at once; the zygote's destructors and exit handlers are not ours to run.
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(code)
    }
}

/// `soloist run`: this very process guards one run in the foreground and returns when its tree is empty.
///
/// # Errors
/// If the guard cannot be set up; nothing was started then.
pub fn foreground(assignment: Assignment, claim: Claim, run: RunOrder) -> io::Result<Outcome> {
    let terminal = terminal::ours();
    let mut body = Body::new(assignment, claim, Mode::Foreground, None)?;
    body.terminal = terminal;
    if let Err(failure) = body.spawn(run, None, Vec::new()) {
        body.finish();
        return Ok(Outcome::NotStarted(failure));
    }
    body.live();
    if let Some(outcome) = body.over_memory() {
        return Ok(outcome);
    }
    match body.record.exit {
        Some(exit) => Ok(Outcome::Ended(exit)),
        None => Err(io::Error::other("the guard ended without an exit of its main process")),
    }
}

/// Our parent, and what it has seen for us.
#[derive(Clone, Copy, Debug)]
pub struct Zygote {
    /// It inherits what other guards leave.
    pub pid: u32,
    /// Since the claim was taken it has looked at every process: none carries the claim's cookie, and it has inherited
    /// nobody.
    pub is_unmarked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Forked by a zygote: ends when released, or when its tree is empty and no daemon is there.
    Detached,
    /// `soloist run`: ends with its one run.
    Foreground,
}

/// What is true of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tree {
    Empty,
    /// The main process lives (or is not reaped yet, so its number is its own; one that was named is pinned).
    Led {
        main: u32,
    },
    /// The main process is gone, others live.
    Leaderless {
        group: u32,
    },
}

#[derive(Clone, Copy, Debug)]
enum Stop {
    Polite { kill_at: Instant },
    Killing { since: Instant, again_at: Instant, told: bool },
}

struct Body {
    assignment: Assignment,
    place: Place,
    claim: Claim,
    me: Identity,
    mode: Mode,
    terminal: Option<OwnedFd>,
    signals: Signals,
    listener: Option<Listener>,
    links: Vec<Link>,
    record: Record,
    /// What the record on disk says of the tree: one that says "ended" must be replaced before a run starts.
    is_ended_on_disk: bool,
    /// The record on disk is behind, and is written then.
    write_by: Option<Instant>,
    leaf: Option<Leaf>,
    output: Option<Output>,
    /// What the run was handed; a daemon that has died lets nobody down who is connecting.
    sockets: Vec<OwnedFd>,
    tree: Tree,
    stop: Option<Stop>,
    /// Somebody ordered the stop of this run.
    was_asked: bool,
    killed: bool,
    stop_signal: i32,
    stop_grace: Duration,
    released: bool,
    /// None in the foreground.
    zygote: Option<Zygote>,
    swept: bool,
    /// A daemon has seen the run ready.
    was_ready: bool,
    /// What the run said of itself.
    notice: Notice,
    ear: notify::Ear,
    ticks: tick::Ticks,
    meter: past::Meter,
    /// Children we had before we were a guard (`cmd & exec soloist run …`): not of our tree.
    strangers: Vec<u32>,
    bounds: bounds::Bounds,
    asides: aside::Asides,
    /// What is done when no daemon is there.
    vigil: Vigil,
}

impl Body {
    fn new(assignment: Assignment, claim: Claim, mode: Mode, zygote: Option<Zygote>) -> io::Result<Body> {
        let strangers =
            if mode == Mode::Foreground { sweep::orphans(std::process::id(), &[])? } else { Vec::new() };
        tree::become_subreaper()?;
        let mut caught = vec![libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];
        if mode == Mode::Foreground {
            caught.extend([libc::SIGUSR1, libc::SIGUSR2, libc::SIGALRM, libc::SIGTTOU, libc::SIGCONT]);
        }
        let signals = Signals::catch(&caught)?;
        let place = assignment.place();
        let me = Identity::mine()?;
        let record = Record {
            version: PROTOCOL,
            instance: assignment.instance.clone(),
            project: assignment.project.clone(),
            holder: assignment.holder,
            guard: me.clone(),
            run_id: String::new(),
            main: None,
            command: Vec::new(),
            ports: Vec::new(),
            since_ms: clock::wall_ms(),
            cgroup: None,
            pid_file: None,
            exit: None,
            exit_ms: None,
            ended: true,
            stop_grace_ms: 0,
            was_stopped: false,
            cause: String::new(),
            print: None,
            usage: Usage::default(),
            log_at: None,
            log_seq: None,
            past: Vec::new(),
        };
        Ok(Body {
            place,
            claim,
            me,
            mode,
            terminal: None,
            signals,
            listener: None,
            links: Vec::new(),
            record,
            is_ended_on_disk: true,
            write_by: None,
            leaf: None,
            output: None,
            sockets: Vec::new(),
            tree: Tree::Empty,
            stop: None,
            was_asked: false,
            killed: false,
            stop_signal: libc::SIGTERM,
            stop_grace: Duration::from_secs(5),
            released: false,
            zygote,
            swept: false,
            was_ready: false,
            notice: Notice::default(),
            ear: notify::Ear::default(),
            ticks: tick::Ticks::default(),
            meter: past::Meter::default(),
            strangers,
            bounds: bounds::Bounds::default(),
            asides: aside::Asides::default(),
            vigil: Vigil::default(),
            assignment,
        })
    }

    fn live(&mut self) {
        while !self.is_over() {
            let ready = self.wait();
            if ready.notify {
                self.hear(&[]);
            }
            if ready.signals || ready.named {
                while let Some(signal) = self.signals.next() {
                    self.receive_signal(signal);
                }
                self.reap();
            }
            self.take_output(ready.output);
            if ready.listener {
                while let Some(Ok(Some(link))) = self.listener.as_ref().map(Listener::accept) {
                    self.links.push(link);
                }
            }
            for at in ready.links.into_iter().rev() {
                self.receive_orders(at);
            }
            self.keep_time();
            self.tell_if_due();
            self.look_for_daemon();
        }
        self.finish();
    }

    fn is_over(&self) -> bool {
        self.tree == Tree::Empty
            && match self.mode {
                Mode::Foreground => true,
                Mode::Detached => self.released || self.links.is_empty() && !self.waits_for_daemon(),
            }
    }

    /// Waits for the next thing to happen, or for the deadline.
    fn wait(&self) -> Ready {
        let stop_at = self.stop.map(|stop| match stop {
            Stop::Polite { kill_at } => kill_at,
            Stop::Killing { again_at, .. } => again_at,
        });
        let now = Instant::now();
        let output_at = self.output.as_ref().and_then(Output::deadline);
        let due =
            [stop_at, self.write_by, self.ear.due, self.bounds.look_at, self.vigil.deadline(), output_at];
        let deadline = due.into_iter().flatten().min();
        let timeout = deadline.map(|at| {
            let left = at.saturating_duration_since(now);
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(self.ear.receiver().map(|r| PollFd::new(r, PollFlags::IN)));
        fds.extend(self.ear.named().map(|main| PollFd::from_borrowed_fd(main, PollFlags::IN)));
        let before_pipes = fds.len();
        let pipes = self.output.iter().flat_map(|output| output.pipes(now));
        fds.extend(pipes.map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::IN)));
        let pipes = fds.len() - before_pipes;
        fds.extend(self.listener.as_ref().map(|l| PollFd::new(l, PollFlags::IN)));
        fds.extend(self.links.iter().map(|l| PollFd::new(l, PollFlags::IN)));
        fds.extend(self.vigil.word().map(|w| PollFd::from_borrowed_fd(w, PollFlags::IN)));
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return Ready::default();
        }
        let mut is_ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let mut next = |present: bool| present && is_ready.next().unwrap_or(false);
        Ready {
            signals: next(true),
            notify: next(self.ear.receiver().is_some()),
            named: next(self.ear.named().is_some()),
            output: (0..pipes).filter(|_| next(true)).count() > 0,
            listener: next(self.listener.is_some()),
            links: (0..self.links.len()).filter(|_| next(true)).collect(),
        }
    }

    fn receive_signal(&mut self, signal: i32) {
        match (signal, self.mode) {
            (libc::SIGCHLD | libc::SIGTTOU, _) => {}
            (signal, Mode::Foreground) => self.signal_main(signal),
            // A machine going down, or somebody who means it: end the tree before we end.
            (libc::SIGTERM, Mode::Detached) => {
                self.released = true;
                self.begin_stop(self.stop_grace);
            }
            (_, Mode::Detached) => {}
        }
    }

    /// To the main process's group. While it is not reaped its number is its own.
    fn signal_main(&self, signal: i32) {
        if self.signal_named(signal) {
            return;
        }
        if let (Tree::Led { main }, Some(signal)) = (self.tree, Signal::from_named_raw(signal))
            && let Some(group) = i32::try_from(main).ok().and_then(Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// To the main process and nobody else.
    fn signal_main_alone(&self, signal: i32) {
        if self.signal_named_alone(signal) {
            return;
        }
        if let (Tree::Led { main }, Some(signal)) = (self.tree, Signal::from_named_raw(signal))
            && let Some(main) = i32::try_from(main).ok().and_then(Pid::from_raw)
        {
            let _ = rustix::process::kill_process(main, signal);
        }
    }

    fn reap(&mut self) {
        self.follow_job_control();
        let mut reaped = Vec::new();
        let mut has_children = tree::reap(&mut reaped);
        self.meter.count(&reaped, &self.strangers);
        // Their last words: one of them may name another main process.
        self.hear(&reaped);
        if has_children && !self.strangers.is_empty() {
            self.strangers.retain(|pid| !reaped.iter().any(|dead| dead.pid == *pid));
            has_children =
                sweep::orphans(self.me.pid, &self.strangers).is_ok_and(|children| !children.is_empty());
        }
        let exit = match self.tree {
            Tree::Led { main } => {
                let main = reaped.iter().find(|dead| dead.pid == main);
                main.map(|main| Exit::from_wait_status(main.status)).or_else(|| self.named_exit())
            }
            _ => None,
        };
        self.note_probes(&reaped);
        if let (Some(exit), Tree::Led { main }) = (exit, self.tree) {
            self.tree = Tree::Leaderless { group: self.part_with(main) };
            self.note_exit(exit, has_children);
        }
        self.note_stop_command(&reaped);
        if !has_children && self.tree != Tree::Empty {
            self.note_empty();
        }
    }

    fn receive_orders(&mut self, at: usize) {
        loop {
            let Some(link) = self.links.get(at) else { return };
            match link.receive() {
                Ok(Some((bytes, fds))) => {
                    // What a newer daemon orders and we do not know is left undone; it asks for our version first.
                    if let Ok(order) = serde_json::from_slice::<Order>(&bytes) {
                        self.obey(order, fds, at);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => {
                    self.links.remove(at);
                    if self.links.is_empty() && self.write_by.is_some() {
                        let _ = self.write_record();
                    }
                    if self.links.is_empty()
                        && matches!(self.tree, Tree::Leaderless { .. })
                        && self.stop.is_none()
                    {
                        self.begin_stop(self.stop_grace);
                    }
                    return;
                }
            }
        }
    }

    fn obey(&mut self, order: Order, fds: Vec<OwnedFd>, at: usize) {
        match order {
            Order::Spawn => self.spawn_ordered(fds),
            Order::Sweep { run_id, grace_ms } => {
                if self.tree != Tree::Empty {
                    return;
                }
                self.record.run_id.clone_from(&run_id);
                match self.sweep(Duration::from_millis(grace_ms)) {
                    Ok(ended) => {
                        let _ = self.write_record();
                        self.report(&Report::Swept { ended });
                        self.report(&Report::Emptied { run_id, killed: true, usage: Usage::default() });
                    }
                    Err(SpawnFailure::Survivors(processes)) => self.report(&Report::Stuck { processes }),
                    Err(error) => self.report(&Report::SpawnFailed { run_id, error }),
                }
            }
            Order::Stop { grace_ms } if self.tree != Tree::Empty => {
                self.was_asked = true;
                self.begin_stop(grace_ms.map_or(self.stop_grace, Duration::from_millis));
            }
            Order::Stop { grace_ms } if !self.swept => {
                let run_id = self.record.run_id.clone();
                self.obey(Order::Sweep { run_id, grace_ms: grace_ms.unwrap_or(0) }, Vec::new(), at);
            }
            Order::Stop { .. } => {
                self.report(&Report::Emptied {
                    run_id: self.record.run_id.clone(),
                    killed: false,
                    usage: self.record.usage,
                });
            }
            Order::Kill if self.tree != Tree::Empty => self.begin_kill(),
            // Survivors of an earlier run that did not end the last time: once more, without patience.
            Order::Kill if !self.swept => {
                let run_id = self.record.run_id.clone();
                self.obey(Order::Sweep { run_id, grace_ms: 0 }, Vec::new(), at);
            }
            Order::Kill => {}
            Order::Signal { signal } => self.signal_main_alone(signal),
            Order::Status => self.tell_status(at),
            Order::Release => {
                crate::fail_point!("guard.release-heard");
                self.released = true;
            }
            Order::Remember => {
                crate::fail_point!("guard.ready-heard");
                self.was_ready = true;
            }
            Order::Exec { id, argv, timeout_ms } => self.exec(id, argv, Duration::from_millis(timeout_ms)),
            Order::Tick { tick, line } => self.tick(tick, &line),
            Order::Heard { ticks } => self.forget_answers(&ticks),
            Order::Revive { revival } => self.vigil.revive_by(revival),
        }
    }

    fn tell_status(&mut self, at: usize) {
        let run_id = (!self.record.run_id.is_empty()).then(|| self.record.run_id.clone());
        let status = Report::Status {
            version: PROTOCOL,
            guard: self.me.clone(),
            run_id,
            main: self.record.main.clone().filter(|_| matches!(self.tree, Tree::Led { .. })),
            exit: self.record.exit,
            empty: self.tree == Tree::Empty,
            since_ms: self.record.since_ms,
            was_ready: self.was_ready,
            notice: self.notice.to_be_told(),
            print: self.record.print,
            past: self.record.past.clone(),
            tick: self.ticks.last_out(),
        };
        if let (Some(link), Some(bytes)) = (self.links.get(at), past::status_message(status)) {
            let fds: Vec<_> =
                [self.claim.as_fd()].into_iter().chain(self.sockets.iter().map(AsFd::as_fd)).collect();
            let _ = link.send(&bytes, &fds);
        }
        self.tell_answers();
    }

    /// Who does not read loses its link, not us our time: it comes back and asks for the status.
    fn report(&mut self, report: &Report) {
        let Ok(bytes) = serde_json::to_vec(report) else { return };
        self.links.retain(|link| link.send(&bytes, &[]).is_ok());
    }

    // ---- the end

    fn finish(&mut self) {
        self.close_output();
        if self.write_by.is_some() {
            let _ = self.write_record();
        }
        if let Some(leaf) = self.leaf.take() {
            leaf.remove();
        }
        self.close_ear();
        if self.listener.take().is_some() {
            let _ = std::fs::remove_file(self.place.socket());
        }
    }
}

#[derive(Default)]
struct Ready {
    signals: bool,
    notify: bool,
    named: bool,
    output: bool,
    listener: bool,
    links: Vec<usize>,
}
