//! A probe that waits for a pattern in what a run writes. It reads on where it stopped, a line at a time, and keeps
//! one line at most.

use std::path::Path;
use std::time::Instant;

use regex_lite::Regex;

use crate::logs::mask::Mask;
use crate::logs::{Position, Seen, Start, Tail};
use crate::plain::plain;

/// Of a longer line only so much is looked at.
const LINE_MAX: usize = 64 * 1024;

/// The search of one run's log for one pattern.
#[derive(Debug)]
pub struct LogSearch {
    pattern: Regex,
    tail: Tail,
    line: Vec<u8>,
    is_found: bool,
}

impl LogSearch {
    /// A search of a log from a position on. A pattern that is none fails in words.
    pub fn new(pattern: &str, log: &Path, from: Position) -> Result<LogSearch, String> {
        let pattern = Regex::new(pattern).map_err(|e| format!("/{pattern}/ is no pattern: {e}"))?;
        let tail = Tail::from(log, Start::At(from), Mask::off());
        let tail = tail.map_err(|e| format!("{}: {e}", log.display()))?.patient();
        Ok(LogSearch { pattern, tail, line: Vec::new(), is_found: false })
    }

    /// Counts the pattern as seen: it was, before a new daemon took the run over.
    #[must_use]
    pub fn seen(mut self) -> LogSearch {
        self.is_found = true;
        self
    }

    /// Reads what is new; passes from when a line matched. What is left unread at the end of its time is read by the
    /// next look.
    pub fn look(&mut self, until: Instant) -> Result<(), String> {
        if !self.is_found {
            self.is_found = self.read(until).map_err(|e| format!("its log cannot be read: {e}"))?;
        }
        if !self.is_found {
            return Err(format!("not seen yet: /{}/", self.pattern));
        }
        self.line = Vec::new();
        Ok(())
    }

    fn read(&mut self, until: Instant) -> std::io::Result<bool> {
        while Instant::now() < until {
            match self.tail.look_at_bytes()? {
                // A line that is not ended yet counts as well.
                Some(Seen::Bytes { bytes, .. }) if self.feed(&bytes) || self.is_match() => return Ok(true),
                Some(Seen::Bytes { .. }) => {}
                Some(Seen::Missed { .. } | Seen::Replaced) => self.line.clear(),
                None if self.tail.is_mid_line() => {}
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    fn feed(&mut self, bytes: &[u8]) -> bool {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_MAX - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                if self.is_match() {
                    return true;
                }
                self.line.clear();
            }
        }
        false
    }

    fn is_match(&self) -> bool {
        let line = plain(&String::from_utf8_lossy(&self.line));
        !self.line.is_empty() && self.pattern.is_match(&line)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::path::PathBuf;
    use std::time::Duration;

    use soloist_os::log_files::rotated;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn append(path: &Path, bytes: &[u8]) {
        OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    fn search(pattern: &str, from: u64) -> (tempfile::TempDir, PathBuf, LogSearch) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.log");
        let search = LogSearch::new(pattern, &path, Position { seq: 1, offset: from }).unwrap();
        (folder, path, search)
    }

    #[test]
    fn only_what_this_run_wrote_counts() {
        let (_folder, path, mut search) = search("^listening", 10);
        assert_eq!(search.look(soon()), Err("not seen yet: /^listening/".to_owned()), "no log yet");
        append(&path, b"listening\n");
        assert!(search.look(soon()).is_err(), "an earlier run wrote that");
        append(&path, b"warming up\nnot listening\nlist");
        assert!(search.look(soon()).is_err());
        append(&path, b"ening on 80");
        assert_eq!(search.look(soon()), Ok(()), "the line is not ended, and counts");
        append(&path, b"00\nfell\n");
        assert_eq!(search.look(soon()), Ok(()), "once seen it stays seen");
    }

    #[test]
    fn colours_and_line_ends_do_not_hide_it() {
        let (_folder, path, mut search) = search("^ready on 80$", 0);
        append(&path, b"\x1b[32mready\x1b[0m on \x1b[1m80\x1b[0m\r\n");
        assert_eq!(search.look(soon()), Ok(()));
    }

    #[test]
    fn a_rotated_log_is_read_to_its_end_and_then_the_new_one() {
        let (_folder, path, mut search) = search("second", 0);
        append(&path, b"one\n");
        assert!(search.look(soon()).is_err());
        append(&path, b"two\n");
        std::fs::rename(&path, path.with_extension("1")).unwrap();
        assert!(search.look(soon()).is_err(), "nothing has taken its place yet");
        append(&path, b"the sec");
        assert!(search.look(soon()).is_err());
        std::fs::rename(&path, rotated(&path, 1)).unwrap();
        append(&path, b"ond\n");
        assert_eq!(search.look(soon()), Ok(()), "in a line of two files");
    }

    #[test]
    fn the_last_lines_of_a_rotated_log_count() {
        let (_folder, path, mut search) = search("ready", 0);
        append(&path, b"one\n");
        assert!(search.look(soon()).is_err());
        append(&path, b"ready\n");
        std::fs::rename(&path, path.with_extension("1")).unwrap();
        append(&path, b"more\n");
        assert_eq!(search.look(soon()), Ok(()));
    }

    #[test]
    fn an_emptied_log_is_read_from_its_beginning() {
        let (_folder, path, mut search) = search("ready", 0);
        append(&path, b"a first line of some length\n");
        assert!(search.look(soon()).is_err());
        OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        append(&path, b"ready\n");
        assert_eq!(search.look(soon()), Ok(()));
    }

    #[test]
    fn an_endless_line_takes_no_more_memory_than_one_line_may() {
        let (_folder, path, mut search) = search("needle", 0);
        append(&path, &vec![b'x'; 10 * LINE_MAX]);
        append(&path, b"needle");
        assert!(search.look(soon()).is_err(), "beyond what is looked at");
        assert!(search.line.len() <= LINE_MAX && search.line.capacity() <= 4 * LINE_MAX);
        append(&path, b"\nneedle\n");
        assert_eq!(search.look(soon()), Ok(()), "the next line is looked at again");
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let (_folder, path, mut search) = search("ready", 0);
        append(&path, b"\xff\xfe\x00ready\x80\n");
        assert_eq!(search.look(soon()), Ok(()));
    }

    #[test]
    fn a_pattern_that_is_none_is_named() {
        let error = LogSearch::new("(", Path::new("x"), Position { seq: 1, offset: 0 }).unwrap_err();
        assert!(error.starts_with("/(/ is no pattern: "), "{error}");
    }
}
