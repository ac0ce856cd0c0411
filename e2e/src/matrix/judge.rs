//! What must be true after a kill: exactly one tree or none, as wanted; claim, port and ports.json agree; nothing of what
//! was written is missing; every exit is told once.

use std::collections::BTreeMap;
use std::fs::File;

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::matrix::steps::Step;
use crate::matrix::{Actor, Stage};
use crate::puppet::voice;
use crate::{Entry, Status, is_free, tree};

/// What the pipe of a service that writes little holds (pipe(7)).
const PIPE: u64 = 64 * 1024;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The service is ready, and its daemon is there.
    Up,
    /// It is stopped, and its daemon is there.
    Stopped,
    /// Nothing runs, nor a daemon.
    Gone,
    /// The job is run again and again.
    Going,
}

impl Stage {
    /// Whether what lives is what is wanted; else what is not.
    pub fn is_right(&self, goal: Goal) -> Result<(), String> {
        let wanted = match goal {
            Goal::Gone => return self.is_gone(),
            Goal::Stopped => "stopped",
            Goal::Up => "ready",
            Goal::Going => return self.is_going(),
        };
        // To look at processes is cheap, to ask is not.
        let (mains, most) = (
            self.cast().iter().filter(|(actor, _)| *actor == Actor::Main).count(),
            usize::from(goal == Goal::Up),
        );
        if mains != most && crate::daemon::answering(&self.project).is_some() {
            return Err(format!("{mains} main processes"));
        }
        let said = self.project.soloist(&["status", "--json"]);
        let status: Status = serde_json::from_str(&said.stdout).map_err(|e| format!("{e}: {said}"))?;
        let service = status.services.iter().find(|one| one.name == "s").ok_or("no service")?;
        if service.state != wanted || (service.wanted == "up") != (goal == Goal::Up) {
            return Err(format!("{service:?}"));
        }
        if let Some(other) = status.services.iter().find(|one| one.name != "s" && one.pid.is_some()) {
            return Err(format!("beside it runs {other:?}"));
        }
        let cast = self.cast();
        let all = |actor| cast.iter().filter(move |(its, _)| *its == actor).map(|(_, who)| *who);
        // One that has nothing to do need not come back.
        let daemons = all(Actor::Daemon).count();
        if daemons > 1 || daemons == 0 && goal == Goal::Up || all(Actor::Zygote).count() > 1 {
            return Err(format!("not one daemon: {cast:?}"));
        }
        let table: Value =
            serde_json::from_str(&self.project.read(".soloist/ports.json")).unwrap_or_default();
        let told = &table["services"]["s"];
        if goal == Goal::Stopped {
            let tree = cast.iter().filter(|(actor, _)| !matches!(actor, Actor::Daemon | Actor::Zygote));
            let tree: Vec<_> = tree.collect();
            let is_told = daemons > 0 && !told.is_null();
            if !tree.is_empty() || !is_free(self.port) || is_told || self.is_claimed() {
                return Err(format!("stopped, but {tree:?}, claimed: {}, {table}", self.is_claimed()));
            }
            return Ok(());
        }
        let guards: Vec<_> = all(Actor::Guard).collect();
        let [guard] = guards[..] else { return Err(format!("not one guard: {cast:?}")) };
        let below = tree::descendants(guard);
        let is_stray = |(actor, who): &&(Actor, _)| {
            matches!(actor, Actor::Shell | Actor::Main | Actor::Worker) && !below.contains(who)
        };
        if let Some(stray) = cast.iter().find(is_stray) {
            return Err(format!("{stray:?} is not below {guard}: {cast:?}"));
        }
        let mains: Vec<_> = all(Actor::Main).collect();
        let [main] = mains[..] else { return Err(format!("not one main process: {cast:?}")) };
        if all(Actor::Shell).count() > 1 || all(Actor::Worker).count() > 1 {
            return Err(format!("more than one tree: {cast:?}"));
        }
        let listeners = tree::listeners(self.port);
        if !listeners.iter().any(|pids| pids.contains(&main.pid)) || listeners.len() != 1 {
            return Err(format!("{main} should listen, but {listeners:?}"));
        }
        if told["pid"] != json!(service.pid) || told["run_id"] != json!(service.run_id) {
            return Err(format!("ports.json says {table} of {service:?}"));
        }
        if !self.is_claimed() {
            return Err("nobody holds the claim".to_owned());
        }
        Ok(())
    }

    fn is_gone(&self) -> Result<(), String> {
        let left = self.project.survivors();
        if !left.is_empty() || !is_free(self.port) || self.is_claimed() {
            return Err(format!("still there: {:?} {left:?}, claimed: {}", self.cast(), self.is_claimed()));
        }
        Ok(())
    }

    /// The job is wanted, and two runs more have begun since.
    fn is_going(&self) -> Result<(), String> {
        let said = self.project.soloist(&["status", "--json"]);
        let status: Status = serde_json::from_str(&said.stdout).map_err(|e| format!("{e}: {said}"))?;
        let job = status.services.iter().find(|one| one.name == "s").ok_or("no job")?;
        let more = self.begun().len() - self.begun_before;
        if more >= 2 && job.wanted == "up" { Ok(()) } else { Err(format!("{more} runs more, {job:?}")) }
    }

