//! The daemon is killed at two hundred random moments, while ten services write and serve and clients ask: none is
//! restarted, none runs twice, no byte of a log is lost, no client is refused, and every exit is told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use e2e::puppet::voice;
use e2e::{
    Entry, Identity, Journal, LIMIT, Project, Random, Status, daemon, free_port, puppet, quoted, skip_loudly,
    wait_until,
};

/// A command that waits for so long is to be answered by the next daemon, which is let live for it: a command asks again for
/// 20 s, and where a daemon takes seconds to get up none would live long enough to answer anything.
const STARVED: Duration = Duration::from_secs(5);
const KILLS: u32 = 200;
const SERVICES: usize = 10;
/// Those that fall by themselves, each with the exit code that is its own.
const FRAIL: [(&str, &str, i64); 3] = [("quick", "2300", 21), ("slow", "5100", 22), ("late", "7900", 23)];
/// Another one is another test: `E2E_SEED` sets it.
const SEED: u64 = 0x5010_1575;

/// `s0` to `s9` write and echo; the frail ones write, fall and are restarted.
struct Stage {
    project: Project,
    ports: Vec<u16>,
}

impl Stage {
    fn new() -> Stage {
        let project = Project::empty();
        let ports: Vec<u16> = (0..SERVICES).map(|_| free_port()).collect();
        let mut toml = String::new();
        for (n, port) in ports.iter().enumerate() {
            let token = project.path(&format!("token-s{n}"));
            let port = port.to_string();
            let flags = ["--token-file", &token, "--write-every", "3", "--listen", &port, "--echo"];
            toml += &format!("[services.s{n}]\ncommand = {}\nport = {port}\n", quoted(&puppet(&flags)));
        }
        for (name, life, code) in FRAIL {
            let (token, code) = (project.path(&format!("token-{name}")), code.to_string());
            let flags = ["--token-file", &token, "--write-every", "3", "--exit-after", life, "--code", &code];
            toml += &format!(
                "[services.{name}]\ncommand = {}\nrestart = \"always\"\n\
                 restart-limit = {{ count = 1000, period = \"1m\" }}\n\
                 backoff = {{ first = \"20ms\", max = \"20ms\" }}\n",
                quoted(&puppet(&flags))
            );
        }
        project.write("soloist.toml", &toml);
        project.soloist(&["up", "-d"]).expect(0);
        Stage { project, ports }
    }

    fn journal(&self, name: &str) -> Journal {
        Journal::read(&Journal::beside(&self.project.folder().join(format!("token-{name}"))))
    }
}

/// What must stay: who runs, and how often it was restarted.
fn lives(status: &Status) -> Vec<(String, Option<u32>, u64)> {
    let steady = status.services.iter().filter(|s| FRAIL.iter().all(|(name, ..)| *name != s.name));
    steady.map(|s| (s.name.clone(), s.pid, s.restarts)).collect()
}

/// Kills daemons: mostly one that answers, at some moment of its life; every fourth time one that is just getting up. It
/// rests while a command is starved.
fn kill_again_and_again(project: &Project, random: &mut Random, answered: &AtomicU64) {
    let mut last = None;
    let (mut answers, mut since) = (0, Instant::now());
    for kill in 0..KILLS {
        if since.elapsed() > STARVED {
            wait_until("a command that waited is answered by a daemon that lives", LIMIT, || {
                let is_answered = answered.load(Ordering::Relaxed) > answers;
                if is_answered { Ok(()) } else { Err(project.diary()) }
            });
        }
        let now = answered.load(Ordering::Relaxed);
        if now > answers {
            (answers, since) = (now, Instant::now());
        }
        let is_newborn = random.below(4) == 0;
        let victim = wait_until(&format!("kill {kill} finds a daemon"), LIMIT, || {
            let found = if is_newborn { daemon::living(project).pop() } else { daemon::answering(project) };
            found.filter(|one| Some(*one) != last).ok_or_else(|| project.diary())
        });
        let moment = random.below(if is_newborn { 20_000 } else { 120_000 });
        std::thread::sleep(Duration::from_micros(moment));
        // A newborn may have found that another one was faster, and ended by itself.
        victim.kill();
        last = Some(victim);
    }
}

/// Sends and gets back, over one connection for the whole time: who is restarted loses it.
fn talk(port: u16, is_over: &AtomicBool) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut talked = 0_u64;
    while !is_over.load(Ordering::Relaxed) {
        let (said, mut heard) = (talked.to_le_bytes(), [0; 8]);
        stream.write_all(&said).unwrap();
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(heard, said, "port {port}");
        talked += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    talked
}

/// Asks all the time; every answer must be right, and is counted.
fn ask(project: &Project, before: &Status, is_over: &AtomicBool, answered: &AtomicU64) {
    let mut asked = 0;
    while !is_over.load(Ordering::Relaxed) {
        let name = format!("s{}", asked % SERVICES);
        let verb = if asked % 2 == 0 { "ensure" } else { "start" };
        project.soloist(&[verb, &name]).expect(0);
        answered.fetch_add(1, Ordering::Relaxed);
        assert_eq!(lives(&project.status()), lives(before), "{}", project.diary());
        answered.fetch_add(1, Ordering::Relaxed);
        asked += 1;
    }
}

