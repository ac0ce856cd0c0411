//! Reads a port of a service: a number, or `{ prefer = 8001, else = "8002-8010" }`, which moves while others are on it; and
//! checks what such a range must keep apart from.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::diagnostic::{Problems, Span, quoted};
use super::draft::Draft;
use super::listen::Listen;
use super::settings::{port, unknown_key};
use super::tree::{Field, Value, integer};

pub(super) const PORT_KEYS: &[&str] = &["prefer", "else"];
const EXAMPLE: &str = "port = { prefer = 8001, else = \"8002-8010\" }";
/// As many are looked at when the port is in use.
const MOST: usize = 1000;

/// Stands for the port in the words and variables of a program that may be moved.
pub const PLACE: &str = "{port}";

/// Where a port may move, and where that stands.
pub(super) type Spares = (RangeInclusive<u16>, Span);

/// A port, the place of its number, and where it may move.
pub(super) type Asked = (u16, Span, Option<Spares>);

pub(super) fn read(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Asked> {
    if !value.tree.is_table() {
        return port(value, problems).map(|number| (number, value.span.clone(), None));
    }
    let told = problems.count();
    let (mut prefer, mut spares) = (None, None);
    for Field { key, key_span, value } in value.table(problems)? {
        match key {
            "prefer" => {
                let value = value.example("prefer = 8001");
                prefer = port(&value, problems).map(|number| (number, value.span));
            }
            "else" => spares = range(&value, problems).map(|range| (range, value.span)),
            _ => unknown_key("a port", key, key_span, PORT_KEYS, problems),
        }
    }
    let missing = match (&prefer, &spares) {
        (Some((prefer, _)), Some((range, span))) if range.contains(prefer) => {
            let message = format!("port {prefer} is preferred, and is in `else` too");
            let help = "`else` is for when others are on it: name only other ports";
            problems.add(span.clone(), message, help);
            return None;
        }
        (Some((prefer, at)), Some(spares)) => return Some((*prefer, at.clone(), Some(spares.clone()))),
        // A key that is wrong was told; the other one is not said to be missing too.
        _ if problems.count() > told => return None,
        (None, _) => "prefer",
        (Some(_), None) => "else",
    };
    let message = format!("{} has no {}", value.called, quoted(missing));
    problems.add(value.span.clone(), message, format!("write it like `{EXAMPLE}`, or as a number"));
    None
}

/// `"8002-8010"`, `"8002"` or `8002`.
fn range(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<RangeInclusive<u16>> {
    let text = match value.tree {
        DeValue::Integer(digits) => integer(digits).map_or_else(String::new, |number| number.to_string()),
        _ => value.clone().example(EXAMPLE).string(problems)?.to_owned(),
    };
    let mut refuse = |message: String, help: String| {
        problems.add(value.span.clone(), message, help);
        None
    };
    let (first, last) = text.split_once('-').unwrap_or((&text, &text));
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let (Some(first), Some(last)) = (number(first), number(last)) else {
        return refuse(
            format!("{} is no range of ports", quoted(&text)),
            format!("write it like `{EXAMPLE}`"),
        );
    };
    let ports = (u16::try_from(first), u16::try_from(last));
    let (Ok(from @ 1..), Ok(to @ 1..)) = ports else {
        let wrong = if (1..=65535).contains(&first) { last } else { first };
        return refuse(format!("`{wrong}` is not a port"), "a port is a number from 1 to 65535".to_owned());
    };
    if from > to {
        return refuse(
            format!("the range {from}-{to} is reversed"),
            format!("write `else = \"{to}-{from}\"`"),
        );
    }
    let count = (from..=to).len();
    if count > MOST {
        return refuse(format!("{count} ports are in the range {from}-{to}"), format!("{MOST} are the most"));
    }
    Some(from..=to)
}

/// A port that somebody declares would never be moved to; and a program that names its port itself cannot be moved.
pub(super) fn apart(drafts: &[Draft], listen: &Listen, problems: &mut Problems<'_>) {
    let declared: Vec<(u16, &Draft)> =
        drafts.iter().flat_map(|draft| draft.ports.iter().map(move |(port, _)| (*port, draft))).collect();
    for draft in drafts {
        for (port, (range, span)) in &draft.spares {
            let help = "end the range before it, or give one of the two another port";
            if let Some((port, other)) = declared.iter().find(|(port, _)| range.contains(port)) {
                let message =
                    format!("port {port} is declared by {} and is in this range", quoted(&other.name));
                problems.add(span.clone(), message, help).other(other.name_span.clone(), "declared here");
            }
            if let Some((_, at)) = draft.sockets.iter().find(|(socket, _)| socket.at.port() == Some(*port)) {
                let message = format!("port {port} is one that soloist listens on, which does not move");
                let help = "write it as a number, or leave `listen` out";
                problems.add(span.clone(), message, help).other(at.clone(), "listened on here");
            }
            if let Some((address, at)) = listen.as_ref().filter(|(at, _)| range.contains(&at.port())) {
                let message = format!("port {} is declared by [http] and is in this range", address.port());
                problems.add(span.clone(), message, help).other(at.clone(), "declared here");
            }
        }
        let named = draft.spares.iter().find(|(port, _)| names(&draft.program.argv, *port));
        if let Some((port, (_, span))) = named {
            let message =
                format!("the command of {} names port {port}, so it cannot be moved", quoted(&draft.name));
            let help = format!("write `{PLACE}` in its place, or have the program read $PORT");
            problems.add(span.clone(), message, help).other(draft.name_span.clone(), "declared here");
        }
    }
}

/// Whether a number stands in a command.
fn names(argv: &[String], port: u16) -> bool {
    let port = port.to_string();
    argv.iter()
        .flat_map(|word| word.split(|letter: char| !letter.is_ascii_digit()))
        .any(|number| number == port)
}
