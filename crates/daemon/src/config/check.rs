//! Checks what concerns more than one declaration: names, ports, pid files, and what depends on what.
//! Each declaration by itself was checked when it was read.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use soloist_core::plan::{Condition, Restart};

use super::diagnostic::{Problems, Span, plain, quoted};
use super::draft::{Draft, Section};
use super::needs::Named;
use super::read::Document;
use super::{listen, proxy, sockets, spares, suggest};

pub(super) fn across(document: &Document, problems: &mut Problems<'_>) {
    let drafts = document.drafts.as_slice();
    names(drafts, problems);
    ports(drafts, problems);
    sockets::apart(drafts, problems);
    listen::apart(&document.listen, drafts, problems);
    spares::apart(drafts, &document.listen, problems);
    proxy::apart(document, problems);
    pid_files(drafts, problems);
    dependencies(document, problems);
}

/// Within a section the parser sees to it that no name comes twice.
fn names(drafts: &[Draft], problems: &mut Problems<'_>) {
    let mut first: HashMap<&str, &Draft> = HashMap::new();
    for draft in drafts {
        let other = *first.entry(&draft.service).or_insert(draft);
        if other.section == draft.section {
            continue;
        }
        let message = format!("{} is declared as a service and as a job", quoted(&draft.service));
        problems
            .add(draft.name_span.clone(), message, "give one of the two another name")
            .label(format!("the {}", draft.section.noun()))
            .other(other.name_span.clone(), format!("the {}", other.section.noun()));
    }
}

fn ports(drafts: &[Draft], problems: &mut Problems<'_>) {
    let mut first: HashMap<u16, (&Draft, Span)> = HashMap::new();
    for draft in drafts {
        for (port, span) in &draft.ports {
            let Some((other, other_span)) = first.get(port) else {
                first.insert(*port, (draft, span.clone()));
                continue;
            };
            if *other_span == *span {
                let (service, port) = (quoted(&draft.service), *port);
                let message = format!("port {port} is the same for all instances of {service}");
                problems.add(span.clone(), message, port_help(&other.key, &draft.key, port));
                continue;
            }
            let is_same = std::ptr::eq(*other, draft);
            let (message, help) = if is_same {
                (
                    format!("port {port} is declared twice by {}", quoted(&draft.name)),
                    "take one of the two out",
                )
            } else {
                let names = (quoted(&other.name), quoted(&draft.name));
                let message = format!("port {port} is declared by {} and by {}", names.0, names.1);
                (message, "only one can listen on it; give one of the two another port")
            };
            problems
                .add(span.clone(), message, help)
                .label("again here")
                .other(other_span.clone(), "first here");
        }
    }
}

fn port_help(first: &Option<String>, second: &Option<String>, port: u16) -> String {
    let (first, second) = (plain(first.as_deref().unwrap_or("a")), plain(second.as_deref().unwrap_or("b")));
    format!("give each its own: `port = {{ {first} = {port}, {second} = {} }}`", port.wrapping_add(1).max(1))
}

fn pid_files(drafts: &[Draft], problems: &mut Problems<'_>) {
    let mut first: HashMap<&Path, &Draft> = HashMap::new();
    for draft in drafts {
        let (Some(path), Some(span)) = (&draft.program.pid_file, &draft.pid_file_span) else { continue };
        let other = *first.entry(path).or_insert(draft);
        if std::ptr::eq(other, draft) {
            continue;
        }
        if other.service == draft.service {
            let message = format!("the pid file is the same for all instances of {}", quoted(&draft.service));
            problems.add(span.clone(), message, "give each its own: put `{instance}` into the name");
            continue;
        }
        let message = format!("{} and {} have the same pid file", quoted(&other.name), quoted(&draft.name));
        let problem = problems
            .add(span.clone(), message, "a pid file takes one pid; give each a file of its own")
            .label("again here");
        if let Some(span) = &other.pid_file_span {
            problem.other(span.clone(), "first here");
        }
    }
}

/// All instances of a service need the same, but for their keys: circles are those of services.
fn dependencies(document: &Document, problems: &mut Problems<'_>) {
    let mut services: Vec<&Draft> = Vec::new();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for draft in &document.drafts {
        let at = *by_name.entry(&draft.service).or_insert(services.len());
        if at == services.len() {
            services.push(draft);
        }
        by_name.insert(&draft.name, at);
    }
    let mut edges: Vec<Vec<(usize, &Span)>> = services.iter().map(|_| Vec::new()).collect();
    let mut seen = HashSet::new();
    for draft in &document.drafts {
        let mut named: HashMap<&str, &Span> = HashMap::new();
        for need in &draft.needs {
            let (name, span) = (need.on.as_str(), &need.span);
            if let Some(first) = named.insert(name, span) {
                let message = format!("{} is named twice in `depends-on`", quoted(name));
                problems
                    .add(span.clone(), message, "take one of the two out")
                    .other(first.clone(), "first here");
            } else if let Some(on) = by_name.get(name) {
                let service = &services[*on].service;
                let own = by_name.get(draft.name.as_str());
                if *service == draft.service {
                    let message = format!("{} depends on itself", quoted(service));
                    problems.add(span.clone(), message, "take it out; it could never start");
                } else {
                    never_completes(services[*on], need, problems);
                    // Many instances of one name each other's service only once.
                    if let Some(own) = own.filter(|own| seen.insert((**own, *on))) {
                        edges[*own].push((*on, span));
                    }
                }
            } else if !document.without_keys.iter().any(|service| service == name) {
                undeclared(draft, need, document, problems);
            }
        }
    }
    for cycle in cycles(&edges) {
        report_cycle(&services, &cycle, problems);
    }
}

