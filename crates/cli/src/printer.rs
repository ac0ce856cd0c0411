//! The one place that writes to the terminal. Results go to standard output, everything said about them to standard
//! error; colour only where somebody looks and NO_COLOR is not set.

use std::io::{IsTerminal, Write};

use serde::Serialize;
use soloist_api::error::Problem;

/// Writes to the terminal. A closed pipe ends nothing: there is just nobody left to tell.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    is_coloured: bool,
}

/// How a word is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// On its way, or waiting.
    Busy,
    /// Needs a look.
    Bad,
    /// Of less weight.
    Faint,
}

impl Printer {
    /// For this process's terminal.
    pub fn new() -> Printer {
        let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Printer { is_coloured: std::io::stdout().is_terminal() && !is_refused }
    }

    /// A line of the result.
    pub fn line(&self, text: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// Bytes of the result, as they are.
    pub fn bytes(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// The result as JSON.
    pub fn json<T: Serialize>(&self, what: &T) {
        let text = serde_json::to_string_pretty(what).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"));
        self.line(&text);
    }

    /// The result as JSON, in one line of many.
    pub fn json_line<T: Serialize>(&self, what: &T) {
        self.line(&serde_json::to_string(what).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}")));
    }

    /// A remark about the result.
    pub fn remark(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// What went wrong, and what to do now. A rendered one (of a faulty file) says "error" itself.
    pub fn problem(&self, problem: &Problem) {
        let text = problem.to_string();
        if text.starts_with("error") { self.remark(&text) } else { self.remark(&format!("error: {text}")) }
    }

    /// A word in its tone.
    pub fn tone(&self, word: &str, tone: Tone) -> String {
        if !self.is_coloured {
            return word.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Busy => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
        };
        format!("\x1b[{code}m{word}\x1b[0m")
    }

    /// The tone of a state.
    pub fn state(&self, state: &str, width: usize) -> String {
        let tone = match state {
            "ready" | "running" | "scheduled" | "completed" => Tone::Good,
            "failed" | "conflict" | "unhealthy" => Tone::Bad,
            "stopped" => Tone::Faint,
            _ => Tone::Busy,
        };
        self.tone(&format!("{state:<width$}"), tone)
    }
}
