//! The operator, who changes her mind: what she asks for, what she may therefore expect, and what excuses that it is
//! otherwise.

use std::collections::VecDeque;
use std::sync::Arc;

use soloist_core::event::{Cause, Ended, Event, Exit, IfHeld, Listening, Wanted};
use soloist_core::id::Print;
use soloist_core::plan::{Condition, Kind, OverMemory, Plan, Restart};
use soloist_core::schedule::Trigger;
use soloist_core::schedule::civil::Moment;
use soloist_core::schedule::window::Override;
use soloist_core::state::Word;
use soloist_core::time::Time;

use super::daemon::Daemon;
use super::machine::Program;
use super::plans::{self, Sort, draw_plan};
use super::schedules::every;
use super::{World, name};

/// What the operator last asked of an instance, and what may explain that it is not so.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// None if it was started for another's sake and may end as it likes.
    pub wanted: Option<Wanted>,
    /// Its claim or port was held, or could not be asked for.
    pub is_refused: bool,
    /// A run of it ended by itself, or did not start.
    pub has_ended: bool,
    /// Trying again could not help.
    pub is_final: bool,
    /// Something else than a crash may be why the next run starts.
    pub explains_a_start: bool,
    pub restarts: Vec<Time>,
    /// When runs fell that another is to follow.
    pub falls: VecDeque<Time>,
    /// Runs that were ordered because the one before had fallen, as the history would tell a new daemon.
    pub crashes: Vec<Time>,
    pub starts: Vec<Time>,
}

impl Wish {
    /// Somebody asked for it: a new series begins.
    pub fn forget_restarts(&mut self) {
        self.restarts.clear();
        self.falls.clear();
        self.crashes.clear();
    }
}

impl World {
    fn cause() -> Cause {
        Cause::User("somebody".to_owned())
    }

    fn wish(&mut self, at: usize, wanted: Wanted) {
        // What is being stopped because it ended is judged first.
        let is_ending = self.word(at) == Some(Word::Stopping);
        let wish = &mut self.wishes[at];
        // A lane comes and goes with the runs that are lent to it.
        wish.wanted = Some(wanted).filter(|_| self.lane_of[at].is_none());
        if wanted == Wanted::Up {
            (wish.is_refused, wish.has_ended) = (false, is_ending);
            wish.is_final &= is_ending;
            wish.explains_a_start = true;
            wish.forget_restarts();
        }
    }

    /// It, and every service it needs; what becomes of a job that it needs is the job's matter.
    fn wish_up(&mut self, at: usize) {
        self.wish(at, Wanted::Up);
        for (need, until) in self.conditions(at) {
            if self.plans[need].kind != Kind::Service || until != Condition::Ready {
                let is_kept = self.wishes[need].wanted == Some(Wanted::Up) && self.is_up(need);
                if !is_kept {
                    self.wish_either(need);
                }
            } else if self.is_on_its_way(need) {
                self.wishes[need].wanted = Some(Wanted::Up);
                self.wish_kept(need);
            } else {
                self.wish_up(need);
            }
        }
    }

    /// What is wanted and not at rest is not started once more for another's sake.
    fn is_on_its_way(&self, at: usize) -> bool {
        self.daemon
            .as_ref()
            .is_some_and(|daemon| daemon.statuses[at].wanted == Wanted::Up && !daemon.is_down(at))
    }

    /// It may have to run first, with all that it needs, or may have done so.
    fn wish_either(&mut self, at: usize) {
        let wish = &mut self.wishes[at];
        wish.wanted = None;
        wish.explains_a_start = true;
        wish.forget_restarts();
        for need in self.needs(at) {
            self.wish_either(need);
        }
    }

    /// A new daemon starts it again, and with it what it needs, wanted or not; what fell for good only if somebody asked.
    pub fn wish_again(&mut self, at: usize, is_asked: bool) {
        for need in self.needs(at) {
            match self.wishes[need].wanted {
                Some(Wanted::Up) => {
                    if is_asked && self.word(need).is_some_and(is_down) {
                        self.wishes[need].explains_a_start = true;
                        self.wishes[need].forget_restarts();
                    }
                    self.wish_again(need, is_asked);
                }
                Some(Wanted::Down) | None => self.wish_either(need),
            }
        }
    }

    /// What it needs is not started anew, but a stop that waits for it is taken back.
    fn wish_kept(&mut self, at: usize) {
        for need in self.needs(at) {
            if self.page[need].is_some() && self.wishes[need].wanted == Some(Wanted::Down) {
                let is_service = self.plans[need].kind == Kind::Service;
                self.wishes[need].wanted = is_service.then_some(Wanted::Up);
                self.wish_kept(need);
            }
        }
    }

    /// The declaration is the last word: a stop that waits may be taken back for what needs it from now on, or wait on.
    fn wish_open(&mut self, at: usize) {
        for need in self.needs(at) {
            if self.wishes[need].wanted == Some(Wanted::Down) && self.word(need).is_some_and(|w| !is_down(w))
            {
                self.wishes[need].wanted = None;
                self.wish_open(need);
            }
        }
    }

