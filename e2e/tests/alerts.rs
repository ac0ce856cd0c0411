//! The alert rules of `contrib/prometheus`, tried by promtool on series that must and must not raise them; and each metric
//! that rules and dashboard ask for is one that soloist tells.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::project::finish;
use e2e::{program, skip_loudly};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn each_alert_is_raised_when_it_must_and_else_not() {
    let Some(promtool) = program("promtool") else {
        return skip_loudly("promtool is not installed (Debian's package `prometheus`)");
    };
    let mut tries = Command::new(promtool);
    tries.args(["test", "rules", "alerts.test.yml"]).current_dir(repository().join("contrib/prometheus"));
    let output = finish(&mut tries, "promtool");
    assert_eq!(output.code(), 0, "{output}");
}

#[test]
fn what_is_asked_for_is_told() {
    let read = |file: &str| std::fs::read_to_string(repository().join(file)).unwrap();
    // A name without its kind's ending, as the sources have it.
    let names = |text: &str| -> BTreeSet<String> {
        let is_letter = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        let words = text.split(|letter| !is_letter(letter)).filter_map(|word| word.strip_prefix("soloist_"));
        let bare = |word: &str| {
            let endings = ["_total", "_bucket", "_info"];
            endings.iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word).to_owned()
        };
        words.map(bare).collect()
    };
    let sources = read("crates/daemon/src/tally.rs") + &read("crates/daemon/src/http/metrics.rs");
    for file in ["contrib/prometheus/alerts.yml", "contrib/grafana/soloist.json"] {
        let asked = names(&read(file));
        assert!(asked.len() >= 4, "{file} asks for {asked:?}");
        let unknown: Vec<_> = asked.iter().filter(|name| !sources.contains(&format!("\"{name}\""))).collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}, which nobody tells");
    }
}
