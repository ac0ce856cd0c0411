//! Reads `listen`: where soloist itself listens for a service, whose every run it hands the sockets to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;

use soloist_os::handover::{Address, MOST, PATH_MOST};
use toml::de::DeValue;

use super::diagnostic::{Problems, Span, quoted};
use super::draft::Draft;
use super::instances::Site;
use super::program::tidy;
use super::settings::unknown_key;
use super::tree::{Field, Value};
use super::{Socket, suggest};

pub(super) const SOCKET_KEYS: &[&str] = &["name", "at"];
const WORD: &str = "soloist";
const EXAMPLE: &str = "listen = [\"127.0.0.1:8001\", \"unix:run/api.sock\"]";

/// A socket, and where it stands.
pub(super) type Placed = (Socket, Span);

/// The word stands for the declared ports, on this machine's own address; what is listed brings its ports with it.
pub(super) fn read(
    draft: &mut Draft,
    value: &Value<'_>,
    is_port_lost: bool,
    site: Site<'_>,
    problems: &mut Problems<'_>,
) {
    let value = value.clone().example(EXAMPLE);
    let entries = match value.tree {
        DeValue::String(word) if word == WORD => {
            if draft.ports.is_empty() && !is_port_lost {
                let help = format!("declare it: `port = 9000`, or say where: `{EXAMPLE}`");
                problems.add(value.span.clone(), "`listen` is `soloist`, but there is no port", help);
            }
            let own = |port| Address::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
            let ports = draft.ports.iter();
            draft.sockets = ports.map(|(port, span)| (Socket::at(own(*port)), span.clone())).collect();
            return;
        }
        DeValue::Array(list) => value.entries(list),
        _ => vec![value.clone()],
    };
    if entries.is_empty() || entries.len() > MOST {
        let message = format!("`listen` names {} addresses", entries.len());
        problems.add(
            value.span.clone(),
            message,
            format!("name 1 to {MOST}, or write `listen = \"{WORD}\"`"),
        );
    }
    for entry in entries {
        let Some((socket, span)) = socket(&entry, site, problems) else { continue };
        if let Some((other, first)) = draft.sockets.iter().find(|(other, _)| other.at.meets(&socket.at)) {
            let message = match other.at == socket.at {
                true => format!("{} is listened on twice", quoted(&socket.at.to_string())),
                false => format!("{} and {} are on one port", other.at, socket.at),
            };
            problems
                .add(span, message, "take one of the two out")
                .label("again here")
                .other(first.clone(), "first here");
            continue;
        }
        if let Some(port) = socket.at.port()
            && !draft.ports.iter().any(|(known, _)| *known == port)
        {
            draft.ports.push((port, span.clone()));
        }
        draft.sockets.push((socket, span));
    }
}

fn socket(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<Placed> {
    if !value.tree.is_table() {
        return Some((Socket::at(address(value, site, problems)?), value.span.clone()));
    }
    let (mut at, mut name) = (None, None);
    let value = value.clone().example("listen = [{ name = \"http\", at = \"127.0.0.1:8001\" }]");
    for Field { key, key_span, value: mut entry } in value.table(problems)? {
        entry.example = value.example;
        match key {
            "at" => at = Some((address(&entry, site, problems)?, entry.span)),
            "name" => name = Some(fit_name(&entry, problems)?),
            _ => unknown_key("a socket", key, key_span, SOCKET_KEYS, problems),
        }
    }
    let Some((at, span)) = at else {
        problems.add(
            value.span.clone(),
            "a socket has no address",
            format!("write it like `{}`", value.example),
        );
        return None;
    };
    let unnamed = Socket::at(at);
    Some((Socket { name: name.unwrap_or(unnamed.name), at: unnamed.at }, span))
}

/// As for `FileDescriptorName=` in systemd.socket(5).
fn fit_name(value: &Value<'_>, problems: &mut Problems<'_>) -> Option<String> {
    let name = value.string(problems)?;
    let is_fit = (1..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    if !is_fit {
        let message = format!("{} is no name of a socket", quoted(name));
        problems.add(value.span.clone(), message, "it has 1 to 255 signs of ASCII, without spaces and `:`");
    }
    is_fit.then(|| name.to_owned())
}

fn address(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Option<Address> {
    let text = site.fill(value.word(problems)?);
    if let Some(path) = text.strip_prefix("unix:") {
        let whole = tidy(&site.root.join(path));
        let length = whole.as_os_str().as_bytes().len();
        if path.is_empty() || path.ends_with('/') || whole.is_dir() {
            let message = format!("{} names no file for a socket", quoted(&text));
            problems.add(value.span.clone(), message, "write it like `listen = \"unix:run/api.sock\"`");
            return None;
        }
        if length > PATH_MOST {
            let message = format!("the path of the socket is {length} bytes long: {}", whole.display());
            let help = format!(
                "{PATH_MOST} are the most (unix(7)); lay it in a folder with a shorter path, as in /run"
            );
            problems.add(value.span.clone(), message, help);
            return None;
        }
        return Some(Address::Unix(whole));
    }
    let found = text.parse::<SocketAddr>();
    let (message, help) = match &found {
        Ok(address) if address.port() != 0 => return found.ok().map(Address::Tcp),
        Ok(_) => {
            ("port 0 is any that is free, and nobody would know it".to_owned(), "name a port".to_owned())
        }
        Err(_) if suggest::nearest(&text, &[WORD]).is_some() => {
            (format!("{} is no address", quoted(&text)), suggest::help(&text, &[WORD]))
        }
        Err(_) => (
            format!("{} is no address with a port", quoted(&text)),
            format!("write numbers, as in `{EXAMPLE}`; every address is `0.0.0.0:8001` and `[::]:8001`"),
        ),
    };
    problems.add(value.span.clone(), message, help);
    None
}

/// Ports are told apart with all other ports; a path is one service's alone too.
pub(super) fn apart(drafts: &[Draft], problems: &mut Problems<'_>) {
    let mut seen: Vec<(&Address, &Draft, &Span)> = Vec::new();
    for draft in drafts {
        for (socket, span) in draft.sockets.iter().filter(|(socket, _)| socket.at.port().is_none()) {
            let Some((at, other, first)) = seen.iter().find(|(at, ..)| **at == socket.at) else {
                seen.push((&socket.at, draft, span));
                continue;
            };
            let message =
                format!("{at} is declared by {} and by {}", quoted(&other.name), quoted(&draft.name));
            let problem = problems.add(span.clone(), message, "only one can listen on it; give each its own");
            problem.label("again here").other((*first).clone(), "first here");
        }
    }
}