    fn wish_down(&mut self, at: usize) {
        for other in 0..self.plans.len() {
            if self.needs(other).contains(&at) && self.word(other).is_some_and(|word| !is_down(word)) {
                self.wish_down(other);
            }
        }
        self.wish(at, Wanted::Down);
    }

    pub fn needs(&self, at: usize) -> Vec<usize> {
        self.conditions(at).into_iter().map(|(need, _)| need).collect()
    }

    /// What it needs, and how far each must be.
    pub fn conditions(&self, at: usize) -> Vec<(usize, Condition)> {
        let until = |need: usize| self.plans[at].needs.iter().find(|n| n.on == name(need)).map(|n| n.until);
        (0..at).filter_map(|need| Some((need, until(need)?))).collect()
    }

    fn is_up(&self, at: usize) -> bool {
        self.wishes[at].wanted == Some(Wanted::Up)
            && self.word(at).is_some_and(|word| !matches!(word, Word::Failed | Word::Completed))
    }

    pub fn ask_start(&mut self, at: usize, if_held: IfHeld) {
        if self.daemon.is_none() || self.removed[at] {
            return;
        }
        self.machine.say(|| format!("somebody starts {at}, {if_held:?}"));
        self.wish_up(at);
        let now = self.machine.now;
        self.decide(|project, orders| project.start(now, at, World::cause(), if_held, orders));
    }

    pub fn ask_stop(&mut self, at: usize) {
        if self.daemon.is_none() {
            return;
        }
        self.machine.say(|| format!("somebody stops {at}"));
        self.wish_down(at);
        let now = self.machine.now;
        self.decide(|project, orders| project.stop(now, at, World::cause(), orders));
    }

    pub fn ask_restart(&mut self, at: usize) {
        if self.daemon.is_none() || self.removed[at] {
            return;
        }
        self.machine.say(|| format!("somebody restarts {at}"));
        self.wish_up(at);
        self.note_trial(at);
        let now = self.machine.now;
        self.decide(|project, orders| project.restart(now, at, World::cause(), orders));
    }

    /// She saves a file of it, at once or a while ago.
    pub fn change_file(&mut self, at: usize) {
        let Some(daemon) = self.daemon.as_ref().filter(|_| !self.removed[at]) else { return };
        let status = &daemon.statuses[at];
        let (now, ago) = (self.machine.now, self.machine.random.span(0, 3000));
        let changed = Time(now.0.saturating_sub(ago));
        self.machine.say(|| format!("a file of {at} has changed {ago:?} ago"));
        let is_old = status.pid.is_some() && status.since < changed;
        let is_wanted = status.wanted == Wanted::Up && !daemon.project.is_stop_pending(at);
        if is_wanted && (is_old || matches!(status.state, Word::Stopping | Word::Backoff | Word::Failed)) {
            self.machine.count("files changed");
            self.wish_up(at);
            self.note_trial(at);
        }
        let cause = Cause::File("a file".to_owned());
        self.decide(|project, orders| project.renew(now, at, changed, cause, orders));
    }

    /// She wants one run now, whatever the schedule says.
    pub fn ask_run(&mut self, at: usize) {
        if self.daemon.is_none() || self.removed[at] || self.plans[at].schedule.is_none() {
            return;
        }
        self.machine.say(|| format!("somebody runs {at} now"));
        self.machine.count("runs asked for");
        match self.wishes[at].wanted {
            Some(Wanted::Up) => self.wish_again(at, true),
            Some(Wanted::Down) | None => self.wish_either(at),
        }
        self.wishes[at].explains_a_start = true;
        self.wishes[at].forget_restarts();
        self.note_asked(at);
        let now = self.machine.now;
        self.decide(|project, orders| project.run(now, at, World::cause(), orders));
    }

    pub fn ask_up(&mut self) {
        for at in 0..self.bases() {
            if !self.is_up(at) {
                self.ask_start(at, IfHeld::StandBy);
            }
        }
    }

    pub fn ask_down(&mut self) {
        (0..self.bases()).for_each(|at| self.ask_stop(at));
    }

    // ---- the declarations

    /// She edits soloist.toml: one is declared otherwise, or no more, or again.
    pub fn edit(&mut self, at: usize) {
        if self.daemon.is_none() {
            return;
        }
        self.machine.count("declarations changed");
        let is_needed = (0..self.plans.len()).any(|other| self.needs(other).contains(&at));
        if !self.removed[at] && !is_needed && self.machine.random.percent(30) {
            self.machine.say(|| format!("{at} is declared no more"));
            self.removed[at] = true;
            if self.word(at).is_some_and(|word| !is_down(word)) {
                self.wish_down(at);
            }
        } else {
            let sorts: Vec<Sort> = self.plans.iter().map(|plan| (plan.kind, plan.schedule.clone())).collect();
            let plan = draw_plan(&mut self.machine.random, at, &sorts);
            let plan = plans::overlapping(plan, self.plans[at].stand_in.clone());
            self.machine.say(|| format!("{at} is declared as {plan:?}"));
            for lane in self.lanes(at) {
                self.declare(lane, plans::lane(&plan));
            }
            self.declare(at, plan);
        }
        let is_stale = |world: &World, at| {
            world.daemon.as_ref().is_some_and(|daemon| daemon.project.instance(at).is_stale())
        };
        for at in 0..self.plans.len() {
            if !self.removed[at] && is_stale(self, at) {
                let wish = &mut self.wishes[at];
                wish.explains_a_start = true;
                wish.forget_restarts();
                if self.daemon.as_ref().is_some_and(|daemon| {
                    daemon.project.instance(at).is_up() && !daemon.project.is_stop_pending(at)
                }) {
                    self.wish_up(at);
                    self.note_trial(at);
                }
            }
        }
        let declared: Vec<usize> = (0..self.plans.len()).filter(|at| !self.removed[self.base(*at)]).collect();
        let now = self.machine.now;
        self.decide(|project, orders| drop(project.reconcile(now, &declared, None, orders)));
    }

