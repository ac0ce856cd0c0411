//! The taking over of ports: whom it would end, in words, and the doing. Strangers are pinned when the plan is made, and
//! nobody is signalled whom it does not show; what would start them again is ended with them.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use soloist_api::error::{Code, Problem};
use soloist_api::request::Change;
use soloist_os::claim::held_by;
use soloist_os::identity::{Pinned, SIGNAL_CONTINUE, SIGNAL_KILL, SIGNAL_TERMINATE, my_uid};
use soloist_os::layout::Layout;
use soloist_os::ports::Owner;

use super::respawn::{self, Parent};
use super::words::{describe_owner, refusal};
use super::{Class, Held, ancestors, are_free, describe, who};
use crate::{convert, runs, serve};

/// So long the ports are watched for somebody who comes back.
const WATCHED: Duration = Duration::from_millis(1500);
/// How often.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How often those who come back are ended.
const ROUNDS: usize = 3;
/// What the guards of another project may take to bring back its daemon.
const BROUGHT_BACK: Duration = Duration::from_secs(3);
/// What a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(2);

/// Which ports are to be had, and by whom.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The ports.
    pub ports: &'a [u16],
    /// The instances that they are for: these are in nobody's way.
    pub own: &'a [String],
    /// Between the polite signal and the kill.
    pub grace: Duration,
    /// Who asks, in words: told to another soloist.
    pub who: &'a str,
}

/// Who has to go.
#[derive(Debug, Default)]
pub struct Plan {
    steps: Vec<Step>,
    /// Who is in the way and is not ended, with the reason and the right command.
    pub refused: Vec<String>,
    /// Parents that are not in it, each with the command of a child that is.
    above: Vec<(u32, u64, Vec<String>)>,
}

#[derive(Debug)]
struct Step {
    words: String,
    act: Act,
}

#[derive(Debug)]
enum Act {
    /// soloist's own are asked for.
    Ask { project: PathBuf, service: String },
    /// Pinned, and whether it is stopped.
    End { pinned: Pinned, is_stopped: bool, is_stranger: bool },
}

impl Plan {
    /// Whether nobody is in the way.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.refused.is_empty()
    }

    /// Whether only what earlier runs of this project left would be ended.
    pub fn is_own(&self) -> bool {
        self.steps.iter().all(|step| matches!(step.act, Act::End { is_stranger: false, .. }))
    }

    /// Each step in words, in the order in which they are done.
    pub fn words(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.words.clone()).collect()
    }

    /// As a refusal to do it unasked; with the reasons, if it cannot be done at all.
    pub fn problem(&self, hint: &str) -> Problem {
        if self.refused.is_empty() {
            let words = format!("this would have to go:\n  {}", self.words().join("\n  "));
            return Problem::new(Code::PortHeld, words).hint(hint);
        }
        Problem::new(Code::PortHeld, self.refused.join("\n"))
    }
}

/// Looks who is in the way, on the ports or as a `soloist run` of the same name, and pins them.
pub fn plan(layout: &Layout, wish: &Wish<'_>) -> io::Result<Plan> {
    let mut plan = plan_again(layout, wish, &[])?;
    for name in wish.own {
        if let Some(place) = runs::place_of(layout, name) {
            let who =
                held_by(&place).map_or_else(|| "held".to_owned(), |held| convert::holder_to_text(&held));
            let words = format!("{name}: {who}: soloist is asked to stop it");
            let act = Act::Ask { project: layout.root.clone(), service: name.clone() };
            plan.push(Step { words, act });
        }
    }
    Ok(plan)
}

