//! What a scan wants of a provider of quotes, whichever it is, and how a provider fails.

use std::fmt;

use super::hours::Session;

/// A source of quotes.
pub trait Provider {
    /// The quotes of a list that the provider makes, such as `day_gainers`.
    ///
    /// # Errors
    /// It does not answer, not usably, or must not be asked now.
    fn screen(&mut self, name: &str) -> Result<Answer, Fault>;

    /// The quotes of the first of these symbols, and of how many it took; symbols it does not know are left out.
    ///
    /// # Errors
    /// As with `screen`; the symbols that were asked for are then counted all the same.
    fn quotes(&mut self, symbols: &[&str]) -> (usize, Result<Answer, Fault>);

    /// Requests that were sent so far.
    fn requests(&self) -> u32;

    /// Until when it must not be asked, in seconds since 1970.
    ///
    /// # Errors
    /// The database does not answer.
    fn shut_until(&mut self) -> anyhow::Result<Option<f64>>;
}

/// A list of quotes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// What is told of which symbol.
    pub told: Vec<Told>,
    /// Quotes of which nobody can say whose they are.
    pub nameless: usize,
}

/// What a provider said of a symbol: what was missing, null, of another type or absurd is none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    /// In upper case, as asked for.
    pub symbol: String,
    /// Name of the company.
    pub name: Option<String>,
    /// Where it is traded.
    pub exchange: Option<String>,
    /// Of all prices.
    pub currency: Option<String>,
    /// What the provider calls the session.
    pub market_state: Option<String>,
    /// What that means here.
    pub session: Option<Session>,
    /// The latest price before, in and after the regular session, and when that was, in seconds since 1970.
    pub pre: Price,
    /// See `pre`.
    pub regular: Price,
    /// See `pre`.
    pub post: Price,
    /// The close before the regular session that `regular` is of.
    pub previous_close: Option<f64>,
    /// First price of that session.
    pub open: Option<f64>,
    /// Highest price of that session.
    pub high: Option<f64>,
    /// Lowest price of that session.
    pub low: Option<f64>,
    /// Shares traded in that session.
    pub volume: Option<f64>,
    /// Shares traded in a day, over three months, otherwise over ten days.
    pub average_volume: Option<f64>,
    /// Price of all shares.
    pub market_cap: Option<f64>,
}

/// A price and its moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Price {
    /// The price, above 0.
    pub amount: Option<f64>,
    /// Seconds since 1970.
    pub at: Option<i64>,
}

/// Why there are no quotes.
#[derive(Debug)]
pub enum Fault {
    /// This request failed; the next may not.
    Bad(String),
    /// Nothing may be asked before that moment, in seconds since 1970.
    Shut {
        /// The moment.
        until: f64,
        /// Why.
        why: String,
    },
    /// The store failed, or this run was put aside.
    Store(anyhow::Error),
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(why) | Self::Shut { why, .. } => f.write_str(why),
            Self::Store(error) => write!(f, "{error:#}"),
        }
    }
}
