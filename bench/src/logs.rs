//! How fast the output of one child is captured, by large writes and by a write a line, what that costs, and what is lost:
//! soloist beside `cat > file`, svlogd, s6-log, supervisord, circus and pm2, each told to keep all of it as it is.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::binaries::{Binaries, peer};
use crate::figures::Figures;
use crate::report::Section;
use crate::supervisor::Supervisor;
use crate::{machine, outline};

const LIMIT: Duration = Duration::from_secs(20);
/// Who captures nothing more for so long has lost the rest.
const GIVEN_UP: Duration = Duration::from_secs(5);
/// How much the child writes at once.
const WRITES: [(&str, usize); 2] = [("64 KiB", 64 << 10), ("a line", 100)];

/// Who captures.
#[derive(Clone, Debug)]
enum Contender {
    /// It reads the child's pipe: program and arguments; its standard output is a file.
    Reader(&'static str, PathBuf, Vec<String>),
    Supervisord(PathBuf),
    Circus(PathBuf),
    Pm2(PathBuf),
    Soloist,
}

/// A child and who captures what it writes. All end with this value.
struct Running {
    child: Option<Child>,
    reader: Option<Child>,
    supervisor: Option<Supervisor>,
}

impl Contender {
    /// Whether it has all rounds: their ratio is what is asked for, and one round may differ from the next by more. The
    /// others have one, for many are slow.
    fn has_all_rounds(&self) -> bool {
        matches!(self, Contender::Soloist | Contender::Reader("cat", ..))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.supervisor = None;
        // First the writer: the reader sees the end of its pipe.
        for child in [&mut self.child, &mut self.reader].into_iter().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// So many bytes, by each in turn, so often.
pub fn measure(binaries: &Binaries, total: usize, rounds: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-logs-").tempdir()?;
    let shout = binaries.beacon.with_file_name("shout");
    let mut contenders = vec![Contender::Soloist];
    let reader = |name, package, words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        peer(name, package).map(|path| Contender::Reader(name, path, words))
    };
    contenders.extend(reader("cat", "coreutils", &[]));
    contenders.extend(reader("svlogd", "runit", &["kept"]));
    contenders.extend(reader("s6-log", "s6", &["n9999", "s100000000", "./kept"]));
    contenders.extend(peer("supervisord", "supervisor").map(Contender::Supervisord));
    contenders.extend(peer("circusd", "circus").map(Contender::Circus));
    contenders.extend(peer("pm2", "npm, then npm install pm2").map(Contender::Pm2));
    let mut rows = Vec::new();
    for (words, at_once) in WRITES {
        let mut figures =
            vec![[Figures::default(), Figures::default(), Figures::default()]; contenders.len()];
        for round in 0..rounds {
            for at in 0..contenders.len() {
                // Each of two goes first as often as the other.
                let at = if round.is_multiple_of(2) { at } else { contenders.len() - 1 - at };
                if round > 0 && !contenders[at].has_all_rounds() {
                    continue;
                }
                // What the one before has written is on the disk before this one begins.
                rustix::fs::sync();
                let folder = scratch.path().join("now");
                std::fs::create_dir(&folder)?;
                let took = capture(&contenders[at], binaries, &shout, &folder, at_once, total)
                    .with_context(|| contenders[at].name().to_owned())?;
                figures[at].iter_mut().zip(took).for_each(|(figures, figure)| figures.add(figure));
                std::fs::remove_dir_all(&folder)?;
            }
        }
        let cat = contenders.iter().position(|c| c.name() == "cat").map(|at| figures[at][0].clone());
        for (contender, [speed, cpu, lost]) in contenders.iter().zip(&figures) {
            let mut row = vec![contender.name().to_owned(), words.to_owned()];
            row.extend(speed.cells(0));
            let ratio = cat.as_ref().map(|cat| format!("{:.2}", speed.median() / cat.median()));
            row.extend([
                ratio.unwrap_or_default(),
                format!("{:.2}", cpu.median()),
                format!("{:.0}", lost.max()),
            ]);
            rows.push(row);
        }
    }
    Ok(Section {
        name: "logs",
        words: vec![
            machine::line(binaries, &["runit", "s6", "supervisord", "circusd", "pm2"], scratch.path()),
            format!(
                "One child writes {} MB in lines of 100 bytes. From its first write until all is in files; processor time is \
                 of those who capture. soloist rotates at 16 MiB, as by default, and is told to keep all files plain.",
                total / 1_000_000
            ),
        ],
        head: vec!["who", "a write", "median MB/s", "min", "max", "of cat", "CPU s", "bytes lost, at most"],
        rows,
    })
}

/// MB/s, seconds of processor time, bytes lost.
fn capture(
    contender: &Contender,
    binaries: &Binaries,
    shout: &Path,
    folder: &Path,
    at_once: usize,
    total: usize,
) -> Result<[f64; 3]> {
    let command = [shout.display().to_string(), at_once.to_string(), total.to_string()];
    let running = contender.start(binaries, folder, &command)?;
    let capturing = || match (&running.supervisor, &running.reader) {
        (Some(supervisor), _) => supervisor.all_but(shout),
        (None, reader) => reader.iter().map(Child::id).collect(),
    };
    let is_up = || running.child.is_some() || running.supervisor.as_ref().is_some_and(|s| has(s, shout));
    ensure!(machine::wait_until(LIMIT, is_up), "the child is not started");
    let before = outline::used(&capturing()).0;
    std::fs::write(folder.join("go"), "")?;
    let (mut seen, mut moved) = (0, Instant::now());
    while seen < total as u64 && moved.elapsed() < GIVEN_UP {
        std::thread::sleep(Duration::from_millis(5));
        let found = captured(&folder.join(contender.kept()));
        if found != seen {
            (seen, moved) = (found, Instant::now());
        }
    }
    let ended = machine::now_ns() - i64::try_from(moved.elapsed().as_nanos()).unwrap_or(0);
    let begun: i64 = std::fs::read_to_string(folder.join("begun"))?.parse()?;
    let cpu = outline::used(&capturing()).0.saturating_sub(before);
    let seconds = (ended - begun) as f64 / 1e9;
    Ok([seen as f64 / 1e6 / seconds, cpu as f64 / 1e9, total as f64 - seen as f64])
}

fn has(supervisor: &Supervisor, program: &Path) -> bool {
    outline::family(supervisor.pid).into_iter().any(|pid| outline::executes(pid, program))
}

/// The bytes of all files there but those that tell of others.
fn captured(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_log = |name: &str| !name.ends_with(".idx") && !["lock", "state", "config"].contains(&name);
    let logs = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_log));
    logs.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

impl Contender {
    fn name(&self) -> &'static str {
        match self {
            Contender::Reader(name, ..) => name,
            Contender::Supervisord(_) => "supervisord",
            Contender::Circus(_) => "circus",
            Contender::Pm2(_) => "pm2",
            Contender::Soloist => "soloist",
        }
    }

