//! What the server shows of the gap scanner's tables, of favourites, and of the biggest changes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{Server, Stage, expected, query, wait_until};

fn symbols(answer: &Value) -> Vec<&str> {
    answer["stocks"]
        .as_array()
        .expect("stocks")
        .iter()
        .map(|one| one["symbol"].as_str().expect("a symbol"))
        .collect()
}

/// Three quotes of which one knows little, and a scan that did not get all.
fn with_quotes() -> Stage {
    let stage = Stage::with_sample();
    stage.process_well();
    stage.change(
            "INSERT INTO quotes (symbol, name, price, volume, gap_percent, relative_volume, gap_class, session, fetched_at) \
             VALUES ('AAA', 'A', 10.0, 1000.0, 5.5, 2.0, 'gap-up', 'pre', '2026-03-04 10:00:00.000000'), \
             ('BBB', 'B', 20.0, 9000.0, -7.25, 0.5, 'gap-down', 'pre', '2026-03-04 10:00:01.000000'), \
             ('CCC', NULL, NULL, NULL, NULL, NULL, NULL, 'regular', '2026-03-04 09:00:00.000000'); \
             INSERT INTO scans (session, started_at, finished_at, status, wanted, received, requests, duration_ms) VALUES \
             ('pre', '2026-03-04 10:00:00.000000', '2026-03-04 10:00:02.000000', 'whole', 3, 3, 1, 2000.0), \
             ('regular', '2026-03-04 10:01:00.000000', '2026-03-04 10:01:02.000000', 'partial', 3, 1, 1, 2000.0);",
    );
    stage
}

#[test]
fn quotes_are_filtered_and_sorted_and_tell_their_age() {
    let stage = with_quotes();
    let server = stage.serve();
    for (query, right) in [
        ("", vec!["AAA", "BBB", "CCC"]),
        ("sort=symbol", vec!["AAA", "BBB", "CCC"]),
        ("sort=-symbol", vec!["CCC", "BBB", "AAA"]),
        ("sort=gap", vec!["BBB", "AAA", "CCC"]),
        ("sort=-volume", vec!["BBB", "AAA", "CCC"]),
        ("session=PRE", vec!["AAA", "BBB"]),
        ("class=gap-down", vec!["BBB"]),
        ("min_gap=0", vec!["AAA"]),
        ("max_gap=0", vec!["BBB"]),
        ("min_price=10&max_price=15", vec!["AAA"]),
        ("min_volume=5000", vec!["BBB"]),
        ("min_relative_volume=1", vec!["AAA"]),
        ("limit=1", vec!["AAA"]),
        ("session=after", vec![]),
    ] {
        let (status, answer) = server.json(&format!("/api/instant_data?{query}"));
        assert_eq!((status, symbols(&answer)), (200, right), "{query}");
    }
    let (_, answer) = server.json("/api/instant_data?session=pre&limit=1");
    assert_eq!((&answer["matched"], &answer["count"]), (&json!(2), &json!(3)));
    assert_eq!((&answer["session"], &answer["ready"]), (&json!("regular"), &json!(true)));
    assert!(answer["stocks"][0]["age_seconds"].as_i64().is_some_and(|age| age > 0), "{answer}");
    assert_eq!(answer["stocks"][0]["fetched_at"], "2026-03-04T10:00:00Z");
    // The last whole scan tells the age of the table, not the one that got only a part.
    assert_eq!(answer["updated_at"], "2026-03-04T10:00:02Z");
    assert_eq!(answer["last_scan"]["status"], "partial");
    for query in ["limit=0", "limit=x", "sort=colour", "min_gap=abc", "unheard=1"] {
        let refused = server.problem("GET", &format!("/api/instant_data?{query}"));
        assert_eq!(refused, (400, "usage".to_owned()), "{query}");
    }
}

#[test]
fn the_cache_says_whether_it_is_ready_and_how_old() {
    let stage = Stage::empty();
    let server = stage.serve();
    assert_eq!(server.json("/api/cache_ready"), (200, json!({ "ready": false, "count": 0 })));
    let (_, told) = server.json("/api/cache_status");
    assert_eq!((&told["ready"], &told["count"]), (&json!(false), &json!(0)));
    assert!(told["message"].as_str().is_some_and(|said| said.contains("scanner")), "{told}");
    let stage = with_quotes();
    let server = stage.serve();
    assert_eq!(server.json("/api/cache_ready"), (200, json!({ "ready": true, "count": 3 })));
    let (_, told) = server.json("/api/cache_status");
    let (age, oldest) = (told["age_seconds"].as_i64(), told["oldest_seconds"].as_i64());
    assert!(age.zip(oldest).is_some_and(|(age, oldest)| oldest > age), "{told}");
    assert_eq!(server.json("/api/scraper-status").1["last_check"], "2026-03-04T10:01:02Z");
}

