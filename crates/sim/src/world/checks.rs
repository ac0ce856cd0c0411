//! What must hold, checked against the world's own tables. What the core believes is looked at only where the promise
//! is about the core itself: that it waits for nothing without a limit.

mod schedule;
mod stand_in;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use soloist_core::event::Wanted;
use soloist_core::id::{ClaimId, RunId};
use soloist_core::plan::{Kind, Plan, Probe, Restart, Strategy};
use soloist_core::state::Word;
use soloist_core::time::Time;

use super::guard::Tree;
use super::machine::{Machine, Process};
use super::{World, name};

pub use self::schedule::{
    no_due_moment_is_begun_twice, no_turn_is_given_to_a_worker_at_work, nothing_starts_outside_its_hours,
    schedules_are_followed, what_is_paused_starts_nothing,
};
pub use self::stand_in::{a_restart_leaves_somebody_serving, a_stand_in_lives_only_for_a_restart};

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The check, whose name is the promise.
    pub check: &'static str,
    /// What was seen instead.
    pub words: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.words)
    }
}

pub type Found = Result<(), Broken>;

fn ensure(holds: bool, check: &'static str, words: impl FnOnce() -> String) -> Found {
    if holds { Ok(()) } else { Err(Broken { check, words: words() }) }
}

// ---- after every step

pub fn no_two_live_trees_of_an_instance(machine: &Machine) -> Found {
    (0..machine.programs.len()).try_for_each(|instance| {
        let runs: BTreeSet<RunId> = machine.living(instance).map(|(_, process)| process.run).collect();
        ensure(runs.len() <= 1, "no_two_live_trees_of_an_instance", || {
            format!("{instance} lives in {runs:?}")
        })
    })
}

pub fn every_wait_has_a_deadline(world: &World) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    (0..daemon.project.len()).try_for_each(|at| {
        let (word, instance) = (daemon.statuses[at].state, daemon.project.instance(at));
        let rests = match word {
            Word::Stopped | Word::Failed | Word::Completed | Word::Ready | Word::Running => true,
            // Until somebody resumes it.
            Word::Scheduled if world.plans[at].schedule.as_ref().is_some_and(|s| s.is_paused) => true,
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
        let waits_for_another =
            || instance.is_waiting() && (0..daemon.project.len()).any(|o| is_tied(o) && !daemon.is_down(o));
        ensure(
            rests || instance.next_deadline().is_some() || waits_for_another(),
            "every_wait_has_a_deadline",
            || format!("{} is {word} for ever", name(at)),
        )
    })
}

/// Whatever it waits for: its gates, its own word, or that somebody gives it longer.
pub fn an_unready_run_is_given_up_in_time(world: &World) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    let now = world.machine.now;
    // What is late already is done in the next step.
    if daemon.project.next_deadline().is_some_and(|at| at <= now) {
        return Ok(());
    }
    (0..daemon.project.len()).try_for_each(|at| {
        let status = &daemon.statuses[at];
        let is_starting = status.state == Word::Starting && status.pid.is_some() && !status.is_stale;
        let is_late = world.past.ready_by[at].is_some_and(|(run, by)| status.run == Some(run) && now > by);
        ensure(!(is_starting && is_late), "an_unready_run_is_given_up_in_time", || {
            format!("{} was to be ready by {:?}", name(at), world.past.ready_by[at])
        })
    })
}

/// As long as a daemon lives to whom it was said: it is wanted down, or will be once what needs it is down.
pub fn a_stop_is_never_forgotten(world: &World) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    (0..world.plans.len()).try_for_each(|at| {
        let is_kept = daemon.statuses[at].wanted == Wanted::Down || daemon.project.is_stop_pending(at);
        ensure(world.wishes[at].wanted != Some(Wanted::Down) || is_kept, "a_stop_is_never_forgotten", || {
            format!("{} is wanted up, and nobody asked for it", name(at))
        })
    })
}

