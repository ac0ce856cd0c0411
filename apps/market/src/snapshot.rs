//! What a cycle of the processor stores: all rows of both tables, what they were made of, and its line in the history.
//! Everything here runs inside one transaction of the store.

use std::time::Instant;

use anyhow::Result;

use crate::clock;
use crate::historical::Historical;
use crate::live::Live;
use crate::store::{Field, Tables};
use crate::symbols::Roster;

/// Rows kept of the history of runs: more than a day of one every six seconds.
const HISTORY_MAX: i64 = 20_000;
/// How often a run without news is written to the history.
const REPEAT_AFTER_SECONDS: i64 = 60;

/// What the stored rows were made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Content of both workbooks, list, day and rules.
    pub fingerprint: String,
    /// Rows of both tables.
    pub row_count: i64,
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

/// What the stored rows were made of, if they are all there.
pub fn source(tables: &mut dyn Tables) -> Result<Option<Source>> {
    let query = "SELECT fingerprint, row_count, stocks_processed, stocks_total, historical_sheet, live_sheet, message \
                 FROM snapshot_source WHERE row_count = (SELECT count(*) FROM historical_data) \
                 + (SELECT count(*) FROM live_data)";
    let Some(mut row) = tables.row(query, &[])? else { return Ok(None) };
    Ok(Some(Source {
        fingerprint: row.text(0)?,
        row_count: row.int(1)?,
        stocks_processed: row.int(2)?,
        stocks_total: row.int(3)?,
        historical_sheet: row.text(4)?,
        live_sheet: row.text(5)?,
        message: row.text(6)?,
    }))
}

/// Replaces all rows; returns how many stocks have rows, and how many rows there are.
pub fn replace(
    tables: &mut dyn Tables,
    historical: &Historical,
    live: &Live,
    roster: &mut Roster,
) -> Result<(i64, i64)> {
    let now = clock::utc_now();
    let stocks = roster.stocks();
    let mut row_count = 0;
    tables.batch("DELETE FROM historical_data; DELETE FROM live_data;")?;
    let columns = [
        "stock",
        "category",
        "strike",
        "prev_oi",
        "latest_oi",
        "call_oi_difference",
        "put_oi_difference",
        "ltp",
        "additional_strike",
        "created_at",
        "updated_at",
    ];
    tables.insert("historical_data", &columns, &mut |take| {
        for (stock, key) in stocks {
            for row in historical.rows(*key) {
                let mut fields = [Field::Text(&now); 11];
                fields[0] = Field::Text(stock);
                for (place, text) in fields[1..].iter_mut().zip(row.fields.iter()) {
                    *place = Field::Text(text);
                }
                take(&fields)?;
                row_count += 1;
            }
        }
        Ok(())
    })?;
    let columns = [
        "stock",
        "section",
        "label",
        "prev_oi",
        "strike",
        "oi_diff",
        "is_new_strike",
        "add_strike",
        "created_at",
        "updated_at",
    ];
    tables.insert("live_data", &columns, &mut |take| {
        for (stock, key) in stocks {
            for (section, row) in live.rows(*key) {
                let mut fields = [Field::Text(&now); 10];
                fields[0] = Field::Text(stock);
                fields[1] = Field::Text(section);
                for (place, text) in fields[2..].iter_mut().zip(row.fields.iter()) {
                    *place = Field::Text(text);
                }
                take(&fields)?;
                row_count += 1;
            }
        }
        Ok(())
    })?;
    let has_rows = |key| !historical.rows(key).is_empty() || live.rows(key).next().is_some();
    let with_rows = stocks.iter().filter(|(_, key)| has_rows(*key)).count();
    Ok((i64::try_from(with_rows).unwrap_or(i64::MAX), row_count))
}

