//! Reads how logs are kept: `log = { … }` of a service or job, and of `[project]` for all that do not say it themselves.

use soloist_os::guard::OnFull;
use toml::de::DeTable;

use super::declared::Logging;
use super::diagnostic::{Problems, quoted};
use super::duration::{self, Zero};
use super::limits;
use super::settings::{choice, set, unknown_key};
use super::tree::{Field, Value, fields};
use crate::convert::milliseconds;

pub(super) const EXAMPLE: &str = "log = { size = \"16MiB\", keep = 10 }";
pub(super) const LOG_KEYS: &[&str] = &["size", "keep", "max-age", "compress", "split", "on-full", "mask"];
/// Also that of all logs of the project together.
pub(super) const PROJECT_LOG_KEYS: &[&str] =
    &["size", "keep", "max-age", "compress", "split", "on-full", "mask", "total"];
const ON_FULL: &[(&str, OnFull)] = &[("drop", OnFull::Drop), ("block", OnFull::Block)];

/// A file that is full ends with a line, which may take so much: one as small as that would never hold.
const SIZE_LEAST: u64 = 64 << 10;
/// More files than anybody looks through, and than a folder should hold.
const KEEP_MOST: i64 = 10_000;
/// What all logs of a project may take together.
pub(super) const TOTAL: u64 = 1 << 30;

/// What `[project]` says of all logs, and how much they may take together. Mistakes in what is around are told by others.
pub(super) fn of_project(tree: &DeTable<'_>, problems: &mut Problems<'_>) -> (Logging, u64) {
    let (mut log, mut total) = (Logging::default(), TOTAL);
    let project = tree.get("project").and_then(|project| project.get_ref().as_table());
    for Field { key, value, .. } in project.map(fields).unwrap_or_default() {
        if key == "log" {
            log = read(&value.example(EXAMPLE), &Logging::default(), Some(&mut total), problems);
        }
    }
    (log, total)
}

/// How a log is kept: as the standard, but for what is said here.
pub(super) fn read(
    value: &Value<'_>,
    standard: &Logging,
    mut total: Option<&mut u64>,
    problems: &mut Problems<'_>,
) -> Logging {
    let mut log = standard.clone();
    let known = if total.is_some() { PROJECT_LOG_KEYS } else { LOG_KEYS };
    for Field { key, key_span, value } in value.table(problems).unwrap_or_default() {
        match (key, &mut total) {
            ("size", _) => set(&mut log.rules.size, size(&value.example("size = \"16MiB\""), problems)),
            ("total", Some(total)) => set(*total, size(&value.example("total = \"1GiB\""), problems)),
            ("keep", _) => {
                let keep = value.example("keep = 10").whole("a number of files", 0, KEEP_MOST, problems);
                set(&mut log.keep, keep.and_then(|keep| usize::try_from(keep).ok()));
            }
            ("max-age", _) => {
                set(&mut log.rules.max_age_ms, max_age(&value.example("max-age = \"30d\""), problems))
            }
            ("compress", _) => set(&mut log.compress, value.example("compress = true").boolean(problems)),
            ("split", _) => set(&mut log.rules.is_split, value.example("split = true").boolean(problems)),
            ("on-full", _) => {
                let value = value.example("on-full = \"drop\"");
                set(&mut log.rules.on_full, choice(&value, "an answer to a full disk", ON_FULL, problems));
            }
            ("mask", _) => log.mask.extend(masks(&value.example("mask = ['token=\\S+']"), problems)),
            _ => unknown_key("a log", key, key_span, known, problems),
        }
    }
    log
}

fn size(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<u64> {
    let size = limits::memory(value, problems)?;
    if size < SIZE_LEAST {
        let message = format!("{} is too small for a log", quoted(problems.source(&value.span)));
        problems.add(value.span.clone(), message, "64KiB are the least");
        return None;
    }
    Some(size)
}

/// `Some(None)`: whatever its age.
fn max_age(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Option<u64>> {
    if value.tree.as_bool() == Some(false) {
        return Some(None);
    }
    let why = Zero::Refused("each line would have a file of its own; `max-age = false` is whatever its age");
    let age = duration::read(value, why, problems)?;
    Some(Some(milliseconds(age)))
}

/// Regular expressions: what they match is not shown.
fn masks(value: &Value<'_>, problems: &mut Problems<'_>) -> Vec<String> {
    let mut masks = Vec::new();
    for (pattern, value) in value.one_or_more(problems) {
        match regex_lite::Regex::new(pattern) {
            Ok(found) if found.is_match("") => {
                let message = format!("{} matches where there is nothing", quoted(pattern));
                problems.add(value.span, message, "say what is to be hidden: `mask = ['token=\\S+']`");
            }
            Ok(_) => masks.push(pattern.to_owned()),
            Err(fault) => {
                let message = format!("{} is no regular expression: {fault}", quoted(pattern));
                let help = "put a `\\` before a sign that is meant as it is, and the whole in single quotes";
                problems.add(value.span, message, help);
            }
        }
    }
    masks
}
