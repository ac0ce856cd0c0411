//! Who is on a port, in the words of this project: ours, our leftover, another soloist's, a unit's, a stranger's. Also
//! the end of those who may be ended.

pub mod published;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use soloist_api::status::{HolderStatus, ServiceStatus};
use soloist_api::watch::{Port, PortListener, Ports};
use soloist_core::event::Listening;
use soloist_os::identity::Identity;
use soloist_os::layout::{Layout, machine_state};
use soloist_os::ports::{Listener, Owner, Socket};
use soloist_os::record::{Record, all};

use crate::convert::{command_line, moment, short};
use crate::serve::DAEMON_ARGUMENT;

/// A listener with each of its owners classified.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// The listening socket and all processes that hold it.
    #[serde(flatten)]
    pub listener: Listener,
    /// What the owners are to us.
    pub class: Class,
}

/// What a listener is to this project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "class", rename_all = "kebab-case")]
pub enum Class {
    /// An instance of this project, alive under its guard.
    Ours {
        /// Its name.
        service: String,
    },
    /// A process of an instance of this project whose guard is gone.
    Leftover {
        /// The instance's name.
        service: String,
    },
    /// An instance of another soloist project.
    OtherProject {
        /// Its name.
        service: String,
        /// That project's folder.
        project: PathBuf,
    },
    /// The daemon of a soloist project, this one or another.
    Daemon {
        /// The project's folder.
        project: PathBuf,
    },
    /// Part of a systemd unit.
    Unit {
        /// The unit's name.
        unit: String,
    },
    /// Part of a container, or what forwards a port into one.
    Container {
        /// What tells it.
        by: String,
    },
    /// A process of this user that soloist does not know.
    Stranger,
    /// A process of another user.
    OtherUser,
}

/// Everybody who listens on a port.
pub fn who(layout: &Layout, port: u16) -> io::Result<Vec<Held>> {
    let listeners = soloist_os::listeners(port)?;
    let records = known_records(layout);
    Ok(listeners
        .into_iter()
        .map(|listener| Held { class: classify(layout, &listener, &records), listener })
        .collect())
}

/// Ports that services declare, and ports that they listen on, with everybody who does.
pub fn overview(layout: &Layout, services: &[ServiceStatus]) -> io::Result<Ports> {
    let mut found: BTreeMap<u16, Port> = BTreeMap::new();
    for service in services {
        for port in &service.ports {
            found.entry(*port).or_default().declared.push(service.name.clone());
        }
    }
    let records = known_records(layout);
    for listener in soloist_os::all_listeners()? {
        let class = classify(layout, &listener, &records);
        let is_own = matches!(class, Class::Ours { .. } | Class::Leftover { .. });
        if is_own || found.contains_key(&listener.port) {
            let held = Held { class, listener };
            found.entry(held.listener.port).or_default().listeners.push(listener_to_api(&held));
        }
    }
    let ports = found.into_iter().map(|(port, found)| Port { port, ..found }).collect();
    Ok(Ports { ports, services: published::served(services) })
}

/// Who is on one of these ports without being of this project, for clients: the first there is, and on which.
pub fn stranger(layout: &Layout, ports: &[u16]) -> Option<(u16, HolderStatus)> {
    let found = ports.iter().flat_map(|port| who(layout, *port).unwrap_or_default());
    let held = { found }.find(|held| !matches!(held.class, Class::Ours { .. }))?;
    let owner = held.listener.owners.first();
    let holder = HolderStatus {
        kind: class_word(&held.class).0.to_owned(),
        pid: owner.map(|owner| owner.pid),
        guard: None,
        port: Some(held.listener.port),
        user: Some(held.listener.uid),
        since: owner.and_then(|owner| moment(owner.started_ms?)),
        command: owner.map_or_else(Vec::new, |owner| owner.command.clone()),
        project: owner
            .and_then(|owner| owner.dir.as_ref())
            .map_or_else(String::new, |dir| dir.display().to_string()),
    };
    Some((held.listener.port, holder))
}

/// The class in a word, and the instance it is about.
fn class_word(class: &Class) -> (&'static str, Option<&String>) {
    match class {
        Class::Ours { service } => ("ours", Some(service)),
        Class::Leftover { service } => ("leftover", Some(service)),
        Class::OtherProject { service, .. } => ("other-project", Some(service)),
        Class::Daemon { .. } => ("daemon", None),
        Class::Unit { .. } => ("unit", None),
        Class::Container { .. } => ("container", None),
        Class::Stranger => ("stranger", None),
        Class::OtherUser => ("other-user", None),
    }
}

