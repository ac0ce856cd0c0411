//! What a service says of itself (sd_notify(3)), from raw sockets: it is shown and decides when it is ready; strangers,
//! floods and messages that are too long do no harm; barriers are answered; what runs used is told.

use std::time::{Duration, Instant};

use e2e::talker::{
    Link, PRELUDE, diary_lines, prepare, python, seen, talker, wait_until_noted, wait_until_said,
};
use e2e::{Identity, LIMIT, Project, wait_until};

#[test]
fn what_a_service_says_is_shown() {
    let script = r#"
say("READY=1\nSTATUS=\x1b[31mreading the list\x1b[0m\nX_SOLOIST_STATE=scraping\nX_SOLOIST_PROGRESS=12/50\nX_OTHER=1\nnothing")
note("variables", repr({name: os.environ.get(name) for name in ("WATCHDOG_USEC", "WATCHDOG_PID")}))
rest()
"#;
    let Some(project) = talker(script, "") else { return };
    let seen = wait_until_said(&project, "status", "reading the list");
    assert_eq!((&seen["said"]["state"], &seen["said"]["progress"]), (&"scraping".into(), &"12/50".into()));
    assert_eq!(wait_until_noted(&project, "variables"), "{'WATCHDOG_USEC': None, 'WATCHDOG_PID': None}");
    project.soloist(&["down"]).expect(0);
    assert!(!project.folder().join(".soloist/guards/talker.notify").exists());
}

#[test]
fn a_service_is_ready_when_it_says_so_and_restarted_when_it_falls_silent() {
    let script = r#"
talk = speaker()
note("watchdog", os.environ["WATCHDOG_USEC"])
say("STATUS=not yet", talk)
while not os.path.exists("go on"):
    time.sleep(0.01)
say("READY=1\nSTATUS=run %s" % os.environ["SOLOIST_RUN_ID"], talk)
while not os.path.exists("be silent"):
    say("WATCHDOG=1", talk)
    time.sleep(0.05)
os.remove("be silent")
rest()
"#;
    let project = Project::empty();
    if prepare(&project, script, "readiness = \"notify\"\nwatchdog = \"1s\"").is_none() {
        return;
    }
    let mut up = project.spawn(&["up", "-d"]);
    let seen = wait_until_said(&project, "status", "not yet");
    assert_eq!((&seen["state"], &seen["ready"]), (&"starting".into(), &false.into()));
    assert_eq!(up.ended(), None);
    project.write("go on", "");
    up.wait(LIMIT).expect(0);
    let first = project.service("talker");
    assert_eq!((first.state.as_str(), first.ready), ("ready", true));
    assert_eq!(wait_until_noted(&project, "watchdog"), "1000000");
    // Longer than its watchdog it lives by its signs of life.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        assert_eq!(project.service("talker").run_id, first.run_id, "{}", project.diary());
    }
    project.write("be silent", "");
    wait_until("it is restarted", LIMIT, || {
        let seen = project.service("talker");
        if seen.run_id != first.run_id && seen.ready { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

#[test]
fn a_socket_deeper_than_an_address_is_long_is_reached() {
    let above = Project::empty().without_soloist();
    let deep = above.folder().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let Some(python) = python() else { return };
    let script = above.write("talker.py", &format!("{PRELUDE}\nsay('STATUS=deep')\nnote('said', 'yes')\n"));
    let mut command = above.command(&["run", "talker", "--", &python, &script.display().to_string()]);
    // A socket of somebody who waits for us is nothing to the service.
    let ran = command
        .current_dir(&deep)
        .env("NOTIFY_SOCKET", "/nowhere/outer")
        .env("WATCHDOG_PID", "1")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(deep.join("said").exists());
}

#[test]
fn a_stranger_is_ignored_and_named() {
    let Some(project) =
        talker("say('STATUS=mine')\nnote('address', os.environ['NOTIFY_SOCKET'])\nrest()", "")
    else {
        return;
    };
    wait_until_said(&project, "status", "mine");
    let script = project.write(
        "stranger.py",
        &format!("{PRELUDE}\nos.environ['NOTIFY_SOCKET'] = sys.argv[1]\ntalk = speaker()\nfor _ in range(5): say('READY=1\\nSTATUS=foreign\\nMAINPID=%d' % os.getpid(), talk)\nrest()"),
    );
    let address = wait_until_noted(&project, "address");
    let stranger = project.stranger(&[&python().unwrap(), &script.display().to_string(), &address]);
    let named = format!("talker: pid {} (", stranger.pid());
    wait_until("the stranger is named", LIMIT, || match diary_lines(&project, &named) {
        0 => Err(project.diary()),
        _ => Ok(()),
    });
    assert_eq!(seen(&project)["said"]["status"], "mine");
    assert_ne!(seen(&project)["pid"], stranger.pid());
    assert_eq!(diary_lines(&project, "is not of its tree"), 1, "{}", project.diary());
}

#[test]
fn a_message_of_a_mebibyte_is_dropped_with_a_word() {
    let script = r#"
talk = speaker()
say("STATUS=before", talk)
SO_SNDBUFFORCE = 32
for option in (socket.SO_SNDBUF, SO_SNDBUFFORCE):
    try:
        talk.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
    except PermissionError:
        pass
size = 1 << 20
while True:
    try:
        talk.send(b"STATUS=huge\n" + b"x" * size)
        break
    except OSError:
        # Without the right to a larger buffer: the largest that goes.
        size //= 2
assert size >= 1 << 16, size
say("X_SOLOIST_STATE=after", talk)
rest()
"#;
    let Some(project) = talker(script, "") else { return };
    let seen = wait_until_said(&project, "state", "after");
    assert_eq!(seen["said"]["status"], "before");
    assert_eq!(diary_lines(&project, "a notify that is too long"), 1, "{}", project.diary());
}

#[test]
fn a_flood_of_messages_starves_neither_output_nor_a_stop() {
    let script = r#"
signal.signal(signal.SIGTERM, signal.SIG_IGN)
talk = speaker()
for number in range(100000):
    talk.send(b"STATUS=%d\nWATCHDOG=1" % number)
    if number % 1000 == 0:
        print(number, flush=True)
say("X_SOLOIST_STATE=flooded", talk)
print("flooded", flush=True)
while not os.path.exists("go on"):
    time.sleep(0.01)
while True:
    talk.send(b"STATUS=still\nWATCHDOG=1")
"#;
    let Some(project) = talker(script, "") else { return };
    let began = Instant::now();
    let link = Link::to_guard_of(&project);
    let mut report = link.status();
    let mut told = 0;
    while report["notice"]["state"] != "flooded" {
        report = link.report();
        told += usize::from(report["report"] == "notified");
    }
    let took = began.elapsed();
    assert_eq!(report["notice"]["status"], "99999", "{report}");
    // The first at once, then one each 50 ms.
    let most = 2 + took.as_millis() as usize / 50;
    assert!(told <= most, "{told} reports in {took:?}");
    wait_until("its output is there", LIMIT, || {
        let log = String::from_utf8_lossy(&project.log("talker")).into_owned();
        if log.contains("99000\nflooded\n") { Ok(()) } else { Err(log) }
    });
    project.write("go on", "");
    wait_until_said(&project, "status", "still");
    project.soloist(&["stop", "talker"]).expect(0).is_within(Duration::from_millis(1500));
}

#[test]
fn a_barrier_is_answered_and_what_is_to_be_stored_is_closed() {
    let script = r#"
def closed(text):
    read, write = os.pipe()
    speaker().sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [write]))])
    os.close(write)
    poll = select.poll()
    poll.register(read, select.POLLHUP)
    return bool(poll.poll(20000))