#[test]
fn two_hundred_deaths_of_the_daemon_are_noticed_by_nobody() {
    let seed = std::env::var("E2E_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED);
    let mut random = Random(seed);
    let stage = Stage::new();
    let project = &stage.project;
    let before = project.status();
    let mains: Vec<Identity> =
        (0..SERVICES).map(|n| Identity::of(before.service(&format!("s{n}")).pid.unwrap()).unwrap()).collect();
    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let talking: Vec<_> = stage.ports.iter().map(|port| scope.spawn(|| talk(*port, &is_over))).collect();
        let asking = scope.spawn(|| ask(project, &before, &is_over, &answered));
        let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            kill_again_and_again(project, &mut random, &answered);
        }));
        is_over.store(true, Ordering::Relaxed);
        asking.join().expect("every client got a right answer");
        assert!(answered.load(Ordering::Relaxed) > 0);
        for talk in talking {
            assert!(talk.join().expect("no service was restarted") > 0);
        }
        assert!(killed.is_ok(), "seed {seed:#x}");
    });

    let after = project.status();
    assert_eq!(lives(&after), lives(&before), "seed {seed:#x}\n{}", project.diary());
    assert!(mains.iter().all(Identity::is_alive));
    project.soloist(&["down"]).expect(0);

    for n in 0..SERVICES {
        let name = format!("s{n}");
        assert_eq!(stage.journal(&name).starts().len(), 1, "{name} ran once");
        let log = project.log(&name);
        let end = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        assert!(voice::count(&log[..end]).is_ok_and(|lines| lines > 0), "{name}: {:?}", voice::count(&log));
    }
    for (name, _, code) in FRAIL {
        let journal = stage.journal(name);
        assert_eq!(journal.overlaps(), Vec::<&Entry>::new(), "{name} ran twice, seed {seed:#x}");
        let ends: Vec<u32> = journal
            .starts()
            .iter()
            .filter(|who| journal.lines_of(who.pid).is_some())
            .map(|who| who.pid)
            .collect();
        assert!(!ends.is_empty(), "{name} fell and was restarted: {journal:?}");
        assert_eq!(
            lines(&project.log(name), &journal),
            written(&journal),
            "{name}, seed {seed:#x}\n{journal:?}"
        );
        all_exits_are_told(project, name, code, &ends);
    }
}

#[test]
fn a_command_outlasts_a_daemon_that_is_killed_for_six_seconds() {
    let project = Project::new("[services.steady]\ncommand = [\"sleep\", \"1000\"]\n");
    project.soloist(&["up", "-d"]).expect(0);
    let run = project.service("steady").run_id;
    let mut asking = None;
    let mut killed = 0;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        killed += daemon::living(&project).iter().filter(|one| one.kill()).count();
        asking.get_or_insert_with(|| project.spawn(&["status", "--json"]));
    }
    let asked = asking.map(|mut asking| asking.wait(LIMIT).expect(0).json());
    // How many are born in that time is up to the machine.
    assert!(killed > 2, "{killed}");
    assert_eq!(asked.unwrap()["services"][0]["run_id"].as_str(), run.as_deref());
}

/// How many lines a log has of each life that told how many it wrote: every life begins with line 0.
fn lines(log: &[u8], journal: &Journal) -> Vec<u64> {
    let length = voice::line(0).len();
    let first = voice::line(0);
    let mut lives: Vec<u64> = Vec::new();
    let mut at = 0;
    while at < log.len() {
        let rest = &log[at..];
        if rest.starts_with(first.as_bytes()) {
            lives.push(0);
        }
        let Some(count) = lives.last_mut() else { panic!("the log begins in the middle") };
        // The last life was ended by `down`, perhaps in the middle of a line.
        if rest.len() < length {
            break;
        }
        assert!(rest.starts_with(voice::line(*count).as_bytes()), "line {count} of a life is missing");
        *count += 1;
        at += length;
    }
    // A life that `down` ended did not tell how much it had written. There is none if `down` came between two lives,
    // and there is nothing of it in the log if it was ended before its first line.
    let starts = journal.starts();
    let is_stopped = starts.last().is_some_and(|who| journal.lines_of(who.pid).is_none());
    if is_stopped && lives.len() == starts.len() {
        lives.pop();
    }
    lives
}

fn written(journal: &Journal) -> Vec<u64> {
    journal.starts().iter().filter_map(|who| journal.lines_of(who.pid)).collect()
}

/// Every life that ended by itself is in the history, once, with its exit code; with a daemon or without.
fn all_exits_are_told(project: &Project, name: &str, code: i64, ends: &[u32]) {
    let output = project.soloist(&["history", name, "-n", "100000", "--json"]);
    if output.code() == 2 && output.all().contains("unrecognized subcommand") {
        return skip_loudly("there is no `soloist history` yet");
    }
    let history = output.expect(0).json();
    let is_such = |entry: &&serde_json::Value| entry["what"] == "exited" && entry["exit"]["code"] == code;
    let exited = history["entries"].as_array().into_iter().flatten().filter(is_such);
    let told: Vec<u64> = exited.filter_map(|entry| entry["pid"].as_u64()).collect();
    assert_eq!(told, ends.iter().map(|pid| u64::from(*pid)).collect::<Vec<_>>(), "{name}: {history:#}");
}
