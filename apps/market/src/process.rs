//! The processor: cycle after cycle it reads what has changed of both workbooks, makes their rows, stores them in one
//! transaction, and says so in one line. A refused workbook leaves the last good rows and adds the reason to the history.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use jiff::civil::Date;

use crate::say;
use crate::snapshot::Source;
use crate::store::{Location, Store, Writer};
use crate::workbook::whole::Look;

mod cycle;

use cycle::{Cycle, Kept};

/// What to process, and where to.
#[derive(Debug, Clone)]
pub struct Order {
    /// The folder of both workbooks.
    pub dir: PathBuf,
    /// The database.
    pub database: Location,
    /// A list of symbols; otherwise `symbols.txt` in the folder if there is one, otherwise every stock.
    pub symbols: Option<PathBuf>,
    /// The day whose sheets are wanted; otherwise today at the exchange.
    pub today: Option<Date>,
}

/// What came of a cycle.
#[derive(Debug)]
pub struct Outcome {
    /// One line for people.
    pub line: String,
    /// Whether other rows are stored than before.
    pub has_changed: bool,
}

/// Runs cycles, and keeps from one to the next what saves work.
#[derive(Debug)]
pub struct Processor {
    order: Order,
    writer: Writer,
    store: Option<Open>,
    kept: Kept,
}

/// The open database, and its file as it was opened.
#[derive(Debug)]
struct Open {
    store: Store,
    file: Option<Look>,
}

impl Processor {
    /// A processor that has read nothing yet.
    ///
    /// # Errors
    /// `SOLOIST_TOKEN` is no number.
    pub fn new(order: Order) -> Result<Self> {
        let writer = Writer::of_this_run("processor")?;
        Ok(Self { order, writer, store: None, kept: Kept::default() })
    }

    /// Runs one cycle; `run_id` is its name in the history.
    ///
    /// # Errors
    /// An input was refused, or the database does not take the rows. Then the last good rows stay.
    pub fn turn(&mut self, run_id: Option<&str>) -> Result<Outcome> {
        let began = Instant::now();
        let mut open = self.open()?;
        let cycle = Cycle::of(&self.order, run_id, began);
        // Most cycles end here: nobody has touched the files, and there is nothing to write.
        let known = open.store.read(|tables| cycle.look(tables))?;
        let done = match known {
            Some(source) => Ok((source, false)),
            None => open.store.write(&self.writer, |tables| cycle.run(tables, &mut self.kept))?,
        };
        // After an error of the store it is opened anew.
        self.store = Some(open);
        match done {
            Ok((source, has_changed)) => Ok(Outcome { line: line(&source, has_changed, began), has_changed }),
            Err(message) => bail!(message),
        }
    }

    /// The database, opened anew if there is another file in its place by now.
    fn open(&mut self) -> Result<Open> {
        let file = || match &self.order.database {
            Location::File(path) => Look::at(path),
            Location::Server(_) => None,
        };
        if let Some(open) = self.store.take() {
            let is_same = match (&open.file, file()) {
                (Some(then), Some(now)) => then.is_same_file(&now),
                (then, now) => then.is_none() && now.is_none(),
            };
            if is_same {
                return Ok(open);
            }
        }
        let store = Store::open(&self.order.database)?;
        Ok(Open { store, file: file() })
    }
}

/// Runs one cycle as a run of its own.
pub fn once(mut processor: Processor) -> Result<()> {
    let run_id = std::env::var("SOLOIST_RUN_ID").ok();
    processor.turn(run_id.as_deref()).map(|outcome| say::line(outcome.line))
}

/// A cycle that went well, in one line.
fn line(source: &Source, has_changed: bool, began: Instant) -> String {
    let news = match (has_changed, source.issues) {
        (false, _) => ", workbooks unchanged".to_owned(),
        (true, 0) => String::new(),
        (true, count) => format!(", {count} odd cells"),
    };
    format!(
        "processed {}/{} stocks in {} ms (Historical {}, Live {}){news}",
        source.stocks_processed,
        source.stocks_total,
        began.elapsed().as_millis(),
        source.historical_sheet,
        source.live_sheet,
    )
}
