//! The tables, their versions, and the fence: who writes with a smaller token than was seen is refused.
//! Times are texts in UTC (`2026-11-23 09:15:00.000000`), as everywhere in this database.

use anyhow::{Result, bail};

use super::{Engine, Field, Tables, Writer};
use crate::clock;

const VERSION: i64 = 2;

/// `{id}` is the engine's way to number rows. No index on the stock: two thousand rows are looked through in a tenth of a
/// millisecond, and an index would be built anew with every cycle.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS schema_version (version BIGINT);
CREATE TABLE IF NOT EXISTS fences (writer VARCHAR PRIMARY KEY, token BIGINT, updated_at VARCHAR);
CREATE TABLE IF NOT EXISTS historical_data (
    id {id}, stock VARCHAR, category VARCHAR, strike VARCHAR, prev_oi VARCHAR, latest_oi VARCHAR,
    call_oi_difference VARCHAR, put_oi_difference VARCHAR, ltp VARCHAR, additional_strike VARCHAR,
    created_at VARCHAR, updated_at VARCHAR);
CREATE TABLE IF NOT EXISTS live_data (
    id {id}, stock VARCHAR, section VARCHAR, label VARCHAR, prev_oi VARCHAR, strike VARCHAR,
    oi_diff VARCHAR, is_new_strike VARCHAR, add_strike VARCHAR, created_at VARCHAR, updated_at VARCHAR);
CREATE TABLE IF NOT EXISTS row_issues (
    id {id}, workbook VARCHAR, cell VARCHAR, stock VARCHAR, kind VARCHAR, message VARCHAR, created_at VARCHAR);
CREATE TABLE IF NOT EXISTS processing_metadata (
    id {id}, process_type VARCHAR, stocks_processed BIGINT, status VARCHAR, message VARCHAR, processed_at VARCHAR,
    run_id VARCHAR, stocks_total BIGINT, rows_stored BIGINT, issues BIGINT, duration_ms DOUBLE PRECISION,
    fingerprint VARCHAR, created_at VARCHAR, updated_at VARCHAR);
CREATE TABLE IF NOT EXISTS snapshot_source (
    id BIGINT PRIMARY KEY, revision BIGINT, fingerprint VARCHAR, sight VARCHAR, row_count BIGINT,
    stocks_processed BIGINT, stocks_total BIGINT, issues BIGINT, historical_sheet VARCHAR, live_sheet VARCHAR,
    message VARCHAR, created_at VARCHAR, updated_at VARCHAR);
CREATE TABLE IF NOT EXISTS uploaded_files (
    id {id}, file_type VARCHAR, file_name VARCHAR, file_size BIGINT, uploaded_at VARCHAR, created_at VARCHAR,
    updated_at VARCHAR);
CREATE TABLE IF NOT EXISTS quotes (
    symbol VARCHAR PRIMARY KEY, name VARCHAR, exchange VARCHAR, currency VARCHAR, market_state VARCHAR,
    price DOUBLE PRECISION, previous_close DOUBLE PRECISION, open DOUBLE PRECISION, high DOUBLE PRECISION,
    low DOUBLE PRECISION, volume DOUBLE PRECISION, average_volume DOUBLE PRECISION, market_cap DOUBLE PRECISION,
    gap_percent DOUBLE PRECISION, change_percent DOUBLE PRECISION, relative_volume DOUBLE PRECISION,
    gap_class VARCHAR, session VARCHAR, quoted_at VARCHAR, fetched_at VARCHAR);
CREATE TABLE IF NOT EXISTS scans (
    id {id}, run_id VARCHAR, session VARCHAR, started_at VARCHAR, finished_at VARCHAR, status VARCHAR,
    wanted BIGINT, received BIGINT, requests BIGINT, duration_ms DOUBLE PRECISION, message VARCHAR);
CREATE TABLE IF NOT EXISTS provider_state (
    host VARCHAR PRIMARY KEY, next_free_at DOUBLE PRECISION, hour_began_at DOUBLE PRECISION, hour_count BIGINT,
    open_until DOUBLE PRECISION, backoff_seconds DOUBLE PRECISION, cookie VARCHAR, crumb VARCHAR, updated_at VARCHAR);
";

/// Makes the tables, if they are not there.
pub(super) fn make(engine: &mut dyn Engine) -> Result<()> {
    if is_made(engine)? {
        return Ok(());
    }
    engine.write(&mut |tables| {
        let id = tables.id();
        tables.batch(&TABLES.replace("{id}", id))?;
        if tables.row("SELECT version FROM schema_version", &[])?.is_none() {
            tables.execute("INSERT INTO schema_version (version) VALUES ($1)", &[VERSION.into()])?;
        }
        Ok(())
    })
}

/// Whether the tables are there, as this program knows them.
pub(super) fn is_made(engine: &mut dyn Engine) -> Result<bool> {
    let mut version = None;
    engine.read(&mut |tables| {
        if tables.has_table("schema_version")? {
            version =
                tables.row("SELECT version FROM schema_version", &[])?.map(|row| row.int(0)).transpose()?;
        }
        Ok(())
    })?;
    match version {
        Some(version) if version > VERSION => {
            bail!(
                "its tables are of version {version}, this program knows version {VERSION}: use a newer program"
            )
        }
        found => Ok(found == Some(VERSION)),
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
