//! One file of a log, read at any place, also if it is compressed; and places that are so far before the end of a log that
//! may have many files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use soloist_os::log_files::{next_seq, parts};
use soloist_os::own_file;

use super::Position;

/// At most so much is read at once; a line that is longer comes in parts.
pub const PIECE: usize = 64 * 1024;
/// So often a file is looked for that gets another name meanwhile.
const TRIES: usize = 16;

/// A file of a log, open: it is read on whatever becomes of its name.
#[derive(Debug)]
pub struct Content {
    file: File,
    /// Of one that is compressed.
    unpacked: Option<Unpacked>,
    /// It was the current one when it was opened: more may come.
    pub is_current: bool,
}

#[derive(Debug)]
struct Unpacked {
    path: PathBuf,
    bytes: MultiGzDecoder<BufReader<FromBeginning>>,
    /// What was read last; who read half a line goes back to its beginning.
    last: Vec<u8>,
    /// Where that begins.
    begin: u64,
}

impl Unpacked {
    fn open(path: &Path, file: &File) -> io::Result<Unpacked> {
        let packed = FromBeginning { file: file.try_clone()?, at: 0 };
        let bytes = MultiGzDecoder::new(BufReader::with_capacity(PIECE, packed));
        Ok(Unpacked { path: path.to_owned(), bytes, last: Vec::new(), begin: 0 })
    }

    /// So many bytes were taken.
    fn at(&self) -> u64 {
        self.begin + self.last.len() as u64
    }

    /// Takes so many bytes, or all there are, and lets them go.
    fn skip(&mut self, most: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.bytes).take(most), &mut io::sink());
        self.begin = self.at() + skipped.map_err(|e| self.damaged(&e))?;
        self.last.clear();
        Ok(())
    }

    fn read_at(&mut self, bytes: &mut [u8], from: u64, file: &File) -> io::Result<usize> {
        if from < self.begin {
            *self = Unpacked::open(&self.path, file)?;
        }
        if from > self.at() {
            self.skip(from - self.at())?;
        }
        // Fewer, if it ends before.
        let known = usize::try_from(from - self.begin).map_or(usize::MAX, |known| known).min(self.last.len());
        self.last.drain(..known);
        self.begin += known as u64;
        let missing = bytes.len().saturating_sub(self.last.len()) as u64;
        let read = (&mut self.bytes).take(missing).read_to_end(&mut self.last);
        read.map_err(|e| self.damaged(&e))?;
        let length = if self.begin < from { 0 } else { self.last.len().min(bytes.len()) };
        bytes[..length].copy_from_slice(&self.last[..length]);
        Ok(length)
    }

    fn damaged(&self, e: &io::Error) -> io::Error {
        let path = self.path.display();
        io::Error::new(
            e.kind(),
            format!("{path} is damaged ({e}); once it is moved away, the rest can be read"),
        )
    }
}

/// Reads a file with a place of its own: that of a descriptor is shared by all that are made of it (dup(2)).
#[derive(Debug)]
struct FromBeginning {
    file: File,
    at: u64,
}

