//! The ledger: what was asked for, on disk before it is done, so that a new daemon goes on where the last one ended.
//! What is true is never in it: the kernel and the guards say that.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use soloist_os::record::replace;

/// The file as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Page {
    /// Of this format.
    version: u32,
    /// The instances that are wanted up.
    #[serde(default)]
    up: BTreeMap<String, Entry>,
}

/// What is kept of a wanted instance. Room for more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Entry {
    /// Since when, in milliseconds since 1970 UTC: a run that began before says nothing about this wish.
    since_ms: u64,
}

/// The open ledger of a project.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    page: Page,
    /// What was asked for is not known any more; what is up is then taken as wanted.
    is_lost: bool,
}

impl Ledger {
    /// Reads the ledger. A missing one is empty. An unreadable one is moved aside, and said: what is up is then
    /// learned from the guards, and nothing is started that nobody asks for again.
    pub fn open(path: &Path) -> (Ledger, Option<String>) {
        let fresh =
            |is_lost| Ledger { path: path.to_owned(), page: Page { version: 1, ..Page::default() }, is_lost };
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return (fresh(false), None),
            Err(e) => {
                return (fresh(true), Some(format!("the ledger {} cannot be read: {e}", path.display())));
            }
        };
        match serde_json::from_slice(&bytes) {
            Ok(page) => (Ledger { path: path.to_owned(), page, is_lost: false }, None),
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

    /// Whether the ledger at a path says that anything is wanted up, or is corrupt, which a daemon must look into.
    pub fn peek(path: &Path) -> bool {
        let page = std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Page>(&bytes).ok());
        page.is_none_or(|page| !page.up.is_empty())
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
        if is_up {
            let since_ms = soloist_os::clock::wall_ms();
            self.page.up.entry(name.to_owned()).or_insert(Entry { since_ms });
        } else {
            self.page.up.remove(name);
        }
    }

    /// Replaces the file whole.
    pub fn write(&self) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(&self.page).map_err(io::Error::other)?;
        replace(&self.path, &bytes)
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
    fn a_run_from_before_the_wish_says_nothing_about_it() {
        let folder = tempfile::tempdir().unwrap();
        let (mut ledger, _) = Ledger::open(&folder.path().join("ledger.json"));
        ledger.note("api", true);
        let now = soloist_os::clock::wall_ms();
        assert!(!ledger.covers("api", now - 60_000) && ledger.covers("api", now + 1));
        assert!(!ledger.covers("db", now + 1));
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
