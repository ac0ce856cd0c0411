//! The claim: the exclusive right to run an instance on this machine, kept by the kernel as a lock on an open file
//! description. Daemon and guard share that description, so the lock lives as long as either of them does.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::identity::Identity;
use crate::layout::{Place, named};
use crate::machine::network_name;
use crate::own_file;
use crate::record::{Holder, Record};

/// The member of a lock file's content that counts runs.
const TOKEN: &str = "token";
/// An inscription holds a command, which holds at most this much (execve(2)).
const CONTENT_MAX: u64 = 4 << 20;

/// A held claim. It ends when the last copy of its descriptor is closed; nobody ever unlocks it. Who holds the last copy
/// and lives on ends it by [`Claim::let_go`].
#[derive(Debug)]
pub struct Claim {
    file: File,
    path: PathBuf,
}

impl Claim {
    /// Takes the claim, or says `None` if somebody holds it. Never waits.
    pub fn take(path: &Path) -> io::Result<Option<Claim>> {
        Claim::attempt(path, FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes the claim as soon as it is free.
    pub fn wait(path: &Path) -> io::Result<Claim> {
        loop {
            if let Some(claim) = Claim::attempt(path, FlockOperation::LockExclusive)? {
                return Ok(claim);
            }
        }
    }

    fn attempt(path: &Path, operation: FlockOperation) -> io::Result<Option<Claim>> {
        loop {
            let file = open(path)?;
            match flock(&file, operation) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(named(e.into(), "cannot lock", path)),
            }
            let claim = Claim { file, path: path.to_owned() };
            // Somebody may have removed or replaced the file between open and lock: then this lock excludes nobody.
            if claim.is_in_place() {
                return Ok(Some(claim));
            }
        }
    }

    /// Takes over a descriptor that another of our processes holds and has sent us: the same description, the same lock.
    pub fn received(fd: OwnedFd, path: &Path) -> Claim {
        Claim { file: File::from(fd), path: path.to_owned() }
    }

    /// Whether the file at the path is still the one that is locked. A removed lock file excludes nobody.
    pub fn is_in_place(&self) -> bool {
        let (Ok(held), Ok(there)) = (self.file.metadata(), std::fs::symlink_metadata(&self.path)) else {
            return false;
        };
        held.dev() == there.dev() && held.ino() == there.ino()
    }

    /// Writes into the lock file who takes the claim, at once: the record beside it still tells of the last run, which
    /// the guard needs to find survivors by.
    pub fn inscribe(&self, inscription: &Inscription) -> io::Result<()> {
        let mut written = serde_json::to_value(inscription).map_err(io::Error::other)?;
        if let Some(token) = self.content().get(TOKEN) {
            written[TOKEN] = token.clone();
        }
        self.write(&written)
    }

    /// The fencing token of the next run: greater than that of every run before it under this claim. It is kept in the
    /// lock file, where only the holder writes, and is never less than the milliseconds since 1970, so that it grows even
    /// if the file was lost, or the disk too full to take it.
    pub fn next_token(&self) -> u64 {
        let mut content = self.content();
        let last = content.get(TOKEN).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let next = crate::clock::wall_ms().max(last.saturating_add(1));
        content[TOKEN] = next.into();
        let _ = self.write(&content);
        next
    }

    /// What is written in the lock file; nothing if that is none of ours.
    fn content(&self) -> serde_json::Value {
        let len = self.file.metadata().map_or(0, |found| found.len().min(CONTENT_MAX));
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let read = self.file.read_exact_at(&mut bytes, 0);
        match read.map_err(|_| ()).and_then(|()| serde_json::from_slice(&bytes).map_err(|_| ())) {
            Ok(content @ serde_json::Value::Object(_)) => content,
            _ => serde_json::json!({}),
        }
    }

    /// Lets go of the claim and takes the holder's name out of the lock file first: a holder that lives on would be named
    /// as long as the next one, who has locked, has not yet said who it is.
    pub fn let_go(self) {
        let content = self.content();
        let token = content
            .get(TOKEN)
            .map_or_else(|| serde_json::json!({}), |token| serde_json::json!({ TOKEN: token }));
        if content != token {
            // What cannot be written now, the next holder writes over.
            let _ = self.write(&token);
        }
    }

    fn write(&self, content: &serde_json::Value) -> io::Result<()> {
        let bytes = serde_json::to_vec(content).map_err(io::Error::other)?;
        self.file.write_all_at(&bytes, 0)?;
        self.file.set_len(bytes.len() as u64)
    }

    /// The path of the lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Who took a claim: for people, and until the guard's record says more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inscription {
    /// The process that took it.
    pub claimant: Identity,
    /// Which kind of holder.
    pub holder: Holder,
    /// From which project folder.
    pub project: PathBuf,
    /// When, in milliseconds since 1970 UTC.
    pub since_ms: u64,
    /// To run what.
    pub command: Vec<String>,
}

/// Who holds a claim, verified to live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBy {
    /// The main process it runs, or the holder itself as long as nothing runs.
    pub pid: u32,
    /// The process that holds the claim.
    pub guard: Identity,
    /// Which kind of holder.
    pub holder: Holder,
    /// Start of the run (or of the holding) in milliseconds since 1970 UTC.
    pub since_ms: u64,
    /// What it runs.
    pub command: Vec<String>,
    /// From which project folder.
    pub project: PathBuf,
}