/// Remembers what the rows were made of, under the next revision.
pub fn remember(tables: &mut dyn Tables, source: &Source) -> Result<()> {
    let now = clock::utc_now();
    let fields: [Field<'_>; 8] = [
        (&source.fingerprint).into(),
        source.row_count.into(),
        source.stocks_processed.into(),
        source.stocks_total.into(),
        (&source.historical_sheet).into(),
        (&source.live_sheet).into(),
        (&source.message).into(),
        (&now).into(),
    ];
    let statement = "INSERT INTO snapshot_source (id, revision, fingerprint, row_count, stocks_processed, stocks_total, \
                     historical_sheet, live_sheet, message, created_at, updated_at) \
                     VALUES (1, 1, $1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT (id) DO UPDATE SET \
                     revision = snapshot_source.revision + 1, fingerprint = excluded.fingerprint, \
                     row_count = excluded.row_count, stocks_processed = excluded.stocks_processed, \
                     stocks_total = excluded.stocks_total, historical_sheet = excluded.historical_sheet, \
                     live_sheet = excluded.live_sheet, message = excluded.message, \
                     created_at = excluded.created_at, updated_at = excluded.updated_at";
    tables.execute(statement, &fields).map(|_| ())
}

/// A line of the history of runs.
#[derive(Debug, Clone, Copy)]
pub struct Cycle<'a> {
    /// `success` or `error`.
    pub status: &'a str,
    /// The run in words.
    pub message: &'a str,
    /// Stocks with rows.
    pub stocks_processed: i64,
    /// Stocks that were wanted.
    pub stocks_total: i64,
    /// Rows of both tables.
    pub row_count: i64,
    /// Cells that are not what they should be.
    pub issues: i64,
    /// What was read.
    pub fingerprint: &'a str,
    /// When it began.
    pub began: Instant,
}

impl<'a> Cycle<'a> {
    /// A run that has stored nothing.
    pub fn of_this_run(began: Instant) -> Self {
        Self {
            status: "success",
            message: "",
            stocks_processed: 0,
            stocks_total: 0,
            row_count: 0,
            issues: 0,
            fingerprint: "",
            began,
        }
    }

    /// A run after which these rows are stored.
    pub fn of(source: &'a Source, began: Instant) -> Self {
        Self {
            message: &source.message,
            stocks_processed: source.stocks_processed,
            stocks_total: source.stocks_total,
            row_count: source.row_count,
            fingerprint: &source.fingerprint,
            ..Self::of_this_run(began)
        }
    }
}

/// Adds a line to the history of runs, and lets the oldest go.
pub fn record(tables: &mut dyn Tables, cycle: &Cycle<'_>) -> Result<()> {
    let now = clock::utc_now();
    let run_id = std::env::var("SOLOIST_RUN_ID").ok();
    let fields: [Field<'_>; 10] = [
        cycle.stocks_processed.into(),
        cycle.status.into(),
        cycle.message.into(),
        (&now).into(),
        run_id.as_ref().into(),
        cycle.stocks_total.into(),
        cycle.row_count.into(),
        cycle.issues.into(),
        (cycle.began.elapsed().as_secs_f64() * 1e3).into(),
        cycle.fingerprint.into(),
    ];
    let statement = "INSERT INTO processing_metadata (process_type, stocks_processed, status, message, processed_at, \
                     run_id, stocks_total, rows_stored, issues, duration_ms, fingerprint, created_at, updated_at) \
                     VALUES ('full_process', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $4, $4)";
    tables.execute(statement, &fields)?;
    let statement =
        "DELETE FROM processing_metadata WHERE id <= (SELECT max(id) FROM processing_metadata) - $1";
    tables.execute(statement, &[HISTORY_MAX.into()]).map(|_| ())
}

/// Whether a run without news belongs into the history: it ends a failure, or the last line is old.
pub fn is_due(tables: &mut dyn Tables) -> Result<bool> {
    let query = "SELECT status, processed_at FROM processing_metadata ORDER BY id DESC LIMIT 1";
    let Some(mut last) = tables.row(query, &[])? else { return Ok(true) };
    let (status, at) = (last.text(0)?, last.text(1)?);
    let Some(at) = clock::parse(&at) else { return Ok(true) };
    let age = jiff::Timestamp::now().duration_since(at).as_secs();
    // A clock that was set back must not silence the history.
    Ok(status != "success" || !(0..REPEAT_AFTER_SECONDS).contains(&age))
}
