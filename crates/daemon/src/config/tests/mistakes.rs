//! A table of mistakes: the text, where the error points, and what it says.
//! Here are those of the file as a whole; what a good file gives is tested one level up.

use super::super::*;
use super::folder;

mod dependencies;
mod instances;
mod limits;
mod probes;
mod programs;
mod rules;
mod schedules;
mod sockets;
mod windows;

/// Text, line and column, a part of the message, a part of the help.
pub(super) type Mistake = (&'static str, (usize, usize), &'static str, &'static str);

/// Each text has exactly this one mistake, and its report shows message, place and help.
pub(super) fn check(before: &str, mistakes: &[Mistake]) {
    let folder = folder();
    for (text, place, message, help) in mistakes {
        let error = match Config::parse(&format!("{before}{text}"), folder.path(), FILE_NAME) {
            Ok(config) => panic!("{text}\nis taken for right: {config:?}"),
            Err(error) => error,
        };
        let report = error.to_string();
        let [problem] = error.problems() else { panic!("{text}\nhas not one problem:\n{report}") };
        assert_eq!((problem.line, problem.column), *place, "{text}\n{report}");
        assert!(problem.message.contains(message), "{text}\nshould say {message:?}:\n{report}");
        assert!(problem.help.contains(help), "{text}\nshould help with {help:?}:\n{report}");
        for part in [&problem.message, &problem.help, &format!("{FILE_NAME}:{}:{}", place.0, place.1)] {
            assert!(report.contains(part.as_str()), "{text}\nshould show {part:?}:\n{report}");
        }
    }
}

#[test]
fn toml_itself() {
    check(
        "",
        &[
            ("[services.a\n", (1, 12), "not valid TOML: unclosed table", "toml.io"),
            ("[services.a]\ncommand = ./a\n", (2, 11), "not valid TOML", "in quotes: `\"./a\"`"),
            ("[services.a]\ncommand = \"a\n", (2, 13), "not valid TOML", ""),
            ("\u{feff}é = \n", (1, 1), "not valid TOML: invalid unquoted key", ""),
            ("[services.a]\ncommand = 'a'\n[services.a]\n", (3, 11), "`a` is declared twice", "keep one"),
            (
                "[services.a]\ncommand = 'a'\ncommand = 'b'\n",
                (3, 1),
                "`command` is declared twice",
                "keep one",
            ),
        ],
    );
}

#[test]
fn the_top_and_the_project() {
    check(
        "",
        &[
            ("title = 1", (1, 1), "the file has no key `title`", "known are `project`, `services`, `jobs`"),
            ("[service.a]\ncommand = 'a'", (1, 2), "no key `service`", "did you mean `services`?"),
            ("[api]\ncommand = 'a'", (1, 2), "no key `api`", "[services.api]"),
            ("name = 'x'", (1, 1), "no key `name`", "under [project]"),
            ("restart = 'no'", (1, 1), "no key `restart`", "under [services.NAME]"),
            ("project = 'x'", (1, 11), "`project` is a string, but it must be a table", "[project]"),
            ("[project]\nnmae = 'x'", (2, 1), "[project] has no key `nmae`", "did you mean `name`?"),
            ("[project]\nname = 5", (2, 8), "`name` is a whole number, but it must be a string", "name = "),
            ("[project]\nname = ''", (2, 8), "not a name for a project", "leave it out"),
            (
                "[[services]]\ncommand = 'a'",
                (1, 1),
                "`services` is a list, but it must be a table",
                "[services.NAME]",
            ),
            ("[services]\ncommand = 'a'", (2, 1), "`command` stands under [services]", "[services.NAME]"),
            ("[jobs]\na = 'b'", (2, 5), "`a` is a string, but it must be a table", "[jobs.NAME]"),
        ],
    );
}

#[test]
fn names() {
    let long = format!("[services.{}]\ncommand = 'a'", "x".repeat(65));
    let long: &'static str = long.leak();
    check(
        "",
        &[
            (
                "[services.'a/b']\ncommand = 'a'",
                (1, 11),
                "`a/b` is no name for a service: it contains `/`",
                "1 to 64",
            ),
            ("[jobs.'a b']\ncommand = 'a'", (1, 7), "no name for a job: it contains ` `", "1 to 64"),
            (
                "[jobs.\"a\\nb\"]\ncommand = 'a'",
                (1, 7),
                "`a\\nb` is no name for a job: it contains `\\n`",
                "",
            ),
            ("[services.'é']\ncommand = 'a'", (1, 11), "it contains `é`", "A-Z"),
            ("[services.'']\ncommand = 'a'", (1, 11), "it is empty", "1 to 64"),
            ("[services.'.a']\ncommand = 'a'", (1, 11), "it begins with `.`", "begins with none"),
            ("[services.-a]\ncommand = 'a'", (1, 11), "it begins with `-`", "begins with none"),
            (long, (1, 11), "it is 65 characters long", "1 to 64"),
            (
                "[services.a]\ncommand = 'a'\n[jobs.a]\ncommand = 'a'",
                (3, 7),
                "a service and as a job",
                "another name",
            ),
            (
                "[services.a]\ncommand = 'a'\n[services.a.v2]\ncommand = 'b'",
                (3, 13),
                "inside",
                "[services.\"a.v2\"]",
            ),
        ],
    );
}

#[test]
fn all_mistakes_are_told_in_one_go() {
    let text = "[services.a]\nport = 0\nscope = 'x'\n[services.a]\ncommand = 'x'\n[jobs.b]\nevery = 5\n";
    let error = Config::parse(text, Path::new("/"), FILE_NAME).unwrap_err();
    let places: Vec<_> = error.problems().iter().map(|problem| (problem.line, problem.column)).collect();
    assert_eq!(places, [(2, 8), (3, 9), (4, 11), (6, 7), (7, 9)], "{error}");
    let report = error.to_string();
    assert!(report.ends_with("5 problems in soloist.toml"), "{report}");
    assert!(report.contains("the first time") && report.contains("the second time"), "{report}");
}

#[test]
fn every_listed_key_is_read() {
    // A date suits no key; a key that is listed as known but read nowhere would be taken in silence.
    use draft::Section::{Jobs, Services};
    for (section, is_ticked) in [(Services, false), (Services, true), (Jobs, false)] {
        for key in section.keys(is_ticked) {
            let command = match key {
                "command" => "",
                "trigger" => "command = 'a'\n",
                "every" if is_ticked => "command = 'a'\ntrigger = 'stdin'\n",
                _ if is_ticked => "command = 'a'\ntrigger = 'stdin'\nevery = '6s'\n",
                _ => "command = 'a'\n",
            };
            let text = format!("[{}s.a]\n{command}{key} = 1979-05-27\n", section.noun());
            let error = Config::parse(&text, Path::new("/"), FILE_NAME).unwrap_err();
            let [problem] = error.problems() else { panic!("{error}") };
            assert!(problem.message.contains("is a date or time"), "{error}");
        }
    }
}
