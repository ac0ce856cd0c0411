//! The project a command is about: its folder, its configuration where one is needed, and the way to its daemon.

use std::path::Path;
use std::time::{Duration, Instant};

use soloist_api::client::Client;
use soloist_api::error::{Code, Problem};
use soloist_api::request::{Down, DownAnswer};
use soloist_api::status::Status;
use soloist_daemon::Layout;
use soloist_daemon::config::Config;
use soloist_daemon::{changes, runs, serve};
use tokio::runtime::Runtime;

use crate::printer::Printer;

/// The project of this command.
pub struct Project {
    /// Where things lie.
    pub layout: Layout,
    printer: Printer,
}

impl Project {
    /// The project in the given folder, or the nearest one.
    pub fn find(given: Option<&Path>, printer: &Printer) -> Result<Project, Problem> {
        let folder = serve::project_folder(given)?;
        Ok(Project { layout: Layout::new(&folder)?, printer: *printer })
    }

    /// Its checked configuration.
    pub fn config(&self) -> Result<Config, Problem> {
        changes::config(&self.layout).map_err(|e| Problem::new(Code::BadConfig, e.to_string()))
    }

    /// Its checked configuration; one that declares nothing if there is none.
    pub fn config_or_empty(&self) -> Result<Config, Problem> {
        changes::config_or_empty(&self.layout)
    }

    /// Its daemon, started if need be. What a new one has to say is said.
    pub async fn daemon(&self) -> Result<Client, Problem> {
        let (client, said) = serve::ensure(&self.layout).await?;
        self.say(said);
        Ok(client)
    }

    /// Its daemon, if it lives, or died with work to do.
    pub async fn living_daemon(&self) -> Result<Option<Client>, Problem> {
        let Some((client, said)) = serve::existing(&self.layout).await? else { return Ok(None) };
        self.say(said);
        Ok(Some(client))
    }

    fn say(&self, said: Option<String>) {
        if let Some(said) = said {
            self.printer.remark(&said);
        }
    }

    /// What is true, asked of the daemon, or without one told from the configuration and the records.
    pub async fn status(&self) -> Result<Status, Problem> {
        let asked = with_living_daemon(self, |client| async move { client.status().await });
        if let Some(status) = asked.await? {
            return Ok(status);
        }
        self.recorded()
    }

    /// What is true without a daemon: told from the configuration and the records.
    pub fn recorded(&self) -> Result<Status, Problem> {
        let config = self.config_or_empty()?;
        let living = if self.layout.exists() { runs::living(&self.layout) } else { Vec::new() };
        let mut services = runs::declared(&self.layout, &config);
        services.retain(|service| living.iter().all(|run| run.name != service.name));
        services.extend(living);
        Ok(Status { daemon: None, services })
    }
}

/// A runtime for one command: one thread, no pool.
pub fn runtime() -> Result<Runtime, Problem> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// How long a command asks again, when the daemon ended before it answered: it is brought back, or replaced. On a busy
/// machine one start takes a good part of a second, and a daemon that was killed once may be killed again.
const ASK_AGAIN: Duration = Duration::from_secs(20);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Does something with a daemon, started if need be; one that ends meanwhile is replaced, and asked again. What is done
/// must bear being done twice.
pub async fn with_daemon<T, F>(project: &Project, act: impl Fn(Client) -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    again(|| async { act(project.daemon().await?).await }).await
}

/// As `with_daemon`, but only with a daemon that lives, or died with work to do; `None` without one.
pub async fn with_living_daemon<T, F>(
    project: &Project,
    act: impl Fn(Client) -> F,
) -> Result<Option<T>, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    again(|| async {
        match project.living_daemon().await? {
            Some(client) => act(client).await.map(Some),
            None => Ok(None),
        }
    })
    .await
}

/// Asks again for a while, when the daemon ended before it answered.
pub async fn again<T, F>(act: impl Fn() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    let end = Instant::now() + ASK_AGAIN;
    loop {
        match act().await {
            Err(problem) if problem.code == Code::Ending && Instant::now() < end => {
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

/// Stops services; if the daemon ends with them, returns when it has ended.
pub async fn take_down(client: &Client, down: Down) -> Result<DownAnswer, Problem> {
    let daemon = client.status().await?.daemon;
    let answer = client.down(&down).await?;
    if let Some(daemon) = daemon.filter(|_| answer.daemon_ends) {
        serve::wait_for_end(daemon.pid)?;
    }
    Ok(answer)
}

/// Who asks, in words: shown as the cause of what follows.
pub fn who(verb: &str) -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let user = user.unwrap_or_else(|_| format!("uid {}", soloist_daemon::my_uid()));
    format!("{user} (`soloist {verb}`, pid {})", std::process::id())
}
