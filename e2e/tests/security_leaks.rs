//! What goes over to programs and what does not: descriptors, signals, terminal and variables of whoever typed `up`, and
//! soloist's own; and that no value of a variable is ever told by soloist itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use e2e::face::{self, Stream};
use e2e::{Caller, LIMIT, Project, binaries, free_port, program, project, skip_loudly, wait_until};
use serde_json::Value;

/// Text for sh(1): has it write down what it was given, in a folder that shows up whole. A subshell redirects, so that the
/// descriptors of the shell itself are those that it got; of signals its child tells, which got the same: while it makes
/// one, a shell blocks them all.
fn look(name: &str) -> String {
    format!(
        "if mkdir .{name} 2>/dev/null; then (ls -l /proc/$$/fd > .{name}/fd); cat /proc/$$/environ > .{name}/env; \
         cat /proc/self/status > .{name}/status; cat /proc/self/stat > .{name}/stat; umask > .{name}/umask; \
         pwd > .{name}/pwd; mv .{name} {name}; fi"
    )
}

/// What a program found.
struct Found {
    descriptors: BTreeMap<u32, String>,
    environment: BTreeMap<String, String>,
    status: String,
    terminal: String,
    umask: String,
    folder: String,
}

impl Found {
    #[track_caller]
    fn read(project: &Project, name: &str) -> Found {
        let folder = project.folder().join(name);
        wait_until(&format!("{name} has looked"), LIMIT, || match folder.exists() {
            true => Ok(()),
            false => Err(project.diary()),
        });
        let text = |file: &str| project.read(&format!("{name}/{file}"));
        let descriptors = text("fd").lines().filter_map(descriptor).collect();
        let pairs = text("env");
        let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = pairs.split('\0').filter_map(pair).collect();
        let stat = text("stat");
        // pid (comm) state ppid pgrp session tty_nr: the name is `cat`.
        let terminal = stat.split(' ').nth(6).unwrap_or_default().to_owned();
        Found {
            descriptors,
            environment,
            status: text("status"),
            terminal,
            umask: text("umask").trim().to_owned(),
            folder: text("pwd").trim().to_owned(),
        }
    }

    #[track_caller]
    fn mask(&self, name: &str) -> u64 {
        let line = self.status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    }

    /// What nobody may find who is started by the daemon.
    #[track_caller]
    fn is_clean(&self, who: &str, descriptors: &[u32]) {
        let found: Vec<u32> = self.descriptors.keys().copied().collect();
        assert_eq!(found, descriptors, "{who}: {:?}", self.descriptors);
        // 32 and 33 are the C library's own (signal(7)): it lets nobody set them.
        let ignored = self.mask("SigIgn") & !(0b11 << 31);
        assert_eq!((ignored, self.mask("SigBlk")), (0, 0), "{who} ignores or blocks signals");
        assert_eq!(self.terminal, "0", "{who} has a terminal");
        assert!(self.descriptors[&0].starts_with("/dev/null"), "{who}: {:?}", self.descriptors);
    }
}

/// `lr-x------ 1 root root 64 Nov 22 22:00 0 -> /dev/null`
fn descriptor(line: &str) -> Option<(u32, String)> {
    let (left, target) = line.split_once(" -> ")?;
    Some((left.rsplit(' ').next()?.parse().ok()?, target.to_owned()))
}

/// A command of soloist whose parent has fifty descriptors open, ignores signals, and has its own umask.
fn from_a_leaky_parent(project: &Project, bash: &Path, arguments: &[&str]) -> e2e::Output {
    let script = "trap '' HUP INT QUIT USR1 USR2 ALRM WINCH TSTP; umask 026; \
                  for n in {10..59}; do eval \"exec $n</etc/hostname\"; done; exec \"$0\" \"$@\"";
    let mut command = Command::new(bash);
    command.args(["-c", script]).arg(&binaries().soloist).args(arguments);
    project.dress(&mut command);
    project::finish(&mut command, "soloist, from a leaky parent")
}

