//! Control without a soloist, or with one that hangs: what only reads works, the rest is refused with the way to mend it,
//! and nothing waits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
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
    // It is known to hang: who only looks does not wait again.
    for path in ["/health", "/api/scanner/status", "/monitoring/health"] {
        let asked = Instant::now();
        assert_eq!(server.json(path).0, 200);
        assert!(asked.elapsed() < Duration::from_secs(1), "{path} waited");
    }
}

/// A page that is loaded again and again leaves no look behind: nine questions of a second's three take two seconds.
#[test]
fn however_often_a_stream_is_opened_one_look_a_second_serves_all() {
    let stage = Stage::empty();
    let socket = stage.path("counts.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let server = stage.serve_with(&["--soloist", socket.to_str().expect("UTF-8")]);
    let (asked, questions) = mpsc::channel();
    // It ends with the test's process: nothing else ends a wait for a connection.
    std::thread::spawn(move || listener.incoming().try_for_each(|_| asked.send(())));
    let open = || {
        let mut stream = TcpStream::connect(server.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
        let mut first = [0];
        stream.read_exact(&mut first).expect("an answer");
        stream
    };
    for _ in 0..20 {
        drop(open());
        // By the next answer it has seen that the one before is gone.
        assert_eq!(server.get("/api/cache_ready").0, 200);
    }
    let _kept = open();
    let nine = || {
        let began = Instant::now();
        for _ in 0..9 {
            questions.recv_timeout(Duration::from_secs(20)).expect("a question");
        }
        began.elapsed()
    };
    // What the first streams have set going may still be on its way.
    while nine() < Duration::from_millis(1) {}
    let took = nine();
    assert!(took > Duration::from_millis(1500), "nine questions came within {took:?}");
}
