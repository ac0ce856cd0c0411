//! What a scan asks, stores and says when the provider does well; how scanners share a provider, and how they end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use crate::producers::Bell;
use crate::replaying::{Stand, wait_for};
use crate::stage::market;

#[test]
fn a_scan_stores_every_quote_and_writes_them_as_a_file() {
    let stand = Stand::open();
    stand.scan_well();
    assert_eq!(stand.last_scan(), "whole|133|133|133 of 133 quotes, 4 requests");
    let cache = stand.cache();
    assert_eq!((cache["count"].as_u64(), cache["session"].as_str()), (Some(133), Some("regular")));
    for stock in cache["stocks"].as_array().expect("a list") {
        let number = |name: &str| stock[name].as_f64().unwrap_or_else(|| panic!("no {name} in {stock}"));
        let is_near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let close = number("previous_close");
        assert!(is_near(number("gap_percent"), (number("open") / close - 1.0) * 100.0), "{stock}");
        assert!(is_near(number("change_percent"), (number("price") / close - 1.0) * 100.0), "{stock}");
        assert!(is_near(number("relative_volume"), number("volume") / number("average_volume")), "{stock}");
        assert!(stock["gap_class"].is_string() && stock["quoted_at"].is_string(), "{stock}");
        assert!((0..600).contains(&stock["age_seconds"].as_i64().expect("an age")), "{stock}");
    }
    // Who asks says who he is, and asks a hundred at a time.
    let log = stand.log();
    assert!(log.iter().all(|asked| asked.agent.starts_with("soloist-market/")), "{log:?}");
    let counts: Vec<usize> = log[2..].iter().map(|asked| asked.query.matches(',').count() + 1).collect();
    assert_eq!(counts, [100, 33]);
}

#[test]
fn each_session_has_its_numbers() {
    for (clock, session, state) in [
        ("2026-11-20T08:00-05:00", "pre", "PRE"),
        ("2026-11-20T15:00-05:00", "regular", "REGULAR"),
        ("2026-11-20T18:00-05:00", "after", "POST"),
        ("2026-11-27T16:59-05:00", "after", "POST"),
        ("2026-11-27T17:00-05:00", "closed", "CLOSED"),
        ("2026-11-22T12:00-05:00", "closed", "CLOSED"),
    ] {
        let stand = Stand::at(clock);
        assert!(stand.once("AAPL", &["--clock", clock]).status.success());
        let query = "SELECT session, market_state, gap_percent IS NOT NULL, open IS NULL FROM quotes";
        assert_eq!(
            stand.rows(query),
            [format!("{session}|{state}|1|{}", i32::from(session == "pre"))],
            "{clock}"
        );
        assert_eq!(stand.rows("SELECT session FROM scans"), [session], "{clock}");
    }
}

#[test]
fn beyond_the_calendar_the_provider_says_which_session_it_is() {
    let stand = Stand::at("2026-11-20T18:00-05:00");
    let output = stand.once("AAPL", &["--clock", "2028-02-01T12:00-05:00"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("calendar ends before today"), "{output:?}");
    assert_eq!(stand.rows("SELECT session FROM scans"), ["after"]);
}

#[test]
fn without_a_provider_or_anything_to_scan_nothing_is_asked() {
    let stand = Stand::open();
    let refused = |arguments: &[&str], words: &str| {
        let output =
            market().arg("scan").args(arguments).env_remove("MARKET_PROVIDER").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said.contains(words) && said.lines().count() == 1, "{said}");
    };
    refused(&["--screeners", "day_gainers"], "no provider is named");
    refused(&["--screeners", "day_gainers", "--provider", "bloomberg"], "no provider \"bloomberg\" is known");
    refused(&["--provider", "yahoo"], "nothing to scan");
    let output = stand.once("AAPL A,B", &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("\"A,B\" in the list"), "{output:?}");
    assert!(stand.log().is_empty());
}

