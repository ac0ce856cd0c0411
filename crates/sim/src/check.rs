//! Exhaustive search: every order in which a few kills, requests and messages can come in a small world around the real
//! core. `state.rs` is the world as one value, `guard.rs` and `daemon.rs` its steps. The search itself is stateright's.

mod canonical;
mod daemon;
mod guard;
mod state;

use std::collections::HashSet;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use soloist_core::event::{Exit, Wanted};
use soloist_core::id::ClaimId;
use soloist_core::plan::{Backoff, Condition, Need, Plan, RestartLimit};
use soloist_core::state::Word;
use soloist_core::time::Time;
use stateright::{Checker, HasDiscoveries, Model, Property};

use self::guard::Turn;
pub use self::state::Budget;
use self::state::{GuardId, Seat, State};

/// A calm has come right long before, or never does.
const CALM_STEPS: usize = 500;

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Its name.
    pub name: &'static str,
    /// So many projects share the claims of their instances; each has one daemon after the other.
    pub projects: usize,
    /// So many instances; the second needs the first.
    pub instances: usize,
    /// They listen on ports of their own.
    pub has_ports: bool,
    /// What may happen beside what must.
    pub budget: Budget,
}

/// A bug that is planted into the small world, to doubt the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A guard takes its tree for empty, and lets the claim go, when its main process has ended.
    AGuardEndsWithItsMainProcess,
    /// A daemon goes on as if it had been granted a claim that another holds.
    ARunBeginsBeforeTheGrant,
    /// A daemon keeps the claim's descriptor to itself.
    TheClaimIsNotShared,
    /// A guard starts what a daemon ordered that is gone.
    ARunBeginsForNobody,
    /// A guard does not look for what earlier runs left.
    NothingIsSwept,
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Start,
    Stop,
    Restart,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// A daemon begins.
    Revive(usize),
    /// It looks at what was left of the next instance.
    TakeOver(usize),
    /// It does what is next.
    Perform(usize),
    Answer(usize, usize),
    Report(usize, ClaimId),
    Sought(usize, usize),
    Guard(GuardId, Turn),
    /// A process that was told to ends.
    End(usize),
    /// Time passes up to a daemon's next deadline.
    Wait(usize),
    Ask(usize, usize, Wish),
    KillDaemon(usize),
    KillGuard(GuardId, bool),
    /// A main process falls.
    Fall(usize),
}

impl Step {
    /// It comes of itself, sooner or later, and nobody has to wait for time to pass.
    fn is_certain(self) -> bool {
        match self {
            Step::Revive(_) | Step::TakeOver(_) | Step::Perform(_) | Step::Answer(..) => true,
            Step::Report(..) | Step::Sought(..) | Step::End(_) => true,
            Step::Guard(_, turn) => turn != Turn::Insist,
            Step::Wait(_) | Step::Ask(..) | Step::KillDaemon(_) | Step::KillGuard(..) | Step::Fall(_) => {
                false
            }
        }
    }
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// So many states are different.
    pub states: usize,
    /// So many were met, again and again.
    pub steps: usize,
    /// So many steps are enough to get everywhere.
    pub depth: usize,
    /// The first broken promise, and the steps to it.
    pub broken: Option<(&'static str, Vec<String>)>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((promise, steps)) = &self.broken {
            steps.iter().try_for_each(|step| writeln!(f, "  {step}"))?;
            writeln!(f, "breaks {promise}")?;
        }
        write!(f, "{} states, {} steps, depth {}", self.states, self.steps, self.depth)
    }
}

