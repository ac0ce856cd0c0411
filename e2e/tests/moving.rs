//! A port that somebody is on: who may move moves, is found where it is by whoever looks, and goes back.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use e2e::caller::Caller;
use e2e::{
    LIMIT, Project, daemon, free_port, free_ports, is_free, program, puppet, quoted, skip_loudly, wait_until,
};

/// A service that listens where it is told, and may move to the ports after the first of a row.
fn mover(name: &str, prefer: u16, spares: (u16, u16), more: &str) -> String {
    let command = quoted(&puppet(&["--listen", "{port}"]));
    format!(
        "[services.{name}]\ncommand = {command}\nport = {{ prefer = {prefer}, else = \"{}-{}\" }}\n{more}\n",
        spares.0, spares.1
    )
}

/// Somebody who has nothing to do with us: this test.
fn stranger(port: u16) -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap_or_else(|e| panic!("port {port}: {e}"))
}

/// What is told of a service in `.soloist/ports.json`.
fn told(project: &Project, name: &str) -> serde_json::Value {
    let text = project.read(".soloist/ports.json");
    // There is no such file until something listens.
    let text = if text.is_empty() { "{}" } else { &text };
    let told: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e} in {text}"));
    told["services"][name].clone()
}

/// `soloist port NAME`.
#[track_caller]
fn port(project: &Project, name: &str) -> u16 {
    let said = project.soloist(&["port", name]).expect(0);
    said.stdout.trim().parse().unwrap_or_else(|e| panic!("{e} of {said}"))
}

#[test]
fn it_moves_is_found_where_it_is_and_goes_back() {
    let first = free_ports(4);
    let before = stranger(first);
    // The probe names the port that it prefers, and asks where that is now.
    let api = mover("api", first, (first + 1, first + 3), &format!("readiness = {{ tcp = {first} }}"));
    let front = "[services.front]\ndepends-on = [\"api\"]\n\
                 command = [\"sh\", \"-c\", \"echo front finds $SOLOIST_PORT_API $SOLOIST_URL_API; exec sleep 1000\"]\n";
    let project = Project::new(&format!("{api}{front}"));
    project.soloist(&["up", "-d"]).expect(0);
    let (moved, seen) = (first + 1, project.service("api"));
    let words = format!("moved from port {first} to {moved}, as others are there");
    assert_eq!(seen.ports, [moved]);
    assert!(seen.note.as_deref().is_some_and(|note| note.contains(&words)), "{seen:?}");
    assert!(
        seen.note.as_deref().is_some_and(|note| note.contains(&std::process::id().to_string())),
        "{seen:?}"
    );
    for words in [&["status", "api"][..], &["why", "api"], &["history", "api"]] {
        project.soloist(words).expect(0).says(&format!("moved from port {first} to {moved}"));
    }
    assert_eq!(port(&project, "api"), moved);
    let url = format!("http://127.0.0.1:{moved}");
    assert_eq!(project.soloist(&["port", "api", "--url"]).expect(0).stdout.trim(), url);
    let json = project.soloist(&["port", "api", "--json"]).expect(0).json();
    assert_eq!(json, told(&project, "api"));
    assert_eq!(
        (&json["port"], &json["url"], &json["ready"]),
        (&moved.into(), &url.clone().into(), &true.into())
    );
    assert_eq!(
        (json["pid"].as_u64(), json["run_id"].as_str()),
        (seen.pid.map(u64::from), seen.run_id.as_deref())
    );
    assert_eq!(Caller::of(&project).ask_known("GET /api/v1/ports", &[], "").json()["services"]["api"], json);
    let env = project.read(".soloist/ports.env");
    assert!(env.contains(&format!("\nSOLOIST_PORT_API={moved}\nSOLOIST_URL_API={url}\n")), "{env}");
    wait_until("the front end was told", LIMIT, || {
        let log = String::from_utf8_lossy(&project.log("front")).into_owned();
        if log.contains(&format!("front finds {moved} {url}")) { Ok(()) } else { Err(log) }
    });

    let killed = daemon::kill(&project);
    daemon::wait_for_another(&project, killed, LIMIT);
    let adopted = project.service("api");
    assert_eq!((&adopted.ports, &adopted.run_id), (&vec![moved], &seen.run_id), "it lives where it was");
    assert!(
        adopted.note.is_some_and(|note| note.contains("moved from port")),
        "also in the words of the next"
    );
    assert_eq!((port(&project, "api"), told(&project, "api")), (moved, json));

    drop(before);
    project.soloist(&["restart", "api"]).expect(0);
    assert_eq!((port(&project, "api"), project.service("api").note), (first, None), "it is back");
    assert_eq!(told(&project, "api")["port"], first);
    project.soloist(&["stop", "api"]).expect(0);
    assert_eq!(told(&project, "api"), serde_json::Value::Null);
    project.soloist(&["port", "api"]).expect(3).says("api is stopped");
}

