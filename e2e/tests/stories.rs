//! Plays the stories of the core (`crates/core/tests/scenarios`) that are marked `# real: yes` with a real daemon and
//! real processes. What the core tells the history in the story, the history must tell here, in the same order.

use std::fs;
use std::path::PathBuf;

mod declare;
mod stage;

use stage::Stage;

fn marked() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/core/tests/scenarios");
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut stories: Vec<(String, String)> = entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "txt"))
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap_or_else(|e| panic!("{entry:?}: {e}"));
            (entry.file_name().to_string_lossy().into_owned(), text)
        })
        .filter(|(_, text)| text.lines().any(|line| line == "# real: yes"))
        .collect();
    stories.sort();
    stories
}

/// Each in a project of its own, some at a time: most of what they do is waiting.
fn play(which: impl Fn(usize) -> bool) {
    let stories = marked();
    assert!(stories.len() >= 12, "only {} stories are marked", stories.len());
    let mut failed = Vec::new();
    for (_, (name, text)) in stories.iter().enumerate().filter(|(at, _)| which(*at)) {
        let played = std::panic::catch_unwind(|| {
            let mut stage = Stage::new(name, text);
            text.lines().for_each(|line| stage.take(line));
            stage.end();
        });
        // Why was told by the panic itself.
        if played.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "these go otherwise: {failed:?}");
}

#[test]
fn marked_stories_go_the_same_with_real_processes_1() {
    play(|at| at % 3 == 0);
}

#[test]
fn marked_stories_go_the_same_with_real_processes_2() {
    play(|at| at % 3 == 1);
}

#[test]
fn marked_stories_go_the_same_with_real_processes_3() {
    play(|at| at % 3 == 2);
}
