//! What the kernel says of process trees and listeners: who descends from a process, who holds a listening socket.
//! It asks `/proc` itself, so that soloist's own answer can be checked against it.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use crate::identity::Identity;

/// All that descend from a process, zombies left out, parents before their children.
pub fn descendants(of: Identity) -> Vec<Identity> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in pids() {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut rounds = vec![of.pid];
    while let Some(above) = rounds.pop() {
        let mut below = children.remove(&above).unwrap_or_default();
        below.sort_unstable();
        rounds.extend(below.iter().rev());
        found.extend(below.into_iter().filter_map(Identity::of).filter(Identity::is_alive));
    }
    found
}

/// The listening sockets on a port, each with all the processes that hold it; of both families.
pub fn listeners(port: u16) -> Vec<BTreeSet<u32>> {
    let mut holders: HashMap<String, BTreeSet<u32>> = HashMap::new();
    for inode in listening(port) {
        holders.insert(format!("socket:[{inode}]"), BTreeSet::new());
    }
    if holders.is_empty() {
        return Vec::new();
    }
    for pid in pids() {
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for link in descriptors.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok()) {
            if let Some(pids) = link.to_str().and_then(|link| holders.get_mut(link)) {
                pids.insert(pid);
            }
        }
    }
    holders.into_values().collect()
}

/// Whether a process executes this file.
pub fn executes(process: Identity, file: &Path) -> bool {
    std::fs::read_link(format!("/proc/{}/exe", process.pid)).is_ok_and(|exe| exe == file)
}

/// The inodes of the sockets that listen on the port.
fn listening(port: u16) -> Vec<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|t| std::fs::read_to_string(t).unwrap_or_default());
    let local = format!(":{port:04X}");
    let mut inodes = Vec::new();
    for line in tables.iter().flat_map(|table| table.lines()) {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // 0A: it listens (proc_net_tcp.rst of the kernel).
        if let [_, address, _, "0A", _, _, _, _, _, inode, ..] = fields[..]
            && address.ends_with(&local)
        {
            inodes.push(inode.to_owned());
        }
    }
    inodes
}

fn pids() -> Vec<u32> {
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&stat);
    text[text.rfind(')')? + 1..].split_ascii_whitespace().nth(1)?.parse().ok()
}
