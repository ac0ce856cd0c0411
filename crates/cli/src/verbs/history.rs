//! `soloist history`: what happened, as a table or as JSON. Asks the daemon, or without one reads the file itself.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use soloist_api::error::Problem;
use soloist_api::history::{Entry, History, HistoryQuery};
use soloist_daemon::history::read::read;
use soloist_daemon::{runs, why};

use crate::printer::{Printer, Tone};
use crate::project::Project;
use crate::verbs::status::exit_word;

/// What is asked for.
pub struct Wish {
    /// Only this one.
    pub name: Option<String>,
    /// Only from then on.
    pub since: Option<Timestamp>,
    /// At most so many lines, the newest.
    pub lines: u32,
    /// As JSON.
    pub is_json: bool,
}

/// Exit code 4 for a service nobody knows and nothing happened to.
pub async fn history(project: &Project, printer: &Printer, wish: Wish) -> Result<i32, Problem> {
    let query =
        HistoryQuery { service: wish.name.clone(), since: wish.since, after: None, limit: Some(wish.lines) };
    let found = past(project, &query).await?;
    if let Some(name) = wish.name.filter(|_| found.entries.is_empty()) {
        be_known(project, &name).await?;
    }
    if wish.is_json {
        printer.json(&found);
    } else if found.entries.is_empty() {
        printer.line(&printer.tone("nothing happened here, as far as the history goes back", Tone::Faint));
    } else {
        let table = Table::of(&found.entries);
        table.head(printer);
        found.entries.iter().for_each(|entry| table.row(printer, entry));
    }
    Ok(0)
}

/// Refuses a name that nobody has or ever had.
async fn be_known(project: &Project, name: &str) -> Result<(), Problem> {
    let ever = HistoryQuery { service: Some(name.to_owned()), limit: Some(1), ..HistoryQuery::default() };
    if !past(project, &ever).await?.entries.is_empty() {
        return Ok(());
    }
    let status = project.status().await?;
    let is_it = |known: &str| known == name || known.split('@').next() == Some(name);
    if status.services.iter().any(|service| is_it(&service.name)) {
        return Ok(());
    }
    Err(runs::unknown_among(name, status.services.iter().map(|s| s.name.as_str())))
}

/// What the history tells, with or without a daemon.
pub async fn past(project: &Project, query: &HistoryQuery) -> Result<History, Problem> {
    match project.living_daemon().await? {
        Some(client) => client.history(query).await,
        None => read(&project.layout.history(), query),
    }
}

/// Columns as wide as what is in them.
pub struct Table {
    service: usize,
    zone: TimeZone,
}

impl Table {
    /// Wide enough for these.
    pub fn of(entries: &[Entry]) -> Table {
        Table::wide_enough_for(entries.iter().map(|entry| entry.service.as_str()))
    }

    /// Wide enough for services of these names.
    pub fn wide_enough_for<'a>(names: impl Iterator<Item = &'a str>) -> Table {
        let service = names.map(|name| name.chars().count()).max().unwrap_or(0).max(7);
        Table { service, zone: TimeZone::system() }
    }

    /// The names of the columns.
    pub fn head(&self, printer: &Printer) {
        let service = self.service;
        printer.line(&format!(
            "{:<23}  {:<service$}  {:<11}  {:<9}  {:>12}  {:>8}  WHY",
            "TIME", "SERVICE", "WHAT", "EXIT", "TOOK", "PEAK"
        ));
    }

    /// One line.
    pub fn row(&self, printer: &Printer, entry: &Entry) {
        let service = self.service;
        let when = printer.tone(&why::instant(entry.at, &self.zone), Tone::Faint);
        let name = if entry.service.is_empty() { "-" } else { &entry.service };
        let what = format!("{:<11}", entry.what);
        let what = tone(&entry.what).map_or(what.clone(), |tone| printer.tone(&what, tone));
        let exit = entry.exit.map(exit_word).unwrap_or_default();
        let took = entry.duration_ms.map(why::span).unwrap_or_default();
        let peak = entry.peak_kib.map(size).unwrap_or_default();
        // What others wrote may hold anything; a row is one line.
        let words: String = words(entry).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let row = format!("{when}  {name:<service$}  {what}  {exit:<9}  {took:>12}  {peak:>8}  {words}");
        printer.line(row.trim_end());
    }
}

/// Why: who or what caused it, and more: `12 runs: missed while the machine slept`.
fn words(entry: &Entry) -> String {
    let detail = entry.detail.clone().unwrap_or_default();
    let detail = match entry.count {
        Some(count) if count > 1 => format!("{count} runs: {detail}"),
        Some(_) | None => detail,
    };
    let parts = [entry.cause.clone().unwrap_or_default(), detail];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

/// How the words of the history are shown; the others are plain.
fn tone(what: &str) -> Option<Tone> {
    match what {
        "ready" => Some(Tone::Good),
        "stopping" | "restarting" | "standby" | "skipped" | "rescheduled" | "clock-set" | "log-full" => {
            Some(Tone::Busy)
        }
        "unhealthy" | "not-started" | "failed" | "refused" | "conflict" | "guard-lost" | "lost" => {
            Some(Tone::Bad)
        }
        "adopted" => Some(Tone::Faint),
        _ => None,
    }
}

/// `512 KiB`, `12.3 MiB`, `1.5 GiB`.
pub fn size(kib: u64) -> String {
    match kib {
        0..1_024 => format!("{kib} KiB"),
        1_024..1_048_576 => format!("{:.1} MiB", kib as f64 / 1_024.0),
        _ => format!("{:.1} GiB", kib as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_are_counted() {
        let told = |cause: Option<&str>, count, detail: &str| {
            words(&Entry {
                cause: cause.map(str::to_owned),
                count,
                detail: Some(detail.to_owned()),
                ..soloist_daemon::history::blank(Timestamp::UNIX_EPOCH, "scan", "skipped".to_owned())
            })
        };
        assert_eq!(
            told(None, Some(12), "missed while the machine slept"),
            "12 runs: missed while the machine slept"
        );
        assert_eq!(told(None, Some(1), "it was at work"), "it was at work");
        assert_eq!(told(Some("ada"), None, "every 6s → 10s"), "ada; every 6s → 10s");
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        assert_eq!(
            [0, 1_023, 1_024, 12_600, 1_572_864].map(size),
            ["0 KiB", "1023 KiB", "1.0 MiB", "12.3 MiB", "1.5 GiB"]
        );
    }
}
