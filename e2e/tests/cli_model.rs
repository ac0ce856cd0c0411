//! Random sequences of commands and misfortunes, each in a project of its own, beside a small reference model: after each of
//! them exit code, states, wishes and main processes are those that the model tells. A sequence that goes otherwise is
//! told as short as it can be made. `E2E_SEED` and `E2E_SEQUENCES` play others, and more.

mod model;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use e2e::wait::within;
use e2e::{Background, Identity, Journal, LIMIT, Project, Random, daemon, free_port, puppet, quoted};
use model::{At, BASE, Deed, Model, NAMES, ONCE, SCAN, SOLO};

const LENGTH: usize = 12;
const WORKERS: usize = 4;
const SEQUENCES: u64 = 40;
const SEED: u64 = 0x50_1015;
/// So many that go otherwise are told.
const ENOUGH: usize = 4;

/// They went otherwise once: a `stop` ended the `run` for which another run then began at once, and knew nothing of a `run`
/// that was over; a `restart` of what stood by took a minute to say that.
const KEPT: [&[Deed]; 3] = [
    &[Deed::Run(ONCE), Deed::Up, Deed::Stop(ONCE)],
    &[Deed::Run(ONCE), Deed::Up, Deed::Restart(ONCE)],
    &[Deed::Pause, Deed::Run(SOLO), Deed::KillMain(SOLO), Deed::Stop(SOLO)],
];

/// A project, what is expected of it, and what was seen of it last.
struct Stage {
    /// First: they are ended before the project is looked at for what is left.
    runs: [Option<Background>; 5],
    project: Project,
    port: u16,
    model: Model,
    /// The last main process of each, and in which of its lives.
    seen: [Option<(u32, Identity)>; 5],
}

impl Stage {
    fn new() -> Stage {
        let (project, port) = (Project::empty(), free_port());
        let stage =
            Stage { project, port, model: Model::default(), runs: Default::default(), seen: [None; 5] };
        stage.declare();
        stage
    }

    fn token(&self, who: usize) -> String {
        self.project.path(&format!("token-{}", NAMES[who]))
    }

    fn declare(&self) {
        let mut toml = String::new();
        let more = [
            format!("port = {}", self.port),
            "depends-on = [\"base\"]".to_owned(),
            "restart = \"no\"".to_owned(),
        ];
        for (who, more) in more.iter().enumerate() {
            let (token, port) = (self.token(who), self.port.to_string());
            let mut flags = vec!["--token-file", &token];
            if who == BASE {
                flags.extend(["--listen", &port]);
            }
            let mut command =
                ["/bin/sh", "-c", "trap '' USR1; exec \"$0\" \"$@\""].map(str::to_owned).to_vec();
            command.extend(puppet(&flags));
            toml += &format!(
                "[services.{}]\ncommand = {}\nenv = {{ EDITION = \"{}\" }}\nreload-signal = \"USR1\"\n{more}\n\
                 backoff = {{ first = \"10ms\", max = \"20ms\" }}\nrestart-limit = {{ count = 100, period = \"1m\" }}\n",
                NAMES[who],
                quoted(&command),
                self.model.ones[who].written
            );
        }
        let turn = quoted(&["/bin/sh", "-c", "echo ran >> turns"]);
        toml += &format!(
            "[jobs.scan]\ncommand = {turn}\nevery = \"1h\"\nrun-on-start = false\nenv = {{ EDITION = \"{}\" }}\n",
            self.model.ones[SCAN].written
        );
        self.project.write("soloist.toml", &toml);
    }

    /// Does it, and compares.
    fn play(&mut self, deed: Deed) -> Result<(), String> {
        if !self.model.can(deed) {
            return Ok(());
        }
        let before = self.model.clone();
        let expected = self.model.take(deed);
        let (code, said) = self.act(deed, expected)?;
        if code != expected {
            return Err(format!("exit code {code}, not {expected}: {said}"));
        }
        for who in [ONCE, SOLO] {
            let is_over = before.ones[who].is_run && !self.model.ones[who].is_run;
            if let Some(run) = self.runs[who].as_mut().filter(|_| is_over) {
                within(LIMIT, || run.ended().map(drop).ok_or_else(|| "its `run` goes on".to_owned()))?;
            }
        }
        // What returns when it is so must not be so only later; a killed one, and one that stands by, takes its time.
        let is_later = matches!(deed, Deed::KillMain(_) | Deed::KillDaemon | Deed::Run(_) | Deed::RunNow);
        let limit = if is_later { LIMIT } else { Duration::ZERO };
        within(limit, || self.compare()).map_err(|what| format!("{what}\nafter {said}"))?;
        self.look();
        Ok(())
    }

