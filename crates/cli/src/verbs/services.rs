//! `start`, `stop`, `restart`, `ensure`: one change, one or more services.

use soloist_api::error::{Code, Problem};
use soloist_api::request::Change;
use soloist_api::status::ServiceStatus;
use soloist_daemon::config::Config;
use soloist_daemon::runs;

use crate::printer::Printer;
use crate::project::{Project, who, with_daemon, with_living_daemon};
use crate::verbs::status::{moment, next};

/// Starts, restarts or ensures each; all are tried, the first problem's code is the exit code. `after`: what was done
/// for it before, told with the cause.
pub async fn change(
    project: &Project,
    printer: &Printer,
    verb: &'static str,
    names: &[String],
    after: &str,
) -> Result<i32, Problem> {
    // A faulty file is told before anything is started, the daemon included.
    let config = project.config_or_empty()?;
    let mut code = 0;
    for name in &expanded(&config, names) {
        let is_known = config.declared.iter().any(|d| d.name == *name)
            || runs::place_of(&project.layout, name).is_some()
            || project.layout.place(name).record().exists();
        let result = if is_known {
            with_daemon(project, |client| async move {
                let who = Some(who(verb) + after);
                client.change(name, verb, &Change { who, ..Change::default() }).await
            })
            .await
        } else {
            Err(runs::unknown(name, &config))
        };
        match result {
            Ok(status) => printer.line(&one_line(&status)),
            Err(problem) => {
                printer.problem(&problem);
                code = if code == 0 { problem.code.exit_code() } else { code };
            }
        }
    }
    Ok(code)
}

/// A keyed service's name stands for all its instances.
pub fn expanded(config: &Config, names: &[String]) -> Vec<String> {
    let of = |name: &String| -> Vec<String> {
        let instances: Vec<String> = config.instances_of(name).map(|d| d.name.clone()).collect();
        if instances.is_empty() { vec![name.clone()] } else { instances }
    };
    names.iter().flat_map(of).collect()
}

/// Stops each; without a daemon there are only runs to stop.
pub async fn stop(project: &Project, printer: &Printer, names: &[String]) -> Result<i32, Problem> {
    // A faulty file must not keep anybody from stopping.
    let names = project.config_or_empty().map_or_else(|_| names.to_vec(), |config| expanded(&config, names));
    let mut code = 0;
    for name in &names {
        let stopped = with_living_daemon(project, |client| async move {
            client.change(name, "stop", &Change { who: Some(who("stop")), ..Change::default() }).await
        });
        let result = match stopped.await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => stop_alone(project, name),
            Err(problem) => Err(problem),
        };
        match result {
            Ok(()) => printer.line(&format!("{name} stopped")),
            Err(problem) => {
                printer.problem(&problem);
                code = if code == 0 { problem.code.exit_code() } else { code };
            }
        }
    }
    Ok(code)
}

fn stop_alone(project: &Project, name: &str) -> Result<(), Problem> {
    if runs::stop_alone(&project.layout, name)? {
        return Ok(());
    }
    let config = project.config_or_empty()?;
    let is_known =
        config.declared.iter().any(|d| d.name == name) || project.layout.place(name).record().exists();
    if is_known { Ok(()) } else { Err(runs::unknown(name, &config)) }
}

/// A service in one line: `api ready, pid 123, http://localhost:9000`.
pub fn one_line(status: &ServiceStatus) -> String {
    if let Some(refusal) = status.refusal.as_ref().filter(|_| status.is_down()) {
        return format!("{}: {}", status.name, refusal.detail);
    }
    let mut line = format!("{} {}", status.name, status.state);
    if let Some(pid) = status.pid {
        line.push_str(&format!(", pid {pid}"));
    }
    for port in &status.ports {
        line.push_str(&format!(", http://localhost:{port}"));
    }
    if status.state == "scheduled"
        && let Some(next) = next(status)
    {
        line.push_str(&format!(", next run at {}", moment(status, next)));
    }
    if let Some(guard) = status.holder.as_ref().filter(|h| h.kind == "run").and_then(|h| h.guard) {
        line.push_str(&format!(" (held by `soloist run`, pid {guard})"));
    }
    line
}

/// The exit code that tells a service's state.
pub fn code_of(status: &ServiceStatus) -> i32 {
    match status.state.as_str() {
        "ready" | "running" | "scheduled" | "completed" => 0,
        _ if status.refusal.is_some() => {
            status.refusal.as_ref().map_or(1, |refusal| refusal.code.exit_code())
        }
        "stopped" => Code::NotRunning.exit_code(),
        "conflict" => Code::PortHeld.exit_code(),
        "standby" => Code::ClaimHeld.exit_code(),
        "starting" | "claiming" | "stopping" => Code::NotReady.exit_code(),
        _ => Code::Unhealthy.exit_code(),
    }
}
