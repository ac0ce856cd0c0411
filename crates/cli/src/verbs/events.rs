//! `soloist events`: the last lines of the history, and what happens from now on.

use soloist_api::error::{Code, Problem};
use soloist_api::event::Event;
use soloist_api::history::{Entry, HistoryQuery};

use crate::printer::Printer;
use crate::project::Project;
use crate::verbs::history::{Table, past};

/// So many lines of the past are shown.
const LINES: u32 = 20;

/// Exit code 3 if there is no daemon to follow.
pub async fn events(
    project: &Project,
    printer: &Printer,
    is_followed: bool,
    is_json: bool,
) -> Result<i32, Problem> {
    let query = HistoryQuery { limit: Some(LINES), ..HistoryQuery::default() };
    if !is_followed {
        let found = past(project, &query).await?;
        let table = Table::of(&found.entries);
        found.entries.iter().for_each(|entry| show(printer, &table, entry, is_json));
        return Ok(0);
    }
    let Some(client) = project.living_daemon().await? else {
        let said = "no daemon runs here, so nothing happens that could be followed";
        return Err(Problem::new(Code::NotRunning, said).hint("`soloist up -d` starts the project"));
    };
    // Events first, so that none is missed between; what comes twice is shown once.
    let mut events = client.events_and_history().await?;
    let found = client.history(&query).await?;
    let names = client.status().await?.services;
    let table = Table::wide_enough_for(names.iter().map(|service| service.name.as_str()));
    found.entries.iter().for_each(|entry| show(printer, &table, entry, is_json));
    let shown = found.entries.iter().map(|entry| entry.id).max().unwrap_or(0);
    while let Some(event) = events.next().await {
        match event {
            // Id 0: the disk does not take it, which makes it no less true.
            Event::History(entry) if entry.id == 0 || entry.id > shown => {
                show(printer, &table, &entry, is_json);
            }
            Event::Resync => printer.remark("some events were missed; `soloist history` has them all"),
            Event::History(_) | Event::Service(_) | Event::Removed { .. } | Event::Samples(_) => {}
        }
    }
    printer.remark("the daemon ended");
    Ok(0)
}

fn show(printer: &Printer, table: &Table, entry: &Entry, is_json: bool) {
    if is_json { printer.json_line(entry) } else { table.row(printer, entry) }
}
