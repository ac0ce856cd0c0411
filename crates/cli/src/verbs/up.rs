//! `soloist up`: brings the project up and says how that goes. In the foreground it then shows what the services
//! write, and Ctrl+C stops what it has started, verified.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use soloist_api::client::{Client, Events};
use soloist_api::error::{Code, Problem};
use soloist_api::event::Event;
use soloist_api::request::{Change, Down, Up, UpAnswer};
use soloist_api::status::ServiceStatus;
use soloist_api::watch::LogEvent;
use soloist_daemon::config::Declared;
use soloist_daemon::log_files::error_log_of;
use soloist_daemon::logs::mask::Mask;
use soloist_daemon::logs::{Start, Tail, instance_of};
use soloist_daemon::watch::warnings;

use crate::interrupts::Interrupts;
use crate::printer::{Printer, Tone};
use crate::project::{Project, take_down, who, with_daemon, with_living_daemon};
use crate::verbs::services::{code_of, one_line};

/// How often the logs are looked at in the foreground.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What was asked for.
pub struct Wish {
    /// Return when all is settled.
    pub is_detached: bool,
    /// What waits for its time runs once now.
    pub is_now: bool,
    /// Only these; none: all.
    pub names: Vec<String>,
    /// What was done for it before, told with the cause.
    pub after: String,
}

/// Exit code 0 if all that was asked for is up; else that of the first that is not.
pub async fn up(project: &Project, printer: &Printer, wish: Wish) -> Result<i32, Problem> {
    // A faulty file is told before anything is started, the daemon included.
    let config = project.config()?;
    let is_meant = |one: &Declared| {
        wish.names.is_empty() || [&one.name, &one.service].iter().any(|n| wish.names.contains(n))
    };
    for one in config.declared.iter().filter(|one| is_meant(one)) {
        for warning in warnings(&project.layout, one) {
            printer.remark(&printer.tone(&format!("warning: {}: {warning}", one.name), Tone::Bad));
        }
    }
    let mut interrupts = Interrupts::new()?;
    let begun = Instant::now();
    let (client, events, answer) = with_daemon(project, |client| {
        let up = Up { names: wish.names.clone(), who: Some(who("up") + &wish.after) };
        async move {
            // Events first, so that none is missed.
            let events = client.events().await?;
            let answer = client.up(&up).await?;
            Ok((client, events, answer))
        }
    })
    .await?;
    let mut watch = Watch { project, printer, client, events, answer, logs: BTreeMap::new(), begun };
    if wish.is_now {
        watch.run_what_waits().await?;
    }
    let settled = tokio::select! {
        settled = watch.until_settled() => settled?,
        () = interrupts.next() => return watch.stop_again().await,
    };
    let code = settled.iter().map(code_of).find(|code| *code != 0).unwrap_or(0);
    if wish.is_detached {
        return Ok(code);
    }
    printer.remark(&printer.tone("Ctrl+C stops what this command has started.", Tone::Faint));
    watch.open_logs(&settled);
    tokio::select! {
        ended = watch.follow() => ended,
        () = interrupts.next() => watch.stop_again().await,
    }
}

struct Watch<'a> {
    project: &'a Project,
    printer: &'a Printer,
    client: Client,
    events: Events,
    answer: UpAnswer,
    logs: BTreeMap<String, Tail>,
    begun: Instant,
}