say("STATUS=before the barrier")
answers = [closed(b"BARRIER=1"), closed(b"FDSTORE=1\nFDNAME=x"), closed(b"FDSTORE=1"), closed(b"nothing")]
note("answers", repr(answers))
rest()
"#;
    let Some(project) = talker(script, "") else { return };
    assert_eq!(wait_until_noted(&project, "answers"), "[True, True, True, True]");
    wait_until_said(&project, "status", "before the barrier");
    assert_eq!(diary_lines(&project, "FDSTORE"), 1, "{}", project.diary());
}

#[test]
fn a_sender_that_has_ended_is_known() {
    // Each one says a word and ends at once: the first ones are left to the guard, the others their parent reaps.
    let script = r#"
ended, end = os.pipe()
for number in range(50):
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            say("STATUS=%d" % number)
            os._exit(0)
        os._exit(0)
    os.waitpid(child, 0)
os.close(end)
# The last copy is closed when the last of them has ended.
os.read(ended, 1)
say("X_SOLOIST_STATE=orphans")
while not os.path.exists("go on"):
    time.sleep(0.01)
for number in range(50, 100):
    child = os.fork()
    if child == 0:
        say("STATUS=%d" % number)
        os._exit(0)
    os.waitpid(child, 0)
say("X_SOLOIST_STATE=all")
rest()
"#;
    let Some(project) = talker(script, "") else { return };
    wait_until_said(&project, "state", "orphans");
    assert_eq!(diary_lines(&project, "ignored"), 0, "{}", project.diary());
    project.write("go on", "");
    wait_until_said(&project, "state", "all");
    // Whose parent was quicker than the guard is known by its cgroup, where there is one and the kernel tells.
    if project.record("talker").unwrap()["cgroup"].is_null() || kernel() < (6, 16) {
        return;
    }
    wait_until_said(&project, "status", "99");
    assert_eq!(diary_lines(&project, "ignored"), 0, "{}", project.diary());
}

