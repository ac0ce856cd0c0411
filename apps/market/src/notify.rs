//! What this program says of itself to its supervisor, by the socket in `NOTIFY_SOCKET` (sd_notify(3), docs/workers.md).
//! Without one, or where nobody listens any more, it says nothing: no work ever fails or waits for it.

use std::fmt::Write;
use std::time::Duration;

/// As much of a text as is kept, in bytes.
const MAX_TEXT: usize = 1024;
/// A listener that has not made room by then hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// It serves.
pub fn ready() {
    tell("READY=1");
}

/// One line for people.
pub fn status(text: &str) {
    tell(&format!("STATUS={}", line(text)));
}

/// What it does, in one word, and how far it is: done and all.
pub fn state(word: &str, progress: Option<(u64, u64)>) {
    let mut words = format!("X_SOLOIST_STATE={}", line(word));
    if let Some((done, all)) = progress {
        // Writing into a string cannot fail.
        let _ = write!(words, "\nX_SOLOIST_PROGRESS={done}/{all}");
    }
    tell(&words);
}

/// How the tick of this id went.
pub fn answer(run: &str, is_ok: bool, summary: &str) {
    let result = if is_ok { "ok" } else { "error" };
    let (run, summary) = (line(run), line(summary));
    tell(&format!("X_SOLOIST_RUN={run}\nX_SOLOIST_RESULT={result}\nX_SOLOIST_SUMMARY={summary}"));
}

/// Words are told apart by their lines, so a text is one.
fn line(text: &str) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.truncate(line.floor_char_boundary(MAX_TEXT));
    line
}

fn tell(words: &str) {
    if let Some(address) = std::env::var_os("NOTIFY_SOCKET") {
        let _ = send(&address, words);
    }
}

/// A leading `@` stands for a name in no folder (unix(7)); the crate `sd-notify` 0.5 takes it for a path.
#[cfg(target_os = "linux")]
fn send(address: &std::ffi::OsStr, words: &str) -> std::io::Result<usize> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let address = match address.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.send_to_addr(words.as_bytes(), &address)
}

/// Elsewhere no supervisor listens yet.
#[cfg(not(target_os = "linux"))]
fn send(_: &std::ffi::OsStr, _: &str) -> std::io::Result<usize> {
    let _ = PATIENCE;
    Ok(0)
}
