//! The situations an instance can be in, each as the shortest way there: what was given to it, and what that means.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use soloist_core::event::{Effect, IfHeld};
use soloist_core::plan::{Kind, Plan, Probe};
use soloist_core::schedule::calendar::Session;
use soloist_core::schedule::civil::{Days, TimeOfDay};
use soloist_core::schedule::window::{Beyond, Hours, Rule, Window};
use soloist_core::schedule::zone::Zone;
use soloist_core::schedule::{Overlap, Schedule};

use super::stage::{Cue, Stage};

/// One of them.
pub(super) struct Situation {
    /// The word that is shown, and what is meant by it here.
    pub(super) name: &'static str,
    pub(super) sort: Sort,
    pub(super) way: &'static [Cue],
}

impl Situation {
    /// An instance in this situation.
    pub(super) fn stage(&self) -> Stage {
        self.stage_and_orders().0
    }

    /// The same, and what it ordered on the last step that ordered anything: those orders are still open.
    pub(super) fn stage_and_orders(&self) -> (Stage, Vec<Effect>) {
        let (mut stage, mut open) = (Stage::new(self.sort.plan()), Vec::new());
        for cue in self.way {
            let orders = stage.give(*cue);
            if orders.iter().any(|order| !matches!(order, Effect::Record { .. } | Effect::Tell { .. })) {
                open = orders;
            }
        }
        (stage, open)
    }
}

/// What is declared.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sort {
    /// A server with a port.
    Server,
    /// A worker that says when it is ready, with a readiness and a liveness probe.
    Probed,
    Once,
    EveryMinute,
    /// The same; what is due while a run is at work waits.
    Queued,
    /// A service from 08:20 to 08:30, on a clock that begins at 08:16:41.
    InHours,
    /// A worker that is ticked every minute.
    Ticked,
}

impl Sort {
    fn plan(self) -> Plan {
        let standard = Plan::default();
        match self {
            Sort::Server => Plan { ports: vec![8001], ..standard },
            Sort::Probed => {
                let probe = Some(Probe { failure_threshold: 1, ..Probe::default() });
                Plan { notifies: true, readiness: probe, liveness: probe, ..standard }
            }
            Sort::Once => Plan { kind: Kind::Job, ..standard },
            Sort::EveryMinute => Plan { kind: Kind::Job, schedule: Some(every_minute()), ..standard },
            Sort::Queued => {
                let schedule = Schedule { overlap: Overlap::Queue, ..every_minute() };
                Plan { kind: Kind::Job, schedule: Some(schedule), ..standard }
            }
            Sort::InHours => {
                let schedule = Schedule { window: Some(Arc::new(hours())), ..Schedule::default() };
                Plan { schedule: Some(schedule), ..standard }
            }
            Sort::Ticked => {
                Plan { schedule: Some(Schedule { is_ticked: true, ..every_minute() }), ..standard }
            }
        }
    }
}

fn every_minute() -> Schedule {
    Schedule::every(Duration::from_secs(60))
}

fn hours() -> Window {
    let at = |minutes: u32| TimeOfDay::new(8 * 3600 + minutes * 60).unwrap_or_default();
    let sessions = vec![Session { open: at(20), close: at(30) }];
    Window {
        name: "hours".to_owned(),
        zone: Arc::new(Zone::utc()),
        rule: Rule::Weekly(vec![Hours { from: None, days: Days::all(), sessions }]),
        beyond: Beyond::Closed,
        dates: BTreeMap::new(),
        overrides: Vec::new(),
    }
}

const SERVICE: Sort = Sort::Server;
const PROBED: Sort = Sort::Probed;
const ONCE: Sort = Sort::Once;
const EVERY_MINUTE: Sort = Sort::EveryMinute;
const QUEUED: Sort = Sort::Queued;
const IN_HOURS: Sort = Sort::InHours;
const TICKED: Sort = Sort::Ticked;
const REFUSE: Cue = Cue::Start(IfHeld::Refuse);
const STAND_BY: Cue = Cue::Start(IfHeld::StandBy);

const fn of(name: &'static str, sort: Sort, way: &'static [Cue]) -> Situation {
    Situation { name, sort, way }
}

use Cue::{Answered, ClockSet, Deadline, LeftDown, LeftUp, NotifiedReady, ProbePassed, ReadinessFailed};
use Cue::{
    Defer, Emptied, ExitedAlone, ExitedBadly, Granted, GuardLost, Held, PortsFree, PortsNotYet, PortsTaken,
};
use Cue::{PortsOurs, PortsStrangers, Released, Restart, SpawnFinal, Spawned, Stop};

