//! Calm: from every situation, after any one event, a world that answers every order lets the instance come to rest.

use std::collections::VecDeque;

use soloist_core::event::{Effect, Event, Exit, Probe, Wanted};
use soloist_core::id::ClaimId;
use soloist_core::state::Word;

use super::situations::SITUATIONS;
use super::stage::{CUES, Cue, Stage};

fn answer(stage: &mut Stage, effect: &Effect) -> Vec<Event> {
    match effect {
        Effect::Record { .. } => vec![],
        Effect::AskClaim { ask } => {
            vec![Event::ClaimGranted { ask: *ask, claim: ClaimId(1000 + ask.0) }]
        }
        Effect::LookAtPorts { ask } => vec![Event::PortsSeen { ask: *ask, strangers: Vec::new() }],
        Effect::Spawn { run, .. } => vec![Event::Spawned { run: *run, pid: 9 }],
        Effect::Probe { ask, .. } => vec![Event::Probed { ask: *ask, seen: Probe::Ours }],
        Effect::StopTree { run, .. } | Effect::KillTree { run, .. } | Effect::Sweep { run, .. } => vec![
            Event::MainExited { run: *run, exit: Exit::Signal(15), is_tree_left: false },
            Event::TreeEmptied { run: *run },
        ],
        Effect::Release { claim } => { let _ = stage; vec![Event::Released { claim: *claim }] }
    }
}

fn rest(mut stage: Stage, orders: Vec<Effect>) -> Result<String, String> {
    let mut queue: VecDeque<Effect> = orders.into();
    for _ in 0..200 {
        if let Some(effect) = queue.pop_front() {
            for event in answer(&mut stage, &effect) {
                queue.extend(stage.give_event(event));
            }
            continue;
        }
        let status = stage.instance.status();
        if status.state == Word::Scheduled || stage.instance.next_deadline().is_none() {
            let held = stage.instance.claim().is_some();
            let good = match (status.wanted, status.state) {
                (Wanted::Up, Word::Ready | Word::Running) => held,
                (Wanted::Up, Word::Scheduled | Word::Failed) => !held,
                (Wanted::Down, Word::Stopped | Word::Completed | Word::Failed) => !held,
                (Wanted::Up, Word::Starting) => stage.instance.is_waiting() && !held,
                _ => false,
            };
            let text = format!("{} wanted {} held {held}", status.state, status.wanted);
            return if good { Ok(text) } else { Err(text) };
        }
        queue.extend(stage.give(Cue::Deadline));
    }
    Err(format!("no rest: {:?}", stage.instance.status()))
}

#[test]
fn calm() {
    for situation in &SITUATIONS {
        // outstanding orders of the way
        let mut stage = Stage::new(situation.kind);
        let mut last = Vec::new();
        for cue in situation.way {
            let now = stage.give(*cue);
            if now.iter().any(|e| !matches!(e, Effect::Record { .. })) { last = now; }
        }
        for (cue, name) in CUES {
            for with_old in [true, false] {
                let mut s = stage.clone();
                let mut o = if with_old { last.clone() } else { vec![] };
                o.extend(s.give(cue));
                if let Err(e) = rest(s, o) {
                    println!("{} + {name} (old answers {with_old}): {e}", situation.name);
                }
            }
        }
    }
    panic!("look");
}
