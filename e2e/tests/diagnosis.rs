//! A run that fell says why: real programs fail for real reasons, the reason is told in the status, and what no further
//! try can help is not tried ten times.

use e2e::{LIMIT, Project, Service, free_port, program, puppet, quoted, skip_loudly, wait_until};

/// A service `it` that runs this command, with a port that it never comes to listen on.
fn failing(command: &[&str]) -> Project {
    let project = Project::empty();
    let command = quoted(command);
    project.write("soloist.toml", &format!("[services.it]\ncommand = {command}\nport = {}\n", free_port()));
    project
}

/// Starts `it`, which fails for good, and gives what is told of it.
#[track_caller]
fn failed(project: &Project) -> Service {
    project.soloist(&["up", "-d"]);
    let seen = project.wait_for_state("it", "failed", LIMIT);
    assert!(seen.restarts <= 1, "it was tried again and again: {seen:?}");
    seen
}

#[track_caller]
fn notes(seen: &Service, words: &str) {
    assert!(seen.note.as_deref().is_some_and(|note| note.contains(words)), "no `{words}` in {seen:?}");
}

#[test]
fn a_python_service_whose_import_is_missing_is_given_up_early() {
    let Some(python) = program("python3") else { return skip_loudly("no python3") };
    let project = failing(&[python.to_str().unwrap(), "app.py"]);
    project.write("app.py", "print('beginning')\nimport no_such_module\n");
    let seen = failed(&project);
    notes(&seen, "the Python module `no_such_module` was not found");
    notes(&seen, "-m pip install no_such_module");
    assert!(seen.tail.iter().any(|line| line == "beginning"), "{seen:?}");
    let last = "ModuleNotFoundError: No module named 'no_such_module'";
    assert_eq!(seen.tail.last().map(String::as_str), Some(last));
    let said = project.soloist(&["status", "it"]).stdout;
    assert!(said.contains(last) && said.contains("-m pip install"), "{said}");
}

#[test]
fn standard_error_that_is_kept_apart_tells_as_well_and_only_of_this_run() {
    let Some(python) = program("python3") else { return skip_loudly("no python3") };
    let project = Project::empty();
    let command = quoted(&[python.to_str().unwrap(), "app.py"]);
    let log = "log = { split = true }\nrestart = 'no'";
    project.write(
        "soloist.toml",
        &format!("[services.it]\ncommand = {command}\nport = {}\n{log}\n", free_port()),
    );
    for module in ["no_such_first", "no_such_second"] {
        project.write("app.py", &format!("print('beginning')\nimport {module}\n"));
        project.soloist(&["restart", "it"]);
        let seen = project.wait_for_state("it", "failed", LIMIT);
        let last = format!("ModuleNotFoundError: No module named '{module}'");
        assert_eq!(seen.tail.last(), Some(&last), "{seen:?}");
        assert!(seen.tail.iter().any(|line| line == "beginning"), "{seen:?}");
        notes(&seen, &format!("the Python module `{module}` was not found"));
        let said = project.soloist(&["why", "it"]).expect(0).stdout;
        assert!(said.contains(&last), "{said}");
        assert!(module == "no_such_first" || !said.contains("no_such_first"), "{said}");
    }
}

#[test]
fn a_node_service_whose_package_is_missing_is_given_up_early() {
    let Some(node) = program("node") else { return skip_loudly("no node") };
    let project = failing(&[node.to_str().unwrap(), "app.js"]);
    project.write("app.js", "require('no-such-package')\n");
    let words =
        format!("the Node package `no-such-package` was not found; `npm install` in {}", project.path(""));
    notes(&failed(&project), words.trim_end_matches('/'));
}

#[test]
fn a_command_that_a_shell_does_not_find_is_named() {
    let seen = failed(&failing(&["/bin/sh", "-c", "no-such-command --serve"]));
    notes(&seen, "the command `no-such-command` was not found");
    assert_eq!(seen.restarts, 0, "{seen:?}");
}

#[test]
fn what_an_earlier_run_wrote_is_not_taken_for_the_reason_of_this_one() {
    let script = "test -e second && exit 1; touch second; echo 'sh: 1: earlier: not found'; exit 127";
    let project = failing(&["/bin/sh", "-c", script]);
    notes(&failed(&project), "`earlier`");
    let _start = project.spawn(&["start", "it"]);
    let seen = wait_until("the second run ended", LIMIT, || {
        let seen = project.service("it");
        let is_second = seen.exit.is_some_and(|exit| exit.code == Some(1));
        if is_second { Ok(seen) } else { Err(format!("{seen:?}")) }
    });
    assert!(!seen.note.as_deref().unwrap_or_default().contains("earlier"), "{seen:?}");
    assert!(seen.tail.is_empty(), "it wrote nothing: {seen:?}");
}

#[test]
fn who_holds_a_taken_port_is_named_and_it_is_tried_again() {
    let Some(python) = program("python3") else { return skip_loudly("no python3") };
    let project = Project::empty();
    let port = free_port().to_string();
    let stranger = project.stranger(&puppet(&["--listen", &port]));
    wait_until("the stranger listens", LIMIT, || {
        if e2e::is_free(port.parse().unwrap()) { Err(stranger.said()) } else { Ok(()) }
    });
    // The port is not declared, so nobody looks before the start.
    let command = quoted(&[python.to_str().unwrap(), "-m", "http.server", &port]);
    project.write("soloist.toml", &format!("[services.it]\ncommand = {command}\n"));
    let _up = project.spawn(&["up", "-d"]);
    let seen = project.wait_for_state("it", "backoff", LIMIT);
    assert!(seen.tail.last().is_some_and(|line| line.contains("Address already in use")), "{seen:?}");
    // Python does not say which port.
    notes(&seen, "a port that it wants to listen on is taken");

    let other = Project::empty();
    let code = "import asyncio, sys\nasync def serve():\n    await asyncio.start_server(print, port=int(sys.argv[1]))\nasyncio.run(serve())\n";
    other.write("app.py", code);
    let command = quoted(&[python.to_str().unwrap(), "app.py", &port]);
    other.write("soloist.toml", &format!("[services.it]\ncommand = {command}\n"));
    let _up = other.spawn(&["up", "-d"]);
    let seen = other.wait_for_state("it", "backoff", LIMIT);
    notes(&seen, &format!("port {port} is taken by pid {} ", stranger.pid()));
}
