//! What is true of all services, and stays true: told by the daemon's events as they come. A daemon that goes away is
//! looked for again; until then the records tell.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use soloist_api::client::Client;
use soloist_api::error::{Code, Problem};
use soloist_api::event::Event;
use soloist_api::history::EventsQuery;
use soloist_api::status::{ServiceStatus, Status};
use soloist_api::watch::{Sample, Samples};
use soloist_daemon::serve;
use soloist_daemon::why::local;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::project::Project;

/// How often it is looked for a daemon where none is.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// So much news may wait for its reader; the daemon then tells a slow one to look anew.
const WAITING: usize = 256;

/// What the feed has to say.
#[derive(Debug)]
pub enum News {
    /// Everything, looked at anew; with what a daemon that was brought back had to say.
    All(Status, Option<String>),
    /// One service changed.
    One(Box<ServiceStatus>),
    /// One is no more.
    Removed(String),
    /// What living services use.
    Usage(Samples),
    /// The daemon ended.
    Gone,
    /// It cannot be told what is true.
    Faulty(Problem),
}

/// What came of a piece of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that shows.
    None,
    /// This service shows otherwise.
    One(String),
    /// Look at all of it.
    All,
}

/// What is true as far as the news tell.
#[derive(Clone, Debug)]
pub struct View {
    /// Daemon and services.
    pub status: Status,
    /// What each that lives uses, by name; nothing where nobody asked for it.
    pub usage: BTreeMap<String, Sample>,
    /// What there is to say beside: that the daemon went away, or came back.
    pub notice: Option<String>,
    gone: Option<Timestamp>,
}

impl View {
    /// With nothing in it yet.
    pub fn new() -> View {
        View {
            status: Status { daemon: None, services: Vec::new() },
            usage: BTreeMap::new(),
            notice: None,
            gone: None,
        }
    }

    /// Takes news in.
    pub fn take(&mut self, news: News, now: Timestamp) -> Change {
        let notice = self.notice.clone();
        match news {
            News::One(status) => return self.take_one(*status),
            News::Removed(name) => {
                let before = self.status.services.len();
                self.status.services.retain(|known| known.name != name);
                if self.status.services.len() == before {
                    return Change::None;
                }
            }
            News::Usage(samples) => {
                let by_name = |sample: Sample| (sample.service.clone(), sample);
                self.usage = samples.samples.into_iter().map(by_name).collect();
            }
            News::Gone => {
                self.gone = Some(now);
                self.notice = Some(format!("the daemon went away at {}", clock(now, now)));
                self.status.daemon = None;
                self.usage.clear();
            }
            News::Faulty(problem) => self.notice = Some(problem.to_string()),
            News::All(status, said) => {
                if let (Some(gone), Some(_)) = (self.gone, &status.daemon) {
                    let (gone, back) = (clock(gone, now), clock(now, now));
                    self.notice = Some(format!("the daemon came back at {back}; it went away at {gone}"));
                    self.gone = None;
                }
                self.notice = said.or(self.notice.take());
                if self.status == status && self.notice == notice {
                    return Change::None;
                }
                self.status = status;
            }
        }
        Change::All
    }

    fn take_one(&mut self, new: ServiceStatus) -> Change {
        let Some(known) = self.status.services.iter_mut().find(|known| known.name == new.name) else {
            self.status.services.push(new);
            return Change::All;
        };
        if known.revision >= new.revision {
            return Change::None;
        }
        known.revision = new.revision;
        if *known == new {
            return Change::None;
        }
        *known = new;
        Change::One(known.name.clone())
    }
}

fn clock(at: Timestamp, now: Timestamp) -> String {
    local(at, now, &TimeZone::system())
}

/// The two ends of a feed.
pub fn pipe() -> (Sender<News>, Receiver<News>) {
    channel(WAITING)
}

