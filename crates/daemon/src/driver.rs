//! The driver: takes one input at a time, tells the core, performs the effects in order, and tells everybody who
//! listens what changed. Performing is `driver/perform.rs`, answering clients `driver/answer.rs`, their questions about
//! schedules `driver/schedules.rs`, taking over what an
//! earlier daemon left `driver/adopt.rs`, leaving for another binary `driver/successor.rs`, telling the history
//! `driver/past.rs`, changed files `driver/files.rs`, signals by hand `driver/signal.rs`, the time around schedules `driver/clock.rs`.

mod adopt;
mod answer;
mod charge;
mod clock;
mod files;
mod last_words;
mod past;
mod perform;
mod probe;
mod report;
mod schedules;
mod signal;
mod successor;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use soloist_api::error::Problem;
use soloist_api::event::Event as ApiEvent;
use soloist_api::status::DaemonStatus;
use soloist_api::watch::Served;
use soloist_core::event::Event;
use soloist_core::id::ClaimId;
use soloist_core::project::{Orders, Project};
use soloist_core::state::Word;
use soloist_core::time::Time;
use soloist_os::claim::Claim;
use soloist_os::clock::{Alarm, since_boot};
use soloist_os::guard::Revival;
use soloist_os::handover::Listening;
use soloist_os::layout::{Layout, Place};
use soloist_os::log_files::{logs_in, next_seq};
use soloist_os::record::Record;
use soloist_os::watched::Watched;
use tokio::sync::{broadcast, mpsc};

use crate::config::Declared;
use crate::driver::answer::Waiter;
use crate::driver::clock::Clocks;
use crate::driver::past::{LogTrouble, Traces};
use crate::driver::probe::Tries;
pub use crate::driver::successor::End;
use crate::driver::successor::Succession;
use crate::history::History;
use crate::inbox::{Inbox, Input, Sort};
use crate::ledger::Ledger;
use crate::links::{GuardLink, Zygote};
use crate::logs::Position;
use crate::logs::keep::Archive;
use crate::logs::mask::Mask;
use crate::ports::published::Published;
use crate::tally::Tally;
use crate::upgrade;
use crate::watch::{Ages, Source, Watches};

/// So long clients are answered, but for the last of them, before the driver looks again at what happened.
const ASKED_TOGETHER: Duration = Duration::from_millis(1);
/// How many events a slow reader may lag behind before it is told to ask anew.
const EVENTS_KEPT: usize = 1024;

/// One declared (or adopted) program beside its instance in the core.
struct Service {
    declared: Declared,
    /// What it is started from, if that is looked at.
    source: Option<Source>,
    place: Place,
    /// Where in its log the run begins, if that is known, and in which of its files.
    log_at: Option<u64>,
    log_seq: Option<u64>,
    log_trouble: LogTrouble,
    tries: Tries,
    /// The last lines of its last run, if that failed.
    tail: Vec<String>,
    traces: Traces,
    /// Its guard lives and did not answer: it is tried again until it does.
    is_sought: bool,
    /// Its guard was killed while no daemon was there; what that left is being ended.
    lost: Option<Record>,
}

impl Service {
    /// Where in its log the run begins, if that is known; an older guard does not tell in which file.
    fn began(&self, log: &Path) -> Option<Position> {
        let seq = self.log_seq.or_else(|| next_seq(log).ok())?;
        self.log_at.map(|offset| Position { seq, offset })
    }

    /// What of its log is not shown.
    fn mask(&self) -> Mask {
        Mask::new(&self.declared.program.log.mask)
    }

    /// A new run is ordered: nothing of the last one counts.
    fn begin(&mut self, log_at: u64) {
        (self.log_at, self.log_seq) = (Some(log_at), None);
        self.tries = Tries::default();
        self.tail.clear();
    }
}

/// A claim this daemon holds.
struct Held {
    /// The instance's position.
    at: usize,
    claim: Claim,
    /// What is listened on for its runs.
    sockets: Vec<Listening>,
    guard: Option<GuardLink>,
    /// Its guard would bring this daemon back.
    is_reviver: bool,
    is_releasing: bool,
}

