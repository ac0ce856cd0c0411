//! `doctor` tells what would bite and changes nothing; `init` writes a file that runs; the scripts of contrib/scripts do what
//! those did that they replace.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{
    LIMIT, Output, Project, binaries, free_port, is_free, program, puppet, quoted, skip_loudly, wait_until,
};
use serde_json::Value;

fn codes(output: &Output) -> Vec<String> {
    let found = output.json();
    let all = found.as_array().unwrap_or_else(|| panic!("no list from {output}"));
    for one in all {
        for key in ["code", "severity", "what", "where", "why", "remedy"] {
            assert!(one[key].as_str().is_some_and(|text| !text.is_empty()), "no {key} in {one}");
        }
    }
    all.iter().filter_map(|one| one["code"].as_str()).map(str::to_owned).collect()
}

/// What doctor says of this machine whatever the project: not every machine lets its clock be asked, or delegates.
const OF_THE_MACHINE: [&str; 5] = ["no-linger", "clock-not-kept", "no-delegation", "disk-full", "no-watch"];

/// Asks twice, for people and for scripts; what belongs to the machine is left out.
#[track_caller]
fn found(project: &Project) -> Vec<String> {
    let output = project.soloist(&["doctor", "--json"]);
    let all = codes(&output);
    let said = project.soloist(&["doctor"]);
    assert_eq!(
        (output.code(), said.code()),
        (i32::from(!all.is_empty()), i32::from(!all.is_empty())),
        "{output}{said}"
    );
    for code in &all {
        said.says(&format!("[{code}]"));
    }
    all.into_iter().filter(|code| !OF_THE_MACHINE.contains(&code.as_str())).collect()
}

#[test]
fn a_sound_project_has_nothing_that_would_bite_with_and_without_a_daemon() {
    let port = free_port();
    let text = port.to_string();
    let project = Project::new(&format!(
        "[services.api]\ncommand = {}\nport = {port}\n",
        quoted(&puppet(&["--listen", &text]))
    ));
    assert_eq!(found(&project), [""; 0]);
    assert!(!project.folder().join(".soloist").exists(), "nothing is made by looking");
    project.soloist(&["up", "-d"]).expect(0);
    let before = project.service("api");
    assert_eq!(found(&project), [""; 0]);
    assert_eq!(project.service("api").pid, before.pid);
}

#[test]
fn what_would_bite_is_told_each_with_its_remedy() {
    let (held, port) = (free_port(), free_port());
    let other = Project::new(&format!(
        "[services.old]\ncommand = {}\nport = {port}\n",
        quoted(&puppet(&["--listen", &port.to_string()]))
    ));
    let project = Project::new(&format!(
        "[services.api]\ncommand = 'sh -c true'\nport = {held}\n\
         [services.gone]\ncommand = './gone'\nport = {port}\n\
         [services.plain]\ncommand = './plain'\n\
         [services.nowhere]\ncommand = 'no-such-program-anywhere'\n\
         [services.dev]\ncommand = 'uvicorn app:app --reload'\nenv = {{ PATH = '.' }}\n"
    ));
    project.write("plain", "#!/bin/sh\n");
    project.write("odd.pid", "no number\n");
    project.write("stale.pid", "4194303\n");
    let stranger = project.stranger(&puppet(&["--listen", &held.to_string()]));
    wait_until("the stranger listens", LIMIT, || if is_free(held) { Err(stranger.said()) } else { Ok(()) });
    other.soloist(&["up", "-d"]).expect(0);
    let said = project.soloist(&["doctor"]).expect(1);
    said.says(&format!("port {held} is held")).says("`soloist takeover api`");
    assert_eq!(said.stdout.matches(&format!("port {port} is ")).count(), 1, "told once: {said}");
    said.says("there is no")
        .says("plain is not executable")
        .says("no `no-such-program-anywhere` is on the PATH");
    said.says("names process 4194303, which is gone");
    let mut codes = found(&project);
    codes.sort();
    let expected = [
        "command-missing",
        "command-missing",
        "command-missing",
        "command-missing",
        "nested-reloader",
        "port-held",
        "port-held",
        "stale-pid-file",
    ];
    assert_eq!(codes, expected, "{said}");
    let said = said.stdout.clone();
    assert!(said.find("error:") < said.find("warning:"), "the worst comes first: {said}");
    drop(stranger);
}

#[test]
fn a_project_that_others_may_read_and_a_faulty_file_are_told() {
    let project = Project::new("[services.api]\ncommand = 'sleep 1000'\n");
    project.soloist(&["start", "api"]).expect(0);
    let state = project.folder().join(".soloist");
    let mode = |mode| {
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(mode))
            .unwrap_or_else(|e| panic!("{e}"))
    };
    mode(0o755);
    assert_eq!(found(&project), ["state-open"]);
    mode(0o700);
    project.guard("api").kill();
    project.soloist(&["down"]);
    project.write("soloist.toml", "[services.api]\ncommnd = 'x'\n");
    let said = project.soloist(&["doctor"]).expect(1);
    said.says("[bad-config]").says("commnd");
    assert_eq!(codes(&Project::empty().soloist(&["doctor", "--json"]).expect(1))[0], "no-config");
}

