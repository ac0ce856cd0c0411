//! Fresh code: services that declare `watch` get a new run when their files have changed and are quiet again. One thread
//! watches for all of a project, none without `watch`. What follows from a change is the core's matter.

mod age;
mod eye;
mod follow;
mod nested;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use soloist_os::layout::Layout;
use tokio::sync::oneshot;

use crate::config::Declared;
use crate::inbox::Inbox;

pub use age::{Ages, Source};
pub use nested::nested_reloader;
pub use rules::{Rules, pattern_fault};

/// Rules, and who follows them.
type Groups = BTreeMap<Rules, Vec<String>>;

/// What there is to say about how a service is watched, by its name.
#[derive(Clone, Debug, Default)]
pub struct Said(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Said {
    fn say(&self, names: &[String], words: &str) {
        if let Ok(mut said) = self.0.lock() {
            for name in names {
                let said = said.entry(name.clone()).or_default();
                if !said.iter().any(|one| one == words) {
                    said.push(words.to_owned());
                }
            }
        }
    }
}

/// All that is watched for a project.
#[derive(Debug, Default)]
pub struct Watches {
    groups: Groups,
    said: Said,
    /// The thread ends when this does.
    thread: Option<oneshot::Sender<()>>,
}

impl Watches {
    /// Watches for these from now on; those whose code reloads itself are left to that.
    pub fn follow<'a>(
        &mut self,
        layout: &Layout,
        declared: impl Iterator<Item = &'a Declared>,
        inbox: &Inbox,
    ) {
        let (mut groups, said) = (Groups::new(), Said::default());
        for one in declared {
            if let Some(warning) = twice(one) {
                said.say(std::slice::from_ref(&one.name), &warning);
            } else if let Some(rules) = rules(layout, one) {
                groups.entry(rules).or_default().push(one.name.clone());
            }
        }
        if groups == self.groups && (self.thread.is_some() || groups.is_empty()) {
            return;
        }
        let (end, ended) = oneshot::channel();
        let (layout, inbox) = (layout.clone(), inbox.clone());
        (self.groups, self.said) = (groups.clone(), said.clone());
        self.thread = (!groups.is_empty()).then_some(end);
        if groups.is_empty() {
            return;
        }
        let names: Vec<String> = groups.values().flatten().cloned().collect();
        let watching = said.clone();
        let thread = std::thread::Builder::new().name("watch".to_owned());
        let started = thread.spawn(move || follow::follow(groups, &layout, &inbox, &watching, ended));
        if let Err(e) = started {
            said.say(&names, &format!("its files are not watched: {e}"));
        }
    }

    /// What there is to say about how this one is watched.
    pub fn warnings(&self, name: &str) -> Vec<String> {
        self.said.0.lock().ok().and_then(|said| said.get(name).cloned()).unwrap_or_default()
    }
}

/// What a declaration watches; nothing if it does not, or its program reloads itself.
fn rules(layout: &Layout, declared: &Declared) -> Option<Rules> {
    let program = &declared.program;
    let is_watched = !program.watch.is_empty() && declared.lane_of.is_none() && nested(declared).is_none();
    is_watched.then(|| Rules {
        root: layout.root.clone(),
        watch: program.watch.clone(),
        ignore: program.watch_ignore.clone(),
    })
}

/// What reloads a program by itself, if anything does.
pub fn nested(declared: &Declared) -> Option<&'static str> {
    nested::reloader_in(&declared.program.argv, &declared.program.dir)
}

fn twice(declared: &Declared) -> Option<String> {
    let reloader = nested(declared).filter(|_| !declared.program.watch.is_empty())?;
    Some(format!("`watch` and `{reloader}` would both restart it; soloist leaves it to `{reloader}`"))
}

/// What will not work as a declaration says. Looks for the files on disk.
pub fn warnings(layout: &Layout, declared: &Declared) -> Vec<String> {
    let nothing = rules(layout, declared)
        .map(|rules| rules::that_match_none(&rules, rules::Selection::new(&rules).files()));
    let nothing = nothing.into_iter().flatten().map(|pattern| matches_nothing(&pattern));
    twice(declared).into_iter().chain(nothing).collect()
}

/// So many folders have to be watched for these.
pub fn folders<'a>(layout: &Layout, declared: impl Iterator<Item = &'a Declared>) -> usize {
    let all: BTreeSet<Rules> = declared.filter_map(|one| rules(layout, one)).collect();
    all.iter().map(|rules| rules::Selection::new(rules).folders()).sum()
}

fn matches_nothing(pattern: &str) -> String {
    format!("`watch` matches no file with `{pattern}`; patterns count from the project's folder")
}
