//! Bad input: one clear error each, with its place in the file, the documented exit code, and nothing half-started.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use e2e::{LIMIT, Output, Project, binaries, project, puppet, quoted, wait_until};

/// A good service in front of what is wrong: it must not have started. It takes three lines.
fn with_a_good_service(wrong: &str) -> Project {
    let project = Project::empty();
    let good = quoted(&puppet(&["--token-file", &project.path("token")]));
    project.write("soloist.toml", &format!("[services.good]\ncommand = {good}\nrestart = \"no\"\n{wrong}"));
    project
}

/// What follows the three lines is refused at this line (and column, unless 0) with these words; nothing starts.
#[track_caller]
fn refused(wrong: &str, line: usize, column: usize, words: &[&str]) -> Output {
    let project = with_a_good_service(wrong);
    let output = project.soloist(&["up", "-d"]).expect(1);
    let found = position(&output);
    assert_eq!(found.0, line, "the line in {output}");
    assert!(found.1 >= 1 && (column == 0 || found.1 == column), "the column is not {column} in {output}");
    for word in words {
        output.says(word);
    }
    assert!(output.stdout.is_empty(), "errors belong on stderr: {output}");
    nothing_started(&project, &output);
    // Every verb that needs the file refuses it alike.
    for verb in ["start", "ensure"] {
        let again = project.soloist(&[verb, "good"]).expect(1);
        assert_eq!(position(&again), found);
    }
    nothing_started(&project, &output);
    output
}