    fn declare(&mut self, at: usize, plan: Plan) {
        let tempers = self.machine.programs[at].tempers.clone();
        self.machine.programs[at] = Program::of(&plan, tempers);
        self.plans[at] = plan;
        self.prints[at] += 1;
        self.removed[at] = false;
        self.wishes[at].restarts.clear();
        self.wish_open(at);
        // What is on its way does not turn back for what it needs from now on.
        let needs = self.needs(at);
        self.past.met[at].extend(needs);
        self.replan(at);
    }

    fn replan(&mut self, at: usize) {
        let (now, plan, print) = (self.machine.now, self.plans[at].clone(), Print(self.prints[at]));
        self.decide(|project, _| project.replan(now, at, plan, print));
        self.daemon.iter_mut().for_each(Daemon::refresh_all);
    }

    /// She pauses a schedule or goes on with it, changes its interval, or opens or closes its window for a while.
    pub fn reschedule(&mut self, at: usize) {
        self.count_dues();
        let second = self.machine.wall().0 / 1000;
        let random = &mut self.machine.random;
        let Some(schedule) = self.plans[at].schedule.as_mut().filter(|_| !self.removed[at]) else { return };
        if self.daemon.is_none() {
            return;
        }
        match random.below(4) {
            0 if schedule.interval().is_some() => {
                schedule.triggers.retain(|trigger| !matches!(trigger, Trigger::Every(_)));
                schedule.triggers.push(every(random));
            }
            1 if schedule.window.is_some() => {
                let mut window = schedule.window.as_deref().cloned();
                let (from, is_open) = (second + random.below(30) as i64 - 10, random.percent(50));
                let until = from + 11 + random.below(60) as i64;
                let (from, until) = (Moment(from * 1000), Moment(until * 1000));
                window.iter_mut().for_each(|window| window.overrides.push(Override { from, until, is_open }));
                schedule.window = window.map(Arc::new);
            }
            _ => {
                schedule.is_paused = !schedule.is_paused;
                self.paused[at] = schedule.is_paused.then_some(self.furthest);
            }
        }
        let schedule = schedule.clone();
        self.machine.say(|| format!("{at} is rescheduled: {schedule:?}"));
        self.machine.count("schedules changed");
        self.follow_anew(at);
        self.replan(at);
    }

    // ---- what may explain an outcome

    pub fn note_excuse(&mut self, at: usize, event: &Event) {
        let plan = &self.plans[at];
        let wish = &mut self.wishes[at];
        match event {
            Event::ClaimHeld { .. }
            | Event::ClaimFailed { .. }
            | Event::PortsChecked { seen: Listening::Strangers(_), .. } => {
                wish.is_refused = true;
                wish.explains_a_start = true;
            }
            Event::PortsSeen { strangers, .. } if !strangers.is_empty() => {
                wish.is_refused = true;
                wish.explains_a_start = true;
            }
            Event::ClaimReplaced { .. } => wish.explains_a_start = true,
            Event::OverMemory { .. } => {
                wish.has_ended = true;
                wish.is_final |= plan.over_memory == OverMemory::Stop;
            }
            Event::MainExited { exit, diagnosis: Some(found), .. } if found.is_final => {
                wish.has_ended = true;
                wish.is_final |= found.is_final || Ended::Exited(*exit).is_final(plan);
            }
            Event::MainExited { exit, .. }
            | Event::Adopted { exit: Some(exit), .. }
            | Event::EndedUnseen { exit: Some(exit), .. } => {
                wish.has_ended = true;
                wish.is_final |= Ended::Exited(*exit).is_final(plan) || *exit == Exit::Code(0);
            }
            Event::SpawnFailed { is_final, .. } => {
                wish.has_ended = true;
                wish.is_final |= *is_final;
            }
            Event::GuardLost { .. } | Event::TreeEmptied { .. } | Event::EndedUnseen { exit: None, .. } => {
                wish.has_ended = true
            }
            _ => {}
        }
        let is_choosy = matches!(plan.restart, Restart::No | Restart::OnSuccess | Restart::OnAbnormal);
        wish.is_final |= is_choosy && wish.has_ended;
    }
}

/// Nothing of it lives or will start by itself.
pub fn is_down(word: Word) -> bool {
    matches!(word, Word::Stopped | Word::Failed | Word::Completed)
}
