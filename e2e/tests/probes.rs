//! Real services, asked by real probes: ready when they say so, unhealthy when they say so no more, restarted when they
//! are not alive.

use e2e::{Identity, LIMIT, Project, Service, free_port, program, skip_loudly, wait_until};

/// A service `it` that runs a script of a shell and is asked as the lines say; started beside the test.
fn started(script: &str, lines: &str) -> (Project, e2e::Background) {
    let project = Project::empty();
    let script = serde_json::to_string(script).unwrap();
    project.write(
        "soloist.toml",
        &format!("[services.it]\ncommand = [\"/bin/sh\", \"-c\", {script}]\n{lines}\n"),
    );
    let up = project.spawn(&["up", "-d"]);
    (project, up)
}

#[track_caller]
fn wait_for_note(project: &Project, state: &str, words: &str) -> Service {
    wait_until(&format!("`it` is {state} and its note says `{words}`"), LIMIT, || {
        let seen = project.service("it");
        let is_said = seen.note.as_deref().is_some_and(|note| note.contains(words));
        if seen.state == state && is_said { Ok(seen) } else { Err(format!("{seen:?}")) }
    })
}

#[test]
fn a_command_in_its_folder_tells_whether_it_serves() {
    let (project, _up) = started(
        "exec sleep 1000",
        "readiness = { exec = [\"test\", \"-e\", \"open\"], period-seconds = 1, failure-threshold = 1 }",
    );
    let before = project.wait_for_state("it", "starting", LIMIT);
    project.write("open", "");
    let ready = project.wait_for_state("it", "ready", LIMIT);
    std::fs::remove_file(project.folder().join("open")).unwrap();
    wait_for_note(&project, "unhealthy", "exit code 1");
    project.write("open", "");
    let again = project.wait_for_state("it", "ready", LIMIT);
    assert_eq!(
        (before.pid.or(ready.pid), ready.restarts),
        (again.pid, again.restarts),
        "it was left running"
    );
}

#[test]
fn a_command_that_never_ends_has_failed_and_leaves_nothing() {
    let (project, up) = started(
        "echo beginning; exec sleep 1000",
        "readiness = { exec = [\"sh\", \"-c\", \"sleep 777 & sleep 777\"], period-seconds = 1 }\n\
         ready-timeout = \"4s\"\nrestart = \"no\"",
    );
    let seen = project.wait_for_state("it", "failed", LIMIT);
    wait_until("it is told why", LIMIT, || match up.said() {
        said if said.contains("timed out after 1 s") => Ok(()),
        said => Err(said),
    });
    assert_eq!(seen.tail, ["beginning"]);
    let left: Vec<Identity> =
        project.processes().into_iter().filter(|one| one.command().contains("777")).collect();
    assert_eq!(left, []);
}

#[test]
fn a_line_of_its_log_makes_it_ready_and_so_it_stays_under_a_new_daemon() {
    let script =
        "echo warming up; until test -e open; do sleep 0.05; done; echo now serving; exec sleep 1000";
    let (project, _up) = started(script, "readiness = { log = \"^now serving\", period-seconds = 1 }");
    project.wait_for_state("it", "starting", LIMIT);
    project.write("open", "");
    let before = project.wait_for_state("it", "ready", LIMIT);
    let daemon = project.status().daemon.unwrap();
    assert!(Identity::of(daemon.pid).unwrap().kill());
    wait_until("the daemon ended", LIMIT, || match Identity::of(daemon.pid) {
        Some(one) if one.is_alive() => Err(one.to_string()),
        _ => Ok(()),
    });
    project.soloist(&["up", "-d"]).expect(0);
    let after = project.service("it");
    assert_eq!((after.state.as_str(), after.pid, after.restarts), ("ready", before.pid, 0), "{after:?}");
}

/// Answers with the status that the file `status` says, until the file `stuck` is there: then with nothing.
const SERVER: &str = r#"
import http.server, os, sys, time
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        while os.path.exists("stuck"):
            time.sleep(0.05)
        self.send_response(int(open("status").read()))
        self.end_headers()
    def log_message(self, *of):
        print(self.path, flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"#;

#[test]
fn a_server_is_ready_unhealthy_and_restarted_as_its_answers_say() {
    if program("python3").is_none() {
        return skip_loudly("no python3");
    }
    let project = Project::empty();
    project.write("server.py", SERVER);
    project.write("status", "503");
    let port = free_port();
    project.write(
        "soloist.toml",
        &format!(
            "[services.it]\ncommand = \"python3 server.py {port}\"\nport = {port}\n\
             readiness = {{ http = \"/ready\", period-seconds = 1, failure-threshold = 1 }}\n\
             liveness = {{ http = \"/live\", period-seconds = 1, failure-threshold = 2, initial-delay-seconds = 2 }}\n"
        ),
    );
    let _up = project.spawn(&["up", "-d"]);
    wait_until("it was asked", LIMIT, || match project.log("it") {
        log if String::from_utf8_lossy(&log).contains("/ready") => Ok(()),
        log => Err(String::from_utf8_lossy(&log).into_owned()),
    });
    assert_eq!(project.service("it").state, "starting");
    project.write("status", "302");
    let ready = project.wait_for_state("it", "ready", LIMIT);
    project.write("stuck", "");
    wait_for_note(&project, "unhealthy", "timed out after 1 s");
    let fallen = wait_until("it was restarted", LIMIT, || {
        let seen = project.service("it");
        if seen.restarts > 0 { Ok(seen) } else { Err(format!("{seen:?}")) }
    });
    std::fs::remove_file(project.folder().join("stuck")).unwrap();
    let again = project.wait_for_state("it", "ready", LIMIT);
    assert_ne!(again.pid, ready.pid, "{fallen:?}");
}