/// All of them, in the order of a life.
pub(super) const SITUATIONS: [Situation; 47] = [
    of("stopped", SERVICE, &[]),
    of("starting: waits for another instance", SERVICE, &[Defer]),
    of("claiming, may stand by", SERVICE, &[STAND_BY]),
    of("claiming, refuses if held", SERVICE, &[REFUSE]),
    of("claiming, not wanted any more", SERVICE, &[STAND_BY, Stop]),
    of("claiming, to end first what a killed guard left", SERVICE, &[LeftUp]),
    of("standby", SERVICE, &[STAND_BY, Held]),
    of("starting: looks at its ports, may stand by", SERVICE, &[STAND_BY, Granted]),
    of("starting: looks at its ports, refuses if held", SERVICE, &[REFUSE, Granted]),
    of("starting: looks at its ports, not wanted any more", SERVICE, &[STAND_BY, Granted, Stop]),
    of("starting: a run is ordered", SERVICE, &[STAND_BY, Granted, PortsFree]),
    of("starting: a look at its ports is out", SERVICE, &[STAND_BY, Granted, PortsFree, Spawned]),
    of(
        "starting: between two looks at its ports",
        SERVICE,
        &[STAND_BY, Granted, PortsFree, Spawned, PortsNotYet],
    ),
    of("ready", SERVICE, &[STAND_BY, Granted, PortsFree, Spawned, PortsOurs]),
    of("starting: waits for READY=1", PROBED, &[STAND_BY, Granted, Spawned]),
    of("starting: its readiness probe is out", PROBED, &[STAND_BY, Granted, Spawned, NotifiedReady]),
    of(
        "ready: its probes are out",
        PROBED,
        &[STAND_BY, Granted, Spawned, NotifiedReady, ProbePassed, Deadline],
    ),
    of(
        "unhealthy",
        PROBED,
        &[STAND_BY, Granted, Spawned, NotifiedReady, ProbePassed, Deadline, ReadinessFailed],
    ),
    of("stopping: asked for", SERVICE, &[STAND_BY, Granted, PortsFree, Spawned, PortsOurs, Stop]),
    of("stopping: asked for before the run was there", SERVICE, &[STAND_BY, Granted, PortsFree, Stop]),
    of("stopping: to be restarted", SERVICE, &[STAND_BY, Granted, PortsFree, Spawned, PortsOurs, Restart]),
    of(
        "stopping: its main process ended",
        SERVICE,
        &[STAND_BY, Granted, PortsFree, Spawned, PortsOurs, ExitedBadly],
    ),
    of(
        "stopping: its guard was killed",
        SERVICE,
        &[STAND_BY, Granted, PortsFree, Spawned, PortsOurs, GuardLost],
    ),
    of(
        "stopping: ends what an earlier run may have left on its ports",
        SERVICE,
        &[STAND_BY, Granted, PortsTaken],
    ),
    of("stopping: ends what a killed guard left, not wanted", SERVICE, &[LeftDown, Granted]),
    of("stopping: strangers on its ports", SERVICE, &[STAND_BY, Granted, PortsFree, Spawned, PortsStrangers]),
    of(
        "stopping: looks whether its ports are free",
        SERVICE,
        &[STAND_BY, Granted, PortsFree, Spawned, PortsOurs, Stop, Emptied],
    ),
    of(
        "stopping: looks whether its ports are free, wanted again",
        SERVICE,
        &[STAND_BY, Granted, PortsFree, Spawned, PortsOurs, Stop, Emptied, STAND_BY],
    ),
    of("stopping: releases its claim", SERVICE, &[STAND_BY, Granted, Stop, PortsFree]),
    of(
        "stopping: releases its claim, wanted again",
        SERVICE,
        &[STAND_BY, Granted, Stop, PortsFree, STAND_BY],
    ),
    of("stopping: releases its claim, to fail", SERVICE, &[STAND_BY, Granted, PortsFree, SpawnFinal]),
    of("backoff", SERVICE, &[STAND_BY, Granted, PortsFree, Spawned, ExitedBadly, Emptied]),
    of("failed", SERVICE, &[STAND_BY, Granted, PortsFree, SpawnFinal, Released]),
    of("conflict", SERVICE, &[STAND_BY, Granted, PortsTaken, Emptied, PortsTaken, Released]),
    of(
        "scheduled (a job every minute)",
        EVERY_MINUTE,
        &[STAND_BY, Granted, Spawned, ExitedAlone, Emptied, Released],
    ),
    of("claiming (a job every minute)", EVERY_MINUTE, &[STAND_BY]),
    of("running (a job every minute)", EVERY_MINUTE, &[STAND_BY, Granted, Spawned]),
    of("running (a job that runs once)", ONCE, &[STAND_BY, Granted, Spawned]),
    of(
        "completed (a job that runs once)",
        ONCE,
        &[STAND_BY, Granted, Spawned, ExitedAlone, Emptied, Released],
    ),
    of("running, another run waits (a job every minute)", QUEUED, &[STAND_BY, Granted, Spawned, Deadline]),
    of("scheduled (a service out of its hours)", IN_HOURS, &[ClockSet, STAND_BY]),
    of("claiming (a service in its hours)", IN_HOURS, &[ClockSet, STAND_BY, Deadline]),
    of("ready (a service in its hours)", IN_HOURS, &[ClockSet, STAND_BY, Deadline, Granted, Spawned]),
    of(
        "stopping: its window has closed (a service in its hours)",
        IN_HOURS,
        &[ClockSet, STAND_BY, Deadline, Granted, Spawned, Deadline],
    ),
    of(
        "failed (a service in its hours)",
        IN_HOURS,
        &[ClockSet, STAND_BY, Deadline, Granted, SpawnFinal, Released],
    ),
    of("ready: a tick is out (a worker that is ticked)", TICKED, &[STAND_BY, Granted, Spawned]),
    of(
        "ready: its tick is answered (a worker that is ticked)",
        TICKED,
        &[STAND_BY, Granted, Spawned, Answered],
    ),
];

#[cfg(test)]
mod tests {
    use soloist_core::state::Word;

    use super::*;

    #[test]
    fn every_situation_shows_the_word_it_is_named_for() {
        for situation in &SITUATIONS {
            let word = situation.stage().instance.status().state.to_string();
            assert!(situation.name.starts_with(&word), "{} is {word}", situation.name);
        }
    }

    #[test]
    fn every_word_has_a_situation() {
        for word in Word::ALL {
            assert!(SITUATIONS.iter().any(|s| s.stage().instance.status().state == word), "{word}");
        }
    }
}
