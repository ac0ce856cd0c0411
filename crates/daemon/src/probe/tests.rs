//! Probes against servers that answer, and against those that do not as they should.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use super::*;

/// Long enough that only what never answers gets there.
const PATIENT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

/// A server of one connection: reads the head of a request, does as told, and gives the request.
struct Server {
    port: u16,
    served: JoinHandle<String>,
}

/// What a server does after it has read a request.
enum Then {
    /// Says this and waits until the other side has closed.
    Say(Vec<u8>),
    /// Says this, then a byte of it again every 10 ms.
    Drip(&'static str, u8),
    /// Closes.
    Close,
    /// Nothing, until the other side has closed.
    Nothing,
}

async fn serve(address: &str, then: Then) -> Server {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        match then {
            Then::Say(words) => {
                let _ = stream.write_all(&words).await;
                let _ = stream.read_u8().await;
            }
            Then::Drip(words, byte) => {
                let _ = stream.write_all(words.as_bytes()).await;
                let mut rhythm = tokio::time::interval(Duration::from_millis(10));
                while stream.write_all(&[byte]).await.is_ok() {
                    rhythm.tick().await;
                }
            }
            Then::Close => {}
            Then::Nothing => drop(stream.read_u8().await),
        }
        String::from_utf8(request).unwrap()
    });
    Server { port, served }
}

fn say(words: &str) -> Then {
    Then::Say(words.as_bytes().to_vec())
}

async fn ask(then: Then, timeout: Duration) -> (Result<(), String>, String) {
    let server = serve("127.0.0.1", then).await;
    let outcome = http("127.0.0.1", server.port, "/health?full=1", &[], timeout).await;
    let outcome = outcome.map_err(|e| {
        let target = format!("GET http://127.0.0.1:{}/health?full=1: ", server.port);
        e.strip_prefix(&target).unwrap_or_else(|| panic!("{e} does not say {target}")).to_owned()
    });
    // A server that is not done now holds a connection that was never closed.
    (outcome, tokio::time::timeout(PATIENT, server.served).await.expect("the probe let go").unwrap())
}

#[tokio::test]
async fn every_status_from_200_to_399_passes_and_no_other() {
    for (status, passes) in [
        ("200 OK", true),
        ("204 No Content", true),
        ("399 Odd", true),
        ("400 Bad Request", false),
        ("404 Not Found", false),
        ("500 Internal Server Error", false),
        ("503 Service Unavailable", false),
    ] {
        let (outcome, _) =
            ask(say(&format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")), PATIENT).await;
        assert_eq!(outcome.is_ok(), passes, "{status}: {outcome:?}");
        if let Err(words) = outcome {
            assert_eq!(words, format!("status {status}"));
        }
    }
}

#[tokio::test]
async fn a_redirect_passes_and_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = elsewhere.local_addr().unwrap();
    let words = format!("HTTP/1.1 302 Found\r\nLocation: http://{location}/\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(ask(say(&words), PATIENT).await.0, Ok(()));
    let followed = tokio::time::timeout(Duration::from_millis(50), elsewhere.accept()).await;
    assert!(followed.is_err(), "the redirect was followed");
}

#[tokio::test]
async fn it_asks_as_a_client_should_and_with_the_given_headers() {
    let (_, request) = ask(say("HTTP/1.1 200 OK\r\n\r\n"), PATIENT).await;
    let lines: Vec<&str> = request.lines().collect();
    assert_eq!(lines[0], "GET /health?full=1 HTTP/1.1");
    assert!(lines.iter().any(|line| line.starts_with("host: 127.0.0.1:")), "{request}");
    assert!(lines.contains(&"connection: close"), "{request}");

    let server = serve("127.0.0.1", say("HTTP/1.1 200 OK\r\n\r\n")).await;
    let headers = [("Host", "api.example"), ("X-Probe", "yes")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    http("127.0.0.1", server.port, "/", &headers, PATIENT).await.unwrap();
    let request = server.served.await.unwrap();
    assert!(request.contains("host: api.example\r\n") && request.contains("x-probe: yes\r\n"), "{request}");
    assert_eq!(request.matches("host: ").count(), 1, "{request}");
}

#[tokio::test]
async fn a_host_may_be_ipv6_with_or_without_brackets() {
    for host in ["::1", "[::1]"] {
        let server = serve("::1", say("HTTP/1.1 200 OK\r\n\r\n")).await;
        http(host, server.port, "/", &[], PATIENT).await.unwrap();
        let request = server.served.await.unwrap();
        assert!(request.contains(&format!("host: [::1]:{}\r\n", server.port)), "{request}");
    }
}

#[tokio::test]
async fn what_never_answers_has_failed_at_the_timeout() {
    let began = Instant::now();
    assert_eq!(ask(Then::Nothing, SHORT).await.0, Err("timed out after 0.3 s".to_owned()));
    assert!(began.elapsed() >= SHORT);
}

#[tokio::test]
async fn what_drips_has_failed_at_the_timeout() {
    assert_eq!(ask(Then::Drip("HTTP/1.1 2", b'0'), SHORT).await.0, Err("timed out after 0.3 s".to_owned()));
    let head = "HTTP/1.1 200 OK\r\nX-Slow: ";
    assert_eq!(ask(Then::Drip(head, b'x'), SHORT).await.0, Err("timed out after 0.3 s".to_owned()));
}

#[tokio::test]
async fn a_body_without_end_is_not_waited_for() {
    assert_eq!(ask(Then::Drip("HTTP/1.1 200 OK\r\n\r\n", b'x'), PATIENT).await.0, Ok(()));
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let mut words = b"HTTP/1.1 200 OK\r\nX-Huge: ".to_vec();
    words.resize(8 << 20, b'x');
    let (outcome, _) = ask(Then::Say(words), PATIENT).await;
    assert_eq!(outcome, Err("the head of the answer is longer than 64 KiB".to_owned()));
}

#[tokio::test]
async fn what_closes_at_once_gave_no_answer() {
    let (outcome, _) = ask(Then::Close, PATIENT).await;
    assert_eq!(outcome, Err("the connection was closed without an answer".to_owned()));
}

#[tokio::test]
async fn what_speaks_something_else_is_named() {
    let (outcome, _) = ask(say("220 mail.example ESMTP\r\n\r\n"), PATIENT).await;
    assert!(
        outcome.as_ref().is_err_and(|e| e.starts_with("what answers does not speak HTTP")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn nobody_there_is_a_refusal() {
    // Bound and not listening: no other test can have it meanwhile.
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port();
    let outcome = http("127.0.0.1", port, "/", &[], PATIENT).await;
    assert_eq!(outcome, Err(format!("GET http://127.0.0.1:{port}/: connection refused")));
    let outcome = tcp("127.0.0.1", port, PATIENT).await;
    assert_eq!(outcome, Err(format!("tcp 127.0.0.1:{port}: connection refused")));
}

#[tokio::test]
async fn tcp_passes_when_it_is_connected() {
    for host in ["127.0.0.1", "::1"] {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        assert_eq!(tcp(host, listener.local_addr().unwrap().port(), PATIENT).await, Ok(()));
    }
}

#[tokio::test]
async fn what_cannot_be_asked_says_so() {
    for (path, header) in [("/a b", "X-Fine"), ("/", "no name")] {
        let headers = [(header.to_owned(), "x".to_owned())];
        let outcome = http("127.0.0.1", 1, path, &headers, PATIENT).await;
        assert!(outcome.as_ref().is_err_and(|e| e.contains("cannot be asked")), "{outcome:?}");
    }
}
