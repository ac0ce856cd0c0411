//! `status --watch`: told again with every change, on a terminal in its place, else below. It ends with Ctrl+C.

use std::pin::pin;
use std::time::Duration;

use jiff::Timestamp;
use soloist_api::error::Problem;
use soloist_api::status::{ServiceStatus, Status};
use tokio::signal::unix::{SignalKind, signal};

use super::{Wish, text};
use crate::feed::{Change, View, follow, pipe};
use crate::interrupts::Interrupts;
use crate::printer::Printer;
use crate::project::Project;

/// How old a time on the terminal may be: `for 12s`.
const TICK: Duration = Duration::from_secs(1);

/// Exit code 0, when it is asked to end or nobody reads it any more.
pub async fn watch(project: &Project, printer: &Printer, wish: &Wish) -> Result<i32, Problem> {
    let mut interrupts = Interrupts::new()?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut ticks = tokio::time::interval(TICK);
    let (sender, mut news) = pipe();
    let mut feed = pin!(follow(project, sender, false));
    let (mut view, mut shown) = (View::new(), Shown::default());
    loop {
        let has_changed = tokio::select! {
            never = &mut feed => match never {},
            Some(one) = news.recv() => {
                let mut has_changed = is_of(wish, &view.take(one, Timestamp::now()));
                // What is written over at once need not be written.
                while printer.is_terminal() && let Ok(one) = news.try_recv() {
                    has_changed |= is_of(wish, &view.take(one, Timestamp::now()));
                }
                has_changed
            }
            _ = ticks.tick() => printer.is_terminal() && shown.is_any,
            _ = resized.recv() => printer.is_terminal() && shown.is_any,
            () = interrupts.next() => return Ok(0),
        };
        if has_changed
            && shown.is_otherwise(printer, wish, &view)
            && shown.show(printer, wish, &view).is_err()
        {
            return Ok(0);
        }
    }
}

/// Whether it is a change of what is asked for.
fn is_of(wish: &Wish, change: &Change) -> bool {
    match change {
        Change::None => false,
        Change::One(name) => wish.name.as_ref().is_none_or(|asked| asked == name),
        Change::All => true,
    }
}

/// What stands on the terminal.
#[derive(Default)]
struct Shown {
    is_any: bool,
    /// The one that is asked for, and what was said beside.
    one: Option<(ServiceStatus, Option<String>)>,
    lines: usize,
}

impl Shown {
    /// Whether it is to be shown again: all of it was looked at anew, which may be no news of the one that is asked for.
    fn is_otherwise(&mut self, printer: &Printer, wish: &Wish, view: &View) -> bool {
        let is_asked = |service: &&ServiceStatus| wish.name.as_ref() == Some(&service.name);
        let found = view.status.services.iter().find(is_asked);
        let one = found.map(|found| (ServiceStatus { revision: 0, ..found.clone() }, view.notice.clone()));
        let is_same = one.is_some() && self.one == one;
        self.one = one;
        !is_same || printer.is_terminal()
    }

    fn show(&mut self, printer: &Printer, wish: &Wish, view: &View) -> std::io::Result<()> {
        let is_first = !std::mem::replace(&mut self.is_any, true);
        if wish.is_json {
            let mut status = view.status.clone();
            status.services.retain(|service| wish.name.as_ref().is_none_or(|name| *name == service.name));
            return json(printer, &status);
        }
        let mut lines = text(printer, wish, &view.status, view.notice.as_deref());
        if !printer.is_terminal() {
            let above = if is_first { "" } else { "\n" };
            return printer.bytes(format!("{above}{}\n", lines.join("\n")).as_bytes());
        }
        // What has left the terminal at its top cannot be written over.
        let rows = printer.size().map_or(usize::MAX, |(_, rows)| rows.saturating_sub(1).max(1));
        if lines.len() > rows {
            let left = lines.len() - rows + 1;
            lines.truncate(rows - 1);
            lines.push(printer.cut(&format!("… and {left} more lines: the terminal is too low")));
        }
        let before = std::mem::replace(&mut self.lines, lines.len());
        printer.lines_again(before.min(rows), &lines)
    }
}

fn json(printer: &Printer, status: &Status) -> std::io::Result<()> {
    let text = serde_json::to_string(status)?;
    printer.bytes(format!("{text}\n").as_bytes())
}
