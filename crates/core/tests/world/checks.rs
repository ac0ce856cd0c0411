//! What must hold, checked against the world's own tables. What the core believes is looked at only where the promise
//! is about the core itself: that it waits for nothing without a limit.

use std::collections::BTreeSet;

use soloist_core::event::Wanted;
use soloist_core::id::{ClaimId, RunId};
use soloist_core::plan::{Kind, Restart};
use soloist_core::state::Word;

use super::guard::Tree;
use super::machine::{Machine, Process};
use super::{World, name};

type Found = Result<(), String>;

fn ensure(holds: bool, words: impl FnOnce() -> String) -> Found {
    if holds { Ok(()) } else { Err(words()) }
}

// ---- after every step

pub fn no_two_live_trees_of_an_instance(machine: &Machine) -> Found {
    (0..machine.programs.len()).try_for_each(|instance| {
        let runs: BTreeSet<RunId> = machine.living(instance).map(|(_, process)| process.run).collect();
        ensure(runs.len() <= 1, || format!("no_two_live_trees_of_an_instance: {instance} lives in {runs:?}"))
    })
}

pub fn every_wait_has_a_deadline(world: &World) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    (0..daemon.project.len()).try_for_each(|at| {
        let (word, instance) = (daemon.project.status(at).state, daemon.project.instance(at));
        let rests = match word {
            Word::Stopped | Word::Failed | Word::Completed | Word::Ready | Word::Running => true,
            Word::Claiming
            | Word::Standby
            | Word::Starting
            | Word::Unhealthy
            | Word::Stopping
            | Word::Backoff
            | Word::Conflict
            | Word::Scheduled => false,
        };
        // For what it needs, or, if it is to be stopped, for what needs it.
        let is_tied = |other: usize| {
            world.plans[at].needs.iter().any(|n| n.on == name(other))
                || world.plans[other].needs.iter().any(|n| n.on == name(at))
        };
        let waits_for_another = || {
            instance.is_waiting()
                && (0..daemon.project.len()).any(|o| is_tied(o) && !daemon.project.is_down(o))
        };
        ensure(rests || instance.next_deadline().is_some() || waits_for_another(), || {
            format!("every_wait_has_a_deadline: {} is {word} for ever", name(at))
        })
    })
}

// ---- when something is done

/// Asked of the guard that is about to start a process.
pub fn no_spawn_without_a_claim(machine: &Machine, guard: u32) -> Found {
    let lock = machine.guards.get(&guard).and_then(|guard| machine.locks.get(&guard.lock));
    ensure(lock.is_some_and(|lock| lock.is_in_place), || format!("no_spawn_without_a_claim: guard {guard}"))
}

/// Asked when a process is about to be started.
pub fn no_run_starts_before_the_last_tree_is_empty(machine: &Machine, instance: usize) -> Found {
    let left: Vec<u32> = machine.living(instance).map(|(pid, _)| *pid).collect();
    ensure(left.is_empty(), || {
        format!("no_run_starts_before_the_last_tree_is_empty: {instance} has {left:?}")
    })
}

/// Asked when the core orders a spawn: a guard would refuse it beside its own tree, but the core must not rely on
/// that. Only what an earlier claim left behind may live; the new guard ends it first.
pub fn no_spawn_is_ordered_beside_a_living_tree(world: &World, at: usize, claim: ClaimId) -> Found {
    let held = world.daemon.as_ref().and_then(|daemon| daemon.held.get(&claim));
    let Some(held) = held.filter(|held| held.at == at && !held.is_releasing) else {
        return Err(format!("no_spawn_without_a_claim: {at} is to run under {claim:?}"));
    };
    let is_empty =
        held.guard.and_then(|id| world.machine.guards.get(&id)).is_none_or(|g| g.tree == Tree::Empty);
    let has_left = world.machine.living(at).any(|(_, process)| process.lock == held.lock);
    ensure(is_empty && !has_left, || {
        format!("no_run_starts_before_the_last_tree_is_empty: {at} under {claim:?}")
    })
}

pub fn a_claim_is_released_only_after_the_tree_is_empty(world: &World, claim: ClaimId) -> Found {
    let Some(held) = world.daemon.as_ref().and_then(|daemon| daemon.held.get(&claim)) else { return Ok(()) };
    let left: Vec<u32> =
        world.machine.living(held.at).filter(|(_, p)| p.lock == held.lock).map(|(pid, _)| *pid).collect();
    ensure(left.is_empty(), || {
        format!("a_claim_is_released_only_after_the_tree_is_empty: {} lives in {left:?}", held.at)
    })
}

