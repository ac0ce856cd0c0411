//! The way of a run to ready, and whether it stays so: its gates (startup probe, ports, its own word, readiness probe), then
//! readiness and liveness probes, the watchdog and the longest time it may take.

use std::time::Duration;

use crate::event::{Effect, Ended, IfHeld, Notice, ProbeKind, Watchdog, What};
use crate::health::Tries;
use crate::id::{AskId, RunId};
use crate::instance::Instance;
use crate::plan::{Kind, Probe};
use crate::state::{Gate, Life, Refusal, State, Why};
use crate::time::Time;

/// The last pause between two looks at a starting server's ports.
const LOOK_LAST: Duration = Duration::from_millis(100);
/// How long a look at the ports may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

impl Instance {
    // ---- the gates

    /// It executes: to the first gate that it has.
    pub(super) fn enter(&mut self, now: Time, run: RunId, effects: &mut Vec<Effect>) {
        let (first, patience) = match self.plan.startup {
            // As in Kubernetes its patience is its own: so many tries, so far apart.
            Some(probe) => (
                Some(Gate::Startup(Tries::new(now + probe.initial_delay))),
                probe.initial_delay + probe.period.saturating_mul(probe.failure_threshold),
            ),
            None => (self.gate_of_ports(now), self.plan.ready_timeout),
        };
        self.go_through(now, run, first, now + patience, effects);
    }

    fn gate_of_ports(&self, now: Time) -> Option<Gate> {
        if !self.plan.ports.is_empty() {
            return Some(Gate::Ports(Tries::new(now)));
        }
        self.gate_of_notice(now)
    }

    fn gate_of_notice(&self, now: Time) -> Option<Gate> {
        if self.plan.notifies && !self.health.has_said_ready {
            return Some(Gate::Notice);
        }
        let probe = self.plan.readiness?;
        Some(Gate::Readiness(Tries::new(now + probe.initial_delay)))
    }

    fn go_through(
        &mut self,
        now: Time,
        run: RunId,
        gate: Option<Gate>,
        give_up_at: Time,
        effects: &mut Vec<Effect>,
    ) {
        match gate {
            Some(gate) => {
                self.state = State::Probing { run, gate, give_up_at };
                self.try_gate(now, effects);
            }
            None => self.serve(now, run, effects),
        }
    }

    /// The gate is passed: to the next, or to ready.
    pub(super) fn pass(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let State::Probing { run, ref gate, give_up_at } = self.state else { return };
        let (next, give_up_at) = match gate {
            Gate::Startup(_) => (self.gate_of_ports(now), now + self.plan.ready_timeout),
            Gate::Ports(_) => (self.gate_of_notice(now), give_up_at),
            Gate::Notice => {
                let first = |probe: Probe| Gate::Readiness(Tries::new(now + probe.initial_delay));
                (self.plan.readiness.map(first), give_up_at)
            }
            Gate::Readiness(_) => (None, give_up_at),
        };
        self.go_through(now, run, next, give_up_at, effects);
    }

    /// Asks what the gate asks, if it is time.
    pub(super) fn try_gate(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let ask = AskId(self.asked + 1);
        let State::Probing { run, gate, .. } = &mut self.state else { return };
        let run = *run;
        match gate {
            Gate::Ports(tries) if tries.is_due(now) => {
                tries.ask(now, ask, LOOK_TIMEOUT);
                effects.push(Effect::CheckPorts { ask, run });
            }
            Gate::Startup(tries) if tries.is_due(now) => {
                let timeout = self.plan.startup.unwrap_or_default().timeout;
                tries.ask(now, ask, timeout);
                effects.push(Effect::Probe { ask, run, kind: ProbeKind::Startup, timeout });
            }
            Gate::Readiness(tries) if tries.is_due(now) => {
                let timeout = self.plan.readiness.unwrap_or_default().timeout;
                tries.ask(now, ask, timeout);
                effects.push(Effect::Probe { ask, run, kind: ProbeKind::Readiness, timeout });
            }
            Gate::Ports(_) | Gate::Startup(_) | Gate::Readiness(_) | Gate::Notice => return,
        }
        self.asked = ask.0;
    }

    /// The ports are not, or not all, listened on yet.
    pub(super) fn look_again(&mut self, now: Time) {
        if let State::Probing { gate: Gate::Ports(tries), .. } = &mut self.state {
            tries.again_soon(now, LOOK_LAST);
        }
    }

    /// It serves. Whoever asked for a start has their answer; from here on it is kept up.
    pub(super) fn serve(&mut self, now: Time, run: RunId, effects: &mut Vec<Effect>) {
        self.if_held = IfHeld::StandBy;
        self.state = State::Ready { run };
        self.health.ready_since = Some(now);
        self.health.alive_at = now;
        // What led here is history.
        self.note = None;
        self.arm(now);
        let took = now.since(self.since);
        self.tell(What::Ready, |note| note.span = Some(took), effects);
    }