    /// The exit code, and what was said.
    fn act(&mut self, deed: Deed, expected: i32) -> Result<(i32, String), String> {
        let port = self.port.to_string();
        let words: Vec<&str> = match deed {
            Deed::Up => vec!["up", "-d"],
            Deed::Down => vec!["down"],
            Deed::Start(who) => vec!["start", NAMES[who]],
            Deed::Stop(who) => vec!["stop", NAMES[who]],
            Deed::Restart(who) => vec!["restart", NAMES[who]],
            Deed::Ensure(who) => vec!["ensure", NAMES[who]],
            Deed::Reload(who) => vec!["reload", NAMES[who]],
            Deed::Pause => vec!["schedule", "pause", "scan"],
            Deed::Resume => vec!["schedule", "resume", "scan"],
            Deed::RunNow => vec!["schedule", "run", "scan"],
            Deed::WaitReady(who) => vec!["wait", NAMES[who], "--for", "ready", "--timeout", "50ms"],
            Deed::WaitStopped(who) => vec!["wait", NAMES[who], "--for", "stopped", "--timeout", "50ms"],
            Deed::Port => vec!["port", "base"],
            Deed::Who => vec!["who", &port],
            Deed::Status(who) => vec!["status", NAMES[who]],
            Deed::Edit(_) => {
                self.declare();
                return Ok((0, "an edit".to_owned()));
            }
            Deed::KillMain(who) => {
                let (_, main) = self.seen[who].ok_or("nothing was seen of it")?;
                return main
                    .kill()
                    .then(|| (0, format!("the death of {main}")))
                    .ok_or("it was dead".to_owned());
            }
            Deed::KillDaemon => {
                return Ok((0, format!("the death of the daemon, {}", daemon::kill(&self.project))));
            }
            Deed::Run(who) => return self.run(who, expected),
        };
        let output = self.project.soloist(&words);
        Ok((output.code(), output.to_string()))
    }

    fn run(&mut self, who: usize, expected: i32) -> Result<(i32, String), String> {
        let mut words = vec!["run".to_owned(), NAMES[who].to_owned(), "--".to_owned()];
        words.extend(puppet(&["--token-file", &self.token(who)]));
        let mut run = self.project.spawn(&words);
        if expected == 0 {
            self.runs[who] = Some(run);
            return Ok((0, "`soloist run`".to_owned()));
        }
        within(LIMIT, || run.ended().map(drop).ok_or_else(|| "a second `run` goes on".to_owned()))?;
        let output = run.wait(LIMIT);
        Ok((output.code(), output.to_string()))
    }

    /// What is seen against what is expected.
    fn compare(&self) -> Result<(), String> {
        let status = self.project.status();
        if status.daemon.is_some() != self.model.has_daemon {
            return Err(format!("the daemon is {:?}", status.daemon));
        }
        for (who, one) in self.model.ones.iter().enumerate() {
            let found = status.services.iter().find(|service| service.name == NAMES[who]);
            if who == SOLO && !one.is_run {
                match found {
                    None => continue,
                    Some(found) => return Err(format!("solo is told: {found:?}")),
                }
            }
            let found = found.ok_or_else(|| format!("{} is not told", NAMES[who]))?;
            let (state, is_wanted) = one.shown();
            let wanted = if is_wanted { "up" } else { "down" };
            if (found.state.as_str(), found.wanted.as_str(), found.ready) != (state, wanted, state == "ready")
            {
                return Err(format!("{} is not {state} and wanted {wanted}: {found:?}", NAMES[who]));
            }
            let main = found.pid.and_then(Identity::of).filter(Identity::is_alive);
            // What stands by tells of nobody.
            let Some(main) = main else {
                if state == "ready" {
                    return Err(format!("{} has no main process: {found:?}", NAMES[who]));
                }
                continue;
            };
            let (is_new, last) =
                self.seen[who].map_or((true, None), |(life, last)| (life != one.life, Some(last)));
            if is_new == (last == Some(main)) {
                let how = if is_new { "the same as before" } else { "another one" };
                return Err(format!("{}: the main process {main} is {how}", NAMES[who]));
            }
            let edition = format!("EDITION={}", one.ran);
            let environment = std::fs::read(format!("/proc/{}/environ", main.pid)).unwrap_or_default();
            if one.at == At::Ready
                && !environment.split(|byte| *byte == 0).any(|entry| entry == edition.as_bytes())
            {
                return Err(format!("{}: {main} was not started with {edition}", NAMES[who]));
            }
        }
        let turns = self.project.read("turns").lines().count();
        if turns != self.model.turns {
            return Err(format!("scan ran {turns} times, not {}", self.model.turns));
        }
        Ok(())
    }

