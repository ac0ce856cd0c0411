//! Answers clients: at once where the answer is known, else when what they asked for is so, or cannot become so, or
//! their patience ends.

use std::time::Duration;

use soloist_api::error::{Code, Problem};
use soloist_api::request::{Change, Down, DownAnswer, Instances, Up, UpAnswer};
use soloist_api::schedule::Done;
use soloist_api::status::{HolderStatus, ServiceStatus, Status};
use soloist_core::event::{Cause, Event, IfHeld, Wanted};
use soloist_core::id::ClaimId;
use soloist_core::plan::Kind;
use soloist_core::project::Orders;
use soloist_core::state::Word;
use soloist_core::time::Time;
use soloist_os::claim::held_by;
use soloist_os::record::Holder;

use super::{Driver, now};
use crate::config::{Config, Declared};
use crate::convert;
use crate::inbox::{Reply, Verb};
use crate::runs::Known;
use crate::{changes, keys, leftovers, runs, schedules};

/// How long a client waits if it does not say.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the end of one run and the beginning of the next may take before the second is told without a name.
const NAMED: Duration = Duration::from_secs(2);

/// A client that waits for something to become so.
pub(super) struct Waiter {
    pub(super) until: Time,
    goal: Goal,
}

enum Goal {
    /// An instance serves (a job: has been started). To be sure that one runs, any holder will do; to have a new run of
    /// it, what is tried beside it must be through.
    Up { at: usize, verb: Verb, reply: Reply<ServiceStatus> },
    /// An instance is verified stopped.
    Down { at: usize, reply: Reply<ServiceStatus> },
    /// A run that was asked for in the last moment of the one before has begun, or will not.
    Named { at: usize, done: Box<Done>, reply: Reply<Done> },
    /// All of these are verified stopped.
    AllDown { of: Vec<usize>, ends: bool, reply: Reply<DownAnswer> },
}

impl Driver {
    /// Answers who asked for a run, once it has its name.
    pub(super) fn name_run(&mut self, at: usize, done: Done, reply: Reply<Done>) {
        let goal = Goal::Named { at, done: Box::new(done), reply };
        self.waiters.push(Waiter { until: now() + NAMED, goal });
    }

    // ---- what is

    /// All, without a look at any file of what is held here: many ask, and services wait meanwhile.
    pub(super) fn known(&self) -> Known {
        let told: Vec<usize> = (0..self.services.len()).filter(|at| self.is_told(*at)).collect();
        Known {
            quiet: told.iter().map(|at| self.is_quiet(*at)).collect(),
            status: Status {
                daemon: Some(self.daemon.clone()),
                services: told.iter().map(|at| self.status_at(*at)).collect(),
            },
        }
    }

    pub(super) fn status_of_all(&self) -> Status {
        self.known().with_runs(&self.layout).0
    }

    /// What is declared no more, and a lane, is there as long as something of it lives.
    pub(super) fn is_told(&self, at: usize) -> bool {
        let is_passing = self.project.is_removed(at) || self.services[at].declared.lane_of.is_some();
        !is_passing || !self.is_quiet(at)
    }

    pub(super) fn status_by_name(&self, name: &str) -> Result<ServiceStatus, Problem> {
        let ours = self.project.position(name).filter(|at| self.is_told(*at));
        if let Some(at) = ours.filter(|at| !self.is_quiet(*at)) {
            return Ok(self.status_at(at));
        }
        // A name is part of paths from here on.
        let run = if name.contains('/') { None } else { runs::living_of(&self.layout, name) };
        let found = run.or_else(|| ours.map(|at| self.status_at(at)));
        found.ok_or_else(|| {
            runs::unknown_among(name, self.status_of_all().services.iter().map(|s| s.name.as_str()))
        })
    }

