//! The instance: one machine for servers, workers and jobs. Every event is answered in every state; what a state does
//! not expect is either late (its id is not the current one) or changes only what is wanted. Here are the door, time and
//! the steps; `instance/` has what people ask for, the claim, the ports, the life of a run, its health, its schedule, and
//! takeovers.

mod agenda;
mod asked;
mod claim;
mod health;
mod hours;
mod ports;
mod run;
mod takeover;
mod tick;
mod turns;

use std::time::Duration;

use crate::event::{Cause, Diagnosis, Effect, Ended, Event, Exit, IfHeld, Note, Wanted, What};
use crate::health::Health;
use crate::id::{AskId, ClaimId, Print, RunId};
use crate::instance::agenda::Agenda;
pub use crate::instance::agenda::Legacy;
use crate::plan::Plan;
use crate::random::Random;
use crate::restart::Restarts;
use crate::state::{Life, Refusal, Rest, State, Status, Why, Word};
use crate::time::Time;

/// How long an answer of the driver may take before the question is asked again or given up.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How often a held claim or port is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// Beyond the grace: after this the kill is ordered again, and it is said that something does not die.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// The state machine of one instance.
#[derive(Clone, Debug)]
pub struct Instance {
    plan: Plan,
    state: State,
    wanted: Wanted,
    if_held: IfHeld,
    claim: Option<ClaimId>,
    pid: Option<u32>,
    /// The ports that its run was given, in the order of those declared; none before the first under this claim.
    ports: Vec<u16>,
    /// Why these are others than the declared ones, in words.
    moved: Option<String>,
    /// What it is declared as, and what its run was started from, if that is known.
    print: Print,
    run_print: Option<Print>,
    /// Why the current or last run was started, or the next one will be.
    cause: Option<Cause>,
    health: Health,
    /// The run that executed and whose end was not told yet: the history has each once.
    lived: Option<RunId>,
    /// What the last words of the run tell about its end.
    diagnosis: Option<Diagnosis>,
    /// Start of the current run, or of the current state.
    since: Time,
    exit: Option<Exit>,
    /// How the run ended that was asked for last, for those that need its end: what was stopped, or asked for anew, has yet to
    /// end for them. A job with a schedule has its last run, whenever that was.
    outcome: Option<Exit>,
    note: Option<String>,
    refusal: Option<Refusal>,
    restarts: Restarts,
    /// How long the run that is ending had been ready, if it ever was.
    healthy_for: Option<Duration>,
    /// When a run ended that no driver saw end, if that is known: the delay to the next one counts from there.
    fell: Option<Time>,
    /// What follows a run that ended unseen, once what it may have left is ended.
    unseen: Option<Why>,
    /// Whether the stop at work is a sweep: the guard that knew the tree is gone.
    is_sweeping: bool,
    /// To wait for what it needs when it comes up again.
    is_deferred: bool,
    /// Under this claim a sweep found nothing more to end.
    swept: Option<ClaimId>,
    agenda: Agenda,
    random: Random,
    asked: u64,
    /// Runs that ended by themselves so far.
    falls: u64,
    /// Events so far.
    revision: u64,
}

impl Instance {
    /// A new instance: stopped, nothing wanted. Jitter and ids come from the seed.
    pub fn new(plan: Plan, seed: u64, now: Time) -> Instance {
        Instance {
            plan,
            state: State::Stopped,
            wanted: Wanted::Down,
            if_held: IfHeld::Refuse,
            claim: None,
            pid: None,
            ports: Vec::new(),
            moved: None,
            print: Print::default(),
            run_print: None,
            cause: None,
            health: Health::default(),
            lived: None,
            diagnosis: None,
            since: now,
            exit: None,
            outcome: None,
            note: None,
            refusal: None,
            restarts: Restarts::default(),
            healthy_for: None,
            fell: None,
            unseen: None,
            is_sweeping: false,
            is_deferred: false,
            swept: None,
            agenda: Agenda::default(),
            random: Random::new(seed),
            asked: 0,
            falls: 0,
            revision: 0,
        }
    }

