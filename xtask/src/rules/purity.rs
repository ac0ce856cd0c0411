//! The core is pure, and so is the world that doubts it: their sources name nothing that asks a clock, a disk, a network,
//! a thread, an environment, a process or chance, and write nothing.

use crate::finding::{Finding, Rule};
use crate::source::Source;
use crate::tree::Tree;

const RULE: Rule = Rule {
    why: "two machines with the same history must decide the same, and a simulated world must be able to stand around \
          the core: time and chance come in as arguments, what is to be done goes out as effects; and a seed must tell \
          the same story to everybody",
    now: "let the driver do it and tell the core by an event, or take the value as an argument",
};

/// What lies below `std` and reaches the world.
const MODULES: [&str; 5] = ["fs", "net", "thread", "env", "process"];
/// Names that reach it, wherever they were imported from.
const NAMES: [&str; 2] = ["Instant", "SystemTime"];
/// Crates and modules that would.
const CRATES: [&str; 2] = ["rand", "log"];
const MACROS: [&str; 4] = ["println", "eprintln", "print", "eprint"];

/// What must be pure, and how it is called.
const PURE: [(&str, &str); 2] =
    [("crates/core/src/", "the core"), ("crates/sim/src/world", "the simulated world")];

/// Every such name in either.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let pure =
        PURE.iter().flat_map(|(place, who)| tree.rust(place).map(move |(file, source)| (who, file, source)));
    for (who, file, source) in pure {
        let mut say =
            |at: usize, what: String| found.push(RULE.at(&file.path, at, format!("{who} uses {what}")));
        for (at, name) in below_std(&source) {
            if MODULES.contains(&name.as_str()) {
                say(at, format!("std::{name}"));
            }
        }
        for name in NAMES {
            source.words(name).for_each(|(at, _, _)| say(at, name.to_owned()));
        }
        for name in CRATES {
            source
                .words(name)
                .filter(|(_, _, after)| after.starts_with("::"))
                .for_each(|(at, _, _)| say(at, name.to_owned()));
        }
        for name in MACROS {
            source
                .words(name)
                .filter(|(_, _, after)| after.starts_with('!'))
                .for_each(|(at, _, _)| say(at, format!("{name}!")));
        }
    }
    found
}

/// The first name of every path below `std`: `std::fs::read`, `use std::{fmt, fs}`, over several lines too.
fn below_std(source: &Source) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for (at, _, after) in source.words("std") {
        let Some(rest) = after.strip_prefix("::") else { continue };
        if !rest.starts_with('{') {
            names.push((at, first_word(rest)));
            continue;
        }
        let mut depth = 0;
        let mut begins = true;
        'group: for (line, text) in source.code.iter().enumerate().skip(at) {
            let text = if line == at { rest } else { text.as_str() };
            for (i, c) in text.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ if begins && depth == 1 && c.is_alphabetic() => {
                        names.push((line, first_word(&text[i..])));
                        begins = false;
                    }
                    _ => {}
                }
                begins |= c == ',' || (c == '{' && depth == 1);
                if depth == 0 {
                    break 'group;
                }
            }
        }
    }
    names
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| crate::source::is_word(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let found = check(&Tree::of(&[("crates/core/src/x.rs", text)]));
        found.into_iter().map(|f| f.what.trim_start_matches("the core uses ").to_owned()).collect()
    }

    #[test]
    fn every_way_to_reach_the_world_is_told() {
        assert_eq!(told("use std::fs;"), ["std::fs"]);
        assert_eq!(told("use std::{\n    fmt,\n    io::{self, Read},\n    thread,\n};"), ["std::thread"]);
        assert_eq!(told("let a = std::env::var(\"A\");"), ["std::env"]);
        assert_eq!(told("use std::time::{Duration, SystemTime};"), ["SystemTime"]);
        assert_eq!(told("use std::time; fn f() { time::Instant::now(); }"), ["Instant"]);
        assert_eq!(told("println!(\"x\"); log::info!(\"y\"); rand::random();"), ["rand", "log", "println!"]);
    }

    #[test]
    fn the_simulated_world_is_as_pure_as_the_core() {
        for path in ["crates/sim/src/world.rs", "crates/sim/src/world/machine.rs"] {
            let found = check(&Tree::of(&[(path, "use std::time::Instant;")]));
            assert_eq!(found.len(), 1, "{path}");
            assert_eq!(found[0].what, "the simulated world uses Instant");
        }
    }

    #[test]
    fn what_only_talks_of_it_is_not() {
        assert!(told("// std::fs\nuse std::time::Duration;\nlet log = 1; f(\"std::net\"); use std::{fmt, ops::Add};").is_empty());
        assert!(check(&Tree::of(&[("crates/os/src/x.rs", "use std::fs;")])).is_empty());
        assert!(check(&Tree::of(&[("crates/sim/src/main.rs", "use std::time::Instant;")])).is_empty());
    }
}
