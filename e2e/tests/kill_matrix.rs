//! Every actor is killed at every step of a service's life. The run makes the table of `docs/evidence.md`; `E2E_BLESS=1`
//! writes it there.

use std::collections::BTreeSet;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use e2e::binaries::{binaries, with_fail_points};
use e2e::matrix::steps::{STEPS, Step};
use e2e::matrix::table::{BEGIN, END, Times, shape, table};
use e2e::matrix::{ACTORS, Actor, Stage};

/// So many projects at once: they wait more than they work.
const TOGETHER: usize = 16;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What this run is about: all, or what `E2E_STEP`, `E2E_POINT` and `E2E_ACTOR` say.
fn is_meant(variable: &str, name: &str) -> bool {
    std::env::var(variable).map_or(true, |wanted| name.contains(&wanted))
}

fn play(step: &'static Step, actor: Actor, letter: char, times: &Mutex<Times>, faults: &Mutex<Vec<String>>) {
    let mut stage = None;
    for (point, letters) in step.moments {
        if !letters.contains(letter) || !is_meant("E2E_POINT", point) {
            continue;
        }
        let played = catch_unwind(AssertUnwindSafe(|| {
            let stage = stage.get_or_insert_with(|| Stage::new(step));
            stage.play(step, point, actor)
        }));
        match played {
            Ok(took) => drop(times.lock().unwrap().insert((step.name, *point, actor), took)),
            Err(why) => {
                let why = why.downcast_ref::<String>().cloned().unwrap_or_default();
                let fault = format!("{}, {actor:?} killed at `{point}`: {why}", step.name);
                let _ = writeln!(std::io::stderr(), "{fault}");
                faults.lock().unwrap().push(fault);
                // The next moment gets a project that nothing has gone wrong in.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(stage.take())));
            }
        }
    }
}

#[test]
fn whoever_is_killed_at_whichever_step_all_comes_right_within_ten_seconds() {
    let lanes: Vec<(&'static Step, Actor, char)> = STEPS
        .iter()
        .filter(|step| is_meant("E2E_STEP", step.name))
        .flat_map(|step| ACTORS.iter().map(move |(actor, letter, _)| (step, *actor, *letter)))
        .filter(|(.., letter)| is_meant("E2E_ACTOR", &letter.to_string()))
        .collect();
    let (times, faults, next) = (Mutex::new(Times::new()), Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                while let Some((step, actor, letter)) = lanes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    play(step, *actor, *letter, &times, &faults);
                }
            });
        }
    });
    let (times, faults) = (times.into_inner().unwrap(), faults.into_inner().unwrap());
    let made = table(&times);
    let _ = writeln!(std::io::stderr(), "{made}{} kills", times.len());
    assert!(faults.is_empty(), "{} kills went wrong:\n\n{}", faults.len(), faults.join("\n\n"));
    if ["E2E_STEP", "E2E_POINT", "E2E_ACTOR"].iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    let path = repository().join("docs/evidence.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (kept, after) = rest.split_once(END).expect("the place for the table has an end");
    if std::env::var_os("E2E_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
    } else {
        assert_eq!(shape(kept), shape(&made), "docs/evidence.md has another table; E2E_BLESS=1 writes it");
    }
}

/// The names of all fail points in the sources of soloist.
fn named_in(folder: &Path, names: &mut BTreeSet<String>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            named_in(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let after = text.split("fail_point!(\"").skip(1);
            names.extend(after.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn at_every_fail_point_that_soloist_has_somebody_is_killed() {
    let mut there = BTreeSet::new();
    named_in(&repository().join("crates"), &mut there);
    let killed = STEPS.iter().flat_map(|step| step.moments).filter(|(_, letters)| !letters.is_empty());
    let killed: BTreeSet<String> = killed.map(|(point, _)| (*point).to_owned()).collect();
    assert_eq!(there, killed);
}

#[test]
fn what_is_shipped_has_no_fail_points() {
    let has_any = |binary: &Path| {
        let (bytes, name) = (std::fs::read(binary).unwrap(), b"SOLOIST_FAIL_POINTS");
        bytes.windows(name.len()).any(|window| window == name)
    };
    assert!(!has_any(&binaries().soloist), "a build without the feature has them");
    assert!(has_any(with_fail_points()));
}