    /// The folder of its logs.
    fn kept(&self) -> &'static str {
        if matches!(self, Contender::Soloist) { ".soloist/logs" } else { "kept" }
    }

    fn start(&self, binaries: &Binaries, folder: &Path, child: &[String]) -> Result<Running> {
        let (here, kept) = (folder.display(), folder.join("kept"));
        std::fs::create_dir(&kept)?;
        let line = child.join(" ");
        let supervised = |supervisor| Running { child: None, reader: None, supervisor: Some(supervisor) };
        match self {
            Contender::Reader(name, program, words) => {
                if *name == "svlogd" {
                    // As for s6-log: large files, and all of them kept (svlogd(8)).
                    std::fs::write(kept.join("config"), "s100000000\nn0\n")?;
                }
                let (end, start) = std::io::pipe()?;
                let to = File::create(folder.join(if words.is_empty() { "kept/file" } else { "said" }))?;
                let reader =
                    Command::new(program).args(words).current_dir(folder).stdin(end).stdout(to).spawn()?;
                let mut writer = Command::new(&child[0]);
                let writer = writer
                    .args(&child[1..])
                    .current_dir(folder)
                    .stdin(Stdio::null())
                    .stdout(start)
                    .spawn()?;
                Ok(Running { child: Some(writer), reader: Some(reader), supervisor: None })
            }
            Contender::Supervisord(program) => {
                let config = format!(
                    "[supervisord]\nnodaemon=true\nlogfile={here}/own.log\npidfile={here}/own.pid\n[program:shout]\n\
                     command={line}\ndirectory={here}\nstdout_logfile={here}/kept/file\nstdout_logfile_maxbytes=0\n"
                );
                std::fs::write(folder.join("supervisord.conf"), config)?;
                let mut command = Command::new(program);
                command.arg("-c").arg(folder.join("supervisord.conf"));
                Ok(supervised(Supervisor::start(command, Signal::TERM)?))
            }
            Contender::Circus(program) => {
                let config = format!(
                    "[circus]\nendpoint = ipc://{here}/endpoint\npubsub_endpoint = ipc://{here}/events\n[watcher:shout]\n\
                     cmd = {line}\nworking_dir = {here}\nstdout_stream.class = FileStream\n\
                     stdout_stream.filename = {here}/kept/file\n"
                );
                std::fs::write(folder.join("circus.ini"), config)?;
                let mut command = Command::new(program);
                command.arg(folder.join("circus.ini"));
                Ok(supervised(Supervisor::start(command, Signal::TERM)?))
            }
            Contender::Pm2(program) => {
                let app = serde_json::json!({ "apps": [{
                    "name": "shout", "script": child[0], "args": child[1..], "interpreter": "none", "cwd": folder,
                    "vizion": false, "pmx": false, "out_file": kept.join("file"),
                }] });
                std::fs::write(folder.join("ecosystem.json"), app.to_string())?;
                let home = folder.join("pm2");
                let command = |words: &[&str]| {
                    let mut command = Command::new(program);
                    command.args(words).env("PM2_HOME", &home).env("PM2_DISABLE_VERSION_CHECK", "1");
                    command.current_dir(folder);
                    command
                };
                let (start, end) = (command(&["start", "ecosystem.json"]), command(&["kill"]));
                let find = || Ok(std::fs::read_to_string(home.join("pm2.pid"))?.trim().parse()?);
                Ok(supervised(Supervisor::background(start, end, find)?))
            }
            Contender::Soloist => {
                let config = format!(
                    "[project]\nlog = {{ keep = 10000, compress = false, total = \"1000GiB\" }}\n\
                     [services.shout]\ncommand = {child:?}\n"
                );
                std::fs::write(folder.join("soloist.toml"), config)?;
                Ok(supervised(Supervisor::soloist(&binaries.soloist, folder, &["up", "-d"])?))
            }
        }
    }
}
