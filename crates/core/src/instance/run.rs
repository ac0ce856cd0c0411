//! The life of a run: it executes, its main process ends, its tree is empty, its guard is lost; and what follows.

use crate::event::{Cause, Effect, Ended, Exit, IfHeld, Note, Wanted, What};
use crate::id::{ClaimId, RunId};
use crate::instance::Instance;
use crate::plan::Kind;
use crate::restart::{Fall, Verdict};
use crate::state::{Life, Refusal, Rest, State, Why};
use crate::time::Time;

impl Instance {
    pub(super) fn spawned(&mut self, now: Time, run: RunId, pid: u32, effects: &mut Vec<Effect>) {
        if self.state.run() != Some(run) || self.lived == Some(run) {
            return;
        }
        self.lived = Some(run);
        self.pid = Some(pid);
        self.since = now;
        let fill = |note: &mut Note| {
            (note.cause, note.words) = (self.cause.clone(), self.moved.clone());
        };
        self.tell(What::Started, fill, effects);
        // The guard has ended what an earlier run left before it started this one.
        self.swept = self.claim;
        if !matches!(self.state, State::Spawning { .. }) {
            return;
        }
        match self.plan.kind {
            Kind::Job => {
                self.if_held = IfHeld::StandBy;
                self.note = None;
                self.state = State::Running { run };
            }
            Kind::Service => self.enter(now, run, effects),
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
        self.tell(What::NotStarted, |note| note.words = Some(why.clone()), effects);
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
        // Told twice it is no news.
        if self.state.run() != Some(run) || self.exit.is_some() {
            return;
        }
        self.pid = None;
        self.exit = Some(exit);
        let words = self.diagnosis.as_ref().map(|found| found.words.clone());
        let fill = |note: &mut Note| (note.exit, note.words) = (Some(exit), words.clone());
        self.tell(What::Exited, fill, effects);
        match self.state.life() {
            Some(Life::Up { .. }) => {
                self.healthy_for = self.ready_for(now);
                self.note = Some(match &words {
                    Some(words) => format!("ended with {exit}: {words}"),
                    None => format!("ended with {exit}"),
                });
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
        // Not that of a sweep, whose run never was.
        if self.lived.take() == Some(run) {
            let (exit, ran) = (self.exit, now.since(self.since));
            self.tell(What::Ended, |note| (note.exit, note.span) = (exit, Some(ran)), effects);
        }
        self.lose_ticks_of(now, run, effects);
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
            (Wanted::Up, Why::Asked) => self.look(now, effects),
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
        self.outcome = self.exit;
        let healthy_for = self.healthy_for.take();
        let fell = self.fell.take().unwrap_or(now);
        self.falls += 1;
        let diagnosis = self.diagnosis.take();
        let words = match &diagnosis {
            Some(found) => format!("{ended}: {}", found.words),
            None => ended.to_string(),
        };
        if self.plan.kind == Kind::Job {
            if self.is_recurring() {
                // To the next one that waits, or to rest.
                self.agenda.turn = None;
                return self.begin(now, effects);
            }
            self.want(Wanted::Down, effects);
            let rest = if ended.is_success(&self.plan) { Rest::Completed } else { Rest::Failed };
            return self.release(now, rest, effects);
        }
        // Out of its hours nothing follows.
        if !self.is_due() {
            return self.release(now, Rest::Scheduled, effects);
        }
        // Without a gate a run is ready as soon as it executes: that alone shows nothing.
        let has_served = healthy_for.is_some_and(|span| span >= self.plan.backoff.reset_after);
        let hopeless = diagnosis.filter(|found| found.is_final && !has_served).map(|found| found.words);
        let fall = Fall { ended: &ended, ready_for: healthy_for, hopeless };
        let verdict = self.restarts.judge(&self.plan, fall, now, &mut self.random);
        let words = match verdict {
            Verdict::Exhausted => {
                let (count, period) = (self.restarts.total, self.plan.limit.period.as_secs());
                format!("{words}; given up after {count} restarts within {period} s")
            }
            Verdict::Again(_) | Verdict::Done | Verdict::Failed => words,
        };
        match verdict {
            Verdict::Again(delay) => {
                self.cause = Some(Cause::Crash);
                let fill = |note: &mut Note| {
                    (note.span, note.reason, note.words) =
                        (Some(delay), Some(ended.word()), Some(words.clone()));
                };
                self.tell(What::Restarting, fill, effects);
                let left = delay.saturating_sub(now.since(fell));
                if left.is_zero() {
                    return self.begin(now, effects);
                }
                self.state = State::Backoff { until: now + left };
            }
            // Until its window opens again.
            Verdict::Done if self.has_hours() => self.release(now, Rest::Scheduled, effects),
            Verdict::Done => {
                self.want(Wanted::Down, effects);
                self.release(now, Rest::Stopped, effects);
            }
            Verdict::Failed | Verdict::Exhausted => {
                self.tell(What::Failed, |note| note.words = Some(words.clone()), effects);
                self.note = Some(words);
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
                self.tell(What::GuardLost, |_| {}, effects);
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
