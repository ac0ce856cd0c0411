//! The beacon: a file to which every process of a puppet's tree appends who it is, so that a test can later verify
//! that each of them is dead, wherever it went.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::identity::Identity;

/// A beacon file; it need not exist.
#[derive(Clone, Debug)]
pub struct Beacon {
    path: PathBuf,
}

impl Beacon {
    /// The beacon at this path.
    pub fn at(path: &Path) -> Beacon {
        Beacon { path: path.to_owned() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path as text, for arguments.
    pub fn text(&self) -> String {
        self.path.display().to_string()
    }

    /// Enters the calling process.
    pub fn announce(&self, role: &str) -> io::Result<()> {
        let me = Identity::mine();
        self.append(&format!("{} {} {role}\n", me.pid, me.start))
    }

    /// Enters that a process met another one that should have been dead.
    pub fn report_overlap(&self, me: &Identity) -> io::Result<()> {
        let met: Vec<String> = self.living().iter().map(|one| one.pid.to_string()).collect();
        self.append(&format!("OVERLAP {} met {}\n", me.pid, met.join(" ")))
    }

    fn append(&self, line: &str) -> io::Result<()> {
        // One write: lines of many processes do not mix.
        OpenOptions::new().append(true).create(true).open(&self.path)?.write_all(line.as_bytes())
    }

    /// All processes that ever entered themselves, in order, with their roles.
    pub fn all(&self) -> Vec<(Identity, String)> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let mut words = line.splitn(3, ' ');
                let identity =
                    Identity { pid: words.next()?.parse().ok()?, start: words.next()?.parse().ok()? };
                Some((identity, words.next().unwrap_or_default().to_owned()))
            })
            .collect()
    }

    /// Those with a role.
    pub fn with_role(&self, role: &str) -> Vec<Identity> {
        self.all().into_iter().filter(|(_, its)| its == role).map(|(identity, _)| identity).collect()
    }

    /// Those that live.
    pub fn living(&self) -> Vec<Identity> {
        self.all().into_iter().map(|(identity, _)| identity).filter(Identity::is_alive).collect()
    }

    /// The lines in which processes reported that they were not alone.
    pub fn overlaps(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("OVERLAP")).map(str::to_owned).collect()
    }
}
