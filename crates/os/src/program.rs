//! What to start, and why it was not started: the same words on every system. How it is started is the duty of
//! `linux/spawn.rs` and its siblings.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What to start and how. Travels from daemon to guard as JSON in a memory file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Program and arguments; a program without a slash is looked up in PATH of `env`.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// Its working folder.
    pub dir: PathBuf,
}

/// Why nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnError {
    /// The step that failed.
    pub step: Step,
    /// errno(3).
    pub errno: i32,
    /// On what.
    pub object: String,
}

/// The steps that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// Making the process.
    Fork,
    /// Connecting its descriptors.
    Descriptors,
    /// Writing its PID file.
    #[serde(rename = "pid-file")]
    PidFile,
    /// Setting what it may use (setrlimit(2)).
    Rlimit,
    /// Setting its niceness.
    Nice,
    /// Setting its umask.
    Umask,
    /// Taking its further groups.
    Groups,
    /// Taking its group.
    Group,
    /// Becoming its user.
    User,
    /// Entering its folder.
    Folder,
    /// Executing the program.
    Exec,
}

impl Step {
    /// All of them, in the order in which they are taken.
    pub const ALL: [Step; 11] = [
        Step::Fork,
        Step::Descriptors,
        Step::PidFile,
        Step::Rlimit,
        Step::Nice,
        Step::Umask,
        Step::Groups,
        Step::Group,
        Step::User,
        Step::Folder,
        Step::Exec,
    ];
}

impl SpawnError {
    /// 127 if the program is not there, else 126: what a shell says (POSIX XCU 2.8.2). They never change by retrying.
    pub fn shell_code(&self) -> i32 {
        if self.step == Step::Exec && self.errno == libc::ENOENT { 127 } else { 126 }
    }
}

impl std::fmt::Display for SpawnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cause = io::Error::from_raw_os_error(self.errno);
        match (self.step, self.errno) {
            (Step::Exec, libc::ENOENT) if Path::new(&self.object).exists() => {
                write!(f, "the interpreter named in the first line of {} does not exist", self.object)
            }
            (Step::Exec, libc::ENOENT) => write!(f, "command not found: {}", self.object),
            (Step::Exec, libc::EACCES) => {
                write!(f, "not executable: {} (chmod +x it, or name its interpreter)", self.object)
            }
            (Step::Exec, libc::ENOEXEC) => {
                write!(f, "not a program: {} (a script needs a first line such as #!/bin/sh)", self.object)
            }
            (Step::Exec, _) => write!(f, "cannot execute {}: {cause}", self.object),
            (Step::PidFile, _) => write!(f, "cannot write the PID file {}: {cause}", self.object),
            (Step::Rlimit, libc::ENOENT) => write!(
                f,
                "there is no limit `{}`; getrlimit(2) knows as, core, cpu, data, fsize, locks, memlock, msgqueue, nice, \
                 nofile, nproc, rss, rtprio, rttime, sigpending, stack",
                self.object
            ),
            (Step::Rlimit, libc::EINVAL) => {
                write!(f, "cannot set the limit {}: it is above its own upper limit", self.object)
            }
            (Step::Rlimit, _) => write!(f, "cannot set the limit {}: {cause}", self.object),
            (Step::Nice, libc::EINVAL) => {
                write!(f, "cannot set the niceness {}: it goes from -20 to 19", self.object)
            }
            (Step::Nice, _) => {
                write!(f, "cannot set the niceness {}: {cause}; below our own only root may", self.object)
            }
            (Step::Umask, _) => {
                write!(f, "cannot set the umask {}: it goes from 000 to 777", self.object)
            }
            (Step::Groups, libc::EPERM) => {
                write!(f, "cannot take the groups [{}]: only root may", self.object)
            }
            (Step::Groups, _) => write!(f, "cannot take the groups [{}]: {cause}", self.object),
            (Step::Group, libc::EPERM) => {
                write!(f, "cannot take the group {}: only root may", self.object)
            }
            (Step::Group, _) => write!(f, "cannot take the group {}: {cause}", self.object),
            (Step::User, libc::EPERM) => write!(f, "cannot run as user {}: only root may", self.object),
            (Step::User, _) => write!(f, "cannot run as user {}: {cause}", self.object),
            (Step::Folder, _) => write!(f, "cannot enter the folder {}: {cause}", self.object),
            // No fork(2) answers so: a platform that is not built yet does, and says what it lacks.
            (Step::Fork, libc::ENOTSUP) => f.write_str(&self.object),
            (Step::Fork, _) => write!(f, "cannot make a process: {cause}"),
            (Step::Descriptors, _) => write!(f, "cannot connect its input and output: {cause}"),
        }
    }
}

impl std::error::Error for SpawnError {}