    /// When `DeadlinePassed` is to be given if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Time> {
        [self.state.deadline(), self.health_deadline(), self.agenda_deadline()].into_iter().flatten().min()
    }

    /// What it was declared as.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A declaration, new or changed: it counts from the next decision on, and what runs is left alone.
    pub fn replan(&mut self, now: Time, plan: Plan, print: Print) {
        let has_other_probes = (plan.readiness, plan.liveness) != (self.plan.readiness, self.plan.liveness);
        let schedule = std::mem::replace(&mut self.plan, plan).schedule;
        self.print = print;
        self.revision += 1;
        self.reschedule(now, schedule);
        if has_other_probes && matches!(self.state, State::Ready { .. } | State::Unhealthy { .. }) {
            self.arm(now);
        }
    }

    /// Whether its run was started from another declaration than the present one.
    pub fn is_stale(&self) -> bool {
        self.state.run().is_some() && self.run_print.is_some_and(|print| print != self.print)
    }

    /// How often a run of it ended by itself.
    pub fn falls(&self) -> u64 {
        self.falls
    }

    /// The claim it holds.
    pub fn claim(&self) -> Option<ClaimId> {
        self.claim
    }

    /// How it is, in a word.
    pub(crate) fn word(&self) -> Word {
        self.state.word()
    }

    /// What was asked for.
    pub(crate) fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// How it ended, for those that need its end.
    pub(crate) fn outcome(&self) -> Option<Exit> {
        self.outcome
    }

    /// Its end is asked for anew, or nobody waits for it any more.
    fn forget_outcome(&mut self) {
        if self.plan.schedule.is_none() {
            self.outcome = None;
        }
    }

    /// What is told of it.
    pub fn status(&self) -> Status {
        let next = match self.state {
            State::Backoff { until } => Some(until),
            State::Scheduled => self.begins_at(),
            State::Standby { retry_at } | State::Conflict { retry_at } => Some(retry_at),
            _ => None,
        };
        Status {
            state: self.state.word(),
            wanted: self.wanted,
            run: self.state.run(),
            pid: self.pid,
            since: self.since,
            restarts: self.restarts.total,
            cause: self.cause.clone(),
            said: self.health.said.clone(),
            is_stale: self.is_stale(),
            exit: self.exit,
            note: self.note.as_ref().or(self.moved()).cloned(),
            refusal: self.refusal.clone(),
            next,
            outlook: self.outlook(),
            revision: self.revision,
        }
    }

    /// One thing happened: changes the state and appends what is to be done, in order.
    pub fn handle(&mut self, now: Time, event: Event, effects: &mut Vec<Effect>) {
        self.revision += 1;
        let before = self.state.word();
        match event {
            Event::StartAsked { cause, if_held } => self.start_asked(now, cause, if_held, effects),
            Event::StartDeferred { cause, if_held, needs } => {
                self.start_deferred(now, cause, if_held, needs, effects)
            }
            Event::NeedsMet => {
                if self.state == State::Waiting {
                    self.begin(now, effects);
                }
            }
            Event::NeedsFailed { why } => self.needs_failed(now, why, effects),
            Event::StopAsked { cause } => self.stop_asked(now, cause, effects),
            Event::RestartAsked { cause } => self.restart_asked(now, cause, effects),
            Event::RunAsked { cause } => self.run_asked(now, cause, effects),
            Event::ClockSet { clock } => self.clock_set(now, clock),
            Event::ReloadAsked { cause } => self.reload_asked(cause, effects),
            Event::ClaimGranted { ask, claim } => self.claim_granted(now, ask, claim, effects),
            Event::ClaimHeld { ask, by } => self.claim_refused(now, ask, Refusal::Held(by), effects),
            Event::ClaimFailed { ask, why } => self.claim_refused(now, ask, Refusal::Error(why), effects),
            Event::PortsSeen { ask, strangers, free } => self.ports_seen(now, ask, strangers, free, effects),
            Event::Spawned { run, pid } => self.spawned(now, run, pid, effects),
            Event::SpawnFailed { run, why, is_final } => self.spawn_failed(now, run, why, is_final, effects),
            Event::PortsChecked { ask, seen } => self.ports_checked(now, ask, seen, effects),
            Event::Probed { ask, outcome } => self.probed(now, ask, outcome, effects),
            Event::Notified { run, notice } => self.notified(now, run, notice, effects),
            Event::OverMemory { run, what } => {
                if self.state.run() == Some(run) {
                    self.give_up(now, Ended::OverMemory(what), effects);
                }
            }
            Event::MainExited { run, exit, is_tree_left, diagnosis } => {
                self.diagnosis = diagnosis.filter(|_| self.state.run() == Some(run));
                self.main_exited(now, run, exit, is_tree_left, effects)
            }
            Event::TreeEmptied { run } => self.tree_emptied(now, run, effects),
            Event::TreeStuck { run, what } => {
                if self.state.run() == Some(run) {
                    self.note = Some(what);
                }
            }
            Event::ClaimReplaced { claim } => {
                // What we hold excludes nobody any more: let it go and claim anew.
                let rest = match self.wanted {
                    Wanted::Up => Rest::Again,
                    Wanted::Down => Rest::Stopped,
                };
                if self.claim == Some(claim)
                    && matches!(self.state, State::Spawning { .. } | State::Stopping { .. })
                {
                    self.release(now, rest, effects);
                }
            }
            Event::GuardLost { claim } => self.guard_lost(now, claim, effects),
            Event::Released { claim } => self.released(now, claim, effects),
            Event::Adopted { .. } => self.adopted(now, event, effects),
            Event::EndedUnseen { exit, ended_at, is_tree_left, wanted, recent, is_current } => {
                self.restarts.remember(recent, &self.plan.backoff);
                self.fell = ended_at;
                let counts = is_current || self.plan.schedule.is_some();
                self.ended_unseen(now, (exit, counts), is_tree_left, wanted, effects);
            }
            Event::DeadlinePassed => self.deadline_passed(now, effects),
        }
        self.attend(now, effects);
        if self.state.word() != before && self.state.run().is_none() {
            self.since = now;
        }
    }

    // ---- time

    fn deadline_passed(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.health_deadline().is_some_and(|at| at <= now) && self.look_at_health(now, effects) {
            return;
        }
        if self.state.deadline().is_none_or(|at| at > now) {
            return;
        }
        match &self.state {
            State::Claiming { ask, .. } => {
                let ask = *ask;
                self.claim_refused(now, ask, Refusal::Error("no answer about the claim".into()), effects);
            }
            State::Standby { .. } | State::Conflict { .. } | State::Backoff { .. } => {
                self.begin(now, effects);
            }
            State::Looking { .. } => match self.wanted {
                Wanted::Up => self.look(now, effects),
                Wanted::Down => self.release(now, Rest::Stopped, effects),
            },
            State::Freeing { .. } => match self.wanted {
                Wanted::Up => self.look(now, effects),
                Wanted::Down => self.free(now, effects),
            },
            State::Spawning { .. } => {
                let ended = Ended::NotReady("its guard did not start it in time".to_owned());
                self.stop_tree(now, Why::Ended(ended), effects);
            }
            State::Probing { .. } => self.gate_deadline(now, effects),
            State::Stopping { run, why, .. } => {
                let (run, why) = (*run, why.clone());
                if self.is_sweeping {
                    return self.sweep(now, run, why, effects);
                }
                self.state = self.stopping(now, run, why);
                if let Some(claim) = self.claim {
                    effects.push(Effect::KillTree { claim, run });
                }
            }
            State::Releasing { claim, rest, .. } => {
                let (claim, rest) = (*claim, *rest);
                self.state = State::Releasing { claim, until: now + ANSWER_LIMIT, rest };
                effects.push(Effect::Release { claim });
            }
            State::Stopped
            | State::Waiting
            | State::Ready { .. }
            | State::Unhealthy { .. }
            | State::Running { .. }
            | State::Failed
            | State::Scheduled
            | State::Completed => {}
        }
    }

    // ---- steps

    /// On the way up: the claim first, unless it is held already. The one door to every run: what is not due stays out.
    fn begin(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if !self.is_due() && self.unseen.is_none() {
            return self.release(now, Rest::Scheduled, effects);
        }
        if std::mem::take(&mut self.is_deferred) {
            return self.release(now, Rest::Waiting, effects);
        }
        if self.claim.is_some() {
            return self.look(now, effects);
        }
        self.take_next_turn();
        let ask = self.ask();
        self.state = State::Claiming { ask, until: now + ANSWER_LIMIT };
        effects.push(Effect::AskClaim { ask });
    }

    fn look(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if !self.is_due() {
            return self.release(now, Rest::Scheduled, effects);
        }
        if std::mem::take(&mut self.is_deferred) {
            return self.release(now, Rest::Waiting, effects);
        }
        self.take_next_turn();
        if self.plan.ports.is_empty() {
            return self.spawn(now, Vec::new(), None, effects);
        }
        let ask = self.ask();
        self.state = State::Looking { ask, until: now + ANSWER_LIMIT };
        let spares = self.plan.spares.iter().map(|(_, spares)| spares.clone()).collect();
        effects.push(Effect::LookAtPorts { ask, ports: self.plan.ports.clone(), spares });
    }

    fn spawn(&mut self, now: Time, ports: Vec<u16>, moved: Option<String>, effects: &mut Vec<Effect>) {
        let Some(claim) = self.claim else { return self.begin(now, effects) };
        (self.ports, self.moved) = (ports, moved);
        let run = RunId(self.random.next());
        (self.exit, self.outcome) = (None, None);
        self.refusal = None;
        self.diagnosis = None;
        self.health = Health::default();
        self.run_print = Some(self.print);
        self.healthy_for = None;
        self.fell = None;
        self.unseen = None;
        self.is_sweeping = false;
        // The guard may first have to end, with all patience, what an earlier run left.
        let until = now + self.plan.stop_grace + STOP_MARGIN + ANSWER_LIMIT;
        self.state = State::Spawning { run, until };
        let cause = self.cause.clone().unwrap_or(Cause::Takeover);
        effects.push(Effect::Spawn { claim, run, cause, scheduled: self.agenda.turn });
    }

    fn stop_tree(&mut self, now: Time, why: Why, effects: &mut Vec<Effect>) {
        self.stop_tree_within(now, why, self.plan.stop_grace, effects);
    }

    fn stop_tree_within(&mut self, now: Time, why: Why, grace: Duration, effects: &mut Vec<Effect>) {
        let (Some(run), Some(claim)) = (self.state.run(), self.claim) else { return };
        self.state = State::Stopping { run, until: now + grace + STOP_MARGIN, why };
        self.tell_of_stop(effects);
        effects.push(Effect::StopTree { claim, run, grace });
    }

    /// Has a new guard end what a lost one left. Ordered again at the deadline: what waits in the kernel comes back.
    fn sweep(&mut self, now: Time, run: RunId, why: Why, effects: &mut Vec<Effect>) {
        let Some(claim) = self.claim else { return };
        self.state = self.stopping(now, run, why);
        self.is_sweeping = true;
        effects.push(Effect::Sweep { claim, run, grace: self.plan.stop_grace });
    }

    fn stopping(&self, now: Time, run: RunId, why: Why) -> State {
        State::Stopping { run, until: now + self.plan.stop_grace + STOP_MARGIN, why }
    }

    /// Nothing wanted, tree empty: verify the ports, then let go.
    fn free(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let ports = self.ports().to_vec();
        if ports.is_empty() {
            return self.release(now, Rest::Stopped, effects);
        }
        let ask = self.ask();
        self.state = State::Freeing { ask, until: now + ANSWER_LIMIT };
        effects.push(Effect::LookAtPorts { ask, ports, spares: Vec::new() });
    }

    fn release(&mut self, now: Time, rest: Rest, effects: &mut Vec<Effect>) {
        // A run may be given up with its claim, its end unheard.
        self.pid = None;
        let Some(claim) = self.claim else {
            self.state = State::Releasing { claim: ClaimId(0), until: now, rest };
            return self.released(now, ClaimId(0), effects);
        };
        self.state = State::Releasing { claim, until: now + ANSWER_LIMIT, rest };
        effects.push(Effect::Release { claim });
    }

    /// Changes what is wanted. Written down before anything else is done.
    fn want(&mut self, wanted: Wanted, effects: &mut Vec<Effect>) {
        if self.wanted != wanted {
            self.wanted = wanted;
            effects.push(Effect::Record { wanted });
            if wanted == Wanted::Down {
                self.forsake(effects);
            }
        }
    }

    /// What was asked for cannot be had: it is wanted no more, and whoever asked is told why.
    fn refuse(&mut self, refusal: Refusal, effects: &mut Vec<Effect>) {
        let (reason, words) = (refusal.word(), refusal.words());
        self.note = Some(words.clone());
        self.refusal = Some(refusal);
        // Also the run that a lane was to take.
        self.miss(&words, effects);
        self.want(Wanted::Down, effects);
        self.agenda.has_closed_lanes = true;
        self.tell(What::Refused, |note| (note.reason, note.words) = (Some(reason), Some(words)), effects);
    }

    // ---- the history

    /// One line for the history, about the current run if there is one.
    fn tell(&self, what: What, fill: impl FnOnce(&mut Note), effects: &mut Vec<Effect>) {
        let run = self.state.run();
        let mut note =
            Note { what, run, cause: None, exit: None, span: None, count: None, reason: None, words: None };
        fill(&mut note);
        effects.push(Effect::Tell { note });
    }

    fn tell_of_stop(&self, effects: &mut Vec<Effect>) {
        self.tell(What::Stopping, |note| note.words.clone_from(&self.note), effects);
    }

    fn ask(&mut self) -> AskId {
        self.asked += 1;
        AskId(self.asked)
    }

    /// Whether its tree lives and is to live.
    pub fn is_up(&self) -> bool {
        matches!(self.state.life(), Some(Life::Up { .. }))
    }

    /// Whether it waits for another instance.
    pub fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }
}
