//! `soloist takeover`, and `--force`: whoever is on the ports of what is to be started is shown, agreed upon and ended;
//! then it is started as ever.

use std::time::Duration;

use soloist_api::error::Problem;
use soloist_daemon::ports::takeover::{Plan, Wish, plan, take};

use crate::arguments::Force;
use crate::printer::Printer;
use crate::project::{Project, runtime, who};
use crate::verbs::services;

const GRACE: Duration = Duration::from_secs(5);

/// Starts, restarts or ensures each, with force if so wished.
pub fn change(
    project: &Project,
    printer: &Printer,
    verb: &'static str,
    names: &[String],
    force: Force,
) -> Result<i32, Problem> {
    let after = clear(project, printer, verb, names, force)?;
    runtime()?.block_on(services::change(project, printer, verb, names, &after))
}

/// Takes over the ports of these (none: of all), if there is to be force. What was done is told for the cause.
pub fn clear(
    project: &Project,
    printer: &Printer,
    verb: &str,
    names: &[String],
    force: Force,
) -> Result<String, Problem> {
    if !force.force {
        return Ok(String::new());
    }
    let config = project.config()?;
    let own = services::expanded(&config, names);
    let is_meant = |name: &String| names.is_empty() || own.contains(name);
    let meant = config.declared.iter().filter(|declared| is_meant(&declared.name));
    let (own, ports): (Vec<String>, Vec<&[u16]>) =
        meant.map(|declared| (declared.name.clone(), &declared.plan.ports[..])).unzip();
    let who = who(verb);
    let wish = Wish { ports: &ports.concat(), own: &own, grace: GRACE, who: &who };
    let plan = plan(&project.layout, &wish)?;
    if plan.is_empty() {
        return Ok(String::new());
    }
    agree(printer, &plan, force.yes)?;
    let ended = take(&project.layout, &wish, plan, &|words| printer.remark(words))?;
    Ok(format!(", with force, which ended {}", ended.join("; ")))
}

/// Whether it may be done: asked on a terminal, said with `--yes` elsewhere; else the refusal, with the plan.
pub fn agree(printer: &Printer, plan: &Plan, is_yes: bool) -> Result<(), Problem> {
    if is_yes && plan.refused.is_empty() || !is_yes && is_agreed(printer, plan) == Some(true) {
        return Ok(());
    }
    Err(plan.problem("the same with `--yes` does it"))
}

/// Whether somebody was asked, and does not want it.
pub fn is_declined(printer: &Printer, plan: &Plan) -> bool {
    is_agreed(printer, plan) == Some(false)
}

fn is_agreed(printer: &Printer, plan: &Plan) -> Option<bool> {
    if !plan.refused.is_empty() {
        return Some(false);
    }
    let words = plan.words().join("\n  ");
    printer.asks(&format!("This would have to go, in this order:\n  {words}\nEnd it?"))
}
