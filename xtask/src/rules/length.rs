//! No file is longer than one can hold in mind, except those that say why, and how long they may become.

use crate::finding::{Finding, Rule};
use crate::tree::Tree;

const RULE: Rule = Rule {
    why: "a file that is read in one sitting is understood; a longer one is searched",
    now: "cut it at a noun (name.rs + name/); if it is one thought, list it in xtask/src/rules/length.rs with its reason",
};

const LONGEST: usize = 600;

/// Files that may be longer: how long, and why.
const LONG: [(&str, usize, &str); 2] = [
    (
        "crates/core/src/instance.rs",
        900,
        "the whole machine in one place: every event answered in every state",
    ),
    (
        "crates/os/src/guard/body.rs",
        700,
        "one loop over one state, in which the order of the steps is the matter",
    ),
];

/// Every file that is longer than it may be.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.rust("") {
        let listed = LONG.iter().find(|(path, _, _)| *path == file.path);
        let longest = listed.map_or(LONGEST, |(_, longest, _)| *longest);
        let lines = source.lines.len();
        if lines > longest {
            found.push(RULE.at(&file.path, longest, format!("{lines} lines; {longest} are allowed")));
        } else if let Some((_, _, reason)) = listed.filter(|_| lines <= LONGEST) {
            found.push(RULE.at(
                &file.path,
                0,
                format!("{lines} lines: it needs no exception any more ({reason})"),
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_file_is_told_and_a_listed_one_has_its_own_limit() {
        let count = |path: &str, lines: usize| check(&Tree::of(&[(path, &"a\n".repeat(lines))])).len();
        assert_eq!((count("a.rs", 600), count("a.rs", 601)), (0, 1));
        assert_eq!((count(LONG[0].0, 900), count(LONG[0].0, 901)), (0, 1));
        assert_eq!(count(LONG[0].0, 10), 1, "an exception that is not needed any more");
    }
}
