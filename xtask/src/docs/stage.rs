//! A stage for one instance of the core: gives it events that name the questions, claims and runs it knows, and keeps
//! what it ordered. It decides nothing and answers nothing by itself.

use std::time::Duration;

use soloist_core::event::{
    Answer, Cause, Effect, Event, Exit, IfHeld, Listening, Notice, ProbeKind, Wanted, Watchdog,
};
use soloist_core::id::{AskId, ClaimId, RunId, TickId};
use soloist_core::instance::Instance;
use soloist_core::plan::Plan;
use soloist_core::schedule::civil::Clock;
use soloist_core::time::Time;

/// Events by name; the ids are those of the instance's last question, claim and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cue {
    Start(IfHeld),
    Defer,
    NeedsMet,
    NeedsFailed,
    Stop,
    Restart,
    Run,
    ClockSet,
    Reload,
    Granted,
    Held,
    ClaimFailed,
    PortsFree,
    PortsTaken,
    Spawned,
    SpawnFailed,
    SpawnFinal,
    PortsOurs,
    PortsNotYet,
    PortsStrangers,
    ProbePassed,
    ProbeFailed,
    ReadinessFailed,
    NotifiedReady,
    NotifiedAlive,
    NotifiedTrigger,
    Answered,
    OverMemory,
    ExitedAlone,
    ExitedBadly,
    Emptied,
    Stuck,
    Replaced,
    GuardLost,
    Released,
    AdoptedUp,
    AdoptedDown,
    LeftUp,
    LeftDown,
    EndedUnseen,
    Deadline,
}

/// Every cue and how the page calls it, in the order of the core's list of events.
pub(super) const CUES: [(Cue, &str); 41] = [
    (Cue::Start(IfHeld::StandBy), "StartAsked"),
    (Cue::Defer, "StartDeferred"),
    (Cue::NeedsMet, "NeedsMet"),
    (Cue::NeedsFailed, "NeedsFailed"),
    (Cue::Stop, "StopAsked"),
    (Cue::Restart, "RestartAsked"),
    (Cue::Run, "RunAsked"),
    (Cue::ClockSet, "ClockSet"),
    (Cue::Reload, "ReloadAsked"),
    (Cue::Granted, "ClaimGranted"),
    (Cue::Held, "ClaimHeld"),
    (Cue::ClaimFailed, "ClaimFailed"),
    (Cue::PortsFree, "PortsSeen: free"),
    (Cue::PortsTaken, "PortsSeen: strangers"),
    (Cue::Spawned, "Spawned"),
    (Cue::SpawnFailed, "SpawnFailed"),
    (Cue::SpawnFinal, "SpawnFailed: for good"),
    (Cue::PortsOurs, "PortsChecked: ours"),
    (Cue::PortsNotYet, "PortsChecked: not yet"),
    (Cue::PortsStrangers, "PortsChecked: strangers"),
    (Cue::ProbePassed, "Probed: passed"),
    (Cue::ProbeFailed, "Probed: failed"),
    (Cue::ReadinessFailed, "Probed: readiness failed"),
    (Cue::NotifiedReady, "Notified: READY=1"),
    (Cue::NotifiedAlive, "Notified: WATCHDOG=1"),
    (Cue::NotifiedTrigger, "Notified: WATCHDOG=trigger"),
    (Cue::Answered, "Notified: X_SOLOIST_RESULT=ok"),
    (Cue::OverMemory, "OverMemory"),
    (Cue::ExitedAlone, "MainExited: code 0, nothing left"),
    (Cue::ExitedBadly, "MainExited: code 1, tree left"),
    (Cue::Emptied, "TreeEmptied"),
    (Cue::Stuck, "TreeStuck"),
    (Cue::Replaced, "ClaimReplaced"),
    (Cue::GuardLost, "GuardLost"),
    (Cue::Released, "Released"),
    (Cue::AdoptedUp, "Adopted: wanted up"),
    (Cue::AdoptedDown, "Adopted: wanted down"),
    (Cue::EndedUnseen, "EndedUnseen: nothing left, wanted up"),
    (Cue::LeftUp, "EndedUnseen: tree left, wanted up"),
    (Cue::LeftDown, "EndedUnseen: tree left, wanted down"),
    (Cue::Deadline, "DeadlinePassed"),
];

/// The ids that events may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    claim_ask: AskId,
    ports_ask: AskId,
    check_ask: AskId,
    probe_ask: AskId,
    readiness_ask: AskId,
    claim: ClaimId,
    run: RunId,
    tick: TickId,
}

impl Ids {
    /// All with the same number; with the highest, nobody ever asked, held or ran any of them.
    pub(super) fn all(number: u64) -> Ids {
        let ask = AskId(number);
        Ids {
            claim_ask: ask,
            ports_ask: ask,
            check_ask: ask,
            probe_ask: ask,
            readiness_ask: ask,
            claim: ClaimId(number),
            run: RunId(number),
            tick: TickId(number),
        }
    }
}

