//! The thread that watches. A change is told once all is quiet again: editors write a file in several steps, and git whole
//! folders. What a service writes itself is told as little as can be: else its restart would be the reason for the next.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use soloist_os::layout::Layout;
use soloist_os::record::Record;
use soloist_os::watched::Watched;
use soloist_os::{FolderWatch, written_by};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::eye::{Changed, Eye};
use super::rules::{Rules, that_match_none};
use super::{Groups, Said, matches_nothing};
use crate::inbox::{Inbox, Input};
use crate::runs::guarded_of;

/// All is quiet when nothing has changed for so long,
const QUIET: Duration = Duration::from_millis(200);
/// but what goes on and on is told after this.
const MOST: Duration = Duration::from_secs(2);
/// A git at work is waited for, at most for this.
const GIT_MOST: Duration = Duration::from_secs(30);
/// Where nobody tells of changes, files are looked at so often.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Changed so soon after the run began: it may have done that itself.
const OWN_MS: u64 = 3000;
/// A file that changed so soon so many times in a row has to be quiet for longer,
const SUSPECT: u32 = 5;
const SUSPECT_QUIET: Duration = Duration::from_secs(5);
/// and after so many it is left out.
const OWN: u32 = 8;

/// Watches until it is ended, or nobody hears it any more.
pub(super) fn follow(
    groups: Groups,
    layout: &Layout,
    inbox: &Inbox,
    said: &Said,
    ended: oneshot::Receiver<()>,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let mut all = JoinSet::new();
        for (rules, names) in groups {
            let group = Group {
                git: git_folder(&rules.root),
                layout: layout.clone(),
                inbox: inbox.clone(),
                said: said.clone(),
                own: HashSet::new(),
                suspects: HashMap::new(),
                rules,
                names,
            };
            all.spawn(group.follow());
        }
        tokio::select! {
            _ = ended => {}
            () = async { while all.join_next().await.is_some() {} } => {}
        }
    });
}

/// What comes of waiting for a change.
enum Heard {
    News,
    /// Something happened that does not matter.
    Noise,
    Nothing,
}

async fn hear(eye: &mut Eye, limit: Duration) -> Heard {
    let Some(folders) = &eye.folders else {
        tokio::time::sleep(limit).await;
        return Heard::Nothing;
    };
    match tokio::time::timeout(limit, folders.readable()).await {
        Ok(Ok(mut ready)) => ready.clear_ready(),
        Ok(Err(e)) => (eye.folders, eye.trouble) = (None, Some(e)),
        Err(_) => return Heard::Nothing,
    }
    if eye.take() { Heard::News } else { Heard::Noise }
}

/// Those who follow the same rules.
struct Group {
    rules: Rules,
    names: Vec<String>,
    /// Where git keeps its lock.
    git: Option<PathBuf>,
    layout: Layout,
    inbox: Inbox,
    said: Said,
    /// What their runs had open for writing when that was looked at last.
    own: HashSet<PathBuf>,
    /// How often in a row a file has changed right after a run began.
    suspects: HashMap<PathBuf, u32>,
}

/// Changes that are not told yet.
struct Unrest {
    began: Instant,
    last: Instant,
}

impl Group {
    async fn follow(mut self) {
        let mut eye = self.open();
        for pattern in that_match_none(&self.rules, eye.files()) {
            self.said.say(&self.names, &matches_nothing(&pattern));
        }
        // What changed while no daemon was there.
        let since = self.runs().iter().map(|run| run.since_ms).min();
        if !self.tell(since.map_or_else(Vec::new, |since| eye.changed_since(since))) {
            return;
        }
        let mut unrest: Option<Unrest> = None;
        let mut found: Vec<Changed> = Vec::new();
        loop {
            let limit = match &unrest {
                Some(unrest) => self.left(unrest, &eye),
                None if eye.folders.is_some() => Duration::MAX,
                None => LOOK_AGAIN.max(eye.took * 20),
            };
            match hear(&mut eye, limit).await {
                Heard::News => {
                    let now = Instant::now();
                    unrest.get_or_insert(Unrest { began: now, last: now }).last = now;
                    continue;
                }
                Heard::Noise => continue,
                Heard::Nothing => {}
            }
            if self.inbox.is_closed() {
                return;
            }
            let began = unrest.as_ref().map_or_else(Instant::now, |unrest| unrest.began);
            if self.is_git_at_work() && began.elapsed() < GIT_MOST {
                unrest = Some(Unrest { began, last: Instant::now() });
                continue;
            }
            eye.is_unsure |= eye.folders.is_none();
            let is_whole = eye.is_unsure;
            let changed = eye.look();
            self.say_trouble(&mut eye);
            let goes_on = is_whole && !changed.is_empty() && began.elapsed() < MOST;
            found.extend(changed);
            // More may have come into a folder before it was watched.
            unrest = goes_on.then(|| Unrest { began, last: Instant::now() });
            if unrest.is_none() && !self.tell(std::mem::take(&mut found)) {
                return;
            }
        }
    }

