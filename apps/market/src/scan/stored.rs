//! Quotes and scans in the store: what a whole scan replaces, and what a partial one only adds to.

use std::collections::BTreeSet;

use anyhow::Result;
use jiff::Timestamp;

use super::haul::Haul;
use super::hours::Session;
use super::quote::Quote;
use crate::clock;
use crate::store::{Field, Tables};

/// Rows kept of the history of scans: about two weeks of one a minute.
const HISTORY_MAX: i64 = 20_000;

/// The columns of a quote, in the order in which they are read and written.
pub const COLUMNS: &str = "symbol, name, exchange, currency, market_state, price, previous_close, open, high, low, volume, \
                       average_volume, market_cap, gap_percent, change_percent, relative_volume, gap_class, session, \
                       quoted_at, fetched_at";

/// When a scan began, and what it was like.
#[derive(Debug)]
pub struct Scan {
    /// Of the wall clock.
    pub started_at: Timestamp,
    /// What the exchange did.
    pub session: Session,
    /// Requests it sent.
    pub requests: u32,
    /// How long it took.
    pub milliseconds: f64,
    /// One line about it.
    pub message: String,
}

/// Stores what a scan brought, and the scan.
pub fn record(tables: &mut dyn Tables, haul: &Haul, scan: &Scan) -> Result<()> {
    let now = clock::utc_now();
    for quote in haul.quotes.values() {
        put(tables, quote, &now)?;
    }
    if haul.is_whole() {
        let known = symbols(tables)?;
        let gone = |symbol: &&String| !haul.quotes.contains_key(*symbol) && !haul.unusable.contains(*symbol);
        for symbol in known.iter().filter(gone) {
            tables.execute("DELETE FROM quotes WHERE symbol = $1", &[symbol.into()])?;
        }
    }
    let run = std::env::var("SOLOIST_RUN_ID").ok();
    let started = clock::utc(scan.started_at);
    let count = |number: usize| Field::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let fields: [Field<'_>; 10] = [
        run.as_ref().into(),
        scan.session.word().into(),
        (&started).into(),
        (&now).into(),
        haul.status().into(),
        count(haul.wanted),
        count(haul.quotes.len()),
        i64::from(scan.requests).into(),
        scan.milliseconds.into(),
        (&scan.message).into(),
    ];
    tables.execute(
        "INSERT INTO scans (run_id, session, started_at, finished_at, status, wanted, received, requests, duration_ms, \
         message) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &fields,
    )?;
    let prune = "DELETE FROM scans WHERE id <= (SELECT max(id) FROM scans) - $1";
    tables.execute(prune, &[HISTORY_MAX.into()]).map(|_| ())
}

/// The symbols that have a quote.
pub fn symbols(tables: &mut dyn Tables) -> Result<BTreeSet<String>> {
    let rows = tables.rows("SELECT symbol FROM quotes", &[])?;
    rows.into_iter().map(|mut row| row.text(0)).collect()
}

/// When the last whole scan was done.
pub fn last_whole(tables: &mut dyn Tables) -> Result<Option<Timestamp>> {
    let query = "SELECT finished_at FROM scans WHERE status = 'whole' ORDER BY id DESC LIMIT 1";
    let Some(mut row) = tables.row(query, &[])? else { return Ok(None) };
    Ok(row.maybe_text(0)?.as_deref().and_then(clock::parse))
}

fn put(tables: &mut dyn Tables, quote: &Quote, now: &String) -> Result<()> {
    let told = &quote.told;
    let quoted_at = quote.quoted_at.map(clock::utc);
    let fields: [Field<'_>; 20] = [
        (&told.symbol).into(),
        told.name.as_ref().into(),
        told.exchange.as_ref().into(),
        told.currency.as_ref().into(),
        told.market_state.as_ref().into(),
        quote.price.into(),
        quote.previous_close.into(),
        quote.open.into(),
        quote.high.into(),
        quote.low.into(),
        quote.volume.into(),
        told.average_volume.into(),
        told.market_cap.into(),
        quote.gap.into(),
        quote.change.into(),
        quote.relative_volume.into(),
        quote.class.into(),
        quote.session.word().into(),
        quoted_at.as_ref().into(),
        now.into(),
    ];
    let set: Vec<String> =
        COLUMNS.split(", ").skip(1).map(|name| format!("{name} = excluded.{name}")).collect();
    let places: Vec<String> = (1..=fields.len()).map(|at| format!("${at}")).collect();
    let statement = format!(
        "INSERT INTO quotes ({COLUMNS}) VALUES ({}) ON CONFLICT (symbol) DO UPDATE SET {}",
        places.join(", "),
        set.join(", ")
    );
    tables.execute(&statement, &fields).map(|_| ())
}