/// The worlds, the smallest first.
pub const WORLDS: [World; 7] = [
    World::of("start", 1, 1, Budget { asks: 1, daemon_kills: 1, guard_kills: 1, falls: 0 }),
    World::of("stop", 1, 1, Budget { asks: 2, daemon_kills: 1, guard_kills: 0, falls: 0 }),
    World::of("shared", 2, 1, Budget { asks: 2, daemon_kills: 1, guard_kills: 0, falls: 0 }),
    World::of("one", 1, 1, Budget { asks: 2, daemon_kills: 1, guard_kills: 1, falls: 0 }),
    World::of("pair", 1, 2, Budget { asks: 2, daemon_kills: 1, guard_kills: 0, falls: 0 }),
    World::of("ports", 1, 1, Budget { asks: 2, daemon_kills: 1, guard_kills: 1, falls: 1 }).with_ports(),
    World::of("three", 3, 1, Budget { asks: 2, daemon_kills: 1, guard_kills: 1, falls: 0 }),
];

fn name(at: usize) -> String {
    format!("s{at}")
}

impl World {
    const fn of(name: &'static str, projects: usize, instances: usize, budget: Budget) -> World {
        World { name, projects, instances, has_ports: false, budget }
    }

    const fn with_ports(self) -> World {
        World { has_ports: true, ..self }
    }

    /// Spans so short that all that is longer ago than [`canonical`] tells apart is over for each of them.
    fn plan(&self, at: usize) -> Plan {
        let needs =
            if at == 0 { Vec::new() } else { vec![Need { on: name(at - 1), until: Condition::Ready }] };
        let second = Duration::from_secs(1);
        Plan {
            ports: if self.has_ports { vec![8000 + at as u16] } else { Vec::new() },
            needs,
            backoff: Backoff { first: second, max: second, reset_after: second },
            limit: RestartLimit { count: 2, period: 2 * second },
            stop_grace: second,
            ready_timeout: 5 * second,
            ..Plan::default()
        }
    }

