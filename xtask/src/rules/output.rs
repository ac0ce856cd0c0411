//! Only the printer speaks: standard output and error belong to the one who typed a command.

use crate::finding::{Exception, Finding, Rule, except};
use crate::tree::Tree;

const RULE: Rule = Rule {
    why: "what a person or a script reads comes from one place, so that colours, `--json` and a closed pipe are treated \
          once; a daemon that prints writes into somebody's terminal or log",
    now: "return the text and let crates/cli/src/printer.rs (in the market app: say.rs) write it, or write it to the log",
};

const ELSEWHERE: [Exception; 8] = [
    Exception { place: "crates/cli/src/printer.rs", times: 2, reason: "is the printer" },
    Exception { place: "apps/market/src/say.rs", times: 2, reason: "is the printer of the market app" },
    Exception {
        place: "crates/daemon/src/serve.rs",
        times: 1,
        reason: "tell_starter: the pipe to whoever started the daemon",
    },
    Exception {
        place: "e2e/",
        times: 0,
        reason: "the puppet is a program of its own, and a skipped test says so loudly",
    },
    Exception {
        place: "apps/market/tests/stories/postgresql.rs",
        times: 1,
        reason: "a skipped test says so loudly; this package uses nothing of ours",
    },
    Exception { place: "bench/", times: 0, reason: "prints its table" },
    Exception { place: "xtask/", times: 0, reason: "prints its findings" },
    Exception { place: "crates/sim/src/main.rs", times: 2, reason: "prints how the lives of its seeds went" },
];

const MACROS: [&str; 4] = ["println", "eprintln", "print", "eprint"];
const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// Everybody else who speaks.
pub fn check(tree: &Tree) -> Vec<Finding> {
    except(find(tree), &ELSEWHERE)
}

fn find(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.rust("") {
        for name in MACROS {
            for (at, _, _) in source.words(name).filter(|(_, _, after)| after.starts_with('!')) {
                found.push(RULE.at(&file.path, at, format!("writes by {name}!")));
            }
        }
        for name in STREAMS {
            // `.stdout(…)` sets the output of a child, `fn stdout(` is somebody's own.
            let is_stream = |before: &str, after: &str| {
                after.starts_with("()") && !before.ends_with('.') && !before.trim_end().ends_with("fn")
            };
            for (at, _, _) in source.words(name).filter(|(_, before, after)| is_stream(before, after)) {
                found.push(RULE.at(&file.path, at, format!("writes to {name}")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_speaks_is_told() {
        for text in [
            "println!(\"x\")",
            "eprint!(\"x\")",
            "std::io::stdout().lock()",
            "use std::io::stderr; stderr().lock()",
        ] {
            assert_eq!(find(&Tree::of(&[("crates/daemon/src/x.rs", text)])).len(), 1, "{text}");
        }
        for text in [
            "command.stdout(Stdio::null())",
            "// println!",
            "\"println!\"",
            "fn stdout() {}",
            "output.stdout",
        ] {
            assert!(find(&Tree::of(&[("crates/daemon/src/x.rs", text)])).is_empty(), "{text}");
        }
    }
}
