//! Reads the log of an instance: its last lines, and what is added, however fast that comes and whatever becomes of its
//! files. Every call reads a bounded piece; when to read is no matter here. Secrets are masked unless somebody asks for
//! all.

mod content;
pub(crate) mod keep;
pub mod lines;
pub mod mask;
mod reader;

use crate::config::STAND_IN;
use std::io;
use std::path::Path;

use soloist_api::watch::LogEvent;
use soloist_os::log_files::error_log_of;

use content::{Content, Last, before_end, beginning, distance, last_lines};
use mask::Mask;
use reader::{Piece, Reader};

/// A follower that is further behind is told so, and goes on near the end.
const BEHIND_MAX: u64 = 4 << 20;
/// So much before the end.
const GO_ON_BEFORE_END: u64 = 256 << 10;

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The number of the file.
    pub seq: u64,
    /// The byte within it, as it is when it is not compressed.
    pub offset: u64,
}

/// Where a follower begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first line that is kept.
    Beginning,
    /// With the last so many lines.
    Lines(usize),
    /// With this byte.
    At(Position),
}

impl Start {
    /// From the id of an event, as [`Tail::id`] gives it.
    pub fn parse(id: &str) -> Option<Start> {
        let (offset, seq) = id.split_once('-')?;
        Some(Start::At(Position { seq: seq.parse().ok()?, offset: offset.parse().ok()? }))
    }

    /// The place.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn place(self, log: &Path) -> io::Result<Position> {
        match self {
            Start::Beginning | Start::Lines(usize::MAX) => beginning(log),
            Start::Lines(lines) => last_lines(log, lines),
            Start::At(at) => Ok(at),
        }
    }
}

/// What a follower is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What was written.
    Bytes {
        /// Masked: whole lines, but for the last one if that is open.
        bytes: Vec<u8>,
        /// Where they begin.
        at: Position,
        /// The last line has no end yet: the first of the next bytes goes on with it.
        is_open: bool,
    },
    /// It was too slow.
    Missed {
        /// It misses so many bytes,
        bytes: u64,
        /// and goes on here.
        at: Position,
    },
    /// What came next is there no more: it goes on with what is.
    Replaced,
}

/// Follows one log.
#[derive(Debug)]
pub struct Tail {
    reader: Reader,
    mask: Mask,
    /// The log ended here, within a line, at the last look.
    mid_line: Option<usize>,
    /// However far it is behind, it misses nothing.
    is_patient: bool,
}

