//! Mistakes in what a program may use, as whom it runs, and how it is told to stop and to reload.

use std::fs;

use super::super::super::*;
use super::super::folder;
use super::check;

#[test]
fn memory_and_cpu() {
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            ("memory-max = 512", (3, 14), "`memory-max` is a number without a unit", "\"512MiB\""),
            ("memory-max = '512'", (3, 14), "`memory-max` is a number without a unit", "\"512MiB\""),
            ("memory-max = '512M'", (3, 14), "`M` is no unit of a size", "did you mean `\"512MiB\"`?"),
            ("memory-max = '1gb'", (3, 14), "`gb` is no unit of a size", "did you mean `\"1GiB\"`?"),
            ("memory-max = '1 parsec'", (3, 14), "`parsec` is no unit of a size", "units are KiB"),
            ("memory-max = 'lots'", (3, 14), "`memory-max` is not a size: `lots`", "units are KiB"),
            ("memory-max = '-1MiB'", (3, 14), "`memory-max` is not a size: `-1MiB`", "units are KiB"),
            ("memory-max = '0MiB'", (3, 14), "`0MiB` is no usable size", "512MiB"),
            ("memory-max = '99999999999GiB'", (3, 14), "is no usable size", "512MiB"),
            ("memory-max = true", (3, 14), "must be a string with a size", "memory-max = \"512MiB\""),
            ("memory = '1MiB'", (3, 1), "no key `memory`", "did you mean `memory-max`?"),
            ("memory-action = 'stop'", (3, 1), "`memory-action` is declared without `memory-max`", "512MiB"),
            (
                "memory-max = '1MiB'\nmemory-action = 'kill'",
                (4, 17),
                "`kill` is not a memory action",
                "known are `restart`, `stop`",
            ),
            ("cpu-max = 0", (3, 11), "`0` is no number of CPUs", "cpu-max = \"150%\""),
            ("cpu-max = '150'", (3, 11), "is no number of CPUs", "cpu-max = \"150%\""),
            ("cpu-max = '-5%'", (3, 11), "is no number of CPUs", "cpu-max = 1.5"),
            ("cpu-max = nan", (3, 11), "`nan` is no number of CPUs", "cpu-max = 1.5"),
            ("cpu-max = [1]", (3, 11), "must be a number or a string with a percentage", "cpu-max = 1.5"),
        ],
    );
}

#[test]
fn what_setrlimit_and_its_like_are_told() {
    check(
        "[jobs.a]\ncommand = 'a'\n",
        &[
            ("rlimits = { nofiles = 1 }", (3, 13), "rlimits has no key `nofiles`", "did you mean `nofile`?"),
            ("rlimits = { RLIMIT_CORE = 1 }", (3, 13), "no key `RLIMIT_CORE`", "did you mean `core`?"),
            ("rlimits = { core = -1 }", (3, 20), "`-1` is not a limit", "from 0"),
            ("rlimits = { core = 'infinity' }", (3, 20), "`infinity` is no limit", "\"unlimited\""),
            ("rlimits = { core = { soft = 1 } }", (3, 20), "`core` has no `hard`", "one number for both"),
            ("rlimits = { core = { hard = 1 } }", (3, 20), "`core` has no `soft`", "one number for both"),
            (
                "rlimits = { core = { soft = 2, hard = 1 } }",
                (3, 29),
                "the soft limit is above the hard one",
                "lower",
            ),
            (
                "rlimits = { core = { sfot = 2, soft = 1, hard = 1 } }",
                (3, 22),
                "no key `sfot`",
                "mean `soft`?",
            ),
            ("rlimits = 5", (3, 11), "`rlimits` is a whole number, but it must be a table", "nofile = 65536"),
            ("nice = 20", (3, 8), "`20` is not a niceness", "from -20 to 19"),
            ("umask = 027", (3, 9), "not valid TOML", ""),
            ("umask = 27", (3, 9), "`umask` is a whole number, but it must be a string", "umask = \"027\""),
            ("umask = '028'", (3, 9), "`028` is not a umask", "octal"),
            ("umask = '1777'", (3, 9), "`1777` is not a umask", "octal"),
            ("umask = '+7'", (3, 9), "`+7` is not a umask", "octal"),
            ("user = 'no-such-user-here'", (3, 8), "there is no user `no-such-user-here`", "/etc/passwd"),
            ("group = 'no-such-group-here'", (3, 9), "there is no group `no-such-group-here`", "/etc/group"),
            ("user = -1", (3, 8), "`-1` is not the number of a user", "from 0 to 4294967294"),
            ("uid = 1", (3, 1), "no key `uid`", "did you mean `user`?"),
        ],
    );
}

