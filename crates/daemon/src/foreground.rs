//! `soloist run`: one command as a singleton, guarded by this very process. No configuration, no daemon.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use soloist_api::error::{Code, Problem};
use soloist_core::plan::Plan;
use soloist_os::claim::{Claim, Inscription, held_by};
use soloist_os::guard::SpawnFailure;
use soloist_os::guard::body::{Outcome, foreground};
use soloist_os::identity::{Exit, Identity};
use soloist_os::layout::{Layout, Place};
use soloist_os::record::{Holder, Record};

use crate::config::{Program, Scope};
use crate::ports::takeover;
use crate::service::{self, Occasion};
use crate::{convert, ports, runs};

/// So long the holder of a claim may take to say who it is.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// What `soloist run` was asked.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The instance's name.
    pub name: String,
    /// The command.
    pub argv: Vec<String>,
    /// Told to it as `$PORT`, and free before it starts.
    pub port: Option<u16>,
    /// Once in the project, or once on the machine.
    pub scope: Scope,
    /// Written for those who want one.
    pub pid_file: Option<PathBuf>,
    /// Wait for the claim instead of giving up.
    pub wait: bool,
    /// End whoever holds the claim or the port.
    pub force: bool,
    /// Between the polite signal and the kill.
    pub grace: Duration,
}

/// How it went.
#[derive(Debug)]
pub enum Ended {
    /// It ran.
    With(Exit),
    /// It could not be started: the exit code a shell would give, and why.
    NotStarted(i32, String),
}

/// Runs it and returns when its tree is empty. `agree` is asked before anybody on its port is ended.
///
/// # Errors
/// `ClaimHeld` with the holder's name if somebody runs it; `PortHeld` if somebody is on its port; `Error` if it was ended
/// for the memory it used.
pub fn run(
    layout: &Layout,
    wish: &Wish,
    say: &dyn Fn(&str),
    agree: &dyn Fn(&takeover::Plan) -> Result<(), Problem>,
) -> Result<Ended, Problem> {
    layout.make()?;
    let place = service::place(layout, &wish.name, wish.scope)?;
    let claim = claim(layout, &place, wish)?;
    let inscription = Inscription {
        claimant: Identity::mine()?,
        holder: Holder::Run,
        project: layout.root.clone(),
        since_ms: soloist_os::clock::wall_ms(),
        command: wish.argv.clone(),
    };
    claim.inscribe(&inscription)?;
    let plan = Plan { ports: wish.port.into_iter().collect(), stop_grace: wish.grace, ..Plan::default() };
    if let Some(stale) = Record::read(&place.record()).filter(|record| !record.ended) {
        say(&stale_words(&wish.name, &stale));
    }
    free_port(layout, wish, say, agree)?;
    let program = Program {
        argv: wish.argv.clone(),
        dir: std::env::current_dir()?,
        scope: wish.scope,
        pid_file: wish.pid_file.clone(),
        ..Program::default()
    };
    let run_id = soloist_core::id::RunId(soloist_os::random_u64()).to_string();
    let (token, ports) = (claim.next_token(), plan.ports.clone());
    let occasion = Occasion { run_id, token, scheduled: None, ports, needs: Vec::new() };
    let socket = layout.daemon_socket();
    let order = service::run_order(&wish.name, occasion, &plan, &program, &place, None, &socket);
    let assignment = service::assignment(layout, &place, Holder::Run);
    match foreground(assignment, claim, order)? {
        Outcome::Ended(exit) => Ok(Ended::With(exit)),
        Outcome::OverMemory { kib, max_kib } => {
            let used = convert::memory_words(kib, max_kib);
            Err(Problem::new(
                Code::Error,
                format!("{}: it used more memory than it may ({used}) and was ended", wish.name),
            ))
        }
        Outcome::NotStarted(SpawnFailure::Program(error)) => {
            Ok(Ended::NotStarted(error.shell_code(), error.to_string()))
        }
        Outcome::NotStarted(other) => Err(Problem::new(Code::Error, other.to_string())),
    }
}

