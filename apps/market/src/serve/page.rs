//! The page at `/`: what is stored, how old it is, and where to ask. No script, nothing from elsewhere.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use super::answers::{Database, age_seconds, not_yet, with_snapshot};
use super::views::{self, RunView};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;\
color:#1b1b1b;background:#fff}table{border-collapse:collapse}td,th{text-align:left;padding:.2rem 1rem .2rem 0}\
.error{color:#a40000}@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}a{color:#8ab4f8}\
.error{color:#ff8a80}}";

/// Shows the page.
pub async fn show(database: Database) -> Response {
    let read = with_snapshot(&database, |tables| {
        Ok((views::last_success(tables)?, views::runs(tables, 1)?.pop(), views::stocks(tables)?))
    });
    let state = match read.await {
        Ok(Some((success, last, stocks))) => stored(success.as_ref(), last.as_ref(), &stocks),
        Ok(None) => format!("<p>{}</p>", escape(&not_yet(&database))),
        Err(error) => format!("<p class=error>{}</p>", escape(&format!("{error:#}"))),
    };
    let page = format!(
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>market</title><style>{STYLE}</style><h1>market</h1>\n{state}\n<h2>Routes</h2><ul>\
         <li><a href=\"/health\">/health</a>: is the server well, how old are the data\
         <li><a href=\"/api/v1/stocks\">/api/v1/stocks</a>: all stocks\
         <li>/api/v1/stocks/<i>stock</i>: the rows of one stock\
         <li><a href=\"/api/v1/stocks/processing-history\">/api/v1/stocks/processing-history</a>: \
         the latest runs, <code>?limit=</code> says how many</ul></html>\n"
    );
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    (headers, Html(page)).into_response()
}

fn stored(success: Option<&RunView>, last: Option<&RunView>, stocks: &[String]) -> String {
    let mut out = match success {
        Some(run) => format!(
            "<p>{} stocks, last brought up to date {} UTC ({} s ago).</p>",
            stocks.len(),
            escape(&run.processed_at),
            age_seconds(run).unwrap_or_default(),
        ),
        None => "<p>No run has succeeded yet.</p>".to_owned(),
    };
    if let Some(run) = last {
        let class = if run.status == "success" { "" } else { " class=error" };
        out += &format!("<p{class}>Last run: {}: {}</p>", escape(&run.status), escape(&run.message));
    }
    if !stocks.is_empty() {
        out += "<h2>Stocks</h2><p>";
        for stock in stocks {
            out += &format!("<a href=\"/api/v1/stocks/{}\">{}</a> ", in_path(stock), escape(stock));
        }
        out += "</p>";
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            _ => out.push(c),
        }
    }
    out
}

fn in_path(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{escape, in_path};

    #[test]
    fn names_are_harmless_in_the_page() {
        assert_eq!(escape("<M&M's \"x\">"), "&lt;M&amp;M&#39;s &quot;x&quot;&gt;");
        assert_eq!(in_path("M&M/é"), "M%26M%2F%C3%A9");
    }
}