#[test]
fn two_that_move_at_one_time_do_not_meet_and_a_third_is_refused() {
    let first = free_ports(5);
    let (_one, _two, _three) = (stranger(first), stranger(first + 1), stranger(first + 2));
    let spares = (first + 3, first + 4);
    let services: String = (0..3).map(|nth| mover(&format!("s{nth}"), first + nth, spares, "")).collect();
    let project = Project::new(&services);
    let said = project.soloist(&["start", "s0", "s1"]).expect(0);
    let mut ports = [port(&project, "s0"), port(&project, "s1")];
    ports.sort_unstable();
    assert_eq!(ports, [spares.0, spares.1], "{said}");
    let refused = project.soloist(&["start", "s2"]).expect(6);
    refused.says(&format!("none of {}-{} is free", spares.0, spares.1)).says(&std::process::id().to_string());
}

#[test]
fn the_port_of_what_is_not_ready_is_not_told() {
    let port = free_port();
    let slow = "until [ -e open ]; do sleep 0.05; done; exec \"$@\"";
    let words = ["sh", "-c", slow, "sh"].map(str::to_owned).into_iter();
    let command = quoted(&words.chain(puppet(&["--listen", &port.to_string()])).collect::<Vec<_>>());
    let project = Project::new(&format!(
        "[services.api]\ncommand = {command}\nport = {port}\n[services.deaf]\ncommand = \"sleep 1000\"\n"
    ));
    project.soloist(&["port", "api"]).expect(3);
    project.soloist(&["port", "apy"]).expect(4).says("api");
    project.soloist(&["port", "deaf"]).expect(1).says("deaf has no port");
    let mut up = project.spawn(&["up", "-d"]);
    project.wait_for_state("api", "starting", LIMIT);
    wait_until("its run is told, and that it is not ready", LIMIT, || match told(&project, "api") {
        told if told["ready"] == false && told["port"] == port => Ok(()),
        told => Err(told.to_string()),
    });
    project.soloist(&["port", "api"]).expect(7).says("api is starting");
    project.soloist(&["port", "api", "--wait=100ms"]).expect(7);
    let mut waiting = project.spawn(&["port", "api", "--wait=60s"]);
    project.write("open", "");
    assert_eq!(waiting.wait(LIMIT).expect(0).stdout.trim(), port.to_string());
    up.wait(LIMIT).expect(0);
}

#[test]
fn a_port_that_its_user_may_not_have_is_said_and_not_tried_again() {
    if program("python3").is_none() {
        return skip_loudly("no python3");
    }
    let privileged = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    if privileged.is_ok_and(|first| first.trim().parse().is_ok_and(|first: u16| first < 1024)) {
        return skip_loudly("every user may listen on every port here");
    }
    let Some(port) = (600..1024).find(|port| is_free(*port)) else { return skip_loudly("no port is free") };
    // Only root may have it run by somebody else; who is not root is that somebody.
    let user = if rustix::process::geteuid().is_root() { "user = \"nobody\"" } else { "" };
    let script = format!("import socket; socket.create_server((\"127.0.0.1\", {port}))");
    let command = quoted(&["python3", "-c", &script]);
    let project = Project::new(&format!("[services.api]\ncommand = {command}\nport = {port}\n{user}\n"));
    std::fs::set_permissions(project.folder(), PermissionsExt::from_mode(0o755)).unwrap();
    assert_ne!(project.soloist(&["up", "-d"]).code(), 0);
    let seen = project.wait_for_state("api", "failed", LIMIT);
    let words = format!("it may not listen on port {port}: permission denied");
    assert!(seen.note.as_deref().is_some_and(|note| note.contains(&words)) && seen.restarts <= 1, "{seen:?}");
}

