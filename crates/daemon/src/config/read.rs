//! Walks the parsed tree from the top: sections, names, and which key goes where.
//! The values of keys are read in `program.rs` and `settings.rs`; `check.rs` compares declarations.

use std::collections::BTreeMap;
use std::path::Path;

use soloist_core::plan::{Condition, Kind, Need, Plan, Restart};
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Problems, Span, plain, quoted};
use super::duration::{self, Zero};
use super::settings::{self, set};
use super::tree::{Field, Value, fields};
use super::{Declared, KeyChanges, Program, program, suggest};

const TOP_KEYS: &[&str] = &["project", "services", "jobs"];
const PROJECT_KEYS: &[&str] = &["name"];
const SHARED_KEYS: &[&str] = &[
    "command",
    "dir",
    "env",
    "stop-signal",
    "stop-grace",
    "success-exit-codes",
    "depends-on",
    "scope",
    "pid-file",
];
const SERVICE_KEYS: &[&str] = &["port", "ports", "restart", "ready-timeout", "backoff", "restart-limit"];
const JOB_KEYS: &[&str] = &["every"];

/// What the file says, before it is known whether its parts fit together.
#[derive(Default)]
pub(super) struct Document {
    pub(super) project: Option<String>,
    pub(super) drafts: Vec<Draft>,
}

/// A declaration and the places of what must fit with other declarations.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) name_span: Span,
    pub(super) section: Section,
    pub(super) plan: Plan,
    pub(super) program: Program,
    pub(super) ports: Vec<(u16, Span)>,
    pub(super) needs: Vec<(String, Span)>,
    pub(super) pid_file_span: Option<Span>,
}

/// Where a declaration stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Services,
    Jobs,
}

impl Section {
    /// What one of them is called.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Section::Services => "service",
            Section::Jobs => "job",
        }
    }

    pub(super) fn keys(self) -> Vec<&'static str> {
        let own = match self {
            Section::Services => SERVICE_KEYS,
            Section::Jobs => JOB_KEYS,
        };
        SHARED_KEYS.iter().chain(own).copied().collect()
    }
}

impl Draft {
    pub(super) fn into_declared(self) -> Declared {
        let ports = self.ports.into_iter().map(|(port, _)| port).collect();
        let needs = self.needs.into_iter().map(|(on, _)| Need { on, until: Condition::Ready }).collect();
        Declared {
            service: self.name.clone(),
            name: self.name,
            key: None,
            plan: Plan { ports, needs, ..self.plan },
            program: self.program,
        }
    }
}

