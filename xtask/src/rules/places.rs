//! No absolute path of somebody's machine: what is written here must be true on every machine.

use crate::finding::{Finding, Rule};
use crate::source::is_word;
use crate::tree::Tree;

const RULE: Rule = Rule {
    why: "a path of the machine it was written on leads nowhere on every other, and tells who wrote it",
    now: "write it relative to the project, or as `~` or `$HOME` where a user's folder is meant",
};

/// First folders of such paths, without their slashes: with them this file would find itself.
const FIRST: [&str; 4] = ["home", "root", "Users", "work"];

/// Every such path in any text.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &tree.files {
        for (at, line) in file.text.lines().enumerate() {
            for first in FIRST {
                let path = format!("/{first}/");
                // In `crates/root/x` or `host/home/` it is a part of something else.
                let is_start =
                    |begin: usize| !line[..begin].ends_with(|c: char| is_word(c) || ".}~-)*>".contains(c));
                let is_named =
                    |begin: usize| line[begin + path.len()..].starts_with(|c: char| is_word(c) || c == '.');
                if line.match_indices(&path).any(|(begin, _)| is_start(begin) && is_named(begin)) {
                    found.push(RULE.at(&file.path, at, format!("a path below {path}")));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_machine_is_told_in_every_kind_of_file() {
        for first in FIRST {
            for (path, text) in
                [("a.rs", format!("f(\"/{first}/ada/x\")")), ("a.md", format!("see /{first}/ada"))]
            {
                assert_eq!(check(&Tree::of(&[(path, &text)])).len(), 1, "{text}");
            }
        }
    }

    #[test]
    fn a_part_of_another_path_is_not() {
        let text = ["a/", "root/", "b and https://x.org/", "home/", "y"].concat();
        assert!(check(&Tree::of(&[("a.md", &text)])).is_empty(), "{text}");
    }
}
