//! `soloist logs NAME`: the last lines of what a service wrote, and what it writes from now on. Reads the file itself:
//! no daemon is needed.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::time::Duration;

use soloist_api::error::{Code, Problem};
use soloist_daemon::runs;

use crate::printer::Printer;
use crate::project::Project;

/// How often a followed file is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Exit code 4 for a service nobody knows.
pub fn logs(
    project: &Project,
    printer: &Printer,
    name: &str,
    is_followed: bool,
    lines: usize,
) -> Result<i32, Problem> {
    let path = project.layout.log(name);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let config = project.config_or_empty()?;
            if config.declared.iter().all(|d| d.name != name) {
                return Err(runs::unknown(name, &config));
            }
            let said = format!("{name} has written nothing yet: {} does not exist", path.display());
            return Err(
                Problem::new(Code::NotRunning, said).hint(format!("`soloist start {name}` starts it"))
            );
        }
        Err(e) => return Err(Problem::new(Code::Error, format!("cannot read {}: {e}", path.display()))),
    };
    let start = last_lines(&mut file, lines)?;
    file.seek(SeekFrom::Start(start))?;
    if copy(&mut file, printer).is_err() || !is_followed {
        return Ok(0);
    }
    loop {
        std::thread::sleep(LOOK_AGAIN);
        if copy(&mut file, printer).is_err() {
            return Ok(0);
        }
    }
}

/// The whole file from where we are. An error means that nobody reads any more.
fn copy(file: &mut File, printer: &Printer) -> std::io::Result<()> {
    let mut bytes = [0u8; 64 * 1024];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(()),
            length => printer.bytes(&bytes[..length])?,
        }
    }
}

/// Where the last so many lines begin, read from the end: the file may be large.
fn last_lines(file: &mut File, lines: usize) -> std::io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let length = file.seek(SeekFrom::End(0))?;
    let (mut at, mut found) = (length, 0);
    if lines == 0 {
        return Ok(length);
    }
    while at > 0 {
        let begin = at.saturating_sub(BLOCK);
        let mut block = vec![0u8; (at - begin) as usize];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut block)?;
        for (i, byte) in block.iter().enumerate().rev() {
            // The line feed at the very end ends the last line; it begins none.
            if *byte == b'\n' && begin + i as u64 + 1 != length {
                found += 1;
                if found == lines {
                    return Ok(begin + i as u64 + 1);
                }
            }
        }
        at = begin;
    }
    Ok(0)
}
