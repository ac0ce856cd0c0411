//! `soloist schedule ls`: what runs when, as a table that fits 80 columns, with what was changed below each row.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use soloist_api::schedule::{Named, Override, Schedules};
use soloist_daemon::schedules;
use soloist_daemon::why::local;

use crate::printer::{Printer, Tone, WIDTH};
use crate::text::{cut, wrap};
use crate::verbs::status::{exit_word, until};

/// Shows all of it.
pub fn show(printer: &Printer, all: &Schedules) {
    let faint = |text: &str| printer.line(&printer.tone(text, Tone::Faint));
    if all.schedules.is_empty() {
        faint("nothing here has a schedule: give a job `every`, `cron` or `at`, a service a `window`");
    } else {
        rows(printer, &all.schedules);
    }
    for hours in &all.overrides {
        let of = |one: &&Named| one.schedule.window.as_ref() == Some(&hours.of);
        let zone = all.schedules.iter().find(of).and_then(|one| one.schedule.zone.as_deref());
        faint(&overridden(hours, &schedules::edit::zone(zone.unwrap_or_default())));
    }
    if !all.zones.is_empty() {
        faint(&format!("time zones: {}", all.zones));
    }
    for warning in &all.warnings {
        for line in wrap(&format!("warning: {warning}"), printer.columns()) {
            printer.line(&printer.tone(&line, Tone::Bad));
        }
    }
}

fn rows(printer: &Printer, all: &[Named]) {
    let widest = |of: fn(&Named) -> usize, least: usize| all.iter().map(of).max().unwrap_or(0).max(least);
    let name = widest(|one| one.name.chars().count(), 4);
    let window = widest(|one| window_of(one).chars().count(), 6);
    // Seven columns, two spaces between them.
    let when = WIDTH
        .saturating_sub(name + window + 9 + 6 + 9 + 10)
        .clamp(12, widest(|one| when_of(one).chars().count(), 12));
    printer.line(&format!(
        "{:<name$}  {:<when$}  {:<window$}  {:<9}  {:<6}  LAST",
        "NAME", "WHEN", "WINDOW", "STATE", "NEXT"
    ));
    for one in all {
        let schedule = &one.schedule;
        let state = if schedule.paused { "paused" } else { &one.state };
        let next = schedule.next.map_or_else(|| "-".to_owned(), |at| until(at, Timestamp::now()));
        let row = format!(
            "{:<name$}  {:<when$}  {:<window$}  {}  {next:<6}  {}",
            one.name,
            cut(&when_of(one), when),
            window_of(one),
            printer.state(state, 9),
            last(one)
        );
        printer.line(row.trim_end());
        for note in schedules::changed(schedule).into_iter().chain(schedules::queued(schedule)) {
            printer.line(&printer.tone(&format!("{:name$}  {note}", ""), Tone::Faint));
        }
    }
}

fn when_of(one: &Named) -> String {
    if one.schedule.triggers.is_empty() {
        "in its hours".to_owned()
    } else {
        one.schedule.triggers.join("; ")
    }
}

/// `NSE open`, `NSE closed`.
fn window_of(one: &Named) -> String {
    match (&one.schedule.window, one.schedule.open) {
        (Some(window), Some(is_open)) => format!("{window} {}", if is_open { "open" } else { "closed" }),
        (Some(window), None) => window.clone(),
        (None, _) => "-".to_owned(),
    }
}

fn last(one: &Named) -> String {
    match &one.schedule.answer {
        Some(answer) => if answer.ok { "ok" } else { "error" }.to_owned(),
        None => one.exit.map(exit_word).unwrap_or_default(),
    }
}

fn overridden(hours: &Override, zone: &TimeZone) -> String {
    let now = Timestamp::now();
    let moment = |at: Option<Timestamp>| at.map_or("ever".to_owned(), |at| local(at, now, zone));
    let begin = hours
        .from
        .filter(|from| *from > now)
        .map_or(String::new(), |at| format!(" from {}", moment(Some(at))));
    let how = if hours.open { "open" } else { "closed" };
    let by = hours.who.as_ref().map_or(String::new(), |who| format!(", ordered by {who}"));
    format!("{} is {how}{begin} until {}{by}", hours.of, moment(hours.until))
}
