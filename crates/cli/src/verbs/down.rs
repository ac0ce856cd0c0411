//! `soloist down`: everything of the project stopped, verified, and its daemon with it.

use soloist_api::error::Problem;
use soloist_api::request::Down;
use soloist_daemon::runs;

use crate::printer::Printer;
use crate::project::{Project, take_down, who, with_living_daemon};

/// Exit code 1 if anything could not be stopped.
pub async fn down(project: &Project, printer: &Printer) -> Result<i32, Problem> {
    let answer = with_living_daemon(project, |client| async move {
        take_down(&client, Down { names: Vec::new(), who: Some(who("down")) }).await
    });
    let code = match answer.await? {
        Some(answer) => {
            answer.stopped.iter().for_each(|name| printer.line(&format!("{name} stopped")));
            answer.stuck.iter().for_each(|words| printer.remark(&format!("error: {words}")));
            if answer.daemon_ends && answer.stopped.is_empty() {
                printer.line("nothing was running; the daemon ended");
            }
            i32::from(!answer.stuck.is_empty())
        }
        None => {
            printer.line("nothing was running");
            0
        }
    };
    for run in runs::living(&project.layout) {
        printer.line(&format!(
            "left running: {} (started by `soloist run`; `soloist stop {0}` ends it)",
            run.name
        ));
    }
    Ok(code)
}
