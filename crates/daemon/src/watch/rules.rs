//! Which files are watched: patterns as in a .gitignore, and what is left out whatever they say. Walks no further than
//! they can match.

use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{DirEntry, Walk, WalkBuilder};

/// Folders in which nobody edits.
const NO_SOURCES: &[&str] = &[
    ".soloist",
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "node_modules",
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
];
/// What programs write beside sources: logs, pid files, what editors keep until a file is saved.
const LEFT_OUT_ENDS: &[&str] = &[".log", ".pid", ".pyc", ".swp", ".swx", ".tmp", "~"];

/// What a declaration watches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rules {
    /// The project's folder, canonical.
    pub root: PathBuf,
    /// Patterns of what is watched
    pub watch: Vec<String>,
    /// and of what of it is not.
    pub ignore: Vec<String>,
}

/// Rules, ready to be asked.
#[derive(Debug)]
pub struct Selection {
    root: PathBuf,
    watched: Gitignore,
    ignored: Gitignore,
    starts: Vec<Start>,
}

/// Where a walk begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Start {
    /// A folder or file, which need not be there.
    pub path: PathBuf,
    /// A pattern names it although a .gitignore leaves it out: then none is heeded below.
    is_named: bool,
}

/// Why a text is no pattern.
pub fn pattern_fault(pattern: &str) -> Option<String> {
    GitignoreBuilder::new("/").add_line(None, &anchored(pattern)).err().map(|e| e.to_string())
}

/// A pattern without wildcards is a path; a .gitignore would find `app` in any folder.
fn anchored(pattern: &str) -> String {
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    if is_wild(pattern) { pattern.to_owned() } else { format!("/{}", pattern.trim_start_matches('/')) }
}

fn is_wild(text: &str) -> bool {
    text.contains(['*', '?', '[', '{', '\\'])
}

