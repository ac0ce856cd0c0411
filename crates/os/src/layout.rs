//! Where things lie: the `.soloist` folder of a project and the user's machine-wide state folder.
//! It makes the folders (0700, never through a link); it reads and writes no file of theirs.

use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::own_file;

/// The state folder of one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The project folder, canonical: its path is the project's identity.
    pub root: PathBuf,
}

impl Layout {
    /// The layout below a project folder; nothing is made yet.
    pub fn new(root: &Path) -> io::Result<Layout> {
        Ok(Layout { root: root.canonicalize()? })
    }

    /// `.soloist`
    pub fn state(&self) -> PathBuf {
        self.root.join(".soloist")
    }

    /// Makes `.soloist` with its folders and the `.gitignore` that hides them.
    pub fn make(&self) -> io::Result<()> {
        make_private(&self.state())?;
        for folder in ["claims", "guards", "logs"] {
            make_private(&self.state().join(folder))?;
        }
        let ignore = self.state().join(".gitignore");
        // Whatever has the name already, also a link that leads nowhere, is left as it is.
        if std::fs::symlink_metadata(&ignore).is_err() {
            // Renamed into place: several may come here at once.
            own_file::replace(&ignore, b"*\n", 0o600).map_err(|e| named(e, "cannot write", &ignore))?;
        }
        Ok(())
    }

    /// Whether this project ever ran anything.
    pub fn exists(&self) -> bool {
        self.state().is_dir()
    }

    /// Held by the one daemon of the project as long as it lives.
    pub fn daemon_lock(&self) -> PathBuf {
        self.state().join("daemon.lock")
    }

    /// Held by a client while it looks for a daemon and starts one, so that two do not start two.
    pub fn start_lock(&self) -> PathBuf {
        self.state().join("start.lock")
    }

    /// Where the daemon answers.
    pub fn daemon_socket(&self) -> PathBuf {
        self.state().join("daemon.sock")
    }

    /// Where the daemon answers over TCP, for programs.
    pub fn http(&self) -> PathBuf {
        self.state().join("http.json")
    }

    /// What lets a program in over TCP.
    pub fn token(&self) -> PathBuf {
        self.state().join("token")
    }

    /// What lets the page in.
    pub fn session(&self) -> PathBuf {
        self.state().join("session")
    }

    /// What the daemon itself has to say.
    pub fn daemon_log(&self) -> PathBuf {
        self.state().join("daemon.log")
    }

    /// Where services are found, for programs.
    pub fn ports(&self) -> PathBuf {
        self.state().join("ports.json")
    }

    /// The same as variables, for shells.
    pub fn ports_env(&self) -> PathBuf {
        self.state().join("ports.env")
    }

    /// What must survive the daemon.
    pub fn ledger(&self) -> PathBuf {
        self.state().join("ledger.json")
    }

    /// Keys that were added to and taken from keyed services at run time.
    pub fn keys(&self) -> PathBuf {
        self.state().join("keys.json")
    }

    /// Schedules and windows that were changed at run time.
    pub fn schedules(&self) -> PathBuf {
        self.state().join("schedules.json")
    }

    /// What happened.
    pub fn history(&self) -> PathBuf {
        self.state().join("history.db")
    }

    /// What all instances write.
    pub fn logs(&self) -> PathBuf {
        self.state().join("logs")
    }

    /// What an instance writes: the current file; see `log_files` for the others.
    pub fn log(&self, instance: &str) -> PathBuf {
        self.logs().join(format!("{instance}.log"))
    }

    /// The claim, record and guard socket of an instance claimed within this project.
    pub fn place(&self, instance: &str) -> Place {
        Place { base: self.state(), instance: instance.to_owned() }
    }
}

/// The claim, record and guard socket of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `.soloist`, or the user's state folder for claims of machine scope.
    pub base: PathBuf,
    /// The name of the instance.
    pub instance: String,
}

impl Place {
    /// A place of machine scope: `$XDG_STATE_HOME/soloist`, by default `~/.local/state/soloist`. Not below `/tmp` or
    /// `$XDG_RUNTIME_DIR`: both are emptied while processes live.
    pub fn machine(instance: &str) -> io::Result<Place> {
        Ok(Place { base: machine_state()?, instance: instance.to_owned() })
    }