/// Tells news for ever; what services use only if that is wanted, since the daemon has to look for it. It is to be polled beside whatever takes them.
pub async fn follow(project: &Project, news: Sender<News>, wants_usage: bool) -> Infallible {
    loop {
        // What cannot be sent has no reader left: the whole feed is about to be dropped.
        let told = match serve::existing(&project.layout).await {
            Ok(Some((client, said))) => match as_it_happens(&client, said, &news, wants_usage).await {
                // It ended between two questions, as good as before them.
                Ok(()) | Err(Problem { code: Code::Ending, .. }) => News::Gone,
                Err(problem) => News::Faulty(problem),
            },
            Ok(None) => project.recorded().map_or_else(News::Faulty, |status| News::All(status, None)),
            Err(problem) => News::Faulty(problem),
        };
        let _ = news.send(told).await;
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Until the daemon ends. Events first, so that none is missed.
async fn as_it_happens(
    client: &Client,
    said: Option<String>,
    news: &Sender<News>,
    wants_usage: bool,
) -> Result<(), Problem> {
    let mut events = client.watch(EventsQuery { history: false, samples: wants_usage }, None).await?;
    let _ = news.send(News::All(client.status().await?, said)).await;
    while let Some(event) = events.next().await {
        let told = match event {
            Event::Service(status) => News::One(status),
            Event::Removed { service } => News::Removed(service),
            Event::Resync => News::All(client.status().await?, None),
            Event::Samples(samples) => News::Usage(samples),
            Event::History(_) => continue,
        };
        let _ = news.send(told).await;
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A service as the daemon tells it.
    pub fn service(name: &str, state: &str, revision: u64) -> ServiceStatus {
        let text = serde_json::json!({
            "name": name, "kind": "service", "state": state, "wanted": "up", "ready": false, "restarts": 0, "ports": [],
            "revision": revision, "command": []
        });
        serde_json::from_value(text).unwrap()
    }

    /// All there is, with or without a daemon.
    pub fn all(is_daemon: bool, services: Vec<ServiceStatus>) -> News {
        let daemon = serde_json::json!({ "pid": 7, "since": "2026-11-22T14:00:00Z", "version": "0.1.0" });
        let daemon = is_daemon.then(|| serde_json::from_value(daemon).unwrap());
        News::All(Status { daemon, services }, None)
    }

    #[test]
    fn only_what_is_newer_and_shows_is_a_change() {
        let now = Timestamp::UNIX_EPOCH;
        let mut view = View::new();
        let one = |state: &str, revision| News::One(Box::new(service("api", state, revision)));
        assert_eq!(view.take(all(true, vec![service("api", "ready", 5)]), now), Change::All);
        assert_eq!(view.take(one("starting", 4), now), Change::None, "older");
        assert_eq!(view.take(one("ready", 6), now), Change::None, "the same");
        assert_eq!(view.take(one("backoff", 7), now), Change::One("api".to_owned()));
        assert_eq!(view.take(News::One(Box::new(service("db", "ready", 1))), now), Change::All, "a new one");
        let gone = || News::Removed("api".to_owned());
        assert_eq!(view.take(gone(), now), Change::All, "it is no more");
        assert_eq!(view.take(gone(), now), Change::None, "it was none before");
        assert_eq!(view.status.services.len(), 1, "the other one stays");
    }

    #[test]
    fn a_daemon_that_goes_and_comes_is_told() {
        let now = Timestamp::UNIX_EPOCH;
        let mut view = View::new();
        view.take(all(true, Vec::new()), now);
        assert_eq!(view.notice, None, "it was there all the time");
        assert_eq!(view.take(News::Gone, now), Change::All);
        assert!(view.status.daemon.is_none() && view.notice.as_ref().unwrap().contains("went away"));
        assert_eq!(view.take(all(false, Vec::new()), now), Change::None, "the records say no more");
        assert_eq!(view.take(all(true, Vec::new()), now), Change::All);
        assert!(view.notice.as_ref().unwrap().contains("came back"), "{:?}", view.notice);
    }
}