    pub(super) fn status_at(&self, at: usize) -> ServiceStatus {
        let service = &self.services[at];
        let status = self.project.status(at);
        let holder = match self.project.instance(at).claim() {
            // What it was started with is in its record only.
            Some(_) if status.is_stale => held_by(&service.place).as_ref().map(convert::holder_to_api),
            Some(claim) => Some(self.held_here(claim, at, &status)),
            None if status.state == Word::Standby => {
                held_by(&service.place).as_ref().map(convert::holder_to_api)
            }
            None => None,
        };
        let face = convert::Face {
            clock: self.clocks.clock,
            name: &service.declared.name,
            kind: service.declared.plan.kind,
            ports: self.project.instance(at).ports(),
            command: &service.declared.program.argv,
            log: self.layout.log(&service.declared.name).display().to_string(),
            holder,
            tail: self.telling_lines(at, &status),
        };
        let schedule = schedules::told(&service.declared, status.outlook.as_ref(), schedules::now());
        let on_full = service.declared.program.log.rules.on_full;
        let notes = [status.note.clone(), service.log_trouble.words(on_full)];
        let notes: Vec<String> = notes.into_iter().flatten().collect();
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        let (old_code, warnings) =
            (self.old_code(at, &status), self.watches.warnings(&service.declared.name));
        ServiceStatus { schedule, note, old_code, warnings, ..convert::service(face, status) }
    }

    /// What the record of a claim says that is held here.
    fn held_here(&self, claim: ClaimId, at: usize, status: &soloist_core::state::Status) -> HolderStatus {
        let guard =
            self.held.get(&claim).and_then(|held| held.guard.as_ref()?.pid).unwrap_or(self.daemon.pid);
        HolderStatus {
            kind: convert::holder_word(Holder::Daemon).to_owned(),
            pid: Some(status.pid.unwrap_or(guard)),
            guard: Some(guard),
            since: convert::wall(self.clocks.clock, status.since),
            command: self.services[at].declared.program.argv.clone(),
            project: self.layout.root.display().to_string(),
            ..HolderStatus::default()
        }
    }

    /// The instance of this name, or all instances of a keyed service of this name.
    pub(super) fn positions(&self, name: &str) -> Vec<usize> {
        match self.project.position(name) {
            Some(at) => vec![at],
            None => {
                let is_of = |at: &usize| {
                    let declared = &self.services[*at].declared;
                    declared.service == name && declared.lane_of.is_none()
                };
                (0..self.services.len()).filter(is_of).filter(|at| !self.project.is_removed(*at)).collect()
            }
        }
    }

    fn is_held(&self, at: usize) -> bool {
        self.project.instance(at).claim().is_some()
    }

    // ---- what is asked for

    pub(super) fn change(&mut self, name: String, verb: Verb, change: Change, reply: Reply<ServiceStatus>) {
        match self.begin_change(&name, verb, &change) {
            Ok(Begun::Waits(at)) => {
                let patience =
                    change.timeout_ms.map_or_else(|| self.patience(at, verb), Duration::from_millis);
                let goal = match verb {
                    Verb::Stop => Goal::Down { at, reply },
                    Verb::Start | Verb::Ensure | Verb::Restart | Verb::Reload => Goal::Up { at, verb, reply },
                };
                self.waiters.push(Waiter { until: now() + patience, goal });
            }
            Ok(Begun::Elsewhere(place)) => {
                tokio::task::spawn_blocking(move || {
                    let is_left = leftovers::abandoned_at(&place);
                    let stopped = if is_left { leftovers::end_abandoned(&place) } else { runs::stop(&place) };
                    let _ = reply.send(stopped.and_then(|()| runs::stopped(&place)));
                });
            }
            Ok(Begun::Is(status)) => drop(reply.send(Ok(*status))),
            Err(problem) => drop(reply.send(Err(problem))),
        }
    }

