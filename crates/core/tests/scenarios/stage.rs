//! Where a story is played: a project, a clock that stands still unless it is told to go on, and the words for what
//! was ordered. An answer is to the last question, run and claim unless the line names another.

use std::collections::BTreeMap;
use std::time::Duration;

use soloist_core::event::{
    Answer, Cause, Diagnosis, Effect, Event, IfHeld, Listening, Note, Notice, Said, Wanted, Watchdog, What,
};
use soloist_core::id::{AskId, ClaimId, Print, RunId, TickId};
use soloist_core::instance::Legacy;
use soloist_core::plan::Plan;
use soloist_core::project::{Orders, Project};
use soloist_core::schedule::civil::{Clock, Moment};
use soloist_core::state::{Status, Word};
use soloist_core::time::Time;

use super::command::{Command, span};
use super::schedule;

/// What an instance asked and got last.
#[derive(Debug, Default)]
struct Last {
    ask: u64,
    claim: u64,
    runs: Vec<RunId>,
    ticks: Vec<TickId>,
    said: String,
}

#[derive(Debug)]
pub struct Stage {
    project: Project,
    now: Time,
    /// Told by `clock`; from then on moments are those of the wall.
    clock: Option<Clock>,
    last: BTreeMap<String, Last>,
    claims: u64,
    lines: Vec<String>,
}

impl Stage {
    pub fn new() -> Stage {
        let now = Time(Duration::from_secs(100));
        Stage {
            project: Project::new(),
            now,
            clock: None,
            last: BTreeMap::new(),
            claims: 0,
            lines: Vec::new(),
        }
    }

    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    pub fn obey(&mut self, line: &str) -> Result<(), String> {
        let command = Command::read(line)?;
        match command.verb.as_str() {
            "service" | "job" => {
                let at = self.project.add(&command.name, command.plan()?, 7, self.now);
                let said = words(&self.project.status(at));
                self.last.insert(command.name, Last { said, ..Last::default() });
                return Ok(());
            }
            "strategy" => {
                self.project.set_strategy(command.strategy()?);
                return Ok(());
            }
            "clock" => {
                let wall = i128::from(schedule::moment(&command.name)?.0) * 1_000_000;
                let clock =
                    Clock { boot_ns: wall - i128::try_from(self.now.0.as_nanos()).unwrap_or_default() };
                self.clock = Some(clock);
                let mut orders = Orders::new();
                self.project.set_clock(self.now, clock, &mut orders);
                self.tell(orders);
                return Ok(());
            }
            "go" => return self.obey_all(&["granted", "spawned"], &command.name, line),
            "end" => return self.obey_all(&["exited", "emptied", "released"], &command.name, line),
            // The machine sleeps: nobody is told of any deadline on the way.
            "sleep" => {
                self.now = self.now + span(&command.name)?;
                return self.wait(Duration::ZERO);
            }
            "wait" => return self.wait(span(&command.name)?),
            "reconcile" => {
                let declared: Vec<usize> =
                    command.name.split(',').filter_map(|name| self.project.position(name)).collect();
                let mut orders = Orders::new();
                self.project.reconcile(self.now, &declared, None, &mut orders);
                self.tell(orders);
                return Ok(());
            }
            _ => {}
        }
        let at = self.project.position(&command.name).ok_or("nobody has that name")?;
        let cause = if command.is("takeover") { Cause::Takeover } else { Cause::User("somebody".to_owned()) };
        let now = self.now;
        let if_held = if command.is("standby") { IfHeld::StandBy } else { IfHeld::Refuse };
        let mut orders = Orders::new();
        match command.verb.as_str() {
            "declare" => {
                let print = Print(command.number("print")?.unwrap_or_default());
                let plan = Plan { kind: self.project.instance(at).plan().kind, ..command.plan()? };
                self.project.replan(now, at, plan, print);
            }
            "remember" => {
                let followed = schedule::moment(command.value("at").ok_or("up to when?")?)?;
                let beat = command.value("beat").map_or(Ok(followed), schedule::moment)?;
                let queue = command.value("queue").map(schedule::moment).transpose()?;
                self.project.remember(at, Legacy { followed, beat, queue: Vec::from_iter(queue) });
            }
            "run" => self.project.run(now, at, cause, &mut orders),
            "start" => self.project.start(now, at, cause, if_held, &mut orders),
            "stop" => self.project.stop(now, at, cause, &mut orders),
            "reload" => self.project.handle(now, at, Event::ReloadAsked { cause }, &mut orders),
            "restart" => self.project.restart(now, at, cause, &mut orders),
            "change" => {
                let ago = command.value("ago").map(span).transpose()?.unwrap_or_default();
                let cause = Cause::File(command.text("of"));
                self.project.renew(now, at, Time(now.0.saturating_sub(ago)), cause, &mut orders);
            }
            _ => {
                let event = self.event(&command)?;
                self.project.handle(now, at, event, &mut orders);
            }
        }
        self.tell(orders);
        Ok(())
    }

