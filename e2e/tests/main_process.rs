//! `MAINPID=` (sd_notify(3)): who is named as main process is the one that is signalled and whose end counts, also when
//! it is no child of the guard.

use std::time::Duration;

use e2e::talker::{Link, diary_lines, seen, talker, wait_until_noted, wait_until_said};
use e2e::{Identity, LIMIT, Project, wait_until};
use rustix::process::Signal;

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
note("child", str(child))
say("MAINPID=%d" % child)
os._exit(3)
"#;
    let Some(project) = talker(script, "") else { return };
    let first = project.guard("talker");
    // The parent is a child of the guard too.
    let child: u32 = wait_until_noted(&project, "child").parse().unwrap();
    let main = wait_until("the child is the main process", LIMIT, || {
        let status = Link::to_guard_of(&project).status();
        let main = status["main"]["pid"].as_u64().and_then(|pid| Identity::of(u32::try_from(pid).ok()?));
        let main = main.filter(|main| main.pid == child && parent(*main) == first.pid);
        main.filter(|main| Some(main.pid) == project.service("talker").pid)
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

fn parent(of: Identity) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", of.pid)).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_ascii_whitespace().nth(1).and_then(|pid| pid.parse().ok()).unwrap_or(0)
}
