//! What the core has told so far, and what it may be measured by: the lines of the history, what was met since when, how
//! long a run may take to get ready.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use soloist_core::event::{Event, Exit, Note, Wanted, What};
use soloist_core::id::{AskId, RunId};
use soloist_core::plan::{Condition, Kind, Plan};
use soloist_core::state::Word;
use soloist_core::time::Time;

use super::operator::is_down;
use super::{World, checks};

/// The lines of one run, as the history has them and as it must have them.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    pub told: BTreeMap<&'static str, u32>,
    pub owed: BTreeSet<&'static str>,
}

#[derive(Debug, Default)]
pub struct Past {
    pub lines: BTreeMap<RunId, Lines>,
    pub words: Vec<Option<Word>>,
    /// Found alive by a new daemon, and wanted no more.
    pub adopted_to_stop: BTreeSet<RunId>,
    /// Which of its needs were met since it was last down.
    pub met: Vec<BTreeSet<usize>>,
    /// Runs whose stop this daemon ordered.
    pub told_to_end: BTreeSet<RunId>,
    /// Questions of startup probes.
    pub startup_asks: BTreeSet<(usize, AskId)>,
    /// Until when a run that starts must be ready.
    pub ready_by: Vec<Option<(RunId, Time)>>,
    /// The run beside which a new one may be tried, as somebody has asked for a restart.
    pub trials: Vec<Option<RunId>>,
    /// Which of the ports an instance may have were in use when they were looked at last.
    pub busy: BTreeMap<usize, Vec<u16>>,
}

impl Past {
    pub fn of(count: usize) -> Past {
        Past {
            lines: BTreeMap::new(),
            adopted_to_stop: BTreeSet::new(),
            words: vec![None; count],
            told_to_end: BTreeSet::new(),
            startup_asks: BTreeSet::new(),
            met: vec![BTreeSet::new(); count],
            ready_by: vec![None; count],
            trials: vec![None; count],
            busy: BTreeMap::new(),
        }
    }
}

/// A line that must be in the history once the daemon that heard of it has done what the core ordered.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    run: RunId,
    line: &'static str,
    daemon: u64,
}

/// The lines that every run has once.
fn line(what: What) -> Option<&'static str> {
    match what {
        What::Started => Some("started"),
        What::Exited => Some("exited"),
        What::Ended => Some("ended"),
        _ => None,
    }
}

impl World {
    // ---- the history

    pub fn write_history(&mut self, at: usize, note: &Note) {
        if let (Some(run), Some(line)) = (note.run, line(note.what)) {
            *self.past.lines.entry(run).or_default().told.entry(line).or_default() += 1;
            self.machine.check(checks::no_line_is_told_twice_or_of_a_run_that_never_was(self, run, line));
        }
        // For those that need it, what is asked for anew, or not any more, has yet to start and to end.
        if matches!(note.what, What::WantedUp | What::WantedDown) && self.plans[at].schedule.is_none() {
            let machine = &mut self.machine;
            for those in [&mut machine.executed, &mut machine.ended, &mut machine.succeeded] {
                those.remove(&at);
            }
        }
        if note.what == What::Kept {
            self.machine.count("runs kept");
        }
        if note.what == What::Restarting {
            let now = self.machine.now;
            self.wishes[at].falls.push_back(now);
            self.machine.check(checks::a_restart_waits_as_long_as_it_should(self, at, note.span));
        }
    }

    /// What an event that is about to be told must leave in the history.
    pub fn expect(&mut self, at: usize, event: &Event) -> Option<Due> {
        let daemon = self.daemon.as_ref()?;
        let status = &daemon.statuses[at];
        let (run, line) = match event {
            Event::Spawned { run, .. } => (*run, "started"),
            Event::MainExited { run, .. } => (*run, "exited"),
            Event::TreeEmptied { run } => {
                let has_started = self.past.lines.get(run)?.told.contains_key("started");
                if !has_started {
                    return None;
                }
                (*run, "ended")
            }
            Event::Probed { ask, outcome: Ok(()) } if self.past.startup_asks.contains(&(at, *ask)) => {
                // From here on it is the other gates' turn.
                let by = self.machine.now + self.plans[at].ready_timeout;
                self.past.ready_by[at].iter_mut().for_each(|(_, at)| *at = (*at).max(by));
                return None;
            }
            Event::Notified { run, notice } => {
                self.note_answers(at, &notice.answers);
                let now = self.machine.now;
                if let (Some((of, by)), Some(extend)) = (&mut self.past.ready_by[at], notice.extend)
                    && of == run
                {
                    let after_startup =
                        self.plans[at].startup.map_or(Duration::ZERO, |_| self.plans[at].ready_timeout);
                    *by = (*by).max(now + extend + after_startup);
                }
                return None;
            }
            Event::Adopted { run, wanted: Wanted::Down, tick, .. } => {
                self.turns[at] = tick.iter().map(|tick| (*run, *tick)).collect();
                self.past.adopted_to_stop.insert(*run);
                return None;
            }
            // Nobody waits for what is needed when it goes on where another daemon ended.
            Event::Adopted { exit, .. } | Event::EndedUnseen { exit, .. } => {
                // What it finds is there for those that need it, whatever was asked for meanwhile.
                let machine = &mut self.machine;
                if matches!(event, Event::Adopted { .. }) || exit.is_some() {
                    machine.executed.insert(at);
                }
                if exit.is_some() {
                    machine.ended.insert(at);
                }
                if *exit == Some(Exit::Code(0)) {
                    machine.succeeded.insert(at);
                }
                if let Event::Adopted { run, tick, .. } = event {
                    self.turns[at] = tick.iter().map(|tick| (*run, *tick)).collect();
                }
                let needs = self.needs(at);
                self.past.met[at].extend(needs);
                self.past.ready_by[at] = None;
                return None;
            }
            _ => return None,
        };
        (status.run == Some(run)).then_some(Due { run, line, daemon: daemon.number })
    }

