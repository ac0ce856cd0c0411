//! How an instance follows its schedule: what it has to keep in mind for that, and what it does when the time has come
//! to look at it. What is due at all is `schedule/due.rs`; windows are `instance/hours.rs`, what comes of what is
//! due `instance/turns.rs`, ticks `instance/tick.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::{Answer, Cause, Effect, LeftOut, Wanted};
use crate::instance::Instance;
use crate::instance::tick::Out;
use crate::plan::Kind;
use crate::schedule::civil::{Clock, Moment};
use crate::schedule::due::{self, Course, Due, Mark, Source};
use crate::schedule::window::Stand;
use crate::schedule::{Overlap, Schedule};
use crate::state::{Outlook, Rest, State};
use crate::time::Time;

/// A clock that is set back by more begins afresh: what has fired may fire again.
const AFRESH_AFTER: Duration = Duration::from_secs(24 * 3600);
const STOPPED: LeftOut<'_> = ("stopped", "it was stopped");
const SLEPT: LeftOut<'_> = ("missed", "missed while the machine slept");
pub(super) const CLOSED: LeftOut<'_> = ("closed", "its window has closed");

/// A run that its schedule, or somebody, wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) due: Moment,
    pub(super) cause: Cause,
}

/// How far an earlier daemon has come with a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Legacy {
    /// It was followed up to then: what was due since is late or missed.
    pub followed: Moment,
    /// Its interval goes on in the rhythm of a run that began then.
    pub beat: Moment,
    /// When the runs were due that wait for the one at work.
    pub queue: Vec<Moment>,
}

/// What an instance keeps in mind to follow its schedule.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    pub(super) clock: Option<Clock>,
    /// It follows its schedule while it is wanted; without, a run that somebody asked for is all there is.
    pub(super) is_following: bool,
    pub(super) mark: Mark,
    /// What an earlier daemon has left.
    pub(super) remembered: Option<Legacy>,
    /// Its queue, up to the first look.
    pub(super) inherited: Vec<Moment>,
    /// Why what is found to be missed now was missed.
    pub(super) why: LeftOut<'static>,
    /// A first run that is owed as soon as the window is open, and who asked for it.
    pub(super) first: Option<Cause>,
    /// What is due next, and when it begins: so much later as its jitter says.
    pub(super) next: Option<(Due, Time)>,
    pub(super) stand: Option<Stand>,
    /// When it must be looked at again.
    pub(super) wake: Option<Time>,
    /// As the window was found last, without one open. It stands still during a pause.
    pub(super) is_open: bool,
    /// A service that somebody wants outside its window, up to the next close.
    pub(super) is_forced: bool,
    /// A ticked worker ends when what is left is answered.
    pub(super) is_closing: bool,
    /// When the run at work, or about to begin, was due.
    pub(super) turn: Option<Moment>,
    pub(super) queue: VecDeque<Turn>,
    pub(super) ticks: Vec<Out>,
    pub(super) answer: Option<Answer>,
    /// Its declaration was changed since the last look: a window that is closed now was closed by somebody.
    pub(super) is_rescheduled: bool,
    /// Runs for other instances: those of `Schedule::lanes`.
    pub(super) lent: Vec<Turn>,
    /// Those are to be stopped: its window has closed, or it was refused.
    pub(super) has_closed_lanes: bool,
}

