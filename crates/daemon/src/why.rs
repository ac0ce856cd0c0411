//! Why an instance is as it is, in one paragraph: what happened last, why, what soloist did, and what it will do next
//! and when. A pure function of what `account.rs` has gathered; sentences that several states share are in
//! `why/parts.rs`, how moments and causes are worded is `why/words.rs`.

mod parts;
mod runs;
mod schedule;
#[cfg(test)]
mod tests;
mod words;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use soloist_api::history::Entry;
use soloist_api::status::ServiceStatus;
use soloist_core::plan::{Plan, Restart};

use crate::convert::milliseconds;
use words::plain;

pub(crate) use words::short;
pub use words::{instant, local, span};

/// All that the paragraph is made of.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// The instance.
    pub name: &'a str,
    /// What is true of it; none if it is not declared and nothing of it runs.
    pub status: Option<&'a ServiceStatus>,
    /// What it was declared to do.
    pub plan: Option<&'a Plan>,
    /// Its last lines of the history, oldest first.
    pub past: &'a [Entry],
    /// The last lines of its log, oldest first.
    pub last_lines: &'a [String],
    /// The moment that is called now.
    pub now: Timestamp,
    /// The time zone of whoever reads.
    pub zone: &'a TimeZone,
}

/// The paragraph; after a failure with the last lines of the log below it.
pub fn why(account: &Account<'_>) -> String {
    let Some(status) = account.status else { return account.undeclared() };
    let mut text = match status.state.as_str() {
        "ready" | "running" | "unhealthy" => account.alive(status),
        "claiming" | "starting" => account.starting(status),
        "stopping" => account.stopping(status),
        "backoff" => account.backoff(status),
        "failed" => account.failed(status),
        "conflict" => account.conflict(status),
        "standby" => account.standby(status),
        "scheduled" => account.scheduled(status),
        "completed" => account.completed(),
        _ => account.stopped(status),
    };
    if status.stale {
        text.push_str(" soloist.toml has changed since its run began; `soloist up` takes the change in.");
    }
    text
}

