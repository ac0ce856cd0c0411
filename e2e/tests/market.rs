//! The market app under soloist, as this repository's own soloist.toml declares it: on ports of its own and on a day that
//! the test chooses, steered through its API, and seen from soloist's side.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::caller::{Caller, Reply, answer};
use e2e::clock::set_to;
use e2e::identity::Identity;
use e2e::project::finish_within;
use e2e::{LIMIT, Project, Real, binaries, daemon, free_port, wait_until};
use serde_json::{Value, json};

/// A Sunday: both exchanges are closed. Long ago, since a day that is today is told without its date.
const SUNDAY: &str = "2026-08-23T12:00:00Z";
/// A Monday morning in Mumbai.
const MUMBAI: &str = "2026-08-24T10:00:00+05:30";
/// A Monday morning in New York.
const NEW_YORK: &str = "2026-08-24T10:00:00-04:00";

struct Market {
    project: Project,
    address: SocketAddr,
}

impl Market {
    /// The root's declaration in a folder of its own, at this moment.
    fn at(moment: &str) -> Market {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let (api, quotes) = (free_port(), free_port());
        let program = binaries().market.display().to_string();
        let mut toml = std::fs::read_to_string(root.join("soloist.toml")).unwrap();
        for (is, becomes) in [
            ("target/release/market", program),
            ("port = 9000", format!("port = {api}")),
            ("port = 9001", format!("port = {quotes}")),
            ("127.0.0.1:9001", format!("127.0.0.1:{quotes}")),
        ] {
            assert!(toml.contains(is), "soloist.toml does not say {is}");
            toml = toml.replace(is, &becomes);
        }
        let project = Project::new(&toml).with_test_clock();
        let sample = project.folder().join("apps/market/sample");
        std::fs::create_dir_all(&sample).unwrap();
        for file in std::fs::read_dir(root.join("apps/market/sample")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), sample.join(file.file_name())).unwrap();
        }
        set_to(&project, moment);
        Market { project, address: SocketAddr::from((Ipv4Addr::LOCALHOST, api)) }
    }

    fn up(moment: &str) -> Market {
        let market = Market::at(moment);
        market.project.soloist(&["up", "-d"]).expect(0);
        market
    }

    fn ask(&self, line: &str) -> Reply {
        self.send(line, "", b"")
    }

    fn send(&self, line: &str, headers: &str, body: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let length = body.len();
        let head =
            format!("Host: localhost\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n");
        stream.write_all(&[format!("{line} HTTP/1.1\r\n{head}").as_bytes(), body].concat()).unwrap();
        answer(&mut stream).unwrap_or_else(|e| panic!("{line}: {e}\n{}", self.project.diary()))
    }

    fn get(&self, path: &str) -> Value {
        let reply = self.ask(&format!("GET {path}"));
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.json()
    }

    /// An order that is followed.
    fn order(&self, line: &str) -> Value {
        let reply = self.ask(line);
        assert!([200, 202].contains(&reply.status), "{line}: {reply:?}\n{}", self.project.diary());
        reply.json()
    }

    fn wait_for(&self, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, LIMIT, || match self.get(path) {
            told if is_so(&told) => Ok(told),
            told => Err(format!("{told}\n{}", self.project.diary())),
        })
    }

    fn background(&self) -> Value {
        self.get("/api/v1/background/status")["data"].clone()
    }

    fn state(&self, name: &str) -> String {
        self.project.service(name).state
    }

    /// Waits until soloist's history has this run of the processor, and it has ended well.
    fn wait_for_run(&self, id: &Value) {
        let caller = Caller::of(&self.project);
        wait_until("soloist knows the run", LIMIT, || {
            let told = caller.ask_known("GET /api/v1/runs?service=processor", &[], "").json();
            let found = told["runs"].as_array().unwrap().iter().find(|run| run["run_id"] == *id).cloned();
            found.filter(|run| run["exit"]["code"] == 0).ok_or(told)
        });
    }
}

#[test]
fn outside_its_hours_all_is_ready_or_says_until_when_it_sleeps() {
    let market = Market::up(SUNDAY);
    for (name, state) in
        [("api", "ready"), ("quotes", "ready"), ("processor", "scheduled"), ("scanner", "scheduled")]
    {
        assert_eq!(market.state(name), state, "{name}");
    }
    let told = market.project.soloist(&["status"]).expect(0).stdout;
    for words in
        ["NSE is closed until Mon 2026-08-24 09:15 IST", "new-york is closed until Mon 2026-08-24 04:00 EDT"]
    {
        assert!(told.contains(words), "{words} is not in\n{told}");
    }
    let data = market.background();
    for (field, value) in [
        ("is_running", json!(true)),
        ("is_market_hours", json!(false)),
        ("process_interval", json!(6.0)),
        ("supervised", json!(true)),
        ("note", json!("NSE is closed until Mon 2026-08-24 09:15 IST")),
    ] {
        assert_eq!(data[field], value, "{field} of {data}");
    }
    let told = market.get("/api/scanner/status");
    assert_eq!(
        (&told["running"], &told["managed_process"], &told["wanted"]),
        (&json!(false), &json!(true), &json!(true))
    );
    assert_eq!(market.get("/api/scraper-status")["state"], "sleeping");
    assert_eq!(market.get("/monitoring/health"), json!({ "status": "healthy" }));

    // What a newcomer sees at once, whatever the hour.
    let said = market.project.soloist(&["up", "--now", "-d"]).expect(0).stdout;
    assert!(
        said.contains("outside its window NSE") && said.contains("outside its window new-york"),
        "{said}"
    );
    assert_eq!(market.state("scanner"), "ready");
    market.wait_for("/health", "the sample is processed", |told| told["data"]["stocks_processed"] == 105);
    market.wait_for("/api/cache_ready", "there are quotes", |told| told["ready"] == true);
    assert_eq!(market.get("/api/v1/stocks/ABB")["stock"], "ABB");
}