pub fn the_pid_told_is_of_its_run(world: &World) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    (0..daemon.project.len()).try_for_each(|at| {
        let status = &daemon.statuses[at];
        let (Some(pid), Some(run)) = (status.pid, status.run) else { return Ok(()) };
        let is_of_it = world.machine.lives.get(&run).is_some_and(|life| life.mains.contains(&pid));
        ensure(is_of_it, "the_pid_told_is_of_its_run", || format!("pid {pid} was never main of {run}"))
    })
}

/// Told to be down, it has no guard of ours that would hold its claim.
pub fn what_is_told_stopped_holds_no_claim(world: &World) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    let mut held = daemon.held.iter();
    let left = held.find(|(_, held)| held.guard.is_some() && daemon.is_down(held.at));
    ensure(left.is_none(), "what_is_told_stopped_holds_no_claim", || format!("{left:?}"))
}

/// When one gets ready: everything that stands before it was truly so for this run.
pub fn what_is_told_ready_serves(world: &World, at: usize) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    let (status, plan) = (&daemon.statuses[at], &world.plans[at]);
    let Some(run) = status.run else { return Ok(()) };
    let life = world.machine.lives.get(&run).cloned().unwrap_or_default();
    let has_passed =
        |probe: Option<Probe>, passed: u32| probe.is_none_or(|probe| passed >= probe.success_threshold);
    let is_true = !life.mains.is_empty()
        && (plan.ports.is_empty() || life.was_alone_on_ports)
        && (!plan.notifies || life.has_said_ready)
        && has_passed(plan.startup, life.startups_passed)
        && has_passed(plan.readiness, life.readiness_passed);
    ensure(is_true || status.is_stale, "what_is_told_ready_serves", || {
        format!("{} is ready, and its run {run} was {life:?}", name(at))
    })
}

// ---- when something is done

/// Asked for every signal that a guard sends.
pub fn nothing_foreign_is_signalled(machine: &Machine, pid: u32) -> Found {
    ensure(!machine.foreigners.contains(&pid), "nothing_foreign_is_ever_signalled", || {
        format!("pid {pid} is somebody else's")
    })
}

/// A guard signals whatever tree it has: that it is the one that is meant is the core's duty.
pub fn an_order_names_the_tree_that_it_reaches(
    world: &World,
    at: usize,
    claim: ClaimId,
    run: RunId,
) -> Found {
    let held = world.daemon.as_ref().and_then(|daemon| daemon.held.get(&claim));
    let mut living = world.machine.processes.values();
    let foreign = living.find(|p| p.guard.is_some() && p.guard == held.and_then(|h| h.guard) && p.run != run);
    ensure(
        held.is_some_and(|held| held.at == at) && foreign.is_none(),
        "nothing_foreign_is_ever_signalled",
        || format!("an order for run {run} of {} under {claim:?} reaches {foreign:?}", name(at)),
    )
}

/// A sweep ends what no guard knows; a guard that has a tree would be asked to end its own.
pub fn no_sweep_is_ordered_beside_a_living_tree(world: &World, at: usize, claim: ClaimId) -> Found {
    let held = world.daemon.as_ref().and_then(|daemon| daemon.held.get(&claim));
    let guard = held.and_then(|held| held.guard).and_then(|guard| world.machine.guards.get(&guard));
    ensure(
        held.is_some_and(|held| held.at == at) && guard.is_none_or(|guard| guard.tree == Tree::Empty),
        "nothing_foreign_is_ever_signalled",
        || format!("a sweep of {} under {claim:?} meets a living tree", name(at)),
    )
}

pub fn what_needs_it_stops_first(world: &World, at: usize) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    // A restart leaves them alone, and who was started meanwhile is none of a stop's matters.
    let status = &daemon.statuses[at];
    let is_found = status.run.is_some_and(|run| world.past.adopted_to_stop.contains(&run));
    if status.wanted == Wanted::Up || is_found {
        return Ok(());
    }
    let needing = (0..world.plans.len()).filter(|other| world.needs(*other).contains(&at));
    let mut up = needing.filter(|other| daemon.statuses[*other].run.is_some());
    let first = up.next();
    ensure(first.is_none(), "what_needs_it_stops_first", || {
        format!("{} is stopped while {} lives", name(at), name(first.unwrap_or(at)))
    })
}

