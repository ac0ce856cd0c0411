//! Calm: after any one event in any situation, a world that answers every order, or none of the older ones, brings the
//! instance to rest: up with its claim or down without it, and never waiting for nothing. Every pair, beside the
//! longer histories of the simulation.

use std::collections::VecDeque;

use soloist_core::event::{Answer, Effect, Event, Exit, Listening, Notice, Wanted};
use soloist_core::id::ClaimId;
use soloist_core::state::Word;

use super::situations::SITUATIONS;
use super::stage::{CUES, Cue, Stage};

/// More rounds than any way to rest has.
const ROUNDS: usize = 200;

/// What a good world says to an order.
fn answers(order: &Effect) -> Vec<Event> {
    match order {
        Effect::Record { .. } => Vec::new(),
        // A number that no other claim of the stage has.
        Effect::AskClaim { ask } => vec![Event::ClaimGranted { ask: *ask, claim: ClaimId(1000 + ask.0) }],
        Effect::LookAtPorts { ask, .. } => {
            vec![Event::PortsSeen { ask: *ask, strangers: Vec::new(), free: Vec::new() }]
        }
        Effect::Spawn { run, .. } => vec![
            Event::Spawned { run: *run, pid: 70 },
            Event::Notified { run: *run, notice: Notice { is_ready: true, ..Notice::default() } },
        ],
        Effect::Probe { ask, .. } => vec![Event::Probed { ask: *ask, outcome: Ok(()) }],
        Effect::Tick { run, tick, .. } => {
            let answers = vec![Answer { tick: *tick, is_ok: true, summary: None }];
            vec![Event::Notified { run: *run, notice: Notice { answers, ..Notice::default() } }]
        }
        Effect::Tell { .. } | Effect::Reload { .. } => Vec::new(),
        Effect::CheckPorts { ask, .. } => vec![Event::PortsChecked { ask: *ask, seen: Listening::Ours }],
        Effect::StopTree { run, .. } | Effect::KillTree { run, .. } | Effect::Sweep { run, .. } => vec![
            Event::MainExited { run: *run, exit: Exit::Signal(15), is_tree_left: false, diagnosis: None },
            Event::TreeEmptied { run: *run },
        ],
        Effect::Release { claim } => vec![Event::Released { claim: *claim }],
    }
}

/// Answers until nothing is asked and no deadline is left; says what is wrong then.
fn come_to_rest(mut stage: Stage, orders: Vec<Effect>) -> Result<(), String> {
    let mut orders = VecDeque::from(orders);
    for _ in 0..ROUNDS {
        if let Some(order) = orders.pop_front() {
            for event in answers(&order) {
                orders.extend(stage.give_event(event));
            }
            continue;
        }
        let (status, is_held) = (stage.instance.status(), stage.instance.claim().is_some());
        let is_at_rest = matches!(status.state, Word::Ready | Word::Running | Word::Scheduled | Word::Failed)
            || stage.instance.is_waiting();
        if stage.instance.next_deadline().is_none() || is_at_rest {
            let is_good = match (status.wanted, status.state) {
                (Wanted::Up, Word::Ready | Word::Running) => is_held,
                (Wanted::Up, Word::Scheduled | Word::Failed) => !is_held,
                (Wanted::Up, Word::Starting) => stage.instance.is_waiting() && !is_held,
                (Wanted::Down, Word::Stopped | Word::Completed | Word::Failed) => !is_held,
                _ => false,
            };
            let claim = if is_held { "with" } else { "without" };
            let told = format!("rests as {}, wanted {}, {claim} a claim", status.state, status.wanted);
            return if is_good { Ok(()) } else { Err(told) };
        }
        orders.extend(stage.give(Cue::Deadline));
    }
    Err(format!("never rests: {:?}", stage.instance.status()))
}

#[test]
fn after_any_event_in_any_situation_an_instance_comes_to_rest() {
    let mut found: Vec<String> = Vec::new();
    for situation in &SITUATIONS {
        let (stage, open) = situation.stage_and_orders();
        for (cue, name) in CUES {
            // A claim is given back only when that was ordered: the driver has no other way to it.
            if cue == Cue::Released && !open.iter().any(|order| matches!(order, Effect::Release { .. })) {
                continue;
            }
            for (older, text) in [(open.clone(), "answered"), (Vec::new(), "lost")] {
                let mut stage = stage.clone();
                let orders = older.into_iter().chain(stage.give(cue)).collect();
                if let Err(told) = come_to_rest(stage, orders) {
                    found.push(format!("{}, then {name}, older orders {text}: {told}", situation.name));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
