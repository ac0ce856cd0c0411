//! Reads `[http]`: where the daemon answers over TCP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::diagnostic::{Problems, Span, quoted};
use super::draft::Draft;
use super::settings::unknown_key;
use super::tree::{Field, Value};

pub(super) const HTTP_SECTION_KEYS: &[&str] = &["listen"];
const EXAMPLE: &str = "listen = \"127.0.0.1:8700\"";

/// Any free port of this machine's own address.
pub(super) const STANDARD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// An address, and where it stands; `None`: not over TCP.
pub(super) type Listen = Option<(SocketAddr, Span)>;

pub(super) fn read(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Listen> {
    let mut listen = None;
    for Field { key, key_span, value } in value.table(problems)? {
        match key {
            "listen" => listen = address(&value.example(EXAMPLE), problems),
            _ => unknown_key("[http]", key, key_span, HTTP_SECTION_KEYS, problems),
        }
    }
    listen
}

fn address(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<Listen> {
    if value.tree.as_bool() == Some(false) {
        return Some(None);
    }
    let Some(text) = value.tree.as_str() else {
        value.wrong_type("an address with its port, or `false`", problems);
        return None;
    };
    match text.parse() {
        Ok(address) => Some(Some((address, value.span.clone()))),
        Err(_) => {
            let message = format!("{} is no address with a port", quoted(text));
            let help =
                format!("write numbers: `{EXAMPLE}` or `listen = \"[::1]:8700\"`; port 0 is any free one");
            problems.add(value.span.clone(), message, help);
            None
        }
    }
}

/// The daemon must not take a port that a service needs.
pub(super) fn apart(listen: &Listen, drafts: &[Draft], problems: &mut Problems<'_>) {
    let Some((address, span)) = listen else { return };
    let taken = |draft: &&Draft| draft.ports.iter().any(|(port, _)| *port == address.port());
    if let Some(draft) = drafts.iter().find(taken) {
        let message = format!("port {} is declared by {} and by [http]", address.port(), quoted(&draft.name));
        let help = "only one can listen on it; give one of the two another port";
        let problem = problems.add(span.clone(), message, help);
        problem.other(draft.name_span.clone(), "declared here");
    }
}
