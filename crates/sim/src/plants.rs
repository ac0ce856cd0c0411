//! Planted bugs: each takes one defence out of a copy of the core (`planted/*.txt`), and the simulator must notice by the
//! promise that the plant names. Who doubts must be doubted too: a check that no bug can break checks nothing.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// So many seeds may a bug hide in.
const SEEDS: u64 = 20_000;
/// The copy is a workspace of its own, built as quickly as it can be.
const WORKSPACE: &str = r#"[workspace]
resolver = "3"
members = ["crates/core", "crates/sim"]

[workspace.package]
version = "0.0.0"
edition = "2024"
rust-version = "1.85"
license = "MIT OR Apache-2.0"
publish = false

[workspace.dependencies]
soloist-core = { path = "crates/core" }

[workspace.lints]

[profile.dev]
debug = false
opt-level = 1
"#;

/// One bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plant {
    /// Of its file.
    pub name: String,
    /// What is wrong with it, in a sentence.
    pub sentence: String,
    /// Where it is planted, from the root of the project.
    pub file: String,
    /// What stands there, once.
    pub find: String,
    /// What stands there then.
    pub replace: String,
    /// The promise that is broken by it.
    pub caught_by: String,
}

/// How a plant fared.
#[derive(Debug)]
pub struct Fate {
    /// Which.
    pub plant: Plant,
    /// After how many seeds the promise was broken; or why that cannot be said.
    pub seeds: Result<u64, String>,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plant { name, sentence, caught_by, .. } = &self.plant;
        match &self.seeds {
            Ok(seeds) => write!(f, "{name}: caught by {caught_by} after {seeds} seeds"),
            Err(why) => write!(f, "{name}: NOT CAUGHT by {caught_by}: {sentence}\n    {why}"),
        }
    }
}

impl Plant {
    /// Reads a plant: `# sentence`, `file:`, `caught-by:`, then `---- find` and `---- replace` with their lines.
    pub fn read(name: &str, text: &str) -> Option<Plant> {
        let (head, body) = text.split_once("---- find\n")?;
        let (find, replace) = body.split_once("---- replace\n")?;
        let field = |key: &str| Some(head.lines().find_map(|line| line.strip_prefix(key))?.trim().to_owned());
        Some(Plant {
            name: name.to_owned(),
            sentence: field("# ")?,
            file: field("file:")?,
            find: find.to_owned(),
            replace: replace.to_owned(),
            caught_by: field("caught-by:")?,
        })
    }

    /// The text of its file with the bug in it.
    fn plant_in(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.replace, 1)),
            0 => Err(format!("the plant is stale: {} has no such text any more", self.file)),
            times => Err(format!("the plant is not definite: {} has that text {times} times", self.file)),
        }
    }
}

/// All plants below a project's root, by name.
///
/// # Errors
///
/// If a file cannot be read or says not what a plant must say.
pub fn read_all(root: &Path) -> io::Result<Vec<Plant>> {
    let mut plants = Vec::new();
    for entry in fs::read_dir(root.join("crates/sim/planted"))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let plant = Plant::read(&name, &fs::read_to_string(&path)?);
        plants.push(plant.ok_or_else(|| io::Error::other(format!("{} is no plant", path.display())))?);
    }
    plants.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(plants)
}

/// Tries every plant alone, each in a copy below `scratch`, two at a time on two cores.
///
/// # Errors
///
/// If a copy cannot be made.
pub fn try_all(root: &Path, scratch: &Path, plants: Vec<Plant>) -> io::Result<Vec<Fate>> {
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get()).min(plants.len().max(1));
    let gardens: Vec<Garden> =
        (0..cores).map(|n| Garden::lay(root, &scratch.join(n.to_string()))).collect::<io::Result<_>>()?;
    let (next, fates) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = |garden: &Garden| {
        while let Some(plant) = plants.get(next.fetch_add(1, Ordering::Relaxed)) {
            let seeds = garden.try_one(plant);
            let fate = Fate { plant: plant.clone(), seeds };
            fates.lock().unwrap_or_else(|broken| broken.into_inner()).push(fate);
        }
    };
    thread::scope(|scope| gardens.iter().for_each(|garden| drop(scope.spawn(|| work(garden)))));
    let mut fates = fates.into_inner().unwrap_or_else(|broken| broken.into_inner());
    fates.sort_by(|a, b| a.plant.name.cmp(&b.plant.name));
    Ok(fates)
}

