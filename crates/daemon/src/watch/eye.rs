//! Watched files as they were last seen, and what has become of them since. What is in a file decides: one that was only
//! touched has not changed.

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use soloist_os::clock::wall_ms;
use soloist_os::watched::Watched;
use soloist_os::{FolderWatch, is_remote};

use super::rules::{Rules, Selection, is_left_out};

/// A larger file has changed when it was touched.
const READ_MOST: u64 = 4 << 20;
/// So much is read in the beginning to tell a touch from a change; of what is beyond, the first touch counts.
const FIRST_FILES: usize = 10_000;
const FIRST_BYTES: u64 = 64 << 20;

/// Files as they were last seen.
#[derive(Debug)]
pub struct Eye {
    selection: Selection,
    /// None: they are looked at again and again.
    pub folders: Option<Watched<FolderWatch>>,
    numbers: HashMap<i32, PathBuf>,
    files: HashMap<PathBuf, Seen>,
    round: u32,
    /// What may have changed since the last look.
    pub pending: HashSet<PathBuf>,
    /// Anything may have.
    pub is_unsure: bool,
    /// How long the last look at everything took.
    pub took: Duration,
    /// Why there are no `folders` any more.
    pub trouble: Option<io::Error>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    size: u64,
    modified_ns: i128,
    changed_ms: u64,
    content: Option<u64>,
    /// The look at everything that saw it last.
    round: u32,
}

impl Seen {
    fn of(found: &Metadata) -> Seen {
        let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
        let changed_ms = ns(found.ctime(), found.ctime_nsec()) / 1_000_000;
        Seen {
            size: found.len(),
            modified_ns: ns(found.mtime(), found.mtime_nsec()),
            changed_ms: u64::try_from(changed_ms).unwrap_or_default(),
            content: None,
            round: 0,
        }
    }
}

/// A file that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub file: PathBuf,
    /// When, in milliseconds since 1970 (the ctime of inode(7)); of one that is gone: when that was seen.
    pub at_ms: u64,
}

impl Eye {
    /// Looks at all files, through `folders` at those that change from now on.
    pub fn open(rules: &Rules, folders: Option<Watched<FolderWatch>>) -> Eye {
        let mut eye = Eye {
            selection: Selection::new(rules),
            folders,
            numbers: HashMap::new(),
            files: HashMap::new(),
            round: 0,
            pending: HashSet::new(),
            is_unsure: true,
            took: Duration::ZERO,
            trouble: None,
        };
        eye.look_at_all(None);
        let mut left = FIRST_BYTES;
        for (file, seen) in eye.files.iter_mut().take(FIRST_FILES) {
            left = left.saturating_sub(seen.size);
            if left > 0 {
                seen.content = content(file, seen.size);
            }
        }
        eye
    }

    /// All files there are.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Those that were changed later than that.
    pub fn changed_since(&self, ms: u64) -> Vec<Changed> {
        let later = self.files.iter().filter(|(_, seen)| seen.changed_ms > ms);
        later.map(|(file, seen)| Changed { file: file.clone(), at_ms: seen.changed_ms }).collect()
    }

    /// Takes note of what the folders tell; says whether any of it may matter.
    pub fn take(&mut self) -> bool {
        let Eye { folders: Some(folders), numbers, pending, is_unsure, .. } = self else { return false };
        let mut matters = false;
        folders.get().take(|entry| {
            let Some(entry) = entry else {
                (*is_unsure, matters) = (true, true);
                return;
            };
            let name = entry.name.filter(|name| !is_left_out(name));
            let Some((folder, name)) = numbers.get(&entry.watch).zip(name) else { return };
            if entry.is_folder {
                *is_unsure = true;
            } else {
                pending.insert(folder.join(std::ffi::OsStr::from_bytes(name)));
            }
            matters = true;
        });
        matters
    }

    /// What has changed since the last look.
    pub fn look(&mut self) -> Vec<Changed> {
        let mut changed = Vec::new();
        for file in std::mem::take(&mut self.pending) {
            match self.files.contains_key(&file) {
                true => changed.extend(self.compare(&file, false)),
                // Whether it counts, only the walk knows.
                false => self.is_unsure |= self.selection.has(&file) && file.is_file(),
            }
        }
        if self.is_unsure {
            self.look_at_all(Some(&mut changed));
        }
        changed
    }

