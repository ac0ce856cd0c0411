//! The provider's JSON as what is told of a symbol. Values may be missing, null, of another type, or `{"raw","fmt"}`:
//! each costs at most itself.

use serde_json::Value;

use crate::scan::hours::Session;
use crate::scan::provider::{Answer, Price, Told};

/// No symbol is longer.
pub const SYMBOL_MAX: usize = 32;
/// No name is shown longer.
const TEXT_MAX: usize = 120;

/// The quotes of a list of them.
pub fn read_all(list: &Value) -> Option<Answer> {
    let list = list.as_array()?;
    let told: Vec<Told> = list.iter().filter_map(read).collect();
    Some(Answer { nameless: list.len() - told.len(), told })
}

fn read(quote: &Value) -> Option<Told> {
    let symbol = text(quote, "symbol").filter(|symbol| is_symbol(symbol))?.to_uppercase();
    let market_state = text(quote, "marketState");
    let price = |name: &str| Price {
        amount: above_zero(quote, &format!("{name}Price")),
        at: number(quote, &format!("{name}Time")).filter(|at| (0.0..1e11).contains(at)).map(|at| at as i64),
    };
    Some(Told {
        symbol,
        name: text(quote, "shortName").or_else(|| text(quote, "longName")),
        exchange: text(quote, "fullExchangeName").or_else(|| text(quote, "exchange")),
        currency: text(quote, "currency"),
        session: market_state.as_deref().and_then(session),
        market_state,
        pre: price("preMarket"),
        regular: price("regularMarket"),
        post: price("postMarket"),
        previous_close: above_zero(quote, "regularMarketPreviousClose"),
        open: above_zero(quote, "regularMarketOpen"),
        high: above_zero(quote, "regularMarketDayHigh"),
        low: above_zero(quote, "regularMarketDayLow"),
        volume: number(quote, "regularMarketVolume").filter(|volume| *volume >= 0.0),
        average_volume: above_zero(quote, "averageDailyVolume3Month")
            .or_else(|| above_zero(quote, "averageDailyVolume10Day")),
        market_cap: above_zero(quote, "marketCap"),
    })
}

/// Letters, digits and signs, such as `BRK-B`, `^GSPC`, `ES=F`; no comma, which stands between symbols.
pub fn is_symbol(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && c != ',' && c != '"' && c != '<';
    (1..=SYMBOL_MAX).contains(&text.len()) && text.chars().all(is_plain)
}

/// The provider has words of its own for the night; there is no trading then.
fn session(market_state: &str) -> Option<Session> {
    match market_state {
        "PRE" => Some(Session::Pre),
        "REGULAR" => Some(Session::Regular),
        "POST" => Some(Session::After),
        "CLOSED" | "PREPRE" | "POSTPOST" => Some(Session::Closed),
        _ => None,
    }
}

fn text(quote: &Value, name: &str) -> Option<String> {
    let text: String =
        quote.get(name)?.as_str()?.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect();
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn number(quote: &Value, name: &str) -> Option<f64> {
    let value = quote.get(name)?;
    value.get("raw").unwrap_or(value).as_f64().filter(|number| number.is_finite())
}

fn above_zero(quote: &Value, name: &str) -> Option<f64> {
    number(quote, name).filter(|number| *number > 0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::read_all;
    use crate::scan::hours::Session;
    use crate::scan::quote::Quote;

    fn told(quote: Value) -> Option<super::Told> {
        read_all(&json!([quote])).expect("a list").told.pop()
    }

    #[test]
    fn numbers_come_raw_or_formatted_and_all_else_is_none() {
        let quote = json!({
            "symbol": "brk-b", "regularMarketPrice": {"raw": 412.5, "fmt": "412.50"}, "regularMarketTime": {"raw": 1763736000},
            "regularMarketPreviousClose": "410", "regularMarketOpen": null, "regularMarketVolume": [7], "regularMarketDayLow": -3,
            "averageDailyVolume3Month": 0, "averageDailyVolume10Day": 5, "shortName": 3, "longName": "Berkshire\u{7} Hathaway ",
            "marketState": "POSTPOST", "marketCap": true,
        });
        let told = told(quote).expect("a quote");
        assert_eq!((told.symbol.as_str(), told.name.as_deref()), ("BRK-B", Some("Berkshire Hathaway")));
        assert_eq!((told.regular.amount, told.regular.at), (Some(412.5), Some(1_763_736_000)));
        assert_eq!([told.previous_close, told.open, told.volume, told.low, told.market_cap], [None; 5]);
        assert_eq!(told.average_volume, Some(5.0));
        assert_eq!(told.session, Some(Session::Closed));
    }

    /// Whatever stands in whichever field, it costs no more than that field, and nothing that is no number gets through.
    #[test]
    fn no_value_anywhere_does_harm() {
        let names = [
            "symbol",
            "shortName",
            "marketState",
            "preMarketPrice",
            "preMarketTime",
            "regularMarketPrice",
            "regularMarketTime",
            "postMarketPrice",
            "regularMarketPreviousClose",
            "regularMarketOpen",
            "regularMarketVolume",
            "averageDailyVolume3Month",
            "marketCap",
        ];
        let values = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(1e308),
            json!(5e-324),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(""),
            json!("12"),
            json!("N/A"),
            json!([]),
            json!({}),
            json!({"raw": null}),
            json!({"raw": {"raw": 1}}),
            json!({"raw": -0.0, "fmt": "0"}),
            json!("\u{0}"),
            json!("x".repeat(10_000)),
        ];
        let whole = json!({
            "symbol": "A", "shortName": "A", "marketState": "PRE", "preMarketPrice": 1, "preMarketTime": 1,
            "regularMarketPrice": 1, "regularMarketTime": 1, "regularMarketPreviousClose": 1, "regularMarketOpen": 1,
            "regularMarketVolume": 1, "averageDailyVolume3Month": 1, "marketCap": 1,
        });
        for (name, value) in names.iter().flat_map(|name| values.iter().map(move |value| (name, value))) {
            for state in ["PRE", "REGULAR", "POST", "CLOSED"] {
                let mut quote = whole.clone();
                quote["marketState"] = json!(state);
                quote[*name] = value.clone();
                let Some(quote) = told(quote).and_then(|told| Quote::of(told, Session::Regular)) else {
                    continue;
                };
                let numbers = [Some(quote.price), quote.gap, quote.change, quote.relative_volume, quote.open];
                assert!(
                    numbers.iter().flatten().all(|number| number.is_finite()),
                    "{name} {value}: {quote:?}"
                );
                assert!(quote.price > 0.0 && quote.told.symbol.len() <= super::SYMBOL_MAX, "{name} {value}");
            }
        }
    }

    #[test]
    fn what_has_no_symbol_is_no_quote() {
        for quote in
            [json!(null), json!("AAPL"), json!({}), json!({"symbol": 7}), json!({"symbol": "A,B"}), json!([])]
        {
            assert_eq!(told(quote.clone()), None, "{quote}");
        }
        assert_eq!(read_all(&json!({"symbol": "AAPL"})), None);
        assert_eq!(read_all(&json!([null, 7])).map(|answer| answer.nameless), Some(2));
    }
}