#[test]
fn a_screener_brings_its_quotes_and_only_the_rest_is_asked_for() {
    let stand = Stand::open();
    let output = stand.once("AAPL NOSUCH MSFT", &["--screeners", "day_gainers,most_actives"]);
    assert!(output.status.success(), "{output:?}");
    let log = stand.log();
    let asked: Vec<_> = log.iter().map(|asked| asked.path.as_str()).collect();
    let screener = "/v1/finance/screener/predefined/saved";
    assert_eq!(asked[..4], ["/", "/v1/test/getcrumb", screener, screener]);
    assert!(log.last().is_some_and(|last| last.query.contains("NOSUCH") && last.status == 200), "{log:?}");
    // A symbol that the provider does not know is no failure, and has no row.
    assert!(stand.last_scan().starts_with("whole|"), "{}", stand.last_scan());
    assert_eq!(stand.rows("SELECT count(*) FROM quotes WHERE symbol = 'NOSUCH'"), ["0"]);
}

#[test]
fn no_request_is_longer_than_the_provider_takes() {
    let stand = Stand::open();
    let symbols: Vec<String> = (0..300).map(|at| format!("^A-VERY-LONG-SYMBOL-INDEED-{at}")).collect();
    stand.once(&(symbols.join(" ") + " AAPL"), &[]);
    let log = stand.log();
    assert!(log.len() > 3, "{log:?}");
    for asked in log {
        assert!(asked.query.len() < 1_750 && asked.query.matches(',').count() < 100, "{}", asked.query);
    }
}

