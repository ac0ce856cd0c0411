//! What Node and its package runners say when they cannot begin: a module, a script or a package file that is not there.

use super::{Case, Seen, between, case, clip};

pub(super) fn rule(seen: &Seen<'_>, at: usize) -> Option<Case> {
    let line = seen.lines[at].as_str();
    missing_module(seen, at).or_else(|| missing_script(line)).or_else(|| wrong_kind(line))
}

/// `Error: Cannot find module 'x'`, `Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'x' imported from /y.js`.
fn missing_module(seen: &Seen<'_>, at: usize) -> Option<Case> {
    let line = seen.lines[at].as_str();
    if !line.contains("Error") {
        return None;
    }
    let module =
        between(line, "Cannot find module '", "'").or_else(|| between(line, "Cannot find package '", "'"))?;
    if module.starts_with(['/', '.']) {
        return case(format!("the Node module {} is not there", clip(module)), true);
    }
    let below = seen.lines.get(at + 1).zip(seen.lines.get(at + 2));
    let required_by =
        below.filter(|(title, _)| *title == "Require stack:").and_then(|(_, by)| by.strip_prefix("- "));
    let by = line.split_once(" imported from ").map(|(_, by)| by).or(required_by);
    let place =
        by.and_then(|by| by.rsplit_once('/')).map_or(String::new(), |(dir, _)| format!(" in {}", clip(dir)));
    case(format!("the Node package `{}` was not found; `npm install`{place} may help", clip(module)), true)
}

/// npm, pnpm and yarn.
fn missing_script(line: &str) -> Option<Case> {
    let is_npm = line.starts_with("npm ") || line.contains("ERR_PNPM_");
    let script =
        line.split_once("issing script: ").filter(|_| is_npm).map(|(_, script)| script.trim_matches('"'));
    if let Some(script) = script.or_else(|| between(line, "error Command \"", "\" not found")) {
        return case(format!("package.json has no script `{}`", clip(script)), true);
    }
    let is_read = line.contains("package.json") && line.contains("ENOENT");
    if is_npm && is_read {
        let file = between(line, "open '", "'").unwrap_or("package.json");
        return case(format!("{} is not there", clip(file)), true);
    }
    None
}

fn wrong_kind(line: &str) -> Option<Case> {
    let signs = [
        "SyntaxError: Cannot use import statement outside a module",
        "ReferenceError: require is not defined in ES module scope",
        "[ERR_UNKNOWN_FILE_EXTENSION]: ",
    ];
    if signs.iter().any(|sign| line.contains(sign)) { case(clip(line), true) } else { None }
}
