//! A program that does what a pipe tells it, line by line: `listen PORT`, `notify WORDS`, `exit CODE`. Stories that are
//! played for real give each of their services one.

use std::io::{BufRead, BufReader, Error, Result};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;

fn main() -> Result<ExitCode> {
    let pipe = std::env::args().nth(1).ok_or_else(|| Error::other("which pipe?"))?;
    let mut listeners = Vec::new();
    // A pipe ends with each of its writers; the next one is waited for.
    loop {
        for line in BufReader::new(std::fs::File::open(&pipe)?).lines() {
            let line = line?;
            match line.split_once(' ').unwrap_or((&line, "")) {
                ("listen", port) => {
                    let port: u16 = port.parse().map_err(Error::other)?;
                    listeners.push(TcpListener::bind(("127.0.0.1", port))?);
                }
                ("notify", words) => {
                    let socket = std::env::var("NOTIFY_SOCKET").map_err(Error::other)?;
                    UnixDatagram::unbound()?.send_to(words.replace(' ', "\n").as_bytes(), socket)?;
                }
                ("exit", code) => return Ok(ExitCode::from(code.parse::<u8>().map_err(Error::other)?)),
                (other, _) => return Err(Error::other(format!("`{other}` is no order"))),
            }
        }
    }
}
