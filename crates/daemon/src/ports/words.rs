//! A listener in words for people, and in the one shape for programs.

use soloist_api::status::HolderStatus;
use soloist_api::watch::PortListener;
use soloist_os::ports::{Listener, Owner};

use super::{Class, Held};
use crate::convert::{command_line, moment, short};

/// Of an ancestor's command so many characters are told.
const BRIEF: usize = 40;

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
        Class::Unknown => ("unknown", None),
    }
}

/// A listener, for clients.
pub fn told(held: &Held) -> PortListener {
    let (class, service) = class_word(&held.class);
    PortListener {
        address: held.listener.address.to_string(),
        class: class.to_owned(),
        service: service.cloned(),
        pids: held.listener.owners.iter().map(|owner| owner.pid).collect(),
        holders: holders_of(held),
        text: holder(held),
    }
}

/// Each owner, for clients; of one that cannot be seen, what is known of it.
pub(super) fn holders_of(held: &Held) -> Vec<HolderStatus> {
    let base = HolderStatus {
        kind: class_word(&held.class).0.to_owned(),
        port: Some(held.listener.port),
        user: Some(held.listener.uid),
        ..HolderStatus::default()
    };
    if held.listener.owners.is_empty() {
        return vec![base];
    }
    let told = |owner: &Owner| HolderStatus {
        pid: Some(owner.pid),
        user: Some(owner.uid),
        since: owner.started_ms.and_then(moment),
        command: owner.command.clone(),
        project: owner.dir.as_ref().map_or_else(String::new, |dir| dir.display().to_string()),
        parents: held
            .parents
            .iter()
            .map(|parent| format!("{} (pid {})", brief(parent), parent.pid))
            .collect(),
        outside: held.is_outside,
        state: Some(owner.state).filter(|state| matches!(state, 'T' | 'D')),
        wait_channel: owner.wait_channel.clone(),
        ..base.clone()
    };
    held.listener.owners.iter().map(told).collect()
}

/// A listener in one line for people.
pub fn describe(held: &Held) -> String {
    let Listener { port, address, .. } = &held.listener;
    format!("port {port} on {address}: {}", holder(held))
}

/// The same, without the port.
pub(super) fn holder(held: &Held) -> String {
    let Listener { uid, .. } = &held.listener;
    let owners: Vec<String> = held.listener.owners.iter().map(describe_owner).collect();
    let owners = if owners.is_empty() {
        format!("a process of user {uid} that cannot be seen from here")
    } else {
        owners.join(", ")
    };
    let parents: Vec<String> = held.parents.iter().map(brief).collect();
    let by = if parents.is_empty() { String::new() } else { format!(" by {}", parents.join(" ← ")) };
    let outside = if held.is_outside { "; started outside soloist from this project" } else { "" };
    format!("{owners}{by} [{}{outside}]", class_words(held))
}

fn class_words(held: &Held) -> String {
    match &held.class {
        Class::Ours { service } => format!("service {service} of this project"),
        Class::Leftover { service } => {
            format!("left over from {service} of this project; `soloist cleanup` ends it")
        }
        Class::OtherProject { service, project } => {
            format!("service {service} of the soloist project {}", project.display())
        }
        Class::Daemon { project } => format!("soloist's own page of {}", project.display()),
        Class::Unit { unit, .. } => format!("systemd unit {unit}; {} ends it", remedy(held)),
        Class::Container { by } => format!("a container ({by}); {} ends it", remedy(held)),
        Class::Stranger => "not started by soloist".to_owned(),
        Class::OtherUser => format!("of user {}", held.listener.uid),
        Class::Unknown => {
            "its process is hidden: in another container, or of more rights than ours".to_owned()
        }
    }
}

/// Why soloist does not end a listener, and what does; `None` for one that it may end, or ask to end.
pub(super) fn refusal(held: &Held) -> Option<String> {
    let why = match &held.class {
        Class::Ours { .. } | Class::Leftover { .. } | Class::OtherProject { .. } | Class::Stranger => {
            return None;
        }
        Class::Daemon { project } => {
            let file = project.join(crate::config::FILE_NAME);
            return Some(format!(
                "it is soloist itself; give `[http] listen` in {} another port",
                file.display()
            ));
        }
        Class::Unit { .. } => "systemd would start it again",
        Class::Container { .. } => "it belongs to a container",
        Class::OtherUser => "it belongs to another user",
        Class::Unknown => "its process cannot be seen from here",
    };
    Some(format!("{why}; {} ends it", remedy(held)))
}

