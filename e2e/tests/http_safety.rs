//! The door over TCP: who is let in, what is refused, and that nobody who comes to it can keep others out or services
//! waiting.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use e2e::caller::answer;
use e2e::{Caller, LIMIT, Project, daemon, puppet, quoted, wait_until};

/// A project with one service, `good`, up.
fn up(more: &str) -> (Project, Caller) {
    let project = Project::new(&format!(
        "[services.good]\ncommand = {}\nbackoff = {{ first = \"20ms\", max = \"20ms\" }}\n\
         restart-limit = {{ count = 1000, period = \"1m\" }}\n{more}",
        quoted(&puppet::<&str>(&[]))
    ));
    project.soloist(&["up", "-d"]).expect(0);
    let caller = Caller::of(&project);
    (project, caller)
}

#[test]
fn a_project_without_a_file_has_a_page_too() {
    let project = Project::empty();
    let link = project.soloist(&["open", "--print"]).expect(0).stdout;
    assert!(link.starts_with("http://127.0.0.1:") && link.contains("/login?code="), "{link}");
    assert_eq!(Caller::of(&project).ask_known("GET /readyz", &[], "").status, 200);
}

fn set_http(project: &Project, section: &str) {
    let text = project.read("soloist.toml");
    let rest = text.split("[http]").next().unwrap_or_default();
    project.write("soloist.toml", &format!("{rest}{section}"));
}

// ---- who is let in

#[test]
fn nobody_without_a_secret_is_let_in() {
    let (_project, caller) = up("");
    assert_eq!(caller.ask("GET /livez", &[], "").status, 200);
    for line in
        ["GET /api/v1/services", "GET /", "GET /metrics", "GET /health", "POST /api/v1/down", "GET /nowhere"]
    {
        let reply = caller.ask(line, &[], "");
        reply.refuses(401, "unauthorized", "neither a token nor a session");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{line}");
    }
    for line in ["GET /", "GET /login?code=old"] {
        let page = caller.ask(line, &["Accept: text/html,application/xhtml+xml,*/*;q=0.8"], "");
        assert_eq!(
            (page.status, page.header("content-type")),
            (401, Some("text/html; charset=utf-8")),
            "{line}"
        );
        assert!(
            page.body.contains("Run <code>soloist open</code>") && !page.body.contains(&caller.token),
            "{page:?}"
        );
    }
    let nearly = format!("{}0", &caller.token[..caller.token.len() - 1]);
    for given in [
        "Bearer",
        "Bearer ",
        "Basic eDp5",
        &format!("Bearer {nearly}x"),
        &format!("Bearer {}", &caller.token[1..]),
    ] {
        let reply = caller.ask("GET /api/v1/services", &[&format!("Authorization: {given}")], "");
        reply.refuses(401, "unauthorized", "not this project's");
    }
    assert_eq!(caller.ask_known("GET /api/v1/services", &[], "").json()["services"][0]["name"], "good");
}

#[test]
fn a_token_in_a_query_is_refused_even_if_it_is_right() {
    let (_project, caller) = up("");
    for query in [
        format!("token={}", caller.token),
        format!("x=1&access_token={}", caller.token),
        format!("any={}", caller.token),
        "token=x".to_owned(),
    ] {
        let reply = caller.ask_known(&format!("GET /api/v1/services?{query}"), &[], "");
        reply.refuses(400, "usage", "Authorization: Bearer");
    }
}