#[test]
fn a_refresh_names_the_run_that_soloist_has() {
    let market = Market::up(SUNDAY);
    let reply = market.ask("POST /api/v1/process/refresh");
    assert_eq!(reply.status, 202, "{reply:?}");
    let told = reply.json();
    assert_eq!((&told["status"], &told["stocks_processed"]), (&json!("processing"), &json!(null)), "{told}");
    assert!(
        told["message"].as_str().is_some_and(|said| said.contains("this one run happens all the same")),
        "{told}"
    );
    market.wait_for_run(&told["run_id"]);
    let status =
        market.wait_for("/api/v1/process/status", "it is done", |told| told["status"] == "completed");
    assert_eq!(status["run_id"], told["run_id"]);
    let history = market.get("/api/v1/stocks/processing-history");
    assert_eq!(history["processing_history"][0]["run_id"], told["run_id"]);
    // A second one is another run.
    let again = market.order("POST /api/v1/process/refresh");
    assert_ne!(again["run_id"], told["run_id"]);
    market.wait_for_run(&again["run_id"]);
}

#[test]
fn the_processor_is_stopped_started_and_set_as_soloist_tells() {
    let market = Market::up(MUMBAI);
    market.wait_for("/health", "the sample is processed", |told| told["data"]["stocks_processed"] == 105);
    let data = market.background();
    assert_eq!((&data["is_running"], &data["is_market_hours"]), (&json!(true), &json!(true)), "{data}");
    assert_eq!(
        (&data["last_process_count"], &data["process_interval"]),
        (&json!(105), &json!(6.0)),
        "{data}"
    );
    assert_eq!(market.get("/monitoring/health"), json!({ "status": "healthy" }));

    for _ in 0..2 {
        let told = market.order("POST /api/v1/background/stop");
        assert_eq!(told, json!({ "status": "success", "message": "Background processor stopped" }));
    }
    assert_eq!(market.state("processor"), "stopped");
    assert_eq!(market.background()["is_running"], false);
    let reason = "Background processor not running during market hours";
    assert_eq!(market.get("/monitoring/health"), json!({ "status": "unhealthy", "reason": reason }));

    for _ in 0..2 {
        let told = market.order("POST /api/v1/background/start");
        assert_eq!(told, json!({ "status": "success", "message": "Background processor started" }));
    }
    assert_eq!(market.project.service("processor").wanted, "up");
    assert_eq!(market.get("/monitoring/health"), json!({ "status": "healthy" }));

    // A pause is no stop, but it does not run either; a start ends it.
    market.project.soloist(&["schedule", "pause", "processor"]).expect(0);
    assert_eq!(market.background()["is_running"], false);
    market.order("POST /api/v1/background/start");
    assert_eq!(market.background()["is_running"], true);

    let told = market.order("PUT /api/v1/background/interval/10");
    assert_eq!(told, json!({ "status": "success", "message": "Process interval updated to 10 seconds" }));
    assert_eq!(market.background()["process_interval"], 10.0);
    market.project.soloist(&["schedule", "ls"]).expect(0).says("every 10s");
    for (asked, status) in [("0", 400), ("-1", 400), ("abc", 422), ("1000000000", 400)] {
        let reply = market.ask(&format!("PUT /api/v1/background/interval/{asked}"));
        assert_eq!(reply.status, status, "{asked}: {reply:?}");
    }
    let told = market.ask("PUT /api/v1/background/interval/1000000000").json();
    assert!(told["detail"].as_str().is_some_and(|said| said.contains("ten years are the most")), "{told}");
    assert_eq!(market.background()["process_interval"], 10.0);
}

