//! What a cycle of the processor stores: all rows of both tables, what they were made of, and its line in the history.
//! Everything here runs inside one transaction of the store.

use std::time::Instant;

use anyhow::Result;

use crate::clock;
use crate::historical::Historical;
use crate::issues::Issues;
use crate::live::Live;
use crate::store::{Field, Tables};
use crate::symbols::{Key, Roster};

/// Rows kept of the history of runs: more than a day of one every six seconds.
const HISTORY_MAX: i64 = 20_000;
/// How often a run without news is written to the history.
const REPEAT_AFTER_SECONDS: i64 = 60;

const HISTORICAL: [&str; 11] = [
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
const LIVE: [&str; 10] = [
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
const ISSUES: [&str; 6] = ["workbook", "cell", "stock", "kind", "message", "created_at"];

/// What the stored rows were made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Content of both workbooks, list, day and rules.
    pub fingerprint: String,
    /// How the files looked, `""` if a look is not enough to know them again.
    pub sight: String,
    /// Rows of both tables.
    pub row_count: i64,
    /// Stocks with at least one row.
    pub stocks_processed: i64,
    /// Stocks that were wanted.
    pub stocks_total: i64,
    /// Oddities in the workbooks.
    pub issues: i64,
    /// The sheet of Historical.xlsx.
    pub historical_sheet: String,
    /// The sheet of Live.xlsx.
    pub live_sheet: String,
    /// The message of the run that made them.
    pub message: String,
}

/// What the stored rows were made of. Whoever empties their tables must empty `snapshot_source` with them; that somebody
/// did not is noticed only if one of them is all empty.
pub fn source(tables: &mut dyn Tables) -> Result<Option<Source>> {
    let query = "SELECT fingerprint, sight, row_count, stocks_processed, stocks_total, issues, historical_sheet, \
                 live_sheet, message FROM snapshot_source \
                 WHERE EXISTS (SELECT 1 FROM historical_data) AND EXISTS (SELECT 1 FROM live_data)";
    let Some(mut row) = tables.row(query, &[])? else { return Ok(None) };
    Ok(Some(Source {
        fingerprint: row.text(0)?,
        sight: row.text(1)?,
        row_count: row.int(2)?,
        stocks_processed: row.int(3)?,
        stocks_total: row.int(4)?,
        issues: row.maybe_int(5)?.unwrap_or(0),
        historical_sheet: row.text(6)?,
        live_sheet: row.text(7)?,
        message: row.text(8)?,
    }))
}

/// Replaces the rows of Historical.
pub fn replace_historical(
    tables: &mut dyn Tables,
    historical: &Historical,
    stocks: &[(String, Key)],
) -> Result<()> {
    let now = clock::utc_now();
    tables.batch("DELETE FROM historical_data")?;
    tables.insert("historical_data", &HISTORICAL, &mut |take| {
        let mut fields = [Field::Text(&now); 11];
        for (stock, key) in stocks {
            fields[0] = Field::Text(stock);
            for row in historical.rows(*key) {
                for (place, text) in fields[1..].iter_mut().zip(row.fields.iter()) {
                    *place = Field::Text(text);
                }
                take(&fields)?;
            }
        }
        Ok(())
    })
}

/// Replaces the rows of Live.
pub fn replace_live(tables: &mut dyn Tables, live: &Live, stocks: &[(String, Key)]) -> Result<()> {
    let now = clock::utc_now();
    tables.batch("DELETE FROM live_data")?;
    tables.insert("live_data", &LIVE, &mut |take| {
        let mut fields = [Field::Text(&now); 10];
        for (stock, key) in stocks {
            fields[0] = Field::Text(stock);
            for (section, row) in live.rows(*key) {
                fields[1] = Field::Text(section);
                for (place, text) in fields[2..].iter_mut().zip(row.fields.iter()) {
                    *place = Field::Text(text);
                }
                take(&fields)?;
            }
        }
        Ok(())
    })
}

/// Replaces the oddities.
pub fn replace_issues(tables: &mut dyn Tables, issues: &Issues) -> Result<()> {
    let now = clock::utc_now();
    tables.batch("DELETE FROM row_issues")?;
    tables.insert("row_issues", &ISSUES, &mut |take| {
        issues.kept().iter().try_for_each(|issue| {
            let kind = issue.kind.word();
            take(&[
                issue.workbook.into(),
                (&issue.cell).into(),
                (&issue.stock).into(),
                kind.into(),
                (&issue.message).into(),
                (&now).into(),
            ])
        })
    })
}

/// How many stocks have rows, and how many rows both tables get.
pub fn counts(historical: &Historical, live: &Live, roster: &mut Roster) -> (i64, i64) {
    let (mut stocks, mut rows) = (0, 0);
    for (_, key) in roster.stocks() {
        let of_stock = historical.rows(*key).len() + live.rows(*key).count();
        stocks += i64::from(of_stock > 0);
        rows += i64::try_from(of_stock).unwrap_or(i64::MAX);
    }
    (stocks, rows)
}

/// Remembers what the rows were made of, under the next revision.
pub fn remember(tables: &mut dyn Tables, source: &Source) -> Result<()> {
    let now = clock::utc_now();
    let fields: [Field<'_>; 10] = [
        (&source.fingerprint).into(),
        (&source.sight).into(),
        source.row_count.into(),
        source.stocks_processed.into(),
        source.stocks_total.into(),
        source.issues.into(),
        (&source.historical_sheet).into(),
        (&source.live_sheet).into(),
        (&source.message).into(),
        (&now).into(),
    ];
    let statement = "INSERT INTO snapshot_source (id, revision, fingerprint, sight, row_count, stocks_processed, \
                     stocks_total, issues, historical_sheet, live_sheet, message, created_at, updated_at) \
                     VALUES (1, 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) ON CONFLICT (id) DO UPDATE SET \
                     revision = snapshot_source.revision + 1, fingerprint = excluded.fingerprint, \
                     sight = excluded.sight, row_count = excluded.row_count, \
                     stocks_processed = excluded.stocks_processed, stocks_total = excluded.stocks_total, \
                     issues = excluded.issues, historical_sheet = excluded.historical_sheet, \
                     live_sheet = excluded.live_sheet, message = excluded.message, \
                     created_at = excluded.created_at, updated_at = excluded.updated_at";
    tables.execute(statement, &fields).map(|_| ())
}

/// Remembers how the files look whose rows are stored already.
pub fn remember_sight(tables: &mut dyn Tables, sight: &str) -> Result<()> {
    tables.execute("UPDATE snapshot_source SET sight = $1", &[sight.into()]).map(|_| ())
}

/// A line of the history of runs.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
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
    /// Which run it is, to its supervisor.
    pub run_id: Option<&'a str>,
    /// When it began.
    pub began: Instant,
}

