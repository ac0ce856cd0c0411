//! Outputs of real programs, shortened where it does not matter, and what is told of them.

use super::*;

const TAKEN: &str = "port 8001 is taken by pid 17 `python server.py`";

/// The output, the exit code, the words, whether another try is in vain.
type Row = (&'static str, i32, &'static str, bool);

fn of(text: &str, exit: Exit, command: &[&str]) -> Option<Diagnosis> {
    let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
    let end = End { exit, text, command: &command, ports: &[8000, 8001] };
    diagnose(end, |port| (port == 8001).then(|| "pid 17 `python server.py`".to_owned()))
}

#[track_caller]
fn check(rows: &[Row]) {
    for (text, code, words, is_final) in rows {
        let told = of(text, Exit::Code(*code), &["python3", "app.py"])
            .unwrap_or_else(|| panic!("nothing of {text}"));
        assert_eq!((told.words.as_str(), told.is_final), (*words, *is_final), "of {text}");
    }
}

#[test]
fn a_taken_port_and_its_holder_are_named() {
    let rows = [
        // Python's http.server and every plain socket: the port is the service's own that somebody has.
        "    self.socket.bind(self.server_address)\nOSError: [Errno 98] Address already in use\n",
        // asyncio, aiohttp, hypercorn
        "OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8001): address already in use\n",
        // uvicorn
        "INFO:     Waiting for application startup.\nINFO:     Application startup complete.\nERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 8001): address already in use\nINFO:     Waiting for application shutdown.\nINFO:     Application shutdown complete.\n",
        // gunicorn
        "[2026-01-05 12:00:01 +0000] [7] [ERROR] Connection in use: ('127.0.0.1', 8001)\n[2026-01-05 12:00:01 +0000] [7] [ERROR] Retrying in 1 second.\n[2026-01-05 12:00:06 +0000] [7] [ERROR] Can't connect to ('127.0.0.1', 8001)\n",
        // Flask
        "Address already in use\nPort 8001 is in use by another program. Either identify and stop that program, or start the server with a different port.\n",
        // Django
        "Error: That port is already in use.\n",
        // Node: the fields stand below the stack.
        "Error: listen EADDRINUSE: address already in use :::8001\n    at Server.setupListenHandle [as _listen2] (node:net:1908:16)\nEmitted 'error' event on Server instance at:\n    at process.processTicksAndRejections (node:internal/process/task_queues:82:21) {\n  code: 'EADDRINUSE',\n  errno: -98,\n  syscall: 'listen',\n  address: '::',\n  port: 8001\n}\n\nNode.js v20.20.2\n",
        "Error: listen EADDRINUSE: address already in use 127.0.0.1:8001\n",
        // Vite
        "Error: Port 8001 is already in use\n    at Server.onError (file:///x/node_modules/vite/dist/node/chunks/dep.js:45596:18)\n",
        // Rust
        "thread 'main' panicked at src/main.rs:5:10:\ncalled `Result::unwrap()` on an `Err` value: Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
        // Go
        "2026/01/05 12:00:01 listen tcp :8001: bind: address already in use\nexit status 1\n",
        "2026/01/05 12:00:01 listen tcp 127.0.0.1:8001: bind: address already in use\n",
        // Spring, PHP, nginx, Ruby
        "Web server failed to start. Port 8001 was already in use.\n",
        "Failed to listen on localhost:8001 (reason: Address already in use)\n",
        "nginx: [emerg] bind() to 0.0.0.0:8001 failed (98: Address already in use)\n",
        "Address already in use - bind(2) for \"127.0.0.1\" port 8001 (Errno::EADDRINUSE)\n",
    ];
    for text in rows {
        check(&[(text, 1, TAKEN, false)]);
    }
}

#[test]
fn a_taken_port_of_nobody_and_one_that_is_not_known() {
    check(&[(
        "listen tcp :9: bind: address already in use\n",
        1,
        "port 9 was taken; nobody is on it any more",
        false,
    )]);
    let end = End { exit: Exit::Code(1), text: "Address already in use", command: &[], ports: &[] };
    let told = diagnose(end, |_| None).unwrap();
    assert_eq!(told.words, "a port that it wants to listen on is taken");
}

