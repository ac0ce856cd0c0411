//! A start that finds its service running: what it costs to be told so, beside flock and PID files, and in how many rounds
//! two starts at the same moment both ran.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::arena::finish;
use crate::binaries::{Binaries, peer};
use crate::fifo::Fifo;
use crate::figures::Figures;
use crate::report::Section;
use crate::supervisor::{Supervisor, send};
use crate::{machine, outline};

const LIMIT: Duration = Duration::from_secs(10);
const SHELL: &str = include_str!("singleton/pidfile.sh");
const PYTHON: &str = include_str!("singleton/pidfile.py");

struct Contender {
    name: &'static str,
    /// What comes before the command of the service.
    before: Vec<PathBuf>,
    /// Whether the service is declared, so that no command follows.
    is_declared: bool,
    wall: Figures,
    both: usize,
}

/// So many refusals, and so many rounds of two starts at once.
pub fn measure(binaries: &Binaries, rounds: usize, races: usize) -> Result<Section> {
    let scratch = tempfile::Builder::new().prefix("soloist-bench-singleton-").tempdir()?;
    let folder = scratch.path();
    let mut fifo = Fifo::make(folder)?;
    std::fs::write(folder.join("pidfile.sh"), SHELL)?;
    std::fs::write(folder.join("pidfile.py"), PYTHON)?;
    let config = format!("[services.declared]\ncommand = [{:?}]\n", binaries.beacon);
    std::fs::write(folder.join("soloist.toml"), config)?;
    let _daemon = Supervisor::soloist(&binaries.soloist, folder, &["up", "-d"])?;
    fifo.next(LIMIT)?;

    let mut contenders = contenders(binaries);
    let mut holders = Vec::new();
    for contender in contenders.iter().filter(|contender| !contender.is_declared) {
        holders.push(Holder(contender.command(&binaries.beacon, folder).spawn()?));
        fifo.next(LIMIT).with_context(|| format!("{} starts nothing", contender.name))?;
    }
    let count = contenders.len();
    for round in 0..=rounds {
        for at in 0..count {
            let contender = &mut contenders[(at + round) % count];
            let mut command = contender.command(&binaries.beacon, folder);
            let begun = Instant::now();
            let status = command.status()?;
            let wall = begun.elapsed();
            // A service that is to run and does is well.
            ensure!(status.success() == contender.is_declared, "{} ended with {status}", contender.name);
            // The first round fills caches.
            if round > 0 {
                contender.wall.add(wall.as_secs_f64() * 1e3);
            }
        }
    }
    ensure!(fifo.told().is_empty(), "something was started beside its holder");
    drop(holders);
    for _ in 0..races {
        for contender in &mut contenders {
            contender.race(binaries, folder, &mut fifo)?;
        }
    }
    let flock = contenders.iter().find(|c| c.name.starts_with("`flock")).map(|c| c.wall.clone());
    let rows = contenders.iter().map(|contender| {
        let mut row = vec![contender.name.to_owned(), contender.wall.count().to_string()];
        row.extend(contender.wall.cells(2));
        row.push(flock.as_ref().map_or("-".to_owned(), |flock| contender.wall.ratio_to(flock)));
        row.push(format!("{} of {races}", contender.both));
        row
    });
    let rows = rows.collect();
    Ok(Section {
        name: "singleton",
        words: vec![
            machine::line(binaries, &["util-linux", "s6", "runit", "python3"], folder),
            "Wall time in ms of a start that finds the service running, from posix_spawn(3) to the reaped end: all refuse it, \
             `soloist ensure` is content. Then two starts at the same moment of what does not run: in how many rounds both \
             ran."
                .to_owned(),
        ],
        head: vec!["command", "starts", "median ms", "min", "max", "to flock", "both ran"],
        rows,
    })
}

fn contenders(binaries: &Binaries) -> Vec<Contender> {
    let mut all = Vec::new();
    let mut add = |name, program: Option<PathBuf>, words: &[&str]| {
        let before = program.into_iter().chain(words.iter().map(PathBuf::from)).collect::<Vec<_>>();
        if before.len() > words.len() {
            let is_declared = words.first() == Some(&"ensure");
            all.push(Contender { name, before, is_declared, wall: Figures::default(), both: 0 });
        }
    };
    add("`flock -n FILE`", peer("flock", "util-linux"), &["-n", "flock.lock"]);
    add("`s6-setlock -n FILE`", peer("s6-setlock", "s6"), &["-n", "s6.lock"]);
    add("`chpst -L FILE`", peer("chpst", "runit"), &["-L", "chpst.lock"]);
    add("a PID file, sh", peer("sh", "dash"), &["pidfile.sh", "sh.pid"]);
    add("a PID file, Python", peer("python3", "python3"), &["pidfile.py", "python.pid"]);
    add("`soloist run NAME --`", Some(binaries.soloist.clone()), &["run", "x", "--"]);
    add("`soloist ensure NAME`", Some(binaries.soloist.clone()), &["ensure", "declared"]);
    all
}

impl Contender {
    fn command(&self, service: &Path, folder: &Path) -> Command {
        let mut command = Command::new(&self.before[0]);
        command.args(&self.before[1..]);
        if !self.is_declared {
            command.arg(service);
        }
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Two starts at once.
    fn race(&mut self, binaries: &Binaries, folder: &Path, fifo: &mut Fifo) -> Result<()> {
        if self.is_declared {
            let mut stop = Command::new(&binaries.soloist);
            stop.args(["stop", "declared"]).current_dir(folder).stdout(Stdio::null());
            ensure!(stop.status()?.success(), "the service cannot be stopped");
        }
        let start = || self.command(&binaries.beacon, folder).spawn().map(Holder);
        let mut starts = [start()?, start()?];
        let mut begun = 0;
        let is_over = machine::wait_until(LIMIT, || {
            begun += fifo.told().len();
            let ended = starts.iter_mut().filter_map(|start| start.0.try_wait().ok().flatten()).count();
            // Both have won, or one has lost; a declared service is nobody's child here.
            begun == 2 || (begun == 1 && ended >= if self.is_declared { 2 } else { 1 })
        });
        ensure!(is_over, "{}: of two starts {begun} ran, and none gave up", self.name);
        drop(starts);
        // Whoever began late, too.
        begun += fifo.told().len();
        self.both += usize::from(begun > 1);
        Ok(())
    }
}

/// A holder with its service; both end with this value.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let family = outline::family(self.0.id());
        // Whoever waits for its service ends when that does.
        let service = family.iter().skip(1).find(|pid| outline::name(**pid) == "beacon");
        send(*service.unwrap_or(&family[0]), Signal::KILL);
        finish(&mut self.0, Duration::from_secs(2));
    }
}
