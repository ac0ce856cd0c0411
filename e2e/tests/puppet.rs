//! The puppet itself: a test that trusts a child must know that the child tells the truth.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::puppet::{OVERLAP, voice, worker};
use e2e::{Background, Entry, Project, free_port, is_free, puppet, wait_until};
use rustix::process::Signal;

const SOON: Duration = Duration::from_secs(10);

fn start(project: &Project, flags: &[&str]) -> Background {
    project.stranger(&puppet(flags))
}

#[test]
fn a_second_puppet_with_the_same_token_reports_the_overlap() {
    let project = Project::empty().without_soloist();
    let token = project.path("token");
    let first = start(&project, &["--token-file", &token]);
    wait_until("the first has the token", SOON, || match project.journal().starts().len() {
        1 => Ok(()),
        _ => Err(format!("{:?}", project.journal())),
    });
    let second = start(&project, &["--token-file", &token]).wait(SOON);
    assert_eq!(second.code(), i32::from(OVERLAP), "{second}");
    let journal = project.journal();
    let met = |entry: &&Entry| matches!(entry, Entry::Overlap { other, .. } if *other == first.identity());
    assert!(journal.overlaps().first().is_some_and(met), "{journal:?}");
}

#[test]
fn the_token_of_a_killed_puppet_is_taken_over_and_that_of_an_ended_one_is_free() {
    let project = Project::empty().without_soloist();
    let token = project.path("token");
    let mut first = start(&project, &["--token-file", &token]);
    wait_until("the first has the token", SOON, || match project.journal().starts().len() {
        1 => Ok(()),
        _ => Err(format!("{:?}", project.journal())),
    });
    first.signal(Signal::KILL);
    first.wait(SOON).expect(137);
    for _ in 0..2 {
        start(&project, &["--token-file", &token, "--exit-after", "0", "--code", "3"]).wait(SOON).expect(3);
    }
    let journal = project.journal();
    assert_eq!(journal.starts().len(), 3, "{journal:?}");
    assert!(journal.overlaps().is_empty(), "{journal:?}");
}

#[test]
fn every_kind_of_child_gets_away_and_enters_itself_in_the_beacon() {
    let project = Project::empty().without_soloist();
    let beacon = project.beacon();
    let port = free_port();
    let kinds = "plain,group,setsid,double-fork,clearenv,deaf,setsid+deaf,clearenv+deaf,regroup";
    let flags = ["--beacon", &beacon.text(), "--children", kinds, "--fork-listener"];
    let port_text = port.to_string();
    let main = start(&project, &[&flags[..], &["--listen", &port_text]].concat());
    wait_until("it listens and has an heir", SOON, || {
        if !is_free(port) && beacon.with_role("heir").len() == 1 { Ok(()) } else { Err(main.said()) }
    });
    let of = |role: &str| beacon.with_role(role).first().copied().unwrap_or_else(|| panic!("no {role}"));
    let is_deaf = |role: &str| of(role).ignored_signals() & (1 << 14) != 0;
    assert!(is_deaf("plain+deaf") && is_deaf("setsid+deaf") && is_deaf("clearenv+deaf"));
    assert!(!is_deaf("plain") && !is_deaf("clearenv") && !is_deaf("main"));
    let environment = std::fs::read(format!("/proc/{}/environ", of("clearenv").pid)).unwrap();
    assert!(environment.is_empty(), "{}", String::from_utf8_lossy(&environment));
    wait_until("the regrouping child has hopped", SOON, || match beacon.with_role("regroup").len() {
        0..=4 => Err("few hops".to_owned()),
        _ => Ok(()),
    });
}

#[test]
fn a_puppet_that_ignores_sigterm_hears_other_signals() {
    let project = Project::empty().without_soloist();
    let beacon = project.beacon();
    let mut main = start(&project, &["--beacon", &beacon.text(), "--ignore-term"]);
    wait_until("it is there", SOON, || if beacon.living().is_empty() { Err(main.said()) } else { Ok(()) });
    main.signal(Signal::TERM);
    main.signal(Signal::INT);
    main.wait(SOON).expect(130);
}

#[test]
fn a_puppet_is_not_alone_with_a_living_process_of_the_beacon() {
    let project = Project::empty().without_soloist();
    let beacon = project.beacon();
    let first = start(&project, &["--alone", &beacon.text()]);
    wait_until("the first is there", SOON, || match beacon.living().len() {
        1 => Ok(()),
        _ => Err(first.said()),
    });
    start(&project, &["--alone", &beacon.text()]).wait(SOON).expect(i32::from(OVERLAP));
    assert_eq!(beacon.overlaps().len(), 1);
    drop(first);
    start(&project, &["--alone", &beacon.text(), "--exec", "true"]).wait(SOON).expect(0);
}

#[test]
fn lost_bytes_in_numbered_lines_show() {
    let project = Project::empty().without_soloist();
    let output = start(&project, &["--write", "1000", "--exit-after", "0"]).wait(SOON).expect(0);
    let bytes = output.stdout.into_bytes();
    assert_eq!(voice::count(&bytes), Ok(1000));
    let mut torn = bytes.clone();
    torn.remove(20_000);
    assert!(voice::count(&torn).is_err());
    torn = bytes;
    torn.truncate(20_000);
    assert!(voice::count(&torn).is_err());
}

#[test]
fn sleepers_die_with_their_parent() {
    let project = Project::empty().without_soloist();
    let beacon = project.beacon();
    let parent = start(&project, &["--sleepers", "50", "--beacon", &beacon.text()]);
    wait_until("all sleep", SOON, || match beacon.with_role("sleeper").len() {
        50 => Ok(()),
        seen => Err(seen),
    });
    parent.signal(Signal::KILL);
    wait_until("all are dead", SOON, || match beacon.living().len() {
        0 => Ok(()),
        seen => Err(seen),
    });
}

#[test]
fn a_worker_takes_its_ticks_one_after_the_other_and_ends_with_its_input() {
    let project = Project::empty().without_soloist();
    let address = project.path("notify");
    let ear = UnixDatagram::bind(&address).unwrap();
    ear.set_read_timeout(Some(SOON)).unwrap();
    let heard = || {
        let mut bytes = [0; 1000];
        let length = ear.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let notes = project.path("notes");
    let command = puppet(&["--ticks", &notes, "--turns", "error,never,close", "--life", "30"]);
    let mut worker = Command::new(&command[0])
        .args(&command[1..])
        .env("NOTIFY_SOCKET", &address)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(heard(), "READY=1");
    let mut input = worker.stdin.take().unwrap();
    let mut tick = |id: &str| writeln!(input, "{{\"run\":\"{id}\",\"scheduled_at\":\"now\"}}");
    tick("a").unwrap();
    assert_eq!(heard(), "X_SOLOIST_RUN=a\nX_SOLOIST_RESULT=error\nX_SOLOIST_SUMMARY=did a");
    tick("b").unwrap();
    tick("c").unwrap();
    assert!(heard().starts_with("X_SOLOIST_RUN=c\nX_SOLOIST_RESULT=ok\n"));
    assert_eq!(tick("d").unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    let taken = worker::taken(notes.as_ref());
    assert_eq!(taken.iter().map(|one| one.tick.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(taken.iter().all(|one| one.pid == worker.id() && one.scheduled_at == "now"), "{taken:?}");
    worker.kill().unwrap();
    worker.wait().unwrap();

    let mut plain = Command::new(&command[0])
        .args(["--ticks", &notes])
        .env("NOTIFY_SOCKET", &address)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(plain.wait().unwrap().code(), Some(0));
}
