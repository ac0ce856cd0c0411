//! What a service writes: one pipe for standard output and error, so that their order is kept, appended to its log
//! as it is. It never blocks the service: what a full disk refuses is counted and dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::layout::named;

/// So many reads at a time, so that a flood of output does not starve orders: 1 MiB.
const READS_AT_ONCE: usize = 64;
/// A pipe holds 64 KiB; what was in it when the writer ended is surely taken within so many reads.
const READS_AT_END: usize = 1024;

/// A pipe and the log it goes to.
#[derive(Debug)]
pub struct Output {
    pipe: OwnedFd,
    end: OwnedFd,
    log: File,
    dropped: u64,
}

impl Output {
    /// Opens the log for appending (0600, through no link) and makes the pipe.
    pub fn open(log: &Path) -> io::Result<Output> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(log).map_err(|e| named(e, "cannot open the log", log))?;
        let (pipe, end) = pipe_with(PipeFlags::CLOEXEC)?;
        // Only our end: a service that finds its standard output non-blocking would lose lines.
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok(Output { pipe, end, log: file, dropped: 0 })
    }

    /// What the service writes to. We keep it open, so the pipe outlives each run.
    pub fn end(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }

    /// How long the log is now.
    pub fn log_length(&self) -> Option<u64> {
        self.log.metadata().ok().map(|found| found.len())
    }

    /// What becomes readable when there is output.
    pub fn pipe(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Takes some of what there is.
    pub fn take(&mut self) {
        self.copy(READS_AT_ONCE);
    }

    /// Takes all there is.
    pub fn drain(&mut self) {
        self.copy(READS_AT_END);
    }

    fn copy(&mut self, reads: usize) {
        let mut bytes = [0u8; 16 * 1024];
        for _ in 0..reads {
            match rustix::io::read(&self.pipe, &mut bytes) {
                Ok(0) => return,
                Ok(length) => self.append(&bytes[..length]),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.dropped > 0 {
            let note =
                format!("\n[soloist: {} bytes of output were lost, the disk was full]\n", self.dropped);
            if self.log.write_all(note.as_bytes()).is_err() {
                self.dropped += bytes.len() as u64;
                return;
            }
            self.dropped = 0;
        }
        let mut left = bytes;
        while !left.is_empty() {
            match self.log.write(left) {
                Ok(0) => break,
                Ok(written) => left = &left[written..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.dropped += left.len() as u64;
    }
}
