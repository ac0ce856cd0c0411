//! What the API answers: problems that say what to do, writes that are done once, what does not wait, and what has not
//! changed.

use std::time::Duration;

use e2e::{Caller, LIMIT, Project, puppet, quoted};

/// A project with one service, `good`, and this more, up.
fn up(more: &str) -> (Project, Caller) {
    let good = quoted(&puppet::<&str>(&[]));
    let project = Project::new(&format!("[services.good]\ncommand = {good}\n{more}"));
    project.soloist(&["up", "-d"]).expect(0);
    let caller = Caller::of(&project);
    (project, caller)
}

#[test]
fn mistakes_are_answered_with_one_clear_problem() {
    let (project, caller) = up(&format!("[jobs.tick]\ncommand = {}\nevery = \"1h\"\n", quoted(&["true"])));
    caller.ask_known("GET /api/v1/services/goood", &[], "").refuses(
        404,
        "unknown-service",
        "did you mean `good`?",
    );
    caller.ask_known("POST /api/v1/services/goood/stop", &[], "").refuses(
        404,
        "unknown-service",
        "did you mean `good`?",
    );
    caller.ask_known("POST /api/v1/services/good/fly", &[], "").refuses(
        404,
        "no-such-path",
        "start, ensure, stop",
    );
    let wrong = caller.ask_known("DELETE /api/v1/services", &[], "");
    wrong.refuses(405, "wrong-method", "");
    assert!(wrong.header("allow").is_some_and(|allow| allow.contains("GET")), "{wrong:?}");
    let broken = "{\"who\": \"me\",\n \"timeout_ms\": oops}";
    caller.ask_known("POST /api/v1/services/good/stop", &[], broken).refuses(400, "usage", "line 2 column");
    caller.ask_known("POST /api/v1/services/good/stop?wait=x", &[], "").refuses(400, "usage", "wait");
    for (every, said) in [
        ("\"0s\"", "10ms are the least"),
        ("\"1000000000s\"", "ten years are the most"),
        ("0", "expected a string"),
        ("1e9", "expected a string"),
    ] {
        let body = format!("{{\"every\": {every}}}");
        caller.ask_known("PATCH /api/v1/schedules/tick", &[], &body).refuses(400, "usage", said);
    }
    assert_eq!(project.service("good").state, "ready");
}

#[test]
fn a_write_with_a_key_is_done_once_and_answered_twice() {
    let (project, caller) = up("");
    let line = "POST /api/v1/services/good/restart";
    let key = ["Idempotency-Key: first"];
    let (one, two) = std::thread::scope(|scope| {
        let both = [
            scope.spawn(|| caller.ask_known(line, &key, "{}")),
            scope.spawn(|| caller.ask_known(line, &key, "{}")),
        ];
        let [one, two] = both.map(|asked| asked.join().unwrap());
        (one, two)
    });
    assert_eq!((one.status, two.status, &one.body), (200, 200, &two.body));
    let replayed = [&one, &two].map(|reply| reply.header("idempotency-replayed") == Some("true"));
    assert!(replayed[0] != replayed[1], "{one:?}\n{two:?}");
    assert_eq!(
        project.service("good").pid.map(u64::from),
        one.json()["pid"].as_u64(),
        "it was restarted once"
    );
    caller.ask_known(line, &key, "{\"who\": \"me\"}").refuses(422, "key-reused", "first");
    caller.ask_known("POST /api/v1/services/good/stop", &key, "{}").refuses(422, "key-reused", "first");
    let other = caller.ask_known(line, &["Idempotency-Key: second"], "{}");
    assert_ne!(other.json()["pid"], one.json()["pid"]);
}

#[test]
fn a_stop_that_a_start_overtakes_is_told() {
    let slow = quoted(&["sh", "-c", "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.05; done"]);
    let (project, caller) = up(&format!("[services.slow]\ncommand = {slow}\n"));
    let first = project.service("slow").run_id;
    let stop = std::thread::scope(|scope| {
        let stop = scope.spawn(|| caller.ask_known("POST /api/v1/services/slow/stop", &[], ""));
        project.wait_for_state("slow", "stopping", Duration::from_secs(20));
        assert_eq!(caller.ask_known("POST /api/v1/services/slow/start", &[], "").status, 200);
        stop.join().unwrap()
    });
    stop.refuses(409, "overtaken", "slow was started again before it was down");
    assert_ne!(project.service("slow").run_id, first);
}

