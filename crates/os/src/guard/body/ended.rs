//! What a guard notes and tells when the main process of its run has ended, and when the tree is empty.

use std::time::Instant;

use super::{Body, RECORD_DELAY, Stop, Tree, notify};
use crate::clock;
use crate::guard::Report;
use crate::identity::Exit;

impl Body {
    pub(super) fn note_exit(&mut self, exit: Exit, has_children: bool) {
        crate::fail_point!("guard.exit-seen");
        self.drain_output();
        self.give_back_terminal();
        self.record.exit = Some(exit);
        self.record.exit_ms = Some(clock::wall_ms());
        self.record.was_stopped = self.was_asked;
        self.end_probes();
        self.tell_killed_for_memory();
        let left = if has_children { self.left() } else { 0 };
        self.tell_notice();
        self.report(&Report::MainExited { run_id: self.record.run_id.clone(), exit, left });
        crate::fail_point!("guard.exit-told");
        if self.links.is_empty() || self.stop.is_some() {
            let _ = self.write_record();
        } else {
            self.write_by = Some(Instant::now() + RECORD_DELAY);
        }
        crate::fail_point!("guard.exit-noted");
        if has_children {
            match self.stop {
                // Those outside its group have not heard the polite signal yet; they shall have the rest of the grace.
                Some(Stop::Polite { .. }) if self.asides.is_stop_command_running() => {}
                Some(Stop::Polite { .. }) => self.signal_outsiders(),
                Some(Stop::Killing { .. }) => {}
                None if self.links.is_empty() => self.begin_stop(self.stop_grace),
                // The daemon decides.
                None => {}
            }
        }
    }

    pub(super) fn note_empty(&mut self) {
        crate::fail_point!("guard.empty-seen");
        self.tree = Tree::Empty;
        self.stop = None;
        self.drain_output();
        self.remove_pid_file();
        self.record.ended = true;
        self.close_accounts();
        if self.write_by.is_none() {
            let _ = self.write_record();
        }
        crate::fail_point!("guard.empty-noted");
        let killed = std::mem::take(&mut self.killed);
        if self.is_spent(killed)
            && let Some(leaf) = self.leaf.take()
        {
            leaf.remove();
        }
        self.tell_notice();
        self.report(&Report::Emptied {
            run_id: self.record.run_id.clone(),
            killed,
            usage: self.record.usage,
        });
        crate::fail_point!("guard.empty-told");
    }

    fn remove_pid_file(&self) {
        if let (Some(path), Some(main)) = (&self.record.pid_file, &self.record.main)
            && notify::names(path, main.pid)
        {
            let _ = std::fs::remove_file(path);
        }
    }
}
