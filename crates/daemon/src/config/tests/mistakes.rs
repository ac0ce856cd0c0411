//! A table of mistakes: the text, where the error points, and what it says.
//! The order is that of `soloist.toml` itself; what a good file gives is tested one level up.

use super::super::*;
use super::folder;

/// Text, line and column, a part of the message, a part of the help.
type Mistake = (&'static str, (usize, usize), &'static str, &'static str);

/// Each text has exactly this one mistake, and its report shows message, place and help.
fn check(before: &str, mistakes: &[Mistake]) {
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
fn commands() {
    check(
        "[services.a]\n",
        &[
            ("dir = '.'", (1, 11), "the service `a` has no command", "command = ["),
            (
                "comand = 'a'\ncommand = 'a'",
                (2, 1),
                "a service has no key `comand`",
                "did you mean `command`?",
            ),
            (
                "command = 5",
                (2, 11),
                "`command` is a whole number, but it must be a string or a list",
                "[\"./api\"",
            ),
            ("command = ['a', 5]", (2, 17), "an entry of `command` is a whole number", "[\"./api\""),
            ("command = []", (2, 11), "the command is empty", "name the program"),
            ("command = ['']", (2, 12), "the command is empty", "name the program"),
            ("command = ' '", (2, 11), "the command is empty", "name the program"),
            ("command = \"'' b\"", (2, 11), "the command is empty", "name the program"),
            ("command = \"a 'b\"", (2, 14), "a quote in the command is not closed", "close it"),
            ("command = \"a\\u0000\"", (2, 11), "contains a NUL", "take it out"),
            ("command = ['a', \"\\u0000\"]", (2, 17), "contains a NUL", "take it out"),
            ("command = 'a && b'", (2, 14), "`&&` in a command", "[\"sh\", \"-c\", \"a && b\"]"),
            ("command = 'a | b'", (2, 14), "`|` in a command", "\"sh\", \"-c\""),
            ("command = 'a > b'", (2, 14), "`>` in a command", "\"sh\", \"-c\""),
            ("command = 'a; b'", (2, 13), "`;` in a command", "\"sh\", \"-c\""),
            ("command = 'é $VAR'", (2, 14), "`$VAR` in a command", "\"sh\", \"-c\""),
            ("command = 'a `b`'", (2, 14), "``` in a command", "\"sh\", \"-c\""),
            ("command = \"a\\t&& b\"", (2, 11), "`&&` in a command", "[\"sh\", \"-c\", \"…\"]"),
            ("command = '~/a'", (2, 12), "`~` in a command", "no shell is run"),
            ("command = 'A=1 b'", (2, 12), "`A=1` sets a variable", "env = { A = "),
        ],
    );
}

#[test]
fn folder_environment_scope_and_pid_file() {
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            ("dir = 'nowhere'", (3, 7), "the folder `nowhere` does not exist", "create /"),
            ("dir = 'file'", (3, 7), "`file` is not a folder", "name the folder it is in"),
            ("dir = ''", (3, 7), "`dir` is empty", "dir = \".\""),
            ("dir = \"a\\u0000\"", (3, 7), "`dir` contains a NUL", "take it out"),
            ("dir = 1", (3, 7), "`dir` is a whole number, but it must be a string", "dir = \".\""),
            ("cwd = '.'", (3, 1), "no key `cwd`", "did you mean `dir`?"),
            ("env = ['A=b']", (3, 7), "`env` is a list, but it must be a table", "env = { NAME"),
            ("env = { 'A=B' = 'c' }", (3, 9), "`A=B` is not a name of a variable: it contains `=`", "NAME"),
            ("env = { \"A\\u0000\" = 'c' }", (3, 9), "it contains a NUL", "NAME"),
            ("env = { '' = 'c' }", (3, 9), "it is empty", "NAME"),
            ("env = { A = \"\\u0000\" }", (3, 13), "`A` contains a NUL", "take it out"),
            (
                "env = { A = [1] }",
                (3, 13),
                "`A` is a list, but it must be a string, a number or a boolean",
                "NAME",
            ),
            ("env = { A = 1979-05-27 }", (3, 13), "`A` is a date or time", "NAME"),
            ("env = { A = 99999999999999999999 }", (3, 13), "`A` is too large", "quotes"),
            ("env.A.B = 1", (3, 5), "`A` is a table", "NAME"),
            ("scope = 'cluster'", (3, 9), "`cluster` is not a scope", "known are `project`, `machine`"),
            ("scope = 'machin'", (3, 9), "`machin` is not a scope", "did you mean `machine`?"),
            ("pid-file = ''", (3, 12), "`pid-file` is empty", "api.pid"),
            ("pid-file = 'sub'", (3, 12), "`sub` is a folder", "api.pid"),
            ("pid-file = false", (3, 12), "`pid-file` is a boolean", "api.pid"),
            (
                "pid-file = 'p'\n[jobs.b]\ncommand = 'b'\npid-file = './p'",
                (6, 12),
                "the same pid file",
                "its own",
            ),
        ],
    );
}

