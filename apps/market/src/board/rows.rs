//! What the board holds of the workbooks: the rows of each stock in the names their readers know, numbers beside the
//! texts, and the runs that made them. Each is read within one snapshot.

use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock;
use crate::number;
use crate::store::{Row, Tables};

/// So many issues are shown.
const ISSUES_MAX: i64 = 1000;
/// So many uploads are shown.
const UPLOADS_MAX: i64 = 20;

/// Both tables of one stock.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Stock {
    /// Its name.
    #[serde(rename = "stock")]
    pub name: String,
    /// The rows of Historical.xlsx, in their order.
    pub historical: Vec<Historical>,
    /// The rows of Live.xlsx, in their order.
    pub live: Vec<Live>,
}

/// A row of Historical in the names its readers know: texts, as they are shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = HistoricalRow)]
pub struct Historical {
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
    #[serde(rename = "numbers")]
    numbers: HistoricalNumbers,
}

/// Its numbers; none where the text is no number.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoricalNumbers {
    strike: Option<f64>,
    prev_oi: Option<f64>,
    latest_oi: Option<f64>,
    call_oi_difference: Option<f64>,
    put_oi_difference: Option<f64>,
    ltp: Option<f64>,
}

/// A row of Live in the names its readers know: texts, as they are shown.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = LiveRow)]
pub struct Live {
    /// `Call Support`, `Put Resistance`, …
    pub section: String,
    /// `Support1`, `Total OI Change`, …
    pub label: String,
    #[serde(rename = "Prev_OI")]
    prev_oi: String,
    /// The strike, or `Not found`.
    pub strike: String,
    stock: String,
    #[serde(rename = "OI_Diff")]
    oi_diff: String,
    #[serde(rename = "Is_NewStrike")]
    is_new_strike: String,
    #[serde(rename = "Add_Strike")]
    add_strike: String,
    /// Its numbers.
    #[serde(rename = "numbers")]
    pub numbers: LiveNumbers,
}

/// Its numbers; none where the text is no number.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveNumbers {
    /// Open interest.
    pub prev_oi: Option<f64>,
    /// The strike.
    pub strike: Option<f64>,
    /// How far that is from what it was.
    pub oi_diff: Option<f64>,
}

/// A run of the processor.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Run {
    /// `full_process`, or `delete`: somebody had all rows deleted.
    pub process_type: String,
    /// Stocks with rows.
    pub stocks_processed: i64,
    /// Stocks that were wanted.
    pub stocks_total: Option<i64>,
    /// Rows of both tables.
    pub rows: Option<i64>,
    /// Cells that are not what they should be.
    pub issues: Option<i64>,
    /// `success` or `error`.
    pub status: String,
    /// The run in words.
    pub message: String,
    /// When.
    pub processed_at: Option<Timestamp>,
    /// Its id at the supervisor, if that started it.
    pub run_id: Option<String>,
    /// How long it took.
    pub duration_ms: Option<f64>,
    /// Equal for two runs that read the same.
    pub fingerprint: Option<String>,
}

impl Run {
    /// Seconds since then.
    pub fn age_seconds(&self) -> Option<i64> {
        self.processed_at.map(clock::seconds_since)
    }
}

/// A cell that is not what it should be.
#[derive(Debug, Serialize, ToSchema)]
pub struct Issue {
    workbook: String,
    cell: String,
    stock: String,
    kind: String,
    /// In words.
    pub message: String,
}

/// A workbook that somebody sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upload {
    file_type: String,
    file_name: String,
    file_size: i64,
    uploaded_at: Option<Timestamp>,
}

/// The stocks of both tables by name.
pub fn stocks(tables: &mut dyn Tables) -> Result<Vec<Stock>> {
    let mut stocks: Vec<Stock> = Vec::new();
    let query = "SELECT stock, category, strike, prev_oi, latest_oi, call_oi_difference, put_oi_difference, ltp, \
                 additional_strike FROM historical_data ORDER BY stock, id";
    for mut row in tables.rows(query, &[])? {
        let stock = row.text(0)?;
        let texts = [1, 2, 3, 4, 5, 6, 7, 8].map(|at| row.text(at));
        let [
            category,
            strike,
            prev_oi,
            latest_oi,
            call_oi_difference,
            put_oi_difference,
            ltp,
            additional_strike,
        ] = texts;
        let (strike, prev_oi, latest_oi) = (strike?, prev_oi?, latest_oi?);
        let (call_oi_difference, put_oi_difference, ltp) = (call_oi_difference?, put_oi_difference?, ltp?);
        let numbers = HistoricalNumbers {
            strike: number::parse(&strike),
            prev_oi: number::parse(&prev_oi),
            latest_oi: number::parse(&latest_oi),
            call_oi_difference: number::parse(&call_oi_difference),
            put_oi_difference: number::parse(&put_oi_difference),
            ltp: number::parse(&ltp),
        };
        if stocks.last().is_none_or(|last| last.name != stock) {
            stocks.push(Stock { name: stock.clone(), ..Stock::default() });
        }
        let Some(last) = stocks.last_mut() else { continue };
        last.historical.push(Historical {
            stock,
            category: category?,
            strike,
            prev_oi,
            latest_oi,
            call_oi_difference,
            put_oi_difference,
            ltp,
            additional_strike: additional_strike?,
            numbers,
        });
    }
    live(tables, &mut stocks)?;
    Ok(stocks)
}