/// The code of a page that begins with this comment, written to a file of that name.
fn snippet(project: &Project, name: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ports.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let named = |code: &str| code.lines().next().is_some_and(|line| line.ends_with(&format!(" {name}")));
    let (_, code) = blocks.find(|(_, code)| named(code)).unwrap_or_else(|| panic!("no {name} on the page"));
    let folder = project.folder().join(name);
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    project.write(name, code);
}

/// Asks a small program where `api` is, again and again, as it does for each request.
struct Asker {
    child: std::process::Child,
    answers: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
}

impl Asker {
    fn start(project: &Project, command: &mut Command) -> Asker {
        use std::io::BufRead;
        use std::process::Stdio;
        let mut child = command
            .current_dir(project.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        Asker { child, answers }
    }

    #[track_caller]
    fn is_told(&mut self, words: &str) {
        writeln!(self.child.stdin.as_ref().unwrap(), "?").unwrap();
        let answer = self.answers.next().unwrap().unwrap();
        assert!(answer.contains(words), "`{words}` is not in `{answer}`");
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One process that asks before and after the service has moved, and once it is down.
fn follows(command: &mut Command, files: &[&str]) {
    let first = free_ports(3);
    let script = "import os, http.server as h\n\
                  class H(h.BaseHTTPRequestHandler):\n \
                  def do_POST(self):\n  \
                  n = int(self.headers.get('content-length') or 0)\n  \
                  body = self.rfile.read(n) + self.path.encode()\n  \
                  self.send_response(200); self.send_header('content-length', str(len(body))); self.end_headers()\n  \
                  self.wfile.write(body)\n\
                  h.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), H).serve_forever()\n";
    let project = Project::new(&format!(
        "[services.api]\ncommand = [\"python3\", \"api.py\"]\nport = {{ prefer = {first}, else = \"{}-{}\" }}\n",
        first + 1,
        first + 2
    ));
    project.write("api.py", script);
    // As the two of them bundle it: a module.
    project.write("package.json", "{ \"type\": \"module\" }");
    files.iter().for_each(|name| snippet(&project, name));
    project.soloist(&["start", "api"]).expect(0);
    let mut asker = Asker::start(&project, command);
    asker.is_told(&format!(":{first}"));
    project.soloist(&["stop", "api"]).expect(0);
    asker.is_told("not ready");
    let _stranger = stranger(first);
    project.soloist(&["start", "api"]).expect(0);
    // The same process finds it where it is now.
    asker.is_told(&format!(":{}", first + 1));
}

#[test]
fn the_snippets_follow_a_service_that_moves() {
    if program("python3").is_none() {
        return skip_loudly("no python3");
    }
    let script = "import sys, soloist_url\nfor _ in sys.stdin:\n try: print(soloist_url.url('api'), flush=True)\n except Exception as e: print(e, flush=True)\n";
    follows(Command::new("python3").args(["-B", "-c", script]), &["soloist_url.py"]);
    if program("node").is_none() {
        return skip_loudly("no node");
    }
    let ask = |find: &str| {
        format!(
            "import readline from 'node:readline';\n{find}\n\
             for await (const _ of readline.createInterface({{ input: process.stdin }})) {{\n\
             try {{ console.log(await find()); }} catch (e) {{ console.log(e.message); }}\n}}\n"
        )
    };
    let node = |script: &str| {
        let mut node = Command::new("node");
        node.args(["--input-type=module", "-e", script]);
        node
    };
    // Vite gives `configure` the options by which it passes requests on, and calls `bypass` before each.
    let vite = ask("import config from './vite.config.mjs';\n\
         const options = {}, api = config.server.proxy['/api'];\n\
         api.configure({}, options);\n\
         const find = () => { api.bypass(); return options.target; };");
    follows(&mut node(&vite), &["soloist-url.mjs", "vite.config.mjs"]);
    // Next.js calls the handler of the method with a `Request` of the web; its answer is passed on.
    let next = ask(
        "import { POST } from './app/api/[...path]/route.js';\nimport { url } from './soloist-url.mjs';\n\
         const find = async () => {\n\
         const request = new Request('http://localhost:3000/api/x?y=1', { method: 'POST', body: 'sent ', headers: { 'content-length': '5' } });\n\
         const said = await (await POST(request)).text();\n\
         if (said !== 'sent /api/x?y=1') throw new Error(said);\n\
         return url('api'); };",
    );
    follows(&mut node(&next), &["soloist-url.mjs", "app/api/[...path]/route.js"]);
}
