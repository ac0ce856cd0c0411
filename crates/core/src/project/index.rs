//! What a project would else look for among all its members each time something happens to one of them: who has a name,
//! who needs it, whose deadline is next, and who waits. Nothing is decided here.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Plan;
use crate::time::Time;

/// Kept beside the members, by their positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    names: BTreeMap<String, usize>,
    /// By the name of what is needed.
    dependents: BTreeMap<String, BTreeSet<usize>>,
    /// By the name of the stand-in.
    bases: BTreeMap<String, usize>,
    deadlines: BTreeSet<(Time, usize)>,
    /// The same by position.
    due: Vec<Option<Time>>,
    /// Among these are all that wait for others, to start or to be stopped.
    pub(super) waiting: BTreeSet<usize>,
    /// Among these are all that have a stand-in, or a trial.
    pub(super) paired: BTreeSet<usize>,
}

impl Index {
    /// A new member at the next position.
    pub(super) fn add(&mut self, name: &str, plan: &Plan) {
        let at = self.due.len();
        self.due.push(None);
        self.names.entry(name.to_owned()).or_insert(at);
        self.plan(at, plan);
    }

    /// What its declaration says of others.
    pub(super) fn plan(&mut self, at: usize, plan: &Plan) {
        for need in &plan.needs {
            self.dependents.entry(need.on.clone()).or_default().insert(at);
        }
        if let Some(stand_in) = &plan.stand_in {
            self.bases.insert(stand_in.clone(), at);
            self.paired.insert(at);
        }
    }

    /// Its declaration says so no more.
    pub(super) fn unplan(&mut self, at: usize, plan: &Plan) {
        for need in &plan.needs {
            if let Some(dependents) = self.dependents.get_mut(&need.on) {
                dependents.remove(&at);
            }
        }
        if let Some(stand_in) = &plan.stand_in {
            self.bases.remove(stand_in);
        }
    }

    /// Its deadline may be another now.
    pub(super) fn set_due(&mut self, at: usize, due: Option<Time>) {
        let before = std::mem::replace(&mut self.due[at], due);
        if before != due {
            self.deadlines.extend(due.map(|due| (due, at)));
            if let Some(before) = before {
                self.deadlines.remove(&(before, at));
            }
        }
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(super) fn base(&self, stand_in: &str) -> Option<usize> {
        self.bases.get(stand_in).copied()
    }

    /// Those that need one of this name.
    pub(super) fn dependents(&self, name: &str) -> impl Iterator<Item = usize> {
        self.dependents.get(name).into_iter().flatten().copied()
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Those whose deadline has come, in their order.
    pub(super) fn due_by(&self, now: Time) -> Vec<usize> {
        let mut due: Vec<usize> = self.deadlines.range(..=(now, usize::MAX)).map(|(_, at)| *at).collect();
        due.sort_unstable();
        due
    }
}