/// The record says that a run lives, the free claim says that it does not.
fn stale_words(name: &str, stale: &Record) -> String {
    let pid = stale.main.as_ref().unwrap_or(&stale.guard).pid;
    let since =
        convert::moment(stale.since_ms).map_or(String::new(), |at| format!(" of {}", convert::short(at)));
    let file =
        stale.pid_file.as_ref().map_or(String::new(), |path| format!(" and the PID file {}", path.display()));
    format!(
        "{name}: cleared the stale record{file}: the run{since} (pid {pid}) is over, its guard was killed; \
         what is left of that run is ended first"
    )
}

fn claim(layout: &Layout, place: &Place, wish: &Wish) -> Result<Claim, Problem> {
    if let Some(claim) = Claim::take(&place.claim())? {
        return Ok(claim);
    }
    if wish.force {
        // Whoever holds it is asked to end; then it is free, or somebody else was quicker.
        take_over(layout, place, wish)?;
        if let Some(claim) = Claim::take(&place.claim())? {
            return Ok(claim);
        }
    }
    if wish.wait {
        return Ok(Claim::wait(&place.claim())?);
    }
    let hint = "stop it with `soloist stop`, wait for it with --wait, or take over with --force";
    match settle(place)? {
        Settled::Ours(claim) => Ok(claim),
        Settled::Theirs(who) => {
            Err(Problem::new(Code::ClaimHeld, format!("{}: {who}", wish.name)).hint(hint))
        }
    }
}

/// Asks the holder to end: a run over its guard's link, a daemon over its API.
fn take_over(layout: &Layout, place: &Place, wish: &Wish) -> Result<(), Problem> {
    let Some(held) = held_by(place) else { return Ok(()) };
    match held.holder {
        Holder::Run => runs::stop(place),
        Holder::Daemon => {
            let other = Layout::new(&held.project)?;
            let client = soloist_api::client::Client::new(&other.daemon_socket());
            let change = soloist_api::request::Change { who: Some(by(layout)), ..Default::default() };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(client.change(&wish.name, "stop", &change)).map(drop)
        }
    }
}

/// How it ended for a claim that could not be taken at once.
#[derive(Debug)]
pub enum Settled {
    /// Whoever held it let go of it before anybody could name him: a guard whose daemon was killed while it started him.
    Ours(Claim),
    /// Who holds it, in words.
    Theirs(String),
}

/// Finds out who holds a claim that could not be taken. The winner inscribes itself right after it has locked: a moment
/// may pass until it can be read.
///
/// # Errors
/// The lock file cannot be opened or locked.
pub fn settle(place: &Place) -> io::Result<Settled> {
    let end = Instant::now() + SETTLE_LIMIT;
    loop {
        if let Some(claim) = Claim::take(&place.claim())? {
            return Ok(Settled::Ours(claim));
        }
        if let Some(held) = held_by(place) {
            return Ok(Settled::Theirs(convert::holder_to_text(&held)));
        }
        if Instant::now() > end {
            let path = place.claim();
            let who = format!("held by a process that has not said who it is ({})", path.display());
            return Ok(Settled::Theirs(who));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn free_port(
    layout: &Layout,
    wish: &Wish,
    say: &dyn Fn(&str),
    agree: &dyn Fn(&takeover::Plan) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let Some(port) = wish.port.filter(|port| !ports::are_free(&[*port])) else { return Ok(()) };
    if wish.force {
        let who = by(layout);
        let take = takeover::Wish { ports: &[port], own: &[], grace: wish.grace, who: &who };
        let plan = takeover::plan(layout, &take)?;
        if !plan.is_empty() {
            agree(&plan)?;
        }
        return takeover::take(layout, &take, plan, say).map(drop);
    }
    let hint = format!(
        "take it over with --force, `soloist free {port} --force` ends them, or choose another port with --port"
    );
    Err(Problem::new(Code::PortHeld, ports::strangers(layout, &[port], &[]).join("; ")).hint(hint))
}

/// Who takes over, for another soloist.
fn by(layout: &Layout) -> String {
    format!("takeover by `soloist run` in {}", layout.root.display())
}
