//! No wildcard arm where states and events meet: the table of the core is total by being written out.

use crate::finding::{Finding, Rule};
use crate::tree::Tree;

const RULE: Rule = Rule {
    why: "a wildcard answers for states and events that do not exist yet: one once swallowed a failed spawn while \
          stopping, and the instance held its claim for ever",
    now: "name every state or event in the arm; a harmless one is listed in xtask/src/rules/arms.rs with its reason",
};

const FILES: [&str; 3] =
    ["crates/core/src/instance.rs", "crates/core/src/instance/", "crates/core/src/state.rs"];

/// Wildcard arms that decide nothing: file, exact line, how many of them, reason.
const HARMLESS: [(&str, &str, usize, &str); 1] = [(
    "crates/core/src/instance.rs",
    "_ => None,",
    1,
    "status() only tells: a state without such a time has none to tell",
)];

/// Every wildcard arm that is not listed.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = find(tree);
    for (file, line, times, reason) in HARMLESS {
        let is_it = |f: &Finding| f.file == file && f.what == told(line);
        let seen = found.iter().filter(|f| is_it(f)).count();
        if seen <= times {
            found.retain(|f| !is_it(f));
        }
        if seen < times && tree.has(file) {
            found.push(RULE.at(
                file,
                0,
                format!("`{line}` is listed as harmless {times} times and is here {seen} times ({reason})"),
            ));
        }
    }
    found
}

fn find(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in FILES.iter().flat_map(|path| tree.rust(path)) {
        for (at, line) in source.code.iter().enumerate().filter(|(at, _)| !source.is_test[*at]) {
            if arms(line).any(is_catch_all) {
                found.push(RULE.at(&file.path, at, told(source.lines[at].trim())));
            }
        }
    }
    found
}

fn told(line: &str) -> String {
    format!("a wildcard arm: `{line}`")
}

/// The patterns of the arms that begin in a line.
fn arms(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("=>").map(|(end, _)| {
        let before = &line[..end];
        let begin =
            before.rfind(['{', ',']).filter(|i| !before[*i..].contains(['}', ')'])).map_or(0, |i| i + 1);
        before[begin..].trim()
    })
}

/// `_`, `_ if …`, `A | _`, or a plain name, which is a wildcard with a name.
fn is_catch_all(pattern: &str) -> bool {
    let pattern = pattern.split(" if ").next().unwrap_or_default();
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && text.chars().all(crate::source::is_word)
    };
    pattern.split('|').map(str::trim).any(|one| is_name(one) && !["true", "false"].contains(&one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        find(&Tree::of(&[(FILES[0], text)])).len()
    }

    #[test]
    fn every_form_of_a_wildcard_is_told() {
        for text in [
            "    _ => {}",
            "_ if a == b => {}",
            "State::Stopped | _ => {}",
            "match a { State::B => c, _ => d }",
            "other => {}",
        ] {
            assert_eq!(count(text), 1, "{text}");
        }
        for text in [
            "(Wanted::Down, _) => a,",
            "State::A { .. } => b,",
            "State::A { b, .. } => c,",
            "Some(a) => a,",
            "None => {}",
            "// _ =>",
        ] {
            assert_eq!(count(text), 0, "{text}");
        }
    }

    #[test]
    fn a_harmless_one_too_many_and_one_too_few_are_told() {
        let check_lines = |count: usize| check(&Tree::of(&[(FILES[0], &"_ => None,\n".repeat(count))])).len();
        assert_eq!([check_lines(0), check_lines(1), check_lines(2)], [1, 0, 2]);
    }
}
