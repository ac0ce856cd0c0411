//! The sockets that soloist listens on for a service. They are bound before its first run, stay open between its runs, and
//! close with its claim: whoever connects meanwhile waits for the next run instead of being refused.

use std::io::ErrorKind;

use soloist_os::handover::Listening;

use crate::config::Socket;

/// Why a socket cannot be had, and whether trying again is known not to help.
#[derive(Debug, PartialEq, Eq)]
pub struct Unbound {
    /// What, where and why, and what now.
    pub why: String,
    /// As for a run that is not started.
    pub is_final: bool,
}

/// Listens wherever that is declared, in this order, and nowhere else. What was listened on already is kept, with all
/// that waits in it.
///
/// # Errors
/// On the first address that cannot be had; what else is declared and was held is held still.
pub fn listen(declared: &[Socket], held: &mut Vec<Listening>) -> Result<(), Unbound> {
    let place = |one: &Listening| declared.iter().position(|socket| &socket.at == one.at());
    // First, and for the guard's copies too: one of the new addresses may be on the same port.
    for gone in held.extract_if(.., |one| place(one).is_none()) {
        gone.end();
    }
    let is_held = |socket: &&Socket| held.iter().any(|one| one.at() == &socket.at);
    let missing = declared.iter().filter(|socket| !is_held(socket));
    let new = missing.map(|Socket { at, .. }| {
        Listening::bind(at).map_err(|e| {
            let (what_now, is_final) = match e.kind() {
                ErrorKind::PermissionDenied if at.port().is_some() => {
                    ("; only root may listen on it (net.ipv4.ip_unprivileged_port_start): choose a higher port", true)
                }
                ErrorKind::AddrNotAvailable => {
                    ("; no network interface of this machine has it: correct `listen`", true)
                }
                ErrorKind::AddrInUse if at.port().is_none() => ("; somebody listens there, or it is no socket", false),
                kind => ("", kind == ErrorKind::PermissionDenied),
            };
            Unbound { why: format!("soloist cannot listen on {at}: {e}{what_now}"), is_final }
        })
    });
    held.extend(new.collect::<Result<Vec<_>, _>>()?);
    held.sort_by_key(place);
    for one in held {
        let _ = one.again();
    }
    Ok(())
}
