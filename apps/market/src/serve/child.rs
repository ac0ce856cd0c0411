//! A cycle in a process of its own: what a stranger sent is read where it can be ended, and takes its memory with it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::store::Location;

/// A cycle takes milliseconds; the worst workbook that is read at all takes seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// Processes the folder into the database; says why not if it was refused.
///
/// # Errors
/// It could not be started, or took too long.
pub async fn cycle(dir: &Path, database: &Location) -> Result<Result<(), String>> {
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
    command.stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(LIMIT, command.output()).await;
    let output = ended
        .with_context(|| format!("the workbooks could not be read within {} s", LIMIT.as_secs()))?
        .context("cannot start `market process`")?;
    if output.status.success() {
        return Ok(Ok(()));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().map_or("", |line| line.strip_prefix("market: ").unwrap_or(line));
    Ok(Err(if last.is_empty() {
        format!("`market process` ended with {}", output.status)
    } else {
        last.to_owned()
    }))
}

/// This program, also when another was put at its path.
fn program() -> Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe().context("cannot find this program")
}
