//! Facts of machines that this one is not, each with what is said of it; and that a sound machine is not complained of.

use std::time::Duration;

use soloist_os::machine::Disk;

use super::machine::{Facts, examine};
use super::ports::shared;
use super::*;

const DECLARED: &str = "[services.api]\ncommand = './api'\nport = 8001\nmemory-max = '1GiB'\n\
                        [jobs.report]\ncommand = 'true'\nat = '09:15'\n";

fn config(text: &str) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::parse(text, folder.path(), FILE_NAME).unwrap_or_else(|e| panic!("{e}"));
    (folder, config)
}

fn sound() -> Facts {
    Facts {
        disk: Some(Disk { network: None, free: 1 << 40 }),
        outlives_sessions: true,
        user: "ada".to_owned(),
        is_clock_kept: Some(true),
        ahead: None,
        not_delegated: Vec::new(),
        descriptors: 1 << 20,
        no_watch: None,
        watches_most: Some(8192),
        watches: 8192,
        logs: 0,
    }
}

#[track_caller]
fn told(facts: &Facts, text: &str) -> Vec<(&'static str, String)> {
    let (_folder, config) = config(text);
    let found = examine(facts, &config);
    for one in &found {
        assert!(!one.place.is_empty() && !one.why.is_empty() && !one.remedy.is_empty(), "{one:?}");
    }
    found.into_iter().map(|one| (one.code, format!("{} {}", one.what, one.remedy))).collect()
}

#[test]
fn what_a_machine_lacks_is_told_with_its_remedy() {
    assert_eq!(told(&sound(), DECLARED), []);
    let network = Some(Disk { network: Some("NFS"), free: 1 << 40 });
    for (facts, code, words) in [
        (Facts { disk: network, ..sound() }, "network-file-system", "lies on NFS"),
        (
            Facts { disk: Some(Disk { network: None, free: 9 << 20 }), ..sound() },
            "disk-full",
            "9 MiB are left",
        ),
        (Facts { outlives_sessions: false, ..sound() }, "no-linger", "loginctl enable-linger ada"),
        (Facts { is_clock_kept: Some(false), ..sound() }, "clock-not-kept", "chrony"),
        (
            Facts { ahead: Some(Duration::from_millis(3_600_001)), ..sound() },
            "clock-set-back",
            "set back by 1h or more",
        ),
        (
            Facts { not_delegated: vec![(0, vec!["memory"])], ..sound() },
            "no-delegation",
            "no memory controller",
        ),
        (
            Facts { descriptors: 71, ..sound() },
            "few-descriptors",
            "71 open descriptors are allowed, 72 are needed",
        ),
        (
            Facts { watches: 8193, ..sound() },
            "few-watches",
            "8193 folders are to be watched, 8192 may be sysctl fs.inotify.max_user_watches=16386",
        ),
        (
            Facts { disk: Some(Disk { network: None, free: 600 << 20 }), logs: 100 << 20, ..sound() },
            "logs-too-large",
            "logs may take 924 MiB more, 600 MiB are left",
        ),
        (Facts { no_watch: Some("too many".to_owned()), ..sound() }, "no-watch", "max_user_instances"),
    ] {
        let told = told(&facts, DECLARED);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].0 == code && told[0].1.contains(words), "{told:?}");
    }
}

#[test]
fn what_nobody_needs_is_not_complained_of() {
    let facts = Facts {
        is_clock_kept: Some(false),
        ahead: Some(Duration::from_secs(100)),
        descriptors: 72,
        ..sound()
    };
    assert_eq!(
        told(&facts, "[jobs.scan]\ncommand = 'true'\nevery = '6s'\n[services.a]\ncommand = 'a'\n"),
        []
    );
    assert_eq!(told(&Facts { is_clock_kept: None, ..sound() }, DECLARED), []);
}

#[test]
fn a_port_of_two_projects_is_told_once() {
    let told = |port: &str, other: &str, told: &[u16]| {
        let (_a, ours) = config(&format!("[services.api]\ncommand = 'api'\n{port}\n"));
        let (_b, theirs) = config(&format!("[services.old]\ncommand = 'old'\n{other}\n"));
        let found = shared(&ours, &theirs, told).into_iter();
        found
            .map(|one| one.what.split(" is declared by old of").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(told("port = 8001", "ports = [9, 8001]", &[]), ["port 8001"]);
    assert_eq!(told("port = 8001", "ports = [9, 8001]", &[8001]), [""; 0]);
    let moves = |prefer: u16, spares: &str| format!("port = {{ prefer = {prefer}, else = '{spares}' }}");
    assert_eq!(told("port = 8001", &moves(8000, "8001-8002"), &[]), ["port 8001"]);
    assert_eq!(
        told(&moves(8001, "8002-8004"), "ports = [8003, 8001, 8005]", &[]),
        ["port 8001", "port 8003"]
    );
    assert_eq!(told(&moves(8001, "8002-8004"), &moves(8001, "8002-8003"), &[]), [""; 0]);
    assert_eq!(told(&moves(8001, "8002-8004"), &moves(8002, "8005"), &[]), [""; 0]);
}

#[test]
fn what_watch_cannot_do_is_told() {
    let (folder, config) = config(
        "[services.api]\ncommand = 'uvicorn app:app --reload'\nwatch = 'app'\n\
         [services.web]\ncommand = 'web'\nwatch = ['*.html', 'none/**']\n",
    );
    std::fs::write(folder.path().join("index.html"), "").unwrap();
    let found = project::examine(&Layout::new(folder.path()).unwrap(), &config, None);
    let idle: Vec<_> = found.iter().filter(|one| one.code == "watch-idle").collect();
    assert!(idle.len() == 2 && idle[0].what.contains("`uvicorn --reload` would both"), "{idle:?}");
    assert!(idle[1].what.contains("no file with `none/**`") && idle[1].place.contains("web"), "{idle:?}");
}

#[test]
fn asking_this_machine_harms_nothing() {
    let (folder, config) = config(DECLARED);
    let layout = Layout::new(folder.path()).unwrap();
    let facts = Facts::gather(&layout, &config);
    assert!(facts.disk.is_some_and(|disk| disk.free > 0) && facts.descriptors > 0, "{facts:?}");
    assert!(!layout.exists(), "nothing was made");
}
