//! Tests that need a world of their own: the same test binary runs the same test again inside fresh namespaces.

use std::process::Command;

use rustix::process::geteuid;

use crate::{binaries, program, skip_loudly};

/// Set inside; its value is no matter.
const INSIDE: &str = "E2E_INSIDE_A_NAMESPACE";

/// Runs the test of this name again under `unshare FLAGS… sh -c SCRIPT`, and there its body. The script gets the command
/// of the test as `"$0" "$@"`. Without root or unshare(1) the test is skipped, loudly.
pub fn in_namespace(test: &str, flags: &[&str], script: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let Some(unshare) = program("unshare").filter(|_| geteuid().is_root()) else {
        return skip_loudly("namespaces need root and unshare(1)");
    };
    // Built out here, so that it is not built in there.
    binaries();
    let output = Command::new(unshare)
        .args(flags)
        .args(["/bin/sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args([&format!("::{test}"), "--nocapture", "--test-threads", "1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).join("\n");
    assert!(output.status.success(), "in the namespace: {}\n{said}", output.status);
    assert!(said.contains("1 passed"), "the test did not run in the namespace:\n{said}");
}
