//! The child of the measurement of a supervisor's death: every 20 ms it writes a numbered line to its standard output, and
//! after it, in a file `said.PID`, how many were taken from it. Once a line is not taken it ends.

use std::io::{Result, Write};
use std::os::unix::fs::FileExt;
use std::time::Duration;

fn main() -> Result<()> {
    let pid = std::process::id();
    let said = std::fs::File::create(format!("said.{pid}"))?;
    for number in 0_u64.. {
        let line = format!("{:x<99}\n", format!("chat {pid} {number} "));
        // In one write: a line is there as a whole or not at all.
        std::io::stdout().write_all(line.as_bytes())?;
        std::io::stdout().flush()?;
        said.write_at(format!("{:<20}", number + 1).as_bytes(), 0)?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
