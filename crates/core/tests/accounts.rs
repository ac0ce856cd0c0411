//! Every run that is due is accounted for: it has begun, waits, or was left out and that was told. Seeded jobs with every
//! policy in a world that answers late, sleeps, and refuses now and then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use soloist_core::event::{Cause, Effect, Event, Exit, IfHeld, What};
use soloist_core::id::{ClaimId, RunId};
use soloist_core::plan::{Kind, Plan};
use soloist_core::project::{Orders, Project};
use soloist_core::schedule::calendar::Session;
use soloist_core::schedule::civil::{Clock, Days, TimeOfDay};
use soloist_core::schedule::cron::Cron;
use soloist_core::schedule::due::{Course, Mark};
use soloist_core::schedule::window::{Beyond, Hours, Rule, Window};
use soloist_core::schedule::zone::Zone;
use soloist_core::schedule::{Misfire, OnClose, Overlap, Schedule, Trigger};
use soloist_core::state::Word;
use soloist_core::time::Time;

/// Steele, Lea, Flood: SplitMix64.
struct Random(u64);

impl Random {
    fn of(&mut self, many: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % many
    }

    fn span(&mut self, ms: u64) -> Duration {
        Duration::from_millis(self.of(ms))
    }
}

/// Some minutes of each of six hours, in UTC.
fn window(random: &mut Random) -> Option<Arc<Window>> {
    let (open, long) = (random.of(30) as u32, 5 + random.of(25) as u32);
    let at = |hour: u32, minutes: u32| TimeOfDay::new(hour * 3600 + minutes * 60).unwrap();
    let session = |hour| Session { open: at(hour, open), close: at(hour, open + long) };
    let sessions = (6..12).map(session).collect();
    (random.of(2) == 0).then(|| {
        Arc::new(Window {
            name: "hours".to_owned(),
            zone: Arc::new(Zone::utc()),
            rule: Rule::Weekly(vec![Hours { from: None, days: Days::all(), sessions }]),
            beyond: Beyond::Closed,
            dates: BTreeMap::new(),
            overrides: Vec::new(),
        })
    })
}

fn schedule(random: &mut Random) -> Schedule {
    let every = Duration::from_millis(500 + random.of(60_000));
    let cron = Cron::parse("7 */3 * * * *").unwrap();
    let timed = Trigger::Cron { cron, zone: Arc::new(Zone::utc()) };
    let triggers = match random.of(3) {
        0 => vec![Trigger::Every(every)],
        1 => vec![timed],
        _ => vec![Trigger::Every(every), timed],
    };
    Schedule {
        triggers,
        window: window(random),
        jitter: random.span(20_000) * (random.of(2) as u32),
        overlap: [Overlap::Skip, Overlap::Queue, Overlap::Replace, Overlap::Allow][random.of(4) as usize],
        misfire: [Misfire::Skip, Misfire::RunOnce, Misfire::RunAll][random.of(3) as usize],
        on_close: [OnClose::Stop, OnClose::Drain, OnClose::Finish][random.of(3) as usize],
        has_final_run: random.of(2) == 0,
        lanes: vec!["lane".to_owned()],
        ..Schedule::default()
    }
}

struct World {
    project: Project,
    random: Random,
    now: Time,
    /// Answers on their way.
    due: Vec<(Time, usize, Event)>,
    living: BTreeMap<usize, RunId>,
    begun: u64,
    skipped: u64,
    claims: u64,
}

impl World {
    fn answer(&mut self, at: usize, event: Event, within_ms: u64) {
        let when = self.now + self.random.span(within_ms);
        self.due.push((when, at, event));
    }

