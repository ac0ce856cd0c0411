//! What guards report, in the words of the core.

use soloist_core::event::Event;
use soloist_core::id::{ClaimId, RunId};
use soloist_core::project::Orders;
use soloist_os::Step;
use soloist_os::guard::{Order, Report, SpawnFailure};
use soloist_os::identity::Exit as OsExit;
use soloist_os::record::Record;

use super::Driver;
use super::past::LogTrouble;
use super::probe::Tries;
use crate::convert::{exit_to_core, memory_words, notice_to_core};
use crate::history::Remembered;
use crate::links;
use crate::runs::stuck_words;

impl Driver {
    pub(super) fn take_report(&mut self, claim: ClaimId, report: Report) {
        let Some(held) = self.held.get_mut(&claim) else { return };
        let at = held.at;
        let run_of = |text: &str| RunId::parse(text);
        let event = match report {
            Report::Status { guard, run_id, exit, empty, past, .. } => {
                if let Some(link) = &mut held.guard {
                    link.pid = Some(guard.pid);
                }
                self.history.learn(self.project.name(at), past.iter().map(Remembered::from));
                return self.catch_up(at, run_id.as_deref().and_then(run_of), exit, empty);
            }
            Report::Swept { ended } => {
                if let Some(lost) = self.services[at].lost.take() {
                    self.history.learn_record(&Record { ended: true, ..lost });
                }
                if ended > 0 {
                    let name = self.project.name(at).to_owned();
                    self.log.say(&format!("{name}: {ended} processes of an earlier run were ended"));
                }
                None
            }
            Report::Spawned { run_id, main, log_at, log_seq } => run_of(&run_id).map(|run| {
                soloist_os::fail_point!("daemon.spawn-heard");
                let service = &mut self.services[at];
                service.log_at = log_at.or(service.log_at);
                service.log_seq = log_seq.or(service.log_seq);
                service.traces.begin(run, Some(main.pid));
                Event::Spawned { run, pid: main.pid }
            }),
            Report::SpawnFailed { error: SpawnFailure::ClaimReplaced(_), .. } => {
                Some(Event::ClaimReplaced { claim })
            }
            Report::SpawnFailed { run_id, error } => run_of(&run_id).map(|run| {
                let is_final = is_final(&error);
                Event::SpawnFailed { run, why: error.to_string(), is_final }
            }),
            Report::MainExited { run_id, exit, left } => {
                soloist_os::fail_point!("daemon.exit-heard");
                run_of(&run_id).map(|run| self.main_exited(at, run, exit, left > 0))
            }
            Report::ExecEnded { id, outcome } => return self.command_ended(claim, id, outcome),
            Report::Emptied { run_id, usage, killed } => run_of(&run_id).map(|run| {
                soloist_os::fail_point!("daemon.end-heard");
                self.services[at].traces.end(run, usage, killed);
                Event::TreeEmptied { run }
            }),
            Report::Notified { run_id, notice, main } => {
                let ticks: Vec<String> = notice.answers.iter().map(|answer| answer.tick.clone()).collect();
                if let Some(run) = run_of(&run_id) {
                    self.tell(at, Event::Notified { run, notice: notice_to_core(notice, main) });
                }
                return self.confirm(claim, ticks);
            }
            Report::OverMemory { run_id, kib, max_kib } => {
                run_of(&run_id).map(|run| Event::OverMemory { run, what: memory_words(kib, max_kib) })
            }
            Report::Rotated { path } => {
                self.archive.rotated(path);
                None
            }
            Report::LogLost { bytes, is_over, .. } => {
                self.log_lost(at, bytes, is_over);
                None
            }
            Report::Remark { words } => {
                self.log.say(&words);
                None
            }
            Report::Stuck { processes } => {
                self.project.status(at).run.map(|run| Event::TreeStuck { run, what: stuck_words(&processes) })
            }
        };
        if let Some(event) = event {
            self.tell(at, event);
        }
    }

    /// Tells the guard that answers to ticks were heard, once the history has them: if we are killed before, the next
    /// daemon hears them again.
    fn confirm(&self, claim: ClaimId, ticks: Vec<String>) {
        let guard = self.held.get(&claim).and_then(|held| held.guard.as_ref());
        if let Some(guard) = guard.filter(|_| !ticks.is_empty()) {
            let history = self.history.clone();
            guard.order_after(async move { history.settle().await }, Order::Heard { ticks });
        }
    }

    /// After a link broke and was made anew, reports may be missing: the status says what they said.
    fn catch_up(&mut self, at: usize, run: Option<RunId>, exit: Option<OsExit>, is_empty: bool) {
        let Some(run) = run else { return };
        if let Some(exit) = exit.filter(|_| self.project.status(at).pid.is_some()) {
            let event = self.main_exited(at, run, exit, !is_empty);
            self.tell(at, event);
        }
        if is_empty && exit.is_some() {
            self.tell(at, Event::TreeEmptied { run });
        }
    }

    fn main_exited(&mut self, at: usize, run: RunId, exit: OsExit, is_tree_left: bool) -> Event {
        let exit = exit_to_core(exit);
        self.services[at].tries = Tries::default();
        Event::MainExited { run, exit, is_tree_left, diagnosis: self.last_words(at, exit) }
    }

    pub(super) fn take_guard_end(&mut self, claim: ClaimId) {
        let Some(held) = self.held.get_mut(&claim) else { return };
        soloist_os::fail_point!("daemon.guard-end-heard");
        held.guard = None;
        self.services[held.at].log_trouble = LogTrouble::default();
        let (at, is_releasing) = (held.at, held.is_releasing);
        if !is_releasing && let Ok(found) = links::find(&self.services[at].place) {
            // It lives, and has only let go of a reader that was too slow.
            let link = links::GuardLink::watch(found.link, claim, &self.inbox);
            if let (Ok(link), Some(held)) = (link, self.held.get_mut(&claim)) {
                held.guard = Some(link);
                return;
            }
        }
        if is_releasing {
            self.let_go(claim);
            self.perform(Orders::new());
        } else {
            self.services[at].tries = Tries::default();
            self.tell(at, Event::GuardLost { claim });
        }
    }
}

/// Whether another try is known to fail the same way.
fn is_final(failure: &SpawnFailure) -> bool {
    match failure {
        SpawnFailure::Program(error) => match error.step {
            Step::Exec | Step::Folder => true,
            Step::Rlimit | Step::Nice | Step::Umask | Step::Groups | Step::Group | Step::User => true,
            Step::Fork | Step::Descriptors | Step::PidFile => false,
        },
        SpawnFailure::ClaimReplaced(_) | SpawnFailure::Survivors(_) | SpawnFailure::Other(_) => false,
    }
}
