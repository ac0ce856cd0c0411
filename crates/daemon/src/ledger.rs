//! The ledger: what was asked for, on disk before it is done, so that a new daemon goes on where the last one ended.
//! What is true is never in it: the kernel and the guards say that.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use soloist_os::own_file;
use soloist_os::record::replace;

/// The file as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Page {
    /// Of this format.
    version: u32,
    /// The boot in which it was written: what was up in an earlier one is up no more.
    #[serde(default)]
    boot: String,
    /// The instances that are wanted up.
    #[serde(default)]
    up: BTreeMap<String, Entry>,
}

impl Page {
    /// Whether it says that something is wanted up, in this boot.
    fn is_of_now(&self) -> bool {
        !self.up.is_empty() && soloist_os::boot_id().is_ok_and(|boot| boot == self.boot)
    }
}

/// What is kept of a wanted instance. Room for more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Entry {
    /// Since when, in milliseconds since 1970 UTC: a run that began before says nothing about this wish.
    since_ms: u64,
    /// Its schedule was followed up to then at least, on the same clock; 0: since the wish. Not written with every run.
    followed_ms: u64,
    /// When the runs were due that wait for the one at work, on that clock.
    queue: Vec<i64>,
}

/// The open ledger of a project.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    page: Page,
    /// What was asked for is not known any more; what is up is then taken as wanted.
    is_lost: bool,
    /// The file does not say all that the page does.
    is_behind: bool,
    /// What was wanted when it was opened is wanted now: the daemon before this one died over it.
    is_inherited: bool,
}

impl Ledger {
    /// Reads the ledger. A missing one is empty. An unreadable one is moved aside, and said: what is up is then
    /// learned from the guards, and nothing is started that nobody asks for again.
    pub fn open(path: &Path) -> (Ledger, Option<String>) {
        let fresh = |is_lost| Ledger {
            path: path.to_owned(),
            page: Page { version: 1, ..Page::default() },
            is_lost,
            is_behind: true,
            is_inherited: is_lost,
        };
        match read(path) {
            Ok(Some(page)) => {
                let is_inherited = page.is_of_now();
                let path = path.to_owned();
                (Ledger { path, page, is_lost: false, is_behind: false, is_inherited }, None)
            }
            Ok(None) => (fresh(false), None),
            Err(e) if e.kind() != io::ErrorKind::InvalidData && e.kind() != io::ErrorKind::UnexpectedEof => {
                (fresh(true), Some(format!("the ledger {} cannot be read: {e}", path.display())))
            }
            Err(e) => {
                let aside = path.with_extension("json.corrupt");
                let moved = match std::fs::rename(path, &aside) {
                    Ok(()) => format!("it was moved to {}", aside.display()),
                    Err(e) => format!("it could not be moved aside: {e}"),
                };
                let said = format!(
                    "the ledger {} is corrupt ({e}); {moved}; services that run were found again, start others anew",
                    path.display()
                );
                (fresh(true), Some(said))
            }
        }
    }

