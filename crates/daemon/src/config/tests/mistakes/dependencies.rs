//! Mistakes in what depends on what.

use std::path::Path;

use super::super::super::*;
use super::check;

#[test]
fn dependencies() {
    check(
        "[services.a]\ncommand = 'a'\n[services.b]\ncommand = 'b'\n[jobs.long-name]\ncommand = 'c'\n",
        &[
            (
                "depends-on = 'a'",
                (7, 14),
                "`depends-on` is a string, but it must be a list",
                "depends-on = [\"a\"]",
            ),
            ("depends-on = [1]", (7, 15), "an entry of `depends-on` is a whole number", "[\"db\"]"),
            ("depends-on = ['long-name']", (7, 15), "`long-name` depends on itself", "take it out"),
            ("depends-on = ['a', 'b', 'a']", (7, 25), "`a` is named twice", "take one"),
            ("depends-on = ['x']", (7, 15), "depends on `x`, which is not declared", "known are `a`, `b`"),
            (
                "[jobs.e]\ncommand = 'e'\ndepends-on = ['lnog-name']",
                (9, 15),
                "not declared",
                "mean `long-name`?",
            ),
            (
                "depends-on = ['e']\n[jobs.e]\ncommand = 'e'\ndepends-on = ['long-name']",
                (7, 15),
                "circle: long-name -> e -> long-name",
                "take one",
            ),
            (
                "[jobs.e]\ncommand = 'e'\ndepends-on = ['a', 'f']\n\
                 [jobs.f]\ncommand = 'f'\ndepends-on = ['g']\n\
                 [jobs.g]\ncommand = 'g'\ndepends-on = ['a', 'f']",
                (12, 15),
                "circle: f -> g -> f",
                "take one",
            ),
        ],
    );
    check(
        "[services.a]\ncommand = 'a'\nrestart = 'always'\n[services.b]\ncommand = 'b'\nrestart = 'on-success'\n\
         [jobs.c]\ncommand = 'c'\n",
        &[
            ("depends-on = { a = 'redy' }", (9, 20), "`redy` is not a condition", "did you mean `ready`?"),
            (
                "depends-on = { a = 'service_healthy' }",
                (9, 20),
                "is not a condition",
                "did you mean `ready`?",
            ),
            (
                "depends-on = { a = true }",
                (9, 20),
                "`a` is a boolean, but it must be a string",
                "db = \"ready\"",
            ),
            (
                "depends-on = { x = 'ready' }",
                (9, 16),
                "depends on `x`, which is not declared",
                "known are `a`, `b`",
            ),
            (
                "depends-on = { a = 'completed' }",
                (9, 20),
                "`a` is restarted whenever it ends, so it never completes",
                "wait until it is `ready`",
            ),
            (
                "depends-on = { b = 'completed-successfully' }",
                (9, 20),
                "`b` is restarted whenever it ends well, so it never completes",
                "restart = \"no\"",
            ),
            (
                "[jobs.d]\ncommand = 'd'\ndepends-on = { e = 'completed' }\n\
                 [jobs.e]\ncommand = 'e'\ndepends-on = { d = 'started' }",
                (11, 16),
                "circle: d -> e -> d",
                "take one",
            ),
        ],
    );
    check(
        "[services.a]\ncommand = 'a'\n",
        &[("depends-on = ['x']", (3, 15), "not declared", "`a` is alone")],
    );
}

#[test]
fn a_long_chain_and_a_long_circle_are_walked_without_the_stack() {
    const LENGTH: usize = 20_000;
    let mut text = String::new();
    for number in 0..LENGTH {
        text.push_str(&format!(
            "[jobs.j{number}]\ncommand = 'a'\ndepends-on = ['j{}']\n",
            (number + 1) % LENGTH
        ));
    }
    let error = Config::parse(&text, Path::new("/"), FILE_NAME).unwrap_err();
    let [problem] = error.problems() else { panic!("{} problems", error.problems().len()) };
    assert!(
        problem.message.contains("j0 -> j1 ->") && problem.message.ends_with("-> j0"),
        "{}",
        problem.message
    );
}
