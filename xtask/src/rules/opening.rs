//! Every Rust file opens with its duty: one to five lines that say what it owns and what it does not.

use crate::finding::{Finding, Rule};
use crate::tree::Tree;

const RULE: Rule = Rule {
    why: "a reader decides from the first lines whether what is sought can be here; without them every file must be read",
    now: "open the file with one to five `//!` lines: what it owns, what it does not, where to look next",
};

const LONGEST: usize = 5;
/// Fewer words than this say nothing.
const FEWEST_WORDS: usize = 4;

/// Files whose opening may be longer, and why.
const LONG: [(&str, &str); 1] = [(
    "crates/core/src/state.rs",
    "draws the picture of all states: what each means and what may follow what",
)];

/// Every file without a proper opening.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.rust("") {
        let opening: Vec<&str> = source.lines.iter().map_while(|line| line.strip_prefix("//!")).collect();
        let words = opening
            .iter()
            .flat_map(|line| line.split_whitespace())
            .filter(|w| w.contains(char::is_alphabetic));
        let is_long = LONG.iter().any(|(path, _)| *path == file.path);
        if words.count() < FEWEST_WORDS {
            found.push(RULE.at(&file.path, 0, "opens without saying what it is for"));
        } else if opening.len() > LONGEST && !is_long {
            found.push(RULE.at(&file.path, 0, format!("opens with {} lines of `//!`", opening.len())));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_told(path: &str, text: &str) -> bool {
        !check(&Tree::of(&[(path, text)])).is_empty()
    }

    #[test]
    fn none_an_empty_one_and_a_long_one_are_told() {
        assert!(is_told("a.rs", "fn a() {}"));
        assert!(is_told("a.rs", "// Owns the as of it.\nfn a() {}"));
        assert!(is_told("a.rs", "//! ..\nfn a() {}"));
        assert!(is_told("a.rs", &"//! Owns the as of it.\n".repeat(6)));
        assert!(!is_told("a.rs", "//! Owns the as of it.\nfn a() {}"));
        assert!(!is_told(LONG[0].0, &"//! Owns the as of it.\n".repeat(6)));
    }
}
