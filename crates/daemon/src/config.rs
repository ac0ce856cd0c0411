//! A checked `soloist.toml`: which programs a project declares, and what each of them asks for.
//! Owns the file's format and its errors. It starts nothing and decides nothing: what a declaration means for
//! a decision is said by `soloist_core::plan`, and how a program is spawned is the spawner's matter.

mod accounts;
mod almanac;
mod check;
mod command;
mod declared;
mod diagnostic;
mod draft;
mod duration;
mod env_file;
mod error;
mod file;
mod fingerprint;
mod hours;
mod instances;
mod limits;
mod listen;
mod log;
mod needs;
mod probes;
mod program;
mod proxy;
mod question;
mod read;
mod reload;
mod schedules;
mod setting;
mod settings;
mod sockets;
mod spares;
pub(crate) mod suggest;
#[cfg(test)]
mod tests;
mod tree;
mod triggers;
mod watched;
mod windows;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use soloist_core::plan::Strategy;
use soloist_core::schedule::window::Window;
use toml::de::DeTable;

use almanac::Almanac;
use diagnostic::Problems;
use instances::Site;

pub use declared::{Check, Checks, Declared, Logging, Program, Rota, Scope, Socket};
pub use diagnostic::Problem;
pub use duration::{duration, interval};
pub use error::ConfigError;
pub use fingerprint::print;
pub use read::is_name;
pub use reload::STAND_IN;
pub use spares::PLACE as PORT_PLACE;

/// The name of the file in the project's folder.
pub const FILE_NAME: &str = "soloist.toml";

/// A checked `soloist.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The project's name: what the file says, or the folder's name.
    pub project: String,
    /// The project's folder, absolute.
    pub root: PathBuf,
    /// Services and jobs in the order of the file.
    pub declared: Vec<Declared>,
    /// Who else is restarted when an instance falls.
    pub strategy: Strategy,
    /// Where the daemon answers over TCP, port 0 being any free one; `None`: it does not.
    pub listen: Option<SocketAddr>,
    /// Where services are found by their names, if that is wanted.
    pub proxy: Option<u16>,
    /// The windows of the file, and each calendar that is used as one.
    pub windows: Vec<Arc<Window>>,
    /// How logs are kept that belong to nothing declared.
    pub log: Logging,
    /// So many bytes all logs may take together.
    pub log_total: u64,
}

/// Keys that were added to and removed from a keyed service since its file was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyChanges {
    /// Instances beside those of the file.
    pub added: Vec<String>,
    /// Instances of the file, or once added, that should not be.
    pub removed: Vec<String>,
}

/// What was changed at run time since soloist.toml was written; it holds until somebody takes it back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Changes {
    /// Keys of keyed services, by the name of the service; they have a file of their own.
    #[serde(skip)]
    pub keys: BTreeMap<String, KeyChanges>,
    /// Schedules, by the name of the instance.
    pub schedules: BTreeMap<String, ScheduleChange>,
    /// Windows and calendars that are open or closed for a time; of two that overlap the later in this list holds.
    pub overrides: Vec<OverrideChange>,
}

/// What was changed of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScheduleChange {
    /// The interval in place of the declared one, in the words of soloist.toml.
    pub every: Option<String>,
    /// Nothing is due by itself.
    pub paused: bool,
    /// Who changed it, in words.
    pub who: String,
    /// When, in milliseconds since 1970 UTC.
    pub at_ms: u64,
}

/// A window or calendar that is open or closed for a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OverrideChange {
    /// The name of a window, or of a calendar.
    pub of: String,
    /// Open, else closed.
    pub open: bool,
    /// From this moment, in milliseconds since 1970 UTC
    pub from_ms: i64,
    /// up to, not including, this one.
    pub until_ms: i64,
    /// Who ordered it, in words.
    pub who: String,
}

impl Config {
    /// Reads and checks the `soloist.toml` in `root`; all problems are reported together.
    pub fn load(root: &Path) -> Result<Config, ConfigError> {
        Config::load_with(root, &Changes::default())
    }

    /// Like [`Config::load`], with what was changed since.
    ///
    /// Changes of what is not declared any more, or has no keys or no schedule any more, are passed over.
    pub fn load_with(root: &Path, changes: &Changes) -> Result<Config, ConfigError> {
        let root = root.canonicalize().map_err(|reason| ConfigError::unreadable(root, &reason))?;
        let path = root.join(FILE_NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => {
                return Err(ConfigError::missing(&root));
            }
            Err(reason) => return Err(ConfigError::unreadable(&path, &reason)),
        };
        // As short as it stays true: an editor or a terminal must be able to open what is printed.
        let is_here = std::env::current_dir().is_ok_and(|here| here == root);
        let shown = if is_here { FILE_NAME.to_owned() } else { path.display().to_string() };
        Config::parse_bytes(&bytes, &root, &shown, changes)
    }

