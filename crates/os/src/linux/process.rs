//! What `/proc` says of one process (proc(5)). Each reading is of a moment; who needs more pins the process first.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::identity::Exit;
use crate::stat::Stat;
use crate::survivor::COOKIE;

/// Reads `/proc/PID/stat`.
pub fn stat(pid: u32) -> io::Result<Stat> {
    // The file is far below a page; one read gets it whole.
    let mut buffer = [0u8; 1024];
    let file = rustix::fs::open(
        format!("/proc/{pid}/stat"),
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .map_err(not_found)?;
    let length = rustix::io::read(&file, &mut buffer).map_err(not_found)?;
    parse_stat(&buffer[..length])
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not readable as such")))
}

/// A process that ended between open and read answers ESRCH: the same as not being there.
fn not_found(error: rustix::io::Errno) -> io::Error {
    match error {
        rustix::io::Errno::SRCH | rustix::io::Errno::NOENT => io::ErrorKind::NotFound.into(),
        other => other.into(),
    }
}

/// Fields 3 to 6 and 22 of the text of `/proc/PID/stat` (proc_pid_stat(5)).
pub fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    // The command may hold spaces and parentheses: the fields count from the last one.
    let after = bytes.iter().rposition(|b| *b == b')')? + 1;
    let rest = std::str::from_utf8(&bytes[after..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    // state is field 3; the start time is field 22.
    let start = fields.nth(22 - 7)?.parse().ok()?;
    Some(Stat { state, parent, group, session, start })
}

/// How a zombie ended, that its parent has not reaped: field 52 of `/proc/PID/stat`. Told to its own user.
pub fn zombie_exit(pid: u32) -> Option<Exit> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&text).filter(|stat| stat.state == 'Z')?;
    let last = std::str::from_utf8(&text).ok()?.split_ascii_whitespace().next_back()?;
    Some(Exit::from_wait_status(last.parse().ok()?))
}

/// The id of this boot.
pub fn boot_id() -> io::Result<String> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot.clone());
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    Ok(BOOT.get_or_init(|| boot).clone())
}

/// The inode of our pid namespace (namespaces(7)).
pub fn pid_namespace() -> io::Result<u64> {
    static NAMESPACE: OnceLock<u64> = OnceLock::new();
    if let Some(ns) = NAMESPACE.get() {
        return Ok(*ns);
    }
    let ns = std::fs::metadata("/proc/self/ns/pid")?.ino();
    Ok(*NAMESPACE.get_or_init(|| ns))
}

/// All pids of `/proc`, mostly the newest first: what lives shortest is looked at soonest.
pub fn pids() -> io::Result<Vec<u32>> {
    let entries = std::fs::read_dir("/proc")?;
    let mut pids: Vec<u32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.reverse();
    Ok(pids)
}

/// The pid that was given last: the fifth field of `/proc/loadavg` (proc_loadavg(5)); 0 where it is not told. As long
/// as it stays, no process was made.
pub fn newest() -> u32 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().nth(4).and_then(|pid| pid.parse().ok()).unwrap_or(0)
}

/// The words of its command line; the name in brackets where there is none (kernel threads, zombies).
pub fn command(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> = bytes
        .strip_suffix(&[0])
        .unwrap_or(&bytes)
        .split(|b| *b == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    if words.iter().any(|word| !word.is_empty()) {
        return words;
    }
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    vec![format!("[{}]", name.trim())]
}

/// The kernel function a process sleeps in, where the kernel tells.
pub fn wait_channel(pid: u32) -> Option<String> {
    let channel = std::fs::read_to_string(format!("/proc/{pid}/wchan")).ok()?;
    (!channel.is_empty() && channel != "0").then_some(channel)
}

/// Whether its initial environment holds just this `NAME=value`. Unreadable (another user's) is no.
pub fn environment_has(pid: u32, entry: &[u8]) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|b| *b == 0).any(|found| found == entry))
}

/// The value of one variable of its initial environment.
pub fn variable_of(pid: u32, name: &str) -> Option<std::ffi::OsString> {
    use std::os::unix::ffi::OsStringExt;
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{name}=");
    let found = environment.split(|b| *b == 0).find_map(|entry| entry.strip_prefix(prefix.as_bytes()))?;
    Some(std::ffi::OsString::from_vec(found.to_vec()))
}

/// The claim a process says it belongs to, by its cookie.
pub fn cookie_of(pid: u32) -> Option<PathBuf> {
    variable_of(pid, COOKIE).map(PathBuf::from)
}

/// Its parent; `None` for a process without one here.
pub fn parent_of(pid: u32) -> Option<u32> {
    stat(pid).ok().map(|stat| stat.parent).filter(|parent| *parent != 0)
}

/// Its children, of all its threads, zombies too. Reliable only for what stands still (proc(5)): callers look again
/// until nothing new shows.
pub fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let threads = PathBuf::from(format!("/proc/{pid}/task"));
    let Ok(entries) = std::fs::read_dir(&threads) else { return found };
    for thread in entries.flatten() {
        let Ok(list) = std::fs::read_to_string(thread.path().join("children")) else { continue };
        found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = b"42 (a) b (c)) S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 0 0";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.state, stat.parent, stat.group, stat.session, stat.start), ('S', 7, 8, 9, 12345));
        assert!(!stat.is_dead());
        let zombie = b"42 (a) R 1 (x) Z 0 7 7 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 1 0 4242 9 9\n";
        let zombie = parse_stat(zombie).unwrap();
        assert_eq!((zombie.parent, zombie.start), (0, 4242));
        assert!(zombie.is_dead());
    }

    #[test]
    fn torn_or_foreign_bytes_are_no_stat() {
        assert!(parse_stat(b"").is_none());
        assert!(parse_stat(b"42 (x) S 7").is_none());
        assert!(parse_stat(&[0xff; 64]).is_none());
    }

    #[test]
    fn a_process_that_is_not_there_is_not_found() {
        assert_eq!(stat(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
