//! Tests that need what a machine may not have say so and are skipped loudly; in CI nothing can be skipped.

use std::io::Write;
use std::path::PathBuf;

/// Says on stderr that, and why, a test is skipped; the caller returns. With `CI` set it panics instead.
#[track_caller]
pub fn skip_loudly(reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "nothing is skipped in CI: {reason}");
    // Written directly: the test harness would swallow a print of a test that passes.
    let _ = writeln!(std::io::stderr().lock(), "SKIPPED: {reason}");
}

/// The first executable file of this name on the PATH.
pub fn program(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|file| {
        std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    })
}
