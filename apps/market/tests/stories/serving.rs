//! What the server answers, with and without data, and how it ends.

use std::net::TcpStream;

use serde_json::json;

use crate::stage::{Stage, expected, wait_until};

#[test]
fn a_server_without_a_database_is_healthy_and_says_so() {
    let stage = Stage::with_sample();
    let server = stage.serve();
    let (status, health) = server.json("/health");
    assert_eq!((status, &health["status"], &health["app"]), (200, &json!("healthy"), &json!("market")));
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        health["data"]["message"].as_str().is_some_and(|text| text.contains("market process")),
        "{health}"
    );
    let (status, stocks) = server.json("/api/v1/stocks");
    assert_eq!((status, &stocks["all_stocks"]), (200, &json!([])));
    assert_eq!(server.problem("GET", "/api/v1/stocks/ABB"), (404, "no-data".to_owned()));
    assert_eq!(server.json("/api/v1/stocks/processing-history").1["processing_history"], json!([]));
    assert_eq!(server.get("/").0, 200);
    assert!(!stage.database().exists(), "reading made a database");

    // The first run is seen without a restart.
    stage.process_well();
    server.wait_for("/api/v1/stocks/ABB", |(status, _)| *status == 200);
}

#[test]
fn the_routes_answer_from_the_stored_rows() {
    let stage = Stage::with("tests/oddities");
    stage.process_well();
    let server = stage.serve();
    let (_, health) = server.json("/health");
    assert!(health["data"]["age_seconds"].as_i64().is_some_and(|age| (0..3600).contains(&age)), "{health}");
    assert_eq!(health["data"]["last_run"]["status"], "success");

    let (historical, live) = expected("oddities");
    let mut stocks: Vec<_> = historical.iter().chain(&live).map(|row| row[0].clone()).collect();
    stocks.sort();
    stocks.dedup();
    for path in ["/api/v1/stocks", "/api/v1/stocks/"] {
        assert_eq!(server.json(path), (200, json!({ "all_stocks": stocks })));
    }

    let right = json!({
        "historical": [{
            "Stock": "M&M", "Category": "Call Resistance", "Strike": "3000", "Prev_OI": "10", "Latest_OI": "20",
            "Call_OI_Difference": "10", "Put_OI_Difference": "", "LTP": "2990", "Additional_Strike": "",
            "numbers": {"strike": 3000.0, "prev_oi": 10.0, "latest_oi": 20.0, "call_oi_difference": 10.0,
                        "put_oi_difference": null, "ltp": 2990.0},
        }],
        "live": [
            {"Section": "Call Support", "Label": "Support1", "Prev_OI": "", "Strike": "Not found", "Stock": "M&M",
             "OI_Diff": "", "Is_NewStrike": "", "Add_Strike": "",
             "numbers": {"prev_oi": null, "strike": null, "oi_diff": null}},
            {"Section": "Put Support", "Label": "Support1", "Prev_OI": "5", "Strike": "2900", "Stock": "M&M",
             "OI_Diff": "5", "Is_NewStrike": "Yes", "Add_Strike": "",
             "numbers": {"prev_oi": 5.0, "strike": 2900.0, "oi_diff": 5.0}},
            {"Section": "Call Resistance", "Label": "Resistance1", "Prev_OI": "25", "Strike": "3000", "Stock": "M&M",
             "OI_Diff": "5", "Is_NewStrike": "", "Add_Strike": "",
             "numbers": {"prev_oi": 25.0, "strike": 3000.0, "oi_diff": 5.0}},
            {"Section": "Put Resistance", "Label": "Resistance1", "Prev_OI": "", "Strike": "Not found", "Stock": "M&M",
             "OI_Diff": "", "Is_NewStrike": "", "Add_Strike": "",
             "numbers": {"prev_oi": null, "strike": null, "oi_diff": null}},
        ],
    });
    for path in ["/api/v1/stocks/M%26M", "/api/v1/stocks/m&m"] {
        let (status, found) = server.json(path);
        assert_eq!((status, &found["stock"], &found["revision"]), (200, &json!("M&M"), &json!(1)), "{path}");
        assert_eq!((&found["historical"], &found["live"]), (&right["historical"], &right["live"]), "{path}");
    }

    let (status, unknown) = server.json("/api/v1/stocks/M%26MM");
    assert_eq!((status, &unknown["code"], &unknown["status"]), (404, &json!("unknown-stock"), &json!(404)));
    assert!(unknown["detail"].as_str().is_some_and(|text| text.contains("M&MM")), "{unknown}");
    assert!(unknown["hint"].as_str().is_some_and(|text| text.contains("did you mean MM?")), "{unknown}");
    assert_eq!(server.problem("GET", "/api/v2"), (404, "no-such-path".to_owned()));
    assert_eq!(server.problem("DELETE", "/api/v1/stocks"), (405, "wrong-method".to_owned()));
    assert_eq!(server.get("/").0, 200);
}

#[test]
fn the_history_begins_with_the_latest_run() {
    let stage = Stage::with_sample();
    stage.process_well();
    stage.remove("Live.xlsx");
    assert!(!stage.process().status.success());
    let server = stage.serve();
    let path = "/api/v1/stocks/processing-history";
    let runs = server.json(path).1;
    assert_eq!(runs["processing_history"][0]["status"], "error");
    assert_eq!(runs["processing_history"][1]["status"], "success");
    assert_eq!(
        server.json(&format!("{path}?limit=1")).1["processing_history"].as_array().map(Vec::len),
        Some(1)
    );
    for limit in ["many", "0", "1001", "-1", "1e9"] {
        let refused = server.problem("GET", &format!("{path}?limit={limit}"));
        assert_eq!(refused, (400, "usage".to_owned()), "{limit}");
    }
    // The rows are still those of the good run, and their age is counted from it.
    assert_eq!(server.json("/api/v1/stocks/ABB").0, 200);
    assert_eq!(server.json("/health").1["data"]["stocks_processed"], 105);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_server_even_with_a_client_that_stays() {
    for signal in ["-TERM", "-INT"] {
        let stage = Stage::empty();
        let mut server = stage.serve();
        let staying = TcpStream::connect(server.address).expect("a connection");
        assert_eq!(server.get("/health").0, 200);
        let pid = server.child.id().to_string();
        let sent = std::process::Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        assert!(sent.success());
        let status = wait_until("the server has ended", || {
            server.child.try_wait().expect("the server can be waited for").ok_or_else(String::new)
        });
        assert!(status.success(), "{status:?}");
        drop(staying);
    }
}