    /// The daemon has done what followed from the event, unless it died over it.
    pub fn demand(&mut self, due: Option<Due>) {
        let Some(due) = due else { return };
        if self.daemon.as_ref().is_some_and(|daemon| daemon.number == due.daemon) {
            self.past.lines.entry(due.run).or_default().owed.insert(due.line);
        }
    }

    // ---- after each decision

    pub fn note_state(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            daemon.refresh();
        }
        for at in 0..self.plans.len() {
            let Some(daemon) = &self.daemon else { return };
            let status = &daemon.statuses[at];
            let (word, starts) = (status.state, status.run.filter(|_| status.pid.is_some()));
            let before = self.past.words[at].replace(word);
            if word == Word::Ready && before != Some(Word::Ready) {
                self.machine.check(checks::what_is_told_ready_serves(self, at));
                if self.is_stand_in(at) {
                    self.machine.count("stand-ins");
                }
                self.remember_ready(at);
            }
            if let Some(run) = starts.filter(|_| word == Word::Starting) {
                self.note_patience(at, run);
            }
            if before == Some(Word::Ready) && word == Word::Stopping {
                self.machine.check(checks::a_restart_leaves_somebody_serving(self, at));
            }
        }
        for at in 0..self.plans.len() {
            self.note_needs(at);
        }
        self.note_followed();
    }

    /// Somebody wants a restart: if it has a stand-in, that may be tried.
    pub fn note_trial(&mut self, at: usize) {
        self.past.trials[at] = self.daemon.as_ref().and_then(|daemon| daemon.statuses[at].run);
        for stand_in in self.lanes(at) {
            self.wishes[stand_in].explains_a_start = true;
            self.wishes[stand_in].forget_restarts();
        }
    }

    /// A guard keeps for the next daemon that its run was seen ready.
    fn remember_ready(&mut self, at: usize) {
        let Some(daemon) = &self.daemon else { return };
        let claim = daemon.project.instance(at).claim();
        let guard = claim.and_then(|claim| daemon.held.get(&claim)?.guard);
        if let Some(guard) = guard.and_then(|guard| self.machine.guards.get_mut(&guard)) {
            guard.was_ready = true;
        }
    }

    fn note_patience(&mut self, at: usize, run: RunId) {
        if self.past.ready_by[at].is_none_or(|(of, _)| of != run) {
            self.past.ready_by[at] = Some((run, self.machine.now + patience(&self.plans[at])));
        }
    }

    fn note_needs(&mut self, at: usize) {
        if self.word(at).is_none_or(is_down) {
            self.past.met[at].clear();
        }
        for (need, until) in self.conditions(at) {
            if self.is_met(need, until) {
                self.past.met[at].insert(need);
            }
        }
    }

    /// By what truly happened to it.
    fn is_met(&self, need: usize, until: Condition) -> bool {
        let is_job = self.plans[need].kind != Kind::Service;
        match until {
            Condition::Started => self.machine.executed.contains(&need),
            Condition::Ready if !is_job => self.word(need) == Some(Word::Ready),
            Condition::Ready | Condition::CompletedSuccessfully => self.machine.succeeded.contains(&need),
            Condition::Completed => self.machine.ended.contains(&need),
        }
    }
}

/// How long a run may take to get ready: its startup probe has a patience of its own.
fn patience(plan: &Plan) -> Duration {
    let startup = plan.startup.map_or(Duration::ZERO, |probe| {
        probe.initial_delay + probe.period.saturating_mul(probe.failure_threshold)
    });
    startup + plan.ready_timeout
}