impl Watch<'_> {
    /// One run now of all that waits for its time.
    async fn run_what_waits(&self) -> Result<(), Problem> {
        let UpAnswer { started, already, restarted, .. } = &self.answer;
        let change = Change { who: Some(who("up --now")), ..Change::default() };
        for status in self.client.status().await?.services {
            let is_asked_for = [started, already, restarted].into_iter().flatten().any(|n| *n == status.name);
            if is_asked_for && status.state == "scheduled" {
                // Asked once: a second time would be a second run.
                self.printer.line(&self.client.run_now(&status.name, &change).await?.text);
            }
        }
        Ok(())
    }

    /// Tells each change, until all that was asked for is up or known not to get up.
    async fn until_settled(&mut self) -> Result<Vec<ServiceStatus>, Problem> {
        let UpAnswer { started, already, restarted, removed } = &self.answer;
        let names: BTreeSet<String> = [started, already, restarted].into_iter().flatten().cloned().collect();
        for name in removed {
            self.printer.line(&format!("{name} is stopped: it is declared no more"));
        }
        if names.is_empty() {
            self.printer.line("nothing to start: soloist.toml declares no services and no scheduled jobs");
        }
        let mut latest: BTreeMap<String, ServiceStatus> = BTreeMap::new();
        self.look(&names, &mut latest).await?;
        let mut open = still_open(&latest);
        while !is_done(&latest, &mut open) {
            match self.events.next().await {
                Some(Event::Service(status)) => {
                    // What happened before we looked is no news.
                    let is_news =
                        latest.get(&status.name).is_none_or(|known| known.revision < status.revision);
                    if is_news && names.contains(&status.name) {
                        self.tell(&status, latest.get(&status.name));
                        open.insert(status.name.clone());
                        latest.insert(status.name.clone(), *status);
                    }
                    continue;
                }
                Some(Event::History(_) | Event::Samples(_) | Event::Removed { .. }) => continue,
                Some(Event::Resync) => {}
                None if self.find_daemon_again().await? => {}
                None => {
                    return Err(Problem::new(Code::Ending, "the daemon ended while services were starting"));
                }
            }
            self.look(&names, &mut latest).await?;
            open = still_open(&latest);
        }
        Ok(latest.into_values().collect())
    }

    /// Looks at all that was asked for anew.
    async fn look(
        &self,
        names: &BTreeSet<String>,
        latest: &mut BTreeMap<String, ServiceStatus>,
    ) -> Result<(), Problem> {
        let all = self.client.status().await?.services;
        for status in all.into_iter().filter(|status| names.contains(&status.name)) {
            self.tell(&status, latest.get(&status.name));
            latest.insert(status.name.clone(), status);
        }
        Ok(())
    }

    /// Whether there is a daemon after one that ended: it died and was brought back, or became another binary.
    async fn find_daemon_again(&mut self) -> Result<bool, Problem> {
        let found = with_living_daemon(self.project, |client| async move {
            let events = client.events().await?;
            Ok((client, events))
        });
        match found.await? {
            Some((client, events)) => {
                (self.client, self.events) = (client, events);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// One line a change of state; the words of `note` where something needs a look.
    fn tell(&self, status: &ServiceStatus, before: Option<&ServiceStatus>) {
        if before.is_some_and(|b| b.state == status.state && b.pid == status.pid) {
            return;
        }
        let at = self.begun.elapsed().as_secs_f64();
        let name = &status.name;
        let how = match before {
            None if self.answer.already.contains(name) => " (already up)",
            None if self.answer.restarted.contains(name) => " (restarted: its declaration changed)",
            _ => "",
        };
        let mut line = format!("{at:7.3} s  {}{how}", one_line(status));
        let needs_a_look = matches!(status.state.as_str(), "failed" | "conflict" | "standby" | "backoff");
        if let Some(note) = status.note.as_ref().filter(|_| needs_a_look) {
            line.push_str(&format!(": {note}"));
        }
        self.printer.line(&line);
    }

    /// Only what is written from now on is shown.
    fn open_logs(&mut self, services: &[ServiceStatus]) {
        let config = self.project.config_or_empty().ok();
        for ServiceStatus { name, .. } in services {
            let log = self.project.layout.log(name);
            for (name, log) in [(format!("{name}~err"), error_log_of(&log)), (name.clone(), log)] {
                if let Ok(tail) =
                    Tail::from(&log, Start::Lines(0), Mask::of(config.as_ref(), instance_of(&name)))
                {
                    self.logs.insert(name, tail);
                }
            }
        }
    }

    /// Shows changes and output until the daemon ends.
    async fn follow(&mut self) -> Result<i32, Problem> {
        let mut latest: BTreeMap<String, ServiceStatus> = BTreeMap::new();
        let mut look = tokio::time::interval(LOOK_AGAIN);
        loop {
            tokio::select! {
                event = self.events.next() => match event {
                    Some(Event::Service(status)) => {
                        // A job comes and goes; its output and its failures are news, its rhythm is not.
                        let is_rhythm = status.kind == "job" && status.exit.is_none_or(|e| e.code == Some(0));
                        if !is_rhythm {
                            self.tell(&status, latest.get(&status.name));
                        }
                        latest.insert(status.name.clone(), *status);
                    }
                    Some(Event::Resync | Event::Removed { .. } | Event::History(_) | Event::Samples(_)) => {}
                    None if self.find_daemon_again().await? => {}
                    None => {
                        self.printer.remark("the daemon ended");
                        return Ok(0);
                    }
                },
                _ = look.tick() => self.show_output(),
            }
        }
    }

    fn show_output(&mut self) {
        let shown = self.logs.keys().filter(|name| !name.ends_with("~err"));
        let width = shown.map(String::len).max().unwrap_or(0);
        for (name, tail) in &mut self.logs {
            while let Ok(Some(found)) = tail.look() {
                let lines = match found {
                    LogEvent::Lines { lines, .. } => lines,
                    LogEvent::Resync { missed_bytes, .. } => {
                        vec![format!("… {missed_bytes} bytes are left out here; its log has them")]
                    }
                    LogEvent::Rotated => continue,
                };
                for line in lines {
                    self.printer.line(&format!("{name:<width$} | {line}"));
                }
            }
        }
    }

    /// Stops what this command has started. What was up before stays.
    async fn stop_again(&mut self) -> Result<i32, Problem> {
        self.show_output();
        self.printer.remark("stopping …");
        let names = self.answer.started.clone();
        if !names.is_empty() {
            let answer = take_down(&self.client, Down { names, who: Some(who("up")) }).await?;
            answer.stopped.iter().for_each(|name| self.printer.line(&format!("{name} stopped")));
            if !answer.stuck.is_empty() {
                return Err(Problem::new(Code::Error, answer.stuck.join("\n")));
            }
        }
        if !self.answer.already.is_empty() {
            let left = self.answer.already.join(", ");
            self.printer.line(&format!("left running, as before: {left} (`soloist down` stops all)"));
        }
        Ok(0)
    }
}

/// Nothing more is to be waited for: each has come to where it goes, has fallen, or waits for one that has. Only those that
/// are `open` are looked at: of a thousand services one changes at a time.
fn is_done(latest: &BTreeMap<String, ServiceStatus>, open: &mut BTreeSet<String>) -> bool {
    while let Some(first) = open.first()
        && latest.get(first).is_none_or(is_over)
    {
        open.pop_first();
    }
    let waits = |name: &String| {
        latest.get(name).is_none_or(|s| is_over(s) || s.state == "starting" && s.run_id.is_none())
    };
    open.iter().all(waits) && (open.is_empty() || latest.values().any(has_fallen))
}

fn still_open(latest: &BTreeMap<String, ServiceStatus>) -> BTreeSet<String> {
    latest.values().filter(|status| !is_over(status)).map(|status| status.name.clone()).collect()
}

fn is_over(status: &ServiceStatus) -> bool {
    status.is_settled() || has_fallen(status)
}

fn has_fallen(status: &ServiceStatus) -> bool {
    status.state == "backoff"
}
