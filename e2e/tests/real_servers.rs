//! Real Python servers and workers: each starts as one tree with one listener, is whole again whichever of its processes
//! is killed, and stops without a trace. A reload of edited code is no crash.

use e2e::{Real, Stage};

/// The service answers no more, though its main process lives: uvicorn's reloader does not look after the server that
/// it started, and holds the listening socket itself.
const ASKED: &str =
    "liveness = { http = \"/\", period-seconds = 0.5, timeout-seconds = 2, failure-threshold = 2 }\n";

fn uvicorn(options: &[&str], more: &str) -> Option<Stage> {
    let real = Real::installed()?;
    let program = real.python("uvicorn");
    let command = [&[program.as_str(), "asgi:app", "--port", "{port}"], options].concat();
    Some(Stage::server(&real, &["asgi.py"], &command, more))
}

fn uvicorn_with_reload() -> Option<Stage> {
    Some(uvicorn(&["--reload"], ASKED)?.cast(&[("bin/uvicorn", 1), ("spawn_main", 1)]))
}

#[test]
fn uvicorn_with_reload_survives_the_death_of_each_process() {
    let Some(stage) = uvicorn_with_reload() else { return };
    stage.survives_the_death_of_each();
    stage.stops();
}

#[test]
fn uvicorn_serves_an_edit_and_is_not_restarted() {
    let Some(stage) = uvicorn_with_reload() else { return };
    stage.up();
    stage.serves_an_edit("asgi.py");
    stage.stops();
}

#[test]
fn uvicorn_with_four_workers_survives_the_death_of_each_process() {
    let Some(stage) = uvicorn(&["--workers", "4"], "") else { return };
    let stage = stage.cast(&[("bin/uvicorn", 1), ("spawn_main", 4)]);
    stage.survives_the_death_of_each();
    stage.stops();
}

#[test]
fn gunicorn_with_three_workers_survives_the_death_of_each_process() {
    let Some(real) = Real::installed() else { return };
    let gunicorn = real.python("gunicorn");
    let command = [&gunicorn, "--workers", "3", "--bind", "127.0.0.1:{port}", "wsgi:app"];
    let stage = Stage::server(&real, &["wsgi.py"], &command, "").cast(&[("bin/gunicorn", 4)]);
    stage.survives_the_death_of_each();
    stage.stops();
}

fn flask() -> Option<Stage> {
    let real = Real::installed()?;
    let flask = real.python("flask");
    let command = [&flask, "--app", "wsgi", "run", "--debug", "--port", "{port}"];
    Some(Stage::server(&real, &["wsgi.py"], &command, "").cast(&[("bin/flask", 2)]))
}

#[test]
fn flask_with_its_debug_reloader_survives_the_death_of_each_process() {
    let Some(stage) = flask() else { return };
    stage.survives_the_death_of_each();
    stage.stops();
}

#[test]
fn flask_serves_an_edit_and_is_not_restarted() {
    let Some(stage) = flask() else { return };
    stage.up();
    stage.serves_an_edit("wsgi.py");
    stage.stops();
}

#[test]
fn celery_with_a_pool_of_forks_survives_the_death_of_each_process() {
    let Some(real) = Real::installed() else { return };
    let celery = real.python("celery");
    let quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"];
    let command = [&[celery.as_str(), "-A", "tasks", "worker", "--concurrency", "2"], &quiet[..]].concat();
    let stage = Stage::worker(&real, &["tasks.py"], &command, "").cast(&[("bin/celery", 3)]);
    stage.survives_the_death_of_each();
    stage.stops();
}

/// The reloader's server, the manager with the shared state and the scraper: when the server alone is killed, the other
/// two live on, and the next one would scrape beside them.
fn fastapi() -> Option<Stage> {
    let real = Real::installed()?;
    let uvicorn = real.python("uvicorn");
    let command = [&uvicorn, "scraper:app", "--port", "{port}", "--reload"];
    let stage = Stage::server(&real, &["scraper.py"], &command, ASKED);
    Some(stage.cast(&[("bin/uvicorn", 1), ("spawn_main", 3)]))
}

#[test]
fn fastapi_with_a_scraper_process_survives_the_death_of_each_process() {
    let Some(stage) = fastapi() else { return };
    stage.survives_the_death_of_each();
    stage.stops();
}

#[test]
fn fastapi_serves_an_edit_with_one_scraper() {
    let Some(stage) = fastapi() else { return };
    stage.up();
    stage.serves_an_edit("scraper.py");
    stage.stops();
}
