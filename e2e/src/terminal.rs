//! A pseudo terminal, and what a person sees on it: `soloist` runs in it, keys are typed, the screen is read. Of the control
//! sequences (ECMA-48) it follows those that move and erase; colours take no place.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

/// A terminal with a program on it.
#[derive(Debug)]
pub struct Terminal {
    keys: File,
    inside: OwnedFd,
    screen: Arc<Mutex<Screen>>,
}

impl Terminal {
    /// A new one of this size, with nothing on it.
    #[track_caller]
    pub fn new(columns: u16, rows: u16) -> Terminal {
        Terminal::made(columns, rows).unwrap_or_else(|e| panic!("no pseudo terminal: {e}"))
    }

    fn made(columns: u16, rows: u16) -> std::io::Result<Terminal> {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&outside)?;
        unlockpt(&outside)?;
        let name = ptsname(&outside, Vec::new())?;
        let inside = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        tcsetwinsize(&inside, Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 })?;
        let screen = Arc::new(Mutex::new(Screen::new(columns.into(), rows.into())));
        let (mut written, seen) = (File::from(outside.try_clone()?), screen.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It ends with an error when nobody has the inside open any more.
            while let Ok(length @ 1..) = written.read(&mut bytes) {
                seen.lock().unwrap_or_else(PoisonError::into_inner).take(&bytes[..length]);
            }
        });
        Ok(Terminal { keys: File::from(outside), inside, screen })
    }

    /// Lets a command run on it, with colours if it likes.
    #[track_caller]
    pub fn dress(&self, command: &mut Command) {
        let inside = || Stdio::from(self.inside.try_clone().unwrap_or_else(|e| panic!("{e}")));
        command.stdin(inside()).stdout(inside()).stderr(inside());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR").env_remove("CI");
    }

    /// Types these keys.
    #[track_caller]
    pub fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap_or_else(|e| panic!("typing {keys:?}: {e}"));
    }

    /// What stands on it now, without blanks at the ends of lines.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).text()
    }

    /// Waits until a text stands on it, and gives all of it.
    #[track_caller]
    pub fn wait_for(&self, what: &str, limit: Duration) -> String {
        self.wait_until(what, limit, |text| text.contains(what))
    }

    /// Waits until it looks so, and gives what it looks like.
    #[track_caller]
    pub fn wait_until(&self, what: &str, limit: Duration, is_so: impl Fn(&str) -> bool) -> String {
        crate::wait_until(&format!("the terminal shows {what}"), limit, || {
            let text = self.text();
            if is_so(&text) { Ok(text) } else { Err(text) }
        })
    }

    /// Whether programs draw on the alternate screen.
    pub fn is_alternate(&self) -> bool {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).is_alternate
    }

    /// How it treats keys and lines (termios(3)).
    #[track_caller]
    pub fn modes(&self) -> Termios {
        tcgetattr(&self.inside).unwrap_or_else(|e| panic!("{e}"))
    }
}

/// Rows of characters, and where the next one goes.
#[derive(Debug)]
struct Screen {
    rows: Vec<Vec<char>>,
    columns: usize,
    row: usize,
    column: usize,
    is_wrapping: bool,
    is_alternate: bool,
    rest: Vec<u8>,
}

impl Screen {
    fn new(columns: usize, rows: usize) -> Screen {
        let rows = vec![vec![' '; columns]; rows];
        Screen { rows, columns, row: 0, column: 0, is_wrapping: true, is_alternate: false, rest: Vec::new() }
    }

    fn text(&self) -> String {
        let lines = self.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// Bytes may come cut anywhere: what is not whole yet waits.
    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.rest) {
            Ok(_) => self.rest.len(),
            Err(e) => e.valid_up_to(),
        };
        let text = String::from_utf8_lossy(&self.rest[..whole]).into_owned();
        let mut left = text.as_str();
        while let Some(c) = left.chars().next() {
            let taken = match c {
                '\x1b' => match self.control(left) {
                    Some(length) => length,
                    None => break,
                },
                _ => {
                    self.put(c);
                    c.len_utf8()
                }
            };
            left = &left[taken..];
        }
        self.rest.drain(..whole - left.len());
    }

    /// Follows a control sequence and gives its length; none if it is not whole.
    fn control(&mut self, text: &str) -> Option<usize> {
        let kind = text.chars().nth(1)?;
        if kind != '[' {
            return Some(1 + kind.len_utf8());
        }
        let end = text[2..].find(|c: char| ('@'..='~').contains(&c))? + 2;
        let numbers: Vec<usize> = text[2..end].split(';').map(|n| n.parse().unwrap_or(0)).collect();
        let first = numbers.first().copied().unwrap_or(0);
        match &text[2..=end] {
            "?7l" => self.is_wrapping = false,
            "?7h" => self.is_wrapping = true,
            "?1049h" => self.is_alternate = true,
            "?1049l" => self.is_alternate = false,
            _ => match text[end..].chars().next()? {
                'H' => {
                    let column = numbers.get(1).copied().unwrap_or(0);
                    self.row = first.saturating_sub(1).min(self.rows.len() - 1);
                    self.column = column.saturating_sub(1).min(self.columns - 1);
                }
                'A' => self.row = self.row.saturating_sub(first.max(1)),
                'K' => self.rows[self.row][self.column.min(self.columns - 1)..].fill(' '),
                'J' => {
                    let start = if first == 2 { 0 } else { self.row };
                    self.rows[start..].iter_mut().for_each(|row| row.fill(' '));
                }
                _ => {}
            },
        }
        Some(end + 1)
    }

    fn put(&mut self, c: char) {
        match c {
            '\r' => self.column = 0,
            '\n' => self.down(),
            c if c.is_control() => {}
            c => {
                if self.column == self.columns && self.is_wrapping {
                    self.column = 0;
                    self.down();
                }
                self.column = self.column.min(self.columns - 1);
                self.rows[self.row][self.column] = c;
                self.column += 1;
            }
        }
    }

    fn down(&mut self) {
        if self.row + 1 < self.rows.len() {
            self.row += 1;
        } else {
            self.rows.remove(0);
            self.rows.push(vec![' '; self.columns]);
        }
    }
}
