//! Fail points: named moments at which a test has a process of ours stand still, to kill it or another one just there.
//! They exist with the feature `fail-points` alone, which no release has; without it they are no code at all.

/// A moment, by its name. `SOLOIST_FAIL_POINTS` names a folder: the process that comes by first while a file of the
/// moment's name lies there takes it away, leaves `NAME@PID` instead, and stops itself with SIGSTOP.
#[cfg(feature = "fail-points")]
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {
        $crate::failpoint::pass($name)
    };
}

/// Nothing: this build has no fail points.
#[cfg(not(feature = "fail-points"))]
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {};
}

/// Stands still if a test has asked for it at this moment.
#[cfg(feature = "fail-points")]
pub fn pass(name: &str) {
    let Some(folder) = std::env::var_os("SOLOIST_FAIL_POINTS").map(std::path::PathBuf::from) else { return };
    let me = rustix::process::getpid();
    // To take the file away is to be the only one.
    if std::fs::rename(folder.join(name), folder.join(format!("{name}@{me}"))).is_ok() {
        let _ = rustix::process::kill_process(me, rustix::process::Signal::STOP);
    }
}
