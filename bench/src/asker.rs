//! A client that asks one question again and again over one connection: HTTP/1.1 over a Unix socket or TCP, read no
//! further than it has to be.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::figures::Figures;

/// No answer takes so long.
const LIMIT: Duration = Duration::from_secs(60);

/// Where somebody answers, and what is asked there.
#[derive(Clone, Debug)]
pub struct Asked {
    pub door: Door,
    /// The whole request.
    pub request: String,
}

#[derive(Clone, Debug)]
pub enum Door {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Asked {
    fn open(&self) -> Result<(Box<dyn Write>, Box<dyn BufRead>)> {
        Ok(match &self.door {
            Door::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(LIMIT))?;
                (Box::new(stream.try_clone()?), Box::new(BufReader::new(stream)))
            }
            Door::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(LIMIT))?;
                stream.set_nodelay(true)?;
                (Box::new(stream.try_clone()?), Box::new(BufReader::new(stream)))
            }
        })
    }

    /// Asks for so long, over so many connections at once: how long each answer took in ms, and answers in a second.
    pub fn ask(&self, connections: usize, span: Duration) -> Result<(Figures, f64)> {
        let begun = Instant::now();
        let one = || -> Result<Figures> {
            let (mut out, mut back) = self.open()?;
            let (mut figures, mut body) = (Figures::default(), Vec::new());
            while begun.elapsed() < span {
                let asked = Instant::now();
                out.write_all(self.request.as_bytes())?;
                let is_over = answer(&mut *back, &mut body)?;
                figures.add(asked.elapsed().as_secs_f64() * 1e3);
                if is_over {
                    (out, back) = self.open()?;
                }
            }
            Ok(figures)
        };
        let mut all = Figures::default();
        std::thread::scope(|scope| {
            let askers: Vec<_> = (0..connections).map(|_| scope.spawn(one)).collect();
            askers.into_iter().try_for_each(|asker| {
                all.join(asker.join().map_err(|_| anyhow::anyhow!("an asker fell"))??);
                anyhow::Ok(())
            })
        })?;
        let rate = all.count() as f64 / begun.elapsed().as_secs_f64();
        Ok((all, rate))
    }
}

/// Reads one answer; says whether the connection ends with it.
fn answer(back: &mut dyn BufRead, body: &mut Vec<u8>) -> Result<bool> {
    let (mut line, mut length, mut is_over) = (String::new(), None, false);
    back.read_line(&mut line)?;
    ensure!(line.split(' ').nth(1) == Some("200"), "answered with {line:?}");
    loop {
        line.clear();
        back.read_line(&mut line)?;
        let lower = line.trim_end().to_ascii_lowercase();
        match lower.split_once(':') {
            None => break,
            Some(("content-length", value)) => length = value.trim().parse::<u64>().ok(),
            Some(("connection", value)) => is_over = value.trim() == "close",
            Some(_) => {}
        }
    }
    body.clear();
    let length = length.context("an answer without a length")?;
    ensure!(back.take(length).read_to_end(body)? as u64 == length, "an answer that is cut off");
    Ok(is_over)
}