#[test]
fn foreign_hosts_and_foreign_pages_are_refused() {
    let (project, caller) = up("");
    let port = caller.address.port();
    let own = format!("Host: localhost:{port}");
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "127.0.0.1",
        "localhost:1",
        &format!("localhost.evil.example:{port}"),
        "",
    ] {
        let reply = caller.ask_known("GET /api/v1/services", &[&format!("Host: {host}")], "");
        reply.refuses(403, "forbidden", "this is not the host");
    }
    let two = caller.ask_known("GET /livez", &[&own, "Host: evil.example"], "");
    assert!([400, 403].contains(&two.status), "{two:?}");
    let line = format!("GET http://evil.example:{port}/api/v1/services");
    caller.ask_known(&line, &[&own], "").refuses(403, "forbidden", "this is not the host");
    for origin in
        ["http://evil.example", "null", &format!("https://localhost:{port}"), "http://localhost:1", ""]
    {
        let origin = format!("Origin: {origin}");
        caller.ask_known("POST /api/v1/services/good/stop", &[&own, &origin], "").refuses(
            403,
            "forbidden",
            "pages of",
        );
    }
    assert_eq!(project.service("good").state, "ready", "nobody has stopped it");
    let origin = format!("Origin: http://127.0.0.1:{port}");
    assert_eq!(caller.ask_known("POST /api/v1/services/good/start", &[&own, &origin], "").status, 200);
    assert_eq!(caller.ask_known("GET /livez", &[&format!("Host: [::1]:{port}")], "").status, 200);
}

#[test]
fn a_link_lets_one_browser_in_once_and_the_session_outlives_the_daemon() {
    let (project, caller) = up("");
    let said = project.soloist(&["open", "--print"]).expect(0);
    let path = said
        .stdout
        .trim()
        .strip_prefix(&format!("http://{}", caller.address))
        .expect("its address")
        .to_owned();
    let line = format!("GET {path}");
    let welcome = caller.ask(&line, &[], "");
    assert_eq!((welcome.status, welcome.header("location")), (303, Some("/")));
    let cookie = welcome.header("set-cookie").expect("a cookie").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict; Path=/"), "{cookie}");
    assert!(!cookie.contains(&caller.token), "the token stays with programs");
    caller.ask(&line, &[], "").refuses(401, "unauthorized", "soloist open");
    caller.ask("GET /login?code=guess", &[], "").refuses(401, "unauthorized", "soloist open");
    caller.ask_known("POST /api/v1/login", &[], "").refuses(404, "no-such-path", "");

    let cookie = format!("Cookie: a=b; {}", cookie.split(';').next().unwrap());
    assert_eq!(caller.ask("GET /api/v1/services", &[&cookie], "").status, 200);
    let write = "POST /api/v1/services/good/start";
    caller.ask(write, &[&cookie], "").refuses(403, "forbidden", "X-Soloist: 1");
    assert_eq!(caller.ask(write, &[&cookie, "X-Soloist: 1"], "").status, 200);

    let first = daemon::kill(&project);
    daemon::wait_for_another(&project, first, LIMIT);
    assert_eq!(Caller::of(&project).address, caller.address, "the page finds it again");
    wait_until("the page goes on", LIMIT, || match caller.try_ask("GET /api/v1/services", &[&cookie], "") {
        Ok(reply) if reply.status == 200 => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

// ---- files and the port

#[test]
fn secrets_are_files_of_their_user_alone_and_no_link_is_followed() {
    let (project, caller) = up("");
    let path = |name: &str| project.folder().join(".soloist").join(name);
    let modes = |names: &[&str]| {
        for name in names {
            let found = std::fs::symlink_metadata(path(name)).unwrap();
            assert!(found.is_file() && found.mode() & 0o777 == 0o600, "{name}: {:o}", found.mode());
        }
    };
    modes(&["token", "session", "http.json"]);
    assert_eq!(std::fs::metadata(path("")).unwrap().mode() & 0o777, 0o700);
    assert_eq!(caller.token.len(), 64);
    assert_ne!(caller.token, project.read(".soloist/session"));

    // One that others could read is none any more; of a link only the link goes.
    let aim = project.write("aim", "mine");
    std::fs::set_permissions(path("token"), std::fs::Permissions::from_mode(0o644)).unwrap();
    for name in ["session", "http.json"] {
        std::fs::remove_file(path(name)).unwrap();
        symlink(&aim, path(name)).unwrap();
    }
    project.soloist(&["upgrade"]).expect(0);
    let after = Caller::of(&project);
    modes(&["token", "session", "http.json"]);
    assert_ne!(after.token, caller.token);
    assert_eq!(project.read("aim"), "mine");
    assert_eq!(after.ask_known("GET /api/v1/services", &[], "").status, 200);
    caller.ask_known("GET /api/v1/services", &[], "").refuses(401, "unauthorized", "");
}

#[test]
fn an_upgrade_keeps_the_port_and_refuses_no_connection() {
    let (project, caller) = up("");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let mut asked = 0;
            while !is_over.load(Ordering::Relaxed) {
                // Between two binaries it may wait; it is never refused.
                let reply = caller.connect().unwrap_or_else(|e| panic!("connection {asked}: {e}"));
                drop(reply);
                asked += 1;
            }
            asked
        });
        for _ in 0..3 {
            project.soloist(&["upgrade"]).expect(0);
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(asker.join().unwrap() > 3);
    });
    assert_eq!(Caller::of(&project).address, caller.address);
    assert_eq!(caller.ask_known("GET /api/v1/services", &[], "").status, 200);
}

