//! The services of a story as a `soloist.toml`: each is an actor, or a program that is not there if the story says that
//! it cannot be started.

use std::collections::BTreeMap;
use std::path::Path;

use e2e::{binaries, free_port, quoted};

/// One declared service or job.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    is_job: bool,
    is_missing: bool,
    pub port: Option<u16>,
    settings: BTreeMap<&'static str, String>,
}

impl Declared {
    /// From `service api port=8001 needs=db`.
    pub fn read(words: &[String], story: &str) -> Declared {
        let (verb, name) = (&words[0], &words[1]);
        let is_missing = story.lines().any(|line| line.starts_with(&format!("spawn-failed {name} ")));
        let mut declared = Declared { is_job: verb == "job", is_missing, ..Declared::default() };
        declared.set(&words[2..]);
        declared
    }

    /// Takes settings in.
    pub fn set(&mut self, words: &[String]) {
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let text = format!("{value:?}");
            match key {
                // A free one: stories may be played beside each other.
                "port" => self.port = Some(free_port()),
                "needs" => drop(self.settings.insert("depends-on", needs(value))),
                "restart" => drop(self.settings.insert("restart", text)),
                "every" => drop(self.settings.insert("every", text)),
                "grace" => drop(self.settings.insert("stop-grace", text)),
                "ready-timeout" => drop(self.settings.insert("ready-timeout", text)),
                "watchdog" => drop(self.settings.insert("watchdog", text)),
                "max-runtime" => drop(self.settings.insert("max-runtime", text)),
                "notify" => drop(self.settings.insert("readiness", "\"notify\"".to_owned())),
                "limit" => {
                    drop(
                        self.settings
                            .insert("restart-limit", format!("{{ count = {value}, period = \"10m\" }}")),
                    );
                }
                "prevent" => drop(self.settings.insert("restart-prevent-exit-codes", format!("[{value}]"))),
                "readiness" | "liveness" | "startup" => self.probe(key, value),
                "print" => drop(self.settings.insert("env", format!("{{ PRINT = {text} }}"))),
                other => panic!("`{other}` cannot be declared for real"),
            }
        }
    }

    /// The probe passes while a file is there: see `stage.rs`.
    fn probe(&mut self, kind: &str, value: &str) {
        let (period, failures) = value.split_once('/').unwrap_or((value, "3"));
        let period = period.trim_end_matches('s');
        let probe = format!(
            "{{ exec = [\"test\", \"-e\", \"{kind}\"], period-seconds = {period}, failure-threshold = {failures} }}"
        );
        let key = ["readiness", "liveness", "startup"].into_iter().find(|known| *known == kind);
        self.settings.insert(key.unwrap_or_default(), probe);
    }

    /// Its section.
    pub fn section(&self, name: &str, folder: &Path) -> String {
        let table = if self.is_job { "jobs" } else { "services" };
        let pipe = folder.join(format!("{name}.pipe")).display().to_string();
        let actor = binaries().actor.display().to_string();
        let command = if self.is_missing { vec!["no-such-program".to_owned()] } else { vec![actor, pipe] };
        let mut section = format!("[{table}.{name}]\ncommand = {}\n", quoted(&command));
        if let Some(port) = self.port {
            section.push_str(&format!("port = {port}\n"));
        }
        for (key, value) in &self.settings {
            section.push_str(&format!("{key} = {value}\n"));
        }
        section
    }
}

/// `db,cache:started` as a table of conditions.
fn needs(value: &str) -> String {
    let one = |need: &str| {
        let (on, until) = need.split_once(':').unwrap_or((need, "ready"));
        format!("{on} = {until:?}")
    };
    format!("{{ {} }}", value.split(',').map(one).collect::<Vec<_>>().join(", "))
}
