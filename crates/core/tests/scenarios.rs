//! Runs the stories in `scenarios/*.txt`: commands, `----`, then what the core ordered and what became of whom.
//! `UPDATE=1 cargo test -p soloist-core --test scenarios` writes what follows anew; review the difference.

use std::fs;
use std::path::{Path, PathBuf};

use scenarios::stage::Stage;

mod scenarios {
    pub mod command;
    pub mod schedule;
    pub mod stage;
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

/// Tells the story once more, with what really follows after each `----`.
fn retell(text: &str) -> Result<String, String> {
    let mut stage = Stage::new();
    let mut told = String::new();
    let mut skips = false;
    for (number, line) in text.lines().enumerate() {
        if line == "----" {
            told.push_str("----\n");
            stage.take_lines().iter().for_each(|line| told.push_str(&format!("{line}\n")));
            skips = true;
            continue;
        }
        if skips && !line.is_empty() {
            continue;
        }
        skips = false;
        told.push_str(&format!("{line}\n"));
        if !line.is_empty() && !line.starts_with('#') {
            stage.obey(line).map_err(|words| format!("line {}: `{line}`: {words}", number + 1))?;
        }
    }
    match stage.take_lines() {
        left if left.is_empty() => Ok(told),
        left => Err(format!("nothing is expected at the end, but there is:\n{}", left.join("\n"))),
    }
}

/// The first difference, with the lines around it.
fn difference(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let same = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let tail =
        expected[same..].iter().rev().zip(found[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut lines: Vec<String> =
        expected[same.saturating_sub(6)..same].iter().map(|l| format!("  {l}")).collect();
    lines.extend(expected[same..expected.len() - tail].iter().map(|line| format!("- {line}")));
    lines.extend(found[same..found.len() - tail].iter().map(|line| format!("+ {line}")));
    lines.extend(expected[expected.len() - tail..].iter().take(3).map(|line| format!("  {line}")));
    lines.join("\n")
}

#[test]
fn every_story_goes_as_it_is_told() {
    let updates = std::env::var_os("UPDATE").is_some();
    let mut failed = Vec::new();
    for path in files() {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match retell(&text) {
            Ok(told) if told == text => {}
            Ok(told) if updates => {
                fs::write(&path, told).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
            }
            Ok(told) => failed.push(format!("{name}:\n{}", difference(&text, &told))),
            Err(words) => failed.push(format!("{name}: {words}")),
        }
    }
    assert!(failed.is_empty(), "{} stories go otherwise:\n\n{}\n", failed.len(), failed.join("\n\n"));
}

#[test]
fn every_story_begins_with_its_sentence() {
    let files = files();
    assert!(files.len() >= 12, "only {} stories", files.len());
    for path in files {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("# ") && first.ends_with('.'), "{}: `{first}`", path.display());
    }
}
