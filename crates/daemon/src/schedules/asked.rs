//! What is said to somebody who wanted a run now: what follows, although a pause, closed hours or a run at work might
//! have kept it.

use soloist_core::event::{Effect, What};
use soloist_core::plan::{Kind, Plan};
use soloist_core::project::Orders;
use soloist_core::schedule::civil::Moment;
use soloist_core::schedule::{Overlap, Schedule};
use soloist_core::state::{Status, Word};

use super::edit::zone;
use super::{timestamp, zone_of};
use crate::convert;
use crate::why::{local, short};

/// What the core was told before and after a run was asked for, and what it ordered.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// Of this instance.
    pub(crate) name: &'a str,
    /// What it was declared to do.
    pub(crate) plan: &'a Plan,
    /// How it stood.
    pub(crate) before: &'a Status,
    /// How it stands.
    pub(crate) after: &'a Status,
    /// What followed.
    pub(crate) orders: &'a Orders,
    /// The moment that is called now.
    pub(crate) now: Moment,
}

/// One line: `scan is paused; this one run happens all the same`.
pub(crate) fn asked(asked: &Asked<'_>) -> String {
    let Asked { name, plan, before, after, orders, .. } = asked;
    let Some(schedule) = &plan.schedule else { return format!("{name} runs now") };
    let skipped = orders.iter().find_map(|(_, effect)| match effect {
        Effect::Tell { note } if note.what == What::Skipped => note.words.clone(),
        _ => None,
    });
    let queued = |status: &Status| status.outlook.as_ref().map_or(0, |outlook| outlook.queued);
    let is_busy = is_at_work(before, schedule);
    let then = match (skipped, schedule.overlap) {
        (_, Overlap::Replace) if is_busy => Some("it is ended, and this run begins then".to_owned()),
        _ if is_busy && queued(after) > queued(before) => {
            Some("this run begins when that is over".to_owned())
        }
        (Some(why), _) => Some(format!("nothing was started: {why}")),
        (None, _) if !is_busy => None,
        (None, _) if orders.is_empty() => Some("nothing was started".to_owned()),
        (None, _) => Some("this run goes on beside it".to_owned()),
    };
    match then {
        Some(then) => format!("{name} is {}; {then}", as_it_was(asked, schedule, is_busy)),
        None => begun(asked, schedule),
    }
}

/// Whether a run, or the turn of a worker, is under way.
fn is_at_work(status: &Status, schedule: &Schedule) -> bool {
    let has_tick = status.outlook.as_ref().is_some_and(|outlook| outlook.tick.is_some());
    match schedule.is_ticked {
        true => has_tick,
        false => status.run.is_some() || status.state == Word::Starting,
    }
}

/// `at work already (run 3f2a… since 09:15:06 IST)`
fn as_it_was(asked: &Asked<'_>, schedule: &Schedule, is_busy: bool) -> String {
    let Asked { before, now, .. } = asked;
    let word = if is_busy { "at work already".to_owned() } else { before.state.to_string() };
    let Some(run) = before.run else { return word };
    let zone = zone(&zone_of(schedule).unwrap_or_default());
    let since = convert::wall(convert::clock(), before.since).zip(timestamp(*now));
    let since = since.map_or(String::new(), |(at, now)| format!(" since {}", local(at, now, &zone)));
    format!("{word} (run {}{since})", short(&run.to_string()))
}

