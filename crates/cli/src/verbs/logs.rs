//! `soloist logs NAME`: the last lines of what a service wrote, and what it writes from now on; also what its lanes wrote.
//! Reads the files itself: no daemon is needed.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::time::Duration;

use soloist_api::error::{Code, Problem};
use soloist_daemon::logs::last_lines;
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
    let mut logs = vec![Log { name: name.to_owned(), file: open(project, name)? }];
    for lane in lanes(project, name) {
        let file = open(project, &lane)?;
        logs.push(Log { name: lane, file });
    }
    let mut shown = 0;
    for (at, log) in logs.iter_mut().enumerate() {
        let start = last_lines(&mut log.file, lines)?;
        log.file.seek(SeekFrom::Start(start))?;
        if copy(log, at, &mut shown, printer).is_err() {
            return Ok(0);
        }
    }
    if !is_followed {
        return Ok(0);
    }
    loop {
        std::thread::sleep(LOOK_AGAIN);
        for (at, log) in logs.iter_mut().enumerate() {
            if copy(log, at, &mut shown, printer).is_err() {
                return Ok(0);
            }
        }
    }
}

/// What one instance wrote.
struct Log {
    name: String,
    file: File,
}

fn open(project: &Project, name: &str) -> Result<File, Problem> {
    let path = project.layout.log(name);
    match File::open(&path) {
        Ok(file) => Ok(file),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let config = project.config_or_empty()?;
            if config.declared.iter().all(|d| d.name != name) {
                return Err(runs::unknown(name, &config));
            }
            let said = format!("{name} has written nothing yet: {} does not exist", path.display());
            Err(Problem::new(Code::NotRunning, said).hint(format!("`soloist start {name}` starts it")))
        }
        Err(e) => Err(Problem::new(Code::Error, format!("cannot read {}: {e}", path.display()))),
    }
}

/// Instances that have taken runs of this one while it was busy: `scan~2`, `scan~3`, ….
fn lanes(project: &Project, name: &str) -> Vec<String> {
    let path = project.layout.log(name);
    let entries = path.parent().and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten();
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let lane = |file: String| file.strip_suffix(".log").map(str::to_owned);
    let is_of = |lane: &String| lane.strip_prefix(name).is_some_and(|rest| rest.starts_with('~'));
    let mut found: Vec<String> = names.filter_map(lane).filter(is_of).collect();
    found.sort_by_key(|lane| (lane.len(), lane.clone()));
    found
}

/// The whole file from where we are, headed by its name where another was shown before. An error means that nobody reads
/// any more.
fn copy(log: &mut Log, at: usize, shown: &mut usize, printer: &Printer) -> std::io::Result<()> {
    let mut bytes = [0u8; 64 * 1024];
    loop {
        let length = match log.file.read(&mut bytes)? {
            0 => return Ok(()),
            length => length,
        };
        if std::mem::replace(shown, at) != at {
            printer.line(&format!("==> {} <==", log.name));
        }
        printer.bytes(&bytes[..length])?;
    }
}
