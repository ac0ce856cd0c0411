//! Lanes: the instances that take the runs that are due while the one with the schedule is at work.

use crate::event::{Cause, Event, IfHeld, Wanted};
use crate::project::{Orders, Project};
use crate::time::Time;

impl Project {
    /// The lanes of an instance, in their order.
    pub(super) fn lanes(&self, at: usize) -> Vec<usize> {
        let schedule = self.members[at].instance.plan().schedule.as_ref();
        let names = schedule.map_or(&[] as &[String], |schedule| &schedule.lanes);
        names.iter().filter_map(|name| self.position(name)).filter(|lane| *lane != at).collect()
    }

    /// Gives the runs for which it has no time to idle lanes, and stops them all when its hours are over, or when it was
    /// refused.
    pub(super) fn lend(&mut self, now: Time, at: usize, orders: &mut Orders) {
        let (lent, has_closed) = self.members[at].instance.take_lent();
        if lent.is_empty() && !has_closed {
            return;
        }
        let lanes = self.lanes(at);
        for lane in lanes.iter().filter(|_| has_closed) {
            if !self.is_down(*lane) {
                let cause = match self.members[at].instance.status().wanted {
                    Wanted::Up => Cause::Schedule,
                    Wanted::Down => Cause::Dependency(self.name(at).to_owned()),
                };
                self.stop(now, *lane, cause, orders);
            }
        }
        for due in lent {
            let idle = lanes.iter().find(|lane| self.is_down(**lane) && !self.is_stop_pending(**lane));
            let Some(lane) = idle else {
                let mut effects = Vec::new();
                let why = match lanes.len() {
                    0 => "the run before is still at work".to_owned(),
                    more => format!("{} runs are at work, the most it may", more + 1),
                };
                self.members[at].instance.skip(1, ("overlap", &why), &mut effects);
                orders.extend(effects.into_iter().map(|effect| (at, effect)));
                continue;
            };
            if self.is_stop_pending(at) || !self.unmet(*lane).is_empty() {
                // What somebody stops, or has stopped, is not started for a run that is due.
                let mut effects = Vec::new();
                let why = ("blocked", "it is to be stopped, or what it needs is not there");
                self.members[at].instance.skip(1, why, &mut effects);
                orders.extend(effects.into_iter().map(|effect| (at, effect)));
                continue;
            }
            self.members[*lane].instance.lend(due);
            // Not `start`: that would take back a stop of what it needs.
            let event = Event::StartAsked { cause: Cause::Schedule, if_held: IfHeld::Refuse };
            self.tell(now, *lane, event, orders);
        }
    }
}
