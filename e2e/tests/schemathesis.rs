//! The API as its description says: schemathesis asks what that allows and forbids, in a bounded time. No answer may be a
//! fault of ours, of a status or shape that is not described, or a yes to what is forbidden.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::project::finish;
use e2e::{Project, Real, puppet, quoted};

/// `schemathesis` ends by itself after so many seconds.
const SECONDS: &str = "25";

/// What it is told: a start that is not ready in time (504) and services that are not well (503) are answers.
const SETTINGS: &str = r#"checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503, 504]"#;

/// Not asked: streams without an end, what ends or replaces the daemon under the test, and signals.
const LEFT_OUT: [&str; 5] = [
    "/api/v1/events",
    "/api/v1/services/{name}/logs",
    "/api/v1/services/{name}/signal",
    "/api/v1/down",
    "/api/v1/upgrade",
];

/// Not checked: of what the description allows soloist refuses more, such as a name that nobody has; and who may ask is
/// not decided on the Unix socket.
const UNCHECKED: &str = "positive_data_acceptance,ignored_auth";

#[test]
fn the_api_is_as_it_is_described() {
    let Some(real) = Real::installed() else { return };
    let project = project();
    project.soloist(&["up", "-d"]).expect(0);
    let address = forwarded(&project.folder().join(".soloist/daemon.sock"));
    let description = description(&project);
    let settings = project.write("schemathesis.toml", SETTINGS);
    let mut asks = Command::new(real.python("schemathesis"));
    asks.arg("--config-file").arg(settings).arg("run").arg(description);
    asks.args([
        "--url",
        &address,
        "--max-time",
        SECONDS,
        "--phases",
        "coverage,fuzzing",
        "--max-examples",
        "20",
    ]);
    asks.args(["--seed", "1", "--no-color", "--exclude-checks", UNCHECKED]);
    asks.args(LEFT_OUT.iter().flat_map(|path| ["--exclude-path", path]));
    project.dress(&mut asks);
    let output = finish(&mut asks, "schemathesis");
    assert_eq!(output.code(), 0, "{output}\n{}", project.diary());
}

#[test]
fn the_metrics_are_what_openmetrics_says() {
    let Some(real) = Real::installed() else { return };
    let project = project();
    project.soloist(&["up", "-d"]).expect(0);
    project.soloist(&["restart", "web"]).expect(0);
    let text = project.write("metrics", &get(&project, "/metrics"));
    let script = "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
                  print(*(sample.name for family in read(open(sys.argv[1]).read()) for sample in family.samples))";
    let output =
        finish(Command::new(real.python("python")).args(["-c", script]).arg(text), "prometheus_client");
    assert_eq!(output.code(), 0, "{output}");
    for name in ["soloist_service_up", "soloist_service_instances", "soloist_stop_duration_seconds_count"] {
        assert!(output.stdout.split_whitespace().any(|found| found == name), "no {name} in {output}");
    }
}

/// A service, a keyed one, a job and a window: something for each path.
fn project() -> Project {
    let idle = quoted(&puppet::<&str>(&[]));
    Project::new(&format!(
        "[windows.day]\ntimezone = \"UTC\"\nopen = \"09:00\"\nclose = \"17:00\"\n\
         [services.web]\ncommand = {idle}\nstop-grace = \"1s\"\n\
         [services.keyed]\ncommand = {idle}\nstop-grace = \"1s\"\ninstances = [\"a\"]\n\
         [jobs.scan]\ncommand = [\"true\"]\nevery = \"1h\"\n"
    ))
}

/// The description without who may ask: nobody is kept out on the Unix socket.
fn description(project: &Project) -> PathBuf {
    let mut description: serde_json::Value = serde_json::from_str(&get(project, "/openapi.json")).unwrap();
    description["security"] = serde_json::json!([]);
    project.write("openapi.json", &description.to_string())
}

fn get(project: &Project, path: &str) -> String {
    let mut stream = UnixStream::connect(project.folder().join(".soloist/daemon.sock")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    body.to_owned()
}

/// An address on TCP behind which the socket answers, as long as the test lives: schemathesis knows no Unix sockets.
fn forwarded(socket: &Path) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let socket = socket.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = UnixStream::connect(&socket).and_then(|daemon| join(stream, daemon));
        }
    });
    address
}

fn join(client: TcpStream, daemon: UnixStream) -> io::Result<()> {
    let (mut asked, mut asks) = (client.try_clone()?, daemon.try_clone()?);
    let (mut answers, mut answered) = (daemon, client);
    std::thread::spawn(move || {
        let _ = io::copy(&mut asked, &mut asks);
        asks.shutdown(Shutdown::Write)
    });
    std::thread::spawn(move || {
        let _ = io::copy(&mut answers, &mut answered);
        answered.shutdown(Shutdown::Both)
    });
    Ok(())
}