    /// Sets the probes of a ready run going.
    pub(super) fn arm(&mut self, now: Time) {
        let first = |probe: &Probe| Tries::new(now + probe.period.max(probe.initial_delay));
        self.health.readiness = self.plan.readiness.filter(|probe| !probe.is_once).as_ref().map(first);
        self.health.liveness = self.plan.liveness.as_ref().map(first);
    }

    // ---- answers

    pub(super) fn probed(
        &mut self,
        now: Time,
        ask: AskId,
        outcome: Result<(), String>,
        effects: &mut Vec<Effect>,
    ) {
        match &mut self.state {
            State::Probing { gate, .. } => {
                let (tries, probe) = match gate {
                    Gate::Startup(tries) => (tries, self.plan.startup),
                    Gate::Readiness(tries) => (tries, self.plan.readiness),
                    Gate::Ports(_) | Gate::Notice => return,
                };
                if !tries.take(ask) {
                    return;
                }
                let probe = probe.unwrap_or_default();
                let is_passed = tries.count(now, &probe, outcome.is_ok()) == Some(true);
                tries.again_soon(now, probe.period);
                self.health.words = outcome.err();
                if is_passed {
                    self.pass(now, effects);
                }
            }
            State::Ready { run } | State::Unhealthy { run } => {
                let run = *run;
                let kind = if self.health.readiness.as_mut().is_some_and(|tries| tries.take(ask)) {
                    ProbeKind::Readiness
                } else if self.health.liveness.as_mut().is_some_and(|tries| tries.take(ask)) {
                    ProbeKind::Liveness
                } else {
                    return;
                };
                self.judge_health(now, run, kind, outcome, effects);
            }
            State::Stopped
            | State::Waiting
            | State::Claiming { .. }
            | State::Standby { .. }
            | State::Looking { .. }
            | State::Spawning { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Freeing { .. }
            | State::Releasing { .. }
            | State::Backoff { .. }
            | State::Failed
            | State::Conflict { .. }
            | State::Scheduled
            | State::Completed => {}
        }
    }

    fn judge_health(
        &mut self,
        now: Time,
        run: RunId,
        kind: ProbeKind,
        outcome: Result<(), String>,
        effects: &mut Vec<Effect>,
    ) {
        let (tries, probe) = match kind {
            ProbeKind::Liveness => (&mut self.health.liveness, self.plan.liveness),
            ProbeKind::Readiness | ProbeKind::Startup => (&mut self.health.readiness, self.plan.readiness),
        };
        let (Some(tries), Some(probe)) = (tries, probe) else { return };
        let verdict = tries.count(now, &probe, outcome.is_ok());
        let words = outcome.err().map_or(String::new(), |why| format!("its {kind} probe failed: {why}"));
        match (kind, verdict) {
            (_, None) | (ProbeKind::Liveness | ProbeKind::Startup, Some(true)) => {}
            (ProbeKind::Readiness, Some(true)) => {
                if matches!(self.state, State::Unhealthy { .. }) {
                    self.note = None;
                    self.state = State::Ready { run };
                    self.tell(What::Ready, |_| {}, effects);
                }
            }
            (ProbeKind::Readiness, Some(false)) => {
                if matches!(self.state, State::Ready { .. }) {
                    self.state = State::Unhealthy { run };
                    self.tell(What::Unhealthy, |note| note.words = Some(words.clone()), effects);
                }
                self.note = Some(words);
            }
            (ProbeKind::Liveness | ProbeKind::Startup, Some(false)) => {
                self.give_up(now, Ended::Unhealthy(words), effects);
            }
        }
    }

    /// What the service says of itself.
    pub(super) fn notified(&mut self, now: Time, run: RunId, notice: Notice, effects: &mut Vec<Effect>) {
        if self.state.run() != Some(run) {
            return;
        }
        self.answered(now, notice.answers, effects);
        self.health.said = notice.said;
        self.health.is_reloading = notice.is_reloading;
        self.health.has_said_ready |= notice.is_ready;
        self.pid = notice.main.or(self.pid);
        self.health.watchdog_every = notice.watchdog_every.or(self.health.watchdog_every);
        match notice.watchdog {
            Some(Watchdog::Alive) => self.health.alive_at = now,
            Some(Watchdog::Trigger) => return self.give_up(now, Ended::Watchdog, effects),
            None => {}
        }
        if let (State::Probing { give_up_at: until, .. } | State::Stopping { until, .. }, Some(span)) =
            (&mut self.state, notice.extend)
        {
            *until = (*until).max(now + span);
        }
        if notice.is_ready && matches!(self.state, State::Probing { gate: Gate::Notice, .. }) {
            self.pass(now, effects);
        }
    }

    // ---- time

    /// When a run that lives must be looked at, whatever its state waits for.
    pub(super) fn health_deadline(&self) -> Option<Time> {
        let is_up = matches!(self.state.life(), Some(Life::Up { .. })) && self.pid.is_some();
        let overtime = self.overtime_at().filter(|_| is_up);
        let is_watched = matches!(self.state, State::Ready { .. } | State::Unhealthy { .. });
        let tries = [&self.health.readiness, &self.health.liveness];
        let probes = tries.into_iter().flatten().map(Tries::deadline).filter(|_| is_watched);
        probes.chain(self.watchdog_deadline().filter(|_| is_watched)).chain(overtime).min()
    }

    fn watchdog_deadline(&self) -> Option<Time> {
        let every = self.health.watchdog_every.or(self.plan.watchdog)?;
        (!every.is_zero()).then(|| self.health.alive_at + every)
    }

    /// Looks at a run that lives; says whether it was given up.
    pub(super) fn look_at_health(&mut self, now: Time, effects: &mut Vec<Effect>) -> bool {
        let Some(Life::Up { run }) = self.state.life() else { return false };
        let is_overtime = self.overtime_at().is_some_and(|at| at <= now);
        if is_overtime && self.pid.is_some() {
            self.give_up_turn(now, effects);
            return true;
        }
        if !matches!(self.state, State::Ready { .. } | State::Unhealthy { .. }) {
            return false;
        }
        if self.watchdog_deadline().is_some_and(|at| at <= now) {
            self.give_up(now, Ended::Watchdog, effects);
            return true;
        }
        // Liveness first: of a run that it gives up nothing more is asked.
        for kind in [ProbeKind::Liveness, ProbeKind::Readiness] {
            self.try_probe(now, run, kind, effects);
            if !matches!(self.state, State::Ready { .. } | State::Unhealthy { .. }) {
                return true;
            }
        }
        false
    }

    fn try_probe(&mut self, now: Time, run: RunId, kind: ProbeKind, effects: &mut Vec<Effect>) {
        let ask = AskId(self.asked + 1);
        let (tries, probe) = match kind {
            ProbeKind::Liveness => (&mut self.health.liveness, self.plan.liveness),
            ProbeKind::Readiness | ProbeKind::Startup => (&mut self.health.readiness, self.plan.readiness),
        };
        let (Some(tries), Some(probe)) = (tries, probe) else { return };
        if let Some(late) = tries.overdue(now) {
            return self.probed(now, late, Err("no answer".to_owned()), effects);
        }
        if tries.is_due(now) {
            tries.ask(now, ask, probe.timeout);
            self.asked = ask.0;
            effects.push(Effect::Probe { ask, run, kind, timeout: probe.timeout });
        }
    }

    /// The time of a gate has come: to try again, or to give up.
    pub(super) fn gate_deadline(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let State::Probing { ref gate, give_up_at, .. } = self.state else { return };
        if give_up_at <= now {
            let gate = match gate {
                Gate::Startup(_) => "its startup probe did not pass",
                Gate::Ports(_) => "it does not listen on its ports",
                Gate::Notice => "it did not say READY=1",
                Gate::Readiness(_) => "its readiness probe did not pass",
            };
            let last = self.health.words.take().map_or(String::new(), |words| format!(": {words}"));
            let after = (now.since(self.since).as_secs_f64() * 10.0).round() / 10.0;
            let said = format!("not ready after {after} s: {gate}{last}");
            self.refusal = Some(Refusal::NotReady(said.clone()));
            self.note = Some(said.clone());
            return self.stop_tree(now, Why::Ended(Ended::NotReady(said)), effects);
        }
        match gate {
            Gate::Startup(tries) | Gate::Readiness(tries) => match tries.overdue(now) {
                Some(late) => self.probed(now, late, Err("no answer".to_owned()), effects),
                None => self.try_gate(now, effects),
            },
            Gate::Ports(tries) => match tries.overdue(now) {
                Some(late) => self.ports_checked(now, late, crate::event::Listening::NotYet, effects),
                None => self.try_gate(now, effects),
            },
            Gate::Notice => {}
        }
    }

    /// A run that lives and should not any more: stopped, and judged as ended by itself.
    pub(super) fn give_up(&mut self, now: Time, ended: Ended, effects: &mut Vec<Effect>) {
        if !matches!(self.state.life(), Some(Life::Up { .. })) {
            return;
        }
        self.healthy_for = self.ready_for(now);
        self.note = Some(ended.to_string());
        self.stop_tree(now, Why::Ended(ended), effects);
    }

    /// How long the run has been ready, if it ever was.
    pub(super) fn ready_for(&self, now: Time) -> Option<Duration> {
        let is_service = self.plan.kind == Kind::Service;
        self.health.ready_since.filter(|_| is_service).map(|since| now.since(since))
    }
}
