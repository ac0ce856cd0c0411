//! The dashboard: its files, which lie in `apps/market/dashboard/` and in this binary, as the browser wants them. Parts that
//! soloist's own dashboard has as well are its files. What it shows it asks from the API; what a page may load and do is
//! said in `access.rs`.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// One file: where it is found, what it is, and its bytes.
type File = (&'static str, &'static str, &'static [u8]);

macro_rules! files {
    ($folder:literal: $($path:literal: $kind:expr),+ $(,)?) => {
        [$(($path, $kind, include_bytes!(concat!($folder, $path)))),+]
    };
}

/// Our own; the first is the page itself, at `/`.
const OURS: &[File] = &files! { "../../dashboard":
    "/index.html": HTML,
    "/favourites.js": SCRIPT,
    "/issues.js": SCRIPT,
    "/ladder.js": SCRIPT,
    "/live.js": SCRIPT,
    "/main.js": SCRIPT,
    "/market.css": CSS,
    "/net.js": SCRIPT,
    "/state.js": SCRIPT,
    "/tables.js": SCRIPT,
    "/upload.js": SCRIPT,
    "/views/moves.js": SCRIPT,
    "/views/processing.js": SCRIPT,
    "/views/scanner.js": SCRIPT,
    "/views/stock.js": SCRIPT,
    "/views/stocks.js": SCRIPT,
    "/words.js": SCRIPT,
    "/workers.js": SCRIPT,
};

/// Of soloist's dashboard.
const SHARED: &[File] = &files! { "../../../../crates/daemon/dashboard":
    "/app.css": CSS,
    "/chart.js": SCRIPT,
    "/dialogs.js": SCRIPT,
    "/dom.js": SCRIPT,
    "/icon.svg": "image/svg+xml",
    "/keyboard.js": SCRIPT,
    "/theme.js": SCRIPT,
    "/vendor/uPlot.LICENSE": "text/plain; charset=utf-8",
    "/vendor/uPlot.iife.min.js": SCRIPT,
    "/vendor/uPlot.min.css": CSS,
};

/// Its words have another name here: what it shares with us tells moments by `words.js`, which is ours and goes by the
/// exchange's clock.
const PLAIN: File = ("/plain.js", SCRIPT, include_bytes!("../../../../crates/daemon/dashboard/words.js"));

fn all() -> impl Iterator<Item = File> {
    OURS.iter().chain(SHARED).copied().chain([PLAIN])
}

/// One route a file: there is no path to play tricks with.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    all().fold(Router::new(), |router, (path, kind, bytes)| {
        let (path, tag) = (if path == "/index.html" { "/" } else { path }, tag(bytes));
        router.route(path, get(move |asked: HeaderMap| async move { file(&asked, kind, bytes, &tag) }))
    })
}

/// The browser keeps a file, but asks whether it is still the same: another binary may answer tomorrow.
fn file(asked: &HeaderMap, kind: &'static str, bytes: &'static [u8], tag: &HeaderValue) -> Response {
    let is_known = asked.get(header::IF_NONE_MATCH) == Some(tag);
    let mut response =
        if is_known { StatusCode::NOT_MODIFIED.into_response() } else { bytes.into_response() };
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
    fn every_file_of_the_folder_is_served() {
        let mut lying = BTreeSet::new();
        below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard"), "", &mut lying);
        let served: BTreeSet<String> = OURS.iter().map(|(path, _, _)| (*path).to_owned()).collect();
        assert_eq!(served, lying);
    }

    #[test]
    fn every_module_and_file_that_is_named_is_served() {
        let served: BTreeSet<&str> = all().map(|(path, _, _)| path).collect();
        for (path, _, bytes) in all().filter(|(path, _, _)| !path.contains("/vendor/")) {
            let text = std::str::from_utf8(bytes).unwrap();
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let named = text.split('\'').filter(|word| word.starts_with("./") || word.starts_with("../"));
            for name in named.filter(|name| name.ends_with(".js")) {
                let whole = match name.strip_prefix("../") {
                    Some(name) => format!("/{name}"),
                    None => format!("{folder}/{}", name.trim_start_matches("./")),
                };
                assert!(served.contains(whole.as_str()), "{path} names {name}, which is not served");
            }
        }
        let page = std::str::from_utf8(OURS[0].2).unwrap();
        for name in page.split('"').filter(|word| word.starts_with('/') && word.len() > 1) {
            assert!(served.contains(name), "the page names {name}, which is not served");
        }
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again() {
        let tag = tag(OURS[0].2);
        let first = file(&HeaderMap::new(), HTML, OURS[0].2, &tag);
        assert_eq!(first.status(), StatusCode::OK);
        let mut asked = HeaderMap::new();
        asked.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(file(&asked, HTML, OURS[0].2, &tag).status(), StatusCode::NOT_MODIFIED);
        assert_ne!(tag, super::tag(b"something else"));
    }

    #[test]
    fn nothing_of_it_makes_markup_from_data_or_names_another_host() {
        for (path, _, bytes) in OURS {
            let text = std::str::from_utf8(bytes).unwrap();
            for word in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "https://"]
            {
                assert!(!text.contains(word), "{path} has {word}");
            }
        }
        let page = std::str::from_utf8(OURS[0].2).unwrap();
        assert!(!page.contains("style=") && !page.contains(" on"), "something inline in the page");
    }
}
