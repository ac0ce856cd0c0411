//! What the kernel, a shell or the loader refused: a command that is not there, a missing right, too little memory.

use soloist_core::event::Exit;

use super::{Case, Seen, between, case, clip, port};

/// A shell's words for "not executable" and "not found" (POSIX XCU 2.8.2).
const NOT_EXECUTABLE: Exit = Exit::Code(126);
const NOT_FOUND: Exit = Exit::Code(127);
/// signal(7)
const SIGNAL_KILL: i32 = 9;

pub(super) fn rule(seen: &Seen<'_>, at: usize) -> Option<Case> {
    let line = seen.lines[at].as_str();
    missing_command(seen, line)
        .or_else(|| not_executable(seen, line))
        .or_else(|| forbidden(seen, line))
        .or_else(|| no_memory(line))
}

/// What the exit alone tells.
pub(super) fn by_exit(seen: &Seen<'_>) -> Option<Case> {
    match seen.end.exit {
        NOT_FOUND => case("a command was not found (exit code 127)", true),
        NOT_EXECUTABLE => case("a command may not be executed (exit code 126)", true),
        // A shell tells its child's signal as 128 and the signal.
        Exit::Signal(SIGNAL_KILL) | Exit::Code(137) => case(
            "it was killed (signal 9), not by soloist; when memory is short, the kernel does that",
            false,
        ),
        Exit::Code(_) | Exit::Signal(_) => None,
    }
}

/// A script may go on after a command that is not there; it is final if that is what the exit says.
fn missing_command(seen: &Seen<'_>, line: &str) -> Option<Case> {
    let is_final = seen.end.exit == NOT_FOUND;
    if let Some(library) = between(line, "error while loading shared libraries: ", ":") {
        return case(format!("the library {} is missing", clip(library)), true);
    }
    if let Some(name) = unknown_to_shell(line, is_final) {
        return case(format!("the command `{}` was not found", clip(name)), is_final);
    }
    // Node's child_process.
    let name = between(line, "spawn ", " ENOENT").filter(|_| line.contains("Error: "))?;
    case(format!("the command `{}` was not found", clip(name)), true)
}

/// `sh: 1: x: not found`, `bash: line 1: x: command not found`, `zsh:1: command not found: x`,
/// `env: 'x': No such file or directory`.
fn unknown_to_shell(line: &str, is_not_found: bool) -> Option<&str> {
    if let Some((_, name)) = line.split_once(": command not found: ") {
        return Some(name);
    }
    let is_env = line.starts_with("env: ") || line.contains("/env: ");
    let said = line
        .strip_suffix(": command not found")
        .or_else(|| line.strip_suffix(": not found"))
        .or_else(|| line.strip_suffix(": No such file or directory").filter(|_| is_env || is_not_found))?;
    let (_, name) = said.rsplit_once(": ")?;
    Some(name.trim_matches(['\'', '‘', '’', '"']))
}

fn not_executable(seen: &Seen<'_>, line: &str) -> Option<Case> {
    if seen.end.exit != NOT_EXECUTABLE {
        return None;
    }
    let (said, reason) = line.rsplit_once(": ")?;
    let reasons = ["permission denied", "exec format error", "is a directory", "required file not found"];
    if !reasons.contains(&reason.to_ascii_lowercase().as_str()) {
        return None;
    }
    let name = said.trim_end_matches(": cannot execute").rsplit(": ").next().unwrap_or(said);
    case(format!("`{}` cannot be executed: {}", clip(name), reason.to_ascii_lowercase()), true)
}

/// Before an address, which Python quotes like a path.
const TO_BIND: &str = "to bind on ";

fn forbidden(seen: &Seen<'_>, line: &str) -> Option<Case> {
    let lower = line.to_ascii_lowercase();
    if !lower.contains("permission denied") {
        return None;
    }
    let is_error = line.starts_with("PermissionError: ") || line.contains("Error: EACCES: ");
    let is_path = is_error && !lower.contains(TO_BIND);
    if is_path && let Some(path) = between(line, "'", "'") {
        return case(format!("it may not use {}: permission denied", clip(path)), true);
    }
    // asyncio, Node, Go, nginx say what was refused; a socket's own error in Python stands below the call.
    let says_so = [TO_BIND, "listen eacces", "bind: ", "bind() to "].iter().any(|sign| lower.contains(sign));
    let is_bound = || seen.lines.iter().any(|line| line.contains(".bind(") || line.contains("server_bind"));
    if says_so || is_error && is_bound() {
        return may_not_listen(port::named_in(line), seen);
    }
    if is_error { case(clip(line), true) } else { None }
}

fn may_not_listen(named: Option<u16>, seen: &Seen<'_>) -> Option<Case> {
    let own = seen.end.ports.iter().find(|port| **port < 1024).copied();
    let port = named.or(own).map_or("that port".to_owned(), |port| format!("port {port}"));
    case(
        format!("it may not listen on {port}: permission denied; ports from 1024 on are for everybody"),
        true,
    )
}

fn no_memory(line: &str) -> Option<Case> {
    let signs = [
        "JavaScript heap out of memory",
        "java.lang.OutOfMemoryError",
        "fatal error: runtime: out of memory",
        "Cannot allocate memory",
    ];
    let is_said = signs.iter().any(|sign| line.contains(sign))
        || line.starts_with("MemoryError")
        || line.starts_with("memory allocation of ");
    if is_said { case(format!("it ran out of memory: {}", clip(line)), false) } else { None }
}
