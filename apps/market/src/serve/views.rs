//! What the server shows of the stored rows, in the names its readers know. Each is asked within one snapshot.

use anyhow::Result;
use serde::Serialize;

use crate::store::{Row, Tables};
use crate::symbols::normalize;

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

/// The stocks of both tables by name.
pub fn stocks(tables: &mut dyn Tables) -> Result<Vec<String>> {
    let query = "SELECT stock FROM historical_data UNION SELECT stock FROM live_data ORDER BY stock";
    tables.rows(query, &[])?.into_iter().map(|mut row| row.text(0)).collect()
}

/// The rows of a stock, in any spelling with the same letters and digits; none if it has no row.
pub fn stock(tables: &mut dyn Tables, name: &str) -> Result<Option<StockView>> {
    let stocks = stocks(tables)?;
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
    let query = "SELECT stock, category, strike, prev_oi, latest_oi, call_oi_difference, put_oi_difference, ltp, \
                 additional_strike FROM historical_data WHERE stock = $1 ORDER BY id";
    let historical = tables.rows(query, &[stock.into()])?.into_iter().map(|mut row| {
        Ok(HistoricalView {
            stock: row.text(0)?,
            category: row.text(1)?,
            strike: row.text(2)?,
            prev_oi: row.text(3)?,
            latest_oi: row.text(4)?,
            call_oi_difference: row.text(5)?,
            put_oi_difference: row.text(6)?,
            ltp: row.text(7)?,
            additional_strike: row.text(8)?,
        })
    });
    let historical = historical.collect::<Result<_>>()?;
    let query = "SELECT section, label, prev_oi, strike, stock, oi_diff, is_new_strike, add_strike FROM live_data \
                 WHERE stock = $1 ORDER BY id";
    let live = tables.rows(query, &[stock.into()])?.into_iter().map(|mut row| {
        Ok(LiveView {
            section: row.text(0)?,
            label: row.text(1)?,
            prev_oi: row.text(2)?,
            strike: row.text(3)?,
            stock: row.text(4)?,
            oi_diff: row.text(5)?,
            is_new_strike: row.text(6)?,
            add_strike: row.text(7)?,
        })
    });
    Ok(Some(StockView { historical, live: live.collect::<Result<_>>()? }))
}

/// The latest runs, the newest first.
pub fn runs(tables: &mut dyn Tables, limit: u32) -> Result<Vec<RunView>> {
    let query = "SELECT process_type, stocks_processed, status, message, processed_at FROM processing_metadata \
                 ORDER BY id DESC LIMIT $1";
    tables.rows(query, &[i64::from(limit).into()])?.into_iter().map(run_view).collect()
}

/// The last run that was a success: the age of the data.
pub fn last_success(tables: &mut dyn Tables) -> Result<Option<RunView>> {
    let query = "SELECT process_type, stocks_processed, status, message, processed_at FROM processing_metadata \
                 WHERE status = 'success' ORDER BY id DESC LIMIT 1";
    tables.row(query, &[])?.map(run_view).transpose()
}

fn run_view(mut row: Row) -> Result<RunView> {
    Ok(RunView {
        process_type: row.text(0)?,
        stocks_processed: row.int(1)?,
        status: row.text(2)?,
        message: row.text(3)?,
        processed_at: row.text(4)?,
    })
}
