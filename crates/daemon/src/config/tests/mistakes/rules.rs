//! Mistakes in ports, in rules of restart and stop, and in durations.

use super::check;

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
                "move it to [jobs.a], or tick a worker that lives on: `trigger = \"stdin\"`",
            ),
        ],
    );
}

#[test]
fn ports_that_move() {
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            ("port = { else = '1-2' }", (3, 8), "`port` has no `prefer`", "port = { prefer = 8001, else"),
            ("port = { prefer = 1 }", (3, 8), "`port` has no `else`", "or as a number"),
            ("ports = [{ prefer = 1 }]", (3, 10), "an entry of `ports` has no `else`", "prefer = 8001"),
            ("port = { prefer = 0, else = 9 }", (3, 19), "`0` is not a port", "from 1 to 65535"),
            ("port = { prefer = 1, els = 9 }", (3, 22), "a port has no key `els`", "mean `else`?"),
            ("port = { prefer = 1, else = '9-8' }", (3, 29), "the range 9-8 is reversed", "`else = \"8-9\"`"),
            ("port = { prefer = 1, else = '0-8' }", (3, 29), "`0` is not a port", "from 1 to 65535"),
            ("port = { prefer = 1, else = '9-70000' }", (3, 29), "`70000` is not a port", "from 1 to 65535"),
            ("port = { prefer = 1, else = -9 }", (3, 29), "`-9` is no range of ports", "\"8002-8010\""),
            ("port = { prefer = 1, else = '2-x' }", (3, 29), "`2-x` is no range of ports", "\"8002-8010\""),
            ("port = { prefer = 1, else = true }", (3, 29), "is a boolean", "\"8002-8010\""),
            ("port = { prefer = 1, else = '2-1002' }", (3, 29), "1001 ports are in the range", "1000 are"),
            (
                "port = { prefer = 5, else = '2-9' }",
                (3, 29),
                "port 5 is preferred, and is in `else`",
                "other",
            ),
            (
                "port = { prefer = 5, else = '6-9' }\n[services.b]\ncommand = 'b'\nport = 7",
                (3, 29),
                "port 7 is declared by `b` and is in this range",
                "another port",
            ),
            (
                "ports = [{ prefer = 5, else = '6-9' }, 8]",
                (3, 31),
                "port 8 is declared by `a` and is in this range",
                "end the range",
            ),
            (
                "port = { prefer = 5, else = '6-9' }\n[http]\nlisten = '127.0.0.1:9'",
                (3, 29),
                "port 9 is declared by [http] and is in this range",
                "another port",
            ),
        ],
    );
    check(
        "[services.a]\ncommand = 'serve --bind=0.0.0.0:8001'\n",
        &[(
            "port = { prefer = 8001, else = '8002' }",
            (3, 32),
            "the command of `a` names port 8001, so it cannot be moved",
            "write `{port}` in its place",
        )],
    );
}

#[test]
fn the_port_of_the_proxy() {
    check(
        "[project]\n",
        &[
            ("proxy = 0", (2, 9), "`0` is not a port", "from 1 to 65535"),
            ("proxy = true", (2, 9), "`proxy` is a boolean", "proxy = 8080"),
            (
                "proxy = 7\n[services.a]\ncommand = 'a'\nport = 7",
                (2, 9),
                "port 7 is wanted for `proxy` and for something else",
                "another port",
            ),
            (
                "proxy = 7\n[services.a]\ncommand = 'a'\nport = { prefer = 1, else = '5-9' }",
                (2, 9),
                "port 7 is wanted for `proxy`",
                "another port",
            ),
            (
                "proxy = 7\n[http]\nlisten = '127.0.0.1:7'",
                (2, 9),
                "port 7 is wanted for `proxy`",
                "another port",
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
fn the_place_over_tcp() {
    check(
        "[services.api]\ncommand = 'a'\nport = 8700\n",
        &[
            ("[http]\nlisten = 'localhost:80'\n", (5, 10), "no address with a port", "\"127.0.0.1:8700\""),
            ("[http]\nlisten = '127.0.0.1'\n", (5, 10), "no address with a port", "port 0 is any free one"),
            ("[http]\nlisten = '127.0.0.1:70000'\n", (5, 10), "no address with a port", ""),
            ("[http]\nlisten = true\n", (5, 10), "an address with its port, or `false`", "listen ="),
            ("[http]\nlisten = 8701\n", (5, 10), "an address with its port, or `false`", "listen ="),
            ("[http]\nport = 8701\n", (5, 1), "[http] has no key `port`", "listen"),
            ("[[http]]\n", (4, 1), "a table", "`[http]`"),
            (
                "[http]\nlisten = '127.0.0.1:8700'\n",
                (5, 10),
                "port 8700 is declared by `api` and by [http]",
                "another port",
            ),
        ],
    );
}
