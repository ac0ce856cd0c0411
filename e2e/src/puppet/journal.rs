//! The journal beside a token file: every start and end of a puppet with the time of the machine's monotonic clock,
//! and every overlap. Puppets write it, tests read it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::time::{ClockId, clock_gettime};

use crate::identity::Identity;

/// What puppets with one token file reported.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// All entries in the order they were made.
    pub entries: Vec<Entry>,
}

/// One report; times in nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A puppet took the token.
    Start {
        /// Who.
        who: Identity,
        /// When.
        at: u64,
    },
    /// A puppet ended by itself.
    End {
        /// Who.
        who: Identity,
        /// When.
        at: u64,
        /// How many lines it had written.
        lines: u64,
    },
    /// A puppet found the token in the hands of a living one.
    Overlap {
        /// Who found.
        who: Identity,
        /// When.
        at: u64,
        /// Who had it.
        other: Identity,
    },
}

impl Journal {
    /// Where the journal of a token file is.
    pub fn beside(token_file: &Path) -> PathBuf {
        token_file.with_extension("journal")
    }

    /// Reads a journal; empty if there is none.
    pub fn read(path: &Path) -> Journal {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Journal { entries: text.lines().filter_map(Entry::read).collect() }
    }

    /// Who took the token, in order.
    pub fn starts(&self) -> Vec<Identity> {
        let who = self.entries.iter().filter_map(|entry| match entry {
            Entry::Start { who, .. } => Some(*who),
            Entry::End { .. } | Entry::Overlap { .. } => None,
        });
        who.collect()
    }

    /// All overlaps.
    pub fn overlaps(&self) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| matches!(entry, Entry::Overlap { .. })).collect()
    }

    /// How many lines a puppet had written when it ended by itself.
    pub fn lines_of(&self, pid: u32) -> Option<u64> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::End { who, lines, .. } if who.pid == pid => Some(*lines),
            _ => None,
        })
    }
}

impl Entry {
    fn read(line: &str) -> Option<Entry> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let mut next = || words.next()?.parse::<u64>().ok();
        let who = Identity { pid: u32::try_from(next()?).ok()?, start: next()? };
        let at = next()?;
        match kind {
            "start" => Some(Entry::Start { who, at }),
            "end" => Some(Entry::End { who, at, lines: next()? }),
            "OVERLAP" => {
                let other = Identity { pid: u32::try_from(next()?).ok()?, start: next()? };
                Some(Entry::Overlap { who, at, other })
            }
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Entry::Start { who, at } => format!("start {} {} {at}\n", who.pid, who.start),
            Entry::End { who, at, lines } => format!("end {} {} {at} {lines}\n", who.pid, who.start),
            Entry::Overlap { who, at, other } => {
                format!("OVERLAP {} {} {at} {} {}\n", who.pid, who.start, other.pid, other.start)
            }
        }
    }
}

/// The open journal, locked: as long as this lives, no other puppet takes, gives back or reports.
#[derive(Debug)]
pub struct Pen {
    file: File,
}

impl Pen {
    /// Opens and locks the journal of a token file.
    pub fn lift(token_file: &Path) -> io::Result<Pen> {
        let file = OpenOptions::new().append(true).create(true).open(Journal::beside(token_file))?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(Pen { file }),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Appends an entry.
    pub fn write(&mut self, entry: &Entry) -> io::Result<()> {
        self.file.write_all(entry.text().as_bytes())
    }
}

/// Nanoseconds of CLOCK_MONOTONIC: the same for all processes of the machine.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
