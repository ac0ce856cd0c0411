//! What clients do, over the command line and over HTTP: one at a time changes what is wanted of a unit, or several at once
//! and then one has the last word.

use super::cast::{Character, Part};
use super::stage::{Stage, Wanted, lock};
use crate::project::try_finish;
use crate::puppet::beacon::Beacon;
use crate::puppet::journal::now;
use crate::{Identity, Output, Random, face, is_free, puppet};

/// How often a start is tried until what it wants is unsure.
const TRIES: u32 = 5;
/// Somebody else wanted it up meanwhile; the disk is full.
const EXPLAINED: [&str; 2] = ["was started again before it was down", "No space left on device"];

/// Asks and orders until it is over.
pub fn act(stage: &Stage, mut random: Random) {
    while !stage.is_over() {
        stage.pause(random.below(500));
        match random.below(100) {
            0..24 => flip(stage, &mut random),
            24..32 => brawl(stage, &mut random),
            32..36 => reload(stage, &mut random),
            36..41 => edit(stage, &mut random),
            41..45 => squat(stage, &mut random),
            45..55 => agenda(stage, &mut random),
            55..63 => singleton(stage, &mut random),
            63..64 => whole(stage, &mut random),
            _ => look(stage, &mut random),
        }
    }
}

/// A command, told and judged by how it ended.
pub fn command(stage: &Stage, arguments: &[&str]) -> Option<Output> {
    let words = arguments.join(" ");
    match try_finish(&mut stage.project.command(arguments), &words) {
        Ok(output) => {
            let code = output.code();
            stage.note(&format!("soloist {}", arguments[0]), &format!("{words}: {code}"));
            match code {
                0 => {}
                // Usage, unknown names, panics and signals are never right.
                2 | 4 | 101 | 128.. => {
                    stage.find(format!("`soloist {words}` ended with {code}: {}", output.all()))
                }
                _ => odd(stage, &format!("soloist {} {code}", arguments[0]), &output.stderr),
            }
            Some(output)
        }
        Err(why) => {
            stage.find(why);
            None
        }
    }
}

/// A request, told and judged by its status.
fn request(stage: &Stage, method: &str, path: &str, body: &str) -> Option<u16> {
    let end = path.rsplit('/').next().and_then(|end| end.split('?').next()).unwrap_or_default();
    let verb = if stage.parts.iter().any(|part| part.name == end) { "service" } else { end };
    match face::try_ask(&stage.project, method, path, body) {
        Ok(answer) => {
            stage.note(&format!("{method} {verb}"), &format!("{path}: {}", answer.status));
            match answer.status {
                200..300 => {}
                500 if EXPLAINED.iter().any(|words| answer.text().contains(words)) => {
                    odd(stage, &format!("{method} {verb} 500"), &answer.text());
                }
                400 | 404 | 405 | 415 | 500 => {
                    stage.find(format!(
                        "{method} {path} was answered with {}: {}",
                        answer.status,
                        answer.text()
                    ));
                }
                status => odd(stage, &format!("{method} {verb} {status}"), &answer.text()),
            }
            Some(answer.status)
        }
        // The daemon was killed, or is not there yet.
        Err(why) => {
            stage.note(&format!("{method} {verb}"), &format!("{path}: {why}"));
            odd(stage, &format!("{method} {verb} unanswered"), &why.to_string());
            None
        }
    }
}

fn odd(stage: &Stage, what: &str, words: &str) {
    let mut odd = lock(&stage.odd);
    let entry = odd.entry(what.to_owned()).or_default();
    entry.0 += 1;
    entry.1 = words.trim().to_owned();
}

/// A part, if nobody else is changing its unit.
fn hold<'a>(stage: &'a Stage, random: &mut Random) -> Option<(&'a Part, std::sync::MutexGuard<'a, ()>)> {
    let part = &stage.parts[random.below(stage.parts.len() as u64) as usize];
    Some((part, stage.units[part.unit].try_lock().ok()?))
}

