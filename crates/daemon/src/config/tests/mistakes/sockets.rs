//! Mistakes in `listen`: addresses, and what they have in common with others.

use super::check;

#[test]
fn where_soloist_is_to_listen() {
    let long = Box::leak(format!("listen = 'unix:{}/s.sock'", "d".repeat(107)).into_boxed_str());
    let names: String = (0..17).map(|at| format!("'unix:{at}', ")).collect();
    let many = Box::leak(format!("listen = [{names}]").into_boxed_str());
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            ("listen = 'soloist'", (3, 10), "`listen` is `soloist`, but there is no port", "`port = 9000`"),
            ("listen = 'soloits'", (3, 10), "`soloits` is no address", "did you mean `soloist`?"),
            ("listen = 5", (3, 10), "`listen` is a whole number", "127.0.0.1:8001"),
            ("listen = []", (3, 10), "`listen` names 0 addresses", "name 1 to 16"),
            (many, (3, 10), "`listen` names 17 addresses", "name 1 to 16"),
            ("listen = 'localhost:80'", (3, 10), "`localhost:80` is no address with a port", "write numbers"),
            ("listen = '127.0.0.1'", (3, 10), "`127.0.0.1` is no address with a port", "write numbers"),
            ("listen = '127.0.0.1:0'", (3, 10), "port 0 is any that is free", "name a port"),
            ("listen = '[::1]:65536'", (3, 10), "`[::1]:65536` is no address with a port", "write numbers"),
            ("listen = 'unix:'", (3, 10), "`unix:` names no file for a socket", "unix:run/api.sock"),
            ("listen = 'unix:.'", (3, 10), "`unix:.` names no file for a socket", "unix:run/api.sock"),
            (long, (3, 10), "the path of the socket is ", "107 are the most"),
            (
                "listen = ['127.0.0.1:1', '127.0.0.1:1']",
                (3, 26),
                "`127.0.0.1:1` is listened on twice",
                "take one of the two out",
            ),
            (
                "listen = ['127.0.0.1:1', '0.0.0.0:1']",
                (3, 26),
                "127.0.0.1:1 and 0.0.0.0:1 are on one port",
                "take one of the two out",
            ),
            ("listen = ['unix:s', 'unix:./s']", (3, 21), "is listened on twice", "take one"),
            (
                "listen = [{ name = 'a:b', at = '127.0.0.1:1' }]",
                (3, 20),
                "`a:b` is no name of a socket",
                "ASCII",
            ),
            ("listen = [{ nam = 'a', at = '127.0.0.1:1' }]", (3, 13), "a socket has no key `nam`", "`name`"),
            ("listen = [{ name = 'a' }]", (3, 11), "a socket has no address", "at = "),
            (
                "listen = '127.0.0.1:1'\n[services.b]\ncommand = 'b'\nport = 1",
                (6, 8),
                "port 1 is declared by `a` and by `b`",
                "only one can listen",
            ),
            (
                "listen = 'soloist'\nport = { prefer = 1, else = '2-9' }",
                (4, 29),
                "port 1 is one that soloist listens on, which does not move",
                "leave `listen` out",
            ),
            (
                "port = { prefer = 1, else = '2-9' }\nlisten = ['127.0.0.1:1', 'unix:s']",
                (3, 29),
                "port 1 is one that soloist listens on, which does not move",
                "write it as a number",
            ),
            (
                "listen = 'unix:s'\n[services.b]\ncommand = 'b'\nlisten = 'unix:s'",
                (6, 10),
                "is declared by `a` and by `b`",
                "only one can listen",
            ),
            (
                "[jobs.b]\ncommand = 'b'\nlisten = 'unix:s'",
                (5, 1),
                "`listen` belongs to services",
                "a job runs",
            ),
        ],
    );
}

#[test]
fn two_runs_that_may_overlap() {
    check(
        "[services.a]\ncommand = 'a'\n",
        &[
            ("reload = 'overlap'", (3, 10), "`overlap` is not a way to restart", "`overlap-safe`"),
            (
                "readiness = 'notify'\nreload = 'overlap-safe'",
                (4, 10),
                "`overlap-safe` needs sockets that two runs can have",
                "listen = \"soloist\"",
            ),
            (
                "port = 1\nlisten = 'soloist'\nreload = 'overlap-safe'",
                (5, 10),
                "`overlap-safe` needs a readiness that tells the new run from the old one",
                "readiness = \"notify\"",
            ),
            (
                "port = 1\nlisten = 'soloist'\nreload = 'overlap-safe'\nreadiness = { http = '/' }",
                (5, 10),
                "`overlap-safe` needs a readiness that tells the new run from the old one",
                "both answer on the same sockets",
            ),
        ],
    );
}