    fn begin_change(&mut self, name: &str, verb: Verb, change: &Change) -> Result<Begun, Problem> {
        if self.is_ending || self.is_leaving() {
            return Err(ending());
        }
        // A name is part of paths from here on.
        if name.contains('/') {
            return self.status_by_name(name).map(|status| Begun::Is(Box::new(status)));
        }
        let run = runs::place_of(&self.layout, name);
        let left = leftovers::abandoned(&self.layout, name);
        if !matches!(verb, Verb::Stop | Verb::Reload) {
            self.reload()?;
        }
        let at = match (self.project.position(name), &run) {
            (Some(at), _) => at,
            (None, Some(place)) if verb == Verb::Stop => return Ok(Begun::Elsewhere(place.clone())),
            (None, _) => match left {
                Some(place) if verb == Verb::Stop => return Ok(Begun::Elsewhere(place)),
                // A run that is over is stopped already.
                None if verb == Verb::Stop && self.layout.place(name).record().exists() => {
                    return runs::stopped(&self.layout.place(name)).map(|status| Begun::Is(Box::new(status)));
                }
                _ => return self.status_by_name(name).map(|status| Begun::Is(Box::new(status))),
            },
        };
        if let Some(base) = &self.services[at].declared.lane_of
            && matches!(verb, Verb::Start | Verb::Ensure | Verb::Restart)
        {
            let (what, hint) = match self.project.base(at) {
                Some(_) => (
                    format!("{name} only stands in for {base} while that is restarted"),
                    format!(
                        "`soloist {verb} {base}`",
                        verb = if verb == Verb::Restart { "restart" } else { "start" }
                    ),
                ),
                None => (
                    format!(
                        "{name} is a lane of {base}: it only takes runs that are due while {base} is busy"
                    ),
                    format!("`soloist schedule run {base}` runs it now"),
                ),
            };
            return Err(Problem::new(Code::Usage, what).hint(hint));
        }
        let cause = Cause::User(change.who.clone().unwrap_or_else(|| "a client".to_owned()));
        if let Some(place) = run.filter(|_| !self.is_held(at)) {
            match verb {
                Verb::Stop => {
                    // What stands by for it would else begin when it is over.
                    if self.project.status(at).wanted == Wanted::Up {
                        let mut orders = Orders::new();
                        self.project.stop(now(), at, cause, &mut orders);
                        self.perform(orders);
                    }
                    return Ok(Begun::Elsewhere(place));
                }
                // Exactly one runs, and that was all that was asked for.
                Verb::Ensure => return self.status_by_name(name).map(|status| Begun::Is(Box::new(status))),
                Verb::Start | Verb::Restart | Verb::Reload => {}
            }
        }
        if let (Verb::Stop, Some(place)) = (verb, left.filter(|_| self.is_quiet(at))) {
            return Ok(Begun::Elsewhere(place));
        }
        if matches!(verb, Verb::Start | Verb::Ensure) {
            self.count_duplicate(at);
        }
        let mut orders = Orders::new();
        match verb {
            Verb::Start | Verb::Ensure => self.project.start(now(), at, cause, IfHeld::Refuse, &mut orders),
            Verb::Stop => self.project.stop(now(), at, cause, &mut orders),
            Verb::Restart => self.project.restart(now(), at, cause, &mut orders),
            Verb::Reload => {
                self.project.handle(now(), at, Event::ReloadAsked { cause }, &mut orders);
                if orders.is_empty() {
                    return Err(Problem::new(Code::NotRunning, format!("{name} does not run")));
                }
                self.perform(orders);
                return Ok(Begun::Is(Box::new(self.status_at(at))));
            }
        }
        self.perform(orders);
        Ok(Begun::Waits(at))
    }

