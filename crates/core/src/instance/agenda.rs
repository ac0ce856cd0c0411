//! How an instance follows its schedule: what it has to keep in mind for that, and what it does when the time has come
//! to look at it. What is due at all is `schedule/due.rs`; windows are `instance/hours.rs`, ticks `instance/tick.rs`.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::{Answer, Cause, Effect, IfHeld, Wanted, What};
use crate::instance::Instance;
use crate::instance::tick::Out;
use crate::plan::Kind;
use crate::schedule::civil::{Clock, Moment};
use crate::schedule::due::{self, Course, Due, Mark, Passed, Source};
use crate::schedule::window::Stand;
use crate::schedule::{Misfire, OnClose, Overlap, Schedule};
use crate::state::{Outlook, Rest, State, Why};
use crate::time::Time;

/// So many runs may wait for the one at work.
const MOST_QUEUED: usize = 100;
/// A clock that is set back by more begins afresh: what has fired may fire again.
const AFRESH_AFTER: Duration = Duration::from_secs(24 * 3600);
const AT_WORK: &str = "the run before is still at work";
const SLEPT: &str = "missed while the machine slept";
pub(super) const CLOSED: &str = "its window has closed";

/// A run that its schedule, or somebody, wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) due: Moment,
    pub(super) cause: Cause,
}

/// What an instance keeps in mind to follow its schedule.
#[derive(Clone, Debug, Default)]
pub(super) struct Agenda {
    clock: Option<Clock>,
    /// It follows its schedule while it is wanted; without, a run that somebody asked for is all there is.
    pub(super) is_following: bool,
    mark: Mark,
    /// Up to then an earlier daemon followed it.
    remembered: Option<Moment>,
    /// Why what is found to be missed now was missed.
    why: &'static str,
    /// A first run that is owed as soon as the window is open, and who asked for it.
    first: Option<Cause>,
    /// What is due next, and when it begins: so much later as its jitter says.
    next: Option<(Due, Time)>,
    stand: Option<Stand>,
    /// When it must be looked at again.
    wake: Option<Time>,
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
    /// Runs for other instances: those of `Schedule::lanes`.
    lent: Vec<Turn>,
    /// Those are to be stopped.
    pub(super) has_closed_lanes: bool,
}

