//! The project: its instances in their order. What is needed starts first, what needs it stops first. It decides
//! when an instance is told; what the instance then does is its own matter. Who follows when one falls, or when its
//! declaration changes, who takes the runs for which it has no time, and who stands in during a restart, is in `project/`.

mod follow;
mod index;
mod lanes;
mod stand_in;

use crate::event::{Cause, Effect, Ended, Event, IfHeld, Wanted};
use crate::id::Print;
use crate::instance::{Instance, Legacy};
use crate::plan::{Condition, Kind, Plan, Strategy};
use crate::project::index::Index;
use crate::project::stand_in::Trial;
use crate::schedule::civil::Clock;
use crate::state::{Status, Word};
use crate::time::Time;

/// Orders of a project's instances: the position of the instance and what it orders.
pub type Orders = Vec<(usize, Effect)>;

/// All instances of a project.
#[derive(Clone, Debug, Default)]
pub struct Project {
    members: Vec<Member>,
    index: Index,
    strategy: Strategy,
    /// How the wall clock stands, once that was told.
    clock: Option<Clock>,
    /// Whom something happened to since it was last asked.
    touched: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Member {
    name: String,
    instance: Instance,
    /// To be stopped once all that need it are down.
    stop_after: Option<Cause>,
    /// A new run is tried beside its own.
    trial: Option<Trial>,
    /// Its run does not listen where it is declared to.
    is_elsewhere: bool,
    /// It is declared no more.
    is_removed: bool,
}

impl Project {
    /// No instances yet.
    pub fn new() -> Project {
        Project::default()
    }

    /// Who else is restarted when one falls.
    pub fn set_strategy(&mut self, strategy: Strategy) {
        self.strategy = strategy;
    }

    /// Adds an instance and returns its position, which stays.
    pub fn add(&mut self, name: &str, plan: Plan, seed: u64, now: Time) -> usize {
        let mut instance = Instance::new(plan, seed, now);
        if let Some(clock) = self.clock {
            instance.set_clock(clock);
        }
        self.index.add(name, instance.plan());
        self.members.push(Member {
            name: name.to_owned(),
            instance,
            stop_after: None,
            trial: None,
            is_elsewhere: false,
            is_removed: false,
        });
        let at = self.members.len() - 1;
        self.note(at);
        at
    }

    /// The wall clock was set, or is told for the first time. Who is added later knows it too.
    pub fn set_clock(&mut self, now: Time, clock: Clock, orders: &mut Orders) {
        self.clock = Some(clock);
        for at in 0..self.members.len() {
            self.tell(now, at, Event::ClockSet { clock }, orders);
        }
        self.settle(now, orders);
    }

    /// An earlier daemon has followed the schedule of an instance. Told of what is wanted, before its start or adoption.
    pub fn remember(&mut self, at: usize, legacy: Legacy) {
        self.members[at].instance.remember(legacy);
        self.note(at);
    }

    /// The position of an instance.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.index.position(name)
    }

    /// The name at a position.
    pub fn name(&self, at: usize) -> &str {
        &self.members[at].name
    }

    /// The instance at a position.
    pub fn instance(&self, at: usize) -> &Instance {
        &self.members[at].instance
    }