/// One instance and all that it ordered so far.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) instance: Instance,
    pub(super) now: Time,
    pub(super) ids: Ids,
    claims_given: u64,
}

impl Stage {
    /// An instance as declared, one second after it was.
    pub(super) fn new(plan: Plan) -> Stage {
        let began = Time(Duration::from_secs(1000));
        let instance = Instance::new(plan, 1, began);
        Stage { instance, now: began + Duration::from_secs(1), ids: Ids::all(u64::MAX), claims_given: 0 }
    }

    /// Gives the cue; what is ordered comes back. A deadline is kept to the moment.
    pub(super) fn give(&mut self, cue: Cue) -> Vec<Effect> {
        let mut ids = self.ids;
        match cue {
            // The driver numbers every claim it takes.
            Cue::Granted | Cue::AdoptedUp | Cue::AdoptedDown => {
                self.claims_given += 1;
                ids.claim = ClaimId(self.claims_given);
            }
            Cue::Deadline => self.now = self.now.max(self.instance.next_deadline().unwrap_or(self.now)),
            _ => {}
        }
        let effects = self.give_event(event(cue, ids, self.now));
        self.remember(&effects);
        effects
    }

    /// Gives an event as it is.
    pub(super) fn give_event(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.instance.handle(self.now, event, &mut effects);
        effects
    }

    fn remember(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::AskClaim { ask } => self.ids.claim_ask = *ask,
                Effect::LookAtPorts { ask, .. } => self.ids.ports_ask = *ask,
                Effect::CheckPorts { ask, .. } => self.ids.check_ask = *ask,
                Effect::Probe { ask, kind, .. } => {
                    self.ids.probe_ask = *ask;
                    if *kind == ProbeKind::Readiness {
                        self.ids.readiness_ask = *ask;
                    }
                }
                Effect::Tell { .. } => {}
                Effect::Spawn { run, .. } => self.ids.run = *run,
                Effect::Tick { tick, .. } => self.ids.tick = *tick,
                Effect::Record { .. }
                | Effect::StopTree { .. }
                | Effect::KillTree { .. }
                | Effect::Sweep { .. }
                | Effect::Reload { .. }
                | Effect::Release { .. } => {}
            }
        }
        self.ids.claim = self.instance.claim().unwrap_or(self.ids.claim);
        self.ids.run = self.instance.status().run.unwrap_or(self.ids.run);
    }
}

