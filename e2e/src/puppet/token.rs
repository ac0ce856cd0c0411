//! The token: a file that only one puppet at a time may have. A puppet that finds it in the hands of a living one
//! reports the overlap itself; one that finds it in the hands of a dead one takes it over.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::journal::{Entry, Pen, now};
use crate::identity::Identity;

/// The token in this puppet's hands. It is not given back by dropping: a killed puppet cannot do that either.
#[derive(Debug)]
pub struct Token {
    file: PathBuf,
    me: Identity,
}

/// Another living puppet has the token; it is in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap;

impl Token {
    /// Takes the token, unless a living puppet has it. All of it happens under the journal's lock; so a file without
    /// content can only be that of a puppet killed between two lines of this function.
    pub fn take(file: &Path) -> io::Result<Result<Token, Overlap>> {
        let mut pen = Pen::lift(file)?;
        let me = Identity::mine();
        loop {
            match OpenOptions::new().write(true).create_new(true).open(file) {
                Ok(mut token) => {
                    token.write_all(format!("{} {}\n", me.pid, me.start).as_bytes())?;
                    pen.write(&Entry::Start { who: me, at: now() })?;
                    return Ok(Ok(Token { file: file.to_owned(), me }));
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
            if let Some(other) = holder(file).filter(Identity::is_alive) {
                pen.write(&Entry::Overlap { who: me, at: now(), other })?;
                return Ok(Err(Overlap));
            }
            std::fs::remove_file(file)?;
        }
    }

    /// Gives the token back at the end of a life.
    pub fn give_back(self, lines: u64) -> io::Result<()> {
        let mut pen = Pen::lift(&self.file)?;
        pen.write(&Entry::End { who: self.me, at: now(), lines })?;
        std::fs::remove_file(&self.file)
    }
}

fn holder(file: &Path) -> Option<Identity> {
    let text = std::fs::read_to_string(file).ok()?;
    let (pid, start) = text.trim().split_once(' ')?;
    Some(Identity { pid: pid.parse().ok()?, start: start.parse().ok()? })
}
