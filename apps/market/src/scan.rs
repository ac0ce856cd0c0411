//! The gap scanner: asks a provider for quotes in the sessions of New York, stores them, and says how it fares.
//! This file owns its order and its rhythm; the parts are in `scan/`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::board::quotes;
use crate::store::{Location, Store, Writer};
use crate::symbols::Roster;
use crate::{notify, say};

mod cache;
mod gate;
mod haul;
pub mod hours;
mod limiter;
mod line;
mod provider;
pub mod quote;
pub mod stored;
pub mod yahoo;

use cache::Cache;
use haul::{Haul, Wish};
use hours::{Hours, Session};
use provider::Provider;
use stored::Scan;
use yahoo::{Yahoo, fields};

/// The wall clock is asked again after at most so long: a machine may have slept.
const MINUTE: Duration = Duration::from_secs(60);
/// While there is no trading, a scan that is owed is tried so often.
const QUIET: Duration = Duration::from_secs(15 * 60);

/// What to scan, and how often the provider may be asked.
#[derive(Debug, Clone, Args)]
pub struct Order {
    /// Database to write
    #[arg(long, env = "MARKET_DATABASE", hide_env_values = true, default_value = "market.db")]
    database: Location,
    /// Symbols wanted, one a line
    #[arg(long, env = "MARKET_SYMBOLS")]
    symbols: Option<PathBuf>,
    /// The provider's own lists to scan, such as day_gainers,most_actives
    #[arg(long, value_delimiter = ',')]
    screeners: Vec<String>,
    /// `yahoo`, or the URL of one that speaks like it (`market replay`); none is asked unless it is named
    #[arg(long, env = "MARKET_PROVIDER")]
    provider: Option<String>,
    /// File to keep the quotes in, beside the database
    #[arg(long, env = "MARKET_CACHE", default_value = "stock_cache.json")]
    cache: PathBuf,
    /// Scan once, whatever the hour, and end. Exit code 1 if nothing was received.
    #[arg(long)]
    once: bool,
    /// From the start of a scan to the start of the next
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    every: Duration,
    /// Least time between two requests in the long run
    #[arg(long, default_value = "2s", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// Requests that may follow at once after a pause
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    burst: u32,
    /// Requests in any hour
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=300))]
    per_hour: u32,
    /// Quiet after the provider refused; doubles with each refusal, to 30 minutes
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    backoff: Duration,
    /// Time for a request with its whole answer
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    deadline: Duration,
    /// Moment that counts as the start, for the sessions, such as 2026-11-20T10:00-05:00 [default: now]
    #[arg(long)]
    clock: Option<Timestamp>,
}

/// Scans until SIGTERM or SIGINT, or once.
///
/// # Errors
/// No provider was named; the order cannot be followed; the store fails; `--once` brought nothing.
pub fn run(order: Order) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start to listen for signals")?.block_on(async {
        let end = crate::serve::end_signal()?;
        let (done, is_done) = oneshot::channel();
        let work = move || {
            // The other end is gone only when the program ends.
            let _ = done.send(Scanner::open(order).and_then(Scanner::work));
        };
        std::thread::Builder::new().name("scan".to_owned()).spawn(work).context("cannot start to scan")?;
        // A request that hangs is not waited for: the scanner may die at any moment, and leaves the store and the file
        // whole whenever that is.
        tokio::select! {
            signal = end => {
                say::line(format_args!("{signal} received, ending"));
                Ok(())
            }
            result = is_done => result.context("the scan broke off")?,
        }
    })
}

struct Scanner {
    order: Order,
    provider: Box<dyn Provider>,
    store: Store,
    writer: Writer,
    hours: Hours,
    symbols: Vec<String>,
    began: Instant,
    due: Instant,
    is_warned: bool,
}

impl Scanner {
    fn open(order: Order) -> Result<Self> {
        let Some(name) = &order.provider else {
            bail!(
                "no provider is named, so nothing is asked; give --provider with the URL of a `market replay`, or \
                 `yahoo`: its service is not meant for programs, so read its terms first"
            )
        };
        if order.symbols.is_none() && order.screeners.is_empty() {
            bail!(
                "there is nothing to scan; give a list by --symbols, or the provider's lists by --screeners"
            );
        }
        let symbols = order.symbols.as_deref().map(Roster::read).transpose()?;
        let symbols =
            symbols.map(|mut roster| roster.stocks().iter().map(|(name, _)| name.clone()).collect());
        let symbols: Vec<String> = symbols.unwrap_or_default();
        if let Some(odd) = symbols.iter().find(|symbol| !fields::is_symbol(symbol)) {
            bail!(
                "{odd:?} in the list of symbols is no symbol: at most {} letters, digits and signs; mend the list",
                fields::SYMBOL_MAX
            );
        }
        let writer = Writer::of_this_run("scanner")?;
        let rules = limiter::Rules {
            interval: order.interval.as_secs_f64(),
            burst: order.burst,
            per_hour: order.per_hour,
            backoff: order.backoff.as_secs_f64(),
            probe_lease: (order.deadline + Duration::from_secs(5)).as_secs_f64(),
        };
        let provider = Yahoo::open(name, &order.database, &writer, rules, order.deadline)?;
        let now = Instant::now();
        Ok(Self {
            provider: Box::new(provider),
            store: Store::open(&order.database)?,
            writer,
            hours: Hours::of_new_york()?,
            symbols,
            began: now,
            due: now,
            is_warned: false,
            order,
        })
    }

