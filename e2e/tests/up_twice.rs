//! Two `up -d` at once in one project: one daemon, each service once.

use e2e::{LIMIT, Project, free_port, puppet, quoted};

const ROUNDS: usize = 20;

#[test]
fn two_ups_at_once_make_one_daemon_and_each_service_once() {
    let project = Project::empty();
    let port = free_port();
    let (token, other, text) = (project.path("token"), project.path("other"), port.to_string());
    project.write(
        "soloist.toml",
        &format!(
            "[services.api]\ncommand = {}\nport = {port}\n[services.worker]\ncommand = {}\n",
            quoted(&puppet(&["--token-file", &token, "--listen", &text])),
            quoted(&puppet(&["--token-file", &other])),
        ),
    );
    for round in 1..=ROUNDS {
        let mut both = [project.spawn(&["up", "-d"]), project.spawn(&["up", "-d"])];
        for up in &mut both {
            up.wait(LIMIT).expect(0);
        }
        let status = project.status();
        let daemon = status.daemon.as_ref().map(|daemon| daemon.pid).expect("a daemon");
        for name in ["token", "other"] {
            // Running is not yet having said so.
            let journal = e2e::wait_until(&format!("{name} is taken {round} times"), LIMIT, || {
                let journal = e2e::Journal::read(&e2e::Journal::beside(&project.folder().join(name)));
                if journal.starts().len() >= round { Ok(journal) } else { Err(format!("{journal:?}")) }
            });
            assert_eq!(journal.starts().len(), round, "round {round}: {journal:?}\n{}", project.diary());
            assert!(journal.overlaps().is_empty(), "round {round}: {journal:?}");
        }
        assert!(status.services.iter().all(|service| service.ready && service.pid.is_some()), "{status:?}");
        // The daemon that came second has gone, or goes at once.
        e2e::wait_until("there is one daemon", LIMIT, || {
            let daemons = daemons(&project);
            if daemons == [daemon] { Ok(()) } else { Err(format!("{daemons:?}, not [{daemon}]")) }
        });
        let down = project.soloist(&["down"]).expect(0);
        assert_eq!(project.survivors(), [], "round {round}: after {down}");
    }
}

/// The processes that have the daemon's lock file open: each daemon opens it first of all.
fn daemons(project: &Project) -> Vec<u32> {
    let lock = project.folder().join(".soloist/daemon.lock");
    let has_it = |pid: u32| {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|link| link == lock)
    };
    project.processes().into_iter().map(|one| one.pid).filter(|pid| has_it(*pid)).collect()
}