/// All of a running daemon.
pub struct Driver {
    layout: Layout,
    daemon: DaemonStatus,
    project: Project,
    services: Vec<Service>,
    held: HashMap<ClaimId, Held>,
    claims_given: u64,
    zygote: Option<Zygote>,
    /// It is the zygote that would bring this daemon back.
    is_charged: bool,
    /// So many in a row ended as soon as they were there.
    short_lived: u32,
    inbox: Inbox,
    inputs: mpsc::UnboundedReceiver<Input>,
    /// Of these, what clients ask: their turn comes after all that happened.
    asked: VecDeque<Input>,
    /// Answers that were there at once, given to the core before anything else.
    at_once: VecDeque<(usize, Event)>,
    ledger: Ledger,
    /// Why it could not be written, as it was said.
    ledger_trouble: Option<String>,
    published: Published,
    waiters: Vec<Waiter>,
    /// Those whose runs may wait for each other.
    queueing: Vec<usize>,
    events: broadcast::Sender<ApiEvent>,
    history: History,
    archive: Archive,
    /// The logs that are there; `None` if their folder could not be read.
    logs: Option<HashSet<PathBuf>>,
    tally: Tally,
    moves: Moves,
    is_ending: bool,
    /// Not a person, but a guard or the zygote started this daemon, and nobody has wanted anything of it yet.
    is_brought_back: bool,
    clocks: Clocks,
    /// Whose files are watched, and
    watches: Watches,
    /// how old the code of the others is.
    ages: Ages,
    /// The way to a binary that becomes the daemon.
    succession: Succession,
    /// How guards bring this daemon back.
    revival: Option<Revival>,
    log: crate::serve::Log,
    /// The soft limit of descriptors that services get.
    descriptor_limit: u64,
}

impl Driver {
    /// A driver for a project whose daemon lock is held.
    pub fn new(
        layout: Layout,
        daemon: DaemonStatus,
        ledger: Ledger,
        log: crate::serve::Log,
        descriptor_limit: u64,
    ) -> Driver {
        let (inbox, inputs) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let history = History::open(&layout.history(), log.clone());
        let clocks = Clocks::read();
        let mut project = Project::new();
        // Of none yet: each that is added knows it.
        project.set_clock(now(), clocks.clock, &mut Orders::new());
        Driver {
            daemon,
            project,
            services: Vec::new(),
            held: HashMap::new(),
            claims_given: 0,
            zygote: None,
            is_charged: false,
            short_lived: 0,
            inbox,
            inputs,
            asked: VecDeque::new(),
            at_once: VecDeque::new(),
            ledger,
            ledger_trouble: None,
            published: Published::new(&layout),
            waiters: Vec::new(),
            queueing: Vec::new(),
            events,
            history,
            archive: Archive::start(layout.logs(), log.clone()),
            logs: logs_in(&layout.logs()).ok().map(|logs| logs.into_iter().collect()),
            tally: Tally::new(),
            moves: Moves::default(),
            is_ending: false,
            is_brought_back: false,
            clocks,
            watches: Watches::default(),
            ages: Ages::default(),
            succession: Succession::default(),
            revival: upgrade::revival(&layout),
            layout,
            log,
            descriptor_limit,
        }
    }

    /// The way in.
    pub fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// The history, to ask it.
    pub fn history(&self) -> History {
        self.history.clone()
    }

    /// What is counted, to read it.
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// How old the code of services is, to have it looked at.
    pub fn ages(&self) -> Ages {
        self.ages.clone()
    }

    /// How often anything may have changed.
    pub fn moves(&self) -> Moves {
        self.moves.clone()
    }

