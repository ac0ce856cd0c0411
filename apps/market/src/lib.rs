//! `market`: option interest from two workbooks into a database, and from there to whoever asks.
//! This file owns the command line and the exit code; `process` and `serve` are the two commands.

mod board;
mod clock;
mod fields;
mod historical;
mod issues;
mod live;
mod notify;
mod number;
mod process;
mod refusal;
mod replay;
mod say;
mod scan;
mod serve;
mod snapshot;
mod store;
mod symbols;
mod ticked;
mod workbook;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jiff::civil::Date;

use crate::store::Location;

/// Readers of what others write, for the fuzz targets alone.
#[doc(hidden)]
pub mod inner {
    pub use crate::historical::Historical;
    pub use crate::live::Live;
    pub use crate::number::{format as thousands, parse as number, text as number_text};
    pub use crate::refusal::Refusal;
    pub use crate::scan::hours::Session;
    pub use crate::scan::quote::Quote;
    pub use crate::scan::yahoo::fields::{is_symbol, read_all};
    pub use crate::symbols::Roster;
    pub use crate::workbook::{Workbook, bounds, guarded, sheet_date};
}

/// Option interest: workbooks in, one whole snapshot stored, served over HTTP.
#[derive(Debug, Parser)]
#[command(name = "market", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read both workbooks and store their rows, once or at each tick. Exit code 1 if a workbook was refused.
    Process {
        /// Folder with Historical.xlsx and Live.xlsx
        #[arg(long, env = "MARKET_DIR", default_value = "live_data")]
        dir: PathBuf,
        /// Database to write: a file, or postgres://user@host/name
        #[arg(long, env = "MARKET_DATABASE", hide_env_values = true, default_value = "market.db")]
        database: Location,
        /// Symbols wanted, one a line [default: symbols.txt in the folder, otherwise every stock]
        #[arg(long, env = "MARKET_SYMBOLS")]
        symbols: Option<PathBuf>,
        /// Day whose sheets are wanted, such as 2025-11-24 [default: today in Asia/Kolkata]
        #[arg(long, env = "MARKET_TODAY", value_parser = day)]
        today: Option<Date>,
        /// Do it once and end; this is the default
        #[arg(long, conflicts_with = "ticked")]
        once: bool,
        /// Do it at each line of standard input, as soloist gives them with trigger = "stdin"
        #[arg(long)]
        ticked: bool,
    },
    /// Serve the stored rows over HTTP until SIGTERM or SIGINT.
    Serve(serve::Order),
    /// Ask a provider for quotes in the sessions of New York, store them, and go on until SIGTERM or SIGINT.
    Scan(scan::Order),
    /// Be such a provider on loopback, with made-up quotes and faults on demand.
    Replay(replay::Order),
}

fn day(text: &str) -> Result<Date, String> {
    workbook::sheet_date::parse(text).ok_or_else(|| "not a date; write it as 2025-11-24".to_owned())
}

/// Does what the command line says.
pub fn run() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Process { dir, database, symbols, today, once: _, ticked } => {
            let order = process::Order { dir, database, symbols, today };
            process::Processor::new(order).and_then(if ticked { ticked::run } else { process::once })
        }
        Command::Serve(order) => serve::run(order),
        Command::Scan(order) => scan::run(order),
        Command::Replay(order) => replay::run(order),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