    /// The usual answers, one after the other: `go` to a run, `end` of it. A claim is granted and released when it was asked
    /// for, or let go.
    fn obey_all(&mut self, verbs: &[&str], name: &str, line: &str) -> Result<(), String> {
        let at = self.project.position(name).ok_or("nobody has that name")?;
        let rest = line.split_once(' ').map_or("", |(_, rest)| rest);
        for verb in verbs {
            let state = self.project.status(at).state;
            let is_idle = (*verb == "granted" && state != Word::Claiming)
                || (*verb == "released" && state != Word::Stopping);
            if !is_idle {
                self.obey(&format!("{verb} {rest}"))?;
            }
        }
        Ok(())
    }

    fn event(&mut self, command: &Command) -> Result<Event, String> {
        let grants = matches!(command.verb.as_str(), "granted" | "adopted");
        let last = self.last.get_mut(&command.name).ok_or("nobody has that name")?;
        if grants && command.value("claim").is_none() {
            self.claims += 1;
            last.claim = self.claims;
        }
        if command.verb == "adopted" {
            last.runs.push(RunId(0xad0));
            last.ticks.extend(command.is("ticked").then_some(TickId(0xad1)));
        }
        let ask = AskId(command.number("ask")?.unwrap_or(last.ask));
        let claim = ClaimId(command.number("claim")?.unwrap_or(last.claim));
        let nth = command.number("run")?.map_or(last.runs.len(), |nth| nth as usize);
        let run = *nth.checked_sub(1).and_then(|nth| last.runs.get(nth)).unwrap_or(&RunId(0));
        let exit = command.exit()?;
        let pid = command.number("pid")?.map(|pid| pid as u32);
        let ago = command.value("ago").map(span).transpose()?;
        let strangers: Vec<String> = command.value("strangers").map(str::to_owned).into_iter().collect();
        let ports = |key: &str| -> Vec<u16> {
            command.value(key).map_or(Vec::new(), |list| list.split(',').flat_map(str::parse).collect())
        };
        let wanted = if command.is("unwanted") { Wanted::Down } else { Wanted::Up };
        Ok(match command.verb.as_str() {
            "granted" => Event::ClaimGranted { ask, claim },
            "held" => Event::ClaimHeld { ask, by: command.text("by") },
            "claim-failed" => Event::ClaimFailed { ask, why: command.text("why") },
            "ports" => Event::PortsSeen { ask, strangers, free: ports("free") },
            "probed" if command.is("passed") => Event::Probed { ask, outcome: Ok(()) },
            "probed" => Event::Probed { ask, outcome: Err(command.text("why")) },
            "answer" => {
                let nth = command.number("tick")?.map_or(last.ticks.len(), |nth| nth as usize);
                let tick = *nth.checked_sub(1).and_then(|nth| last.ticks.get(nth)).unwrap_or(&TickId(0));
                let summary = command.value("summary").map(str::to_owned);
                let answers = vec![Answer { tick, is_ok: !command.is("error"), summary }];
                Event::Notified { run, notice: Notice { answers, ..Notice::default() } }
            }
            "notified" => Event::Notified { run, notice: notice(command)? },
            "over-memory" => Event::OverMemory { run, what: command.text("what") },
            "spawned" => Event::Spawned { run, pid: pid.unwrap_or(4711) },
            "spawn-failed" => {
                Event::SpawnFailed { run, why: command.text("why"), is_final: command.is("final") }
            }
            "listening" if command.is("ours") => Event::PortsChecked { ask, seen: Listening::Ours },
            "listening" if command.is("not-yet") => Event::PortsChecked { ask, seen: Listening::NotYet },
            "listening" => Event::PortsChecked { ask, seen: Listening::Strangers(strangers) },
            "exited" => Event::MainExited {
                run,
                exit: exit.ok_or("code or signal?")?,
                is_tree_left: command.is("left"),
                diagnosis: command
                    .value("diagnosis")
                    .map(|words| Diagnosis { words: words.to_owned(), is_final: command.is("final") }),
            },
            "emptied" => Event::TreeEmptied { run },
            "stuck" => Event::TreeStuck { run, what: command.text("what") },
            "guard-lost" => Event::GuardLost { claim },
            "released" => Event::Released { claim },
            "replaced" => Event::ClaimReplaced { claim },
            "adopted" => Event::Adopted {
                tick: last.ticks.last().copied().filter(|_| command.is("ticked")),
                claim,
                run,
                pid,
                ports: ports("on"),
                exit,
                ended_at: None,
                since: Time(self.now.0.saturating_sub(ago.unwrap_or_default())),
                wanted,
                was_ready: command.is("ready"),
                notice: Notice {
                    answers: command.value("answered").map(unheard).into_iter().collect(),
                    ..Notice::default()
                },
                print: command.number("print")?.map(Print),
                cause: None,
                recent: Vec::new(),
            },
            "ended-unseen" => Event::EndedUnseen {
                exit,
                ended_at: ago.map(|ago| Time(self.now.0.saturating_sub(ago))),
                is_tree_left: command.is("left"),
                wanted,
                recent: Vec::new(),
                is_current: command.is("current"),
            },
            verb => return Err(format!("`{verb}` is not known")),
        })
    }

