//! `sim COUNT`, `sim --from A --count N`, `sim --seed N`: lives many seeds and tells what happened, or one step by step.
//! `sim --planted` does so with each planted bug; `sim --check` searches small worlds exhaustively.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use sim::campaign::{self, Report};
use sim::plants;

const USAGE: &str = "\
usage: sim COUNT [--from SEED]            lives so many seeds on all cores
       sim --seed SEED                    lives one, step by step
       sim COUNT [--from SEED] --until CHECK   until one breaks this promise
       sim --planted [NAME]               plants each bug (or this one) and looks whether it is caught
       sim --check [WORLD [STATES]]       searches each small world (or this one, up to so many states) exhaustively";
/// The fresh seeds: the same everywhere, so that a failure is one number.
const FROM: u64 = 1_000_000;

#[derive(Debug)]
enum Task {
    One(u64),
    Planted(Option<String>),
    Check { world: Option<String>, most: Option<usize> },
    Many { from: u64, count: u64, until: Option<String> },
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(task) = read(&words) else {
        // Nobody to tell is no reason to do otherwise.
        let _ = writeln!(io::stderr().lock(), "{USAGE}");
        return ExitCode::from(2);
    };
    let (text, is_good) = match task {
        Task::One(seed) => tell(seed),
        Task::Planted(name) => plant(name.as_deref()).unwrap_or_else(|e| (format!("sim: {e}"), false)),
        Task::Check { world, most } => check(world.as_deref(), most),
        Task::Many { from, count, until } => live(from, count, until.as_deref()),
    };
    let _ = writeln!(io::stdout().lock(), "{text}");
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(words: &[&str]) -> Option<Task> {
    if let ["--planted", rest @ ..] = words {
        return (rest.len() < 2).then(|| Task::Planted(rest.first().map(|name| (*name).to_owned())));
    }
    match words {
        ["--check"] => return Some(Task::Check { world: None, most: None }),
        ["--check", world] => return Some(Task::Check { world: Some((*world).to_owned()), most: None }),
        ["--check", world, most] => {
            return Some(Task::Check { world: Some((*world).to_owned()), most: Some(most.parse().ok()?) });
        }
        _ => {}
    }
    let (mut from, mut count, mut seed, mut until) = (FROM, None, None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--from" => from = words.next()?.parse().ok()?,
            "--count" => count = Some(words.next()?.parse().ok()?),
            "--seed" => seed = Some(words.next()?.parse().ok()?),
            "--until" => until = Some((*words.next()?).to_owned()),
            word => count = Some(word.parse().ok()?),
        }
    }
    match (seed, count) {
        (Some(seed), None) => Some(Task::One(seed)),
        (None, Some(count)) => Some(Task::Many { from, count, until }),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn tell(seed: u64) -> (String, bool) {
    let tale = sim::live(seed, true);
    let end = match &tale.outcome {
        Ok(()) => "every promise was kept".to_owned(),
        Err(broken) => broken.to_string(),
    };
    (format!("{}\n{end}", tale.trace.join("\n")), tale.outcome.is_ok())
}

fn live(from: u64, count: u64, until: Option<&str>) -> (String, bool) {
    let begun = Instant::now();
    let report: Report = match until {
        Some(check) => campaign::live_until(check, from, count),
        None => campaign::live_range(from, count),
    };
    let commit = commit().map_or(String::new(), |commit| format!(" of commit {commit}"));
    let text = format!("{report}\nin {:.1} s, the core{commit}", begun.elapsed().as_secs_f64());
    match report.failed.first() {
        Some((seed, _)) => (format!("{}\n\n{text}", campaign::tail(*seed)), false),
        None => (text, true),
    }
}

/// The copies in which bugs are planted are built without it, and so in half the time.
#[cfg(not(feature = "search"))]
fn check(_: Option<&str>, _: Option<usize>) -> (String, bool) {
    ("this was built without the feature `search`".to_owned(), false)
}

#[cfg(feature = "search")]
fn check(name: Option<&str>, most: Option<usize>) -> (String, bool) {
    let (mut lines, mut is_good) = (Vec::new(), false);
    for world in sim::check::WORLDS.iter().filter(|world| name.is_none_or(|name| world.name == name)) {
        let begun = Instant::now();
        let found = world.search(None, most);
        lines.push(format!("{}: {found}, {:.1} s", world.name, begun.elapsed().as_secs_f64()));
        is_good = (lines.len() == 1 || is_good) && found.broken.is_none();
    }
    (lines.join("\n"), is_good)
}

fn plant(name: Option<&str>) -> io::Result<(String, bool)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut plants = plants::read_all(&root)?;
    plants.retain(|plant| name.is_none_or(|name| plant.name == name));
    let scratch = std::env::current_exe()?.with_file_name("planted");
    let fates = plants::try_all(&root, &scratch, plants)?;
    let lines: Vec<String> = fates.iter().map(ToString::to_string).collect();
    let is_good = !fates.is_empty() && fates.iter().all(|fate| fate.seeds.is_ok());
    Ok((lines.join("\n"), is_good))
}

/// What is checked out here, if this is a checkout.
fn commit() -> Option<String> {
    let told = Command::new("git").args(["describe", "--always", "--dirty"]).output().ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    told.status.success().then(|| text.trim().to_owned())
}
