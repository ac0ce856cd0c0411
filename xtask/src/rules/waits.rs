//! Tests wait for conditions, never for time: a sleep is allowed only in the one poll and where time itself is tried.

use crate::finding::{Exception, Finding, Rule, except};
use crate::tree::Tree;

const RULE: Rule = Rule {
    why: "a pause is too short on a slow machine and too long on every other: the test is flaky or the suite is slow",
    now: "wait for what is to become true (e2e/src/wait.rs: wait_until), with a limit and the last thing seen",
};

const EXCEPTIONS: [Exception; 15] = [
    Exception { place: "e2e/src/wait.rs", times: 1, reason: "is the one poll" },
    Exception { place: "e2e/src/puppet.rs", times: 1, reason: "a puppet is a program: its life is time" },
    Exception { place: "e2e/src/puppet/", times: 0, reason: "a puppet is a program: its life is time" },
    Exception {
        place: "e2e/src/soak.rs",
        times: 2,
        reason: "what is not there in time is a finding and no end: must not panic as the poll does",
    },
    Exception { place: "e2e/src/soak/stage.rs", times: 1, reason: "the moments of deeds are what is tried" },
    Exception {
        place: "e2e/src/project.rs",
        times: 3,
        reason: "ends what is left while a test may be unwinding: must not panic as the poll does",
    },
    Exception {
        place: "e2e/src/background.rs",
        times: 1,
        reason: "ends what is left while a test may be unwinding: must not panic as the poll does",
    },
    Exception {
        place: "e2e/tests/kills.rs",
        times: 2,
        reason: "the moment of the kill is what is tried, under traffic that goes on all the time",
    },
    Exception {
        place: "e2e/tests/revival.rs",
        times: 1,
        reason: "samples how many daemons there are while something else is waited for",
    },
    Exception {
        place: "apps/market/tests/stories/cluster.rs",
        times: 1,
        reason: "the poll of the stories about PostgreSQL, which use nothing of ours",
    },
    Exception {
        place: "apps/market/tests/stories/stage.rs",
        times: 1,
        reason: "the only poll of the market app's tests, which use nothing of ours",
    },
    Exception {
        place: "apps/market/tests/stories/replaying.rs",
        times: 1,
        reason: "the poll of the scanner's tests, which use nothing of ours",
    },
    Exception {
        place: "apps/market/tests/stories/scanning.rs",
        times: 1,
        reason: "a scanner is killed at many moments, which must be many",
    },
    Exception {
        place: "apps/market/tests/stories/producers.rs",
        times: 2,
        reason: "the only poll of the producers, and the pace of twenty readers",
    },
    Exception {
        place: "apps/market/tests/stories/kills.rs",
        times: 1,
        reason: "the moment of the kill is what is tried; nothing tells of it",
    },
];

/// Sleeps in tests.
pub fn check(tree: &Tree) -> Vec<Finding> {
    except(find(tree), &EXCEPTIONS)
}

fn find(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.rust("") {
        for (at, _, after) in source.words("sleep") {
            if source.is_test[at] && after.starts_with('(') {
                found.push(RULE.at(&file.path, at, "a test sleeps"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_in_a_test_is_told_and_one_in_the_program_not() {
        let count = |path: &str, text: &str| find(&Tree::of(&[(path, text)])).len();
        assert_eq!(count("e2e/tests/x.rs", "thread::sleep(PAUSE);"), 1);
        assert_eq!(count("e2e/tests/x.rs", "tokio::time::sleep(PAUSE).await;"), 1);
        assert_eq!(
            count(
                "crates/os/src/x.rs",
                "#[cfg(test)]\nmod tests {\n    fn a() { std::thread::sleep(B); }\n}"
            ),
            1
        );
        assert_eq!(count("crates/os/src/x.rs", "fn a() { std::thread::sleep(B); }"), 0);
    }
}