pub fn nothing_starts_before_what_it_needs(world: &World, at: usize) -> Found {
    let mut needs = world.needs(at).into_iter();
    let unmet = needs.find(|need| !world.past.met[at].contains(need));
    ensure(unmet.is_none(), "nothing_is_ready_before_what_it_needs", || {
        format!("{} is started, and {} was not there since", name(at), name(unmet.unwrap_or(at)))
    })
}

/// Asked in the order of the orders: a stop that comes out of the same decision may stand behind it.
pub fn no_probe_outlives_its_run(world: &World, at: usize, run: RunId) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    let status = &daemon.statuses[at];
    let is_told_to_end = world.past.told_to_end.contains(&run);
    ensure(status.run == Some(run) && !is_told_to_end, "no_probe_outlives_its_run", || {
        format!("{} is {} with {:?}, and run {run} is probed", name(at), status.state, status.run)
    })
}

/// None after what served well, else the first delay up to the last, a fifth up or down.
pub fn a_restart_waits_as_long_as_it_should(world: &World, at: usize, span: Option<Duration>) -> Found {
    let backoff = world.plans[at].backoff;
    let (least, most) = (backoff.first.mul_f64(0.79), backoff.max.mul_f64(1.21));
    let is_right = span.is_some_and(|span| span.is_zero() || (least..=most).contains(&span));
    ensure(is_right, "a_restart_waits_as_long_as_it_should", || {
        format!("{} waits {span:?}, and its delays are {backoff:?}", name(at))
    })
}

pub fn no_line_is_told_twice_or_of_a_run_that_never_was(
    world: &World,
    run: RunId,
    line: &'static str,
) -> Found {
    let times =
        world.past.lines.get(&run).and_then(|lines| lines.told.get(line)).copied().unwrap_or_default();
    ensure(
        times == 1 && world.machine.lives.contains_key(&run),
        "every_run_has_its_lines_in_the_history",
        || format!("run {run} has {times} lines that say {line}"),
    )
}

/// One that would be given again at once and for ever keeps a daemon busy.
pub fn a_passed_deadline_is_followed_by_a_later_one(now: Time, next: Option<Time>) -> Found {
    ensure(next.is_none_or(|at| at > now), "a_passed_deadline_is_followed_by_a_later_one", || {
        format!("the next is {next:?}, and it is {now:?}")
    })
}

/// Asked of the guard that is about to start a process.
pub fn no_spawn_without_a_claim(machine: &Machine, guard: u32) -> Found {
    let lock = machine.guards.get(&guard).and_then(|guard| machine.locks.get(&guard.lock));
    ensure(lock.is_some_and(|lock| lock.is_in_place), "no_spawn_without_a_claim", || format!("guard {guard}"))
}

/// Asked when a process is about to be started.
pub fn no_run_before_the_last_tree_is_empty(machine: &Machine, instance: usize) -> Found {
    let left: Vec<u32> = machine.living(instance).map(|(pid, _)| *pid).collect();
    ensure(left.is_empty(), "no_run_before_the_last_tree_is_empty", || format!("{instance} has {left:?}"))
}

/// Asked when the core orders a spawn: a guard would refuse it beside its own tree, but the core must not rely on
/// that. Only what an earlier claim left behind may live; the new guard ends it first.
pub fn no_spawn_is_ordered_beside_a_living_tree(world: &World, at: usize, claim: ClaimId) -> Found {
    let held = world.daemon.as_ref().and_then(|daemon| daemon.held.get(&claim));
    let Some(held) = held.filter(|held| held.at == at && !held.is_releasing) else {
        return Err(Broken {
            check: "no_spawn_without_a_claim",
            words: format!("{at} is to run under {claim:?}"),
        });
    };
    let is_empty =
        held.guard.and_then(|id| world.machine.guards.get(&id)).is_none_or(|g| g.tree == Tree::Empty);
    let has_left = world.machine.living(at).any(|(_, process)| process.lock == held.lock);
    ensure(is_empty && !has_left, "no_run_before_the_last_tree_is_empty", || format!("{at} under {claim:?}"))
}