    fn obey(&mut self, orders: Orders) {
        for (at, effect) in orders {
            match effect {
                Effect::AskClaim { ask } if at == 0 && self.random.of(12) == 0 => {
                    self.answer(at, Event::ClaimHeld { ask, by: "pid 7".to_owned() }, 1000);
                }
                Effect::AskClaim { ask } => {
                    self.claims += 1;
                    let claim = ClaimId(self.claims);
                    self.answer(at, Event::ClaimGranted { ask, claim }, 1000);
                }
                Effect::Spawn { run, scheduled, .. } => {
                    assert!(scheduled.is_some(), "a run of a schedule knows when it was due");
                    assert_eq!(self.living.insert(at, run), None, "two runs of one instance live");
                    self.begun += 1;
                    self.due.push((self.now, at, Event::Spawned { run, pid: 70 }));
                    let exit =
                        Event::MainExited { run, exit: Exit::Code(0), is_tree_left: false, diagnosis: None };
                    self.answer(at, exit, 40_000);
                }
                Effect::StopTree { run, .. } | Effect::KillTree { run, .. } | Effect::Sweep { run, .. } => {
                    let exit =
                        Event::MainExited { run, exit: Exit::Code(1), is_tree_left: false, diagnosis: None };
                    self.answer(at, exit, 3000);
                }
                Effect::Release { claim } => self.answer(at, Event::Released { claim }, 300),
                Effect::Tell { note } if note.what == What::Skipped => {
                    assert_eq!(at, 0);
                    self.skipped += note.count.unwrap();
                }
                Effect::Record { .. }
                | Effect::LookAtPorts { .. }
                | Effect::CheckPorts { .. }
                | Effect::Probe { .. }
                | Effect::Tick { .. }
                | Effect::Reload { .. }
                | Effect::Tell { .. } => {}
            }
        }
    }

    fn step(&mut self) {
        let mut orders = Orders::new();
        self.due.sort_by_key(|(when, ..)| *when);
        let deadline = self.project.next_deadline().unwrap_or(Time(Duration::MAX));
        if self.random.of(400) == 0 {
            // The machine sleeps.
            self.now = self.now + self.random.span(1_500_000);
        }
        match self.due.first() {
            Some((when, ..)) if *when <= deadline => {
                let (when, at, event) = self.due.remove(0);
                self.now = self.now.max(when);
                if let Event::MainExited { run, .. } = &event {
                    if self.living.get(&at) != Some(run) {
                        return;
                    }
                    let run = *run;
                    self.living.remove(&at);
                    self.due.insert(0, (self.now, at, Event::TreeEmptied { run }));
                }
                self.project.handle(self.now, at, event, &mut orders);
            }
            _ => {
                self.now = self.now.max(deadline);
                self.project.expire(self.now, &mut orders);
            }
        }
        self.obey(orders);
    }
}

#[test]
fn what_is_due_has_begun_or_waits_or_was_left_out() {
    let mut checks = 0;
    for seed in 0..30 {
        let mut random = Random(seed);
        let schedule = schedule(&mut random);
        let plan = Plan { kind: Kind::Job, schedule: Some(schedule.clone()), ..Plan::default() };
        let began = Time(Duration::from_secs(1000));
        let clock = Clock { boot_ns: 1_786_000_000_000_000_000 };
        let mut world = World {
            project: Project::new(),
            random,
            now: began,
            due: Vec::new(),
            living: BTreeMap::new(),
            begun: 0,
            skipped: 0,
            claims: 0,
        };
        world.project.add("base", plan, seed, began);
        world.project.add("lane", Plan { kind: Kind::Job, ..Plan::default() }, seed, began);
        let mut orders = Orders::new();
        world.project.set_clock(began, clock, &mut orders);
        world.project.start(began, 0, Cause::User("ada".to_owned()), IfHeld::Refuse, &mut orders);
        world.obey(orders);
        for step in 0..600 {
            world.step();
            if step % 20 != 0 {
                continue;
            }
            let status = world.project.status(0);
            let is_about =
                matches!(status.state, Word::Claiming | Word::Starting) && !world.living.contains_key(&0);
            let lane = world.project.status(1).state;
            let lane_is_about =
                matches!(lane, Word::Claiming | Word::Starting) && !world.living.contains_key(&1);
            // A run that is put off by its jitter is due already.
            let is_put_off = status.outlook.as_ref().and_then(|outlook| outlook.next);
            let is_put_off = is_put_off.is_some_and(|next| clock.boot(next) <= world.now);
            if is_put_off || world.project.next_deadline().is_some_and(|at| at <= world.now) {
                continue;
            }
            let queued = status.outlook.map_or(0, |outlook| outlook.queued) as u64;
            let told = world.begun + world.skipped + queued + u64::from(is_about) + u64::from(lane_is_about);
            let course = Course { schedule: &schedule, clock };
            let due = course.passed(&Mark::at(began, clock), world.now).map_or(0, |passed| passed.count);
            checks += 1;
            assert_eq!(told, due, "seed {seed}, step {step}, {status:?}", status = world.project.status(0));
        }
    }
    assert!(checks > 500, "only {checks} checks");
}
