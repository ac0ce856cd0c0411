//! The child of the lateness measurement: before anything else it reads the wall clock, then it adds one line to a file:
//! what it read, its name, and when it was due, as its third argument or soloist's environment says it.

use std::fs::OpenOptions;
use std::io::Write;

fn main() -> std::io::Result<()> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let mut words = std::env::args().skip(1);
    let (name, file) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let due = words.next().or_else(|| std::env::var("SOLOIST_SCHEDULED_AT").ok());
    let due = due.unwrap_or_else(|| "-".to_owned());
    let line = format!("{} {name} {due}\n", now.tv_sec * 1_000_000_000 + now.tv_nsec);
    OpenOptions::new().append(true).create(true).open(file)?.write_all(line.as_bytes())
}
