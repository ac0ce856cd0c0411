//! Made-up quotes in the recorded shape: the same for the same seed, symbol and moment, and they move with time.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::faults::Fault;
use crate::scan::hours::{Hours, Session};

/// A made-up exchange.
#[derive(Debug)]
pub struct Prices {
    /// Other seeds are other markets.
    pub seed: u64,
    /// When it trades.
    pub hours: Hours,
}

/// What a stock did on a day.
struct Move {
    previous_close: f64,
    open: f64,
    close: f64,
}

impl Prices {
    /// The quote of a symbol at a moment, as the provider would have it.
    pub fn quote(&self, symbol: &str, now: Timestamp) -> Value {
        let (session, _) = self.hours.at(now);
        let Some((today, _)) = self.hours.trading_day(now) else { return Value::Null };
        let before = self.hours.day_before(today);
        // Before the open, the regular session that is told of is that of the day before.
        let told = if session == Session::Pre { before.unwrap_or(today) } else { today };
        let day = self.day(symbol, told);
        let past = self.hours.stretch(told, Session::Regular).map_or(1.0, |s| share(&s, now));
        let price = wander(day.open, day.close, past, self.chance(symbol, &told.to_string()));
        let average = (1e5 + 4e7 * self.chance(symbol, "average").powi(4)).round();
        let volume =
            (average * (0.4 + 2.6 * self.chance(symbol, &format!("volume {told}")).powi(3)) * past).round();
        let at = self.hours.stretch(told, Session::Regular).map_or(now, |s| now.clamp(s.start, s.end));
        let mut quote = Map::new();
        let mut put = |name: &str, value: Value| quote.insert(name.to_owned(), value);
        put("language", json!("en-US"));
        put("region", json!("US"));
        put("quoteType", json!("EQUITY"));
        put("symbol", json!(symbol));
        put("shortName", json!(format!("{symbol} Inc. (replayed)")));
        put("currency", json!("USD"));
        put("exchange", json!("NMS"));
        put("fullExchangeName", json!("NasdaqGS"));
        put("exchangeTimezoneName", json!("America/New_York"));
        put("marketState", json!(state(session)));
        put("regularMarketPrice", money(price));
        put("regularMarketTime", json!(at.as_second()));
        put("regularMarketPreviousClose", money(day.previous_close));
        put("regularMarketOpen", money(day.open));
        put("regularMarketDayHigh", money(day.open.max(price) * 1.004));
        put("regularMarketDayLow", money(day.open.min(price) * 0.996));
        put("regularMarketChange", money(price - day.previous_close));
        put("regularMarketChangePercent", json!((price / day.previous_close - 1.0) * 100.0));
        put("regularMarketVolume", json!(volume));
        put("averageDailyVolume3Month", json!(average));
        put("averageDailyVolume10Day", json!((average * 1.1).round()));
        put("marketCap", json!((price * 1e8 * (1.0 + 50.0 * self.chance(symbol, "shares"))).round()));
        match session {
            Session::Pre => {
                let open = self.day(symbol, today).open;
                let past = self.hours.stretch(today, Session::Pre).map_or(1.0, |s| share(&s, now));
                let price = wander(day.close, open, past.sqrt(), self.chance(symbol, "pre"));
                put("preMarketPrice", money(price));
                put("preMarketTime", json!(now.as_second()));
            }
            Session::After | Session::Closed => {
                let end = self.hours.stretch(told, Session::After).map_or(now, |s| now.min(s.end));
                let past = self.hours.stretch(told, Session::After).map_or(1.0, |s| share(&s, now));
                let drift = 1.0 + 0.03 * (self.chance(symbol, &format!("after {told}")) - 0.5);
                put("postMarketPrice", money(wander(day.close, day.close * drift, past, 0.3)));
                put("postMarketTime", json!(end.as_second()));
            }
            Session::Regular => {}
        }
        Value::Object(quote)
    }

    /// Every day follows from the one before only through the closes, each of which is made from its own date.
    fn day(&self, symbol: &str, date: Date) -> Move {
        let before = self.hours.day_before(date).unwrap_or(date);
        let previous_close = self.close(symbol, before);
        let lot = self.chance(symbol, &format!("gap {date}")) * 2.0 - 1.0;
        let open = previous_close * (1.0 + 0.12 * lot.powi(5) + 0.01 * lot);
        Move { previous_close, open, close: self.close(symbol, date) }
    }