#[test]
fn a_port_that_is_taken_is_said_and_keeps_nothing_from_running() {
    let stranger = TcpListener::bind(("127.0.0.1", e2e::free_port())).unwrap();
    let address = stranger.local_addr().unwrap();
    let project = Project::new(&format!(
        "[services.good]\ncommand = {}\n[http]\nlisten = \"{address}\"\n",
        quoted(&puppet::<&str>(&[]))
    ));
    project.soloist(&["up", "-d"]).expect(0).says(&format!("HTTP is not served on {address}"));
    assert_eq!(project.service("good").state, "ready");
    let note = project.soloist(&["status", "--json"]).expect(0).json()["daemon"]["note"].to_string();
    assert!(note.contains(&address.to_string()), "{note}");
    assert!(project.diary().contains(&address.to_string()), "{}", project.diary());
    assert!(!project.folder().join(".soloist/http.json").exists());
    project.soloist(&["open", "--print"]).expect(3).says("does not answer over TCP");

    drop(stranger);
    project.soloist(&["upgrade"]).expect(0);
    assert_eq!(Caller::of(&project).address, address);
    set_http(&project, "[http]\nlisten = false\n");
    project.soloist(&["upgrade"]).expect(0);
    assert!(!project.folder().join(".soloist/http.json").exists());
    assert!(e2e::is_free(address.port()), "nobody listens there any more");
    project.soloist(&["open", "--print"]).expect(3);
}

#[test]
fn an_address_that_others_reach_is_warned_of_and_needs_the_token_all_the_same() {
    let project = Project::new("[http]\nlisten = \"0.0.0.0:0\"\n");
    project.write(
        "soloist.toml",
        &format!(
            "[services.good]\ncommand = {}\n{}",
            quoted(&puppet::<&str>(&[])),
            project.read("soloist.toml")
        ),
    );
    project.soloist(&["up", "-d"]).expect(0).says("whoever reaches it");
    assert!(project.diary().contains("whoever reaches it"), "{}", project.diary());
    let mut caller = Caller::of(&project);
    caller.address.set_ip([127, 0, 0, 1].into());
    caller.ask("GET /api/v1/services", &[], "").refuses(401, "unauthorized", "");
    assert_eq!(caller.ask_known("GET /api/v1/services", &[], "").status, 200);
    let link = project.soloist(&["open", "--print"]).expect(0).stdout;
    assert!(link.starts_with(&format!("http://{}/login?code=", caller.address)), "{link}");
}

#[test]
fn nobody_ends_the_daemon_to_have_its_port() {
    let (project, caller) = up("");
    let port = caller.address.port().to_string();
    project.soloist(&["who", &port]).expect(0).says("soloist's own page");
    project.soloist(&["free", "--force", &port]).expect(6).says("it is soloist itself");
    assert_eq!(caller.ask("GET /livez", &[], "").status, 200);
}

