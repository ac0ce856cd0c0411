//! `soloist upgrade`: another binary becomes the daemon, in the place of the running one. Services, their output and
//! waiting clients do not notice.

use std::path::Path;
use std::time::{Duration, Instant};

use soloist_api::client::Client;
use soloist_api::error::{Code, Problem};
use soloist_api::request::{Upgrade, UpgradeAnswer};
use soloist_api::status::DaemonStatus;

use crate::printer::Printer;
use crate::project::{Project, with_living_daemon};

/// How long the new daemon may take until it answers.
const LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);

/// Returns when the new daemon answers; exit code 0 also if there is no daemon, which the next command starts anyway.
pub async fn upgrade(project: &Project, printer: &Printer, binary: Option<&Path>) -> Result<i32, Problem> {
    let binary = binary.map(absolute).transpose()?;
    let begun = with_living_daemon(project, |client| {
        let upgrade = Upgrade { binary: binary.clone() };
        async move {
            let before = client.status().await?.daemon;
            let answer = client.upgrade(&upgrade).await?;
            Ok((client, before, answer))
        }
    });
    let Some((client, before, answer)) = begun.await? else {
        printer.line("no daemon runs here; the next command starts one of the binary it is");
        return Ok(0);
    };
    let old = before.as_ref().map_or("?", |daemon| &daemon.version);
    let new = successor(&client, before.as_ref(), &answer).await.map_err(|said| {
        let hint = format!("its log is {}", project.layout.daemon_log().display());
        Problem::new(Code::Error, said).hint(hint)
    })?;
    let services = if new.taken_over == 1 { "service" } else { "services" };
    printer.line(&format!(
        "soloist {old} became soloist {} ({}, pid {}); {} {services} taken over",
        new.version, answer.binary, new.pid, new.taken_over
    ));
    Ok(0)
}

/// The daemon that came after this one, or why there is none. While one becomes the other there may be no answer.
async fn successor(
    client: &Client,
    before: Option<&DaemonStatus>,
    answer: &UpgradeAnswer,
) -> Result<DaemonStatus, String> {
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        match client.status().await.ok().and_then(|status| status.daemon) {
            Some(daemon) if before.is_some_and(|b| b.since == daemon.since && b.pid == daemon.pid) => {
                if let Some(why) = daemon.note {
                    return Err(why);
                }
            }
            // It has the process of the one before; another one was brought back by a guard.
            Some(daemon) if before.is_some_and(|b| b.pid != daemon.pid) => {
                return Err(format!(
                    "{} became the daemon and ended; soloist {} was brought back (pid {})",
                    answer.binary, daemon.version, daemon.pid
                ));
            }
            Some(daemon) => return Ok(daemon),
            None => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("{} did not become the daemon within {LIMIT:?}", answer.binary))
}

fn absolute(path: &Path) -> Result<String, Problem> {
    let found = path.canonicalize().map_err(|e| {
        Problem::new(Code::Usage, format!("{} cannot become the daemon: {e}", path.display()))
    })?;
    found
        .into_os_string()
        .into_string()
        .map_err(|path| Problem::new(Code::Usage, format!("{} is no text; move the binary", path.display())))
}