/// `above`: parents of those that were ended, which have proven what they are if they have the same child once more.
fn plan_again(layout: &Layout, wish: &Wish<'_>, above: &[(u32, u64, Vec<String>)]) -> io::Result<Plan> {
    let mut plan = Plan::default();
    if are_free(wish.ports) {
        return Ok(plan);
    }
    let ours = ancestors(std::process::id());
    for port in wish.ports {
        for held in who(layout, *port)? {
            match &held.class {
                Class::Ours { service } | Class::Leftover { service } if wish.own.contains(service) => {}
                Class::Ours { service } => plan.ask(&layout.root, service, &held),
                Class::OtherProject { service, project } => plan.ask(project, service, &held),
                Class::Leftover { .. } | Class::Stranger => {
                    let is_stranger = held.class == Class::Stranger;
                    for owner in &held.listener.owners {
                        plan.end(owner, *port, is_stranger, &ours, above);
                    }
                }
                Class::Daemon { .. }
                | Class::Unit { .. }
                | Class::Container { .. }
                | Class::OtherUser
                | Class::Unknown => {
                    let why = refusal(&held).unwrap_or_default();
                    plan.refused.push(format!("{}: {why}", describe(&held)));
                }
            }
        }
    }
    Ok(plan)
}

impl Plan {
    fn ask(&mut self, project: &Path, service: &str, held: &Held) {
        let act = Act::Ask { project: project.to_owned(), service: service.to_owned() };
        self.push(Step { words: format!("{}: soloist is asked to stop it", describe(held)), act });
    }

    /// An owner, after all above it that would start it again.
    fn end(
        &mut self,
        owner: &Owner,
        port: u16,
        is_stranger: bool,
        ours: &HashSet<u32>,
        above: &[(u32, u64, Vec<String>)],
    ) {
        if ours.contains(&owner.pid) || owner.pid <= 1 {
            let words = describe_owner(owner);
            return self
                .refused
                .push(format!("{words} listens on port {port}: this command was started by it"));
        }
        let mut chain = vec![(owner.clone(), format!("it listens on port {port}"))];
        let mut at = owner.clone();
        while let Some(parent) = at.parent.filter(|_| is_stranger).and_then(soloist_os::process) {
            if parent.pid <= 1 || parent.uid != my_uid() || ours.contains(&parent.pid) {
                break;
            }
            let is_proven = above.contains(&(parent.pid, parent.start_ticks, at.command.clone()));
            let why = match respawn::of(&parent, &at) {
                Parent::Starter(why) => why,
                Parent::Other if is_proven => "it has started it again",
                Parent::Supervisor(remedy) => {
                    let (words, by) = (describe_owner(owner), describe_owner(&parent));
                    let refused =
                        format!("{words} listens on port {port}: {by} would start it again; use {remedy}");
                    return self.refused.push(refused);
                }
                Parent::Spared if is_proven => {
                    let (words, by) = (describe_owner(owner), describe_owner(&parent));
                    return self.refused.push(format!(
                        "{words} listens on port {port}: {by} starts it again; end that there"
                    ));
                }
                Parent::Spared | Parent::Other => {
                    self.above.push((parent.pid, parent.start_ticks, at.command.clone()));
                    break;
                }
            };
            chain.push((parent.clone(), why.to_owned()));
            at = parent;
        }
        for (process, why) in chain.into_iter().rev() {
            // One that has ended meanwhile holds nothing any more.
            if let Some(pinned) = process.pin() {
                let act = Act::End { pinned, is_stopped: process.state == 'T', is_stranger };
                self.push(Step { words: format!("{}: {why}", describe_owner(&process)), act });
            }
        }
    }

    fn push(&mut self, step: Step) {
        let is_known = self.steps.iter().any(|known| match (&known.act, &step.act) {
            (Act::Ask { project: a, service: b }, Act::Ask { project, service }) => {
                a == project && b == service
            }
            (Act::End { pinned: a, .. }, Act::End { pinned, .. }) => a.identity == pinned.identity,
            (Act::Ask { .. }, Act::End { .. }) | (Act::End { .. }, Act::Ask { .. }) => false,
        });
        if !is_known {
            self.steps.push(step);
        }
    }
}

