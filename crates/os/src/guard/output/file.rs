//! One log file as its guard writes it: exact bytes at its end, an index of time beside it, a new file when it has
//! become too large or too old. A rotation that is broken off at any step is made good when the log is opened again.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::guard::LogRules;
use crate::layout::named;
use crate::log_files::{Entry, FIRST, Index, header, index_of, next_seq, parts, rotated};
use crate::own_file;

/// A file that is full ends with a line, if that line ends within so much more.
const LINE_MAX: u64 = 64 * 1024;
/// The index has at most one entry in so many milliseconds …
const ENTRY_EVERY_MS: u64 = 1000;
/// … unless so many bytes were written since the last one.
const ENTRY_EVERY: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    rules: LogRules,
    file: File,
    inode: u64,
    pub(super) length: u64,
    pub(super) seq: u64,
    ends_line: bool,
    /// From this length on a new file is begun at the next end of a line.
    full_at: u64,
    /// None: it cannot be written. The log goes on without.
    index: Option<File>,
    /// The time of the first entry.
    began_ms: Option<u64>,
    last: Option<Entry>,
    /// Set at each rotation, for whoever reads and clears it.
    pub(super) was_rotated: bool,
}

/// How much has come lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Little,
    Much,
}

impl LogFile {
    /// Opens it for appending (0600, through no link), or begins it. Of one that is new there are no rotated files, either.
    pub(super) fn open(path: &Path, rules: &LogRules, is_new: bool) -> io::Result<LogFile> {
        let fail = |e| named(e, "cannot open the log", path);
        let index_path = index_of(path);
        let mut index = Index::read(&index_path).unwrap_or_default();
        let is_first = is_new && index.seq.is_none() && !path.try_exists().map_err(fail)?;
        let mut seq = if is_first { FIRST } else { next_seq(path).map_err(fail)? };
        if let Some(of) = index.seq.filter(|of| *of < seq) {
            // A rotation was broken off: the log has its new name already, its index not yet.
            let index_of_old = parts(path).map_err(fail)?.into_iter().find(|part| part.seq == of);
            let _ = index_of_old.map(|part| rename(&index_path, part.index_path));
            index = Index::default();
        }
        let file = own_file::append(path).map_err(fail)?;
        let found = file.metadata().map_err(fail)?;
        let length = found.len();
        if length == 0 && !index.entries.is_empty() {
            // It is not the file of this index: that one was taken away.
            seq += 1;
            index = Index::default();
        }
        index.entries.retain(|entry| entry.offset <= length);
        let mut last_byte = *b"\n";
        if length > 0 {
            file.read_exact_at(&mut last_byte, length - 1).map_err(fail)?;
        }
        let ends_line = last_byte == *b"\n";
        Ok(LogFile {
            path: path.to_owned(),
            rules: rules.clone(),
            file,
            inode: found.ino(),
            length,
            seq,
            ends_line,
            full_at: if ends_line { rules.size } else { rules.size.max(length) },
            index: open_index(&index_path, seq, &index).ok(),
            began_ms: index.entries.first().map(|entry| entry.wall_ms),
            last: index.entries.last().copied(),
            was_rotated: false,
        })
    }