impl Instance {
    /// How the wall clock stands, before anything else is told.
    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.agenda.clock = Some(clock);
    }

    /// An earlier daemon followed its schedule up to then: what was due since is late or missed. Told before the start or
    /// the adoption that goes on with it.
    pub fn remember(&mut self, followed: Moment) {
        self.agenda.remembered = Some(followed);
    }

    pub(super) fn clock(&self) -> Clock {
        self.agenda.clock.unwrap_or_default()
    }

    fn course(&self) -> Option<Course<'_>> {
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
    pub(super) fn is_due(&self) -> bool {
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
        if let Some(followed) = remembered.filter(|followed| *followed < mark.wall.plus(AFRESH_AFTER)) {
            mark.boot = due::on_line(clock, followed).min(mark.boot);
            (mark.beat, mark.wall) = (mark.boot, followed);
        }
        let stand = schedule.window.as_ref().map(|window| window.at(clock.wall(now)));
        let is_first_owed = schedule.run_on_start && remembered.is_none();
        let agenda = &mut self.agenda;
        agenda.mark = mark;
        agenda.why = if remembered.is_some() { "missed while no daemon ran" } else { SLEPT };
        agenda.first = cause.filter(|_| is_first_owed).cloned();
        agenda.is_open = stand.is_none_or(|stand| stand.is_open() && !schedule.is_paused);
        agenda.is_following = true;
        agenda.wake = Some(now);
    }

    /// What lives was taken over, or has got its schedule only now: its run was due when it began.
    pub(super) fn follow_alive(&mut self, now: Time, since: Time) {
        self.follow(now, None);
        self.agenda.is_open = true;
        if self.plan.kind == Kind::Job {
            let since_ns = due::line(since);
            self.agenda.mark.beat = since_ns;
            self.agenda.mark.boot = self.agenda.mark.boot.max(since_ns);
            self.agenda.turn = Some(self.clock().wall(since));
        }
    }

    /// It is wanted no more: nothing is due.
    pub(super) fn forsake(&mut self, effects: &mut Vec<Effect>) {
        self.drop_queue("it was stopped", effects);
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
                agenda.why = SLEPT;
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

    pub(super) fn clock_set(&mut self, now: Time, clock: Clock, effects: &mut Vec<Effect>) {
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
            agenda.why = "missed when the clock was set";
            let words = format!("{} by {} s", if by > 0 { "forward" } else { "back" }, by.abs());
            self.tell(What::ClockSet, |note| note.words = Some(words), effects);
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
        self.agenda.stand = stand;
        self.agenda.mark.advance(now, clock);
        if let Some(beat) = passed.and_then(|passed| passed.beat) {
            self.agenda.mark.beat = beat;
        }
        if is_open != self.agenda.is_open {
            self.agenda.is_open = is_open;
            if is_open { self.open(now, effects) } else { self.close(now, effects) }
        }
        if let Some(passed) = passed {
            self.agenda.first = None;
            self.take_in(now, mark, passed, effects);
        } else if is_open && takes_turns {
            self.begin_first(now, effects);
        }
        if let Some(first) = &mut self.agenda.first {
            *first = Cause::Schedule;
        }
        self.agenda.why = SLEPT;
        self.look_ahead();
    }

    /// Its schedule was taken away.
    fn go_without(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.drop_queue("it has no schedule any more", effects);
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

    /// Runs were due: what comes of them.
    fn take_in(&mut self, now: Time, mark: Mark, passed: Passed, effects: &mut Vec<Effect>) {
        let Some(course) = self.course() else { return };
        let (schedule, why, newest) = (course.schedule, self.agenda.why, passed.newest);
        let patience = schedule.misfire_grace + schedule.jitter;
        let is_on_time = due::line(now) - newest.at <= due::line(Time(patience));
        let missed = passed.count - u64::from(is_on_time);
        let may_begin = self.agenda.is_open
            || newest.source == Source::Close
            || (schedule.on_close == OnClose::Drain && self.plan.kind == Kind::Job);
        if !may_begin {
            return self.skip(passed.count, if missed == 0 { CLOSED } else { why }, effects);
        }
        match schedule.misfire {
            Misfire::Skip => {
                self.skip(missed, why, effects);
                if is_on_time {
                    self.offer(now, newest, effects);
                }
            }
            Misfire::RunOnce => {
                self.skip(passed.count - 1, "one run stands for all that were missed", effects);
                self.offer(now, newest, effects);
            }
            Misfire::RunAll if missed == 0 => self.offer(now, newest, effects),
            Misfire::RunAll => {
                let space = MOST_QUEUED.saturating_sub(self.agenda.queue.len());
                let turns = course.all(mark, now).take(space);
                let turns: Vec<Turn> =
                    turns.map(|due| Turn { due: due.moment, cause: Cause::Schedule }).collect();
                let rest = passed.count.saturating_sub(turns.len() as u64);
                self.agenda.queue.extend(turns);
                self.skip(rest, "the queue is full", effects);
                if self.plan.kind == Kind::Job {
                    self.rise(now, effects);
                }
            }
        }
    }

    fn offer(&mut self, now: Time, due: Due, effects: &mut Vec<Effect>) {
        let turn = Turn { due: due.moment, cause: Cause::Schedule };
        match due.source {
            // It comes after all others, whatever is at work.
            Source::Close => self.enqueue(now, turn, effects),
            Source::Every | Source::Wall => self.take(now, turn, effects),
        }
    }

    fn begin_first(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Some(cause) = self.agenda.first.take() else { return };
        self.agenda.mark.beat = due::line(now);
        let turn = Turn { due: self.clock().wall(now), cause };
        // A worker that is ticked is about to start.
        if self.is_ticked() { self.enqueue(now, turn, effects) } else { self.take(now, turn, effects) }
    }

    // ---- turns

    /// A run is wanted now.
    pub(super) fn take(&mut self, now: Time, turn: Turn, effects: &mut Vec<Effect>) {
        if self.is_ticked() {
            return self.take_tick(now, turn, effects);
        }
        if self.is_at_rest() {
            return self.enqueue(now, turn, effects);
        }
        match self.overlap() {
            Overlap::Skip => {
                let why = if self.is_waiting() { "it waits for what it needs" } else { AT_WORK };
                self.skip(1, why, effects);
            }
            Overlap::Queue => self.enqueue(now, turn, effects),
            Overlap::Allow => self.agenda.lent.push(turn),
            Overlap::Replace => self.replace(now, turn, effects),
        }
    }

    fn replace(&mut self, now: Time, turn: Turn, effects: &mut Vec<Effect>) {
        self.drop_queue("replaced before it began", effects);
        if matches!(self.state, State::Claiming { .. } | State::Looking { .. }) && self.agenda.turn.is_some()
        {
            self.skip(1, "replaced before it began", effects);
            (self.agenda.turn, self.cause) = (Some(turn.due), Some(turn.cause));
            return;
        }
        self.agenda.queue.push_back(turn);
        if self.is_up() {
            self.agenda.turn = None;
            self.note = Some("stopped by schedule: its next run is due".to_owned());
            self.stop_tree(now, Why::Asked, effects);
        }
    }

    /// A run waits for those before it; begins at once if there are none.
    pub(super) fn enqueue(&mut self, now: Time, turn: Turn, effects: &mut Vec<Effect>) {
        if self.agenda.queue.len() >= MOST_QUEUED {
            return self.skip(1, "the queue is full", effects);
        }
        self.agenda.queue.push_back(turn);
        if self.plan.kind == Kind::Job {
            self.rise(now, effects);
        }
    }

    /// The run that waits longest is the next.
    pub(super) fn take_next_turn(&mut self) {
        if self.plan.kind == Kind::Job
            && self.agenda.turn.is_none()
            && let Some(turn) = self.agenda.queue.pop_front()
        {
            (self.agenda.turn, self.cause) = (Some(turn.due), Some(turn.cause));
        }
    }

    /// Whether it only waits for its time.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(
            self.state,
            State::Scheduled | State::Failed | State::Releasing { rest: Rest::Scheduled | Rest::Failed, .. }
        )
    }

    /// Begins, if it only waits for its time and that has come.
    pub(super) fn rise(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if !self.is_at_rest() || !self.is_due() {
            return;
        }
        self.if_held = IfHeld::StandBy;
        if let State::Releasing { rest, .. } = &mut self.state {
            *rest = Rest::Again;
        } else if self.plan.needs.is_empty() {
            self.begin(now, effects);
        } else {
            self.state = State::Waiting;
        }
    }

    /// Somebody wants one run now.
    pub(super) fn run_asked(&mut self, now: Time, cause: Cause, effects: &mut Vec<Effect>) {
        if self.plan.schedule.is_none() {
            return;
        }
        let turn = Turn { due: self.clock().wall(now), cause: cause.clone() };
        if self.wanted == Wanted::Up && !matches!(self.state, State::Failed) {
            return self.run_now(now, turn, effects);
        }
        match self.plan.kind {
            // One run, as of a job without a schedule.
            Kind::Job => self.agenda.turn = Some(turn.due),
            Kind::Service => {
                self.follow(now, None);
                self.agenda.is_forced = true;
                if self.is_ticked() {
                    self.agenda.queue.push_back(turn);
                }
            }
        }
        self.go_up(now, cause, IfHeld::Refuse, effects);
    }

    fn run_now(&mut self, now: Time, turn: Turn, effects: &mut Vec<Effect>) {
        let (is_at_rest, is_free) = (self.is_at_rest(), self.overlap() != Overlap::Skip);
        if self.plan.kind == Kind::Job {
            if is_at_rest || is_free {
                self.take(now, turn, effects);
            }
            return;
        }
        self.agenda.is_forced |= !self.agenda.is_open;
        if is_at_rest {
            self.cause = Some(turn.cause.clone());
            self.note = Some(format!("run by {}", turn.cause));
        }
        let is_ready = matches!(self.state, State::Ready { .. });
        if self.is_ticked() && !is_ready {
            // A worker that is not there yet is waited for, whatever the policy.
            self.enqueue(now, turn, effects);
        } else if self.is_ticked() && (is_free || self.agenda.ticks.is_empty()) {
            self.take(now, turn, effects);
        }
        self.rise(now, effects);
    }

    // ---- what is left out

    /// Runs that were due are left out.
    pub(crate) fn skip(&self, count: u64, why: &str, effects: &mut Vec<Effect>) {
        if count > 0 {
            self.tell(
                What::Skipped,
                |note| (note.run, note.count, note.words) = (None, Some(count), Some(why.to_owned())),
                effects,
            );
        }
    }

    pub(super) fn drop_queue(&mut self, why: &str, effects: &mut Vec<Effect>) {
        let count = std::mem::take(&mut self.agenda.queue).len() as u64;
        self.skip(count, why, effects);
    }

    /// A job's run cannot begin, nor can those that wait behind it: to its next moment.
    pub(super) fn miss(&mut self, why: &str, effects: &mut Vec<Effect>) {
        let count = u64::from(self.agenda.turn.take().is_some()) + self.agenda.queue.len() as u64;
        self.agenda.queue.clear();
        self.skip(count, why, effects);
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
