//! What must hold of stand-ins: two runs only during a restart that somebody asked for, and one of them always serves.

use soloist_core::event::{Cause, Wanted};
use soloist_core::plan::Condition;
use soloist_core::state::Word;

use super::{Found, ensure};
use crate::world::{World, name};

/// Beside an instance that serves only as long as a new run is tried; what is ready takes over at once.
pub fn a_stand_in_lives_only_for_a_restart(world: &World) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    (0..world.plans.len()).filter(|at| world.is_stand_in(*at)).try_for_each(|at| {
        let (its, own) = (&daemon.statuses[at], &daemon.statuses[world.base(at)]);
        let lives_on = its.wanted == Wanted::Up && (its.run.is_some() || its.state == Word::Claiming);
        let is_tried =
            own.run.is_some() && own.run == world.past.trials[world.base(at)] && its.state != Word::Ready;
        let stands_in = !matches!(own.state, Word::Ready | Word::Stopped) && own.wanted == Wanted::Up;
        ensure(!lives_on || is_tried || stands_in, "a_stand_in_lives_only_for_a_restart", || {
            format!("{} is {}, and {} is {}", name(at), its.state, name(world.base(at)), own.state)
        })
    })
}

/// Asked when what was ready is told to stop: a restart waits until the stand-in serves, and that until the instance
/// does.
pub fn a_restart_leaves_somebody_serving(world: &World, at: usize) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    let (status, base) = (&daemon.statuses[at], world.base(at));
    let told = |words: &str| status.note.as_ref().is_some_and(|note| note.starts_with(words));
    let (is_asked, serving) = if world.is_stand_in(at) {
        let own = &daemon.statuses[base];
        let is_on_its_way =
            matches!(own.state, Word::Claiming | Word::Starting | Word::Stopping | Word::Backoff);
        let is_to_stop =
            own.wanted == Wanted::Down || daemon.project.is_stop_pending(base) || world.removed[base];
        (told("stopped by") && is_on_its_way && !is_to_stop && world.plans[base].schedule.is_none(), base)
    } else {
        let Some(stand_in) = daemon.project.stand_in(at) else { return Ok(()) };
        let is_ours = matches!(status.cause, Some(Cause::User(_) | Cause::Declaration(_) | Cause::File(_)));
        // Else it waits for them when it has stopped.
        let needs_met = world
            .conditions(at)
            .into_iter()
            .all(|(need, until)| until == Condition::Ready && daemon.statuses[need].state == Word::Ready);
        (told("restarted by") && is_ours && needs_met && world.plans[at].schedule.is_none(), stand_in)
    };
    let serves = daemon.statuses[serving].state == Word::Ready;
    ensure(!is_asked || serves, "a_restart_leaves_somebody_serving", || {
        format!("{} is stopped, and {} is {}", name(at), name(serving), daemon.statuses[serving].state)
    })
}
