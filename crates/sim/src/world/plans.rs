//! What a seed declares, and how the programs behind it behave: good ones, and every kind of bad one.

use std::ops::RangeInclusive;
use std::time::Duration;

use soloist_core::plan::{
    Backoff, Condition, Kind, Need, OverMemory, Plan, Probe, Restart, RestartLimit, Strategy,
};
use soloist_core::schedule::{Overlap, Schedule};

use super::machine::{Program, Temper};
use super::name;
use super::random::Random;
use super::schedules::{draw_hours, draw_rhythm};

/// Where ports may move: the same for all, and too few for all of them.
pub const SPARES: RangeInclusive<u16> = 8100..=8101;

/// What a seed declares.
#[derive(Debug, Default)]
pub struct Drawn {
    /// Lanes last.
    pub plans: Vec<Plan>,
    pub programs: Vec<Program>,
    /// Of which instance each is a lane.
    pub lane_of: Vec<Option<usize>>,
}

/// The declarations of one seed, and how its programs behave.
pub fn draw_plans(random: &mut Random, beside: &mut Random) -> Drawn {
    let is_worse = random.percent(50);
    let tempers: Vec<Temper> = [
        Temper::Deaf,
        Temper::Forks,
        Temper::Breeds,
        Temper::Leaves,
        Temper::ExitsAtOnce(0),
        Temper::ExitsAtOnce(1),
        Temper::ExitsAtOnce(42),
        Temper::ExitsAtOnce(127),
        Temper::Crashes,
        Temper::NeverReady,
        Temper::Sick,
        Temper::Flaps,
        Temper::Silent,
        Temper::Mute,
        Temper::Drowsy,
        Temper::Refused { is_final: false },
        Temper::Refused { is_final: true },
        Temper::SharesPort,
    ]
    .into_iter()
    .filter(|_| random.percent(if is_worse { 40 } else { 15 }))
    .chain([Temper::Good, Temper::Good])
    .collect();
    let count = 1 + random.below(4);
    let sorts: Vec<Sort> = (0..count).map(|_| draw_sort(random)).collect();
    let mut drawn =
        Drawn { plans: (0..count).map(|at| draw_plan(random, at, &sorts)).collect(), ..Drawn::default() };
    drawn.lane_of.resize(count, None);
    for base in 0..count {
        let plan = &mut drawn.plans[base];
        let has_lanes =
            plan.kind == Kind::Job && plan.schedule.as_ref().is_some_and(|s| s.overlap == Overlap::Allow);
        for _ in 0..if has_lanes { 1 + random.below(3) } else { 0 } {
            let lane = drawn.lane_of.len();
            drawn.lane_of.push(Some(base));
            drawn.plans[base].schedule.iter_mut().for_each(|schedule| schedule.lanes.push(name(lane)));
        }
    }
    for base in 0..count {
        let stand_in = drawn.lane_of.len();
        let plan = &mut drawn.plans[base];
        let is_ticked = plan.schedule.as_ref().is_some_and(|schedule| schedule.is_ticked);
        if plan.kind == Kind::Service && !is_ticked && beside.percent(30) {
            drawn.lane_of.push(Some(base));
            *plan = overlapping(plan.clone(), Some(name(stand_in)));
        }
    }
    for base in drawn.lane_of.iter().flatten() {
        drawn.plans.push(lane(&drawn.plans[*base]));
    }
    drawn.programs = drawn.plans.iter().map(|plan| Program::of(plan, tempers.clone())).collect();
    drawn
}

/// A lane is declared as its base, and follows nothing by itself.
pub fn lane(base: &Plan) -> Plan {
    match base.stand_in {
        Some(_) => base.of_stand_in(),
        None => Plan { schedule: None, ..base.clone() },
    }
}

/// With a stand-in: both runs have their sockets from elsewhere, and say themselves when they are ready.
pub fn overlapping(plan: Plan, stand_in: Option<String>) -> Plan {
    match stand_in {
        Some(_) => Plan { ports: Vec::new(), notifies: plan.readiness.is_none(), stand_in, ..plan },
        None => plan,
    }
}

pub fn draw_strategy(random: &mut Random) -> Strategy {
    match random.below(5) {
        0 => Strategy::RestForOne,
        1 => Strategy::OneForAll,
        _ => Strategy::OneForOne,
    }
}

