//! What a listener is to this project: ours, our leftover, another soloist's, a unit's, a container's, a stranger's.

use std::path::{Path, PathBuf};

use soloist_os::identity::my_uid;
use soloist_os::layout::Layout;
use soloist_os::ports::{Listener, Owner};
use soloist_os::record::Record;

use super::{Held, ancestors};
use crate::serve::DAEMON_ARGUMENT;

/// So many ancestors are told.
const GENERATIONS: usize = 6;

/// What a listener is to this project.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// It is of the user's own systemd.
        is_user: bool,
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
    /// The socket is of this user, but no process that holds it can be seen.
    Unknown,
}

/// A listener with all that is known of it.
pub(super) fn held(layout: &Layout, listener: Listener, records: &[Record]) -> Held {
    let class = classify(layout, &listener, records);
    let is_foreign = matches!(class, Class::Stranger | Class::Unit { .. } | Class::OtherUser);
    let eldest = listener.owners.first().filter(|_| is_foreign);
    Held {
        parents: eldest.map(parents).unwrap_or_default(),
        is_outside: eldest.is_some_and(|owner| is_of(&layout.root, owner)),
        class,
        listener,
    }
}

fn parents(of: &Owner) -> Vec<Owner> {
    let parent = |of: &Owner| soloist_os::process(of.parent.filter(|parent| *parent > 1)?);
    std::iter::successors(parent(of), parent).take(GENERATIONS).collect()
}

/// Whether it works in the project's folder, in its virtual environment, or runs something of it.
fn is_of(root: &Path, owner: &Owner) -> bool {
    let is_inside = |path: &Path| path.starts_with(root);
    owner.dir.as_deref().is_some_and(is_inside)
        || owner.command.iter().any(|word| is_inside(Path::new(word)))
        || soloist_os::variable_of(owner.pid, "VIRTUAL_ENV").is_some_and(|venv| is_inside(Path::new(&venv)))
}

fn classify(layout: &Layout, listener: &Listener, records: &[Record]) -> Class {
    // What is listened on for an instance is held by the daemon too.
    let owners = || listener.owners.iter();
    let known = owners().find_map(|owner| known_instance(layout, owner, records));
    if let Some(class) = known.or_else(|| owners().find_map(daemon)) {
        return class;
    }
    // What we are part of ourselves starts nothing again that we could end.
    let own = soloist_os::process(std::process::id()).and_then(|me| me.cgroup).unwrap_or_default();
    for owner in &listener.owners {
        let cgroup = owner.cgroup.as_deref().unwrap_or_default();
        if let Some(by) = container(cgroup, &owner.command).filter(|by| !own.contains(by.as_str())) {
            return Class::Container { by };
        }
        if let Some(unit) = unit(cgroup).filter(|unit| !own.contains(unit.as_str())) {
            return Class::Unit { unit, is_user: cgroup.contains("/user@") };
        }
    }
    if listener.uid != my_uid() || listener.owners.iter().any(|owner| owner.uid != my_uid()) {
        Class::OtherUser
    } else if listener.owners.is_empty() {
        Class::Unknown
    } else {
        Class::Stranger
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
    let project = owner.command.get(2).filter(|_| is_word && owner.uid == my_uid())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_told_by_its_control_group_unless_it_is_only_where_somebody_sits() {
        let told = |cgroup: &str| unit(cgroup);
        assert_eq!(told("/system.slice/nginx.service").as_deref(), Some("nginx.service"));
        assert_eq!(
            told("/user.slice/user-1000.slice/user@1000.service/app.slice/api.service").as_deref(),
            Some("api.service")
        );
        assert_eq!(told("/user.slice/user-1000.slice/session-3.scope"), None);
        assert_eq!(told("/user.slice/user-1000.slice/user@1000.service/app.slice/app-code.scope"), None);
    }

    #[test]
    fn a_container_is_told_by_its_control_group_or_by_what_forwards_into_it() {
        let told = |cgroup: &str, program: &str| container(cgroup, &[program.to_owned()]);
        assert_eq!(told("/system.slice/docker-12ab.scope", "node").as_deref(), Some("docker-12ab.scope"));
        assert_eq!(told("/", "/usr/bin/docker-proxy").as_deref(), Some("docker-proxy"));
        assert_eq!(told("/user.slice", "node"), None);
    }
}
