//! Lines of a log as somebody wants them: the last ones, those of a time, those that match; each with its place and time.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use regex_lite::Regex;
use soloist_api::error::{Code, Problem};
use soloist_os::log_files::{Index, parts};

use super::content::{Content, end};
use super::mask::Mask;
use super::reader::{Piece, Reader};
use super::{Position, Start};
use crate::plain::plain;

/// A longer line comes in parts.
const LINE_MAX: usize = 1 << 20;
/// What is written within a second has one time, and is taken some milliseconds after it was written.
const COARSE_MS: u64 = 1_500;
/// So many lines are told if nothing is said about which.
pub const LINES: usize = 100;

/// Which lines.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// At most so many, the last ones; none: [`LINES`], or all where anything else is said.
    pub lines: Option<usize>,
    /// Only what was written from then on, in milliseconds since 1970; and what may have been, if its time is not known.
    pub since: Option<u64>,
    /// Only what was written up to then.
    pub until: Option<u64>,
    /// Only lines that match, as they are shown.
    pub grep: Option<Regex>,
}

/// The pattern of lines that somebody wants.
///
/// # Errors
/// What is wrong with it.
pub fn pattern(text: &str) -> Result<Regex, Problem> {
    Regex::new(text).map_err(|e| {
        let what = format!("{text:?} is no pattern: {e}");
        Problem::new(Code::Usage, what).hint("write it as a regular expression, such as `error|warn`")
    })
}

/// Whether a line matches, as it is shown: colours count for nothing.
pub fn is_match(pattern: &Regex, line: &[u8]) -> bool {
    pattern.is_match(&plain(&String::from_utf8_lossy(line)))
}

impl Wish {
    fn is_of_all(&self) -> bool {
        self.since.is_none() && self.until.is_none() && self.grep.is_none()
    }

    /// Where who follows begins: with the first line that is wanted, or may be.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn begin(&self, log: &Path) -> io::Result<Position> {
        match self.since {
            Some(since) => whole_line(log, since_place(log, since)?.map_or_else(|| end(log), Ok)?),
            None => Start::Lines(self.lines.unwrap_or(LINES)).place(log),
        }
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it begins.
    pub at: Position,
    /// When it was written at the earliest, in milliseconds since 1970, if that is known.
    pub time: Option<u64>,
    /// With its end, if it has one; masked.
    pub bytes: Vec<u8>,
}

/// Gives them one by one, up to what was the end of the log when it was opened.
#[derive(Debug)]
pub struct Lines {
    reader: Reader,
    end: Position,
    /// No line that begins there or later is told.
    until: Option<Position>,
    grep: Option<Regex>,
    mask: Mask,
    times: Times,
    /// What was read, where it begins, and how much of it was told.
    read: (Vec<u8>, Position, usize),
    /// The last ones, where all had to be seen to know them.
    last: Option<VecDeque<Line>>,
}

impl Lines {
    /// Of this log. One that is not there has no lines.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(log: &Path, wish: &Wish, mask: Mask) -> io::Result<Lines> {
        let end = end(log)?;
        let is_some_of_all = wish.since.is_none() && !wish.is_of_all();
        let begin = if is_some_of_all { Start::Beginning.place(log)? } else { wish.begin(log)? };
        let mut lines = Lines {
            reader: Reader::new(log, begin),
            end,
            until: wish.until.map(|until| until_place(log, until)).transpose()?.flatten(),
            grep: wish.grep.clone(),
            mask,
            times: Times::default(),
            read: (Vec::new(), begin, 0),
            last: None,
        };
        if let Some(most) = wish.lines.filter(|most| *most < usize::MAX && !wish.is_of_all()) {
            let mut last = VecDeque::new();
            while let Some(line) = lines.next_match()? {
                last.push_back(line);
                if last.len() > most {
                    last.pop_front();
                }
            }
            lines.last = Some(last);
        }
        Ok(lines)
    }

    /// Where who follows goes on.
    pub fn end(&self) -> Position {
        self.end
    }

    fn next_match(&mut self) -> io::Result<Option<Line>> {
        while let Some(mut line) = self.next_line()? {
            if let Cow::Owned(masked) = self.mask.lines(&line.bytes) {
                line.bytes = masked;
            }
            if self.grep.as_ref().is_none_or(|grep| is_match(grep, &line.bytes)) {
                line.time = self.times.of(self.reader.log(), line.at)?;
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut line = Line { at: self.end, time: None, bytes: Vec::new() };
        loop {
            let (read, at, told) = &mut self.read;
            let left = &read[*told..];
            if left.is_empty() {
                match self.reader.look(Some(self.end))? {
                    Some(Piece::Bytes { bytes, .. }) => {
                        self.read = (bytes, self.reader.at(), 0);
                        self.reader.advance(self.read.0.len());
                    }
                    Some(Piece::Replaced) => {}
                    None => return Ok((!line.bytes.is_empty()).then_some(line)),
                }
                continue;
            }
            if line.bytes.is_empty() {
                line.at = Position { offset: at.offset + *told as u64, ..*at };
                if self.until.is_some_and(|until| line.at >= until) {
                    return Ok(None);
                }
            }
            let length = left.iter().position(|byte| *byte == b'\n').map_or(left.len(), |end| end + 1);
            line.bytes.extend_from_slice(&left[..length]);
            *told += length;
            if line.bytes.ends_with(b"\n") || line.bytes.len() >= LINE_MAX {
                return Ok(Some(line));
            }
        }
    }
}

impl Iterator for Lines {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.last {
            Some(last) => last.pop_front().map(Ok),
            None => self.next_match().transpose(),
        }
    }
}

