//! What a command of soloist said and how it ended.

use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

/// A finished command.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its arguments, for messages.
    pub arguments: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
    /// What of it was time in which somebody on the machine waited for a processor.
    pub waited: Duration,
}

impl Output {
    /// The exit code; 128 and the signal if one ended it.
    pub fn code(&self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Fails the test, with all that was said, unless the exit code is this one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Output {
        assert_eq!(self.code(), code, "exit code of {self}");
        self
    }

    /// Fails the test unless stdout or stderr contains the text.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Output {
        assert!(self.all().contains(text), "`{text}` is not said by {self}");
        self
    }

    /// Fails the test if it took longer, apart from the time in which somebody waited for a processor.
    #[track_caller]
    pub fn is_within(&self, limit: Duration) -> &Output {
        let own = self.took.saturating_sub(self.waited);
        assert!(own <= limit, "{own:?} without what it waited for a processor, more than {limit:?}: {self}");
        self
    }

    /// Stdout and stderr.
    pub fn all(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Whether one of the numbers said is this one (not only a part of a longer number).
    pub fn names_number(&self, number: u64) -> bool {
        let digits = number.to_string();
        self.all().split(|c: char| !c.is_ascii_digit()).any(|word| word == digits)
    }

    /// Its stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}) from {self}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`soloist {}` ({}, {:?})\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.arguments,
            self.status,
            self.took,
            self.stdout.trim_end(),
            self.stderr.trim_end()
        )
    }
}