#[test]
fn programs_get_what_they_were_meant_to_get_and_no_more() {
    let Some(bash) = program("bash") else { return skip_loudly("there is no bash(1)") };
    let port = free_port();
    let project = Project::empty();
    std::fs::create_dir(project.folder().join("deep")).unwrap();
    let sh = |name: &str, then: &str| {
        serde_json::to_string(&["/bin/sh", "-c", &format!("{}; {then}", look(name))]).unwrap()
    };
    let sockets = serde_json::to_string(&["/bin/sh", "-c", &format!("{}; exec sleep 1000", look("handed"))]);
    project.write(
        "soloist.toml",
        &format!(
            "[services.it]\ncommand = {}\nreadiness = {{ exec = {}, period-seconds = 1 }}\nstop-command = {}\n\
             umask = \"0077\"\ndir = \"deep\"\n\
             [services.plain]\ncommand = {}\n\
             [services.handed]\ncommand = {}\nport = {port}\nlisten = \"soloist\"\nreadiness = {{ exec = [\"true\"] }}\n\
             [jobs.tidy]\ncommand = {}\nevery = \"1h\"\n",
            sh("service", "exec sleep 1000"),
            sh("probe", "true"),
            sh("stop", "true"),
            sh("plain", "exec sleep 1000"),
            sockets.unwrap(),
            sh("job", "true"),
        ),
    );
    from_a_leaky_parent(&project, &bash, &["up", "-d"]).expect(0);
    from_a_leaky_parent(&project, &bash, &["start", "tidy"]).expect(0);
    let deep = |name: &str| Found::read(&project, &format!("deep/{name}"));
    let (service, probe) = (deep("service"), deep("probe"));
    service.is_clean("the service", &[0, 1, 2]);
    assert_eq!(service.umask, "0077");
    assert_eq!(service.folder, project.path("deep"));
    probe.is_clean("its probe", &[0, 1, 2]);
    assert_eq!(probe.folder, project.path("deep"));
    let plain = Found::read(&project, "plain");
    plain.is_clean("another service", &[0, 1, 2]);
    assert_eq!(plain.umask, "0026", "nobody declared one: it is that of whoever started the daemon");
    Found::read(&project, "handed").is_clean("who is handed a socket", &[0, 1, 2, 3]);
    Found::read(&project, "job").is_clean("the job", &[0, 1, 2]);
    project.soloist(&["stop", "it"]).expect(0);
    deep("stop").is_clean("the stop command", &[0, 1, 2]);
    // And once more by a guard that a revived daemon has.
    std::fs::remove_dir_all(project.folder().join("plain")).unwrap();
    e2e::daemon::kill(&project);
    project.soloist(&["restart", "plain"]).expect(0);
    Found::read(&project, "plain").is_clean("a service of a new daemon", &[0, 1, 2]);
}

#[test]
fn the_environment_is_the_users_the_declared_and_ours_and_has_no_secret() {
    let port = free_port();
    let project = Project::empty();
    let script = serde_json::to_string(&["/bin/sh", "-c", &format!("{}; exec sleep 1000", look("it"))]);
    project.write("more.env", "FROM_FILE=file\n");
    project.write(
        "soloist.toml",
        &format!(
            "[services.it]\ncommand = {}\nenv = {{ DECLARED = \"declared\", SOLOIST_RUN_ID = \"forged\" }}\n\
             env-file = \"more.env\"\nport = {port}\nlisten = \"soloist\"\nreadiness = {{ exec = [\"true\"] }}\n",
            script.unwrap()
        ),
    );
    let mut up = project.command(&["up", "-d"]);
    up.env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nowhere")
        .env("XDG_STATE_HOME", project.state());
    // Of a run that soloist itself was started in: none of it is this run's.
    let foreign = [
        "SOLOIST_CLAIM",
        "SOLOIST_TOKEN",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "SOLOIST_PORT_OLD",
        "WATCHDOG_USEC",
    ];
    up.envs(foreign.map(|name| (name, "foreign")));
    project::finish(&mut up, "up -d").expect(0);
    let found = Found::read(&project, "it").environment;
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    // PWD and what a shell adds is not in /proc/PID/environ: that is what it was executed with.
    assert_eq!(
        names,
        [
            "DECLARED",
            "FROM_FILE",
            "HOME",
            "LISTEN_FDNAMES",
            "LISTEN_FDS",
            "LISTEN_PID",
            "NOTIFY_SOCKET",
            "PATH",
            "PORT",
            "PYTHONUNBUFFERED",
            "SOLOIST_CLAIM",
            "SOLOIST_PORT_IT",
            "SOLOIST_RUN_ID",
            "SOLOIST_SERVICE",
            "SOLOIST_SOCKET",
            "SOLOIST_TOKEN",
            "SOLOIST_URL_IT",
            "XDG_STATE_HOME",
        ]
    );
    assert_eq!((&*found["DECLARED"], &*found["FROM_FILE"]), ("declared", "file"));
    assert_eq!(Some(&found["SOLOIST_RUN_ID"]), project.service("it").run_id.as_ref());
    let secrets = [Caller::of(&project).token, project.read(".soloist/session")];
    for (name, value) in &found {
        assert!(!value.contains("foreign"), "{name}={value}");
        assert!(secrets.iter().all(|secret| !value.contains(secret.trim())), "{name} tells a secret");
    }
}

