//! Programs that speak sd_notify(3) by the libraries they have for systemd, unchanged: Python's sdnotify, systemd-notify
//! in a shell script, Node's sd-notify, gunicorn by itself.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use e2e::{LIMIT, Real, Said, Service, Stage, wait_until};

const NOTIFIES: &str = "readiness = \"notify\"\nwatchdog = \"2s\"\n";
/// Ten a second are said, so this many take twice the time that the watchdog allows.
const PINGS: usize = 40;

fn python() -> Option<Stage> {
    let real = Real::installed()?;
    Some(Stage::worker(&real, &["notify.py"], &[&real.python("python"), "notify.py"], NOTIFIES))
}

fn shell() -> Option<Stage> {
    let real = Real::installed()?;
    Some(Stage::worker(&real, &["notify.sh"], &["/bin/sh", "notify.sh"], NOTIFIES))
}

fn node() -> Option<Stage> {
    let real = Real::installed()?;
    Some(Stage::worker(&real, &["notify.js"], &["node", "notify.js"], NOTIFIES))
}

fn said(status: &str) -> Said {
    Said { status: Some(status.to_owned()), ..Said::default() }
}

/// Starts it and waits until it has said that it is not there yet, which is believed.
fn warming_up(stage: &Stage) -> Service {
    let service = wait_until("it warms up", LIMIT, || {
        let service = stage.service();
        if service.said.status.is_some() {
            Ok(service)
        } else {
            Err(format!("{service:?}\n{}", stage.said()))
        }
    });
    assert_eq!((service.state.as_str(), service.ready), ("starting", false), "{service:?}");
    assert_eq!(service.said, said("warming up"));
    service
}

/// It is ready when it says so, and not before.
fn is_ready_when_it_says_so(stage: &Stage) -> Service {
    let mut up = stage.project.spawn(&["up", "-d"]);
    warming_up(stage);
    assert!(up.ended().is_none(), "nothing is ready: {}", up.said());
    stage.project.write("go", "");
    up.wait(LIMIT).expect(0);
    // Some send their status in a message of its own, right after READY=1.
    let service = wait_until("it says that it serves", LIMIT, || {
        let service = stage.service();
        let is_told = service.said.status.as_deref() == Some("serving");
        if is_told { Ok(service) } else { Err(format!("{service:?}")) }
    });
    assert_eq!((service.state.as_str(), service.ready, service.restarts), ("ready", true, 0), "{service:?}");
    service
}

/// The watchdog leaves it alone as long as it is heard, and restarts it when it is not.
fn is_watched(stage: &Stage) {
    let before = stage.service();
    wait_until("it was alive for longer than the watchdog waits", LIMIT, || {
        match stage.project.read("pings").lines().count() {
            PINGS.. => Ok(()),
            fewer => Err(format!("{fewer} pings\n{}", stage.said())),
        }
    });
    assert_eq!(stage.service().run_id, before.run_id, "restarted though it was alive: {}", stage.said());
    stage.project.write("hang", "");
    let after = wait_until("it is restarted and ready", LIMIT, || {
        let service = stage.service();
        let is_new = service.ready && service.run_id != before.run_id;
        if is_new { Ok(service) } else { Err(format!("{service:?}\n{}", stage.said())) }
    });
    assert_eq!(after.restarts, before.restarts + 1, "{after:?}");
}

fn works_unchanged(stage: &Stage) {
    is_ready_when_it_says_so(stage);
    is_watched(stage);
    stage.stops();
}

#[test]
fn pythons_sdnotify_works_unchanged() {
    let Some(stage) = python() else { return };
    let service = is_ready_when_it_says_so(&stage);
    assert_eq!(service.said.state.as_deref(), Some("scraping"), "{service:?}");
    assert_eq!(service.said.progress.as_deref(), Some("12/50"), "{service:?}");
    is_watched(&stage);
    stage.stops();
}

#[test]
fn systemd_notify_works_unchanged() {
    let Some(stage) = shell() else { return };
    works_unchanged(&stage);
}

#[test]
fn nodes_sd_notify_works_unchanged() {
    let Some(stage) = node() else { return };
    works_unchanged(&stage);
}

#[test]
fn gunicorn_says_by_itself_when_it_is_ready() {
    let Some(real) = Real::installed() else { return };
    let gunicorn = real.python("gunicorn");
    let command = [&gunicorn, "--workers", "2", "--bind", "127.0.0.1:{port}", "wsgi:app"];
    let stage = Stage::server(&real, &["wsgi.py"], &command, "readiness = \"notify\"\n");
    let stage = stage.cast(&[("bin/gunicorn", 3)]);
    stage.up();
    assert_eq!(stage.service().said, said("Gunicorn arbiter booted"));
    stage.stops();
}

/// From outside of the tree nobody is believed, neither by a library nor by a program.
#[test]
fn a_stranger_makes_nobody_ready() {
    let Some(stage) = python() else { return };
    let mut up = stage.project.spawn(&["up", "-d"]);
    let pid = warming_up(&stage).pid.unwrap_or_else(|| panic!("{}", stage.said()));
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    let mut entries = environment.split('\0');
    let address = entries.find_map(|entry| entry.strip_prefix("NOTIFY_SOCKET=")).expect("no NOTIFY_SOCKET");
    UnixDatagram::unbound().unwrap().send_to(b"READY=1\nSTATUS=hijacked", address).unwrap();
    // It returns when all that was said before was taken.
    let program = e2e::program("systemd-notify").expect("systemd-notify is installed with the rest");
    let ran =
        Command::new(program).args(["--ready", "--status=hijacked"]).env("NOTIFY_SOCKET", address).output();
    let ran = ran.unwrap();
    let service = stage.service();
    assert_eq!((service.state.as_str(), service.ready), ("starting", false), "{service:?} after {ran:?}");
    assert_eq!(service.said, said("warming up"));
    assert!(up.ended().is_none(), "nothing is ready: {}", up.said());
    stage.project.write("go", "");
    up.wait(LIMIT).expect(0);
    stage.stops();
}
