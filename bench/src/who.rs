//! Who listens on a port, among thousands of processes: `soloist who PORT` beside `ss -ltnp`, which looks at all of them.
//! How far soloist has to look depends on who it is: one of the project's own, a new process, or an old one.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::binaries::{Binaries, peer};
use crate::figures::Figures;
use crate::report::Section;
use crate::supervisor::{Supervisor, send};
use crate::{machine, outline, peak};

const LIMIT: Duration = Duration::from_secs(60);

struct Contender {
    name: String,
    program: PathBuf,
    words: Vec<String>,
    wall: Figures,
    cpu: Figures,
}

/// Asks again and again, each in turn.
pub fn measure(binaries: &Binaries, processes: usize, rounds: usize) -> Result<Section> {
    let ss = peer("ss", "iproute2").context("without `ss` there is nothing to compare with")?;
    let python = peer("python3", "python3").context("without python3 nobody listens")?;
    let scratch = tempfile::Builder::new().prefix("soloist-bench-who-").tempdir()?;
    let folder = scratch.path();
    let ports = free_ports()?;
    let [own, oldest, middle, newest] = ports;
    let service = format!(
        "[services.web]\ncommand = [{python:?}, \"-m\", \"http.server\", \"{own}\", \"-b\", \"127.0.0.1\"]\nport = {own}\n"
    );
    std::fs::write(folder.join("soloist.toml"), service)?;
    let _oldest = listener(&python, oldest)?;
    let _first = crowd(processes / 2)?;
    let _supervisor = Supervisor::soloist(&binaries.soloist, folder, &["up", "-d"])?;
    let _middle = listener(&python, middle)?;
    let _second = crowd(processes - processes / 2)?;
    let _newest = listener(&python, newest)?;
    let asked = |port: u16| vec!["who".to_owned(), port.to_string()];
    let contender = |name: &str, program: &Path, words: Vec<String>| Contender {
        name: name.to_owned(),
        program: program.to_owned(),
        words,
        wall: Figures::default(),
        cpu: Figures::default(),
    };
    let filtered = vec!["-ltnp".to_owned(), format!("sport = :{middle}")];
    let mut contenders = [
        contender("`ss -ltnp`", &ss, vec!["-ltnp".to_owned()]),
        contender("`ss -ltnp 'sport = :PORT'`", &ss, filtered),
        contender("`soloist who PORT`, a service of the project", &binaries.soloist, asked(own)),
        contender("`soloist who PORT`, the newest process", &binaries.soloist, asked(newest)),
        contender("`soloist who PORT`, half of all are newer", &binaries.soloist, asked(middle)),
        contender("`soloist who PORT`, all are newer", &binaries.soloist, asked(oldest)),
        contender("`soloist --version`", &binaries.soloist, vec!["--version".to_owned()]),
    ];
    for round in 0..=rounds {
        for contender in &mut contenders {
            let words: Vec<_> = contender.words.iter().map(Into::into).collect();
            let taken = peak::of(&contender.program, &words, folder)?;
            let mut command = Command::new(&contender.program);
            command.args(&contender.words).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
            let begun = Instant::now();
            let status = command.status()?;
            let wall = begun.elapsed();
            ensure!(status.success(), "{} ended with {status}", contender.name);
            // The first round fills caches.
            if round > 0 {
                contender.wall.add(wall.as_secs_f64() * 1000.0);
                contender.cpu.add(taken.cpu_ms);
            }
        }
    }
    let against = contenders[0].wall.clone();
    let rows = contenders.iter().map(|contender| {
        let mut row = vec![contender.name.clone(), contender.wall.count().to_string()];
        row.extend(contender.wall.cells(2));
        row.push(contender.wall.ratio_to(&against));
        row.push(format!("{:.2}", contender.cpu.median()));
        row.push(format!("{:.2}", contender.cpu.min()));
        row
    });
    Ok(Section {
        name: "who",
        words: vec![
            machine::line(binaries, &["iproute2"], folder),
            format!(
                "Who listens on a port, among {processes} further processes. Wall time in ms from posix_spawn(3) to the \
                 reaped end; CPU: user and system time. soloist ends its look with the first holder of each socket; `ss` \
                 looks at all processes."
            ),
        ],
        head: vec!["command", "runs", "median ms", "min", "max", "to ss", "CPU ms", "least"],
        rows: rows.collect(),
    })
}

/// Ports that nobody is on.
fn free_ports() -> Result<[u16; 4]> {
    let bound = [(); 4].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    let mut ports = [0; 4];
    for (port, listener) in ports.iter_mut().zip(bound) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}

/// A server that nobody supervises.
fn listener(python: &Path, port: u16) -> Result<Family> {
    let mut command = Command::new(python);
    command.args(["-m", "http.server", &port.to_string(), "-b", "127.0.0.1"]);
    let family = Family::start(command)?;
    let serves = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    ensure!(machine::wait_until(LIMIT, serves), "nobody listens on port {port}");
    Ok(family)
}

/// So many processes that do nothing, below one that is not the parent of anybody else.
fn crowd(count: usize) -> Result<Family> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("for i in $(seq {count}); do sleep 1000 & done; wait")]);
    let family = Family::start(command)?;
    let pid = family.0.id();
    let is_there = || outline::family(pid).len() > count;
    ensure!(machine::wait_until(LIMIT, is_there), "the crowd does not come");
    Ok(family)
}

/// A process and all below it; ends with this value.
struct Family(Child);

impl Family {
    fn start(mut command: Command) -> Result<Family> {
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Family(command.spawn()?))
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        outline::family(self.0.id()).into_iter().for_each(|pid| send(pid, Signal::KILL));
        let _ = self.0.wait();
    }
}
