//! Who may ask the server, how much, and what every answer carries.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::stage::{Server, Stage};

const LOCAL: &str = "Host: localhost\r\n";

fn code(server: &Server, method: &str, path: &str, headers: &str) -> (u16, String) {
    let (status, body) = server.send(method, path, headers, b"");
    let told: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    (status, told["code"].as_str().unwrap_or("").to_owned())
}

#[test]
fn only_names_of_ours_are_answered() {
    let stage = Stage::empty();
    let server = stage.serve_with(&["--allow-host", "market.example"]);
    let port = server.address.port();
    for host in ["localhost", "127.0.0.1", "market.example"] {
        for host in [host.to_owned(), format!("{host}:{port}")] {
            assert_eq!(server.send("GET", "/health", &format!("Host: {host}\r\n"), b"").0, 200, "{host}");
        }
    }
    for host in ["evil.example", "localhost.evil.example", "10.9.8.7", "x@localhost"] {
        let refused = code(&server, "GET", "/health", &format!("Host: {host}\r\n"));
        assert_eq!(refused, (403, "foreign-host".to_owned()), "{host}");
    }
    // A whole address in the first line counts as well (RFC 9112, 3.2.2).
    let refused = code(&server, "GET", "http://evil.example/health", LOCAL);
    assert_eq!(refused, (403, "foreign-host".to_owned()));
}

#[test]
fn writes_are_taken_from_our_own_page_and_from_programs_only() {
    let stage = Stage::empty();
    let server = stage.serve();
    let port = server.address.port();
    let writes = [
        ("POST", "/api/v1/process/refresh"),
        ("POST", "/api/v1/upload/excel-files"),
        ("POST", "/api/v1/upload/process"),
        ("DELETE", "/api/v1/upload/data"),
        ("POST", "/api/v1/background/start"),
        ("POST", "/api/v1/background/stop"),
        ("PUT", "/api/v1/background/interval/10"),
        ("POST", "/api/scanner/start"),
        ("POST", "/api/scanner/stop"),
    ];
    for (method, path) in writes {
        for foreign in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
            let refused = code(&server, method, path, &format!("{LOCAL}{foreign}\r\n"));
            assert_eq!(refused, (403, "foreign-page".to_owned()), "{method} {path} {foreign}");
        }
        let own =
            format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\nContent-Length: 0\r\n");
        assert_ne!(code(&server, method, path, &own).0, 403, "{method} {path}");
    }
    // No answer lets a foreign page look.
    let (head, _) = server.whole("GET", "/health", &format!("{LOCAL}Origin: http://evil.example\r\n"), b"");
    assert!(!head.to_lowercase().contains("access-control"), "{head}");
}

#[test]
fn every_answer_makes_browsers_careful() {
    let stage = Stage::empty();
    let server = stage.serve();
    for path in ["/", "/health", "/nowhere", "/openapi.json"] {
        let (head, _) = server.whole("GET", path, LOCAL, b"");
        let head = head.to_lowercase();
        for part in [
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
        ] {
            assert!(head.contains(part), "{path} without {part}: {head}");
        }
    }
}

#[test]
fn a_path_that_means_another_one_is_none() {
    let stage = Stage::with_sample();
    stage.process_well();
    let server = stage.serve();
    for path in [
        "/../../etc/passwd",
        "/api/v1/stocks/..%2f..%2fetc%2fpasswd",
        "/api/v1/stocks/%2e%2e",
        "/api/v1/stocks/ABB%00",
        "/api/v1/stocks/%ff",
        "/api/v1//stocks",
    ] {
        assert_eq!(server.problem("GET", path), (404, "no-such-path".to_owned()), "{path}");
    }
}

/// What is announced as too long is refused before it is sent; what is sent without an end, at the bound.
#[test]
fn too_long_a_request_is_refused_early() {
    let stage = Stage::empty();
    let server = stage.serve();
    let long = |length: u64| {
        format!("{LOCAL}Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {length}\r\n")
    };
    for (path, length) in [("/api/v1/upload/excel-files", 1 << 30), ("/api/v1/process/refresh", 1 << 20)] {
        assert_eq!(code(&server, "POST", path, &long(length)), (413, "too-large".to_owned()), "{path}");
    }
    let many: String = (0..100).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert_eq!(server.send("GET", "/health", &format!("{LOCAL}{many}"), b"").0, 431);
    let wide = format!("{LOCAL}X-Wide: {}\r\n", "x".repeat(20_000));
    assert_eq!(server.send("GET", "/health", &wide, b"").0, 431);
    assert_eq!(server.get("/health").0, 200);
}

/// Many that say nothing, or only half, keep nobody out.
#[test]
fn clients_that_say_nothing_keep_nobody_out() {
    let stage = Stage::empty();
    let server = stage.serve();
    let silent: Vec<_> = (0..200)
        .map(|n| {
            let mut stream = TcpStream::connect(server.address).expect("a connection");
            if n % 2 == 0 {
                stream.write_all(b"GET /health HTTP/1.1\r\nHost: local").expect("half a request");
            }
            stream
        })
        .collect();
    assert_eq!(server.get("/health").0, 200);
    // Who says nothing is let go after its time.
    let mut first = silent.into_iter().next().expect("one of them");
    first.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let mut left = Vec::new();
    first.read_to_end(&mut left).expect("the end of the connection");
}
