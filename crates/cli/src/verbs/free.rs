//! `soloist free PORT`: the port is free when it returns with 0, or it is for the service of this project that waits for
//! it. What is ours is stopped as a service is; strangers only with --force; what would come back by itself, or is not this
//! user's, never.

use std::time::Duration;

use soloist_api::error::{Code, Problem};
use soloist_api::status::ServiceStatus;
use soloist_daemon::ports::{self, Class, takeover};

use crate::printer::Printer;
use crate::project::{Project, runtime, who, with_living_daemon};
use crate::verbs::services;

const GRACE: Duration = Duration::from_secs(5);

/// Exit code 6 if somebody still listens.
pub fn free(project: &Project, printer: &Printer, port: u16, force: bool) -> Result<i32, Problem> {
    let waiting = waiting(project, port);
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
    let wish = takeover::Wish { ports: &[port], own: &waiting, grace: GRACE, who: &who };
    let plan = takeover::plan(&project.layout, &wish)?;
    if !plan.is_empty() {
        let is_refused = !plan.refused.is_empty() || !force && !plan.is_own();
        if is_refused || force && super::takeover::is_declined(printer, &plan) {
            return Err(plan.problem(&format!("`soloist free {port} --force` ends them")));
        }
        takeover::take(&project.layout, &wish, plan, &|words| printer.line(words))?;
    }
    if let Some(left) = left(project, port, &waiting)? {
        return Err(Problem::new(Code::PortHeld, left));
    }
    printer.line(&match &waiting[..] {
        [] => format!("port {port} is free"),
        names => format!("port {port} is free for {}, which waited for it", names.join(" or ")),
    });
    Ok(0)
}

/// The services of this project that are in conflict because of the port. Each takes it as soon as it is free, and was
/// to: it is not in the way. A daemon that does not answer keeps nobody from freeing a port.
fn waiting(project: &Project, port: u16) -> Vec<String> {
    let ask = async |project: &Project| {
        with_living_daemon(project, |client| async move { client.status().await }).await
    };
    let told = runtime().and_then(|runtime| runtime.block_on(ask(project)));
    let services = told.ok().flatten().map(|status| status.services).unwrap_or_default();
    let waits = |service: &ServiceStatus| service.state == "conflict" && service.ports.contains(&port);
    services.into_iter().filter(waits).map(|service| service.name).collect()
}

/// Who still listens, in words, and is none of those that waited.
fn left(project: &Project, port: u16, waiting: &[String]) -> Result<Option<String>, Problem> {
    if ports::are_free(&[port]) {
        return Ok(None);
    }
    let mut left = Vec::new();
    for held in ports::who(&project.layout, port)? {
        match &held.class {
            Class::Ours { service } if waiting.contains(service) => {}
            _ => left.push(ports::describe(&held)),
        }
    }
    Ok((!left.is_empty()).then(|| left.join("\n")))
}
