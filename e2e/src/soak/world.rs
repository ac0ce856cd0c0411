//! The world around a project in a soak: bystanders that must not feel anything of it, a neighbour, a disk that is full by
//! turns, a clock that is set, and how late the machine is.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::stage::{Stage, lock};
use crate::puppet::journal::{Journal, now};
use crate::{Identity, Project, Random, binaries, daemon, puppet, quoted};

/// A shell that writes down each signal it gets.
const WITNESS: &str = "for s in HUP INT QUIT USR1 USR2 TERM ALRM WINCH; do trap \"echo $s >>'$1'\" $s; done; \
                       mkfifo \"$2\"; exec 3<>\"$2\"; : >\"$1.ready\"; while :; do read -r word <&3; done";

/// Processes that are nobody's business.
#[derive(Debug)]
pub struct Bystanders {
    all: Vec<(Child, Identity, PathBuf)>,
}

impl Bystanders {
    /// Starts them: with the names, folders, cookies and ports that are near to those of services.
    pub fn start(stage: &Stage) -> std::io::Result<Bystanders> {
        let folder = stage.project.folder();
        let claims = folder.join(".soloist/claims");
        let mut all = Vec::new();
        for (number, part) in stage.parts.iter().step_by(5).enumerate() {
            let heard = folder.join(format!("bystander-{number}"));
            let mut command = Command::new("/bin/sh");
            command.args(["-c", WITNESS, &binaries().puppet.display().to_string()]);
            command.arg(&heard).arg(heard.with_extension("fifo")).args(["--token-file", &part.name]);
            // A cookie that only begins as that of an instance, or is that of another folder.
            let cookie = match number % 2 {
                0 => claims.join(format!("{}x.lock", part.name)),
                _ => PathBuf::from(format!("{}x/.soloist/claims/{}.lock", folder.display(), part.name)),
            };
            command.env("SOLOIST_CLAIM", cookie).env("SOLOIST_SERVICE", &part.name).current_dir(folder);
            all.push((command, heard));
        }
        // The same program, at a port beside.
        let beyond = stage.parts.iter().filter_map(|part| part.port).max().map_or(0, |port| port + 1);
        let mut twin = Command::new(&binaries().puppet);
        twin.args(["--listen", &beyond.to_string(), "--life", "100000"]).current_dir(folder);
        all.push((twin, folder.join("bystander-twin")));
        let start = |(mut command, heard): (Command, PathBuf)| {
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
            let who = Identity::of(child.id()).unwrap_or(Identity { pid: child.id(), start: 0 });
            Ok((child, who, heard))
        };
        Ok(Bystanders { all: all.into_iter().map(start).collect::<std::io::Result<_>>()? })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Who they are; the last one is no shell.
    pub fn identities(&self) -> Vec<Identity> {
        self.all.iter().map(|(_, who, _)| *who).collect()
    }

    /// What they felt.
    pub fn felt(&self) -> Vec<String> {
        let felt = |(_, who, heard): &(Child, Identity, PathBuf)| {
            let signals = std::fs::read_to_string(heard).unwrap_or_default();
            if !who.is_alive() {
                return Some(format!("foreign signal: the bystander {who:?} is dead"));
            }
            if who.state() == Some('T') {
                return Some(format!("foreign signal: the bystander {who} is stopped"));
            }
            (!signals.is_empty()).then(|| format!("foreign signal: the bystander {who} got {signals:?}"))
        };
        self.all.iter().filter_map(felt).collect()
    }
}

impl Drop for Bystanders {
    fn drop(&mut self) {
        for (child, ..) in &mut self.all {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Another project with services of the same names, at peace.
#[derive(Debug)]
pub struct Neighbour(Project);

impl Neighbour {
    /// Brings it up.
    pub fn start(stage: &Stage, life: Duration) -> Neighbour {
        let project = Project::empty();
        let mut toml = String::new();
        for part in stage.parts.iter().filter(|part| !part.name.contains('@')).take(3) {
            let words = [
                "--token-file",
                &project.path(&part.name),
                "--life",
                &life.as_secs().to_string(),
                "--write-every",
                "100",
            ];
            toml += &format!("[services.{}]\ncommand = {}\n", part.name, quoted(&puppet(&words)));
        }
        project.write("soloist.toml", &toml);
        project.soloist(&["up", "-d"]).expect(0);
        Neighbour(project)
    }

    /// Its daemon.
    pub fn daemon(&self) -> Option<Identity> {
        daemon::answering(&self.0)
    }

    /// Each of its services ran once and runs.
    pub fn felt(&self) -> Vec<String> {
        let files =
            std::fs::read_dir(self.0.folder()).into_iter().flatten().flatten().map(|file| file.path());
        let journals: Vec<PathBuf> =
            files.filter(|file| file.extension().is_some_and(|end| end == "journal")).collect();
        let felt = |file: &PathBuf| {
            let starts = Journal::read(file).starts();
            let is_well = starts.len() == 1 && starts[0].is_alive();
            (!is_well)
                .then(|| format!("foreign signal: the neighbour's {} ran as {starts:?}", file.display()))
        };
        journals.iter().filter_map(felt).collect()
    }
}

/// The disk of `.soloist` is full by turns; it must be a small one of its own.
pub fn fill_disk(stage: &Stage, mut random: Random) {
    while !stage.is_over() {
        stage.pause(20_000 + random.below(40_000));
        if stage.is_over() {
            return;
        }
        let (from, since) = (now(), SystemTime::now());
        let ballast = stage.project.folder().join(".soloist/ballast");
        stage.note("disk full", "");
        if let Ok(mut file) = File::create(&ballast) {
            for size in [1 << 20, 4096, 1] {
                while file.write_all(&vec![0; size]).is_ok() {}
            }
        }
        stage.pause(500 + random.below(3500));
        let _ = std::fs::remove_file(&ballast);
        stage.disturbed(None, from);
        lock(&stage.full).push(since..SystemTime::now());
        stage.note("disk free", "");
    }
}

/// Somebody sets the clock, up to two hours forth and back.
pub fn set_clock(stage: &Stage, mut random: Random) {
    while !stage.is_over() {
        stage.pause(3_000 + random.below(15_000));
        let ahead = random.below(14_400_000) as i64 - 7_200_000;
        stage.project.set_test_clock(ahead);
        stage.note("clock set", &format!("{ahead} ms ahead"));
    }
}

/// Measures how long a process takes to be started and to end.
pub fn measure(stage: &Stage) {
    while !stage.is_over() {
        let began = Instant::now();
        let _ = Command::new("true").status();
        lock(&stage.lateness).push((now(), began.elapsed()));
        let (slept, from) = (Instant::now(), now());
        stage.pause(250);
        // We were not run either: all stood still.
        if slept.elapsed() > Duration::from_secs(1) {
            stage.disturbed(None, from);
            stage.note("machine stood still", &format!("{:?}", slept.elapsed()));
        }
    }
}

/// What a process uses: open descriptors and resident KiB.
pub fn usage(who: Identity) -> Option<(usize, u64)> {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", who.pid)).ok()?.count();
    let status = std::fs::read_to_string(Path::new("/proc").join(who.pid.to_string()).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some((descriptors, line.trim().split(' ').next()?.parse().ok()?))
}
