//! Speaks. What the `soloist` binary does: reads the command line, has one verb do its work, and turns its end into an
//! exit code. The same binary is the daemon and the zygote, when executed as such.

mod arguments;
mod feed;
mod interrupts;
mod printer;
mod project;
mod text;
mod verbs;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use soloist_daemon::links::ZYGOTE_ARGUMENT;
use soloist_daemon::serve::{DAEMON_ARGUMENT, daemon};

use crate::arguments::Arguments;
use crate::printer::Printer;

/// All that `soloist` does, as the command line of this process says.
pub fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).take(4).collect();
    match (words.first().and_then(|w| w.to_str()), words.get(1)) {
        // Before anything else: a zygote must stay small and single-threaded.
        (Some(ZYGOTE_ARGUMENT), Some(limit)) => exit(zygote(&limit.to_string_lossy())),
        (Some(DAEMON_ARGUMENT), Some(root)) => exit(daemon_at(root, &words[2..])),
        _ => {
            let printer = Printer::new();
            exit(verbs::perform(Arguments::parse(), &printer).unwrap_or_else(|problem| {
                printer.problem(&problem);
                problem.code.exit_code()
            }))
        }
    }
}

fn zygote(descriptor_limit: &str) -> i32 {
    soloist_daemon::links::be_zygote(descriptor_limit).map_or(1, |()| 0)
}

/// Whoever started the daemon has been told what went wrong.
fn daemon_at(root: &OsStr, words: &[OsString]) -> i32 {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    daemon(Path::new(root), &words).map_or_else(|problem| problem.code.exit_code(), |()| 0)
}

/// Exit codes are 0 to 255; anything else is an error.
fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
