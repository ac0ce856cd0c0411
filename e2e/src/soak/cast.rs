//! Who plays: services of mixed characters, each made of puppets that report on themselves, and the `soloist.toml` that
//! declares them.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Project, free_ports, puppet, quoted};

/// What kind of service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Character {
    /// Listens and writes.
    Server,
    /// As a server, and needs the one before.
    Needy,
    /// A shell is between soloist and the one that matters.
    Shell,
    /// Its children try to get away.
    Parent,
    /// Falls by itself.
    Crasher,
    /// Takes its time until it listens.
    Slow,
    /// Says that it is ready, and that it lives.
    Speaker,
    /// Hears no polite signal.
    Deaf,
    /// Writes a lot.
    Flood,
    /// Soloist listens for it.
    Handed,
    /// One instance for each of two keys.
    Keyed,
    /// Is ticked twice a second.
    Ticked,
    /// A job that is due each second, by its policy of overlap.
    Job(&'static str),
}

use Character::*;

/// They come in this order, again and again.
const ROUND: [Character; 15] = [
    Server,
    Needy,
    Needy,
    Shell,
    Parent,
    Crasher,
    Slow,
    Speaker,
    Deaf,
    Flood,
    Handed,
    Keyed,
    Ticked,
    Job("skip"),
    Job("allow"),
];
/// Jobs of the second round.
const OTHERS: [Character; 2] = [Job("queue"), Job("replace")];

/// One instance.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name, with its key.
    pub name: String,
    /// Its character.
    pub character: Character,
    /// Those that share a unit are wanted and not wanted together.
    pub unit: usize,
    /// Where it listens.
    pub port: Option<u16>,
    /// The token that only one of its main processes may have.
    pub token: Option<PathBuf>,
    /// The processes of its tree.
    pub beacon: Option<PathBuf>,
    /// The accounts of those that write.
    pub account: Option<PathBuf>,
    /// The life lines of runs that may overlap.
    pub lifeline: Option<PathBuf>,
}

impl Part {
    /// So long it may be away at most after a fall, by its declaration: its leftovers get their grace, then the longest
    /// delay with its jitter; some need a moment more.
    pub fn back_within(&self) -> Duration {
        let own = match self.character {
            Slow => 1500,
            // From one turn to the next, with the run before.
            Job(_) => 2500,
            Needy => 500,
            _ => 0,
        };
        GRACE + LONGEST_BACKOFF.mul_f64(1.2) + Duration::from_millis(own)
    }

    /// So much a killed guard takes with it, at most: what stood in its pipe and what it had just read.
    pub fn in_the_pipe(&self) -> u64 {
        match self.character {
            Flood => (1 << 20) + (256 << 10),
            _ => (64 << 10) + (16 << 10),
        }
    }
}

const GRACE: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_millis(400);

/// All of them.
#[derive(Debug)]
pub struct Cast {
    /// The instances.
    pub parts: Vec<Part>,
    /// How many units there are.
    pub units: usize,
    sections: Vec<(String, String)>,
    /// How often each section was edited.
    editions: Vec<u32>,
}

impl Cast {
    /// So many services and jobs in this project, whose puppets live at most so long.
    pub fn new(project: &Project, services: usize, life: Duration) -> Cast {
        let first = free_ports(u16::try_from(services + 1).unwrap_or(u16::MAX));
        let mut cast = Cast { parts: Vec::new(), units: 0, sections: Vec::new(), editions: Vec::new() };
        for number in 0..services {
            let (round, turn) = (number / ROUND.len(), number % ROUND.len());
            let character = match ROUND[turn] {
                Job(_) if round % 2 == 1 => OTHERS[turn - (ROUND.len() - OTHERS.len())],
                character => character,
            };
            cast.add(project, number, character, first + number as u16, life);
        }
        cast
    }