pub(super) fn document(
    tree: &DeTable<'_>,
    root: &Path,
    _changes: &BTreeMap<String, KeyChanges>,
    problems: &mut Problems<'_>,
) -> Document {
    let mut document = Document::default();
    for field in fields(tree) {
        match field.key {
            "project" => document.project = project(&field.value.example("[project]"), problems),
            "services" => {
                let value = field.value.example("[services.NAME]");
                declarations(Section::Services, &value, root, &mut document.drafts, problems);
            }
            "jobs" => {
                let value = field.value.example("[jobs.NAME]");
                declarations(Section::Jobs, &value, root, &mut document.drafts, problems);
            }
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
    } else if field.key == "name" {
        "put it under [project]".to_owned()
    } else if Section::Services.keys().contains(&field.key) || JOB_KEYS.contains(&field.key) {
        "put it under [services.NAME] or [jobs.NAME]".to_owned()
    } else {
        suggest::help(field.key, TOP_KEYS)
    };
    problems.add(field.key_span.clone(), format!("the file has no key {key}"), help).label("unknown");
}

fn project(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let mut project = None;
    for Field { key, key_span, value } in value.table(problems)? {
        if key != "name" {
            settings::unknown_key("[project]", key, key_span, PROJECT_KEYS, problems);
            continue;
        }
        let value = value.example("name = \"market\"");
        let Some(name) = value.string(problems) else { continue };
        if name.trim().is_empty() || name.contains(char::is_control) {
            let message = format!("{} is not a name for a project", quoted(name));
            problems.add(
                value.span,
                message,
                "write one line of text, or leave it out for the folder's name",
            );
            continue;
        }
        project = Some(name.to_owned());
    }
    project
}

fn declarations(
    section: Section,
    value: &Value<'_>,
    root: &Path,
    drafts: &mut Vec<Draft>,
    problems: &mut Problems<'_>,
) {
    for field in value.table(problems).unwrap_or_default() {
        let noun = section.noun();
        if field.value.tree.is_table() {
            check_name(&field, noun, problems);
            drafts.push(draft(section, field, root, problems));
        } else if section.keys().contains(&field.key) {
            let message = format!("{} stands under [{noun}s], where names are expected", quoted(field.key));
            problems.add(field.key_span, message, format!("name the {noun}: [{noun}s.NAME]"));
        } else {
            field.value.example(value.example).wrong_type("a table", problems);
        }
    }
}

/// What a name may be, in words.
const NAME_RULE: &str =
    "a name is 1 to 64 letters (A-Z, a-z), digits, `.`, `_` or `-`, and begins with none of `.` and `-`";

/// Why a text cannot be the name of an instance: names are parts of file names.
fn name_fault(name: &str) -> Option<String> {
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

/// Whether a text can be the name of an instance; if not, why, and what may be one.
pub fn is_name(name: &str) -> Result<(), String> {
    name_fault(name).map_or(Ok(()), |fault| Err(format!("{fault}; {NAME_RULE}")))
}

fn check_name(field: &Field<'_>, noun: &str, problems: &mut Problems<'_>) {
    if let Some(fault) = name_fault(field.key) {
        let message = format!("{} is no name for a {noun}: {fault}", quoted(field.key));
        problems.add(field.key_span.clone(), message, NAME_RULE);
    }
}

fn draft(section: Section, declared: Field<'_>, root: &Path, problems: &mut Problems<'_>) -> Draft {
    let mut draft = Draft {
        name: declared.key.to_owned(),
        name_span: declared.key_span.clone(),
        section,
        plan: match section {
            Section::Services => Plan::default(),
            Section::Jobs => {
                Plan { kind: Kind::Job { every: None }, restart: Restart::No, ..Plan::default() }
            }
        },
        program: Program { dir: program::tidy(root), ..Program::default() },
        ports: Vec::new(),
        needs: Vec::new(),
        pid_file_span: None,
    };
    let mut has_command = false;
    let mut port_span: Option<Span> = None;
    for Field { key, key_span, value } in declared.value.table(problems).unwrap_or_default() {
        has_command |= key == "command";
        if matches!(key, "port" | "ports") && section == Section::Services {
            if let Some(first) = port_span.replace(key_span.clone()) {
                let help = "keep `ports`, with the one for $PORT first";
                problems
                    .add(key_span, "`port` and `ports` are both declared", help)
                    .other(first, "the other one");
            }
        } else if misplaced(section, &declared.key_span, key, &key_span, &value, problems) {
            continue;
        }
        setting(&mut draft, root, key, value, problems);
    }
    if !has_command {
        let message = format!("the {} {} has no command", section.noun(), quoted(declared.key));
        let help = "say what to run: `command = [\"./api\", \"serve\"]`";
        problems.add(declared.key_span, message, help).label("`command` is missing");
    }
    draft
}

/// Reports a key that has no place in its section.
fn misplaced(
    section: Section,
    name_span: &Span,
    key: &str,
    key_span: &Span,
    value: &Value<'_>,
    problems: &mut Problems<'_>,
) -> bool {
    let known = section.keys();
    if known.contains(&key) {
        return false;
    }
    let name = plain(problems.source(name_span));
    match section {
        Section::Services if JOB_KEYS.contains(&key) => {
            let help = format!("a service runs on; declare it under [jobs.{name}]");
            problems.add(key_span.clone(), format!("{} belongs to jobs", quoted(key)), help);
        }
        Section::Jobs if SERVICE_KEYS.contains(&key) => {
            let help = format!("a job runs and ends; leave it out, or declare it under [services.{name}]");
            problems.add(key_span.clone(), format!("{} belongs to services", quoted(key)), help);
        }
        // `[services.api.v2]` is what a name with a dot becomes without quotes.
        _ if value.tree.as_table().is_some_and(|table| table.contains_key("command")) => {
            let noun = section.noun();
            let message = format!("a {noun} stands inside the {noun} `{name}`");
            let help =
                format!("quote a name with a dot: [{noun}s.\"{}.{}\"]", name.trim_matches('"'), plain(key));
            problems.add(key_span.clone(), message, help);
        }
        _ => {
            let owner = format!("a {}", section.noun());
            settings::unknown_key(&owner, key, key_span.clone(), &known, problems);
        }
    }
    true
}

/// Reads one known key into the draft.
fn setting(draft: &mut Draft, root: &Path, key: &str, value: Value<'_>, problems: &mut Problems<'_>) {
    let Draft { plan, program, .. } = draft;
    match key {
        "command" => {
            let value = value.example("command = [\"./api\", \"serve\"]");
            set(&mut program.argv, program::argv(&value, problems));
        }
        "dir" => set(&mut program.dir, program::dir(&value.example("dir = \".\""), root, problems)),
        "env" => set(&mut program.env, program::env(&value.example("env = { NAME = \"value\" }"), problems)),
        "port" => {
            let span = value.span.clone();
            if value.tree.is_array() {
                let help = "write a list as `ports = [9000, 9001]`";
                problems.add(span, "`port` is a list, but it must be a whole number", help);
            } else if let Some(port) = settings::port(&value.example("port = 9000"), problems) {
                draft.ports.push((port, span));
            }
        }
        "ports" => draft.ports.extend(settings::ports(&value.example("ports = [9000, 9001]"), problems)),
        "restart" => {
            set(&mut plan.restart, settings::restart(&value.example("restart = \"on-failure\""), problems));
        }
        "stop-signal" => {
            let value = value.example("stop-signal = \"TERM\"");
            set(&mut program.stop_signal, settings::stop_signal(&value, problems));
        }
        "stop-grace" => {
            let value = value.example("stop-grace = \"5s\"");
            set(&mut plan.stop_grace, duration::read(&value, Zero::Allowed, problems));
        }
        "ready-timeout" => {
            let why = Zero::Refused("nothing is ready in no time");
            let value = value.example("ready-timeout = \"60s\"");
            set(&mut plan.ready_timeout, duration::read(&value, why, problems));
        }
        "success-exit-codes" => {
            let value = value.example("success-exit-codes = [0]");
            set(&mut plan.success_codes, settings::exit_codes(&value, problems));
        }
        "backoff" => {
            let value = value.example("backoff = { first = \"1s\", max = \"60s\" }");
            let standard = plan.backoff;
            set(&mut plan.backoff, settings::backoff(&value, standard, problems));
        }
        "restart-limit" => {
            let value = value.example("restart-limit = { count = 10, period = \"10m\" }");
            let standard = plan.limit;
            set(&mut plan.limit, settings::restart_limit(&value, standard, problems));
        }
        "depends-on" => draft.needs = names(&value.example("depends-on = [\"db\"]"), problems),
        "scope" => set(&mut program.scope, settings::scope(&value.example("scope = \"project\""), problems)),
        "pid-file" => {
            let value = value.example("pid-file = \"api.pid\"");
            program.pid_file = program::pid_file(&value, root, problems);
            draft.pid_file_span = Some(value.span);
        }
        "every" => {
            let why = Zero::Refused("the job would start without end");
            let every = duration::read(&value.example("every = \"6s\""), why, problems);
            plan.kind = Kind::Job { every };
        }
        // The lists of keys above and these arms are held together by a test.
        _ => {}
    }
}

fn names(value: &Value<'_>, problems: &mut Problems<'_>) -> Vec<(String, Span)> {
    if let DeValue::String(name) = value.tree {
        let help = format!("write it like `depends-on = [\"{}\"]`", plain(name));
        problems.add(value.span.clone(), "`depends-on` is a string, but it must be a list", help);
        return Vec::new();
    }
    let entries = value.list(problems).unwrap_or_default();
    entries
        .iter()
        .filter_map(|entry| Some((entry.string(problems)?.to_owned(), entry.span.clone())))
        .collect()
}
