//! The kill matrix: every actor is killed at every step of a service's life, and all must come right within a stated time.
//! A fail point has one process stand still at the step; somebody is killed just then; whoever stood still goes on. The
//! steps are `matrix/steps.rs`, what must be true then `matrix/judge.rs`, the table `matrix/table.rs`.

pub mod judge;
pub mod steps;
pub mod table;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::matrix::judge::Goal;
use crate::matrix::steps::Step;
use crate::puppet::journal::now;
use crate::{Background, Identity, Project, daemon, wait_until};

/// Within this time all must have come right after a kill.
pub const LIMIT: Duration = Duration::from_secs(10);
/// Within this time a step must be come by.
const STEP_LIMIT: Duration = Duration::from_secs(30);

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// The project's daemon.
    Daemon,
    /// The process that guards the service's tree.
    Guard,
    /// The process that forks guards.
    Zygote,
    /// The shell that the service's program is wrapped in: what soloist started.
    Shell,
    /// The service's program.
    Main,
    /// The program's child.
    Worker,
    /// The command that somebody typed.
    Client,
}

/// All actors: the letter by which a step names each, and what it is called.
pub const ACTORS: [(Actor, char, &str); 7] = [
    (Actor::Daemon, 'D', "daemon"),
    (Actor::Guard, 'G', "guard"),
    (Actor::Zygote, 'Z', "zygote"),
    (Actor::Shell, 'S', "shell"),
    (Actor::Main, 'M', "main process"),
    (Actor::Worker, 'W', "worker"),
    (Actor::Client, 'C', "client"),
];

/// A project in which one step is taken again and again, while the same actor is killed at each of its moments.
pub struct Stage {
    /// Its folder.
    pub project: Project,
    /// The port of its service.
    pub port: u16,
    /// Who has the port before it is taken over.
    stranger: Option<Background>,
    /// Who stood still last.
    standing: Option<Identity>,
    /// Runs whose guard was killed: how those ended nobody can know.
    excused: BTreeSet<String>,
    /// The times of those kills, from before each until all was right again; in nanoseconds of CLOCK_MONOTONIC.
    guardless: Vec<RangeInclusive<u64>>,
    /// How many runs had begun before the kill.
    begun_before: usize,
    edits: u32,
}

impl Stage {
    /// For a step; nothing runs yet.
    #[track_caller]
    pub fn new(step: &Step) -> Stage {
        let project = Project::empty().with_fail_points();
        let stage = Stage {
            project,
            port: crate::free_port(),
            stranger: None,
            standing: None,
            excused: BTreeSet::new(),
            guardless: Vec::new(),
            begun_before: 0,
            edits: 0,
        };
        stage.declare(step, 0);
        stage
    }

    fn declare(&self, step: &Step, edition: u32) {
        self.project.write("soloist.toml", &(step.declaration)(&self.project, self.port, edition));
    }

    /// Kills the actor at one moment of a step; gives how long it took until all was right.
    #[track_caller]
    pub fn play(&mut self, step: &Step, point: &str, actor: Actor) -> Duration {
        let began = now();
        self.prepare(step);
        self.project.arm(point);
        let mut client = self.begin(step);
        let standing = wait_until(&format!("`{point}` is come by"), STEP_LIMIT, || {
            self.project.standing_at(point).ok_or_else(|| self.state_of(client.as_ref()))
        });
        self.standing = Some(standing);
        // Who has just been started may not be there yet.
        let victim = wait_until(&format!("a {actor:?} lives at `{point}`"), LIMIT, || {
            let found = self.find(actor, point, standing, client.as_ref());
            found.ok_or_else(|| self.state_of(client.as_ref()))
        });
        let begun = self.begun();
        self.begun_before = begun.len();
        if actor == Actor::Guard {
            self.excused.extend(begun.last().cloned());
        }
        victim.kill();
        let killed = Instant::now();
        wait_until("the victim is dead", LIMIT, || if victim.is_alive() { Err(victim) } else { Ok(()) });
        standing.signal(Signal::CONT);
        if let Some(client) = &mut client {
            wait_until("the command has ended", LIMIT, || match client.ended() {
                Some(_) => Ok(()),
                None => Err(format!("{}\n{}", client.said(), self.project.diary())),
            });
            if !client.ended().is_some_and(|status| status.success()) {
                // Whoever is told that it failed, or has lost the command, gives it again.
                self.project.soloist(step.command).expect(0);
            }
        }
        let limit = LIMIT.saturating_sub(killed.elapsed());
        wait_until("all is right again", limit, || {
            self.is_right(step.goal).map_err(|why| format!("{why}\n{}", self.project.diary()))
        });
        let took = killed.elapsed();
        if actor == Actor::Guard {
            self.guardless.push(began..=now());
            // One that was started and had not noted itself yet.
            self.excused.extend(self.begun().get(self.begun_before).cloned());
        }
        wait_until("all is told", LIMIT, || {
            self.is_told(step).map_err(|why| format!("{why}\n{}", self.project.diary()))
        });
        self.stranger = None;
        took
    }

