//! The life of declared services and jobs, from `up` to `down`, as a person sees it.

use std::time::{Duration, Instant};

use e2e::puppet::voice;
use e2e::{Identity, LIMIT, Project, Service, daemon, free_port, is_free, puppet, quoted, wait_until};
use rustix::process::Signal;

/// A project with the server `api`, the worker `talker` that needs it, and what else is said.
fn project(more: &str) -> (Project, u16) {
    let project = Project::empty();
    let port = free_port();
    let (beacon, text) = (project.beacon().text(), port.to_string());
    let api = quoted(&puppet(&["--alone", &beacon, "--listen", &text]));
    let talker = quoted(&puppet(&["--write", "500"]));
    project.write(
        "soloist.toml",
        &format!(
            "[services.api]\ncommand = {api}\nport = {port}\nbackoff = {{ first = \"50ms\", max = \"100ms\" }}\n\
             [services.talker]\ncommand = {talker}\ndepends-on = [\"api\"]\n{more}"
        ),
    );
    (project, port)
}

fn identity(service: &Service) -> Identity {
    service.pid.and_then(Identity::of).unwrap_or_else(|| panic!("no living process: {service:?}"))
}

#[test]
fn up_returns_when_everything_is_ready_and_down_ends_everything() {
    let (project, port) = project("");
    project.soloist(&["up", "-d"]).expect(0);
    let status = project.status();
    let daemon = Identity::of(status.daemon.as_ref().unwrap().pid).unwrap();
    assert!(daemon.is_alive() && !is_free(port));
    assert_eq!(status.services.len(), 2, "{status:?}");
    for service in &status.services {
        assert_eq!((service.state.as_str(), service.wanted.as_str(), service.ready), ("ready", "up", true));
        assert!(
            identity(service).is_alive() && service.run_id.is_some() && service.restarts == 0,
            "{service:?}"
        );
        assert_eq!(service.kind.as_deref(), Some("service"));
        assert!(service.since.as_deref().is_some_and(is_rfc3339), "{service:?}");
        assert!(service.exit.is_none() && !service.command.is_empty(), "{service:?}");
    }
    assert_eq!(status.service("api").ports, [port]);
    let one = project.soloist(&["status", "api"]).expect(0);
    assert!(one.names_number(u64::from(status.service("api").pid.unwrap())), "{one}");
    let down = project.soloist(&["down"]).expect(0);
    assert!(is_free(port), "the port is taken after {down}");
    assert!(!daemon.is_alive(), "the daemon lives after {down}");
    assert_eq!(project.survivors(), [], "after {down}");
    let after = project.status();
    assert!(after.daemon.is_none(), "{after:?}");
    assert!(
        after.services.iter().all(|service| service.state == "stopped" && service.pid.is_none()),
        "{after:?}"
    );
    // Already so.
    project.soloist(&["down"]).expect(0);
}

/// `2025-01-31T12:00:00Z`, perhaps with a fraction or an offset.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[13] == b':' && bytes[16] == b':'
}

#[test]
fn each_of_many_that_start_at_once_holds_its_own_claim_and_no_other() {
    const COUNT: usize = 40;
    let sleeps = quoted(&puppet(&[] as &[&str]));
    let one = |at: usize| format!("[services.s{at}]\ncommand = {sleeps}\n");
    let project = Project::new(&(0..COUNT).map(one).collect::<String>());
    project.soloist(&["up", "-d"]).expect(0);
    // While all others live, the claim of a stopped one is free for anybody: no other guard shares it.
    for name in ["s0", "s7", "s38"] {
        project.soloist(&["stop", name]).expect(0);
        project.soloist(&["run", name, "--", "true"]).expect(0);
    }
    let alive = project.status().services.iter().filter(|s| s.state == "ready").count();
    assert_eq!(alive, COUNT - 3);
    project.soloist(&["down"]).expect(0);
    project.wait_until_nothing_lives(LIMIT);
}

