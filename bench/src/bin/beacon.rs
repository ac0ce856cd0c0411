//! The child of the restart measurement: before anything else it says when it began to run, then it does nothing. It
//! takes no argument, so that a supervisor can execute it in place of a script: the FIFO `beacon` lies in its folder.

use std::fs::OpenOptions;
use std::io::Write;

fn main() -> std::io::Result<()> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let line = format!("{} {}\n", now.tv_sec * 1_000_000_000 + now.tv_nsec, std::process::id());
    // For reading too: such an open does not wait for a reader, so no beacon can hang here when the bench is gone.
    OpenOptions::new().read(true).write(true).open("beacon")?.write_all(line.as_bytes())?;
    loop {
        rustix::event::pause();
    }
}
