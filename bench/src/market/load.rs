//! How fast the market's server answers while the processor stores other rows every second: connections that ask again as
//! soon as they have their answer, and how long each answer took.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Ended, TODAY, sample};
use crate::binaries::Binaries;
use crate::figures::Figures;
use crate::machine;
use crate::report::Section;

const CONNECTIONS: [usize; 2] = [1, 16];
const ASKED: &str = "/api/v1/stocks/ABB";

/// First with the processor at rest, then with one that stores all rows anew every second.
pub fn measure(binaries: &Binaries, seconds: u64) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-api-").tempdir()?;
    let (folder, sample) = (scratch.path(), sample()?);
    let fewer = super::fewer(&sample, folder)?;
    let database = folder.join("market.db");
    let cycle = |symbols: &Path| -> Result<()> {
        let mut command = Command::new(&binaries.market);
        command.args(["process", "--today", TODAY, "--dir"]).arg(&sample).arg("--database").arg(&database);
        let status = command.arg("--symbols").arg(symbols).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "a cycle failed: {status}");
        Ok(())
    };
    cycle(&fewer)?;
    let mut command = Command::new(&binaries.market);
    command.args(["serve", "--port", "0", "--database"]).arg(&database).stdout(Stdio::piped());
    let mut server = Ended(command.spawn()?);
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().context("no output")?).read_line(&mut line)?;
    let address = line.split("http://").nth(1).and_then(|rest| rest.split([',', ' ', '\n']).next());
    let address = address.context("the server names no address")?.trim_end_matches('/').to_owned();
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        for is_busy in [false, true] {
            let is_over = AtomicBool::new(false);
            let taken = std::thread::scope(|scope| -> Result<Figures> {
                let askers: Vec<_> =
                    (0..connections).map(|_| scope.spawn(|| ask(&address, &is_over))).collect();
                let end = Instant::now() + Duration::from_secs(seconds);
                let mut lists = [sample.join("symbols.txt"), fewer.clone()].into_iter().cycle();
                while Instant::now() < end {
                    let next = Instant::now() + Duration::from_secs(1);
                    if is_busy && let Some(list) = lists.next() {
                        cycle(&list)?;
                    }
                    std::thread::sleep(next.saturating_duration_since(Instant::now()));
                }
                is_over.store(true, Ordering::Relaxed);
                let mut all = Figures::default();
                for asker in askers {
                    let taken = asker.join().map_err(|_| anyhow::anyhow!("an asker failed"))??;
                    taken.into_iter().for_each(|figure| all.add(figure));
                }
                Ok(all)
            });
            is_over.store(true, Ordering::Relaxed);
            let taken = taken?;
            let busy = if is_busy { "stores every second" } else { "at rest" };
            let mut row =
                vec![format!("{connections} connections, processor {busy}"), taken.count().to_string()];
            row.push(format!("{:.0}", taken.count() as f64 / seconds as f64));
            row.extend([0.5, 0.99, 1.0].map(|share| format!("{:.2}", taken.quantile(share))));
            rows.push(row);
        }
    }
    Ok(Section {
        name: "market-api",
        words: vec![
            machine::line(binaries, &[], folder),
            format!(
                "GET {ASKED} of `market serve` with the sample's rows, over connections that are kept and ask again at \
                 once, {seconds} s each, all on this machine: milliseconds from the request to the whole answer."
            ),
        ],
        head: vec!["asked by", "answers", "a second", "p50 ms", "p99 ms", "max ms"],
        rows,
    })
}

fn ask(address: &str, is_over: &AtomicBool) -> Result<Vec<f64>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), BufWriter::new(stream));
    let (mut taken, mut line, mut body) = (Vec::new(), String::new(), Vec::new());
    while !is_over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        write!(writer, "GET {ASKED} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
        writer.flush()?;
        let mut length = 0;
        for at in 0.. {
            line.clear();
            reader.read_line(&mut line)?;
            ensure!(at > 0 || line.contains(" 200 "), "the server answered {line}");
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        ensure!(length > 0, "an empty answer");
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(taken)
}
