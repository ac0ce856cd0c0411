//! A story on a real stage: what the story asks for is asked of the real program, what it tells of services is done by
//! their actors, what follows by itself (claims, spawns, empty trees) is left to happen, and at each `----` the real history
//! is compared with what the core told.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use e2e::{Background, LIMIT, Project, wait_until};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use super::declare::Declared;

pub struct Stage {
    name: String,
    story: String,
    project: Project,
    strategy: Option<String>,
    declared: Vec<(String, Declared)>,
    /// Runs that the story has seen start, by instance.
    started: BTreeMap<String, usize>,
    /// What the history must tell by now, by instance.
    expected: BTreeMap<String, Vec<String>>,
    asked: Vec<Background>,
    is_outcome: bool,
}

impl Stage {
    pub fn new(name: &str, story: &str) -> Stage {
        Stage {
            name: name.to_owned(),
            story: story.to_owned(),
            project: Project::empty(),
            strategy: None,
            declared: Vec::new(),
            started: BTreeMap::new(),
            expected: BTreeMap::new(),
            asked: Vec::new(),
            is_outcome: false,
        }
    }

    pub fn take(&mut self, line: &str) {
        if line == "----" {
            self.is_outcome = true;
        } else if line.is_empty() {
            if std::mem::take(&mut self.is_outcome) {
                self.compare();
            }
        } else if self.is_outcome {
            self.expect(line);
        } else if !line.starts_with('#') {
            self.obey(line);
        }
    }

    pub fn end(mut self) {
        self.compare();
        for mut background in std::mem::take(&mut self.asked) {
            background.wait(LIMIT);
        }
        self.project.soloist(&["down"]).expect(0);
    }

    // ---- what the core told

    /// `tell api: exited, exit code 1`, without causes and times.
    fn expect(&mut self, line: &str) {
        let Some((name, told)) = line.strip_prefix("tell ").and_then(|rest| rest.split_once(": ")) else {
            return;
        };
        let what = told.split([',', ' ']).next().unwrap_or_default();
        let exit = told.split(", ").find(|part| part.starts_with("exit code") || part.starts_with("signal"));
        let told = [Some(what), exit].into_iter().flatten().collect::<Vec<_>>().join(", ");
        self.expected.entry(name.to_owned()).or_default().push(told);
    }

    fn history(&self, name: &str) -> Vec<String> {
        let output = self.project.soloist(&["history", name, "--json"]).expect(0);
        let told: serde_json::Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        let entries = told["entries"].as_array().cloned().unwrap_or_default();
        let line = |entry: serde_json::Value| {
            let what = entry["what"].as_str().unwrap_or_default().to_owned();
            let (code, signal) = (&entry["exit"]["code"], &entry["exit"]["signal"]);
            match (code.as_i64(), signal.as_i64()) {
                (Some(code), _) => format!("{what}, exit code {code}"),
                (_, Some(signal)) => format!("{what}, signal {signal}"),
                (None, None) => what,
            }
        };
        entries.into_iter().map(line).collect()
    }

    fn compare(&self) {
        for (name, expected) in &self.expected {
            let what = format!("{}: the history of {name}", self.name);
            wait_until(&what, LIMIT, || {
                let told = self.history(name);
                // The story may stand still here; what is real goes on.
                if told.starts_with(expected) {
                    Ok(())
                } else {
                    Err(format!("{told:#?}\ninstead of {expected:#?}"))
                }
            });
        }
    }

    // ---- what the story says

