//! The hot paths, alone: a crash and its restart in the core, a report read, the status of a thousand as it is told, the
//! splice of a log, the next run of a schedule. `cargo bench -p soloist-daemon`.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use soloist_api::status::Status;
use soloist_core::event::{Cause, Effect, Event, Exit, IfHeld};
use soloist_core::id::ClaimId;
use soloist_core::project::{Orders, Project};
use soloist_core::schedule::civil::Moment;
use soloist_core::time::Time;
use soloist_daemon::config::Config;
use soloist_daemon::{runs, schedules};
use soloist_os::guard::output::Output;
use soloist_os::guard::{LogRules, Report, read_report};
use soloist_os::identity::Identity;
use soloist_os::layout::Layout;

const AT_ONCE: &str = "backoff = { first = '1ms', max = '1ms', reset-after = '1ms' }\n\
                       restart-limit = { count = 100000000, period = '10m' }\n";

fn declared(services: usize, more: &str) -> Config {
    let one = |at: usize| format!("[services.s{at}]\ncommand = ['/bin/true']\n{more}");
    let text: String = (0..services).map(one).collect();
    Config::parse(&text, Path::new("/"), "soloist.toml").unwrap_or_else(|error| panic!("{error}"))
}

/// The core with all its instances up, and a world that does at once what is ordered.
struct World {
    project: Project,
    now: Time,
}

impl World {
    fn new(services: usize) -> World {
        let mut world = World { project: Project::new(), now: Time(Duration::from_secs(100)) };
        for one in declared(services, AT_ONCE).declared {
            let at = world.project.add(&one.name, one.plan, 7, world.now);
            let mut orders = Orders::new();
            let cause = Cause::User("a bench".to_owned());
            world.project.start(world.now, at, cause, IfHeld::Refuse, &mut orders);
            world.obey(orders);
        }
        world
    }

    fn tell(&mut self, at: usize, event: Event) {
        let mut orders = Orders::new();
        self.project.handle(self.now, at, event, &mut orders);
        self.obey(orders);
    }

    fn obey(&mut self, orders: Orders) {
        for (at, effect) in orders {
            match effect {
                Effect::AskClaim { ask } => {
                    self.tell(at, Event::ClaimGranted { ask, claim: ClaimId(at as u64 + 1) });
                }
                Effect::LookAtPorts { ask, .. } => {
                    self.tell(at, Event::PortsSeen { ask, strangers: Vec::new(), free: Vec::new() });
                }
                Effect::Spawn { run, .. } => self.tell(at, Event::Spawned { run, pid: 4711 }),
                _ => {}
            }
        }
    }

    /// The first one dies and is there again.
    fn crash(&mut self) {
        let run = self.project.status(0).run.expect("it runs");
        self.now = self.now + Duration::from_secs(1);
        let exit = Exit::Signal(9);
        self.tell(0, Event::MainExited { run, exit, is_tree_left: false, diagnosis: None });
        self.tell(0, Event::TreeEmptied { run });
        while self.project.status(0).pid.is_none() {
            self.now = self.project.next_deadline().expect("it is to be restarted");
            let mut orders = Orders::new();
            self.project.expire(self.now, &mut orders);
            self.obey(orders);
        }
        black_box(self.project.take_touched());
    }
}

fn core(bench: &mut Criterion) {
    for services in [1, 1000, 5000] {
        let mut world = World::new(services);
        bench.bench_function(&format!("core: a crash and its restart, one of {services}"), |b| {
            b.iter(|| world.crash());
        });
    }
    let me = Identity::mine().expect("an identity");
    let report = Report::Spawned { run_id: "1".to_owned(), main: me, log_at: Some(1), log_seq: Some(1) };
    let bytes = serde_json::to_vec(&report).expect("JSON");
    bench.bench_function("a report of a guard, read", |b| b.iter(|| read_report(black_box(&bytes))));
}

fn status(bench: &mut Criterion) {
    let world = World::new(1000);
    bench.bench_function("core: status of 1000", |b| {
        b.iter(|| (0..1000).map(|at| world.project.status(at)).collect::<Vec<_>>());
    });
    let folder = tempfile::tempdir().expect("a folder");
    let layout = Layout::new(folder.path()).expect("a layout");
    let status = Status { daemon: None, services: runs::declared(&layout, &declared(1000, "")) };
    bench.bench_function("status of 1000 to JSON", |b| b.iter(|| serde_json::to_vec(&status)));
    let json = serde_json::to_vec(&status).expect("JSON");
    bench.bench_function("status of 1000 from JSON", |b| {
        b.iter(|| serde_json::from_slice::<Status>(black_box(&json)));
    });
}

fn logs(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("log splice");
    for (name, at_once) in [("32 KiB a write", 32 << 10), ("a line a write", 100)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut output =
            Output::open(&folder.path().join("s.log"), &LogRules::default(), true).expect("a log");
        let mut writer = File::from(output.end().expect("a pipe").try_clone_to_owned().expect("an end"));
        let lines: Vec<u8> = (1..=32_000).map(|at| if at % 100 == 0 { b'\n' } else { b'x' }).collect();
        group.throughput(Throughput::Bytes(lines.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                for piece in lines.chunks(at_once) {
                    writer.write_all(piece).expect("room in the pipe");
                }
                output.drain(Instant::now());
                for old in output.rotated() {
                    let _ = std::fs::remove_file(old.with_extension("log.1"));
                }
            });
        });
    }
}

fn schedule(bench: &mut Criterion) {
    let text = "[windows.us]\ncalendar = 'NYSE'\n\
                [jobs.every]\ncommand = ['/bin/true']\nevery = '30s'\nwindow = 'us'\n\
                [jobs.cron]\ncommand = ['/bin/true']\ncron = '*/5 9-16 * * mon-fri'\ntimezone = 'America/New_York'\n\
                [jobs.both]\ncommand = ['/bin/true']\ncron = '0 12 1,15 * *'\nwindow = 'us'\n";
    let config =
        Config::parse(text, Path::new("/"), "soloist.toml").unwrap_or_else(|error| panic!("{error}"));
    let now = Moment(1_790_000_000_000);
    for one in &config.declared {
        bench.bench_function(&format!("the next ten runs: {}", one.name), |b| {
            b.iter(|| schedules::upcoming(one, 10, black_box(now)));
        });
    }
}

criterion_group!(hot, core, status, logs, schedule);
criterion_main!(hot);
