//! Logs are read as one text: over services by their times, over files that are rotated and compressed while somebody
//! reads them, and never with a secret that nobody asked for.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use e2e::caller::Caller;
use e2e::face::{Stream, get};
use e2e::{LIMIT, Project, log, quoted, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// A service that runs a script of sh(1).
fn service(name: &str, script: &str, more: &str) -> String {
    format!("[services.{name}]\ncommand = {}\n{more}\n", quoted(&["/bin/sh", "-c", script]))
}

/// Two services and a lane whose logs were written at known seconds: pairs of a time and what was written then.
fn planted() -> Project {
    let project = Project::new("[services.api]\ncommand = ['true']\n[services.web]\ncommand = ['true']\n");
    std::fs::create_dir_all(project.path(".soloist/logs")).unwrap();
    let plant = |name: &str, seq: u64, pieces: &[(u64, &str)]| {
        let mut index = b"soloidx1".to_vec();
        index.extend(seq.to_le_bytes());
        let mut text = String::new();
        for (second, piece) in pieces {
            index.extend((second * 1000).to_le_bytes());
            index.extend((text.len() as u64).to_le_bytes());
            text.push_str(piece);
        }
        project.write(&format!(".soloist/logs/{name}"), &text);
        std::fs::write(project.path(&format!(".soloist/logs/{name}.idx")), index).unwrap();
    };
    plant("api.log.4", 4, &[(100, "api 1\napi 2\n"), (120, "api 3\nap")]);
    plant("api.log", 5, &[(121, "i 4\n"), (140, "api 5\n")]);
    plant("web.log", 1, &[(110, "web 1\n"), (130, "web 2\n"), (150, "web 3")]);
    plant("web~err.log", 1, &[(135, "\x1b[31merror\x1b[0m 1\n")]);
    plant("gone.log", 1, &[(1, "declared no more\n")]);
    project
}

#[test]
fn several_logs_are_shown_in_the_order_of_their_times() {
    let project = planted();
    let shown = |arguments: &[&str]| project.soloist(arguments).expect(0).stdout;
    let all = "api     | api 1\napi     | api 2\nweb     | web 1\napi     | api 3\napi     | api 4\nweb     | web 2\n\
               web~err | \x1b[31merror\x1b[0m 1\napi     | api 5\nweb     | web 3\n";
    assert_eq!(shown(&["logs"]), all);
    assert_eq!(shown(&["logs", "api", "web"]), all);
    assert_eq!(shown(&["logs", "api", "-n", "2"]), "api 4\napi 5\n");
    assert_eq!(shown(&["logs", "-n", "1", "web"]), "web~err | \x1b[31merror\x1b[0m 1\nweb     | web 3\n");
    assert_eq!(
        shown(&["logs", "--grep", "^error|3$"]),
        all.lines()
            .filter(|line| line.contains('3') || line.contains("error"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    );
    let (since, until) = ("1970-01-01T00:02:00Z", "1970-01-01T00:02:15Z");
    let some = "api     | api 3\napi     | api 4\nweb     | web 2\nweb~err | \x1b[31merror\x1b[0m 1\n";
    assert_eq!(shown(&["logs", "--since", since, "--until", until]), some);
    assert_eq!(shown(&["logs", "--since", "1h"]), "");
    let told: Vec<Value> =
        shown(&["logs", "web", "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |time: &str, stream: &str, line: &str, offset: u64| {
        serde_json::json!({"time": format!("1970-01-01T00:{time}Z"), "service": "web", "stream": stream, "line": line,
            "seq": 1, "offset": offset})
    };
    assert_eq!(
        told,
        [
            line("01:50", "out", "web 1", 0),
            line("02:10", "out", "web 2", 6),
            line("02:15", "err", "\x1b[31merror\x1b[0m 1", 0),
            line("02:30", "out", "web 3", 12),
        ]
    );
    let api = shown(&["logs", "api", "--json", "-n", "2"]);
    assert!(api.contains(r#""line":"api 4","seq":4,"offset":18}"#) && !api.contains("stream"), "{api}");
}

#[test]
fn the_last_lines_are_read_from_the_end_whatever_lies_before() {
    let project = planted();
    project.write(".soloist/logs/api.log.3.gz", "this was never compressed");
    let shown = |arguments: &[&str]| project.soloist(arguments).expect(0).stdout;
    assert_eq!(shown(&["logs", "api", "-n", "3"]), "api 3\napi 4\napi 5\n");
    assert_eq!(shown(&["logs", "-n", "1", "api", "web"]).lines().count(), 3);
    let refused = project.soloist(&["logs", "api", "-n", "9"]).expect(1).stderr;
    assert!(refused.contains("cannot read") && refused.contains("api.log.3.gz"), "{refused}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let project = planted();
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let said = project.soloist(arguments).expect(code);
        assert!(said.stderr.contains(words), "{said}");
    };
    refused(&["logs", "nobody"], 4, "nobody");
    refused(&["logs", "api", "--grep", "("], 2, "regular expression");
    refused(&["logs", "-f", "--until", "1m"], 2, "--until");
    refused(&["logs", "--since", "noon"], 2, "2026-03-04");
    // A faulty file keeps nobody from the logs, and that its patterns are unknown is said.
    project.write("soloist.toml", "[services.api\n");
    let said = project.soloist(&["logs", "api", "-n", "1"]).expect(0);
    assert!(said.stdout == "api 5\n" && said.stderr.contains("only well-known secrets"), "{said}");
}

/// Writes numbered lines from when `go` is there, in files of the least size there may be.
fn numbers(project: &Project, lines: u32) -> String {
    let script = format!(
        "echo begun; while [ ! -e {} ]; do sleep 0.02; done; i=0; \
         while [ $i -lt {lines} ]; do seq $i $((i+999)); i=$((i+1000)); sleep 0.02; done; sleep 1000",
        project.path("go")
    );
    service("numbers", &script, "log = { size = '64KiB', keep = 1000 }")
}

#[test]
fn a_rotated_log_is_followed_without_a_line_lost_or_doubled() {
    const LINES: u32 = 100_000;
    let project = Project::empty();
    project.write("soloist.toml", &numbers(&project, LINES));
    project.soloist(&["up", "-d"]).expect(0);
    let mut follower = project.spawn(&["logs", "numbers", "-f"]);
    let mut other = project.spawn(&["logs", "-f", "--json"]);
    wait_until("both follow", LIMIT, || {
        let said = [follower.said(), other.said()];
        if said.iter().all(|said| said.contains("begun")) { Ok(()) } else { Err(said.concat()) }
    });
    // A reader of the stream goes away in between, and comes back when what it had was compressed. It is there before the
    // first number: who comes later is told the last lines only.
    let path = "/api/v1/services/numbers/logs?follow=1";
    let open = |after: Option<&str>| Stream::open(&project, path, after).unwrap();
    let (mut stream, mut next) = (open(None), 0);
    project.write("go", "");
    let mut is_first = true;
    loop {
        for event in stream.by_ref() {
            assert_eq!(event["event"], "lines", "{event}");
            for line in event["lines"].as_array().expect("lines") {
                if line != "begun" {
                    assert_eq!(
                        line.as_str(),
                        Some(next.to_string().as_str()),
                        "in {}-{}",
                        event["at"],
                        event["seq"]
                    );
                    next += 1;
                }
            }
            if is_first && next > 1_000 || next == LINES {
                break;
            }
        }
        if next == LINES {
            break;
        }
        is_first = false;
        let after = stream.id.take();
        let seq: u64 = after.as_deref().and_then(|id| id.split_once('-')?.1.parse().ok()).expect("an id");
        wait_until("that file is compressed", LIMIT, || {
            let found = log::parts(&project.log_file("numbers"));
            let path = found
                .iter()
                .find(|(number, _)| *number == Some(seq))
                .map(|(_, path)| path.display().to_string());
            let is_gz = path.as_ref().is_some_and(|path| path.ends_with(".gz"));
            if is_gz { Ok(()) } else { Err(format!("{path:?}")) }
        });
        stream = open(after.as_deref());
    }
    let last = (LINES - 1).to_string();
    wait_until("both have the last line", LIMIT, || {
        let said = [follower.said(), other.said()];
        if said.iter().all(|said| said.contains(&last)) { Ok(()) } else { Err(said.concat().len()) }
    });
    let expected: Vec<String> =
        std::iter::once("begun".to_owned()).chain((0..LINES).map(|n| n.to_string())).collect();
    let is_all = |lines: Vec<String>| assert!(lines == expected, "{} lines, {:?}", lines.len(), lines.last());
    is_all(follower.said().trim_end().lines().map(str::to_owned).collect());
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["line"].as_str().unwrap().to_owned();
    is_all(other.said().trim_end().lines().map(line).collect());
    is_all(
        project
            .soloist(&["logs", "numbers", "-n", "1000000"])
            .expect(0)
            .stdout
            .lines()
            .map(str::to_owned)
            .collect(),
    );
    let saved = get(&project, "/api/v1/services/numbers/logs?download=1").expect(200);
    assert!(saved.body == project.log("numbers"), "{} bytes", saved.body.len());
    let found = get(&project, "/api/v1/services/numbers/logs?grep=^1234.$&lines=3").expect(200).text();
    assert_eq!(found, "12347\n12348\n12349\n");
    for follower in [&mut follower, &mut other] {
        follower.signal(Signal::TERM);
        follower.wait(LIMIT);
    }
}

#[test]
fn a_follower_ends_when_nobody_reads_it() {
    let project = Project::new(&service("quiet", "echo up; sleep 1000", ""));
    project.soloist(&["up", "-d"]).expect(0);
    wait_until("it has written", LIMIT, || {
        if project.log("quiet").is_empty() { Err("nothing") } else { Ok(()) }
    });
    let mut command = project.command(&["logs", "quiet", "-f"]);
    let mut follower = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    // Only the end of the reader tells it: nothing more is written.
    BufReader::new(follower.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    let ended = wait_until("it has ended", LIMIT, || follower.try_wait().ok().flatten().ok_or("it lives"));
    assert!(ended.success(), "{ended}");
}

#[test]
fn a_log_that_is_not_there_yet_is_awaited() {
    let project =
        Project::new(&(service("late", "echo late; sleep 1000", "") + &service("other", "sleep 1000", "")));
    project.soloist(&["logs", "late"]).expect(3);
    let mut followers = [project.spawn(&["logs", "late", "-f"]), project.spawn(&["logs", "-f"])];
    project.soloist(&["start", "late"]).expect(0);
    for (follower, line) in followers.iter_mut().zip(["late", "late | late"]) {
        wait_until("its line is shown", LIMIT, || {
            let said = follower.said();
            if said.trim_end() == line { Ok(()) } else { Err(said) }
        });
        follower.signal(Signal::TERM);
        follower.wait(LIMIT);
    }
}

#[test]
fn secrets_stay_in_the_file() {
    let script = "echo password=hunter2 up; echo card 4711; echo token: hunter2 >&2; sleep 1000";
    let project = Project::empty();
    // In files, as a command line is told as it is.
    let script = project.write("api.sh", script);
    let fall = project.write("fall.sh", "echo 'ConnectionError: postgres://ada:hunter2@db/x'; exit 1");
    let run = |script: &std::path::Path| format!(". {}", script.display());
    let services = [
        service("api", &run(&script), "log = { mask = ['card \\d+'] }"),
        service("fall", &run(&fall), "restart = 'no'"),
    ];
    project.write("soloist.toml", &services.concat());
    project.soloist(&["up", "-d"]);
    let masked = "password=[masked] up\n[masked]\ntoken: [masked]\n";
    let raw = "password=hunter2 up\ncard 4711\ntoken: hunter2\n";
    wait_until("all is written", LIMIT, || {
        let log = String::from_utf8_lossy(&project.log("api")).into_owned();
        if log == raw { Ok(()) } else { Err(log) }
    });
    assert_eq!(project.soloist(&["logs", "api"]).expect(0).stdout, masked);
    assert_eq!(project.soloist(&["logs", "api", "--raw"]).expect(0).stdout, raw);
    assert_eq!(
        project.soloist(&["logs", "api", "--grep", "hunter2"]).expect(0).stdout,
        "",
        "nor found by guessing"
    );
    let of = |query: &str| get(&project, &format!("/api/v1/services/api/logs{query}"));
    for query in ["", "?download=1", "?since=1h"] {
        assert_eq!(of(query).expect(200).text(), masked, "{query}");
    }
    assert_eq!(of("?raw=1").expect(200).text(), raw);
    assert_eq!(of("?grep=hunter2").expect(200).text(), "");
    let mut stream = Stream::open(&project, "/api/v1/services/api/logs?follow=1", None).unwrap();
    stream.until("masked lines", |event| {
        event["lines"][0] == "password=[masked] up" && event["lines"][1] == "[masked]"
    });
    let caller = Caller::of(&project);
    let reply = caller.ask_known("GET /api/v1/services/api/logs?raw=1", &[], "");
    assert!(reply.status == 403 && !reply.body.contains("hunter2"), "{reply:?}");
    let reply = caller.ask_known("GET /api/v1/services/api/logs", &[], "");
    assert!(reply.status == 200 && !reply.body.contains("hunter2"), "{reply:?}");

    project.wait_for_state("fall", "failed", LIMIT);
    for command in [&["status", "fall"][..], &["status", "--json"], &["why", "fall"], &["history"]] {
        let said = project.soloist(command);
        assert!(!said.stdout.contains("hunter2"), "{said}");
    }
    assert!(project.soloist(&["why", "fall"]).stdout.contains("ada:[masked]@db"));
    // Without a daemon it is the same.
    project.soloist(&["down"]).expect(0);
    assert_eq!(project.soloist(&["logs", "api"]).expect(0).stdout, masked);
}

#[test]
fn standard_error_apart_is_shown_beside_and_told_by_its_name() {
    let script = "echo out; echo err >&2; sleep 1000";
    let project = Project::new(&service("both", script, "log = { split = true }"));
    project.soloist(&["up", "-d"]).expect(0);
    let shown = wait_until("both are written", LIMIT, || {
        let shown = project.soloist(&["logs", "both"]).stdout;
        if shown.lines().count() == 2 { Ok(shown) } else { Err(shown) }
    });
    let mut lines: Vec<&str> = shown.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["both     | out", "both~err | err"]);
    assert_eq!(get(&project, "/api/v1/services/both/logs").expect(200).text(), "out\n");
    assert_eq!(get(&project, "/api/v1/services/both~err/logs").expect(200).text(), "err\n");
    get(&project, "/api/v1/services/both~other/logs").expect(404);
}
