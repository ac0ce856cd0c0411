//! Fresh code: a service that declares `watch` gets one new run when its files have changed, however they were written; one
//! that does not is said to run old code.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::{LIMIT, Project, Service, daemon, in_namespace, program, skip_loudly, wait_until};
use serde_json::Value;

/// All that one change leads to has happened by then: it is told after 0.2 s, at most 2 s if it goes on.
const SETTLED: f64 = 2.5;

/// A project with the service `api`, which watches `app`, and a file there.
fn project(more: &str) -> Project {
    let project = Project::empty();
    fs::create_dir(project.folder().join("app")).unwrap();
    project.write("app/a.py", "one");
    project
        .write("soloist.toml", &format!("[services.api]\ncommand = \"sleep 1000\"\nwatch = \"app\"\n{more}"));
    project
}

fn up(project: &Project) {
    project.soloist(&["up", "-d"]).expect(0);
}

/// Why each run of it was started.
fn starts(project: &Project, name: &str) -> Vec<String> {
    let output = project.soloist(&["history", name, "--json", "-n", "10000"]).expect(0);
    let json = output.json();
    let entries = json["entries"].as_array().expect("entries").iter();
    let started = entries.filter(|entry| entry["what"] == "started");
    started.map(|entry| entry["cause"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Waits until a run that is not `before` has been ready for a while, and nothing more is to be expected.
fn settled(project: &Project, name: &str, before: Option<&Service>) -> Service {
    wait_until(&format!("a new run of `{name}` has settled"), LIMIT, || {
        let seen = project.service(name);
        let is_new = before.is_none_or(|before| before.run_id != seen.run_id);
        let age = seen.since.as_deref().map_or(0.0, age);
        if seen.ready && is_new && age > SETTLED {
            Ok(seen)
        } else {
            Err(format!("{seen:?}\n{}", project.diary()))
        }
    })
}

fn age(since: &str) -> f64 {
    let since: f64 = Command::new("date")
        .args(["-u", "+%s.%N", "-d", since])
        .output()
        .map(|date| String::from_utf8_lossy(&date.stdout).trim().parse().unwrap())
        .unwrap();
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64() - since
}

#[test]
fn each_way_to_save_a_file_is_one_restart() {
    let project = project("");
    up(&project);
    let folder = project.folder().to_owned();
    let app = |name: &str| folder.join("app").join(name);
    let saves: [(&str, &dyn Fn()); 5] = [
        ("written in its place", &|| fs::write(app("a.py"), "two").unwrap()),
        ("renamed over", &|| {
            fs::write(app(".a.py.tmp"), "three").unwrap();
            fs::rename(app(".a.py.tmp"), app("a.py")).unwrap();
        }),
        ("as vim does it", &|| {
            fs::write(app("4913"), "").unwrap();
            fs::remove_file(app("4913")).unwrap();
            fs::rename(app("a.py"), app("a.py~")).unwrap();
            fs::write(app("a.py"), "four").unwrap();
            fs::remove_file(app("a.py~")).unwrap();
        }),
        ("many times, and many files", &|| {
            for at in 0..50 {
                fs::write(app("a.py"), format!("five {at}")).unwrap();
                fs::create_dir_all(app(&format!("new/{at}"))).unwrap();
                fs::write(app(&format!("new/{at}/b.py")), "").unwrap();
            }
        }),
        ("removed", &|| fs::remove_dir_all(app("new")).unwrap()),
    ];
    let mut before = project.service("api");
    for (count, (how, save)) in saves.iter().enumerate() {
        save();
        before = settled(&project, "api", Some(&before));
        let starts = starts(&project, "api");
        assert_eq!(starts.len(), count + 2, "{how}: {starts:?}");
    }
    let causes = starts(&project, "api");
    assert!(causes[1..4].iter().all(|cause| cause == "a change of app/a.py"), "{causes:?}");
    assert!(causes[4].contains(" and 50 more"), "{causes:?}");
}

#[test]
fn what_is_touched_or_left_out_is_no_change() {
    let project = project(
        "watch-ignore = \"app/cache\"\n[services.other]\ncommand = \"sleep 1000\"\nwatch = \"lib/**\"\n",
    );
    for folder in ["app/cache", "app/__pycache__", "app/private", "lib"] {
        fs::create_dir_all(project.folder().join(folder)).unwrap();
    }
    project.write(".gitignore", "private\n");
    project.write("lib/b.py", "");
    up(&project);
    let (api, other) = (project.service("api"), project.service("other"));
    project.write("app/a.py", "one");
    for file in ["app/cache/x", "app/__pycache__/a.pyc", "app/private/key", "app/api.log", "readme.md"] {
        project.write(file, "new");
    }
    // What comes later is told later.
    project.write("lib/b.py", "two");
    settled(&project, "other", Some(&other));
    assert_eq!(project.service("api").run_id, api.run_id);
}

#[test]
fn what_it_writes_itself_does_not_restart_it() {
    // A log that it keeps open, one that others are told of, and a pid file: all in the watched folder, anew in each run.
    let script = "echo $$ > app/api.pid; exec 3>> app/out.txt; exec 4>> app/api.log; \
                  while :; do echo line >&3; echo line >&4; sleep 0.05; done";
    let project = project("");
    let command = format!("[services.api]\ncommand = [\"sh\", \"-c\", \"{script}\"]\nwatch = \"app\"\n");
    project.write("soloist.toml", &command);
    up(&project);
    let first = settled(&project, "api", None);
    assert_eq!(starts(&project, "api").len(), 1);
    project.write("app/a.py", "two");
    let second = settled(&project, "api", Some(&first));
    assert_eq!(starts(&project, "api")[1..], ["a change of app/a.py"]);
    project.soloist(&["restart", "api"]).expect(0);
    settled(&project, "api", Some(&second));
    assert_eq!(starts(&project, "api").len(), 3);
}

#[test]
fn a_file_that_each_run_writes_anew_is_found_out() {
    let project = project("");
    let toml = "[services.api]\ncommand = [\"sh\", \"-c\", \"date +%N > app/state; exec sleep 1000\"]\nwatch = \"app\"\n";
    project.write("soloist.toml", toml);
    up(&project);
    wait_until("it is said", Duration::from_secs(120), || {
        let said = project.soloist(&["status", "api"]).stdout;
        if said.contains("app/state changes whenever it starts") { Ok(()) } else { Err(said) }
    });
    let before = settled(&project, "api", None);
    let count = starts(&project, "api").len();
    assert!(count < 12, "{count} starts");
    project.write("app/a.py", "two");
    settled(&project, "api", Some(&before));
    assert_eq!(starts(&project, "api").len(), count + 1);
}

#[test]
fn a_checkout_of_a_large_branch_is_one_restart() {
    let Some(git) = program("git") else { return skip_loudly("git is not here") };
    let project = project("");
    let run = |arguments: &[&str]| {
        let mut git = Command::new(&git);
        git.args(["-c", "user.name=e2e", "-c", "user.email=e2e@localhost", "-c", "gc.auto=0"])
            .args(arguments);
        let output = git.current_dir(project.folder()).env("HOME", project.folder()).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    project.write(".gitignore", ".soloist\nstate\ncommand-*\n");
    run(&["init", "-q", "-b", "one"]);
    run(&["add", "."]);
    run(&["commit", "-q", "-m", "one"]);
    run(&["checkout", "-q", "-b", "two"]);
    for at in 0..6000 {
        let folder = project.folder().join(format!("app/part{}/deep{}", at % 60, at % 7));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("m{at}.py")), format!("{at}")).unwrap();
    }
    run(&["add", "."]);
    run(&["commit", "-q", "-m", "two"]);
    run(&["checkout", "-q", "one"]);
    up(&project);
    let first = project.service("api");
    run(&["checkout", "-q", "two"]);
    let second = settled(&project, "api", Some(&first));
    let causes = starts(&project, "api");
    assert!(causes.len() == 2 && causes[1].ends_with(" and 5999 more"), "{causes:?}");
    run(&["checkout", "-q", "one"]);
    settled(&project, "api", Some(&second));
    assert_eq!(starts(&project, "api").len(), 3);
}

#[test]
fn a_hundred_thousand_files_are_watched() {
    let project = project("");
    for folder in 0..500 {
        let folder = project.folder().join(format!("app/f{folder}"));
        fs::create_dir(&folder).unwrap();
        (0..200).for_each(|file| fs::write(folder.join(format!("m{file}.py")), "").unwrap());
    }
    // Built before it is measured.
    project.soloist(&["status"]).expect(0);
    let began = Instant::now();
    up(&project);
    let was_up = began.elapsed();
    let first = project.service("api");
    let daemon = project.status().daemon.unwrap().pid;
    // Whether it watches already only a change can show.
    let mut edits = 0;
    wait_until("a change is noticed", Duration::from_secs(120), || {
        edits += 1;
        project.write("app/f499/m199.py", &format!("{edits}"));
        let seen = project.service("api");
        if seen.run_id == first.run_id { Err(format!("{seen:?}")) } else { Ok(()) }
    });
    let noticed = began.elapsed();
    let before = settled(&project, "api", Some(&first));
    let changed = Instant::now();
    project.write("app/f0/m0.py", "changed");
    wait_until("the next one is", LIMIT, || {
        if project.service("api").run_id == before.run_id { Err("the same run") } else { Ok(()) }
    });
    let told = changed.elapsed();
    let status = fs::read_to_string(format!("/proc/{daemon}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim().to_owned();
    let _ = writeln!(
        std::io::stderr(),
        "100,000 files: up in {was_up:?}, the first change seen by {noticed:?}, another in {told:?}, daemon {resident}"
    );
    let kib: u64 = resident.trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 100 * 1024, "{resident}");
    settled(&project, "api", Some(&before));
}

#[test]
fn what_fell_is_tried_again_when_its_files_change_and_what_is_stopped_is_not() {
    let project = project(
        "[services.broken]\ncommand = [\"sh\", \"-c\", \"sh app/check.sh && exec sleep 1000\"]\nwatch = \"app/*.sh\"\n\
         backoff = { first = \"10m\", max = \"10m\" }\n\
         [services.down]\ncommand = \"sleep 1000\"\nwatch = \"app/**\"\n\
         [services.given-up]\ncommand = [\"sh\", \"-c\", \"sh app/check.sh && exec sleep 1000\"]\nwatch = \"app/*.sh\"\n\
         restart = \"no\"\n",
    );
    project.write("app/check.sh", "echo 'no module named x' >&2; exit 1");
    project.soloist(&["up", "-d"]);
    project.soloist(&["stop", "down"]).expect(0);
    let fallen = project.wait_for_state("broken", "backoff", LIMIT);
    assert!(fallen.tail.iter().any(|line| line.contains("no module")), "{fallen:?}");
    project.wait_for_state("given-up", "failed", LIMIT);
    // The message stays in sight while a change does not help.
    project.write("app/check.sh", "echo 'no module named y' >&2; exit 1");
    wait_until("the next try has failed", LIMIT, || {
        let seen = project.service("broken");
        let is_next = seen.state == "backoff" && seen.tail.iter().any(|line| line.contains("named y"));
        if is_next { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    project.wait_for_state("given-up", "failed", LIMIT);
    project.write("app/check.sh", "exit 0");
    let broken = settled(&project, "broken", Some(&fallen));
    assert!(broken.restarts == 0 && project.service("given-up").ready, "{broken:?}");
    assert_eq!(project.service("down").state, "stopped");
    settled(&project, "api", None);
}

#[test]
fn a_change_while_no_daemon_lives_is_made_up_for() {
    let project = project("");
    up(&project);
    let before = settled(&project, "api", None);
    daemon::kill(&project);
    project.write("app/a.py", "two");
    project.soloist(&["status"]).expect(0);
    settled(&project, "api", Some(&before));
    assert_eq!(starts(&project, "api")[1..], ["a change of app/a.py"]);
}

#[test]
fn what_reloads_itself_is_left_to_itself() {
    let project = project("[services.web]\ncommand = \"./nodemon app/a.py\"\nwatch = \"app\"\n");
    executable(&project.write("nodemon", "#!/bin/sh\nexec sleep 1000\n"));
    let said = project.soloist(&["up", "-d"]).expect(0);
    let words = "`watch` and `nodemon` would both restart it";
    assert!(said.stderr.contains(&format!("warning: web: {words}")), "{said}");
    assert!(project.soloist(&["status"]).stdout.contains(words));
    let (api, web) = (project.service("api"), project.service("web"));
    project.write("app/a.py", "two");
    settled(&project, "api", Some(&api));
    assert_eq!(project.service("web").run_id, web.run_id);
}

#[test]
fn a_pattern_that_matches_nothing_is_warned_of_and_one_that_leads_out_is_an_error() {
    let project =
        project("[services.web]\ncommand = \"sleep 1000\"\nwatch = [\"app/*.py\", \"src/**/*.py\"]\n");
    let said = project.soloist(&["up", "-d"]).expect(0);
    let words = "`watch` matches no file with `src/**/*.py`";
    assert!(said.stderr.contains(words) && !said.stderr.contains("app/*.py"), "{said}");
    wait_until("status says it too", LIMIT, || {
        let said = project.soloist(&["status", "web"]).stdout;
        if said.contains(words) { Ok(()) } else { Err(said) }
    });
    // The folder may come later.
    let before = settled(&project, "web", None);
    fs::create_dir_all(project.folder().join("src/deep")).unwrap();
    project.write("src/deep/new.py", "");
    settled(&project, "web", Some(&before));
    project.soloist(&["down"]).expect(0);
    for pattern in ["/etc/hosts", "../other/*.py", "~/app"] {
        project.write(
            "soloist.toml",
            &format!("[services.web]\ncommand = \"sleep 1\"\nwatch = \"{pattern}\"\n"),
        );
        let refused = project.soloist(&["up", "-d"]);
        assert_ne!(refused.code(), 0);
        assert!(refused.stderr.contains("leads out of the project's folder"), "{refused}");
    }
}

#[test]
fn without_watch_a_run_that_is_older_than_its_code_is_told() {
    let project = project(
        "[services.web]\ncommand = \"./python app/reports.py\"\n[services.own]\ncommand = \"./own\"\n",
    );
    for name in ["python", "own"] {
        executable(&project.write(name, "#!/bin/sh\nexec sleep 1000\n"));
    }
    project.write("app/reports.py", "one");
    up(&project);
    let old = |name: &str| {
        let output = project.soloist(&["status", "--json"]).expect(0);
        let status: Value = serde_json::from_str(&output.stdout).unwrap();
        let services = status["services"].as_array().unwrap().clone();
        services.into_iter().find(|one| one["name"] == name).unwrap()["old_code"]["path"].clone()
    };
    assert_eq!((old("web"), old("own")), (Value::Null, Value::Null));
    let next = project.write("next", "#!/bin/sh\nexec sleep 2000\n");
    executable(&next);
    fs::rename(&next, project.folder().join("own")).unwrap();
    project.write("app/reports.py", "two");
    wait_until("both are told", LIMIT, || {
        let told = (old("web"), old("own"));
        if told == ("app/reports.py".into(), "own".into()) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    let said = project.soloist(&["status"]).stdout;
    assert!(said.contains("running old code (app/reports.py changed "), "{said}");
    project.soloist(&["restart", "web"]).expect(0);
    project.soloist(&["restart", "own"]).expect(0);
    wait_until("nothing is old any more", LIMIT, || {
        let told = (old("web"), old("own"));
        if told == (Value::Null, Value::Null) { Ok(()) } else { Err(format!("{told:?}")) }
    });
}

#[test]
fn without_watches_of_the_kernel_files_are_looked_at() {
    let test = "without_watches_of_the_kernel_files_are_looked_at";
    let script = "echo 5 > /proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\"";
    in_namespace(test, &["--user", "--map-root-user"], script, || {
        let project = project("");
        for folder in 0..20 {
            fs::create_dir(project.folder().join(format!("app/f{folder}"))).unwrap();
        }
        up(&project);
        let before = project.service("api");
        wait_until("it is said", LIMIT, || {
            let said = project.soloist(&["status"]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
            if said.contains("its files are looked at every 2 s") && said.contains("max_user_watches") {
                Ok(())
            } else {
                Err(said)
            }
        });
        project.write("app/a.py", "changed");
        settled(&project, "api", Some(&before));
        assert_eq!(starts(&project, "api")[1..], ["a change of app/a.py"]);
    });
}

fn executable(file: &Path) {
    fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}
