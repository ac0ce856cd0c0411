//! How all of a thousand services are: soloist's API beside those of supervisord, circus and pm2, and the commands
//! of all, of pitchfork too. All are up at once and asked in turn.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::asker::{Asked, Door};
use crate::binaries::{Binaries, peer};
use crate::fifo::Fifo;
use crate::figures::Figures;
use crate::machine;
use crate::peers::{self, Kind, Peer, Service};
use crate::report::Section;

const LIMIT: Duration = Duration::from_secs(300);
/// So long each is asked in a round; whoever asks has one answer at least.
const SPAN: Duration = Duration::from_secs(1);
/// So many ask at once.
const CONNECTIONS: [usize; 2] = [1, 16];

const CIRCUS: &str = include_str!("status/circus.py");
const PM2: &str = include_str!("status/pm2.js");

/// One way to ask, with what was measured for each number of connections.
struct Way {
    name: &'static str,
    means: Means,
    taken: [Figures; 2],
    rates: [Figures; 2],
}

enum Means {
    /// Over our own connections; the answer is not parsed.
    Http(Asked),
    /// A program that is told how many ask and for how long, and writes how long each answer took.
    Client(Vec<PathBuf>),
    /// A command for people, alone.
    Command(Command),
}

/// Asks each so many times.
pub fn measure(binaries: &Binaries, services: usize, rounds: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-status-").tempdir()?;
    let mut supervisors = Vec::new();
    let mut ways = Vec::new();
    let all = Service::many(services, &binaries.beacon);
    let mut start = |peer: &Peer| {
        let name = peer.name();
        eprintln!("status: {name} starts");
        let folder = scratch.path().join(name);
        std::fs::create_dir(&folder)?;
        let mut fifo = Fifo::make(&folder)?;
        supervisors.push(peer.start(&folder, &all)?);
        fifo.last_of(services, LIMIT).with_context(|| format!("under {name}"))?;
        anyhow::Ok(folder)
    };
    if let Some(peer) = Peer::find(Kind::Supervisord) {
        let folder = start(&peer)?;
        let body = "<?xml version='1.0'?><methodCall><methodName>supervisor.getAllProcessInfo</methodName>\
            <params></params></methodCall>";
        let request = format!(
            "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let door = Door::Unix(folder.join(peers::SUPERVISOR_SOCKET));
        ways.push(Way::new("supervisord, XML-RPC getAllProcessInfo", Means::Http(Asked { door, request })));
        let command = peer.command(&folder, "supervisorctl", &["-c", "supervisord.conf", "status"]);
        ways.push(Way::new("`supervisorctl status`", Means::Command(command)));
    }
    if let Some(peer) = Peer::find(Kind::Circus) {
        let folder = start(&peer)?;
        let (script, endpoint) = (folder.join("ask.py"), peers::circus_endpoint(&folder));
        std::fs::write(&script, CIRCUS)?;
        let client = vec![peer.program.with_file_name("python"), script, endpoint.clone().into()];
        ways.push(Way::new("circus, status", Means::Client(client)));
        let command =
            peer.command(&folder, "circusctl", &["--timeout", "60", "--endpoint", &endpoint, "status"]);
        ways.push(Way::new("`circusctl status`", Means::Command(command)));
    }
    if let (Some(peer), Some(node)) = (Peer::find(Kind::Pm2), peer("node", "nodejs")) {
        let folder = start(&peer)?;
        let module = peer.program.canonicalize()?;
        let module = module.parent().and_then(Path::parent).context("pm2 lies in no module")?;
        let (script, home) = (folder.join("ask.js"), folder.join("pm2"));
        std::fs::write(&script, PM2)?;
        let home = format!("PM2_HOME={}", home.display());
        let client = vec!["/usr/bin/env".into(), home.into(), node, script, module.to_owned()];
        ways.push(Way::new("pm2, list", Means::Client(client)));
        ways.push(Way::new("`pm2 ls`", Means::Command(peer.command(&folder, "pm2", &["ls"]))));
    }
    if let Some(peer) = Peer::find(Kind::Pitchfork) {
        let folder = start(&peer)?;
        ways.push(Way::new(
            "`pitchfork list`",
            Means::Command(peer.command(&folder, "pitchfork", &["list"])),
        ));
    }
    let folder = start(&Peer::soloist(binaries))?;
    let request = |more: &str| format!("GET /api/v1/services HTTP/1.1\r\n{more}\r\n");
    let state = folder.join(".soloist");
    let door = Door::Unix(state.join("daemon.sock"));
    let asked = Asked { door, request: request("Host: localhost\r\n") };
    ways.push(Way::new("soloist, GET /api/v1/services, Unix socket", Means::Http(asked)));
    let http: serde_json::Value = serde_json::from_slice(&std::fs::read(state.join("http.json"))?)?;
    let address = http["address"].as_str().context("soloist does not listen over TCP")?;
    let token = std::fs::read_to_string(state.join("token"))?;
    let head = format!("Host: {address}\r\nAuthorization: Bearer {}\r\n", token.trim());
    let asked = Asked { door: Door::Tcp(address.parse()?), request: request(&head) };
    ways.push(Way::new("soloist, GET /api/v1/services, TCP and token", Means::Http(asked)));
    let mut command = Command::new(&binaries.soloist);
    command.arg("status").current_dir(&folder);
    ways.push(Way::new("`soloist status`", Means::Command(command)));

    let count = ways.len();
    for round in 0..rounds {
        eprintln!("status, round {}", round + 1);
        for at in 0..count {
            let way = &mut ways[(at + round) % count];
            way.ask().with_context(|| format!("{} does not answer", way.name))?;
        }
    }
    let words = vec![
        machine::line(binaries, &peers::PACKAGES[2..], scratch.path()),
        format!(
            "{services} services under each; all supervisors are up and asked in turn, {} s at a time. Milliseconds from \
             the question to the whole answer, which supervisord's and soloist's clients here do not parse and circus' \
             and pm2's own clients do; and answers in a second (median and best of the rounds). A command: from its \
             start to its end.",
            SPAN.as_secs()
        ),
    ];
    Ok(Section {
        name: "status",
        words,
        head: vec!["way", "at once", "answers", "median ms", "min", "p99", "a second", "best"],
        rows: ways.iter().flat_map(Way::rows).collect(),
    })
}

impl Way {
    fn new(name: &'static str, means: Means) -> Way {
        Way { name, means, taken: Default::default(), rates: Default::default() }
    }

    /// One round.
    fn ask(&mut self) -> Result<()> {
        for (at, connections) in CONNECTIONS.into_iter().enumerate() {
            let (taken, rate) = match &mut self.means {
                Means::Http(asked) => asked.ask(connections, SPAN)?,
                Means::Client(words) => client(words, connections)?,
                Means::Command(command) if connections == 1 => time(command)?,
                Means::Command(_) => continue,
            };
            self.taken[at].join(taken);
            self.rates[at].add(rate);
        }
        Ok(())
    }

    fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        let taken = self.taken.iter().zip(&self.rates).zip(CONNECTIONS);
        taken.filter(|((taken, _), _)| taken.count() > 0).map(|((taken, rates), connections)| {
            let mut row = vec![self.name.to_owned(), connections.to_string(), taken.count().to_string()];
            let figures = [taken.median(), taken.min(), taken.quantile(0.99)];
            row.extend(figures.map(|figure| format!("{figure:.2}")));
            row.extend([rates.median(), rates.max()].map(|rate| format!("{rate:.0}")));
            row
        })
    }
}

fn client(words: &[PathBuf], connections: usize) -> Result<(Figures, f64)> {
    let (program, rest) = words.split_first().context("no client")?;
    let mut command = Command::new(program);
    command.args(rest).arg(connections.to_string()).arg(SPAN.as_secs().to_string());
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut taken = Figures::default();
    for line in String::from_utf8(output.stdout)?.lines() {
        taken.add(line.parse::<f64>()? * 1e3);
    }
    // Each of them was at work all the time, so this is how many came in a second.
    let rate = connections as f64 * 1e3 / taken.mean();
    Ok((taken, rate))
}

fn time(command: &mut Command) -> Result<(Figures, f64)> {
    let (mut taken, begun) = (Figures::default(), Instant::now());
    while begun.elapsed() < SPAN {
        let one = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        taken.add(one.elapsed().as_secs_f64() * 1e3);
        ensure!(status.success(), "{command:?} ended with {status}");
    }
    let rate = taken.count() as f64 / begun.elapsed().as_secs_f64();
    Ok((taken, rate))
}