fn compile<'a>(patterns: impl IntoIterator<Item = &'a String>) -> Gitignore {
    let mut builder = GitignoreBuilder::new("/");
    for pattern in patterns {
        // Such as cannot be read were refused when the declaration was read.
        let _ = builder.add_line(None, &anchored(pattern));
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

fn has(patterns: &Gitignore, path: &Path) -> bool {
    patterns.matched_path_or_any_parents(path, false).is_ignore()
}

/// The path before the first wildcard; a pattern without a slash is found in any folder.
fn fixed_part(pattern: &str) -> PathBuf {
    let anchored = anchored(pattern);
    if !anchored.trim_end_matches('/').contains('/') {
        return PathBuf::new();
    }
    anchored.split('/').filter(|part| !part.is_empty()).take_while(|part| !is_wild(part)).collect()
}

/// Whether a folder or file of this name is never watched.
pub fn is_left_out(name: &[u8]) -> bool {
    NO_SOURCES.iter().any(|one| one.as_bytes() == name)
        || LEFT_OUT_ENDS.iter().any(|end| name.ends_with(end.as_bytes()))
        // vim tries whether it may write with a file of this name.
        || name == b"4913"
        || name.starts_with(b".#")
}

impl Selection {
    /// Looks on disk only which paths a .gitignore leaves out.
    pub fn new(rules: &Rules) -> Selection {
        let (watched, ignored) = (compile(&rules.watch), compile(&rules.ignore));
        let mut selection = Selection { root: rules.root.clone(), watched, ignored, starts: Vec::new() };
        let mut starts: Vec<Start> = rules
            .watch
            .iter()
            .map(|pattern| {
                let path = rules.root.join(fixed_part(pattern));
                let is_named = path != rules.root && path.exists() && !selection.is_reached(&path);
                Start { path, is_named }
            })
            .collect();
        starts.sort();
        let all = starts.clone();
        // What lies in another one is walked with that one, unless a .gitignore would keep it out there.
        starts.retain(|one| {
            !all.iter().any(|other| {
                one != other && one.path.starts_with(&other.path) && (other.is_named || !one.is_named)
            })
        });
        starts.dedup();
        selection.starts = starts;
        selection
    }

    /// Where walks begin.
    pub fn starts(&self) -> &[Start] {
        &self.starts
    }

    /// Whether a file is watched, as far as its path says; a .gitignore is asked by the walk.
    pub fn has(&self, file: &Path) -> bool {
        let Ok(path) = file.strip_prefix(&self.root) else { return false };
        !path.iter().any(|part| is_left_out(part.as_encoded_bytes()))
            && has(&self.watched, path)
            && !has(&self.ignored, path)
    }

    /// All folders and files from there on, but for what is left out.
    pub fn walk(&self, start: &Start) -> Walk {
        walk(&start.path, !start.is_named, None)
    }

    /// All files that are watched.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let entries = self.starts.iter().flat_map(|start| self.walk(start)).flatten();
        let is_file = |entry: &DirEntry| entry.file_type().is_some_and(|sort| !sort.is_dir());
        entries.filter(move |entry| is_file(entry) && self.has(entry.path())).map(DirEntry::into_path)
    }

    /// So many folders it takes to watch them all.
    pub fn folders(&self) -> usize {
        let entries = self.starts.iter().flat_map(|start| self.walk(start)).flatten();
        entries.filter(|entry| entry.file_type().is_some_and(|sort| sort.is_dir())).count()
    }

    /// Whether a walk from the project's folder comes there.
    fn is_reached(&self, path: &Path) -> bool {
        walk(&self.root, true, Some(path.to_owned())).flatten().any(|entry| entry.path() == path)
    }
}

/// With `only`, no further than to that path.
pub(super) fn walk(from: &Path, heeds_gitignore: bool, only: Option<PathBuf>) -> Walk {
    let mut walk = WalkBuilder::new(from);
    walk.hidden(false).ignore(false).require_git(false).parents(heeds_gitignore);
    walk.git_ignore(heeds_gitignore).git_global(heeds_gitignore).git_exclude(heeds_gitignore);
    walk.filter_entry(move |entry| {
        let is_meant = only.as_ref().is_none_or(|only| only.starts_with(entry.path()));
        is_meant && (entry.depth() == 0 || !is_left_out(entry.file_name().as_encoded_bytes()))
    });
    walk.build()
}

/// The patterns that match none of these files.
pub fn that_match_none<P: AsRef<Path>>(rules: &Rules, files: impl IntoIterator<Item = P>) -> Vec<String> {
    let mut left: Vec<(&String, Gitignore)> = rules.watch.iter().map(|one| (one, compile([one]))).collect();
    for file in files {
        let path = file.as_ref().strip_prefix(&rules.root).unwrap_or(file.as_ref());
        left.retain(|(_, one)| !has(one, path));
        if left.is_empty() {
            break;
        }
    }
    left.into_iter().map(|(pattern, _)| pattern.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A project with these files, and what its rules watch of them.
    fn watched(files: &[&str], gitignore: &str, watch: &[&str], ignore: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(root.join(".gitignore"), gitignore).unwrap();
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let rules = Rules { root: root.clone(), watch: owned(watch), ignore: owned(ignore) };
        let selection = Selection::new(&rules);
        let name = |file: PathBuf| file.strip_prefix(&root).unwrap().display().to_string();
        let mut found: Vec<String> = selection.files().map(name).collect();
        found.sort();
        found
    }

    #[test]
    fn patterns_are_those_of_a_gitignore_and_plain_paths_are_paths() {
        let files = &["app/a.py", "app/deep/b.py", "app/c.html", "lib/app/d.py", "e.py"];
        assert_eq!(watched(files, "", &["app/**/*.py"], &[]), ["app/a.py", "app/deep/b.py"]);
        assert_eq!(watched(files, "", &["app"], &["app/deep", "*.html"]), ["app/a.py"]);
        assert_eq!(watched(files, "", &["*.py"], &["lib/"]), ["app/a.py", "app/deep/b.py", "e.py"]);
        assert_eq!(
            watched(files, "", &["e.py", "app/deep", "./lib/**"], &[]),
            ["app/deep/b.py", "e.py", "lib/app/d.py"]
        );
    }

    #[test]
    fn what_a_gitignore_leaves_out_is_watched_only_if_it_is_named() {
        let files = &["app/a.py", "app/gen/b.py", "build/c.py", "build/deep/d.py"];
        assert_eq!(watched(files, "build/\ngen\n", &["*.py"], &[]), ["app/a.py"]);
        assert_eq!(
            watched(files, "build/\n*.py\n", &["build/**/*.py"], &[]),
            ["build/c.py", "build/deep/d.py"]
        );
        assert_eq!(watched(files, "gen\n", &["app", "app/gen/b.py"], &[]), ["app/a.py", "app/gen/b.py"]);
    }

    #[test]
    fn what_nobody_edits_is_never_watched() {
        let files = &[
            ".soloist/x.py",
            "node_modules/m/i.py",
            "a/__pycache__/m.py",
            "a/b.log",
            "a/.b.py.swp",
            "a/b.py",
        ];
        assert_eq!(watched(files, "", &["*", ".soloist/x.py"], &[]), [".gitignore", "a/b.py"]);
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::write(root.join("a.py"), "").unwrap();
        let watch = ["*.py", "src/**/*.py", "*.html"].map(str::to_owned).to_vec();
        let rules = Rules { root, watch, ignore: Vec::new() };
        let selection = Selection::new(&rules);
        assert_eq!(that_match_none(&rules, selection.files()), ["src/**/*.py", "*.html"]);
        assert_eq!(selection.folders(), 1);
        assert!(pattern_fault("a{b").is_some() && pattern_fault("app/**/*.{py,html}").is_none());
    }
}
