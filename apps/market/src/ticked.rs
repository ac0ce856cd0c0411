//! The processor as a worker that is ticked (docs/workers.md): one line of JSON on standard input is one cycle, its answer
//! one message to the supervisor. It ends with its input, or by a signal: a cycle is one transaction.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::Processor;
use crate::{notify, say};

/// A turn that is due.
#[derive(Deserialize)]
struct Tick {
    run: String,
}

/// Runs a cycle at each tick, and says what came of those that are not like the one before.
///
/// # Errors
/// Standard input cannot be read.
pub fn run(mut processor: Processor) -> Result<()> {
    notify::ready();
    let mut said = String::new();
    for line in std::io::stdin().lines() {
        let line = line.context("cannot read the next tick from standard input")?;
        let Ok(tick) = serde_json::from_str::<Tick>(&line) else {
            say::error(format_args!(
                "a line of standard input is no tick such as {{\"run\":\"1\"}}: {line:?}"
            ));
            continue;
        };
        match processor.turn(Some(&tick.run)) {
            Ok(outcome) => {
                if outcome.has_changed || !said.is_empty() {
                    notify::state("current", None);
                    notify::status(&outcome.line);
                    say::line(&outcome.line);
                    said.clear();
                }
                notify::answer(&tick.run, true, &outcome.line);
            }
            Err(error) => {
                let words = format!("{error:#}");
                if words != said {
                    notify::state("refused", None);
                    notify::status(&words);
                    say::error(&words);
                    said.clone_from(&words);
                }
                notify::answer(&tick.run, false, &words);
            }
        }
    }
    Ok(())
}
