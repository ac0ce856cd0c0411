//! Declared ports: held by others, declared by other projects of this user, or not to be had at all.

use std::path::Path;

use soloist_os::layout::Layout;

use super::{Finding, instances, section};
use crate::config::Config;
use crate::{ports, runs};

pub fn examine(layout: &Layout, config: &Config) -> Vec<Finding> {
    let mut found: Vec<Finding> = held(layout, config).into_iter().chain(privileged(config)).collect();
    let mut others: Vec<_> =
        soloist_os::marked_claims().iter().filter_map(|claim| project_of(claim)).collect();
    others.sort();
    others.dedup();
    for other in others.iter().filter(|other| **other != layout.root) {
        // What is faulty there is said there.
        if let Ok(theirs) = Config::load(other) {
            found.extend(shared(config, &theirs));
        }
    }
    found
}

/// `DIR/.soloist/claims/NAME.lock` is of the project DIR; a claim of machine scope is of none.
fn project_of(claim: &Path) -> Option<std::path::PathBuf> {
    let state = claim.parent()?.parent()?;
    (state.file_name()? == ".soloist").then(|| state.parent().map(Path::to_owned))?
}

fn held(layout: &Layout, config: &Config) -> Vec<Finding> {
    let seen = match ports::overview(layout, &runs::declared(layout, config)) {
        Ok(seen) => seen,
        Err(e) => {
            let what = format!("who listens cannot be looked up: {e}");
            return vec![
                Finding::error("ports-unseen", "the machine", what)
                    .because("strangers on a port are not noticed")
                    .do_this("run soloist where it may use netlink sockets (sock_diag(7))"),
            ];
        }
    };
    let mut found = Vec::new();
    for port in seen.ports {
        let Some(name) = port.declared.first() else { continue };
        for listener in port.listeners.iter().filter(|listener| listener.class != "ours") {
            let number = port.port;
            let what = format!("port {number} is held: {}", listener.text);
            let finding = Finding::error("port-held", format!("{name}, port {number}"), what)
                .because(format!("{name} does not start while somebody else listens there"));
            found.push(finding.do_this(match listener.class.as_str() {
                "leftover" => "`soloist cleanup` ends it".to_owned(),
                "stranger" => {
                    format!("`soloist who {number}` shows it, `soloist free {number} --force` ends it")
                }
                _ => format!("stop it there, or give {name} another port"),
            }));
        }
    }
    found
}

fn privileged(config: &Config) -> Vec<Finding> {
    let lowest = soloist_os::lowest_port();
    let low = instances(config).flat_map(|one| one.plan.ports.iter().map(move |port| (one, *port)));
    low.filter(|(_, port)| *port < lowest)
        .map(|(one, port)| {
            Finding::error("port-privileged", section(one), format!("port {port} is not for this user"))
                .because(format!("below {lowest} only privileged programs may listen (ip(7))"))
                .do_this(format!(
                    "take a port from {lowest} on, or set net.ipv4.ip_unprivileged_port_start={port}"
                ))
        })
        .collect()
}

/// Both can be declared, but only one can run.
pub(super) fn shared(ours: &Config, theirs: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    for (one, other) in instances(ours).flat_map(|one| instances(theirs).map(move |other| (one, other))) {
        for port in one.plan.ports.iter().filter(|port| other.plan.ports.contains(port)) {
            let what = format!("port {port} is declared by {} of {} too", other.name, theirs.root.display());
            found.push(
                Finding::warning("port-shared", section(one), what)
                    .because("whichever starts second does not start")
                    .do_this("give one of the two another port"),
            );
        }
    }
    found
}
