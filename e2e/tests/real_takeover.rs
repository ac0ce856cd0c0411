//! Real servers that somebody started by hand with what starts them again: uvicorn's reloader, nodemon, `npm run dev`.
//! A start names the holder; with force the port is the service's, and nothing comes back.

use std::process::Command;

use e2e::real::http;
use e2e::{Background, Identity, LIMIT, Project, Real, free_port, quoted, wait_until};

/// Starts this by hand in the project's folder, sees it serve, and takes its port over. `starters`: parts of the command
/// lines of those that would start it again, which are shown as such.
fn is_taken_over(command: impl Fn(&Real, u16) -> Vec<String>, starters: &[&str]) {
    let Some(real) = Real::installed() else { return };
    let (project, port) = (real.project(&["asgi.py", "web.js", "package.json"]), free_port());
    let server = [&real.python("uvicorn"), "asgi:app", "--port", &port.to_string()].map(str::to_owned);
    let service = quoted(&server);
    project.write(
        "soloist.toml",
        &format!("[services.api]\ncommand = {service}\nport = {port}\nready-timeout = \"50s\"\n"),
    );
    let by_hand = start(&project, port, &command(&real, port));
    let old = answers(port, None, &by_hand);
    let held = Identity::of(old).unwrap();
    let refused = project.soloist(&["start", "api"]).expect(6);
    assert!(refused.names_number(u64::from(old)), "pid {old} is not named by {refused}");
    refused.says("started outside soloist from this project");
    let shown = project.soloist(&["start", "api", "--force"]).expect(6);
    for starter in starters {
        shown.says(starter);
    }
    assert!(held.is_alive(), "ended unasked: {shown}");
    let taken = project.soloist(&["start", "api", "--force", "--yes"]).expect(0);
    assert!(!held.is_alive() && !by_hand.identity().is_alive(), "{taken}");
    let api = project.service("api");
    assert_eq!(Some(answers(port, Some(old), &by_hand)), api.pid, "{taken}");
    let holders = project.soloist(&["who", &port.to_string(), "--json"]).expect(0).json();
    assert_eq!(holders.as_array().map(Vec::len), Some(1), "{holders}");
    assert_eq!(holders[0]["class"], "ours", "{holders}");
    // All that was shown is gone: there is nobody left who could start it again.
    for pid in pids(&shown.all()) {
        assert!(Identity::of(pid).is_none_or(|one| !one.is_alive()), "pid {pid} of {shown}");
    }
}

/// Every `pid N` of a text.
fn pids(text: &str) -> Vec<u32> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).filter(|pair| pair[0] == "pid").filter_map(|pair| pair[1].parse().ok()).collect()
}

fn start(project: &Project, port: u16, command: &[String]) -> Background {
    let home = project.path("home");
    let mut by_hand = Command::new(&command[0]);
    by_hand.args(&command[1..]).current_dir(project.folder());
    by_hand.env("PORT", port.to_string()).env("HOME", home).env("npm_config_update_notifier", "false");
    Background::start(&mut by_hand, &command.join(" "), &project.folder().join("by-hand")).without_farewell()
}

/// The process that answers, once it is another one than before.
fn answers(port: u16, but: Option<u32>, by_hand: &Background) -> u32 {
    wait_until("it answers", LIMIT, || match http::get(port) {
        Ok((200, body)) => {
            let pid = body.rsplit(' ').next().and_then(|pid| pid.parse().ok());
            pid.filter(|pid| Some(*pid) != but).ok_or(body)
        }
        other => Err(format!("{other:?}\n{}", by_hand.said())),
    })
}

fn words(command: &[&str]) -> Vec<String> {
    command.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn uvicorn_with_its_reloader() {
    is_taken_over(
        |real, port| words(&[&real.python("uvicorn"), "asgi:app", "--reload", "--port", &port.to_string()]),
        &["--reload", "listens on port"],
    );
}

#[test]
fn nodemon() {
    is_taken_over(
        |_, _| words(&["node_modules/.bin/nodemon", "web.js"]),
        &["nodemon", "it starts again what it runs"],
    );
}

#[test]
fn npm_run_dev() {
    is_taken_over(|real, _| words(&[&real.npm(), "run", "dev"]), &["npm run dev", "node --watch web.js"]);
}

#[test]
fn a_shell_that_starts_uvicorn_again_and_again() {
    is_taken_over(
        |real, port| {
            let uvicorn = real.python("uvicorn");
            words(&["sh", "-c", &format!("while true; do {uvicorn} asgi:app --port {port}; done")])
        },
        &["while true", "its script may start it again"],
    );
}