    pub(super) fn up(&mut self, up: Up) -> Result<UpAnswer, Problem> {
        if self.is_ending || self.is_leaving() {
            return Err(ending());
        }
        let config = self.reload()?;
        let declared: Vec<String> = config.declared.iter().map(|d| d.name.clone()).collect();
        let mut wanted = Vec::new();
        for name in &up.names {
            let found = self.positions(name);
            if found.is_empty() {
                return Err(runs::unknown(name, &config));
            }
            wanted.extend(found);
        }
        if up.names.is_empty() {
            // A job without a rhythm runs when it is asked to, not when everything comes up.
            let on_demand = |at: &usize| {
                let Declared { plan, lane_of, .. } = &self.services[*at].declared;
                plan.kind == Kind::Job && plan.schedule.is_none() || lane_of.is_some()
            };
            wanted = declared
                .iter()
                .filter_map(|name| self.project.position(name))
                .filter(|at| !on_demand(at))
                .collect();
        }
        let cause = Cause::User(up.who.unwrap_or_else(|| "a client".to_owned()));
        let mut orders = Orders::new();
        let declared: Vec<usize> = declared.iter().filter_map(|name| self.project.position(name)).collect();
        let only = (!up.names.is_empty()).then_some(&wanted[..]);
        let changed = self.project.reconcile(now(), &declared, only, &mut orders);
        let names = |of: &mut dyn Iterator<Item = &usize>| -> Vec<String> {
            of.map(|at| self.project.name(*at).to_owned()).collect()
        };
        let mut answer = UpAnswer {
            started: Vec::new(),
            already: Vec::new(),
            restarted: names(&mut changed.iter().filter(|at| declared.contains(at))),
            removed: names(&mut changed.iter().filter(|at| !declared.contains(at))),
        };
        wanted.retain(|at| !changed.contains(at));
        self.bring_up(wanted, &cause, &mut orders, &mut answer);
        self.perform(orders);
        Ok(answer)
    }

    fn bring_up(&mut self, wanted: Vec<usize>, cause: &Cause, orders: &mut Orders, answer: &mut UpAnswer) {
        for at in wanted {
            self.count_duplicate(at);
            let is_new = self.project.up(now(), at, cause.clone(), orders);
            let list = if is_new { &mut answer.started } else { &mut answer.already };
            list.push(self.project.name(at).to_owned());
        }
    }

    /// Adds and removes instances of a keyed service. Those that are new are started, those that are gone stopped.
    pub(super) fn instances(&mut self, service: &str, change: Instances) -> Result<UpAnswer, Problem> {
        if self.is_ending || self.is_leaving() {
            return Err(ending());
        }
        let config = keys::change(&self.layout, service, &change.add, &change.remove)?;
        self.declare(&config);
        let cause = Cause::User(change.who.unwrap_or_else(|| "a client".to_owned()));
        let name = |key: &String| format!("{service}@{key}");
        let at = |key: &String| self.project.position(&name(key));
        let added: Vec<usize> = change.add.iter().filter_map(at).collect();
        let removed: Vec<usize> = change.remove.iter().filter_map(at).collect();
        let mut answer = UpAnswer::default();
        let mut orders = Orders::new();
        self.bring_up(added, &cause, &mut orders, &mut answer);
        let declared: Vec<usize> =
            config.declared.iter().filter_map(|d| self.project.position(&d.name)).collect();
        let gone = self.project.reconcile(now(), &declared, Some(&removed), &mut orders);
        answer.removed = gone.into_iter().map(|at| self.project.name(at).to_owned()).collect();
        self.perform(orders);
        Ok(answer)
    }

    pub(super) fn down(&mut self, down: Down, reply: Reply<DownAnswer>) {
        if self.is_leaving() {
            return drop(reply.send(Err(ending())));
        }
        let mut of = Vec::new();
        for name in &down.names {
            let found = self.positions(name);
            if found.is_empty() {
                let known = self.services.iter().map(|s| s.declared.name.as_str());
                return drop(reply.send(Err(runs::unknown_among(name, known))));
            }
            of.extend(found);
        }
        if down.names.is_empty() {
            of = (0..self.services.len()).collect();
        }
        let cause = Cause::User(down.who.unwrap_or_else(|| "a client".to_owned()));
        let was_up: Vec<usize> = of.iter().copied().filter(|at| !self.is_quiet(*at)).collect();
        let mut orders = Orders::new();
        for at in &of {
            if !self.is_quiet(*at) || self.project.status(*at).wanted == Wanted::Up {
                self.project.stop(now(), *at, cause.clone(), &mut orders);
            }
        }
        self.perform(orders);
        let others_rest = (0..self.services.len()).filter(|at| !of.contains(at)).all(|at| self.is_quiet(at));
        let grace = of.iter().map(|at| self.services[*at].declared.plan.stop_grace).max().unwrap_or_default();
        let goal = Goal::AllDown { of: was_up, ends: others_rest, reply };
        self.waiters.push(Waiter { until: now() + grace * 2 + Duration::from_secs(20), goal });
    }

