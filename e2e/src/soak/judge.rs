//! The judge: reads what puppets recorded of themselves and what is in the logs, and tells what must not be. He knows
//! nothing of what was done but how often each guard was killed.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::cast::Part;
use crate::puppet::account::{self, LENGTH, Sum};
use crate::puppet::beacon::Beacon;
use crate::puppet::journal::Journal;
use crate::puppet::lifeline::{lives, most_at_once};
use crate::{Entry, Identity};

/// How many runs of a job that may overlap there are at most at once.
const MOST_AT_ONCE: usize = 3;

/// What became of the bytes that one instance wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// So many were written, at least.
    pub written: u64,
    /// So many of them are not in the log.
    pub lost: u64,
    /// So many were told to be dropped, in the log.
    pub counted: u64,
    /// So many were the last ones of runs that ended while the disk was full: only the history tells of them.
    pub untold: u64,
}

/// What explains that bytes are missing.
#[derive(Clone, Debug, Default)]
pub struct Excuse {
    /// How often the guard was killed.
    pub killed_guards: u64,
    /// So much it takes with it at most.
    pub in_the_pipe: u64,
    /// When the disk was full.
    pub full: Vec<Range<SystemTime>>,
}

/// A guard tries a disk that was full again so often, and an account is written so exactly.
const FULL_FOR: Duration = Duration::from_millis(300);

/// How many runs there were, and each overlap.
pub fn runs(part: &Part) -> (usize, Vec<String>) {
    let mut found = Vec::new();
    let mut count = 0;
    if let Some(token) = &part.token {
        let journal = Journal::read(&Journal::beside(token));
        count = journal.starts().len();
        found.extend(overlaps(&part.name, &journal));
    }
    if let Some(beacon) = &part.beacon {
        found.extend(
            Beacon::at(beacon).overlaps().into_iter().map(|line| format!("overlap: `{}`: {line}", part.name)),
        );
    }
    if let Some(lifeline) = &part.lifeline {
        let lives = lives(lifeline);
        count = lives.len();
        let most = most_at_once(&lives);
        if most > MOST_AT_ONCE {
            found.push(format!("overlap: {most} runs of `{}` at once", part.name));
        }
    }
    (count, found)
}

/// Each overlap in a journal: reported by a puppet, or two lives that were at the same time.
pub fn overlaps(name: &str, journal: &Journal) -> Vec<String> {
    let reported = journal.overlaps().into_iter().map(|entry| format!("overlap: `{name}`: {entry:?}"));
    let mut found: Vec<String> = reported.collect();
    let ends: HashMap<Identity, u64> = journal
        .entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::End { who, at, .. } => Some((*who, *at)),
            Entry::Start { .. } | Entry::Overlap { .. } => None,
        })
        .collect();
    let starts: Vec<(Identity, u64)> = journal
        .entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Start { who, at } => Some((*who, *at)),
            Entry::End { .. } | Entry::Overlap { .. } => None,
        })
        .collect();
    for pair in starts.windows(2) {
        let ((one, _), (next, began)) = (pair[0], pair[1]);
        if ends.get(&one).is_some_and(|ended| *ended > began) {
            found.push(format!("overlap: `{name}`: {one:?} ended after {next:?} had begun"));
        }
    }
    found
}

/// Compares what puppets wrote, by their accounts, with what is in the log.
pub fn bytes(name: &str, accounts: &Path, log: &[u8], excuse: &Excuse) -> (Bytes, Vec<String>) {
    let sums: HashMap<Identity, Sum> = account::sums(accounts).into_iter().collect();
    let log = Log::read(log);
    let written: u64 = sums.values().map(|sum| sum.done).sum();
    let begun: u64 = sums.values().map(|sum| sum.begun).sum();
    let lost = written.saturating_sub(log.present);
    let untold = sums.iter().filter(|(_, sum)| excuse.covers(sum.at)).map(|(who, sum)| {
        let last = log.last.get(who).map_or(0, |last| (last + 1) * LENGTH as u64);
        sum.done.saturating_sub(last)
    });
    let bytes = Bytes { written, lost, counted: log.counted, untold: untold.sum() };
    let mut found = log.found;
    for one in &mut found {
        *one = format!("`{name}`: {one}");
    }
    let killed_guards = excuse.killed_guards;
    let granted = bytes.counted + bytes.untold + killed_guards * excuse.in_the_pipe;
    if lost > granted {
        found.push(format!(
            "lost bytes: of `{name}` {lost} of {written} bytes are missing; {} were told to be dropped, and {killed_guards} guards were killed",
            log.counted
        ));
    }
    if log.present > begun {
        found.push(format!(
            "doubled bytes: the log of `{name}` has {} bytes, written were {begun}",
            log.present
        ));
    }
    for (who, number) in &log.last {
        let most = sums.get(who).map_or(0, |sum| sum.begun);
        if (number + 1) * LENGTH as u64 > most {
            found.push(format!(
                "doubled bytes: the log of `{name}` has line {number} of {who:?}, who never wrote it"
            ));
        }
    }
    (bytes, found)
}

impl Excuse {
    /// Whether what was written last was written on a full disk.
    fn covers(&self, last: Option<SystemTime>) -> bool {
        self.full
            .iter()
            .any(|full| last.is_some_and(|last| full.start <= last && last <= full.end + FULL_FOR))
    }
}

/// What a log holds.
#[derive(Default)]
struct Log {
    /// Bytes of those who wrote.
    present: u64,
    /// Bytes that soloist says were dropped.
    counted: u64,
    /// The last line of each writer.
    last: HashMap<Identity, u64>,
    found: Vec<String>,
}

impl Log {
    fn read(log: &[u8]) -> Log {
        let mut all = Log::default();
        let mut lines = log.split_inclusive(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            let text = String::from_utf8_lossy(line);
            let text = text.strip_suffix('\n').unwrap_or(&text);
            if let Some(bytes) = dropped(text) {
                all.counted += bytes;
            } else if let Some((who, number)) = account::read(text) {
                all.present += line.len() as u64;
                if let Some(before) = all.last.insert(who, number).filter(|before| *before >= number) {
                    all.found
                        .push(format!("doubled bytes: line {number} of {who:?} comes after line {before}"));
                }
            } else {
                // A part of a line. Soloist begins a line for its own words: then the end of this one is not the writer's.
                let is_cut =
                    lines.peek().is_some_and(|next| dropped(&String::from_utf8_lossy(next)).is_some());
                all.present += line.len() as u64 - u64::from(is_cut && line.ends_with(b"\n"));
            }
        }
        all
    }
}

/// What soloist says in a log of what a full disk did not take.
fn dropped(line: &str) -> Option<u64> {
    let rest = line.trim_end().strip_prefix("[soloist: ")?;
    rest.strip_suffix(" bytes of output were lost, the disk was full]")?.parse().ok()
}
