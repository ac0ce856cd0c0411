//! One life of a world: a seed, a time of faults, a calm. The earliest happening is next; the promises are checked
//! after each.

use std::collections::BTreeMap;
use std::time::Duration;

use soloist_core::event::IfHeld;
use soloist_core::plan::Plan;
use soloist_core::time::Time;

use super::checks;
use super::daemon::Daemon;
use super::machine::{Happening, Machine};
use super::mischief::{Faults, Wish, draw_plans};
use super::random::Random;

/// Far beyond every limit that a plan of a seed can have.
const CALM: Duration = Duration::from_secs(400);
/// A life takes a few thousand; one that takes so many turns in a circle.
const STEPS_MOST: usize = 40_000;

/// A world: the machine, the daemon if one lives, and what survives it.
#[derive(Debug)]
pub struct World {
    pub machine: Machine,
    pub daemon: Option<Daemon>,
    pub plans: Vec<Plan>,
    pub faults: Faults,
    /// Since when an instance is wanted up.
    pub ledger: Vec<Option<Time>>,
    /// As it was before the records of the orders at work were written in one go.
    pub ledger_before: Vec<Option<Time>>,
    pub wishes: Vec<Wish>,
}

/// How a life went.
#[derive(Debug)]
pub struct Tale {
    pub outcome: Result<(), String>,
    pub trace: Vec<String>,
    pub tally: BTreeMap<&'static str, u64>,
}

/// The name of the instance at a position.
pub fn name(at: usize) -> String {
    format!("s{at}")
}

pub fn live(seed: u64, is_traced: bool) -> Tale {
    let mut random = Random::new(seed);
    let (plans, programs) = draw_plans(&mut random);
    let faults = Faults::draw(&mut random);
    let count = plans.len();
    let mut world = World {
        machine: Machine::new(random, programs, is_traced),
        daemon: None,
        plans,
        faults,
        ledger: vec![None; count],
        ledger_before: vec![None; count],
        wishes: vec![Wish::default(); count],
    };
    world.machine.say(|| format!("{faults:?}"));
    for at in 0..count {
        let (plan, tempers) = (world.plans[at].clone(), world.machine.programs[at].tempers.clone());
        world.machine.say(|| format!("{at}: {plan:?} {tempers:?}"));
    }
    let outcome = world.live();
    Tale { outcome, trace: world.machine.trace.unwrap_or_default(), tally: world.machine.tally }
}

impl World {
    fn live(&mut self) -> Result<(), String> {
        self.revive_daemon();
        for at in 0..self.plans.len() {
            if self.machine.random.percent(80) {
                self.ask_start(at, IfHeld::StandBy);
            }
        }
        self.machine.plan(Duration::ZERO, Happening::Mischief);
        let span = self.machine.random.span(5000, 120_000);
        self.pass(span)?;
        self.calm();
        self.machine.agenda.retain(|_, what| !matches!(what, Happening::Mischief));
        self.pass(CALM)?;
        checks::every_wanted_instance_serves_and_every_other_rests(self)
    }

    fn pass(&mut self, span: Duration) -> Result<(), String> {
        let end = self.machine.now + span;
        for _ in 0..STEPS_MOST {
            let deadline = self.daemon.as_ref().and_then(|daemon| daemon.project.next_deadline());
            let planned = self.machine.agenda.keys().next().map(|(at, _)| *at);
            let Some(next) = deadline.into_iter().chain(planned).min() else { return Ok(()) };
            if next > end {
                self.machine.now = end.max(self.machine.now);
                return Ok(());
            }
            self.machine.now = self.machine.now.max(next);
            if deadline == Some(next) && (planned != Some(next) || self.machine.random.percent(50)) {
                self.expire();
            } else {
                self.next_happening();
            }
            self.look()?;
        }
        Err("it never comes to rest: too many steps".to_owned())
    }

    fn next_happening(&mut self) {
        let Some((_, what)) = self.machine.agenda.pop_first() else { return };
        match what {
            Happening::Mail(source) => self.take_mail(source),
            Happening::Guard(id) => self.machine.guard_turn(id),
            Happening::Process(pid, turn) => self.machine.take_turn(pid, turn),
            Happening::Mischief => {
                self.mischief();
                self.machine.check(checks::what_is_wanted_is_written_down(self));
            }
            Happening::Revival => self.revive_daemon(),
            Happening::TakeOver(at) => self.take_over_late(at),
        }
    }

    fn look(&mut self) -> Result<(), String> {
        if let Some(broken) = self.machine.broken.take() {
            return Err(broken);
        }
        checks::no_two_live_trees_of_an_instance(&self.machine)?;
        checks::every_wait_has_a_deadline(self)
    }
}
