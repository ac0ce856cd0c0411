//! `cargo xtask tidy | docs [--check] | lines | bench`: the project's own rules, the generated pages, how much there is to
//! read, and what soloist takes beside its peers. It only speaks; what it says is found in the library.

use std::io::{self, Write};
use std::process::{Command, ExitCode};

use xtask::tree::Tree;
use xtask::{docs, lines, root, rules};

const USAGE: &str = "usage: cargo xtask tidy | docs [--check] | lines | bench [ROW]... [--quick]";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["tidy"] => tidy(),
        ["docs"] => docs::write(&root()).map(|paths| (format!("written: {}", paths.join(", ")), true)),
        ["docs", "--check"] => docs::stale(&root()).map(|stale| match stale.is_empty() {
            true => ("the generated pages are fresh".to_owned(), true),
            false => (stale.join("\n"), false),
        }),
        ["bench", words @ ..] => bench(words),
        ["lines"] => Tree::read(&root()).map(|tree| (lines::table(&tree), true)),
        _ => Ok((USAGE.to_owned(), false)),
    };
    let (text, is_good) = done.unwrap_or_else(|e| (format!("xtask: {e}"), false));
    // A reader that has gone (`| head`) has seen enough.
    let _ = match is_good {
        true => writeln!(io::stdout().lock(), "{text}"),
        false => writeln!(io::stderr().lock(), "{text}"),
    };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The bench has a build of its own, without which its figures would mean nothing.
fn bench(words: &[&str]) -> io::Result<(String, bool)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--release", "-q", "-p", "bench", "--", "--install"]).args(words);
    let status = command.current_dir(root()).status()?;
    Ok((format!("the bench ended with {status}"), status.success()))
}

fn tidy() -> io::Result<(String, bool)> {
    let findings = rules::check(&Tree::read(&root())?);
    if findings.is_empty() {
        return Ok(("tidy".to_owned(), true));
    }
    let list: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Ok((format!("{}\n{} things are not tidy", list.join("\n"), findings.len()), false))
}