#[test]
fn a_whole_scan_replaces_and_a_partial_one_only_adds() {
    let stand = Stand::open();
    assert!(stand.once("AAPL MSFT NVDA", &[]).status.success());
    let first = stand.quotes();
    let output = stand.once("AAPL", &["--screeners", "no_such_list"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 of 1 quotes"), "{output:?}");
    assert!(stand.last_scan().starts_with("partial|1|1|"), "{}", stand.last_scan());
    let second = stand.quotes();
    let of = |quotes: &[String], symbol: &str| quotes.iter().find(|row| row.starts_with(symbol)).cloned();
    assert_eq!(of(&first, "MSFT|"), of(&second, "MSFT|"), "what was not received keeps its age");
    assert_ne!(of(&first, "AAPL|"), of(&second, "AAPL|"));

    assert!(stand.once("AAPL NVDA", &[]).status.success());
    assert_eq!(stand.rows("SELECT symbol FROM quotes ORDER BY symbol"), ["AAPL", "NVDA"]);
}

#[test]
fn state_and_progress_are_told() {
    let stand = Stand::open();
    let mut scanner = stand.start("", &["--every", "20ms"]);
    for words in [
        "READY=1",
        "X_SOLOIST_STATE=checking",
        "X_SOLOIST_STATE=scraping\nX_SOLOIST_PROGRESS=0/133",
        "X_SOLOIST_PROGRESS=100/133",
        "X_SOLOIST_PROGRESS=133/133",
        "X_SOLOIST_STATE=idle",
        "STATUS=133 of 133 quotes, 4 requests, next in 0 s",
        "X_SOLOIST_STATE=scraping",
        "STATUS=133 of 133 quotes, 2 requests, next in 0 s",
    ] {
        scanner.hear(words);
    }
    scanner.terminate();
}

#[test]
fn outside_the_sessions_it_sleeps_once_it_has_the_last_prices() {
    let saturday = "2026-11-21T12:00-05:00";
    let stand = Stand::at(saturday);
    let more = ["--clock", saturday, "--every", "10ms"];
    let mut scanner = stand.start("AAPL", &more);
    scanner.hear("X_SOLOIST_STATE=scraping");
    scanner.hear("X_SOLOIST_STATE=sleeping");
    scanner.kill();
    assert_eq!((stand.quotes().len(), stand.batches()), (1, 1));
    // They are there already.
    let mut scanner = stand.start("AAPL", &more);
    scanner.hear("STATUS=New York is closed until Mon 2026-11-23 04:00 EST");
    assert_eq!(stand.batches(), 1);
}

#[test]
fn two_scanners_share_one_limit_and_one_crumb() {
    let stand = Stand::open();
    let more = ["--every", "1ms", "--interval", "100ms", "--burst", "2"];
    let other = stand.path("other.json");
    let first = stand.start("AAPL MSFT", &more);
    let second = stand
        .start("AAPL MSFT", &[&more[..], &["--cache", other.to_str().expect("a path of text")]].concat());
    wait_for("twenty requests", || (stand.batches() >= 20).then_some(()));
    wait_for("both files", || (other.exists() && stand.path("stock_cache.json").exists()).then_some(()));
    first.kill();
    second.kill();
    stand.assert_limit(0.1, 2);
    assert_eq!(stand.log().iter().filter(|asked| asked.path == "/v1/test/getcrumb").count(), 1);
}

#[test]
fn an_hour_has_no_more_requests_than_its_cap() {
    let stand = Stand::open();
    let mut scanner = stand.start("AAPL", &["--every", "1ms", "--per-hour", "5"]);
    scanner.hear("STATUS=0 of 1 quotes, 0 requests; the requests of this hour are used up");
    assert_eq!((stand.log().len(), stand.quotes().len()), (5, 1));
    let output = stand.once("AAPL", &["--per-hour", "5"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(stand.log().len(), 5);
}

#[test]
fn a_request_that_hangs_does_not_hold_up_the_end() {
    let stand = Stand::open();
    stand.fault("drip");
    let scanner = stand.start("", &["--deadline", "10m"]);
    wait_for("a request", || (stand.batches() == 1).then_some(()));
    assert!(scanner.terminate() < Duration::from_secs(5));
    let mut scanner = stand.start("", &["--deadline", "50ms", "--every", "1h"]);
    scanner.hear("X_SOLOIST_STATE=idle");
    assert!(scanner.terminate() < Duration::from_secs(5));
}

#[test]
fn killed_at_any_moment_it_leaves_file_and_store_whole() {
    let stand = Stand::open();
    stand.scan_well();
    let is_over = AtomicBool::new(false);
    // So many rounds take more requests than an hour has.
    let an_hour_passes = || {
        let store = Connection::open(stand.path("market.db")).expect("the store opens");
        store.busy_timeout(Duration::from_secs(10)).expect("a timeout");
        store.execute_batch("DELETE FROM provider_requests").expect("an hour is forgotten");
    };
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0;
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(stand.cache()["count"], 133);
                reads += 1;
            }
            reads
        });
        let _bell = Bell(&is_over);
        for round in (0..30).cycle().take(120) {
            if round == 0 {
                an_hour_passes();
            }
            let mut scanner = stand.start("", &["--every", "20ms"]);
            // Each round a little later, from before its start to within its second scan.
            if round >= 10 {
                scanner.hear("READY=1");
            }
            std::thread::sleep(Duration::from_millis(round * 3));
            scanner.kill();
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("every read was whole") > 30);
    });
    assert!(stand.batches() > 10, "it was always killed before it did anything");
    assert_eq!(stand.rows("PRAGMA integrity_check"), ["ok"]);
    assert_eq!(stand.quotes().len(), 133);
    let left: Vec<_> =
        std::fs::read_dir(stand.path("")).expect("the room").flatten().map(|e| e.file_name()).collect();
    let aside = left.iter().filter(|name| name.to_string_lossy().starts_with(".stock_cache")).count();
    assert!(aside <= 1, "{left:?}");
    an_hour_passes();
    stand.scan_well();
}

#[test]
fn a_run_that_was_put_aside_asks_and_stores_nothing() {
    let stand = Stand::open();
    let run = |token: &str| {
        stand.scan("AAPL", &[]).arg("--once").env("SOLOIST_TOKEN", token).output().expect("it runs")
    };
    assert!(run("7").status.success());
    let (asked, stored) = (stand.log().len(), stand.quotes());
    let output = run("6");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("put aside"), "{output:?}");
    assert_eq!((stand.log().len(), stand.quotes()), (asked, stored));
}
