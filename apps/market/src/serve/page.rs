//! The page at `/`: where to ask. No script, nothing from elsewhere.

use axum::Router;
use axum::response::Html;
use axum::routing::get;

const PAGE: &str = "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
    <title>market</title><h1>market</h1><ul>\
    <li><a href=\"/health\">/health</a>: is the server well, how old are the data\
    <li><a href=\"/api/v1/stocks\">/api/v1/stocks</a>: all stocks\
    <li><a href=\"/openapi.json\">/openapi.json</a>: all routes</ul></html>\n";

/// Its route.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/", get(|| async { Html(PAGE) }))
}