pub fn a_claim_is_released_only_after_the_tree_is_empty(world: &World, claim: ClaimId) -> Found {
    let Some(held) = world.daemon.as_ref().and_then(|daemon| daemon.held.get(&claim)) else { return Ok(()) };
    let left: Vec<u32> =
        world.machine.living(held.at).filter(|(_, p)| p.lock == held.lock).map(|(pid, _)| *pid).collect();
    ensure(left.is_empty(), "a_claim_is_released_only_after_the_tree_is_empty", || {
        format!("{} lives in {left:?}", held.at)
    })
}

pub fn record_comes_before_spawn(world: &World, at: usize) -> Found {
    let is_noted = world.page[at].is_some() || world.page_before[at].is_some();
    ensure(is_noted, "record_comes_before_spawn", || format!("the ledger wants {at} down"))
}

/// Those of runs that a daemon knows of: they may not listen yet.
pub fn no_port_is_given_twice(world: &World, at: usize, ports: &[u16]) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    let is_known = |process: &Process| daemon.statuses[process.instance].run == Some(process.run);
    let mut others = world.machine.processes.values().filter(|process| process.instance != at);
    let other = others.find(|other| is_known(other) && other.ports.iter().any(|port| ports.contains(port)));
    ensure(other.is_none(), "no_port_is_given_twice", || format!("{at} is given {ports:?} of {other:?}"))
}

/// As it was when it was looked at last.
pub fn a_port_moves_only_while_others_are_on_it(world: &World, at: usize, ports: &[u16]) -> Found {
    let mut moved = world.plans[at].ports.iter().zip(ports).filter(|(from, to)| from != to);
    let busy = world.past.busy.get(&at);
    ensure(
        moved.all(|(from, to)| busy.is_some_and(|busy| busy.contains(from) && !busy.contains(to))),
        "a_port_moves_only_while_others_are_on_it",
        || format!("{at} moves to {ports:?}, and in use is {busy:?}"),
    )
}

/// Spawns of a service that nobody asked for and no rival or stranger explains, within the period of its limit. Each
/// counts from when the one before fell: it may have had to wait for long.
pub fn restarts_stay_inside_the_window(world: &mut World, at: usize) -> Found {
    let (now, limit) = (world.machine.now, world.plans[at].limit);
    let wish = &mut world.wishes[at];
    // Each opening of its hours begins anew.
    let keeps_count = world.plans[at].kind == Kind::Service && world.plans[at].schedule.is_none();
    let is_own = !std::mem::take(&mut wish.explains_a_start) && keeps_count;
    wish.starts.retain(|then| now.since(*then) < limit.period);
    wish.starts.push(now);
    let fell_at = wish.falls.pop_front().unwrap_or(now);
    if is_own {
        wish.restarts.retain(|then| fell_at.since(*then) < limit.period);
        wish.restarts.push(fell_at);
        world.machine.count("restarts");
    }
    let count = world.wishes[at].restarts.len();
    ensure(count <= limit.count as usize, "restarts_stay_inside_the_window", || {
        format!("{count} restarts of {at} within {:?}", limit.period)
    })
}

pub fn a_wish_is_dropped_only_for_a_reason(world: &World, at: usize) -> Found {
    let wish = &world.wishes[at];
    let has_need = !world.plans[at].needs.is_empty();
    ensure(
        wish.is_refused || wish.has_ended || has_need || world.faults.slow_answers,
        "a_wish_is_dropped_only_for_a_reason",
        || format!("{at} was wanted up"),
    )
}

