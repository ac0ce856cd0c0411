//! The child of the measurement of logs: once a file `go` is there it writes lines of 100 bytes to its standard output, so
//! many bytes a write and so many in all, says in `begun` when it began, and lives on: who captures is to have its pipe.

use std::io::Result;
use std::path::Path;
use std::time::Duration;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let mut number = || words.next().and_then(|word| word.parse::<usize>().ok()).unwrap_or(100);
    let (at_once, total) = (number(), number());
    let lines: Vec<u8> = (1..=at_once).map(|at| if at % 100 == 0 { b'\n' } else { b'x' }).collect();
    while !Path::new("go").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    std::fs::write("begun", (now.tv_sec * 1_000_000_000 + now.tv_nsec).to_string())?;
    let mut left = total;
    while left > 0 {
        left -= rustix::io::write(std::io::stdout(), &lines[..left.min(at_once)])?;
    }
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
