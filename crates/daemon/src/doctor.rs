//! What would bite a project: looked for in its declaration, on its ports and on the machine, each with its remedy. It
//! changes nothing, starts nothing and takes no claim; a daemon need not run.

mod machine;
mod ports;
mod project;
#[cfg(test)]
mod tests;

use serde::Serialize;
use soloist_api::status::Status;
use soloist_os::layout::Layout;

use crate::changes;
use crate::config::{Config, Declared, FILE_NAME};

/// Something that would bite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is, in a word that stays.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found.
    pub what: String,
    /// Where: a service, a file, the machine.
    #[serde(rename = "where")]
    pub place: String,
    /// What follows from it.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// It works until the day that it bites.
    Warning,
}

impl Finding {
    fn error(code: &'static str, place: impl Into<String>, what: impl Into<String>) -> Finding {
        let (severity, why, remedy) = (Severity::Error, String::new(), String::new());
        Finding { code, severity, what: what.into(), place: place.into(), why, remedy }
    }

    fn warning(code: &'static str, place: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, ..Finding::error(code, place, what) }
    }

    fn because(self, why: impl Into<String>) -> Finding {
        Finding { why: why.into(), ..self }
    }

    fn do_this(self, remedy: impl Into<String>) -> Finding {
        Finding { remedy: remedy.into(), ..self }
    }
}

/// Looks at a project; `status` is what its daemon says, if one answers. The worst comes first.
pub fn examine(layout: &Layout, status: Option<&Status>) -> Vec<Finding> {
    let mut found = Vec::new();
    let config = changes::config(layout).unwrap_or_else(|refusal| {
        found.push(if refusal.is_missing() {
            Finding::warning(
                "no-config",
                layout.root.display().to_string(),
                format!("there is no {FILE_NAME}"),
            )
            .because("only `soloist run` can be used")
            .do_this("`soloist init` writes one from what lies here")
        } else {
            Finding::error("bad-config", FILE_NAME, format!("{FILE_NAME} is faulty"))
                .because(refusal.to_string())
                .do_this("correct what is marked")
        });
        Config::empty(&layout.root)
    });
    found.extend(project::examine(layout, &config, status));
    found.extend(ports::examine(layout, &config));
    found.extend(machine::examine(&machine::Facts::gather(layout, &config), &config));
    found.sort_by_key(|finding| finding.severity);
    found
}

/// What is declared, without the lanes.
fn instances(config: &Config) -> impl Iterator<Item = &Declared> {
    config.declared.iter().filter(|declared| declared.lane_of.is_none())
}

/// Where a declaration stands.
fn section(declared: &Declared) -> String {
    let kind = match declared.plan.kind {
        soloist_core::plan::Kind::Service => "services",
        soloist_core::plan::Kind::Job => "jobs",
    };
    format!("[{kind}.{}] in {FILE_NAME}", declared.service)
}
