//! One file a verb. Each returns its exit code, or the problem that has one.

mod cleanup;
mod doctor;
mod down;
mod events;
mod free;
mod history;
mod init;
mod instances;
mod logs;
mod open;
mod port;
mod run;
mod schedule;
mod services;
mod status;
mod takeover;
#[cfg(feature = "tui")]
mod top;
mod up;
mod upgrade;
mod wait;
mod who;
mod why;

use soloist_api::error::Problem;

use crate::arguments::{Arguments, Force, Verb};
use crate::printer::Printer;
use crate::project::{Project, runtime};

/// Has the verb do its work.
pub fn perform(arguments: Arguments, printer: &Printer) -> Result<i32, Problem> {
    let project = Project::find(arguments.directory.as_deref(), printer)?;
    match arguments.verb {
        // It guards a process by itself and must not have a runtime beside it.
        Verb::Run(wish) => run::run(&project, wish),
        Verb::Port { name, url, json, wait } => {
            let wish = port::Wish { name, is_url: url, is_json: json, patience: wait };
            runtime()?.block_on(port::port(&project, printer, &wish))
        }
        Verb::Who { port, json } => who::who(&project, printer, port, json),
        Verb::Logs(wish) => logs::logs(&project, printer, wish),
        Verb::Up { detach, now, force, names } => {
            let after = takeover::clear(&project, printer, "up", &names, force)?;
            let wish = up::Wish { is_detached: detach, is_now: now, names, after };
            runtime()?.block_on(up::up(&project, printer, wish))
        }
        Verb::Down => runtime()?.block_on(down::down(&project, printer)),
        Verb::Start { names, force } => takeover::change(&project, printer, "start", &names, force),
        Verb::Takeover { names, yes } => {
            let force = Force { force: true, yes };
            takeover::change(&project, printer, "start", &names, force)
        }
        Verb::Stop { names } => runtime()?.block_on(services::stop(&project, printer, &names)),
        Verb::Restart { names, force } => takeover::change(&project, printer, "restart", &names, force),
        Verb::Ensure { names } => takeover::change(&project, printer, "ensure", &names, Force::default()),
        Verb::Reload { names } => takeover::change(&project, printer, "reload", &names, Force::default()),
        Verb::Status { name, watch, json } => {
            let wish = status::Wish { name, is_watched: watch, is_json: json };
            runtime()?.block_on(status::status(&project, printer, wish))
        }
        #[cfg(feature = "tui")]
        Verb::Top => runtime()?.block_on(top::top(&project, printer)),
        Verb::Instances { service, add, remove } => {
            runtime()?.block_on(instances::instances(&project, printer, &service, add, remove))
        }
        Verb::History { name, since, lines, json } => {
            let wish = history::Wish { name, since, lines, is_json: json };
            runtime()?.block_on(history::history(&project, printer, wish))
        }
        Verb::Schedule(wish) => runtime()?.block_on(schedule::schedule(&project, printer, wish)),
        Verb::Why { name, json } => runtime()?.block_on(why::why(&project, printer, &name, json)),
        Verb::Events { follow, json } => runtime()?.block_on(events::events(&project, printer, follow, json)),
        Verb::Wait { names, goal, timeout } => {
            runtime()?.block_on(wait::wait(&project, printer, &names, goal, timeout))
        }
        Verb::Free { port, force } => free::free(&project, printer, port, force),
        Verb::Doctor { json } => runtime()?.block_on(doctor::doctor(&project, printer, json)),
        Verb::Init { stdout } => init::init(arguments.directory.as_deref(), printer, stdout),
        Verb::Open { print } => runtime()?.block_on(open::open(&project, printer, print)),
        Verb::Upgrade { binary } => {
            runtime()?.block_on(upgrade::upgrade(&project, printer, binary.as_deref()))
        }
        Verb::Cleanup { dry_run, json } => {
            runtime()?.block_on(cleanup::cleanup(&project, printer, dry_run, json))
        }
    }
}
