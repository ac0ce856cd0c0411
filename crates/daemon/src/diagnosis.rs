//! Why a run fell, told from its last words, its exit and its command. Pure: who is on a port is asked of the caller, and
//! only when the words say that a port was taken. Rules of one ecosystem are in `diagnosis/`.
//!
//! The lines are read from the last to the first; the first that says something decides. An error that no rule knows ends
//! the search: what was said before it was survived.

mod node;
mod port;
mod python;
mod system;
#[cfg(test)]
mod tests;

use soloist_core::event::{Diagnosis, Exit};

use crate::plain::plain;

/// A name in a diagnosis is cut to so many characters: the text it comes from may be anything.
const NAME_MAX: usize = 200;

/// So many of the last lines can tell the reason: a stack, and what a package runner says below it, are shorter. What
/// stands further above was survived for long enough.
const LINES_MAX: usize = 50;

/// All that is known of the end of a run.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// How it ended.
    pub exit: Exit,
    /// The end of what this run wrote.
    pub text: &'a str,
    /// What was run.
    pub command: &'a [String],
    /// The ports it was to listen on.
    pub ports: &'a [u16],
}

/// What a line tells.
enum Case {
    /// A port, if it is named, was taken.
    PortTaken(Option<u16>),
    Other(Diagnosis),
}

/// The lines of a run's end, and the rest that is known of it.
struct Seen<'a> {
    lines: Vec<String>,
    end: End<'a>,
}

/// What the end of a run tells about its reason, if it does. `who` names those who listen on a port, if somebody does.
pub fn diagnose(end: End<'_>, who: impl Fn(u16) -> Option<String>) -> Option<Diagnosis> {
    let seen = Seen { lines: end.text.lines().map(plain).collect(), end };
    match told(&seen).or_else(|| system::by_exit(&seen))? {
        Case::Other(diagnosis) => Some(diagnosis),
        Case::PortTaken(port) => Some(port::taken(port, end.ports, who)),
    }
}

fn told(seen: &Seen<'_>) -> Option<Case> {
    const RULES: [fn(&Seen<'_>, usize) -> Option<Case>; 4] =
        [port::rule, system::rule, python::rule, node::rule];
    for at in (0..seen.lines.len()).rev().take(LINES_MAX) {
        if let Some(case) = RULES.iter().find_map(|rule| rule(seen, at)) {
            return Some(case);
        }
        if is_unknown_error(&seen.lines[at]) {
            return None;
        }
    }
    None
}

/// `ValueError: …`, `TypeError [CODE]: …`, `package.errors.SomeException`: the last line of a traceback, or the first of a
/// stack, as Python and Node write them.
fn is_unknown_error(line: &str) -> bool {
    let name = line.split([':', ' ']).next().unwrap_or_default();
    name.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '_')
        && (name.ends_with("Error") || name.ends_with("Exception"))
}

fn case(words: impl Into<String>, is_final: bool) -> Option<Case> {
    Some(Case::Other(Diagnosis { words: words.into(), is_final }))
}

/// What stands between two marks, if it is not nothing.
fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    (!found.is_empty()).then_some(found)
}

fn clip(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
