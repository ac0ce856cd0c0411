//! What is kept and told of the end of a run that failed: its last lines, and what they tell about the reason.

use soloist_api::status::LAST_LINES;
use soloist_core::event::{Diagnosis, Exit};
use soloist_core::state::{Status, Word};
use soloist_os::handover::SOCKETS_FROM;
use soloist_os::layout::Layout;
use soloist_os::record::Record;

use super::{Driver, Service, now};
use crate::diagnosis::{End, diagnose};
use crate::logs::end_of_run;
use crate::plain::plain;
use crate::ports;

/// So much of the end of a run's output is looked at.
const LOOKED_AT: u64 = 8 * 1024;
/// So much of it is kept.
const KEPT: usize = 2 * 1024;

impl Driver {
    /// Keeps the last lines of a run that failed, and says what they tell. One that has served for long fell for no reason
    /// of its start, and is to be back soon; one that we stop ends because of that.
    pub(super) fn last_words(&mut self, at: usize, exit: Exit) -> Option<Diagnosis> {
        let service = &mut self.services[at];
        let plan = &service.declared.plan;
        if matches!(exit, Exit::Code(code) if plan.success_codes.contains(&code)) {
            return None;
        }
        let text = service.words(&self.layout);
        service.tail = last_lines(&text);
        let status = self.project.status(at);
        let is_told = match status.state {
            Word::Starting | Word::Running => true,
            // Without ports and probes it is ready as soon as it executes.
            Word::Ready | Word::Unhealthy => now().since(status.since) < plan.backoff.reset_after,
            Word::Stopping
            | Word::Stopped
            | Word::Claiming
            | Word::Standby
            | Word::Backoff
            | Word::Failed
            | Word::Conflict
            | Word::Scheduled
            | Word::Completed => false,
        };
        // Without its beginning, the words may be those of an earlier run.
        if !is_told || service.log_at.is_none() {
            return None;
        }
        let (command, ports) = (&service.declared.program.argv, self.project.instance(at).ports());
        let end = End { exit, text: &text, command, ports };
        // One that soloist listens on is taken by nobody else.
        let sockets = &service.declared.program.sockets;
        let handed = |port| sockets.iter().position(|socket| socket.at.port() == Some(port));
        diagnose(end, |port| match handed(port) {
            Some(place) => Some(format!(
                "soloist itself, as `listen` says: the program must take descriptor {} instead",
                SOCKETS_FROM + place
            )),
            None => ports::holders(&self.layout, port),
        })
    }

    /// The last lines that an instance in this state wrote, if they tell why it is in it; of one that was to get a new
    /// run, those of the run that did not get ready.
    pub(super) fn telling_lines(&self, at: usize, status: &Status) -> Vec<String> {
        let last_of = |at: usize| last_lines(&self.services[at].words(&self.layout));
        match status.state {
            Word::Backoff | Word::Failed => self.services[at].tail.clone(),
            Word::Unhealthy => last_of(at),
            Word::Ready if status.refusal.is_some() => {
                self.project.stand_in(at).map(last_of).unwrap_or_default()
            }
            Word::Stopped
            | Word::Claiming
            | Word::Standby
            | Word::Starting
            | Word::Ready
            | Word::Stopping
            | Word::Conflict
            | Word::Scheduled
            | Word::Running
            | Word::Completed => Vec::new(),
        }
    }
}

impl Service {
    /// The end of what its run wrote.
    fn words(&self, layout: &Layout) -> String {
        let log = layout.log(&self.declared.name);
        let is_apart = self.declared.program.log.rules.is_split;
        let record = is_apart.then(|| Record::read(&self.place.record())).flatten();
        let apart = record.map(|record| record.since_ms);
        end_of_run(&log, self.began(&log), apart, LOOKED_AT, &mut self.mask())
    }
}

fn last_lines(text: &str) -> Vec<String> {
    let mut left = KEPT;
    let lines = text.lines().rev().map(plain).filter(|line| !line.trim().is_empty()).take(LAST_LINES);
    let mut kept: Vec<String> = lines
        .map_while(|line| {
            // Of a line that is too long as a whole the beginning is kept, if it is the last.
            let end = (left == KEPT).then(|| line.floor_char_boundary(left.min(line.len())));
            let end = end.or_else(|| (line.len() <= left).then_some(line.len()))?;
            left -= end;
            Some(line[..end].to_owned())
        })
        .collect();
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_lines_are_kept_and_few_bytes() {
        let many: String = (0..30).map(|n| format!("line {n}\n\n")).collect();
        let kept = last_lines(&many);
        assert_eq!((kept.len(), kept[0].as_str(), kept[9].as_str()), (10, "line 20", "line 29"));
        let long = format!("{}\n{}\nend\n", "a".repeat(100), "b".repeat(3000));
        assert_eq!(last_lines(&long), ["end"]);
        let kept = last_lines(&"ü".repeat(3000));
        assert_eq!(kept, ["ü".repeat(1024)], "the beginning of a last line that is too long");
        assert_eq!(last_lines("\x1b[31mred\x1b[0m\r\n \n"), ["red"]);
        assert!(last_lines("").is_empty());
    }
}
