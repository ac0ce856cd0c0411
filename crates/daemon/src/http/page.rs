//! The dashboard: its files, which lie in `crates/daemon/dashboard/` and in this binary, as the browser wants them. What it
//! shows it asks from the API; what a page may load and do is said in `bounds.rs`.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use soloist_api::error::Problem;

use super::Answer;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// One file: where it is found, what it is, and its bytes.
type File = (&'static str, &'static str, &'static [u8]);

macro_rules! files {
    ($($path:literal: $kind:expr),+ $(,)?) => {
        [$(($path, $kind, include_bytes!(concat!("../../dashboard", $path)))),+]
    };
}

const INDEX: &[u8] = include_bytes!("../../dashboard/index.html");

/// All but the page itself, which is at `/`.
const FILES: &[File] = &files! {
    "/actions.js": SCRIPT,
    "/app.css": CSS,
    "/axis.js": SCRIPT,
    "/chart.js": SCRIPT,
    "/dialogs.js": SCRIPT,
    "/dom.js": SCRIPT,
    "/entries.js": SCRIPT,
    "/icon.svg": "image/svg+xml",
    "/keyboard.js": SCRIPT,
    "/live.js": SCRIPT,
    "/log.js": SCRIPT,
    "/main.js": SCRIPT,
    "/net.js": SCRIPT,
    "/sparkline.js": SCRIPT,
    "/store.js": SCRIPT,
    "/theme.js": SCRIPT,
    "/timeline.js": SCRIPT,
    "/vendor/uPlot.LICENSE": "text/plain; charset=utf-8",
    "/vendor/uPlot.iife.min.js": SCRIPT,
    "/vendor/uPlot.min.css": CSS,
    "/views/history.js": SCRIPT,
    "/views/overview.js": SCRIPT,
    "/views/ports.js": SCRIPT,
    "/views/schedules.js": SCRIPT,
    "/views/service.js": SCRIPT,
    "/virtual.js": SCRIPT,
    "/words.js": SCRIPT,
};

/// For a person who is not let in: what to do, without anything that only those get who are.
pub(super) fn shut(problem: &Problem) -> Answer {
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\"><title>soloist</title>\
         <h1>soloist</h1><p>Not let in: {}.</p>\
         <p>Run <code>soloist open</code> in the project's folder: it opens this page by a link that works once.</p>\n",
        problem.detail
    );
    (StatusCode::UNAUTHORIZED, [(header::CONTENT_TYPE, HTML)], page).into_response()
}

/// One route a file: there is no path to play tricks with.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let page = ("/", HTML, INDEX);
    FILES.iter().copied().chain([page]).fold(Router::new(), |router, (path, kind, bytes)| {
        let tag = tag(bytes);
        router.route(path, get(move |asked: HeaderMap| async move { file(&asked, kind, bytes, &tag) }))
    })
}

/// The browser keeps a file, but asks whether it is still the same: another binary may answer tomorrow.
fn file(asked: &HeaderMap, kind: &'static str, bytes: &'static [u8], tag: &HeaderValue) -> Answer {
    let is_known = asked.get(header::IF_NONE_MATCH) == Some(tag);
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(bytes) });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    for (name, value) in [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::ETAG, tag.clone());
    response
}

/// Of the content alone: the same in every process, and changed by every change.
fn tag(bytes: &[u8]) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish()))
        .unwrap_or(HeaderValue::from_static("\"\""))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// All files below a folder, as paths from it.
    fn below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                below(&entry.path(), &path, found);
            } else {
                found.insert(path);
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served_and_no_other() {
        let mut lying = BTreeSet::new();
        below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard"), "", &mut lying);
        let served: BTreeSet<String> =
            FILES.iter().map(|(path, _, _)| (*path).to_owned()).chain(["/index.html".to_owned()]).collect();
        assert_eq!(served, lying);
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        let tag = tag(INDEX);
        let first = file(&HeaderMap::new(), HTML, INDEX, &tag);
        assert_eq!(first.status(), StatusCode::OK);
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(file(&asked, HTML, INDEX, &tag).status(), StatusCode::NOT_MODIFIED);
        assert_ne!(tag, super::tag(b"something else"));
    }

    #[test]
    fn nothing_of_it_makes_markup_from_data_or_names_another_host() {
        for (path, _, bytes) in FILES.iter().filter(|(path, _, _)| !path.starts_with("/vendor/")) {
            let text = std::str::from_utf8(bytes).unwrap();
            for word in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "https://"]
            {
                assert!(!text.contains(word), "{path} has {word}");
            }
        }
        let page = std::str::from_utf8(INDEX).unwrap();
        assert!(!page.contains("style=") && !page.contains(" on"), "something inline in the page");
    }
}
