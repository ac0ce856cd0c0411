//! No file is longer than one can hold in mind, except those that say why, and how long they may become.

use crate::finding::{Finding, Rule};
use crate::tree::Tree;

const RULE: Rule = Rule {
    why: "a file that is read in one sitting is understood; a longer one is searched",
    now: "cut it at a noun (name.rs + name/); if it is one thought, list it in xtask/src/rules/length.rs with its reason",
};

const LONGEST: usize = 600;

/// A file that may be longer: its path, how long, and why.
type Long = (&'static str, usize, &'static str);

/// None at present.
const LONG: [Long; 0] = [];

/// Every file that is longer than it may be.
pub fn check(tree: &Tree) -> Vec<Finding> {
    check_with(tree, &LONG)
}

fn check_with(tree: &Tree, long: &[Long]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.rust("") {
        let listed = long.iter().find(|(path, _, _)| *path == file.path);
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
        let long: [Long; 1] = [("long.rs", 900, "one thought")];
        let count =
            |path: &str, lines: usize| check_with(&Tree::of(&[(path, &"a\n".repeat(lines))]), &long).len();
        assert_eq!((count("a.rs", 600), count("a.rs", 601)), (0, 1));
        assert_eq!((count("long.rs", 900), count("long.rs", 901)), (0, 1));
        assert_eq!(count("long.rs", 10), 1, "an exception that is not needed any more");
    }
}
