//! Mistakes in the probes: what is asked, and in which rhythm.

use super::check;

#[test]
fn what_is_asked() {
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            ("readiness = 'notfiy'", (3, 13), "`notfiy` is no way to be ready", "did you mean `notify`?"),
            (
                "readiness = 'http:/health'",
                (3, 13),
                "is no way to be ready",
                "a table: `readiness = { http = \"/health\" }`",
            ),
            ("readiness = 'port'", (3, 13), "`readiness` is `port`, but there is no port", "`port = 9000`"),
            (
                "readiness = 5",
                (3, 13),
                "`readiness` is a whole number, but it must be a table",
                "readiness = { http",
            ),
            (
                "liveness = 'notify'",
                (3, 12),
                "`liveness` is a string, but it must be a table",
                "liveness = { http",
            ),
            (
                "readiness = {}",
                (3, 1),
                "`readiness` does not say what to ask",
                "`http`, `tcp`, `exec`, `log`, `notify`",
            ),
            (
                "[services.a.liveness]\nperiod-seconds = 1",
                (3, 13),
                "`liveness` does not say what to ask",
                "one of `http`, `tcp`, `exec`",
            ),
            ("readiness = { tcp = 1, exec = 'a' }", (3, 24), "`readiness` asks two things", "take one"),
            ("readiness = { htpp = '/' }", (3, 15), "readiness has no key `htpp`", "did you mean `http`?"),
            (
                "readiness = { httpGet = '/' }",
                (3, 15),
                "readiness has no key `httpGet`",
                "did you mean `http`?",
            ),
            ("readiness = { notify = false }", (3, 24), "`notify` is false", "take it out"),
            (
                "readiness = { notify = 1 }",
                (3, 24),
                "`notify` is a whole number, but it must be `true`",
                "`true`",
            ),
            (
                "readiness = { notify = true, period-seconds = 1 }",
                (3, 30),
                "`period-seconds` has no meaning with `notify`",
                "`ready-timeout`",
            ),
            (
                "startup = { notify = true }",
                (3, 13),
                "`notify` belongs to readiness",
                "readiness = \"notify\"",
            ),
            ("liveness = { notify = true }", (3, 14), "`notify` belongs to readiness", "watchdog = \"30s\""),
            (
                "liveness = { log = 'up' }",
                (3, 14),
                "does not show that a service is alive",
                "watchdog = \"30s\"",
            ),
            ("helathcheck = {}", (3, 1), "no key `helathcheck`", "known are"),
            ("healthcheck = {}", (3, 1), "no key `healthcheck`", "did you mean `liveness`?"),
        ],
    );
    check(
        "[jobs.a]\ncommand = 'a'\n",
        &[
            ("readiness = 'notify'", (3, 1), "`readiness` belongs to services", "a job runs and ends"),
            ("liveness = { tcp = 1 }", (3, 1), "`liveness` belongs to services", "a job runs and ends"),
            ("startup = { tcp = 1 }", (3, 1), "`startup` belongs to services", "a job runs and ends"),
            ("watchdog = '3s'", (3, 1), "`watchdog` belongs to services", "a job runs and ends"),
        ],
    );
}

#[test]
fn http_and_tcp() {
    check(
        "[services.a]\ncommand = 'a'\nreadiness.",
        &[
            ("http = '/'", (3, 18), "`http` has no port, and neither has the service", "declare `port`"),
            ("http = { path = '/' }", (3, 18), "`http` has no port", "declare `port`"),
            ("http = 'health'", (3, 18), "`health` is neither a path nor an address", "\"/health\""),
            (
                "http = 'localhost:80/'",
                (3, 18),
                "`localhost:80/` is neither a path nor an address",
                "http://",
            ),
            ("http = 'ftp://h/'", (3, 18), "`ftp://h/` is neither a path nor an address", "http://"),
            ("http = 'https://h/'", (3, 18), "`https://h/` asks for TLS", "exec = [\"curl\""),
            ("http = 'http://a:b@h/'", (3, 18), "a password in an address is not sent", "Authorization"),
            ("http = 'http://h:0/'", (3, 18), "`http://h:0/` has no usable port", "from 1 to 65535"),
            ("http = 'http://h:x/'", (3, 18), "`http://h:x/` has no usable port", "from 1 to 65535"),
            ("http = '/a b'", (3, 18), "`/a b` is no path", "no blanks"),
            (
                "http = 80",
                (3, 18),
                "`http` is a whole number, but it must be a string or a table",
                "http = \"/health\"",
            ),
            ("http = { path = 'x', port = 1 }", (3, 27), "`x` is no path", "begins with `/`"),
            ("http = { prot = 1, port = 1 }", (3, 20), "http has no key `prot`", "did you mean `port`?"),
            ("http = { port = 0 }", (3, 27), "`0` is not a port", "from 1 to 65535"),
            (
                "http = { port = 1, host = 'a b' }",
                (3, 37),
                "`a b` is neither a name nor an address",
                "127.0.0.1",
            ),
            (
                "http = { port = 1, host = '[a]' }",
                (3, 37),
                "`[a]` is neither a name nor an address",
                "127.0.0.1",
            ),
            (
                "http = { port = 1, headers = { 'a b' = '' } }",
                (3, 42),
                "`a b` is no name of a header",
                "letters",
            ),
            (
                "http = { port = 1, headers = { A = \"x\\n\" } }",
                (3, 46),
                "has a value that cannot be sent",
                "one line",
            ),
            ("http = { port = 1, headers = { A = 1 } }", (3, 46), "`A` is a whole number", "headers = {"),
            ("tcp = 0", (3, 17), "`0` is not a port", "from 1 to 65535"),
            ("tcp = '5432'", (3, 17), "`5432` names no port", "tcp = 5432"),
            ("tcp = 'db:0'", (3, 17), "`db:0` names no port", "host:5432"),
            ("tcp = ':5432'", (3, 17), "`` is neither a name nor an address", "tcp = 5432"),
            ("tcp = '::1:80:x'", (3, 17), "names no port", "host:5432"),
        ],
    );
}

