//! The table of a run, as `docs/evidence.md` has it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::matrix::steps::STEPS;
use crate::matrix::{ACTORS, Actor};

/// How long each kill took to come right: by the step's name, the moment and the actor.
pub type Times = BTreeMap<(&'static str, &'static str, Actor), Duration>;

/// Where the table begins in the page.
pub const BEGIN: &str = "<!-- kill-matrix:begin -->\n";
/// Where it ends.
pub const END: &str = "<!-- kill-matrix:end -->";

/// The table as Markdown; milliseconds.
pub fn table(times: &Times) -> String {
    let mut took: Vec<u128> = times.values().map(Duration::as_millis).collect();
    took.sort_unstable();
    let mut text = format!(
        "{} kills at {} moments: half of them came right within {} ms, the slowest took {} ms.\n\n| step | moment |",
        took.len(),
        STEPS.iter().map(|step| step.moments.len()).sum::<usize>(),
        took.get(took.len() / 2).unwrap_or(&0),
        took.last().unwrap_or(&0),
    );
    ACTORS.iter().for_each(|(_, _, name)| text += &format!(" {name} |"));
    text += &format!("\n|---|---|{}\n", "---:|".repeat(ACTORS.len()));
    for step in STEPS {
        for (moment, _) in step.moments {
            text += &format!("| {} | `{moment}` |", step.name);
            for (actor, ..) in ACTORS {
                let took = times.get(&(step.name, *moment, actor));
                text += &took.map_or(" – |".to_owned(), |took| format!(" {} |", took.as_millis()));
            }
            text.push('\n');
        }
    }
    text
}

/// A table without its times, to be compared.
pub fn shape(table: &str) -> String {
    let mut shape = String::new();
    for c in table.chars() {
        match c.is_ascii_digit() {
            true if shape.ends_with('0') => {}
            true => shape.push('0'),
            false => shape.push(c),
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_kill_is_no_other_table() {
        assert_eq!(shape("| a | 7 | – | 765 |"), shape("| a | 14952 | – | 2581 |"));
        assert_ne!(shape("| a | 7 | – |"), shape("| a | 7 | 7 |"));
    }
}
