//! Reads the log of an instance: its last lines, and what is added, however fast that comes and whatever becomes of the
//! file. Every call reads a bounded piece; when to read is no matter here.

pub(crate) mod keep;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use soloist_api::watch::LogEvent;

/// At most so much is read at once; a line that is longer comes in parts.
const PIECE: usize = 64 * 1024;
/// A follower that is further behind is told so, and goes on near the end.
const BEHIND_MAX: u64 = 4 << 20;
/// So much before the end.
const GO_ON_BEFORE_END: u64 = 256 << 10;

/// Follows one log.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// The open file and its inode.
    file: Option<(File, u64)>,
    /// All before was told.
    at: u64,
    /// It is to be told that this is another file than the reader had.
    is_replaced: bool,
    /// The file ended here, within a line, at the last look.
    mid_line: Option<u64>,
}

impl Tail {
    /// From a place on; a file that is not there yet begins when it is made.
    pub fn from(path: &Path, start: Start) -> io::Result<Tail> {
        let mut tail = Tail { path: path.to_owned(), file: None, at: 0, is_replaced: false, mid_line: None };
        tail.is_open()?;
        match (start, &mut tail.file) {
            (Start::At(at, _), None) => tail.is_replaced = at > 0,
            (Start::At(_, Some(was)), Some((_, is))) if was != *is => tail.is_replaced = true,
            (Start::At(at, _), Some(_)) => tail.at = at,
            (Start::Lines(lines), Some((file, _))) => tail.at = last_lines(file, lines)?,
            (Start::Lines(_), None) => {}
        }
        Ok(tail)
    }

    /// What there is to tell; `None` if there is nothing now.
    pub fn look(&mut self) -> io::Result<Option<LogEvent>> {
        if std::mem::take(&mut self.is_replaced) {
            return Ok(Some(LogEvent::Rotated));
        }
        if !self.is_open()? {
            return Ok(None);
        }
        let Some((file, inode)) = &self.file else { return Ok(None) };
        let length = file.metadata()?.len();
        if length < self.at {
            self.at = 0;
            return Ok(Some(LogEvent::Rotated));
        }
        if length - self.at > BEHIND_MAX {
            let to = line_after(file, length - GO_ON_BEFORE_END)?;
            let missed_bytes = to - std::mem::replace(&mut self.at, to);
            return Ok(Some(LogEvent::Resync { missed_bytes, at: to }));
        }
        if length == self.at {
            // What was written to an old file is told before the new one is begun.
            if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() != *inode) {
                (self.file, self.at) = (None, 0);
                return Ok(Some(LogEvent::Rotated));
            }
            return Ok(None);
        }
        let bytes = piece(file, self.at, length)?;
        let is_open = !bytes.ends_with(b"\n");
        // The rest of a line is mostly on its way; one that does not come, such as that of a prompt, is told without.
        if is_open && bytes.len() < PIECE / 2 && self.mid_line.replace(length) != Some(length) {
            return Ok(None);
        }
        self.mid_line = None;
        let at = self.at;
        self.at += bytes.len() as u64;
        let text = String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(&bytes)).into_owned();
        let lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned()).collect();
        Ok(Some(LogEvent::Lines { lines, at, open: is_open }))
    }

    /// Whether more may be told of the last line without more being written.
    pub fn is_mid_line(&self) -> bool {
        self.mid_line.is_some()
    }

    /// From where a reader that comes again goes on.
    pub fn id(&self) -> String {
        match &self.file {
            Some((_, inode)) => format!("{}-{inode:x}", self.at),
            None => self.at.to_string(),
        }
    }

    fn is_open(&mut self) -> io::Result<bool> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => {
                    let inode = file.metadata()?.ino();
                    Some((file, inode))
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => None,
                Err(e) => return Err(e),
            };
        }
        Ok(self.file.is_some())
    }
}

/// Where a follower begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the last so many lines.
    Lines(usize),
    /// With this byte, of the file with this inode if that is known.
    At(u64, Option<u64>),
}

impl Start {
    /// From the id of an event, as [`Tail::id`] gives it.
    pub fn parse(id: &str) -> Option<Start> {
        let (at, inode) = match id.split_once('-') {
            Some((at, inode)) => (at, Some(u64::from_str_radix(inode, 16).ok()?)),
            None => (id, None),
        };
        Some(Start::At(at.parse().ok()?, inode))
    }
}

/// Whole lines from one place to another, as many as fit into one piece; where there is no end of a line, whole
/// characters. Empty at the end only.
pub fn piece(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let wanted = usize::try_from(to.saturating_sub(from)).map_or(PIECE, |left| left.min(PIECE));
    let mut bytes = vec![0; wanted];
    let mut length = 0;
    while length < wanted {
        match file.read_at(&mut bytes[length..], from + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(length);
    if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
        bytes.truncate(end + 1);
    } else if length == PIECE {
        // A character of UTF-8 has at most four bytes; its first one is 0xc0 or more.
        let cut = (length - 3..length).rev().find(|at| bytes[*at] >= 0xc0);
        bytes.truncate(cut.unwrap_or(length));
    }
    Ok(bytes)
}

/// Where the first line after a place begins, or that place within a line that is too long.
fn line_after(file: &File, from: u64) -> io::Result<u64> {
    let mut bytes = vec![0; PIECE];
    let length = file.read_at(&mut bytes, from)?;
    Ok(bytes[..length].iter().position(|byte| *byte == b'\n').map_or(from, |at| from + at as u64 + 1))
}

/// Where the last so many lines begin, read from the end: the file may be large.
pub fn last_lines(file: &mut File, lines: usize) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let (mut at, mut found) = (length, 0);
    if lines == 0 {
        return Ok(length);
    }
    while at > 0 {
        let begin = at.saturating_sub(PIECE as u64);
        let mut block = vec![0u8; (at - begin) as usize];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut block)?;
        for (i, byte) in block.iter().enumerate().rev() {
            // The line feed at the very end ends the last line; it begins none.
            if *byte == b'\n' && begin + i as u64 + 1 != length {
                found += 1;
                if found == lines {
                    return Ok(begin + i as u64 + 1);
                }
            }
        }
        at = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests;