fn is_wanted(stage: &Stage, part: &Part) -> bool {
    let at = stage.parts.iter().position(|one| one.name == part.name);
    at.is_some_and(|at| matches!(*lock(&stage.wanted[at]), Wanted::Up(_)))
}

/// Stops or restarts what is up, starts what is not.
fn flip(stage: &Stage, random: &mut Random) {
    let Some((part, _held)) = hold(stage, random) else { return };
    if !is_wanted(stage, part) {
        return bring_up(stage, part.unit, random);
    }
    stage.set(part.unit, Wanted::Unsure);
    let is_over_http = random.below(2) == 0;
    let post = |verb: &str| request(stage, "POST", &format!("/api/v1/services/{}/{verb}", part.name), "");
    match (random.below(10), is_over_http) {
        (0..5, true) => {
            if post("stop") == Some(200) {
                is_stopped(stage, part);
            }
        }
        (0..5, false) => {
            if command(stage, &["stop", &part.name]).is_some_and(|output| output.code() == 0) {
                is_stopped(stage, part);
            }
        }
        (5..8, true) => {
            post("restart");
        }
        (5..8, false) => drop(command(stage, &["restart", &part.name])),
        (_, true) => {
            post("ensure");
        }
        (_, false) => drop(command(stage, &["ensure", &part.name])),
    }
    // Some stay down until somebody comes by.
    if random.below(4) > 0 {
        stage.pause(random.below(1500));
        bring_up(stage, part.unit, random);
    }
}

/// Has all of a unit up, and says so.
fn bring_up(stage: &Stage, unit: usize, random: &mut Random) {
    let names: Vec<&str> =
        stage.parts.iter().filter(|part| part.unit == unit).map(|part| part.name.as_str()).collect();
    let verb = if random.below(3) == 0 { "ensure" } else { "start" };
    let mut is_up = false;
    for _ in 0..TRIES {
        let arguments: Vec<&str> = [verb].into_iter().chain(names.iter().copied()).collect();
        // Not ready in time, or fallen: it is wanted all the same.
        is_up = command(stage, &arguments).is_some_and(|output| matches!(output.code(), 0 | 5 | 7));
        if is_up || stage.is_over() {
            break;
        }
        stage.pause(300);
    }
    stage.set(unit, if is_up { Wanted::Up(now()) } else { Wanted::Unsure });
}

/// What `stop` has said to be stopped leaves nothing.
fn is_stopped(stage: &Stage, part: &Part) {
    stage.set(part.unit, Wanted::Down);
    let who = part.token.as_ref().and_then(|token| holder(token)).filter(Identity::is_alive);
    if let Some(who) = who {
        stage.find(format!("`{}` was told to be stopped, but {who} lives", part.name));
    }
    if let Some(beacon) = &part.beacon {
        for left in Beacon::at(beacon).living() {
            stage.find(format!("`{}` was told to be stopped, but {left} of its tree lives", part.name));
        }
    }
    if let Some(port) = part.port.filter(|port| !is_free(*port)) {
        stage.find(format!("`{}` was told to be stopped, but port {port} is listened on", part.name));
    }
}

/// Who has a token.
pub fn holder(token: &std::path::Path) -> Option<Identity> {
    let text = std::fs::read_to_string(token).ok()?;
    let (pid, start) = text.trim().split_once(' ')?;
    Some(Identity { pid: pid.parse().ok()?, start: start.parse().ok()? })
}

/// Several at once want different things of one unit; then one has the last word.
fn brawl(stage: &Stage, random: &mut Random) {
    let Some((part, _held)) = hold(stage, random) else { return };
    stage.set(part.unit, Wanted::Unsure);
    std::thread::scope(|scope| {
        for _ in 0..2 + random.below(3) {
            let verb = ["start", "stop", "restart", "ensure"][random.below(4) as usize];
            let is_over_http = random.below(2) == 0;
            scope.spawn(move || {
                if is_over_http {
                    request(stage, "POST", &format!("/api/v1/services/{}/{verb}", part.name), "");
                } else {
                    command(stage, &[verb, &part.name]);
                }
            });
        }
    });
    stage.note("brawl", &part.name);
    bring_up(stage, part.unit, random);
}

