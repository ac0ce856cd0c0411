//! Reads the variables of `env-file`: lines of `NAME=value`, with comments and quotes as `dotenvy` reads them.
//! A mistake in such a file is told with its place there, at the place where `soloist.toml` names it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use toml::de::DeValue;

use super::diagnostic::{Problems, quoted};
use super::file;
use super::instances::Site;
use super::program::tidy;
use super::tree::Value;

/// A later file wins over an earlier one.
pub(super) fn variables(
    value: &Value<'_>,
    site: Site<'_>,
    problems: &mut Problems<'_>,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let names = match value.tree {
        DeValue::String(_) => value.word(problems).map(|name| vec![(name, value.span.clone())]),
        DeValue::Array(list) => {
            let entries = value.entries(list);
            Some(
                entries
                    .iter()
                    .filter_map(|entry| Some((entry.word(problems)?, entry.span.clone())))
                    .collect(),
            )
        }
        _ => {
            value.wrong_type("a string or a list of strings", problems);
            None
        }
    };
    for (name, span) in names.unwrap_or_default() {
        let name = site.fill(name);
        let path = tidy(&site.root.join(&name));
        match read(&path) {
            Ok(found) => variables.extend(found),
            Err(Fault::File(reason)) => {
                let message = format!("the env file {} cannot be read: {reason}", quoted(&name));
                let help = format!(
                    "create {}, or correct the path; it is taken from the project's folder",
                    path.display()
                );
                problems.add(span, message, help);
            }
            Err(Fault::Line(line, reason)) => {
                let message = format!("{}:{line}: {reason}", path.display());
                problems.add(span, message, "write each variable like `NAME=value` or `NAME=\"a value\"`");
            }
        }
    }
    variables
}

enum Fault {
    File(String),
    /// Which, from 1, and why.
    Line(usize, String),
}

fn read(path: &Path) -> Result<Vec<(String, String)>, Fault> {
    let bytes = file::bytes(path).map_err(Fault::File)?;
    let text = String::from_utf8(bytes).map_err(|fault| {
        let before = fault.as_bytes().get(..fault.utf8_error().valid_up_to()).unwrap_or_default();
        Fault::Line(line_of(before), "the line is not valid UTF-8".to_owned())
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let given = Cell::new(0);
    let mut variables = Vec::new();
    for entry in dotenvy::from_read_iter(Lines { rest: text.as_bytes(), given: &given }) {
        let here = || line_of(text.as_bytes().get(..given.get().saturating_sub(1)).unwrap_or_default());
        let (name, value) = entry.map_err(|fault| match fault {
            // A quote that is never closed takes the rest of the file; it opens where that begins.
            dotenvy::Error::LineParse(rest, _) if given.get() == text.len() && text.ends_with(&rest) => {
                let before = text.as_bytes().get(..text.len() - rest.len()).unwrap_or_default();
                Fault::Line(
                    line_of(before),
                    "the line sets no variable, or opens a quote without an end".to_owned(),
                )
            }
            dotenvy::Error::LineParse(..) => Fault::Line(here(), "the line sets no variable".to_owned()),
            other => Fault::File(other.to_string()),
        })?;
        if value.contains('\0') {
            return Err(Fault::Line(
                here(),
                format!("the value of {} contains a NUL character", quoted(&name)),
            ));
        }
        variables.push((name, value));
    }
    Ok(variables)
}

/// Gives one line at a time, so that it is known which one was read last: `dotenvy` tells no lines.
struct Lines<'t> {
    rest: &'t [u8],
    /// Bytes given so far.
    given: &'t Cell<usize>,
}

impl Read for Lines<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let line = self.rest.iter().position(|byte| *byte == b'\n').map_or(self.rest.len(), |end| end + 1);
        let (now, later) = self.rest.split_at(line.min(room.len()));
        for (place, byte) in room.iter_mut().zip(now) {
            *place = *byte;
        }
        self.rest = later;
        self.given.set(self.given.get() + now.len());
        Ok(now.len())
    }
}

fn line_of(before: &[u8]) -> usize {
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