#[test]
fn nobody_is_looked_for_when_no_port_was_taken() {
    let text = "ModuleNotFoundError: No module named 'x'\n";
    let end = End { exit: Exit::Code(1), text, command: &[], ports: &[8001] };
    assert!(diagnose(end, |_| panic!("looked for who is on a port")).is_some());
}

#[test]
fn a_missing_command_is_named() {
    check(&[
        ("sh: 1: vite: not found\n", 127, "the command `vite` was not found", true),
        ("/bin/sh: vite: not found\n", 127, "the command `vite` was not found", true),
        ("bash: line 1: vite: command not found\n", 127, "the command `vite` was not found", true),
        ("zsh:1: command not found: vite\n", 127, "the command `vite` was not found", true),
        ("sh: 1: exec: vite: not found\n", 127, "the command `vite` was not found", true),
        ("sh: 1: ./run: not found\n", 127, "the command `./run` was not found", true),
        ("bash: line 1: ./run: No such file or directory\n", 127, "the command `./run` was not found", true),
        ("env: ‘node’: No such file or directory\n", 127, "the command `node` was not found", true),
        ("/usr/bin/env: 'node': No such file or directory\n", 127, "the command `node` was not found", true),
        ("\n> v\n> vite\n\nsh: 1: vite: not found\n", 127, "the command `vite` was not found", true),
        ("anything", 127, "a command was not found (exit code 127)", true),
        ("deploy.sh: line 3: jq: command not found\n", 1, "the command `jq` was not found", false),
        (
            "./a: error while loading shared libraries: libx.so.1: cannot open shared object file: No such file or directory\n",
            127,
            "the library libx.so.1 is missing",
            true,
        ),
        (
            "Error: spawn nosuch ENOENT\n    at onErrorNT (node:internal/child_process:483:16)\n  code: 'ENOENT',\n  syscall: 'spawn nosuch',\n",
            1,
            "the command `nosuch` was not found",
            true,
        ),
    ]);
}

#[test]
fn a_missing_right_is_named() {
    let low = "it may not listen on port 80: permission denied; ports from 1024 on are for everybody";
    check(&[
        (
            "sh: 1: ./app.py: Permission denied\n",
            126,
            "`./app.py` cannot be executed: permission denied",
            true,
        ),
        ("bash: line 1: ./dir: Is a directory\n", 126, "`./dir` cannot be executed: is a directory", true),
        (
            "bash: line 1: ./a: cannot execute: required file not found\n",
            126,
            "`./a` cannot be executed: required file not found",
            true,
        ),
        ("anything", 126, "a command may not be executed (exit code 126)", true),
        (
            "PermissionError: [Errno 13] Permission denied: '/etc/shadow'\n",
            1,
            "it may not use /etc/shadow: permission denied",
            true,
        ),
        (
            "Error: EACCES: permission denied, open '/x/bind.conf'\n    at Object.openSync (node:fs:573:18)\n  code: 'EACCES',\n",
            1,
            "it may not use /x/bind.conf: permission denied",
            true,
        ),
        ("Error: listen EACCES: permission denied 0.0.0.0:80\n  code: 'EACCES',\n", 1, low, true),
        ("2026/01/05 12:00:01 listen tcp :80: bind: permission denied\n", 1, low, true),
        (
            "ERROR:    [Errno 13] error while attempting to bind on address ('0.0.0.0', 80): permission denied\n",
            1,
            low,
            true,
        ),
        (
            "PermissionError: [Errno 13] Permission denied (while attempting to bind on address ('::', 80))\n",
            1,
            low,
            true,
        ),
        ("nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)\n", 1, low, true),
        (
            "    self.socket.bind(self.server_address)\nPermissionError: [Errno 13] Permission denied\n",
            1,
            "it may not listen on that port: permission denied; ports from 1024 on are for everybody",
            true,
        ),
    ]);
}

