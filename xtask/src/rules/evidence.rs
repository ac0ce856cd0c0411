//! A test that the page of evidence names is there.

use crate::finding::{Finding, Rule};
use crate::tree::Tree;

const PAGE: &str = "docs/evidence.md";

const RULE: Rule = Rule {
    why: "evidence is what a reader can repeat; a test that is gone or has another name shows nothing",
    now: "name the test as it is called now: `file` or `file::test` of e2e/tests",
};

/// Every `e2e/tests` test in inline code of the page, written `file::` or `file::test`, that is not there.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.files.iter().find(|file| file.path == PAGE) else { return Vec::new() };
    let mut found = Vec::new();
    for (at, line) in page.text.lines().enumerate() {
        for name in line.split('`').skip(1).step_by(2) {
            let Some((file, test)) = name.split_once("::").filter(|_| is_path(name)) else { continue };
            let path = format!("e2e/tests/{file}.rs");
            let source = tree.files.iter().find(|file| file.path == path);
            if !source.is_some_and(|source| test.is_empty() || source.text.contains(&format!("fn {test}("))) {
                found.push(RULE.at(PAGE, at, format!("`{name}` is no test")));
            }
        }
    }
    found
}

/// Two words of a path: what else is in inline code is somebody's command or type.
fn is_path(name: &str) -> bool {
    let is_word =
        |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    name.split("::").count() == 2 && name.split("::").all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&Tree::of(&[(PAGE, text), ("e2e/tests/race.rs", "#[test]\nfn one_wins() {}\n")])).len()
    }

    #[test]
    fn what_is_no_test_is_told() {
        for text in ["`race::two_win`", "`rase::`", "a `race::one_wins` and `rase::one_wins`"] {
            assert_eq!(count(text), 1, "{text}");
        }
    }

    #[test]
    fn what_is_there_and_what_means_no_test_is_not_told() {
        for text in ["`race::one_wins`", "`race::`", "`std::fs::File`", "`cargo test -p e2e`", "`Fd::new`"] {
            assert_eq!(count(text), 0, "{text}");
        }
    }
}