fn undeclared(draft: &Draft, need: &Named, document: &Document, problems: &mut Problems<'_>) {
    let mut others: Vec<&str> = Vec::new();
    for other in &document.drafts {
        // Whoever writes a key means an instance; else the services are enough.
        let name = if need.on.contains('@') { &other.name } else { &other.service };
        if other.service != draft.service && !others.contains(&name.as_str()) {
            others.push(name);
        }
    }
    let message =
        format!("{} depends on {}, which is not declared", quoted(&draft.service), quoted(&need.on));
    let help = match others.as_slice() {
        [] => format!("declare it under [services.NAME] or take it out; {} is alone", quoted(&draft.service)),
        _ => suggest::help(&need.on, &others),
    };
    problems.add(need.span.clone(), message, help).label("not declared");
}

/// A service that is started again after every end has none.
fn never_completes(on: &Draft, need: &Named, problems: &mut Problems<'_>) {
    let is_restarted = match (need.until, on.plan.restart) {
        (Condition::Started | Condition::Ready, _) => false,
        (Condition::Completed | Condition::CompletedSuccessfully, Restart::Always) => true,
        (Condition::CompletedSuccessfully, Restart::OnSuccess) => true,
        (
            Condition::Completed | Condition::CompletedSuccessfully,
            Restart::No | Restart::OnFailure(_) | Restart::OnSuccess | Restart::OnAbnormal,
        ) => false,
    };
    if !is_restarted || on.section == Section::Jobs {
        return;
    }
    let name = quoted(&on.service);
    let how = if on.plan.restart == Restart::OnSuccess { " well" } else { "" };
    let message = format!("{name} is restarted whenever it ends{how}, so it never completes");
    let help = format!("wait until it is `ready`, declare it as a job, or give {name} `restart = \"no\"`");
    let span = need.until_span.clone().unwrap_or_else(|| need.span.clone());
    problems.add(span, message, help).other(on.name_span.clone(), "restarted");
}

/// A way from a declaration back to itself: each with the place where it names the next.
type Cycle<'a> = Vec<(usize, &'a Span)>;

/// At least one cycle of every knot.
/// Walks with a stack of its own: a file can chain more names than the thread's has room for.
fn cycles<'a>(edges: &[Vec<(usize, &'a Span)>]) -> Vec<Cycle<'a>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        Unseen,
        /// On the present path, at this depth.
        Open(usize),
        Done,
    }
    let mut marks = vec![Mark::Unseen; edges.len()];
    let mut found = Vec::new();
    for start in 0..edges.len() {
        if marks[start] != Mark::Unseen {
            continue;
        }
        // Each step: the declaration, and how many of its edges were followed.
        let mut path = vec![(start, 0)];
        marks[start] = Mark::Open(0);
        while let Some((at, followed)) = path.last_mut() {
            let Some((next, _)) = edges[*at].get(*followed) else {
                marks[*at] = Mark::Done;
                path.pop();
                continue;
            };
            *followed += 1;
            match marks[*next] {
                Mark::Done => {}
                Mark::Unseen => {
                    marks[*next] = Mark::Open(path.len());
                    path.push((*next, 0));
                }
                Mark::Open(depth) => {
                    found.push(
                        path[depth..]
                            .iter()
                            .map(|(at, followed)| (*at, edges[*at][followed - 1].1))
                            .collect(),
                    );
                }
            }
        }
    }
    found
}

fn report_cycle(services: &[&Draft], cycle: &[(usize, &Span)], problems: &mut Problems<'_>) {
    const SHOWN_MOST: usize = 16;
    let Some((first, span)) = cycle.first() else { return };
    let mut names: Vec<_> = cycle.iter().map(|(at, _)| plain(&services[*at].service)).collect();
    names.push(plain(&services[*first].service));
    if names.len() > SHOWN_MOST {
        let middle = SHOWN_MOST / 2;
        names.splice(middle..names.len() - middle, ["…".to_owned()]);
    }
    let message = format!("these wait for each other in a circle: {}", names.join(" -> "));
    let help = "none of them could start; take one of the dependencies out";
    let problem = problems.add((*span).clone(), message, help).label("begins here");
    for (at, span) in cycle.iter().take(SHOWN_MOST).skip(1) {
        problem.other((*span).clone(), format!("{} waits on", quoted(&services[*at].service)));
    }
}
