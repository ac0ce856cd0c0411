//! A project is watched from a terminal or through a pipe: what changes is seen without asking, also across the death of the
//! daemon.

#![cfg(target_os = "linux")]

use std::process::{Child, Command};
use std::time::Duration;

use e2e::{Project, Terminal, daemon, wait_until};
use rustix::process::{Pid, Signal, kill_process};

const LIMIT: Duration = Duration::from_secs(20);

/// A service that runs on, and one that falls as soon as the file `fall` is there.
const TWO: &str = "[services.steady]\ncommand = [\"sleep\", \"1000\"]\n\
     [services.frail]\ncommand = [\"/bin/sh\", \"-c\", \"until [ -e fall ]; do sleep 0.02; done; exit 3\"]\nrestart = \"no\"\n";

/// A command on a terminal, ended with the test.
struct On<'a> {
    child: Child,
    terminal: &'a Terminal,
}

impl<'a> On<'a> {
    #[track_caller]
    fn start(mut command: Command, terminal: &'a Terminal) -> On<'a> {
        terminal.dress(&mut command);
        On { child: command.spawn().unwrap(), terminal }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code.
    #[track_caller]
    fn wait(&mut self) -> Option<i32> {
        wait_until("it has ended", LIMIT, || {
            self.child.try_wait().unwrap().ok_or_else(|| self.terminal.text())
        })
        .code()
    }
}

impl Drop for On<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last row of a service.
fn row<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().rfind(|line| line.starts_with(name)).unwrap_or_default()
}

#[test]
fn a_crash_is_seen_in_the_same_place_of_the_terminal() {
    let project = Project::new(TWO);
    project.soloist(&["up", "-d"]).expect(0);
    let terminal = Terminal::new(44, 12);
    let mut watch = On::start(project.command(&["status", "--watch"]), &terminal);
    let before = terminal.wait_until("both run", LIMIT, |text| row(text, "steady").contains("ready"));
    assert!(row(&before, "frail").contains("ready"), "{before}");
    project.write("fall", "");
    let after = terminal.wait_until("the crash", LIMIT, |text| row(text, "frail").contains("failed"));
    assert!(row(&after, "steady").contains("ready"), "{after}");
    assert_eq!(after.matches("steady").count(), 1, "one table: {after}");
    assert_eq!(after.matches("NAME").count(), 1, "one table: {after}");
    // A row too wide for it is cut, not wrapped.
    assert!(after.lines().find(|line| line.starts_with("NAME")).unwrap().ends_with('…'), "{after}");
    watch.signal(Signal::INT);
    assert_eq!(watch.wait(), Some(0), "{}", terminal.text());
}

#[test]
fn a_daemon_that_dies_and_comes_back_is_told() {
    let project = Project::new(TWO);
    project.soloist(&["up", "-d"]).expect(0);
    let mut watch = project.spawn(&["status", "steady", "--watch"]);
    wait_until("it is shown", LIMIT, || watch.said().contains("wanted up").then_some(()).ok_or(watch.said()));
    daemon::kill(&project);
    wait_until("its end and its return are told", LIMIT, || {
        let said = watch.said();
        let both = said.contains("the daemon went away at") && said.contains("the daemon came back at");
        if both { Ok(()) } else { Err(said) }
    });
    // One of the other services is no change of this one: no table more.
    let tables = watch.said().matches("steady (service)").count();
    project.soloist(&["restart", "frail"]).expect(0);
    project.soloist(&["stop", "steady"]).expect(0);
    wait_until("the stop is told", LIMIT, || {
        let said = watch.said();
        if said.contains("stopped, wanted down") { Ok(()) } else { Err(said) }
    });
    let said = watch.said();
    let told: Vec<&str> = said.split("\n\n").filter(|one| one.contains("(service)")).skip(tables).collect();
    assert!(told.iter().all(|one| one.contains("wanted down")), "{told:#?}");
    watch.signal(Signal::INT);
    assert_eq!(watch.wait(LIMIT).code(), 0);
}

#[test]
fn a_watch_begins_before_the_daemon_and_tells_json_a_line_a_change() {
    let project = Project::new(TWO);
    let mut watch = project.spawn(&["status", "--watch", "--json"]);
    wait_until("it says that nothing runs", LIMIT, || {
        if watch.said().contains("\"stopped\"") { Ok(()) } else { Err(watch.said()) }
    });
    project.soloist(&["up", "-d"]).expect(0);
    wait_until("it is ready", LIMIT, || {
        let said = watch.said();
        let last = said.lines().rfind(|line| line.starts_with('{')).unwrap_or_default().to_owned();
        let status: serde_json::Value = serde_json::from_str(&last).unwrap_or_default();
        let is_ready = status["services"][1]["ready"] == true && status["services"][0]["ready"] == true;
        if is_ready { Ok(()) } else { Err(said) }
    });
    watch.signal(Signal::TERM);
    assert_eq!(watch.wait(LIMIT).code(), 0);
    project.soloist(&["status", "nobody", "--watch"]).expect(4);
}