    /// Whether a daemon of this boot has left something wanted up, or a ledger that nobody can read. After a reboot it
    /// takes somebody who wants services up: a look at the status must not start them.
    pub fn is_abandoned(path: &Path) -> bool {
        match read(path) {
            Ok(Some(page)) => page.is_of_now(),
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// Whether the daemon before this one died with something wanted up. One that was told to end left nothing, and how runs
    /// ended before it did is history.
    pub fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    /// Whether the ledger at a path says that an instance is wanted up.
    pub fn wants(path: &Path, name: &str) -> bool {
        read(path).is_ok_and(|page| page.is_some_and(|page| page.up.contains_key(name)))
    }

    /// Whether an instance is wanted up. Of a ledger that was lost nothing is known but what is seen: an instance that
    /// runs was wanted.
    pub fn is_up(&mut self, name: &str, is_running: bool) -> bool {
        if self.is_lost && is_running {
            self.note(name, true);
        }
        self.page.up.contains_key(name)
    }

    /// Whether a run that began then was a run of the present wish.
    pub fn covers(&self, name: &str, began_ms: u64) -> bool {
        self.page.up.get(name).is_some_and(|entry| entry.since_ms <= began_ms)
    }

    /// Notes what is wanted; `write` makes it last.
    pub fn note(&mut self, name: &str, is_up: bool) {
        if is_up == self.wishes(name) {
            return;
        }
        self.is_behind = true;
        if is_up {
            let since_ms = soloist_os::clock::wall_ms();
            self.page.up.insert(name.to_owned(), Entry { since_ms, ..Entry::default() });
        } else {
            self.page.up.remove(name);
        }
    }

    /// Whether an instance is wanted up, as far as the file said and was told since.
    pub fn wishes(&self, name: &str) -> bool {
        self.page.up.contains_key(name)
    }

    /// All that are.
    pub fn wished(&self) -> impl Iterator<Item = &str> {
        self.page.up.keys().map(String::as_str)
    }

    /// Its schedule begins to be followed, or to be followed anew; says whether it is wanted at all.
    pub fn follow(&mut self, name: &str) -> bool {
        let Some(entry) = self.page.up.get_mut(name) else { return false };
        entry.followed_ms = soloist_os::clock::wall_ms();
        self.is_behind = true;
        true
    }

    /// These runs wait for the one at work; says whether that is news.
    pub fn queue(&mut self, name: &str, queue: impl Iterator<Item = i64> + Clone) -> bool {
        let Some(entry) = self.page.up.get_mut(name) else { return false };
        let is_news = !queue.clone().eq(entry.queue.iter().copied());
        if is_news {
            entry.queue = queue.collect();
            self.is_behind = true;
        }
        is_news
    }

    /// The runs that waited.
    pub fn queued(&self, name: &str) -> &[i64] {
        self.page.up.get(name).map_or(&[], |entry| &entry.queue)
    }

    /// All schedules were followed up to then.
    pub fn follow_all(&mut self, until_ms: u64) {
        self.page.up.values_mut().for_each(|entry| entry.followed_ms = until_ms);
        self.is_behind = true;
    }

    /// Since when an instance is wanted, and up to when its schedule was followed at least.
    pub fn followed(&self, name: &str) -> Option<(u64, u64)> {
        self.page.up.get(name).map(|entry| (entry.since_ms, entry.followed_ms.max(entry.since_ms)))
    }

    /// Replaces the file whole, unless it says all this already: a new daemon that goes on with a thousand wishes changes
    /// none of them.
    pub fn write(&mut self) -> io::Result<()> {
        let boot = soloist_os::boot_id()?;
        if !self.is_behind && self.page.boot == boot {
            return Ok(());
        }
        self.is_behind = true;
        self.page.boot = boot;
        let bytes = serde_json::to_vec_pretty(&self.page).map_err(io::Error::other)?;
        replace(&self.path, &bytes).or_else(|e| overwrite(&self.path, bytes).map_err(|_| e))?;
        self.is_behind = false;
        Ok(())
    }

    /// Whether the last write failed: what it says is to be tried again.
    pub fn is_behind(&self) -> bool {
        self.is_behind
    }
}

/// On a full disk there is no room beside the file, but there is in it: whoever is stopped makes the page shorter, and must
/// not be started by the next daemon. The rest is blanks, which JSON allows at its end.
fn overwrite(path: &Path, mut bytes: Vec<u8>) -> io::Result<()> {
    let file = own_file::write(path)?;
    let room = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    if bytes.len() > room {
        return Err(io::ErrorKind::StorageFull.into());
    }
    bytes.resize(room, b' ');
    file.write_all_at(&bytes, 0)
}

/// The page at a path; `None` if there is none.
fn read(path: &Path) -> io::Result<Option<Page>> {
    match own_file::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        let (mut ledger, said) = Ledger::open(&path);
        assert_eq!(said, None);
        ledger.note("api", true);
        ledger.note("db", true);
        ledger.note("db", false);
        ledger.write().unwrap();
        let (mut ledger, said) = Ledger::open(&path);
        assert!(ledger.is_up("api", false) && !ledger.is_up("db", true) && said.is_none());
    }

    #[test]
    fn what_was_wanted_before_a_reboot_waits_for_somebody_who_wants_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        assert!(!Ledger::is_abandoned(&path));
        let (mut ledger, _) = Ledger::open(&path);
        ledger.note("api", true);
        ledger.write().unwrap();
        assert!(Ledger::is_abandoned(&path) && Ledger::wants(&path, "api") && !Ledger::wants(&path, "db"));
        let text =
            std::fs::read_to_string(&path).unwrap().replace(&soloist_os::boot_id().unwrap(), "another");
        std::fs::write(&path, text).unwrap();
        assert!(!Ledger::is_abandoned(&path) && Ledger::wants(&path, "api"));
    }

    #[test]
    fn a_page_that_got_shorter_needs_no_room_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        let (mut ledger, _) = Ledger::open(&path);
        ledger.note("api", true);
        ledger.write().unwrap();
        overwrite(&path, serde_json::to_vec(&Page::default()).unwrap()).unwrap();
        assert!(!Ledger::wants(&path, "api") && !Ledger::is_abandoned(&path));
        assert!(overwrite(&path, vec![b' '; 1000]).is_err());
    }

    #[test]
    fn a_run_from_before_the_wish_says_nothing_about_it() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, _) = Ledger::open(&folder.path().join("ledger.json"));
        ledger.note("api", true);
        let now = soloist_os::clock::wall_ms();
        assert!(!ledger.covers("api", now - 60_000) && ledger.covers("api", now + 1));
        assert!(!ledger.covers("db", now + 1));
    }

    #[test]
    fn up_to_when_a_schedule_was_followed_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        let (mut ledger, _) = Ledger::open(&path);
        ledger.note("scan", true);
        let (began, followed) = ledger.followed("scan").unwrap();
        assert!(
            began > 0
                && began == followed
                && ledger.follow("scan")
                && !ledger.follow("db")
                && ledger.followed("db").is_none()
        );
        ledger.follow_all(began + 60_000);
        assert!(ledger.queue("scan", [1, 2].into_iter()) && !ledger.queue("scan", [1, 2].into_iter()));
        assert!(!ledger.queue("db", [1].into_iter()));
        ledger.write().unwrap();
        // A wish that is said again is the same wish.
        let (mut ledger, _) = Ledger::open(&path);
        ledger.note("scan", true);
        assert_eq!(ledger.followed("scan"), Some((began, began + 60_000)));
        assert_eq!((ledger.queued("scan"), ledger.queued("db")), (&[1, 2][..], &[][..]));
    }

    #[test]
    fn a_corrupt_ledger_is_moved_aside_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        std::fs::write(&path, b"{\"version\":1,\"up\":{").unwrap();
        let (mut ledger, said) = Ledger::open(&path);
        assert!(!ledger.is_up("api", false) && ledger.is_up("db", true), "what runs was wanted");
        assert!(said.unwrap().contains("is corrupt"));
        assert!(!path.exists() && folder.path().join("ledger.json.corrupt").exists());
    }

    #[test]
    fn a_ledger_of_the_first_version_still_opens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.json");
        std::fs::write(&path, "{\"version\":1,\"up\":{\"api\":{}},\"of a later version\":[1]}").unwrap();
        assert!(Ledger::open(&path).0.is_up("api", false));
    }
}
