//! Files that services run: those that are watched, what follows when they change, and whether a run is older than its
//! code.

use std::time::Duration;

use soloist_api::status::OldCode;
use soloist_core::event::Cause;
use soloist_core::project::Orders;
use soloist_core::state::Status;
use soloist_core::time::Time;

use super::{Driver, now};

/// The moment of a change is one of the kernel's ticks, so the change may be this much later (inode_time(7)).
const TICK: Duration = Duration::from_millis(10);

impl Driver {
    /// Watches for what is declared now.
    pub(super) fn follow_files(&mut self) {
        let there = (0..self.services.len()).filter(|at| !self.project.is_removed(*at));
        let services: Vec<_> = there.map(|at| &self.services[at]).collect();
        self.ages.follow(services.iter().filter_map(|service| service.source.clone()));
        self.watches.follow(&self.layout, services.iter().map(|service| &service.declared), &self.inbox);
    }

    pub(super) fn take_change(&mut self, names: &[String], what: &str, at_ms: u64) {
        if self.is_ending || self.is_leaving() {
            return;
        }
        let changed = self.since_boot(at_ms) + TICK;
        let mut orders = Orders::new();
        for name in names {
            if let Some(at) = self.project.position(name) {
                let cause = Cause::File(what.to_owned());
                self.project.renew(now(), at, changed, cause, &mut orders);
            }
        }
        self.perform(orders);
    }

    /// What of its code was changed since its run began, as far as anybody has looked.
    pub(super) fn old_code(&self, at: usize, status: &Status) -> Option<OldCode> {
        status.pid?;
        let source = self.services[at].source.as_ref()?;
        let since = self.clocks.clock.wall(Time(status.since.0 + TICK));
        self.ages.changed_after(source, &self.layout.root, u64::try_from(since.0).ok()?)
    }
}