#[test]
fn a_sign_of_life_without_a_daemon_does_not_hide_the_next_ones() {
    let script = r#"
talk = speaker()
number = 0
while True:
    number += 1
    say("WATCHDOG=1", talk)
    note("signs", str(number))
    time.sleep(0.02)
"#;
    let Some(project) = talker(script, "") else { return };
    let signs = || wait_until_noted(&project, "signs").parse::<u32>().unwrap();
    let daemon = project.status().daemon.expect("a daemon runs").pid;
    let daemon = Identity::of(daemon).unwrap();
    daemon.kill();
    wait_until("the daemon is gone", LIMIT, || if daemon.is_alive() { Err("alive") } else { Ok(()) });
    let before = signs();
    wait_until("it has shown life to nobody", LIMIT, || match signs() {
        now if now > before + 3 => Ok(()),
        now => Err(now),
    });
    let link = Link::to_guard_of(&project);
    let report = std::iter::repeat_with(|| link.report()).find(|report| report["report"] == "notified");
    assert_eq!(report.unwrap()["notice"]["alive"], true);
}

#[test]
fn the_last_words_of_a_main_process_are_told_before_its_end() {
    let script = r#"
talk = speaker()
say("STATUS=first", talk)
while not os.path.exists("go on"):
    time.sleep(0.01)
say("STATUS=second", talk)
say("STATUS=last words", talk)
os._exit(3)
"#;
    let Some(project) = talker(script, "restart = \"no\"") else { return };
    wait_until_said(&project, "status", "first");
    let link = Link::to_guard_of(&project);
    // Only a link that the guard has taken is told of what comes.
    link.status();
    project.write("go on", "");
    let mut said = serde_json::Value::Null;
    loop {
        let report = link.report();
        match report["report"].as_str() {
            Some("notified") => said = report["notice"]["status"].clone(),
            Some("main-exited") => break,
            _ => {}
        }
    }
    assert_eq!(said, "last words");
}

#[test]
fn what_a_run_used_and_the_runs_before_are_told() {
    let script = r#"
print("x" * 999, flush=True)
memory = b"x" * (64 << 20)
began = time.process_time()
while time.process_time() < began + 0.2:
    pass
say("STATUS=ran " + os.environ["SOLOIST_RUN_ID"])
rest()
"#;
    let Some(project) = talker(script, "") else { return };
    let mut runs = Vec::new();
    for _ in 0..3 {
        let run = project.service("talker").run_id.unwrap();
        wait_until_said(&project, "status", &format!("ran {run}"));
        runs.push(run);
        project.soloist(&["restart", "talker"]).expect(0);
    }
    let status = Link::to_guard_of(&project).status();
    let past = status["past"].as_array().cloned().unwrap_or_default();
    let ids: Vec<&str> = past.iter().filter_map(|run| run["run_id"].as_str()).collect();
    assert_eq!(ids, runs);
    for (number, run) in past.iter().enumerate() {
        assert_eq!(run["log_at"], number * 1000, "{run}");
        assert!(run["usage"]["peak_kib"].as_u64() > Some(64 << 10), "{run}");
        assert!(run["usage"]["cpu_ms"].as_u64() >= Some(200), "{run}");
        assert_eq!((&run["was_stopped"], &run["exit"]["signal"]), (&true.into(), &15.into()), "{run}");
    }
    // The next guard takes over what this one knew.
    let last = project.service("talker").run_id.unwrap();
    project.soloist(&["down"]).expect(0);
    project.soloist(&["up", "-d"]).expect(0);
    runs.push(last);
    let status = Link::to_guard_of(&project).status();
    let past = status["past"].as_array().cloned().unwrap_or_default();
    assert_eq!(past.iter().filter_map(|run| run["run_id"].as_str()).collect::<Vec<_>>(), runs);
}

#[test]
fn an_idle_guard_wakes_up_for_nothing() {
    let Some(project) = talker("say('READY=1\\nSTATUS=one')\nsay('STATUS=two')\nrest()", "") else { return };
    wait_until_said(&project, "status", "two");
    let guard = project.guard("talker");
    let switches = || {
        let text = std::fs::read_to_string(format!("/proc/{}/status", guard.pid)).unwrap();
        text.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned()
    };
    let before = switches();
    // Whoever asks the daemon does not wake it either.
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(300) {
        assert_eq!(seen(&project)["said"]["status"], "two");
    }
    assert_eq!(switches(), before);
}

fn kernel() -> (u32, u32) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