#[test]
fn a_missing_python_module_and_where_it_can_be_installed_are_named() {
    let venv = "Traceback (most recent call last):\n  File \"/x/.venv/bin/uvicorn\", line 8, in <module>\n    sys.exit(main())\n  File \"/x/.venv/lib/python3.11/site-packages/uvicorn/main.py\", line 410, in main\n    run(\n  File \"/usr/lib/python3.11/importlib/__init__.py\", line 126, in import_module\n  File \"/x/main.py\", line 1, in <module>\n    import requests.adapters\nModuleNotFoundError: No module named 'requests.adapters'; 'requests' is not a package\n";
    let words = "the Python module `requests.adapters` was not found; if it is a package, `/x/.venv/bin/python -m pip install requests` installs it";
    check(&[
        (venv, 1, words, true),
        (
            "Traceback (most recent call last):\n  File \"app.py\", line 1, in <module>\n    import requests\nModuleNotFoundError: No module named 'requests'\n",
            1,
            "the Python module `requests` was not found; if it is a package, `python3 -m pip install requests` installs it",
            true,
        ),
        (
            "/x/bin/python3: No module named uvicorn\n",
            1,
            "the Python module `uvicorn` was not found; if it is a package, `/x/bin/python3 -m pip install uvicorn` installs it",
            true,
        ),
        (
            "ImportError: cannot import name 'x' from 'os' (/usr/lib/python3.11/os.py)\n",
            1,
            "a Python import fails: ImportError: cannot import name 'x' from 'os' (/usr/lib/python3.11/os.py)",
            true,
        ),
    ]);
    // gunicorn goes on after the traceback of its worker.
    let text = "ModuleNotFoundError: No module named 'requests'\n[2026-01-05 12:00:01 +0000] [9] [INFO] Worker exiting (pid: 9)\n[2026-01-05 12:00:01 +0000] [7] [ERROR] Worker (pid:9) exited with code 3\n[2026-01-05 12:00:01 +0000] [7] [ERROR] Shutting down: Master\n[2026-01-05 12:00:01 +0000] [7] [ERROR] Reason: Worker failed to boot.\n";
    let told = of(text, Exit::Code(3), &["/x/.venv/bin/gunicorn", "app"]).unwrap();
    assert!(told.is_final && told.words.contains("`/x/.venv/bin/python -m pip"), "{told:?}");
}

#[test]
fn a_python_program_that_is_none_is_named() {
    check(&[
        (
            "python3: can't open file '/x/app.py': [Errno 2] No such file or directory\n",
            2,
            "Python cannot open its program /x/app.py: No such file or directory",
            true,
        ),
        (
            "  File \"/x/app.py\", line 3\n    def f(:\n          ^\nSyntaxError: invalid syntax\n",
            1,
            "/x/app.py:3: SyntaxError: invalid syntax",
            true,
        ),
        (
            "ERROR:    Error loading ASGI app. Could not import module \"main\".\n",
            1,
            "Error loading ASGI app. Could not import module \"main\".",
            true,
        ),
        (
            "Usage: flask run [OPTIONS]\nTry 'flask run --help' for help.\n\nError: Could not import 'nope'.\n",
            2,
            "Could not import 'nope'.",
            true,
        ),
    ]);
}

#[test]
fn a_missing_variable_may_be_there_next_time() {
    check(&[
        (
            "  File \"/x/app.py\", line 2, in <module>\n    os.environ['DATABASE_URL']\n  File \"<frozen os>\", line 679, in __getitem__\nKeyError: 'DATABASE_URL'\n",
            1,
            "the environment variable DATABASE_URL is not set",
            false,
        ),
        (
            "  File \"/usr/lib/python3.10/os.py\", line 680, in __getitem__\n    raise KeyError(key) from None\nKeyError: 'DATABASE_URL'\n",
            1,
            "the environment variable DATABASE_URL is not set",
            false,
        ),
    ]);
}

