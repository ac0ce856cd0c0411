//! The soak: a real daemon and its guards, services of mixed characters, clients that want all kinds of things and blows
//! from everywhere, all from one seed; what puppets and logs tell of it is judged, and the verdict told.

pub mod blows;
pub mod cast;
pub mod deeds;
pub mod judge;
pub mod stage;
pub mod verdict;
pub mod watch;
pub mod world;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use self::cast::{Cast, Character};
use self::judge::Excuse;
use self::stage::{Stage, Wanted, lock};
use self::verdict::{Usage, Verdict};
use self::world::{Bystanders, Neighbour};
use crate::puppet::journal::now;
use crate::{Project, Random, daemon, is_free, log};

/// How many clients act at the same time.
const CLIENTS: u64 = 5;
/// When all deeds are over, all is ready within this time.
const CALM: Duration = Duration::from_secs(120);
/// So large is the disk of `.soloist`.
const DISK: &str = "size=1g";

/// What is asked of a soak.
#[derive(Clone, Debug)]
pub struct Wish {
    /// All that is random comes from it.
    pub seed: u64,
    /// How long deeds are done.
    pub length: Duration,
    /// How many services and jobs play.
    pub services: usize,
    /// Whether `.soloist` may be given a disk of its own: root in a mount namespace of its own.
    pub has_own_disk: bool,
    /// A file that ends it when it is there.
    pub stop: Option<PathBuf>,
}

/// Does it.
pub fn run(wish: &Wish) -> Verdict {
    let began = Instant::now();
    let life = wish.length + Duration::from_secs(1800);
    let project = Project::empty().with_test_clock();
    let cast = Cast::new(&project, wish.services, life);
    project.write("soloist.toml", &cast.toml());
    let stage = Stage::new(project, cast, wish.stop.clone());
    let mut verdict = Verdict::new(wish, stage.project.folder());
    if wish.has_own_disk
        && let Err(why) = mount(&stage)
    {
        stage.find(why);
    }
    // What `up` wants of the cast is that all of it serves.
    let up = deeds::command(&stage, &["up", "-d"]);
    if let Some(output) = up.filter(|output| output.code() != 0) {
        stage.find(format!("the first `up` ended with {}: {}", output.code(), output.all()));
        return verdict.close(stage);
    }
    (0..stage.units.len()).for_each(|unit| stage.set(unit, Wanted::Up(now())));
    let neighbour = Neighbour::start(&stage, life);
    match Bystanders::start(&stage) {
        Ok(bystanders) => {
            verdict.bystanders = bystanders.count();
            play(&stage, wish, &neighbour, &mut verdict);
            calm(&stage);
            bystanders.felt().into_iter().for_each(|felt| stage.find(felt));
        }
        Err(why) => stage.find(format!("no bystanders: {why}")),
    }
    neighbour.felt().into_iter().for_each(|felt| stage.find(felt));
    drop(neighbour);
    clear(&stage);
    judge(&stage, &mut verdict);
    verdict.took = began.elapsed();
    verdict.close(stage)
}

/// All deeds, until the time is over.
fn play(stage: &Stage, wish: &Wish, neighbour: &Neighbour, verdict: &mut Verdict) {
    let random = |number: u64| Random(wish.seed.wrapping_mul(1000) + number);
    let until = Instant::now() + wish.length;
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch::watch(stage));
        scope.spawn(|| world::measure(stage));
        scope.spawn(|| world::set_clock(stage, random(1)));
        scope.spawn(|| blows::deal(stage, random(2)));
        if wish.has_own_disk {
            scope.spawn(|| world::fill_disk(stage, random(3)));
        }
        for client in 0..CLIENTS {
            scope.spawn(move || deeds::act(stage, random(10 + client)));
        }
        let mut sample_at = Instant::now();
        while Instant::now() < until && !stage.is_interrupted() {
            if Instant::now() >= sample_at {
                sample_at += Duration::from_secs(60).min(wish.length / 4);
                verdict.usage.push(sample(stage, neighbour));
            }
            stage.pause(100);
        }
        stage.end();
        verdict.worst = watching.join().ok().flatten();
    });
    verdict.lateness = stage.lateness(0, u64::MAX);
}

/// What daemon, guards and the neighbour's daemon use now.
fn sample(stage: &Stage, neighbour: &Neighbour) -> Usage {
    let guards = stage.parts.iter().filter_map(|part| world::usage(stage.recorded(&part.name, "guard")?));
    let (descriptors, resident) = guards.fold((0, 0), |most, one| (most.0.max(one.0), most.1.max(one.1)));
    Usage {
        daemon: daemon::living(&stage.project).first().copied().and_then(world::usage).unwrap_or_default(),
        guard: (descriptors, resident),
        neighbour: neighbour.daemon().and_then(world::usage).unwrap_or_default(),
    }
}