#[test]
fn times_and_the_end() {
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            ("watchdog = '0s'", (3, 12), "`watchdog` is zero", "watchdog = \"30s\""),
            ("watchdog = 30", (3, 12), "`watchdog` is a number without a unit", "\"30s\""),
            ("max-runtime = '0s'", (3, 15), "`max-runtime` is zero", "max-runtime = \"2h\""),
            ("stop-command = ''", (3, 16), "the command is empty", "stop-command = [\"./api\", \"drain\"]"),
            ("stop-command = 'a | b'", (3, 19), "`|` in a command", "stop-command = [\"sh\", \"-c\""),
            (
                "reload-signal = 'HUPP'",
                (3, 17),
                "`HUPP` is not a signal to reload with",
                "did you mean `HUP`?",
            ),
            (
                "on-daemon-exit = 'leave'",
                (3, 18),
                "`leave` is not an answer to the daemon's end",
                "known are `keep`, `stop`",
            ),
            ("restart-prevent-exit-codes = [256]", (3, 31), "`256` is not an exit code", "from 0 to 255"),
            (
                "restart-prevent-exit-codes = 1",
                (3, 30),
                "must be a list",
                "restart-prevent-exit-codes = [78]",
            ),
        ],
    );
}

#[test]
fn env_files() {
    const BEFORE: &str = "[services.a]\ncommand = 'a'\n";
    check(
        BEFORE,
        &[
            (
                "env-file = 'nowhere'",
                (3, 12),
                "the env file `nowhere` cannot be read: No such file",
                "create /",
            ),
            (
                "env-file = ['file', 'sub']",
                (3, 21),
                "the env file `sub` cannot be read: it is not a file",
                "path",
            ),
            (
                "env-file = 5",
                (3, 12),
                "`env-file` is a whole number, but it must be a string or a list",
                ".env",
            ),
            ("env-file = [5]", (3, 13), "an entry of `env-file` is a whole number", ".env"),
        ],
    );
    for (bytes, message) in [
        (&b"A=1\n\n# x\nno variable\nB=2\n"[..], "/.env:4: the line sets no variable"),
        (b"A=a b\nB=a b\n", "/.env:1: the line sets no variable"),
        (b"A='1\n2'\n=x\n", "/.env:3: the line sets no variable"),
        (b"A=1\nB='open\nC=3\nD=4\n", "/.env:2: the line sets no variable, or opens a quote without an end"),
        (b"A=1\nB=\xff\n", "/.env:2: the line is not valid UTF-8"),
        (b"A=1\nB=\0\n", "/.env:2: the value of `B` contains a NUL character"),
        (b"KEY\nA=KEY", "/.env:1: the line sets no variable"),
    ] {
        let folder = folder();
        fs::write(folder.path().join(".env"), bytes).expect("a file");
        let text = format!("{BEFORE}env-file = '.env'\n");
        let error = Config::parse(&text, folder.path(), FILE_NAME).unwrap_err();
        let [problem] = error.problems() else { panic!("{error}") };
        assert_eq!((problem.line, problem.column), (3, 12));
        assert!(problem.message.ends_with(message), "should end with {message}:\n{error}");
    }
}
