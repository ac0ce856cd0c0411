//! Old code: whether the files that a program was started from have changed since. Looked at only when somebody asks, for a
//! bounded time and not by the driver; what was seen is good for a moment.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use soloist_api::status::OldCode;
use soloist_core::plan::Kind;

use super::nested::unwrapped;
use super::rules::walk;
use crate::config::{Declared, Program};
use crate::convert::moment;

/// What was seen is good for so long.
const FRESH: Duration = Duration::from_secs(2);
/// A look at one folder ends after so many entries, or this long,
const ENTRIES_MOST: usize = 2000;
const LOOK_MOST: Duration = Duration::from_millis(20);
/// and all looks together after this.
const LOOKS_MOST: Duration = Duration::from_millis(60);

const LANGUAGES: &[(&[&str], &[&str])] = &[
    (
        &["python", "uvicorn", "gunicorn", "hypercorn", "granian", "daphne", "flask", "fastapi", "celery"],
        &["py"],
    ),
    (
        &[
            "node", "npm", "npx", "yarn", "pnpm", "bun", "bunx", "deno", "tsx", "ts-node", "next", "nuxt",
            "nest",
        ],
        &["js", "mjs", "cjs", "ts", "mts", "tsx", "jsx"],
    ),
    (&["ruby", "rails", "puma", "bundle", "rackup", "sidekiq"], &["rb"]),
];

/// The files that a program is started from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Those in a folder whose names end like this.
    Folder(PathBuf, &'static [&'static str]),
    /// The program itself.
    File(PathBuf),
}

impl Source {
    /// Of a service that does not load changed files by itself, and that is not watched.
    pub fn of(declared: &Declared) -> Option<Source> {
        let Declared { plan, program, .. } = declared;
        let is_meant = plan.kind == Kind::Service && program.watch.is_empty();
        if !is_meant || super::nested(declared).is_some() {
            return None;
        }
        let words: Vec<&str> = program.argv.iter().map(String::as_str).collect();
        let command = unwrapped(&words);
        let name = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
        // The words up to the program, and a script's ending.
        let mut starters = words.iter().take(words.len() - command.len() + 1).map(|word| name(word));
        let language = starters.find_map(|word| {
            let ending = word.rsplit_once('.').map(|(_, ending)| ending.to_owned());
            LANGUAGES.iter().find(|(programs, endings)| {
                programs.iter().any(|one| word == *one || *one == "python" && word.starts_with(one))
                    || ending.as_deref().is_some_and(|ending| endings.contains(&ending))
            })
        });
        match language {
            Some((_, endings)) => Some(Source::Folder(program.dir.clone(), endings)),
            None => executable(program).map(Source::File),
        }
    }

    /// Its file that was changed last, and when: its ctime (inode(7)), as a copy may bear an old mtime.
    fn newest(&self) -> Option<(u64, PathBuf)> {
        match self {
            Source::File(path) => changed_ms(path).map(|at| (at, path.clone())),
            Source::Folder(folder, endings) => {
                let end = Instant::now() + LOOK_MOST;
                let entries = walk(folder, true, None).flatten().take(ENTRIES_MOST);
                let entries = entries.take_while(|_| Instant::now() < end);
                let is_source = |path: &Path| {
                    path.extension().and_then(|ending| ending.to_str()).is_some_and(|e| endings.contains(&e))
                };
                let files = entries.map(ignore::DirEntry::into_path).filter(|path| is_source(path));
                files.filter_map(|path| Some((changed_ms(&path)?, path))).max()
            }
        }
    }
}

fn changed_ms(path: &Path) -> Option<u64> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    u64::try_from(found.ctime() * 1000 + found.ctime_nsec() / 1_000_000).ok()
}

fn executable(program: &Program) -> Option<PathBuf> {
    let found = program.executable();
    if found.is_absolute() {
        return Some(found);
    }
    let own = program.env.get("PATH").map(Into::into);
    let path = own.or_else(|| std::env::var_os("PATH"))?;
    std::env::split_paths(&path).map(|folder| folder.join(&found)).find(|path| path.is_file())
}

