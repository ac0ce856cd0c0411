//! Control without a soloist, or with one that hangs: what only reads works, the rest is refused with the way to mend it,
//! and nothing waits.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::stage::Stage;

const CONTROLS: [(&str, &str); 6] = [
    ("POST", "/api/v1/process/refresh"),
    ("POST", "/api/v1/background/start"),
    ("POST", "/api/v1/background/stop"),
    ("PUT", "/api/v1/background/interval/10"),
    ("POST", "/api/scanner/start"),
    ("POST", "/api/scanner/stop"),
];

#[test]
fn without_a_soloist_control_is_refused_and_reading_works() {
    let stage = Stage::with_sample();
    stage.process_well();
    let nowhere = stage.path("no.sock");
    for server in [stage.serve(), stage.serve_with(&["--soloist", nowhere.to_str().expect("UTF-8")])] {
        for (method, path) in CONTROLS {
            let (status, body) = server.ask(method, path);
            let told: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!((status, &told["code"]), (503, &json!("no-supervisor")), "{method} {path}");
            assert!(told["hint"].as_str().is_some_and(|hint| hint.contains("soloist up")), "{told}");
        }
        assert_eq!(server.json("/api/v1/stocks/ABB").0, 200);
        let (_, told) = server.json("/api/v1/background/status");
        assert_eq!(told["status"], "success");
        let data = &told["data"];
        assert_eq!((&data["is_running"], &data["supervised"]), (&json!(false), &json!(false)), "{told}");
        assert_eq!(
            (&data["is_market_hours"], &data["last_process_count"]),
            (&json!(null), &json!(105)),
            "{told}"
        );
        assert!(data["last_process_time"].as_str().is_some_and(|at| at.ends_with('Z')), "{told}");
        let (_, told) = server.json("/api/scanner/status");
        for (field, value) in [
            ("running", json!(false)),
            ("managed_process", json!(false)),
            ("pid_file_detected", json!(false)),
            ("pid", json!(null)),
            ("supervised", json!(false)),
        ] {
            assert_eq!(told[field], value, "{field} of {told}");
        }
        let (_, told) = server.json("/api/scraper-status");
        assert_eq!(
            (&told["running"], &told["state"], &told["process_alive"]),
            (&json!(false), &json!("idle"), &json!(false))
        );
        assert_eq!(server.json("/monitoring/health").1["status"], "unknown");
        let (_, told) = server.json("/api/v1/process/status");
        assert_eq!(
            (&told["status"], &told["stocks_processed"]),
            (&json!("completed"), &json!(105)),
            "{told}"
        );
    }
}

#[test]
fn an_interval_that_cannot_be_is_refused_before_anybody_is_asked() {
    let stage = Stage::empty();
    let server = stage.serve();
    for (asked, status, code) in [
        ("0", 400, "usage"),
        ("-1", 400, "usage"),
        ("99999999999999999999", 400, "usage"),
        ("abc", 422, "not-a-number"),
        ("1e9", 422, "not-a-number"),
        ("1.5", 422, "not-a-number"),
        ("10", 503, "no-supervisor"),
    ] {
        let refused = server.problem("PUT", &format!("/api/v1/background/interval/{asked}"));
        assert_eq!(refused, (status, code.to_owned()), "{asked}");
    }
}

/// It takes connections and never says a word.
#[test]
fn a_soloist_that_hangs_holds_nobody_up() {
    let stage = Stage::with_sample();
    stage.process_well();
    let socket = stage.path("hangs.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    let server = stage.serve_with(&["--soloist", socket.to_str().expect("UTF-8")]);
    std::thread::scope(|scope| {
        let asks =
            CONTROLS.map(|(method, path)| (method, path, scope.spawn(|| server.problem(method, path))));
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(1) {
            let asked = Instant::now();
            assert_eq!(server.json("/api/v1/stocks/ABB").0, 200);
            assert!(asked.elapsed() < Duration::from_secs(1), "a reader was held up");
        }
        for (method, path, ask) in asks {
            assert_eq!(ask.join().expect("an answer"), (503, "no-supervisor".to_owned()), "{method} {path}");
        }
    });
    assert_eq!(server.json("/api/scanner/status").1["supervised"], false);
}