impl Tail {
    /// From a place on; a log that is not there yet begins when it is made.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn from(log: &Path, start: Start, mask: Mask) -> io::Result<Tail> {
        let reader = Reader::new(log, start.place(log)?);
        Ok(Tail { reader, mask, mid_line: None, is_patient: false })
    }

    /// As a reader that has time: it is told all that there is.
    #[must_use]
    pub fn patient(mut self) -> Tail {
        self.is_patient = true;
        self
    }

    /// What there is to tell; `None` if there is nothing now.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn look(&mut self) -> io::Result<Option<LogEvent>> {
        Ok(self.look_at_bytes()?.map(|seen| match seen {
            Seen::Bytes { bytes, at, is_open } => {
                let text = String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(&bytes));
                let line = |line: &str| line.strip_suffix('\r').unwrap_or(line).to_owned();
                let lines = text.split('\n').map(line).collect();
                LogEvent::Lines { lines, at: at.offset, seq: at.seq, open: is_open }
            }
            Seen::Missed { bytes, at } => {
                LogEvent::Resync { missed_bytes: bytes, at: at.offset, seq: at.seq }
            }
            Seen::Replaced => LogEvent::Rotated,
        }))
    }

    /// The same as bytes.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn look_at_bytes(&mut self) -> io::Result<Option<Seen>> {
        if !self.is_patient
            && let Some(missed) = self.skip()?
        {
            return Ok(Some(missed));
        }
        let (bytes, is_growing) = match self.reader.look(None)? {
            Some(Piece::Bytes { bytes, is_growing }) => (bytes, is_growing),
            Some(Piece::Replaced) => return Ok(Some(Seen::Replaced)),
            None => return Ok(None),
        };
        let is_open = !bytes.ends_with(b"\n");
        // The rest of a line is mostly on its way; one that does not come, such as that of a prompt, is told without.
        if is_open && is_growing && self.mid_line.replace(bytes.len()) != Some(bytes.len()) {
            return Ok(None);
        }
        self.mid_line = None;
        let at = self.reader.at();
        self.reader.advance(bytes.len());
        Ok(Some(Seen::Bytes { bytes: self.mask.lines(&bytes).into_owned(), at, is_open }))
    }

    /// Who is too far behind goes on near the end.
    fn skip(&mut self) -> io::Result<Option<Seen>> {
        let log = self.reader.log().to_owned();
        let from = self.reader.at();
        if self.reader.left_at_least()? <= BEHIND_MAX {
            return Ok(None);
        }
        let mut to = before_end(&log, GO_ON_BEFORE_END)?.begin;
        if let Some(mut content) = Content::open(&log, to.seq)? {
            to.offset = content.line_after(to.offset)?;
        }
        if to <= from {
            return Ok(None);
        }
        let bytes = distance(&log, from, to)?;
        self.reader.go_to(to);
        Ok(Some(Seen::Missed { bytes, at: to }))
    }

    /// Whether more may be told of the last line without more being written.
    pub fn is_mid_line(&self) -> bool {
        self.mid_line.is_some()
    }

    /// From where a reader that comes again goes on: `OFFSET-SEQ`.
    pub fn id(&self) -> String {
        let Position { seq, offset } = self.reader.at();
        format!("{offset}-{seq}")
    }
}

/// The instance whose log has this name: that of a lane is `scan~2`, that of a stand-in `api~new`, that of a
/// standard error apart `api~err`.
pub fn instance_of(log: &str) -> &str {
    let lane = log.strip_suffix("~err").unwrap_or(log);
    let is_number = |lane: &str| !lane.is_empty() && lane.bytes().all(|byte| byte.is_ascii_digit());
    let is_lane = |lane: &str| lane == STAND_IN || is_number(lane);
    lane.rsplit_once('~').filter(|(_, lane)| is_lane(lane)).map_or(lane, |(instance, _)| instance)
}

/// The end of what a run wrote, as [`end_of`]; then that of its standard error, if that is kept apart: then this is when the
/// run began, in milliseconds since 1970.
pub fn end_of_run(
    log: &Path,
    from: Option<Position>,
    apart: Option<u64>,
    most: u64,
    mask: &mut Mask,
) -> String {
    let mut text = end_of(log, from, most, mask);
    if let Some(since) = apart {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        let error = error_log_of(log);
        text.push_str(&end_of(&error, lines::begin_of(&error, since), most, mask));
    }
    text
}

/// The end of a log, at most so many bytes of it, masked, but nothing before a place; half a line only if there is no other.
/// A log that is shorter than that was begun anew.
fn end_of(log: &Path, from: Option<Position>, most: u64, mask: &mut Mask) -> String {
    let read = || {
        let Last { mut begin, is_all, end } = before_end(log, most)?;
        let mut is_cut = !is_all;
        if let Some(from) = from.filter(|from| (begin..=end).contains(from)) {
            (begin, is_cut) = (from, false);
        }
        let (mut reader, mut bytes) = (Reader::new(log, begin), Vec::new());
        while let Some(piece) = reader.look(Some(end))? {
            if let Piece::Bytes { bytes: more, .. } = piece {
                reader.advance(more.len());
                bytes.extend(more);
            }
        }
        let whole = bytes.iter().position(|byte| *byte == b'\n').filter(|_| is_cut).map_or(0, |end| end + 1);
        io::Result::Ok(bytes.split_off(whole))
    };
    mask.text(read().unwrap_or_default())
}

#[cfg(test)]
mod tests;
