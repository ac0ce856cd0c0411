//! Checks what concerns more than one declaration: names, ports, pid files, and what depends on what.
//! Each declaration by itself was checked when it was read.

use std::collections::HashMap;
use std::path::Path;

use super::diagnostic::{Problems, Span, plain, quoted};
use super::read::Draft;
use super::suggest;

pub(super) fn across(drafts: &[Draft], problems: &mut Problems<'_>) {
    names(drafts, problems);
    ports(drafts, problems);
    pid_files(drafts, problems);
    dependencies(drafts, problems);
}

/// Within a section the parser sees to it that no name comes twice.
fn names(drafts: &[Draft], problems: &mut Problems<'_>) {
    let mut first: HashMap<&str, &Draft> = HashMap::new();
    for draft in drafts {
        let Some(other) = first.insert(&draft.name, draft) else { continue };
        let message = format!("{} is declared as a service and as a job", quoted(&draft.name));
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

fn pid_files(drafts: &[Draft], problems: &mut Problems<'_>) {
    let mut first: HashMap<&Path, &Draft> = HashMap::new();
    for draft in drafts {
        let (Some(path), Some(span)) = (&draft.program.pid_file, &draft.pid_file_span) else { continue };
        let Some(other) = first.insert(path, draft) else { continue };
        let message = format!("{} and {} have the same pid file", quoted(&other.name), quoted(&draft.name));
        let problem = problems
            .add(span.clone(), message, "a pid file takes one pid; give each a file of its own")
            .label("again here");
        if let Some(span) = &other.pid_file_span {
            problem.other(span.clone(), "first here");
        }
    }
}

fn dependencies(drafts: &[Draft], problems: &mut Problems<'_>) {
    let by_name: HashMap<&str, usize> =
        drafts.iter().enumerate().map(|(at, draft)| (draft.name.as_str(), at)).collect();
    let mut edges: Vec<Vec<(usize, &Span)>> = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let mut named: HashMap<&str, &Span> = HashMap::new();
        let mut known = Vec::new();
        for (name, span) in &draft.needs {
            if let Some(first) = named.insert(name, span) {
                let message = format!("{} is named twice in `depends-on`", quoted(name));
                problems
                    .add(span.clone(), message, "take one of the two out")
                    .other(first.clone(), "first here");
            } else if *name == draft.name {
                let message = format!("{} depends on itself", quoted(name));
                problems.add(span.clone(), message, "take it out; it could never start");
            } else if let Some(at) = by_name.get(name.as_str()) {
                known.push((*at, span));
            } else {
                let names: Vec<_> = drafts.iter().map(|other| other.name.as_str()).collect();
                let others: Vec<_> = names.into_iter().filter(|other| *other != draft.name).collect();
                let message =
                    format!("{} depends on {}, which is not declared", quoted(&draft.name), quoted(name));
                let help = match others.as_slice() {
                    [] => format!(
                        "declare it under [services.NAME] or take it out; {} is alone",
                        quoted(&draft.name)
                    ),
                    _ => suggest::help(name, &others),
                };
                problems.add(span.clone(), message, help).label("not declared");
            }
        }
        edges.push(known);
    }
    for cycle in cycles(&edges) {
        report_cycle(drafts, &cycle, problems);
    }
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

fn report_cycle(drafts: &[Draft], cycle: &[(usize, &Span)], problems: &mut Problems<'_>) {
    const SHOWN_MOST: usize = 16;
    let Some((first, span)) = cycle.first() else { return };
    let mut names: Vec<_> = cycle.iter().map(|(at, _)| plain(&drafts[*at].name)).collect();
    names.push(plain(&drafts[*first].name));
    if names.len() > SHOWN_MOST {
        let middle = SHOWN_MOST / 2;
        names.splice(middle..names.len() - middle, ["…".to_owned()]);
    }
    let message = format!("these wait for each other in a circle: {}", names.join(" -> "));
    let help = "none of them could start; take one of the dependencies out";
    let problem = problems.add((*span).clone(), message, help).label("begins here");
    for (at, span) in cycle.iter().take(SHOWN_MOST).skip(1) {
        problem.other((*span).clone(), format!("{} waits on", quoted(&drafts[*at].name)));
    }
}
