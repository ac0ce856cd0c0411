//! How the peers are told to run the beacon: what each needs in its folder, and the command that starts it.

use std::fmt::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use crate::fifo::Fifo;
use crate::supervisor::Supervisor;

/// `./run` of a service under runit or s6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// As their manuals have it: a shell that executes the program.
    Script,
    /// The program itself: no shell starts first.
    Program,
}

/// Fills the folder of a service for runsv or s6-supervise. The FIFO is in it, or it leads to the one above.
pub fn service(folder: &Path, run: Run, beacon: &Path) -> Result<()> {
    match run {
        Run::Script => script(&folder.join("run"), &format!("exec {}", beacon.display())),
        Run::Program => Ok(symlink(beacon, folder.join("run"))?),
    }
}

/// A folder of such services for runsvdir or s6-svscan; `logger` is the command of each one's logger, without its folder.
pub fn services(folder: &Path, count: usize, run: Run, logger: Option<&str>, beacon: &Path) -> Result<()> {
    for at in 0..count {
        let below = folder.join("services").join(format!("s{at}"));
        std::fs::create_dir_all(&below)?;
        symlink(folder.join(Fifo::NAME), below.join(Fifo::NAME))?;
        service(&below, run, beacon)?;
        if let Some(logger) = logger {
            let kept = folder.join("logs").join(format!("s{at}"));
            std::fs::create_dir_all(&kept)?;
            std::fs::create_dir(below.join("log"))?;
            script(&below.join("log/run"), &format!("exec {logger} {}", kept.display()))?;
        }
    }
    Ok(())
}

fn script(path: &Path, line: &str) -> Result<()> {
    std::fs::write(path, format!("#!/bin/sh\n{line}\n"))?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

/// Where supervisord answers, in its folder.
pub const SUPERVISOR_SOCKET: &str = "supervisor.sock";

/// supervisord with its defaults and a socket for its command; its children run in this folder and its logs lie there.
pub fn supervisord(program: &Path, folder: &Path, count: usize, beacon: &Path) -> Result<Supervisor> {
    let here = folder.display();
    let mut text = format!(
        "[supervisord]\nnodaemon=true\nminfds=10000\nlogfile={here}/own.log\npidfile={here}/own.pid\n\
         childlogdir={here}\n[unix_http_server]\nfile={here}/{SUPERVISOR_SOCKET}\n\
         [supervisorctl]\nserverurl=unix://{here}/{SUPERVISOR_SOCKET}\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
    );
    for at in 0..count {
        writeln!(text, "[program:s{at}]\ncommand={}\ndirectory={here}", beacon.display())?;
    }
    let config = folder.join("supervisord.conf");
    std::fs::write(&config, text)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(config);
    Supervisor::start(command, Signal::TERM)
}

/// circus with its defaults, its sockets and its children in this folder.
pub fn circus(program: &Path, folder: &Path, count: usize, beacon: &Path) -> Result<Supervisor> {
    let (here, endpoint) = (folder.display(), circus_endpoint(folder));
    let mut text = format!("[circus]\nendpoint = {endpoint}\npubsub_endpoint = ipc://{here}/events\n");
    for at in 0..count {
        writeln!(text, "[watcher:s{at}]\ncmd = {}\nworking_dir = {here}", beacon.display())?;
    }
    let config = folder.join("circus.ini");
    std::fs::write(&config, text)?;
    let mut command = Command::new(program);
    command.arg(config);
    Supervisor::start(command, Signal::TERM)
}

/// Where it answers.
pub fn circus_endpoint(folder: &Path) -> String {
    format!("ipc://{}/endpoint", folder.display())
}

/// pm2 without its look-ups in git and without its metrics, in a home of its own; returns when its command does.
pub fn pm2(program: &Path, folder: &Path, count: usize, beacon: &Path) -> Result<Supervisor> {
    let home = folder.join("pm2");
    let app = |at: usize| {
        serde_json::json!({
            "name": format!("s{at}"), "script": beacon, "interpreter": "none", "cwd": folder,
            "vizion": false, "pmx": false,
        })
    };
    let apps: Vec<serde_json::Value> = (0..count).map(app).collect();
    let config = folder.join("ecosystem.json");
    std::fs::write(&config, serde_json::json!({ "apps": apps }).to_string())?;
    let command = |word: &str| {
        let mut command = Command::new(program);
        command.arg(word).env("PM2_HOME", &home).env("PM2_DISABLE_VERSION_CHECK", "1").current_dir(folder);
        command
    };
    let mut start = command("start");
    start.arg(config);
    Supervisor::background(start, command("kill"), || {
        Ok(std::fs::read_to_string(home.join("pm2.pid"))?.trim().parse()?)
    })
}
