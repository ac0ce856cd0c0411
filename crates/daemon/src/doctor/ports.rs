//! Declared ports: held by others, declared by other projects of this user, or not to be had at all.

use std::path::Path;

use soloist_api::watch::Port;
use soloist_os::layout::Layout;

use super::{Finding, instances, section};
use crate::config::{Config, Declared};
use crate::{ports, runs};

pub fn examine(layout: &Layout, config: &Config) -> Vec<Finding> {
    let (mut found, held) = held(layout, config);
    found.extend(privileged(config));
    let mut others: Vec<_> =
        soloist_os::marked_claims().iter().filter_map(|claim| project_of(claim)).collect();
    others.sort();
    others.dedup();
    for other in others.iter().filter(|other| **other != layout.root) {
        // What is faulty there is said there.
        if let Ok(theirs) = Config::load(other) {
            found.extend(shared(config, &theirs, &held));
        }
    }
    found
}

/// `DIR/.soloist/claims/NAME.lock` is of the project DIR; a claim of machine scope is of none.
fn project_of(claim: &Path) -> Option<std::path::PathBuf> {
    let state = claim.parent()?.parent()?;
    (state.file_name()? == ".soloist").then(|| state.parent().map(Path::to_owned))?
}

/// Who is on declared ports, and which those are: of them nothing more is told.
fn held(layout: &Layout, config: &Config) -> (Vec<Finding>, Vec<u16>) {
    let seen = match ports::overview(layout, &runs::declared(layout, config)) {
        Ok(seen) => seen,
        Err(e) => {
            let what = format!("who listens cannot be looked up: {e}");
            let finding = Finding::error("ports-unseen", "the machine", what)
                .because("strangers on a port are not noticed")
                .do_this("run soloist where it may use netlink sockets (sock_diag(7))");
            return (vec![finding], Vec::new());
        }
    };
    let (mut found, mut told): (Vec<Finding>, _) = (Vec::new(), Vec::new());
    for Port { port, declared, mut listeners } in seen.ports {
        let Some(one) = instances(config).find(|one| declared.contains(&one.name)) else { continue };
        // What soloist listens on for it is its own; and one that may move does.
        let is_own = |class: &str| class == "ours" || class == "daemon" && !one.program.sockets.is_empty();
        listeners.retain(|listener| !is_own(&listener.class));
        let mut spares = one.plan.spares.iter().filter(|(of, _)| *of == port);
        if listeners.is_empty()
            || spares.any(|(_, range)| range.clone().any(|spare| ports::are_free(&[spare])))
        {
            continue;
        }
        told.push(port);
        let remedy = match listeners[0].class.as_str() {
            "leftover" => "`soloist cleanup` ends it".to_owned(),
            "stranger" => {
                format!("`soloist takeover {0}`, or `soloist start {0} --force`, ends it", one.name)
            }
            _ => format!("stop it there, or give {} another port", one.name),
        };
        let mut who: Vec<String> = listeners.into_iter().map(|listener| listener.text).collect();
        // Who listens on IPv4 and on IPv6 is one.
        who.sort();
        who.dedup();
        let what = format!("port {port} is held: {}", who.join("; "));
        found.push(
            Finding::error("port-held", format!("{}, port {port}", one.name), what)
                .because(format!("{} does not start while somebody else listens there", one.name))
                .do_this(remedy),
        );
    }
    (found, told)
}

fn privileged(config: &Config) -> Vec<Finding> {
    let lowest = soloist_os::lowest_port();
    let low = instances(config).filter_map(|one| {
        let spares = one.plan.spares.iter().map(|(_, range)| range.start());
        Some((one, *one.plan.ports.iter().chain(spares).min().filter(|port| **port < lowest)?))
    });
    low.map(|(one, port)| {
        Finding::error("port-privileged", section(one), format!("port {port} is not for this user"))
            .because(format!("below {lowest} only privileged programs may listen (ip(7))"))
            .do_this(format!(
                "take ports from {lowest} on, or set net.ipv4.ip_unprivileged_port_start={port}"
            ))
    })
    .collect()
}

/// Both can be declared, but only one can run. Of two that may both move, the second one does.
pub(super) fn shared(ours: &Config, theirs: &Config, told: &[u16]) -> Vec<Finding> {
    let may_move = |of: &Declared, port: u16| {
        of.plan.spares.iter().any(|(from, range)| *from == port || range.contains(&port))
    };
    let takes = |of: &Declared, port: u16| of.plan.ports.contains(&port) || may_move(of, port);
    let mut found = Vec::new();
    for (one, other) in instances(ours).flat_map(|one| instances(theirs).map(move |other| (one, other))) {
        let mut ports: Vec<u16> = one.plan.ports.iter().chain(&other.plan.ports).copied().collect();
        ports.retain(|port| takes(one, *port) && takes(other, *port) && !told.contains(port));
        ports.retain(|port| !may_move(one, *port) || !may_move(other, *port));
        ports.sort_unstable();
        ports.dedup();
        found.extend(ports.into_iter().map(|port| {
            let what = format!("port {port} is declared by {} of {} too", other.name, theirs.root.display());
            Finding::warning("port-shared", section(one), what)
                .because("only one of the two can be there")
                .do_this("give one of the two another port, or another range in `else`")
        }));
    }
    found
}