fn live(tables: &mut dyn Tables, stocks: &mut Vec<Stock>) -> Result<()> {
    // A database may sort names otherwise than we do.
    stocks.sort_by(|a, b| a.name.cmp(&b.name));
    let query = "SELECT stock, section, label, prev_oi, strike, oi_diff, is_new_strike, add_strike FROM live_data \
                 ORDER BY id";
    let mut at = 0;
    for mut row in tables.rows(query, &[])? {
        let stock = row.text(0)?;
        // Rows of a stock mostly stand together.
        if stocks.get(at).is_none_or(|found| found.name != stock) {
            at = match stocks.binary_search_by(|found| found.name.cmp(&stock)) {
                Ok(at) => at,
                Err(at) => {
                    stocks.insert(at, Stock { name: stock.clone(), ..Stock::default() });
                    at
                }
            };
        }
        let (prev_oi, strike, oi_diff) = (row.text(3)?, row.text(4)?, row.text(5)?);
        let numbers = LiveNumbers {
            prev_oi: number::parse(&prev_oi),
            strike: number::parse(&strike),
            oi_diff: number::parse(&oi_diff),
        };
        stocks[at].live.push(Live {
            section: row.text(1)?,
            label: row.text(2)?,
            prev_oi,
            strike,
            stock,
            oi_diff,
            is_new_strike: row.text(6)?,
            add_strike: row.text(7)?,
            numbers,
        });
    }
    Ok(())
}

const RUN: &str = "SELECT process_type, stocks_processed, stocks_total, rows_stored, issues, status, message, \
                   processed_at, run_id, duration_ms, fingerprint FROM processing_metadata";

/// The latest runs, the newest first.
pub fn runs(tables: &mut dyn Tables, limit: u32) -> Result<Vec<Run>> {
    let query = format!("{RUN} ORDER BY id DESC LIMIT $1");
    tables.rows(&query, &[i64::from(limit).into()])?.into_iter().map(run).collect()
}

/// The last run that was a success.
pub fn last_success(tables: &mut dyn Tables) -> Result<Option<Run>> {
    let query = format!("{RUN} WHERE status = 'success' ORDER BY id DESC LIMIT 1");
    tables.row(&query, &[])?.map(run).transpose()
}

fn run(mut row: Row) -> Result<Run> {
    Ok(Run {
        process_type: row.text(0)?,
        stocks_processed: row.maybe_int(1)?.unwrap_or(0),
        stocks_total: row.maybe_int(2)?,
        rows: row.maybe_int(3)?,
        issues: row.maybe_int(4)?,
        status: row.text(5)?,
        message: row.text(6)?,
        processed_at: moment(&mut row, 7)?,
        run_id: row.maybe_text(8)?,
        duration_ms: row.maybe_real(9)?,
        fingerprint: row.maybe_text(10)?,
    })
}

/// The first issues, and how many there are.
pub fn issues(tables: &mut dyn Tables) -> Result<(Vec<Issue>, i64)> {
    let count = tables.row("SELECT count(*) FROM row_issues", &[])?.map(|row| row.int(0)).transpose()?;
    let query = "SELECT workbook, cell, stock, kind, message FROM row_issues ORDER BY id LIMIT $1";
    let issues = tables.rows(query, &[ISSUES_MAX.into()])?.into_iter().map(|mut row| {
        Ok(Issue {
            workbook: row.text(0)?,
            cell: row.text(1)?,
            stock: row.text(2)?,
            kind: row.text(3)?,
            message: row.text(4)?,
        })
    });
    Ok((issues.collect::<Result<_>>()?, count.unwrap_or(0)))
}

/// The latest uploads, the newest first.
pub fn uploads(tables: &mut dyn Tables) -> Result<Vec<Upload>> {
    let query =
        "SELECT file_type, file_name, file_size, uploaded_at FROM uploaded_files ORDER BY id DESC LIMIT $1";
    let uploads = tables.rows(query, &[UPLOADS_MAX.into()])?.into_iter().map(|mut row| {
        Ok(Upload {
            file_type: row.text(0)?,
            file_name: row.text(1)?,
            file_size: row.maybe_int(2)?.unwrap_or(0),
            uploaded_at: moment(&mut row, 3)?,
        })
    });
    uploads.collect()
}

/// A moment of the tables, with its zone.
pub(super) fn moment(row: &mut Row, at: usize) -> Result<Option<Timestamp>> {
    Ok(row.maybe_text(at)?.and_then(|text| clock::parse(&text)))
}
