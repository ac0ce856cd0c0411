//! The life of a run: it executes, its main process ends, its tree is empty, its guard is lost; and what follows.

use std::time::Duration;

use crate::event::{Effect, Ended, Exit, IfHeld, Wanted};
use crate::id::{ClaimId, RunId};
use crate::instance::Instance;
use crate::plan::Kind;
use crate::restart::Verdict;
use crate::state::{Life, Refusal, Rest, State, Why};
use crate::time::Time;

impl Instance {
    pub(super) fn spawned(&mut self, now: Time, run: RunId, pid: u32, effects: &mut Vec<Effect>) {
        if self.state.run() != Some(run) {
            return;
        }
        self.pid = Some(pid);
        self.since = now;
        // The guard has ended what an earlier run left before it started this one.
        self.swept = self.claim;
        if !matches!(self.state, State::Spawning { .. }) {
            return;
        }
        match self.plan.kind {
            Kind::Job { .. } => {
                self.if_held = IfHeld::StandBy;
                self.state = State::Running { run };
            }
            Kind::Service if self.plan.ports.is_empty() => self.serve(now, run),
            Kind::Service => self.probe(now, run, 0, now + self.plan.ready_timeout, effects),
        }
    }

    pub(super) fn spawn_failed(
        &mut self,
        now: Time,
        run: RunId,
        why: String,
        is_final: bool,
        effects: &mut Vec<Effect>,
    ) {
        if self.state.run() != Some(run) {
            return;
        }
        self.note = Some(why.clone());
        // While it stops, what follows is known already.
        if !matches!(self.state, State::Stopping { .. }) {
            self.state = self.stopping(now, run, Why::Ended(Ended::NotStarted { why, is_final }));
        }
        self.tree_emptied(now, run, effects);
    }

    pub(super) fn main_exited(
        &mut self,
        now: Time,
        run: RunId,
        exit: Exit,
        is_tree_left: bool,
        effects: &mut Vec<Effect>,
    ) {
        if self.state.run() != Some(run) {
            return;
        }
        self.pid = None;
        self.exit = Some(exit);
        match self.state.life() {
            Some(Life::Up { .. }) => {
                self.healthy_for = self.ready_for(now);
                self.note = Some(format!("ended with {exit}"));
                if is_tree_left {
                    self.stop_tree(now, Why::Ended(Ended::Exited(exit)), effects);
                } else {
                    self.state = self.stopping(now, run, Why::Ended(Ended::Exited(exit)));
                }
            }
            // Asked for, or already judged; the rest of the tree is on its way.
            Some(Life::Ending { .. }) | None => {}
        }
    }

    /// Nothing of the run lives: what follows?
    pub(super) fn tree_emptied(&mut self, now: Time, run: RunId, effects: &mut Vec<Effect>) {
        if self.state.run() != Some(run) {
            return;
        }
        self.pid = None;
        if self.is_sweeping {
            self.swept = self.claim;
        }
        let why = match self.state.life() {
            Some(Life::Ending { why, .. }) => why.clone(),
            // Its end was not told before: the guard's last report got lost, not the fact.
            Some(Life::Up { .. }) => {
                self.healthy_for = self.ready_for(now);
                Why::Ended(Ended::Unseen)
            }
            None => return,
        };
        match (self.wanted, why) {
            (Wanted::Down, _) => self.free(now, effects),
            (Wanted::Up, Why::Asked) => {
                self.due = now;
                self.look(now, effects);
            }
            (Wanted::Up, Why::Conflict) => {
                let strangers = match self.refusal.take() {
                    Some(Refusal::Ports(strangers)) => strangers,
                    Some(Refusal::Held(_) | Refusal::NotReady(_) | Refusal::Error(_)) | None => Vec::new(),
                };
                self.meet_strangers(now, strangers, effects);
            }
            (Wanted::Up, Why::Ended(ended)) => self.judge(now, ended, effects),
        }
    }

    /// A run ended by itself and the instance is still wanted.
    pub(super) fn judge(&mut self, now: Time, ended: Ended, effects: &mut Vec<Effect>) {
        let healthy_for = self.healthy_for.take();
        if let Kind::Job { every } = self.plan.kind {
            let rest = match every {
                Some(every) => Rest::Scheduled { at: self.next_due(now, every) },
                None => {
                    self.want(Wanted::Down, effects);
                    if ended.is_success(&self.plan) { Rest::Completed } else { Rest::Failed }
                }
            };
            return self.release(now, rest, effects);
        }
        match self.restarts.judge(&self.plan, &ended, healthy_for, now, &mut self.random) {
            Verdict::Again(Duration::ZERO) => self.begin(now, effects),
            Verdict::Again(delay) => self.state = State::Backoff { until: now + delay },
            Verdict::Done => {
                self.want(Wanted::Down, effects);
                self.release(now, Rest::Stopped, effects);
            }
            Verdict::Failed => {
                self.note = Some(ended.to_string());
                self.release(now, Rest::Failed, effects);
            }
            Verdict::Exhausted => {
                let limit = self.plan.limit;
                self.note = Some(format!(
                    "{ended}; given up after {} restarts within {} s",
                    self.restarts.total,
                    limit.period.as_secs()
                ));
                self.release(now, Rest::Failed, effects);
            }
        }
    }

    pub(super) fn guard_lost(&mut self, now: Time, claim: ClaimId, effects: &mut Vec<Effect>) {
        if self.claim != Some(claim) {
            return;
        }
        match self.state.life() {
            Some(Life::Up { run }) => {
                self.healthy_for = self.ready_for(now);
                self.note = Some("its guard was killed; what it left is being ended".into());
                self.sweep(now, run, Why::Ended(Ended::Unseen), effects);
            }
            Some(Life::Ending { run, why }) => {
                let why = why.clone();
                self.sweep(now, run, why, effects);
            }
            // No tree: the next run gets a new guard.
            None => {}
        }
    }
}
