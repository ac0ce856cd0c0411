//! The account of a puppet that writes: each of its lines says whose it is, and a file of its own tells, at any moment
//! and also of one that was killed, how many bytes it has begun to write and how many the kernel has taken.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use crate::identity::Identity;

/// The length of each line.
pub const LENGTH: usize = 64;

/// What a puppet keeps of what it writes.
#[derive(Debug)]
pub struct Account {
    /// Whose it is.
    pub who: Identity,
    file: File,
    sum: Sum,
}

/// Bytes that were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// At most so many.
    pub begun: u64,
    /// At least so many.
    pub done: u64,
    /// When that was written, on the machine's clock.
    pub at: Option<SystemTime>,
}

impl Account {
    /// That of this process, in a folder that is there.
    pub fn open(folder: &Path) -> io::Result<Account> {
        let who = Identity::mine();
        let file = File::create(folder.join(format!("{}.{}", who.pid, who.start)))?;
        Ok(Account { who, file, sum: Sum::default() })
    }

    /// So many bytes are about to be written.
    pub fn begin(&mut self, bytes: u64) -> io::Result<()> {
        self.sum.begun += bytes;
        self.file.write_all_at(&self.sum.begun.to_le_bytes(), 0)
    }

    /// So many were.
    pub fn add(&mut self, bytes: u64) -> io::Result<()> {
        self.sum.done += bytes;
        self.file.write_all_at(&self.sum.done.to_le_bytes(), 8)
    }
}

/// The line of a process with this number, counted from 0.
pub fn line(who: Identity, number: u64) -> String {
    format!("{:010} {:012} {number:010} the quick brown fox is at it\n", who.pid, who.start)
}

/// Whose line this is, without its end, and which.
pub fn read(text: &str) -> Option<(Identity, u64)> {
    let mut words = text.split(' ');
    let mut next = || words.next()?.parse::<u64>().ok();
    let who = Identity { pid: u32::try_from(next()?).ok()?, start: next()? };
    let number = next()?;
    (line(who, number).strip_suffix('\n') == Some(text)).then_some((who, number))
}

/// All accounts in a folder.
pub fn sums(folder: &Path) -> Vec<(Identity, Sum)> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let one = |file: std::fs::DirEntry| {
        let name = file.file_name().into_string().ok()?;
        let (pid, start) = name.split_once('.')?;
        let who = Identity { pid: pid.parse().ok()?, start: start.parse().ok()? };
        let bytes = std::fs::read(file.path()).ok()?;
        let number = |at: usize| bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok());
        let number = |at| number(at).map_or(0, u64::from_le_bytes);
        let at = file.metadata().and_then(|metadata| metadata.modified()).ok();
        Some((who, Sum { begun: number(0), done: number(8), at }))
    };
    files.filter_map(one).collect()
}