#[test]
fn a_port_that_is_wrong_is_not_missing_too() {
    check(
        "[services.a]\ncommand = 'a'\nreadiness.http = '/'\n",
        &[
            ("port = 0", (4, 8), "`0` is not a port", "from 1 to 65535"),
            ("ports = ['x']", (4, 10), "an entry of `ports` is a string", "ports = [9000, 9001]"),
        ],
    );
    check(
        "[services.a]\ncommand = 'a'\nports = []\nreadiness.",
        &[("http = '/'", (4, 18), "`http` has no port, and neither has the service", "declare `port`")],
    );
}

#[test]
fn exec_and_log() {
    check(
        "[services.a]\ncommand = 'a'\nreadiness.",
        &[
            ("exec = []", (3, 18), "the command is empty", "exec = [\"pg_isready\", \"-q\"]"),
            ("exec = 'a && b'", (3, 21), "`&&` in a command", "exec = [\"sh\", \"-c\", \"a && b\"]"),
            ("exec = 5", (3, 18), "`exec` is a whole number", "exec = [\"pg_isready\""),
            ("log = ''", (3, 17), "`log` is empty: every line would match", "a part of the line"),
            ("log = 'a('", (3, 17), "`a(` is no regular expression:", "`\\`"),
            ("log = ['a']", (3, 17), "`log` is a list, but it must be a string", "log = \"listening on\""),
        ],
    );
}

#[test]
fn rhythm() {
    check(
        "[services.a]\ncommand = 'a'\nliveness.tcp = 1\nliveness.",
        &[
            ("period-seconds = '10s'", (4, 27), "`period-seconds` is no number of seconds", "without quotes"),
            ("period-seconds = 0", (4, 27), "`0` is no number of seconds for `period-seconds`", "from 0.01"),
            ("period-seconds = inf", (4, 27), "`inf` is no number of seconds", "from 0.01"),
            ("timeout-seconds = nan", (4, 28), "`nan` is no number of seconds", "from 0.01"),
            ("timeout-seconds = -1", (4, 28), "`-1` is no number of seconds", "from 0.01"),
            ("timeout-seconds = 99999999999999999999", (4, 28), "is no number of seconds", "to 1000000"),
            ("initial-delay-seconds = -0.5", (4, 34), "`-0.5` is no number of seconds", "from 0 to"),
            ("failure-threshold = 0", (4, 30), "`0` is not a number of tries", "from 1"),
            ("failure-threshold = 1.5", (4, 30), "is a number with a fraction", ""),
            (
                "success-threshold = 2",
                (4, 30),
                "`success-threshold` must be 1 for `liveness`",
                "as in Kubernetes",
            ),
            (
                "timeoutSeconds = 1",
                (4, 10),
                "liveness has no key `timeoutSeconds`",
                "did you mean `timeout-seconds`?",
            ),
            ("timeout = 1", (4, 10), "liveness has no key `timeout`", "did you mean `timeout-seconds`?"),
        ],
    );
    check(
        "[services.a]\ncommand = 'a'\n",
        &[(
            "startup = { tcp = 1, success-threshold = 2 }",
            (3, 42),
            "`success-threshold` must be 1 for `startup`",
            "take it out",
        )],
    );
}
