//! Mistakes in how a program is started: command, folder, environment, scope, pid file.

use super::check;

#[test]
fn watched_files() {
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            (
                "watch = 5",
                (3, 9),
                "`watch` is a whole number, but it must be a string or a list",
                "app/**/*.py",
            ),
            ("watch = []", (3, 9), "`watch` is empty", "app/**/*.py"),
            ("watch = ''", (3, 9), "an empty pattern matches nothing", "app/**/*.py"),
            (
                "watch = '/etc/hosts'",
                (3, 9),
                "`/etc/hosts` leads out of the project's folder",
                "begin with a folder",
            ),
            ("watch = ['app', 'a/../../b']", (3, 17), "`a/../../b` leads out", "begin with a folder"),
            ("watch = '!app'", (3, 9), "`!app` excludes", "watch-ignore"),
            ("watch = 'a{b'", (3, 9), "`a{b` is not a pattern", "app/**/*.py"),
            ("watch-ignore = 'app'", (3, 1), "`watch-ignore` is declared without `watch`", "watch = ["),
            ("watchs = 'app'", (3, 1), "a service has no key `watchs`", "did you mean `watch`?"),
        ],
    );
    let job = ("watch = 'app'", (3, 1), "`watch` belongs to services", "a job runs and ends");
    check("[jobs.a]\ncommand = 'a'\n", &[job]);
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
