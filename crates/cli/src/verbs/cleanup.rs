//! `soloist cleanup`: ends leftovers of this project and clears stale records; exit code 0 when nothing is left.

use std::time::Duration;

use soloist_api::error::Problem;
use soloist_daemon::leftovers::clean;

use crate::printer::Printer;
use crate::project::Project;

const GRACE: Duration = Duration::from_secs(5);

/// Says what it did, or would do.
pub async fn cleanup(
    project: &Project,
    printer: &Printer,
    is_dry: bool,
    is_json: bool,
) -> Result<i32, Problem> {
    if !project.layout.exists() {
        printer.line("nothing to clean up: nothing was ever started here");
        return Ok(0);
    }
    // A daemon that died is brought back first: what its guards keep is no leftover.
    project.living_daemon().await?;
    let cleaned = clean(&project.layout, GRACE, is_dry)?;
    if is_json {
        printer.json(&cleaned);
    } else {
        let (ended, cleared) = if is_dry { ("would end", "would clear") } else { ("ended", "cleared") };
        cleaned.ended.iter().for_each(|words| printer.line(&format!("{ended} {words}")));
        cleaned.cleared.iter().for_each(|words| printer.line(&format!("{cleared} {words}")));
        cleaned.stuck.iter().for_each(|words| printer.remark(&format!("left {words}")));
        if cleaned.ended.is_empty() && cleaned.cleared.is_empty() && cleaned.stuck.is_empty() {
            printer.line("nothing to clean up");
        }
        if !cleaned.held.is_empty() {
            printer.line(&format!("running, left alone: {}", cleaned.held.join(", ")));
        }
    }
    Ok(i32::from(!cleaned.stuck.is_empty()))
}