/// `scan runs now (run 3f2a…)`, or what it does so in spite of.
fn begun(asked: &Asked<'_>, schedule: &Schedule) -> String {
    let Asked { name, plan, before, after, now, .. } = asked;
    let mut despite = Vec::new();
    if schedule.is_paused {
        despite.push("paused".to_owned());
    }
    if let Some(window) = schedule.window.as_ref().filter(|window| !window.at(*now).is_open()) {
        let opens = window.at(*now).until().and_then(timestamp).zip(timestamp(*now));
        let opens = opens.map_or("which never opens again".to_owned(), |(at, now)| {
            format!("opens {}", local(at, now, &zone(window.zone.name())))
        });
        despite.push(format!("outside its window {} ({opens})", window.name));
    }
    let run = after.run.map_or(String::new(), |run| format!(" (run {})", short(&run.to_string())));
    let is_plain = despite.is_empty();
    let despite = format!("{name} is {}", despite.join(" and "));
    match (schedule.is_ticked, plan.kind) {
        (true, _) if before.run.is_none() && is_plain => format!("{name} is started, and given a turn"),
        (true, _) if before.run.is_none() => {
            format!("{despite}; it is started all the same, and given one turn")
        }
        (true, _) if is_plain => format!("{name} is given a turn now"),
        (true, _) => format!("{despite}; it is given this one turn all the same"),
        (false, _) if is_plain => format!("{name} runs now{run}"),
        (false, Kind::Service) => format!("{despite}; it is started all the same{run}"),
        (false, Kind::Job) => format!("{despite}; this one run happens all the same{run}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    use soloist_core::event::{Cause, Event, IfHeld};
    use soloist_core::id::{ClaimId, RunId};
    use soloist_core::project::Project;
    use soloist_core::schedule::civil::Clock;
    use soloist_core::schedule::window::{Beyond, Rule, Window};
    use soloist_core::schedule::zone::Zone;
    use soloist_core::time::Time;

    use super::*;

    const NOW: Time = Time(Duration::from_secs(100));

    fn clock() -> Clock {
        Clock { boot_ns: 1_772_605_800_000_000_000 }
    }

    /// A job that is wanted and not due, in a real core.
    struct Stage {
        project: Project,
        plan: Plan,
    }

    impl Stage {
        fn new(schedule: Schedule) -> Stage {
            let schedule = Schedule { run_on_start: false, ..schedule };
            let plan = Plan { kind: Kind::Job, schedule: Some(schedule), ..Plan::default() };
            let mut project = Project::new();
            project.add("scan", plan.clone(), 7, NOW);
            let mut orders = Orders::new();
            project.set_clock(NOW, clock(), &mut orders);
            let cause = Cause::User("ada".to_owned());
            project.start(NOW, 0, cause, IfHeld::Refuse, &mut orders);
            Stage { project, plan }
        }

        /// Asks for a run, and grants all that follows.
        fn run(&mut self) -> String {
            let before = self.project.status(0);
            let mut orders = Orders::new();
            let cause = Cause::User("ada".to_owned());
            self.project.run(NOW, 0, cause, &mut orders);
            let followed = orders.clone();
            while !orders.is_empty() {
                let effects = std::mem::take(&mut orders);
                for (_, effect) in effects {
                    let event = match effect {
                        Effect::AskClaim { ask } => Event::ClaimGranted { ask, claim: ClaimId(1) },
                        Effect::LookAtPorts { ask, .. } => {
                            Event::PortsSeen { ask, strangers: Vec::new(), free: Vec::new() }
                        }
                        Effect::Spawn { run, .. } => Event::Spawned { run, pid: 9 },
                        _ => continue,
                    };
                    self.project.handle(NOW, 0, event, &mut orders);
                }
            }
            let after = self.project.status(0);
            let now = clock().wall(NOW);
            let (plan, orders) = (&self.plan, &followed);
            let said = asked(&Asked { name: "scan", plan, before: &before, after: &after, orders, now });
            let run = [after.run, before.run].into_iter().flatten().next().unwrap_or(RunId(0));
            said.replace(&short(&run.to_string()), "RUN")
        }
    }

    fn hourly() -> Schedule {
        Schedule::every(Duration::from_secs(3600))
    }

    #[test]
    fn a_run_says_in_spite_of_what_it_happens() {
        let window = Arc::new(Window {
            name: "never".to_owned(),
            zone: Arc::new(Zone::utc()),
            rule: Rule::Weekly(Vec::new()),
            beyond: Beyond::Closed,
            dates: BTreeMap::new(),
            overrides: Vec::new(),
        });
        let run = |schedule| Stage::new(schedule).run();
        assert_eq!(run(hourly()), "scan runs now (run RUN)");
        assert_eq!(
            run(Schedule { is_paused: true, ..hourly() }),
            "scan is paused; this one run happens all the same (run RUN)"
        );
        assert_eq!(
            run(Schedule { is_paused: true, window: Some(window), ..hourly() }),
            "scan is paused and outside its window never (which never opens again); this one run happens all the same \
             (run RUN)"
        );
    }

    #[test]
    fn a_worker_that_is_not_there_yet_is_started_for_its_turn() {
        let schedule = Schedule { is_ticked: true, overlap: Overlap::Queue, ..hourly() };
        let plan = |is_paused| {
            let schedule = Some(Schedule { is_paused, ..schedule.clone() });
            Plan { kind: Kind::Service, schedule, ..Plan::default() }
        };
        let before = Stage::new(hourly()).project.status(0);
        let said = |is_paused| {
            let (plan, orders, now) = (plan(is_paused), Orders::new(), clock().wall(NOW));
            let (before, after) = (&before, &before);
            asked(&Asked { name: "scan", plan: &plan, before, after, orders: &orders, now })
        };
        assert_eq!(said(false), "scan is started, and given a turn");
        assert_eq!(said(true), "scan is paused; it is started all the same, and given one turn");
    }

    #[test]
    fn a_run_beside_one_at_work_says_what_becomes_of_it() {
        for (overlap, then) in [
            (Overlap::Skip, "nothing was started"),
            (Overlap::Queue, "this run begins when that is over"),
            (Overlap::Replace, "it is ended, and this run begins then"),
            (Overlap::Allow, "nothing was started: the run before is still at work"),
        ] {
            let mut stage = Stage::new(Schedule { overlap, ..hourly() });
            stage.run();
            let said = stage.run();
            assert!(said.starts_with("scan is at work already (run RUN since "), "{said}");
            assert!(said.ends_with(&format!("; {then}")), "{overlap:?}: {said}");
        }
    }
}
