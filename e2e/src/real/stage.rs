//! A service of a real program, from start to stop, and all that must be true of it in between: one tree, one listener,
//! nobody beside them. The tests give the program and what is peculiar to it.

use std::time::{Duration, Instant};

use crate::identity::Identity;
use crate::port::{free_port, is_free};
use crate::project::{Project, quoted};
use crate::real::{Real, http};
use crate::status::Service;
use crate::tree::{descendants, executes, listeners};
use crate::{LIMIT, binaries, wait_until};

/// Longer than any reloader takes to serve what it has seen.
const SAVED_AGAIN: Duration = Duration::from_secs(8);
/// The time a stop may take.
const GRACE: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_millis(500);
/// Python's `multiprocessing` has a process that looks after its semaphores. When it is killed nobody misses it, and it
/// is there again when it is needed.
const TRACKER: &str = "multiprocessing.resource_tracker";

/// The service `web` in a project of its own.
#[derive(Debug)]
pub struct Stage {
    /// Its project.
    pub project: Project,
    /// Its port; none for a worker.
    pub port: Option<u16>,
    /// Command lines, without the program's folder, or words of them, and how many processes of a complete tree have each.
    cast: Vec<(&'static str, usize)>,
    /// Parts of command lines of processes that nobody starts again.
    unmissed: Vec<&'static str>,
}

/// All processes of a tree, and which run they belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The run.
    pub run: String,
    /// Parents before their children.
    pub processes: Vec<Identity>,
}

impl Stage {
    /// A server; `{port}` in its command is its port.
    #[track_caller]
    pub fn server(real: &Real, services: &[&str], command: &[&str], more: &str) -> Stage {
        let port = free_port();
        let text = port.to_string();
        let command: Vec<String> = command.iter().map(|word| word.replace("{port}", &text)).collect();
        Stage::new(real, services, &command, Some(port), more)
    }

    /// A worker: it listens on nothing.
    #[track_caller]
    pub fn worker(real: &Real, services: &[&str], command: &[&str], more: &str) -> Stage {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        Stage::new(real, services, &command, None, more)
    }

    #[track_caller]
    fn new(real: &Real, services: &[&str], command: &[String], port: Option<u16>, more: &str) -> Stage {
        let project = real.project(services);
        let port_line = port.map(|port| format!("port = {port}\n")).unwrap_or_default();
        // npm and gunicorn would keep files of theirs in the home folder, beside those of the person who runs the tests.
        let home = project.path("home");
        project.write(
            "soloist.toml",
            &format!(
                "[services.web]\ncommand = {}\n{port_line}stop-grace = \"{}s\"\n\
                 backoff = {{ first = \"50ms\", max = \"200ms\" }}\nrestart-limit = {{ count = 50, period = \"1m\" }}\n\
                 env = {{ HOME = \"{home}\", XDG_RUNTIME_DIR = \"{home}\", npm_config_update_notifier = \"false\" }}\n{more}\n",
                quoted(command),
                GRACE.as_secs(),
            ),
        );
        Stage { project, port, cast: Vec::new(), unmissed: vec![TRACKER] }
    }