#[test]
fn no_value_of_a_variable_is_told_by_any_endpoint_verb_or_file() {
    // In parts, so that no command line of this test's own has it.
    let sentinel = ["told-by-nobody", "5a41c07e"].join("-");
    let port = free_port();
    let project = Project::empty();
    project.write("more.env", &format!("FROM_FILE={sentinel}-file\n"));
    project.write(
        "soloist.toml",
        &format!(
            "[services.it]\ncommand = [\"/bin/sh\", \"-c\", \"exec sleep 1000\"]\n\
             env = {{ DECLARED = \"{sentinel}-env\" }}\nenv-file = \"more.env\"\nport = {port}\nlisten = \"soloist\"\n\
             readiness = {{ exec = [\"true\"] }}\n\
             [services.broken]\ncommand = [\"./not-there\"]\nenv = {{ SECRET = \"{sentinel}-broken\" }}\nrestart = \"no\"\n\
             [jobs.tidy]\ncommand = [\"false\"]\nevery = \"1h\"\nenv = {{ SECRET = \"{sentinel}-job\" }}\n"
        ),
    );
    let mut up = project.command(&["up", "-d"]);
    up.env("OF_THE_USER", format!("{sentinel}-user"));
    let mut told = vec![("up".to_owned(), project::finish(&mut up, "up -d").all())];
    let mut events = Stream::open(&project, "/api/v1/events", None).unwrap();
    for verb in [
        &["start", "tidy"][..],
        &["restart", "it"],
        &["start", "broken"],
        &["status"],
        &["status", "--json"],
        &["status", "it"],
        &["status", "it", "--json"],
        &["status", "broken", "--json"],
        &["why", "it"],
        &["why", "broken", "--json"],
        &["why", "tidy"],
        &["history"],
        &["history", "--json"],
        &["events"],
        &["events", "--json"],
        &["logs"],
        &["schedule", "ls", "--json"],
        &["schedule", "next"],
        &["port", "it", "--json"],
        &["who", &port.to_string(), "--json"],
        &["doctor", "--json"],
        &["cleanup", "--dry-run", "--json"],
        &["init", "--stdout"],
    ] {
        told.push((verb.join(" "), project.soloist(verb).all()));
    }
    // Every path that can be read, as the API itself names them.
    let description = face::get(&project, "/openapi.json").expect(200).json();
    let paths = description["paths"].as_object().unwrap();
    let read =
        paths.iter().filter(|(_, methods)| methods.get("get").is_some()).map(|(path, _)| path.as_str());
    let mut count = 0;
    for path in read.chain(["/", "/metrics", "/openapi.json"]).filter(|path| *path != "/api/v1/events") {
        for name in ["it", "broken", "tidy"] {
            let path = path.replace("{name}", name).replace("{port}", &port.to_string());
            assert!(!path.contains('{'), "{path} needs to be filled in here");
            told.push((path.clone(), face::get(&project, &path).text()));
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
    let mut heard = Vec::new();
    events.until("the one that cannot start has failed again", |event| {
        heard.push(event.to_string());
        event["name"] == "broken" && event["state"] == "failed"
    });
    told.push(("events".to_owned(), heard.join("\n")));
    for process in project.processes().iter().filter(|one| one.command().contains("soloist")) {
        told.push((format!("{process}"), process.command()));
    }
    project.soloist(&["down"]).expect(0);
    for file in files(&project.folder().join(".soloist")) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        told.push((file.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
    }
    assert!(told.iter().any(|(what, text)| what.ends_with("history.db") && !text.is_empty()));
    for (what, text) in &told {
        let at = text.find(&sentinel).map(|at| &text[at.saturating_sub(200)..text.len().min(at + 60)]);
        assert_eq!(at, None, "{what} tells a value");
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let below = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        Ok(kind) if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    };
    entries.flat_map(below).collect()
}

#[test]
fn names_that_climb_name_nothing_wherever_they_are_said() {
    let project = Project::new("[services.it]\ncommand = [\"sleep\", \"1000\"]\n");
    project.soloist(&["up", "-d"]).expect(0);
    let outside = project.write("outside.log", "not a log of soloist\n");
    for name in ["../outside", "..", ".", "it/../it", "/etc/passwd", "%2e%2e/outside", "it\0", "it\n", ""] {
        if !name.contains('\0') {
            for verb in ["status", "logs", "why", "start", "stop", "port"] {
                let said = project.soloist(&[verb, name]);
                assert_ne!(said.code(), 0, "{verb} {name:?}: {said}");
                assert!(!said.all().contains("not a log of soloist"), "{verb} {name:?}: {said}");
            }
            let run = project.soloist(&["run", name, "--", "true"]);
            assert_eq!(run.code(), 2, "{run}");
        }
        let escaped: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for path in [format!("/api/v1/services/{escaped}"), format!("/api/v1/services/{escaped}/logs")] {
            let answer = face::get(&project, &path);
            assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
        }
        let body = serde_json::json!({ "names": [name] }).to_string();
        let answer = face::post(&project, "/api/v1/up", &body);
        assert!((400..500).contains(&answer.status), "{body}: {answer:?}");
        let toml = format!("[services.{}]\ncommand = [\"true\"]\n", Value::from(name));
        let refused = Project::new(&toml).soloist(&["up", "-d"]);
        assert_eq!(refused.code(), 1, "{toml}: {refused}");
    }
    assert_eq!(std::fs::read_to_string(outside).unwrap(), "not a log of soloist\n");
    assert_eq!(project.service("it").state, "ready");
}
