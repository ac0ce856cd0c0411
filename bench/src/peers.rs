//! The supervisors, soloist among them: what each needs in its folder, and the commands by which it starts, is told, and
//! ends. All keep what a service writes and give it five seconds to stop; the rest is as each has it by default.

use std::fmt::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::binaries::{Binaries, peer};
use crate::fifo::Fifo;
use crate::supervisor::Supervisor;

/// The variable of the environment in which all that a peer starts carries its folder.
pub const MARK: &str = "SOLOIST_BENCH";
/// Those whose versions are told.
pub const PACKAGES: [&str; 6] = ["runit", "s6", "supervisord", "circusd", "pm2", "pitchfork"];
/// So long each lets a service end in order.
const GRACE: u64 = 5;

/// One supervisor.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Which.
    pub kind: Kind,
    /// The program that starts it.
    pub program: PathBuf,
}

/// Which supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This project's.
    Soloist,
    /// runsvdir.
    Runit(Run),
    /// s6-svscan.
    S6(Run),
    /// supervisord.
    Supervisord,
    /// circusd.
    Circus,
    /// pm2, without its look-ups in git and without its metrics.
    Pm2,
    /// pitchfork.
    Pitchfork,
}

/// `./run` of a service under runit or s6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// As their manuals have it: a shell that executes the program.
    Script,
    /// The program itself: no shell starts first. It gets no arguments.
    Program,
    /// A script, and a logger beside it.
    Logged,
}

/// One service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its program and arguments, none of which has a blank.
    pub command: Vec<String>,
}

