//! The program's only way to speak: one whole line to stdout or stderr.
//! A reader that went away (a closed pipe) is no reason to fail, so write errors are dropped.

use std::fmt::Display;
use std::io::Write;

/// Writes one line to stdout and flushes it, so that a log follower sees it at once.
pub fn line(text: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// Writes one line to stderr, marked with the program's name.
pub fn error(text: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "market: {text}");
}
