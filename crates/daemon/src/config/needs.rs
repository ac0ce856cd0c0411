//! Reads `depends-on`: what a declaration waits for, and how far that must be.
//! Whether it is there at all, and ever comes so far, is asked by `check.rs`.

use soloist_core::plan::Condition;
use toml::de::DeValue;

use super::diagnostic::{Problems, Span, plain};
use super::instances::Site;
use super::settings::choice;
use super::tree::{Field, Value};

pub(super) const CONDITIONS: &[(&str, Condition)] = &[
    ("ready", Condition::Ready),
    ("started", Condition::Started),
    ("completed", Condition::Completed),
    ("completed-successfully", Condition::CompletedSuccessfully),
];

/// A dependency as the file names it: an instance, or a service with all its instances.
pub(super) struct Named {
    pub(super) on: String,
    pub(super) until: Condition,
    /// The place of the name.
    pub(super) span: Span,
    /// The place of the condition, if it is written.
    pub(super) until_span: Option<Span>,
}

pub(super) fn read(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Vec<Named> {
    match value.tree {
        DeValue::String(name) => {
            let help = format!("write it like `depends-on = [\"{}\"]`", plain(name));
            problems.add(value.span.clone(), "`depends-on` is a string, but it must be a list", help);
            Vec::new()
        }
        DeValue::Table(_) => {
            let fields = value.table(problems).unwrap_or_default();
            fields.into_iter().filter_map(|field| conditional(field, site, problems)).collect()
        }
        _ => {
            let entries = value.list(problems).unwrap_or_default();
            let named = entries.iter().filter_map(|entry| {
                let on = site.fill(entry.string(problems)?);
                Some(Named { on, until: Condition::Ready, span: entry.span.clone(), until_span: None })
            });
            named.collect()
        }
    }
}

fn conditional(field: Field<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<Named> {
    let value = field.value.example("depends-on = { db = \"ready\" }");
    let until = choice(&value, "a condition", CONDITIONS, problems)?;
    Some(Named { on: site.fill(field.key), until, span: field.key_span, until_span: Some(value.span) })
}