#[test]
fn ports() {
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            ("port = 0", (3, 8), "`0` is not a port", "a port is a number from 1 to 65535"),
            ("port = 70000", (3, 8), "`70000` is not a port", "from 1 to 65535"),
            ("port = -1", (3, 8), "`-1` is not a port", "from 1 to 65535"),
            ("port = 99999999999999999999", (3, 8), "is not a port", "from 1 to 65535"),
            ("port = '9000'", (3, 8), "`port` is a string, but it must be a whole number", "port = 9000"),
            ("port = 9000.0", (3, 8), "`port` is a number with a fraction", "port = 9000"),
            ("port = [9000]", (3, 8), "`port` is a list", "ports = [9000, 9001]"),
            (
                "ports = 9000",
                (3, 9),
                "`ports` is a whole number, but it must be a list",
                "ports = [9000, 9001]",
            ),
            ("ports = [9000, 'x']", (3, 16), "an entry of `ports` is a string", "ports = [9000, 9001]"),
            ("ports = [9000, 9001, 9000]", (3, 22), "port 9000 is declared twice by `a`", "take one"),
            ("port = 1\nports = [2]", (4, 1), "`port` and `ports` are both declared", "keep `ports`"),
            (
                "port = 1\n[services.b]\ncommand = 'b'\nport = 1",
                (6, 8),
                "port 1 is declared by `a` and by `b`",
                "another",
            ),
            ("prot = 1", (3, 1), "no key `prot`", "did you mean `port`?"),
            (
                "every = '6s'",
                (3, 1),
                "`every` belongs to jobs",
                "a service runs on; declare it under [jobs.a]",
            ),
        ],
    );
}

