//! PostgreSQL: every story whose rows are stored is told again on it, by this very program; and what only it can do wrong.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use postgres::{Client, NoTls};

use crate::cluster::{Cluster, wait_until};
use crate::database::SERVER;
use crate::stage::{Stage, TODAY, market};
use crate::stores::is_refused;

const STORIES: [&str; 8] = [
    "rows::",
    "snapshots::",
    "serving::",
    "serving_quotes::",
    "refusals::a_missing_",
    "stores::",
    "issues::",
    "ticks::",
];
/// Each on a database of its own, with the sample in its folder and stored.
const DOUBTS: [fn(&Stage); 5] = [
    a_run_whose_connection_is_cut_while_it_waits_connects_again,
    a_run_whose_connection_is_cut_while_it_writes_changes_nothing,
    a_writer_that_waits_too_long_says_for_what,
    a_server_outlives_its_connections,
    a_password_is_taken_from_either_place_and_never_shown,
];
/// The lock of writers.
const LOCK: i64 = 0x6d61_726b_6574;

#[test]
fn the_stories_hold_on_postgresql() {
    let Some(cluster) = Cluster::start() else {
        return skip_loudly("PostgreSQL is not installed (no initdb on the PATH or in /usr/lib/postgresql)");
    };
    let url = cluster.url();
    let mut stories = Command::new("setpriv");
    stories.args(["--pdeathsig", "KILL"]).arg(std::env::current_exe().expect("this program"));
    stories
        .args(STORIES)
        .args(["--skip", "stores::files::", "--skip", "somebody_else_took_away"])
        .env(SERVER, &url);
    let told = stories.output().expect("the stories are told");
    let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(told.status.success(), "{out}\n{err}\nThe server said:\n{}", cluster.log());
    for story in STORIES {
        assert!(out.contains(&format!("test {story}")), "no story of {story}\n{out}");
    }
    thread::scope(|scope| {
        for doubt in DOUBTS {
            let url = &url;
            scope.spawn(move || {
                let stage = Stage::with_sample_on(url);
                stage.process_well();
                doubt(&stage);
            });
        }
    });
}

/// As the harness of `e2e` does, which this package does not know: in CI nothing is skipped.
#[track_caller]
fn skip_loudly(reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "nothing is skipped in CI: {reason}");
    let _ = writeln!(std::io::stderr().lock(), "SKIPPED: {reason}");
}

#[track_caller]
fn client(stage: &Stage) -> Client {
    let url = stage.location().into_string().expect("a URL");
    Client::connect(&url, NoTls).expect("the server answers")
}

/// Starts a cycle on another day.
fn start(stage: &Stage) -> Child {
    let mut command = stage.command(&["--today", "2025-11-21"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs")
}

/// The server's process for a run that waits for a lock, other than `last`.
fn waiting(watcher: &mut Client, last: Option<i32>) -> i32 {
    let query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = 'market' AND wait_event_type = 'Lock'";
    wait_until("a run waits for a lock", || {
        let pid: Option<i32> = watcher.query_opt(query, &[]).expect("an answer").map(|row| row.get(0));
        pid.filter(|pid| last != Some(*pid)).ok_or_else(|| "none does".to_owned())
    })
}

fn ended(child: Child) -> Output {
    child.wait_with_output().expect("the run ends")
}

fn a_run_whose_connection_is_cut_while_it_waits_connects_again(stage: &Stage) {
    let before = stage.rows();
    let mut other = client(stage);
    other.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).expect("the lock");
    let child = start(stage);
    let pid = waiting(&mut other, None);
    other.execute("SELECT pg_terminate_backend($1)", &[&pid]).expect("the connection is cut");
    waiting(&mut other, Some(pid));
    other.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).expect("the lock is free");
    let output = ended(child);
    assert!(output.status.success(), "{output:?}");
    assert!(stage.rows() != before);
}

fn a_run_whose_connection_is_cut_while_it_writes_changes_nothing(stage: &Stage) {
    let before = (stage.rows(), stage.runs());
    let (mut other, mut watcher) = (client(stage), client(stage));
    other.batch_execute("BEGIN; LOCK TABLE live_data IN SHARE MODE").expect("a lock");
    let child = start(stage);
    let pid = waiting(&mut watcher, None);
    watcher.execute("SELECT pg_terminate_backend($1)", &[&pid]).expect("the connection is cut");
    is_refused(&ended(child), &["was lost", "nothing was changed"]);
    other.batch_execute("ROLLBACK").expect("the lock is free");
    assert!((stage.rows(), stage.runs()) == before);
}

fn a_writer_that_waits_too_long_says_for_what(stage: &Stage) {
    let mut other = client(stage);
    other.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).expect("the lock");
    is_refused(&ended(start(stage)), &["could not be locked for writing within 10 s", "another writer"]);
}

fn a_server_outlives_its_connections(stage: &Stage) {
    let server = stage.serve();
    assert_eq!(server.json("/api/v1/stocks/ABB").0, 200);
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'market' \
               AND datname = current_database()";
    client(stage).batch_execute(cut).expect("the connections are cut");
    assert_eq!(server.json("/api/v1/stocks/ABB").0, 200);
}

fn a_password_is_taken_from_either_place_and_never_shown(stage: &Stage) {
    client(stage)
        .batch_execute("DROP ROLE IF EXISTS sealed; CREATE ROLE sealed LOGIN SUPERUSER PASSWORD 'pa55word'")
        .expect("a role");
    let open = stage.location().into_string().expect("a URL");
    let place = open.split_once('@').expect("a user").1;
    let run = |user: &str, more: &str, variable: Option<&str>| {
        let mut command = market();
        command.args(["process", "--today", TODAY, "--dir"]).arg(stage.dir());
        command.args(["--database", &format!("postgres://{user}@{place}{more}")]);
        command.envs(variable.map(|password| ("PGPASSWORD", password)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs")
    };
    for child in [run("sealed:pa55word", "", None), run("sealed", "", Some("pa55word"))] {
        let output = ended(child);
        assert!(output.status.success() && !format!("{output:?}").contains("pa55"), "{output:?}");
    }
    for (user, more) in [("sealed:wr0ng", ""), ("sealed", "?password=wr0ng"), ("sealed:wr0ng", "?port=x")] {
        let output = ended(run(user, more, None));
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{output:?}");
        assert!(said.contains("--database") && !said.contains("wr0ng"), "{said}");
    }
    is_refused(&ended(run("sealed", "?sslmode=require", None)), &["sslmode=require", "tunnel"]);
    is_refused(&ended(run("sealed", "", None)), &["password missing", "--database"]);
}

#[test]
fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let server = "postgres://me:pa55word@127.0.0.1:1/market";
    for (database, words) in [
        (server, ["cannot reach", "postgres://127.0.0.1:1/market"]),
        ("mysql://me:pa55word@localhost/market", ["kind `mysql`", "postgres://"]),
        ("postgres://me:pa55word@localhost/market?sslmode=sure", ["--database", "sslmode"]),
    ] {
        let output = market().args(["process", "--database", database]).output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{output:?}");
        assert!(words.iter().all(|words| said.contains(words)) && !said.contains("pa55word"), "{said}");
    }
    let help = market().args(["process", "--help"]).env("MARKET_DATABASE", server).output();
    let help = String::from_utf8_lossy(&help.expect("the program runs").stdout).into_owned();
    assert!(help.contains("MARKET_DATABASE") && !help.contains("pa55word"), "{help}");
}