/// What it is, and when it runs by itself.
pub type Sort = (Kind, Option<Schedule>);

fn draw_sort(random: &mut Random) -> Sort {
    match random.below(10) {
        0 => (Kind::Job, None),
        1 | 2 => (Kind::Job, Some(draw_rhythm(random, false))),
        3 => (Kind::Service, Some(draw_hours(random))),
        4 => (Kind::Service, Some(draw_rhythm(random, true))),
        _ => (Kind::Service, None),
    }
}

/// One declaration: half of them as plain as most are.
pub fn draw_plan(random: &mut Random, at: usize, sorts: &[Sort]) -> Plan {
    let seconds = Duration::from_secs;
    let is_job = sorts[at].0 == Kind::Job;
    // Two runs of one job would meet on it.
    let has_port = random.percent(60) && !(is_job && sorts[at].1.is_some());
    let needs = (0..at).filter(|_| random.percent(40)).collect::<Vec<_>>();
    let port = 8000 + at as u16;
    let plan = Plan {
        kind: sorts[at].0,
        schedule: sorts[at].1.clone(),
        ports: if has_port { vec![port] } else { Vec::new() },
        // Not drawn: what seeds of old have found, they find again.
        spares: if has_port && at.is_multiple_of(2) { vec![(port, SPARES)] } else { Vec::new() },
        needs: needs
            .into_iter()
            .map(|on| Need { on: name(on), until: draw_condition(random, sorts[on].0) })
            .collect(),
        restart: random.pick(&[
            Restart::OnFailure(None),
            Restart::OnFailure(None),
            Restart::OnFailure(Some(3)),
            Restart::Always,
            Restart::Always,
            Restart::OnSuccess,
            Restart::OnAbnormal,
            Restart::No,
        ]),
        backoff: Backoff { first: random.span(200, 1000), max: seconds(8), reset_after: seconds(5) },
        limit: RestartLimit {
            count: 3 + random.below(5) as u32,
            period: random.pick(&[seconds(30), seconds(300)]),
        },
        stop_grace: random.pick(&[Duration::ZERO, Duration::from_millis(500), seconds(5)]),
        ready_timeout: random.span(2000, 8000),
        success_codes: vec![0],
        ..Plan::default()
    };
    if random.percent(50) { plan } else { watched(random, plan) }
}

/// With probes, its own word, limits.
fn watched(random: &mut Random, plan: Plan) -> Plan {
    let is_service = plan.kind == Kind::Service;
    let mut maybe = |chance| is_service && random.percent(chance);
    let (notifies, starts, readies, lives, wakes) = (maybe(40), maybe(30), maybe(40), maybe(40), maybe(30));
    Plan {
        prevent_codes: if random.percent(30) { vec![42] } else { Vec::new() },
        notifies,
        startup: starts.then(|| draw_probe(random)),
        readiness: readies.then(|| draw_probe(random)),
        liveness: lives.then(|| Probe { success_threshold: 1, ..draw_probe(random) }),
        watchdog: wakes.then(|| random.span(2000, 10_000)),
        max_runtime: random.percent(15).then(|| random.span(2000, 60_000)),
        over_memory: random.pick(&[OverMemory::Restart, OverMemory::Stop]),
        ..plan
    }
}

/// What runs on is never completed: who waited for that would wait for ever.
fn draw_condition(random: &mut Random, kind: Kind) -> Condition {
    match kind {
        Kind::Service => random.pick(&[Condition::Ready, Condition::Ready, Condition::Started]),
        Kind::Job => random.pick(&[Condition::Ready, Condition::Completed, Condition::CompletedSuccessfully]),
    }
}

fn draw_probe(random: &mut Random) -> Probe {
    Probe {
        initial_delay: random.pick(&[Duration::ZERO, Duration::from_millis(300)]),
        period: random.pick(&[Duration::from_millis(400), Duration::from_secs(2), Duration::from_secs(4)]),
        timeout: random.span(200, 1500),
        success_threshold: 1 + random.below(2) as u32,
        failure_threshold: 1 + random.below(3) as u32,
        ..Probe::default()
    }
}
