//! The sentences that several states share.

use jiff::Timestamp;
use soloist_api::history::Entry;
use soloist_api::status::ServiceStatus;
use soloist_core::plan::Restart;

use super::Account;
use super::runs::{Run, Runs};
use super::words::{because, between, clock, exit, plain, short, span};
use crate::convert::milliseconds;

/// The period in which falls are counted where no declaration says one.
const PERIOD_MS: u64 = 600_000;

impl<'a> Account<'a> {
    // ---- what the history says

    pub(super) fn runs(&self) -> Runs<'a> {
        Runs::of(self.past)
    }

    /// The last line of this kind.
    pub(super) fn last(&self, what: &str) -> Option<&'a Entry> {
        self.past.iter().rev().find(|entry| entry.what == what)
    }

    /// The last line of these kinds, if it is of the one that is wanted.
    pub(super) fn latest(&self, kinds: &[&str], wanted: &str) -> Option<&'a Entry> {
        let last = self.past.iter().rev().find(|entry| kinds.contains(&entry.what.as_str()));
        last.filter(|entry| entry.what == wanted)
    }

    /// It ended as it should.
    pub(super) fn is_success(&self, run: &Run<'_>) -> bool {
        let code = run.exit().and_then(|exit| exit.code);
        code.is_some_and(|code| self.plan.map_or(code == 0, |plan| plan.success_codes.contains(&code)))
    }

    /// Its run was started because the one before had fallen.
    pub(super) fn is_after_a_fall(&self, status: &ServiceStatus) -> bool {
        status.cause.as_deref() == Some("crash")
    }

    // ---- sentences

    pub(super) fn clock(&self, at: Timestamp) -> String {
        clock(at, self.now, self.zone)
    }

    /// ` by ada`, if the line says so.
    pub(super) fn by(&self, entry: &Entry) -> String {
        entry.cause.as_deref().map_or(String::new(), |cause| format!(" {}", because(cause)))
    }

    /// ` Its run 3f2a… (pid 12) began at 14:03:11, 2 h ago, by ada, and was ready after 310 ms.`
    pub(super) fn current_run(&self, status: &ServiceStatus) -> String {
        let Some(id) = status.run_id.as_deref() else { return String::new() };
        let run = self.runs().find(id);
        let started = run.and_then(|run| run.started);
        let pid = status.pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
        let mut text = format!(" Its run {}{pid}", short(id));
        let Some(began) = started.map(|e| e.at).or(status.since) else {
            return format!("{text} is under way.");
        };
        text.push_str(&format!(" began at {}, {} ago", self.clock(began), between(began, self.now)));
        let cause = started.and_then(|e| e.cause.as_deref()).or(status.cause.as_deref());
        text.push_str(&cause.map_or(String::new(), |cause| format!(", started {}", because(cause))));
        if let Some(took) = run.and_then(|run| run.ready).and_then(|ready| ready.duration_ms) {
            text.push_str(&match took {
                0 => ", and was ready at once".to_owned(),
                took => format!(", and was ready after {}", span(took)),
            });
        }
        text + "."
    }

    /// `run 3f2a…, started by ada, ended with exit code 1 after 2.1 s at 14:03:11`
    pub(super) fn end_of(&self, run: &Run<'_>) -> String {
        let mut text = format!("run {}", short(run.id));
        if let Some(cause) = run.started.and_then(|e| e.cause.as_deref()) {
            text.push_str(&format!(", started {},", because(cause)));
        }
        if let Some(entry) = run.not_started {
            let why = entry.detail.as_deref().unwrap_or("nobody knows why");
            return format!("{text} did not start at {}: {}", self.clock(entry.at), plain(why));
        }
        text.push_str(&match run.exit() {
            Some(how) => format!(" ended with {}", exit(how)),
            None => " ended, nobody saw how,".to_owned(),
        });
        let took = run.took_ms().map_or(String::new(), |took| format!(" after {}", span(took)));
        let when = run.end().map_or(String::new(), |end| format!(" at {}", self.clock(end.at)));
        text + &took + &when
    }

    /// ` Its last run …, ended ….`, if there was one.
    pub(super) fn last_run_sentence(&self) -> String {
        self.runs().last().map_or(String::new(), |run| format!(" Its last {}.", self.end_of(&run)))
    }

    /// What the last fall was, as the line of this kind and its run tell it.
    pub(super) fn fall(&self, kind: &str, status: &ServiceStatus) -> String {
        let verdict = self.last(kind).and_then(|e| e.detail.as_deref()).or(status.note.as_deref());
        let reason = verdict.map(|words| words.rsplit_once("; given up ").map_or(words, |(why, _)| why));
        let Some(run) = self.runs().last() else {
            return reason.map_or_else(|| "the history does not tell why".to_owned(), plain);
        };
        let end = self.end_of(&run);
        let diagnosis = run.exited.and_then(|e| e.detail.as_deref());
        match (diagnosis, reason) {
            (Some(words), _) => format!("its {end}. Likely cause: {}", plain(words)),
            (None, Some(why)) if run.not_started.is_none() && !why.starts_with("ended with ") => {
                // A guard is nobody's to kill but a stranger's; all other reasons are ours.
                let who = if why.starts_with("its guard ") { "" } else { "soloist ended it: " };
                format!("its {end}; {who}{}", plain(why))
            }
            (None, _) => format!("its {end}"),
        }
    }

    /// `It fell 4 times within 10 min.`
    pub(super) fn falls(&self) -> String {
        let period = self.plan.map_or(PERIOD_MS, |plan| milliseconds(plan.limit.period));
        let is_recent = |entry: &&Entry| {
            let ago = self.now.as_millisecond() - entry.at.as_millisecond();
            matches!(entry.what.as_str(), "restarting" | "failed")
                && u64::try_from(ago).unwrap_or(0) <= period
        };
        match self.past.iter().filter(is_recent).count() {
            0 | 1 => format!("It fell once within {}.", span(period)),
            count => format!("It fell {count} times within {}.", span(period)),
        }
    }

    /// How often it is restarted within the period, where that is limited.
    pub(super) fn most_restarts(&self) -> Option<u32> {
        let plan = self.plan?;
        match plan.restart {
            Restart::OnFailure(Some(most)) => Some(most.min(plan.limit.count)),
            Restart::OnFailure(None) | Restart::Always | Restart::OnSuccess | Restart::OnAbnormal => {
                Some(plan.limit.count)
            }
            Restart::No => None,
        }
    }

    /// What follows when it falls.
    pub(super) fn when_it_ends(&self, status: &ServiceStatus) -> &'static str {
        if status.holder.as_ref().is_some_and(|holder| holder.kind == "run") {
            return " It belongs to the `soloist run` that started it, and ends with that.";
        }
        match self.plan.filter(|_| status.kind == "service").map(|plan| plan.restart) {
            Some(Restart::OnFailure(_)) => " If it falls, soloist starts it again.",
            Some(Restart::Always) => " Whenever it ends by itself, soloist starts it again.",
            Some(Restart::OnSuccess) => " If it ends well, soloist starts it again.",
            Some(Restart::OnAbnormal) => " If it ends by anything but an exit code, soloist starts it again.",
            Some(Restart::No) => " If it ends, it is not started again.",
            None => "",
        }
    }

    /// Who or what stands in the way.
    pub(super) fn obstacle(&self, status: &ServiceStatus, kind: &str) -> String {
        let told = status.note.as_deref().or(self.last(kind).and_then(|e| e.detail.as_deref()));
        told.map_or_else(|| "by whom is not known".to_owned(), plain)
    }

    /// ` in 3 s (at 14:03:14)`, if that is known.
    pub(super) fn again(&self, status: &ServiceStatus) -> String {
        let next = |next: Timestamp| format!(" in {} (at {})", between(self.now, next), self.clock(next));
        status.next.map_or(String::new(), next)
    }

    /// ` It said last: …`
    pub(super) fn said_last(&self) -> String {
        self.last_lines.last().map_or(String::new(), |line| format!(" It said last: `{line}`."))
    }

    /// More than the last line, below the paragraph.
    pub(super) fn lines_below(&self) -> String {
        if self.last_lines.len() < 2 {
            return String::new();
        }
        let lines: Vec<String> = self.last_lines.iter().map(|line| format!("  {line}")).collect();
        format!("\n\nThe end of its log:\n{}", lines.join("\n"))
    }
}