fn listener_to_api(held: &Held) -> PortListener {
    let (class, service) = class_word(&held.class);
    PortListener {
        address: held.listener.address.to_string(),
        class: class.to_owned(),
        service: service.cloned(),
        pids: held.listener.owners.iter().map(|owner| owner.pid).collect(),
        text: holder(held),
    }
}

/// Records of this project and of the machine's shared claims.
fn known_records(layout: &Layout) -> Vec<Record> {
    let bases = [Some(layout.state()), machine_state().ok()];
    bases.into_iter().flatten().flat_map(|base| all(&base)).collect()
}

fn classify(layout: &Layout, listener: &Listener, records: &[Record]) -> Class {
    let my_uid = soloist_os::identity::my_uid();
    // What is listened on for an instance is held by the daemon too.
    let owners = || listener.owners.iter();
    let known = owners().find_map(|owner| known_instance(layout, owner, records));
    if let Some(class) = known.or_else(|| owners().find_map(daemon)) {
        return class;
    }
    for owner in &listener.owners {
        let cgroup = owner.cgroup.as_deref().unwrap_or_default();
        if let Some(by) = container(cgroup, &owner.command) {
            return Class::Container { by };
        }
        if let Some(unit) = unit(cgroup) {
            return Class::Unit { unit };
        }
    }
    if listener.owners.iter().all(|owner| owner.uid == my_uid)
        && listener.uid == my_uid
        && !listener.owners.is_empty()
    {
        Class::Stranger
    } else {
        Class::OtherUser
    }
}

/// By the tree it lives in, else by its cookie: the path of a claim says which instance of which project it is.
fn known_instance(layout: &Layout, owner: &Owner, records: &[Record]) -> Option<Class> {
    let above = ancestors(owner.pid);
    for record in records {
        if above.contains(&record.guard.pid) && record.guard.is_alive() {
            return Some(if record.project == layout.root {
                Class::Ours { service: record.instance.clone() }
            } else {
                Class::OtherProject { service: record.instance.clone(), project: record.project.clone() }
            });
        }
    }
    let claim = soloist_os::cookie_of(owner.pid)?;
    let service = claim.file_stem()?.to_str()?.to_owned();
    let base = claim.parent()?.parent()?;
    let record = Record::read(&claim.with_extension("json"));
    let project =
        record.as_ref().map_or_else(|| base.parent().unwrap_or(base).to_owned(), |r| r.project.clone());
    if project != layout.root {
        return Some(Class::OtherProject { service, project });
    }
    Some(Class::Leftover { service })
}

/// By the words that it was executed with.
fn daemon(owner: &Owner) -> Option<Class> {
    let is_word = owner.command.get(1).is_some_and(|word| word == DAEMON_ARGUMENT);
    let project = owner.command.get(2).filter(|_| is_word && owner.uid == soloist_os::identity::my_uid())?;
    Some(Class::Daemon { project: project.into() })
}

/// `system.slice/nginx.service`: the innermost unit that systemd would start again. A terminal's or a session's scope
/// and the user manager itself start nothing again.
fn unit(cgroup: &str) -> Option<String> {
    let part = cgroup.rsplit('/').find(|part| part.ends_with(".service"))?;
    (!part.starts_with("user@") && !part.starts_with("app-")).then(|| part.to_owned())
}

fn container(cgroup: &str, command: &[String]) -> Option<String> {
    let signs = ["docker", "containerd", "libpod", "kubepods", "lxc"];
    if let Some(part) = cgroup.split('/').find(|part| signs.iter().any(|sign| part.starts_with(sign))) {
        return Some(part.to_owned());
    }
    let program = command.first()?.rsplit('/').next()?;
    ["docker-proxy", "rootlessport", "conmon"].contains(&program).then(|| program.to_owned())
}

/// A listener in one line for people.
pub fn describe(held: &Held) -> String {
    let Listener { port, address, .. } = &held.listener;
    format!("port {port} on {address}: {}", holder(held))
}

/// Everybody who listens on a port, without the port; `None` if nobody does, or none can be looked up.
pub fn holders(layout: &Layout, port: u16) -> Option<String> {
    let held = who(layout, port).ok()?;
    let mut words: Vec<String> = held.iter().map(holder).collect();
    // One that listens on IPv4 and on IPv6 is named once.
    words.dedup();
    (!words.is_empty()).then(|| words.join("; "))
}

