//! Mistakes in keyed instances. What is wrong for all of them is told once.

use super::super::super::*;
use super::super::folder;
use super::check;

#[test]
fn keys() {
    let long = format!("instances = ['{}']", "x".repeat(63));
    let many: Vec<_> = (0..1001).map(|number| format!("'k{number}'")).collect();
    let many = format!("instances = [{}]", many.join(","));
    check(
        "[services.s]\ncommand = 's {instance}'\n",
        &[
            (
                "instances = []",
                (3, 13),
                "`instances` is empty: there would be no instance",
                "at least one key",
            ),
            ("instances = ['a', 'b', 'a']", (3, 24), "the instance `a` is declared twice", "take one"),
            ("instances = ['a/b']", (3, 14), "`a/b` is no key of an instance: it contains `/`", "1 to 64"),
            ("instances = ['a@b']", (3, 14), "`a@b` is no key of an instance: it contains `@`", "1 to 64"),
            ("instances = ['']", (3, 14), "`` is no key of an instance: it is empty", "1 to 64"),
            (long.leak(), (3, 14), "`s@…` would be 65 characters long", "1 to 64"),
            (many.leak(), (3, 13), "`s` has 1001 instances", "1000 are the most"),
            (
                "instances = 'a'",
                (3, 13),
                "`instances` is a string, but it must be a list",
                "instances = [\"antica\"",
            ),
            ("instances = ['a', 5]", (3, 19), "an entry of `instances` is a whole number", "instances = ["),
            ("instance = ['a']", (3, 1), "no key `instance`", "did you mean `instances`?"),
        ],
    );
    check(
        "",
        &[(
            "[services.'s@a']\ncommand = 's'",
            (1, 11),
            "`s@a` is no name for a service: it contains `@`",
            "[services.s] with `instances = [\"a\"]`",
        )],
    );
}

#[test]
fn what_each_must_have_for_itself() {
    check(
        "[services.s]\ncommand = 's'\ninstances = ['a', 'b']\n",
        &[
            ("port = 1", (4, 8), "port 1 is the same for all instances of `s`", "port = { a = 1, b = 2 }"),
            (
                "ports = [1]",
                (4, 10),
                "port 1 is the same for all instances of `s`",
                "port = { a = 1, b = 2 }",
            ),
            ("port = { a = 1 }", (4, 8), "the instance `b` has no port", "`b = 9000`"),
            ("port = { a = 1, b = 2, c = 3 }", (4, 24), "there is no instance `c`", "known are `a`, `b`"),
            ("port = { a = 1, b = 1 }", (4, 21), "port 1 is declared by `s@a` and by `s@b`", "another port"),
            ("port = { a = 0, b = 1 }", (4, 14), "`0` is not a port", "from 1 to 65535"),
            (
                "pid-file = 's.pid'",
                (4, 12),
                "the pid file is the same for all instances of `s`",
                "`{instance}`",
            ),
        ],
    );
    check(
        "[services.s]\ncommand = 's'\n",
        &[("port = { a = 1 }", (3, 10), "a port has no key `a`", "known are `prefer`, `else`")],
    );
}

#[test]
fn one_mistake_of_a_keyed_service_is_told_once_and_one_of_each_key_once_a_key() {
    let folder = folder();
    let told = |text: &str| {
        let text = format!("[services.s]\ncommand = 's'\ninstances = ['sub', 'b', 'c']\n{text}");
        let error = Config::parse(&text, folder.path(), FILE_NAME).unwrap_err();
        error.problems().iter().map(|problem| problem.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(told("restart = 'x'\nwatchdog = '0s'\n").len(), 2);
    assert_eq!(
        told("dir = '{instance}'"),
        ["the folder `b` does not exist", "the folder `c` does not exist"]
    );
    assert_eq!(told("readiness.log = '{instance}('").len(), 3);
}

#[test]
fn names_of_keyed_services() {
    check(
        "[services.s]\ncommand = 's'\ninstances = ['a', 'b']\n[services.t]\ncommand = 't'\n",
        &[
            ("depends-on = ['s@c']", (6, 15), "`t` depends on `s@c`, which is not declared", "mean `s@a`?"),
            ("depends-on = ['s@{instance}']", (6, 15), "which is not declared", ""),
            (
                "instances = ['a', 'c']\ndepends-on = ['s@{instance}']",
                (7, 15),
                "depends on `s@c`, which",
                "`s@a`",
            ),
            ("instances = ['a']\ndepends-on = ['t@a']", (7, 15), "`t` depends on itself", "take it out"),
            ("instances = ['a', 'b']\ndepends-on = ['t']", (7, 15), "`t` depends on itself", "take it out"),
            ("[jobs.s]\ncommand = 's'", (6, 7), "`s` is declared as a service and as a job", "another name"),
            (
                "instances = ['a', 'b']\ndepends-on = ['u']\n[jobs.u]\ncommand = 'u'\ndepends-on = ['t@a']",
                (7, 15),
                "circle: t -> u -> t",
                "take one",
            ),
        ],
    );
}