pub fn record_comes_before_spawn(world: &World, at: usize) -> Found {
    let is_noted = world.ledger[at].is_some() || world.ledger_before[at].is_some();
    ensure(is_noted, || format!("record_comes_before_spawn: the ledger wants {at} down"))
}

/// Spawns of a service that nobody asked for and no rival or stranger explains, within the period of its limit.
pub fn restarts_stay_inside_the_window(world: &mut World, at: usize) -> Found {
    let (now, limit) = (world.machine.now, world.plans[at].limit);
    let wish = &mut world.wishes[at];
    let is_own = world.plans[at].kind == Kind::Service && !std::mem::take(&mut wish.explains_a_start);
    wish.starts.retain(|then| now.since(*then) < limit.period);
    wish.starts.push(now);
    if is_own {
        world.machine.count("restarts");
        let wish = &mut world.wishes[at];
        wish.restarts.retain(|then| now.since(*then) < limit.period);
        wish.restarts.push(now);
    }
    let count = world.wishes[at].restarts.len();
    ensure(count <= limit.count as usize, || {
        format!("restarts_stay_inside_the_window: {count} restarts of {at} within {:?}", limit.period)
    })
}

pub fn a_wish_is_dropped_only_for_a_reason(world: &World, at: usize) -> Found {
    let wish = &world.wishes[at];
    let has_need = !world.plans[at].needs.is_empty();
    ensure(wish.is_refused || wish.has_ended || has_need || world.faults.slow_answers, || {
        format!("a_wish_is_dropped_only_for_a_reason: {at} was wanted up")
    })
}

/// After somebody asked for something and got through: another daemon would know of it.
pub fn what_is_wanted_is_written_down(world: &World) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    (0..world.plans.len()).try_for_each(|at| {
        let is_needed = (0..world.plans.len()).any(|other| {
            world.plans[other].needs.iter().any(|n| n.on == name(at)) && !daemon.project.is_down(other)
        });
        let is_noted = match world.wishes[at].wanted {
            Some(Wanted::Up) => world.ledger[at].is_some(),
            // It goes down once what needs it is down.
            Some(Wanted::Down) => world.ledger[at].is_none() || is_needed,
            None => true,
        };
        ensure(is_noted, || format!("what_is_wanted_is_written_down: {at} is {:?}", world.wishes[at].wanted))
    })
}

// ---- after the calm

/// Another try could not help, or there were as many as there may be.
fn is_failed_for_a_reason(world: &World, at: usize) -> bool {
    let most = match world.plans[at].restart {
        Restart::OnFailure(Some(most)) => most.min(world.plans[at].limit.count),
        Restart::OnFailure(None) | Restart::Always | Restart::OnSuccess | Restart::OnAbnormal => {
            world.plans[at].limit.count
        }
        Restart::No => 0,
    };
    let wish = &world.wishes[at];
    wish.is_final || wish.starts.len() >= most as usize
}

pub fn every_wanted_instance_serves_and_every_other_rests(world: &World) -> Found {
    let Some(daemon) = &world.daemon else { return Err("no daemon came back".to_owned()) };
    (0..world.plans.len()).try_for_each(|at| {
        let status = daemon.project.status(at);
        let is_service = world.plans[at].kind == Kind::Service;
        let alive = world.machine.living(at).count();
        let serves = world.machine.programs[at].ports.iter().all(|port| !world.machine.is_free(*port));
        let is_ready = status.state == Word::Ready && world.machine.is_locked(at) && alive > 0 && serves;
        // What somebody ran by hand and killed with its guard is left until the instance is started or cleaned up.
        let is_left = |process: &Process| process.guard.is_none() && (process.is_rivals || process.is_given_up);
        let is_empty = world.machine.living(at).all(|(_, process)| is_left(process));
        let is_at_rest = daemon.project.is_down(at) && !world.machine.is_locked(at) && is_empty;
        let is_failed = status.state == Word::Failed && is_at_rest && is_failed_for_a_reason(world, at);
        let is_job_at_work = !is_service && !matches!(status.state, Word::Stopped | Word::Standby | Word::Conflict);
        let is_right = match world.wishes[at].wanted {
            Some(Wanted::Up) if is_service => is_ready || is_failed,
            Some(Wanted::Up) => is_job_at_work,
            Some(Wanted::Down) => is_at_rest,
            None => is_ready || is_at_rest || is_job_at_work,
        };
        ensure(is_right, || {
            format!(
                "after the calm {at} was asked to be {:?} and is {} (wanted {}, {alive} processes, lock {}, {:?})",
                world.wishes[at].wanted,
                status.state,
                status.wanted,
                if world.machine.is_locked(at) { "held" } else { "free" },
                status.note
            )
        })
    })
}
