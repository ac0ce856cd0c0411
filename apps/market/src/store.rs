//! The database of the stored rows: its tables, and the one transaction in which a cycle changes them.
//! A cycle holds the write lock from before it reads the workbooks, so an older reading never replaces a newer one.
//! Readers (see `snapshot`) are never held up and see whole snapshots only.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::historical::Historical;
use crate::live::Live;
use crate::symbols::Roster;

/// A cycle takes milliseconds; who waits this long waits for something that hangs.
const BUSY: Duration = Duration::from_secs(10);
/// Rows kept of the history of runs: more than a day of one every six seconds.
const HISTORY_MAX: i64 = 20_000;
const SCHEMA: i64 = 1;
const PAGE: i64 = 16_384;

/// No index on the stock: two thousand rows are looked through in a tenth of a millisecond, and an index would be built
/// anew with every cycle.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS historical_data (
    id INTEGER PRIMARY KEY, stock VARCHAR, category VARCHAR, strike VARCHAR, prev_oi VARCHAR, latest_oi VARCHAR,
    call_oi_difference VARCHAR, put_oi_difference VARCHAR, ltp VARCHAR, additional_strike VARCHAR,
    created_at DATETIME, updated_at DATETIME);
CREATE TABLE IF NOT EXISTS live_data (
    id INTEGER PRIMARY KEY, stock VARCHAR, section VARCHAR, label VARCHAR, prev_oi VARCHAR, strike VARCHAR,
    oi_diff VARCHAR, is_new_strike VARCHAR, add_strike VARCHAR, created_at DATETIME, updated_at DATETIME);
CREATE TABLE IF NOT EXISTS processing_metadata (
    id INTEGER PRIMARY KEY, process_type VARCHAR, stocks_processed INTEGER, status VARCHAR, message VARCHAR,
    processed_at DATETIME, created_at DATETIME, updated_at DATETIME);
CREATE TABLE IF NOT EXISTS snapshot_source (
    id INTEGER PRIMARY KEY CHECK (id = 1), fingerprint VARCHAR, row_count INTEGER, stocks_processed INTEGER,
    stocks_total INTEGER, historical_sheet VARCHAR, live_sheet VARCHAR, message VARCHAR,
    created_at DATETIME, updated_at DATETIME);
";

/// The open database, with the right to write.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

/// What the stored rows were made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Content of both workbooks, list, day and rules.
    pub fingerprint: String,
    /// Stocks with at least one row.
    pub stocks_processed: i64,
    /// Stocks that were wanted.
    pub stocks_total: i64,
    /// The sheet of Historical.xlsx.
    pub historical_sheet: String,
    /// The sheet of Live.xlsx.
    pub live_sheet: String,
    /// The message of the run that made them.
    pub message: String,
}

impl Store {
    /// Opens the database and makes its tables if need be.
    pub fn open(path: &Path) -> Result<Self> {
        Self::try_open(path).map_err(|e| {
            let is_busy = e.downcast_ref::<rusqlite::Error>().is_some_and(is_busy);
            let hint = if is_busy {
                "another writer holds it: try again when it is done"
            } else {
                "check the path and its rights, or name another by --database"
            };
            e.context(format!("cannot open the database {}; {hint}", path.display()))
        })
    }

    fn try_open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -1024;")?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > SCHEMA {
            bail!(
                "its tables are of version {version}, this program knows version {SCHEMA}: use a newer program"
            );
        }
        if version < SCHEMA {
            // A snapshot is written whole, so fewer, larger pages save system calls. Only a new file takes it.
            connection.pragma_update(None, "page_size", PAGE)?;
            switch_to_wal(&connection)?;
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;"
            ))?;
        }
        Ok(Self { connection })
    }

    /// Begins the transaction of a cycle; waits for another cycle's end.
    pub fn begin(&mut self) -> Result<Change<'_>> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).with_context(|| {
                format!("the database could not be locked for writing within {} s", BUSY.as_secs())
            })?;
        Ok(Change { transaction })
    }
}

/// SQLite does not wait for a lock when it changes the journal, so two first runs at once need this loop.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut left = 200;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(e) if is_busy(&e) && left > 0 => {
                left -= 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// One transaction: all of it becomes visible by [`Change::commit`], or nothing.