    /// Says what a complete tree is: command lines, without the program's folder, or words of them, and how many processes have each.
    #[must_use]
    pub fn cast(mut self, cast: &[(&'static str, usize)]) -> Stage {
        self.cast = cast.to_vec();
        self
    }

    /// Says whom nobody misses when they are killed, by parts of their command lines: the service is right without them.
    #[must_use]
    pub fn unmissed(mut self, roles: &[&'static str]) -> Stage {
        self.unmissed.extend(roles);
        self
    }

    fn is_missed(&self, role: &str) -> bool {
        !self.unmissed.iter().any(|part| role.contains(part))
    }

    /// How many processes must be there again when one was killed.
    fn size(&self, tree: &Tree) -> usize {
        tree.processes.iter().filter(|one| self.is_missed(&one.command())).count()
    }

    /// Starts it and gives the complete tree.
    #[track_caller]
    pub fn up(&self) -> Tree {
        self.project.soloist(&["up", "-d"]).expect(0);
        self.complete()
    }

    /// Waits until its tree is complete and all is as it should be.
    #[track_caller]
    fn complete(&self) -> Tree {
        wait_until("the tree is complete", LIMIT, || {
            let tree = self.tree()?;
            let lines: Vec<String> = tree.processes.iter().map(Identity::command).collect();
            for (role, count) in &self.cast {
                let is_word = !role.contains(' ');
                let whole = format!("/{role}");
                let plays = |line: &&String| {
                    *line == role || line.ends_with(&whole) || is_word && line.contains(role)
                };
                let seen = lines.iter().filter(plays).count();
                if seen != *count {
                    return Err(format!("{seen} of {count} `{role}` in {lines:#?}\n{}", self.said()));
                }
            }
            self.is_right(&tree).map(|()| tree)
        })
    }

    /// The status of the service.
    #[track_caller]
    pub fn service(&self) -> Service {
        self.project.service("web")
    }

    /// What lives of it now, below its guard.
    pub fn tree(&self) -> Result<Tree, String> {
        let record = self.project.record("web").ok_or("there is no record")?;
        let field = |name: &str| record["guard"][name].as_u64().unwrap_or_default();
        let guard = Identity { pid: u32::try_from(field("pid")).unwrap_or_default(), start: field("start") };
        if !guard.is_alive() {
            return Err(format!("no guard lives: {record}"));
        }
        let run = record["run_id"].as_str().unwrap_or_default().to_owned();
        Ok(Tree { run, processes: descendants(guard) })
    }

    /// Whether all is as it should be: it answers, is ready, and there is no other listener and no other process.
    pub fn is_right(&self, tree: &Tree) -> Result<(), String> {
        if let Some(port) = self.port {
            match http::get(port) {
                Ok((200, _)) => {}
                other => return Err(format!("it answers {other:?}\n{}", self.said())),
            }
            let mut holders = listeners(port);
            let Some(listener) = holders.pop().filter(|_| holders.is_empty()) else {
                return Err(format!("not one listener on {port}, but {holders:?} and more, or none"));
            };
            let is_ours = |pid: &u32| tree.processes.iter().any(|one| one.pid == *pid);
            if !listener.iter().all(is_ours) {
                return Err(format!("{listener:?} listen, and not all are of {tree:?}"));
            }
        }
        let beside = self.beside(tree);
        if !beside.is_empty() {
            return Err(format!("beside the tree: {beside:?}"));
        }
        let service = self.service();
        if !service.ready || service.state != "ready" {
            return Err(format!("{service:?}\n{}", self.project.diary()));
        }
        Ok(())
    }

    /// Processes of the project that are neither soloist's own nor of the tree.
    fn beside(&self, tree: &Tree) -> Vec<Identity> {
        let mut all = self.project.processes();
        all.retain(|one| !executes(*one, &binaries().soloist) && !tree.processes.contains(one));
        // A process may have been born, and one that left it be gone, between the two looks.
        let now = self.tree().map(|tree| tree.processes).unwrap_or_default();
        all.retain(|one| one.is_alive() && !now.contains(one));
        all
    }

    /// Kills each process of a complete tree in turn; each time the service must be whole again, by itself or by soloist,
    /// and never are there two.
    #[track_caller]
    pub fn survives_the_death_of_each(&self) {
        let mut tree = self.up();
        let size = self.size(&tree);
        for (role, turn) in tree.roles() {
            // npm gives itself its title a while after it has begun.
            let victim = wait_until(&format!("somebody is `{role}`"), LIMIT, || {
                tree = self.tree()?;
                tree.player(&role, turn).ok_or_else(|| format!("nobody is in {:#?}", tree.lines()))
            });
            let restarts = self.service().restarts;
            assert!(victim.kill(), "{victim} was not killed");
            tree = wait_until(&format!("it is whole after `{role}` was killed"), LIMIT, || {
                let now = self.tree()?;
                self.is_not_doubled(&tree, &now);
                if victim.is_alive() {
                    return Err("the killed one lives".to_owned());
                }
                if self.size(&now) != size {
                    return Err(format!("not {size}, but {:#?}\n{}", now.lines(), self.said()));
                }
                self.is_right(&now).map(|()| now)
            });
            let again = self.service().restarts - restarts;
            assert!(again <= 1, "restarted {again} times after `{role}` was killed\n{}", self.said());
            // The next one is killed in a complete tree again.
            if !self.is_missed(&role) {
                self.project.soloist(&["restart", "web"]).expect(0);
                tree = self.up();
            }
        }
    }

    /// A new run while one of the old still lives would be two.
    #[track_caller]
    fn is_not_doubled(&self, before: &Tree, now: &Tree) {
        if before.run == now.run || now.processes.is_empty() {
            return;
        }
        let left: Vec<&Identity> = before.processes.iter().filter(|one| one.is_alive()).collect();
        assert!(left.is_empty(), "two at once: {left:?} of {before:?}, and {now:?}");
    }

    /// Stops it: nothing is left and the port is free, within the grace.
    #[track_caller]
    pub fn stops(&self) {
        let tree = self.tree().unwrap_or_else(|e| panic!("{e}"));
        let output = self.project.soloist(&["stop", "web"]).expect(0);
        let left: Vec<&Identity> = tree.processes.iter().filter(|one| one.is_alive()).collect();
        assert!(left.is_empty(), "alive after {output}: {left:?}");
        let none = Tree { run: String::new(), processes: Vec::new() };
        assert_eq!(self.beside(&none), [], "alive after {output}");
        assert!(self.port.is_none_or(is_free), "the port is taken after {output}");
        output.is_within(GRACE + SLACK);
        assert_eq!(self.service().state, "stopped");
    }

    /// Edits the version in a file: the program serves the new one by itself, and that is no crash.
    #[track_caller]
    pub fn serves_an_edit(&self, file: &str) {
        let before = self.service();
        assert!(self.body().contains("version 1"), "{}", self.body());
        let text = self.project.read(file).replace("VERSION = 1", "VERSION = 2");
        self.project.write(file, &text);
        let mut saved = Instant::now();
        wait_until("the edit is served", LIMIT, || {
            let body = self.body();
            // A reloader serves before it watches: what was saved in between it never sees. A person saves again.
            if saved.elapsed() > SAVED_AGAIN {
                self.project.write(file, &text);
                saved = Instant::now();
            }
            if body.contains("version 2") { Ok(()) } else { Err(format!("{body}\n{}", self.said())) }
        });
        let tree = self.complete();
        let after = self.service();
        let same = (before.run_id, before.pid, before.restarts);
        assert_eq!(same, (after.run_id, after.pid, after.restarts), "it was restarted: {tree:?}");
    }

    /// What it answers now; an error in words.
    pub fn body(&self) -> String {
        let port = self.port.unwrap_or_default();
        http::get(port).map_or_else(|e| e.to_string(), |(status, body)| format!("{status} {body}"))
    }

    /// What it and the daemon wrote, for messages.
    pub fn said(&self) -> String {
        let log = self.project.log("web");
        let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(3000)..]).into_owned();
        format!("log:\n{tail}\n{}", self.project.diary())
    }
}

impl Tree {
    /// Each process by its command line, and the how manieth of that line it is.
    fn roles(&self) -> Vec<(String, usize)> {
        let roles: Vec<String> = self.processes.iter().map(role).collect();
        let turn = |place: usize| roles[..place].iter().filter(|other| **other == roles[place]).count();
        roles.iter().enumerate().map(|(place, role)| (role.clone(), turn(place))).collect()
    }

    fn player(&self, wanted: &str, turn: usize) -> Option<Identity> {
        self.processes.iter().filter(|one| role(one) == wanted).nth(turn).copied()
    }

    fn lines(&self) -> Vec<String> {
        self.processes.iter().map(ToString::to_string).collect()
    }
}

/// The command line without numbers, which differ from run to run: descriptors, pids.
fn role(process: &Identity) -> String {
    process.command().chars().filter(|letter| !letter.is_ascii_digit()).collect()
}