impl Account<'_> {
    fn undeclared(&self) -> String {
        let name = self.name;
        let last = self.last_run_sentence();
        format!("{name} is not declared here, and nothing of it runs.{last}")
    }

    fn alive(&self, status: &ServiceStatus) -> String {
        let (name, state) = (self.name, &status.state);
        let mut text = match (state.as_str(), self.last("unhealthy")) {
            ("unhealthy", found) => {
                let since = found.map_or(String::new(), |e| format!(" since {}", self.clock(e.at)));
                let why = status.note.as_deref().or(found.and_then(|e| e.detail.as_deref()));
                let why = why.map_or(String::new(), |why| format!(": {}", plain(why)));
                format!(
                    "{name} is unhealthy{since}{why}. It runs on, and is ready again once its probe passes."
                )
            }
            _ => {
                let note = status.note.as_deref().map_or(String::new(), |note| format!(": {}", plain(note)));
                format!("{name} is {state}{note}.")
            }
        };
        text.push_str(&self.current_run(status));
        if self.is_after_a_fall(status) {
            if let Some(fallen) = self.runs().before(status.run_id.as_deref()) {
                text.push_str(&format!(" The one before it, {}.", self.end_of(&fallen)));
            }
            if status.restarts > 1 {
                text.push_str(&format!(
                    " It was restarted {} times since somebody last asked for a start.",
                    status.restarts
                ));
            }
        }
        let adopted = self.last("adopted").filter(|e| e.run_id == status.run_id);
        if let Some(adopted) = adopted {
            text.push_str(&format!(" A new daemon took it over alive at {}.", self.clock(adopted.at)));
        }
        let said = [&status.said.state, &status.said.progress, &status.said.status];
        let said: Vec<&str> = said.into_iter().filter_map(|word| word.as_deref()).collect();
        if !said.is_empty() {
            text.push_str(&format!(" It says of itself: {}.", plain(&said.join(", "))));
        }
        if let Some(schedule) = &status.schedule {
            text.push_str(&format!(" By its schedule {}.", self.outlook(status, schedule)));
            text.push_str(&self.paused(status));
            text.push_str(&self.skipped());
        }
        text.push_str(self.when_it_ends(status));
        text
    }

    fn starting(&self, status: &ServiceStatus) -> String {
        let note = status.note.as_deref().map_or(String::new(), |note| format!(": {}", plain(note)));
        let mut text = format!("{} is {}{note}.", self.name, status.state);
        if status.run_id.is_some() {
            text.push_str(&self.current_run(status));
        } else if let Some(wanted) = self.last("wanted-up") {
            text.push_str(&format!(" It was asked for at {}{}.", self.clock(wanted.at), self.by(wanted)));
        }
        if self.is_after_a_fall(status)
            && let Some(fallen) = self.runs().before(status.run_id.as_deref())
        {
            text.push_str(&format!(" The one before it, {}.", self.end_of(&fallen)));
        }
        if let Some(plan) = self.plan.filter(|_| status.kind == "service") {
            text.push_str(&format!(" It has {} to get ready.", span(milliseconds(plan.ready_timeout))));
        }
        text
    }

    fn stopping(&self, status: &ServiceStatus) -> String {
        let mut text = format!("{} is stopping.", self.name);
        let why = status.note.as_deref().or(self.last("stopping").and_then(|e| e.detail.as_deref()));
        if let Some(why) = why {
            text = format!("{} is stopping: {}.", self.name, plain(why));
        }
        if status.run_id.is_some() {
            text.push_str(&self.current_run(status));
        }
        if let Some(plan) = self.plan {
            text.push_str(&format!(
                " What has not ended {} after it was asked to is killed.",
                span(milliseconds(plan.stop_grace))
            ));
        }
        text.push_str(if status.wanted == "up" { " It is started again after that." } else { "" });
        text
    }

    fn backoff(&self, status: &ServiceStatus) -> String {
        let mut text = format!("{} is in backoff: {}.", self.name, self.fall("restarting", status));
        text.push_str(&self.said_last());
        text.push_str(&format!(" {}", self.falls()));
        let next = self.again(status);
        let most = self.most_restarts().map_or(String::new(), |most| format!(", and gives up after {most}"));
        text.push_str(&format!(" soloist tries again{next}{most}."));
        text + &self.lines_below()
    }

    fn failed(&self, status: &ServiceStatus) -> String {
        let mut text = format!("{} has failed: {}.", self.name, self.fall("failed", status));
        text.push_str(&self.said_last());
        let verdict = self.last("failed").and_then(|e| e.detail.as_deref()).or(status.note.as_deref());
        let given_up = verdict.and_then(|words| words.rsplit_once("; given up ")).map(|(_, how)| how);
        text.push_str(&match (given_up, self.plan.map(|plan| plan.restart)) {
            (Some(how), _) => format!(" soloist gave up {how}."),
            (None, Some(Restart::No)) => " It is declared not to be restarted.".to_owned(),
            (None, _) if status.kind == "job" => String::new(),
            (None, _) => " Another try would end the same, so there is none.".to_owned(),
        });
        text.push_str(&format!(
            " Nothing more happens by itself; `soloist start {}` tries again.",
            self.name
        ));
        text + &self.lines_below()
    }

    fn conflict(&self, status: &ServiceStatus) -> String {
        let name = self.name;
        let who = self.obstacle(status, "conflict");
        let port = status.ports.first().map_or("PORT".to_owned(), ToString::to_string);
        let again = self.again(status);
        format!(
            "{name} is in conflict: {who}. soloist starts nothing beside that, and looks again{again}; `soloist free \
             {port} --force` ends who is there."
        )
    }

    fn standby(&self, status: &ServiceStatus) -> String {
        let who = self.obstacle(status, "standby");
        let again = self.again(status);
        format!(
            "{} is on standby: exactly one may run, and it runs elsewhere ({who}). soloist asks for it again{again}, and \
             starts it once it is free.",
            self.name
        )
    }

    fn scheduled(&self, status: &ServiceStatus) -> String {
        let next = match &status.schedule {
            Some(schedule) => self.outlook(status, schedule),
            None => format!("its next run begins{}", self.again(status)),
        };
        let mut text = format!("{} is scheduled: {next}.", self.name);
        text.push_str(&self.paused(status));
        text.push_str(&self.skipped());
        text.push_str(&self.last_run_sentence());
        if self.runs().last().is_some_and(|run| !self.is_success(&run)) {
            return text + &self.said_last() + &self.lines_below();
        }
        text
    }

    fn completed(&self) -> String {
        let (name, last) = (self.name, self.last_run_sentence());
        format!(
            "{name} is completed: it ran and ended as it should.{last} `soloist start {name}` runs it again."
        )
    }

    fn stopped(&self, status: &ServiceStatus) -> String {
        let name = self.name;
        if status.wanted == "up" {
            let last = self.last_run_sentence();
            return format!(
                "{name} is stopped: it is wanted up, but no daemon runs it.{last} `soloist up` starts it again."
            );
        }
        let refused = status.refusal.as_ref().map(|refusal| refusal.detail.as_str());
        let told = || self.latest(&["refused", "started", "wanted-down"], "refused")?.detail.as_deref();
        if let Some(why) = refused.or_else(told) {
            return format!(
                "{name} is stopped: its start was refused, {}. Nothing more happens by itself; `soloist start {name}` \
                 tries again.",
                plain(why)
            );
        }
        let last = self.runs().last();
        if let Some(asked) = self.latest(&["wanted-up", "wanted-down", "started"], "wanted-down") {
            let (when, by) = (self.clock(asked.at), self.by(asked));
            let last = last.map_or(String::new(), |run| format!(" Its {}.", self.end_of(&run)));
            return format!(
                "{name} is stopped: that was asked for at {when}{by}.{last} It stays down until somebody starts it; \
                 `soloist start {name}` does."
            );
        }
        let starts = format!("`soloist start {name}` starts it.");
        match (last, status.exit) {
            (Some(run), _) => {
                let end = self.end_of(&run);
                let end =
                    format!("{name} is stopped: its {end}, by itself, and nothing follows such an end.");
                if self.is_success(&run) {
                    return format!("{end} {starts}");
                }
                format!("{end}{} {starts}{}", self.said_last(), self.lines_below())
            }
            (None, Some(exit)) => {
                let exit = words::exit(exit);
                format!(
                    "{name} is stopped: its last run ended with {exit}, and its history knows no more. {starts}"
                )
            }
            (None, None) => {
                format!("{name} is stopped: it has never run here, as far as its history goes back. {starts}")
            }
        }
    }
}
