//! How soloist grows: ten, a hundred, a thousand and five thousand services, and what each of these costs: until all are
//! up, memory, idling, a status, one restart, until all are down. With the exponent of each: 1 is linear.

mod curve;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::asker::{Asked, Door};
use crate::binaries::Binaries;
use crate::fifo::Fifo;
use crate::figures::Figures;
use crate::machine::{self, now_ns};
use crate::outline;
use crate::report::Section;
use crate::supervisor::{Supervisor, send};

const SIZES: [usize; 4] = [10, 100, 1000, 5000];
/// From this size on the exponent is taken: below it, what has nothing to do with the number of services counts most.
const FROM: usize = 100;
const LIMIT: Duration = Duration::from_secs(300);
/// After the start: what was only needed for it is over.
const SETTLE: Duration = Duration::from_secs(3);
/// So long nothing happens.
const IDLE: Duration = Duration::from_secs(20);
/// So long the API is asked.
const SPAN: Duration = Duration::from_secs(1);
const COMMANDS: usize = 15;
const KILLS: usize = 15;
/// A daemon has three descriptors a service; a thousand more are for all else.
const DESCRIPTORS: u64 = 3 * SIZES[3] as u64 + 1000;
/// As in the measurement of restarts: at once, every time.
const AT_ONCE: &str = "backoff = { first = \"1ms\", max = \"1ms\", reset-after = \"1ms\" }\n\
                       restart-limit = { count = 100000, period = \"10m\" }\n";

/// What is drawn and has an exponent, in the order of the columns.
const FIGURES: [&str; 6] = ["up s", "PSS MiB", "API ms", "`status` ms", "restart ms", "down s"];

/// What was measured with so many services.
struct Size {
    services: usize,
    figures: [f64; 6],
    pss_each: f64,
    idle: (u64, u64),
}

/// All sizes up to the largest.
pub fn measure(binaries: &Binaries, largest: usize) -> Result<Section> {
    raise_limit()?;
    let scratch = tempfile::Builder::new().prefix("soloist-bench-growth-").tempdir()?;
    let mut sizes = Vec::new();
    for services in SIZES.into_iter().filter(|size| *size <= largest) {
        eprintln!("growth: {services} services");
        let folder = scratch.path().join(services.to_string());
        std::fs::create_dir(&folder)?;
        let size = Size::measure(binaries, &folder, services);
        sizes.push(size.with_context(|| format!("with {services} services"))?);
    }
    let mut rows: Vec<Vec<String>> = sizes.iter().map(Size::row).collect();
    rows.extend(exponents(&sizes));
    if largest == SIZES[3] {
        curve::draw(&sizes)?;
    }
    Ok(Section {
        name: "growth",
        words: vec![
            machine::line(binaries, &[], scratch.path()),
            format!(
                "So many services, each the same small program, captured. Up: from the start of `soloist up -d` until the last \
                 one runs. PSS of all processes but the services, {} s later; of {} s idling the processor time of these, and their \
                 context switches. API: GET /api/v1/services over one connection, median of {} s. `soloist status` and a \
                 restart after SIGKILL: median of {COMMANDS}. Down: `soloist down`. Exponent: of the figure by the number of \
                 services, from {FROM} to the most; 1 is linear, 0 is the same for any number.",
                SETTLE.as_secs(),
                IDLE.as_secs(),
                SPAN.as_secs(),
            ),
        ],
        head: [&["services"], &FIGURES[..], &["PSS KiB each", "idle CPU ms", "switches"]].concat(),
        rows,
    })
}

fn raise_limit() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= DESCRIPTORS);
    if !is_enough(current) || !is_enough(maximum) {
        let most = maximum.map(|most| most.max(DESCRIPTORS));
        setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), maximum: most })
            .with_context(|| format!("{DESCRIPTORS} open files are needed (ulimit -n)"))?;
    }
    Ok(())
}

impl Size {
    fn measure(binaries: &Binaries, folder: &Path, services: usize) -> Result<Size> {
        let mut fifo = Fifo::make(folder)?;
        let one = |at: usize| format!("[services.s{at}]\ncommand = [{:?}]\n{AT_ONCE}", binaries.beacon);
        std::fs::write(folder.join("soloist.toml"), (0..services).map(one).collect::<String>())?;
        rustix::fs::sync();
        let begun = now_ns();
        let supervisor = Supervisor::soloist(&binaries.soloist, folder, &["up", "-d"])?;
        let last = fifo.last_of(services, LIMIT)?;
        let up = (last.began - begun) as f64 / 1e9;
        std::thread::sleep(SETTLE);
        let own = supervisor.all_but(&binaries.beacon);
        let pss: f64 = own.iter().filter_map(|pid| outline::pss_kib(*pid)).sum();
        let before = outline::used(&own);
        std::thread::sleep(IDLE);
        let after = outline::used(&own);
        let request = "GET /api/v1/services HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned();
        let asked = Asked { door: Door::Unix(folder.join(".soloist/daemon.sock")), request };
        let (api, _) = asked.ask(1, SPAN)?;
        let mut status = Figures::default();
        for _ in 0..COMMANDS {
            status.add(time(&binaries.soloist, folder, "status")? * 1e3);
        }
        let restart = restarts(&mut fifo, last.pid)?;
        let down = time(&binaries.soloist, folder, "down")?;
        let figures = [up, pss / 1024.0, api.median(), status.median(), restart.median(), down];
        let idle = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
        Ok(Size { services, figures, pss_each: pss / services as f64, idle })
    }

    fn row(&self) -> Vec<String> {
        let figures = self.figures.iter().map(|figure| format!("{figure:.2}"));
        let others = [
            format!("{:.1}", self.pss_each),
            format!("{:.1}", self.idle.0 as f64 / 1e6),
            self.idle.1.to_string(),
        ];
        [self.services.to_string()].into_iter().chain(figures).chain(others).collect()
    }
}

/// Kills one and waits for the next, again and again.
fn restarts(fifo: &mut Fifo, mut child: u32) -> Result<Figures> {
    let mut taken = Figures::default();
    for _ in 0..KILLS {
        std::thread::sleep(Duration::from_millis(150));
        let killed = now_ns();
        send(child, Signal::KILL);
        let next = fifo.next(LIMIT)?;
        taken.add((next.began - killed) as f64 / 1e6);
        child = next.pid;
    }
    Ok(taken)
}

/// How many seconds a command takes.
fn time(soloist: &Path, folder: &Path, verb: &str) -> Result<f64> {
    let mut command = Command::new(soloist);
    command.arg(verb).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status()?;
    ensure!(status.success(), "`soloist {verb}` ended with {status}");
    Ok(begun.elapsed().as_secs_f64())
}

/// Of each figure, between the size from which it is taken and the largest.
fn exponents(sizes: &[Size]) -> Option<Vec<String>> {
    let from = sizes.iter().find(|size| size.services == FROM)?;
    let to = sizes.last().filter(|last| last.services > FROM)?;
    let span = (to.services as f64 / from.services as f64).ln();
    let exponent = |at: usize| format!("{:.2}", (to.figures[at] / from.figures[at]).ln() / span);
    let mut row = vec!["exponent".to_owned()];
    row.extend((0..FIGURES.len()).map(exponent));
    row.extend(["-"; 3].map(str::to_owned));
    Some(row)
}
