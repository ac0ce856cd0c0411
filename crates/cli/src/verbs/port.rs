//! `soloist port NAME`: where a service is found that is ready, for scripts: `curl "$(soloist port api --url)/health"`.

use std::time::Duration;

use soloist_api::error::{Code, Problem};
use soloist_api::status::ServiceStatus;
use soloist_api::watch::Served;

use crate::arguments::Goal;
use crate::printer::Printer;
use crate::project::Project;
use crate::verbs::{status, wait};

/// What is asked for.
pub struct Wish {
    /// Of which service.
    pub name: String,
    /// The address instead of the number.
    pub is_url: bool,
    /// All that is known of it, as JSON.
    pub is_json: bool,
    /// Wait so long until it is ready.
    pub patience: Option<Duration>,
}

/// Exit code 0; 3 if it does not run, 7 or 5 if it runs and is not ready, 4 for an unknown name.
pub async fn port(project: &Project, printer: &Printer, wish: &Wish) -> Result<i32, Problem> {
    let found = match wish.patience {
        None => status::chosen(&wish.name, &project.status().await?)?.clone(),
        Some(patience) => {
            let names = std::slice::from_ref(&wish.name);
            let mut ready = wait::until(project, names, Goal::Ready, patience).await?;
            ready.remove(&wish.name).ok_or_else(|| several(&wish.name))?
        }
    };
    let served = served(&found)?;
    if wish.is_json {
        printer.json(&served);
    } else {
        printer.line(&if wish.is_url { served.url } else { served.port.to_string() });
    }
    Ok(0)
}

fn served(found: &ServiceStatus) -> Result<Served, Problem> {
    let name = &found.name;
    if found.ports.is_empty() {
        let problem = Problem::new(Code::Error, format!("{name} has no port"));
        return Err(problem.hint("declare it in soloist.toml: `port = 8001`"));
    }
    let run = found.run_id.as_ref().zip(found.pid).filter(|_| found.ready);
    let served = run.and_then(|(run_id, pid)| Served::new(&found.ports, run_id, pid, true));
    served.ok_or_else(|| {
        let code = match (found.pid, found.state.as_str()) {
            (None, _) => Code::NotRunning,
            (Some(_), "unhealthy") => Code::Unhealthy,
            (Some(_), _) => Code::NotReady,
        };
        let note = found.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
        let hint = format!("`soloist start {name}` starts it; `--wait` waits until it is ready");
        Problem::new(code, format!("{name} is {}{note}", found.state)).hint(hint)
    })
}

fn several(name: &str) -> Problem {
    Problem::new(Code::UnknownService, format!("`{name}` has instances, each with a port of its own"))
        .hint(format!("name one of them: `soloist port {name}@KEY`"))
}