    /// Writes what the disk takes, beginning new files as they are due; so much was written.
    pub(super) fn append(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let (here, is_last) = self.share(&bytes[done..]);
            let written = self.write(&bytes[done..done + here]);
            done += written;
            if written < here {
                break;
            }
            if is_last && self.rotate().is_err() {
                // It goes on here, and tries again later.
                self.full_at = self.length + ENTRY_EVERY;
            }
        }
        done
    }

    /// How many of these bytes go into this file, and whether it is full then.
    fn share(&self, bytes: &[u8]) -> (usize, bool) {
        let within = |bound: u64| {
            usize::try_from(bound.saturating_sub(self.length))
                .map_or(bytes.len(), |left| left.min(bytes.len()))
        };
        if self.length >= self.full_at && self.ends_line && self.length > 0 {
            return (0, true);
        }
        let (full, latest) = (within(self.full_at), within(self.full_at + LINE_MAX));
        if full == bytes.len() {
            return (full, false);
        }
        let from = full.saturating_sub(1);
        match bytes[from..latest].iter().position(|byte| *byte == b'\n') {
            Some(end) => (from + end + 1, true),
            None => (latest, self.length + latest as u64 >= self.full_at + LINE_MAX),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            match self.file.write(&bytes[done..]) {
                Ok(0) => break,
                Ok(written) => done += written,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        if let Some(last) = bytes[..done].last() {
            self.ends_line = *last == b'\n';
        }
        self.length += done as u64;
        done
    }

    /// Writes a remark of our own on a line of its own, as a whole or not at all.
    pub(super) fn remark(&mut self, words: &str) -> bool {
        let text = if self.ends_line { format!("{words}\n") } else { format!("\n{words}\n") };
        let (length, ends_line) = (self.length, self.ends_line);
        let is_whole = self.write(text.as_bytes()) == text.len();
        if !is_whole {
            let _ = self.file.set_len(length);
            (self.length, self.ends_line) = (length, ends_line);
        }
        is_whole
    }

    /// A run begins: the index tells where, by an entry that is no later.
    pub(super) fn begin(&mut self, wall_ms: u64) {
        self.look_after();
        if self.length > self.last.map_or(0, |last| last.offset) {
            self.note(wall_ms);
        }
    }

    /// Notes when what is written from now on was taken, as often as the index wants it. Tells how much has come since.
    pub(super) fn mark(&mut self, wall_ms: u64) -> Option<Pace> {
        let is_time = self.last.is_none_or(|last| wall_ms.abs_diff(last.wall_ms) >= ENTRY_EVERY_MS);
        let is_much = self.last.is_some_and(|last| self.length - last.offset >= ENTRY_EVERY);
        if is_time {
            self.look_after();
        }
        if is_time || is_much {
            self.note(wall_ms);
        }
        let began = *self.began_ms.get_or_insert(wall_ms);
        if self.rules.max_age_ms.is_some_and(|most| wall_ms.saturating_sub(began) >= most) {
            self.full_at = self.full_at.min(self.length);
        }
        match (is_time, is_much) {
            (false, true) => Some(Pace::Much),
            (true, false) => Some(Pace::Little),
            (true, true) | (false, false) => None,
        }
    }

    /// Somebody may have taken the file away, or cut it.
    fn look_after(&mut self) {
        if !std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            if let Ok(new) = LogFile::open(&self.path, &self.rules, false) {
                *self = LogFile { was_rotated: true, ..new };
            }
        } else if let Ok(found) = self.file.metadata()
            && found.len() != self.length
        {
            self.length = found.len();
            if self.last.is_some_and(|last| last.offset > self.length) {
                self.index = begin_index(&index_of(&self.path), self.seq, false).ok();
                self.last = None;
            }
        }
    }

    fn note(&mut self, wall_ms: u64) {
        let entry = Entry { wall_ms, offset: self.length };
        self.last = Some(entry);
        let Some(index) = &mut self.index else { return };
        if !index.write(&entry.bytes()).is_ok_and(|written| written == entry.bytes().len()) {
            // What was written of it would put all that follow out of step.
            let whole = index.metadata().map(|found| found.len() - found.len() % entry.bytes().len() as u64);
            let _ = whole.and_then(|whole| index.set_len(whole));
        }
    }

    /// Gives the file its number and begins the next one; if that cannot be, all stays as it was.
    fn rotate(&mut self) -> io::Result<()> {
        let (index_here, old) = (index_of(&self.path), rotated(&self.path, self.seq));
        crate::fail_point!("guard.log-full");
        rename(&self.path, &old)?;
        crate::fail_point!("guard.log-renamed");
        let _ = rename(&index_here, index_of(&old));
        crate::fail_point!("guard.index-renamed");
        // First the index: whoever sees the new file is to find its number.
        let index = begin_index(&index_here, self.seq + 1, true).ok();
        crate::fail_point!("guard.index-begun");
        match private().open(&self.path) {
            Ok(file) => {
                crate::fail_point!("guard.log-begun");
                let wall_ms = self.last.map(|last| last.wall_ms);
                self.inode = file.metadata().map_or(0, |found| found.ino());
                (self.file, self.index, self.seq, self.length) = (file, index, self.seq + 1, 0);
                (self.full_at, self.ends_line, self.was_rotated) = (self.rules.size, true, true);
                self.began_ms = wall_ms;
                if let Some(wall_ms) = wall_ms {
                    self.note(wall_ms);
                }
                Ok(())
            }
            Err(e) => {
                let _ = rename(index_of(&old), &index_here);
                rename(&old, &self.path)?;
                Err(e)
            }
        }
    }
}

/// Of a file that is not there yet.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).read(true).create_new(true).mode(0o600);
    options
}

/// Goes on with an index as it was read, or begins it anew.
fn open_index(path: &Path, seq: u64, known: &Index) -> io::Result<File> {
    if known.seq != Some(seq) {
        return begin_index(path, seq, false);
    }
    let file = own_file::append(path)?;
    file.set_len((known.entries.len() as u64 + 1) * header(seq).len() as u64)?;
    Ok(file)
}

fn begin_index(path: &Path, seq: u64, is_new: bool) -> io::Result<File> {
    let mut file = if is_new { private().open(path)? } else { own_file::anew(path)? };
    file.write_all(&header(seq))?;
    Ok(file)
}
