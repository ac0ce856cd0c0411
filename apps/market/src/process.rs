//! One cycle: read both workbooks, make their rows, store them in one transaction, say so in one line.
//! A refused workbook leaves the last good rows and adds the reason to the history of runs.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use jiff::civil::Date;

use crate::clock;
use crate::historical::Historical;
use crate::live::Live;
use crate::refusal::{Oddities, Refusal};
use crate::snapshot::{self, Cycle, Source};
use crate::store::{Location, Store, Tables, Writer};
use crate::symbols::{Roster, normalize};
use crate::workbook::bounds::{self, Fingerprint};
use crate::workbook::{Workbook, guarded, whole};

/// Raise it when the same workbooks give other rows than before.
const RULES: u32 = 1;

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

/// Runs one cycle and returns the line to log.
pub fn run(order: &Order) -> Result<String> {
    let began = Instant::now();
    let writer = Writer::of_this_run("processor")?;
    let done = Store::open(&order.database)?.write(&writer, |tables| {
        // A refusal is written to the history, so it ends the transaction well.
        match cycle(order, tables, began) {
            Ok(done) => Ok(Ok(done)),
            Err(Failure::Store(error)) => Err(error),
            Err(Failure::Refused(refusal)) => {
                let message = format!("{refusal}; the last good rows stay");
                snapshot::record(
                    tables,
                    &Cycle { status: "error", message: &message, ..Cycle::of_this_run(began) },
                )?;
                Ok(Err(message))
            }
        }
    })?;
    let (source, news) = done.map_err(|message| anyhow!(message))?;
    Ok(format!(
        "processed {}/{} stocks in {} ms (Historical {}, Live {}){news}",
        source.stocks_processed,
        source.stocks_total,
        began.elapsed().as_millis(),
        source.historical_sheet,
        source.live_sheet,
    ))
}

/// A refusal is written to the history; a failing database cannot be.
enum Failure {
    Refused(Refusal),
    Store(anyhow::Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Store(error)
    }
}

fn cycle(order: &Order, tables: &mut dyn Tables, began: Instant) -> Result<(Source, String), Failure> {
    let today = order.today.unwrap_or_else(clock::today_in_mumbai);
    let mut roster = roster(order)?;
    let [(historical_path, historical), (live_path, live)] = whole::read_pair(&order.dir)?;
    let places = [historical_path.display().to_string(), live_path.display().to_string()];
    let prints = guarded("the workbooks", || {
        Ok([bounds::check(&places[0], &historical)?, bounds::check(&places[1], &live)?])
    })?;
    let fingerprint = fingerprint(prints, &mut roster, today);
    if let Some(source) = snapshot::source(tables)?.filter(|source| source.fingerprint == fingerprint) {
        if snapshot::is_due(tables)? {
            let message = format!("{} (workbooks unchanged)", source.message);
            snapshot::record(tables, &Cycle { message: &message, ..Cycle::of(&source, began) })?;
        }
        return Ok((source, ", workbooks unchanged".to_owned()));
    }

    let mut book = guarded(&places[0], || Workbook::open(&places[0], historical, today))?;
    let historical_sheet = book.sheet().to_owned();
    let historical = guarded(&places[0], || Historical::read(&mut book, &mut roster))?;
    drop(book);
    let mut book = guarded(&places[1], || Workbook::open(&places[1], live, today))?;
    let live_sheet = book.sheet().to_owned();
    let live = guarded(&places[1], || Live::read(&mut book, &mut roster, &historical))?;
    drop(book);

    let (stocks_processed, row_count) = snapshot::replace(tables, &historical, &live, &mut roster)?;
    let stocks_total = i64::try_from(roster.stocks().len()).unwrap_or(i64::MAX);
    let mut oddities = historical.oddities;
    oddities.join(live.oddities);
    let message = message(stocks_processed, stocks_total, &oddities, &historical.doubts);
    let source = Source {
        fingerprint,
        row_count,
        stocks_processed,
        stocks_total,
        historical_sheet,
        live_sheet,
        message,
    };
    snapshot::remember(tables, &source)?;
    let issues = i64::try_from(oddities.count).unwrap_or(i64::MAX);
    snapshot::record(tables, &Cycle { issues, ..Cycle::of(&source, began) })?;
    let news = if oddities.count == 0 { String::new() } else { format!(", {} odd cells", oddities.count) };
    Ok((source, news))
}

fn roster(order: &Order) -> Result<Roster, Refusal> {
    if let Some(path) = &order.symbols {
        return Roster::read(path);
    }
    let beside: &Path = &order.dir.join("symbols.txt");
    if beside.exists() { Roster::read(beside) } else { Ok(Roster::open()) }
}

fn message(stocks: i64, total: i64, oddities: &Oddities, doubts: &Oddities) -> String {
    let mut message = format!("Processed {stocks}/{total} stocks successfully");
    if let Some(first) = &oddities.first {
        message += &format!(". {} errors occurred, the first: {first}", oddities.count);
    }
    if let Some(first) = &doubts.first {
        message += &format!(". {} strikes are far from the price, the first: {first}", doubts.count);
    }
    message
}

/// Equal for two cycles that would store the same rows.
fn fingerprint(prints: [u64; 2], roster: &mut Roster, today: Date) -> String {
    let mut print = Fingerprint::default();
    print.take(&RULES.to_le_bytes());
    print.take(&[u8::from(roster.is_open())]);
    let mut letters = String::new();
    for (name, _) in roster.stocks() {
        normalize(name, &mut letters);
        print.take(name.as_bytes());
        print.take(letters.as_bytes());
    }
    format!("{today}-{:016x}-{:016x}-{:016x}", prints[0], prints[1], print.0)
}
