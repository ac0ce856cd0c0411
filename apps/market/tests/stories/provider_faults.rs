//! A provider that does wrong: it is never asked while it wants quiet, never more than the limiter allows, and what was
//! received before stays, with its age.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::replaying::{Asked, Stand, wait_for};

/// Seconds between the requests of a log.
fn pauses(log: &[Asked]) -> Vec<f64> {
    log.windows(2).map(|pair| (pair[1].at - pair[0].at) as f64 / 1000.0).collect()
}

/// A stand with quotes, whose log of the good scan is left out by the number returned.
fn after_a_good_scan() -> (Stand, usize, Vec<String>) {
    let stand = Stand::open();
    stand.scan_well();
    let (asked, quotes) = (stand.log().len(), stand.quotes());
    assert_eq!(quotes.len(), 133);
    (stand, asked, quotes)
}

/// The quotes are still there, as old as they were; the file says so, too.
fn assert_kept(stand: &Stand, quotes: &[String]) {
    assert_eq!(stand.quotes(), quotes);
    let cache = stand.cache();
    assert_eq!((cache["count"].as_u64(), cache["status"].as_str()), (Some(133), Some("failed")), "{cache}");
    for (stock, row) in cache["stocks"].as_array().expect("a list").iter().zip(quotes) {
        let fetched_at: jiff::Timestamp =
            stock["fetched_at"].as_str().expect("a time").parse().expect("RFC 3339");
        let stored = fetched_at.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string();
        assert!(row.ends_with(&stored), "{stock}");
        assert!(stock["age_seconds"].as_i64() >= Some(0), "{stock}");
    }
}

#[test]
fn after_a_429_there_is_quiet_then_one_probe_and_longer_quiet() {
    let (stand, good, quotes) = after_a_good_scan();
    stand.fault("429");
    let mut scanner = stand.start("", &["--every", "1ms", "--backoff", "300ms"]);
    scanner.hear("STATUS=0 of 133 quotes, 1 requests; the provider answered 429: it is left alone");
    let log = wait_for("three probes", || Some(stand.log()).filter(|log| log.len() >= good + 4));
    let pauses = pauses(&log[good..]);
    assert!(pauses[0] >= 0.3 && pauses[1] >= 0.6 && pauses[2] >= 1.2, "{pauses:?}");
    assert!(log[good..].iter().all(|asked| asked.status == 429), "{log:?}");
    assert_kept(&stand, &quotes);

    // It recovers by itself, and the next refusal counts as the first.
    stand.fault("ok");
    scanner.hear("STATUS=133 of 133 quotes, 2 requests");
    scanner.kill();
    assert_eq!(stand.rows("SELECT open_until, backoff_seconds FROM provider_state"), ["0|0"]);
    assert_ne!(stand.quotes(), quotes);
    stand.assert_limit(0.001, 100);
}

#[test]
fn two_scanners_probe_as_one() {
    let (stand, good, quotes) = after_a_good_scan();
    stand.fault("429");
    let more = ["--every", "1ms", "--backoff", "300ms"];
    assert!(!stand.once("", &more).status.success());
    let (_one, _other) = (stand.start("", &more), stand.start("", &more));
    let log = wait_for("three probes", || Some(stand.log()).filter(|log| log.len() >= good + 4));
    let pauses = pauses(&log[good..]);
    assert!(pauses[0] >= 0.3 && pauses[1] >= 0.6 && pauses[2] >= 1.2, "{pauses:?}");
    assert_kept(&stand, &quotes);
}

#[test]
fn a_provider_that_says_how_long_is_left_alone_for_so_long() {
    let (stand, good, quotes) = after_a_good_scan();
    stand.fault("429-after?retry-after=2");
    let _scanner = stand.start("", &["--every", "1ms", "--backoff", "1ms"]);
    wait_for("a refusal", || (stand.log().len() > good).then_some(()));
    let until = jiff::Timestamp::now().as_second() + 5;
    let date = jiff::Timestamp::from_second(until)
        .expect("a moment")
        .strftime("%a,%%20%d%%20%b%%20%Y%%20%H:%M:%S%%20GMT");
    stand.fault(&format!("429-after?retry-after={date}"));
    let log = wait_for("a probe", || Some(stand.log()).filter(|log| log.len() >= good + 2));
    assert!(pauses(&log[good..])[0] >= 2.0, "{log:?}");
    let log = wait_for("another", || Some(stand.log()).filter(|log| log.len() >= good + 3));
    assert!(log[good + 2].at >= until * 1000, "{log:?}");
    assert_kept(&stand, &quotes);
}