fn holder(held: &Held) -> String {
    let Listener { uid, .. } = &held.listener;
    let owners: Vec<String> = held.listener.owners.iter().map(describe_owner).collect();
    let owners = if owners.is_empty() {
        format!("a process of user {uid} that cannot be seen from here")
    } else {
        owners.join(", ")
    };
    let class = match &held.class {
        Class::Ours { service } => format!("service {service} of this project"),
        Class::Leftover { service } => {
            format!("left over from {service} of this project; `soloist cleanup` ends it")
        }
        Class::OtherProject { service, project } => {
            format!("service {service} of the soloist project {}", project.display())
        }
        Class::Daemon { project } => format!("soloist's own page of {}", project.display()),
        Class::Unit { unit } => format!("systemd unit {unit}; `systemctl stop {unit}` ends it"),
        Class::Container { by } => format!("a container ({by}); stop it with its own tool"),
        Class::Stranger => "not started by soloist".to_owned(),
        Class::OtherUser => format!("of user {uid}"),
    };
    format!("{owners} [{class}]")
}

fn describe_owner(owner: &Owner) -> String {
    let since = owner.started_ms.and_then(moment).map_or(String::new(), |at| format!(" since {}", short(at)));
    let dir = owner.dir.as_ref().map_or(String::new(), |dir| format!(" in {}", dir.display()));
    format!("pid {}{since} `{}`{dir}", owner.pid, command_line(&owner.command))
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

/// What became of the listeners on a port that were to be ended.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Freed {
    /// Ended, in words.
    pub ended: Vec<String>,
    /// Not touched, with the reason.
    pub refused: Vec<String>,
    /// Still there after the kill.
    pub stuck: Vec<String>,
}

/// Ends the processes of this user that listen on a port: politely, then by force. Each is pinned by its identity
/// before it is signalled. Units, containers, other users, PID 1, ourselves and our ancestors are refused.
pub fn end_listeners(layout: &Layout, port: u16, grace: Duration) -> io::Result<Freed> {
    let mut freed = Freed::default();
    let mut ancestors = ancestors(std::process::id());
    ancestors.extend([0, 1]);
    let mut pinned = Vec::new();
    for held in who(layout, port)? {
        let refusal = match &held.class {
            Class::Unit { unit } => {
                Some(format!("systemd would start it again; use `systemctl stop {unit}`"))
            }
            Class::Container { by } => {
                Some(format!("it belongs to a container ({by}); stop it with its own tool"))
            }
            Class::OtherUser => Some("it belongs to another user".to_owned()),
            Class::OtherProject { project, service } => {
                Some(format!("it is soloist's; use `soloist -C {} stop {service}`", project.display()))
            }
            Class::Daemon { project } => Some(format!(
                "it is soloist itself; give `[http] listen` in {} another port",
                project.join(crate::config::FILE_NAME).display()
            )),
            Class::Ours { service } => Some(format!("it is guarded; use `soloist stop {service}`")),
            Class::Leftover { .. } | Class::Stranger => None,
        };
        if let Some(why) = refusal {
            freed.refused.push(format!("{}: {why}", describe(&held)));
            continue;
        }
        for owner in &held.listener.owners {
            if ancestors.contains(&owner.pid) {
                freed.refused.push(format!("{}: this command was started by it", describe_owner(owner)));
                continue;
            }
            let identity =
                Identity::of(owner.pid).ok().filter(|identity| identity.start == owner.start_ticks);
            if let Some(pin) = identity.and_then(|identity| identity.pin())
                && !pinned
                    .iter()
                    .any(|(_, p): &(String, soloist_os::identity::Pinned)| p.identity == pin.identity)
            {
                pinned.push((describe_owner(owner), pin));
            }
        }
    }
    for (_, pin) in &pinned {
        let _ = pin.signal(soloist_os::identity::SIGNAL_TERMINATE);
    }
    let end = std::time::Instant::now() + grace;
    for (_, pin) in &pinned {
        let _ = pin.wait(end.saturating_duration_since(std::time::Instant::now()));
    }
    for (words, pin) in pinned {
        let _ = pin.signal(soloist_os::identity::SIGNAL_KILL);
        if pin.wait(Duration::from_secs(2))? { freed.ended.push(words) } else { freed.stuck.push(words) }
    }
    Ok(freed)
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
