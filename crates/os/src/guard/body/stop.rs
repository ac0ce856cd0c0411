//! How a guard ends its tree: the polite signal, one grace for all, then the kill, again and again until nobody is left.

use std::time::{Duration, Instant};

use super::{Body, Stop, Tree};
use crate::guard::Report;
use crate::platform::{sweep, tree};

/// After the kill: how often to look again, and when to say that something does not die.
const KILL_ROUND: Duration = Duration::from_millis(20);
const STUCK_AFTER: Duration = Duration::from_secs(2);

impl Body {
    pub(super) fn begin_stop(&mut self, grace: Duration) {
        if self.tree == Tree::Empty || matches!(self.stop, Some(Stop::Killing { .. })) {
            return;
        }
        if grace.is_zero() || self.stop_signal == libc::SIGKILL {
            return self.begin_kill();
        }
        let kill_at = Instant::now() + grace;
        if let Some(Stop::Polite { kill_at: earlier }) = self.stop {
            // Asked twice: the first budget counts, unless the second is shorter.
            self.stop = Some(Stop::Polite { kill_at: earlier.min(kill_at) });
            return;
        }
        self.stop = Some(Stop::Polite { kill_at });
        crate::fail_point!("guard.stop-begun");
        let is_led = matches!(self.tree, Tree::Led { .. });
        if !is_led || !self.has_stop_command_begun() {
            self.signal_politely();
        }
        crate::fail_point!("guard.stop-signalled");
    }

    pub(super) fn signal_politely(&mut self) {
        // The natural end of a worker that reads its turns line by line; the signal is for whatever does not read.
        self.ticks.close();
        match self.tree {
            Tree::Led { .. } => {
                self.signal_main(self.stop_signal);
                // A stopped process hears nothing but this.
                self.signal_main(libc::SIGCONT);
            }
            // Who led them ended by himself: none of them has heard anything yet.
            Tree::Leaderless { .. } | Tree::Empty => {
                tree::signal_descendants(self.me.pid, &self.strangers, self.stop_signal, None);
            }
        }
    }

    /// The polite signal for those whom the signal to the group has not reached.
    pub(super) fn signal_outsiders(&self) {
        let group = match self.tree {
            Tree::Leaderless { group } if self.stop.is_some() => Some(group),
            _ => None,
        };
        tree::signal_descendants(self.me.pid, &self.strangers, self.stop_signal, group);
    }

    pub(super) fn begin_kill(&mut self) {
        crate::fail_point!("guard.kill-due");
        let now = Instant::now();
        self.killed = true;
        self.stop = Some(Stop::Killing { since: now, again_at: now, told: false });
        self.kill_round();
    }

    fn kill_round(&mut self) {
        if let Some(leaf) = &self.leaf {
            let _ = leaf.kill();
            tree::signal_descendants(self.me.pid, &self.strangers, libc::SIGKILL, None);
        } else {
            tree::kill_descendants(self.me.pid, &self.strangers);
        }
        self.reap();
    }

    pub(super) fn keep_time(&mut self) {
        let now = Instant::now();
        if self.write_by.is_some_and(|at| now >= at) {
            let _ = self.write_record();
        }
        self.watch_memory(now);
        match self.stop {
            Some(Stop::Polite { kill_at }) if now >= kill_at => self.begin_kill(),
            Some(Stop::Killing { since, again_at, told }) if now >= again_at => {
                let is_stuck = now >= since + STUCK_AFTER;
                if is_stuck && !told {
                    let processes = tree::descendants(self.me.pid).into_iter().map(sweep::stuck).collect();
                    self.report(&Report::Stuck { processes });
                }
                let round = if is_stuck { KILL_ROUND * 25 } else { KILL_ROUND };
                self.stop = Some(Stop::Killing { since, again_at: now + round, told: told || is_stuck });
                self.kill_round();
            }
            _ => {}
        }
    }
}