#[test]
fn the_text_of_a_429_is_no_crumb() {
    let stand = Stand::open();
    stand.fault("crumb-429");
    let mut scanner = stand.start("", &["--every", "1ms", "--backoff", "300ms"]);
    scanner.hear("the provider gave no crumb but other words");
    let log = wait_for("two probes", || Some(stand.log()).filter(|log| log.len() >= 4));
    let asked: Vec<_> = log.iter().map(|asked| asked.path.as_str()).take(4).collect();
    let crumb = "/v1/test/getcrumb";
    // The cookie is good, so a probe is one request.
    assert_eq!(asked, ["/", crumb, crumb, crumb]);
    let pauses = pauses(&log[1..4]);
    assert!(pauses[0] >= 0.3 && pauses[1] >= 0.6, "{pauses:?}");
    assert_eq!(stand.rows("SELECT cookie IS NULL, crumb IS NULL FROM provider_state"), ["0|1"]);
    stand.fault("ok");
    scanner.hear("STATUS=133 of 133 quotes");
}

#[test]
fn after_a_401_the_crumb_is_fetched_anew_once() {
    let (stand, good, _) = after_a_good_scan();
    stand.fault("stale-crumb");
    stand.scan_well();
    let paths = |log: &[Asked]| {
        log.iter().map(|asked| format!("{} {}", asked.path, asked.status)).collect::<Vec<_>>()
    };
    let quote = |status: u16| format!("/v7/finance/quote {status}");
    let fresh = ["/ 404".to_owned(), "/v1/test/getcrumb 200".to_owned()];
    let renewed = [&[quote(401)][..], &fresh, &[quote(200), quote(200)]].concat();
    assert_eq!(paths(&stand.log()[good..]), renewed);

    // A crumb that is refused as soon as it is fetched is a refusal.
    let (good, quotes) = (stand.log().len(), stand.quotes());
    stand.fault("401");
    let mut scanner = stand.start("", &["--every", "1ms", "--backoff", "10m"]);
    scanner.hear("the provider refuses a fresh crumb");
    assert_eq!(paths(&stand.log()[good..]), [&[quote(401)][..], &fresh, &[quote(401)]].concat());
    assert_kept(&stand, &quotes);
}

#[test]
fn refusals_of_fresh_crumbs_grow_rarer_too() {
    let stand = Stand::open();
    stand.fault("401");
    for backoff in ["0.05|", "0.1|", "0.2|"] {
        let output = wait_for("a scan that is let through", || {
            let output = stand.once("AAPL", &["--backoff", "50ms"]);
            String::from_utf8_lossy(&output.stderr).contains("fresh crumb").then_some(output)
        });
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stand.rows("SELECT backoff_seconds, crumb FROM provider_state"), [backoff]);
    }
}

#[test]
fn a_restart_while_the_circuit_is_open_asks_nothing() {
    let (stand, good, quotes) = after_a_good_scan();
    stand.fault("429");
    let more = ["--every", "1ms", "--backoff", "10m"];
    let mut scanner = stand.start("", &more);
    scanner.hear("STATUS=0 of 133 quotes, 1 requests");
    scanner.kill();
    stand.fault("ok");
    for _ in 0..3 {
        let mut scanner = stand.start("", &more);
        scanner.hear("X_SOLOIST_STATE=sleeping");
        scanner.hear("STATUS=the provider asked for quiet");
        scanner.kill();
        let output = stand.once("", &more);
        assert!(String::from_utf8_lossy(&output.stderr).contains("asked for quiet"), "{output:?}");
        assert_eq!(output.status.code(), Some(1));
    }
    assert_eq!(stand.log().len(), good + 1);
    assert_kept(&stand, &quotes);
}

