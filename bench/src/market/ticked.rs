//! The processor as a worker that lives on: what one of its turns takes, by the processor time of its process.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Ended;
use crate::outline;

/// A worker that runs; it ends with this.
pub struct Worker {
    child: Ended,
    heard: UnixDatagram,
}

impl Worker {
    /// Starts it in a folder for its socket and its database.
    pub fn start(market: &Path, books: &Path, day: &str, folder: &Path) -> Result<Worker> {
        let socket = folder.join("notify");
        let heard = UnixDatagram::bind(&socket)?;
        heard.set_read_timeout(Some(Duration::from_secs(60)))?;
        let child = Command::new(market)
            .args(["process", "--ticked", "--today", day, "--dir"])
            .arg(books)
            .arg("--database")
            .arg(folder.join("ticked.db"))
            .env("NOTIFY_SOCKET", socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Worker { child: Ended(child), heard })
    }

    /// One turn; its processor time in milliseconds.
    pub fn tick(&mut self) -> Result<f64> {
        let before = outline::used(&[self.child.0.id()]).0;
        self.child.0.stdin.as_mut().context("a worker without input")?.write_all(b"{\"run\":\"1\"}\n")?;
        let mut message = [0; 4096];
        loop {
            let length = self.heard.recv(&mut message)?;
            let text = String::from_utf8_lossy(&message[..length]);
            if text.starts_with("X_SOLOIST_RUN=") {
                ensure!(text.contains("X_SOLOIST_RESULT=ok"), "a turn failed: {text}");
                return Ok(outline::used(&[self.child.0.id()]).0.saturating_sub(before) as f64 / 1e6);
            }
        }
    }

    /// What it had resident at its peak, in KiB.
    pub fn peak_kib(&self) -> f64 {
        outline::peak_kib(self.child.0.id()).unwrap_or(f64::NAN)
    }
}