#[derive(Debug)]
pub struct Change<'a> {
    transaction: Transaction<'a>,
}

impl Change<'_> {
    /// What the stored rows were made of, if they are all there.
    pub fn source(&self) -> Result<Option<Source>> {
        let query = "SELECT fingerprint, stocks_processed, stocks_total, historical_sheet, live_sheet, message \
                     FROM snapshot_source WHERE row_count = (SELECT count(*) FROM historical_data) \
                     + (SELECT count(*) FROM live_data)";
        let source = self.transaction.query_row(query, [], |row| {
            Ok(Source {
                fingerprint: row.get(0)?,
                stocks_processed: row.get(1)?,
                stocks_total: row.get(2)?,
                historical_sheet: row.get(3)?,
                live_sheet: row.get(4)?,
                message: row.get(5)?,
            })
        });
        Ok(source.optional()?)
    }

    /// Status and time of the last run.
    pub fn last_run(&self) -> Result<Option<(String, String)>> {
        let query = "SELECT status, processed_at FROM processing_metadata ORDER BY id DESC LIMIT 1";
        Ok(self.transaction.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// Replaces all rows; returns how many stocks have rows.
    pub fn replace(
        &self,
        historical: &Historical,
        live: &Live,
        roster: &mut Roster,
        now: &str,
    ) -> Result<(i64, i64)> {
        self.transaction.execute_batch("DELETE FROM historical_data; DELETE FROM live_data;")?;
        let mut into_historical = self.transaction.prepare(
            "INSERT INTO historical_data (stock, category, strike, prev_oi, latest_oi, call_oi_difference, \
             put_oi_difference, ltp, additional_strike, created_at, updated_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
        )?;
        let mut into_live = self.transaction.prepare(
            "INSERT INTO live_data (stock, section, label, prev_oi, strike, oi_diff, is_new_strike, add_strike, \
             created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)",
        )?;
        // Bound once, and the stock once for its rows: only what differs is bound for each row.
        into_historical.raw_bind_parameter(10, now)?;
        into_live.raw_bind_parameter(9, now)?;
        let (mut stocks, mut rows) = (0_i64, 0_i64);
        for (stock, key) in roster.stocks() {
            let before = rows;
            into_historical.raw_bind_parameter(1, stock)?;
            into_live.raw_bind_parameter(1, stock)?;
            for row in historical.rows(*key) {
                for (at, field) in (2..).zip(row.fields.iter()) {
                    into_historical.raw_bind_parameter(at, field)?;
                }
                into_historical.raw_execute()?;
                rows += 1;
            }
            for (section, row) in live.rows(*key) {
                into_live.raw_bind_parameter(2, section)?;
                for (at, field) in (3..).zip(row.fields.iter()) {
                    into_live.raw_bind_parameter(at, field)?;
                }
                into_live.raw_execute()?;
                rows += 1;
            }
            stocks += i64::from(rows > before);
        }
        Ok((stocks, rows))
    }

    /// Remembers what the rows were made of.
    pub fn remember(&self, source: &Source, rows: i64, now: &str) -> Result<()> {
        self.transaction.execute(
            "INSERT OR REPLACE INTO snapshot_source VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
            params![
                source.fingerprint,
                rows,
                source.stocks_processed,
                source.stocks_total,
                source.historical_sheet,
                source.live_sheet,
                source.message,
                now
            ],
        )?;
        Ok(())
    }

    /// Adds a row to the history of runs, and lets the oldest go.
    pub fn record(&self, status: &str, stocks: i64, message: &str, now: &str) -> Result<()> {
        self.transaction.execute(
            "INSERT INTO processing_metadata (process_type, stocks_processed, status, message, processed_at, \
             created_at, updated_at) VALUES ('full_process', ?1, ?2, ?3, ?4, ?4, ?4)",
            params![stocks, status, message, now],
        )?;
        let last = self.transaction.last_insert_rowid();
        self.transaction
            .execute("DELETE FROM processing_metadata WHERE id <= ?1", params![last - HISTORY_MAX])?;
        Ok(())
    }

    /// Makes the change visible.
    pub fn commit(self) -> Result<()> {
        self.transaction.commit().context("the database did not take the change; look for space on its disk")
    }
}