/// The index of the file that is read now.
#[derive(Debug, Default)]
struct Times {
    index: Option<(u64, Index)>,
}

impl Times {
    fn of(&mut self, log: &Path, at: Position) -> io::Result<Option<u64>> {
        if self.index.as_ref().is_none_or(|(seq, _)| *seq != at.seq) {
            let part = parts(log)?.into_iter().find(|part| part.seq == at.seq);
            let index = part.map(|part| Index::read(&part.index_path)).transpose()?;
            self.index = Some((at.seq, index.unwrap_or_default()));
        }
        Ok(self.index.as_ref().and_then(|(_, index)| index.time_at(at.offset)))
    }
}

/// Where that begins which was written from a moment on, or may have been, because its time is not known. `None`: nothing
/// was.
fn since_place(log: &Path, since: u64) -> io::Result<Option<Position>> {
    let mut found = None;
    for part in parts(log)? {
        let entries = Index::read(&part.index_path)?.entries;
        let is_since = |wall_ms: u64| wall_ms.saturating_add(COARSE_MS) >= since;
        let begin = Position { seq: part.seq, offset: 0 };
        let changed = std::fs::metadata(&part.path).and_then(|file| file.modified());
        found = match entries.iter().position(|entry| is_since(entry.wall_ms)) {
            Some(0) => found.or(Some(begin)),
            // All before was written before.
            Some(first) => Some(Position { offset: entries[first].offset, ..begin }),
            None if entries.is_empty() && changed.is_ok_and(|at| milliseconds(at) >= since) => {
                found.or(Some(begin))
            }
            None => None,
        };
    }
    Ok(found)
}

/// Where that begins which a run has written that began at this moment; none: with the log, or its guard has not noted it.
pub(super) fn begin_of(log: &Path, since: u64) -> Option<Position> {
    parts(log).ok()?.iter().rev().find_map(|part| {
        let entries = Index::read(&part.index_path).ok()?.entries;
        let noted = entries.iter().rev().find(|entry| entry.wall_ms <= since)?;
        Some(Position { seq: part.seq, offset: noted.offset })
    })
}

fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Where that begins which was written after a moment. `None`: nothing was.
fn until_place(log: &Path, until: u64) -> io::Result<Option<Position>> {
    for part in parts(log)? {
        let entries = Index::read(&part.index_path)?.entries;
        if let Some(entry) = entries.iter().find(|entry| entry.wall_ms > until) {
            return Ok(Some(Position { seq: part.seq, offset: entry.offset }));
        }
    }
    Ok(None)
}

