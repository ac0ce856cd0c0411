//! A checked `soloist.toml`: which programs a project declares, and what each of them asks for.
//! Owns the file's format and its errors. It starts nothing and decides nothing: what a declaration means for
//! a decision is said by `soloist_core::plan`, and how a program is spawned is the spawner's matter.

mod check;
mod command;
mod diagnostic;
mod duration;
mod error;
mod program;
mod read;
mod settings;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use soloist_core::plan::Plan;
use toml::de::DeTable;

use diagnostic::Problems;

pub use diagnostic::Problem;
pub use error::ConfigError;
pub use read::is_name;

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
}

/// One declared service or job.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// Unique among services and jobs of the project; fit for a file name.
    pub name: String,
    /// What matters for decisions.
    pub plan: Plan,
    /// What matters for starting and stopping it.
    pub program: Program,
}

/// How a declared program is started, signalled and claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments as declared; never empty. See [`Program::executable`].
    pub argv: Vec<String>,
    /// The folder it runs in, absolute.
    pub dir: PathBuf,
    /// Variables added to its environment.
    pub env: BTreeMap<String, String>,
    /// The number of the polite signal on this system.
    pub stop_signal: i32,
    /// Where it may run only once.
    pub scope: Scope,
    /// A file that takes its pid, absolute.
    pub pid_file: Option<PathBuf>,
}

/// Where a program may run only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Once in the project's folder.
    #[default]
    Project,
    /// Once on the machine, whatever the folder.
    Machine,
}

impl Program {
    /// What to execute: a relative path with a slash counts from `dir`, a bare name is left to `PATH`.
    pub fn executable(&self) -> PathBuf {
        match self.argv.first() {
            Some(first) if first.contains('/') => program::tidy(&self.dir.join(first)),
            Some(first) => PathBuf::from(first),
            None => PathBuf::new(),
        }
    }
}

impl Config {
    /// Reads and checks the `soloist.toml` in `root`; all problems are reported together.
    pub fn load(root: &Path) -> Result<Config, ConfigError> {
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
        Config::parse_bytes(&bytes, &root, &shown)
    }

    /// Checks the text of a `soloist.toml`; `file_name` is what errors call it.
    ///
    /// The folders named in it must exist. A relative `root` counts from the current folder.
    pub fn parse(text: &str, root: &Path, file_name: &str) -> Result<Config, ConfigError> {
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
        let document = read::document(tree.get_ref(), &root, &mut problems);
        check::across(&document.drafts, &mut problems);
        let problems = problems.finish();
        if !problems.is_empty() {
            return Err(ConfigError::faulty(file_name, text, problems));
        }
        let project = document.project.unwrap_or_else(|| folder_name(&root));
        let declared = document.drafts.into_iter().map(read::Draft::into_declared).collect();
        Ok(Config { project, root, declared })
    }

    /// A project that declares nothing, for verbs that need no `soloist.toml`.
    pub fn empty(root: &Path) -> Config {
        let root = root.canonicalize().unwrap_or_else(|_| absolute(root));
        Config { project: folder_name(&root), root, declared: Vec::new() }
    }

    fn parse_bytes(bytes: &[u8], root: &Path, file_name: &str) -> Result<Config, ConfigError> {
        let fault = match std::str::from_utf8(bytes) {
            Ok(text) => return Config::parse(text, root, file_name),
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
