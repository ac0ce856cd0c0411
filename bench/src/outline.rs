//! What `/proc` tells of processes from outside: children, name, processor time, memory.

use std::fs;
use std::path::{Path, PathBuf};

/// A process and all that descend from it, the process first.
pub fn family(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        at += 1;
        for task in numbers(&format!("/proc/{pid}/task")) {
            let children =
                fs::read_to_string(format!("/proc/{pid}/task/{task}/children")).unwrap_or_default();
            found.extend(children.split_ascii_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
    }
    found
}

/// Its name, at most 15 bytes.
pub fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// Its program.
pub fn program(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Whether this is its program.
pub fn executes(pid: u32, executed: &Path) -> bool {
    program(pid).is_some_and(|program| program == executed)
}

/// Its command line.
pub fn words(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).split_terminator('\0').map(str::to_owned).collect()
}

/// The living processes that were given this variable with this path.
pub fn marked(name: &str, path: &Path) -> Vec<u32> {
    let mark = format!("{name}={}", path.display()).into_bytes();
    let has_mark = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == mark)
    };
    numbers("/proc").into_iter().filter(|pid| has_mark(pid) && is_alive(*pid)).collect()
}

/// The folder that it works in.
pub fn folder(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// The living processes that work in this folder or below it, also if it was removed meanwhile.
pub fn working_below(above: &Path) -> Vec<u32> {
    let works = |pid: &u32| {
        folder(*pid).is_some_and(|folder| {
            let folder = folder.to_string_lossy();
            Path::new(folder.strip_suffix(" (deleted)").unwrap_or(&folder)).starts_with(above)
        })
    };
    numbers("/proc").into_iter().filter(|pid| works(pid) && is_alive(*pid)).collect()
}

/// Its parent.
pub fn parent(pid: u32) -> Option<u32> {
    field(&format!("/proc/{pid}/status"), "PPid:").map(|pid| pid as u32)
}

/// Whether it lives; a zombie does not.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Processor time of all its threads in nanoseconds, by the scheduler's own account (proc_pid_schedstat(5)).
pub fn cpu_ns(pid: u32) -> u64 {
    numbers(&format!("/proc/{pid}/task"))
        .into_iter()
        .filter_map(|task| fs::read_to_string(format!("/proc/{pid}/task/{task}/schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// How often its threads let go of a processor, on their own or not: each is a wake-up before or after it.
pub fn switches(pid: u32) -> u64 {
    let of = |status: String| -> u64 {
        let lines = status.lines().filter(|line| line.contains("ctxt_switches:"));
        lines.filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()).sum()
    };
    numbers(&format!("/proc/{pid}/task"))
        .into_iter()
        .filter_map(|task| fs::read_to_string(format!("/proc/{pid}/task/{task}/status")).ok())
        .map(of)
        .sum()
}

/// Processor time and switches of these processes together.
pub fn used(pids: &[u32]) -> (u64, u64) {
    pids.iter().fold((0, 0), |(cpu, passed), pid| (cpu + cpu_ns(*pid), passed + switches(*pid)))
}

/// Its proportional share of memory in KiB: what several share counts for each in part.
pub fn pss_kib(pid: u32) -> Option<f64> {
    field(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// What it has resident, in KiB.
pub fn rss_kib(pid: u32) -> Option<f64> {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// What it had resident at its peak, in KiB, since it executed.
pub fn peak_kib(pid: u32) -> Option<f64> {
    field(&format!("/proc/{pid}/status"), "VmHWM:")
}

/// The regular files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

fn field(path: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?.parse().ok()
}

fn numbers(folder: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