    /// Reads soloist.toml again: what people changed since counts from the next start on.
    pub(super) fn reload(&mut self) -> Result<Config, Problem> {
        let config = changes::config_or_empty(&self.layout)?;
        self.declare(&config);
        Ok(config)
    }

    fn patience(&self, at: usize, verb: Verb) -> Duration {
        let plan = &self.services[at].declared.plan;
        match verb {
            Verb::Stop => plan.stop_grace * 2 + Duration::from_secs(20),
            Verb::Start | Verb::Ensure | Verb::Restart | Verb::Reload => {
                let runs = if plan.stand_in.is_some() { 2 } else { 1 };
                (plan.ready_timeout.max(PATIENCE) + plan.stop_grace) * runs
            }
        }
    }

    /// A start is asked for of what runs already.
    fn count_duplicate(&self, at: usize) {
        if self.project.status(at).run.is_some() {
            self.tally.duplicate(self.project.name(at), "running");
        }
    }

    /// Nothing lives, nothing is held, nothing will start by itself.
    pub(super) fn is_quiet(&self, at: usize) -> bool {
        self.project.is_down(at) && !self.is_held(at)
    }

    // ---- those who wait

    pub(super) fn answer_waiters(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        let now = now();
        for waiter in std::mem::take(&mut self.waiters) {
            let is_late = waiter.until <= now;
            let goal = match waiter.goal {
                Goal::Up { at, verb, reply } => match self.judge_up(at, verb, is_late) {
                    Some(answer) => {
                        let _ = reply.send(answer);
                        continue;
                    }
                    None => Goal::Up { at, verb, reply },
                },
                Goal::Down { at, reply } => match self.judge_down(at, is_late) {
                    Some(answer) => {
                        let _ = reply.send(answer);
                        continue;
                    }
                    None => Goal::Down { at, reply },
                },
                Goal::Named { at, mut done, reply } => {
                    let status = self.project.status(at);
                    let is_coming = matches!(status.state, Word::Stopping | Word::Claiming | Word::Starting);
                    if status.run.is_some() || is_late || !is_coming {
                        done.run_id = status.run.map(|run| run.to_string());
                        let _ = reply.send(Ok(*done));
                        continue;
                    }
                    Goal::Named { at, done, reply }
                }
                Goal::AllDown { of, ends, reply } if is_late || of.iter().all(|at| self.is_quiet(*at)) => {
                    let answer = self.tell_down(&of, ends);
                    self.is_ending |= answer.daemon_ends;
                    let _ = reply.send(Ok(answer));
                    continue;
                }
                waits @ Goal::AllDown { .. } => waits,
            };
            self.waiters.push(Waiter { until: waiter.until, goal });
        }
    }

    /// Nobody waits for this daemon any more: its successor has to be asked.
    pub(super) fn send_waiters_away(&mut self) {
        for waiter in std::mem::take(&mut self.waiters) {
            match waiter.goal {
                Goal::Up { reply, .. } | Goal::Down { reply, .. } => drop(reply.send(Err(ending()))),
                Goal::Named { done, reply, .. } => drop(reply.send(Ok(*done))),
                Goal::AllDown { reply, .. } => drop(reply.send(Err(ending()))),
            }
        }
    }

    fn tell_down(&self, of: &[usize], ends: bool) -> DownAnswer {
        let (stopped, stuck): (Vec<usize>, Vec<usize>) = of.iter().partition(|at| self.is_quiet(**at));
        let name = |at: &usize| self.project.name(*at).to_owned();
        let words = |at: &usize| {
            let note = self.project.status(*at).note.unwrap_or_else(|| "it does not end".to_owned());
            format!("{}: {note}", self.project.name(*at))
        };
        DownAnswer {
            stopped: stopped.iter().map(name).collect(),
            stuck: stuck.iter().map(words).collect(),
            daemon_ends: ends && stuck.is_empty(),
        }
    }

