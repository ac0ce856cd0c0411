//! How a guard keeps its run within its memory and CPU: by the leaf's controllers where there are any; else it looks at
//! the memory every second, and tells once, or in the
//! foreground stops it. An idle guard without a limit has no timer.

use std::time::{Duration, Instant};

use super::start::leaf_name;
use super::{Body, Mode, Outcome, Tree};
use crate::bounds::OomCount;
use crate::guard::{Limits, Report};
use crate::platform::bounds::memory_kib;
use crate::platform::cgroup::Leaf;
use crate::platform::tree;

/// How often the memory is looked at where the kernel does not keep it.
const LOOK: Duration = Duration::from_secs(1);
/// A process that is just being made may share all the memory of its parent and be counted as much again, for
/// milliseconds: what is over is looked at once more before it is told.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The bounds of the run.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    memory_max: Option<u64>,
    cpu_max: Option<f64>,
    /// The kernel keeps the memory; what it had counted when the run began.
    oom_before: Option<OomCount>,
    /// We look at the memory then.
    pub(super) look_at: Option<Instant>,
    /// The last look found too much.
    is_suspect: bool,
    is_told: bool,
    /// In the foreground: so much it used when it was stopped for it, in KiB.
    over: Option<u64>,
}

impl Body {
    /// Before a run: its leaf, there where its limits can be kept. Without a leaf the subreaper keeps the tree; the leaf
    /// is for the case that we are killed.
    pub(super) fn make_leaf(&mut self, limits: &Limits) {
        let is_same = (self.bounds.memory_max, self.bounds.cpu_max) == (limits.memory_max, limits.cpu_max);
        if let Some(leaf) = self.leaf.take_if(|_| !is_same) {
            leaf.remove();
        }
        if self.leaf.is_none() {
            self.leaf = Leaf::make_for(&leaf_name(&self.place), limits).ok();
        }
        let has_limits = limits.memory_max.is_some() || limits.cpu_max.is_some();
        let kept =
            self.leaf.as_ref().filter(|_| has_limits).map(|leaf| leaf.bound(limits)).unwrap_or_default();
        if limits.cpu_max.is_some() && !kept.cpu && !(is_same && self.was_cpu_told()) {
            let instance = &self.assignment.instance;
            let words = format!(
                "{instance}: its CPU cannot be limited here: no cpu controller of cgroup v2 is delegated to its \
                 daemon (systemd: Delegate=yes with DelegateSubgroup=); it runs without that limit"
            );
            self.report(&Report::Remark { words });
        }
        self.bounds = Bounds {
            memory_max: limits.memory_max,
            cpu_max: limits.cpu_max,
            oom_before: self.leaf.as_ref().filter(|_| kept.memory).map(Leaf::oom),
            ..Bounds::default()
        };
    }

    /// A run of ours has had the same limits before: what cannot be kept was said then.
    fn was_cpu_told(&self) -> bool {
        self.bounds.cpu_max.is_some()
    }

    /// The main process executes: the watch begins, unless the kernel keeps it.
    pub(super) fn begin_watch(&mut self, main: u32) {
        // One that could not be started inside its leaf, and lives, is beyond the kernel's limit.
        let is_inside = |leaf: &Leaf| leaf.holds(main) || !tree::descendants(self.me.pid).contains(&main);
        let is_kept = self.bounds.oom_before.is_some() && self.leaf.as_ref().is_some_and(is_inside);
        if self.bounds.memory_max.is_some() && !is_kept {
            self.bounds.oom_before = None;
            self.bounds.look_at = Some(Instant::now() + LOOK);
        }
    }

    /// Looks at the memory when it is time to, and tells once that it is too much: what follows is the daemon's to say.
    pub(super) fn watch_memory(&mut self, now: Instant) {
        let (Some(at), Some(max)) = (self.bounds.look_at, self.bounds.memory_max) else { return };
        if self.tree == Tree::Empty || self.bounds.is_told {
            self.bounds.look_at = None;
            return;
        }
        if now < at {
            return;
        }
        let kib = memory_kib(&tree::descendants(self.me.pid), max / 1024);
        let is_over = kib > max / 1024;
        // To nobody it would be told in vain: the next daemon shall hear it. In the foreground we decide.
        let is_heard = self.mode == Mode::Foreground || !self.links.is_empty();
        if is_over && self.bounds.is_suspect && is_heard {
            self.tell_over(kib, max);
        }
        let is_fresh = is_over && !self.bounds.is_suspect;
        self.bounds.is_suspect = is_over;
        self.bounds.look_at = Some(now + if is_fresh { LOOK_AGAIN } else { LOOK });
    }

    /// The main process ended: was it for the memory that its limit left it?
    pub(super) fn tell_killed_for_memory(&mut self) {
        let (Some(before), Some(max), Some(leaf)) =
            (self.bounds.oom_before, self.bounds.memory_max, &self.leaf)
        else {
            return;
        };
        if leaf.oom().is_over_since(before) {
            let kib = leaf.peak_kib().unwrap_or(max / 1024);
            self.tell_over(kib, max);
        }
    }

    /// How a run in the foreground went that was stopped for its memory.
    pub(super) fn over_memory(&self) -> Option<Outcome> {
        let (kib, max) = (self.bounds.over?, self.bounds.memory_max?);
        Some(Outcome::OverMemory { kib, max_kib: max / 1024 })
    }

    fn tell_over(&mut self, kib: u64, max: u64) {
        if std::mem::replace(&mut self.bounds.is_told, true) {
            return;
        }
        if self.mode == Mode::Foreground {
            self.bounds.over = Some(kib);
            // What a main process leaves is ended as ever.
            if matches!(self.tree, Tree::Led { .. }) {
                self.begin_stop(self.stop_grace);
            }
        } else {
            let run_id = self.record.run_id.clone();
            self.report(&Report::OverMemory { run_id, kib, max_kib: max / 1024 });
        }
    }
}
