//! `soloist who PORT`: every process that listens there, and what it is to us.

use soloist_api::error::{Code, Problem};
use soloist_daemon::ports;

use crate::printer::Printer;
use crate::project::Project;

/// Exit code 0 if anybody listens, 3 if nobody does.
pub fn who(project: &Project, printer: &Printer, port: u16, is_json: bool) -> Result<i32, Problem> {
    let held = ports::who_quickly(&project.layout, port)?;
    if is_json {
        printer.json(&held.iter().map(ports::told).collect::<Vec<_>>());
    } else {
        for listener in &held {
            printer.line(&ports::describe(listener));
        }
    }
    if held.is_empty() {
        if !is_json {
            printer.line(&format!("nobody listens on port {port}"));
        }
        return Ok(Code::NotRunning.exit_code());
    }
    Ok(0)
}