/// A copy of core and simulator, in which one bug at a time is planted.
#[derive(Debug)]
struct Garden {
    place: PathBuf,
}

impl Garden {
    fn lay(root: &Path, place: &Path) -> io::Result<Garden> {
        for part in ["crates/core/Cargo.toml", "crates/core/src", "crates/sim/Cargo.toml", "crates/sim/src"] {
            copy(&root.join(part), &place.join(part))?;
        }
        copy(&root.join("crates/sim/kept-seeds.txt"), &place.join("crates/sim/kept-seeds.txt"))?;
        write_changed(&place.join("Cargo.toml"), WORKSPACE)?;
        Ok(Garden { place: place.to_owned() })
    }

    fn try_one(&self, plant: &Plant) -> Result<u64, String> {
        let path = self.place.join(&plant.file);
        let sound = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", plant.file))?;
        let planted = plant.plant_in(&sound)?;
        let write = |text| fs::write(&path, text).map_err(|e| format!("{}: {e}", plant.file));
        write(&planted)?;
        let told = self.build().and_then(|()| self.doubt(plant));
        write(&sound)?;
        told
    }

    fn build(&self) -> Result<(), String> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--offline", "--quiet", "--bin", "sim", "--no-default-features"])
            .current_dir(&self.place);
        cargo.env("CARGO_TARGET_DIR", self.place.join("target")).env("CARGO_INCREMENTAL", "1");
        let built = cargo.output().map_err(|e| format!("cargo: {e}"))?;
        match built.status.success() {
            true => Ok(()),
            false => Err(format!("with the plant it does not build:\n{}", text(&built.stderr))),
        }
    }

    fn doubt(&self, plant: &Plant) -> Result<u64, String> {
        let mut sim = Command::new(self.place.join("target/debug/sim"));
        sim.args([&SEEDS.to_string(), "--until", &plant.caught_by]).current_dir(&self.place);
        let told: Output = sim.output().map_err(|e| format!("sim: {e}"))?;
        let said = text(&told.stdout);
        let mark = format!("breaks {}", plant.caught_by);
        let is_caught = told.status.code() == Some(1) && said.lines().any(|line| line.contains(&mark));
        let count = said.lines().find_map(|line| line.split_once(" seeds, ")?.0.parse().ok());
        match count.filter(|_| is_caught) {
            Some(count) => Ok(count),
            None => Err(said.lines().rev().take(30).collect::<Vec<_>>().join("\n    ")),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return write_changed(to, &fs::read_to_string(from)?);
    }
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

/// What is as it was stays untouched, so that it is not built again.
fn write_changed(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# It is wrong.\nfile: a.rs\ncaught-by: a_promise\n---- find\nright\n---- replace\nwrong\n";

    #[test]
    fn a_plant_is_read_and_planted() {
        let plant = Plant::read("p", TEXT).unwrap();
        assert_eq!((plant.sentence.as_str(), plant.caught_by.as_str()), ("It is wrong.", "a_promise"));
        assert_eq!(plant.plant_in("it is\nright\n"), Ok("it is\nwrong\n".to_owned()));
    }

    #[test]
    fn a_stale_or_indefinite_plant_is_told() {
        let plant = Plant::read("p", TEXT).unwrap();
        assert!(plant.plant_in("it is\n").unwrap_err().contains("stale"));
        assert!(plant.plant_in("right\nright\n").unwrap_err().contains("2 times"));
        assert_eq!(Plant::read("p", "# Without a place.\n"), None);
    }
}
