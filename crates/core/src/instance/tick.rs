//! Ticks: the turns of a worker that lives on. Given when it is ready, answered over its notify socket, lost with it.

use crate::event::{Answer, Effect, Ended, What};
use crate::id::{RunId, TickId};
use crate::instance::Instance;
use crate::instance::agenda::{CLOSED, Turn};
use crate::instance::turns::AT_WORK;
use crate::schedule::Overlap;
use crate::state::State;
use crate::time::Time;

/// A tick that is not answered yet.
#[derive(Clone, Debug)]
pub(super) struct Out {
    pub(super) tick: TickId,
    run: RunId,
    pub(super) since: Time,
}

impl Instance {
    pub(super) fn take_tick(&mut self, now: Time, turn: Turn, effects: &mut Vec<Effect>) {
        let is_ready = matches!(self.state, State::Ready { .. });
        match self.overlap() {
            Overlap::Skip | Overlap::Replace | Overlap::Allow if !is_ready => {
                self.skip(1, ("blocked", "its worker is not ready"), effects);
            }
            Overlap::Skip | Overlap::Replace if !self.agenda.ticks.is_empty() => {
                self.skip(1, AT_WORK, effects);
            }
            Overlap::Skip | Overlap::Replace | Overlap::Allow => self.give_tick(now, turn, effects),
            Overlap::Queue => self.enqueue(now, turn, effects),
        }
    }

    fn give_tick(&mut self, now: Time, turn: Turn, effects: &mut Vec<Effect>) {
        let (Some(claim), Some(run)) = (self.claim, self.state.run()) else { return };
        let tick = TickId(self.random.next());
        self.agenda.ticks.push(Out { tick, run, since: now });
        effects.push(Effect::Tick { claim, run, tick, scheduled: turn.due });
        self.tell(What::Ticked, |note| note.cause = Some(turn.cause), effects);
    }

    /// A tick that another daemon gave.
    pub(super) fn adopt_tick(&mut self, now: Time, run: RunId, tick: TickId) {
        if self.agenda.ticks.iter().all(|out| out.tick != tick) {
            self.agenda.ticks.push(Out { tick, run, since: now });
        }
    }

    pub(super) fn answered(&mut self, now: Time, answers: Vec<Answer>, effects: &mut Vec<Effect>) {
        for answer in answers {
            let Some(at) = self.agenda.ticks.iter().position(|out| out.tick == answer.tick) else { continue };
            let out = self.agenda.ticks.remove(at);
            let words = match (answer.is_ok, &answer.summary) {
                (true, summary) => summary.clone(),
                (false, Some(summary)) => Some(format!("error: {summary}")),
                (false, None) => Some("error".to_owned()),
            };
            self.tell_answer(now, &out, if answer.is_ok { "ok" } else { "error" }, words, effects);
            self.agenda.answer = Some(answer);
        }
    }

    /// No answer comes any more.
    fn lose_ticks(&mut self, now: Time, why: &str, effects: &mut Vec<Effect>) {
        for out in std::mem::take(&mut self.agenda.ticks) {
            self.tell_answer(now, &out, "lost", Some(why.to_owned()), effects);
        }
    }

    /// The worker is gone.
    pub(super) fn lose_ticks_of(&mut self, now: Time, run: RunId, effects: &mut Vec<Effect>) {
        if self.agenda.ticks.iter().any(|out| out.run == run) {
            self.lose_ticks(now, "the worker ended before it answered", effects);
        }
    }

    fn tell_answer(
        &self,
        now: Time,
        out: &Out,
        reason: &'static str,
        words: Option<String>,
        effects: &mut Vec<Effect>,
    ) {
        let span = Some(now.since(out.since));
        self.tell(
            What::Answered,
            |note| {
                (note.run, note.span, note.reason, note.words) = (Some(out.run), span, Some(reason), words);
            },
            effects,
        );
    }

    /// When its run has taken as long as it may; of a worker that is ticked, its oldest tick.
    pub(super) fn overtime_at(&self) -> Option<Time> {
        let longest = self.plan.max_runtime?;
        match self.is_ticked() {
            true => self.agenda.ticks.first().map(|out| out.since + longest),
            false => Some(self.since + longest),
        }
    }

    pub(super) fn give_up_turn(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let span = self.plan.max_runtime.unwrap_or_default().as_secs_f64();
        self.lose_ticks(now, &format!("no answer in {span} s"), effects);
        self.give_up(now, Ended::Overtime, effects);
    }

    /// What is to be given, lost or ended.
    pub(super) fn attend_ticks(&mut self, now: Time, effects: &mut Vec<Effect>) {
        // A run may be given up with its claim, its end unheard.
        if let Some(run) =
            self.agenda.ticks.first().map(|out| out.run).filter(|run| self.state.run() != Some(*run))
        {
            self.lose_ticks_of(now, run, effects);
        }
        if !self.is_ticked() {
            return;
        }
        let is_ready = matches!(self.state, State::Ready { .. });
        if is_ready
            && self.agenda.ticks.is_empty()
            && let Some(turn) = self.agenda.queue.pop_front()
        {
            self.give_tick(now, turn, effects);
        }
        // Out of its hours nobody is there to take what waits.
        if !self.is_due() && !self.is_up() {
            self.drop_queue(CLOSED, effects);
        }
        let is_idle = self.agenda.ticks.is_empty() && (self.agenda.queue.is_empty() || !is_ready);
        if self.agenda.is_closing && is_idle {
            self.agenda.is_closing = false;
            self.drop_queue(("blocked", "its worker is not ready"), effects);
            if self.is_up() {
                self.stop_at_close(now, self.plan.stop_grace, effects);
            }
        }
    }
}