    /// Runs until a client has everything stopped, or has another binary become the daemon.
    pub async fn run(&mut self) -> Result<End, Problem> {
        let alarm = Watched::new(Alarm::new()?)?;
        let mut has_answered = false;
        self.end_if_needless();
        while !self.is_over() && !self.succession.is_open() {
            if has_answered {
                // Who reports from a guard gets a turn before the next client, also when there is always a next one: the
                // first turn finds that there is a report, the second one reads it.
                turns(2).await;
            }
            alarm.get().set(self.next_deadline().map(|at| at.0))?;
            tokio::select! {
                biased;
                ready = alarm.readable() => {
                    alarm.get().quiet();
                    if let Ok(mut ready) = ready {
                        ready.clear_ready();
                    }
                    self.moves.count();
                    let mut orders = Orders::new();
                    self.project.expire(now(), &mut orders);
                    self.perform(orders);
                }
                () = std::future::ready(()), if !self.asked.is_empty() => {}
                input = self.inputs.recv() => {
                    let Some(input) = input else { break };
                    self.sort(input);
                }
            }
            // What has come meanwhile is taken together: one look at the deadlines serves all.
            while let Ok(input) = self.inputs.try_recv() {
                self.sort(input);
            }
            has_answered = !self.asked.is_empty();
            let begun = Instant::now();
            while let Some(input) = self.asked.pop_front() {
                self.take(input);
                if begun.elapsed() >= ASKED_TOGETHER {
                    break;
                }
            }
            self.publish();
            self.end_if_needless();
        }
        if self.succession.is_open() {
            self.leave_followed();
        }
        // No claim is held, so no guard needs its parent any more; or none of them will notice.
        if let Some(zygote) = self.zygote.take() {
            zygote.reap();
            self.is_charged = false;
        }
        Ok(self.succession.end())
    }

    fn sort(&mut self, input: Input) {
        match input.sort() {
            Sort::Wish => {
                self.is_brought_back = false;
                self.asked.push_back(input);
            }
            Sort::Question => self.asked.push_back(input),
            Sort::News => self.take(input),
        }
    }

    /// One that was brought back to end what its predecessor had been told to end, as the last deed of a `soloist down`
    /// whose client may be gone, ends with it.
    fn end_if_needless(&mut self) {
        self.is_ending |= self.is_brought_back
            && self.asked.is_empty()
            && self.waiters.is_empty()
            && self.ledger.wished().next().is_none()
            && (0..self.services.len()).all(|at| self.is_quiet(at));
    }

    fn is_over(&self) -> bool {
        self.is_ending && self.waiters.is_empty() && self.held.is_empty()
    }

    fn next_deadline(&self) -> Option<Time> {
        let waiters = self.waiters.iter().map(|w| w.until).min();
        [self.project.next_deadline(), waiters].into_iter().flatten().min()
    }

    fn take(&mut self, input: Input) {
        if input.sort() != Sort::Question {
            self.moves.count();
        }
        match input {
            Input::Guard { claim, report } => self.take_report(claim, report),
            Input::GuardEnded { claim } => self.take_guard_end(claim),
            Input::ZygoteEnded { pid } => self.take_zygote_end(pid),
            Input::ClockSet => self.look_at_clock(),
            Input::ZonesChanged => self.take_zones(),
            Input::FilesChanged { names, what, at_ms } => self.take_change(&names, &what, at_ms),
            Input::Seen { at, event } => self.tell(at, event),
            Input::ClaimTaken { at, ask, claim } => {
                let granted = self.take_claim(at, ask, claim);
                self.tell(at, granted);
            }
            Input::Sought { at, found } => self.take_sought(at, found.map(|found| *found)),
            Input::List { reply } => drop(reply.send(Ok(self.known()))),
            Input::Get { name, reply } => drop(reply.send(self.status_by_name(&name))),
            Input::Why { name, reply } => drop(reply.send(self.account_of(&name))),
            Input::Declared { name, reply } => drop(reply.send(self.declaration(&name))),
            Input::Signal { name, signal, reply } => drop(reply.send(self.signal(&name, signal))),
            Input::Change { name, verb, change, reply } => self.change(name, verb, change, reply),
            Input::Up { up, reply } => drop(reply.send(self.up(up))),
            Input::Instances { service, change, reply } => {
                drop(reply.send(self.instances(&service, change)));
            }
            Input::Schedules { reply } => drop(reply.send(self.schedules())),
            Input::Schedule { name, reply } => drop(reply.send(self.schedule(&name))),
            Input::Reschedule { name, edit, reply } => drop(reply.send(self.reschedule(&name, &edit))),
            Input::RunNow { name, change, reply } => self.run_now(&name, change, reply),
            Input::Override { hours, reply } => drop(reply.send(self.override_hours(&hours))),
            Input::ClearOverrides { clear, reply } => drop(reply.send(self.clear_overrides(&clear))),
            Input::Down { down, reply } => self.down(down, reply),
            Input::Upgrade { upgrade, reply } => self.upgrade(upgrade, reply),
            Input::BinarySeen { binary, version, reply } => self.leave_to(binary, version, reply),
            Input::Answered => self.succession.open(),
            Input::Subscribe { reply } if self.is_leaving() => drop(reply.send(Err(answer::ending()))),
            Input::Subscribe { reply } => drop(reply.send(Ok(self.events.subscribe()))),
        }
    }

