//! The record beside a claim: who holds it, since when, running what; and how the last run ended. It is told to
//! people and used to find survivors; it is never believed about what lives now (the lock and the kernel say that).

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::guard::{Past, Usage};
use crate::identity::{Exit, Identity};
use crate::layout::{Place, named};
use crate::own_file;

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
    /// Whether it ended because somebody had it stopped: then its end says nothing about how it fares.
    #[serde(default)]
    pub was_stopped: bool,
    /// Why the run was started.
    #[serde(default)]
    pub cause: String,
    /// The fingerprint of the declaration it was started from.
    #[serde(default)]
    pub print: Option<u64>,
    /// What it used.
    #[serde(default)]
    pub usage: Usage,
    /// The length of its log before it wrote anything.
    #[serde(default)]
    pub log_at: Option<u64>,
    /// The number of the file which that is the length of.
    #[serde(default)]
    pub log_seq: Option<u64>,
    /// The last runs that are over, oldest first, for a daemon that did not hear of them.
    #[serde(default)]
    pub past: Vec<Past>,
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
        // A reader that was overtaken by two writes has read a file that is being written: it reads again.
        (0..16).find_map(|_| read_settled(path)).and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    /// Replaces the record whole: a reader sees the old or the new one. Only the holder of the claim may write.
    pub fn write(&self, place: &Place) -> io::Result<()> {
        let json = serde_json::to_vec(self).map_err(io::Error::other)?;
        exchange(&place.record(), &json)
    }

    /// Whether its guard still lives: then it guards, and the claim is held.
    pub fn is_guarded(&self) -> bool {
        self.guard.is_alive()
    }
}

/// The bytes of a file that was not exchanged or written while it was read; of a missing one, none.
fn read_settled(path: &Path) -> Option<Vec<u8>> {
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;
    let Ok(mut file) = own_file::open(path) else { return Some(Vec::new()) };
    let mark = |found: &std::fs::Metadata| (found.ino(), found.mtime(), found.mtime_nsec(), found.len());
    let before = mark(&file.metadata().ok()?);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    (before == mark(&std::fs::metadata(path).ok()?)).then_some(bytes)
}

/// Writes a second file that is kept for it and exchanges the two names (renameat2(2), RENAME_EXCHANGE). A rename over a
/// file makes ext4 write its data out at once, which costs a restart half a millisecond; an exchange does not.
fn exchange(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let next = path.with_extension("json.next");
    let write = || {
        // What is not the one that is kept gives way.
        let mut file = own_file::write(&next).or_else(|_| own_file::anew(&next))?;
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)?;
        let here = rustix::fs::CWD;
        match rustix::fs::renameat_with(here, &next, here, path, rustix::fs::RenameFlags::EXCHANGE) {
            Ok(()) => Ok(()),
            // The first time there is nothing to exchange with; and not every file system can.
            Err(_) => std::fs::rename(&next, path),
        }
    };
    write().map_err(|e| named(e, "cannot write", path))
}

/// Replaces a file whole, 0600.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    own_file::replace(path, bytes, 0o600).map_err(|e| named(e, "cannot write", path))
}

/// All records below a state folder, by name; files that are no records are left out.
pub fn all(base: &Path) -> Vec<Record> {
    all_but(base, |_| false)
}

/// As `all`, without those of these instances: their files are not even opened.
pub fn all_but(base: &Path, is_left_out: impl Fn(&str) -> bool) -> Vec<Record> {
    let claims = base.join("claims");
    let Ok(entries) = std::fs::read_dir(&claims) else { return Vec::new() };
    let mut records: Vec<Record> = entries
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| {
            name.to_str().and_then(|name| name.strip_suffix(".json")).is_some_and(|name| !is_left_out(name))
        })
        .filter_map(|name| Record::read(&claims.join(name)))
        .collect();
    records.sort_by(|a, b| a.instance.cmp(&b.instance));
    records
}

/// When a record below a state folder was last written: to write one is to exchange two names of one folder, which marks
/// it. The marks of older kernels are some milliseconds coarse.
pub fn written(base: &Path) -> Option<SystemTime> {
    std::fs::metadata(base.join("claims")).and_then(|claims| claims.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(command: usize) -> Record {
        Record {
            version: 1,
            instance: "api".into(),
            project: "/srv".into(),
            holder: Holder::Run,
            guard: Identity::mine().unwrap(),
            run_id: "0".into(),
            main: None,
            command: vec!["x".repeat(command); 3],
            ports: Vec::new(),
            since_ms: 0,
            cgroup: None,
            pid_file: None,
            exit: None,
            exit_ms: None,
            stop_grace_ms: 0,
            was_stopped: false,
            cause: String::new(),
            print: None,
            usage: Usage::default(),
            log_at: None,
            log_seq: None,
            past: Vec::new(),
            ended: true,
        }
    }

    #[test]
    fn a_reader_sees_whole_records_only_while_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { base: folder.path().to_owned(), instance: "api".into() };
        place.make().unwrap();
        assert_eq!(Record::read(&place.record()), None);
        record(1).write(&place).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| (0..2_000).for_each(|i| record(i % 700).write(&place).unwrap()));
            while !writer.is_finished() {
                let found = Record::read(&place.record()).expect("a whole record");
                assert!(found.command.iter().all(|word| *word == found.command[0]));
            }
        });
        assert_eq!(all(folder.path()).len(), 1, "the second file is no record");
    }
}
