//! Chains of Node as `npm run` builds them, npm over sh over a watcher over the server: one tree, whole again whichever
//! of them is killed, and stopped without a trace.

use e2e::{Real, Stage};

/// `node --watch` waits for an edit when its server has died, and npm waits for it.
const ASKED: &str =
    "liveness = { http = \"/\", period-seconds = 0.5, timeout-seconds = 2, failure-threshold = 2 }\n";

fn npm_run(script: &str, more: &str) -> Option<Stage> {
    let real = Real::installed()?;
    let npm = real.npm();
    Some(Stage::server(&real, &["package.json", "web.js", "worker.js"], &[&npm, "run", script], more))
}

fn dev() -> Option<Stage> {
    Some(npm_run("dev", ASKED)?.cast(&[("npm run dev", 1), ("node --watch web.js", 1), ("node web.js", 1)]))
}

#[test]
fn npm_run_dev_survives_the_death_of_each_process() {
    let Some(stage) = dev() else { return };
    stage.survives_the_death_of_each();
    stage.stops();
}

#[test]
fn node_watch_serves_an_edit_and_is_not_restarted() {
    let Some(stage) = dev() else { return };
    stage.up();
    stage.serves_an_edit("web.js");
    stage.stops();
}

/// concurrently waits until nobody holds the outputs of its commands any more, and the server and the worker themselves
/// do: it does not notice that what lies between is gone. They serve on, now as children of the guard.
const BETWEEN: &[&str] = &["npm run web", "npm run worker", "sh -c node"];

#[test]
fn npm_run_of_two_at_once_survives_the_death_of_each_process() {
    let Some(stage) = npm_run("both", "") else { return };
    let stage = stage
        .cast(&[("node web.js", 1), ("node worker.js", 1), ("npm run web", 1), ("npm run worker", 1)])
        .unmissed(BETWEEN);
    stage.survives_the_death_of_each();
    stage.stops();
}