/// What was seen of sources. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Ages(Arc<Mutex<BTreeMap<Source, Age>>>);

#[derive(Clone, Debug, Default)]
struct Age {
    looked: Option<Instant>,
    newest: Option<(u64, PathBuf)>,
}

impl Ages {
    /// These are to be looked at from now on.
    pub fn follow(&self, sources: impl Iterator<Item = Source>) {
        if let Ok(mut ages) = self.0.lock() {
            let mut before = std::mem::take(&mut *ages);
            ages.extend(sources.map(|source| {
                let age = before.remove(&source).unwrap_or_default();
                (source, age)
            }));
        }
    }

    /// Looks at what was not looked at for a while, the oldest look first. Takes time.
    pub fn look(&self) {
        let Ok(ages) = self.0.lock() else { return };
        let is_due = |age: &Age| age.looked.is_none_or(|at| at.elapsed() >= FRESH);
        let mut due: Vec<_> =
            ages.iter().filter(|(_, age)| is_due(age)).map(|(s, a)| (a.looked, s.clone())).collect();
        drop(ages);
        due.sort();
        let end = Instant::now() + LOOKS_MOST;
        for (_, source) in due {
            let newest = source.newest();
            if let Ok(mut ages) = self.0.lock()
                && let Some(age) = ages.get_mut(&source)
            {
                *age = Age { looked: Some(Instant::now()), newest };
            }
            if Instant::now() >= end {
                return;
            }
        }
    }

    /// What was changed of a source, if that was after this moment, in milliseconds since 1970. Reads no disk.
    pub fn changed_after(&self, source: &Source, root: &Path, since_ms: u64) -> Option<OldCode> {
        let ages = self.0.lock().ok()?;
        let (at, path) = ages.get(source)?.newest.as_ref().filter(|(at, _)| *at > since_ms)?;
        let path = path.strip_prefix(root).unwrap_or(path).display().to_string();
        Some(OldCode { path, changed: moment(*at)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(command: &str) -> Option<Source> {
        let argv = shell_words::split(command).unwrap();
        let program = Program { argv, dir: PathBuf::from("/p"), ..Program::default() };
        let declared = Declared {
            name: "api".into(),
            service: "api".into(),
            key: None,
            lane_of: None,
            rota: None,
            plan: soloist_core::plan::Plan::default(),
            program,
        };
        Source::of(&declared)
    }

    #[test]
    fn the_sources_follow_from_the_command() {
        let endings = |command| match source(command) {
            Some(Source::Folder(_, endings)) => endings[0],
            _ => "",
        };
        assert_eq!(endings("uvicorn app:app"), "py");
        assert_eq!(endings(".venv/bin/python3.12 -m app.worker"), "py");
        assert_eq!(endings("poetry run gunicorn app:app"), "py");
        assert_eq!(endings("npm start"), "js");
        assert_eq!(endings("yarn start"), "js");
        assert_eq!(endings("./serve.mjs --port 1"), "js");
        assert_eq!(source("./target/api serve"), Some(Source::File("/p/target/api".into())));
        assert_eq!(source("uvicorn app:app --reload"), None);
        assert_eq!(source("no-such-program-anywhere"), None);
    }

    #[test]
    fn a_source_is_old_when_a_file_of_it_is_newer() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("app.py"), "").unwrap();
        fs::create_dir(root.join("node_modules")).unwrap();
        fs::write(root.join("node_modules/x.py"), "").unwrap();
        fs::write(root.join("notes.txt"), "").unwrap();
        let source = Source::Folder(root.to_owned(), &["py"]);
        let ages = Ages::default();
        ages.follow([source.clone()].into_iter());
        assert_eq!(ages.changed_after(&source, root, 0), None, "nobody has looked");
        ages.look();
        let changed = changed_ms(&root.join("app.py")).unwrap();
        let found = ages.changed_after(&source, root, changed - 1).unwrap();
        assert_eq!((found.path.as_str(), found.changed), ("app.py", moment(changed).unwrap()));
        assert_eq!(ages.changed_after(&source, root, changed), None);
    }
}
