//! The lifeline: a file to which each of many processes appends, in one write a line, that it starts, every few
//! milliseconds that it lives, and that it ends. One that is killed ends with its last line; a test sees from the file
//! alone how many lived at the same time.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::journal::now;

/// How often a process says that it lives.
pub const BEAT: Duration = Duration::from_millis(5);

/// The open file of a process that lives.
#[derive(Debug)]
pub struct Lifeline(File);

impl Lifeline {
    /// Enters the calling process.
    pub fn start(path: &Path) -> io::Result<Lifeline> {
        let mut line = Lifeline(OpenOptions::new().append(true).create(true).open(path)?);
        line.say("start")?;
        Ok(line)
    }

    /// It lives.
    pub fn beat(&mut self) -> io::Result<()> {
        self.say("lives")
    }

    /// It ends.
    pub fn end(mut self) -> io::Result<()> {
        self.say("end")
    }

    fn say(&mut self, what: &str) -> io::Result<()> {
        self.0.write_all(format!("{what} {} {}\n", std::process::id(), now()).as_bytes())
    }
}

/// A process as it wrote of itself; times in nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its pid.
    pub pid: u32,
    /// Its first line.
    pub from: u64,
    /// Its last line.
    pub until: u64,
    /// Whether it ended by itself.
    pub has_ended: bool,
}

/// All of them, in the order of their starts.
pub fn lives(path: &Path) -> Vec<Life> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lives: Vec<Life> = Vec::new();
    let mut newest: HashMap<u32, usize> = HashMap::new();
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let mut words = line.split(' ');
        let what = words.next();
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok());
        let (Some(pid), Some(at)) = (number().and_then(|pid| u32::try_from(pid).ok()), number()) else {
            continue;
        };
        match (what, newest.get(&pid).and_then(|at| lives.get_mut(*at))) {
            (Some("start"), _) => {
                newest.insert(pid, lives.len());
                lives.push(Life { pid, from: at, until: at, has_ended: false });
            }
            (what, Some(life)) => (life.until, life.has_ended) = (at, what == Some("end")),
            (_, None) => {}
        }
    }
    lives
}

/// How many of them lived at the same time, at most.
pub fn most_at_once(lives: &[Life]) -> usize {
    let at_start_of =
        |one: &Life| lives.iter().filter(|life| life.from <= one.from && one.from <= life.until).count();
    lives.iter().map(at_start_of).max().unwrap_or(0)
}
