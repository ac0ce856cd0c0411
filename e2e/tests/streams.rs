//! What a page watches: events and logs are followed over lost connections and dead daemons without loss, a slow reader
//! harms nobody, and nothing that is looked at tells a secret.

use std::time::{Duration, Instant};

use e2e::face::{Stream, get, post};
use e2e::{Identity, LIMIT, Project, free_port, puppet, quoted, wait_until};
use serde_json::Value;

/// Opens a stream as soon as a daemon answers: a page tries again until one does.
#[track_caller]
fn open(project: &Project, path: &str, after: Option<&str>) -> Stream {
    wait_until(path, LIMIT, || Stream::open(project, path, after))
}

fn kill_daemon(project: &Project) {
    let daemon = Identity::of(project.status().daemon.expect("a daemon").pid).expect("a living daemon");
    assert!(daemon.kill());
    wait_until("the daemon is dead", LIMIT, || if daemon.is_alive() { Err(daemon) } else { Ok(()) });
}

fn is_of(event: &Value, name: &str, state: &str) -> bool {
    event["event"] == "service" && event["name"] == name && event["state"] == state
}

const STEADY: &str = "[services.steady]\ncommand = [\"sleep\", \"1000\"]\n";

#[test]
fn a_reader_of_events_that_comes_again_misses_nothing() {
    let project = Project::new(STEADY);
    project.soloist(&["up", "-d"]).expect(0);
    let mut first = open(&project, "/api/v1/events", None);
    let mut always = open(&project, "/api/v1/events", None);
    post(&project, "/api/v1/services/steady/restart", "{}").expect(200);
    let status = first.until("ready", |event| is_of(event, "steady", "ready"));
    assert_eq!(status["command"][0], "sleep", "the whole status: {status}");
    let id = first.id.clone();
    drop(first);
    post(&project, "/api/v1/services/steady/stop", "{}").expect(200);
    let mut again = open(&project, "/api/v1/events", id.as_deref());
    let seen = |stream: &mut Stream, from: Option<&str>| {
        let mut seen = Vec::new();
        loop {
            let event = stream.next().expect("an event");
            let is_last = is_of(&event, "steady", "stopped");
            if from.is_none_or(|from| stream.id.as_deref().is_some_and(|id| number(id) > number(from))) {
                seen.push((stream.id.clone(), event));
            }
            if is_last {
                return seen;
            }
        }
    };
    let missed = seen(&mut again, None);
    assert!(missed.iter().any(|(_, event)| is_of(event, "steady", "stopping")), "{missed:#?}");
    assert_eq!(missed, seen(&mut always, id.as_deref()), "as if it had never been away");

    // Another daemon does not know what the reader has had: it says so, and goes on.
    let id = again.id.clone();
    post(&project, "/api/v1/services/steady/start", "{}").expect(200);
    kill_daemon(&project);
    let mut later = open(&project, "/api/v1/events", id.as_deref());
    assert_eq!(later.next().expect("an event")["event"], "resync");
    assert_ne!(later.id, id);
    post(&project, "/api/v1/services/steady/stop", "{}").expect(200);
    later.until("stopped", |event| is_of(event, "steady", "stopped"));
}