/// Does as planned, then watches the ports; who comes back is ended with what brought it back. Says what it has ended
/// and returns that. Must not be called on a thread that a runtime drives.
///
/// # Errors
/// `PortHeld` if somebody may not be ended, cannot be, or comes back again and again.
pub fn take(
    layout: &Layout,
    wish: &Wish<'_>,
    mut plan: Plan,
    say: &dyn Fn(&str),
) -> Result<Vec<String>, Problem> {
    soloist_os::fail_point!("client.takeover-planned");
    let mut ended = Vec::new();
    let mut above = Vec::new();
    for _ in 0..ROUNDS {
        if !plan.refused.is_empty() {
            return Err(plan.problem(""));
        }
        above.append(&mut plan.above);
        let told = ended.len();
        carry_out(&plan, wish, &mut ended)?;
        ended[told..].iter().for_each(|words| say(&format!("ended {words}")));
        match come_back(layout, wish, &above)? {
            None => {
                soloist_os::fail_point!("client.takeover-done");
                return Ok(ended);
            }
            Some(again) => plan = again,
        }
    }
    let words = plan.words().join("\n  ");
    Err(Problem::new(Code::PortHeld, format!("it comes back again and again; the last time:\n  {words}")))
}

/// Polite signals first, the starters before those that they start; one grace for all, then the kill.
fn carry_out(plan: &Plan, wish: &Wish<'_>, ended: &mut Vec<String>) -> Result<(), Problem> {
    for step in &plan.steps {
        match &step.act {
            Act::Ask { project, service } => {
                ask_to_stop(project, service, wish.who)?;
                ended.push(step.words.clone());
            }
            Act::End { pinned, is_stopped, .. } => {
                // NotFound is an end too.
                let _ = pinned.signal(SIGNAL_TERMINATE);
                if *is_stopped {
                    let _ = pinned.signal(SIGNAL_CONTINUE);
                }
            }
        }
    }
    soloist_os::fail_point!("client.takeover-signalled");
    let end = Instant::now() + wish.grace;
    let mut stuck = Vec::new();
    for step in &plan.steps {
        let Act::End { pinned, .. } = &step.act else { continue };
        if !pinned.wait(end.saturating_duration_since(Instant::now()))? {
            let _ = pinned.signal(SIGNAL_KILL);
        }
    }
    for step in &plan.steps {
        let Act::End { pinned, .. } = &step.act else { continue };
        if pinned.wait(KILLED)? {
            ended.push(step.words.clone());
        } else {
            let now = soloist_os::process(pinned.identity.pid);
            stuck.push(now.as_ref().map_or_else(|| step.words.clone(), describe_owner));
        }
    }
    if stuck.is_empty() {
        return Ok(());
    }
    let words = format!("killed, but still there: {}", stuck.join("; "));
    Err(Problem::new(Code::PortHeld, words).hint("it goes when what it waits for comes; take another port"))
}

/// Watches the ports for a while: the plan against whoever comes, if somebody does.
fn come_back(
    layout: &Layout,
    wish: &Wish<'_>,
    above: &[(u32, u64, Vec<String>)],
) -> io::Result<Option<Plan>> {
    let end = Instant::now() + WATCHED;
    while Instant::now() < end {
        let plan = plan_again(layout, wish, above)?;
        if !plan.is_empty() {
            return Ok(Some(plan));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(None)
}

/// Asks the soloist of a project for the end of an instance; where no daemon lives, its `run` or what is left of it.
fn ask_to_stop(project: &Path, service: &str, who: &str) -> Result<(), Problem> {
    let layout = Layout::new(project)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // A daemon that died is brought back by its guards, in an environment that its services know; ours is not that.
        let end = Instant::now() + BROUGHT_BACK;
        while serve::is_missed(&layout).await && Instant::now() < end {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        match serve::existing(&layout).await? {
            Some((client, _)) => {
                let change = Change { who: Some(who.to_owned()), ..Change::default() };
                client.change(service, "stop", &change).await.map(drop)
            }
            None => runs::stop_alone(&layout, service).map(drop),
        }
    })
}
