//! Processor time and peak memory of one command with all it waits for. The kernel tells the peak only as a maximum over
//! all children so far (getrusage(2)), so each command runs below a bench of its own that runs nothing else.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The argument by which the bench knows that it is to measure one command.
pub const ARGUMENT: &str = "__peak";

/// What one command took.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// From its start to its end, in milliseconds.
    pub wall_ms: f64,
    /// User and system time in milliseconds.
    pub cpu_ms: f64,
    /// The largest resident set of any one process, in KiB. Never less than that of the measuring bench before its
    /// child executes: both share their memory until then.
    pub peak_kib: f64,
}

/// In the bench that measures: runs the command and prints what it took.
pub fn measure(mut words: impl Iterator<Item = OsString>) -> Result<()> {
    let program = words.next().context("nothing to measure")?;
    let begun = Instant::now();
    let status = Command::new(&program).args(words).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    let wall = begun.elapsed();
    ensure!(status.success(), "{} ended with {status}", Path::new(&program).display());
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu_us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    println!("{} {cpu_us} {}", wall.as_micros(), usage.max_rss());
    Ok(())
}

/// Has another bench measure one command.
pub fn of(program: &Path, arguments: &[OsString], folder: &Path) -> Result<Taken> {
    // Also if this bench was built anew meanwhile.
    let output = Command::new("/proc/self/exe")
        .arg(ARGUMENT)
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{} cannot be measured", program.display());
    let text = String::from_utf8_lossy(&output.stdout);
    let mut figures = text.split_ascii_whitespace().filter_map(|word| word.parse::<f64>().ok());
    let mut next = || figures.next().context("a measurement without figures");
    Ok(Taken { wall_ms: next()? / 1000.0, cpu_ms: next()? / 1000.0, peak_kib: next()? })
}
