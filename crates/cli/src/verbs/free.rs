//! `soloist free PORT`: the port is free when it returns with 0. What is ours is stopped as a service is; strangers
//! only with --force; what would come back by itself, or is not this user's, never.

use std::time::Duration;

use soloist_api::error::{Code, Problem};
use soloist_daemon::ports::{self, Class};

use crate::printer::Printer;
use crate::project::Project;
use crate::verbs::services;

const GRACE: Duration = Duration::from_secs(5);

/// Exit code 6 if somebody still listens.
pub async fn free(project: &Project, printer: &Printer, port: u16, force: bool) -> Result<i32, Problem> {
    let held = ports::who(&project.layout, port)?;
    if held.is_empty() {
        printer.line(&format!("port {port} is free"));
        return Ok(0);
    }
    let mut ours: Vec<String> = Vec::new();
    for listener in &held {
        if let Class::Ours { service } = &listener.class
            && !ours.contains(service)
        {
            ours.push(service.clone());
        }
    }
    if !ours.is_empty() {
        services::stop(project, printer, &ours).await?;
    }
    let strangers: Vec<String> =
        held.iter().filter(|h| h.class == Class::Stranger).map(ports::describe).collect();
    if !force && !strangers.is_empty() {
        let hint = format!("`soloist free {port} --force` ends them");
        return Err(Problem::new(Code::PortHeld, strangers.join("\n")).hint(hint));
    }
    let freed = ports::end_listeners(&project.layout, port, GRACE)?;
    freed.ended.iter().for_each(|words| printer.line(&format!("ended {words}")));
    let left: Vec<String> = freed.refused.into_iter().chain(freed.stuck).collect();
    if !left.is_empty() || !ports::are_free(&[port]) {
        let left = if left.is_empty() { ports::strangers(&project.layout, &[port], &[]) } else { left };
        return Err(Problem::new(Code::PortHeld, left.join("\n")));
    }
    printer.line(&format!("port {port} is free"));
    Ok(0)
}
