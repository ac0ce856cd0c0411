//! What must hold of schedules, checked against the world's own count of what is due and its own hours.

use soloist_core::event::{Cause, Wanted};
use soloist_core::id::RunId;
use soloist_core::schedule::civil::Moment;
use soloist_core::schedule::window::Override;
use soloist_core::schedule::{OnClose, Overlap, Schedule};
use soloist_core::state::Word;

use super::{Found, ensure};
use crate::world::rhythm::is_open;
use crate::world::{World, name};

/// As many as may wait for the one at work.
const QUEUE_MOST: usize = 100;

/// The core knows what time it is, and has done what was to be done by now.
fn is_up_to_date(world: &World) -> bool {
    let now = world.machine.now;
    world.clock_told == world.machine.clock
        && world.daemon.as_ref().is_some_and(|d| d.project.next_deadline().is_none_or(|at| at > now))
}

fn is_open_at(schedule: &Schedule, moment: Moment) -> bool {
    is_open(schedule, moment.0.div_euclid(1000))
}

// ---- when something is begun

/// But for what somebody asked for, the last run after a close, and what a close leaves to be finished.
pub fn nothing_starts_outside_its_hours(
    world: &World,
    at: usize,
    cause: &Cause,
    scheduled: Option<Moment>,
) -> Found {
    let base = world.base(at);
    let Some(schedule) = &world.plans[base].schedule else { return Ok(()) };
    let (wall, before) = (world.machine.wall(), Moment(world.machine.wall().0 - 1));
    let is_told = world.clock_told == world.machine.clock && !world.is_overdue;
    let overrides = schedule.window.as_ref().map_or(&[] as &[Override], |window| &window.overrides);
    let is_closed_by_hand = |due| overrides.iter().any(|o| !o.is_open && o.from <= due && due < o.until);
    let is_at_close = |due: Moment| due.0 % 1000 == 0 && is_open_at(schedule, Moment(due.0 - 1));
    let is_last =
        schedule.has_final_run && scheduled.is_some_and(|due| is_at_close(due) || is_closed_by_hand(due));
    let has_changed = !overrides.is_empty();
    let was_meant = has_changed || scheduled.is_none_or(|due| is_open_at(schedule, due));
    let is_inside = is_open_at(schedule, wall) || is_open_at(schedule, before);
    let is_left_to_finish = world.rhythm(base).is_some() && schedule.on_close != OnClose::Stop;
    let is_asked = world.is_forced[base] || scheduled.is_some_and(|due| world.asked[base].contains(&due));
    // Its window neither starts nor stops anything.
    let is_excused = is_asked || !is_told || world.paused[base].is_some();
    let is_right = is_excused || is_last || was_meant && (is_inside || is_left_to_finish);
    ensure(is_right, "nothing_starts_outside_its_hours", || {
        format!("{} begins by {cause} at {wall:?}, due {scheduled:?}", name(at))
    })
}

/// What was due before and waits goes on, and so does what somebody asks for.
pub fn what_is_paused_starts_nothing(world: &World, at: usize, scheduled: Option<Moment>) -> Found {
    let base = world.base(at);
    let is_due_since =
        |paused| scheduled.is_some_and(|due| due > paused && !world.asked[base].contains(&due));
    ensure(!world.paused[base].is_some_and(is_due_since), "what_is_paused_starts_nothing", || {
        format!("{} begins what was due at {scheduled:?}, paused since {:?}", name(at), world.paused[base])
    })
}

/// A moment of the wall clock, however that is set. One of an interval may show the same time twice, and somebody may
/// want a new run in place of one at work.
pub fn no_due_moment_is_begun_twice(
    world: &World,
    at: usize,
    cause: &Cause,
    scheduled: Option<Moment>,
) -> Found {
    let base = world.base(at);
    let is_of_wall =
        *cause == Cause::Schedule && world.rhythm(base).is_some_and(|schedule| schedule.interval().is_none());
    // A start after a stop begins afresh.
    let has_begun =
        |due: &Moment| world.followed[base].as_ref().is_some_and(|followed| followed.begun.contains(due));
    let is_of_it =
        |due: &Moment| is_of_wall && !world.is_behind && has_begun(due) && !world.asked[base].contains(due);
    let Some(due) = scheduled.filter(is_of_it) else { return Ok(()) };
    let has_executed = |run: &RunId| world.machine.lives.get(run).is_some_and(|life| !life.mains.is_empty());
    let mut before = world.scheduled_runs.iter();
    let twin = before.find(|((run, of), base_of)| *of == due && **base_of == base && has_executed(run));
    ensure(twin.is_none(), "no_due_moment_is_begun_twice", || {
        format!("{} begins what was due at {due:?}, and so did {twin:?}", name(at))
    })
}

pub fn no_turn_is_given_to_a_worker_at_work(world: &World, at: usize, run: RunId) -> Found {
    let is_allowed =
        world.plans[at].schedule.as_ref().is_some_and(|schedule| schedule.overlap == Overlap::Allow);
    let out = world.turns[at].iter().filter(|(of, _)| *of == run).count();
    ensure(is_allowed || out == 0, "no_turn_is_given_to_a_worker_at_work", || {
        format!("{} has {out} turns out", name(at))
    })
}

// ---- after every step

