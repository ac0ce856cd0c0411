//! One life of a world: a seed, a time of faults, a calm. The earliest happening is next; the promises are checked
//! after each.

mod checks;
mod daemon;
mod guard;
mod machine;
mod mischief;
mod operator;
mod past;
mod plans;
mod process;
mod random;
mod succession;

use std::collections::BTreeMap;
use std::time::Duration;

use soloist_core::event::IfHeld;
use soloist_core::plan::{Plan, Strategy};
use soloist_core::time::Time;

pub use self::checks::Broken;
use self::checks::Found;
use self::daemon::Daemon;
use self::machine::{Happening, Machine};
use self::mischief::Faults;
use self::operator::Wish;
use self::past::Past;
use self::plans::{draw_plans, draw_strategy};
use self::random::Random;

/// Far beyond every limit that a plan of a seed can have.
const CALM: Duration = Duration::from_secs(400);
/// A life takes a few thousand; one that takes so many turns in a circle.
const STEPS_MOST: usize = 40_000;

/// The machine, the daemon if one lives, and what survives it.
#[derive(Debug)]
struct World {
    pub machine: Machine,
    pub daemon: Option<Daemon>,
    pub plans: Vec<Plan>,
    pub faults: Faults,
    pub strategy: Strategy,
    /// How often each declaration has changed.
    pub prints: Vec<u64>,
    /// Declared no more.
    pub removed: Vec<bool>,
    /// Since when an instance is wanted up: on disk.
    pub ledger: Vec<Option<Time>>,
    /// As the daemon has it in mind; the same as on disk unless the disk is full.
    pub page: Vec<Option<Time>>,
    /// As it was before the records of the orders at work were written in one go.
    pub page_before: Vec<Option<Time>>,
    pub is_disk_full: bool,
    pub wishes: Vec<Wish>,
    pub past: Past,
    /// So many daemons there were.
    pub daemons: u64,
}

/// How often something happened.
pub type Tally = BTreeMap<&'static str, u64>;

/// How a life went.
#[derive(Debug)]
pub struct Tale {
    /// The first promise that was broken, if one was.
    pub outcome: Result<(), Broken>,
    /// Step by step, if that was asked for.
    pub trace: Vec<String>,
    /// What happened, and how often.
    pub tally: Tally,
}

/// The name of the instance at a position.
fn name(at: usize) -> String {
    format!("s{at}")
}

/// Lives the life of a seed.
pub fn live(seed: u64, is_traced: bool) -> Tale {
    let mut random = Random::new(seed);
    let (plans, programs) = draw_plans(&mut random);
    let (strategy, faults) = (draw_strategy(&mut random), Faults::draw(&mut random));
    let count = plans.len();
    let mut world = World {
        machine: Machine::new(random, programs, is_traced),
        daemon: None,
        plans,
        faults,
        strategy,
        prints: vec![0; count],
        removed: vec![false; count],
        ledger: vec![None; count],
        page: vec![None; count],
        page_before: vec![None; count],
        is_disk_full: false,
        wishes: vec![Wish::default(); count],
        past: Past::of(count),
        daemons: 0,
    };
    world.machine.doubles = faults.doubled_messages;
    world.machine.is_slow = faults.slow_reports;
    if faults.pids_reused {
        world.machine.pid_max = 360;
    }
    world.machine.say(|| format!("{faults:?} {strategy:?}"));
    for at in 0..count {
        let (plan, tempers) = (world.plans[at].clone(), world.machine.programs[at].tempers.clone());
        world.machine.say(|| format!("{at}: {plan:?} {tempers:?}"));
    }
    let outcome = world.live();
    Tale { outcome, trace: world.machine.trace.unwrap_or_default(), tally: world.machine.tally }
}

impl World {
    fn live(&mut self) -> Found {
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
        checks::every_wanted_instance_serves_and_every_other_rests(self)?;
        checks::every_run_has_its_lines_in_the_history(self)
    }

    fn pass(&mut self, span: Duration) -> Found {
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
        Err(Broken { check: "it_comes_to_rest", words: format!("{STEPS_MOST} steps were not enough") })
    }

    fn next_happening(&mut self) {
        let Some((_, what)) = self.machine.agenda.pop_first() else { return };
        match what {
            Happening::Mail(source) => self.take_mail(source),
            Happening::Guard(id) => self.machine.guard_turn(id),
            Happening::Process(who, turn) => self.machine.take_turn(who, turn),
            Happening::Mischief => {
                self.mischief();
                self.machine.check(checks::what_is_wanted_is_written_down(self));
            }
            Happening::Revival => self.revive_daemon(),
            Happening::TakeOver(at) => self.take_over_late(at),
        }
    }

    fn look(&mut self) -> Found {
        if let Some(broken) = self.machine.broken.take() {
            return Err(broken);
        }
        checks::no_two_live_trees_of_an_instance(&self.machine)?;
        checks::every_wait_has_a_deadline(self)?;
        checks::an_unready_run_is_given_up_in_time(self)?;
        checks::a_stop_is_never_forgotten(self)?;
        checks::what_is_told_stopped_holds_no_claim(self)?;
        checks::the_pid_told_is_of_its_run(self)
    }
}