    /// Time passes; each deadline on the way is told at its moment.
    fn wait(&mut self, span: Duration) -> Result<(), String> {
        let end = self.now + span;
        for _ in 0..1000 {
            match self.project.next_deadline().filter(|at| *at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => {
                    self.now = end;
                    return Ok(());
                }
            }
            let mut orders = Orders::new();
            self.project.expire(self.now, &mut orders);
            self.lines.push(format!("at {}", self.moment(self.now)));
            self.tell(orders);
        }
        Err("it never comes to rest".to_owned())
    }

    fn tell(&mut self, orders: Orders) {
        for (at, effect) in orders {
            let name = self.project.name(at).to_owned();
            let line = self.order(&name, effect);
            self.lines.push(line);
        }
        for at in 0..self.project.len() {
            let (name, status) = (self.project.name(at).to_owned(), self.project.status(at));
            let said = words(&status);
            let next = status.next.map_or(String::new(), |next| format!(", next at {}", self.moment(next)));
            if let Some(last) = self.last.get_mut(&name).filter(|last| last.said != said) {
                last.said.clone_from(&said);
                self.lines.push(format!("{name} is {said}{next}"));
            }
        }
    }

    fn order(&mut self, name: &str, effect: Effect) -> String {
        let told = self.clock.is_some();
        let due = |at: Option<Moment>| {
            at.filter(|_| told).map_or(String::new(), |at| format!(", due {}", schedule::clock(at)))
        };
        let last = self.last.entry(name.to_owned()).or_default();
        let mut nth = |run: RunId| {
            if !last.runs.contains(&run) {
                last.runs.push(run);
            }
            last.runs.iter().position(|known| *known == run).map_or(0, |at| at + 1)
        };
        match effect {
            Effect::Probe { ask, run, kind, timeout } => {
                let run = nth(run);
                last.ask = ask.0;
                format!("probe {name} run {run}: {kind}, question {}, {timeout:?}", ask.0)
            }
            Effect::Tell { note: Note { what: What::Skipped, count, words, .. } } => {
                format!("tell {name}: skipped {}: {}", count.unwrap_or(1), words.unwrap_or_default())
            }
            Effect::Tell { note } => {
                let words = note.words.filter(|_| matches!(note.what, What::Answered | What::Started));
                let words = words.map_or(String::new(), |words| format!(": {words}"));
                let cause = note.cause.map_or(String::new(), |cause| format!(" by {cause}"));
                let exit = note.exit.map_or(String::new(), |exit| format!(", {exit}"));
                let span = note.span.map_or(String::new(), |span| format!(", {:.3}s", span.as_secs_f64()));
                format!("tell {name}: {}{cause}{exit}{span}{words}", note.what)
            }
            Effect::Record { wanted } => format!("record {name} {wanted}"),
            Effect::AskClaim { ask } => {
                last.ask = ask.0;
                format!("ask claim {name}, question {}", ask.0)
            }
            Effect::LookAtPorts { ask, .. } => {
                last.ask = ask.0;
                format!("look at ports {name}, question {}", ask.0)
            }
            Effect::CheckPorts { ask, run } => {
                let run = nth(run);
                last.ask = ask.0;
                format!("check ports {name} run {run}, question {}", ask.0)
            }
            Effect::Tick { claim, run, tick, scheduled } => {
                let (run, due) = (nth(run), due(Some(scheduled)));
                last.ticks.push(tick);
                format!("tick {name} run {run} under claim {}: tick {}{due}", claim.0, last.ticks.len())
            }
            Effect::Spawn { claim, run, scheduled, .. } => {
                format!("spawn {name} run {} under claim {}{}", nth(run), claim.0, due(scheduled))
            }
            Effect::StopTree { claim, run, grace } => {
                format!("stop tree {name} run {} under claim {}, grace {grace:?}", nth(run), claim.0)
            }
            Effect::KillTree { claim, run } => {
                format!("kill tree {name} run {} under claim {}", nth(run), claim.0)
            }
            Effect::Sweep { claim, run, grace } => {
                format!("sweep {name} run {} under claim {}, grace {grace:?}", nth(run), claim.0)
            }
            Effect::Reload { claim, run } => {
                format!("reload {name} run {} under claim {}", nth(run), claim.0)
            }
            Effect::Release { claim } => format!("release {name} claim {}", claim.0),
        }
    }