// ---- what is refused

#[test]
fn tricks_with_paths_lead_nowhere() {
    let (project, caller) = up("");
    for path in [
        "/api/v1/services/..%2f..%2fetc",
        "/api/v1/services/%2e%2e/%2e%2e/etc",
        "/api/v1/services/../../../etc/passwd",
        "/api/v1/services/..%5c..%5cetc",
        "/api/v1/services/good%00",
        "/api/v1/services/%ff",
        "/api/v1/services/good%2fstop",
        "//etc/passwd",
        "/%2fetc/passwd",
    ] {
        for method in ["GET", "POST"] {
            let reply = caller.ask_known(&format!("{method} {path}"), &[], "");
            assert_eq!(
                (reply.status, reply.header("content-type")),
                (404, Some("application/problem+json")),
                "{path}: {reply:?}"
            );
        }
        caller.ask_known(&format!("POST {path}/stop"), &[], "").refuses(404, "no-such-path", "");
    }
    assert_eq!(project.service("good").state, "ready");
}

#[test]
fn a_body_without_end_is_refused_early() {
    let (_project, caller) = up("");
    // Announced: refused before any of it is read; without a secret before that.
    let head =
        format!("POST /api/v1/up HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n", caller.address, 1u64 << 30);
    for (secret, status) in [(format!("{}\r\n", caller.bearer()), 413), (String::new(), 401)] {
        let mut stream = caller.connect().unwrap();
        stream.write_all(format!("{head}{secret}\r\n").as_bytes()).unwrap();
        let mut begin = [0u8; 12];
        stream.read_exact(&mut begin).unwrap();
        assert_eq!(begin, *format!("HTTP/1.1 {status}").as_bytes());
    }
    // Streamed: nobody reads it to the end.
    let mut stream = caller.connect().unwrap();
    let head = format!(
        "POST /api/v1/up HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n{}\r\n\r\n",
        caller.address,
        caller.bearer()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let mut sent = 0u64;
    while sent < 1 << 30 && stream.write_all(chunk.as_bytes()).is_ok() {
        sent += 0x10000;
    }
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    // Whoever stays below is heard.
    let long = format!("{{\"who\": \"{}\"}}", "x".repeat(1 << 19));
    assert_eq!(caller.ask_known("POST /api/v1/up", &[], &long).status, 200);
    let head = caller.ask_known("GET /livez", &[&format!("X-Long: {}", "x".repeat(20_000))], "");
    assert_eq!(head.status, 431);
}

#[test]
fn every_answer_makes_browsers_careful() {
    let (_project, caller) = up("");
    for (line, status) in
        [("GET /livez", 200), ("GET /", 401), ("GET /api/v1/services", 401), ("GET /login?code=x", 401)]
    {
        let reply = caller.ask(line, &[], "");
        assert_eq!(reply.status, status, "{line}");
        let policy = reply.header("content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{line}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{line}");
        }
    }
}

// ---- floods

#[test]
fn who_fills_all_seats_and_says_nothing_keeps_nobody_out() {
    let (_project, caller) = up("");
    let mut slow = Vec::new();
    for number in 0..500 {
        let mut stream = caller.connect().unwrap_or_else(|e| panic!("connection {number}: {e}"));
        let _ = stream.write_all(b"GET /api/v1/services HTTP/1.1\r\nX-Slow: ");
        slow.push(stream);
    }
    let began = Instant::now();
    for turn in 0..20 {
        slow.iter_mut().for_each(|stream| drop(stream.write_all(b"x")));
        assert_eq!(caller.ask_known("GET /api/v1/services", &[], "").status, 200, "turn {turn}");
    }
    assert!(began.elapsed() < Duration::from_secs(8), "they were answered after {:?}", began.elapsed());
    // Those that stay are ended too, each with its time to say what it wants.
    wait_until("all are ended", LIMIT, || {
        slow.retain_mut(|stream| {
            stream.set_nonblocking(true).unwrap();
            let mut bytes = [0u8; 4096];
            !matches!(stream.read(&mut bytes), Ok(0)) && stream.write(b"x").is_ok()
        });
        if slow.is_empty() { Ok(()) } else { Err(format!("{} are left", slow.len())) }
    });
}

