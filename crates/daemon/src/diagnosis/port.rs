//! A port that was taken: which, and by whom.

use regex_lite::Regex;
use soloist_core::event::Diagnosis;

use super::{Case, Seen};

/// How far from the line that says so a port may be named: Node prints the fields of an error below its stack.
const NEAR: usize = 15;

pub(super) fn rule(seen: &Seen<'_>, at: usize) -> Option<Case> {
    if !says_taken(&seen.lines[at]) {
        return None;
    }
    let near = &seen.lines[at.saturating_sub(NEAR)..seen.lines.len().min(at + NEAR)];
    let near = near.iter().filter(|line| says_taken(line) || line.trim_start().starts_with("port: "));
    let named = std::iter::once(&seen.lines[at]).chain(near);
    Some(Case::PortTaken(named.into_iter().find_map(|line| named_in(line))))
}

fn says_taken(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    // The C library, Go, asyncio; Node; Rust; gunicorn; Django; Flask, Vite, Spring, Next.
    [
        "address already in use",
        "eaddrinuse",
        "addrinuse",
        "connection in use: ",
        "that port is already in use",
    ]
    .iter()
    .any(|sign| line.contains(sign))
        || line.contains("port ") && [" in use", " already used"].iter().any(|sign| line.contains(sign))
}

/// `port 8001`, `('127.0.0.1', 8001)`, `:::8001`, `127.0.0.1:8001`; a time of day is none.
pub(super) fn named_in(line: &str) -> Option<u16> {
    const SHAPES: [&str; 3] = [
        r"(?i)\bport[ :=]+(\d{1,5})\b",
        r"', (\d{1,5})\b",
        r#"(?:^|[\s*"':\]]|localhost|\d\.\d{1,3}\.\d{1,3}\.\d{1,3}):(\d{1,5})\b"#,
    ];
    SHAPES.iter().find_map(|shape| {
        let shape = Regex::new(shape).ok()?;
        let found = shape.captures_iter(line).filter_map(|found| found.get(1)?.as_str().parse::<u16>().ok());
        found.filter(|port| *port != 0).last()
    })
}

/// Who has it may let it go: another try can help.
pub(super) fn taken(named: Option<u16>, own: &[u16], who: impl Fn(u16) -> Option<String>) -> Diagnosis {
    let candidates: Vec<u16> = named.map_or_else(|| own.to_vec(), |port| vec![port]);
    let holder = candidates.iter().find_map(|port| who(*port).map(|by| (*port, by)));
    let words = match (holder, candidates.first()) {
        (Some((port, by)), _) => format!("port {port} is taken by {by}"),
        (None, Some(port)) => format!("port {port} was taken; nobody is on it any more"),
        (None, None) => "a port that it wants to listen on is taken".to_owned(),
    };
    Diagnosis { words, is_final: false }
}