    fn moment(&self, at: Time) -> String {
        if let Some(clock) = self.clock {
            return schedule::clock(clock.wall(at));
        }
        format!("{:.3}s", at.0.saturating_sub(Duration::from_secs(100)).as_secs_f64())
    }
}

/// To a tick before the last one.
fn unheard(words: &str) -> Answer {
    Answer { tick: TickId(0xad0), is_ok: true, summary: Some(words.to_owned()) }
}

/// `notified api ready status="12 of 50" alive extend=20s`.
fn notice(command: &Command) -> Result<Notice, String> {
    let said = |key| command.value(key).map(str::to_owned);
    let watchdog = match (command.is("alive"), command.is("trigger")) {
        (_, true) => Some(Watchdog::Trigger),
        (true, false) => Some(Watchdog::Alive),
        (false, false) => None,
    };
    Ok(Notice {
        is_ready: command.is("ready"),
        is_reloading: command.is("reloading"),
        is_stopping: command.is("stopping"),
        main: command.number("main")?.map(|pid| pid as u32),
        watchdog,
        watchdog_every: command.value("watchdog").map(span).transpose()?,
        extend: command.value("extend").map(span).transpose()?,
        answers: Vec::new(),
        said: Said { status: said("status"), state: said("state"), progress: said("progress") },
    })
}

fn words(status: &Status) -> String {
    let refused = if status.refusal.is_some() { ", refused" } else { "" };
    let note = status.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
    let queued = status.outlook.as_ref().map_or(0, |outlook| outlook.queued);
    let queued = if queued > 0 { format!(", {queued} queued") } else { String::new() };
    format!("{}, wanted {}{refused}{note}{queued}", status.state, status.wanted)
}