    /// The first look finds no changes.
    fn look_at_all(&mut self, mut changed: Option<&mut Vec<Changed>>) {
        let began = Instant::now();
        self.round = self.round.wrapping_add(1);
        for start in self.selection.starts().to_vec() {
            // A folder that is not there may come; of a single file its folder tells.
            let nearest = start.path.ancestors().find(|path| path.is_dir()).unwrap_or(&start.path);
            self.follow(nearest);
            for entry in self.selection.walk(&start).flatten() {
                let file = entry.path();
                if entry.file_type().is_some_and(|sort| sort.is_dir()) {
                    self.follow(file);
                } else if self.selection.has(file) {
                    let found = self.compare(file, changed.is_none());
                    if let Some(changed) = &mut changed {
                        changed.extend(found);
                    }
                }
            }
        }
        let round = self.round;
        let gone = self.files.extract_if(|_, seen| seen.round != round);
        let gone = gone.map(|(file, _)| Changed { file, at_ms: wall_ms() });
        changed.unwrap_or(&mut Vec::new()).extend(gone);
        self.is_unsure = false;
        self.took = began.elapsed();
    }

    fn follow(&mut self, folder: &Path) {
        let Some(folders) = &self.folders else { return };
        let added = match is_remote(folder) {
            true => Err(io::Error::other("its file system is a network's")),
            false => folders.get().add(folder),
        };
        match added {
            Ok(number) => drop(self.numbers.insert(number, folder.to_owned())),
            // It is gone again, or not ours to look into.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
            // No more of them may be watched (inotify_add_watch(2)).
            Err(e) => (self.folders, self.trouble) = (None, Some(e)),
        }
    }

    /// Notes a file as it is now; says if it has changed.
    fn compare(&mut self, file: &Path, is_first: bool) -> Option<Changed> {
        let before = self.files.get(file).copied();
        let found = fs::metadata(file).ok().filter(Metadata::is_file);
        let Some(mut now) = found.as_ref().map(Seen::of) else {
            return self.files.remove(file).map(|_| Changed { file: file.to_owned(), at_ms: wall_ms() });
        };
        now.round = self.round;
        let is_touched = before.is_none_or(|b| (b.size, b.modified_ns) != (now.size, now.modified_ns));
        now.content = match before {
            Some(before) if !is_touched => before.content,
            // In the beginning all are new: then they are read later, if there are not too many.
            _ if is_first => None,
            _ => content(file, now.size),
        };
        match self.files.get_mut(file) {
            Some(seen) => *seen = now,
            None => drop(self.files.insert(file.to_owned(), now)),
        }
        let is_same = before.is_some_and(|b| {
            !is_touched || b.size == now.size && b.content.is_some() && b.content == now.content
        });
        (!is_same).then(|| Changed { file: file.to_owned(), at_ms: now.changed_ms })
    }
}

/// What stands for the content of a file.
fn content(file: &Path, size: u64) -> Option<u64> {
    let bytes = if size <= READ_MOST { fs::read(file).ok()? } else { return None };
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at everything, as without inotify(7).
    fn names(eye: &mut Eye) -> Vec<String> {
        eye.is_unsure = true;
        let changed = eye.look();
        let mut names: Vec<String> =
            changed.iter().map(|one| one.file.file_name().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_in_a_file_decides() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let write = |name: &str, text: &str| fs::write(root.join(name), text).unwrap();
        write("a.py", "one");
        write("b.py", "one");
        write("c.txt", "one");
        let rules = Rules { root: root.clone(), watch: vec!["*.py".to_owned()], ignore: Vec::new() };
        let mut eye = Eye::open(&rules, None);
        assert_eq!(names(&mut eye), [] as [&str; 0]);
        write("a.py", "one");
        write("c.txt", "two");
        assert_eq!(names(&mut eye), [] as [&str; 0], "touched, and not watched");
        write("a.py", "two");
        assert_eq!(names(&mut eye), ["a.py"]);
        assert_eq!(names(&mut eye), [] as [&str; 0]);
        fs::remove_file(root.join("b.py")).unwrap();
        fs::create_dir(root.join("deep")).unwrap();
        write("deep/d.py", "");
        assert_eq!(names(&mut eye), ["b.py", "d.py"]);
        fs::rename(root.join("a.py"), root.join("e.py")).unwrap();
        assert_eq!(names(&mut eye), ["a.py", "e.py"]);
        assert_eq!(eye.changed_since(0).len(), 2);
        assert_eq!(eye.changed_since(wall_ms() + 1000), []);
    }
}
