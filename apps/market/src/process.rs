//! One cycle: read both workbooks, make their rows, store them in one transaction, say so in one line.
//! A refused workbook leaves the last good rows and adds the reason to the history of runs.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

use crate::historical::Historical;
use crate::live::Live;
use crate::refusal::{Oddities, Refusal};
use crate::store::{Change, Source, Store};
use crate::symbols::{Roster, normalize};
use crate::workbook::bounds::{self, Fingerprint};
use crate::workbook::{Workbook, guarded, whole};

/// Raise it when the same workbooks give other rows than before.
const RULES: u32 = 1;
/// How often a run without news is written to the history.
const REPEAT_AFTER_SECONDS: i64 = 60;

/// What to process, and where to.
#[derive(Debug, Clone)]
pub struct Order {
    /// The folder of both workbooks.
    pub dir: PathBuf,
    /// The database.
    pub database: PathBuf,
    /// A list of symbols; otherwise `symbols.txt` in the folder if there is one, otherwise every stock.
    pub symbols: Option<PathBuf>,
    /// The day whose sheets are wanted; otherwise today at the exchange.
    pub today: Option<Date>,
}

/// Runs one cycle and returns the line to log.
pub fn run(order: &Order) -> Result<String> {
    let began = Instant::now();
    let mut store = Store::open(&order.database)?;
    let change = store.begin()?;
    let now = timestamp();
    let (source, news) = match cycle(order, &change, &now) {
        Ok(done) => done,
        Err(Failure::Refused(refusal)) => {
            let message = format!("{refusal}; the last good rows stay");
            change.record("error", 0, &message, &now)?;
            change.commit()?;
            return Err(anyhow!(message));
        }
        Err(Failure::Store(error)) => return Err(error),
    };
    change.commit()?;
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

fn cycle(order: &Order, change: &Change<'_>, now: &str) -> Result<(Source, String), Failure> {
    let today = order.today.unwrap_or_else(today_at_the_exchange);
    let mut roster = roster(order)?;
    let [(historical_path, historical), (live_path, live)] = whole::read_pair(&order.dir)?;
    let places = [historical_path.display().to_string(), live_path.display().to_string()];
    let prints = guarded("the workbooks", || {
        Ok([bounds::check(&places[0], &historical)?, bounds::check(&places[1], &live)?])
    })?;
    let fingerprint = fingerprint(prints, &mut roster, today);
    if let Some(source) = change.source()?.filter(|source| source.fingerprint == fingerprint) {
        if is_due(change.last_run()?, now) {
            let message = format!("{} (workbooks unchanged)", source.message);
            change.record("success", source.stocks_processed, &message, now)?;
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

    let (stocks_processed, rows) = change.replace(&historical, &live, &mut roster, now)?;
    let stocks_total = i64::try_from(roster.stocks().len()).unwrap_or(i64::MAX);
    let mut oddities = historical.oddities;
    oddities.join(live.oddities);
    let message = message(stocks_processed, stocks_total, &oddities, &historical.doubts);
    let source =
        Source { fingerprint, stocks_processed, stocks_total, historical_sheet, live_sheet, message };
    change.remember(&source, rows, now)?;
    change.record("success", stocks_processed, &source.message, now)?;
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

/// Whether a run without news belongs into the history: it ends a failure, or the last entry is old.
fn is_due(last: Option<(String, String)>, now: &str) -> bool {
    let Some((status, at)) = last else { return true };
    let (Ok(at), Ok(now)) = (at.parse::<DateTime>(), now.parse::<DateTime>()) else { return true };
    let age = now.duration_since(at).as_secs();
    // A clock that was set back must not silence the history.
    status != "success" || !(0..REPEAT_AFTER_SECONDS).contains(&age)
}

/// UTC without a zone, as all times in the tables.
fn timestamp() -> String {
    Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// India has one zone and no summer time, so its offset spares the reading of a time zone database.
fn today_at_the_exchange() -> Date {
    let offset = Offset::from_seconds(5 * 3600 + 30 * 60).unwrap_or(Offset::UTC);
    Timestamp::now().to_zoned(TimeZone::fixed(offset)).date()
}
