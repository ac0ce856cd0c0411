//! The steps of a service's life, the moments of each, and who is alive at them to be killed.

use crate::matrix::judge::Goal;
use crate::{Project, puppet, quoted};

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// What is so before it.
    pub before: Goal,
    /// What the test does.
    pub deed: Deed,
    /// The command that somebody gives then; none if it is empty.
    pub command: &'static [&'static str],
    /// What must be so after it.
    pub goal: Goal,
    /// The soloist.toml, of this edition.
    pub declaration: fn(&Project, u16, u32) -> String,
    /// Its moments, as fail points in their order, each with the letters of those who live then.
    pub moments: &'static [(&'static str, &'static str)],
}

/// What brings a step about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The command alone.
    Command,
    /// Another edition of soloist.toml is written first.
    Edit,
    /// A stranger sits on the port first.
    Stranger,
    /// The program ends by itself.
    Exit,
    /// The daemon is killed.
    KillDaemon,
    /// Nothing: time does.
    Wait,
}

/// Whatever falls is started again at once, and as often as it takes.
const RESTARTED: &str = "restart = \"always\"\nrestart-limit = { count = 1000, period = \"1m\" }\n\
                         backoff = { first = \"20ms\", max = \"20ms\" }\nstop-grace = \"1s\"\n";
/// Its last words go elsewhere than its program's, which are counted.
const QUIET: &str = "exec 2>>said";

/// A puppet with a worker that tells whom it met, and is one at a time.
fn alone(project: &Project, flags: &[&str]) -> String {
    let (token, beacon) = (project.path("token"), project.path("beacon"));
    let own = ["--token-file", &token, "--alone", &beacon, "--beacon", &beacon, "--children", "plain"];
    puppet(&[&own[..], flags].concat()).join(" ")
}

/// A server below a shell, with a worker, which ends when `end` is there.
fn server(project: &Project, port: u16, first: &str, flags: &[&str], settings: &str) -> String {
    let (end, number) = (project.path("end"), port.to_string());
    let rest = ["--listen", &number, "--exit-on-file", &end, "--code", "42"];
    let command = alone(project, &[&rest[..], flags].concat());
    let script =
        format!("{first}{QUIET}; echo $SOLOIST_RUN_ID >>lives; {command}; code=$?; rm -f end; exit $code");
    let command = quoted(&["/bin/sh", "-c", &script]);
    format!("[services.s]\ncommand = {command}\nport = {port}\n{RESTARTED}{settings}")
}

fn plain(project: &Project, port: u16, edition: u32) -> String {
    let settings = format!("env = {{ EDITION = \"{edition}\" }}\n");
    server(project, port, "", &["--write-every", "3"], &settings)
}

fn deaf(project: &Project, port: u16, _: u32) -> String {
    server(project, port, "trap '' TERM; ", &["--write-every", "3"], "")
}

/// It writes two files full as soon as it runs.
fn verbose(project: &Project, port: u16, _: u32) -> String {
    server(project, port, "", &["--write", "2400"], "log = { size = \"64KiB\", keep = 1000 }\n")
}

/// A job that is run again and again, and leaves a worker behind.
fn job(project: &Project, _: u16, _: u32) -> String {
    let command = alone(project, &["--write-every", "3", "--exit-after", "800"]);
    let script = format!("{QUIET}; echo $SOLOIST_RUN_ID >>lives; {command}; exit $?");
    format!("[jobs.s]\ncommand = {}\nevery = \"1s\"\n", quoted(&["/bin/sh", "-c", &script]))
}

/// A server on a socket of soloist's, whose restarts overlap: the stand-in has another token.
fn handed(project: &Project, port: u16, _: u32) -> String {
    let beacon = project.path("beacon");
    let flags = ["--handed", "--beacon", &beacon, "--children", "plain", "--write-every", "3"];
    let script = format!(
        "{QUIET}; case $SOLOIST_SERVICE in s) token=token; echo $SOLOIST_RUN_ID >>lives;; *) token=new;; esac; \
         exec {} --token-file $token",
        puppet(&flags).join(" ")
    );
    let command = quoted(&["/bin/sh", "-c", &script]);
    format!(
        "[services.s]\ncommand = {command}\nport = {port}\nlisten = \"soloist\"\nreload = \"overlap-safe\"\n\
         readiness = {{ log = \"^0\", period-seconds = 1 }}\n{RESTARTED}"
    )
}

