//! Keyed instances: which keys a declaration has, and what stands for the key in its values.
//! A keyed declaration is read once for each of its keys; `read.rs` does that.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::almanac::Almanac;
use super::diagnostic::{Problems, Span, plain, quoted};
use super::read::{NAME_RULE, name_fault};
use super::tree::Value;
use super::{KeyChanges, Logging, spares, suggest};

/// What stands for the key. Nothing else between braces is replaced, so that JSON and format strings stay as they are.
const PLACE: &str = "{instance}";

/// Two keyed services of which each instance needs each of the other have the square of it in dependencies.
const KEYS_MOST: usize = 1000;

/// Where a declaration is read, and for which of its keys.
#[derive(Clone, Copy)]
pub(super) struct Site<'s> {
    /// The project's folder.
    pub(super) root: &'s Path,
    /// What it can name when it speaks of time.
    pub(super) almanac: &'s Almanac<'s>,
    /// How logs are kept of which nothing else is said.
    pub(super) log: &'s Logging,
    pub(super) keys: Option<&'s Keys>,
    pub(super) key: Option<&'s str>,
}

impl Site<'_> {
    /// The text for this instance. Without keys `{instance}` is a text like any other.
    pub(super) fn fill(&self, text: &str) -> String {
        match self.key {
            Some(key) => text.replace(PLACE, key),
            None => text.to_owned(),
        }
    }
}

/// The keys of a declaration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    /// What the file says.
    pub(super) declared: Vec<String>,
    /// With what was added and removed since.
    pub(super) present: Vec<String>,
}

/// `None` only if the value is no list.
pub(super) fn keys(
    service: &str,
    value: &Value<'_>,
    changes: Option<&KeyChanges>,
    problems: &mut Problems<'_>,
) -> Option<Keys> {
    let entries = value.list(problems)?;
    if entries.is_empty() {
        let help = "name at least one key, or take `instances` out for a single instance";
        problems.add(value.span.clone(), "`instances` is empty: there would be no instance", help);
    }
    let mut declared: Vec<(String, Span)> = Vec::new();
    for entry in entries {
        let Some(key) = entry.string(problems) else { continue };
        if let Some((_, first)) = declared.iter().find(|(other, _)| other == key) {
            let message = format!("the instance {} is declared twice", quoted(key));
            problems
                .add(entry.span, message, "take one of the two out")
                .label("the second time")
                .other(first.clone(), "the first time");
        } else if is_fit(service, key, &entry.span, problems) {
            declared.push((key.to_owned(), entry.span));
        }
    }
    let declared: Vec<_> = declared.into_iter().map(|(key, _)| key).collect();
    let mut present = declared.clone();
    if let Some(changes) = changes {
        for key in &changes.added {
            if !present.contains(key) && is_fit(service, key, &value.span, problems) {
                present.push(key.clone());
            }
        }
        present.retain(|key| !changes.removed.contains(key));
    }
    if present.len() > KEYS_MOST {
        let message = format!("{} has {} instances", quoted(service), present.len());
        problems.add(value.span.clone(), message, format!("{KEYS_MOST} are the most"));
        present.truncate(1);
    }
    Some(Keys { declared, present })
}

/// One port, or with keys a table of one for each.
pub(super) fn port(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<spares::Asked> {
    if value.tree.is_array() {
        let help = "write a list as `ports = [9000, 9001]`";
        problems.add(value.span.clone(), "`port` is a list, but it must be a whole number", help);
        return None;
    }
    let (Some(keys), Some(key), DeValue::Table(table)) = (site.keys, site.key, value.tree) else {
        return spares::read(value, problems);
    };
    if keys.present.first().is_none_or(|first| first == key) {
        unknown_keys(table, keys, problems);
    }
    let Some(found) = table.get(key) else {
        let message = format!("the instance {} has no port", quoted(key));
        problems.add(value.span.clone(), message, format!("give it one: `{} = 9000`", plain(key)));
        return None;
    };
    let example = "port = { antica = 8001, bona = 8002 }";
    let value = Value { tree: found.get_ref(), span: found.span(), called: quoted(key), example };
    spares::read(&value, problems)
}

/// A key that was removed since may keep its port.
fn unknown_keys(table: &DeTable<'_>, keys: &Keys, problems: &mut Problems<'_>) {
    let known: Vec<_> = keys.declared.iter().chain(&keys.present).map(String::as_str).collect();
    for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
        let message = format!("there is no instance {}", quoted(key.get_ref()));
        let help = suggest::help(key.get_ref(), &known);
        problems.add(key.span(), message, help).label("not in `instances`");
    }
}

fn is_fit(service: &str, key: &str, span: &Span, problems: &mut Problems<'_>) -> bool {
    const LONGEST: usize = 64;
    let fault = name_fault(key).or_else(|| {
        let length = service.len() + 1 + key.len();
        (length > LONGEST).then(|| format!("`{}@…` would be {length} characters long", plain(service)))
    });
    let Some(fault) = fault else { return true };
    problems.add(span.clone(), format!("{} is no key of an instance: {fault}", quoted(key)), NAME_RULE);
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_place_of_the_key_is_replaced() {
        let almanac = &Almanac::default();
        let site =
            Site { root: Path::new("/"), almanac, log: &Logging::default(), keys: None, key: Some("antica") };
        assert_eq!(
            site.fill("{instance}/{instance}.log {} {x} {\"a\": 1}"),
            "antica/antica.log {} {x} {\"a\": 1}"
        );
        assert_eq!(Site { key: None, ..site }.fill("{instance}"), "{instance}");
    }
}