    fn judge_up(&self, at: usize, verb: Verb, is_late: bool) -> Option<Result<ServiceStatus, Problem>> {
        if verb == Verb::Restart && self.project.is_on_trial(at) && !is_late {
            return None;
        }
        let status = self.status_at(at);
        if verb == Verb::Ensure && status.refusal.as_ref().is_some_and(|r| r.code == Code::ClaimHeld) {
            return Some(Ok(self.status_by_name(&status.name).unwrap_or(status)));
        }
        // A daemon that came after the end knows of no reason.
        let noted = |what: &str| match &status.note {
            Some(note) => format!("{what}: {note}"),
            None => what.to_owned(),
        };
        let problem = |code: Code, detail: String| {
            let hint = format!("`soloist logs {}` shows what it wrote", status.name);
            Some(Err(Problem::new(code, format!("{} {detail}", status.name)).hint(hint)))
        };
        if let Some(refusal) = &status.refusal {
            let hint = match refusal.code {
                Code::ClaimHeld => format!("`soloist stop {}` ends it", status.name),
                Code::PortHeld => {
                    format!("`soloist takeover {}` ends it, or choose another port", status.name)
                }
                _ if status.state == "ready" => format!("`soloist logs {}` shows what it wrote", status.name),
                _ => format!("`soloist status {}` tells more", status.name),
            };
            let said = Problem::new(refusal.code, format!("{}: {}", status.name, refusal.detail)).hint(hint);
            let holder = held_by(&self.services[at].place).filter(|_| refusal.code == Code::ClaimHeld);
            return Some(Err(said.holder(holder.as_ref().map(convert::holder_to_api))));
        }
        match self.project.status(at).state {
            Word::Ready if verb == Verb::Restart && self.project.is_on_trial(at) => {
                problem(Code::NotReady, noted("serves on as it is after the time it had"))
            }
            Word::Ready | Word::Running | Word::Scheduled | Word::Completed => Some(Ok(status)),
            Word::Failed => problem(Code::Error, noted("failed")),
            // It runs on no more, and that was a success: a program that does its work and ends.
            Word::Stopped if status.exit.is_some_and(|e| e.code == Some(0)) => Some(Ok(status)),
            Word::Stopped => problem(Code::NotRunning, noted("was stopped")),
            Word::Backoff => problem(Code::Unhealthy, noted("does not stay up")),
            // It is wanted as before, but there is nothing here to restart.
            Word::Standby if verb == Verb::Restart => problem(Code::ClaimHeld, noted("stands by")),
            Word::Standby
            | Word::Conflict
            | Word::Claiming
            | Word::Starting
            | Word::Unhealthy
            | Word::Stopping => {
                if !is_late {
                    return None;
                }
                problem(Code::NotReady, format!("is {} after the time it had", status.state))
            }
        }
    }

    fn judge_down(&self, at: usize, is_late: bool) -> Option<Result<ServiceStatus, Problem>> {
        let status = self.status_at(at);
        if self.is_quiet(at) {
            return Some(Ok(status));
        }
        // Somebody wants it up again meanwhile: this stop is overtaken.
        let is_up_again = status.wanted == "up" && self.project.status(at).state == Word::Ready;
        if is_up_again && !self.project.is_stop_pending(at) {
            let said = format!("{} was started again before it was down", status.name);
            let hint = format!("`soloist history {}` tells who wanted it", status.name);
            return Some(Err(Problem::new(Code::Overtaken, said).hint(hint)));
        }
        if !is_late {
            return None;
        }
        let note = status.note.clone().unwrap_or_else(|| format!("is {}", status.state));
        Some(Err(Problem::new(Code::Error, format!("{} does not stop: {note}", status.name))))
    }
}

/// How a change goes on.
enum Begun {
    /// It is under way here.
    Waits(usize),
    /// It is a run's, or what a run left behind: not the core's to stop.
    Elsewhere(soloist_os::layout::Place),
    /// Nothing is to be done.
    Is(Box<ServiceStatus>),
}

pub(super) fn ending() -> Problem {
    Problem::new(Code::Ending, "the daemon is about to end").hint("ask again")
}
