//! What a service says of itself (sd_notify(3)), from raw sockets: it is shown; strangers, floods and messages that are
//! too long do no harm; barriers are answered; and who is named as main process is the one whose end counts.

#![cfg(target_os = "linux")]

use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{Identity, Project, program, quoted, skip_loudly, wait_until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(30);

/// What every script begins with.
const PRELUDE: &str = r#"
import array, os, select, signal, socket, subprocess, sys, time

def speaker():
    address = os.environ["NOTIFY_SOCKET"]
    assert address.startswith("/"), address
    talk = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    talk.connect(address)
    return talk

def say(text, talk=None):
    (talk or speaker()).send(text.encode())

def note(name, text):
    with open(name + ".part", "w") as file:
        file.write(text)
    os.rename(name + ".part", name)

def rest():
    while True:
        time.sleep(60)
"#;

/// The interpreter itself: a version switcher in its place would be one more process.
fn python() -> Option<String> {
    let Some(found) = program("python3") else {
        skip_loudly("python3 is not installed");
        return None;
    };
    let output = Command::new(&found).args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// A project whose service `talker` is this script, up; `settings` are lines of its section.
fn talker(script: &str, settings: &str) -> Option<Project> {
    let project = Project::empty();
    prepare(&project, script, settings)?;
    project.soloist(&["up", "-d"]).expect(0);
    Some(project)
}

fn prepare(project: &Project, script: &str, settings: &str) -> Option<()> {
    let python = python()?;
    let file = project.write("talker.py", &format!("{PRELUDE}\n{script}")).display().to_string();
    let command = quoted(&[python, file]);
    project.write(
        "soloist.toml",
        &format!(
            "[services.talker]\ncommand = {command}\nstop-grace = \"1s\"\nbackoff = {{ first = \"50ms\", max = \"50ms\" }}\n{settings}\n"
        ),
    );
    Some(())
}

fn seen(project: &Project) -> serde_json::Value {
    let status = project.soloist(&["status", "--json"]).json();
    let services = status["services"].as_array().cloned().unwrap_or_default();
    services.into_iter().find(|service| service["name"] == "talker").unwrap_or_default()
}

#[track_caller]
fn wait_until_said(project: &Project, word: &str, value: &str) -> serde_json::Value {
    wait_until(&format!("said.{word} is {value}"), LIMIT, || {
        let seen = seen(project);
        if seen["said"][word] == value { Ok(seen) } else { Err(format!("{seen}\n{}", project.diary())) }
    })
}

#[track_caller]
fn wait_until_noted(project: &Project, name: &str) -> String {
    wait_until(&format!("{name} is written"), LIMIT, || match project.read(name) {
        text if text.is_empty() => Err(project.diary()),
        text => Ok(text),
    })
}

fn diary_lines(project: &Project, words: &str) -> usize {
    project.read(".soloist/daemon.log").lines().filter(|line| line.contains(words)).count()
}

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
    let began = Instant::now();
    let stop = project.soloist(&["stop", "talker"]).expect(0);
    assert!(began.elapsed() < Duration::from_millis(1500), "{stop}");
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

/// A main process that starts another one, names it, and lives on without waiting for it.
const HANDOVER: &str = r#"
if os.path.exists("second"):
    say("STATUS=anew")
    rest()
second = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], start_new_session=True)
note("second", str(second.pid))
say("MAINPID=%d\nSTATUS=handed over" % second.pid)
rest()
"#;

fn handed_over(project: &Project) -> (Identity, Identity) {
    let second: u32 = wait_until_noted(project, "second").parse().unwrap();
    wait_until("the second is told as main process", LIMIT, || {
        let (seen, record) = (seen(project), project.record("talker").unwrap_or_default());
        match record["main"]["pid"] == second && seen["pid"] == second {
            true => Ok(()),
            false => Err(format!("{seen} {record}\n{}", project.diary())),
        }
    });
    let pids = project.processes().into_iter().filter(|one| one.command().contains("talker.py"));
    let first = pids.into_iter().next().expect("the first lives");
    (first, Identity::of(second).expect("the second lives"))
}

#[test]
fn the_end_of_an_old_main_process_is_no_exit_and_that_of_the_new_one_is() {
    let Some(project) = talker(HANDOVER, "pid-file = \"talker.pid\"") else { return };
    let (first, second) = handed_over(&project);
    assert_eq!(project.read("talker.pid").trim(), second.pid.to_string());
    let run = project.service("talker").run_id;
    assert!(first.kill());
    wait_until("the first is gone", LIMIT, || if first.is_alive() { Err("alive") } else { Ok(()) });
    // What the guard learned by then is in its answer.
    let status = Link::to_guard_of(&project).status();
    assert_eq!(
        (&status["exit"], status["main"]["pid"].as_u64()),
        (&serde_json::Value::Null, Some(second.pid.into()))
    );
    let seen = project.service("talker");
    assert_eq!((seen.run_id, seen.restarts, seen.pid), (run, 0, Some(second.pid)));

    assert!(second.kill());
    wait_until_said(&project, "status", "anew");
    assert_eq!(project.service("talker").restarts, 1);
    let record = project.record("talker").unwrap();
    assert_eq!(record["past"][0]["exit"]["signal"], 9, "{record}");
}

