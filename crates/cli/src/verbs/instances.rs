//! `soloist instances`: the instances of a keyed service; some more, some less, from now on.

use soloist_api::error::{Code, Problem};
use soloist_api::request::{Change, Instances};

use crate::printer::Printer;
use crate::project::{Project, who, with_daemon};
use crate::verbs::services::one_line;

/// Returns when added instances are ready and removed ones verified stopped.
pub async fn instances(
    project: &Project,
    printer: &Printer,
    service: &str,
    add: Vec<String>,
    remove: Vec<String>,
) -> Result<i32, Problem> {
    let mut code = 0;
    if !add.is_empty() || !remove.is_empty() {
        let change = &Instances { add, remove, who: Some(who("instances")) };
        let answer =
            with_daemon(project, |client| async move { client.instances(service, change).await }).await?;
        let up = answer.started.iter().chain(&answer.already).map(|name| (name, "ensure"));
        for (name, verb) in up.chain(answer.removed.iter().map(|name| (name, "stop"))) {
            let change = &Change { who: Some(who("instances")), ..Change::default() };
            let done = with_daemon(project, |client| async move { client.change(name, verb, change).await });
            if let Err(problem) = done.await {
                printer.problem(&problem);
                code = if code == 0 { problem.code.exit_code() } else { code };
            }
        }
    }
    let status = project.status().await?;
    let prefix = format!("{service}@");
    let of: Vec<_> = status.services.iter().filter(|one| one.name.starts_with(&prefix)).collect();
    if of.is_empty() {
        let what = format!("{service} has no keyed instances");
        return Err(Problem::new(Code::UnknownService, what).hint("`soloist status` shows all services"));
    }
    of.into_iter().for_each(|one| printer.line(&one_line(one)));
    Ok(code)
}