pub fn schedules_are_followed(world: &World) -> Found {
    if !is_up_to_date(world) {
        return Ok(());
    }
    (0..world.plans.len()).try_for_each(|at| {
        a_close_stops_what_it_should(world, at)?;
        what_follows_a_schedule_has_its_next(world, at)?;
        what_is_stopped_takes_its_lanes_along(world, at)?;
        a_queue_has_its_limit(world, at)?;
        every_due_moment_is_accounted_for(world, at)?;
        nothing_is_due_more_often_than_its_schedule_says(world, at)
    })
}

/// At once: a service that does not run on, and a job that is not to be finished.
fn a_close_stops_what_it_should(world: &World, at: usize) -> Found {
    let (Some(daemon), Some(schedule)) = (&world.daemon, &world.plans[at].schedule) else { return Ok(()) };
    let (status, wall) = (&daemon.statuses[at], world.machine.wall());
    let is_closed = !is_open_at(schedule, wall) && !is_open_at(schedule, Moment(wall.0 - 1));
    let is_to_stop = match schedule.on_close {
        OnClose::Stop => !schedule.has_final_run,
        OnClose::Drain => schedule.triggers.is_empty(),
        OnClose::Finish => false,
    };
    let lives_on = status.run.is_some_and(|run| !world.past.told_to_end.contains(&run))
        && status.state != Word::Stopping;
    let is_excused = schedule.is_paused || world.is_forced[at] || world.is_once[at] || status.is_stale;
    ensure(!(is_closed && is_to_stop && lives_on) || is_excused, "a_close_stops_what_it_should", || {
        format!("{} is {} at {wall:?}", name(at), status.state)
    })
}

fn what_follows_a_schedule_has_its_next(world: &World, at: usize) -> Found {
    let (Some(daemon), Some(schedule)) = (&world.daemon, &world.plans[at].schedule) else { return Ok(()) };
    let (status, instance) = (&daemon.statuses[at], daemon.project.instance(at));
    // Times of day that all lie outside its hours are nobody's next.
    let may_never_be =
        schedule.window.is_some() && schedule.interval().is_none() && world.rhythm(at).is_some();
    let follows = status.wanted == Wanted::Up
        && !world.is_once[at]
        && !instance.is_waiting()
        && !daemon.is_down(at)
        && !schedule.is_paused
        && !may_never_be;
    let wall = world.machine.wall();
    let keeps_hours_now = schedule.triggers.is_empty() && is_open_at(schedule, wall);
    let has_next = status.outlook.as_ref().is_some_and(|outlook| outlook.next.is_some()) || keeps_hours_now;
    ensure(
        !follows || has_next && instance.next_deadline().is_some(),
        "what_follows_a_schedule_has_its_next",
        || format!("{} is {}, {:?}, {:?}", name(at), status.state, status.outlook, instance.next_deadline()),
    )
}

fn what_is_stopped_takes_its_lanes_along(world: &World, at: usize) -> Found {
    let (Some(daemon), Some(base)) = (&world.daemon, world.lane_of[at]) else { return Ok(()) };
    // What a ledger that was not written tells of a lane is not its base's matter.
    let is_found = matches!(daemon.statuses[at].cause, None | Some(Cause::Takeover));
    let is_down = daemon.statuses[base].state == Word::Stopped && !is_found;
    let lives_on = daemon.project.instance(at).is_up();
    ensure(!(is_down && lives_on), "what_is_stopped_takes_its_lanes_along", || {
        format!("{} is stopped, and {} is {}", name(base), name(at), daemon.statuses[at].state)
    })
}

fn a_queue_has_its_limit(world: &World, at: usize) -> Found {
    let outlook = world.daemon.as_ref().and_then(|daemon| daemon.statuses[at].outlook.as_ref());
    let queued = outlook.map_or(0, |outlook| outlook.queued);
    ensure(queued <= QUEUE_MOST, "a_queue_has_its_limit", || format!("{queued} wait for {}", name(at)))
}

/// So many began, were left out with a reason, or wait.
fn accounted(world: &World, at: usize) -> Option<(u64, u64)> {
    let followed = world.followed[at].as_ref()?;
    let outlook = world.daemon.as_ref()?.statuses[at].outlook.as_ref();
    let queued = outlook.map_or(0, |outlook| outlook.queued) as u64;
    Some((followed.begun.len() as u64 + followed.skipped, queued))
}

/// As long as nobody sets clocks, kills daemons or asks for more.
fn every_due_moment_is_accounted_for(world: &World, at: usize) -> Found {
    let (Some((over, queued)), Some(followed)) = (accounted(world, at), &world.followed[at]) else {
        return Ok(());
    };
    let under_way = world.under_way(at);
    let is_right = followed.is_disturbed || over + queued + under_way >= followed.due;
    ensure(is_right, "every_due_moment_is_accounted_for", || {
        format!(
            "{} was due {} times: {over} over, {queued} wait, {under_way} on the way; {followed:?}",
            name(at),
            followed.due
        )
    })
}

/// Whatever happens.
fn nothing_is_due_more_often_than_its_schedule_says(world: &World, at: usize) -> Found {
    let (Some((over, _)), Some(followed)) = (accounted(world, at), &world.followed[at]) else {
        return Ok(());
    };
    let most = followed.due + followed.carried;
    ensure(over <= most, "nothing_is_due_more_often_than_its_schedule_says", || {
        format!("{} was due {most} times at most, not {over}: {followed:?}", name(at))
    })
}
