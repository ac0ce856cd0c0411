//! `soloist why NAME`: one paragraph for whoever has to know what is wrong, now. Needs no daemon.

use jiff::tz::TimeZone;
use soloist_api::error::Problem;
use soloist_daemon::{account, runs};

use crate::printer::Printer;
use crate::project::Project;

/// Exit code 4 for a service nobody knows and nothing happened to.
pub async fn why(project: &Project, printer: &Printer, name: &str, is_json: bool) -> Result<i32, Problem> {
    let why = match project.living_daemon().await? {
        Some(client) => client.why(name).await?,
        None => {
            let status = project.status().await?;
            let known = match status.services.iter().find(|service| service.name == name) {
                Some(found) => {
                    let config = project.config_or_empty()?;
                    Ok((found.clone(), config.declared.into_iter().find(|d| d.name == name)))
                }
                None => Err(runs::unknown_among(name, status.services.iter().map(|s| s.name.as_str()))),
            };
            account::of(&project.layout, name, known, &TimeZone::system())?
        }
    };
    if is_json {
        printer.json(&why);
    } else {
        printer.line(&why.text);
    }
    Ok(0)
}
