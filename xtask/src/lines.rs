//! How much there is to read: lines of Rust by room, tests apart.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::tree::Tree;

/// A table of the rooms and their sum.
pub fn table(tree: &Tree) -> String {
    let mut rooms: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (file, source) in tree.rust("") {
        let tests = source.is_test.iter().filter(|is_test| **is_test).count();
        let count = rooms.entry(room(&file.path)).or_default();
        count.0 += source.lines.len() - tests;
        count.1 += tests;
    }
    let sum = rooms.values().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    rooms.insert("~ all".to_owned(), sum);
    let mut text = format!("{:<14} {:>7} {:>7} {:>7}\n", "ROOM", "CODE", "TESTS", "BOTH");
    for (room, (code, tests)) in &rooms {
        let name = room.trim_start_matches("~ ");
        let _ = writeln!(text, "{name:<14} {code:>7} {tests:>7} {:>7}", code + tests);
    }
    text.trim_end().to_owned()
}

/// `crates/core`, `apps/market`, `e2e`.
fn room(path: &str) -> String {
    let depth = if path.starts_with("crates/") || path.starts_with("apps/") { 2 } else { 1 };
    path.split('/').take(depth).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_tests_are_counted_apart() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n"),
            ("e2e/src/lib.rs", "fn b() {}\n"),
        ]);
        let table = table(&tree);
        assert!(table.lines().any(|l| l.split_whitespace().eq(["crates/a", "1", "3", "4"])), "{table}");
        assert!(table.lines().any(|l| l.split_whitespace().eq(["all", "1", "4", "5"])), "{table}");
    }
}