/// The event behind a cue, with these ids.
pub(super) fn event(cue: Cue, ids: Ids, now: Time) -> Event {
    let user = || Cause::User("ada".to_owned());
    let words = || "strangers".to_owned();
    let adopted = |wanted| Event::Adopted {
        claim: ids.claim,
        run: RunId(7),
        pid: Some(70),
        ports: Vec::new(),
        exit: None,
        ended_at: None,
        since: now,
        was_ready: false,
        notice: Notice::default(),
        tick: None,
        print: None,
        cause: None,
        recent: Vec::new(),
        wanted,
    };
    let unseen = |is_tree_left, wanted| Event::EndedUnseen {
        exit: Some(Exit::Code(1)),
        ended_at: None,
        is_tree_left,
        wanted,
        recent: Vec::new(),
        is_current: false,
    };
    let seen = |strangers| Event::PortsSeen { ask: ids.ports_ask, strangers, free: Vec::new() };
    let watchdog = |watchdog| Event::Notified {
        run: ids.run,
        notice: Notice { watchdog: Some(watchdog), ..Notice::default() },
    };
    match cue {
        Cue::Start(if_held) => Event::StartAsked { cause: user(), if_held },
        Cue::Defer => {
            Event::StartDeferred { cause: user(), if_held: IfHeld::StandBy, needs: "database".to_owned() }
        }
        Cue::NeedsMet => Event::NeedsMet,
        Cue::NeedsFailed => Event::NeedsFailed { why: words() },
        Cue::Stop => Event::StopAsked { cause: user() },
        Cue::Restart => Event::RestartAsked { cause: user() },
        Cue::Run => Event::RunAsked { cause: user() },
        Cue::ClockSet => Event::ClockSet { clock: Clock { boot_ns: 1_800_000_000_000_000_000 } },
        Cue::Reload => Event::ReloadAsked { cause: user() },
        Cue::Granted => Event::ClaimGranted { ask: ids.claim_ask, claim: ids.claim },
        Cue::Held => Event::ClaimHeld { ask: ids.claim_ask, by: words() },
        Cue::ClaimFailed => Event::ClaimFailed { ask: ids.claim_ask, why: words() },
        Cue::PortsFree => seen(Vec::new()),
        Cue::PortsTaken => seen(vec![words()]),
        Cue::Spawned => Event::Spawned { run: ids.run, pid: 70 },
        Cue::SpawnFailed => Event::SpawnFailed { run: ids.run, why: words(), is_final: false },
        Cue::SpawnFinal => Event::SpawnFailed { run: ids.run, why: words(), is_final: true },
        Cue::PortsOurs => Event::PortsChecked { ask: ids.check_ask, seen: Listening::Ours },
        Cue::PortsNotYet => Event::PortsChecked { ask: ids.check_ask, seen: Listening::NotYet },
        Cue::PortsStrangers => {
            Event::PortsChecked { ask: ids.check_ask, seen: Listening::Strangers(vec![words()]) }
        }
        Cue::ProbePassed => Event::Probed { ask: ids.probe_ask, outcome: Ok(()) },
        Cue::ProbeFailed => Event::Probed { ask: ids.probe_ask, outcome: Err(words()) },
        Cue::ReadinessFailed => Event::Probed { ask: ids.readiness_ask, outcome: Err(words()) },
        Cue::NotifiedReady => {
            Event::Notified { run: ids.run, notice: Notice { is_ready: true, ..Notice::default() } }
        }
        Cue::NotifiedAlive => watchdog(Watchdog::Alive),
        Cue::NotifiedTrigger => watchdog(Watchdog::Trigger),
        Cue::Answered => {
            let answers = vec![Answer { tick: ids.tick, is_ok: true, summary: None }];
            Event::Notified { run: ids.run, notice: Notice { answers, ..Notice::default() } }
        }
        Cue::OverMemory => Event::OverMemory { run: ids.run, what: words() },
        Cue::ExitedAlone => {
            Event::MainExited { run: ids.run, exit: Exit::Code(0), is_tree_left: false, diagnosis: None }
        }
        Cue::ExitedBadly => {
            Event::MainExited { run: ids.run, exit: Exit::Code(1), is_tree_left: true, diagnosis: None }
        }
        Cue::Emptied => Event::TreeEmptied { run: ids.run },
        Cue::Stuck => Event::TreeStuck { run: ids.run, what: words() },
        Cue::Replaced => Event::ClaimReplaced { claim: ids.claim },
        Cue::GuardLost => Event::GuardLost { claim: ids.claim },
        Cue::Released => Event::Released { claim: ids.claim },
        Cue::AdoptedUp => adopted(Wanted::Up),
        Cue::AdoptedDown => adopted(Wanted::Down),
        Cue::EndedUnseen => unseen(false, Wanted::Up),
        Cue::LeftUp => unseen(true, Wanted::Up),
        Cue::LeftDown => unseen(true, Wanted::Down),
        Cue::Deadline => Event::DeadlinePassed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new event does not compile here until it has a name, and then needs a cue.
    fn name(event: &Event) -> &'static str {
        match event {
            Event::StartAsked { .. } => "StartAsked",
            Event::StartDeferred { .. } => "StartDeferred",
            Event::NeedsMet => "NeedsMet",
            Event::NeedsFailed { .. } => "NeedsFailed",
            Event::StopAsked { .. } => "StopAsked",
            Event::RestartAsked { .. } => "RestartAsked",
            Event::RunAsked { .. } => "RunAsked",
            Event::ClockSet { .. } => "ClockSet",
            Event::ReloadAsked { .. } => "ReloadAsked",
            Event::ClaimGranted { .. } => "ClaimGranted",
            Event::ClaimHeld { .. } => "ClaimHeld",
            Event::ClaimFailed { .. } => "ClaimFailed",
            Event::PortsSeen { .. } => "PortsSeen",
            Event::Spawned { .. } => "Spawned",
            Event::SpawnFailed { .. } => "SpawnFailed",
            Event::PortsChecked { .. } => "PortsChecked",
            Event::Probed { .. } => "Probed",
            Event::Notified { .. } => "Notified",
            Event::OverMemory { .. } => "OverMemory",
            Event::MainExited { .. } => "MainExited",
            Event::TreeEmptied { .. } => "TreeEmptied",
            Event::TreeStuck { .. } => "TreeStuck",
            Event::ClaimReplaced { .. } => "ClaimReplaced",
            Event::GuardLost { .. } => "GuardLost",
            Event::Released { .. } => "Released",
            Event::Adopted { .. } => "Adopted",
            Event::EndedUnseen { .. } => "EndedUnseen",
            Event::DeadlinePassed => "DeadlinePassed",
        }
    }

    #[test]
    fn every_event_has_a_cue_that_is_called_like_it() {
        let mut names: Vec<&str> = Vec::new();
        for (cue, text) in CUES {
            let name = name(&event(cue, Ids::all(1), Time::default()));
            assert_eq!(text.split(':').next(), Some(name));
            names.push(name);
        }
        names.dedup();
        assert_eq!(names.len(), 28, "every event once, in the order of the core's list: {names:?}");
    }
}