    /// Makes the folders it needs.
    pub fn make(&self) -> io::Result<()> {
        make_private(&self.base)?;
        make_private(&self.base.join("claims"))?;
        make_private(&self.base.join("guards"))
    }

    /// The lock file. It is never removed: a lock on a removed file excludes nobody.
    pub fn claim(&self) -> PathBuf {
        self.base.join("claims").join(format!("{}.lock", self.instance))
    }

    /// The record beside it.
    pub fn record(&self) -> PathBuf {
        self.base.join("claims").join(format!("{}.json", self.instance))
    }

    /// Where the guard answers.
    pub fn socket(&self) -> PathBuf {
        self.base.join("guards").join(format!("{}.sock", self.instance))
    }

    /// Where the guard hears what the tree says of itself (sd_notify(3)).
    pub fn notify(&self) -> PathBuf {
        self.base.join("guards").join(format!("{}.notify", self.instance))
    }
}

/// The user's machine-wide state folder.
pub fn machine_state() -> io::Result<PathBuf> {
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    from("XDG_STATE_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("soloist"))
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                "neither XDG_STATE_HOME nor HOME is an absolute path; set one of them for claims of machine scope",
            )
        })
}

/// Makes a folder only its user may enter, or checks that an existing one is a folder of ours, no link, and that nobody
/// else writes in it.
pub fn make_private(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
        std::fs::create_dir_all(parent).map_err(|e| named(e, "cannot make", parent))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(named(e, "cannot make", path)),
        Ok(()) => return Ok(()),
    }
    let found = std::fs::symlink_metadata(path).map_err(|e| named(e, "cannot look at", path))?;
    if !found.is_dir() {
        return Err(refuse(path, "is not a folder; move it away"));
    }
    if !is_ours(&found) {
        return Err(refuse(
            path,
            "belongs to another user; soloist keeps its claims only in folders of its own user",
        ));
    }
    if found.mode() & 0o022 != 0 {
        let why = format!(
            "can be written by others (mode {:o}): whoever does commands what runs here; look what is in it, then `chmod 700` it",
            found.mode() & 0o777
        );
        return Err(refuse(path, &why));
    }
    Ok(())
}

fn is_ours(found: &Metadata) -> bool {
    found.uid() == rustix::process::geteuid().as_raw()
}

fn refuse(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {why}", path.display()))
}

/// The error with what was attempted, and on what, before it.
pub fn named(error: io::Error, attempt: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{attempt} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_folder_that_is_a_link_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join(".soloist")).unwrap();
        let error = Layout::new(folder.path()).unwrap().make().unwrap_err().to_string();
        assert!(error.contains("is not a folder"), "{error}");
    }

    #[test]
    fn a_folder_that_others_write_in_is_refused_and_a_link_for_the_gitignore_leads_nowhere() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        layout.make().unwrap();
        let claims = layout.state().join("claims");
        for mode in [0o777, 0o770, 0o702] {
            std::fs::set_permissions(&claims, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = layout.make().unwrap_err().to_string();
            assert!(error.contains("written by others") && error.contains("chmod 700"), "{error}");
        }
        std::fs::set_permissions(&claims, std::fs::Permissions::from_mode(0o700)).unwrap();
        let ignore = layout.state().join(".gitignore");
        std::fs::remove_file(&ignore).unwrap();
        symlink(folder.path().join("made"), &ignore).unwrap();
        layout.make().unwrap();
        assert!(!folder.path().join("made").exists());
    }

    #[test]
    fn many_that_make_the_state_folder_at_once_all_find_it_made() {
        for _ in 0..200 {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout::new(folder.path()).unwrap();
            let gate = std::sync::Barrier::new(4);
            let make = || {
                gate.wait();
                layout.make()
            };
            std::thread::scope(|scope| {
                let makers: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
                for maker in makers {
                    maker.join().unwrap().unwrap();
                }
            });
            assert_eq!(std::fs::read_to_string(layout.state().join(".gitignore")).unwrap(), "*\n");
        }
    }

    #[test]
    fn the_state_folder_is_private_and_ignores_itself() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        layout.make().unwrap();
        layout.make().unwrap();
        assert_eq!(std::fs::metadata(layout.state()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_to_string(layout.state().join(".gitignore")).unwrap(), "*\n");
    }
}
