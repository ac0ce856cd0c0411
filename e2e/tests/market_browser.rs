//! The market's page in a real browser, beside a real project: server, processor and scanner under soloist, on the sample
//! workbooks, which change while somebody looks.

use std::path::Path;

use e2e::browser::Browser;
use e2e::{LIMIT, Project, binaries, free_port, quoted, wait_until};

/// Writes another number into the cells of Live.xlsx that have this one, aside and then renamed, as its producer does.
const CHANGE: &str = r#"
import os, sys, zipfile
before, after = (b"<v>%s</v>" % word.encode() for word in sys.argv[1:3])
book, aside = "live_data/Live.xlsx", "aside.xlsx"
with zipfile.ZipFile(book) as old, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as new:
    parts = [(part, old.read(part)) for part in old.namelist()]
    assert any(before in content for _, content in parts), f"{before} is in no cell"
    for part, content in parts:
        new.writestr(part, content.replace(before, after))
os.rename(aside, book)
"#;

#[test]
fn the_market_is_shown_live_and_its_workers_are_steered() {
    let Some(browser) = Browser::installed() else { return };
    let (port, alone, quotes) = (free_port(), free_port(), free_port());
    let project = Project::empty();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps/market/sample");
    for folder in ["live_data", "first"] {
        std::fs::create_dir(project.folder().join(folder)).unwrap();
        for name in ["Historical.xlsx", "Live.xlsx", "symbols.txt"] {
            std::fs::copy(sample.join(name), project.folder().join(folder).join(name)).unwrap();
        }
    }
    std::fs::copy(sample.join("watchlist.txt"), project.folder().join("watchlist.txt")).unwrap();
    project.write("change.py", CHANGE);
    project.write("favorites.txt", "RELIANCE\n");
    let market = |words: &[&str]| {
        let program = binaries().market.display().to_string();
        quoted(&[&[program.as_str()], words].concat())
    };
    let serve = |port: u16, more: &[&str]| {
        market(&[&["serve", "--port", &port.to_string(), "--database", "market.db"], more].concat())
    };
    let process = market(&["process", "--dir", "live_data", "--database", "market.db"]);
    // A morning on which the exchange in New York is open.
    let morning = ["--clock", "2026-11-20T10:00-05:00"];
    let replay = market(&[&["replay", "--port", &quotes.to_string()][..], &morning].concat());
    let provider = format!("http://127.0.0.1:{quotes}");
    let scan =
        [&["scan", "--provider", &provider, "--symbols", "watchlist.txt", "--every", "2s"][..], &morning]
            .concat();
    let scan = market(&scan);
    project.write(
        "soloist.toml",
        &format!(
            "[services.api]\ncommand = {}\nport = {port}\n\
             [services.alone]\ncommand = {}\nport = {alone}\n\
             [services.quotes]\ncommand = {replay}\nport = {quotes}\n\
             [services.scanner]\ncommand = {scan}\nenv = {{ MARKET_DATABASE = \"market.db\" }}\ndepends-on = [\"quotes\"]\n\
             [jobs.processor]\ncommand = {process}\nevery = \"1s\"\nenv = {{ MARKET_TODAY = \"2025-11-24\" }}\n",
            serve(port, &[]),
            serve(alone, &["--soloist", "nobody.sock"]),
        ),
    );
    project.soloist(&["up", "-d"]).expect(0);
    wait_until("the first rows are stored", LIMIT, || {
        let told = project.soloist(&["logs", "processor", "-n", "5"]).stdout;
        if told.contains("stocks") { Ok(()) } else { Err(format!("{told}\n{}", project.diary())) }
    });
    let page = |port: u16| format!("http://127.0.0.1:{port}/");
    let more = [("MARKET", page(port)), ("MARKET_ALONE", page(alone))];
    let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
    if std::env::var_os("E2E_PICTURES").is_some() {
        browser.play("market-pictures.mjs", &project, &more);
    }
    browser.play("market.mjs", &project, &more);
}