    /// Searches all of it, or up to so many states.
    pub fn search(self, fault: Option<Fault>, most: Option<usize>) -> Found {
        let model = Small { world: self, fault, calm: Mutex::default() };
        let mut builder = model.checker().threads(2).finish_when(HasDiscoveries::Any);
        if let Some(most) = most {
            builder = builder.target_state_count(most);
        }
        let checker = builder.spawn_bfs().join();
        let mut broken: Vec<(&'static str, Vec<String>)> = { checker.discoveries().into_iter() }
            .map(|(promise, path)| {
                let end = checker.model().calm_after(path.last_state());
                let steps = path.into_actions().into_iter().map(|step| format!("{step:?}"));
                (promise, steps.chain(end).collect())
            })
            .collect();
        broken.sort_by_key(|(_, steps)| steps.len());
        Found {
            states: checker.unique_state_count(),
            steps: checker.state_count(),
            depth: checker.max_depth(),
            broken: broken.into_iter().next(),
        }
    }
}

struct Small {
    world: World,
    fault: Option<Fault>,
    /// States from which a calm leads home.
    calm: Mutex<HashSet<u64>>,
}

impl Model for Small {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let none = vec![false; self.world.instances];
        let seat = Seat { wished: vec![Some(false); none.len()], ledger: none, daemon: None };
        let mut state = State {
            now: Time(Duration::from_secs(1000)),
            seats: vec![seat; self.world.projects],
            guards: Default::default(),
            processes: Vec::new(),
            records: vec![None; self.world.instances],
            left: self.world.budget,
            has_spawned_unclaimed: false,
            names: 0,
            key: 0,
        };
        state.seal();
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        let left = state.left;
        // What comes between two orders of one decision could as well have come before or after, but for a kill.
        let busy =
            state.seats.iter().position(|seat| seat.daemon.as_ref().is_some_and(|d| !d.todo.is_empty()));
        if let Some(seat) = busy {
            steps.push(Step::Perform(seat));
            steps.extend((left.daemon_kills > 0).then_some(Step::KillDaemon(seat)));
            return;
        }
        for (seat, daemon) in state.seats.iter().enumerate().map(|(seat, of)| (seat, of.daemon.as_ref())) {
            let Some(daemon) = daemon else {
                steps.push(Step::Revive(seat));
                continue;
            };
            if left.daemon_kills > 0 {
                steps.push(Step::KillDaemon(seat));
            }
            if !daemon.untaken.is_empty() {
                steps.push(Step::TakeOver(seat));
                continue;
            }
            steps.extend((0..daemon.answers.len()).map(|which| Step::Answer(seat, which)));
            let with_mail = daemon.held.iter().filter(|(_, held)| !held.mail.is_empty());
            steps.extend(with_mail.map(|(claim, _)| Step::Report(seat, *claim)));
            let found = daemon.sought.iter().filter(|at| state.is_found(seat, **at));
            steps.extend(found.map(|at| Step::Sought(seat, *at)));
            if daemon.project.next_deadline().is_some() {
                steps.push(Step::Wait(seat));
            }
            for at in (0..self.world.instances).filter(|_| left.asks > 0) {
                let is_up = daemon.project.status(at).wanted == Wanted::Up;
                steps.push(Step::Ask(seat, at, if is_up { Wish::Stop } else { Wish::Start }));
                if is_up {
                    steps.push(Step::Ask(seat, at, Wish::Restart));
                }
            }
        }
        for id in state.guards.keys() {
            steps.extend(state.turns(*id).into_iter().map(|turn| Step::Guard(*id, turn)));
            if left.guard_kills > 0 {
                steps.push(Step::KillGuard(*id, false));
                steps.extend(state.has_unread(*id).then_some(Step::KillGuard(*id, true)));
            }
        }
        for (which, process) in state.processes.iter().enumerate() {
            if process.is_ending {
                steps.push(Step::End(which));
            } else if process.is_main && left.falls > 0 {
                steps.push(Step::Fall(which));
            }
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        match step {
            Step::Revive(seat) => next.revive(seat, &self.world),
            Step::TakeOver(seat) => next.take_over_next(seat),
            Step::Perform(seat) => next.perform(seat, self.fault),
            Step::Answer(seat, which) => next.hear_answer(seat, which),
            Step::Report(seat, claim) => next.read_report(seat, claim),
            Step::Sought(seat, at) => next.take_sought(seat, at),
            Step::Guard(id, turn) => next.take_turn(id, turn, self.fault),
            Step::End(which) => next.end_process(which, Exit::Signal(15)),
            Step::Wait(seat) => next.pass_deadline(seat),
            Step::Ask(seat, at, wish) => {
                next.left.asks -= 1;
                next.ask(seat, at, wish);
            }
            Step::KillDaemon(seat) => {
                next.left.daemon_kills -= 1;
                next.kill_daemon(seat);
            }
            Step::KillGuard(id, loses_report) => {
                next.left.guard_kills -= 1;
                next.kill_guard(id, loses_report);
            }
            Step::Fall(which) => {
                next.left.falls -= 1;
                next.end_process(which, Exit::Code(1));
            }
        }
        next.seal();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Small>> {
        vec![
            Property::always("no_two_live_trees_of_an_instance", |small: &Small, state: &State| {
                (0..small.world.instances).all(|at| {
                    let mut runs = state.processes.iter().filter(|p| p.at == at).map(|p| p.run);
                    let first = runs.next();
                    runs.all(|run| Some(run) == first)
                })
            }),
            Property::always("no_spawn_without_a_claim", |_: &Small, state: &State| {
                !state.has_spawned_unclaimed
            }),
            Property::always("every_wait_has_an_end", |_: &Small, state: &State| {
                state.seats.iter().filter_map(|seat| seat.daemon.as_ref()).all(|daemon| {
                    let is_at_work = !daemon.todo.is_empty() || !daemon.untaken.is_empty();
                    is_at_work || (0..daemon.project.len()).all(|at| waits_for_something(daemon, at))
                })
            }),
            Property::always("a_calm_leads_everybody_to_what_is_wanted", |small: &Small, state: &State| {
                small.comes_right(state)
            }),
        ]
    }
}

fn waits_for_something(daemon: &state::Daemon, at: usize) -> bool {
    let rests = matches!(daemon.project.status(at).state, Word::Stopped | Word::Failed | Word::Ready);
    let instance = daemon.project.instance(at);
    rests || instance.next_deadline().is_some() || instance.is_waiting()
}

impl Small {
    /// Nothing is killed any more and nobody asks for anything: everything that comes of itself comes, one after the
    /// other, and time passes only when nothing else is to come. From what was met before it is known.
    fn comes_right(&self, state: &State) -> bool {
        let mut now = state.clone();
        let mut met = Vec::new();
        let is_known = |key: &u64| self.calm.lock().is_ok_and(|calm| calm.contains(key));
        for _ in 0..CALM_STEPS {
            if is_known(&now.key) {
                break;
            }
            met.push(now.key);
            match self.calm_step(&now) {
                Some(next) => now = next,
                None => break,
            }
        }
        let comes_right = is_known(&now.key) || is_right(&now);
        if let Ok(mut calm) = self.calm.lock()
            && comes_right
        {
            calm.extend(met);
        }
        comes_right
    }

