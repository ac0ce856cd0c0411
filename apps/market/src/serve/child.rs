//! A cycle in a process of its own: what a stranger sent is read where it can be ended, and takes its memory with it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::store::Location;

/// A cycle takes milliseconds; the worst workbook that is read at all takes seconds.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// So much of what it says is read.
const WORDS_MOST: u64 = 64 << 10;

/// Processes the folder into the database; says why not if it was refused.
///
/// # Errors
/// It could not be started, or took too long.
pub async fn cycle(dir: &Path, database: &Location) -> Result<Result<(), String>> {
    let words = tempfile::tempfile().context("cannot make a file for what `market process` says")?;
    let mut command = Command::new(program()?);
    command.args(["process", "--dir"]).arg(dir);
    // Not as an argument: everybody on the machine can read those, and a URL may hold a password.
    match database {
        Location::File(path) => command.env("MARKET_DATABASE", path),
        Location::Server(url) => command.env("MARKET_DATABASE", url),
    };
    // They are this server's own: its token would put the processor aside.
    for name in ["SOLOIST_TOKEN", "SOLOIST_RUN_ID", "NOTIFY_SOCKET"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words.try_clone()?);
    let mut child = Mortal(command.spawn().context("cannot start `market process`")?);
    let status = child.ended().await?;
    if status.success() {
        return Ok(Ok(()));
    }
    let said = last_line(words)?;
    let said = said.strip_prefix("market: ").unwrap_or(&said);
    Ok(Err(if said.is_empty() { format!("`market process` ended with {status}") } else { said.to_owned() }))
}

/// A child that does not outlive who waits for it.
struct Mortal(Child);

impl Mortal {
    async fn ended(&mut self) -> Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            if began.elapsed() > LIMIT {
                bail!("the workbooks could not be read within {} s", LIMIT.as_secs());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // One that has ended already is not ended again.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn last_line(mut words: File) -> Result<String> {
    words.seek(SeekFrom::Start(0))?;
    let mut said = Vec::new();
    words.take(WORDS_MOST).read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).lines().last().unwrap_or("").to_owned())
}

/// This program, also when another was put at its path.
fn program() -> Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe().context("cannot find this program")
}
