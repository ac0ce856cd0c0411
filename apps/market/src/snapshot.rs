//! What the server reads: every answer from one read transaction, so never a mixture of two cycles.
//! It opens the database read-only and makes nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use serde::Serialize;

use crate::symbols::normalize;

const BUSY: Duration = Duration::from_secs(5);

/// A row of Historical in the names its readers know.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HistoricalView {
    stock: String,
    category: String,
    strike: String,
    #[serde(rename = "Prev_OI")]
    prev_oi: String,
    #[serde(rename = "Latest_OI")]
    latest_oi: String,
    #[serde(rename = "Call_OI_Difference")]
    call_oi_difference: String,
    #[serde(rename = "Put_OI_Difference")]
    put_oi_difference: String,
    #[serde(rename = "LTP")]
    ltp: String,
    #[serde(rename = "Additional_Strike")]
    additional_strike: String,
}

/// A row of Live in the names its readers know.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LiveView {
    section: String,
    label: String,
    #[serde(rename = "Prev_OI")]
    prev_oi: String,
    strike: String,
    stock: String,
    #[serde(rename = "OI_Diff")]
    oi_diff: String,
    #[serde(rename = "Is_NewStrike")]
    is_new_strike: String,
    #[serde(rename = "Add_Strike")]
    add_strike: String,
}

/// Both tables of one stock.
#[derive(Debug, Serialize)]
pub struct StockView {
    historical: Vec<HistoricalView>,
    live: Vec<LiveView>,
}

/// A run in the history.
#[derive(Debug, Clone, Serialize)]
pub struct RunView {
    /// Always `full_process` so far.
    pub process_type: String,
    /// Stocks with rows.
    pub stocks_processed: i64,
    /// `success` or `error`.
    pub status: String,
    /// The run in words.
    pub message: String,
    /// When, in UTC.
    pub processed_at: String,
}

/// A read transaction on a database that has our tables.
#[derive(Debug)]
pub struct Snapshot {
    connection: Connection,
}

impl Snapshot {
    /// Opens the database at its present state; none if no run has made it yet.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        if !path.try_exists().with_context(|| format!("cannot look at the database {}", path.display()))? {
            return Ok(None);
        }
        Self::try_open(path).with_context(|| format!("cannot read the database {}", path.display()))
    }

    fn try_open(path: &Path) -> Result<Option<Self>> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch("PRAGMA cache_size = -512; BEGIN;")?;
        let tables: i64 = connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' \
             AND name IN ('historical_data', 'live_data', 'processing_metadata')",
            [],
            |row| row.get(0),
        )?;
        Ok((tables == 3).then_some(Self { connection }))
    }

    /// The stocks of both tables by name.
    pub fn stocks(&self) -> Result<Vec<String>> {
        let query = "SELECT stock FROM historical_data UNION SELECT stock FROM live_data ORDER BY stock";
        let mut query = self.connection.prepare(query)?;
        let stocks = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(stocks)
    }

    /// The rows of a stock, in any spelling with the same letters and digits; none if it has no row.
    pub fn stock(&self, name: &str) -> Result<Option<StockView>> {
        let stocks = self.stocks()?;
        let letters = |name: &str| {
            let mut out = String::new();
            normalize(name, &mut out);
            out
        };
        let wanted = letters(name);
        let exact = stocks.iter().find(|stock| *stock == name);
        let Some(stock) = exact.or_else(|| stocks.iter().find(|stock| letters(stock) == wanted)) else {
            return Ok(None);
        };
        let historical = self.rows(
            "SELECT stock, category, strike, prev_oi, latest_oi, call_oi_difference, put_oi_difference, ltp, \
             additional_strike FROM historical_data WHERE stock = ?1 ORDER BY id",
            stock,
            |row| {
                Ok(HistoricalView {
                    stock: row.get(0)?,
                    category: row.get(1)?,
                    strike: row.get(2)?,
                    prev_oi: row.get(3)?,
                    latest_oi: row.get(4)?,
                    call_oi_difference: row.get(5)?,
                    put_oi_difference: row.get(6)?,
                    ltp: row.get(7)?,
                    additional_strike: row.get(8)?,
                })
            },
        )?;
        let live = self.rows(
            "SELECT section, label, prev_oi, strike, stock, oi_diff, is_new_strike, add_strike FROM live_data \
             WHERE stock = ?1 ORDER BY id",
            stock,
            |row| {
                Ok(LiveView {
                    section: row.get(0)?,
                    label: row.get(1)?,
                    prev_oi: row.get(2)?,
                    strike: row.get(3)?,
                    stock: row.get(4)?,
                    oi_diff: row.get(5)?,
                    is_new_strike: row.get(6)?,
                    add_strike: row.get(7)?,
                })
            },
        )?;
        Ok(Some(StockView { historical, live }))
    }

    /// The latest runs, the newest first.
    pub fn runs(&self, limit: u32) -> Result<Vec<RunView>> {
        let mut query = self.connection.prepare(
            "SELECT process_type, stocks_processed, status, message, processed_at FROM processing_metadata \
             ORDER BY id DESC LIMIT ?1",
        )?;
        let runs = query.query_map(params![limit], run_view)?.collect::<rusqlite::Result<_>>()?;
        Ok(runs)
    }

    /// The last run that was a success: the age of the data.
    pub fn last_success(&self) -> Result<Option<RunView>> {
        let query = "SELECT process_type, stocks_processed, status, message, processed_at FROM processing_metadata \
                     WHERE status = 'success' ORDER BY id DESC LIMIT 1";
        Ok(self.connection.query_row(query, [], run_view).optional()?)
    }

    fn rows<T>(
        &self,
        query: &str,
        stock: &str,
        view: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut query = self.connection.prepare(query)?;
        let rows = query.query_map(params![stock], |row| view(row))?.collect::<rusqlite::Result<_>>()?;
        Ok(rows)
    }
}

fn run_view(row: &Row<'_>) -> rusqlite::Result<RunView> {
    Ok(RunView {
        process_type: row.get(0)?,
        stocks_processed: row.get(1)?,
        status: row.get(2)?,
        message: row.get(3)?,
        processed_at: row.get(4)?,
    })
}
