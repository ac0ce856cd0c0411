//! Reads how a program is started: command, folder, environment, pid file.
//! The only file here that looks at the disk, and only to see whether a folder is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use toml::de::DeValue;

use super::command::{self, Fault, Sign};
use super::diagnostic::{Problems, Span, quoted};
use super::instances::Site;
use super::tree::{Value, integer};

pub(super) fn argv(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<Vec<String>> {
    let words = words(value, problems)?;
    Some(words.iter().map(|word| site.fill(word)).collect())
}

fn words(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Vec<String>> {
    let words = match value.tree {
        DeValue::String(_) => return split(value, value.word(problems)?, problems),
        DeValue::Array(list) => value.entries(list),
        _ => {
            value.wrong_type("a string or a list of strings", problems);
            return None;
        }
    };
    let words: Vec<_> =
        words.iter().filter_map(|word| Some((word.word(problems)?, word.span.clone()))).collect();
    match words.first() {
        // Entries that are no words were reported one by one; only a list without any is an empty command.
        None if value.tree.as_array().is_some_and(|list| list.is_empty()) => {
            report_empty(value, value.span.clone(), problems)
        }
        Some((program, span)) if program.trim().is_empty() => report_empty(value, span.clone(), problems),
        _ => {}
    }
    Some(words.into_iter().map(|(word, _)| word.to_owned()).collect())
}

fn report_empty(value: &Value<'_>, span: Span, problems: &mut Problems<'_>) {
    problems.add(span, "the command is empty", format!("name the program: `{}`", value.example));
}

fn split(value: &Value<'_>, text: &str, problems: &mut Problems<'_>) -> Option<Vec<String>> {
    let fault = match command::split(text) {
        Ok(words) if words.first().is_some_and(|program| !program.trim().is_empty()) => return Some(words),
        Ok(_) | Err(Fault::Empty) => {
            report_empty(value, value.span.clone(), problems);
            return None;
        }
        Err(fault) => fault,
    };
    match fault {
        Fault::Empty => {}
        Fault::OpenQuote(at) => {
            let help = "close it, put a `\\` before it, or write the command as a list";
            problems
                .add(value.place(text, &(at..at + 1), problems), "a quote in the command is not closed", help)
                .label("opens here");
        }
        Fault::Shell(at, Sign::Assignment) => {
            let assigned = text.get(at.clone()).unwrap_or_default();
            let (name, _) = assigned.split_once('=').unwrap_or((assigned, ""));
            let message = format!("{} sets a variable, which only a shell does", quoted(assigned));
            let help = format!("no shell is run; write `env = {{ {name} = \"…\" }}`");
            problems
                .add(value.place(text, &at, problems), message, help)
                .label("stands where the program is expected");
        }
        Fault::Shell(at, sign) => {
            let found = quoted(text.get(at.clone()).unwrap_or_default());
            let message = match sign {
                Sign::Operator => format!("{found} in a command joins or redirects only in a shell"),
                Sign::Expansion | Sign::Assignment => {
                    format!("{found} in a command is replaced only by a shell")
                }
                Sign::Home => format!("{found} in a command means the home folder only in a shell"),
            };
            let key = value.example.split(' ').next().unwrap_or_default();
            let is_short = text.len() <= 80 && !text.contains(char::is_control);
            let script = if is_short { format!("{text:?}") } else { "\"…\"".to_owned() };
            let help = format!(
                "no shell is run; to have one, write `{key} = [\"sh\", \"-c\", {script}]`; \
                 to pass the sign on as it is, put it in single quotes"
            );
            problems.add(value.place(text, &at, problems), message, help).label("no shell is run");
        }
    }
    None
}

/// The folder to run in; it must be there.
pub(super) fn dir(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let dir = site.fill(value.word(problems)?);
    if dir.is_empty() {
        problems.add(value.span.clone(), "`dir` is empty", "write `dir = \".\"` for the project's folder");
        return None;
    }
    let path = tidy(&site.root.join(&dir));
    let shown = path.display();
    let (message, help) = match fs::metadata(&path) {
        Ok(found) if found.is_dir() => return Some(path),
        Ok(_) => (
            format!("{} is not a folder", quoted(&dir)),
            format!("{shown} is a file; name the folder it is in"),
        ),
        Err(reason) if reason.kind() == std::io::ErrorKind::NotFound => (
            format!("the folder {} does not exist", quoted(&dir)),
            format!("create {shown}, or correct the path; it is taken from the project's folder"),
        ),
        Err(reason) => {
            (format!("the folder {} cannot be opened: {reason}", quoted(&dir)), format!("check {shown}"))
        }
    };
    problems.add(value.span.clone(), message, help);
    None
}

/// The file that takes the pid; it need not be there.
pub(super) fn pid_file(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let file = site.fill(value.word(problems)?);
    let path = tidy(&site.root.join(&file));
    if file.is_empty() || file.ends_with('/') || path.is_dir() {
        let message = match file.as_str() {
            "" => "`pid-file` is empty".to_owned(),
            _ => format!("{} is a folder, but the pid goes into a file", quoted(&file)),
        };
        problems.add(value.span.clone(), message, "name the file: `pid-file = \"api.pid\"`");
        return None;
    }
    Some(path)
}

pub(super) fn env(
    value: &Value<'_>,
    site: Site<'_>,
    problems: &mut Problems<'_>,
) -> Option<BTreeMap<String, String>> {
    let mut env = BTreeMap::new();
    for field in value.table(problems)? {
        let name = field.key;
        let fault = match name {
            "" => Some("is empty"),
            _ if name.contains('=') => Some("contains `=`"),
            _ if name.contains('\0') => Some("contains a NUL character"),
            _ => None,
        };
        if let Some(fault) = fault {
            let message = format!("{} is not a name of a variable: it {fault}", quoted(name));
            problems.add(field.key_span, message, "write it like `env = { NAME = \"value\" }`");
            continue;
        }
        if let Some(text) = variable(&field.value.example("env = { NAME = \"value\" }"), problems) {
            env.insert(name.to_owned(), site.fill(&text));
        }
    }
    Some(env)
}

fn variable(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<String> {
    match value.tree {
        DeValue::String(_) => value.word(problems).map(str::to_owned),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Float(digits) => Some(digits.as_str().to_owned()),
        DeValue::Integer(digits) => {
            let number = integer(digits);
            if number.is_none() {
                let message = format!("{} is too large for a whole number", value.called);
                problems.add(value.span.clone(), message, "put it in quotes");
            }
            number.map(|number| number.to_string())
        }
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            value.wrong_type("a string, a number or a boolean", problems);
            None
        }
    }
}

/// Without the `.` parts. `..` stays: behind a symbolic link it is not the folder before.
pub(super) fn tidy(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tidy_path_keeps_its_parents() {
        assert_eq!(tidy(Path::new("/a/./b/../c/.")), Path::new("/a/b/../c"));
        assert_eq!(tidy(Path::new("/.")), Path::new("/"));
    }
}