    fn add(&mut self, project: &Project, number: usize, character: Character, port: u16, life: Duration) {
        let base = format!("{character:?}{number}").to_lowercase();
        let base: String = base.chars().filter(char::is_ascii_alphanumeric).collect();
        let keys: &[&str] = if character == Keyed { &["@a", "@b"] } else { &[""] };
        if character != Needy {
            self.units += 1;
        }
        let unit = self.units.saturating_sub(1);
        let file = |kind: &str| project.path(&format!("{kind}/{base}"));
        let template = |kind: &str| if character == Keyed { file(kind) + "@{instance}" } else { file(kind) };
        let mut flags = vec!["--life".to_owned(), life.as_secs().to_string()];
        let mut flag = |words: &[&str]| flags.extend(words.iter().map(|word| (*word).to_owned()));
        let listens = matches!(character, Server | Needy | Shell | Parent | Slow | Deaf);
        let has_token = character != Job("allow");
        let writes = !matches!(character, Handed | Ticked);
        if has_token {
            flag(&["--token-file", &template("tokens")]);
        }
        if writes {
            flag(&["--account", &template("accounts")]);
        }
        if listens {
            flag(&["--listen", &port.to_string()]);
        }
        let beacon = file("beacons");
        match character {
            Server | Needy | Shell | Slow | Speaker | Keyed => flag(&["--write-every", "25"]),
            Parent => flag(&[
                "--write-every",
                "50",
                "--alone",
                &beacon,
                "--beacon",
                &beacon,
                "--children",
                "group,setsid+deaf,double-fork",
            ]),
            Crasher => flag(&["--write-every", "10", "--exit-after", "1700", "--code", "3"]),
            Deaf => flag(&["--write-every", "50", "--deaf"]),
            Flood => flag(&["--write-every", "1000", "--burst", "1000"]),
            Handed => flag(&["--handed"]),
            Ticked => flag(&["--ticks", &file("ticks")]),
            Job("allow") => {
                flag(&["--lifeline", &file("lifelines"), "--write-every", "40", "--exit-after", "2200"])
            }
            Job("queue") => flag(&["--write-every", "40", "--exit-after", "900"]),
            Job(_) => flag(&["--write-every", "40", "--exit-after", "1300"]),
        }
        if character == Speaker {
            flag(&["--alive", "500"]);
        }
        let plain = puppet(&flags);
        let words = plain.join(" ");
        let command = match character {
            Shell => quoted(&["/bin/sh", "-c", &format!("{words}; exit 4")]),
            Slow => quoted(&["/bin/sh", "-c", &format!("sleep 1.5; exec {words}")]),
            _ => quoted(&plain),
        };
        let mut text = format!("command = {command}\n");
        text += match character {
            Job(_) => "every = \"1s\"\nmisfire = \"skip\"\n",
            _ => {
                "restart = \"always\"\nrestart-limit = { count = 1000000, period = \"1m\" }\n\
                  backoff = { first = \"100ms\", max = \"400ms\" }\nstop-grace = \"1s\"\n"
            }
        };
        match character {
            Job("allow") => text += "overlap = \"allow\"\nmax-overlap = 3\n",
            Job(overlap) => text += &format!("overlap = \"{overlap}\"\n"),
            Needy => {
                let before = self.parts.last().map_or("", |part| &part.name);
                text += &format!("depends-on = [\"{before}\"]\n");
            }
            Speaker => text += "readiness = \"notify\"\nwatchdog = \"10s\"\n",
            Keyed => text += "instances = [\"a\", \"b\"]\n",
            Ticked => text += "trigger = \"stdin\"\nevery = \"500ms\"\nreadiness = \"notify\"\n",
            Handed => {
                text += &format!("port = {port}\nlisten = \"soloist\"\nreadiness = {{ tcp = {port} }}\n")
            }
            Flood => text += "log = { size = \"256KiB\", keep = 10000, max-age = false }\n",
            _ => {}
        }
        if listens {
            text += &format!("port = {port}\n");
        }
        for key in keys {
            let at = |kind: &str| PathBuf::from(file(kind) + key);
            let part = Part {
                name: format!("{base}{key}"),
                character,
                unit,
                port: (listens || character == Handed).then_some(port),
                token: has_token.then(|| at("tokens")),
                beacon: (character == Parent).then(|| at("beacons")),
                account: writes.then(|| at("accounts")),
                lifeline: (character == Job("allow")).then(|| at("lifelines")),
            };
            for folder in ["tokens", "beacons", "lifelines", "ticks"] {
                let _ = std::fs::create_dir_all(project.folder().join(folder));
            }
            if let Some(account) = &part.account {
                let _ = std::fs::create_dir_all(account);
            }
            self.parts.push(part);
        }
        let kind = if matches!(character, Job(_)) { "jobs" } else { "services" };
        self.sections.push((format!("[{kind}.{base}]\n"), text));
        self.editions.push(0);
    }

    /// What `soloist.toml` says now.
    pub fn toml(&self) -> String {
        let mut toml =
            "[project]\nlog = { size = \"1MiB\", keep = 10000, max-age = false, total = \"100GiB\" }\n"
                .to_owned();
        for ((head, text), edition) in self.sections.iter().zip(&self.editions) {
            toml += &format!("\n{head}{text}env = {{ EDITION = {edition} }}\n");
        }
        toml
    }

    /// Declares the service of an instance anew.
    pub fn edit(&mut self, name: &str) {
        let base = name.split('@').next().unwrap_or_default();
        let found = self.sections.iter().position(|(head, _)| head.ends_with(&format!(".{base}]\n")));
        if let Some(edition) = found.and_then(|at| self.editions.get_mut(at)) {
            *edition += 1;
        }
    }

    /// The instances of a unit.
    pub fn of_unit(&self, unit: usize) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(move |part| part.unit == unit)
    }
}
