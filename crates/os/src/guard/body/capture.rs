//! The part of a guard that takes what its tree writes, and tells what became of it.

use std::io;
use std::time::Instant;

use super::Body;
use crate::guard::output::{Output, Trouble};
use crate::guard::{Report, RunOrder};

impl Body {
    /// Before a run: its logs and their pipes. Those of the run before go on, if they are kept by the same rules.
    pub(super) fn open_output(&mut self, run: &RunOrder) -> io::Result<()> {
        let Some(log) = &run.log else { return Ok(()) };
        if self.output.as_ref().is_some_and(|output| output.keeps(&run.log_rules)) {
            return Ok(());
        }
        self.close_output();
        self.output = Some(Output::open(log, &run.log_rules, run.is_log_new)?);
        Ok(())
    }

    /// Takes some of what there is, if there is any, or if something that was put off is due.
    pub(super) fn take_output(&mut self, is_there: bool) {
        let Some(output) = &mut self.output else { return };
        let now = Instant::now();
        if is_there || output.deadline().is_some_and(|at| at <= now) {
            output.take(now);
            self.tell_of_output(now);
        }
    }

    /// Takes all there is: a process has ended, and its last words are asked for.
    pub(super) fn drain_output(&mut self) {
        let now = Instant::now();
        self.output.iter_mut().for_each(|output| output.drain(now));
        self.tell_of_output(now);
    }

    /// Takes all there is for the last time.
    pub(super) fn close_output(&mut self) {
        let Some(mut output) = self.output.take() else { return };
        output.close();
        let trouble = output.last_trouble();
        self.tell(&mut output, trouble);
    }

    fn tell_of_output(&mut self, now: Instant) {
        let Some(mut output) = self.output.take() else { return };
        let trouble = output.trouble(now);
        self.tell(&mut output, trouble);
        self.output = Some(output);
    }

    fn tell(&mut self, output: &mut Output, trouble: Option<Trouble>) {
        let mut reports: Vec<Report> = output.rotated().map(|path| Report::Rotated { path }).collect();
        reports.extend(trouble.map(|trouble| Report::LogLost {
            run_id: self.record.run_id.clone(),
            bytes: trouble.lost,
            is_over: !trouble.is_full,
        }));
        reports.iter().for_each(|report| self.report(report));
    }
}