#[test]
fn what_it_depends_on_is_ready_first() {
    let project = Project::empty();
    let port = free_port();
    let text = port.to_string();
    // It listens late, and the other one looks whether it does.
    let late = format!("sleep 0.3; exec {} --listen {text}", puppet(&[""; 0])[0]);
    let look = format!("grep -qi :{port:04X} /proc/net/tcp && touch was-first; exec sleep 100");
    project.write(
        "soloist.toml",
        &format!(
            "[services.a]\ncommand = {}\ndepends-on = [\"z\"]\n[services.z]\ncommand = {}\nport = {port}\n",
            quoted(&["/bin/sh", "-c", &look]),
            quoted(&["/bin/sh", "-c", &late])
        ),
    );
    project.soloist(&["start", "a"]).expect(0);
    wait_until("it has looked", LIMIT, || {
        let command = identity(&project.service("a")).command();
        if command.starts_with("sleep") { Ok(()) } else { Err(command) }
    });
    assert!(project.folder().join("was-first").exists());
    assert_eq!(project.service("z").state, "ready");
}

#[test]
fn a_migration_runs_again_with_each_up_after_a_down_and_not_when_a_daemon_died() {
    let project = Project::empty();
    let talker = quoted(&puppet(&["--write", "500"]));
    project.write(
        "soloist.toml",
        &format!(
            "[jobs.migrate]\ncommand = [\"/bin/sh\", \"-c\", \"echo once >> ran\"]\n[services.talker]\n\
             command = {talker}\ndepends-on = {{ migrate = \"completed-successfully\" }}\n"
        ),
    );
    let runs = || project.read("ran").lines().count();
    project.soloist(&["up", "-d"]).expect(0);
    assert_eq!((runs(), project.service("migrate").state.as_str()), (1, "completed"));

    let dead = daemon::kill(&project);
    daemon::wait_for_another(&project, dead, LIMIT);
    project.soloist(&["restart", "talker"]).expect(0);
    assert_eq!(runs(), 1);

    project.soloist(&["down"]).expect(0);
    project.soloist(&["up", "-d"]).expect(0);
    assert_eq!((runs(), project.service("migrate").state.as_str()), (2, "completed"));
    // And without a new daemon.
    project.soloist(&["stop", "migrate"]).expect(0);
    project.soloist(&["start", "talker"]).expect(0);
    assert_eq!(runs(), 3);
}

#[test]
fn start_and_ensure_of_a_running_service_change_nothing() {
    let (project, _) = project("");
    project.soloist(&["up", "-d"]).expect(0);
    let before = project.service("api");
    for command in [&["start", "api"][..], &["ensure", "api"], &["up", "-d"], &["up", "-d", "api"]] {
        project.soloist(command).expect(0);
        let after = project.service("api");
        assert_eq!((after.pid, after.run_id), (before.pid, before.run_id.clone()), "after {command:?}");
    }
}

#[test]
fn a_service_that_fell_is_restarted() {
    let (project, port) = project("");
    project.soloist(&["up", "-d"]).expect(0);
    let before = project.service("api");
    assert!(identity(&before).kill());
    let after = wait_until("it is restarted and ready", LIMIT, || {
        let seen = project.service("api");
        if seen.ready && seen.pid != before.pid {
            Ok(seen)
        } else {
            Err(format!("{seen:?}\n{}", project.diary()))
        }
    });
    assert_eq!(after.restarts, before.restarts + 1);
    assert_ne!(after.run_id, before.run_id);
    assert!(!is_free(port));
    assert_eq!(project.beacon().overlaps(), Vec::<String>::new());
}

