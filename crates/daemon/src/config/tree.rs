//! Typed access to the parsed tree: each getter returns the value or reports what was found instead.
//! Knows TOML's types, not soloist's keys.

use toml::de::{DeArray, DeInteger, DeTable, DeValue, Error};

use super::diagnostic::{Problems, Span, quoted};

/// How the parser calls a key or table that is declared twice.
pub(super) const REPEATED_KEY: &str = "duplicate key";

const EXAMPLE: &str = "`command = [\"./api\", \"serve\"]`";

/// One `key = value` of a table.
pub(super) struct Field<'a> {
    pub(super) key: &'a str,
    pub(super) key_span: Span,
    pub(super) value: Value<'a>,
}

/// A value, its place, and how a message calls it.
#[derive(Clone)]
pub(super) struct Value<'a> {
    pub(super) tree: &'a DeValue<'a>,
    pub(super) span: Span,
    pub(super) called: String,
    /// How a right one is written, for the help line.
    pub(super) example: &'static str,
}

/// The fields of a table in the order of the file.
pub(super) fn fields<'a>(table: &'a DeTable<'a>) -> Vec<Field<'a>> {
    let mut fields: Vec<_> = table
        .iter()
        .map(|(key, value)| {
            let called = quoted(key.get_ref());
            let value = Value { tree: value.get_ref(), span: value.span(), called, example: "" };
            Field { key: key.get_ref(), key_span: key.span(), value }
        })
        .collect();
    fields.sort_by_key(|field| field.key_span.start);
    fields
}

