//! A project is watched from a terminal or through a pipe: what changes is seen without asking, also across the death of the
//! daemon.

use std::process::{Child, Command};

use e2e::{LIMIT, Project, Terminal, daemon, wait_until};
use rustix::process::{Pid, Signal, kill_process};

/// A service that runs on, and one that falls as soon as the file `fall` is there.
const TWO: &str = "[services.steady]\ncommand = [\"sleep\", \"1000\"]\n\
     [services.frail]\ncommand = [\"/bin/sh\", \"-c\", \"until [ -e fall ]; do sleep 0.02; done; exit 3\"]\nrestart = \"no\"\n";

/// A command on a terminal, ended with the test.
struct Ended(Child);

impl Ended {
    #[track_caller]
    fn on(terminal: &Terminal, mut command: Command) -> Ended {
        terminal.dress(&mut command);
        Ended(command.spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Its exit code.
    #[track_caller]
    fn wait(&mut self, terminal: &Terminal) -> Option<i32> {
        wait_until("it has ended", LIMIT, || self.0.try_wait().unwrap().ok_or_else(|| terminal.text())).code()
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
    let mut watch = Ended::on(&terminal, project.command(&["status", "--watch"]));
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
    assert_eq!(watch.wait(&terminal), Some(0), "{}", terminal.text());
}

#[test]
fn an_instance_that_is_removed_leaves_the_table_and_no_line_is_too_long() {
    let project = Project::new(
        "[services.feed]\ninstances = [\"antica\", \"belobra\"]\ncommand = [\"sleep\", \"1000\"]\n\
         [jobs.opening]\ncommand = [\"true\"]\nat = \"09:15\"\nwindow = \"NSE\"\n[windows.NSE]\ncalendar = \"ends\"\n\
         [calendars.ends]\nfile = \"ends.toml\"\n",
    );
    let ends = "timezone = \"Asia/Kolkata\"\nvalid-through = \"2024-12-31\"\n\
         regimes = [{ from = \"2024-01-01\", days = \"mon-fri\", regular = \"09:15-15:30\" }]\n[holidays]\n2024 = []\n";
    project.write("ends.toml", ends);
    project.soloist(&["up", "-d"]).expect(0);
    let terminal = Terminal::new(80, 24);
    let mut watch = Ended::on(&terminal, project.command(&["status", "--watch"]));
    terminal.wait_until("both run", LIMIT, |text| row(text, "feed@belobra").contains("ready"));
    project.soloist(&["instances", "feed", "--remove", "belobra"]).expect(0);
    terminal.wait_until("it is gone", LIMIT, |text| row(text, "feed@belobra").is_empty());
    watch.signal(Signal::INT);
    assert_eq!(watch.wait(&terminal), Some(0));
    for words in [&["status"][..], &["schedule", "ls"]] {
        let said = project.soloist(words).expect(0).stdout;
        assert!(said.contains("warning: calendar ends knows no day after"), "{said}");
        assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    }
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

/// Raw or not, echoing or not.
fn modes(terminal: &Terminal) -> String {
    let modes = terminal.modes();
    format!("{:?} {:?} {:?}", modes.input_modes, modes.output_modes, modes.local_modes)
}

#[test]
fn top_shows_what_lives_stops_it_after_a_yes_and_gives_the_terminal_back() {
    let project = Project::new(TWO);
    project.soloist(&["up", "-d"]).expect(0);
    let mut terminal = Terminal::new(80, 24);
    let before = modes(&terminal);
    let mut top = Ended::on(&terminal, project.command(&["top"]));
    terminal.wait_until("both services", LIMIT, |text| {
        row(text, "steady").contains("ready") && row(text, "frail").contains("ready")
    });
    terminal.wait_until("what it uses", LIMIT, |text| row(text, "steady").contains("iB"));
    assert!(terminal.is_alternate());
    assert_ne!(modes(&terminal), before, "raw");
    // Live: what others do is seen.
    project.write("fall", "");
    terminal.wait_until("the crash", LIMIT, |text| row(text, "frail").contains("failed"));
    terminal.type_keys("/stead\r");
    terminal.wait_until("only one", LIMIT, |text| row(text, "frail").is_empty());
    terminal.type_keys("x");
    terminal.wait_for("stop steady? y/n", LIMIT);
    terminal.type_keys("n");
    terminal.wait_until("no question", LIMIT, |text| !text.contains("y/n"));
    assert_eq!(project.service("steady").state, "ready");
    terminal.type_keys("xy");
    terminal.wait_until("it stopped", LIMIT, |text| row(text, "steady").contains("stopped"));
    assert_eq!(project.service("steady").state, "stopped");
    terminal.type_keys("s");
    terminal.wait_until("it runs again", LIMIT, |text| row(text, "steady").contains("ready"));
    // A daemon that dies is told, and its successor obeyed.
    daemon::kill(&project);
    terminal.wait_for("the daemon came back", LIMIT);
    terminal.type_keys("r");
    let history = || project.soloist(&["history", "steady", "--json"]).stdout;
    wait_until("it was restarted", LIMIT, || {
        if history().matches("`soloist top`").count() > 2 { Ok(()) } else { Err(terminal.text()) }
    });
    terminal.type_keys("q");
    assert_eq!(top.wait(&terminal), Some(0), "{}", terminal.text());
    assert!(!terminal.is_alternate());
    assert_eq!(modes(&terminal), before);
}

#[test]
fn top_follows_the_log_of_the_chosen_one_and_ends_by_a_signal_as_by_a_key() {
    let project = Project::new(
        "[services.talker]\ncommand = [\"/bin/sh\", \"-c\", \"echo hello; until [ -e more ]; do sleep 0.02; done; echo goodbye; sleep 1000\"]\n",
    );
    project.soloist(&["up", "-d"]).expect(0);
    let mut terminal = Terminal::new(60, 16);
    let before = modes(&terminal);
    let mut top = Ended::on(&terminal, project.command(&["top"]));
    terminal.wait_until("it is ready", LIMIT, |text| row(text, "talker").contains("ready"));
    terminal.type_keys("\r");
    let text = terminal.wait_for("hello", LIMIT);
    assert!(text.contains("log of talker") && !text.contains("goodbye"), "{text}");
    project.write("more", "");
    terminal.wait_for("goodbye", LIMIT);
    top.signal(Signal::TERM);
    assert_eq!(top.wait(&terminal), Some(0));
    assert!(!terminal.is_alternate());
    assert_eq!(modes(&terminal), before);
    project.soloist(&["top"]).expect(2).says("needs a terminal");
}