/// What a supervisor is told.
#[derive(Clone, Copy, Debug)]
pub enum Order<'a> {
    /// To run all services. It is started for that if it does not run.
    Up,
    /// To start this one.
    Start(&'a str),
    /// To stop this one, and to answer when it has.
    Stop(&'a str),
}

/// How it ends in order.
#[derive(Debug)]
pub enum End {
    /// Its first process, which stays in the foreground, gets this signal.
    Signal(Signal),
    /// By a command; it works in the background.
    Command(Command),
}

impl Service {
    /// So many that are alike: `s0`, `s1`, …
    pub fn many(count: usize, program: &Path) -> Vec<Service> {
        (0..count).map(|at| Service::named(&format!("s{at}"), program)).collect()
    }

    /// One whose only argument is its name.
    pub fn named(name: &str, program: &Path) -> Service {
        Service { name: name.to_owned(), command: vec![program.display().to_string(), name.to_owned()] }
    }
}

/// soloist, and all others that are here.
pub fn all(binaries: &Binaries) -> Vec<Peer> {
    let kinds = [
        Kind::Runit(Run::Logged),
        Kind::S6(Run::Logged),
        Kind::Supervisord,
        Kind::Circus,
        Kind::Pm2,
        Kind::Pitchfork,
    ];
    let others = kinds.into_iter().filter_map(Peer::find);
    std::iter::once(Peer::soloist(binaries)).chain(others).collect()
}

impl Peer {
    /// This project's own.
    pub fn soloist(binaries: &Binaries) -> Peer {
        Peer { kind: Kind::Soloist, program: binaries.soloist.clone() }
    }

    /// Another one, if it is here. One that is missing is told.
    pub fn find(kind: Kind) -> Option<Peer> {
        let (program, package) = match kind {
            Kind::Soloist => return None,
            Kind::Runit(_) => ("runsvdir", "runit"),
            Kind::S6(_) => ("s6-svscan", "s6"),
            Kind::Supervisord => ("supervisord", "supervisor"),
            Kind::Circus => ("circusd", "circus"),
            Kind::Pm2 => ("pm2", "pm2"),
            Kind::Pitchfork => ("pitchfork", "pitchfork-cli"),
        };
        Some(Peer { kind, program: peer(program, package)? })
    }

    /// For a table.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Soloist => "soloist",
            Kind::Runit(Run::Script) => "runit, ./run is a script",
            Kind::Runit(Run::Program) => "runit, ./run is the program",
            Kind::Runit(Run::Logged) => "runit with svlogd",
            Kind::S6(Run::Script) => "s6, ./run is a script",
            Kind::S6(Run::Program) => "s6, ./run is the program",
            Kind::S6(Run::Logged) => "s6 with s6-log",
            Kind::Supervisord => "supervisord",
            Kind::Circus => "circus",
            Kind::Pm2 => "pm2",
            Kind::Pitchfork => "pitchfork",
        }
    }

    /// Writes what it needs into its folder. The services find the FIFO of the folder in the one they run in.
    pub fn lay(&self, folder: &Path, services: &[Service]) -> Result<()> {
        let here = folder.display();
        let (file, text) = match self.kind {
            Kind::Runit(run) | Kind::S6(run) => {
                let logger = match self.kind {
                    Kind::Runit(_) => "svlogd",
                    _ => "s6-log n10 s1000000",
                };
                return services.iter().try_for_each(|one| {
                    let below = folder.join("services").join(&one.name);
                    std::fs::create_dir_all(&below)?;
                    symlink(folder.join(Fifo::NAME), below.join(Fifo::NAME))?;
                    service(&below, run, &one.command)?;
                    if matches!(self.kind, Kind::S6(_)) {
                        std::fs::write(below.join("timeout-kill"), (GRACE * 1000).to_string())?;
                    }
                    if run == Run::Logged {
                        let kept = folder.join("logs").join(&one.name);
                        std::fs::create_dir_all(&kept)?;
                        std::fs::create_dir(below.join("log"))?;
                        script(&below.join("log/run"), &format!("{logger} {}", kept.display()))?;
                    }
                    Ok(())
                });
            }
            Kind::Soloist => {
                // The grace is its default.
                let one = |it: &Service| format!("[services.{}]\ncommand = {:?}\n", it.name, it.command);
                ("soloist.toml", services.iter().map(one).collect::<String>())
            }
            Kind::Supervisord => {
                let mut text = format!(
                    "[supervisord]\nnodaemon=true\nminfds=10000\nlogfile={here}/own.log\npidfile={here}/own.pid\n\
                     [unix_http_server]\nfile={here}/{SUPERVISOR_SOCKET}\n\
                     [supervisorctl]\nserverurl=unix://{here}/{SUPERVISOR_SOCKET}\n[rpcinterface:supervisor]\n\
                     supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
                );
                for Service { name, command } in services {
                    writeln!(
                        text,
                        "[program:{name}]\ncommand={}\ndirectory={here}\nstdout_logfile={here}/{name}.log\n\
                         stopwaitsecs={GRACE}\nstopasgroup=true\nkillasgroup=true",
                        command.join(" ")
                    )?;
                }
                ("supervisord.conf", text)
            }
            Kind::Circus => {
                let endpoint = circus_endpoint(folder);
                let mut text =
                    format!("[circus]\nendpoint = {endpoint}\npubsub_endpoint = ipc://{here}/events\n");
                for Service { name, command } in services {
                    writeln!(
                        text,
                        "[watcher:{name}]\ncmd = {}\nworking_dir = {here}\ncopy_env = True\nstop_children = True\n\
                         graceful_timeout = {GRACE}\nstdout_stream.class = FileStream\n\
                         stdout_stream.filename = {here}/{name}.log",
                        command.join(" ")
                    )?;
                }
                ("circus.ini", text)
            }
            Kind::Pm2 => {
                let app = |one: &Service| {
                    serde_json::json!({
                        "name": one.name, "script": one.command[0], "args": one.command[1..], "interpreter": "none",
                        "cwd": folder, "kill_timeout": GRACE * 1000, "vizion": false, "pmx": false,
                    })
                };
                let apps: Vec<serde_json::Value> = services.iter().map(app).collect();
                ("ecosystem.json", serde_json::json!({ "apps": apps }).to_string())
            }
            Kind::Pitchfork => {
                let one = |Service { name, command }: &Service| {
                    let run = format!("exec {}", command.join(" "));
                    let stop = format!("stop_signal = {{ signal = \"SIGTERM\", timeout = \"{GRACE}s\" }}");
                    format!("[daemons.{name}]\nrun = {run:?}\nretry = true\n{stop}\n")
                };
                let text = services.iter().map(one).collect::<String>();
                ("pitchfork.toml", format!("namespace = \"bench\"\n{text}"))
            }
        };
        let path = folder.join(file);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The command by which it is told.
    pub fn order(&self, folder: &Path, order: Order<'_>) -> Command {
        let grace = GRACE.to_string();
        // More than the grace: it answers once the service has ended.
        let wait = (GRACE * 2000).to_string();
        let endpoint = circus_endpoint(folder);
        let [verb, name] = order.words();
        let service = format!("./services/{name}");
        let (program, words): (&str, &[&str]) = match (self.kind, order) {
            (Kind::Soloist, Order::Up) => ("soloist", &["up", "-d"]),
            (Kind::Soloist, _) => ("soloist", &[verb, name]),
            (Kind::Runit(_), Order::Up) => ("runsvdir", &["services"]),
            (Kind::Runit(_), Order::Start(_)) => ("sv", &["-w", &grace, "start", &service]),
            (Kind::Runit(_), Order::Stop(_)) => ("sv", &["-w", &grace, "force-stop", &service]),
            // It takes 500 services if it is not told otherwise, and a logger counts.
            (Kind::S6(_), Order::Up) => ("s6-svscan", &["-c", "4000", "services"]),
            (Kind::S6(_), Order::Start(_)) => ("s6-svc", &["-wu", "-T", &wait, "-u", &service]),
            (Kind::S6(_), Order::Stop(_)) => ("s6-svc", &["-wD", "-T", &wait, "-d", &service]),
            (Kind::Supervisord, Order::Up) => ("supervisord", &["-c", "supervisord.conf"]),
            (Kind::Supervisord, _) => ("supervisorctl", &["-c", "supervisord.conf", verb, name]),
            (Kind::Circus, Order::Up) => ("circusd", &["circus.ini"]),
            (Kind::Circus, _) => {
                ("circusctl", &["--endpoint", &endpoint, "--timeout", "60", verb, name, "--waiting"])
            }
            (Kind::Pm2, Order::Up) => ("pm2", &["start", "ecosystem.json"]),
            (Kind::Pm2, _) => ("pm2", &[verb, name]),
            (Kind::Pitchfork, Order::Up) => ("pitchfork", &["start", "--local"]),
            (Kind::Pitchfork, _) => ("pitchfork", &[verb, name]),
        };
        self.command(folder, program, words)
    }

    /// How it is ended.
    pub fn end(&self, folder: &Path) -> End {
        match self.kind {
            Kind::Runit(_) => End::Signal(Signal::HUP),
            Kind::S6(_) | Kind::Supervisord | Kind::Circus => End::Signal(Signal::TERM),
            Kind::Soloist => End::Command(self.command(folder, "soloist", &["down"])),
            Kind::Pm2 => End::Command(self.command(folder, "pm2", &["kill"])),
            Kind::Pitchfork => End::Command(self.command(folder, "pitchfork", &["supervisor", "stop"])),
        }
    }

    /// One of its commands, run in its folder.
    pub fn command(&self, folder: &Path, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.program.with_file_name(program));
        command.args(words).current_dir(folder).env(MARK, folder);
        match self.kind {
            Kind::Pm2 => {
                command.env("PM2_HOME", folder.join("pm2")).env("PM2_DISABLE_VERSION_CHECK", "1");
            }
            Kind::Pitchfork => {
                command.env("PITCHFORK_STATE_DIR", folder.join("state"));
                command.env("PITCHFORK_CONFIG_DIR", folder.join("config"));
            }
            Kind::Soloist | Kind::Runit(_) | Kind::S6(_) | Kind::Supervisord | Kind::Circus => {}
        }
        command
    }

    /// Has it run these services. They need not run yet when this returns.
    pub fn start(&self, folder: &Path, services: &[Service]) -> Result<Supervisor> {
        self.lay(folder, services)?;
        self.up(folder)
    }

    /// Has it run what was laid.
    pub fn up(&self, folder: &Path) -> Result<Supervisor> {
        let up = self.order(folder, Order::Up);
        match self.end(folder) {
            End::Signal(signal) => Supervisor::start(up, signal),
            End::Command(_) if self.kind == Kind::Soloist => {
                Supervisor::soloist(&self.program, folder, &["up", "-d"])
            }
            End::Command(end) => Supervisor::background(up, end, || self.background(folder)),
        }
    }

    /// The first process of one that works in the background.
    fn background(&self, folder: &Path) -> Result<u32> {
        if self.kind == Kind::Pm2 {
            return Ok(std::fs::read_to_string(folder.join("pm2/pm2.pid"))?.trim().parse()?);
        }
        // It says that it runs and not as whom.
        let mark = format!("{MARK}={}", folder.display());
        let says = |pid: &u32, file: &str, wanted: &str| {
            let read = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            read.split(|byte| *byte == 0).any(|word| word == wanted.as_bytes())
        };
        let all =
            std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        all.into_iter()
            .find(|pid| {
                says(pid, "environ", &mark)
                    && says(pid, "cmdline", "supervisor")
                    && says(pid, "cmdline", "run")
            })
            .with_context(|| format!("no supervisor of pitchfork in {}", folder.display()))
    }
}

impl<'a> Order<'a> {
    fn words(self) -> [&'a str; 2] {
        match self {
            Order::Up => ["start", "all"],
            Order::Start(name) => ["start", name],
            Order::Stop(name) => ["stop", name],
        }
    }
}

/// Fills the folder of a service for runsv or s6-supervise.
pub fn service(folder: &Path, run: Run, command: &[String]) -> Result<()> {
    match run {
        Run::Script | Run::Logged => script(&folder.join("run"), &command.join(" ")),
        Run::Program => Ok(symlink(&command[0], folder.join("run"))?),
    }
}

fn script(path: &Path, command: &str) -> Result<()> {
    std::fs::write(path, format!("#!/bin/sh\nexec {command}\n"))?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

/// Where supervisord answers, in its folder.
pub const SUPERVISOR_SOCKET: &str = "supervisor.sock";

/// Where circus answers.
pub fn circus_endpoint(folder: &Path) -> String {
    format!("ipc://{}/endpoint", folder.display())
}