#[test]
fn streams_that_nobody_reads_are_bounded_and_slow_nobody() {
    let (project, caller) = up("");
    let bearer = caller.bearer();
    let request = caller.request("GET /api/v1/events", &[&bearer], "");
    let mut streams = Vec::new();
    for _ in 0..64 {
        let mut stream = caller.connect().unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut begin = [0u8; 12];
        stream.read_exact(&mut begin).unwrap();
        assert_eq!(begin, *b"HTTP/1.1 200");
        streams.push(stream);
    }
    caller.ask_known("GET /api/v1/events", &[], "").refuses(503, "busy", "64 streams");
    for turn in 0..20 {
        let reply = caller.ask_known("POST /api/v1/services/good/restart", &[], "");
        assert_eq!(reply.status, 200, "turn {turn}: {reply:?}");
    }
    assert_eq!(project.service("good").state, "ready");
    // A seat that is given back is had again.
    streams.pop().unwrap().shutdown(Shutdown::Both).unwrap();
    wait_until("one more stream is open", LIMIT, || {
        let mut stream = caller.connect().map_err(|e| e.to_string())?;
        stream.write_all(request.as_bytes()).map_err(|e| e.to_string())?;
        let mut begin = [0u8; 12];
        stream.read_exact(&mut begin).map_err(|e| e.to_string())?;
        if begin == *b"HTTP/1.1 200" { Ok(()) } else { Err(String::from_utf8_lossy(&begin).into_owned()) }
    });
    // The daemon ends although they do not read.
    project.soloist(&["down"]).expect(0);
}

/// From the kill of a service to its next run, in order.
fn restarts(project: &Project, count: usize) -> Vec<Duration> {
    let mut all: Vec<Duration> = (0..count)
        .map(|_| {
            let before = project.beacon().living();
            let [one] = before[..] else { panic!("{before:?}") };
            let began = Instant::now();
            assert!(one.kill());
            wait_until("another one lives", LIMIT, || match project.beacon().living() {
                living if living.iter().any(|other| *other != one) => Ok(()),
                living => Err(format!("{living:?}")),
            });
            began.elapsed()
        })
        .collect();
    all.sort();
    all
}

/// What may cost the daemon most.
const STORM: [&str; 5] =
    ["/api/v1/services", "/health", "/metrics", "/api/v1/schedules", "/api/v1/services/good/why"];

/// Dear questions, of which each turn of the driver answers a few.
#[test]
fn a_storm_of_requests_keeps_no_service_waiting() {
    // A driver that answered all of it first would take seconds.
    weather(&STORM, |calm, storm| storm < Duration::from_millis(250).max(3 * calm));
}

/// Cheap questions, of which there is always a next one when all are answered.
#[test]
fn a_storm_without_a_pause_keeps_no_service_waiting() {
    // Reports that wait until the questions leave a gap take four times as long.
    weather(&["/api/v1/schedules"], |calm, storm| storm < 3 * calm);
}

/// Measures a storm, three times at most: what else the machine does spoils one measurement, a fault spoils each.
/// Judged are the medians, calm and in the storm; the longest restart never takes two seconds.
#[track_caller]
fn weather(paths: &'static [&'static str], is_right: fn(Duration, Duration) -> bool) {
    let mut reports = Vec::new();
    for _ in 0..3 {
        let (calm, storm, report) = storm(paths);
        if is_right(calm[calm.len() / 2], storm[storm.len() / 2])
            && storm[storm.len() - 1] < Duration::from_secs(2)
        {
            return;
        }
        reports.push(report);
    }
    panic!("{reports:#?}");
}