    /// With what tells of changes, or without it where that cannot be had.
    fn open(&self) -> Eye {
        let (folders, trouble) = match FolderWatch::new(&[]).and_then(Watched::new) {
            Ok(folders) => (Some(folders), None),
            Err(e) => (None, Some(e)),
        };
        let mut eye = Eye::open(&self.rules, folders);
        eye.trouble = trouble.or(eye.trouble);
        self.say_trouble(&mut eye);
        eye
    }

    fn say_trouble(&self, eye: &mut Eye) {
        let Some(why) = eye.trouble.take() else { return };
        let remedy = match why.raw_os_error() {
            Some(_) => "; `sysctl fs.inotify.max_user_watches=524288` allows more",
            None => "",
        };
        let every = LOOK_AGAIN.as_secs();
        let words =
            format!("its files are looked at every {every} s, as nobody tells of changes: {why}{remedy}");
        self.said.say(&self.names, &words);
    }

    /// How long until all is quiet, if nothing more happens.
    fn left(&self, unrest: &Unrest, eye: &Eye) -> Duration {
        let is_suspect = |file: &PathBuf| self.suspects.get(file).is_some_and(|count| *count >= SUSPECT);
        if !self.suspects.is_empty() && eye.pending.iter().any(is_suspect) {
            return SUSPECT_QUIET.saturating_sub(unrest.last.elapsed());
        }
        let most = MOST.saturating_sub(unrest.began.elapsed());
        QUIET.saturating_sub(unrest.last.elapsed()).min(most)
    }

    fn is_git_at_work(&self) -> bool {
        self.git.as_ref().is_some_and(|git| git.join("index.lock").exists())
    }

    fn runs(&self) -> Vec<Record> {
        let found = self.names.iter().flat_map(|name| guarded_of(&self.layout, name));
        found.map(|(_, record)| record).collect()
    }

    /// Tells what has changed, but for what the runs write themselves; says whether anybody hears it.
    fn tell(&mut self, mut changed: Vec<Changed>) -> bool {
        if changed.is_empty() {
            return true;
        }
        let runs = self.runs();
        let own: HashSet<PathBuf> = runs.iter().flat_map(|run| written_by(run.guard.pid)).collect();
        changed.retain(|one| !own.contains(&one.file) && !self.own.contains(&one.file));
        self.own = own;
        changed.retain(|one| !self.is_own(one, &runs));
        // The newest gives the reason its name.
        changed.sort_by(|a, b| b.at_ms.cmp(&a.at_ms).then_with(|| a.file.cmp(&b.file)));
        changed.dedup_by(|a, b| a.file == b.file);
        let Some(newest) = changed.first() else { return true };
        let mut what = self.named(&newest.file);
        if changed.len() > 1 {
            what += &format!(" and {} more", changed.len() - 1);
        }
        let names = self.names.clone();
        self.inbox.send(Input::FilesChanged { names, what, at_ms: newest.at_ms }).is_ok()
    }

    /// Whether a file changes right after each run's begin: then the run does it.
    fn is_own(&mut self, one: &Changed, runs: &[Record]) -> bool {
        let is_soon = |run: &Record| one.at_ms.checked_sub(run.since_ms).is_some_and(|after| after < OWN_MS);
        if !runs.iter().any(is_soon) {
            self.suspects.remove(&one.file);
            return false;
        }
        let count = self.suspects.entry(one.file.clone()).or_default();
        *count += 1;
        let is_own = *count > OWN;
        if is_own {
            let name = self.named(&one.file);
            let words = format!(
                "{name} changes whenever it starts, so it is not watched; `watch-ignore` says so for good"
            );
            self.said.say(&self.names, &words);
        }
        is_own
    }

    fn named(&self, file: &Path) -> String {
        file.strip_prefix(&self.rules.root).unwrap_or(file).display().to_string()
    }
}

/// The folder with git's own files; a work tree beside it has a file with its path (gitrepository-layout(5)).
fn git_folder(root: &Path) -> Option<PathBuf> {
    let git = root.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists())?;
    if git.is_dir() {
        return Some(git);
    }
    let text = std::fs::read_to_string(&git).ok()?;
    Some(git.parent()?.join(text.strip_prefix("gitdir:")?.trim()))
}