    fn close(&self, symbol: &str, date: Date) -> f64 {
        let base = 4.0 + 600.0 * self.chance(symbol, "base").powi(3);
        let days = f64::from(date.day_of_year()) + 365.0 * f64::from(date.year());
        let phase = 7.0 * self.chance(symbol, "phase");
        let noise = self.chance(symbol, &format!("close {date}")) - 0.5;
        base * (1.0 + 0.15 * (days / 19.0 + phase).sin() + 0.03 * noise)
    }

    /// A number from 0 to 1, always the same for the same words (FNV-1a, mixed as in SplitMix64).
    fn chance(&self, symbol: &str, words: &str) -> f64 {
        let mut hash = self.seed ^ 0xcbf2_9ce4_8422_2325;
        for byte in symbol.bytes().chain([0]).chain(words.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (hash ^ (hash >> 31)) as f64 / u64::MAX as f64
    }
}

/// Harms some of the quotes of an answer, each in its way; the rest stays.
pub fn harm(quotes: &mut [Value], fault: Fault) {
    for (at, quote) in quotes.iter_mut().enumerate() {
        let price = quote["regularMarketPrice"].clone();
        match (fault, at % 5) {
            (Fault::Types, 0) => quote["regularMarketPrice"] = json!(price.to_string()),
            (Fault::Types, 1) => quote["regularMarketPrice"] = json!({"raw": price, "fmt": "formatted"}),
            (Fault::Types, 2) => quote["regularMarketVolume"] = json!([1, 2]),
            (Fault::Types, 3) => quote["symbol"] = json!(7),
            (Fault::Types, _) => *quote = json!("a quote"),
            (Fault::Nulls, 0) => quote["regularMarketPrice"] = Value::Null,
            (Fault::Nulls, 1) => {
                let _ = quote.as_object_mut().map(|quote| quote.remove("regularMarketPreviousClose"));
            }
            (Fault::Nulls, 2) => quote["regularMarketVolume"] = Value::Null,
            (Fault::Nulls, 3) => quote["marketState"] = Value::Null,
            (Fault::Nulls, _) => *quote = Value::Null,
            _ => {}
        }
        if fault == Fault::Types || fault == Fault::Nulls {
            // What is traded outside the regular session would be a price too.
            for name in ["preMarketPrice", "postMarketPrice"] {
                let _ = quote.as_object_mut().map(|quote| quote.remove(name));
            }
        }
    }
}

fn state(session: Session) -> &'static str {
    match session {
        Session::Pre => "PRE",
        Session::Regular => "REGULAR",
        Session::After => "POST",
        Session::Closed => "CLOSED",
    }
}

/// How much of a session lies behind.
fn share(stretch: &std::ops::Range<Timestamp>, now: Timestamp) -> f64 {
    let all = stretch.end.duration_since(stretch.start).as_secs_f64();
    (now.duration_since(stretch.start).as_secs_f64() / all).clamp(0.0, 1.0)
}

/// From one price to another, on a way of its own that moves with every second.
fn wander(from: f64, to: f64, past: f64, chance: f64) -> f64 {
    let bend = (past * 23.0 + chance * 7.0).sin() + 0.4 * (past * 397.0 + chance * 3.0).sin();
    from + (to - from) * past + from * 0.006 * bend * (past * (1.0 - past)).sqrt()
}

fn money(amount: f64) -> Value {
    json!((amount * 100.0).round().max(1.0) / 100.0)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::Prices;
    use crate::scan::hours::Hours;

    #[test]
    fn a_market_is_the_same_for_its_seed_and_moves_with_time() {
        let market = |seed| Prices { seed, hours: Hours::of_new_york().expect("the calendar") };
        let at = |moment: &str| moment.parse::<Timestamp>().expect("a moment");
        let (ten, later) = (at("2026-11-20T15:00:00Z"), at("2026-11-20T15:00:20Z"));
        let quote = market(1).quote("AAPL", ten);
        assert_eq!(quote, market(1).quote("AAPL", ten));
        assert_ne!(quote, market(2).quote("AAPL", ten));
        let later = market(1).quote("AAPL", later);
        assert_ne!(quote["regularMarketVolume"], later["regularMarketVolume"]);
        assert_eq!(quote["regularMarketOpen"], later["regularMarketOpen"]);
        // The close of a day is what the next day is measured against, and so is the last close before its open.
        let close = market(1).quote("AAPL", at("2026-11-20T22:00:00Z"))["regularMarketPrice"].clone();
        let monday = market(1).quote("AAPL", at("2026-11-23T15:00:00Z"));
        assert_eq!(monday["regularMarketPreviousClose"], close);
        assert_eq!(market(1).quote("AAPL", at("2026-11-23T12:00:00Z"))["regularMarketPrice"], close);
    }
}