/// The place, or where the next line begins if it is within one.
fn whole_line(log: &Path, mut at: Position) -> io::Result<Position> {
    if let (Some(before), Some(mut content)) = (at.offset.checked_sub(1), Content::open(log, at.seq)?) {
        let mut byte = [0];
        if content.read_at(&mut byte, before)? == 1 && byte != *b"\n" {
            at.offset = content.line_after(at.offset)?;
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use soloist_os::log_files::{Entry, compressed, header, index_of, rotated};

    use super::*;

    struct Stage {
        folder: tempfile::TempDir,
    }

    impl Stage {
        /// Three files, the first one compressed, with lines `a0 a1 …`, two a second; the middle one ends within a line.
        fn new() -> Stage {
            let stage = Stage { folder: tempfile::tempdir().unwrap() };
            stage.part(&rotated(&stage.log(), 1), 1, "a0\na1\na2\na3\n", &[(1_000_000, 0), (1_010_000, 6)]);
            let first = rotated(&stage.log(), 1);
            let mut gz = GzEncoder::new(File::create(compressed(&first)).unwrap(), Compression::fast());
            gz.write_all(&std::fs::read(&first).unwrap()).unwrap();
            gz.finish().unwrap();
            std::fs::remove_file(first).unwrap();
            stage.part(&rotated(&stage.log(), 2), 2, "b0\nb1\nb", &[(1_020_000, 0), (1_030_000, 3)]);
            stage.part(&stage.log(), 3, "2\nc0\nc1\npassword=c2", &[(1_030_500, 0), (1_040_000, 5)]);
            stage
        }

        fn log(&self) -> std::path::PathBuf {
            self.folder.path().join("api.log")
        }

        fn part(&self, path: &Path, seq: u64, text: &str, times: &[(u64, u64)]) {
            std::fs::write(path, text).unwrap();
            let mut index = header(seq).to_vec();
            times.iter().for_each(|(wall_ms, offset)| {
                index.extend(Entry { wall_ms: *wall_ms, offset: *offset }.bytes());
            });
            std::fs::write(index_of(path), index).unwrap();
        }

        fn told(&self, wish: Wish) -> Vec<String> {
            let lines = Lines::of(&self.log(), &wish, Mask::default()).unwrap().map(Result::unwrap);
            lines.map(|line| String::from_utf8(line.bytes).unwrap().trim_end().to_owned()).collect()
        }
    }

    const ALL: [&str; 10] = ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "c0", "c1", "password=[masked]"];

    #[test]
    fn the_last_lines_are_found_over_all_files() {
        let stage = Stage::new();
        for count in 0..=12 {
            let wish = Wish { lines: Some(count), ..Wish::default() };
            assert_eq!(stage.told(wish), ALL[10 - count.min(10)..], "the last {count}");
        }
        let lines = Lines::of(&stage.log(), &Wish::default(), Mask::off()).unwrap();
        let lines: Vec<Line> = lines.map(Result::unwrap).collect();
        let line = |seq, offset, time, bytes: &[u8]| Line {
            at: Position { seq, offset },
            time: Some(time),
            bytes: bytes.to_vec(),
        };
        assert_eq!(lines[3], line(1, 9, 1_010_000, b"a3\n"));
        assert_eq!(lines[6], line(2, 6, 1_030_000, b"b2\n"), "one line of two files");
        assert_eq!(lines[9], line(3, 8, 1_040_000, b"password=c2"));
    }

    #[test]
    fn lines_of_a_time_are_found_by_the_indexes() {
        let stage = Stage::new();
        let told =
            |since: Option<u64>, until: Option<u64>| stage.told(Wish { since, until, ..Wish::default() });
        assert_eq!(told(Some(0), None), ALL);
        assert_eq!(told(Some(1_005_000), None), ALL[2..]);
        assert_eq!(told(Some(1_011_500), None), ALL[2..], "a time is that of a second");
        assert_eq!(told(Some(1_011_501), None), ALL[4..]);
        assert_eq!(told(Some(1_035_000), None), ALL[8..]);
        assert_eq!(told(Some(1_050_000), None), [""; 0]);
        assert_eq!(told(None, Some(1_020_000)), ALL[..5]);
        assert_eq!(told(Some(1_012_000), Some(1_030_000)), ALL[4..7]);
        assert_eq!(told(None, Some(999_999)), [""; 0]);
        let few = Wish { lines: Some(2), until: Some(1_020_000), ..Wish::default() };
        assert_eq!(stage.told(few), ALL[3..5]);
    }

    #[test]
    fn what_has_no_time_is_told_if_it_may_be_from_then() {
        let stage = Stage::new();
        for seq in [1, 2] {
            std::fs::remove_file(index_of(&rotated(&stage.log(), seq))).unwrap();
        }
        let told = |since: u64| stage.told(Wish { since: Some(since), ..Wish::default() });
        assert_eq!(told(1_005_000), ALL, "the files are newer");
        assert_eq!(told(1_035_000), ALL[8..], "a later time is known");
        std::fs::remove_file(index_of(&stage.log())).unwrap();
        assert_eq!(told(1_035_000), ALL);
        assert_eq!(told(milliseconds(SystemTime::now()) + 60_000), [""; 0], "nothing was written since");
    }

    #[test]
    fn lines_are_sought_as_they_are_shown() {
        let stage = Stage::new();
        let told = |pattern: &str, lines: Option<usize>| {
            stage.told(Wish { grep: Some(Regex::new(pattern).unwrap()), lines, ..Wish::default() })
        };
        assert_eq!(told("^.1$", None), ["a1", "b1", "c1"]);
        assert_eq!(told("^.1$", Some(2)), ["b1", "c1"]);
        assert_eq!(told("=c2", None), [""; 0], "a secret cannot be guessed");
    }

    #[test]
    fn a_log_that_is_not_there_has_no_lines() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("logs/api.log");
        for since in [None, Some(0)] {
            let mut lines = Lines::of(&log, &Wish { since, ..Wish::default() }, Mask::default()).unwrap();
            assert!(lines.next().is_none());
            assert_eq!(lines.end(), Position { seq: 1, offset: 0 });
        }
    }
}
