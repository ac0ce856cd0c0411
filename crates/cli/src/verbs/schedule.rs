//! `soloist schedule …`: what runs when, and changes of it that hold until somebody takes them back. The table is
//! `schedule/table.rs`, what would come next `schedule/next.rs`.

mod next;
mod table;

use jiff::Timestamp;
use serde::Serialize;
use soloist_api::error::{Code, Problem};
use soloist_api::request::Change;
use soloist_api::schedule::{Clear, Done, Edit, Overridden, Override, Schedules};
use soloist_daemon::{changes, schedules};

use crate::arguments::{Hours, Schedule, ScheduleAct, moment};
use crate::printer::Printer;
use crate::project::{Project, who, with_daemon, with_living_daemon};

/// Exit code 0; 4 for a name nobody has, 2 for what cannot be.
pub async fn schedule(project: &Project, printer: &Printer, wish: Schedule) -> Result<i32, Problem> {
    let is_json = wish.json;
    let (name, verb, edit) = match wish.act {
        ScheduleAct::Ls => {
            let all = all(project).await?;
            if is_json {
                printer.json(&all)
            } else {
                table::show(printer, &all)
            }
            return Ok(0);
        }
        ScheduleAct::Next { name, count } => {
            next::next(project, printer, name.as_deref(), count.into(), is_json)?;
            return Ok(0);
        }
        ScheduleAct::Run { name } => {
            project.config()?;
            // Asked once: a second time would be a second run.
            let change = Change { who: Some(who("schedule run")), ..Change::default() };
            tell(printer, is_json, &project.daemon().await?.run_now(&name, &change).await?);
            return Ok(0);
        }
        ScheduleAct::Override(hours) => {
            tell(printer, is_json, &override_hours(project, hours).await?);
            return Ok(0);
        }
        ScheduleAct::Set { name, every } => (name, "set", Edit { every: Some(every), ..Edit::default() }),
        ScheduleAct::Reset { name } => (name, "reset", Edit { reset: true, ..Edit::default() }),
        ScheduleAct::Pause { name } => (name, "pause", Edit { paused: Some(true), ..Edit::default() }),
        ScheduleAct::Resume { name } => (name, "resume", Edit { paused: Some(false), ..Edit::default() }),
    };
    // A faulty file is told before a daemon is started for it.
    project.config()?;
    let (name, edit) = (&name, &Edit { who: Some(who(&format!("schedule {verb}"))), ..edit });
    let done = with_daemon(project, |client| async move { client.reschedule(name, edit).await }).await?;
    tell(printer, is_json, &done);
    Ok(0)
}

/// All schedules, asked of the daemon, or without one told from the files.
async fn all(project: &Project) -> Result<Schedules, Problem> {
    let asked = with_living_daemon(project, |client| async move { client.schedules().await });
    if let Some(all) = asked.await? {
        return Ok(all);
    }
    let changed = changes::read(&project.layout).map_err(|e| Problem::new(Code::BadConfig, e.to_string()))?;
    Ok(schedules::of(project.status().await?.services, &changed, schedules::now()))
}

async fn override_hours(project: &Project, wish: Hours) -> Result<Overridden, Problem> {
    let config = project.config()?;
    let who = Some(who("schedule override"));
    if wish.clear {
        let clear = &Clear { of: wish.of, who };
        return with_daemon(project, |client| async move { client.clear_overrides(clear).await }).await;
    }
    let zone = schedules::edit::zone_known(&config, &wish.of)?;
    let read = |flag: &str, text: Option<String>| -> Result<Option<Timestamp>, Problem> {
        let Some(text) = text else { return Ok(None) };
        let found = moment(&text, &zone);
        found
            .map(Some)
            .map_err(|how| Problem::new(Code::Usage, format!("{flag} is no moment: `{text}`")).hint(how))
    };
    let (from, until) = (read("--from", wish.from)?, read("--until", wish.until)?);
    let hours = &Override { of: wish.of, open: wish.open, from, until, who };
    with_daemon(project, |client| async move { client.override_hours(hours).await }).await
}

/// What was done, in its own words.
trait Told: Serialize {
    fn text(&self) -> &str;
}

impl Told for Done {
    fn text(&self) -> &str {
        &self.text
    }
}

impl Told for Overridden {
    fn text(&self) -> &str {
        &self.text
    }
}

fn tell(printer: &Printer, is_json: bool, done: &impl Told) {
    if is_json { printer.json(done) } else { printer.line(done.text()) }
}