#[test]
fn a_service_that_keeps_falling_is_given_up() {
    let project = Project::empty();
    let command =
        quoted(&puppet(&["--alone", &project.beacon().text(), "--exit-after", "20", "--code", "3"]));
    project.write(
        "soloist.toml",
        &format!(
            "[services.faller]\ncommand = {command}\nrestart-limit = {{ count = 3, period = \"1m\" }}\n\
             backoff = {{ first = \"10ms\", max = \"20ms\" }}\n"
        ),
    );
    project.soloist(&["up", "-d"]);
    let seen = project.wait_for_state("faller", "failed", LIMIT);
    assert_eq!((seen.pid, seen.exit.and_then(|exit| exit.code)), (None, Some(3)), "{seen:?}");
    assert_eq!(project.beacon().with_role("main").len(), 4, "one start and three restarts");
    let status = project.soloist(&["status", "faller"]);
    assert_ne!(status.code(), 0, "{status}");
}

#[test]
fn restart_gives_a_new_process_and_never_two() {
    let (project, _) = project("");
    project.soloist(&["up", "-d"]).expect(0);
    let before = project.service("api");
    project.soloist(&["restart", "api"]).expect(0);
    let after = project.service("api");
    assert!(after.ready && after.pid != before.pid, "{after:?}");
    assert_eq!(project.beacon().overlaps(), Vec::<String>::new());
}

#[test]
fn stop_is_verified_and_lasts() {
    let (project, port) = project("");
    project.soloist(&["up", "-d"]).expect(0);
    let api = identity(&project.service("api"));
    project.soloist(&["stop", "api"]).expect(0);
    assert!(!api.is_alive() && is_free(port));
    let seen = project.service("api");
    assert_eq!((seen.state.as_str(), seen.wanted.as_str(), seen.pid), ("stopped", "down", None), "{seen:?}");
    project.soloist(&["status", "api"]).expect(3);
    // Already so.
    project.soloist(&["stop", "api"]).expect(0);
    project.soloist(&["start", "api"]).expect(0);
    assert_ne!(project.service("api").pid, Some(api.pid));
    assert_eq!(project.beacon().overlaps(), Vec::<String>::new());
}

#[test]
fn a_service_that_ignores_stop_is_killed_after_its_grace() {
    let project = Project::empty();
    let command = quoted(&puppet(&["--beacon", &project.beacon().text(), "--deaf"]));
    project.write("soloist.toml", &format!("[services.deaf]\ncommand = {command}\nstop-grace = \"500ms\"\n"));
    project.soloist(&["up", "-d"]).expect(0);
    let beacon = project.beacon();
    wait_until(
        "it is deaf",
        LIMIT,
        || if beacon.living().is_empty() { Err(project.diary()) } else { Ok(()) },
    );
    let stop = project.soloist(&["stop", "deaf"]).expect(0);
    assert_eq!(beacon.living(), []);
    assert!(stop.took >= Duration::from_millis(500), "it was not given its grace: {stop}");
    stop.is_within(Duration::from_millis(1500));
}

#[test]
fn logs_are_what_the_service_wrote() {
    let (project, _) = project("");
    project.soloist(&["up", "-d"]).expect(0);
    wait_until("all is written", LIMIT, || {
        let bytes = project.log("talker");
        if voice::count(&bytes) == Ok(500) { Ok(()) } else { Err(format!("{} bytes", bytes.len())) }
    });
    let last = project.soloist(&["logs", "talker", "-n", "2"]).expect(0);
    assert_eq!(last.stdout, voice::line(498) + &voice::line(499));
    let all = project.soloist(&["logs", "talker", "-n", "500"]).expect(0);
    assert_eq!(voice::count(all.stdout.as_bytes()), Ok(500), "{}", all.stdout.len());
    project.soloist(&["logs", "nobody"]).expect(4);
    // The logs outlive the service and the daemon.
    project.soloist(&["down"]).expect(0);
    let last = project.soloist(&["logs", "talker", "-n", "1"]).expect(0);
    assert_eq!(last.stdout, voice::line(499));
}