    /// As it is before the step.
    fn prepare(&mut self, step: &Step) {
        self.declare(step, self.edits);
        match step.before {
            Goal::Up => {
                self.project.soloist(&["ensure", "s"]).expect(0);
                // What was killed last and is not needed is not missed, but is to be killed again.
                let lives = |actor| self.cast().iter().any(|(its, _)| *its == actor);
                if !lives(Actor::Worker) || !lives(Actor::Zygote) {
                    self.project.soloist(&["stop", "s"]).expect(0);
                    self.project.soloist(&["start", "s"]).expect(0);
                }
            }
            Goal::Stopped => {
                self.project.soloist(&["start", "s"]).expect(0);
                self.project.soloist(&["stop", "s"]).expect(0);
            }
            Goal::Gone => drop(self.project.soloist(&["down"]).expect(0)),
            Goal::Going => drop(self.project.soloist(&["up", "-d"]).expect(0)),
        }
        self.begun_before = self.begun().len();
        wait_until("all is as it was before", STEP_LIMIT, || self.is_right(step.before));
    }

    /// Takes the step, or gives the command that does.
    fn begin(&mut self, step: &Step) -> Option<Background> {
        match step.deed {
            steps::Deed::Command => {}
            steps::Deed::Edit => {
                self.edits += 1;
                self.declare(step, self.edits);
            }
            steps::Deed::Stranger => {
                let port = self.port.to_string();
                self.stranger = Some(self.project.stranger(&crate::puppet(&["--listen", &port])));
                wait_until("the stranger listens", LIMIT, || {
                    if crate::is_free(self.port) { Err("nobody does") } else { Ok(()) }
                });
            }
            steps::Deed::Exit => drop(self.project.write("end", "")),
            steps::Deed::KillDaemon => drop(daemon::kill(&self.project)),
            steps::Deed::Wait => {}
        }
        (!step.command.is_empty()).then(|| self.project.spawn(step.command))
    }

    /// Who this actor is now; of two, the older one, or the one that stands still.
    fn find(
        &self,
        actor: Actor,
        point: &str,
        standing: Identity,
        client: Option<&Background>,
    ) -> Option<Identity> {
        let standing_role = match point.split_once('.')?.0 {
            "daemon" => Actor::Daemon,
            "guard" => Actor::Guard,
            "zygote" => Actor::Zygote,
            _ => Actor::Client,
        };
        if actor == standing_role {
            return Some(standing);
        }
        if actor == Actor::Client {
            return client.map(Background::identity).filter(Identity::is_alive);
        }
        let mut found: Vec<Identity> =
            self.cast().into_iter().filter(|(its, _)| *its == actor).map(|(_, who)| who).collect();
        found.sort_by_key(|one| (one.start, one.pid));
        found.first().copied()
    }

    /// All who live, but for clients.
    pub fn cast(&self) -> Vec<(Actor, Identity)> {
        let role = |one: &Identity| {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", one.pid)).ok()?;
            Some(match name.trim() {
                "soloist-daemon" => Actor::Daemon,
                "soloist-guard" => Actor::Guard,
                "soloist-zygote" => Actor::Zygote,
                "sh" => Actor::Shell,
                "puppet" if one.command().contains("--child ") => Actor::Worker,
                "puppet" => Actor::Main,
                _ => return None,
            })
        };
        self.project.processes().into_iter().filter_map(|one| Some((role(&one)?, one))).collect()
    }

    /// The runs that have begun, as their shells noted them.
    pub fn begun(&self) -> Vec<String> {
        self.project.read("lives").lines().map(str::to_owned).collect()
    }

    fn state_of(&self, client: Option<&Background>) -> String {
        let said = client.map(Background::said).unwrap_or_default();
        format!("{:?}\n{said}\n{}", self.cast(), self.project.diary())
    }
}

impl Drop for Stage {
    /// Nobody stands still when the project is ended.
    fn drop(&mut self) {
        self.project.disarm_all();
        if let Some(standing) = self.standing {
            standing.signal(Signal::CONT);
        }
    }
}