#[test]
fn one_scanner_runs_whoever_starts_another_and_a_new_one_when_it_is_killed() {
    let market = Market::up(NEW_YORK);
    let told = market.get("/api/scanner/status");
    for field in ["running", "managed_process", "pid_file_detected", "supervised"] {
        assert_eq!(told[field], true, "{field} of {told}");
    }
    let pid = market.project.service("scanner").pid;
    assert_eq!(told["pid"], json!(pid));
    market.wait_for("/api/scraper-status", "a scan is over", |told| {
        told["last_check"].is_string() && told["process_alive"] == true
    });

    // A second one, by hand and by the page.
    let program = binaries().market.display().to_string();
    let second =
        ["run", "scanner", "--", &program, "scan", "--provider", "http://127.0.0.1:1", "--screeners", "none"];
    market.project.soloist(&second).expect(75).says("held by pid");
    let told = market.order("POST /api/scanner/start");
    assert!(told["message"].as_str().is_some_and(|said| said.ends_with(&pid.unwrap().to_string())), "{told}");
    assert_eq!(market.project.service("scanner").pid, pid);

    assert!(Identity::of(pid.unwrap()).unwrap().kill());
    let told = market.wait_for("/api/scanner/status", "another scanner runs", |told| {
        told["running"] == true && told["pid"] != json!(pid)
    });
    wait_until("it is ready", LIMIT, || match market.project.service("scanner") {
        one if one.state == "ready" && json!(one.pid) == told["pid"] => Ok(()),
        one => Err(format!("{one:?}")),
    });

    assert_eq!(market.order("POST /api/scanner/stop")["status"], "success");
    assert_eq!(market.state("scanner"), "stopped");
    let told = market.get("/api/scanner/status");
    for (field, value) in
        [("running", json!(false)), ("pid_file_detected", json!(false)), ("pid", json!(null))]
    {
        assert_eq!(told[field], value, "{field} of {told}");
    }
    // What was found stays.
    assert_eq!(market.get("/api/cache_ready")["ready"], true);
    market.order("POST /api/scanner/start");
    assert_eq!(market.state("scanner"), "ready");
}

#[test]
fn an_upload_is_processed_by_soloist() {
    let market = Market::up(SUNDAY);
    let mut body = Vec::new();
    for (part, name) in [("historical_file", "Historical.xlsx"), ("live_file", "Live.xlsx")] {
        let head =
            format!("--cut\r\nContent-Disposition: form-data; name=\"{part}\"; filename=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend(std::fs::read(market.project.folder().join("apps/market/sample").join(name)).unwrap());
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--cut--\r\n");
    let kind = "Content-Type: multipart/form-data; boundary=cut\r\n";
    let reply = market.send("POST /api/v1/upload/excel-files", kind, &body);
    assert_eq!(reply.status, 200, "{reply:?}\n{}", market.project.diary());
    let result = &reply.json()["processing_result"];
    assert_eq!(
        (&result["status"], &result["stocks_processed"]),
        (&json!("success"), &json!(105)),
        "{result}"
    );
    market.wait_for_run(&result["run_id"]);
    let told = market.order("DELETE /api/v1/upload/data");
    assert_eq!(told["status"], "success");
    let told = market.order("POST /api/v1/upload/process");
    assert_eq!(told["stocks_processed"], 105, "{told}");
    market.wait_for_run(&told["run_id"]);
}

/// The daemon dies: what reads goes on, what steers says so, and works again when the daemon is back.
#[test]
fn the_market_is_read_without_a_daemon_and_steered_by_the_next_one() {
    let market = Market::up(SUNDAY);
    let first = market.order("POST /api/v1/process/refresh");
    market.wait_for_run(&first["run_id"]);
    let dead = daemon::kill(&market.project);
    assert_eq!(market.get("/api/v1/stocks/ABB")["stock"], "ABB");
    daemon::wait_for_another(&market.project, dead, LIMIT);
    wait_until("it is steered again", LIMIT, || {
        let reply = market.ask("POST /api/v1/process/refresh");
        if reply.status == 202 { Ok(()) } else { Err(format!("{reply:?}")) }
    });
    assert_eq!(market.background()["supervised"], true);
}

/// `schemathesis` asks for so many seconds.
const SECONDS: &str = "30";
/// With its start, and on a busy machine.
const ASKED: Duration = Duration::from_secs(180);

/// What it is told: where no soloist answers, or it does not take an order, 503 says so.
const SETTINGS: &str = r#"checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]"#;

#[test]
fn the_market_answers_as_it_is_described() {
    let Some(real) = Real::installed() else { return };
    let market = Market::up(SUNDAY);
    market.order("POST /api/v1/process/refresh");
    let settings = market.project.write("schemathesis.toml", SETTINGS);
    let mut asks = Command::new(real.python("schemathesis"));
    asks.arg("--config-file").arg(settings).arg("run").arg(format!("http://{}/openapi.json", market.address));
    asks.args(["--max-time", SECONDS, "--phases", "coverage,fuzzing", "--max-examples", "15", "--seed", "1"]);
    // Of what the description allows the server refuses more, such as a stock that nobody has; a stream has no end.
    asks.args([
        "--no-color",
        "--exclude-checks",
        "positive_data_acceptance",
        "--exclude-path",
        "/api/v1/events",
    ]);
    market.project.dress(&mut asks);
    let output = finish_within(ASKED, &mut asks, "schemathesis");
    assert_eq!(output.code(), 0, "{output}\n{}", market.project.diary());
}