    fn is_claimed(&self) -> bool {
        let claim = File::open(self.project.folder().join(".soloist/claims/s.lock"));
        claim.is_ok_and(|claim| flock(&claim, FlockOperation::NonBlockingLockShared).is_err())
    }

    /// Whether records, history and log say what was; else what they do not.
    pub fn is_told(&self, step: &Step) -> Result<(), String> {
        let journal = self.project.journal();
        let overlaps = journal.overlaps().into_iter().map(|entry| format!("{entry:?}"));
        let overlaps: Vec<String> = overlaps.chain(self.project.beacon().overlaps()).collect();
        if !overlaps.is_empty() {
            return Err(format!("two at once: {overlaps:?}"));
        }
        self.is_history_true(step)?;
        self.is_log_whole()
    }

    fn is_history_true(&self, step: &Step) -> Result<(), String> {
        // First of all: a run that begins meanwhile is in the history and not here, not the other way round.
        let begun = self.begun();
        let said = self.project.soloist(&["history", "s", "-n", "100000", "--json"]);
        let history: Value = serde_json::from_str(&said.stdout).map_err(|e| format!("{e}: {said}"))?;
        let mut told: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for entry in history["entries"].as_array().into_iter().flatten() {
            if let (Some(run), Some(what)) = (entry["run_id"].as_str(), entry["what"].as_str()) {
                *told.entry((run, what)).or_default() += 1;
            }
        }
        let now = begun.last().filter(|_| step.goal == Goal::Up);
        for run in &begun {
            let count = |what| told.get(&(run.as_str(), what)).copied().unwrap_or(0);
            let (started, exited, ended) = (count("started"), count("exited"), count("ended"));
            let is_right = match (Some(run) == now, self.excused.contains(run)) {
                // Where no daemon is left, the next one learns of it, and this is looked at again.
                _ if Some(run) == begun.last() && step.goal != Goal::Up => {
                    started <= 1 && exited <= 1 && ended <= 1
                }
                (true, _) => started <= 1 && exited == 0,
                (false, false) => (started, exited, ended) == (1, 1, 1),
                (false, true) => started <= 1 && exited <= 1 && ended <= 1,
            };
            if !is_right {
                return Err(format!(
                    "run {run} was started {started}, exited {exited}, ended {ended} times (its guard was killed: {}): {:#}",
                    self.excused.contains(run),
                    history
                ));
            }
        }
        Ok(())
    }

    /// Each life's lines are there from the first on without a gap, and as many as it says it wrote.
    fn is_log_whole(&self) -> Result<(), String> {
        let ends = self.project.journal().entries.into_iter().filter_map(|entry| match entry {
            Entry::End { at, lines, .. } => Some((at, lines)),
            Entry::Start { .. } | Entry::Overlap { .. } => None,
        });
        let is_excused = |at: &u64| self.guardless.iter().any(|times| times.contains(at));
        let (mut excused, whole): (Vec<_>, Vec<_>) = ends.partition(|(at, _)| is_excused(at));
        // Smallest first: no life is taken for that of another which it alone fits.
        excused.sort_by_key(|(_, lines)| *lines);
        // After the ends: a life that goes on meanwhile has none yet.
        let mut counts = lives(&self.project.log("s"))?;
        counts.sort_unstable();
        // What stood in the pipe of a guard that was killed is gone with it: that much, and no more.
        let pipe = PIPE / voice::line(0).len() as u64 + 1;
        let wanted = whole.iter().map(|(_, lines)| (*lines, *lines));
        for (least, most) in wanted.chain(excused.iter().map(|(_, most)| (most.saturating_sub(pipe), *most)))
        {
            // Lives that were killed told no number.
            match counts.iter().position(|count| (least..=most).contains(count)) {
                Some(at) => {
                    counts.remove(at);
                }
                None if least == 0 => {}
                None => return Err(format!("a life wrote {most} lines, the log has {counts:?}")),
            }
        }
        Ok(())
    }
}

/// How many whole lines of each life a log has; `Err` where one is missing or broken within a life.
fn lives(log: &[u8]) -> Result<Vec<u64>, String> {
    let first = voice::line(0);
    let mut lives: Vec<u64> = Vec::new();
    let mut at = 0;
    while at < log.len() {
        let rest = &log[at..];
        let next = voice::line(lives.last().copied().unwrap_or(0));
        // What was killed may have been in the midst of a line.
        let cut = next.bytes().zip(rest).take_while(|(a, b)| a == *b).count();
        match lives.last_mut() {
            Some(count) if cut == next.len() && *count > 0 => {
                *count += 1;
                at += cut;
            }
            _ if rest.starts_with(first.as_bytes()) => {
                lives.push(1);
                at += first.len();
            }
            _ if rest.len() == cut || rest[cut..].starts_with(first.as_bytes()) => at += cut,
            _ => {
                let found = String::from_utf8_lossy(&rest[..rest.len().min(130)]).into_owned();
                return Err(format!("at byte {at} of the log, where {next:?} should be: {found:?}"));
            }
        }
    }
    Ok(lives)
}
