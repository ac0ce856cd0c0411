//! A first `soloist.toml` for a folder: what looks like a server or a worker is declared, each line with the place that it
//! was read from. It guesses and says so; it executes nothing, and what it writes loads.

mod declared;
mod node;
mod python;
mod text;
mod tree;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use soloist_api::error::{Code, Problem};
use soloist_os::layout::named;

use crate::config::{Config, FILE_NAME, is_name};
use tree::{File, Sign, Tree};

/// A `soloist.toml` that is not on disk yet.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The file.
    pub text: String,
    /// What it declares, a line each, for people.
    pub found: Vec<String>,
    /// What to see to before it is used, a line each.
    pub remarks: Vec<String>,
}

/// A value, and the place that it was read from.
type Placed<T> = (T, String);

/// A program that was found.
#[derive(Clone, Debug, Default)]
struct Found {
    name: String,
    /// What it is, and where that was read: `FastAPI in app/main.py:5`.
    what: String,
    command: Vec<String>,
    /// Where it runs, below the root.
    dir: PathBuf,
    port: Option<Placed<u16>>,
    /// It is another tool's container: what listens on its port is none of its tree.
    is_container: bool,
    /// It serves pages, which call the servers.
    is_page: bool,
    health: Option<Placed<String>>,
    env_file: Option<PathBuf>,
    needs: Vec<String>,
    /// Its interval in seconds and the place of its loop, if it is one.
    rhythm: Option<Placed<u32>>,
    /// The exchange whose hours it looks at itself.
    window: Option<Placed<&'static str>>,
    /// What starts it too: it is written down, but as a remark.
    started_by: Option<String>,
    notes: Vec<String>,
    /// What a command of it names: by this a declaration of its author is known to be the same.
    sign: String,
}

/// Looks at a folder, and says what to declare.
///
/// # Errors
/// If what was found cannot be declared together; nothing is written then either.
pub fn propose(root: &Path) -> Result<Proposal, Problem> {
    let tree = Tree::read(root);
    let mut found = python::apps(&tree);
    found.extend(python::workers(&tree, &found));
    found.extend(node::packages(&tree));
    declared::cargo(&tree, &mut found);
    declared::procfiles(&tree, &mut found);
    // Before anybody names another as a need.
    set_apart(&mut found);
    declared::compose(&tree, &mut found);
    // A line of nothing but a comment names no program, and a NUL can be said to none.
    found.retain(|one| {
        one.command.first().is_some_and(|program| !program.trim().is_empty())
            && !one.command.concat().contains('\0')
    });
    for one in &mut found {
        // Port 0 is whichever the kernel gives; and a path alone is asked for nowhere.
        one.port.take_if(|(port, _)| *port == 0);
        one.health.take_if(|_| one.port.is_none());
    }
    set_apart(&mut found);
    node::connect(&tree, &mut found);
    let replaced = replaced(&tree);
    // An env file that soloist does not understand is the program's own matter, and so are needs that go in a circle.
    let checked = |found: &[Found]| {
        let text = text::render(found, &replaced);
        Config::parse(&text, root, FILE_NAME).err().map_or(Ok(text), Err)
    };
    let leave_out: [fn(&mut Found); 2] = [|one| one.env_file = None, |one| one.needs.clear()];
    let mut text = checked(&found);
    for leave_out in leave_out {
        if text.is_err() {
            found.iter_mut().for_each(leave_out);
            text = checked(&found);
        }
    }
    let text = text.map_err(|refusal| {
        let hint = "write soloist.toml by hand: docs/soloist.toml.md";
        Problem::new(Code::Error, format!("what was found cannot be declared together:\n{refusal}"))
            .hint(hint)
    })?;
    let (off, on): (Vec<&Found>, Vec<&Found>) = found.iter().partition(|one| one.started_by.is_some());
    let (found, remarks) = (on.into_iter().map(text::told), off.into_iter().filter_map(text::remark));
    Ok(Proposal { text, found: found.collect(), remarks: remarks.collect() })
}

/// Writes the file where none is.
///
/// # Errors
/// If there is one already, or it cannot be written.
pub fn write(root: &Path, text: &str) -> Result<PathBuf, Problem> {
    let path = root.join(FILE_NAME);
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    match made.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => Ok(path),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            let hint = "`soloist init --stdout` shows what would be written";
            Err(Problem::new(Code::Error, format!("{} is there already and stays as it is", path.display()))
                .hint(hint))
        }
        Err(e) => Err(named(e, "cannot write", &path).into()),
    }
}

/// Names become names of services, each once; a port is given to the first that wants it.
fn set_apart(found: &mut [Found]) {
    let (mut names, mut ports) = (BTreeSet::new(), BTreeSet::new());
    for one in found {
        let plain: String = one
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
            .collect();
        let plain = plain.trim_start_matches(['.', '-']).chars().take(60).collect::<String>();
        let base = if is_name(&plain).is_ok() { plain } else { "service".to_owned() };
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let free = [base.clone()].into_iter().chain(numbered).find(|name| !names.contains(name));
        one.name = free.unwrap_or(base);
        names.insert(one.name.clone());
        let Some((port, place)) = &mut one.port else { continue };
        let old = port.to_string();
        let is_told = |word: &&mut String| **word == old || word.ends_with(&format!(":{old}"));
        let told = one.command.iter_mut().find(is_told);
        if ports.insert(*port) {
            continue;
        }
        // A guess can be another one, where the command says it; what the author wrote stays for the author to change.
        let next = (*port..).find(|port| !ports.contains(port));
        match (told, next) {
            (Some(word), Some(next)) if place.starts_with("a guess") => {
                *word = word.replace(&old, &next.to_string());
                *port = next;
                ports.insert(next);
            }
            _ => {
                one.notes.push(format!(
                    "port {port} of {place} is taken above: give it one of its own, `port = …`"
                ));
                one.port = None;
            }
        }
    }
}

/// Scripts and PID files whose work soloist does.
fn replaced(tree: &Tree) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for file in &tree.files {
        let is_script = file.is_one_of(&["py", "sh", "bat", "cmd"]) && is_launcher(file);
        if is_script || file.is_one_of(&["pid"]) {
            all.push(file.path.display().to_string());
        }
    }
    all
}

/// Whether a script is there to start, stop or clean up others: what soloist is for.
fn is_launcher(file: &File) -> bool {
    LAUNCHER.in_line(file.stem()).is_some()
}

static LAUNCHER: Sign = Sign::new(&[""], r"^(?i:start|stop|restart|kill|cleanup|clean_up)(?:$|[-_.])");
