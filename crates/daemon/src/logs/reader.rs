//! Reads a log as one text, whatever becomes of its files: rotated, compressed, deleted, replaced, cut.

use std::io;
use std::path::{Path, PathBuf};

use soloist_os::log_files::parts;

use super::Position;
use super::content::{Content, PIECE};

/// Reads on from a place.
#[derive(Debug)]
pub struct Reader {
    log: PathBuf,
    at: Position,
    content: Option<Content>,
    /// The file got another name: it is read once more, for it may have got its last lines just before.
    is_last_look: bool,
}

/// What is there.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes: whole lines, or what there is of a line that is too long or has no end yet.
    Bytes {
        /// At least one.
        bytes: Vec<u8>,
        /// The last line may still be written; else it goes on, if at all, in the next file.
        is_growing: bool,
    },
    /// What came next is there no more: it goes on with what is.
    Replaced,
}

impl Reader {
    /// From a place on, whose file may be there no more, or not yet.
    pub fn new(log: &Path, at: Position) -> Reader {
        Reader { log: log.to_owned(), at, content: None, is_last_look: false }
    }

    /// All before was read.
    pub fn at(&self) -> Position {
        self.at
    }

    /// Which log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// So many of the bytes that were told last were read.
    pub fn advance(&mut self, bytes: usize) {
        self.at.offset += bytes as u64;
    }

    /// Goes on elsewhere.
    pub fn go_to(&mut self, at: Position) {
        *self = Reader::new(&self.log, at);
    }

    /// So many bytes are left to read at least: of compressed files only what they take on the disk counts.
    pub fn left_at_least(&mut self) -> io::Result<u64> {
        let mut left = 0;
        if let Some(content) = &mut self.content {
            if content.is_current {
                return Ok(content.length()?.saturating_sub(self.at.offset));
            }
            left = content.length_on_disk()?.saturating_sub(self.at.offset);
        }
        let has_begun = u64::from(self.content.is_some());
        for part in parts(&self.log)?.iter().filter(|part| part.seq >= self.at.seq + has_begun) {
            left += std::fs::metadata(&part.path).map_or(0, |file| file.len());
        }
        Ok(left)
    }

    /// What there is to read up to a place; `None` if there is nothing now. What is told is told again until it was
    /// [read](Reader::advance).
    pub fn look(&mut self, to: Option<Position>) -> io::Result<Option<Piece>> {
        loop {
            if to.is_some_and(|to| self.at >= to) {
                return Ok(None);
            }
            let Some(content) = &mut self.content else {
                match self.open()? {
                    Some(true) => continue,
                    Some(false) => return Ok(Some(Piece::Replaced)),
                    None => return Ok(None),
                }
            };
            let limit = to.filter(|to| to.seq == self.at.seq).map_or(u64::MAX, |to| to.offset);
            let bytes = content.piece(self.at.offset, limit)?;
            if !bytes.is_empty() {
                let is_growing = content.is_current && bytes.len() < PIECE / 2;
                return Ok(Some(Piece::Bytes { bytes, is_growing }));
            }
            if content.is_current && content.is_at(&self.log)? {
                if content.length()? < self.at.offset {
                    self.at.offset = 0;
                    return Ok(Some(Piece::Replaced));
                }
                return Ok(None);
            }
            if content.is_current && !std::mem::replace(&mut self.is_last_look, true) {
                continue;
            }
            // Numbers only grow, unless somebody has moved or removed the file and its index.
            match parts(&self.log)?.last() {
                Some(last) if last.seq > self.at.seq => {
                    self.go_to(Position { seq: self.at.seq + 1, offset: 0 });
                }
                Some(last) if content.is_current && last.path == self.log => {
                    self.go_to(Position { seq: last.seq, offset: 0 });
                    return Ok(Some(Piece::Replaced));
                }
                Some(_) | None => return Ok(None),
            }
        }
    }

    /// Opens the file of the place where we are: `false` if it is another place, `None` if there is nothing yet.
    fn open(&mut self) -> io::Result<Option<bool>> {
        let parts = parts(&self.log)?;
        let found = parts.iter().map(|part| part.seq).find(|seq| *seq >= self.at.seq);
        let seq = match (found, parts.first()) {
            (Some(seq), _) => seq,
            // The next one is made at any moment.
            (None, Some(_))
                if self.at.offset == 0 && parts.last().is_some_and(|last| last.seq + 1 == self.at.seq) =>
            {
                return Ok(None);
            }
            (None, Some(first)) => first.seq,
            (None, None) => return Ok(None),
        };
        let Some(mut content) = Content::open(&self.log, seq)? else { return Ok(None) };
        let is_there = seq == self.at.seq && (!content.is_current || content.length()? >= self.at.offset);
        if !is_there {
            self.at = Position { seq, offset: 0 };
        }
        (self.content, self.is_last_look) = (Some(content), false);
        Ok(Some(is_there))
    }
}