    /// The next step of a calm; none when all is right, or nothing is to come.
    fn calm_step(&self, state: &State) -> Option<State> {
        let mut steps = Vec::new();
        self.actions(state, &mut steps);
        let certain = steps.iter().find(|step| step.is_certain());
        if certain.is_none() && is_right(state) {
            return None;
        }
        let deadline = |step: &&Step| match step {
            Step::Wait(seat) => state.seats[*seat].daemon.as_ref().and_then(|d| d.project.next_deadline()),
            _ => None,
        };
        let soonest = steps.iter().filter(|step| deadline(step).is_some()).min_by_key(deadline);
        certain.or(soonest).and_then(|step| self.next_state(state, *step))
    }

    /// Where a calm leads, in words.
    fn calm_after(&self, state: &State) -> Vec<String> {
        let mut now = state.clone();
        for _ in 0..CALM_STEPS {
            match self.calm_step(&now) {
                Some(next) => now = next,
                None => break,
            }
        }
        let mut words = vec![format!("a calm leads to {:?}", now.processes)];
        for (seat, of) in now.seats.iter().enumerate() {
            for at in 0..now.records.len() {
                let told =
                    of.daemon.as_ref().map(|d| d.project.status(at)).map(|s| (s.state, s.wanted, s.note));
                words.push(format!("project {seat}, {}: wished up {:?}, {told:?}", name(at), of.wished[at]));
            }
        }
        words
    }
}

/// Of every instance: who wants it has it, or stands by while another has it, or has given up after what befell it; who
/// does not has nothing of it; and nothing else lives.
fn is_right(state: &State) -> bool {
    (0..state.records.len()).all(|at| {
        let is_ready =
            |seat: &Seat| seat.daemon.as_ref().is_some_and(|d| d.project.status(at).state == Word::Ready);
        let ready = state.seats.iter().filter(|seat| is_ready(seat)).count();
        let lives = state.processes.iter().any(|process| process.at == at);
        let each = state.seats.iter().all(|seat| {
            let Some(daemon) = &seat.daemon else { return false };
            let (status, holds) = (daemon.project.status(at), daemon.held.values().any(|held| held.at == at));
            let is_up = status.wanted == Wanted::Up && seat.ledger[at];
            let is_wished = seat.wished[at].is_none_or(|is_wished| is_wished == is_up);
            let is_so = match status.state {
                Word::Ready => is_up && holds,
                Word::Standby => is_up && ready == 1 && !holds,
                Word::Failed => is_up && !holds,
                Word::Stopped => status.wanted == Wanted::Down && !seat.ledger[at] && !holds,
                _ => false,
            };
            is_wished && is_so
        });
        each && ready <= 1 && lives == (ready == 1) && state.is_locked(at) == (ready == 1)
    })
}