/// Crash to restart, calm and while twenty clients ask for these paths, sorted; and both in words.
fn storm(paths: &'static [&'static str]) -> (Vec<Duration>, Vec<Duration>, String) {
    // Two storms at once would measure each other.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let project = Project::empty();
    let command = quoted(&puppet(&["--beacon", &project.path("beacon")]));
    let idle: String =
        (0..300).map(|n| format!("[services.s{n}]\ncommand = {}\n", quoted(&["sleep", "1000"]))).collect();
    project.write(
        "soloist.toml",
        &format!(
            "[services.good]\ncommand = {command}\nbackoff = {{ first = \"1ms\", max = \"1ms\" }}\n\
         restart-limit = {{ count = 10000, period = \"1m\" }}\n{idle}"
        ),
    );
    project.soloist(&["up", "-d"]).expect(0);
    let caller = Caller::of(&project);
    let calm = restarts(&project, 40);
    let is_over = AtomicBool::new(false);
    let began = Instant::now();
    let (storm, answered) = std::thread::scope(|scope| {
        let (is_over, caller) = (&is_over, &caller);
        let ask = |path: &'static str| {
            let mut stream = caller.connect().unwrap();
            let one =
                format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{}\r\n\r\n", caller.address, caller.bearer());
            let many = one.repeat(50);
            let (mut answered, mut bytes, mut text) = (0, vec![0u8; 1 << 20], Vec::new());
            // They end when the restarts fail, too.
            while !is_over.load(Ordering::Relaxed) && began.elapsed() < 4 * LIMIT {
                stream.write_all(many.as_bytes()).unwrap();
                let mut seen = 0;
                while seen < 50 {
                    let length = stream.read(&mut bytes).unwrap();
                    text.extend_from_slice(&bytes[..length]);
                    seen += text.windows(8).filter(|part| part == b"HTTP/1.1").count();
                    text.drain(..text.len().saturating_sub(7));
                }
                answered += seen;
            }
            answered
        };
        let askers: Vec<_> =
            paths.iter().cycle().take(20).map(|path| scope.spawn(move || ask(path))).collect();
        let storm = restarts(&project, 40);
        is_over.store(true, Ordering::Relaxed);
        (storm, askers.into_iter().map(|asker| asker.join().unwrap()).sum::<usize>())
    });
    let rate = answered as f64 / began.elapsed().as_secs_f64();
    let told =
        |all: &[Duration]| format!("median {:?}, longest {:?}", all[all.len() / 2], all[all.len() - 1]);
    let report = format!("calm: {}; at {rate:.0} requests/s: {}", told(&calm), told(&storm));
    // With its answers visible under `--nocapture`.
    std::io::stderr().write_all(format!("{report}\n").as_bytes()).unwrap();
    (calm, storm, report)
}

#[test]
fn the_unix_socket_needs_no_token_and_knows_no_host() {
    let project = Project::new(&format!(
        "[http]\nlisten = false\n[services.good]\ncommand = {}\n",
        quoted(&puppet::<&str>(&[]))
    ));
    project.soloist(&["up", "-d"]).expect(0);
    let mut stream = UnixStream::connect(project.folder().join(".soloist/daemon.sock")).unwrap();
    let ask = "GET /api/v1/services HTTP/1.1\r\nHost: any.name\r\nConnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("good"), "{answer}");
}

#[test]
fn a_connection_that_says_nonsense_is_answered_and_closed() {
    let (_project, caller) = up("");
    for nonsense in [
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "\u{16}\u{3}\u{1}\0\0",
        "GET / HTTP/9.9\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = caller.connect().unwrap();
        stream.write_all(nonsense.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        if let Ok(reply) = answer(&mut stream) {
            assert!((400..600).contains(&reply.status), "{nonsense:?}: {reply:?}");
        }
        assert_eq!(caller.ask("GET /livez", &[], "").status, 200);
    }
}