/// The command that ends a listener that soloist does not end.
fn remedy(held: &Held) -> String {
    let Listener { port, owners, .. } = &held.listener;
    match &held.class {
        Class::Unit { unit, is_user: true } => format!("`systemctl --user stop {unit}`"),
        Class::Unit { unit, is_user: false } => format!("`systemctl stop {unit}`"),
        Class::Container { by } if by.contains("docker") => {
            format!("`docker stop` of what `docker ps --filter publish={port}` names")
        }
        Class::Container { by } if ["libpod", "conmon", "rootlessport"].iter().any(|p| by.contains(p)) => {
            "`podman stop` of what `podman ps` names".to_owned()
        }
        Class::Container { .. } => "its own tool".to_owned(),
        _ if owners.is_empty() => format!("`sudo kill` of what `sudo ss -ltnp 'sport = :{port}'` names"),
        _ => {
            let pids: Vec<String> = owners.iter().map(|owner| owner.pid.to_string()).collect();
            format!("`sudo kill {}`", pids.join(" "))
        }
    }
}

/// A process in words.
pub(super) fn describe_owner(owner: &Owner) -> String {
    let since = owner.started_ms.and_then(moment).map_or(String::new(), |at| format!(" since {}", short(at)));
    let dir = owner.dir.as_ref().map_or(String::new(), |dir| format!(" in {}", dir.display()));
    let state = match (owner.state, &owner.wait_channel) {
        ('T' | 't', _) => ", stopped (state T)".to_owned(),
        ('D', channel) => {
            format!(
                ", not to be interrupted (state D, waits in {})",
                channel.as_deref().unwrap_or("an unknown place")
            )
        }
        _ => String::new(),
    };
    format!("pid {}{since} `{}`{dir}{state}", owner.pid, command_line(&owner.command))
}

/// What it runs, without the folders of the program.
fn brief(owner: &Owner) -> String {
    let mut words = owner.command.clone();
    if let Some(program) = words.first_mut() {
        *program = super::respawn::file_name(program).to_owned();
    }
    let line = words.join(" ").replace(char::is_control, " ");
    let short: String = line.chars().take(BRIEF).collect();
    if short.len() < line.len() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(state: char, wait_channel: Option<&str>) -> Owner {
        Owner {
            pid: 7,
            uid: 1000,
            started_ms: None,
            start_ticks: 42,
            command: vec!["/usr/bin/python3".into(), "app.py".into()],
            dir: Some("/srv".into()),
            cgroup: None,
            parent: None,
            state,
            wait_channel: wait_channel.map(str::to_owned),
        }
    }

    fn held(class: Class, owners: Vec<Owner>) -> Held {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let listener =
            Listener { port: 8001, address, v6_only: false, inode: 9, uid: 1000, cgroup: None, owners };
        Held { listener, class, parents: Vec::new(), is_outside: false }
    }

    #[test]
    fn one_that_cannot_die_is_told_with_its_state_and_where_it_waits() {
        let stuck = held(Class::Stranger, vec![owner('D', Some("nfs_wait_bit_killable"))]);
        assert_eq!(
            describe(&stuck),
            "port 8001 on 127.0.0.1: pid 7 `/usr/bin/python3 app.py` in /srv, not to be interrupted (state D, waits in \
             nfs_wait_bit_killable) [not started by soloist]"
        );
        let told = told(&stuck);
        assert_eq!(told.holders[0].state, Some('D'));
        assert_eq!(told.holders[0].wait_channel.as_deref(), Some("nfs_wait_bit_killable"));
        assert!(describe(&held(Class::Stranger, vec![owner('T', None)])).contains("stopped (state T)"));
    }

    #[test]
    fn parents_and_a_project_of_its_own_are_told() {
        let mut stranger = held(Class::Stranger, vec![owner('S', None)]);
        stranger.parents = vec![owner('S', None), owner('S', None)];
        stranger.parents[0].command = vec!["npm run dev".into()];
        stranger.parents[1].command = vec!["/usr/bin/bash".into()];
        stranger.is_outside = true;
        assert!(describe(&stranger).ends_with(
            " by npm run dev ← bash [not started by soloist; started outside soloist from this project]"
        ));
        assert_eq!(told(&stranger).holders[0].parents, ["npm run dev (pid 7)", "bash (pid 7)"]);
    }

    #[test]
    fn what_is_not_ended_comes_with_the_command_that_ends_it() {
        let unit = |is_user| Class::Unit { unit: "web.service".into(), is_user };
        assert_eq!(remedy(&held(unit(true), vec![])), "`systemctl --user stop web.service`");
        assert_eq!(remedy(&held(unit(false), vec![])), "`systemctl stop web.service`");
        let proxy = Class::Container { by: "docker-proxy".into() };
        assert!(remedy(&held(proxy, vec![])).contains("docker ps --filter publish=8001"));
        assert_eq!(remedy(&held(Class::OtherUser, vec![owner('S', None)])), "`sudo kill 7`");
        let hidden = told(&held(Class::Unknown, vec![]));
        assert_eq!((hidden.class.as_str(), hidden.holders[0].pid), ("unknown", None));
    }
}