#[test]
fn what_node_and_its_runners_miss_is_named() {
    check(&[
        (
            "Error: Cannot find module 'express'\nRequire stack:\n- /x/server.js\n    at Module._resolveFilename (node:internal/modules/cjs/loader:1207:15) {\n  code: 'MODULE_NOT_FOUND',\n  requireStack: [ '/x/server.js' ]\n}\n\nNode.js v20.20.2\n",
            1,
            "the Node package `express` was not found; `npm install` in /x may help",
            true,
        ),
        (
            "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'express' imported from /x/server.mjs\n    at packageResolve (node:internal/modules/esm/resolve:873:9) {\n  code: 'ERR_MODULE_NOT_FOUND'\n}\n\nNode.js v20.20.2\n",
            1,
            "the Node package `express` was not found; `npm install` in /x may help",
            true,
        ),
        (
            "Error: Cannot find module '/x/nosuch.js'\n  code: 'MODULE_NOT_FOUND',\n",
            1,
            "the Node module /x/nosuch.js is not there",
            true,
        ),
        (
            "npm error Missing script: \"dev\"\nnpm error\nnpm error To see a list of scripts, run:\nnpm error   npm run\nnpm error A complete log of this run can be found in: /x/.npm/_logs/debug-0.log\n",
            1,
            "package.json has no script `dev`",
            true,
        ),
        ("npm ERR! missing script: dev\n", 1, "package.json has no script `dev`", true),
        (" ERR_PNPM_NO_SCRIPT  Missing script: dev\n", 1, "package.json has no script `dev`", true),
        ("error Command \"dev\" not found.\n", 1, "package.json has no script `dev`", true),
        (
            "npm error code ENOENT\nnpm error syscall open\nnpm error path /x/package.json\nnpm error errno -2\nnpm error enoent Could not read package.json: Error: ENOENT: no such file or directory, open '/x/package.json'\n",
            254,
            "/x/package.json is not there",
            true,
        ),
        (
            "SyntaxError: Cannot use import statement outside a module\n    at wrapSafe (node:internal/modules/cjs/loader:1464:18)\n",
            1,
            "SyntaxError: Cannot use import statement outside a module",
            true,
        ),
    ]);
}

#[test]
fn too_little_memory_may_be_enough_next_time() {
    let told = of("working\n", Exit::Signal(9), &["x"]).unwrap();
    assert!(!told.is_final && told.words.contains("when memory is short"), "{told:?}");
    let heap = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n 1: 0xb8 node::OOMErrorHandler(char const*, v8::OOMDetails const&) [node]\n";
    assert!(of(heap, Exit::Signal(6), &["x"]).is_some_and(|told| !told.is_final));
}

#[test]
fn what_was_survived_is_not_taken_for_the_reason() {
    for text in [
        "ModuleNotFoundError: No module named 'uvloop'\ngoing on without it\nTraceback (most recent call last):\n  File \"/x/app.py\", line 9, in <module>\nValueError: no good\n",
        "EADDRINUSE was handled\nTypeError: Cannot read properties of undefined\n    at f (/x/a.js:1:1)\n",
        "ModuleNotFoundError: No module named 'x'\nsqlalchemy.exc.OperationalError: (psycopg2.OperationalError) connection refused\n",
        "KeyError: 'id'\n",
        "ModuleNotFoundError: No module named 'x'\nError: the database is away\n    at f (/x/a.js:1:1)\n",
        &format!("ModuleNotFoundError: No module named 'x'\n{}", "working\n".repeat(50)),
        "open /etc/x: permission denied, skipped\n",
        "",
    ] {
        assert_eq!(of(text, Exit::Code(1), &["x"]), None, "{text}");
    }
}

#[test]
fn colours_do_not_hide_a_reason_and_names_are_bounded() {
    let text = "\x1b[31mModuleNotFoundError\x1b[0m: No module named 'requests'\r\n";
    assert!(of(text, Exit::Code(1), &["x"]).is_some());
    let huge = format!("ModuleNotFoundError: No module named '{}'\n", "x".repeat(8000));
    assert!(of(&huge, Exit::Code(1), &["x"]).unwrap().words.len() < 1000);
}
