//! `soloist free PORT`: the port is free when it returns with 0. What is ours is stopped as a service is; strangers
//! only with --force; what would come back by itself, or is not this user's, never.

use std::time::Duration;

use soloist_api::error::{Code, Problem};
use soloist_daemon::ports::{self, Class, takeover};

use crate::printer::Printer;
use crate::project::{Project, runtime, who};
use crate::verbs::services;

const GRACE: Duration = Duration::from_secs(5);

/// Exit code 6 if somebody still listens.
pub fn free(project: &Project, printer: &Printer, port: u16, force: bool) -> Result<i32, Problem> {
    let mut ours: Vec<String> = Vec::new();
    for listener in ports::who(&project.layout, port)? {
        if let Class::Ours { service } = listener.class
            && !ours.contains(&service)
        {
            ours.push(service);
        }
    }
    if !ours.is_empty() {
        runtime()?.block_on(services::stop(project, printer, &ours))?;
    }
    let who = who("free");
    let wish = takeover::Wish { ports: &[port], own: &[], grace: GRACE, who: &who };
    let plan = takeover::plan(&project.layout, &wish)?;
    if !plan.is_empty() {
        let is_refused = !plan.refused.is_empty() || !force && !plan.is_own();
        if is_refused || force && super::takeover::is_declined(printer, &plan) {
            return Err(plan.problem(&format!("`soloist free {port} --force` ends them")));
        }
        takeover::take(&project.layout, &wish, plan, &|words| printer.line(words))?;
    }
    if !ports::are_free(&[port]) {
        let left = ports::strangers(&project.layout, &[port], &[]);
        return Err(Problem::new(Code::PortHeld, left.join("\n")));
    }
    printer.line(&format!("port {port} is free"));
    Ok(0)
}