    fn work(mut self) -> Result<()> {
        if self.order.once {
            let (haul, message) = self.scan()?;
            if haul.status() == "failed" {
                bail!(message);
            }
            tell(&haul, &message);
            return Ok(());
        }
        notify::ready();
        loop {
            let pause = self.turn()?;
            std::thread::sleep(pause.min(MINUTE));
        }
    }

    /// Does what is due now; returns how long there is nothing to do.
    fn turn(&mut self) -> Result<Duration> {
        let left = self.due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return Ok(left);
        }
        notify::state("checking", None);
        if let Some(until) = self.provider.shut_until()? {
            let left = (until - gate::epoch()).max(0.001);
            return Ok(sleep(Duration::from_secs_f64(left), "the provider asked for quiet"));
        }
        let now = self.now();
        let (session, is_known) = self.hours.at(now);
        if session == Session::Closed && !self.owes_a_scan(now)? {
            let open = self.hours.next_open(now).unwrap_or_else(|| "it opens".to_owned());
            notify::state("sleeping", None);
            notify::status(&format!("New York is closed until {open}"));
            return Ok(MINUTE);
        }
        let began = Instant::now();
        let (haul, message) = self.scan()?;
        tell(&haul, &message);
        let session = if is_known { session } else { haul.session().unwrap_or(session) };
        let pause = if session == Session::Closed { self.order.every.max(QUIET) } else { self.order.every };
        self.due = began + pause;
        if let Some(until) = haul.shut_until {
            self.due =
                self.due.max(Instant::now() + Duration::from_secs_f64((until - gate::epoch()).max(0.0)));
            return Ok(sleep(self.due.saturating_duration_since(Instant::now()), &message));
        }
        let left = self.due.saturating_duration_since(Instant::now());
        notify::state(if session == Session::Closed { "sleeping" } else { "idle" }, None);
        notify::status(&format!("{message}, next in {:.0} s", left.as_secs_f64()));
        Ok(left)
    }

    /// The last prices of a day are fetched after its last session: no whole scan has been done since.
    fn owes_a_scan(&mut self, now: Timestamp) -> Result<bool> {
        let scanned = self.store.read(stored::last_whole)?;
        Ok(scanned.is_none_or(|scanned| self.hours.last_close(now).is_some_and(|close| scanned < close)))
    }

    /// Scans, stores, and writes the file; returns also the line that tells of it.
    fn scan(&mut self) -> Result<(Haul, String)> {
        let (started_at, began) = (Timestamp::now(), Instant::now());
        let (session, is_known) = self.hours.at(self.now());
        let requests = self.provider.requests();
        notify::state("scraping", Some((0, self.symbols.len() as u64)));
        let known = self.store.read(stored::symbols)?;
        let (screeners, symbols) = (&self.order.screeners, &self.symbols);
        let wish = Wish { screeners, symbols, session, known: &known };
        let haul = Haul::gather(self.provider.as_mut(), &wish, &mut |done, all| {
            notify::state("scraping", Some((done, all)));
        })?;
        let session = if is_known { session } else { haul.session().unwrap_or(session) };
        if !is_known && !self.is_warned {
            self.is_warned = true;
            say::error(
                "the calendar ends before today, so holidays are not known: the provider's session counts; update market",
            );
        }
        let requests = self.provider.requests() - requests;
        let message = message(&haul, requests);
        let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
        let scan = Scan { started_at, session, requests, milliseconds, message: message.clone() };
        let stocks = self.store.write(&self.writer, |tables| {
            stored::record(tables, &haul, &scan)?;
            quotes::quotes(tables)
        })?;
        match Cache::of(&stocks, session.word(), haul.status(), &message).write(&self.order.cache) {
            // The store has it all; a full disk passes.
            Err(error) if !self.order.once => say::error(format_args!("{error:#}")),
            written => written?,
        }
        Ok((haul, message))
    }

    fn now(&self) -> Timestamp {
        match self.order.clock {
            Some(start) => start.saturating_add(self.began.elapsed()).unwrap_or(Timestamp::MAX),
            None => Timestamp::now(),
        }
    }
}

fn sleep(left: Duration, why: &str) -> Duration {
    notify::state("sleeping", None);
    notify::status(&format!("{why}; next in {:.0} s", left.as_secs_f64()));
    left
}

fn tell(haul: &Haul, message: &str) {
    if haul.is_whole() { say::line(message) } else { say::error(message) }
}

fn message(haul: &Haul, requests: u32) -> String {
    let mut message = format!("{} of {} quotes, {requests} requests", haul.quotes.len(), haul.wanted);
    if !haul.unusable.is_empty() {
        message += &format!(", {} without a price", haul.unusable.len());
    }
    if let Some(first) = haul.faults.first() {
        message += &format!("; {first}");
    }
    message
}
