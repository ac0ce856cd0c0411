//! The one place that writes to the terminal. Results go to standard output, everything said about them to standard
//! error; colour only where somebody looks and NO_COLOR is not set.

use std::io::{IsTerminal, Stdout, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use soloist_api::error::Problem;

use crate::text::cut;

/// Tables fit into so many columns, and text is wrapped to them.
pub const WIDTH: usize = 80;

/// Colours of names (ECMA-48 SGR): cyan, green, magenta, blue, yellow, and the same bright.
const NAME_COLOURS: [u8; 10] = [36, 32, 35, 34, 33, 96, 92, 95, 94, 93];

/// Writes to the terminal. A closed pipe ends nothing: there is just nobody left to tell.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    is_terminal: bool,
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
    /// For this process's terminal. Continuous integration (`CI`) may lend one, but nobody looks at it.
    pub fn new() -> Printer {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_terminal = output().is_terminal() && !is_set("CI");
        Printer { is_terminal, is_coloured: is_terminal && !is_set("NO_COLOR") }
    }

    /// Without colours.
    #[must_use]
    pub fn without_colours(self) -> Printer {
        Printer { is_coloured: false, ..self }
    }

    /// Whether somebody looks, so that what was written can be written over.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// The columns and rows of the terminal; none where there is no terminal, or one that does not say.
    pub fn size(&self) -> Option<(usize, usize)> {
        let size = tcgetwinsize(output()).ok().filter(|_| self.is_terminal)?;
        (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
    }

    /// How wide text is wrapped: the terminal, or what every terminal has, but no wider than is read with ease.
    pub fn columns(&self) -> usize {
        self.size().map_or(WIDTH, |(columns, _)| columns).min(WIDTH)
    }

    /// A line as far as it fits the terminal; whole where there is none.
    pub fn cut(&self, line: &str) -> String {
        self.size().map_or_else(|| line.to_owned(), |(columns, _)| cut(line, columns))
    }

    /// The whole terminal, for whoever draws on it.
    #[cfg(feature = "tui")]
    pub fn screen(&self) -> Stdout {
        output()
    }

    /// A line of the result.
    pub fn line(&self, text: &str) {
        let _ = writeln!(output().lock(), "{text}");
    }

    /// Lines in the place of so many that were written before. They are not wrapped (DECAWM, ECMA-48 private mode 7): each
    /// stays one row, whatever it is made of.
    pub fn lines_again(&self, before: usize, lines: &[String]) -> std::io::Result<()> {
        let up = if before == 0 { String::new() } else { format!("\x1b[{before}A") };
        let rows: String = lines.iter().map(|line| format!("\r\x1b[K{line}\n")).collect();
        self.bytes(format!("\x1b[?7l{up}{rows}\x1b[J\x1b[?7h").as_bytes())
    }

    /// Bytes of the result, as they are.
    pub fn bytes(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut out = output().lock();
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

    /// Asks somebody who sits there; `None` if nobody does. Anything but a yes is a no.
    pub fn asks(&self, question: &str) -> Option<bool> {
        if !self.is_terminal || !std::io::stdin().is_terminal() {
            return None;
        }
        self.remark(&format!("{question} [y/N]"));
        let mut answer = String::new();
        let _ = std::io::stdin().read_line(&mut answer);
        Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
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

    /// A name in a colour that it always has.
    pub fn name(&self, name: &str, width: usize) -> String {
        let sum = name.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        match self.is_coloured {
            true => format!("\x1b[{}m{name:<width$}\x1b[0m", NAME_COLOURS[sum as usize % NAME_COLOURS.len()]),
            false => format!("{name:<width$}"),
        }
    }

    /// Waits so long, but not if nobody reads the result any more: then it is true.
    pub fn is_left(&self, within: Duration) -> bool {
        let out = output();
        let mut reader = [PollFd::new(&out, PollFlags::empty())];
        let within = Timespec::try_from(within).ok();
        poll(&mut reader, within.as_ref()).is_ok_and(|told| told > 0)
    }

    /// A state in its tone.
    pub fn state(&self, state: &str, width: usize) -> String {
        self.tone(&format!("{state:<width$}"), Tone::of(state))
    }
}

impl Tone {
    /// The tone of a state.
    pub fn of(state: &str) -> Tone {
        match state {
            "ready" | "running" | "scheduled" | "completed" => Tone::Good,
            "failed" | "conflict" | "unhealthy" => Tone::Bad,
            "stopped" => Tone::Faint,
            _ => Tone::Busy,
        }
    }
}

/// Everything but remarks goes there.
fn output() -> Stdout {
    std::io::stdout()
}