/// A puppet dies of SIGHUP, as many programs do.
fn reload(stage: &Stage, random: &mut Random) {
    let Some((part, _held)) = hold(stage, random) else { return };
    if !matches!(part.character, Character::Job(_)) {
        command(stage, &["reload", &part.name]);
    }
}

/// A changed declaration counts with the next `up`.
fn edit(stage: &Stage, random: &mut Random) {
    let Some((part, _held)) = hold(stage, random) else { return };
    {
        let mut cast = lock(&stage.cast);
        cast.edit(&part.name);
        stage.project.write("soloist.next", &cast.toml());
        let (next, toml) =
            (stage.project.folder().join("soloist.next"), stage.project.folder().join("soloist.toml"));
        if let Err(why) = std::fs::rename(next, toml) {
            stage.find(format!("soloist.toml cannot be written: {why}"));
        }
    }
    stage.note("soloist.toml edited", &part.name);
    if is_wanted(stage, part) {
        stage.set(part.unit, Wanted::Unsure);
        command(stage, &["up", "-d", &part.name]);
        bring_up(stage, part.unit, random);
    }
}

/// A stranger takes the port of a service that is stopped: the start is refused and the stranger lives.
fn squat(stage: &Stage, random: &mut Random) {
    let Some((part, _held)) = hold(stage, random) else { return };
    let Some(port) = part.port.filter(|_| part.character != Character::Needy) else { return };
    stage.set(part.unit, Wanted::Unsure);
    if command(stage, &["stop", &part.name]).is_none_or(|output| output.code() != 0) {
        return bring_up(stage, part.unit, random);
    }
    let mut squatter = stage.project.stranger(&puppet(&["--listen", &port.to_string(), "--life", "120"]));
    let began = now();
    while is_free(port) && now() - began < 10_000_000_000 {
        stage.pause(10);
    }
    let code = command(stage, &["start", &part.name]).map(|output| output.code());
    let is_there = squatter.ended().is_none() && !is_free(port);
    stage.note("port taken by a stranger", &format!("{}: {code:?}", part.name));
    if code == Some(0) {
        stage.find(format!("`{}` started although {} is on its port {port}", part.name, squatter.identity()));
    }
    if !is_there {
        stage.find(format!("foreign signal: the stranger on port {port} of `{}` is gone", part.name));
    }
    drop(squatter);
    bring_up(stage, part.unit, random);
}

/// Schedules are paused and resumed, runs are asked for, rhythms changed.
fn agenda(stage: &Stage, random: &mut Random) {
    let jobs: Vec<&Part> =
        stage.parts.iter().filter(|part| matches!(part.character, Character::Job(_))).collect();
    if jobs.is_empty() {
        return;
    }
    let part = jobs[random.below(jobs.len() as u64) as usize];
    let Ok(_held) = stage.units[part.unit].try_lock() else { return };
    let name = part.name.as_str();
    match random.below(5) {
        0 => drop(command(stage, &["schedule", "run", name])),
        1 => {
            request(stage, "POST", &format!("/api/v1/schedules/{name}/run"), "");
        }
        2 => drop(command(stage, &["schedule", "ls", "--json"])),
        is_over_http => {
            let was = is_wanted(stage, part);
            stage.set(part.unit, Wanted::Unsure);
            let is_over_http = is_over_http == 3;
            let say = |verb: &str| {
                if is_over_http {
                    request(stage, "POST", &format!("/api/v1/schedules/{name}/{verb}"), "") == Some(200)
                } else {
                    command(stage, &["schedule", verb, name]).is_some_and(|output| output.code() == 0)
                }
            };
            say("pause");
            stage.pause(random.below(2000));
            for _ in 0..TRIES {
                if say("resume") {
                    if was {
                        stage.set(part.unit, Wanted::Up(now()));
                    }
                    return;
                }
                stage.pause(300);
            }
        }
    }
}

