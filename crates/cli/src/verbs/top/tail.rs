//! The last lines of a log, and what is written to it from now on, as lines that may be put on a screen.

use std::collections::VecDeque;
use std::path::Path;

use soloist_api::watch::LogEvent;
use soloist_daemon::logs::mask::Mask;
use soloist_daemon::logs::{self, Start};
use soloist_daemon::plain::plain;

/// So many lines are kept: more than any screen has.
const LINES: usize = 500;
/// So many pieces are read at once, that keys are not waited for.
const PIECES: usize = 64;

/// A followed file.
#[derive(Debug, Default)]
pub struct Tail {
    path: String,
    log: Option<logs::Tail>,
    lines: VecDeque<String>,
    /// The last line goes on.
    is_open: bool,
}

impl Tail {
    /// Of this file, with its last lines; also if it is not there yet.
    pub fn of(path: &str, mask: Mask) -> Tail {
        let log = logs::Tail::from(Path::new(path), Start::Lines(LINES), mask).ok();
        let mut tail = Tail { path: path.to_owned(), log, ..Tail::default() };
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
        let mut is_new = false;
        for _ in 0..PIECES {
            let found = self.log.as_mut().and_then(|log| log.look().ok().flatten());
            let Some(found) = found else { break };
            is_new = true;
            self.take(found);
        }
        self.lines.drain(..self.lines.len().saturating_sub(LINES));
        is_new
    }

    fn take(&mut self, found: LogEvent) {
        let LogEvent::Lines { lines, open, .. } = found else {
            self.is_open = false;
            return;
        };
        for line in lines {
            let line = plain(&line).replace('\t', "  ");
            match self.lines.back_mut().filter(|_| std::mem::take(&mut self.is_open)) {
                Some(last) => last.push_str(&line),
                None => self.lines.push_back(line),
            }
        }
        self.is_open = open;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_written_is_followed_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.log");
        let mut tail = Tail::of(path.to_str().unwrap(), Mask::default());
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
        write("yes or no? ");
        assert!(!tail.look(), "the rest may be on its way");
        assert!(tail.look() && tail.lines().back().unwrap() == "yes or no? ");
        write("yes\n");
        assert!(tail.look() && tail.lines().back().unwrap() == "yes or no? yes");
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
        let mut tail = Tail::of(path.to_str().unwrap(), Mask::default());
        assert_eq!(tail.lines().len(), LINES);
        assert!(tail.lines().back().unwrap().starts_with("line 99999 "));
        std::fs::write(&path, text.repeat(2)).unwrap();
        tail.look();
        assert_eq!(tail.lines().len(), LINES);
        assert!(tail.lines().back().unwrap().starts_with("line 99999 "));
        assert!(tail.lines().front().unwrap().starts_with("line 99500 "));
    }
}
