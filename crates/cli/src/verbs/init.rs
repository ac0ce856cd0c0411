//! `soloist init`: writes a first soloist.toml from what lies in the folder, and says what it guessed. It overwrites nothing.

use std::path::Path;

use soloist_api::error::Problem;
use soloist_daemon::init::{propose, write};
use soloist_daemon::serve::project_folder;

use crate::printer::Printer;

/// In the given folder, or the current one: a project above it is another.
pub fn init(given: Option<&Path>, printer: &Printer, is_shown_only: bool) -> Result<i32, Problem> {
    let root = match given {
        Some(_) => project_folder(given)?,
        None => std::env::current_dir()?,
    };
    let proposal = propose(&root)?;
    if is_shown_only {
        printer.bytes(proposal.text.as_bytes())?;
    } else {
        let path = write(&root, &proposal.text)?;
        printer.line(&format!("wrote {}", path.display()));
        proposal.found.iter().for_each(|line| printer.line(&format!("  {line}")));
        printer.line(match proposal.found.is_empty() {
            true => "nothing was found that looks like a server or a worker: declare one there",
            false => "look at it, then `soloist up -d`; `soloist doctor` says what would bite",
        });
    }
    proposal.remarks.iter().for_each(|remark| printer.remark(&format!("note: {remark}")));
    Ok(0)
}
