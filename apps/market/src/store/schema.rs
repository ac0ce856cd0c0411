//! The tables, their versions, and the fence: who writes with a smaller token than was seen is refused.
//! Times are texts in UTC (`2026-11-23 09:15:00.000000`), as everywhere in this database.

use anyhow::{Result, bail};

use super::{Engine, Field, Tables, Writer};
use crate::clock;

const VERSION: i64 = 2;

/// `{id}` is the engine's way to number rows. No index on the stock: two thousand rows are looked through in a tenth of a
/// millisecond, and an index would be built anew with every cycle.
const TABLES: &str = "
CREATE TABLE fences (writer VARCHAR PRIMARY KEY, token BIGINT, updated_at VARCHAR);
CREATE TABLE historical_data (
    id {id}, stock VARCHAR, category VARCHAR, strike VARCHAR, prev_oi VARCHAR, latest_oi VARCHAR,
    call_oi_difference VARCHAR, put_oi_difference VARCHAR, ltp VARCHAR, additional_strike VARCHAR,
    created_at VARCHAR, updated_at VARCHAR);
CREATE TABLE live_data (
    id {id}, stock VARCHAR, section VARCHAR, label VARCHAR, prev_oi VARCHAR, strike VARCHAR,
    oi_diff VARCHAR, is_new_strike VARCHAR, add_strike VARCHAR, created_at VARCHAR, updated_at VARCHAR);
CREATE TABLE row_issues (
    id {id}, workbook VARCHAR, cell VARCHAR, stock VARCHAR, kind VARCHAR, message VARCHAR, created_at VARCHAR);
CREATE TABLE processing_metadata (
    id {id}, process_type VARCHAR, stocks_processed BIGINT, status VARCHAR, message VARCHAR, processed_at VARCHAR,
    run_id VARCHAR, stocks_total BIGINT, rows_stored BIGINT, issues BIGINT, duration_ms DOUBLE PRECISION,
    fingerprint VARCHAR, created_at VARCHAR, updated_at VARCHAR);
CREATE TABLE snapshot_source (
    id BIGINT PRIMARY KEY, revision BIGINT, fingerprint VARCHAR, sight VARCHAR, row_count BIGINT,
    stocks_processed BIGINT, stocks_total BIGINT, issues BIGINT, historical_sheet VARCHAR, live_sheet VARCHAR,
    message VARCHAR, created_at VARCHAR, updated_at VARCHAR);
CREATE TABLE uploaded_files (
    id {id}, file_type VARCHAR, file_name VARCHAR, file_size BIGINT, uploaded_at VARCHAR, created_at VARCHAR,
    updated_at VARCHAR);
CREATE TABLE quotes (
    symbol VARCHAR PRIMARY KEY, name VARCHAR, exchange VARCHAR, currency VARCHAR, market_state VARCHAR,
    price DOUBLE PRECISION, previous_close DOUBLE PRECISION, open DOUBLE PRECISION, high DOUBLE PRECISION,
    low DOUBLE PRECISION, volume DOUBLE PRECISION, average_volume DOUBLE PRECISION, market_cap DOUBLE PRECISION,
    gap_percent DOUBLE PRECISION, change_percent DOUBLE PRECISION, relative_volume DOUBLE PRECISION,
    gap_class VARCHAR, session VARCHAR, quoted_at VARCHAR, fetched_at VARCHAR);
CREATE TABLE scans (
    id {id}, run_id VARCHAR, session VARCHAR, started_at VARCHAR, finished_at VARCHAR, status VARCHAR,
    wanted BIGINT, received BIGINT, requests BIGINT, duration_ms DOUBLE PRECISION, message VARCHAR);
CREATE TABLE provider_state (
    host VARCHAR PRIMARY KEY, next_free_at DOUBLE PRECISION, open_until DOUBLE PRECISION,
    backoff_seconds DOUBLE PRECISION, cookie VARCHAR, crumb VARCHAR, crumb_leased_until DOUBLE PRECISION,
    updated_at VARCHAR);
CREATE TABLE provider_requests (host VARCHAR, asked_at DOUBLE PRECISION);
";

/// What is kept of version 1, which only SQLite has.
const KEPT: [(&str, &str); 3] = [
    (
        "historical_data",
        "id, stock, category, strike, prev_oi, latest_oi, call_oi_difference, put_oi_difference, ltp, \
         additional_strike, created_at, updated_at",
    ),
    (
        "live_data",
        "id, stock, section, label, prev_oi, strike, oi_diff, is_new_strike, add_strike, created_at, updated_at",
    ),
    (
        "processing_metadata",
        "id, process_type, stocks_processed, status, message, processed_at, created_at, updated_at",
    ),
];

/// Makes the tables, if they are not there. Rows of version 1 are kept, without what they were made of: so the next
/// cycle makes them anew, whatever columns there are now.
pub(super) fn make(engine: &mut dyn Engine) -> Result<()> {
    if is_made(engine)? {
        return Ok(());
    }
    engine.write(&mut |tables| {
        let mut kept: &[(&str, &str)] = &[];
        match tables.version()? {
            // Another run has made them while this one waited for the lock.
            VERSION => return Ok(()),
            1 => kept = &KEPT,
            _ => {}
        }
        for (table, _) in kept {
            tables.batch(&format!(
                "DROP TABLE IF EXISTS snapshot_source; ALTER TABLE {table} RENAME TO {table}_1"
            ))?;
        }
        tables.batch(&tables.declared(TABLES))?;
        for (table, columns) in kept {
            tables.batch(&format!(
                "INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_1; DROP TABLE {table}_1;"
            ))?;
        }
        tables.set_version(VERSION)
    })
}

/// Whether the tables are there, as this program knows them.
pub(super) fn is_made(engine: &mut dyn Engine) -> Result<bool> {
    match engine.version()? {
        version if version > VERSION => {
            bail!(
                "its tables are of version {version}, this program knows version {VERSION}: use a newer program"
            )
        }
        version => Ok(version == VERSION),
    }
}

/// Lets a writer in whose token is the greatest so far.
pub(super) fn fence(tables: &mut dyn Tables, writer: &Writer) -> Result<()> {
    let Some(token) = writer.token else { return Ok(()) };
    let known = tables.row("SELECT token FROM fences WHERE writer = $1", &[writer.name.into()])?;
    let known = known.map(|row| row.int(0)).transpose()?;
    match known {
        Some(known) if known > token => bail!(
            "this run ({} with token {token}) was put aside: another with token {known} has written since; \
             nothing was changed",
            writer.name
        ),
        Some(known) if known == token => Ok(()),
        _ => {
            let now = clock::utc_now();
            let fields: [Field<'_>; 3] = [writer.name.into(), token.into(), (&now).into()];
            let statement = "INSERT INTO fences (writer, token, updated_at) VALUES ($1, $2, $3) ON CONFLICT (writer) \
                             DO UPDATE SET token = excluded.token, updated_at = excluded.updated_at";
            tables.execute(statement, &fields).map(|_| ())
        }
    }
}