#[test]
fn favourites_are_the_lines_of_a_file() {
    let stage = Stage::empty();
    let server = stage.serve();
    let path = "/api/v1/stocks/favorites/list";
    assert_eq!(server.json(path), (200, json!({ "favorites": [] })));
    std::fs::write(stage.path("favorites.txt"), "\u{feff}ABB\r\n\n# mine\n M&M \n").expect("a file");
    assert_eq!(server.json(path), (200, json!({ "favorites": ["ABB", "M&M"] })));
}

#[test]
fn the_biggest_changes_are_found_across_all_stocks() {
    let stage = Stage::with_sample();
    stage.process_well();
    let server = stage.serve();
    let (_, told) = server.json("/api/v1/stocks/biggest?limit=5");
    let diffs = |of: &str| -> Vec<f64> {
        told[of]
            .as_array()
            .expect("moves")
            .iter()
            .map(|one| one["diff"].as_f64().expect("a number"))
            .collect()
    };
    // From the expected rows, each strike of a side once.
    let mut seen = std::collections::HashSet::new();
    let (_, live) = expected("sample");
    let number = |text: &str| text.replace(',', "").parse::<f64>().ok();
    let mut right: Vec<f64> = live
        .iter()
        .filter(|row| !row[2].starts_with("Total"))
        .filter_map(|row| {
            let diff = number(&row[5])?;
            seen.insert((row[0].clone(), row[1].starts_with("Call"), row[4].clone())).then_some(diff)
        })
        .collect();
    right.sort_by(f64::total_cmp);
    assert_eq!(diffs("unwinds"), right[..5]);
    right.reverse();
    assert_eq!(diffs("builds"), right[..5]);
    let first = &told["builds"][0];
    let side = first["side"].as_str().expect("a side");
    assert!(first["section"].as_str().is_some_and(|section| section.starts_with(side)), "{first}");
    assert!(first["strike"].is_number() && first["oi"].is_number() && first["stock"].is_string(), "{first}");
    assert_eq!(server.problem("GET", "/api/v1/stocks/biggest?limit=0"), (400, "usage".to_owned()));
}

#[test]
fn odd_cells_are_told() {
    let stage = Stage::with("tests/oddities");
    stage.process_well();
    let stored = query(&stage.connection(), "SELECT workbook, cell, kind FROM row_issues ORDER BY id");
    assert!(stored.len() > 1, "{stored:?}");
    let server = stage.serve();
    let (_, told) = server.json("/api/v1/issues?limit=1");
    assert_eq!(told["total"], json!(stored.len()));
    let first = &told["issues"][0];
    let shown = ["workbook", "cell", "kind"].map(|name| first[name].as_str().unwrap_or_default());
    assert_eq!(shown.as_slice(), stored[0]);
    assert_eq!(told["issues"].as_array().map(Vec::len), Some(1));
}

/// What a stream tells, event by event.
struct Events(BufReader<TcpStream>);

impl Events {
    fn of(server: &Server) -> Self {
        let mut stream = TcpStream::connect(server.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
        Self(BufReader::new(stream))
    }

    /// The data of the next event of this name.
    fn next(&mut self, name: &str) -> Value {
        let mut is_it = false;
        loop {
            let mut line = String::new();
            assert_ne!(
                self.0.read_line(&mut line).expect("a line in time"),
                0,
                "the stream ended before {name}"
            );
            if let Some(event) = line.strip_prefix("event: ") {
                is_it = event.trim() == name;
            } else if let Some(data) = line.strip_prefix("data: ").filter(|_| is_it) {
                return serde_json::from_str(data).expect("JSON");
            }
        }
    }
}

#[test]
fn a_stream_tells_what_is_and_what_changes() {
    let stage = Stage::with_sample();
    stage.process_well();
    let server = stage.serve();
    let mut streams = [Events::of(&server), Events::of(&server)];
    for stream in &mut streams {
        assert_eq!(stream.next("snapshot")["revision"], 1);
        assert_eq!(stream.next("workers")["scanner"]["supervised"], false);
    }
    assert!(stage.process_as_of("2025-11-21").status.success());
    for stream in &mut streams {
        assert_eq!(stream.next("snapshot")["revision"], 2);
    }
    // A stream that nobody reads any more is let go, and a new one begins with what is so now.
    drop(streams);
    assert_eq!(Events::of(&server).next("snapshot")["revision"], 2);
}

#[test]
fn only_so_many_streams_are_open_and_each_that_ends_makes_room() {
    let stage = Stage::empty();
    let server = stage.serve();
    let mut streams: Vec<_> = (0..64).map(|_| Events::of(&server)).collect();
    for stream in &mut streams {
        stream.next("workers");
    }
    assert_eq!(server.problem("GET", "/api/v1/events"), (429, "busy".to_owned()));
    streams.pop();
    wait_until("there is room for another", || {
        let mut stream = TcpStream::connect(server.address).expect("a connection");
        stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("a request");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("a line");
        if line.contains(" 200 ") { Ok(()) } else { Err(line) }
    });
}
