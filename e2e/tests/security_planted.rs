//! A project folder that came from elsewhere, with something planted where soloist keeps its files: links of both kinds,
//! pipes, folders that lead away. It is refused with words or gives way; what it leads to is never written, and nothing
//! hangs (every command of these tests has its limit).

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{Project, free_port, quoted};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Plant {
    Link,
    /// A link to what is not there: to write through it would make it.
    Dangling,
    Hard,
    Fifo,
}

const PLANTS: [Plant; 4] = [Plant::Link, Plant::Dangling, Plant::Hard, Plant::Fifo];
const PRECIOUS: &str = "precious\n";

/// What must stay as it is: a folder outside the project, with one file for each place where something is planted.
struct Victims {
    folder: tempfile::TempDir,
    count: usize,
}

impl Victims {
    fn new() -> Victims {
        Victims { folder: tempfile::tempdir().unwrap(), count: 0 }
    }

    /// Puts a plant in the place of a file, whatever lies there.
    fn plant(&mut self, plant: Plant, place: &Path) {
        self.count += 1;
        let aim = self.folder.path().join(self.count.to_string());
        if plant != Plant::Dangling {
            std::fs::write(&aim, PRECIOUS).unwrap();
            std::fs::set_permissions(&aim, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(place);
        match plant {
            Plant::Link | Plant::Dangling => symlink(&aim, place).unwrap(),
            Plant::Hard => std::fs::hard_link(&aim, place).unwrap(),
            Plant::Fifo => assert!(Command::new("mkfifo").arg(place).status().unwrap().success()),
        }
    }

    #[track_caller]
    fn are_as_they_were(&self, plant: Plant, place: &str) {
        for entry in std::fs::read_dir(self.folder.path()).unwrap().flatten() {
            assert_ne!(plant, Plant::Dangling, "{place}: something was made through a link that led nowhere");
            let found = entry.metadata().unwrap();
            assert_eq!(std::fs::read_to_string(entry.path()).unwrap(), PRECIOUS, "{plant:?} at {place}");
            assert_eq!(found.mode() & 0o777, 0o644, "{plant:?} at {place}");
        }
    }
}

/// A project with a service that writes more than one log file takes, and a state folder as a clone brings it.
fn project() -> (Project, PathBuf) {
    let project = Project::empty();
    let state = project.folder().join(".soloist");
    for folder in ["", "claims", "guards", "logs"] {
        std::fs::create_dir(state.join(folder)).unwrap();
        std::fs::set_permissions(state.join(folder), std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let script = "head -c 300000 /dev/zero | tr '\\0' '\\n'; exec sleep 1000";
    let command = quoted(&["/bin/sh", "-c", script]);
    project.write(
        "soloist.toml",
        &format!(
            "[services.api]\ncommand = {command}\npid-file = \"api.pid\"\nrestart = \"no\"\nport = {}\n\
             listen = \"soloist\"\nreadiness = {{ exec = [\"true\"] }}\n\
             log = {{ size = \"64KiB\", compress = true }}\n",
            free_port()
        ),
    );
    (project, state)
}

#[test]
fn what_is_planted_gives_way_and_leads_nowhere() {
    let places = [
        ".gitignore",
        "daemon.log",
        "daemon.sock",
        "http.json",
        "token",
        "session",
        "ledger.json",
        "ports.json",
        "ports.env",
        "history.db",
        "history.db-wal",
        "history.db-shm",
        "claims/api.json",
        "claims/api.json.next",
        "guards/api.sock",
        "guards/api.notify",
        "logs/api.log.idx",
        "logs/api.log.1.idx",
        "logs/api.log.1.gz.tmp",
        "../api.pid",
        "../api.pid.tmp",
    ];
    for plant in PLANTS {
        let (project, state) = project();
        let mut victims = Victims::new();
        places.iter().for_each(|place| victims.plant(plant, &state.join(place)));
        for verb in ["status", "history", "logs", "why", "port"] {
            let named: &[&str] = if matches!(verb, "why" | "port") { &[verb, "api"] } else { &[verb] };
            let said = project.soloist(named).all();
            assert!(!said.contains(PRECIOUS.trim()), "{plant:?}: {verb} tells what a plant leads to: {said}");
        }
        victims.are_as_they_were(plant, "one of them, after the verbs that only read");

        let up = project.soloist(&["up", "-d"]).expect(0);
        let api = project.service("api");
        assert_eq!(api.state, "ready", "{plant:?}: {up}\n{}", project.diary());
        assert_eq!(project.read("api.pid").trim(), api.pid.unwrap().to_string(), "{plant:?}");
        project.soloist(&["restart", "api"]).expect(0);
        e2e::wait_until("its full log is compressed", std::time::Duration::from_secs(30), || {
            let names =
                std::fs::read_dir(state.join("logs")).unwrap().flatten().map(|entry| entry.file_name());
            let names: Vec<_> = names.collect();
            let is_there = names.iter().any(|name| name == "api.log.1.gz");
            is_there.then_some(()).ok_or_else(|| format!("{plant:?}: {names:?} {}", project.diary()))
        });
        project.soloist(&["history"]).expect(0).says("api");
        project.soloist(&["down"]).expect(0);
        victims.are_as_they_were(plant, &format!("one of {places:?}"));
        for place in places.iter().filter(|place| !place.contains(".gitignore")) {
            if let Ok(found) = std::fs::symlink_metadata(state.join(place)) {
                assert!(found.is_file() && found.nlink() == 1, "{plant:?}: {place} is one still");
            }
        }
    }
}

#[test]
fn what_may_not_give_way_is_refused_with_words() {
    for place in
        ["daemon.lock", "start.lock", "claims/api.lock", "logs/api.log", "keys.json", "schedules.json"]
    {
        for plant in PLANTS {
            // Of what is only read a second name does no harm: its text is judged as any other.
            if place.ends_with(".json") && matches!(plant, Plant::Dangling) {
                continue;
            }
            let (project, state) = project();
            let mut victims = Victims::new();
            victims.plant(plant, &state.join(place));
            let up = project.soloist(&["up", "-d"]);
            assert_ne!(up.code(), 0, "{plant:?} at {place}: {up}");
            assert!(up.all().contains(place), "{plant:?} at {place} is not named: {up}");
            let words = ["it is a link", "another name", "not a regular file", "remove it"];
            assert!(words.iter().any(|words| up.all().contains(words)), "{plant:?} at {place}: {up}");
            assert!(!up.all().contains(PRECIOUS.trim()), "{plant:?} at {place}: {up}");
            assert!(project.record("api").is_none_or(|record| record["main"].is_null()), "{plant:?}: it ran");
            victims.are_as_they_were(plant, place);
            project.soloist(&["down"]);
        }
    }
}

#[test]
fn a_folder_that_leads_away_is_refused_and_nothing_is_made_behind_it() {
    for place in ["", "claims", "guards", "logs"] {
        let (project, state) = project();
        let elsewhere = tempfile::tempdir().unwrap();
        let link = state.join(place);
        let link = if place.is_empty() { state.clone() } else { link };
        std::fs::remove_dir_all(&link).unwrap();
        symlink(elsewhere.path(), &link).unwrap();
        for verb in [&["up", "-d"][..], &["start", "api"], &["run", "one", "--", "true"]] {
            project.soloist(verb).expect(1).says("is not a folder").says(&link.display().to_string());
        }
        let made: Vec<_> = std::fs::read_dir(elsewhere.path()).unwrap().collect();
        assert!(made.is_empty(), "{place}: {made:?}");
        assert!(project.processes().is_empty(), "{place}: something was left running");
    }
}

#[test]
fn a_state_folder_that_others_may_write_is_refused_until_it_is_closed() {
    let (project, state) = project();
    let open = |mode: u32| std::fs::set_permissions(&state, std::fs::Permissions::from_mode(mode)).unwrap();
    open(0o777);
    let refused = project.soloist(&["up", "-d"]).expect(1);
    refused.says("written by others").says("chmod 700");
    assert!(project.processes().is_empty());
    project.soloist(&["doctor"]).expect(1).says("others may write into the state folder (mode 777)");
    open(0o700);
    std::fs::set_permissions(project.folder().join("soloist.toml"), std::fs::Permissions::from_mode(0o666))
        .unwrap();
    project.soloist(&["doctor"]).says("everybody may write soloist.toml");
    project.soloist(&["up", "-d"]).expect(0);
}