#[test]
fn logs_can_be_followed() {
    let project = Project::empty();
    let end = project.path("end");
    let flags = ["--write-every", "10", "--exit-on-file", &end];
    let command = quoted(&puppet(&flags));
    project.write("soloist.toml", &format!("[services.talker]\ncommand = {command}\nrestart = \"no\"\n"));
    project.soloist(&["up", "-d"]).expect(0);
    let mut follower = project.spawn(&["logs", "talker", "-f", "-n", "1"]);
    wait_until("50 lines came", LIMIT, || {
        let lines = follower.said().lines().count();
        if lines >= 50 { Ok(()) } else { Err(lines) }
    });
    follower.signal(Signal::INT);
    follower.wait(LIMIT);
    let said = follower.said();
    let numbers: Vec<u64> = said.lines().filter_map(|line| line.get(..10)?.parse().ok()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}

#[test]
fn in_the_foreground_a_sigint_stops_everything() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (project, port) = project("");
        let mut up = project.spawn(&["up"]);
        wait_until("all is ready", LIMIT, || {
            let status = project.status();
            let ready = status.services.iter().filter(|service| service.ready).count();
            if ready == 2 { Ok(()) } else { Err(format!("{status:?}\n{}\n{}", up.said(), project.diary())) }
        });
        assert!(!is_free(port));
        up.signal(signal);
        let said = up.wait(LIMIT);
        assert!([0, 130].contains(&said.code()), "{said}");
        assert!(is_free(port), "{said}");
        assert_eq!(project.beacon().living(), [], "{said}");
        project.wait_until_nothing_lives(LIMIT);
    }
}

#[test]
fn a_service_that_never_serves_is_not_ready_in_time() {
    let project = Project::empty();
    let port = free_port();
    let command = quoted(&puppet(&["--life", "60"]));
    project.write(
        "soloist.toml",
        &format!("[services.mute]\ncommand = {command}\nport = {port}\nready-timeout = \"500ms\"\nrestart = \"no\"\n"),
    );
    let up = project.soloist(&["up", "-d"]).expect(7);
    up.says("mute");
    assert!(!project.service("mute").ready);
}

#[test]
fn a_job_runs_and_completes() {
    let project = Project::empty();
    let command = quoted(&["/bin/sh", "-c", "echo $SOLOIST_SERVICE >>ran; sleep 0.1"]);
    project.write("soloist.toml", &format!("[jobs.once]\ncommand = {command}\n"));
    project.soloist(&["start", "once"]).expect(0);
    let seen = project.wait_for_state("once", "completed", LIMIT);
    assert_eq!(
        (seen.kind.as_deref(), seen.exit.and_then(|exit| exit.code)),
        (Some("job"), Some(0)),
        "{seen:?}"
    );
    assert_eq!(project.read("ran"), "once\n");
    project.soloist(&["start", "once"]).expect(0);
    wait_until("it ran again", LIMIT, || match project.read("ran").as_str() {
        "once\nonce\n" => Ok(()),
        other => Err(other.to_owned()),
    });
}

#[test]
fn a_job_with_an_interval_runs_again_and_again_and_never_twice_at_once() {
    let project = Project::empty();
    let token = project.path("token");
    // Every third run is longer than the interval.
    let script = format!(
        "n=$(($(cat n 2>/dev/null || echo 0) + 1)); echo $n >n; \
         exec {} --token-file {token} --exit-after $((n % 3 == 0 ? 500 : 20))",
        puppet(&[""; 0])[0]
    );
    let command = quoted(&["/bin/sh", "-c", &script]);
    project.write("soloist.toml", &format!("[jobs.often]\ncommand = {command}\nevery = \"200ms\"\n"));
    let began = Instant::now();
    project.soloist(&["up", "-d"]).expect(0);
    wait_until("it ran seven times", LIMIT, || {
        let journal = project.journal();
        if journal.starts().len() >= 7 { Ok(()) } else { Err(format!("{journal:?}\n{}", project.diary())) }
    });
    assert!(
        began.elapsed() >= Duration::from_millis(1200),
        "faster than its interval: {:?}",
        began.elapsed()
    );
    assert!(project.journal().overlaps().is_empty());
    project.soloist(&["stop", "often"]).expect(0);
    assert_eq!(project.service("often").state, "stopped");
}

