//! Whatever needs another starts after it and stops before it, in whichever order answers come.

use std::time::Duration;

use proptest::prelude::*;
use soloist_core::event::{Cause, Effect, Event, IfHeld};
use soloist_core::id::ClaimId;
use soloist_core::plan::{Condition, Need, Plan};
use soloist_core::project::{Orders, Project};
use soloist_core::state::Word;
use soloist_core::time::Time;

/// All of a project with answers on their way, which come in any order.
struct World {
    project: Project,
    now: Time,
    answers: Vec<(usize, Event)>,
    claims: u64,
    /// Who needs whom.
    needs: Vec<Vec<usize>>,
}

impl World {
    fn new(needs: Vec<Vec<usize>>) -> World {
        let mut project = Project::new();
        let now = Time(Duration::from_secs(1000));
        for (at, needs) in needs.iter().enumerate() {
            let needs = needs.iter().map(|need| Need { on: format!("s{need}"), until: Condition::Ready });
            project.add(
                &format!("s{at}"),
                Plan { needs: needs.collect(), ..Plan::default() },
                at as u64,
                now,
            );
        }
        World { project, now, answers: Vec::new(), claims: 0, needs }
    }

    /// Performs orders; says which breaks the order of needs.
    fn perform(&mut self, orders: Orders) -> Result<(), TestCaseError> {
        for (at, effect) in orders {
            let answers = match effect {
                Effect::AskClaim { ask } => {
                    self.claims += 1;
                    vec![Event::ClaimGranted { ask, claim: ClaimId(self.claims) }]
                }
                Effect::Spawn { run, .. } => {
                    for need in &self.needs[at] {
                        prop_assert_eq!(
                            self.project.status(*need).state,
                            Word::Ready,
                            "s{} before s{}",
                            at,
                            need
                        );
                    }
                    vec![Event::Spawned { run, pid: 4711 }]
                }
                Effect::StopTree { run, .. } | Effect::KillTree { run, .. } | Effect::Sweep { run, .. } => {
                    for (other, needs) in
                        self.needs.iter().enumerate().filter(|(_, needs)| needs.contains(&at))
                    {
                        prop_assert!(
                            self.project.is_down(other),
                            "s{} before s{}, of {:?}",
                            at,
                            other,
                            needs
                        );
                    }
                    vec![Event::TreeEmptied { run }]
                }
                Effect::Release { claim } => vec![Event::Released { claim }],
                Effect::Tell { .. }
                | Effect::Record { .. }
                | Effect::Reload { .. }
                | Effect::Tick { .. }
                | Effect::LookAtPorts { .. }
                | Effect::CheckPorts { .. }
                | Effect::Probe { .. } => Vec::new(),
            };
            self.answers.extend(answers.into_iter().map(|event| (at, event)));
        }
        Ok(())
    }

    /// All answers, in an order that the picks tell.
    fn settle(&mut self, picks: &[usize]) -> Result<(), TestCaseError> {
        let mut picks = picks.iter().cycle();
        while !self.answers.is_empty() {
            let pick = picks.next().map_or(0, |pick| pick % self.answers.len());
            let (at, event) = self.answers.swap_remove(pick);
            let mut orders = Orders::new();
            self.project.handle(self.now, at, event, &mut orders);
            self.perform(orders)?;
        }
        Ok(())
    }
}

/// Who needs whom: only such as come earlier in some order, so that there are no circles.
fn needs() -> impl Strategy<Value = Vec<Vec<usize>>> {
    (2..9_usize).prop_flat_map(|count| {
        let ranks = Just((0..count).collect::<Vec<usize>>()).prop_shuffle();
        let edges = prop::collection::vec(prop::collection::vec(any::<bool>(), count), count);
        (ranks, edges).prop_map(|(ranks, edges)| {
            let needs = |at: usize| {
                (0..ranks.len()).filter(|need| ranks[*need] < ranks[at] && edges[at][*need]).collect()
            };
            (0..ranks.len()).map(needs).collect()
        })
    })
}

proptest! {
    #[test]
    fn what_is_needed_is_ready_first_and_stops_last(
        needs in needs(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
        picks in prop::collection::vec(0..64_usize, 1..20),
    ) {
        let mut world = World::new(needs);
        let count = world.needs.len();
        let cause = || Cause::User("a test".to_owned());
        for at in order.iter().map(|index| index.index(count)).chain(0..count) {
            let mut orders = Orders::new();
            world.project.start(world.now, at, cause(), IfHeld::Refuse, &mut orders);
            world.perform(orders)?;
        }
        world.settle(&picks)?;
        let states = |world: &World| (0..count).map(|at| world.project.status(at)).collect::<Vec<_>>();
        prop_assert!(states(&world).iter().all(|status| status.state == Word::Ready), "{:?}", states(&world));
        for at in order.iter().map(|index| index.index(count)).chain(0..count) {
            let mut orders = Orders::new();
            world.project.stop(world.now, at, cause(), &mut orders);
            world.perform(orders)?;
        }
        world.settle(&picks)?;
        prop_assert!(states(&world).iter().all(|status| status.state == Word::Stopped), "{:?}", states(&world));
    }
}
