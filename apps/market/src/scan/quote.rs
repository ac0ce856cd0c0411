//! What a quote means: its price in the present session, gap, change, relative volume and class.
//! The definitions are in docs/market-scanner.md.

use jiff::Timestamp;

use super::hours::Session;
use super::provider::{Price, Told};

/// A quote that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    /// What the provider said.
    pub told: Told,
    /// The session that the numbers are of.
    pub session: Session,
    /// The latest price of any session.
    pub price: f64,
    /// When that was.
    pub quoted_at: Option<Timestamp>,
    /// The close against which gap and change are measured.
    pub previous_close: Option<f64>,
    /// First, highest, lowest price and shares traded of the session's day; none before it has opened.
    pub open: Option<f64>,
    /// See `open`.
    pub high: Option<f64>,
    /// See `open`.
    pub low: Option<f64>,
    /// See `open`.
    pub volume: Option<f64>,
    /// In percent.
    pub gap: Option<f64>,
    /// In percent.
    pub change: Option<f64>,
    /// Volume by average volume.
    pub relative_volume: Option<f64>,
    /// The class of the gap.
    pub class: Option<&'static str>,
}

impl Quote {
    /// The quote, if there is a price. `session` is what the exchange's calendar says; the provider knows better of which
    /// session its numbers are.
    pub fn of(told: Told, session: Session) -> Option<Self> {
        let session = told.session.unwrap_or(session);
        let last = match session {
            Session::Pre => told.pre,
            Session::Regular => Price::default(),
            Session::After | Session::Closed => told.post,
        };
        let Price { amount, at } = if last.amount.is_some() { last } else { told.regular };
        let price = amount?;
        let is_open = session != Session::Pre;
        // Before the open, the regular session that is told of is yesterday's, and its price is the last close.
        let previous_close = if is_open { told.previous_close } else { told.regular.amount };
        let [open, high, low, volume] =
            [told.open, told.high, told.low, told.volume].map(|number| number.filter(|_| is_open));
        let gap = match session {
            Session::Pre => percent(told.pre.amount, previous_close),
            Session::Regular | Session::After | Session::Closed => percent(open, previous_close),
        };
        let relative = volume.zip(told.average_volume).map(|(volume, average)| volume / average);
        Some(Self {
            session,
            price,
            quoted_at: at.and_then(|at| Timestamp::from_second(at).ok()),
            previous_close,
            open,
            high,
            low,
            volume,
            gap,
            change: percent(Some(price), previous_close),
            relative_volume: relative.filter(|ratio| ratio.is_finite()),
            class: gap.map(class),
            told,
        })
    }
}

/// By how many percent `now` is above `before`.
fn percent(now: Option<f64>, before: Option<f64>) -> Option<f64> {
    let percent = (now? / before? - 1.0) * 100.0;
    percent.is_finite().then_some(percent)
}

/// The class of a gap in percent.
fn class(gap: f64) -> &'static str {
    let is_up = gap > 0.0;
    match gap.abs() {
        size if size < 1.0 => "flat",
        size if size < 4.0 => {
            if is_up {
                "up"
            } else {
                "down"
            }
        }
        size if size < 10.0 => {
            if is_up {
                "large-up"
            } else {
                "large-down"
            }
        }
        _ => {
            if is_up {
                "extreme-up"
            } else {
                "extreme-down"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Quote, class};
    use crate::scan::hours::Session;
    use crate::scan::provider::{Price, Told};

    fn told(session: Option<Session>) -> Told {
        let price = |amount, at| Price { amount: Some(amount), at: Some(at) };
        Told {
            symbol: "AAPL".to_owned(),
            session,
            pre: price(110.0, 3),
            regular: price(100.0, 2),
            post: price(103.0, 4),
            previous_close: Some(80.0),
            open: Some(84.0),
            high: Some(101.0),
            low: Some(83.0),
            volume: Some(500.0),
            average_volume: Some(200.0),
            ..Told::default()
        }
    }

    #[test]
    fn each_session_has_its_price_and_its_close() {
        let look = |session| {
            let quote = Quote::of(told(Some(session)), Session::Closed).expect("a price");
            let round = |number: Option<f64>| number.map(|number| (number * 100.0).round() / 100.0);
            (quote.price, quote.previous_close, round(quote.gap), round(quote.change), quote.relative_volume)
        };
        assert_eq!(look(Session::Pre), (110.0, Some(100.0), Some(10.0), Some(10.0), None));
        assert_eq!(look(Session::Regular), (100.0, Some(80.0), Some(5.0), Some(25.0), Some(2.5)));
        let after = (103.0, Some(80.0), Some(5.0), Some(28.75), Some(2.5));
        assert_eq!(look(Session::After), after);
        assert_eq!(look(Session::Closed), after);
    }

    #[test]
    fn the_calendar_speaks_where_the_provider_does_not() {
        let quote = Quote::of(told(None), Session::Pre).expect("a price");
        assert_eq!((quote.session, quote.open, quote.volume), (Session::Pre, None, None));
        assert_eq!(quote.quoted_at.map(|at| at.as_second()), Some(3));
    }

    #[test]
    fn without_a_trade_before_the_open_there_is_no_gap() {
        let quote = Quote::of(Told { pre: Price::default(), ..told(Some(Session::Pre)) }, Session::Pre);
        let quote = quote.expect("a price");
        assert_eq!((quote.price, quote.gap, quote.class, quote.change), (100.0, None, None, Some(0.0)));
    }

    #[test]
    fn without_a_price_it_is_no_quote_and_without_the_rest_it_is_one() {
        let bare = Told { symbol: "X".to_owned(), ..Told::default() };
        assert_eq!(Quote::of(bare.clone(), Session::Regular), None);
        let regular = Price { amount: Some(1.0), at: Some(i64::MAX) };
        let quote = Quote::of(Told { regular, ..bare }, Session::Regular).expect("a price");
        assert_eq!(
            (quote.gap, quote.change, quote.relative_volume, quote.quoted_at),
            (None, None, None, None)
        );
    }

    #[test]
    fn a_class_begins_at_its_bound() {
        let classes = [-10.0, -9.99, -4.0, -1.0, -0.99, 0.99, 1.0, 3.99, 4.0, 9.99, 10.0].map(class);
        let wanted = [
            "extreme-down",
            "large-down",
            "large-down",
            "down",
            "flat",
            "flat",
            "up",
            "up",
            "large-up",
            "large-up",
            "extreme-up",
        ];
        assert_eq!(classes, wanted);
    }
}