#[test]
fn the_service_finds_its_port_and_name_in_its_environment() {
    let project = Project::empty();
    let port = free_port();
    let script = format!(
        "echo $PORT $SOLOIST_SERVICE $SOLOIST_PORT_API $EXTRA $NUMBER $PYTHONUNBUFFERED >seen; \
         exec {} --listen $PORT",
        puppet(&[""; 0])[0]
    );
    let command = quoted(&["/bin/sh", "-c", &script]);
    project.write(
        "soloist.toml",
        &format!(
            "[services.api]\ncommand = {command}\nport = {port}\nenv = {{ EXTRA = \"more\", NUMBER = 5 }}\n"
        ),
    );
    project.soloist(&["up", "-d"]).expect(0);
    assert_eq!(project.read("seen"), format!("{port} api {port} more 5 1\n"));
}

#[test]
fn the_project_is_found_from_below_and_by_its_name_from_elsewhere() {
    let (project, _) = project("");
    let below = project.folder().join("below/deep");
    std::fs::create_dir_all(&below).unwrap();
    let mut up = project.command(&["up", "-d"]);
    up.current_dir(&below);
    e2e::project::finish(&mut up, "up -d").expect(0);
    let mut status = project.command(&["-C", &project.folder().display().to_string(), "status", "api"]);
    status.current_dir("/");
    e2e::project::finish(&mut status, "-C DIR status api").expect(0);
    assert!(!below.join(".soloist").exists());
    assert_eq!(project.read(".soloist/.gitignore").trim(), "*");
}

#[test]
fn an_unknown_service_is_said() {
    let (project, _) = project("");
    for command in ["start", "stop", "restart", "ensure", "status", "logs"] {
        project.soloist(&[command, "apo"]).expect(4).says("apo");
    }
    assert_eq!(project.survivors(), [], "nothing was started");
}

/// Whatever ends a run and whoever starts the next: a store that remembers the greatest token can refuse the older ones.
#[test]
fn each_run_is_given_a_greater_token_and_the_socket_of_its_daemon() {
    let script = "test -S \"$SOLOIST_SOCKET\" && echo $SOLOIST_TOKEN >> tokens; exec sleep 1000";
    let project = Project::new(&format!(
        "[services.w]\ncommand = {}\nbackoff = {{ first = \"50ms\", max = \"100ms\" }}\n",
        quoted(&["/bin/sh", "-c", script])
    ));
    let wait_for = |count: usize| {
        wait_until(&format!("{count} tokens"), LIMIT, || {
            let tokens: Vec<u64> = project.read("tokens").lines().map(|line| line.parse().unwrap()).collect();
            if tokens.len() == count { Ok(tokens) } else { Err(format!("{tokens:?}\n{}", project.diary())) }
        })
    };
    project.write("tokens", "");
    project.soloist(&["up", "-d"]).expect(0);
    wait_for(1);
    project.soloist(&["restart", "w"]).expect(0);
    wait_for(2);
    identity(&project.service("w")).signal(Signal::KILL);
    wait_for(3);
    let dead = daemon::kill(&project);
    daemon::wait_for_another(&project, dead, LIMIT);
    project.soloist(&["restart", "w"]).expect(0);
    wait_for(4);
    project.soloist(&["down"]).expect(0);
    project.soloist(&["run", "w", "--", "/bin/sh", "-c", "echo $SOLOIST_TOKEN >> tokens"]).expect(0);
    let tokens = wait_for(5);
    assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
}