    /// Checks the text of a `soloist.toml`; `file_name` is what errors call it.
    ///
    /// The folders named in it must exist. A relative `root` counts from the current folder.
    pub fn parse(text: &str, root: &Path, file_name: &str) -> Result<Config, ConfigError> {
        Config::parse_with(text, root, file_name, &Changes::default())
    }

    fn parse_with(
        text: &str,
        root: &Path,
        file_name: &str,
        changes: &Changes,
    ) -> Result<Config, ConfigError> {
        let root = absolute(root);
        // Editors do not count the mark, so positions must not either.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut problems = Problems::new(text);
        let (tree, faults) = DeTable::parse_recoverable(text);
        // After a syntax error the rest of the tree is a guess, and complaints about it would mislead. A
        // repeated key is different: the tree is sound, so its other problems can be told in the same go.
        let is_sound = faults.iter().all(|fault| fault.message() == tree::REPEATED_KEY);
        tree::report_syntax(&faults, &mut problems);
        if !is_sound {
            return Err(ConfigError::faulty(file_name, text, problems.finish()));
        }
        let almanac = Almanac::read(tree.get_ref(), &root, &changes.overrides, &mut problems);
        let (log, log_total) = log::of_project(tree.get_ref(), &mut problems);
        let site = Site { root: &root, almanac: &almanac, log: &log, keys: None, key: None };
        let document = read::document(tree.get_ref(), site, &changes.keys, &mut problems);
        check::across(&document, &mut problems);
        let problems = problems.finish();
        if !problems.is_empty() {
            return Err(ConfigError::faulty(file_name, text, problems));
        }
        let instances = document.instances();
        let project = document.project.unwrap_or_else(|| folder_name(&root));
        let drafts = document.drafts.into_iter();
        let declared = drafts.flat_map(|draft| draft.into_declared(&instances, &changes.schedules)).collect();
        let windows = almanac.into_windows();
        let listen = document.listen.map(|(address, _)| address);
        let (strategy, proxy) = (document.strategy, document.proxy.map(|(port, _)| port));
        Ok(Config { project, root, declared, strategy, listen, proxy, windows, log, log_total })
    }

    /// The instances of a declared service or job: its one, or one a key; not their lanes.
    pub fn instances_of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Declared> {
        self.declared.iter().filter(move |declared| declared.service == service && declared.lane_of.is_none())
    }

    /// The windows that a name stands for: the one of this name, and all that go by the calendar of this name.
    pub fn windows_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Window>> {
        self.windows.iter().filter(move |window| windows::is_meant(window, name))
    }

    /// A project that declares nothing, for verbs that need no `soloist.toml`.
    pub fn empty(root: &Path) -> Config {
        let root = root.canonicalize().unwrap_or_else(|_| absolute(root));
        let (strategy, listen, windows) = (Strategy::default(), Some(listen::STANDARD), Vec::new());
        let (project, declared, log) = (folder_name(&root), Vec::new(), Logging::default());
        let (log_total, proxy) = (log::TOTAL, None);
        Config { project, root, declared, strategy, listen, proxy, windows, log, log_total }
    }

    fn parse_bytes(
        bytes: &[u8],
        root: &Path,
        file_name: &str,
        changes: &Changes,
    ) -> Result<Config, ConfigError> {
        let fault = match std::str::from_utf8(bytes) {
            Ok(text) => return Config::parse_with(text, root, file_name, changes),
            Err(fault) => fault,
        };
        let text = String::from_utf8_lossy(bytes);
        let mut problems = Problems::new(&text);
        let at = fault.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        problems
            .add(at..at + '\u{fffd}'.len_utf8(), "the file is not valid UTF-8", "save the file in UTF-8")
            .label(format!("the byte 0x{byte:02x} begins no character"));
        Err(ConfigError::faulty(file_name, &text, problems.finish()))
    }
}

fn absolute(root: &Path) -> PathBuf {
    std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf())
}

fn folder_name(root: &Path) -> String {
    root.file_name().map_or_else(|| "project".to_owned(), |name| name.to_string_lossy().into_owned())
}