impl Read for FromBeginning {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Content {
    /// The file with this number; `None` if there is none any more.
    pub fn open(log: &Path, seq: u64) -> io::Result<Option<Content>> {
        let look = || io::Result::Ok(parts(log)?.into_iter().find(|part| part.seq == seq));
        for _ in 0..TRIES {
            let Some(part) = look()? else { return Ok(None) };
            let file = match own_file::open(&part.path) {
                Ok(file) => file,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            // If it is still found there, it has been that one all the time: numbers only grow.
            if look()?.is_some_and(|again| again.path == part.path) {
                let unpacked = part.is_gz.then(|| Unpacked::open(&part.path, &file)).transpose()?;
                return Ok(Some(Content { file, unpacked, is_current: part.path == log }));
            }
        }
        Err(io::Error::new(
            ErrorKind::Interrupted,
            format!("the files of {} are renamed all the time", log.display()),
        ))
    }

    /// Fills as much as there is from a place on. In what is compressed, going back further than one piece is to begin anew.
    pub fn read_at(&mut self, bytes: &mut [u8], from: u64) -> io::Result<usize> {
        let mut length = 0;
        // No file is so long, and pread(2) would refuse the place; a torn index may name it.
        if i64::try_from(from.saturating_add(bytes.len() as u64)).is_err() {
            return Ok(0);
        }
        if let Some(unpacked) = &mut self.unpacked {
            return unpacked.read_at(bytes, from, &self.file);
        }
        while length < bytes.len() {
            match self.file.read_at(&mut bytes[length..], from + length as u64) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(length)
    }

    /// How long it is now; what is compressed is unpacked for that.
    pub fn length(&mut self) -> io::Result<u64> {
        if let Some(unpacked) = &self.unpacked {
            let mut all = Unpacked::open(&unpacked.path, &self.file)?;
            return all.skip(u64::MAX).map(|()| all.at());
        }
        self.length_on_disk()
    }

    /// How much it takes on the disk.
    pub fn length_on_disk(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Whether it is still the file of this name.
    pub fn is_at(&self, path: &Path) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        match std::fs::symlink_metadata(path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Whole lines from a place to another, as many as fit into one piece; where there is no end of a line, whole
    /// characters. Empty at the end only.
    pub fn piece(&mut self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let wanted = usize::try_from(to.saturating_sub(from)).map_or(PIECE, |left| left.min(PIECE));
        let mut bytes = vec![0; wanted];
        let length = self.read_at(&mut bytes, from)?;
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
    pub fn line_after(&mut self, from: u64) -> io::Result<u64> {
        let mut bytes = vec![0; PIECE];
        let length = self.read_at(&mut bytes, from)?;
        Ok(bytes[..length].iter().position(|byte| *byte == b'\n').map_or(from, |at| from + at as u64 + 1))
    }

    /// Where the last so many lines before a place begin; or how many there are, if they are fewer. `is_end`: nothing comes
    /// after that place, so that a line feed right before it begins no line.
    fn lines_before(&mut self, to: u64, lines: usize, is_end: bool) -> io::Result<Result<u64, usize>> {
        let no_line = is_end.then_some(to);
        let mut block = vec![0; PIECE];
        // What is compressed is read forward only: blocks from its end would be unpacked again and again.
        if self.unpacked.is_some() {
            let (mut at, mut last) = (0, VecDeque::new());
            while at < to {
                let wanted = usize::try_from(to - at).map_or(PIECE, |left| left.min(PIECE));
                let read = self.read_at(&mut block[..wanted], at)?;
                if read == 0 {
                    break;
                }
                last.extend(lines_in(&block[..read], at, no_line));
                last.drain(..last.len().saturating_sub(lines));
                at += read as u64;
            }
            return Ok(last.front().copied().filter(|_| last.len() == lines).ok_or(last.len()));
        }
        let (mut at, mut found) = (to, 0);
        while at > 0 {
            let begin = at.saturating_sub(PIECE as u64);
            let read = self.read_at(&mut block[..(at - begin) as usize], begin)?;
            for line in lines_in(&block[..read], begin, no_line).rev() {
                found += 1;
                if found == lines {
                    return Ok(Ok(line));
                }
            }
            at = begin;
        }
        Ok(Err(found))
    }
}

/// Where lines begin after the line feeds of a block.
fn lines_in(block: &[u8], at: u64, no_line: Option<u64>) -> impl DoubleEndedIterator<Item = u64> {
    let feeds = block.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    feeds.map(move |(i, _)| at + i as u64 + 1).filter(move |begin| Some(*begin) != no_line)
}

/// The beginning of a log, which may have no file yet.
pub fn beginning(log: &Path) -> io::Result<Position> {
    let seq = match parts(log)?.first() {
        Some(first) => first.seq,
        None => next_seq(log)?,
    };
    Ok(Position { seq, offset: 0 })
}

/// The end of a log, which may have no file yet.
pub fn end(log: &Path) -> io::Result<Position> {
    Ok(before_end(log, 0)?.end)
}

/// The last bytes of a log.
pub struct Last {
    /// So many bytes before the end, or the beginning of a log that has fewer.
    pub begin: Position,
    /// It is the beginning.
    pub is_all: bool,
    /// The end.
    pub end: Position,
}

/// So many bytes before the end of a log.
pub fn before_end(log: &Path, bytes: u64) -> io::Result<Last> {
    let (mut left, mut last) = (bytes, None);
    for part in parts(log)?.iter().rev() {
        let Some(mut content) = Content::open(log, part.seq)? else { continue };
        let (seq, length) = (part.seq, content.length()?);
        let begin = Position { seq, offset: length.saturating_sub(left) };
        let end = last.map_or(Position { seq, offset: length }, |last: Last| last.end);
        let is_all = length < left;
        last = Some(Last { begin, is_all, end });
        if !is_all {
            break;
        }
        left -= length;
    }
    let none = || io::Result::Ok(Position { seq: next_seq(log)?, offset: 0 });
    last.map_or_else(|| none().map(|at| Last { begin: at, is_all: true, end: at }), Ok)
}

/// Where the last so many lines of a log begin, looked for from its end: it may be large.
pub fn last_lines(log: &Path, lines: usize) -> io::Result<Position> {
    let end = end(log)?;
    let (mut begin, mut left, mut is_end) = (end, lines, true);
    if lines == 0 {
        return Ok(end);
    }
    for part in parts(log)?.iter().rev().filter(|part| part.seq <= end.seq) {
        let Some(mut content) = Content::open(log, part.seq)? else { continue };
        let length = if part.seq == end.seq { end.offset } else { content.length()? };
        match content.lines_before(length, left, is_end)? {
            Ok(offset) => return Ok(Position { seq: part.seq, offset }),
            Err(found) => left -= found,
        }
        is_end &= length == 0;
        begin = Position { seq: part.seq, offset: 0 };
    }
    Ok(begin)
}

/// How many bytes lie between two places.
pub fn distance(log: &Path, from: Position, to: Position) -> io::Result<u64> {
    let mut bytes = 0;
    for part in parts(log)?.iter().filter(|part| (from.seq..to.seq).contains(&part.seq)) {
        let Some(mut content) = Content::open(log, part.seq)? else { continue };
        let begin = if part.seq == from.seq { from.offset } else { 0 };
        bytes += content.length()?.saturating_sub(begin);
    }
    let begin = if from.seq == to.seq { from.offset } else { 0 };
    Ok(bytes + to.offset.saturating_sub(begin))
}