impl Instance {
    /// How the wall clock stands, before anything else is told.
    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.agenda.clock = Some(clock);
    }

    /// An earlier daemon has followed its schedule. Told before the start or the adoption that goes on with it.
    pub fn remember(&mut self, legacy: Legacy) {
        self.agenda.remembered = Some(legacy);
    }

    /// When the runs were due that wait for the one at work; for the next daemon.
    pub fn queue(&self) -> impl Iterator<Item = Moment> + Clone {
        let left = self.agenda.remembered.iter().flat_map(|left| &left.queue).chain(&self.agenda.inherited);
        left.copied().chain(self.agenda.queue.iter().map(|turn| turn.due))
    }

    pub(super) fn clock(&self) -> Clock {
        self.agenda.clock.unwrap_or_default()
    }

    pub(super) fn course(&self) -> Option<Course<'_>> {
        self.plan.schedule.as_ref().map(|schedule| Course { schedule, clock: self.clock() })
    }

    pub(super) fn is_following(&self) -> bool {
        self.wanted == Wanted::Up && self.agenda.is_following
    }

    /// A job that comes again when it is due.
    pub(super) fn is_recurring(&self) -> bool {
        self.plan.kind == Kind::Job && self.plan.schedule.is_some() && self.is_following()
    }

    pub(super) fn is_ticked(&self) -> bool {
        self.plan.kind == Kind::Service && self.plan.schedule.as_ref().is_some_and(|s| s.is_ticked)
    }

    /// Whether runs or ticks of it are due by themselves.
    fn takes_turns(&self) -> bool {
        let is_paused = self.plan.schedule.as_ref().is_none_or(|schedule| schedule.is_paused);
        !is_paused && (self.plan.kind == Kind::Job || self.is_ticked())
    }

    pub(super) fn overlap(&self) -> Overlap {
        self.plan.schedule.as_ref().map_or(Overlap::Skip, |schedule| schedule.overlap)
    }

    /// Whether a run of it may begin, as far as its schedule goes.
    pub(crate) fn is_due(&self) -> bool {
        match (self.plan.kind, &self.plan.schedule) {
            (_, None) => true,
            (Kind::Job, Some(_)) => self.agenda.turn.is_some() || !self.agenda.queue.is_empty(),
            (Kind::Service, Some(_)) => self.agenda.is_open || self.agenda.is_forced,
        }
    }

    /// Follows its schedule from now on, or from where an earlier daemon ended. With a cause the first run may be owed.
    pub(super) fn follow(&mut self, now: Time, cause: Option<&Cause>) {
        let clock = self.clock();
        let Some(schedule) = &self.plan.schedule else { return };
        // What somebody starts later begins afresh.
        let goes_on = cause.is_none_or(|cause| *cause == Cause::Takeover);
        let remembered = self.agenda.remembered.take().filter(|_| goes_on);
        let mut mark = Mark::at(now, clock);
        let limit = mark.wall.plus(AFRESH_AFTER);
        if let Some(Legacy { followed, beat, .. }) = remembered.as_ref().filter(|left| left.followed < limit)
        {
            mark.boot = due::on_line(clock, *followed).min(mark.boot);
            (mark.beat, mark.wall) = (due::on_line(clock, *beat).min(mark.boot), *followed);
        }
        let stand = schedule.window.as_ref().map(|window| window.at(clock.wall(now)));
        let is_first_owed = schedule.run_on_start && remembered.is_none();
        let agenda = &mut self.agenda;
        agenda.mark = mark;
        agenda.why = if remembered.is_some() { ("missed", "missed while no daemon ran") } else { SLEPT };
        agenda.first = cause.filter(|_| is_first_owed).cloned();
        agenda.is_open = stand.is_none_or(|stand| stand.is_open() && !schedule.is_paused);
        agenda.is_following = true;
        agenda.wake = Some(now);
        agenda.inherited = remembered.map_or(Vec::new(), |left| left.queue);
    }

    /// What lives was taken over, or has got its schedule only now: its run was due when it began.
    pub(super) fn follow_alive(&mut self, now: Time, since: Time) {
        // A guard that answers late is adopted in the midst of a rhythm, which goes on.
        let was_following = self.is_following();
        if !was_following {
            self.follow(now, None);
        }
        (self.agenda.is_open, self.agenda.wake) = (true, Some(now));
        if self.plan.kind == Kind::Job {
            self.agenda.turn = Some(self.clock().wall(since));
            if !was_following {
                let since_ns = due::line(since);
                self.agenda.mark.beat = since_ns;
                self.agenda.mark.boot = self.agenda.mark.boot.max(since_ns);
            }
        }
    }

    /// It is wanted no more: nothing is due.
    pub(super) fn forsake(&mut self, effects: &mut Vec<Effect>) {
        self.drop_queue(STOPPED, effects);
        // Also what was on its way, or on loan to a lane.
        let has_begun = self.state.run().is_some();
        self.skip(u64::from(self.agenda.turn.is_some() && !has_begun), STOPPED, effects);
        self.agenda = Agenda {
            clock: self.agenda.clock,
            ticks: std::mem::take(&mut self.agenda.ticks),
            answer: self.agenda.answer.take(),
            ..Agenda::default()
        };
    }

    /// Its declaration has changed, and with it perhaps its schedule. What follows is done at the deadline, which is now.
    pub(super) fn reschedule(&mut self, now: Time, before: Option<Schedule>) {
        if self.wanted == Wanted::Down || before == self.plan.schedule {
            return;
        }
        let clock = self.clock();
        match (before, &self.plan.schedule) {
            (None, _) => self.follow_alive(now, if self.state.run().is_some() { self.since } else { now }),
            (Some(_), None) => {}
            (Some(before), Some(after)) => {
                let agenda = &mut self.agenda;
                // One that waits for its jitter is not lost.
                if agenda.next.is_none_or(|(next, _)| next.at > due::line(now)) {
                    agenda.mark.advance(now, clock);
                }
                // What closed during a pause has closed by itself.
                (agenda.why, agenda.is_rescheduled) = (SLEPT, !before.is_paused);
                let last = agenda.mark.beat;
                match (before.interval(), after.interval()) {
                    (None, Some(_)) => agenda.mark.beat = due::line(now),
                    // At once, if by the new interval it is late.
                    (Some(before), Some(after))
                        if before != after && last + due::line(Time(after)) <= due::line(now) =>
                    {
                        (agenda.mark.beat, agenda.mark.boot) = (due::line(now), due::line(now) - 1);
                    }
                    (_, Some(_) | None) => {}
                }
            }
        }
        self.agenda.wake = Some(now);
    }

    pub(super) fn clock_set(&mut self, now: Time, clock: Clock) {
        let before = self.agenda.clock.replace(clock);
        if !self.is_following() || self.plan.schedule.is_none() {
            return;
        }
        let agenda = &mut self.agenda;
        let wall = clock.wall(now);
        if agenda.mark.wall > wall.plus(AFRESH_AFTER) {
            agenda.mark.wall = wall;
        }
        agenda.wake = Some(now);
        // When the machine has slept the clock is told again, though nobody set it.
        let by = before.map_or(0, |before| clock.boot_ns - before.boot_ns) / 1_000_000_000;
        if by != 0 {
            agenda.why = ("missed", "missed when the clock was set");
            // What an interval had in hours that were closed by the old clock was never due.
            if agenda.next.is_none_or(|(next, _)| next.at > due::line(now)) {
                agenda.mark.boot = due::line(now);
            }
        }
    }

    // ---- the look

    /// When its schedule must be looked at.
    pub(super) fn agenda_deadline(&self) -> Option<Time> {
        self.agenda.wake.filter(|_| self.is_following())
    }

    /// After everything that happens: is it time, and is there anything to give or to end?
    pub(super) fn attend(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.agenda_deadline().is_some_and(|at| at <= now) {
            self.look_at_schedule(now, effects);
        }
        self.attend_ticks(now, effects);
    }

    fn look_at_schedule(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let clock = self.clock();
        let Some(course) = self.course() else { return self.go_without(now, effects) };
        let schedule = course.schedule;
        let stand = schedule.window.as_ref().map(|window| window.at(clock.wall(now)));
        let (mark, takes_turns) = (self.agenda.mark, self.takes_turns());
        let passed = if takes_turns { course.passed(&mark, now) } else { None };
        let is_open = match schedule.is_paused {
            true => self.agenda.is_open,
            false => stand.is_none_or(Stand::is_open),
        };
        let has_final = schedule.has_final_run;
        self.agenda.stand = stand;
        self.agenda.mark.advance(now, clock);
        if let Some(beat) = passed.and_then(|passed| passed.beat) {
            self.agenda.mark.beat = beat;
        }
        if is_open != self.agenda.is_open {
            self.agenda.is_open = is_open;
            if is_open {
                self.open(now, effects)
            } else {
                self.close(now, effects)
            }
            if takes_turns && !is_open && has_final && passed.is_none() && self.agenda.is_rescheduled {
                self.enqueue(now, Turn { due: clock.wall(now), cause: Cause::Schedule }, effects);
            }
        }
        self.inherit(now, effects);
        if let Some(passed) = passed {
            self.agenda.first = None;
            self.take_in(now, mark, passed, effects);
        } else if is_open && takes_turns {
            self.begin_first(now, effects);
        }
        if let Some(first) = &mut self.agenda.first {
            *first = Cause::Schedule;
        }
        (self.agenda.why, self.agenda.is_rescheduled) = (SLEPT, false);
        self.look_ahead();
    }

    /// Its schedule was taken away.
    fn go_without(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.drop_queue(("unscheduled", "it has no schedule any more"), effects);
        (self.agenda.is_following, self.agenda.wake) = (false, None);
        if !matches!(self.state, State::Scheduled | State::Releasing { rest: Rest::Scheduled, .. }) {
            return;
        }
        if self.plan.kind == Kind::Service {
            return self.rise(now, effects);
        }
        self.want(Wanted::Down, effects);
        if let State::Releasing { rest, .. } = &mut self.state {
            *rest = Rest::Stopped;
        } else {
            self.state = State::Stopped;
        }
    }

    /// Finds what is due next, and when to look again.
    fn look_ahead(&mut self) {
        let mark = self.agenda.mark;
        let Some(course) = self.course() else { return };
        let (clock, takes_turns) = (course.clock, self.takes_turns());
        let next = if takes_turns { course.next(&mark) } else { None };
        let leeway = next.map_or(Duration::ZERO, |next| self.leeway(next));
        let jitter = if leeway.is_zero() { leeway } else { leeway.mul_f64(self.random.fraction()) };
        let next = next.map(|next| (next, due::time(next.at) + jitter));
        let change = self.agenda.stand.and_then(Stand::until).map(|until| clock.boot(until));
        self.agenda.next = next;
        self.agenda.wake = [next.map(|(_, at)| at), change].into_iter().flatten().min();
    }

    /// How much later a run may begin: its jitter, and never as late as the next one or the close of its window.
    fn leeway(&self, next: Due) -> Duration {
        let Some(course) = self.course() else { return Duration::ZERO };
        let jitter = course.schedule.jitter;
        if jitter.is_zero() || next.source == Source::Close {
            return Duration::ZERO;
        }
        let following = course.next(&course.after(&self.agenda.mark, next)).map(|due| due.at);
        let stand = course.schedule.window.as_ref().map(|window| window.at(next.moment));
        let close = stand.and_then(Stand::until).map(|until| due::on_line(course.clock, until));
        let end = [following, close].into_iter().flatten().min();
        end.map_or(jitter, |end| jitter.min(due::time(end - next.at).0))
    }

    // ---- the project

    /// Runs that other instances are to take, and whether all those are to stop.
    pub(crate) fn take_lent(&mut self) -> (Vec<Moment>, bool) {
        let lent = std::mem::take(&mut self.agenda.lent);
        (lent.into_iter().map(|turn| turn.due).collect(), std::mem::take(&mut self.agenda.has_closed_lanes))
    }

    /// The run that it is started for was due then.
    pub(crate) fn lend(&mut self, due: Moment) {
        self.agenda.turn = Some(due);
    }

    // ---- what is told

    pub(super) fn outlook(&self) -> Option<Outlook> {
        self.plan.schedule.as_ref()?;
        let agenda = Some(&self.agenda).filter(|_| self.is_following());
        Some(Outlook {
            next: agenda
                .and_then(|agenda| agenda.next.map_or_else(|| self.opening(), |(next, _)| Some(next.moment))),
            stand: agenda.and_then(|agenda| agenda.stand),
            queued: self.agenda.queue.len(),
            tick: self.agenda.ticks.last().map(|out| out.tick),
            answer: self.agenda.answer.clone(),
        })
    }

    /// When a scheduled instance begins.
    pub(super) fn begins_at(&self) -> Option<Time> {
        let next = self.agenda.next.filter(|_| self.plan.kind == Kind::Job).map(|(_, at)| at);
        next.or_else(|| self.opening().map(|at| self.clock().boot(at)))
    }

    /// When the window of a service opens.
    fn opening(&self) -> Option<Moment> {
        let schedule = self.plan.schedule.as_ref().filter(|schedule| !schedule.is_paused)?;
        let stand =
            self.agenda.stand.filter(|_| schedule.window.is_some() && self.plan.kind == Kind::Service)?;
        (!stand.is_open()).then(|| stand.until()).flatten()
    }
}