impl<'a> Value<'a> {
    /// Says how a right value is written.
    pub(super) fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    pub(super) fn string(&self, problems: &mut Problems<'_>) -> Option<&'a str> {
        let found = self.tree.as_str();
        if found.is_none() {
            self.wrong_type("a string", problems);
        }
        found
    }

    pub(super) fn table(&self, problems: &mut Problems<'_>) -> Option<Vec<Field<'a>>> {
        let found = self.tree.as_table().map(fields);
        if found.is_none() {
            self.wrong_type("a table", problems);
        }
        found
    }

    pub(super) fn list(&self, problems: &mut Problems<'_>) -> Option<Vec<Value<'a>>> {
        let found = self.tree.as_array().map(|list| self.entries(list));
        if found.is_none() {
            self.wrong_type("a list", problems);
        }
        found
    }

    pub(super) fn entries(&self, list: &'a DeArray<'a>) -> Vec<Value<'a>> {
        let called = format!("an entry of {}", self.called);
        list.iter()
            .map(|entry| Value {
                tree: entry.get_ref(),
                span: entry.span(),
                called: called.clone(),
                example: self.example,
            })
            .collect()
    }

    /// One string, or a list of them that is not empty: each as a value of its own.
    pub(super) fn one_or_more(&self, problems: &mut Problems<'_>) -> Vec<(&'a str, Value<'a>)> {
        let entries = match self.tree {
            DeValue::Array(list) => self.entries(list),
            DeValue::String(_) => vec![self.clone()],
            _ => {
                self.wrong_type("a string or a list of strings", problems);
                return Vec::new();
            }
        };
        if entries.is_empty() {
            let help = format!("write it like `{}`, or take it out", self.example);
            problems.add(self.span.clone(), format!("{} is empty", self.called), help);
        }
        entries.into_iter().filter_map(|entry| Some((entry.string(problems)?, entry))).collect()
    }

    pub(super) fn boolean(&self, problems: &mut Problems<'_>) -> Option<bool> {
        let found = self.tree.as_bool();
        if found.is_none() {
            self.wrong_type("`true` or `false`", problems);
        }
        found
    }

    /// Where a part of this string stands in the file. With escapes in it its places are not those of the file; then
    /// it is the whole string.
    pub(super) fn place(&self, text: &str, within: &Span, problems: &Problems<'_>) -> Span {
        match problems.source(&self.span).find(text) {
            Some(offset) => {
                let start = self.span.start + offset;
                start + within.start.min(text.len())..start + within.end.min(text.len())
            }
            None => self.span.clone(),
        }
    }

    /// A whole number within bounds; `as_what` says what the number is, as in "a port".
    pub(super) fn whole(
        &self,
        as_what: &str,
        least: i64,
        most: i64,
        problems: &mut Problems<'_>,
    ) -> Option<i64> {
        let Some(digits) = self.tree.as_integer() else {
            self.wrong_type("a whole number", problems);
            return None;
        };
        let found = integer(digits).filter(|number| (least..=most).contains(number));
        if found.is_none() {
            let message = format!("{} is not {as_what}", quoted(problems.source(&self.span)));
            problems.add(self.span.clone(), message, format!("{as_what} is a number from {least} to {most}"));
        }
        found
    }

    /// A string without a NUL, which no name or path of the system can hold.
    pub(super) fn word(&self, problems: &mut Problems<'_>) -> Option<&'a str> {
        let found = self.string(problems)?;
        if found.contains('\0') {
            let help = "take it out; the system ends names, paths and arguments there";
            problems.add(self.span.clone(), format!("{} contains a NUL character", self.called), help);
            return None;
        }
        Some(found)
    }

    pub(super) fn wrong_type(&self, expected: &str, problems: &mut Problems<'_>) {
        let found = noun(self.tree);
        let help = match self.example {
            "" => format!("replace it by {expected}"),
            example => format!("write it like `{example}`"),
        };
        let message = format!("{} is {found}, but it must be {expected}", self.called);
        problems.add(self.span.clone(), message, help).label(format!("expected {expected}, found {found}"));
    }
}

/// An integer of any radix, if it fits.
pub(super) fn integer(digits: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(digits.as_str(), digits.radix()).ok()
}

fn noun(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Reports what the parser could not read; one problem a line, since the first one often causes the others.
pub(super) fn report_syntax(faults: &[Error], problems: &mut Problems<'_>) {
    let mut last_line = None;
    for fault in faults {
        let span = fault.span().unwrap_or_default();
        let line_start = problems.source(&(0..span.start)).rfind('\n').map_or(0, |newline| newline + 1);
        if last_line.replace(line_start) == Some(line_start) {
            continue;
        }
        if fault.message() == REPEATED_KEY {
            let word = quoted(problems.source(&span));
            let help = "keep one of the two, or give one another name";
            let first = earlier_header(problems.text(), line_start);
            let problem =
                problems.add(span, format!("{word} is declared twice"), help).label("the second time");
            if let Some(first) = first {
                problem.other(first, "the first time");
            }
        } else {
            let help = match bare_text(problems.text(), line_start, span.start) {
                Some(value) => format!("if it is text, put it in quotes: `\"{value}\"`"),
                None => format!("strings take quotes and lists brackets: {EXAMPLE}; see https://toml.io"),
            };
            problems.add(span, format!("the file is not valid TOML: {}", fault.message()), help);
        }
    }
}

/// The parser does not tell where a repeated table stands first; mostly its header is written the same way.
fn earlier_header(text: &str, line_start: usize) -> Option<Span> {
    let header = text.get(line_start..)?.lines().next()?.trim();
    let mut start = 0;
    for line in text.get(..line_start)?.split_inclusive('\n') {
        if header.starts_with('[') && line.trim() == header {
            let start = start + line.find('[')?;
            return Some(start..start + header.len());
        }
        start += line.len();
    }
    None
}

/// A value that begins right behind `=` and looks like text without quotes.
fn bare_text(text: &str, line_start: usize, at: usize) -> Option<&str> {
    let is_value = text.get(line_start..at)?.trim_end().ends_with('=');
    let value = text.get(at..)?.lines().next()?.trim();
    let is_bare =
        !value.is_empty() && value.len() < 64 && !value.contains(['"', '\'', '[', ']', '{', '}', '#', '\\']);
    (is_value && is_bare && !value.contains(char::is_control)).then_some(value)
}