    /// Those whom something happened to since this was last asked.
    pub fn take_touched(&mut self) -> Vec<usize> {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// A declaration, new or changed: it counts from the next decision on, and what runs is left alone.
    pub fn replan(&mut self, now: Time, at: usize, plan: Plan, print: Print) {
        self.members[at].is_removed = false;
        self.index.unplan(at, self.members[at].instance.plan());
        self.index.plan(at, &plan);
        self.members[at].instance.replan(now, plan, print);
        self.note(at);
    }

    /// So many instances.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What is told of an instance.
    pub fn status(&self, at: usize) -> Status {
        self.with_stand_in(at, self.members[at].instance.status())
    }

    /// The earliest deadline of all.
    pub fn next_deadline(&self) -> Option<Time> {
        let next = self.index.next_deadline();
        debug_assert_eq!(next, self.members.iter().filter_map(|m| m.instance.next_deadline()).min());
        next
    }

    /// Something happened to an instance.
    pub fn handle(&mut self, now: Time, at: usize, event: Event, orders: &mut Orders) {
        self.tell(now, at, event, orders);
        self.settle(now, orders);
    }

    /// Tells every instance whose deadline has come.
    pub fn expire(&mut self, now: Time, orders: &mut Orders) {
        for at in self.index.due_by(now) {
            if self.members[at].instance.next_deadline().is_some_and(|deadline| deadline <= now) {
                self.tell(now, at, Event::DeadlinePassed, orders);
            }
        }
        self.settle(now, orders);
    }

    /// Wants an instance up from now on, whoever stands in its way; says whether it was not wanted before. One that waits
    /// for a better time is to try now, one that is up is left alone.
    pub fn up(&mut self, now: Time, at: usize, cause: Cause, orders: &mut Orders) -> bool {
        let status = self.status(at);
        let is_new = status.wanted == Wanted::Down || matches!(status.state, Word::Failed | Word::Completed);
        let is_waiting =
            matches!(status.state, Word::Backoff | Word::Standby | Word::Conflict | Word::Stopping);
        if is_new || is_waiting {
            self.start(now, at, cause, IfHeld::StandBy, orders);
        }
        is_new
    }

    /// Starts an instance, and what it needs before it.
    pub fn start(&mut self, now: Time, at: usize, cause: Cause, if_held: IfHeld, orders: &mut Orders) {
        self.send_up(now, at, cause, if_held, orders);
        self.settle(now, orders);
    }

    /// Nobody is judged in between: of what an instance needs, the second is not on its way when the first one starts.
    fn send_up(&mut self, now: Time, at: usize, cause: Cause, if_held: IfHeld, orders: &mut Orders) {
        self.keep(at);
        let unmet = self.unmet(at);
        if unmet.is_empty() {
            self.tell(now, at, Event::StartAsked { cause, if_held }, orders);
        } else {
            self.defer(now, at, cause, if_held, unmet, orders);
        }
    }

    /// Has one run of an instance begin, whatever its schedule says, and starts what it needs before it.
    pub fn run(&mut self, now: Time, at: usize, cause: Cause, orders: &mut Orders) {
        self.keep(at);
        self.tell(now, at, Event::RunAsked { cause }, orders);
        if self.members[at].instance.wanted() == Wanted::Up && !self.members[at].instance.is_up() {
            self.start_unmet(now, at, IfHeld::StandBy, true, orders);
        }
        self.settle(now, orders);
    }

    /// Has an instance wait for others, and starts those that are not on their way.
    fn defer(
        &mut self,
        now: Time,
        at: usize,
        cause: Cause,
        if_held: IfHeld,
        unmet: Vec<usize>,
        orders: &mut Orders,
    ) {
        let names: Vec<&str> = unmet.iter().map(|need| self.name(*need)).collect();
        let needs = names.join(", ");
        let is_asked = cause != Cause::Takeover;
        self.tell(now, at, Event::StartDeferred { cause, if_held, needs }, orders);
        self.start_unmet(now, at, if_held, is_asked, orders);
    }

    /// What was given up is tried again only because somebody asks, not because another daemon took over.
    fn start_unmet(&mut self, now: Time, at: usize, if_held: IfHeld, is_asked: bool, orders: &mut Orders) {
        let cause = Cause::Dependency(self.name(at).to_owned());
        for need in self.unmet(at) {
            let is_given_up = self.members[need].instance.word() == Word::Failed && !is_asked;
            if !is_given_up && !self.is_on_its_way(need) {
                self.send_up(now, need, cause.clone(), if_held, orders);
            }
        }
    }

    /// The last word counts: a stop that still waits is taken back, of this one and of all that it needs.
    fn keep(&mut self, at: usize) {
        self.members[at].stop_after = None;
        for need in self.needs(at) {
            if self.members[need].stop_after.is_some() {
                self.keep(need);
            }
        }
    }

    /// Stops an instance, and what needs it before it.
    pub fn stop(&mut self, now: Time, at: usize, cause: Cause, orders: &mut Orders) {
        let dependents: Vec<usize> = self.index.dependents(self.name(at)).collect();
        let because = Cause::Dependency(self.name(at).to_owned());
        self.members[at].trial = None;
        for other in dependents.into_iter().chain(self.lanes(at)).chain(self.stand_in(at)) {
            if !self.is_down(other) {
                self.stop(now, other, because.clone(), orders);
            }
        }
        self.members[at].stop_after = Some(cause);
        self.note(at);
        self.settle(now, orders);
    }

    /// Gives a running instance a new run, or starts it. If two may overlap, the new one is tried beside the old one.
    pub fn restart(&mut self, now: Time, at: usize, cause: Cause, orders: &mut Orders) {
        let is_wanted = self.members[at].instance.wanted() == Wanted::Up;
        if !is_wanted || self.is_down(at) || self.members[at].instance.is_waiting() {
            let if_held = self.members[at].instance.if_held_again();
            return self.start(now, at, cause, if_held, orders);
        }
        self.keep(at);
        let unmet = self.unmet(at);
        if unmet.is_empty() && self.try_beside(now, at, &cause, orders) {
            return self.settle(now, orders);
        }
        self.tell(now, at, Event::RestartAsked { cause: cause.clone() }, orders);
        if !unmet.is_empty() {
            // It comes up again once they are there: they may have been declared, or stopped, since it came up.
            self.defer(now, at, cause, IfHeld::StandBy, unmet, orders);
        }
        self.settle(now, orders);
    }

    /// Whether it is to be stopped once all that need it are down.
    pub fn is_stop_pending(&self, at: usize) -> bool {
        self.members[at].stop_after.is_some()
    }

    /// Whether nothing of it lives, holds a claim or will start by itself.
    pub fn is_down(&self, at: usize) -> bool {
        matches!(self.members[at].instance.word(), Word::Stopped | Word::Failed | Word::Completed)
    }

    fn tell(&mut self, now: Time, at: usize, mut event: Event, orders: &mut Orders) {
        if let Event::PortsSeen { free, .. } = &mut event {
            free.retain(|port| !self.is_of_another(at, *port));
        }
        let falls = self.members[at].instance.falls();
        let mut effects = Vec::new();
        self.members[at].instance.handle(now, event, &mut effects);
        orders.extend(effects.into_iter().map(|effect| (at, effect)));
        self.note(at);
        if self.members[at].instance.falls() != falls {
            self.spread(now, at, orders);
        }
        self.lend(now, at, orders);
        self.touch_base(at);
    }

    /// Something happened to an instance: what is known of it without a look may be another now.
    fn note(&mut self, at: usize) {
        let member = &self.members[at];
        self.touched.push(at);
        self.index.set_due(at, member.instance.next_deadline());
        if member.instance.is_waiting() || member.stop_after.is_some() {
            self.index.waiting.insert(at);
        }
    }

    /// Whether a port was given to another instance, or is declared by one: nobody may listen on it yet. Who stands in has
    /// those of its instance.
    fn is_of_another(&self, at: usize, port: u16) -> bool {
        let kin = [Some(at), self.base(at), self.stand_in(at)];
        let others = self.members.iter().enumerate().filter(|(other, _)| !kin.contains(&Some(*other)));
        { others }.any(|(_, member)| {
            let declared = &member.instance.plan().ports;
            member.instance.ports().contains(&port) || !member.is_removed && declared.contains(&port)
        })
    }

    /// Goes on with whatever waited for what has just happened, until nothing more follows. Each round takes at least
    /// one instance out of waiting, so it ends.
    fn settle(&mut self, now: Time, orders: &mut Orders) {
        loop {
            let members = &self.members;
            self.index
                .waiting
                .retain(|at| members[*at].instance.is_waiting() || members[*at].stop_after.is_some());
            let next = self.index.waiting.iter().find_map(|at| Some((*at, self.step(*at)?)));
            let Some((at, event)) = next else {
                let paired: Vec<usize> = self.index.paired.iter().copied().collect();
                if paired.into_iter().any(|at| self.follow_stand_in(now, at, orders)) {
                    continue;
                }
                return;
            };
            if let Event::StopAsked { .. } = event {
                self.members[at].stop_after = None;
            }
            self.tell(now, at, event, orders);
        }
    }

    fn step(&self, at: usize) -> Option<Event> {
        let member = &self.members[at];
        if let Some(cause) = &member.stop_after {
            return (!self.is_needed(at)).then(|| Event::StopAsked { cause: cause.clone() });
        }
        if !member.instance.is_waiting() {
            return None;
        }
        let unmet = self.unmet(at);
        if unmet.is_empty() {
            return Some(Event::NeedsMet);
        }
        let lost = unmet.into_iter().find(|need| !self.is_on_its_way(*need))?;
        let status = self.status(lost);
        let note = status.note.map_or(String::new(), |note| format!(" ({note})"));
        Some(Event::NeedsFailed {
            why: format!("it needs {}, which is {}{note}", self.name(lost), status.state),
        })
    }

    /// Whether anything that needs it is not down.
    fn is_needed(&self, at: usize) -> bool {
        self.index.dependents(self.name(at)).any(|other| !self.is_down(other))
    }

    fn needs(&self, at: usize) -> Vec<usize> {
        self.needs_of(at).map(|(need, _)| need).collect()
    }

    fn needs_of(&self, at: usize) -> impl Iterator<Item = (usize, Condition)> {
        let needs = &self.members[at].instance.plan().needs;
        needs.iter().filter_map(|need| Some((self.position(&need.on)?, need.until)))
    }

    /// Those that it needs and that are not as far as they must be.
    fn unmet(&self, at: usize) -> Vec<usize> {
        self.needs_of(at).filter(|(need, until)| !self.is_met(*need, *until)).map(|(need, _)| need).collect()
    }

    fn is_met(&self, at: usize, until: Condition) -> bool {
        let instance = &self.members[at].instance;
        let status = instance.status();
        let is_job = instance.plan().kind != Kind::Service;
        // An end counts once nothing of the run lives.
        let exit = instance.outcome().filter(|_| status.run.is_none());
        let has_succeeded = exit.is_some_and(|exit| Ended::Exited(exit).is_success(instance.plan()));
        match until {
            Condition::Started => status.pid.is_some() && status.state != Word::Stopping || exit.is_some(),
            Condition::Ready if is_job => status.state == Word::Completed || has_succeeded,
            Condition::Ready => status.state == Word::Ready,
            Condition::Completed => status.state == Word::Completed || exit.is_some(),
            Condition::CompletedSuccessfully => status.state == Word::Completed || has_succeeded,
        }
    }

    fn is_on_its_way(&self, at: usize) -> bool {
        self.members[at].instance.wanted() == Wanted::Up && !self.is_down(at)
    }
}