#[test]
fn who_is_declared_no_more_leaves_and_who_is_declared_again_comes_back() {
    let keyed = "[services.feed]\ninstances = [\"antica\", \"bona\"]\ncommand = [\"sleep\", \"1000\"]\n";
    let project = Project::new(&format!("{STEADY}{keyed}"));
    project.soloist(&["up", "-d"]).expect(0);
    let mut events = open(&project, "/api/v1/events", None);
    let is_gone = |event: &Value, name: &str| event["event"] == "removed" && event["service"] == name;
    post(&project, "/api/v1/services/feed/instances", r#"{"remove": ["bona"]}"#).expect(200);
    events.until("the key is gone", |event| is_gone(event, "feed@bona"));
    project.write("soloist.toml", keyed);
    post(&project, "/api/v1/up", "").expect(200);
    // Gone is only who has stopped.
    events.until("it has stopped", |event| is_of(event, "steady", "stopped"));
    events.until("it is gone", |event| is_gone(event, "steady"));
    project.write("soloist.toml", &format!("{STEADY}{keyed}"));
    post(&project, "/api/v1/services/steady/start", "").expect(200);
    post(&project, "/api/v1/services/steady/stop", "").expect(200);
    assert_eq!(project.service("steady").state, "stopped", "it is declared again, and told of");
}

fn number(id: &str) -> u64 {
    id.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{id}"))
}

#[test]
fn a_reader_that_never_reads_is_told_and_slows_nobody() {
    let toml: String = (0..10)
        .map(|n| {
            format!(
                "[services.brief{n}]\ncommand = [\"true\"]\nrestart = \"always\"\n\
                 backoff = {{ first = \"5ms\", max = \"5ms\" }}\nrestart-limit = {{ count = 100000, period = \"1h\" }}\n"
            )
        })
        .collect();
    let project = Project::new(&toml);
    project.soloist(&["up", "-d"]);
    let daemon = project.status().daemon.expect("a daemon").pid;
    let mut slow: Vec<Stream> = (0..20).map(|_| open(&project, "/api/v1/events", None)).collect();
    let mut quick = open(&project, "/api/v1/events", None);
    quick.next().expect("an event");
    let from = number(quick.id.as_deref().unwrap());
    let mut before = None;
    loop {
        quick.next().expect("an event");
        let count = number(quick.id.as_deref().unwrap()) - from;
        // By now the ring is full, and so is the way to each reader. One that is told to ask anew skips some.
        if count >= 2_000 && before.is_none() {
            before = Some((count, resident_kib(daemon)));
        }
        if before.is_some_and(|(first, _)| count >= first + 4_000) {
            break;
        }
    }
    let grown = resident_kib(daemon).saturating_sub(before.unwrap().1);
    assert!(grown < 20 * 1024, "{grown} KiB more for readers that do not read");
    let asked = Instant::now();
    get(&project, "/api/v1/services").expect(200);
    assert!(asked.elapsed() < Duration::from_secs(5), "the daemon was slowed: {:?}", asked.elapsed());
    for reader in &mut slow {
        reader.until("resync", |event| event["event"] == "resync");
        reader.until("something new", |event| event["event"] == "service");
    }
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a living daemon");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Writes 1,000 numbered lines every 100 ms, so many times, and rests.
fn writer(times: u32) -> String {
    let script = format!(
        "i=0; while [ $i -lt {times} ]; do seq $((i*1000)) $((i*1000+999)); i=$((i+1)); sleep 0.1; done; sleep 1000"
    );
    format!("[services.writer]\ncommand = {}\n", quoted(&["/bin/sh", "-c", &script]))
}

#[test]
fn ten_thousand_lines_a_second_are_followed_over_a_dead_daemon_without_loss() {
    const TIMES: u32 = 60;
    let project = Project::new(&writer(TIMES));
    project.soloist(&["up", "-d"]).expect(0);
    let path = "/api/v1/services/writer/logs?follow=1&lines=1000000";
    let (mut next, mut after, mut round) = (0, None, 0);
    while next < TIMES * 1000 {
        let mut stream = open(&project, path, after.as_deref());
        for event in stream.by_ref() {
            assert_eq!(event["event"], "lines", "{event}");
            assert_ne!(event["open"], true, "the writer writes whole lines: {event}");
            for line in event["lines"].as_array().expect("lines") {
                assert_eq!(line.as_str(), Some(next.to_string().as_str()), "in {}", event["at"]);
                next += 1;
            }
            // Twice away, once because the daemon died.
            if next >= 15_000 * (round + 1) && round < 2 || next == TIMES * 1000 {
                break;
            }
        }
        after.clone_from(&stream.id);
        drop(stream);
        round += 1;
        if round == 2 {
            kill_daemon(&project);
        }
    }
    assert!(round >= 2);
}

#[test]
fn a_follower_that_is_too_slow_is_told_to_the_byte_what_it_missed() {
    let project = Project::empty();
    let (go, end) = (project.path("go"), project.path("end"));
    let script = format!(
        "echo first; while [ ! -e {go} ]; do sleep 0.05; done; i=0; \
         while [ $i -lt 40 ]; do seq 1000000 1100000; i=$((i+1)); done; echo last; touch {end}; sleep 1000"
    );
    let command = quoted(&["/bin/sh", "-c", &script]);
    project.write("soloist.toml", &format!("[services.flood]\ncommand = {command}\n"));
    project.soloist(&["up", "-d"]).expect(0);
    let mut slow = open(&project, "/api/v1/services/flood/logs?follow=1", None);
    slow.until("the first line", |event| event["lines"][0] == "first");
    project.write("go", "");
    wait_until("all is written", LIMIT, || {
        if std::path::Path::new(&end).exists() { Ok(()) } else { Err("not yet") }
    });
    // By the number of its file, where each begins in all that was written.
    let parts = e2e::log::parts(&project.log_file("flood"));
    let lengths = parts.iter().map(|(_, path)| e2e::log::content(path).expect("a file").len() as u64);
    let begins: Vec<u64> =
        lengths.scan(0, |sum, length| Some(std::mem::replace(sum, *sum + length))).collect();
    let (mut told, mut missed, mut is_over) = (6, 0, false);
    while !is_over {
        let event = slow.next().expect("an event");
        match event["event"].as_str() {
            Some("lines") => {
                let seq = event["seq"].as_u64().expect("a number") as usize;
                let at = begins[seq - 1] + event["at"].as_u64().expect("a place");
                assert_eq!(at, told + missed, "no gap that is not told");
                let lines = event["lines"].as_array().expect("lines");
                let open = u64::from(event["open"] == true);
                let length: usize = lines.iter().map(|line| line.as_str().expect("a line").len() + 1).sum();
                told += length as u64 - open;
                is_over = lines.last().is_some_and(|line| line == "last");
            }
            Some("resync") => missed += event["missed_bytes"].as_u64().expect("how many"),
            _ => panic!("{event}"),
        }
    }
    assert!(missed > 0, "nothing was missed of {told} bytes");
    assert_eq!(told + missed, project.log("flood").len() as u64);
}

#[test]
fn a_log_is_told_as_text_followed_over_its_replacement_and_saved_as_it_is() {
    let project = Project::empty();
    let go = project.path("go");
    let script = format!(
        "printf 'one\\ntw\\377\\nthree\\n'; while [ ! -e {go} ]; do sleep 0.05; done; printf 'name: '; sleep 1000"
    );
    let command = quoted(&["/bin/sh", "-c", &script]);
    project.write(
        "soloist.toml",
        &format!("[services.odd]\ncommand = {command}\n[services.mute]\ncommand = [\"sleep\", \"1000\"]\n"),
    );
    project.soloist(&["up", "-d"]).expect(0);
    wait_until("three lines", LIMIT, || {
        if project.log("odd").len() == 14 { Ok(()) } else { Err(project.diary()) }
    });
    let of = |query: &str| get(&project, &format!("/api/v1/services/odd/logs{query}"));
    let all = of("").expect(200);
    assert!(all.head.contains("text/plain; charset=utf-8"), "{}", all.head);
    assert_eq!(all.text(), "one\ntw\u{fffd}\nthree\n");
    assert_eq!(of("?lines=1").expect(200).text(), "three\n");
    assert_eq!(get(&project, "/api/v1/services/mute/logs").expect(200).text(), "");
    let saved = of("?download=1").expect(200);
    assert!(saved.head.contains("attachment; filename=\"odd.log\""), "{}", saved.head);
    assert_eq!(saved.body, b"one\ntw\xff\nthree\n");

    assert_eq!(of("?since=1h").expect(200).text(), all.text());
    assert_eq!(of("?until=1h").expect(200).text(), "");
    assert_eq!(of("?since=1h&grep=^t&lines=1").expect(200).text(), "three\n");
    for query in [
        "?lines=-1",
        "?since=noon",
        "?follow=maybe",
        "?tail=3",
        "?grep=(",
        "?follow=1&until=1m",
        "?follow=1&lines=1&since=1m",
    ] {
        of(query).expect(400);
    }
    let unknown = get(&project, "/api/v1/services/ood/logs").expect(404).json();
    assert!(unknown["hint"].as_str().is_some_and(|hint| hint.contains("odd")), "{unknown}");
    get(&project, "/api/v1/services/..%2F..%2Fsoloist/logs").expect(404);

    let mut follower = open(&project, "/api/v1/services/odd/logs?follow=1&lines=1", None);
    follower.until("the last line", |event| event["lines"][0] == "three");
    project.write("go", "");
    follower.until("a line without end", |event| event["lines"][0] == "name: " && event["open"] == true);
    let place = follower.id.clone();
    std::fs::rename(project.path(".soloist/logs/odd.log"), project.path("old.log")).unwrap();
    project.write(".soloist/logs/odd.log", "new\n");
    for stream in [&mut follower, &mut open(&project, "/api/v1/services/odd/logs?follow=1", place.as_deref())]
    {
        assert_eq!(stream.next().expect("an event")["event"], "rotated");
        assert_eq!(stream.next().expect("an event")["at"], 0);
    }
    // Who follows does not keep the daemon from ending.
    let asked = Instant::now();
    project.soloist(&["down"]).expect(0);
    assert_eq!(follower.next(), None, "after {:?}", asked.elapsed());
}

#[test]
fn what_runs_is_shown_without_a_secret() {
    let (port, stray) = (free_port(), free_port());
    let project = Project::empty();
    let listen = quoted(&puppet(&["--listen", &port.to_string(), "--children", "plain"]));
    let other = quoted(&puppet(&["--listen", &stray.to_string()]));
    project.write(
        "soloist.toml",
        &format!(
            "[services.web]\ncommand = {listen}\nport = {port}\nenv = {{ API_KEY = \"hunter2\" }}\n\
             [services.web.readiness]\nhttp = {{ path = \"/?key=hunter2\", headers = {{ X-Key = \"hunter2\" }} }}\n\
             [services.stray]\ncommand = {other}\n\
             [services.signalled]\ncommand = [\"/bin/sh\", \"-c\", \"trap 'echo heard' USR1; echo armed; while :; do sleep 0.05; done\"]\n"
        ),
    );
    project.soloist(&["start", "stray", "signalled"]).expect(0);
    // Its probe asks the puppet for HTTP, which it does not speak: it is up all the same.
    post(&project, "/api/v1/services/web/start", "{\"timeout_ms\":1}");
    let tree = wait_until("web has a child", LIMIT, || {
        let tree = get(&project, "/api/v1/services/web/tree").expect(200).json();
        let count = tree["processes"].as_array().map_or(0, Vec::len);
        if count >= 2 && tree["processes"][0]["main"] == true { Ok(tree) } else { Err(tree.to_string()) }
    });
    let main = &tree["processes"][0];
    assert_eq!((&main["main"], &main["ppid"]), (&Value::Bool(true), &tree["guard"]), "{tree}");
    assert_eq!(tree["processes"][1]["ppid"], main["pid"], "{tree}");
    assert!(main["rss_kib"].as_u64().is_some_and(|kib| kib > 0) && main["since"].is_string(), "{tree}");
    assert_eq!(main["pid"], project.record("web").expect("a record")["main"]["pid"], "{tree}");

    let ports = wait_until("both listen", LIMIT, || {
        let ports = get(&project, "/api/v1/ports").expect(200).json();
        let of = |number: u16| {
            let all = ports["ports"].as_array().cloned().unwrap_or_default();
            all.into_iter().find(|port| port["port"] == number).unwrap_or_default()
        };
        let (web, stray) = (of(port), of(stray));
        let is_ours = |port: &Value, name: &str| {
            port["listeners"][0]["class"] == "ours" && port["listeners"][0]["service"] == name
        };
        if is_ours(&web, "web") && is_ours(&stray, "stray") {
            Ok((web, stray))
        } else {
            Err(ports.to_string())
        }
    });
    assert_eq!(
        (&ports.0["declared"][0], ports.1["declared"].as_array().map(Vec::len)),
        (&"web".into(), Some(0))
    );

    let config = get(&project, "/api/v1/services/web/config").expect(200).json();
    assert_eq!((&config["env"][0], &config["ports"][0]), (&"API_KEY".into(), &port.into()), "{config}");

    let signal = |body: &str| post(&project, "/api/v1/services/signalled/signal", body);
    wait_until("it is armed", LIMIT, || {
        if project.log("signalled").is_empty() { Err("not yet") } else { Ok(()) }
    });
    signal("{\"signal\":\"USR1\",\"who\":\"a test\"}").expect(200);
    wait_until("it has heard", LIMIT, || {
        let log = String::from_utf8_lossy(&project.log("signalled")).into_owned();
        if log.contains("heard") { Ok(()) } else { Err(log) }
    });
    signal("{\"signal\":\"NOSUCH\"}").expect(400);
    signal("{}").expect(400);
    project.soloist(&["stop", "signalled"]).expect(0);
    assert_eq!(signal("{\"signal\":\"USR1\"}").expect(409).json()["code"], "not-running");
    let past = project.soloist(&["history", "signalled"]).expect(0);
    assert!(past.stdout.contains("signalled") && past.stdout.contains("SIGUSR1"), "{past}");
    for path in ["tree", "config", "logs"] {
        get(&project, &format!("/api/v1/services/nobody/{path}")).expect(404);
    }
    let runs = get(&project, "/api/v1/runs?limit=10").expect(200).json();
    let run = |name: &str| {
        let all = runs["runs"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|run| run["service"] == name).unwrap_or_else(|| panic!("{name} in {runs}"))
    };
    assert_eq!((&run("web")["end"], run("signalled")["end"].is_string()), (&Value::Null, true), "{runs}");

    for path in
        ["services", "services/web", "services/web/tree", "services/web/config", "ports", "runs", "history"]
    {
        let answer = get(&project, &format!("/api/v1/{path}")).expect(200);
        assert!(!answer.text().contains("hunter2"), "{path}: {}", answer.text());
    }
}

#[test]
fn what_instances_use_is_sampled_while_somebody_watches() {
    let project = Project::new(
        "[services.busy]\ncommand = [\"/bin/sh\", \"-c\", \"while :; do :; done\"]\n\
         [services.idle]\ncommand = [\"sleep\", \"1000\"]\n[services.down]\ncommand = [\"sleep\", \"1000\"]\n",
    );
    project.soloist(&["start", "busy", "idle"]).expect(0);
    let mut without = open(&project, "/api/v1/events?history=0", None);
    let mut watchers = [(); 2].map(|()| open(&project, "/api/v1/events?samples=1", None));
    for watcher in &mut watchers {
        let is_measured = |event: &Value| {
            let of = |name: &str| {
                let samples = event["samples"].as_array().cloned().unwrap_or_default();
                samples.into_iter().find(|sample| sample["service"] == name).unwrap_or_default()
            };
            let (busy, idle) = (of("busy"), of("idle"));
            assert!(event["event"] != "samples" || of("down").is_null(), "{event}");
            busy["cpu_percent"].as_f64().is_some_and(|percent| percent > 5.0)
                && idle["cpu_percent"].as_f64().is_some_and(|percent| percent < 5.0)
                && idle["rss_kib"].as_u64().is_some_and(|kib| kib > 0)
        };
        watcher.until("samples of both", is_measured);
    }
    post(&project, "/api/v1/services/idle/stop", "{}").expect(200);
    without.until("stopped, and no samples", |event| {
        assert_ne!(event["event"], "samples");
        is_of(event, "idle", "stopped")
    });
    get(&project, "/api/v1/events?samples=2").expect(400);
}
