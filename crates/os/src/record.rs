//! The record beside a claim: who holds it, since when, running what; and how the last run ended. It is told to
//! people and used to find survivors; it is never believed about what lives now (the lock and the kernel say that).

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::identity::{Exit, Identity};
use crate::layout::{Place, named};

/// One JSON file, replaced whole. Not synced: after a power loss the boot id tells that it is history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of this format; readers take unknown fields and refuse nothing.
    pub version: u32,
    /// The instance's name.
    pub instance: String,
    /// The project folder of the holder.
    pub project: PathBuf,
    /// Who holds the claim for it: `daemon` or `run`.
    pub holder: Holder,
    /// The process that guards the tree (while a claim is being taken: the process that takes it).
    pub guard: Identity,
    /// Of the current or last run.
    pub run_id: String,
    /// The main process of the current or last run.
    pub main: Option<Identity>,
    /// What runs.
    pub command: Vec<String>,
    /// The ports it was declared with.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Start of the run in milliseconds since 1970 UTC.
    pub since_ms: u64,
    /// The cgroup v2 leaf of the tree, if one could be made.
    pub cgroup: Option<PathBuf>,
    /// The PID file that was written for it.
    pub pid_file: Option<PathBuf>,
    /// How the main process of `run_id` ended.
    pub exit: Option<Exit>,
    /// Its end in milliseconds since 1970 UTC.
    #[serde(default)]
    pub exit_ms: Option<u64>,
    /// Its grace, so that whoever has it stopped knows how long that may take.
    #[serde(default)]
    pub stop_grace_ms: u64,
    /// Whether the tree of `run_id` was seen empty: if not, and its guard is gone, there may be survivors.
    pub ended: bool,
}

/// Who holds a claim for an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    /// The project's daemon.
    Daemon,
    /// A `soloist run`.
    Run,
}

impl Record {
    /// Reads a record; `None` if there is none or it is not readable as one (it is never believed, so a torn or
    /// foreign file is as good as none; survivors are then found by cookie).
    pub fn read(path: &Path) -> Option<Record> {
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Replaces the record whole: a reader sees the old or the new one.
    pub fn write(&self, place: &Place) -> io::Result<()> {
        let json = serde_json::to_vec(self).map_err(io::Error::other)?;
        replace(&place.record(), &json)
    }

    /// Whether its guard still lives: then it guards, and the claim is held.
    pub fn is_guarded(&self) -> bool {
        self.guard.is_alive()
    }
}

/// Writes a file beside and renames it over `path`: 0600, through no link, readers see the old or the new bytes.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(name);
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        options.open(&beside)?.write_all(bytes)?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|e| {
        let _ = std::fs::remove_file(&beside);
        named(e, "cannot write", path)
    })
}

/// All records below a state folder, by name; files that are no records are left out.
pub fn all(base: &Path) -> Vec<Record> {
    let Ok(entries) = std::fs::read_dir(base.join("claims")) else { return Vec::new() };
    let mut records: Vec<Record> = entries
        .flatten()
        .filter(|e| e.path().extension().is_some_and(|x| x == "json"))
        .filter_map(|e| Record::read(&e.path()))
        .collect();
    records.sort_by(|a, b| a.instance.cmp(&b.instance));
    records
}
