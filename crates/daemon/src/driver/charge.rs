//! What the zygote is told to do when this daemon dies: where something is wanted and no guard is there that would, it
//! brings the daemon back.

use soloist_os::guard::{Charge, OnDaemonExit};

use super::Driver;
use crate::links::Zygote;

/// After so many zygotes in a row that ended as soon as they were there, the next is made for a guard.
const SHORT_LIVED: u32 = 3;

impl Driver {
    /// Tells it, if that has changed. To be called before a guard is told to end: never may nobody be in charge.
    pub(super) fn charge_zygote(&mut self) {
        let is_alone = !self.is_ending && self.is_alone();
        let Some(revival) = self.revival.clone().filter(|_| is_alone != self.is_charged) else { return };
        self.is_charged = is_alone;
        let charge = Charge { project: self.layout.root.clone(), revival };
        if let Err(e) = self.zygote(is_alone).and_then(|zygote| match zygote {
            Some(zygote) => zygote.charge(is_alone.then_some(&charge)),
            None => Ok(()),
        }) {
            self.log.say(&format!("nobody would bring this daemon back: {e}"));
        }
    }

    /// Whether something waits here for its time, or for another, that ends with this daemon: and all guards with us.
    fn is_alone(&self) -> bool {
        let has_reviver = || self.held.values().any(|held| held.is_reviver && !held.is_releasing);
        let mut wished = self.ledger.wished().filter_map(|name| self.project.position(name));
        wished.any(|at| self.outlives(at) && !self.project.is_down(at)) && !has_reviver()
    }

    /// Whether it goes on when its daemon dies.
    pub(super) fn outlives(&self, at: usize) -> bool {
        self.services[at].declared.program.on_daemon_exit == OnDaemonExit::Keep
    }

    /// The zygote; one that is needed is started if there is none.
    pub(super) fn zygote(&mut self, is_needed: bool) -> std::io::Result<Option<&Zygote>> {
        if self.zygote.is_none() && is_needed {
            self.zygote = Some(Zygote::start(self.inbox.clone(), self.descriptor_limit)?);
        }
        Ok(self.zygote.as_ref())
    }

    pub(super) fn take_zygote_end(&mut self, pid: u32) {
        let Some(zygote) = self.zygote.take_if(|zygote| zygote.pid() == pid) else { return };
        self.log.say("the zygote ended; the next guard gets a new one");
        self.short_lived = if zygote.is_young() { self.short_lived + 1 } else { 0 };
        // Another one is charged anew; but not for ever, where none can live.
        self.is_charged &= self.short_lived > SHORT_LIVED;
        zygote.reap();
    }
}
