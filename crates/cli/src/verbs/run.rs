//! `soloist run NAME -- COMMAND`: any command as a singleton.

use std::path::Path;

use soloist_api::error::{Code, Problem};
use soloist_daemon::config::{self, is_name};
use soloist_daemon::foreground::{Ended, Wish, run as run_in_foreground};
use soloist_daemon::ports::takeover::Plan;

use crate::arguments::{Run, Scope};
use crate::project::Project;
use crate::verbs::takeover::agree;

/// Returns with the command's exit code.
pub fn run(project: &Project, asked: Run) -> Result<i32, Problem> {
    if let Err(why) = is_name(&asked.name) {
        return Err(Problem::new(Code::Usage, format!("`{}` cannot be a name: {why}", asked.name)));
    }
    let pid_file = asked.pid_file.map(|path| absolute(&path)).transpose()?;
    let wish = Wish {
        name: asked.name,
        argv: asked.command,
        port: asked.port,
        scope: match asked.scope {
            Scope::Project => config::Scope::Project,
            Scope::Machine => config::Scope::Machine,
        },
        pid_file,
        wait: asked.wait,
        force: asked.force,
        grace: asked.stop_grace,
    };
    let printer = crate::printer::Printer::new();
    let say = |text: &str| printer.remark(text);
    let agree = |plan: &Plan| agree(&printer, plan, asked.yes);
    match run_in_foreground(&project.layout, &wish, &say, &agree)? {
        Ended::With(exit) => Ok(exit.shell_code()),
        Ended::NotStarted(code, why) => {
            printer.remark(&format!("error: {}: {why}", wish.name));
            Ok(code)
        }
    }
}

fn absolute(path: &Path) -> Result<std::path::PathBuf, Problem> {
    Ok(std::path::absolute(path)?)
}
