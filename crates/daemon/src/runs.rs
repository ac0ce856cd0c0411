//! Instances that a `soloist run` holds: found by their records, told in status, stopped over their guard's link. No
//! daemon is needed for any of it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use soloist_api::error::{Code, Problem};
use soloist_api::status::{Said, ServiceStatus, Status};
use soloist_core::event::Wanted;
use soloist_os::claim::held_by;
use soloist_os::guard::{Order, Report, order, read_report};
use soloist_os::layout::{Layout, Place, machine_state};
use soloist_os::link::Link;
use soloist_os::record::{self, Holder, Record, all_but};

use crate::config::{Config, Declared, Scope};
use crate::convert;
use crate::ledger::Ledger;
use crate::leftovers;
use crate::ports;
use crate::schedules;

pub use crate::convert::{command_line, short};

/// What the driver knows by itself.
#[derive(Debug)]
pub struct Known {
    /// Its instances as they are for it.
    pub status: Status,
    /// Of these, whether nothing lives, is held or will start by itself.
    pub quiet: Vec<bool>,
}

impl Known {
    /// With what living `run`s hold, and whether there are any: a run that somebody started by hand under a declared name
    /// is the instance. The folders are read for it, but no record of what the driver has at work.
    pub fn with_runs(self, layout: &Layout) -> (Status, bool) {
        let Known { mut status, quiet } = self;
        let services = status.services.iter().zip(&quiet);
        let busy: HashSet<&str> =
            services.filter(|(_, is_quiet)| !**is_quiet).map(|(one, _)| one.name.as_str()).collect();
        let mut runs = living_but(layout, |name| busy.contains(name));
        let has_runs = !runs.is_empty();
        for one in status.services.iter_mut() {
            if let Some(run) = runs.iter().find(|run| run.name == one.name) {
                *one = run.clone();
            }
        }
        runs.retain(|run| !status.services.iter().any(|one| one.name == run.name));
        status.services.extend(runs);
        (status, has_runs)
    }
}

/// Every instance of this project that a living `run` holds.
pub fn living(layout: &Layout) -> Vec<ServiceStatus> {
    living_but(layout, |_| false)
}

fn living_but(layout: &Layout, is_left_out: impl Fn(&str) -> bool) -> Vec<ServiceStatus> {
    guarded_but(layout, is_left_out)
        .filter(|(_, record)| record.holder == Holder::Run)
        .map(|(base, record)| tell(&record, &Place { base, instance: record.instance.clone() }))
        .collect()
}

/// The records of all instances of this project that live under a guard, each with the state folder it is in.
pub fn guarded(layout: &Layout) -> impl Iterator<Item = (PathBuf, Record)> {
    guarded_but(layout, |_| false)
}

