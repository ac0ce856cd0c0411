//! Walks the parsed tree from the top: sections, names, and how many instances each declaration has.
//! A declaration is read in `draft.rs`; `check.rs` compares declarations.

use std::collections::BTreeMap;

use soloist_core::plan::Strategy;
use toml::de::DeTable;

use super::diagnostic::{Problems, Span, plain, quoted};
use super::draft::{self, Draft, Section};
use super::instances::{self, Site};
use super::listen::{self, Listen};
use super::settings::{self, choice, set};
use super::tree::{Field, Value, fields};
use super::{KeyChanges, proxy, suggest};

const TOP_KEYS: &[&str] = &["project", "services", "jobs", "windows", "calendars", "http"];
pub(super) const PROJECT_KEYS: &[&str] = &["name", "strategy", "proxy", "log"];
const STRATEGIES: &[(&str, Strategy)] = &[
    ("one-for-one", Strategy::OneForOne),
    ("rest-for-one", Strategy::RestForOne),
    ("one-for-all", Strategy::OneForAll),
];

/// What the file says, before it is known whether its parts fit together.
pub(super) struct Document {
    pub(super) project: Option<String>,
    pub(super) strategy: Strategy,
    pub(super) listen: Listen,
    pub(super) proxy: Option<(u16, Span)>,
    pub(super) drafts: Vec<Draft>,
    /// Keyed declarations that have no key at present.
    pub(super) without_keys: Vec<String>,
}

impl Document {
    /// The instances of each service and job, by its name.
    pub(super) fn instances(&self) -> BTreeMap<String, Vec<String>> {
        let mut instances: BTreeMap<_, Vec<_>> =
            self.without_keys.iter().map(|service| (service.clone(), Vec::new())).collect();
        for draft in &self.drafts {
            instances.entry(draft.service.clone()).or_default().push(draft.name.clone());
        }
        instances
    }
}

pub(super) fn document(
    tree: &DeTable<'_>,
    site: Site<'_>,
    changes: &BTreeMap<String, KeyChanges>,
    problems: &mut Problems<'_>,
) -> Document {
    let mut document = Document {
        project: None,
        strategy: Strategy::default(),
        listen: Some((listen::STANDARD, 0..0)),
        proxy: None,
        drafts: Vec::new(),
        without_keys: Vec::new(),
    };
    for field in fields(tree) {
        match field.key {
            "project" => project(&field.value.example("[project]"), &mut document, problems),
            "http" => set(&mut document.listen, listen::read(&field.value.example("[http]"), problems)),
            "services" => {
                let value = field.value.example("[services.NAME]");
                declarations(Section::Services, &value, site, changes, &mut document, problems);
            }
            "jobs" => {
                let value = field.value.example("[jobs.NAME]");
                declarations(Section::Jobs, &value, site, changes, &mut document, problems);
            }
            // They were read first: declarations name them.
            "windows" | "calendars" => {}
            _ => unknown_at_top(&field, problems),
        }
    }
    // Sections may be interleaved; what people see is in the order they wrote.
    document.drafts.sort_by_key(|draft| draft.name_span.start);
    document
}

fn unknown_at_top(field: &Field<'_>, problems: &mut Problems<'_>) {
    let key = quoted(field.key);
    let is_declaration = field.value.tree.as_table().is_some_and(|table| table.contains_key("command"));
    let help = if is_declaration {
        format!("declare a service under [services.{0}], a job under [jobs.{0}]", plain(field.key))
    } else if field.value.tree.is_table() || suggest::nearest(field.key, TOP_KEYS).is_some() {
        suggest::help(field.key, TOP_KEYS)
    } else if PROJECT_KEYS.contains(&field.key) {
        "put it under [project]".to_owned()
    } else if [Section::Services, Section::Jobs].iter().any(|section| section.keys(true).contains(&field.key))
    {
        "put it under [services.NAME] or [jobs.NAME]".to_owned()
    } else {
        suggest::help(field.key, TOP_KEYS)
    };
    problems.add(field.key_span.clone(), format!("the file has no key {key}"), help).label("unknown");
}

