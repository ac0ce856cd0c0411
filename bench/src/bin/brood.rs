//! The child of the measurement of stops: ten processes on three levels, one and three and six. The nine are in sessions of
//! their own, and whom they descend from ended at once. None heeds SIGTERM or SIGINT.

use std::io::Result;
use std::os::unix::process::CommandExt;
use std::process::Command;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let program = std::env::current_exe()?;
    let brood = |word: &str| {
        let mut command = Command::new(&program);
        command.args([&name, word]);
        command
    };
    let (level, children) = match words.next().as_deref() {
        None => {
            // A shell ignores signals for the program that it becomes.
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", "trap '' TERM INT; exec \"$@\"", "sh"]).arg(&program).args([&name, "0"]);
            return Err(shell.exec());
        }
        Some("0") => (0, 3),
        Some("1") => (1, 2),
        Some("2") => (2, 0),
        // The one between, which ends.
        Some(after) => {
            rustix::process::setsid()?;
            brood(after.trim_start_matches("to-")).spawn()?;
            return Ok(());
        }
    };
    for _ in 0..children {
        brood(&format!("to-{}", level + 1)).status()?;
    }
    loop {
        rustix::event::pause();
    }
}