#[test]
fn a_main_process_that_names_another_and_ends_at_once_hands_over() {
    // As daemons do: the child is left to the guard.
    let script = r#"
child = os.fork()
if child == 0:
    rest()
say("MAINPID=%d" % child)
os._exit(3)
"#;
    let Some(project) = talker(script, "") else { return };
    let first = project.guard("talker");
    let main = wait_until("the child is the main process", LIMIT, || {
        let status = Link::to_guard_of(&project).status();
        let main = status["main"]["pid"].as_u64().and_then(|pid| Identity::of(u32::try_from(pid).ok()?));
        main.filter(|main| Some(main.pid) == project.service("talker").pid && parent(*main) == first.pid)
            .ok_or_else(|| format!("{status}\n{}", project.diary()))
    });
    let seen = project.service("talker");
    assert_eq!((seen.restarts, seen.exit), (0, None), "{seen:?}");
    assert!(main.kill());
    wait_until("its end is an exit", LIMIT, || {
        let record = project.record("talker").unwrap_or_default();
        let past = record["past"][0]["exit"]["signal"].clone();
        if past == 9 { Ok(()) } else { Err(record.to_string()) }
    });
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
fn a_new_main_process_that_is_no_child_of_the_guard_is_seen_to_end() {
    let Some(project) = talker(HANDOVER, "") else { return };
    let (first, second) = handed_over(&project);
    // The first never waits for it: it stays a zombie, and its end is known all the same.
    assert!(second.signal(Signal::SEGV));
    wait_until_said(&project, "status", "anew");
    assert!(!first.is_alive(), "the tree of a run is empty before the next one");
    let record = project.record("talker").unwrap();
    assert_eq!(record["past"][0]["exit"]["signal"], 11, "{record}");
}

#[test]
fn a_stop_goes_to_the_new_main_process_and_it_may_ask_for_more_time() {
    let script = r#"
if len(sys.argv) < 2:
    subprocess.Popen([sys.executable, *sys.argv, "second"], start_new_session=True)
    rest()
def end(*_):
    talk = speaker()
    for _ in range(10):
        say("STOPPING=1\nEXTEND_TIMEOUT_USEC=900000", talk)
        time.sleep(0.2)
    note("ended", "in order")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
say("MAINPID=%d\nSTATUS=second" % os.getpid())
rest()
"#;
    let Some(project) = talker(script, "") else { return };
    wait_until_said(&project, "status", "second");
    let stop = project.soloist(&["stop", "talker"]).expect(0);
    assert_eq!(project.read("ended"), "in order", "{stop}");
    assert!(stop.took > Duration::from_secs(2) && stop.took < Duration::from_secs(6), "{stop}");
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
fn a_main_process_outside_of_the_tree_is_refused() {
    let Some(project) =
        talker("say('MAINPID=1')\nsay('MAINPID=%d' % os.getppid())\nsay('STATUS=named')\nrest()", "")
    else {
        return;
    };
    let seen = wait_until_said(&project, "status", "named");
    assert_eq!(seen["pid"], project.record("talker").unwrap()["main"]["pid"]);
    assert_eq!(
        diary_lines(&project, "MAINPID=1 names no living process of its tree"),
        1,
        "{}",
        project.diary()
    );
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

fn parent(of: Identity) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", of.pid)).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_ascii_whitespace().nth(1).and_then(|pid| pid.parse().ok()).unwrap_or(0)
}

fn kernel() -> (u32, u32) {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

// ---- the guard's own words

/// A link to the guard, as a daemon has one.
struct Link(OwnedFd);

impl Link {
    #[track_caller]
    fn to_guard_of(project: &Project) -> Link {
        let path = project.path(".soloist/guards/talker.sock");
        wait_until("the guard answers", LIMIT, || {
            let flags = SocketFlags::CLOEXEC;
            let link = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
            rustix::net::connect(&link, &SocketAddrUnix::new(path.as_str())?)?;
            Ok::<_, rustix::io::Errno>(Link(link))
        })
    }

    /// The next report.
    #[track_caller]
    fn report(&self) -> serde_json::Value {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
        assert_eq!(poll(&mut fds, Some(&limit)), Ok(1), "the guard says nothing");
        let mut bytes = [0u8; 8192];
        let (length, _) = rustix::net::recv(&self.0, &mut bytes, RecvFlags::empty()).unwrap();
        serde_json::from_slice(&bytes[..length]).unwrap_or_else(|e| panic!("{e} in {length} bytes"))
    }

    /// What the guard answers when it is asked how things stand.
    #[track_caller]
    fn status(&self) -> serde_json::Value {
        rustix::net::send(&self.0, br#"{"order":"status"}"#, SendFlags::NOSIGNAL).unwrap();
        std::iter::repeat_with(|| self.report()).find(|report| report["report"] == "status").unwrap()
    }
}