    /// Notes who is there now.
    fn look(&mut self) {
        let status = self.project.status();
        for (who, one) in self.model.ones.iter().enumerate().filter(|(_, one)| one.is_up()) {
            let found = status.services.iter().find(|service| service.name == NAMES[who]);
            // What stands by tells of nobody.
            if let Some(main) = found.and_then(|found| found.pid).and_then(Identity::of) {
                self.seen[who] = Some((one.life, main));
            }
        }
    }

    /// In the end nothing is left, and no two ever met.
    fn end(mut self) -> Result<(), String> {
        for deed in [Deed::Stop(ONCE), Deed::Stop(SOLO), Deed::Down] {
            self.play(deed)?;
        }
        for (who, name) in NAMES.iter().enumerate() {
            let journal = Journal::read(&Journal::beside(self.token(who).as_ref()));
            if !journal.overlaps().is_empty() {
                return Err(format!("{name} ran twice: {journal:?}"));
            }
        }
        // A zygote that waited for its turn to bring a killed daemon back sees that it need not.
        within(LIMIT, || {
            let left = self.project.survivors();
            if left.is_empty() { Ok(()) } else { Err(format!("alive in the end: {}", listed(&left))) }
        })
    }
}

fn listed(processes: &[Identity]) -> String {
    processes.iter().map(|one| format!("{one} ")).collect()
}

fn sequence(seed: u64) -> Vec<Deed> {
    let mut random = Random(seed);
    (0..LENGTH).map(|_| deed(&mut random)).collect()
}

fn deed(random: &mut Random) -> Deed {
    let any = random.below(5) as usize;
    let declared = random.below(4) as usize;
    let undeclared = if random.below(2) == 0 { ONCE } else { SOLO };
    match random.below(32) {
        0..=3 => Deed::Up,
        4 => Deed::Down,
        5..=7 => Deed::Start(any),
        8..=10 => Deed::Stop(any),
        11 | 12 => Deed::Restart(any),
        13 | 14 => Deed::Ensure(any),
        15 => Deed::Reload(any),
        16 | 17 => Deed::Edit(declared),
        18..=20 => Deed::KillMain(any),
        21 | 22 => Deed::KillDaemon,
        23 => Deed::Pause,
        24 => Deed::Resume,
        25 => Deed::RunNow,
        26 | 27 => Deed::Run(undeclared),
        28 => Deed::WaitReady(any),
        29 => Deed::WaitStopped(any),
        30 => {
            if random.below(2) == 0 {
                Deed::Port
            } else {
                Deed::Who
            }
        }
        _ => Deed::Status(any),
    }
}

/// Why it goes otherwise than the model says, if it does.
fn difference(deeds: &[Deed]) -> Option<String> {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut stage = Stage::new();
        for (at, deed) in deeds.iter().enumerate() {
            let done = stage.play(*deed);
            done.map_err(|what| format!("{at} {deed:?}: {what}\n{}", stage.project.diary()))?;
        }
        stage.end()
    }));
    match played {
        Ok(outcome) => outcome.err(),
        Err(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            Some(words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned())
        }
    }
}

/// Leaves out whatever can be left out, as long as it still goes otherwise.
fn shrunk(deeds: &[Deed], what: String) -> (Vec<Deed>, String) {
    let (mut deeds, mut what) = (deeds.to_vec(), what);
    let mut at = deeds.len();
    while at > 0 {
        at -= 1;
        let mut fewer = deeds.clone();
        fewer.remove(at);
        if let Some(found) = difference(&fewer) {
            (deeds, what) = (fewer, found);
        }
    }
    (deeds, what)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn what_went_otherwise_once_goes_as_the_model_says() {
    for deeds in KEPT {
        assert_eq!(difference(deeds), None, "{deeds:?}");
    }
}

#[test]
fn whatever_is_commanded_goes_as_the_model_says() {
    let (seed, count) = (number("E2E_SEED", SEED), number("E2E_SEQUENCES", SEQUENCES));
    let (next, found) = (AtomicU64::new(seed), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while found.lock().unwrap().len() < ENOUGH {
                    let seed_of_one = next.fetch_add(1, Ordering::Relaxed);
                    if seed_of_one >= seed + count {
                        return;
                    }
                    let deeds = sequence(seed_of_one);
                    if let Some(what) = difference(&deeds) {
                        let (short, what_then) = shrunk(&deeds, what.clone());
                        let told = format!(
                            "E2E_SEED={seed_of_one} E2E_SEQUENCES=1, {deeds:?}\n{what}\n\
                             --- as short as it can be made: {short:?}\n{what_then}"
                        );
                        found.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}
