//! What is read of a folder in which nothing was declared yet: sources, scripts and pages, bounded in number, depth and
//! size, and the signs that are looked for in them. Nothing is executed and no link is followed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use regex_lite::{Captures, Regex};

/// Deeper folders hold no program of the project.
const DEPTH: usize = 6;
/// More files are not read: `init` answers at once, also in a home folder.
const FILES_MOST: usize = 4000;
/// Nor are more entries looked at, and more bytes kept.
const ENTRIES_MOST: usize = 40_000;
const BYTES_MOST: u64 = 32 << 20;
/// A longer file was not written by hand,
const LENGTH_MOST: u64 = 256 << 10;
/// nor was a longer line.
const LINE_MOST: usize = 2000;
/// What somebody else wrote, or a tool.
const FOREIGN: [&str; 13] = [
    "node_modules",
    "venv",
    "env",
    "__pycache__",
    "site-packages",
    "target",
    "dist",
    "build",
    "vendor",
    "tests",
    "test",
    "migrations",
    "coverage",
];
/// What can tell of a program.
const TELLING: [&str; 15] =
    ["py", "rs", "js", "mjs", "cjs", "ts", "tsx", "jsx", "json", "toml", "md", "sh", "bat", "cmd", "pid"];
/// The same, without such an ending.
const NAMED: [&str; 7] = [
    "Procfile",
    "Makefile",
    "requirements.txt",
    "docker-compose.yml",
    "docker-compose.yaml",
    "compose.yml",
    "compose.yaml",
];

/// A file of the folder.
#[derive(Debug)]
pub struct File {
    /// Below the root.
    pub path: PathBuf,
    /// What it says; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// The files of a folder that can tell of a program, in the order of their paths: a folder's own before those below it.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    /// All of them.
    pub files: Vec<File>,
}

/// How much more is read.
struct Left {
    entries: usize,
    bytes: u64,
}

impl Tree {
    /// Reads the folder; what cannot be read is passed over.
    pub fn read(root: &Path) -> Tree {
        let mut tree = Tree { root: root.to_owned(), files: Vec::new() };
        tree.enter(Path::new(""), 0, &mut Left { entries: ENTRIES_MOST, bytes: BYTES_MOST });
        tree
    }

    fn enter(&mut self, folder: &Path, depth: usize, left: &mut Left) {
        let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten().take(left.entries);
        let mut entries: Vec<_> =
            entries.filter_map(|e| Some((e.file_name(), e.file_type().ok()?))).collect();
        left.entries -= entries.len();
        entries.sort_by(|a, b| (a.1.is_dir(), &a.0).cmp(&(b.1.is_dir(), &b.0)));
        for (name, kind) in entries {
            let path = folder.join(&name);
            let name = name.to_string_lossy();
            if kind.is_dir() {
                if depth < DEPTH && !name.starts_with('.') && !FOREIGN.contains(&&*name) {
                    self.enter(&path, depth + 1, left);
                }
            } else if kind.is_file() && self.files.len() < FILES_MOST && is_telling(&path, &name) {
                let full = self.root.join(&path);
                let length = fs::metadata(&full).map_or(u64::MAX, |found| found.len());
                if length <= LENGTH_MOST.min(left.bytes)
                    && let Ok(bytes) = fs::read(&full)
                {
                    left.bytes -= length;
                    self.files.push(File { path, text: String::from_utf8_lossy(&bytes).into_owned() });
                }
            }
        }
    }

    /// Whether there is such a file, read or not.
    pub fn has(&self, path: &Path) -> bool {
        self.root.join(path).is_file()
    }

    /// The files below a folder.
    pub fn below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.starts_with(folder))
    }

    /// The files of this name.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.name() == name)
    }
}

impl File {
    /// Its name.
    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Its name without the ending.
    pub fn stem(&self) -> &str {
        self.path.file_stem().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Its folder, below the root.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Whether its name ends so.
    pub fn is_one_of(&self, endings: &[&str]) -> bool {
        self.path
            .extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| endings.contains(&ending))
    }

    /// The lines that have a sign, each with its place: `app/main.py:12`.
    pub fn lines_with<'a>(&'a self, sign: &'a Sign) -> impl Iterator<Item = (String, Captures<'a>)> {
        let text = if sign.may_be_in(&self.text) { self.text.as_str() } else { "" };
        let lines = text.lines().enumerate();
        lines.filter_map(move |(at, line)| Some((self.at(at), sign.in_line(line)?)))
    }

    /// The first of them.
    pub fn first<'a>(&'a self, sign: &'a Sign) -> Option<(String, Captures<'a>)> {
        self.lines_with(sign).next()
    }

    /// The place of its line, counted from 0.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{}", self.path.display(), line + 1)
    }
}

/// A regular expression that is looked for in single lines, but only in those that have one of some words: a word is found a
/// hundred times faster.
#[derive(Debug)]
pub struct Sign {
    words: &'static [&'static str],
    pattern: &'static str,
    read: OnceLock<Option<Regex>>,
}

impl Sign {
    /// Read when it is first looked for.
    pub const fn new(words: &'static [&'static str], pattern: &'static str) -> Sign {
        Sign { words, pattern, read: OnceLock::new() }
    }

    fn may_be_in(&self, text: &str) -> bool {
        self.words.iter().any(|word| text.contains(word))
    }

    /// What of the line it stands for.
    pub fn in_line<'a>(&self, line: &'a str) -> Option<Captures<'a>> {
        let is_worth_it = line.len() <= LINE_MOST && self.may_be_in(line);
        let read = || self.read.get_or_init(|| Regex::new(self.pattern).ok()).as_ref();
        if is_worth_it { read()?.captures(line) } else { None }
    }
}

fn is_telling(path: &Path, name: &str) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let is_test = name.starts_with("test_") || name.contains("_test.") || name.contains(".test.");
    !is_test && (NAMED.contains(&name) || ending.is_some_and(|ending| TELLING.contains(&ending)))
}