/// Nothing happens any more: all that is wanted must come to serve.
fn calm(stage: &Stage) {
    stage.project.set_test_clock(0);
    let began = Instant::now();
    let up = deeds::command(stage, &["up", "-d"]).map(|output| output.code());
    if up != Some(0) {
        stage.note("last up", &format!("{up:?}"));
    }
    let mut seen = String::new();
    while began.elapsed() < CALM {
        match unready(stage) {
            Ok(()) => return,
            Err(why) => seen = why,
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    stage.find(format!("late return: {CALM:?} after all was calm {seen}"));
}

fn unready(stage: &Stage) -> Result<(), String> {
    let output = deeds::command(stage, &["status", "--json"]).ok_or("there is no status")?;
    let told: crate::Status =
        serde_json::from_str(&output.stdout).map_err(|e| format!("{e}: {}", output.all()))?;
    for part in &stage.parts {
        let found = told.services.iter().find(|service| service.name == part.name);
        let is_well = found.is_some_and(|service| match part.character {
            Character::Job(_) => {
                matches!(service.state.as_str(), "scheduled" | "running" | "starting" | "claiming")
            }
            // Between two of its lives.
            Character::Crasher => {
                matches!(service.state.as_str(), "ready" | "starting" | "claiming" | "backoff" | "stopping")
            }
            _ => service.state == "ready",
        });
        if !is_well {
            return Err(format!("`{}` is {found:?}", part.name));
        }
    }
    Ok(())
}

/// After `down` nothing is left.
fn clear(stage: &Stage) {
    match deeds::command(stage, &["down"]).map(|output| (output.code(), output.all())) {
        Some((0, _)) => {}
        other => stage.find(format!("the last `down`: {other:?}")),
    }
    let began = Instant::now();
    let mut left = stage.project.survivors();
    // A daemon that has answered `down` may take a moment to be gone.
    while !left.is_empty() && began.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(50));
        left = stage.project.survivors();
    }
    left.iter().for_each(|one| stage.find(format!("left after down: {one}")));
    for part in &stage.parts {
        if let Some(port) = part.port.filter(|port| !is_free(*port)) {
            stage.find(format!("left after down: port {port} of `{}` is listened on", part.name));
        }
    }
    let claims = std::fs::read_dir(stage.project.folder().join(".soloist/claims"));
    for file in claims.into_iter().flatten().flatten().map(|file| file.path()) {
        let is_lock = file.extension().is_some_and(|end| end == "lock");
        if is_lock
            && let Ok(open) = std::fs::File::open(&file)
            && flock(&open, FlockOperation::NonBlockingLockExclusive).is_err()
        {
            stage.find(format!("left after down: the claim {} is held", file.display()));
        }
    }
}

/// Reads what everybody recorded.
fn judge(stage: &Stage, verdict: &mut Verdict) {
    for part in &stage.parts {
        let (runs, found) = judge::runs(part);
        verdict.runs += runs;
        found.into_iter().for_each(|one| stage.find(one));
        let Some(accounts) = &part.account else { continue };
        // Runs that overlap have a log each.
        let lanes = if part.lifeline.is_some() { 3 } else { 1 };
        let names = (1..=lanes)
            .map(|lane| if lane == 1 { part.name.clone() } else { format!("{}~{lane}", part.name) });
        let killed: u64 =
            names.clone().map(|name| lock(&stage.guards_killed).get(&name).copied().unwrap_or(0)).sum();
        let bytes: Vec<u8> = names.flat_map(|name| log::bytes(&stage.project.log_file(&name))).collect();
        let full = lock(&stage.full).clone();
        let excuse = Excuse { killed_guards: killed, in_the_pipe: part.in_the_pipe(), full };
        let (bytes, found) = judge::bytes(&part.name, accounts, &bytes, &excuse);
        verdict.bytes.written += bytes.written;
        verdict.bytes.lost += bytes.lost;
        verdict.bytes.counted += bytes.counted;
        verdict.bytes.untold += bytes.untold;
        found.into_iter().for_each(|one| stage.find(one));
    }
    let solo = judge::overlaps(
        "solo",
        &crate::Journal::read(&crate::Journal::beside(&stage.project.folder().join("tokens/solo"))),
    );
    solo.into_iter().for_each(|one| stage.find(one));
}

/// A disk of its own for `.soloist`.
fn mount(stage: &Stage) -> Result<(), String> {
    let folder = stage.project.folder().join(".soloist");
    std::fs::create_dir(&folder).map_err(|e| e.to_string())?;
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("{DISK},mode=700"), "soak"])
        .arg(&folder)
        .output();
    match mounted {
        Ok(output) if output.status.success() => Ok(()),
        other => Err(format!("no disk of its own for .soloist: {other:?}")),
    }
}
