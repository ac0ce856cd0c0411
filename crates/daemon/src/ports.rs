//! Who is on a port: looked up in the kernel, judged by `ports/classes.rs`, told by `ports/words.rs`. The end of those
//! who may be ended is `ports/takeover.rs`.

pub mod published;

use std::collections::{BTreeMap, HashSet};
use std::io;

use soloist_api::status::{HolderStatus, ServiceStatus};
use soloist_api::watch::{Port, Ports};
use soloist_core::event::Listening;
use soloist_os::layout::{Layout, machine_state};
use soloist_os::ports::{Listener, Owner, Socket};
use soloist_os::record::{Record, all};

mod classes;
mod respawn;
pub mod takeover;
mod words;

pub use classes::Class;
pub use words::{describe, told};

/// A listener, what it is to us, and where it comes from.
#[derive(Clone, Debug)]
pub struct Held {
    /// The listening socket and all processes that hold it.
    pub listener: Listener,
    /// What the owners are to us.
    pub class: Class,
    /// The parent of the eldest owner, that one's parent, and so on; only of those that soloist did not start.
    pub parents: Vec<Owner>,
    /// A stranger that belongs to this project by its folder, its virtual environment or its command.
    pub is_outside: bool,
}

/// Everybody who listens on a port.
pub fn who(layout: &Layout, port: u16) -> io::Result<Vec<Held>> {
    Ok(judged(layout, soloist_os::listeners(port)?))
}

/// The same, for a person who waits: processes of this project are looked at first, and of a socket that several
/// unrelated processes share not all may be named (see [`soloist_os::first_listeners`]).
pub fn who_quickly(layout: &Layout, port: u16) -> io::Result<Vec<Held>> {
    let near: Vec<u32> = if soloist_os::sockets(port)?.is_empty() {
        Vec::new()
    } else {
        known_records(layout).iter().flat_map(|record| soloist_os::descendants(record.guard.pid)).collect()
    };
    Ok(judged(layout, soloist_os::first_listeners(port, &near)?))
}

fn judged(layout: &Layout, listeners: Vec<Listener>) -> Vec<Held> {
    let records = if listeners.is_empty() { Vec::new() } else { known_records(layout) };
    listeners.into_iter().map(|listener| classes::held(layout, listener, &records)).collect()
}

/// Ports that services declare, and ports that they listen on, with everybody who does.
pub fn overview(layout: &Layout, services: &[ServiceStatus]) -> io::Result<Ports> {
    let mut found: BTreeMap<u16, Port> = BTreeMap::new();
    for service in services {
        for port in &service.ports {
            found.entry(*port).or_default().declared.push(service.name.clone());
        }
    }
    for held in judged(layout, soloist_os::all_listeners()?) {
        let is_own = matches!(held.class, Class::Ours { .. } | Class::Leftover { .. });
        if is_own || found.contains_key(&held.listener.port) {
            found.entry(held.listener.port).or_default().listeners.push(told(&held));
        }
    }
    let ports = found.into_iter().map(|(port, found)| Port { port, ..found }).collect();
    Ok(Ports { ports, services: published::served(services) })
}

/// Who is on one of these ports without being of this project, for clients: the first there is, and on which.
pub fn stranger(layout: &Layout, ports: &[u16]) -> Option<(u16, HolderStatus)> {
    let found = ports.iter().flat_map(|port| who(layout, *port).unwrap_or_default());
    let held = { found }.find(|held| !matches!(held.class, Class::Ours { .. }))?;
    Some((held.listener.port, words::holders_of(&held).into_iter().next()?))
}

/// Records of this project and of the machine's shared claims.
fn known_records(layout: &Layout) -> Vec<Record> {
    let bases = [Some(layout.state()), machine_state().ok()];
    bases.into_iter().flatten().flat_map(|base| all(&base)).collect()
}

/// Everybody who listens on a port, without the port; `None` if nobody does, or none can be looked up.
pub fn holders(layout: &Layout, port: u16) -> Option<String> {
    let held = who(layout, port).ok()?;
    let mut words: Vec<String> = held.iter().map(words::holder).collect();
    // One that listens on IPv4 and on IPv6 is named once.
    words.dedup();
    (!words.is_empty()).then(|| words.join("; "))
}

/// Everybody on these ports, in words, but for these sockets. For an instance that has no tree: whoever it is, is a
/// stranger.
pub fn strangers(layout: &Layout, ports: &[u16], but: &[u64]) -> Vec<String> {
    let mut found = Vec::new();
    for port in ports {
        match who(layout, *port) {
            Ok(held) => {
                found.extend(held.iter().filter(|held| !but.contains(&held.listener.inode)).map(describe));
            }
            Err(e) => found.push(format!("port {port} cannot be looked up: {e}")),
        }
    }
    found
}

/// A quick look whether anybody listens on any of these ports; costs no scan of processes.
pub fn are_free(ports: &[u16]) -> bool {
    are_free_but(ports, &[])
}

/// As `are_free`, but for these sockets, named by their inodes.
pub fn are_free_but(ports: &[u16], but: &[u64]) -> bool {
    let is_free = |sockets: Vec<Socket>| sockets.iter().all(|socket| but.contains(&socket.inode));
    ports.iter().all(|port| soloist_os::sockets(*port).is_ok_and(is_free))
}

/// Whether the tree under a guard, and nobody else, listens on all of the ports: `None` if somebody else seems to, and
/// only the slow look can tell.
pub fn quick_check(ports: &[u16], guard: u32) -> Option<Listening> {
    let mut inodes = Vec::new();
    for port in ports {
        let sockets = soloist_os::sockets(*port).unwrap_or_default();
        if sockets.is_empty() {
            return Some(Listening::NotYet);
        }
        inodes.extend(sockets.into_iter().map(|socket| socket.inode));
    }
    let tree = soloist_os::descendants(guard);
    let owned = soloist_os::owners_among(&inodes, &tree).ok()?;
    inodes.iter().all(|inode| owned.contains_key(inode)).then_some(Listening::Ours)
}

/// The slow look: names the strangers. A listener that any process of the tree holds is ours; one of these sockets, which
/// are listened on for it, is no stranger's, but a tree without it has ended or not begun.
pub fn slow_check(layout: &Layout, ports: &[u16], guard: u32, own: &[u64]) -> Listening {
    let (mut strangers, mut is_all_there) = (Vec::new(), true);
    for port in ports {
        let Ok(held) = who(layout, *port) else { return Listening::NotYet };
        if held.is_empty() {
            return Listening::NotYet;
        }
        // Looked at after the listeners: a worker that was just forked is in the tree by now.
        let tree: HashSet<u32> = soloist_os::descendants(guard).into_iter().collect();
        let foreign =
            held.iter().filter(|h| !h.listener.owners.iter().any(|owner| tree.contains(&owner.pid)));
        let (awaited, foreign): (Vec<_>, Vec<_>) = foreign.partition(|h| own.contains(&h.listener.inode));
        is_all_there &= awaited.is_empty();
        strangers.extend(foreign.into_iter().map(describe));
    }
    match (strangers.is_empty(), is_all_there) {
        (true, true) => Listening::Ours,
        (true, false) => Listening::NotYet,
        (false, _) => Listening::Strangers(strangers),
    }
}

/// A process, its parent, that one's parent, and so on.
fn ancestors(of: u32) -> HashSet<u32> {
    let mut found = HashSet::new();
    let mut at = of;
    while found.insert(at) {
        match soloist_os::parent_of(at) {
            Some(parent) => at = parent,
            None => break,
        }
    }
    found
}