    fn obey(&mut self, line: &str) {
        let words = cut(line);
        let name = words.get(1).cloned().unwrap_or_default();
        match words[0].as_str() {
            "strategy" => self.strategy = Some(name),
            "service" | "job" => {
                let pipe = self.project.folder().join(format!("{name}.pipe"));
                let made = mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0);
                made.unwrap_or_else(|e| panic!("{}: {e}", pipe.display()));
                self.declared.push((name, Declared::read(&words, &self.story)));
                self.write_config();
            }
            "declare" => {
                let declared = self.declared.iter_mut().find(|(known, _)| *known == name);
                declared.unwrap_or_else(|| panic!("{line}: nobody has that name")).1.set(&words[2..]);
            }
            "reconcile" => {
                self.declared.retain(|(known, _)| name.split(',').any(|kept| kept == known));
                self.write_config();
                self.asked.push(self.project.spawn(&["up", "-d"]));
            }
            "start" if words.iter().any(|word| word == "standby") => {
                self.asked.push(self.project.spawn(&["up", "-d", &name]));
            }
            verb @ ("start" | "stop" | "restart" | "reload") => {
                self.asked.push(self.project.spawn(&[verb, &name]));
            }
            "spawned" => self.wait_for_run(&name),
            "listening" if words[2] == "ours" => {
                let port = self.declared.iter().find(|(known, _)| *known == name).and_then(|(_, d)| d.port);
                self.tell(&name, &format!("listen {}", port.unwrap_or_default()));
            }
            "probed" => self.set_probes(words[2] == "passed"),
            "notified" => self.tell(&name, &format!("notify {}", notice(&words[2..]))),
            "exited" => match words[2].split_once('=') {
                Some(("code", code)) => self.tell(&name, &format!("exit {code}")),
                Some(("signal", signal)) if signal != "15" => {
                    self.kill(self.project.service(&name).pid, signal);
                }
                // The polite signal of a stop that is under way.
                _ => {}
            },
            "guard-lost" => self.kill(Some(self.project.guard(&name).pid), "9"),
            // Follows by itself: the kernel, the guard and the clock are real here.
            "granted" | "ports" | "listening" | "emptied" | "released" | "wait" | "spawn-failed" => {}
            other => panic!("{}: `{other}` cannot be played for real", self.name),
        }
    }

    fn write_config(&self) {
        let head = self.strategy.iter().map(|strategy| format!("[project]\nstrategy = {strategy:?}\n"));
        let sections = self.declared.iter().map(|(name, one)| one.section(name, self.project.folder()));
        self.project.write("soloist.toml", &head.chain(sections).collect::<String>());
    }

    fn wait_for_run(&mut self, name: &str) {
        let count = self.started.entry(name.to_owned()).or_default();
        *count += 1;
        let count = *count;
        wait_until(&format!("{}: run {count} of {name}", self.name), LIMIT, || {
            let told = self.history(name);
            let started = told.iter().filter(|what| *what == "started").count();
            if started >= count { Ok(()) } else { Err(format!("{told:?}")) }
        });
    }

    fn tell(&self, name: &str, order: &str) {
        let path = self.project.folder().join(format!("{name}.pipe"));
        // A pipe that nobody reads cannot be opened this way (ENXIO, fifo(7)): its actor is on the way.
        let mut options = std::fs::OpenOptions::new();
        options.write(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
        wait_until(&format!("{}: {name} hears `{order}`", self.name), LIMIT, || {
            let told = options.open(&path).and_then(|mut pipe| writeln!(pipe, "{order}"));
            told.map_err(|e| format!("{e}: {:?}", self.history(name)))
        });
    }

    fn set_probes(&self, passes: bool) {
        for kind in ["startup", "readiness", "liveness"] {
            let file = self.project.folder().join(kind);
            match passes {
                true => drop(std::fs::write(&file, "")),
                false => drop(std::fs::remove_file(&file)),
            }
        }
    }

    fn kill(&self, pid: Option<u32>, signal: &str) {
        let signal = signal.parse().ok().and_then(Signal::from_named_raw);
        let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid = pid.unwrap_or_else(|| panic!("{}: nobody is there to be killed", self.name));
        kill_process(pid, signal.unwrap_or(Signal::KILL)).unwrap_or_else(|e| panic!("{e}"));
    }
}

/// `ready status="serving"` in the words of sd_notify(3).
fn notice(words: &[String]) -> String {
    let word = |word: &String| match word.split_once('=').unwrap_or((word, "")) {
        ("ready", _) => "READY=1".to_owned(),
        ("alive", _) => "WATCHDOG=1".to_owned(),
        ("trigger", _) => "WATCHDOG=trigger".to_owned(),
        // One word: the pipe's line is cut at spaces.
        ("status", text) => format!("STATUS={}", text.replace(' ', "_")),
        (other, _) => panic!("`{other}` cannot be said for real"),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// At spaces, except between quotation marks.
fn cut(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let spaced: String = parts
        .map(|(at, part)| if at % 2 == 0 { part.replace(' ', "\u{0}") } else { part.to_owned() })
        .collect();
    spaced.split('\u{0}').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