/// All steps.
pub const STEPS: &[Step] = &[
    Step {
        name: "start",
        before: Goal::Gone,
        deed: Deed::Command,
        command: &["start", "s"],
        goal: Goal::Up,
        declaration: plain,
        moments: &[
            ("client.start-lock-taken", "C"),
            ("client.daemon-started", "DC"),
            ("daemon.lock-taken", "DC"),
            ("daemon.declaring", "DC"),
            ("daemon.declared", "DC"),
            ("daemon.taken-over", "DC"),
            ("daemon.word-given", "DC"),
            ("client.word-heard", "DC"),
            ("daemon.ledger-due", "DC"),
            ("daemon.ledger-written", "DC"),
            ("daemon.claim-taken", "DC"),
            ("zygote.forking", "DZC"),
            ("zygote.forked", "DGZSMW"),
            ("guard.born", "DGZC"),
            ("daemon.guard-asked", "DGZC"),
            ("daemon.run-due", "DGZC"),
            ("daemon.run-ordered", "DGZSMWC"),
            ("guard.swept", "DGZC"),
            ("guard.record-due", "DGZC"),
            ("guard.record-written", "DGZC"),
            ("guard.spawned", "DGZSMWC"),
            ("guard.spawn-noted", "DGZSMWC"),
            ("guard.spawn-told", "DGZSMW"),
            ("daemon.spawn-heard", "DGZSMWC"),
        ],
    },
    Step {
        name: "ready",
        before: Goal::Gone,
        deed: Deed::Command,
        command: &["start", "s"],
        goal: Goal::Up,
        declaration: plain,
        moments: &[
            ("daemon.history-due", "D"),
            ("daemon.history-written", "D"),
            ("daemon.ports-due", "DGZSMWC"),
            ("daemon.ports-half-written", "DGZSMWC"),
            ("daemon.ports-written", "DGZSMWC"),
            ("daemon.ready-told", "DGZSMWC"),
            ("guard.ready-heard", "DGZSMW"),
        ],
    },
    Step {
        name: "crash and restart",
        before: Goal::Up,
        deed: Deed::Exit,
        command: &[],
        goal: Goal::Up,
        declaration: plain,
        moments: &[
            ("guard.exit-seen", "DGZW"),
            ("guard.exit-told", "DGZW"),
            ("guard.exit-noted", "DGZW"),
            ("daemon.exit-heard", "DGZW"),
            ("daemon.stop-due", "DGZW"),
            ("daemon.stop-ordered", "DGZ"),
            ("guard.stop-begun", "DGZW"),
            ("guard.stop-signalled", "DGZ"),
            ("guard.empty-seen", "DGZ"),
            ("guard.empty-noted", "DGZ"),
            ("guard.empty-told", "DGZ"),
            ("daemon.end-heard", "DGZ"),
            ("daemon.run-due", "DGZ"),
            ("daemon.run-ordered", "DGZSMW"),
            ("guard.record-due", "DGZ"),
            ("guard.record-written", "DGZ"),
            ("guard.spawned", "DGZSMW"),
            ("guard.spawn-noted", "DGZSMW"),
            ("guard.spawn-told", "DGZSMW"),
            ("daemon.spawn-heard", "DGZSMW"),
        ],
    },
    Step {
        name: "stop",
        before: Goal::Up,
        deed: Deed::Command,
        command: &["stop", "s"],
        goal: Goal::Stopped,
        declaration: plain,
        moments: &[
            ("daemon.ledger-due", "DGZSMWC"),
            ("daemon.ledger-written", "DGZSMWC"),
            ("daemon.stop-due", "DGZSMWC"),
            ("daemon.stop-ordered", "DGZC"),
            ("guard.stop-begun", "DGZSMWC"),
            ("guard.stop-signalled", "DGZC"),
            ("guard.exit-seen", "DGZC"),
            ("guard.exit-told", "DGZC"),
            ("guard.exit-noted", "DGZC"),
            ("guard.empty-seen", "DGZC"),
            ("guard.empty-noted", "DGZC"),
            ("guard.empty-told", "DGZC"),
            ("daemon.exit-heard", "DGZC"),
            ("daemon.end-heard", "DGZC"),
            ("daemon.release-due", "DGZC"),
            ("daemon.release-ordered", "DZC"),
            ("guard.release-heard", "DGZC"),
            ("guard.ending", "DGZC"),
            ("guard.claim-let-go", "DGZC"),
            ("daemon.guard-end-heard", "DZC"),
            ("daemon.claim-let-go", "DZC"),
            ("daemon.ports-due", "DGZC"),
            ("daemon.ports-written", "DGZC"),
        ],
    },
    Step {
        name: "stop of a deaf one",
        before: Goal::Up,
        deed: Deed::Command,
        command: &["stop", "s"],
        goal: Goal::Stopped,
        declaration: deaf,
        moments: &[("guard.kill-due", "DGZSMWC")],
    },
    Step {
        name: "restart",
        before: Goal::Up,
        deed: Deed::Command,
        command: &["restart", "s"],
        goal: Goal::Up,
        declaration: plain,
        moments: &[
            ("daemon.stop-due", "DGZSMWC"),
            ("daemon.stop-ordered", "DGZC"),
            ("guard.stop-begun", "DGZSMWC"),
            ("guard.exit-noted", "DGZC"),
            ("guard.empty-noted", "DGZC"),
            ("guard.empty-told", "DGZC"),
            ("daemon.end-heard", "DGZC"),
            ("daemon.run-due", "DGZC"),
            ("daemon.run-ordered", "DGZSMWC"),
            ("guard.record-written", "DGZC"),
            ("guard.spawned", "DGZSMWC"),
            ("guard.spawn-told", "DGZSMW"),
            ("daemon.ready-told", "DGZSMWC"),
        ],
    },
    Step {
        name: "reload",
        before: Goal::Up,
        deed: Deed::Edit,
        command: &["up", "-d"],
        goal: Goal::Up,
        declaration: plain,
        moments: &[
            ("daemon.declaring", "DGZSMWC"),
            ("daemon.declared", "DGZSMWC"),
            ("daemon.stop-due", "DGZSMWC"),
            ("guard.stop-begun", "DGZSMWC"),
            ("guard.empty-told", "DGZC"),
            ("daemon.run-due", "DGZC"),
            ("guard.record-written", "DGZC"),
            ("guard.spawned", "DGZSMWC"),
            ("daemon.spawn-heard", "DGZSMWC"),
            ("daemon.ready-told", "DGZSMWC"),
        ],
    },
    Step {
        name: "scheduled run",
        before: Goal::Going,
        deed: Deed::Wait,
        command: &[],
        goal: Goal::Going,
        declaration: job,
        moments: &[
            ("daemon.run-due", "DZ"),
            ("daemon.run-ordered", "DGZW"),
            ("guard.record-written", "DGZ"),
            ("guard.spawned", "DGZSMW"),
            ("daemon.spawn-heard", "DGZSMW"),
            ("guard.exit-seen", "DGZW"),
            ("guard.exit-noted", "DGZW"),
            ("daemon.exit-heard", "DGZW"),
            ("guard.empty-noted", "DGZ"),
            ("daemon.end-heard", "DGZ"),
        ],
    },
    Step {
        name: "takeover",
        before: Goal::Stopped,
        deed: Deed::Stranger,
        command: &["start", "s", "--force", "--yes"],
        goal: Goal::Up,
        declaration: plain,
        moments: &[
            ("client.takeover-planned", "DZC"),
            ("client.takeover-signalled", "DZC"),
            ("client.takeover-done", "DZC"),
            ("daemon.claim-taken", "DZC"),
            ("daemon.run-ordered", "DGZSMWC"),
            ("guard.spawned", "DGZSMWC"),
        ],
    },
    Step {
        name: "hand-over restart",
        before: Goal::Up,
        deed: Deed::Command,
        command: &["restart", "s"],
        goal: Goal::Up,
        declaration: handed,
        moments: &[
            ("daemon.claim-taken", "DGZMWC"),
            ("daemon.run-ordered", "DGZMWC"),
            ("guard.spawned", "DGZMWC"),
            ("daemon.ready-told", "DGZMWC"),
            ("daemon.stop-ordered", "DGZMWC"),
            ("guard.stop-begun", "DGZMWC"),
            ("guard.empty-told", "DGZMWC"),
            ("guard.ending", "DGZMW"),
            ("daemon.claim-let-go", "DGZMW"),
        ],
    },
    Step {
        name: "adoption by a new daemon",
        before: Goal::Up,
        deed: Deed::KillDaemon,
        command: &[],
        goal: Goal::Up,
        declaration: plain,
        moments: &[
            ("guard.start-lock-taken", "GSMW"),
            ("guard.daemon-started", "DGSMW"),
            ("daemon.lock-taken", "DGSMW"),
            ("daemon.declaring", "DGSMW"),
            ("daemon.guard-found", "DGSMW"),
            ("daemon.guard-linked", "DGSMW"),
            ("daemon.taken-over", "DGSMW"),
            ("daemon.word-given", "DGSMW"),
        ],
    },
    Step {
        name: "upgrade",
        before: Goal::Up,
        deed: Deed::Command,
        command: &["upgrade"],
        goal: Goal::Up,
        declaration: plain,
        moments: &[
            ("daemon.replacing", "DGSMWC"),
            ("daemon.replaced", "DGSMWC"),
            ("daemon.guard-found", "DGSMWC"),
            ("daemon.taken-over", "DGSMWC"),
            ("daemon.word-given", "DGSMWC"),
        ],
    },
    Step {
        name: "rotation of the log",
        before: Goal::Up,
        deed: Deed::Command,
        command: &["restart", "s"],
        goal: Goal::Up,
        declaration: verbose,
        moments: &[
            ("guard.log-full", "DGZSMW"),
            ("guard.log-renamed", "DGZSMW"),
            ("guard.index-renamed", "DGZSMW"),
            ("guard.index-begun", "DGZSMW"),
            ("guard.log-begun", "DGZSMW"),
            ("daemon.log-compressing", "DGZSMW"),
            ("daemon.log-compressed", "DGZSMW"),
            ("daemon.log-doubled", "DGZSMW"),
        ],
    },
    Step {
        name: "down",
        before: Goal::Up,
        deed: Deed::Command,
        command: &["down"],
        goal: Goal::Gone,
        declaration: plain,
        moments: &[
            ("daemon.ledger-written", "DGZSMWC"),
            ("guard.stop-begun", "DGZSMWC"),
            ("daemon.release-ordered", "DZC"),
            ("guard.claim-let-go", "DGZC"),
            ("daemon.claim-let-go", "DZC"),
            ("daemon.ending", "DC"),
        ],
    },
];