    /// One event for one instance, and all that follows from it at once.
    fn tell(&mut self, at: usize, event: Event) {
        let mut orders = Orders::new();
        self.project.handle(now(), at, event, &mut orders);
        self.perform(orders);
    }

    /// Tells the listeners and the waiting clients what changed.
    fn publish(&mut self) {
        let touched = self.project.take_touched();
        self.publish_ports(&touched);
        if self.events.receiver_count() > 0 {
            for at in touched {
                let _ = self.events.send(ApiEvent::Service(Box::new(self.status_at(at))));
                if !self.is_told(at) {
                    let service = self.project.name(at).to_owned();
                    let _ = self.events.send(ApiEvent::Removed { service });
                }
            }
        }
        self.answer_waiters();
        self.charge_zygote();
    }

    /// Before anybody hears of it: who then looks finds it.
    fn publish_ports(&mut self, touched: &[usize]) {
        let has_port = |at: &usize| !self.project.instance(*at).ports().is_empty();
        let is_told = |at: &usize| self.published.says(self.project.name(*at), self.served(*at).as_ref());
        if self.published.is_told() && touched.iter().filter(|at| has_port(at)).all(is_told) {
            return;
        }
        let served = (0..self.services.len()).filter(has_port);
        let served = served.filter_map(|at| Some((self.project.name(at).to_owned(), self.served(at)?)));
        if let Err(e) = self.published.tell(served.collect()) {
            self.log.say(&format!("where services are found is not written down: {e}"));
        }
    }

    /// Where one is found, if it is up.
    fn served(&self, at: usize) -> Option<Served> {
        let instance = Some(self.project.instance(at)).filter(|instance| instance.is_up())?;
        let status = self.project.status(at);
        Served::new(instance.ports(), status.run?, status.pid?, status.state == Word::Ready)
    }

    /// Adds an instance; what it was asked to be is not known yet.
    fn add(&mut self, declared: Declared, place: Place) -> usize {
        let at = self.project.add(&declared.name, declared.plan.clone(), soloist_os::random_u64(), now());
        self.project.replan(now(), at, declared.plan.clone(), declared.print());
        self.services.push(Service {
            source: Source::of(&declared),
            declared,
            place,
            log_at: None,
            log_seq: None,
            log_trouble: LogTrouble::default(),
            tries: Tries::default(),
            tail: Vec::new(),
            traces: Traces::default(),
            is_sought: false,
            lost: None,
        });
        at
    }
}

/// Counts what may have changed something. Who has asked, and finds the count as it was before, would be told the same
/// again.
#[derive(Clone, Debug, Default)]
pub struct Moves(Arc<AtomicU64>);

impl Moves {
    /// Before it changes: who sees the count has to wait for the driver's answer.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// So many until now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

async fn turns(count: u32) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

/// The moment the core is told.
pub(crate) fn now() -> Time {
    Time(since_boot())
}
