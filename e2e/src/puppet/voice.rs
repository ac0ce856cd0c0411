//! What a puppet writes to its stdout: numbered lines of one length, so that a lost byte shows.

use std::io;
use std::os::fd::AsFd;

use super::account::{self, Account};

/// Counts the lines it has written.
#[derive(Debug, Default)]
pub struct Voice {
    lines: u64,
    account: Option<Account>,
}

impl Voice {
    /// One that keeps an account, or none.
    pub fn with(account: Option<Account>) -> Voice {
        Voice { lines: 0, account }
    }

    /// How many lines were written whole.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Writes so many lines as fast as possible.
    pub fn shout(&mut self, lines: u64) -> io::Result<()> {
        let last = self.lines + lines;
        while self.lines < last {
            let next = last.min(self.lines + 100);
            match &mut self.account {
                None => {
                    let block: String = (self.lines..next).map(line).collect();
                    write_all(block.as_bytes(), |_| Ok(()))?;
                }
                Some(account) => {
                    let block: String = (self.lines..next).map(|n| account::line(account.who, n)).collect();
                    account.begin(block.len() as u64)?;
                    write_all(block.as_bytes(), |written| account.add(written))?;
                }
            }
            self.lines = next;
        }
        Ok(())
    }
}

/// The line with this number, counted from 0.
pub fn line(number: u64) -> String {
    format!("{number:010} the quick brown fox jumps over the lazy dog\n")
}

/// How many whole lines, numbered from 0 without a gap, these bytes are; `Err` says where they stop being that.
pub fn count(bytes: &[u8]) -> Result<u64, String> {
    let length = line(0).len();
    for (number, chunk) in bytes.chunks(length).enumerate() {
        if chunk != line(number as u64).as_bytes() {
            let found =
                String::from_utf8_lossy(&bytes[number * length..bytes.len().min((number + 2) * length)]);
            return Err(format!("of {} bytes, where line {number} should be: {found:?}", bytes.len()));
        }
    }
    Ok((bytes.len() / length) as u64)
}

/// Straight to the kernel: nothing stays in a buffer of ours when we are killed.
fn write_all(mut bytes: &[u8], mut note: impl FnMut(u64) -> io::Result<()>) -> io::Result<()> {
    let stdout = io::stdout();
    while !bytes.is_empty() {
        match rustix::io::write(stdout.as_fd(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                note(written as u64)?;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
