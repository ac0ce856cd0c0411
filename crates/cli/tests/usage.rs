//! The command line itself: wrong words end with 2 and say what was expected; nothing is started, nothing is made.

use std::process::{Command, Output};

fn soloist(words: &[&str]) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_soloist")).args(words).current_dir(&folder).output().unwrap();
    (folder, output)
}

#[test]
fn wrong_words_end_with_2_and_make_nothing() {
    for words in [
        &["strat"][..],
        &["start"],
        &["run", "x"],
        &["run", "x", "true"],
        &["port"],
        &["port", "x", "--wait=soon"],
        &["port", "x", "--url", "--json"],
        &["who", "0"],
        &["who", "70000"],
        &["free", "http"],
        &["run", "x", "--stop-grace", "1 fortnight", "--", "true"],
        &["run", "x", "--stop-grace", "99999999999999s", "--", "true"],
        &["run", "x", "--wait", "--force", "--", "true"],
        &["run", "a/b", "--", "true"],
        &["history", "--since", "yesterday"],
        &["history", "--since", "99999999999999s"],
        &["history", "-n", "-1"],
        &["why"],
        &["wait"],
        &["wait", "x", "--for", "joy"],
        &["wait", "x", "--timeout", "soon"],
        &["schedule", "set", "x"],
        &["schedule", "next", "-n", "0"],
        &["schedule", "next", "-n", "100000"],
        &["schedule", "override", "x"],
        &["schedule", "override", "x", "--closed"],
        &["schedule", "override", "x", "--until", "2h"],
        &["schedule", "override", "x", "--open", "--closed", "--until", "2h"],
        &["schedule", "override", "x", "--clear", "--until", "2h"],
    ] {
        let (folder, output) = soloist(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains("error"), "{words:?}: {said}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "{words:?} made something");
    }
}

#[test]
fn a_folder_that_is_none_is_said() {
    let (_, output) = soloist(&["-C", "/nowhere/at/all", "status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/at/all"));
}

#[test]
fn reading_commands_make_nothing() {
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["cleanup"],
        &["down"],
        &["history"],
        &["events"],
        &["schedule", "ls"],
    ] {
        let (folder, output) = soloist(words);
        assert_eq!(output.status.code(), Some(0), "{words:?}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "{words:?} made something");
    }
}

#[test]
fn every_verb_is_in_the_help() {
    let (_, output) = soloist(&["--help"]);
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for verb in [
        "up",
        "down",
        "start",
        "stop",
        "restart",
        "reload",
        "ensure",
        "instances",
        "status",
        "logs",
        "history",
        "why",
        "events",
        "wait",
        "schedule",
        "run",
        "port",
        "who",
        "free",
        "cleanup",
        "upgrade",
    ] {
        assert!(help.contains(&format!("  {verb} ")), "{verb} is missing in:\n{help}");
    }
}
