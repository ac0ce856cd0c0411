//! A server that is restarted again and again while wrk asks it: soloist with hand-over of the socket and without it, and
//! pm2's reload, which has two copies for a while. All have the same Node server.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::binaries::{Binaries, find, peer};
use crate::machine;
use crate::report::Section;
use crate::supervisor::Supervisor;

/// From one restart to the next.
const PAUSE: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(20);
const SERVER: &str = include_str!("handover/server.js");

/// Restarts each so often.
pub fn measure(binaries: &Binaries, restarts: usize) -> Result<Section> {
    let wrk = find("wrk").context("wrk is not on the PATH (apt-get install wrk)")?;
    let node = find("node").context("node is not on the PATH (apt-get install nodejs)")?;
    let scratch = tempfile::Builder::new().prefix("soloist-bench-handover-").tempdir()?;
    let mut rows = Vec::new();
    for (name, more) in
        [("soloist, `listen = \"soloist\"`", "listen = \"soloist\""), ("soloist, the server listens", "")]
    {
        let (folder, port) = prepare(scratch.path(), &rows.len().to_string())?;
        let config = format!(
            "[services.web]\ncommand = [{node:?}, \"server.js\"]\nport = {port}\n{more}\n\
             readiness = {{ http = \"/\", period-seconds = 0.02 }}\n"
        );
        std::fs::write(folder.join("soloist.toml"), config)?;
        let _supervisor = Supervisor::soloist(&binaries.soloist, &folder, &["up", "-d"])?;
        let mut restart = Command::new(&binaries.soloist);
        restart.args(["restart", "web"]).current_dir(&folder);
        rows.push(load(name, &wrk, port, restart, restarts)?);
    }
    if let Some(pm2) = peer("pm2", "npm, then npm install pm2") {
        let (folder, port) = prepare(scratch.path(), "pm2")?;
        let home = folder.join("pm2");
        let app = serde_json::json!({
            "name": "web", "script": "server.js", "cwd": folder, "exec_mode": "cluster", "instances": 1,
            "env": { "PORT": port.to_string() }, "vizion": false, "pmx": false,
        });
        let config = folder.join("ecosystem.json");
        std::fs::write(&config, serde_json::json!({ "apps": [app] }).to_string())?;
        let command = |words: &[&str]| {
            let mut command = Command::new(&pm2);
            command
                .args(words)
                .env("PM2_HOME", &home)
                .env("PM2_DISABLE_VERSION_CHECK", "1")
                .current_dir(&folder);
            command
        };
        let mut start = command(&["start"]);
        start.arg(config);
        let _supervisor = Supervisor::background(start, command(&["kill"]), || {
            Ok(std::fs::read_to_string(home.join("pm2.pid"))?.trim().parse()?)
        })?;
        rows.push(load("pm2 reload, cluster mode", &wrk, port, command(&["reload", "web"]), restarts)?);
    }
    Ok(Section {
        name: "handover",
        words: vec![
            machine::line(binaries, &["wrk", "nodejs", "pm2"], scratch.path()),
            format!(
                "wrk with 16 connections, each for one request, for {} s, while the server is restarted every {} s. \
                 Failed are requests whose connection was refused or ended without an answer, which wrk counts alike; \
                 late are answers after more than 20 s.",
                span(restarts).as_secs(),
                PAUSE.as_secs()
            ),
        ],
        head: vec!["server", "restarts", "requests", "failed", "late", "requests/s", "p99 ms", "max ms"],
        rows,
    })
}

fn span(restarts: usize) -> Duration {
    PAUSE * u32::try_from(restarts).unwrap_or(u32::MAX)
}

/// A folder with the server, and a port that was free a moment ago.
fn prepare(scratch: &Path, name: &str) -> Result<(std::path::PathBuf, u16)> {
    let folder = scratch.join(name);
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("server.js"), SERVER)?;
    Ok((folder, TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()))
}

/// Restarts the server so often while wrk asks it; a row of the table.
fn load(name: &str, wrk: &Path, port: u16, mut restart: Command, restarts: usize) -> Result<Vec<String>> {
    let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    ensure!(machine::wait_until(LIMIT, answers), "{name} does not answer");
    let mut command = Command::new(wrk);
    command.args(["-t1", "-c16", "--latency", "--timeout", "20s", "-H", "Connection: close", "-d"]);
    command.arg(format!("{}s", span(restarts).as_secs())).arg(format!("http://127.0.0.1:{port}/"));
    let asker = command.stdout(Stdio::piped()).spawn().context("wrk does not start")?;
    let begun = Instant::now();
    for round in 0..u32::try_from(restarts)? {
        // In the middle of its time, so that the last is over before wrk is.
        std::thread::sleep((PAUSE * round + PAUSE / 2).saturating_sub(begun.elapsed()));
        let output = restart.stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{name}: {restart:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let said = String::from_utf8(asker.wait_with_output()?.stdout)?;
    let told = Told::read(&said).with_context(|| format!("{name}: wrk said:\n{said}"))?;
    let mut row = vec![name.to_owned(), restarts.to_string(), told.requests];
    row.extend(told.errors);
    row.extend([told.rate, told.p99, told.max]);
    Ok(row)
}

/// What wrk tells, as text.
struct Told {
    requests: String,
    /// Failed, late.
    errors: [String; 2],
    rate: String,
    p99: String,
    max: String,
}

impl Told {
    fn read(said: &str) -> Option<Told> {
        let words = |sign: &str| {
            let line = said.lines().map(str::trim).find(|line| line.starts_with(sign))?;
            Some(line.split_whitespace().map(|word| word.trim_end_matches(',')).collect::<Vec<_>>())
        };
        let requests = said.lines().find(|line| line.contains(" requests in "))?.split_whitespace().next()?;
        // Without any error wrk says nothing of them.
        let errors = words("Socket errors:").unwrap_or_default();
        let count = |kind: &str| {
            let at = errors.iter().position(|word| *word == kind);
            at.and_then(|at| errors.get(at + 1)?.parse::<u64>().ok()).unwrap_or(0)
        };
        Some(Told {
            requests: requests.to_owned(),
            errors: [count("connect") + count("read") + count("write"), count("timeout")]
                .map(|n| n.to_string()),
            rate: words("Requests/sec:")?.get(1).copied()?.to_owned(),
            p99: milliseconds(words("99%")?.get(1)?)?,
            max: milliseconds(words("Latency")?.get(3)?)?,
        })
    }
}

/// `1.20ms`, `340.00us`, `2.01s` in milliseconds.
fn milliseconds(text: &str) -> Option<String> {
    let end = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        _ => return None,
    };
    Some(format!("{:.1}", number.parse::<f64>().ok()? * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrk_is_understood() {
        let said = "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     1.20ms  340.00us   2.01s    91.13%\n     \
                    99%    2.50ms\n  9123 requests in 3.00s, 1.00MB read\n  \
                    Socket errors: connect 1, read 3, write 1, timeout 2\nRequests/sec:   3041.00\n";
        let told = Told::read(said).unwrap();
        assert_eq!(told.errors, ["5", "2"]);
        assert_eq!((told.requests.as_str(), told.rate.as_str()), ("9123", "3041.00"));
        assert_eq!((told.p99.as_str(), told.max.as_str()), ("2.5", "2010.0"));
    }
}