impl<'a> Run<'a> {
    /// A run that has stored nothing.
    pub fn of(run_id: Option<&'a str>, began: Instant) -> Self {
        Self {
            status: "success",
            message: "",
            stocks_processed: 0,
            stocks_total: 0,
            row_count: 0,
            issues: 0,
            fingerprint: "",
            run_id,
            began,
        }
    }

    /// The same run, after which these rows are stored.
    pub fn with(self, source: &'a Source) -> Self {
        Self {
            message: &source.message,
            stocks_processed: source.stocks_processed,
            stocks_total: source.stocks_total,
            row_count: source.row_count,
            issues: source.issues,
            fingerprint: &source.fingerprint,
            ..self
        }
    }
}

/// Adds a line to the history of runs, and lets the oldest go.
pub fn record(tables: &mut dyn Tables, cycle: &Run<'_>) -> Result<()> {
    let now = clock::utc_now();
    let fields: [Field<'_>; 10] = [
        cycle.stocks_processed.into(),
        cycle.status.into(),
        cycle.message.into(),
        (&now).into(),
        cycle.run_id.into(),
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

/// Whether a run without news belongs into the history: it differs from the last, or the last is old.
pub fn is_due(tables: &mut dyn Tables, cycle: &Run<'_>) -> Result<bool> {
    let query = "SELECT status, message, processed_at FROM processing_metadata ORDER BY id DESC LIMIT 1";
    let Some(mut last) = tables.row(query, &[])? else { return Ok(true) };
    let (status, message, at) = (last.text(0)?, last.text(1)?, last.text(2)?);
    let Some(at) = clock::parse(&at) else { return Ok(true) };
    let age = jiff::Timestamp::now().duration_since(at).as_secs();
    // The words that a run without news adds are at the end.
    let is_news = status != cycle.status || !message.starts_with(cycle.message);
    // A clock that was set back must not silence the history.
    Ok(is_news || !(0..REPEAT_AFTER_SECONDS).contains(&age))
}
