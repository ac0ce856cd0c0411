//! Where beacons are told: each child that begins writes its moment and its pid into one FIFO.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// The reading end; open for writing too, so that it has no end between two children.
pub struct Fifo {
    file: File,
    /// What was read of a line that is not whole yet.
    rest: String,
}

/// One child that began.
#[derive(Clone, Copy, Debug)]
pub struct Beacon {
    /// When, on the monotonic clock, in nanoseconds.
    pub began: i64,
    /// Its process.
    pub pid: u32,
}

impl Fifo {
    /// The name by which a child finds it in its folder.
    pub const NAME: &str = "beacon";

    /// Makes it in this folder.
    pub fn make(folder: &Path) -> Result<Fifo> {
        let path = folder.join(Self::NAME);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits())?;
        let file = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open(path)?;
        Ok(Fifo { file, rest: String::new() })
    }

    /// The next beacon, when only one child can begin.
    pub fn next(&mut self, limit: Duration) -> Result<Beacon> {
        let told = self.read(limit)?;
        ensure!(told.len() == 1, "not one child began: {told:?}");
        Ok(told[0])
    }

    /// The last of so many beacons.
    pub fn last_of(&mut self, count: usize, limit: Duration) -> Result<Beacon> {
        let end = Instant::now() + limit;
        let mut told: Vec<Beacon> = Vec::new();
        while told.len() < count {
            let more = self.read(end.saturating_duration_since(Instant::now()));
            told.extend(more.with_context(|| format!("{} of {count} children began", told.len()))?);
        }
        ensure!(told.len() == count, "{} children of {count} services began", told.len());
        told.into_iter().max_by_key(|beacon| beacon.began).context("no child was to begin")
    }

    /// Those that were told since, without waiting.
    pub fn told(&mut self) -> Vec<Beacon> {
        self.read(Duration::ZERO).unwrap_or_default()
    }

    fn read(&mut self, limit: Duration) -> Result<Vec<Beacon>> {
        let nanoseconds = i64::from(limit.subsec_nanos());
        let timeout = Timespec { tv_sec: i64::try_from(limit.as_secs())?, tv_nsec: nanoseconds };
        poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&timeout))?;
        let mut bytes = [0; 4096];
        let length = self.file.read(&mut bytes).context("nothing in time")?;
        self.rest.push_str(std::str::from_utf8(&bytes[..length])?);
        let mut told = Vec::new();
        while let Some((line, rest)) = self.rest.split_once('\n') {
            let (began, pid) = line.split_once(' ').context("an unreadable beacon")?;
            told.push(Beacon { began: began.parse()?, pid: pid.parse()? });
            self.rest = rest.to_owned();
        }
        Ok(told)
    }
}
