//! `soloist wait NAME… --for STATE`: returns when it is so, when it cannot become so, or when the time is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use soloist_api::client::{Client, Events};
use soloist_api::error::{Code, Problem};
use soloist_api::event::Event;
use soloist_api::status::{ServiceStatus, Status};
use soloist_daemon::runs;

use crate::arguments::Goal;
use crate::printer::Printer;
use crate::project::Project;
use crate::verbs::services::one_line;

/// Nobody waits longer.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// How often it is looked for a daemon that is not there yet.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Exit code 0 when all are so, 5 when one cannot become so by itself, 7 when the time is over, 4 for an unknown name.
pub async fn wait(
    project: &Project,
    printer: &Printer,
    names: &[String],
    goal: Goal,
    timeout: Duration,
) -> Result<i32, Problem> {
    let so = until(project, names, goal, timeout).await?;
    so.values().for_each(|status| printer.line(&one_line(status)));
    Ok(0)
}

/// Waits, and gives those that were waited for.
pub async fn until(
    project: &Project,
    names: &[String],
    goal: Goal,
    timeout: Duration,
) -> Result<BTreeMap<String, ServiceStatus>, Problem> {
    // A hundred years are as good as longer, and fit the clock.
    let end = Instant::now() + timeout.min(FOREVER);
    loop {
        let daemon = project.living_daemon().await?;
        let looked = match &daemon {
            Some(client) => look(client).await,
            None => project.status().await.map(|status| (None, status)),
        };
        let (mut events, status) = match looked {
            Ok(looked) => looked,
            // It ended in this moment; without it something else is true.
            Err(problem)
                if matches!(problem.code, Code::Ending | Code::NotRunning) && Instant::now() < end =>
            {
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            Err(problem) => return Err(problem),
        };
        let mut latest = chosen(names, status)?;
        loop {
            if latest.values().all(|status| is_so(goal, status)) {
                return Ok(latest);
            }
            if let Some(problem) = latest.values().find_map(|status| hopeless(goal, status)) {
                return Err(problem);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(too_late(goal, timeout, &latest));
            }
            let next = async {
                match &mut events {
                    Some(events) => events.next().await,
                    None => {
                        tokio::time::sleep(LOOK_AGAIN).await;
                        None
                    }
                }
            };
            match tokio::time::timeout(left, next).await {
                Ok(Some(Event::Service(status))) => {
                    if let Some(known) = latest.get_mut(&status.name)
                        && known.revision < status.revision
                    {
                        *known = *status;
                    }
                }
                Ok(Some(Event::History(_) | Event::Samples(_))) => {}
                // Missed some, or one is no more, or the daemon ended, or there was none: everything is looked at anew.
                Ok(Some(Event::Resync | Event::Removed { .. }) | None) => break,
                Err(_) => return Err(too_late(goal, timeout, &latest)),
            }
        }
    }
}

/// Events first, so that none is missed.
async fn look(client: &Client) -> Result<(Option<Events>, Status), Problem> {
    let events = client.events().await?;
    Ok((Some(events), client.status().await?))
}

/// Those that are waited for: an instance, or all instances of a keyed service.
fn chosen(names: &[String], status: Status) -> Result<BTreeMap<String, ServiceStatus>, Problem> {
    let known: Vec<String> = status.services.iter().map(|service| service.name.clone()).collect();
    let is_of = |known: &str, name: &str| known == name || known.split('@').next() == Some(name);
    for name in names {
        if !known.iter().any(|known| is_of(known, name)) {
            return Err(runs::unknown_among(name, known.iter().map(String::as_str)));
        }
    }
    let is_chosen = |service: &ServiceStatus| names.iter().any(|name| is_of(&service.name, name));
    Ok(status.services.into_iter().filter(is_chosen).map(|service| (service.name.clone(), service)).collect())
}

fn is_so(goal: Goal, status: &ServiceStatus) -> bool {
    match goal {
        Goal::Ready => status.ready,
        Goal::Running => status.pid.is_some() && status.state != "stopping",
        Goal::Stopped => status.is_down(),
        Goal::Completed => {
            let is_at_rest = matches!(status.state.as_str(), "stopped" | "scheduled");
            status.state == "completed" || is_at_rest && status.exit.is_some_and(|exit| exit.code == Some(0))
        }
        Goal::Failed | Goal::Unhealthy | Goal::Scheduled | Goal::Backoff | Goal::Conflict | Goal::Standby => {
            status.state == word(goal)
        }
    }
}

/// Why it cannot become so unless somebody asks for it anew.
fn hopeless(goal: Goal, status: &ServiceStatus) -> Option<Problem> {
    let name = &status.name;
    let why = match (goal, status.state.as_str()) {
        (Goal::Ready | Goal::Running | Goal::Completed | Goal::Unhealthy, "failed") => "it has failed",
        (Goal::Ready | Goal::Running | Goal::Failed | Goal::Unhealthy, "completed") => "it has completed",
        (Goal::Ready | Goal::Running, "stopped") if status.refusal.is_some() => "its start was refused",
        (Goal::Ready, _) if status.kind == "job" => "a job runs and ends: wait for running or completed",
        _ => return None,
    };
    let note = status.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
    let said = format!("{name} does not become {} by itself: {why}{note}", word(goal));
    Some(Problem::new(Code::Unhealthy, said).hint(format!("`soloist why {name}` tells more")))
}

fn too_late(goal: Goal, timeout: Duration, latest: &BTreeMap<String, ServiceStatus>) -> Problem {
    let others: Vec<String> = latest
        .values()
        .filter(|status| !is_so(goal, status))
        .map(|status| format!("{} is {}", status.name, status.state))
        .collect();
    let took = humantime::format_duration(timeout);
    let said = format!("not {} within {took}: {}", word(goal), others.join(", "));
    Problem::new(Code::NotReady, said).hint("`soloist why NAME` tells why; --timeout waits longer")
}

/// The word a person typed.
fn word(goal: Goal) -> String {
    goal.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}