#[test]
fn answers_that_are_none_cost_a_scan_and_nothing_else() {
    for (fault, words) in [
        ("drip", "did not answer in time"),
        ("truncated", "no whole JSON"),
        ("html", "a page in place of quotes"),
        ("reset", "did not answer"),
    ] {
        let (stand, good, quotes) = after_a_good_scan();
        stand.fault(fault);
        let mut scanner = stand.start("", &["--deadline", "300ms", "--every", "10m"]);
        scanner.hear(words);
        // Two failures in a row end a scan.
        assert_eq!(stand.log().len(), good + 2, "{fault}");
        assert_kept(&stand, &quotes);
        scanner.kill();
        stand.fault("ok");
        stand.scan_well();
        assert!(stand.last_scan().starts_with("whole|133|133|"), "{fault}");
        stand.assert_limit(0.001, 100);
    }
}

#[test]
fn values_that_are_wrong_cost_at_most_their_quote() {
    for (fault, usable) in [("types", 54), ("nulls", 80)] {
        let (stand, _, before) = after_a_good_scan();
        stand.fault(fault);
        let output = stand.once("", &[]);
        assert!(output.status.success(), "{output:?}");
        let after = stand.quotes();
        assert_eq!(after.len(), 133, "{fault}");
        let renewed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert_eq!(renewed, usable, "{fault}: {}", stand.last_scan());
        let harmed = "SELECT count(*) FROM quotes WHERE volume IS NULL OR previous_close IS NULL";
        assert_ne!(stand.rows(harmed), ["0"], "{fault}");
    }
}

#[test]
fn a_body_without_end_is_cut_off() {
    let endless = |stream: &mut TcpStream, path: &str| {
        let quotes = b"HTTP/1.1 200 OK\r\n\r\n{\"quoteResponse\":{\"result\":[";
        match path {
            "/" => {
                stream.write_all(b"HTTP/1.1 404 No\r\nSet-Cookie: A3=x; Path=/\r\nContent-Length: 0\r\n\r\n")
            }
            "/v1/test/getcrumb" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
            // Ends when the other side has had enough.
            _ => stream.write_all(quotes).and_then(|()| {
                loop {
                    stream.write_all(&[b' '; 65_536])?
                }
            }),
        }
    };
    let said = ask(endless);
    assert!(said.contains("more than 4194304 bytes"), "{said}");
}

#[test]
fn a_provider_that_wants_consent_is_not_followed_to_its_form() {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let asked = paths.clone();
    let said = ask(move |stream: &mut TcpStream, path: &str| {
        asked.lock().expect("nobody panicked with it").push(path.to_owned());
        stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /consent\r\nContent-Length: 0\r\n\r\n")
    });
    assert!(said.contains("no cookie; it may want a person's consent"), "{said}");
    assert!(paths.lock().expect("nobody panicked with it").iter().all(|path| path == "/"), "{paths:?}");
}

/// Scans once with a provider that answers each connection's request in this way; returns what the scan says.
fn ask(answer: impl Fn(&mut TcpStream, &str) -> std::io::Result<()> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let stand = Stand::open();
    let provider = std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().expect("the same connection"));
            reader.read_line(&mut line).expect("a request");
            let path = line.split([' ', '?']).nth(1).expect("a path").to_owned();
            if path == "/end" {
                return;
            }
            while line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).expect("the rest of its head");
            }
            let _ = answer(&mut stream, &path);
        }
    });
    let output = stand.once("AAPL", &["--provider", &format!("http://{address}")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    TcpStream::connect(address)
        .and_then(|mut last| last.write_all(b"GET /end \r\n"))
        .expect("a last request");
    provider.join().expect("the provider did not panic");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_provider_that_is_not_there_is_a_failed_scan() {
    let stand = Stand::open();
    let output = stand.once("AAPL", &["--provider", "http://127.0.0.1:1"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("0 of 1 quotes") && said.contains("did not answer"), "{said}");
    assert!(stand.last_scan().starts_with("failed|1|0|"), "{}", stand.last_scan());
}
