//! The end of a log file, and what is written to it from now on, as lines that may be put on a screen.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use soloist_daemon::logs::last_lines;
use soloist_daemon::plain::plain;

/// So many lines are kept: more than any screen has.
const LINES: usize = 500;
/// Who is further behind goes on at the end.
const BEHIND: u64 = 1024 * 1024;

/// No line is longer.
const LONGEST: usize = 64 * 1024;

/// A followed file.
#[derive(Debug, Default)]
pub struct Tail {
    path: String,
    file: Option<File>,
    at: u64,
    rest: Vec<u8>,
    lines: VecDeque<String>,
}

impl Tail {
    /// Of this file, with its last lines; also if it is not there yet.
    pub fn of(path: &str) -> Tail {
        let mut tail = Tail { path: path.to_owned(), ..Tail::default() };
        tail.look();
        tail
    }

    /// Which file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last lines, the newest last.
    pub fn lines(&self) -> &VecDeque<String> {
        &self.lines
    }

    /// Reads what is new, and says whether there was something. What cannot be read now is read later.
    pub fn look(&mut self) -> bool {
        self.read().unwrap_or(false)
    }

    fn read(&mut self) -> std::io::Result<bool> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut file = File::open(&self.path)?;
                self.at = last_lines(&mut file, LINES)?;
                self.file.insert(file)
            }
        };
        let length = file.metadata()?.len();
        if length < self.at || length - self.at > BEHIND {
            // Emptied by somebody, or written faster than anybody reads.
            self.at = if length < self.at { 0 } else { last_lines(file, LINES)? };
            self.rest.clear();
        }
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.by_ref().take(BEHIND).read_to_end(&mut self.rest)?;
        self.at += read as u64;
        let end = self.rest.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
        // What never ends is cut somewhere.
        let whole = end.unwrap_or(if self.rest.len() > LONGEST { self.rest.len() } else { 0 });
        for line in String::from_utf8_lossy(&self.rest[..whole]).lines() {
            self.lines.push_back(plain(line).replace('\t', "  "));
        }
        self.rest.drain(..whole);
        self.lines.drain(..self.lines.len().saturating_sub(LINES));
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_written_is_followed_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.log");
        let mut tail = Tail::of(path.to_str().unwrap());
        assert!(tail.lines().is_empty(), "it is not there yet");
        let mut file = File::create(&path).unwrap();
        let mut write = |text: &str| file.write_all(text.as_bytes()).unwrap();
        write("one\ntw");
        assert!(tail.look());
        assert_eq!(tail.lines(), &["one"]);
        write("o\n\x1b[31mred\x1b[0m\tx\n");
        tail.look();
        assert_eq!(tail.lines(), &["one", "two", "red  x"]);
        assert!(!tail.look(), "nothing new");
        File::create(&path).unwrap().write_all(b"anew\n").unwrap();
        tail.look();
        assert_eq!(tail.lines().back().unwrap(), "anew");
    }

    #[test]
    fn only_the_end_of_a_large_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.log");
        let text: String = (0..100_000).map(|n| format!("line {n} {}\n", "x".repeat(30))).collect();
        std::fs::write(&path, &text).unwrap();
        let mut tail = Tail::of(path.to_str().unwrap());
        assert_eq!(tail.lines().len(), LINES);
        assert!(tail.lines().back().unwrap().starts_with("line 99999 "));
        std::fs::write(&path, text.repeat(2)).unwrap();
        tail.look();
        assert_eq!(tail.lines().len(), LINES);
        assert!(tail.lines().back().unwrap().starts_with("line 99999 "));
        assert!(tail.lines().front().unwrap().starts_with("line 99500 "));
    }
}
