//! `soloist schedule next`: the next runs as soloist.toml tells them, with what was changed since.

use jiff::Timestamp;
use soloist_api::error::{Code, Problem};
use soloist_api::schedule::Upcoming;
use soloist_daemon::config::Declared;
use soloist_daemon::schedules;

use crate::printer::{Printer, Tone};
use crate::project::Project;

/// Shows them, of one instance or keyed service, or of all.
pub fn next(
    project: &Project,
    printer: &Printer,
    name: Option<&str>,
    count: usize,
    is_json: bool,
) -> Result<(), Problem> {
    let config = project.config()?;
    let meant: Vec<&Declared> = match name {
        Some(name) => schedules::edit::instances(&config, name)?,
        None => config.declared.iter().filter(|declared| declared.lane_of.is_none()).collect(),
    };
    let now = schedules::now();
    let found: Vec<Upcoming> =
        meant.iter().filter_map(|declared| schedules::upcoming(declared, count, now)).collect();
    if let Some(name) = name.filter(|_| found.is_empty()) {
        let hint = "give it one in soloist.toml: `every`, `cron`, `at` or `window`";
        return Err(Problem::new(Code::Usage, format!("{name} has no schedule")).hint(hint));
    }
    if is_json {
        printer.json(&found);
    } else if found.is_empty() {
        printer.line(&printer.tone("nothing here has a schedule", Tone::Faint));
    } else {
        found.iter().for_each(|one| show(printer, one));
    }
    Ok(())
}

fn show(printer: &Printer, one: &Upcoming) {
    let hours = one.window.as_ref().map(|window| format!("in {window}"));
    let parts: Vec<String> = one.triggers.iter().cloned().chain(hours).collect();
    printer.line(&format!("{}: {}", one.name, parts.join(", ")));
    let zone = schedules::edit::zone(one.zone.as_deref().unwrap_or_default());
    for at in &one.next {
        let shown = at.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M:%S %Z (%:z)").to_string();
        printer.line(&format!("  {shown}  in {}", ahead(*at)));
    }
    for note in &one.notes {
        printer.line(&printer.tone(&format!("  {note}"), Tone::Faint));
    }
}

/// `3h 12m`: two units tell enough.
fn ahead(at: Timestamp) -> String {
    let seconds = (at.as_millisecond() - Timestamp::now().as_millisecond() + 500).max(0) / 1000;
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let first = units.iter().position(|(_, size)| seconds >= *size).unwrap_or(units.len() - 1);
    let mut left = seconds;
    let parts = units[first..].iter().take(2).map(|(unit, size)| {
        let count = left / size;
        left %= size;
        (count, format!("{count}{unit}"))
    });
    let parts: Vec<(i64, String)> = parts.collect();
    let shown = parts.into_iter().enumerate().filter(|(place, (count, _))| *place == 0 || *count > 0);
    shown.map(|(_, (_, text))| text).collect::<Vec<_>>().join(" ")
}
