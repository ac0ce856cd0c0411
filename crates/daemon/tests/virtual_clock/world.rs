//! A world of one project on a virtual clock: every order is answered at once, a run of a job takes its time, and what
//! was started and left out is written down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use soloist_core::event::{Cause, Effect, Event, Exit, IfHeld, What};
use soloist_core::id::{ClaimId, RunId};
use soloist_core::plan::{Kind, Plan};
use soloist_core::project::{Orders, Project};
use soloist_core::schedule::calendar::SessionKind;
use soloist_core::schedule::civil::{Clock, Moment, TimeOfDay};
use soloist_core::schedule::cron::Cron;
use soloist_core::schedule::window::{Beyond, Rule, Window};
use soloist_core::schedule::zone::Zone;
use soloist_core::schedule::{Schedule, Trigger};
use soloist_core::time::Time;
use soloist_daemon::{calendars, zones};

/// What was seen of a life.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// When runs were started, on the wall.
    pub starts: Vec<Moment>,
    /// For when they were due.
    pub due: Vec<Option<Moment>>,
    /// When trees became empty.
    pub ends: Vec<Moment>,
    /// So many were left out.
    pub skipped: u64,
    /// Why.
    pub reasons: Vec<String>,
    /// The most of one instance that lived at once, and of all instances.
    pub most: (usize, usize),
}

#[derive(Debug)]
pub struct World {
    pub project: Project,
    pub facts: Facts,
    now: Time,
    clock: Clock,
    run_time: Option<Duration>,
    planned: BTreeMap<(Time, u64), (usize, Event)>,
    living: BTreeMap<usize, Vec<RunId>>,
    count: u64,
}

impl World {
    /// One instance, `x`, wanted up at a moment; its runs take so long, or for ever. With lanes, these as well.
    pub fn new(plan: Plan, start: Moment, run_time: Option<Duration>) -> World {
        let now = Time(Duration::from_secs(1000));
        let clock = Clock { boot_ns: i128::from(start.0) * 1_000_000 - 1_000_000_000_000 };
        let lanes = plan.schedule.as_ref().map_or_else(Vec::new, |schedule| schedule.lanes.clone());
        let mut world = World {
            project: Project::new(),
            facts: Facts::default(),
            now,
            clock,
            run_time,
            planned: BTreeMap::new(),
            living: BTreeMap::new(),
            count: 0,
        };
        world.project.add("x", plan.clone(), 7, now);
        for lane in lanes {
            world.project.add(&lane, Plan { schedule: None, ..plan.clone() }, 7, now);
        }
        world.step(Duration::ZERO, true);
        world
    }

    pub fn up(&mut self) {
        let mut orders = Orders::new();
        self.project.start(self.now, 0, Cause::User("a test".to_owned()), IfHeld::StandBy, &mut orders);
        self.perform(orders);
    }

    /// What the wall says.
    pub fn wall(&self) -> Moment {
        self.clock.wall(self.now)
    }

    pub fn is_alive(&self) -> bool {
        self.living.get(&0).is_some_and(|runs| !runs.is_empty())
    }

    /// Time passes.
    pub fn run_until(&mut self, end: Moment) {
        let end = self.clock.boot(end);
        for _ in 0..2_000_000 {
            let planned = self.planned.keys().next().map(|(at, _)| *at);
            let deadline = self.project.next_deadline();
            let Some(next) = planned.into_iter().chain(deadline).min().filter(|at| *at <= end) else {
                self.now = self.now.max(end);
                return;
            };
            self.now = self.now.max(next);
            let mut orders = Orders::new();
            if planned == Some(next) {
                let Some((_, (at, event))) = self.planned.pop_first() else { return };
                if let Event::TreeEmptied { run } = event {
                    self.living.entry(at).or_default().retain(|known| *known != run);
                    self.facts.ends.push(self.clock.wall(self.now));
                }
                self.project.handle(self.now, at, event, &mut orders);
            } else {
                self.project.expire(self.now, &mut orders);
            }
            self.perform(orders);
        }
        panic!("it never comes to {end:?}");
    }

    /// The machine sleeps: both clocks go on, nobody looks.
    pub fn suspend(&mut self, span: Duration) {
        self.now = self.now + span;
        self.run_until(self.wall());
    }

    /// Somebody sets the wall clock.
    pub fn step(&mut self, span: Duration, is_forward: bool) {
        let ns = i128::try_from(span.as_nanos()).unwrap();
        self.clock.boot_ns += if is_forward { ns } else { -ns };
        let mut orders = Orders::new();
        self.project.set_clock(self.now, self.clock, &mut orders);
        self.perform(orders);
    }