/// Of several `soloist run` with one name one runs, and the others say so.
fn singleton(stage: &Stage, random: &mut Random) {
    let token = stage.project.path("tokens/solo");
    let life = (100 + random.below(900)).to_string();
    let words = puppet(&["--token-file", &token, "--exit-after", &life]);
    let arguments: Vec<&str> =
        ["run", "solo", "--"].into_iter().chain(words.iter().map(String::as_str)).collect();
    let ended = try_finish(&mut stage.project.command(&arguments), "run solo");
    let code = ended.as_ref().map_or(-1, Output::code);
    stage.note("soloist run", &code.to_string());
    // Killed are they too: 128 and a signal.
    if !matches!(code, 0 | 75 | 128..) {
        odd(stage, &format!("soloist run {code}"), &ended.map_or_else(|why| why, |output| output.all()));
    }
}

/// All of the project at once.
fn whole(stage: &Stage, random: &mut Random) {
    let _held: Vec<_> = stage.units.iter().map(lock).collect();
    (0..stage.units.len()).for_each(|unit| stage.set(unit, Wanted::Unsure));
    if random.below(3) == 0 && command(stage, &["down"]).is_some_and(|output| output.code() == 0) {
        stage.parts.iter().for_each(|part| is_stopped(stage, part));
    }
    (0..stage.units.len()).for_each(|unit| stage.set(unit, Wanted::Unsure));
    for _ in 0..TRIES {
        let is_up = command(stage, &["up", "-d"]).is_some_and(|output| matches!(output.code(), 0 | 5 | 7));
        if is_up {
            (0..stage.units.len()).for_each(|unit| stage.set(unit, Wanted::Up(now())));
            return;
        }
        stage.pause(500);
    }
}

/// Questions of all kinds.
fn look(stage: &Stage, random: &mut Random) {
    let part = &stage.parts[random.below(stage.parts.len() as u64) as usize];
    let name = part.name.as_str();
    let port = part.port.unwrap_or(1).to_string();
    let get = |path: &str| {
        request(stage, "GET", path, "");
    };
    match random.below(14) {
        0 => drop(command(stage, &["status"])),
        1 => status(stage),
        2 => drop(command(stage, &["logs", "-n", "50", name])),
        3 => drop(command(stage, &["why", name])),
        4 => drop(command(stage, &["history", name, "-n", "20", "--json"])),
        5 => drop(command(stage, &["events"])),
        6 => drop(command(stage, &["schedule", "ls"])),
        7 => get("/api/v1/services"),
        8 => get(&format!("/api/v1/services/{name}")),
        9 => get("/metrics"),
        10 => get(&format!("/api/v1/services/{name}/logs?lines=100")),
        11 => get("/api/v1/ports"),
        12 => get("/api/v1/schedules"),
        _ => {
            let code = command(stage, &["who", &port]).map(|output| output.code());
            stage.note("who", &format!("{port}: {code:?}"));
        }
    }
}

/// What the status says to run is in at most one place.
fn status(stage: &Stage) {
    let Some(output) = command(stage, &["status", "--json"]).filter(|output| output.code() == 0) else {
        return;
    };
    let told: Result<crate::Status, _> = serde_json::from_str(&output.stdout);
    match told {
        Err(why) => stage.find(format!("the status is no status: {why}: {}", output.stdout)),
        Ok(told) => {
            let mut pids: Vec<u32> = told.services.iter().filter_map(|service| service.pid).collect();
            let count = pids.len();
            pids.sort_unstable();
            pids.dedup();
            if pids.len() < count {
                stage.find(format!("the status tells one process twice: {}", output.stdout));
            }
        }
    }
}