/// Who holds the claim at a place, from its record or inscription, if that one lives. Does not touch the lock.
pub fn held_by(place: &Place) -> Option<HeldBy> {
    if let Some(record) = Record::read(&place.record()).filter(|r| r.is_guarded() && !r.ended) {
        return Some(HeldBy {
            pid: record.main.as_ref().unwrap_or(&record.guard).pid,
            guard: record.guard,
            holder: record.holder,
            since_ms: record.since_ms,
            command: record.command,
            project: record.project,
        });
    }
    let found: Inscription = serde_json::from_slice(&own_file::read(&place.claim()).ok()?).ok()?;
    found.claimant.is_alive().then_some(HeldBy {
        pid: found.claimant.pid,
        guard: found.claimant,
        holder: found.holder,
        since_ms: found.since_ms,
        command: found.command,
        project: found.project,
    })
}

impl AsFd for Claim {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = own_file::write(path).map_err(|e| named(e, "cannot open the claim", path))?;
    refuse_network(&file, path)?;
    Ok(file)
}

/// Over a network file system flock(2) becomes a byte-range lock of the client (flock(2), NOTES): it is not shared
/// with the guard and not kept by the kernel alone, so the promise would be a lie.
fn refuse_network(file: &File, path: &Path) -> io::Result<()> {
    let Ok(stat) = rustix::fs::fstatfs(file) else { return Ok(()) };
    match network_name(stat.f_type as u64) {
        None => Ok(()),
        Some(kind) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "the claim {} would lie on {kind}, where locks are not kept by this machine's kernel; \
                 keep the project on a local disk, or use `--scope machine` (claims in the user's state folder)",
                path.display()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_held_once_and_free_after_its_last_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.lock");
        let first = Claim::take(&path).unwrap().unwrap();
        assert!(Claim::take(&path).unwrap().is_none());
        let shared = Claim::received(first.as_fd().try_clone_to_owned().unwrap(), &path);
        drop(first);
        assert!(Claim::take(&path).unwrap().is_none(), "the shared description still holds the lock");
        drop(shared);
        assert!(Claim::take(&path).unwrap().is_some());
    }

    #[test]
    fn each_token_is_greater_than_all_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.lock");
        let inscription = Inscription {
            claimant: Identity::mine().unwrap(),
            holder: Holder::Run,
            project: folder.path().to_owned(),
            since_ms: 1,
            command: vec!["./api".to_owned()],
        };
        let began = crate::clock::wall_ms();
        let claim = Claim::take(&path).unwrap().unwrap();
        let mut last = claim.next_token();
        assert!(last >= began);
        claim.inscribe(&inscription).unwrap();
        for _ in 0..100 {
            let next = claim.next_token();
            assert!(next > last);
            last = next;
        }
        let written: Inscription = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(written, inscription);
        // A clock that was set back by years: what is written counts.
        drop(claim);
        let ahead = last + 1_000_000_000;
        std::fs::write(&path, format!("{{\"token\":{ahead}}}")).unwrap();
        assert_eq!(Claim::take(&path).unwrap().unwrap().next_token(), ahead + 1);
        for rubbish in ["", "{", "[1]", "{\"token\":-1}", "\0\0"] {
            std::fs::write(&path, rubbish).unwrap();
            assert!(Claim::take(&path).unwrap().unwrap().next_token() >= began, "{rubbish}");
        }
    }

    #[test]
    fn who_let_go_of_a_claim_and_lives_on_is_not_named_for_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let layout = crate::layout::Layout::new(folder.path()).unwrap();
        layout.make().unwrap();
        let place = layout.place("api");
        place.make().unwrap();
        let claim = Claim::take(&place.claim()).unwrap().unwrap();
        let token = claim.next_token();
        let inscription = Inscription {
            claimant: Identity::mine().unwrap(),
            holder: Holder::Daemon,
            project: folder.path().to_owned(),
            since_ms: 1,
            command: vec!["./api".to_owned()],
        };
        claim.inscribe(&inscription).unwrap();
        assert_eq!(held_by(&place).unwrap().guard, inscription.claimant);
        claim.let_go();
        let next = Claim::take(&place.claim()).unwrap().unwrap();
        assert_eq!(held_by(&place), None);
        assert!(next.next_token() > token, "the token is kept");
    }

    #[test]
    fn a_claim_whose_file_was_removed_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.lock");
        let claim = Claim::take(&path).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!claim.is_in_place());
        let second = Claim::take(&path).unwrap().unwrap();
        assert!(second.is_in_place() && !claim.is_in_place());
    }

    #[test]
    fn a_link_of_either_kind_or_a_fifo_in_place_of_the_claim_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("precious");
        std::fs::write(&target, "x").unwrap();
        let link = folder.path().join("api.lock");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(Claim::take(&link).unwrap_err().to_string().contains("it is a link"));
        let hard = folder.path().join("hard.lock");
        std::fs::hard_link(&target, &hard).unwrap();
        assert!(Claim::take(&hard).unwrap_err().to_string().contains("another name"));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "x");
        let fifo = folder.path().join("fifo.lock");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(Claim::take(&fifo).unwrap_err().to_string().contains("not a regular file"));
    }

    #[test]
    fn network_file_systems_are_named() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xef53), None, "ext4 is local");
    }
}
