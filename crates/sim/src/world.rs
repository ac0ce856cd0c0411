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
mod rhythm;
mod schedules;
mod succession;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use soloist_core::event::IfHeld;
use soloist_core::id::{RunId, TickId};
use soloist_core::plan::{Plan, Strategy};
use soloist_core::schedule::civil::{Clock, Moment};
use soloist_core::time::Time;

pub use self::checks::Broken;
use self::checks::Found;
use self::daemon::Daemon;
use self::machine::{Happening, Machine};
use self::mischief::Faults;
use self::operator::Wish;
use self::past::Past;
use self::plans::{Drawn, draw_plans, draw_strategy};
use self::random::Random;
use self::rhythm::Followed;

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
    /// Of which instance each is a lane.
    pub lane_of: Vec<Option<usize>>,
    pub followed: Vec<Option<Followed>>,
    /// When each run and turn was due, and of whose schedule.
    pub scheduled_runs: BTreeMap<(RunId, Moment), usize>,
    /// What workers were given and have not answered.
    pub turns: Vec<BTreeSet<(RunId, TickId)>>,
    /// When somebody asked for a run of it, and whether that keeps it up outside its hours.
    pub asked: Vec<BTreeSet<Moment>>,
    pub is_forced: Vec<bool>,
    /// It was not wanted, and runs once.
    pub is_once: Vec<bool>,
    /// Since when nothing of it is due.
    pub paused: Vec<Option<Moment>>,
    /// The clock that the daemon knows.
    pub clock_told: Clock,
    /// It goes on where the last daemon ended.
    pub is_remembered: Vec<bool>,
    /// Its schedule has changed.
    pub is_changed: Vec<bool>,
    /// When the last daemon died.
    pub followed_until: Option<Moment>,
    /// The latest time that the wall clock showed, and whether a daemon died before it was there again.
    pub furthest: Moment,
    pub is_behind: bool,
    /// Something was to be done before the decision at work.
    pub is_overdue: bool,
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
    let Drawn { plans, programs, lane_of } = draw_plans(&mut random, &mut Random::new(!seed));
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
        lane_of,
        followed: vec![None; count],
        scheduled_runs: BTreeMap::new(),
        turns: vec![BTreeSet::new(); count],
        asked: vec![BTreeSet::new(); count],
        is_forced: vec![false; count],
        is_once: vec![false; count],
        paused: vec![None; count],
        clock_told: Clock::default(),
        is_remembered: vec![false; count],
        is_changed: vec![false; count],
        followed_until: None,
        furthest: Moment::default(),
        is_behind: false,
        is_overdue: false,
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
    for at in 0..count {
        let is_paused = world.plans[at].schedule.as_ref().is_some_and(|schedule| schedule.is_paused);
        world.paused[at] = is_paused.then_some(Moment::default());
    }
    let outcome = world.live();
    Tale { outcome, trace: world.machine.trace.unwrap_or_default(), tally: world.machine.tally }
}

impl World {
    fn live(&mut self) -> Found {
        self.revive_daemon();
        for at in 0..self.bases() {
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
            Happening::ClockTold => {
                let is_counted: Vec<bool> = self.followed.iter().map(Option::is_some).collect();
                self.tell_clock();
                // Whoever begins to follow with the news leaves out what was due by the old clock.
                let begun = self.followed.iter_mut().zip(is_counted).filter(|(_, is_counted)| !is_counted);
                begun.filter_map(|(followed, _)| followed.as_mut()).for_each(|followed| followed.skipped = 0);
            }
            Happening::Revival => self.revive_daemon(),
            Happening::TakeOver(at) => self.take_over_late(at),
        }
    }

    /// What is declared, without the lanes.
    fn bases(&self) -> usize {
        self.lane_of.iter().filter(|base| base.is_none()).count()
    }

    fn look(&mut self) -> Found {
        self.count_dues();
        if let Some(broken) = self.machine.broken.take() {
            return Err(broken);
        }
        checks::no_two_live_trees_of_an_instance(&self.machine)?;
        checks::every_wait_has_a_deadline(self)?;
        checks::an_unready_run_is_given_up_in_time(self)?;
        checks::a_stop_is_never_forgotten(self)?;
        checks::what_is_told_stopped_holds_no_claim(self)?;
        checks::the_pid_told_is_of_its_run(self)?;
        checks::a_stand_in_lives_only_for_a_restart(self)?;
        checks::schedules_are_followed(self)
    }
}