    fn perform(&mut self, orders: Orders) {
        let mut orders = std::collections::VecDeque::from(orders);
        while let Some((at, effect)) = orders.pop_front() {
            let answers = match effect {
                Effect::AskClaim { ask } => {
                    self.count += 1;
                    vec![Event::ClaimGranted { ask, claim: ClaimId(self.count) }]
                }
                Effect::Spawn { run, scheduled, .. } => {
                    self.facts.starts.push(self.clock.wall(self.now));
                    self.facts.due.push(scheduled);
                    self.living.entry(at).or_default().push(run);
                    let of_one = self.living.values().map(Vec::len).max().unwrap_or(0);
                    let of_all = self.living.values().map(Vec::len).sum();
                    self.facts.most = (self.facts.most.0.max(of_one), self.facts.most.1.max(of_all));
                    if let Some(run_time) = self.run_time {
                        self.end_later(at, run, run_time, Exit::Code(0));
                    }
                    vec![Event::Spawned { run, pid: 4711 }]
                }
                Effect::StopTree { run, .. } | Effect::KillTree { run, .. } | Effect::Sweep { run, .. } => {
                    self.planned.retain(|_, (_, event)| !ends(event, run));
                    self.end_later(at, run, Duration::ZERO, Exit::Signal(15));
                    Vec::new()
                }
                Effect::Release { claim } => vec![Event::Released { claim }],
                Effect::Tell { note } if note.what == What::Skipped => {
                    self.facts.skipped += note.count.unwrap_or(1);
                    self.facts.reasons.extend(note.words);
                    Vec::new()
                }
                Effect::Tell { .. }
                | Effect::Record { .. }
                | Effect::Reload { .. }
                | Effect::Tick { .. }
                | Effect::LookAtPorts { .. }
                | Effect::CheckPorts { .. }
                | Effect::Probe { .. } => Vec::new(),
            };
            for event in answers {
                let mut more = Orders::new();
                self.project.handle(self.now, at, event, &mut more);
                orders.extend(more);
            }
        }
    }

    fn end_later(&mut self, at: usize, run: RunId, span: Duration, exit: Exit) {
        let exited = Event::MainExited { run, exit, is_tree_left: false, diagnosis: None };
        for event in [exited, Event::TreeEmptied { run }] {
            self.count += 1;
            self.planned.insert((self.now + span, self.count), (at, event));
        }
    }
}

fn ends(event: &Event, of: RunId) -> bool {
    matches!(event, Event::MainExited { run, .. } | Event::TreeEmptied { run } if *run == of)
}

/// `2026-03-08T07:00Z`, seconds if wanted.
pub fn moment(text: &str) -> Moment {
    let full = if text.len() == 17 { text.replace('Z', ":00Z") } else { text.to_owned() };
    let at: jiff::Timestamp = full.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    Moment(at.as_millisecond())
}

pub fn zone(name: &str) -> Arc<Zone> {
    zones::named(name).unwrap_or_else(|| panic!("no zone {name}"))
}

/// The regular hours of an exchange.
pub fn window_of(calendar: &str, beyond: Beyond) -> Arc<Window> {
    let calendar = calendars::built_in(calendar).unwrap_or_else(|| panic!("no calendar {calendar}"));
    Arc::new(Window {
        name: calendar.name.clone(),
        zone: Arc::clone(&calendar.zone),
        rule: Rule::Calendar { calendar, session: SessionKind::Regular },
        beyond,
        dates: BTreeMap::new(),
        overrides: Vec::new(),
    })
}

pub fn job(schedule: Schedule) -> Plan {
    Plan { kind: Kind::Job, schedule: Some(schedule), ..Plan::default() }
}

pub fn every(span: Duration) -> Schedule {
    Schedule::every(span)
}

pub fn cron(text: &str, zone: &Arc<Zone>) -> Schedule {
    let cron = Cron::parse(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    Schedule { triggers: vec![Trigger::Cron { cron, zone: Arc::clone(zone) }], ..Schedule::default() }
}

pub fn at_daily(time: &str, zone: &Arc<Zone>) -> Schedule {
    let times = vec![TimeOfDay::parse(time).unwrap_or_else(|| panic!("no time {time}"))];
    Schedule { triggers: vec![Trigger::At { times, zone: Arc::clone(zone) }], ..Schedule::default() }
}