#[test]
fn who_does_not_wait_is_told_where_to_look() {
    let slow = quoted(&["sh", "-c", "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.05; done"]);
    let (project, caller) = up(&format!("[services.slow]\ncommand = {slow}\n"));
    let stop = caller.ask_known("POST /api/v1/services/slow/stop", &["Prefer: respond-async"], "");
    assert_eq!((stop.status, stop.header("location")), (202, Some("/api/v1/services/slow")));
    assert_eq!(stop.json()["state"], "stopping");
    // A start meanwhile waits for the end, and is a new run.
    let start = caller.ask_known("POST /api/v1/services/slow/start", &[], "");
    assert_eq!((start.status, &start.json()["state"]), (200, &"ready".into()), "{start:?}");
    assert_ne!(start.json()["pid"], stop.json()["pid"]);
    assert_eq!(caller.ask_known("POST /api/v1/services/slow/stop?wait=0", &[], "").status, 202);
    project.wait_for_state("slow", "stopped", LIMIT);
    let again = caller.ask_known("POST /api/v1/services/slow/stop", &[], "");
    assert_eq!((again.status, &again.json()["state"]), (200, &"stopped".into()));
    caller.ask_known("POST /api/v1/services/sloww/stop?wait=0", &[], "").refuses(
        404,
        "unknown-service",
        "slow",
    );
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let (_project, caller) = up("");
    for path in ["/api/v1/services", "/api/v1/services/good"] {
        let line = format!("GET {path}");
        let tag = caller.ask_known(&line, &[], "").header("etag").expect("a tag").to_owned();
        assert!(tag.starts_with("W/\""), "{tag}");
        let known = format!("If-None-Match: \"other\", {tag}");
        let same = caller.ask_known(&line, &[&known], "");
        assert_eq!((same.status, same.header("etag"), same.body.as_str()), (304, Some(tag.as_str()), ""));
        assert_eq!(caller.ask_known("POST /api/v1/services/good/restart", &[], "").status, 200);
        let changed = caller.ask_known(&line, &[&known], "");
        assert!(changed.status == 200 && changed.header("etag") != Some(&tag), "{changed:?}");
    }
}

#[test]
fn a_claim_that_is_held_elsewhere_names_its_holder() {
    let project = Project::new(&format!("[services.good]\ncommand = {}\n", quoted(&puppet::<&str>(&[]))));
    let command = puppet::<&str>(&[]);
    let words: Vec<&str> =
        ["run", "good", "--"].into_iter().chain(command.iter().map(String::as_str)).collect();
    let _run = project.spawn(&words);
    let pid = project.wait_for_state("good", "ready", LIMIT).pid;
    // Any daemon at all.
    project.soloist(&["open", "--print"]).expect(0);
    let reply = Caller::of(&project).ask_known("POST /api/v1/services/good/start", &[], "");
    reply.refuses(423, "claim-held", "soloist run");
    assert_eq!(reply.json()["holder"]["pid"].as_u64(), pid.map(u64::from), "{reply:?}");
    project.soloist(&["stop", "good"]).expect(0);
}

#[test]
fn a_port_that_is_held_names_its_holder() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    let project = Project::new(&format!(
        "[services.good]\ncommand = {}\nport = {port}\n",
        quoted(&puppet::<&str>(&[]))
    ));
    project.soloist(&["open", "--print"]).expect(0);
    let reply = Caller::of(&project).ask_known("POST /api/v1/services/good/start", &[], "");
    reply.refuses(409, "port-held", "soloist takeover");
    let holder = &reply.json()["holder"];
    let told = [&holder["pid"], &holder["port"], &holder["user"]].map(serde_json::Value::as_u64);
    let me = [std::process::id(), port.into(), rustix::process::getuid().as_raw()].map(|n| Some(n.into()));
    assert_eq!((told, holder["kind"].as_str()), (me, Some("stranger")), "{reply:?}");
    let command = holder["command"].as_array().expect("a list");
    assert_eq!(command.len(), std::env::args().count(), "{reply:?}");
}
