//! What the board holds of the gap scanner: quotes and scans.

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::rows::moment;
use crate::clock;
use crate::scan::stored::COLUMNS;
use crate::store::Tables;

/// One symbol as the provider told it last; what it did not tell is none.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Quote {
    /// Its symbol.
    pub symbol: String,
    /// The company.
    pub name: Option<String>,
    /// Where it is traded.
    pub exchange: Option<String>,
    /// Of the price.
    pub currency: Option<String>,
    /// In the provider's word: `PRE`, `REGULAR`, `POST`, `CLOSED`.
    pub market_state: Option<String>,
    /// The last price, of this session.
    pub price: Option<f64>,
    /// The regular close before.
    pub previous_close: Option<f64>,
    /// The regular open.
    pub open: Option<f64>,
    /// Of the day.
    pub high: Option<f64>,
    /// Of the day.
    pub low: Option<f64>,
    /// Shares traded today.
    pub volume: Option<f64>,
    /// Shares traded on a usual day.
    pub average_volume: Option<f64>,
    /// What the company is worth.
    pub market_cap: Option<f64>,
    /// How far the session began from the close before, in percent: docs/market-scanner.md.
    pub gap_percent: Option<f64>,
    /// How far the price is from the close before, in percent.
    pub change_percent: Option<f64>,
    /// Volume by what is usual.
    pub relative_volume: Option<f64>,
    /// The class of its gap.
    pub gap_class: Option<String>,
    /// `pre`, `regular`, `after`, `closed`.
    pub session: Option<String>,
    /// When it was traded at this price.
    pub quoted_at: Option<Timestamp>,
    /// When the provider was asked.
    pub fetched_at: Option<Timestamp>,
    /// Seconds since then.
    pub age_seconds: Option<i64>,
}

impl Quote {
    /// The same, so old as it is now.
    pub fn of_now(&self) -> Self {
        Self { age_seconds: self.fetched_at.map(clock::seconds_since), ..self.clone() }
    }
}

/// One round of the scanner.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Scan {
    /// Grows.
    pub id: i64,
    /// Its id at the supervisor, if that started it.
    pub run_id: Option<String>,
    /// `pre`, `regular`, `after`, `closed`.
    pub session: Option<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// `whole`, `partial` or `failed`.
    pub status: String,
    /// So many symbols were wanted,
    pub wanted: Option<i64>,
    /// and so many came,
    pub received: Option<i64>,
    /// by so many requests.
    pub requests: Option<i64>,
    /// How long it took.
    pub duration_ms: Option<f64>,
    /// In words.
    pub message: Option<String>,
}

/// All quotes by symbol, each as old as it is now.
pub fn quotes(tables: &mut dyn Tables) -> Result<Vec<Quote>> {
    let query = format!("SELECT {COLUMNS} FROM quotes ORDER BY symbol");
    let quotes = tables.rows(&query, &[])?.into_iter().map(|mut row| {
        let fetched_at = moment(&mut row, 19)?;
        Ok(Quote {
            symbol: row.text(0)?,
            name: row.maybe_text(1)?,
            exchange: row.maybe_text(2)?,
            currency: row.maybe_text(3)?,
            market_state: row.maybe_text(4)?,
            price: row.maybe_real(5)?,
            previous_close: row.maybe_real(6)?,
            open: row.maybe_real(7)?,
            high: row.maybe_real(8)?,
            low: row.maybe_real(9)?,
            volume: row.maybe_real(10)?,
            average_volume: row.maybe_real(11)?,
            market_cap: row.maybe_real(12)?,
            gap_percent: row.maybe_real(13)?,
            change_percent: row.maybe_real(14)?,
            relative_volume: row.maybe_real(15)?,
            gap_class: row.maybe_text(16)?,
            session: row.maybe_text(17)?,
            quoted_at: moment(&mut row, 18)?,
            fetched_at,
            age_seconds: fetched_at.map(clock::seconds_since),
        })
    });
    quotes.collect()
}

/// The last scan, or the last that got all it wanted.
pub fn last_scan(tables: &mut dyn Tables, is_whole: bool) -> Result<Option<Scan>> {
    let which = if is_whole { "WHERE status = 'whole'" } else { "" };
    let query = format!(
        "SELECT id, run_id, session, started_at, finished_at, status, wanted, received, requests, duration_ms, message \
         FROM scans {which} ORDER BY id DESC LIMIT 1"
    );
    let scan = tables.row(&query, &[])?.map(|mut row| {
        Ok(Scan {
            id: row.int(0)?,
            run_id: row.maybe_text(1)?,
            session: row.maybe_text(2)?,
            started_at: moment(&mut row, 3)?,
            finished_at: moment(&mut row, 4)?,
            status: row.text(5)?,
            wanted: row.maybe_int(6)?,
            received: row.maybe_int(7)?,
            requests: row.maybe_int(8)?,
            duration_ms: row.maybe_real(9)?,
            message: row.maybe_text(10)?,
        })
    });
    scan.transpose()
}