#[test]
fn too_few_descriptors_for_many_instances_are_told() {
    let services: String =
        (0..50).map(|number| format!("[services.s{number}]\ncommand = 'sleep 1000'\n")).collect();
    let project = Project::new(&services);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 200 && exec \"$0\" doctor --json"]).arg(&binaries().soloist);
    project.dress(&mut shell);
    let output = e2e::project::finish(&mut shell, "doctor --json");
    assert!(codes(&output.clone().expect(1)).contains(&"few-descriptors".to_owned()), "{output}");
}

const SERVER: &str = "import os, sys, subprocess\nfrom http.server import HTTPServer, BaseHTTPRequestHandler\n\
                      if __name__ == '__main__':\n    HTTPServer(('127.0.0.1', int(os.environ['PORT'])), BaseHTTPRequestHandler).serve_forever()\n";

#[test]
fn what_init_writes_runs_and_is_never_written_over() {
    if program("python3").is_none() {
        return skip_loudly("no python3");
    }
    let project = Project::empty();
    let port = free_port();
    project.write("server.py", SERVER);
    project.write("run_live.py", "import time\nwhile True:\n    time.sleep(6)\n");
    project.write("Procfile", &format!("web: env PORT={port} python3 server.py --port {port}\n"));
    let shown = project.soloist(&["init", "--stdout"]).expect(0);
    assert!(!project.folder().join("soloist.toml").exists(), "only shown");
    let said = project.soloist(&["init"]).expect(0);
    said.says(&format!("web: web in Procfile:1, port {port} (Procfile:1)"))
        .says("run_live: a loop in run_live.py:2");
    assert_eq!(project.read("soloist.toml"), shown.stdout);
    project.soloist(&["init"]).expect(1).says(&project.path("soloist.toml")).says("is there already");
    assert_eq!(project.read("soloist.toml"), shown.stdout);
    assert_eq!(found(&project), [""; 0]);
    project.soloist(&["up", "-d"]).expect(0);
    assert_eq!(project.service("web").state, "ready");
    assert_eq!(project.service("run_live").state, "ready");
}

/// Below a project, `init` is about the folder it is called in.
#[test]
fn init_is_about_the_folder_it_is_called_in() {
    let project = Project::new("");
    std::fs::create_dir(project.folder().join("below")).unwrap_or_else(|e| panic!("{e}"));
    project.soloist(&["-C", "below", "init"]).expect(0);
    assert!(project.read("below/soloist.toml").contains("Nothing was found"));
    assert_eq!(project.read("soloist.toml"), "");
    project.soloist(&["-C", "nowhere", "init"]).expect(1).says("nowhere");
}

/// A script of contrib/scripts, copied into the project, with soloist on its PATH.
#[track_caller]
fn script(project: &Project, name: &str, arguments: &[&str]) -> Output {
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../contrib/scripts").join(name);
    let copy = project.folder().join("backend").join(name);
    std::fs::copy(&source, &copy).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
    let mut command = Command::new(copy);
    project.dress(&mut command);
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = binaries().soloist.parent().map(Path::to_owned).unwrap_or_default();
    command.args(arguments).current_dir("/").env("PATH", format!("{}:{path}", folder.display()));
    e2e::project::finish(&mut command, name)
}

#[test]
fn the_scripts_that_people_know_do_it_from_any_folder() {
    let port = free_port();
    let text = port.to_string();
    let project = Project::new(&format!(
        "[services.api]\ncommand = {}\nport = {port}\n[services.worker]\ncommand = 'sleep 1000'\n",
        quoted(&puppet(&["--listen", &text]))
    ));
    std::fs::create_dir(project.folder().join("backend")).unwrap_or_else(|e| panic!("{e}"));
    let pids = |project: &Project| (project.service("api").pid, project.service("worker").pid);
    script(&project, "start.sh", &[]).expect(0);
    let first = pids(&project);
    assert!(first.0.is_some() && first.1.is_some(), "{first:?}");
    script(&project, "start.sh", &[]).expect(0);
    assert_eq!(pids(&project), first, "never doubled");
    script(&project, "restart.sh", &["api"]).expect(0);
    let second = pids(&project);
    assert!(second.0 != first.0 && second.1 == first.1, "{first:?} {second:?}");
    script(&project, "stop.sh", &["api"]).expect(0);
    assert!(is_free(port) && project.service("worker").pid == first.1);
    script(&project, "restart.sh", &[]).expect(0);
    let third = pids(&project);
    assert!(third.0.is_some() && third.1 != first.1, "{third:?}");
    script(&project, "stop.sh", &[]).expect(0);
    assert!(is_free(port));
    project.wait_until_nothing_lives(LIMIT);
    script(&project, "cleanup.sh", &["--dry-run"]).expect(0).says("nothing to clean up");
}

#[test]
fn each_script_has_two_lines_and_its_twin() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../contrib/scripts");
    for name in ["start", "stop", "restart", "cleanup"] {
        for ending in ["sh", "bat"] {
            let path = folder.join(name).with_extension(ending);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(text.lines().count() == 2 && text.contains("soloist"), "{}", path.display());
        }
    }
}

#[test]
fn findings_are_a_list_also_when_there_are_none() {
    let project = Project::new("");
    let output = project.soloist(&["doctor", "--json"]);
    assert!(matches!(output.json(), Value::Array(_)), "{output}");
}
