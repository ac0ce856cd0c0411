//! Signals to whoever bears the project: daemon, guards, main processes, shells, workers; killed, or stopped for a while.

use std::path::Path;

use rustix::process::Signal;

use super::stage::{Stage, lock};
use crate::puppet::journal::now;
use crate::{Identity, Random, binaries, daemon, tree};

/// Deals them until it is over.
pub fn deal(stage: &Stage, mut random: Random) {
    while !stage.is_over() {
        stage.pause(100 + random.below(700));
        let names = instances(stage);
        if names.is_empty() {
            continue;
        }
        let name = &names[random.below(names.len() as u64) as usize];
        match random.below(20) {
            0..3 => kill_daemon(stage),
            3 => stop_daemon(stage, 100 + random.below(2000)),
            4..8 => kill_guard(stage, name),
            8 => stop_guard(stage, name, 100 + random.below(2000)),
            9 => {
                kill_guard(stage, name);
                kill_daemon(stage);
            }
            10 => kill_zygote(stage),
            11 => stop_main(stage, name, 50 + random.below(1500)),
            12 => signal_main(stage, name, Signal::TERM, "main process ended"),
            13..16 => kill_worker(stage, name, &mut random),
            _ => signal_main(stage, name, Signal::KILL, "main process killed"),
        }
    }
}

/// All that have a record: lanes and those of `soloist run`, too.
fn instances(stage: &Stage) -> Vec<String> {
    let files =
        std::fs::read_dir(stage.project.folder().join(".soloist/claims")).into_iter().flatten().flatten();
    let names = files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".json")?.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn kill_daemon(stage: &Stage) {
    if let Some(daemon) = daemon::living(&stage.project).first() {
        daemon.kill();
        stage.disturbed(None, now());
        stage.note("daemon killed", &daemon.pid.to_string());
    }
}

/// Stops a process for so many milliseconds.
fn hold(stage: &Stage, who: Identity, of: Option<&str>, milliseconds: u64) {
    let from = now();
    who.signal(Signal::STOP);
    stage.pause(milliseconds);
    who.signal(Signal::CONT);
    stage.disturbed(of, from);
}

fn stop_daemon(stage: &Stage, milliseconds: u64) {
    if let Some(daemon) = daemon::living(&stage.project).first() {
        stage.note("daemon stopped", &format!("{} for {milliseconds} ms", daemon.pid));
        hold(stage, *daemon, None, milliseconds);
    }
}

fn kill_guard(stage: &Stage, name: &str) {
    if let Some(guard) = stage.recorded(name, "guard") {
        // Counted before it is done: what it takes with it is missing from then on.
        *lock(&stage.guards_killed).entry(name.to_owned()).or_default() += 1;
        guard.kill();
        stage.disturbed(Some(name), now());
        stage.note("guard killed", &format!("{name} {}", guard.pid));
    }
}

fn stop_guard(stage: &Stage, name: &str, milliseconds: u64) {
    if let Some(guard) = stage.recorded(name, "guard") {
        stage.note("guard stopped", &format!("{name} {} for {milliseconds} ms", guard.pid));
        hold(stage, guard, Some(name), milliseconds);
    }
}

/// Below the daemon are its zygote, and no guard when that is alive.
fn kill_zygote(stage: &Stage) {
    let Some(daemon) = daemon::living(&stage.project).first().copied() else { return };
    let below = tree::descendants(daemon)
        .into_iter()
        .find(|one| tree::executes(*one, Path::new(&binaries().soloist)));
    let Some(zygote) = below.filter(|one| one.command().contains("__zygote")) else { return };
    zygote.kill();
    stage.disturbed(None, now());
    stage.note("zygote killed", &zygote.pid.to_string());
}

fn stop_main(stage: &Stage, name: &str, milliseconds: u64) {
    if let Some(main) = stage.recorded(name, "main") {
        stage.note("main process stopped", &format!("{name} {} for {milliseconds} ms", main.pid));
        hold(stage, main, Some(name), milliseconds);
    }
}

fn signal_main(stage: &Stage, name: &str, signal: Signal, what: &str) {
    if let Some(main) = stage.recorded(name, "main") {
        main.signal(signal);
        stage.note(what, &format!("{name} {}", main.pid));
    }
}

/// One of those below the main process: what a shell has started, a child that got away in a group or session.
fn kill_worker(stage: &Stage, name: &str, random: &mut Random) {
    let Some(main) = stage.recorded(name, "main") else { return };
    let below = tree::descendants(main);
    if below.is_empty() {
        return;
    }
    let worker = below[random.below(below.len() as u64) as usize];
    worker.kill();
    stage.note("worker killed", &format!("{name} {}", worker.pid));
}
