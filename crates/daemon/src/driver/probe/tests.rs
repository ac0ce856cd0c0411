//! Tries as the driver makes them: what is asked is answered once, and nothing outlives its run.

use std::io::Write;

use soloist_api::status::DaemonStatus;
use soloist_os::claim::Claim;
use soloist_os::layout::Layout;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::serve::Log;

const PATIENT: Duration = Duration::from_secs(20);
const READY: ProbeKind = ProbeKind::Readiness;

/// A driver with one service, `api`, whose readiness is asked so; the folder is kept as long as it.
fn driver(check: Check) -> (Driver, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path()).unwrap();
    layout.make().unwrap();
    let config = Config::parse("[services.api]\ncommand = \"true\"\n", &layout.root, "soloist.toml").unwrap();
    let mut declared = config.declared[0].clone();
    declared.program.checks.readiness = Some(check);
    let status = DaemonStatus {
        pid: 1,
        since: jiff::Timestamp::UNIX_EPOCH,
        version: String::new(),
        taken_over: 0,
        note: None,
        zones: String::new(),
        http: None,
    };
    let (ledger, _) = Ledger::open(&folder.path().join("ledger"));
    let log = Log::open(&folder.path().join("daemon.log"));
    let place = layout.place("api");
    let mut driver = Driver::new(layout, status, ledger, log, 1024);
    driver.add(declared, place);
    (driver, folder)
}

/// The next answer that comes through the inbox.
async fn answer(driver: &mut Driver) -> (AskId, Result<(), String>) {
    match tokio::time::timeout(PATIENT, driver.inputs.recv()).await {
        Ok(Some(Input::Seen { at: 0, event: Event::Probed { ask, outcome } })) => (ask, outcome),
        other => panic!("no answer but {other:?}"),
    }
}

fn write(driver: &Driver, text: &str) {
    let path = driver.layout.log("api");
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn a_pattern_is_looked_for_from_where_the_run_began() {
    let (mut driver, _folder) = driver(Check::Log { pattern: "serving".to_owned() });
    write(&driver, "serving\n");
    driver.services[0].begin(8);
    driver.probe(0, AskId(1), READY, PATIENT);
    assert_eq!(answer(&mut driver).await, (AskId(1), Err("not seen yet: /serving/".to_owned())));
    write(&driver, "serving\n");
    driver.probe(0, AskId(2), READY, PATIENT);
    assert_eq!(answer(&mut driver).await, (AskId(2), Ok(())));
    driver.services[0].begin(16);
    driver.probe(0, AskId(3), READY, PATIENT);
    assert!(answer(&mut driver).await.1.is_err(), "the next run has not written it");
}

#[tokio::test]
async fn what_a_run_wrote_before_it_was_adopted_ready_counts_as_seen() {
    let (mut driver, _folder) = driver(Check::Log { pattern: "serving".to_owned() });
    driver.services[0].tries = Tries::adopted(true);
    driver.probe(0, AskId(1), READY, PATIENT);
    assert_eq!(answer(&mut driver).await, (AskId(1), Ok(())));
}

#[tokio::test]
async fn what_cannot_be_begun_is_answered_at_once() {
    for check in [Check::Exec { argv: vec!["true".to_owned()] }, Check::Log { pattern: "(".to_owned() }] {
        let (mut driver, _folder) = driver(check);
        driver.probe(0, AskId(1), READY, PATIENT);
        driver.probe(0, AskId(2), ProbeKind::Liveness, PATIENT);
        let events: Vec<_> = driver.at_once.drain(..).collect();
        assert_eq!(events.len(), 2, "{events:?}");
        for (_, event) in events {
            assert!(matches!(event, Event::Probed { outcome: Err(_), .. }), "{event:?}");
        }
    }
}

/// A server that accepts and says nothing, and the check that asks it.
async fn silent() -> (TcpListener, Check) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let check = Check::Http { host: "127.0.0.1".to_owned(), port, path: "/".to_owned(), headers: Vec::new() };
    (listener, check)
}

async fn is_closed(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    // Nothing else closes it that early: the probe's own timeout is twice as long.
    let end = tokio::time::timeout(PATIENT, stream.read_to_end(&mut bytes)).await;
    assert!(end.is_ok(), "a try that was given up still holds its connection");
}

#[tokio::test]
async fn of_a_kind_only_the_newest_try_is_outstanding() {
    let (listener, check) = silent().await;
    let (mut driver, _folder) = driver(check);
    driver.probe(0, AskId(1), READY, PATIENT * 2);
    let (first, _) = listener.accept().await.unwrap();
    driver.probe(0, AskId(2), READY, Duration::from_millis(50));
    is_closed(first).await;
    assert_eq!(driver.services[0].tries.outstanding.len(), 1);
    assert_eq!(answer(&mut driver).await.0, AskId(2));
}

#[tokio::test]
async fn a_new_run_ends_the_tries_of_the_last() {
    let (listener, check) = silent().await;
    let (mut driver, _folder) = driver(check);
    driver.probe(0, AskId(1), READY, PATIENT * 2);
    let (stream, _) = listener.accept().await.unwrap();
    driver.services[0].begin(0);
    is_closed(stream).await;
    assert!(driver.inputs.try_recv().is_err(), "nobody waits for that answer");
}

#[tokio::test]
async fn a_command_is_known_by_the_name_it_was_given() {
    let (mut driver, _folder) = driver(Check::Exec { argv: vec!["true".to_owned()] });
    let claim = Claim::take(&driver.services[0].place.claim()).unwrap().unwrap();
    let claim = driver.hold(0, claim);
    let task = driver.answer_with(0, AskId(1), std::future::pending());
    driver.services[0].tries.replace(Try { kind: READY, ask: AskId(1), command: Some(7), task });
    driver.command_ended(claim, 1, Ok(()));
    assert_eq!(driver.services[0].tries.outstanding.len(), 1, "another daemon asked that");
    driver.command_ended(claim, 7, Ok(()));
    assert!(driver.services[0].tries.outstanding.is_empty());
}
