//! The settable clock of a project at a moment, and what `date` makes of moments.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::project::Project;
use crate::puppet::journal::now;

/// What `date` says of a moment, in milliseconds since 1970 UTC.
#[track_caller]
pub fn milliseconds(moment: &str) -> i64 {
    let said = Command::new("date").args(["-u", "-d", moment, "+%s%3N"]).output();
    let said = said.unwrap_or_else(|e| panic!("date: {e}"));
    let text = String::from_utf8_lossy(&said.stdout);
    text.trim().parse().unwrap_or_else(|e| panic!("{moment}: {e}"))
}

/// Sets a project's clock to a moment; gives how far ahead of the machine's that is.
#[track_caller]
pub fn set_to(project: &Project, moment: &str) -> i64 {
    let ahead = milliseconds(moment) - machine();
    project.set_test_clock(ahead);
    ahead
}

/// When it is this moment on a clock that is so far ahead, in nanoseconds of CLOCK_MONOTONIC.
#[track_caller]
pub fn monotonic(moment: &str, ahead: i64) -> u64 {
    let to_go = milliseconds(moment) - ahead - machine();
    now().saturating_add_signed(to_go * 1_000_000)
}

/// The machine's clock, in milliseconds since 1970 UTC.
fn machine() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    i64::try_from(now).unwrap_or(0)
}