/// The one `soloist.toml:LINE:COLUMN` in an error.
#[track_caller]
fn position(output: &Output) -> (usize, usize) {
    let places: Vec<&str> = output.stderr.split("soloist.toml:").skip(1).collect();
    assert_eq!(places.len(), 1, "one error, one place: {output}");
    let mut numbers = places[0].split(|c: char| !c.is_ascii_digit()).map(|word| word.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[track_caller]
fn nothing_started(project: &Project, after: &Output) {
    assert_eq!(project.journal().starts(), [], "a service was started by {after}");
    wait_until("nothing lives", LIMIT, || {
        let left = project.processes();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} after {after}")) }
    });
}

#[test]
fn an_unknown_key_is_refused_with_a_suggestion() {
    refused("[services.bad]\ncommand = \"true\"\nrestrat = \"no\"\n", 6, 1, &["restrat", "restart"]);
    refused("[services.bad]\ncommand = \"true\"\nstop_grace = \"1s\"\n", 6, 1, &["stop_grace", "stop-grace"]);
    refused("[service.bad]\ncommand = \"true\"\n", 4, 0, &["service", "services"]);
    refused("[services.bad]\ncommand = \"true\"\nbackoff = { fist = \"1s\" }\n", 6, 0, &["fist", "first"]);
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    refused("[services.bad]\ncommand = 5\n", 5, 0, &["command"]);
    refused("[services.bad]\ncommand = \"true\"\nport = \"high\"\n", 6, 0, &["port"]);
    refused("[services.bad]\ncommand = \"true\"\nstop-grace = \"soon\"\n", 6, 0, &["stop-grace", "soon"]);
    refused("[services.bad]\ncommand = \"true\"\nrestart = \"sometimes\"\n", 6, 0, &["restart", "sometimes"]);
    refused("[services.bad]\ncommand = \"true\"\nstop-signal = \"NOPE\"\n", 6, 0, &["NOPE"]);
    refused("[services.bad]\ncommand = \"true\"\nenv = { A = [1] }\n", 6, 0, &["env"]);
}

#[test]
fn text_that_is_no_toml_is_refused() {
    refused("[services.bad\n", 4, 0, &[]);
    refused("[services.bad]\ncommand = \"true\"\ncommand = \"false\"\n", 6, 0, &["command"]);
}

#[test]
fn a_port_out_of_range_is_refused() {
    refused("[services.bad]\ncommand = \"true\"\nport = 0\n", 6, 0, &["port", "0"]);
    refused("[services.bad]\ncommand = \"true\"\nport = 70000\n", 6, 0, &["70000"]);
    refused("[services.bad]\ncommand = \"true\"\nport = -1\n", 6, 0, &["-1"]);
}

#[test]
fn a_folder_that_is_not_there_is_refused() {
    refused("[services.bad]\ncommand = \"true\"\ndir = \"no-such-folder\"\n", 6, 0, &["no-such-folder"]);
}

#[test]
fn a_port_that_two_services_want_is_refused() {
    let wrong =
        "[services.a]\ncommand = \"true\"\nport = 9000\n[services.b]\ncommand = \"true\"\nport = 9000\n";
    refused(wrong, 9, 0, &["9000", "a", "b"]);
}

#[test]
fn a_dependency_on_nothing_is_refused() {
    let wrong = "[services.bad]\ncommand = \"true\"\ndepends-on = [\"goood\"]\n";
    refused(wrong, 6, 0, &["goood", "good"]);
}

#[test]
fn a_dependency_cycle_is_refused() {
    let wrong = "[services.a]\ncommand = \"true\"\ndepends-on = [\"b\"]\n\
                 [services.b]\ncommand = \"true\"\ndepends-on = [\"a\"]\n";
    let output = refused_in(wrong, &[6, 9]);
    output.says("a").says("b");
    refused("[services.self]\ncommand = \"true\"\ndepends-on = [\"self\"]\n", 6, 0, &["self"]);
}

/// A cycle has no beginning: one of several lines.
#[track_caller]
fn refused_in(wrong: &str, lines: &[usize]) -> Output {
    let project = with_a_good_service(wrong);
    let output = project.soloist(&["up", "-d"]).expect(1);
    assert!(lines.contains(&position(&output).0), "{output}");
    nothing_started(&project, &output);
    output
}

#[test]
fn a_name_with_a_slash_is_refused() {
    refused("[services.\"a/b\"]\ncommand = \"true\"\n", 4, 0, &["a/b"]);
    refused("[services.\"..\"]\ncommand = \"true\"\n", 4, 0, &[".."]);
    let project = Project::empty();
    for name in ["a/b", "../escaped", "..", "", ".hidden/x"] {
        let output = project.soloist(&["run", name, "--", "touch", "ran"]);
        assert!([1, 2].contains(&output.code()), "{output}");
    }
    assert!(!project.folder().join("ran").exists());
    project.wait_until_nothing_lives(LIMIT);
}

#[test]
fn a_service_without_a_command_is_refused() {
    refused("[services.bad]\nport = 9000\n", 4, 0, &["command", "bad"]);
    refused("[services.bad]\ncommand = []\n", 5, 0, &["command"]);
    refused("[services.bad]\ncommand = \"\"\n", 5, 0, &["command"]);
    refused("[services.bad]\ncommand = \"unclosed 'quote\"\n", 5, 0, &["command"]);
}

#[test]
fn a_command_that_cannot_be_run_fails_at_once_and_is_not_tried_again() {
    let project = Project::empty();
    project.write("script", "#!/bin/sh\n");
    project.write(
        "soloist.toml",
        "[services.missing]\ncommand = [\"no-such-command-anywhere\"]\n\
         [services.plain]\ncommand = [\"./script\"]\n",
    );
    for (name, words) in
        [("missing", ["no-such-command-anywhere", "not found"]), ("plain", ["script", "execut"])]
    {
        let output = project.soloist(&["start", name]);
        assert!([1, 5].contains(&output.code()), "{output}");
        for word in words {
            output.says(word);
        }
        let seen = project.service(name);
        assert_eq!((seen.state.as_str(), seen.pid, seen.restarts), ("failed", None, 0), "{seen:?}");
    }
    let up = project.soloist(&["up", "-d"]);
    assert!([1, 5].contains(&up.code()), "{up}");
}

#[test]
fn a_folder_without_a_project_is_said() {
    let project = Project::empty();
    let output = project.soloist(&["up", "-d"]).expect(1);
    output.says("soloist.toml");
    nothing_started(&project, &output);
    let output = project.soloist(&["-C", &project.path("no-such-folder"), "up", "-d"]).expect(1);
    output.says("no-such-folder");
    project.write("file", "");
    let output = project.soloist(&["-C", &project.path("file"), "up", "-d"]).expect(1);
    output.says("file");
    nothing_started(&project, &output);
}

#[test]
fn an_unreadable_folder_is_said() {
    let project = with_a_good_service("");
    let folder = project.folder().display().to_string();
    let mode = |mode: u32| {
        std::fs::set_permissions(project.folder(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let output = if rustix::process::geteuid().is_root() {
        // Root may read everything; somebody else, with a copy of the program, may not.
        let open = tempfile::tempdir().unwrap();
        std::fs::set_permissions(open.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let copy = open.path().join("soloist");
        // By cp(1): while this process has the copy open for writing, a fork of another test could hold it open, too,
        // and then it cannot be executed.
        assert!(Command::new("cp").args([&binaries().soloist, &copy]).status().unwrap().success());
        let mut command = Command::new(&copy);
        command.args(["-C", &folder, "up", "-d"]).uid(65534).gid(65534).current_dir("/");
        command.env("XDG_STATE_HOME", open.path()).env("HOME", open.path());
        project::finish(&mut command, "-C DIR up -d, as nobody")
    } else {
        mode(0o000);
        let mut command = Command::new(&binaries().soloist);
        command.args(["-C", &folder, "up", "-d"]).current_dir("/").env("XDG_STATE_HOME", project.state());
        let output = project::finish(&mut command, "-C DIR up -d");
        mode(0o700);
        output
    };
    let output = output.expect(1);
    assert!(output.stderr.to_lowercase().contains("permission denied"), "{output}");
    output.says(&folder);
    nothing_started(&project, &output);
}

#[test]
fn a_state_folder_that_is_none_is_said() {
    let project = with_a_good_service("");
    project.write(".soloist", "a file");
    let output = project.soloist(&["up", "-d"]).expect(1);
    output.says(".soloist");
    nothing_started(&project, &output);
    assert_eq!(project.read(".soloist"), "a file", "it was not ours to change");
    std::fs::remove_file(project.folder().join(".soloist")).unwrap();
}

#[test]
fn a_corrupt_ledger_is_said_and_does_not_keep_a_command_from_working() {
    let project = with_a_good_service("");
    project.soloist(&["up", "-d"]).expect(0);
    project.soloist(&["down"]).expect(0);
    for garbage in ["{\"torn\": ", "\0\0\0\0", "", "[]"] {
        let before = project.journal().starts().len();
        project.write(".soloist/ledger.json", garbage);
        let up = project.soloist(&["up", "-d"]).expect(0);
        up.says("ledger.json");
        assert_eq!(project.service("good").state, "ready");
        wait_until("it has begun once more", LIMIT, || {
            let starts = project.journal().starts().len();
            if starts == before + 1 { Ok(()) } else { Err(starts) }
        });
        project.soloist(&["down"]).expect(0);
        project.wait_until_nothing_lives(LIMIT);
    }
}

#[test]
fn a_corrupt_ledger_costs_no_running_service() {
    let project = with_a_good_service("");
    project.soloist(&["up", "-d"]).expect(0);
    let status = project.status();
    let daemon = status.daemon.as_ref().map(|daemon| daemon.pid).and_then(e2e::Identity::of).unwrap();
    // As long as somebody else is starting a daemon, no guard does.
    let starting = std::fs::File::open(project.folder().join(".soloist/start.lock")).unwrap();
    rustix::fs::flock(&starting, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(daemon.kill());
    wait_until("the daemon is dead", LIMIT, || if daemon.is_alive() { Err(daemon) } else { Ok(()) });
    project.write(".soloist/ledger.json", "{\"torn\": ");
    drop(starting);
    project.soloist(&["ensure", "good"]).expect(0);
    // Whoever has brought the daemon back: it tells everybody.
    project.soloist(&["status"]).expect(0).says("ledger.json");
    assert_eq!(project.service("good").pid, status.service("good").pid);
    assert_eq!(project.journal().starts().len(), 1);
}

#[test]
fn wrong_use_is_said_with_exit_code_2() {
    let project = with_a_good_service("");
    for arguments in [
        &["upp"][..],
        &["start"],
        &["run"],
        &["run", "x"],
        &["run", "x", "--"],
        &["run", "x", "--port", "70000", "--", "true"],
        &["run", "x", "--port", "0", "--", "true"],
        &["run", "x", "--stop-grace", "soon", "--", "true"],
        &["who", "0"],
        &["who", "70000"],
        &["who", "http"],
        &["up", "--no-such-flag"],
    ] {
        let output = project.soloist(arguments).expect(2);
        assert!(!output.stderr.is_empty(), "{output}");
        nothing_started(&project, &output);
    }
}

#[test]
fn who_needs_what_never_gets_ready_is_told_so_and_starts_once_it_does() {
    let project = Project::empty();
    let port = e2e::free_port();
    let (go, listens) = (project.path("go"), quoted(&puppet(&["--listen", &port.to_string()])));
    let listens: Vec<String> = serde_json::from_str(&listens).unwrap_or_else(|e| panic!("{listens}: {e}"));
    let script = format!("test -e {go} && exec {}; exec sleep 300", listens.join(" "));
    project.write(
        "soloist.toml",
        &format!(
            "[services.db]\ncommand = {}\nport = {port}\nready-timeout = \"300ms\"\n\
             backoff = {{ first = \"200ms\", max = \"400ms\" }}\nrestart-limit = {{ count = 1000, period = \"1m\" }}\n\
             [services.web]\ncommand = {}\ndepends-on = [\"db\"]\n",
            quoted(&["sh", "-c", &script]),
            quoted(&puppet(&[] as &[&str]))
        ),
    );
    // Bounded, and it names who is missing and why.
    let up = project.soloist(&["up", "-d"]).expect(7);
    up.says("does not listen on its ports");
    project.soloist(&["wait", "web", "--for", "ready", "--timeout", "300ms"]).expect(7);
    project.soloist(&["why", "web"]).expect(0).says("db");
    assert_eq!(project.service("web").pid, None);
    project.write("go", "");
    project.wait_for_state("web", "ready", LIMIT);
    assert_eq!(project.service("db").state, "ready");
    project.soloist(&["down"]).expect(0);
}

/// What is wrong with a schedule, in a job that would start at once: `LINES` of its section, then tables of their own.
fn scheduled(lines: &str, tables: &str) -> String {
    format!("[jobs.bad]\ncommand = \"true\"\n{lines}\n{tables}")
}

#[test]
fn an_interval_that_is_none_is_refused() {
    for (every, words) in [
        ("\"0s\"", ["`every` is zero", "write it like"]),
        ("\"-1s\"", ["`every` is negative", "leave out the sign: `\"1s\"`"]),
        ("\"1 fortnight\"", ["`fortnight` is no unit", "units are ms, s, m, h, d"]),
        ("6", ["without a unit", "write `\"6s\"`"]),
        ("\"1ms\"", ["too short", "10ms"]),
    ] {
        refused(&scheduled(&format!("every = {every}"), ""), 6, 9, &words);
    }
}

#[test]
fn a_cron_expression_that_is_none_or_never_fires_is_refused() {
    refused(&scheduled("cron = \"0 0 9 * * mon-fri 2026\"", ""), 6, 0, &["cron", "7 fields"]);
    refused(&scheduled("cron = \"0 0 31 2 *\"", ""), 6, 0, &["cron", "never"]);
    refused(&scheduled("cron = \"60 * * * *\"", ""), 6, 0, &["cron", "60"]);
    refused(&scheduled("at = \"24:00\"", ""), 6, 0, &["24:00", "23:59:59"]);
}

#[test]
fn an_unknown_zone_is_refused_with_the_nearest_name() {
    let meant = "did you mean `Asia/Kolkata`?";
    refused(&scheduled("at = \"09:15\"\ntimezone = \"Asia/Kolkatta\"", ""), 7, 12, &["Asia/Kolkatta", meant]);
    let window = "[windows.w]\ntimezone = \"Asia/Kolkatta\"\nopen = \"09:15\"\nclose = \"15:30\"\n";
    refused(&scheduled("every = \"6s\"\nwindow = \"w\"", window), 9, 12, &["Asia/Kolkatta", meant]);
}

#[test]
fn hours_that_are_none_are_refused() {
    let within = |hours: &str| {
        scheduled("every = \"6s\"\nwindow = \"w\"", &format!("[windows.w]\ntimezone = \"UTC\"\n{hours}\n"))
    };
    refused(
        &within("open = \"15:30\"\nclose = \"09:15\""),
        11,
        0,
        &["closes at 09:15, before it opens at 15:30"],
    );
    let overlap = "sessions = [\"09:00-11:30\", \"11:00-15:00\"]";
    refused(&within(overlap), 10, 0, &["overlap", "09:00-11:30", "11:00-15:00"]);
    refused(&within("open = \"09:15\""), 10, 8, &["`open` is declared without `close`"]);
    refused(&scheduled("every = \"6s\"\nwindow = \"NES\"", ""), 7, 0, &["NES", "did you mean `NSE`?"]);
}

#[test]
fn a_calendar_with_a_day_that_is_there_twice_is_refused() {
    let project = with_a_good_service(&scheduled(
        "every = \"6s\"\nwindow = \"MINE\"",
        "[calendars.MINE]\nfile = \"mine.toml\"\n",
    ));
    project.write(
        "mine.toml",
        "timezone = \"Asia/Kolkata\"\nvalid-through = \"2026-12-31\"\n\
         regimes = [{ from = \"2026-01-01\", days = \"mon-fri\", regular = \"09:15-15:30\" }]\n\
         [holidays]\n2026 = [\"01-26 Republic Day\", \"05-01\", \"01-26\"]\n",
    );
    let output = project.soloist(&["up", "-d"]).expect(1);
    assert_eq!(position(&output).0, 9, "{output}");
    output.says("mine.toml:5:").says("2026-01-26 is listed twice").says("keep one of the two");
    assert_eq!(output.stderr.matches("error").count(), 1, "{output}");
    nothing_started(&project, &output);
}