/// After somebody asked for something and got through: another daemon would know of it.
pub fn what_is_wanted_is_written_down(world: &World) -> Found {
    let Some(daemon) = &world.daemon else { return Ok(()) };
    (0..world.plans.len()).try_for_each(|at| {
        let is_needed = (0..world.plans.len())
            .any(|other| world.plans[other].needs.iter().any(|n| n.on == name(at)) && !daemon.is_down(other));
        let is_noted = match world.wishes[at].wanted {
            Some(Wanted::Up) => world.page[at].is_some(),
            // It goes down once what needs it is down.
            Some(Wanted::Down) => world.page[at].is_none() || is_needed,
            None => true,
        };
        ensure(is_noted, "what_is_wanted_is_written_down", || {
            format!("{at} is {:?}", world.wishes[at].wanted)
        })
    })
}

// ---- after the calm

/// Of every run that a daemon heard of and lived to tell.
pub fn every_run_has_its_lines_in_the_history(world: &World) -> Found {
    world.past.lines.iter().try_for_each(|(run, lines)| {
        let missing = lines.owed.iter().find(|line| !lines.told.contains_key(*line));
        ensure(missing.is_none(), "every_run_has_its_lines_in_the_history", || {
            format!("run {run} has no line that says {missing:?}")
        })
    })
}

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

fn keeps_hours(world: &World, at: usize) -> bool {
    world.plans[at].schedule.is_some() || world.needs(at).into_iter().any(|need| keeps_hours(world, need))
}

pub fn every_wanted_instance_serves_and_every_other_rests(world: &World) -> Found {
    let Some(daemon) = &world.daemon else {
        return Err(Broken {
            check: "every_wanted_instance_serves_and_every_other_rests",
            words: "no daemon came back".to_owned(),
        });
    };
    (0..world.plans.len()).try_for_each(|at| {
        let status = &daemon.statuses[at];
        let is_service = world.plans[at].kind == Kind::Service;
        let alive = world.machine.living(at).count();
        let serves = status.is_stale
            || daemon.project.instance(at).ports().iter().all(|port| !world.machine.is_free(*port));
        let is_ready = status.state == Word::Ready && world.machine.is_locked(at) && alive > 0 && serves;
        // What somebody ran by hand and killed with its guard is left until the instance is started or cleaned up.
        let is_left =
            |process: &Process| process.guard.is_none() && (process.is_rivals || process.is_given_up);
        let is_empty = world.machine.living(at).all(|(_, process)| is_left(process));
        let is_at_rest = daemon.is_down(at) && !world.machine.is_locked(at) && is_empty;
        let is_failed = status.state == Word::Failed && is_at_rest && is_failed_for_a_reason(world, at);
        let is_job_at_work =
            !is_service && !matches!(status.state, Word::Stopped | Word::Standby | Word::Conflict);
        // One that may run for so long only is always on its way somewhere.
        let goes_along = world.strategy != Strategy::OneForOne || !world.plans[at].needs.is_empty();
        let is_limited = |plan: &Plan| plan.max_runtime.is_some();
        let is_restless = status.wanted == Wanted::Up
            && (is_limited(&world.plans[at]) || goes_along && world.plans.iter().any(is_limited));
        // It comes and goes with the hours of its own, or of what it needs.
        let keeps_hours = status.wanted == Wanted::Up && keeps_hours(world, at);
        let base_serves = daemon.statuses[world.base(at)].state == Word::Ready;
        let is_right = match world.wishes[at].wanted {
            Some(Wanted::Up) | None if is_service && (is_restless || keeps_hours) => true,
            Some(Wanted::Up) if is_service => is_ready || is_failed,
            Some(Wanted::Up) => is_job_at_work,
            Some(Wanted::Down) => is_at_rest,
            None if world.is_stand_in(at) => is_at_rest || !base_serves,
            None => is_ready || is_at_rest || is_job_at_work,
        };
        ensure(is_right, "every_wanted_instance_serves_and_every_other_rests", || {
            format!(
                "{at} was asked to be {:?} and is {} (wanted {}, {alive} processes, lock {}, {:?})",
                world.wishes[at].wanted,
                status.state,
                status.wanted,
                if world.machine.is_locked(at) { "held" } else { "free" },
                status.note
            )
        })
    })
}
