//! A run in the foreground: no daemon hears what its guard would tell, so the guard decides.

use std::process::{Command, Stdio};

use soloist_os::claim::Claim;
use soloist_os::guard::Assignment;
use soloist_os::guard::body::{Outcome, foreground};
use soloist_os::record::Holder;

use super::guarded;

/// Set in the process that is to be the guard: the folder it works in.
const FOLDER: &str = "SOLOIST_TEST_FOREGROUND";
const TEST: &str = "alone::too_much_memory_ends_a_run_in_the_foreground";

#[test]
fn too_much_memory_ends_a_run_in_the_foreground() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return run_in(folder.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["claims", "guards"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    // One thread: a guard is alone in its process.
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    assert!(!guarded::is_alive(pid.trim()), "its tree is left");
}

fn run_in(folder: &std::path::Path) {
    let assignment = Assignment {
        instance: "x".into(),
        base: folder.into(),
        project: folder.into(),
        holder: Holder::Run,
        spare: vec![std::process::id()],
    };
    let claim = Claim::take(&assignment.place().claim()).unwrap().unwrap();
    let script = format!("sleep 300 & echo $! >pid; {}", super::HUNGRY);
    let mut run = guarded::run_order(folder, &script);
    run.limits.memory_max = Some(30 << 20);
    match foreground(assignment, claim, run).unwrap() {
        Outcome::OverMemory { kib, max_kib } => {
            assert!(max_kib == 30 << 10 && kib >= max_kib, "{kib} KiB of {max_kib}");
        }
        other => panic!("{other:?}"),
    }
}