fn project(value: &Value<'_>, document: &mut Document, problems: &mut Problems<'_>) {
    for Field { key, key_span, value } in value.table(problems).unwrap_or_default() {
        match key {
            "name" => document.project = project_name(&value.example("name = \"market\""), problems),
            "strategy" => {
                let value = value.example("strategy = \"one-for-one\"");
                set(&mut document.strategy, choice(&value, "a strategy", STRATEGIES, problems));
            }
            // It was read first: declarations begin with it.
            "log" => {}
            "proxy" => document.proxy = proxy::read(&value.example("proxy = 8080"), problems),
            _ => settings::unknown_key("[project]", key, key_span, PROJECT_KEYS, problems),
        }
    }
}

fn project_name(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let name = value.string(problems)?;
    if name.trim().is_empty() || name.contains(char::is_control) {
        let message = format!("{} is not a name for a project", quoted(name));
        let help = "write one line of text, or leave it out for the folder's name";
        problems.add(value.span.clone(), message, help);
        return None;
    }
    Some(name.to_owned())
}

fn declarations(
    section: Section,
    value: &Value<'_>,
    site: Site<'_>,
    changes: &BTreeMap<String, KeyChanges>,
    document: &mut Document,
    problems: &mut Problems<'_>,
) {
    for field in value.table(problems).unwrap_or_default() {
        let noun = section.noun();
        if field.value.tree.is_table() {
            named(&field, noun, problems);
            declaration(section, &field, site, changes.get(field.key), document, problems);
        } else if section.keys(true).contains(&field.key) {
            let message = format!("{} stands under [{noun}s], where names are expected", quoted(field.key));
            problems.add(field.key_span, message, format!("name the {noun}: [{noun}s.NAME]"));
        } else {
            field.value.example(value.example).wrong_type("a table", problems);
        }
    }
}

/// One draft, or one for each key.
fn declaration(
    section: Section,
    field: &Field<'_>,
    site: Site<'_>,
    changes: Option<&KeyChanges>,
    document: &mut Document,
    problems: &mut Problems<'_>,
) {
    let values = field.value.tree.as_table().map(fields).unwrap_or_default();
    let value = values.into_iter().find(|value| value.key == "instances").map(|found| found.value);
    let value = value.map(|value| value.example("instances = [\"antica\", \"bona\"]"));
    let keys = value.and_then(|value| instances::keys(field.key, &value, changes, problems));
    let Some(keys) = keys else {
        document.drafts.push(draft::read(section, field, site, problems));
        return;
    };
    let site = |key| Site { keys: Some(&keys), key: Some(key), ..site };
    for key in &keys.present {
        document.drafts.push(draft::read(section, field, site(key), problems));
    }
    if keys.present.is_empty() {
        // Its mistakes are told all the same.
        if let Some(key) = keys.declared.first() {
            draft::read(section, field, site(key), problems);
        }
        document.without_keys.push(field.key.to_owned());
    }
}

/// What a name may be, in words.
pub(super) const NAME_RULE: &str =
    "a name is 1 to 64 letters (A-Z, a-z), digits, `.`, `_` or `-`, and begins with none of `.` and `-`";

/// Why a text cannot be the name of an instance: names are parts of file names.
pub(super) fn name_fault(name: &str) -> Option<String> {
    const LONGEST: usize = 64;
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    match name.chars().find(|letter| !is_fit(*letter)) {
        _ if name.is_empty() => Some("it is empty".to_owned()),
        Some(letter) => Some(format!("it contains {}", quoted(&letter.to_string()))),
        None if name.starts_with(['.', '-']) => Some(format!("it begins with {}", quoted(&name[..1]))),
        None if name.len() > LONGEST => Some(format!("it is {} characters long", name.len())),
        None => None,
    }
}

/// Whether a text can be the name of a service or a key of its instances; if not, why, and what may be one.
pub fn is_name(name: &str) -> Result<(), String> {
    name_fault(name).map_or(Ok(()), |fault| Err(format!("{fault}; {NAME_RULE}")))
}

/// Reports a name that none of them can have.
pub(super) fn named(field: &Field<'_>, noun: &str, problems: &mut Problems<'_>) {
    if let Some(fault) = name_fault(field.key) {
        let message = format!("{} is no name for a {noun}: {fault}", quoted(field.key));
        let help = match field.key.split_once('@') {
            Some((service, key)) if !key.is_empty() && matches!(noun, "service" | "job") => {
                let (service, key) = (plain(service), plain(key));
                format!("for an instance with a key write [{noun}s.{service}] with `instances = [\"{key}\"]`")
            }
            _ => NAME_RULE.to_owned(),
        };
        problems.add(field.key_span.clone(), message, help);
    }
}