#[test]
fn rules_of_restart_and_stop() {
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            ("restart = 'allways'", (3, 11), "`allways` is not a restart rule", "did you mean `always`?"),
            ("restart = 'never'", (3, 11), "`never` is not a restart rule", "did you mean `no`?"),
            ("restart = true", (3, 11), "`restart` is a boolean, but it must be a string", "\"on-failure\""),
            ("restart = 'on-failure:x'", (3, 11), "`x` is not a number of restarts", "on-failure:3"),
            ("restart = 'on-failure:-1'", (3, 11), "`-1` is not a number of restarts", "on-failure:3"),
            ("restart = 'on-failure:'", (3, 11), "`` is not a number of restarts", "on-failure:3"),
            ("restart = 'on-failure:0'", (3, 11), "would never restart", "restart = \"no\""),
            ("stop-signal = 'TREM'", (3, 15), "`TREM` is not a signal", "did you mean `TERM`?"),
            ("stop-signal = 'sigint'", (3, 15), "`sigint` is not a signal", "did you mean `INT`?"),
            ("stop-signal = 15", (3, 15), "`stop-signal` is a whole number", "\"TERM\""),
            ("success-exit-codes = [256]", (3, 23), "`256` is not an exit code", "from 0 to 255"),
            ("success-exit-codes = 0", (3, 22), "must be a list", "success-exit-codes = [0]"),
            ("success-exit-codes = []", (3, 22), "no run could succeed", "at least one"),
            ("backoff = '1s'", (3, 11), "`backoff` is a string, but it must be a table", "backoff = {"),
            ("backoff = { frist = '1s' }", (3, 13), "backoff has no key `frist`", "did you mean `first`?"),
            (
                "backoff = { first = '2s', max = '1s' }",
                (3, 21),
                "2s, is longer than the longest, 1s",
                "raise",
            ),
            ("backoff = { first = '2m' }", (3, 21), "2m, is longer than the longest, 1m", "raise"),
            ("backoff = { max = '1ms' }", (3, 19), "1s, is longer than the longest, 1ms", "lower"),
            ("backoff = { first = '0s' }", (3, 21), "`first` is zero", "first = \"1s\""),
            (
                "restart-limit = { number = 1 }",
                (3, 19),
                "restart-limit has no key `number`",
                "known are `count`",
            ),
            ("restart-limit = { count = 0 }", (3, 27), "`0` is not a count of restarts", "from 1"),
            ("restart-limit = { period = '0s' }", (3, 28), "`period` is zero", "10m"),
        ],
    );
}

#[test]
fn durations() {
    check(
        "[jobs.a]\ncommand = 'a'\n",
        &[
            ("every = '0s'", (3, 9), "`every` is zero", "every = \"6s\""),
            ("every = 6", (3, 9), "`every` is a number without a unit", "\"6s\""),
            ("every = 1.5", (3, 9), "`every` is a number without a unit", "\"1.5s\""),
            ("every = '6'", (3, 9), "`every` is a number without a unit", "\"6s\""),
            ("every = -6", (3, 9), "`every` is negative: `-6`", "every = \"6s\""),
            ("every = '-6s'", (3, 9), "`every` is negative: `-6s`", "`\"6s\"`"),
            ("every = '6 parsecs'", (3, 9), "not a duration: `6 parsecs`", "units are ms, s, m, h, d"),
            ("every = ''", (3, 9), "not a duration: ``", "every = \"6s\""),
            ("every = 'soon'", (3, 9), "not a duration: `soon`", "every = \"6s\""),
            ("every = '18446744073709551615s 1000ms'", (3, 9), "is not a duration", "units"),
            ("every = '99999999999y'", (3, 9), "`every` is too long", "ten years"),
            ("every = '11y'", (3, 9), "`every` is too long", "ten years"),
            (
                "every = true",
                (3, 9),
                "`every` is a boolean, but it must be a string with a duration",
                "every = \"6s\"",
            ),
            ("stop-grace = 5", (3, 14), "`stop-grace` is a number without a unit", "\"5s\""),
            ("evry = '6s'", (3, 1), "a job has no key `evry`", "did you mean `every`?"),
            ("port = 9000", (3, 1), "`port` belongs to services", "[services.a]"),
            ("restart = 'no'", (3, 1), "`restart` belongs to services", "a job runs and ends"),
        ],
    );
}

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
        "[services.a]\ncommand = 'a'\n",
        &[("depends-on = ['x']", (3, 15), "not declared", "`a` is alone")],
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
    for section in [read::Section::Services, read::Section::Jobs] {
        for key in section.keys() {
            let command = if key == "command" { "" } else { "command = 'a'\n" };
            let text = format!("[{}s.a]\n{command}{key} = 1979-05-27\n", section.noun());
            let error = Config::parse(&text, Path::new("/"), FILE_NAME).unwrap_err();
            let [problem] = error.problems() else { panic!("{error}") };
            assert!(problem.message.contains("is a date or time"), "{error}");
        }
    }
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
