//! The processes on the other end: the zygote that forks guards, and the links to the guards. Reports go to the inbox;
//! what they mean is no matter here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use soloist_core::id::ClaimId;
use soloist_os::claim::Claim;
use soloist_os::guard::{
    Assignment, Charge, Order, PROTOCOL, Report, RunOrder, order, order_spawn, read_report, zygote,
};
use soloist_os::handover::Listening;
use soloist_os::layout::Place;
use soloist_os::link::Link;
use soloist_os::watched::Watched;

use crate::inbox::{Inbox, Input};
use crate::service::RUN_VARIABLES;

/// The argument by which the binary knows that it is to be a zygote.
pub const ZYGOTE_ARGUMENT: &str = "__zygote";

/// A zygote that ends so soon cannot live here.
const YOUNG: Duration = Duration::from_secs(1);

/// A running zygote.
#[derive(Debug)]
pub struct Zygote {
    link: Arc<Watched<Link>>,
    child: Child,
    since: Instant,
}

impl Zygote {
    /// Starts one: this very binary, executed anew, so that it is small and single-threaded.
    pub fn start(inbox: Inbox, descriptor_limit: u64) -> io::Result<Zygote> {
        let (ours, theirs) = Link::pair()?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(ZYGOTE_ARGUMENT)
            .arg(descriptor_limit.to_string())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Nothing of a run that this daemon may have been started from: its cookie would mark us as its process.
        for name in RUN_VARIABLES {
            command.env_remove(name);
        }
        let child = command.spawn()?;
        let link = Arc::new(Watched::new(ours)?);
        let (watched, pid) = (Arc::clone(&link), child.id());
        tokio::spawn(async move {
            // A zygote never speaks: readable means that it ended.
            let _ = watched.readable().await;
            let _ = inbox.send(Input::ZygoteEnded { pid });
        });
        Ok(Zygote { link, child, since: Instant::now() })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has a guard forked for a claim.
    pub fn guard(
        &self,
        assignment: &Assignment,
        claim: &Claim,
        id: ClaimId,
        inbox: &Inbox,
    ) -> io::Result<GuardLink> {
        GuardLink::watch(zygote::request(self.link.get(), assignment, claim)?, id, inbox)
    }

    /// Tells it what to do when this daemon dies.
    pub fn charge(&self, charge: Option<&Charge>) -> io::Result<()> {
        zygote::charge(self.link.get(), charge)
    }

    /// Whether it has only just begun to live.
    pub fn is_young(&self) -> bool {
        self.since.elapsed() < YOUNG
    }

    /// Ends it, if it has not ended.
    pub fn reap(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This process as a zygote, with the link to its daemon as standard input; returns when the daemon has ended. Its
/// children get the descriptor limit that the daemon was given, not the one it raised for itself.
pub fn be_zygote(descriptor_limit: &str) -> io::Result<()> {
    if let Ok(limit) = descriptor_limit.parse() {
        soloist_os::set_descriptor_limit(limit);
    }
    zygote::live(soloist_os::link::inherited(0)?)
}

/// The link to one guard.
#[derive(Debug)]
pub struct GuardLink {
    link: Arc<Watched<Link>>,
    task: tokio::task::JoinHandle<()>,
    /// The guard's process, once it has told.
    pub pid: Option<u32>,
    /// What it understands: as much as we do, unless it was adopted.
    pub version: u32,
}

impl GuardLink {
    /// Reads its reports into the inbox from now on, and asks who it is.
    pub fn watch(link: Link, claim: ClaimId, inbox: &Inbox) -> io::Result<GuardLink> {
        order(&link, &Order::Status, &[])?;
        let link = Arc::new(Watched::new(link)?);
        let task = tokio::spawn(read(Arc::clone(&link), claim, inbox.clone()));
        Ok(GuardLink { link, task, pid: None, version: PROTOCOL })
    }

    /// Gives an order. An error means that the guard ended, or stands still: its link or our deadline tells.
    pub fn order(&self, what: &Order) -> io::Result<()> {
        order(self.link.get(), what, &[])
    }

    /// Gives an order once something else is done, if the link is still there then.
    pub fn order_after<T>(&self, done: impl Future<Output = T> + Send + 'static, what: Order) {
        let link = Arc::downgrade(&self.link);
        tokio::spawn(async move {
            let _ = done.await;
            if let Some(link) = link.upgrade() {
                // Its end is told by its reader.
                let _ = order(link.get(), &what, &[]);
            }
        });
    }

    /// Orders a run, which is handed these sockets.
    pub fn spawn(&self, run: &RunOrder, sockets: &[Listening]) -> io::Result<()> {
        let sockets: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        order_spawn(self.link.get(), run, &sockets)
    }
}

impl AsFd for GuardLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.get().as_fd()
    }
}

impl Drop for GuardLink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(link: Arc<Watched<Link>>, claim: ClaimId, inbox: Inbox) {
    loop {
        let Ok(mut ready) = link.readable().await else { break };
        match link.get().receive() {
            Ok(Some((bytes, _))) => {
                if let Some(report) = read_report(&bytes)
                    && inbox.send(Input::Guard { claim, report }).is_err()
                {
                    return;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Ok(None) | Err(_) => break,
        }
    }
    let _ = inbox.send(Input::GuardEnded { claim });
}

/// A guard that was found at work: its link, its claim, and what it says of itself.
#[derive(Debug)]
pub struct Found {
    /// The link, not watched yet.
    pub link: Link,
    /// The claim it has handed back.
    pub claim: Claim,
    /// What is listened on for its runs.
    pub sockets: Vec<Listening>,
    /// Its status.
    pub status: Report,
}

/// How long a guard may take to answer: it does so at once, unless it ends what an earlier run left.
const ANSWER_LIMIT: Duration = Duration::from_millis(300);

/// Connects to the guard of an instance and takes its claim back.
pub fn find(place: &Place) -> io::Result<Found> {
    let link = Link::connect(&place.socket())?;
    order(&link, &Order::Status, &[])?;
    let end = Instant::now() + ANSWER_LIMIT;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let Some((bytes, fds)) = link.receive_within(left)? else {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the guard ended"));
        };
        // Reports of the moment may come before the answer.
        let mut fds = fds.into_iter();
        if let (Some(status @ Report::Status { .. }), Some(claim)) = (read_report(&bytes), fds.next()) {
            let claim = Claim::received(claim, &place.claim());
            return Ok(Found { link, claim, sockets: fds.filter_map(Listening::received).collect(), status });
        }
    }
}
