//! Has tried what the core wants probed. Of each kind one try is outstanding at most, and none when the run is over.
//! How a try is made is `probe.rs`; a command is run by the guard, in the tree.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use soloist_core::event::{Event, ProbeKind};
use soloist_core::id::{AskId, ClaimId};
use soloist_os::guard::Order;
use tokio::task::JoinHandle;

use super::Driver;
use crate::config::{Check, Checks};
use crate::convert::milliseconds;
use crate::inbox::Input;
use crate::logs::Position;
use crate::probe::log::LogSearch;
use crate::probe::{http, tcp, timed_out};

/// A guard, or a disk, may take so much longer than the probe's own timeout before it is given up.
const SLACK: Duration = Duration::from_secs(2);

/// What is being tried of one run.
#[derive(Debug, Default)]
pub(super) struct Tries {
    outstanding: Vec<Try>,
    searches: Vec<(ProbeKind, Arc<Mutex<LogSearch>>)>,
    /// The run was ready before it was adopted: what it had to write, it has written.
    is_seen: bool,
}

#[derive(Debug)]
struct Try {
    kind: ProbeKind,
    ask: AskId,
    /// What the guard calls it.
    command: Option<u64>,
    task: JoinHandle<()>,
}

impl Drop for Try {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tries {
    /// None yet, of a run that a new daemon takes over.
    pub(super) fn adopted(was_ready: bool) -> Tries {
        Tries { is_seen: was_ready, ..Tries::default() }
    }

    fn replace(&mut self, by: Try) {
        self.outstanding.retain(|one| one.kind != by.kind);
        self.outstanding.push(by);
    }

    /// The search of a kind: made at its first try, and gone on with at each later one.
    fn search(
        &mut self,
        kind: ProbeKind,
        make: impl FnOnce() -> Result<LogSearch, String>,
    ) -> Result<Arc<Mutex<LogSearch>>, String> {
        if let Some((_, search)) = self.searches.iter().find(|(known, _)| *known == kind) {
            return Ok(Arc::clone(search));
        }
        let made = make()?;
        let search = Arc::new(Mutex::new(if self.is_seen { made.seen() } else { made }));
        self.searches.push((kind, Arc::clone(&search)));
        Ok(search)
    }
}

impl Driver {
    pub(super) fn probe(&mut self, at: usize, ask: AskId, kind: ProbeKind, timeout: Duration) {
        let check = asked(&self.services[at].declared.program.checks, kind);
        let moved = |port| self.where_it_is(at, port);
        let begun = match check.map(|check| check.at(moved)) {
            Some(Check::Http { host, port, path, headers }) => Ok((
                self.answer_with(at, ask, async move { http(&host, port, &path, &headers, timeout).await }),
                None,
            )),
            Some(Check::Tcp { host, port }) => {
                Ok((self.answer_with(at, ask, async move { tcp(&host, port, timeout).await }), None))
            }
            Some(Check::Log { pattern }) => {
                self.look_in_log(at, ask, kind, &pattern, timeout).map(|task| (task, None))
            }
            Some(Check::Exec { argv }) => self.run_in_tree(at, ask, &argv, timeout),
            None => Err(format!("no {kind} probe is declared any more")),
        };
        match begun {
            Ok((task, command)) => self.services[at].tries.replace(Try { kind, ask, command, task }),
            Err(why) => self.at_once.push_back((at, Event::Probed { ask, outcome: Err(why) })),
        }
    }

    /// Where a port of its own is now.
    fn where_it_is(&self, at: usize, port: u16) -> u16 {
        let instance = self.project.instance(at);
        let nth = instance.plan().ports.iter().position(|own| *own == port);
        nth.and_then(|nth| instance.ports().get(nth)).copied().unwrap_or(port)
    }

    fn answer_with(
        &self,
        at: usize,
        ask: AskId,
        attempt: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> JoinHandle<()> {
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            let event = Event::Probed { ask, outcome: attempt.await };
            let _ = inbox.send(Input::Seen { at, event });
        })
    }

    fn look_in_log(
        &mut self,
        at: usize,
        ask: AskId,
        kind: ProbeKind,
        pattern: &str,
        timeout: Duration,
    ) -> Result<JoinHandle<()>, String> {
        let service = &mut self.services[at];
        let path = self.layout.log(&service.declared.name);
        let from = service.began(&path).unwrap_or(Position { seq: 0, offset: 0 });
        let search = service.tries.search(kind, || LogSearch::new(pattern, &path, from))?;
        let until = Instant::now() + timeout;
        let look = move || search.lock().unwrap_or_else(PoisonError::into_inner).look(until);
        Ok(self.answer_with(at, ask, async move {
            let looked = tokio::time::timeout(timeout + SLACK, tokio::task::spawn_blocking(look)).await;
            match looked {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(e)) => Err(format!("the log could not be looked at: {e}")),
                Err(_) => Err(format!("the log could not be read: {}", timed_out(timeout + SLACK))),
            }
        }))
    }

    /// Its name for the guard is no number of the core's: a guard outlives the daemon, and a late answer to an earlier
    /// one must not be taken for ours.
    fn run_in_tree(
        &mut self,
        at: usize,
        ask: AskId,
        argv: &[String],
        timeout: Duration,
    ) -> Result<(JoinHandle<()>, Option<u64>), String> {
        let command = soloist_os::random_u64();
        let argv = self.services[at].declared.program.resolved(argv);
        let order = Order::Exec { id: command, argv, timeout_ms: milliseconds(timeout) };
        let claim = self.project.instance(at).claim();
        let guard = claim.and_then(|claim| self.held.get(&claim)?.guard.as_ref());
        match guard.map(|guard| guard.order(&order)) {
            Some(Ok(())) => {}
            Some(Err(e)) => return Err(format!("the guard takes no command: {e}")),
            None => return Err("no guard is there to run the command".to_owned()),
        }
        let limit = timeout + SLACK;
        let task = self.answer_with(at, ask, async move {
            tokio::time::sleep(limit).await;
            Err(format!("the guard did not answer: {}", timed_out(limit)))
        });
        Ok((task, Some(command)))
    }

    /// A command in a tree has ended.
    pub(super) fn command_ended(&mut self, claim: ClaimId, command: u64, outcome: Result<(), String>) {
        let Some(at) = self.held.get(&claim).map(|held| held.at) else { return };
        let outstanding = &mut self.services[at].tries.outstanding;
        if let Some(place) = outstanding.iter().position(|one| one.command == Some(command)) {
            let ask = outstanding.swap_remove(place).ask;
            self.tell(at, Event::Probed { ask, outcome });
        }
    }
}

fn asked(checks: &Checks, kind: ProbeKind) -> Option<Check> {
    match kind {
        ProbeKind::Startup => checks.startup.clone(),
        ProbeKind::Readiness => checks.readiness.clone(),
        ProbeKind::Liveness => checks.liveness.clone(),
    }
}