fn guarded_but(
    layout: &Layout,
    is_left_out: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (PathBuf, Record)> {
    let found = bases(layout).into_iter().flat_map(move |base| {
        let records = all_but(&base, &is_left_out);
        records.into_iter().map(move |record| (base.clone(), record))
    });
    found.filter(|(_, record)| !record.ended && record.project == layout.root && record.is_guarded())
}

/// The state folders in which instances of this project may lie.
fn bases(layout: &Layout) -> Vec<PathBuf> {
    [Some(layout.state()), machine_state().ok()].into_iter().flatten().collect()
}

/// When a record of any of them was last written.
pub(crate) fn written(layout: &Layout) -> Option<SystemTime> {
    bases(layout).iter().filter_map(|base| record::written(base)).max()
}

/// Where the instance of this name lives under a guard: in the project, or machine-wide.
pub fn guarded_of(layout: &Layout, name: &str) -> impl Iterator<Item = (Place, Record)> {
    let root = layout.root.clone();
    let places = [Some(layout.place(name)), Place::machine(name).ok()].into_iter().flatten();
    let found = places.filter_map(|place| Record::read(&place.record()).map(|record| (place, record)));
    found.filter(move |(_, record)| !record.ended && record.project == root && record.is_guarded())
}

/// The instance of this name, if a living `run` holds it.
pub fn living_of(layout: &Layout, name: &str) -> Option<ServiceStatus> {
    let mut found = guarded_of(layout, name).filter(|(_, record)| record.holder == Holder::Run);
    found.next().map(|(place, record)| tell(&record, &place))
}

/// Where the run of this name holds its claim, if one lives.
pub fn place_of(layout: &Layout, name: &str) -> Option<Place> {
    guarded_of(layout, name).find(|(_, record)| record.holder == Holder::Run).map(|(place, _)| place)
}

fn tell(record: &Record, place: &Place) -> ServiceStatus {
    let is_serving = record.ports.is_empty()
        || ports::quick_check(&record.ports, record.guard.pid) == Some(soloist_core::event::Listening::Ours);
    let state = match (&record.main, record.exit) {
        (Some(_), None) if is_serving => "ready",
        (_, Some(_)) => "stopping",
        _ => "starting",
    };
    ServiceStatus {
        name: record.instance.clone(),
        kind: "service".to_owned(),
        state: state.to_owned(),
        wanted: "up".to_owned(),
        ready: state == "ready",
        pid: record.main.as_ref().filter(|main| main.is_alive()).map(|main| main.pid),
        run_id: Some(record.run_id.clone()),
        since: convert::moment(record.since_ms),
        restarts: 0,
        ports: record.ports.clone(),
        cause: (!record.cause.is_empty()).then(|| record.cause.clone()),
        exit: record.exit.map(convert::exit_to_api),
        said: Said::default(),
        stale: false,
        old_code: None,
        warnings: Vec::new(),
        note: Some("started by `soloist run`".to_owned()),
        refusal: None,
        next: None,
        schedule: None,
        revision: 0,
        command: record.command.clone(),
        holder: held_by(place).as_ref().map(convert::holder_to_api),
        log: None,
        tail: Vec::new(),
    }
}

/// How long a guard that let go of its link may take to be gone.
const GUARD_END_LIMIT: Duration = Duration::from_secs(1);

/// Stops a run, or ends what an instance left, where no daemon lives to do it; says whether there was anything.
pub fn stop_alone(layout: &Layout, name: &str) -> Result<bool, Problem> {
    if let Some(place) = place_of(layout, name) {
        return stop(&place).map(|()| true);
    }
    let left = leftovers::abandoned(layout, name);
    left.map_or(Ok(false), |place| leftovers::end_abandoned(&place).map(|()| true))
}

/// Stops a run, with the grace it was started with, and returns when its tree is empty.
pub fn stop(place: &Place) -> Result<(), Problem> {
    let Some(record) = Record::read(&place.record()) else { return Ok(()) };
    ask_to_stop(place, &record)?;
    // A guard that is killed while it is asked lets go of its link as well, but its tree lives, and its record says so.
    let is_left = Record::read(&place.record()).is_some_and(|now| now.guard == record.guard && !now.ended);
    if !is_left {
        return Ok(());
    }
    has_ended(&record);
    leftovers::end_abandoned(place)
}

/// Returns when its guard has let the claim go.
fn ask_to_stop(place: &Place, record: &Record) -> Result<(), Problem> {
    let link = match Link::connect(&place.socket()) {
        Ok(link) => link,
        // It ended in this moment.
        Err(_) if !record.is_guarded() => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    order(&link, &Order::Stop { grace_ms: None }, &[])?;
    let end = Instant::now() + Duration::from_millis(record.stop_grace_ms) + Duration::from_secs(10);
    let mut stuck = None;
    loop {
        match link.receive_within(end.saturating_duration_since(Instant::now())) {
            // The guard lets go of the claim before it lets go of its links.
            Ok(None) => return Ok(()),
            Ok(Some((bytes, _))) => {
                if let Some(Report::Stuck { processes }) = read_report(&bytes) {
                    stuck = Some(stuck_words(&processes));
                }
            }
            // A guard that is killed lets go of its links before it can be seen to be gone.
            Err(_) if has_ended(record) => return Ok(()),
            Err(_) => {
                let why =
                    stuck.unwrap_or_else(|| format!("its guard (pid {}) does not answer", record.guard.pid));
                return Err(Problem::new(Code::Error, format!("{} does not stop: {why}", place.instance)));
            }
        }
    }
}

/// Whether the guard of a run is gone, or is in this moment.
fn has_ended(record: &Record) -> bool {
    record.guard.pin().is_none_or(|guard| guard.wait(GUARD_END_LIMIT).unwrap_or(false))
}

/// What is told of a run that was stopped.
pub fn stopped(place: &Place) -> Result<ServiceStatus, Problem> {
    let gone = || Problem::new(Code::NotRunning, format!("{} has no record any more", place.instance));
    let record = Record::read(&place.record()).ok_or_else(gone)?;
    let (state, wanted) = ("stopped".to_owned(), "down".to_owned());
    Ok(ServiceStatus { state, wanted, ready: false, pid: None, holder: None, ..tell(&record, place) })
}

/// The declared instances as they are without a daemon: not running, with what their records tell of the last run.
pub fn declared(layout: &Layout, config: &Config) -> Vec<ServiceStatus> {
    let told = config.declared.iter().filter(|declared| declared.lane_of.is_none());
    told.map(|declared| tell_declared(layout, declared)).collect()
}

fn tell_declared(layout: &Layout, declared: &Declared) -> ServiceStatus {
    let place = match declared.program.scope {
        Scope::Project => Ok(layout.place(&declared.name)),
        Scope::Machine => Place::machine(&declared.name),
    };
    let record = place.ok().and_then(|place| Record::read(&place.record()));
    let status = soloist_core::state::Status {
        state: soloist_core::state::Word::Stopped,
        wanted: if Ledger::wants(&layout.ledger(), &declared.name) { Wanted::Up } else { Wanted::Down },
        run: None,
        pid: None,
        since: soloist_core::time::Time::default(),
        restarts: 0,
        cause: None,
        said: soloist_core::event::Said::default(),
        exit: record.as_ref().and_then(|r| r.exit).map(convert::exit_to_core),
        note: None,
        is_stale: false,
        refusal: None,
        next: None,
        outlook: None,
        revision: 0,
    };
    let schedule = schedules::told(declared, None, schedules::now());
    let face = convert::Face {
        clock: convert::clock(),
        name: &declared.name,
        kind: declared.plan.kind,
        ports: &declared.plan.ports,
        command: &declared.program.argv,
        log: layout.log(&declared.name).display().to_string(),
        holder: None,
        tail: Vec::new(),
    };
    let since = record.and_then(|r| r.exit_ms).and_then(convert::moment);
    ServiceStatus { since, schedule, ..convert::service(face, status) }
}

/// No such instance, with the nearest name.
pub fn unknown(name: &str, config: &Config) -> Problem {
    unknown_among(name, config.declared.iter().filter(|d| d.lane_of.is_none()).map(|d| d.name.as_str()))
}

/// No such instance among these, with the nearest name.
pub fn unknown_among<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let known: Vec<&str> = known.collect();
    let none = || "this project declares none; add [services.NAME] to soloist.toml".to_owned();
    let hint = nearest(name, &known).unwrap_or_else(none);
    Problem::new(Code::UnknownService, format!("no service or job is called `{name}` here")).hint(hint)
}

/// The word that was probably meant, or all that are known; none if there are none.
pub(crate) fn nearest(word: &str, known: &[&str]) -> Option<String> {
    let nearest = known
        .iter()
        .map(|k| (strsim::jaro_winkler(word, k), k))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, nearest)) => Some(format!("did you mean `{nearest}`?")),
        None => (!known.is_empty()).then(|| format!("known are: {}", known.join(", "))),
    }
}

/// Processes that cannot be ended, in words.
pub fn stuck_words(processes: &[soloist_os::Stuck]) -> String {
    let words: Vec<String> = processes
        .iter()
        .map(|s| {
            let channel = s.wait_channel.as_deref().unwrap_or("an unknown place");
            format!("pid {} cannot be ended (state {}, waits in {channel})", s.pid, s.state)
        })
        .collect();
    words.join("; ")
}
