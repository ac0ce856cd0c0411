//! `soloist doctor`: what would bite, each with its place, its reason and its remedy. It changes and starts nothing.

use soloist_api::client::Client;
use soloist_api::error::Problem;
use soloist_daemon::doctor::{Severity, examine};

use crate::printer::{Printer, Tone};
use crate::project::Project;

/// Exit code 0 if nothing was found, else 1.
pub async fn doctor(project: &Project, printer: &Printer, is_json: bool) -> Result<i32, Problem> {
    // A daemon that does not run is none to start for this.
    let status = Client::new(&project.layout.daemon_socket()).status().await.ok();
    let found = examine(&project.layout, status.as_ref());
    if is_json {
        printer.json(&found);
    } else if found.is_empty() {
        printer.line("nothing was found that would bite");
    }
    for finding in found.iter().filter(|_| !is_json) {
        let (word, tone) = match finding.severity {
            Severity::Error => ("error", Tone::Bad),
            Severity::Warning => ("warning", Tone::Busy),
        };
        printer.line(&format!("{}: {} [{}]", printer.tone(word, tone), finding.what, finding.code));
        for (name, text) in [("where", &finding.place), ("why", &finding.why), ("do", &finding.remedy)] {
            printer.line(&format!("  {name}: {}", text.replace('\n', "\n  ")));
        }
    }
    Ok(i32::from(!found.is_empty()))
}
