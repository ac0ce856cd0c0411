//! The files of the project as the rules see them: paths with `/`, relative to the root, and their text. Reads them once;
//! what is built, ignored or git's own is left out.

use std::fs;
use std::io;
use std::path::Path;

use crate::source::Source;

/// Folders that hold nothing anybody wrote.
const LEFT_OUT: [&str; 4] = [".git", ".soloist", "node_modules", "target"];

/// One file.
#[derive(Debug)]
pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Empty for what is no text (a workbook, a picture).
    pub text: String,
}

/// All of them, in the order of their paths.
#[derive(Debug, Default)]
pub struct Tree {
    /// The files.
    pub files: Vec<File>,
}

impl Tree {
    /// What is below a folder.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn read(root: &Path) -> io::Result<Tree> {
        let mut tree = Tree::default();
        tree.read_below(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn read_below(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() && !LEFT_OUT.contains(&name.as_str()) {
                self.read_below(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() {
                // Somebody's editor may have removed it meanwhile, and a socket or a workbook is no text.
                let text = fs::read(entry.path()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                self.files.push(File { path, text: text.unwrap_or_default() });
            }
        }
        Ok(())
    }

    /// A tree that was never on a disk: for the tests of the rules.
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        Tree { files: files.iter().map(file).collect() }
    }

    /// The Rust files below any of these (`""` is everywhere).
    pub fn rust(&self, below: &str) -> impl Iterator<Item = (&File, Source)> {
        let files = self.files.iter().filter(move |f| f.path.starts_with(below) && f.path.ends_with(".rs"));
        files.map(|file| (file, Source::read(&file.path, &file.text)))
    }

    /// Whether there is such a file or folder.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
    }
}
