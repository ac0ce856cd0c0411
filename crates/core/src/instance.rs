//! The instance: one machine for servers, workers and jobs. Every event is answered in every state; what a state does
//! not expect is either late (its id is not the current one) or changes only what is wanted. Here are the door, the
//! claim, the ports, time and the steps; `instance/` has what people ask for, the life of a run, and takeovers.

mod asked;
mod run;
mod takeover;

use std::time::Duration;

use crate::event::{Cause, Effect, Ended, Event, Exit, IfHeld, Listening, Said, Wanted};
use crate::id::{AskId, ClaimId, RunId};
use crate::plan::{Kind, Plan};
use crate::random::Random;
use crate::restart::Restarts;
use crate::state::{Refusal, Rest, State, Status, Why};
use crate::time::Time;

/// How long an answer of the driver may take before the question is asked again or given up.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How often a held claim or port is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// Beyond the grace: after this the kill is ordered again, and it is said that something does not die.
const STOP_MARGIN: Duration = Duration::from_secs(10);
/// The first pause between two looks at a starting server's ports, doubled up to the last.
const PROBE_FIRST: Duration = Duration::from_millis(5);
const PROBE_LAST: Duration = Duration::from_millis(100);

/// The state machine of one instance.
#[derive(Clone, Debug)]
pub struct Instance {
    plan: Plan,
    state: State,
    wanted: Wanted,
    if_held: IfHeld,
    claim: Option<ClaimId>,
    pid: Option<u32>,
    /// Start of the current run, or of the current state.
    since: Time,
    exit: Option<Exit>,
    note: Option<String>,
    refusal: Option<Refusal>,
    restarts: Restarts,
    /// How long the run that is ending had been ready, if it ever was.
    healthy_for: Option<Duration>,
    /// What follows a run that ended unseen, once what it may have left is ended.
    unseen: Option<Why>,
    /// Whether the stop at work is a sweep: the guard that knew the tree is gone.
    is_sweeping: bool,
    /// To wait for what it needs when it comes up again.
    is_deferred: bool,
    /// Under this claim a sweep found nothing more to end.
    swept: Option<ClaimId>,
    /// When a job's current or last run was due: the next is counted from it.
    due: Time,
    random: Random,
    asked: u64,
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
            since: now,
            exit: None,
            note: None,
            refusal: None,
            restarts: Restarts::default(),
            healthy_for: None,
            unseen: None,
            is_sweeping: false,
            is_deferred: false,
            swept: None,
            due: now,
            random: Random::new(seed),
            asked: 0,
            revision: 0,
        }
    }

    /// When `DeadlinePassed` is to be given if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Time> {
        self.state.deadline()
    }

    /// What it was declared as.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A changed declaration: it counts from the next decision on.
    pub fn replan(&mut self, plan: Plan) {
        self.plan = plan;
    }

    /// The claim it holds.
    pub fn claim(&self) -> Option<ClaimId> {
        self.claim
    }

    /// What is told of it.
    pub fn status(&self) -> Status {
        let next = match self.state {
            State::Backoff { until } => Some(until),
            State::Scheduled { at } => Some(at),
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
            cause: None,
            said: Said::default(),
            exit: self.exit,
            note: self.note.clone(),
            refusal: self.refusal.clone(),
            next,
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
                    self.due = now;
                    self.begin(now, effects);
                }
            }
            Event::NeedsFailed { why } => {
                if self.state == State::Waiting {
                    self.note = Some(why.clone());
                    self.refusal = Some(Refusal::Error(why));
                    self.want(Wanted::Down, effects);
                    self.state = State::Stopped;
                }
            }
            Event::StopAsked { cause } => self.stop_asked(now, cause, effects),
            Event::RestartAsked { cause } => self.restart_asked(now, cause, effects),
            Event::ClaimGranted { ask, claim } => self.claim_granted(now, ask, claim, effects),
            Event::ClaimHeld { ask, by } => self.claim_refused(now, ask, Refusal::Held(by), effects),
            Event::ClaimFailed { ask, why } => self.claim_refused(now, ask, Refusal::Error(why), effects),
            Event::PortsSeen { ask, strangers } => self.ports_seen(now, ask, strangers, effects),
            Event::Spawned { run, pid } => self.spawned(now, run, pid, effects),
            Event::SpawnFailed { run, why, is_final } => self.spawn_failed(now, run, why, is_final, effects),
            Event::PortsChecked { ask, seen } => self.ports_checked(now, ask, seen, effects),
            Event::Probed { .. } | Event::Notified { .. } | Event::OverMemory { .. } => {}
            Event::MainExited { run, exit, is_tree_left, diagnosis: _ } => {
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
            Event::Adopted { claim, run, pid, exit, since, wanted, was_ready: _, notice: _, print: _ } => {
                self.adopted(now, (claim, run, pid), exit, since, wanted, effects);
            }
            Event::EndedUnseen { exit, is_tree_left, wanted } => {
                self.ended_unseen(now, exit, is_tree_left, wanted, effects);
            }
            Event::DeadlinePassed => self.deadline_passed(now, effects),
        }
        if self.state.word() != before && self.state.run().is_none() {
            self.since = now;
        }
    }

    // ---- the claim

    fn claim_granted(&mut self, now: Time, ask: AskId, claim: ClaimId, effects: &mut Vec<Effect>) {
        if !matches!(self.state, State::Claiming { ask: current, .. } if current == ask) {
            // An answer to a question that was given up: let it go, whatever we hold now is another one. The same one
            // told twice is not let go: it is in use.
            if self.claim != Some(claim) {
                effects.push(Effect::Release { claim });
            }
            return;
        }
        self.claim = Some(claim);
        match (self.wanted, self.unseen.take()) {
            (_, Some(why)) => {
                let run = RunId(self.random.next());
                self.sweep(now, run, why, effects);
            }
            (Wanted::Up, None) => self.look(now, effects),
            (Wanted::Down, None) => self.release(now, Rest::Stopped, effects),
        }
    }

    fn claim_refused(&mut self, now: Time, ask: AskId, refusal: Refusal, effects: &mut Vec<Effect>) {
        if !matches!(self.state, State::Claiming { ask: current, .. } if current == ask) {
            return;
        }
        let (Refusal::Held(text) | Refusal::Error(text)) = &refusal else { return };
        self.note = Some(text.clone());
        self.refusal = Some(refusal);
        self.stand_aside(now, State::Standby { retry_at: now + RETRY }, effects);
    }

    /// Somebody else is at work: wait for a better time if asked to, else want it no more.
    fn stand_aside(&mut self, now: Time, waiting: State, effects: &mut Vec<Effect>) {
        self.state = match (self.wanted, self.plan.kind, self.if_held) {
            (Wanted::Down, _, _) if self.unseen.is_some() => waiting,
            (Wanted::Down, _, _) => State::Stopped,
            // A job that is due while somebody else runs it is skipped, not queued.
            (Wanted::Up, Kind::Job { every: Some(every) }, _) => {
                State::Scheduled { at: self.next_due(now, every) }
            }
            (Wanted::Up, _, IfHeld::StandBy) => waiting,
            (Wanted::Up, _, IfHeld::Refuse) => {
                self.want(Wanted::Down, effects);
                if self.unseen.is_some() { waiting } else { State::Stopped }
            }
        };
    }

    fn released(&mut self, now: Time, claim: ClaimId, effects: &mut Vec<Effect>) {
        // Anything else is an answer to an old order: a claim that is in use is not let go by it.
        let State::Releasing { claim: current, rest, .. } = self.state else { return };
        if current != claim {
            return;
        }
        self.claim = None;
        self.state = match rest {
            Rest::Stopped => State::Stopped,
            Rest::Waiting => State::Waiting,
            Rest::Failed => State::Failed,
            Rest::Completed => State::Completed,
            Rest::Scheduled { at } => State::Scheduled { at },
            Rest::Conflict { retry_at } => State::Conflict { retry_at },
            Rest::Again => {
                self.due = now;
                return self.begin(now, effects);
            }
        };
    }

    // ---- the ports

    fn ports_seen(&mut self, now: Time, ask: AskId, strangers: Vec<String>, effects: &mut Vec<Effect>) {
        match self.state {
            State::Looking { ask: current, .. } if current == ask => {
                match (self.wanted, strangers.is_empty()) {
                    (Wanted::Down, _) => self.release(now, Rest::Stopped, effects),
                    (Wanted::Up, true) => self.spawn(now, effects),
                    (Wanted::Up, false) => self.meet_strangers(now, strangers, effects),
                }
            }
            State::Freeing { ask: current, .. } if current == ask => match self.wanted {
                Wanted::Up => self.look(now, effects),
                Wanted::Down => {
                    if !strangers.is_empty() {
                        self.note =
                            Some(format!("stopped, but its port is in use: {}", strangers.join("; ")));
                    }
                    self.release(now, Rest::Stopped, effects);
                }
            },
            State::Looking { .. }
            | State::Freeing { .. }
            | State::Stopped
            | State::Waiting
            | State::Claiming { .. }
            | State::Standby { .. }
            | State::Spawning { .. }
            | State::Probing { .. }
            | State::Ready { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Releasing { .. }
            | State::Backoff { .. }
            | State::Failed
            | State::Conflict { .. }
            | State::Scheduled { .. }
            | State::Completed => {}
        }
    }

    /// Holding the claim with an empty tree, while others are on the ports.
    fn meet_strangers(&mut self, now: Time, strangers: Vec<String>, effects: &mut Vec<Effect>) {
        if self.swept != self.claim {
            // They may be what an earlier run left: end that, and look again.
            let run = RunId(self.random.next());
            return self.sweep(now, run, Why::Asked, effects);
        }
        self.note = Some(strangers.join("; "));
        self.refusal = Some(Refusal::Ports(strangers));
        let rest = match (self.if_held, self.plan.kind) {
            // A job that is due while its place is taken is skipped, not dropped.
            (_, Kind::Job { every: Some(every) }) => Rest::Scheduled { at: self.next_due(now, every) },
            (IfHeld::StandBy, _) => Rest::Conflict { retry_at: now + RETRY },
            (IfHeld::Refuse, _) => {
                self.want(Wanted::Down, effects);
                Rest::Stopped
            }
        };
        self.release(now, rest, effects);
    }

    fn ports_checked(&mut self, now: Time, ask: AskId, seen: Listening, effects: &mut Vec<Effect>) {
        let State::Probing { run, ask: current, rounds, give_up_at, .. } = self.state else { return };
        if current != Some(ask) {
            return;
        }
        match seen {
            Listening::Ours => self.serve(now, run),
            Listening::NotYet => {
                let pause = PROBE_FIRST.saturating_mul(1 << rounds.min(10)).min(PROBE_LAST);
                self.state =
                    State::Probing { run, ask: None, probe_at: now + pause, rounds: rounds + 1, give_up_at };
            }
            // Two servers on one port: half of the requests would go to the wrong one.
            Listening::Strangers(strangers) => {
                self.note = Some(strangers.join("; "));
                self.refusal = Some(Refusal::Ports(strangers));
                self.stop_tree(now, Why::Conflict, effects);
            }
        }
    }

    // ---- time

    fn deadline_passed(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.state.deadline().is_none_or(|at| at > now) {
            return;
        }
        match &self.state {
            State::Claiming { ask, .. } => {
                let ask = *ask;
                self.claim_refused(now, ask, Refusal::Error("no answer about the claim".into()), effects);
            }
            State::Standby { .. } | State::Conflict { .. } | State::Backoff { .. } => {
                self.begin(now, effects)
            }
            State::Scheduled { at } => {
                self.due = *at;
                self.begin(now, effects);
            }
            State::Looking { .. } => self.look(now, effects),
            State::Freeing { .. } => self.free(now, effects),
            State::Spawning { .. } => self.stop_tree(now, Why::Ended(Ended::NotReady), effects),
            State::Probing { run, rounds, give_up_at, .. } => {
                let (run, rounds, give_up_at) = (*run, *rounds, *give_up_at);
                if give_up_at <= now {
                    let said = format!("not ready after {} s", self.plan.ready_timeout.as_secs_f64());
                    self.note = Some(said.clone());
                    self.refusal = Some(Refusal::NotReady(said));
                    self.stop_tree(now, Why::Ended(Ended::NotReady), effects);
                } else {
                    self.probe(now, run, rounds, give_up_at, effects);
                }
            }
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
            | State::Running { .. }
            | State::Failed
            | State::Completed => {}
        }
    }

    // ---- steps

    /// On the way up: the claim first, unless it is held already.
    fn begin(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.is_deferred) {
            return self.release(now, Rest::Waiting, effects);
        }
        if self.claim.is_some() {
            return self.look(now, effects);
        }
        let ask = self.ask();
        self.state = State::Claiming { ask, until: now + ANSWER_LIMIT };
        effects.push(Effect::AskClaim { ask });
    }

    fn look(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.is_deferred) {
            return self.release(now, Rest::Waiting, effects);
        }
        if self.plan.ports.is_empty() {
            return self.spawn(now, effects);
        }
        let ask = self.ask();
        self.state = State::Looking { ask, until: now + ANSWER_LIMIT };
        effects.push(Effect::LookAtPorts { ask });
    }

    fn spawn(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Some(claim) = self.claim else { return self.begin(now, effects) };
        let run = RunId(self.random.next());
        self.exit = None;
        self.refusal = None;
        self.healthy_for = None;
        self.unseen = None;
        self.is_sweeping = false;
        // The guard may first have to end, with all patience, what an earlier run left.
        let until = now + self.plan.stop_grace + STOP_MARGIN + ANSWER_LIMIT;
        self.state = State::Spawning { run, until };
        effects.push(Effect::Spawn { claim, run, cause: Cause::Crash });
    }

    fn probe(&mut self, now: Time, run: RunId, rounds: u32, give_up_at: Time, effects: &mut Vec<Effect>) {
        let ask = self.ask();
        self.state = State::Probing { run, ask: Some(ask), probe_at: now, rounds, give_up_at };
        effects.push(Effect::CheckPorts { ask, run });
    }

    /// It serves. Whoever asked for a start has their answer; from here on it is kept up.
    fn serve(&mut self, now: Time, run: RunId) {
        self.if_held = IfHeld::StandBy;
        self.state = State::Ready { run, since: now };
    }

    fn stop_tree(&mut self, now: Time, why: Why, effects: &mut Vec<Effect>) {
        let (Some(run), Some(claim)) = (self.state.run(), self.claim) else { return };
        self.state = self.stopping(now, run, why);
        effects.push(Effect::StopTree { claim, run, grace: self.plan.stop_grace });
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
        if self.plan.ports.is_empty() {
            return self.release(now, Rest::Stopped, effects);
        }
        let ask = self.ask();
        self.state = State::Freeing { ask, until: now + ANSWER_LIMIT };
        effects.push(Effect::LookAtPorts { ask });
    }

    fn release(&mut self, now: Time, rest: Rest, effects: &mut Vec<Effect>) {
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
        }
    }

    fn ask(&mut self) -> AskId {
        self.asked += 1;
        AskId(self.asked)
    }

    fn ready_for(&self, now: Time) -> Option<Duration> {
        match self.state {
            State::Ready { since, .. } => Some(now.since(since)),
            _ => None,
        }
    }

    /// The first moment of the job's rhythm that is not past: missed ones are skipped, and the rhythm does not drift.
    fn next_due(&self, now: Time, every: Duration) -> Time {
        let passed = now.since(self.due).as_nanos() / every.as_nanos().max(1) + 1;
        self.due + every.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX))
    }

    /// Whether it waits for another instance.
    pub fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }
}
