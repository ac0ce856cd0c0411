//! What Python and its servers say when they cannot begin: a module that is not there, a program that is none, a missing
//! variable.

use super::{Case, Seen, between, case, clip};

pub(super) fn rule(seen: &Seen<'_>, at: usize) -> Option<Case> {
    let line = seen.lines[at].as_str();
    missing_module(seen, line)
        .or_else(|| no_application(line))
        .or_else(|| wrong_syntax(seen, at))
        .or_else(|| missing_variable(seen, at))
}

fn missing_module(seen: &Seen<'_>, line: &str) -> Option<Case> {
    if let Some(module) = line
        .strip_prefix("ModuleNotFoundError: No module named ")
        .or_else(|| line.strip_prefix("ImportError: No module named "))
    {
        let module = module.split(';').next().unwrap_or(module).trim_matches('\'');
        return not_installed(module, interpreter(seen));
    }
    // `python -m x`
    if let Some((python, module)) = line.split_once(": No module named ")
        && is_python(python)
    {
        let module =
            module.split(';').next().unwrap_or(module).trim_matches('\'').trim_end_matches(".__main__");
        return not_installed(module, Some(python.to_owned()));
    }
    if line.starts_with("ImportError: ") {
        return case(format!("a Python import fails: {}", clip(line)), true);
    }
    let file = between(line, ": can't open file '", "'")?;
    let why = line.rsplit("] ").next().unwrap_or_default();
    case(format!("Python cannot open its program {}: {}", clip(file), clip(why)), true)
}

fn not_installed(module: &str, python: Option<String>) -> Option<Case> {
    let root = module.split('.').next().unwrap_or(module);
    let python = python.unwrap_or_else(|| "python".to_owned());
    let advice = format!("if it is a package, `{} -m pip install {}` installs it", clip(&python), clip(root));
    case(format!("the Python module `{}` was not found; {advice}", clip(module)), true)
}

/// The interpreter whose packages were searched: that of the folder of packages in the traceback, or that of the command.
/// The standard library's folder tells nothing: a virtual environment has none of its own.
fn interpreter(seen: &Seen<'_>) -> Option<String> {
    let of_packages = |line: &String| {
        let path = between(line, "File \"", "\"")?;
        let (before, _) =
            path.split_once("/site-packages/").or_else(|| path.split_once("/dist-packages/"))?;
        let (prefix, _) = before.rsplit_once("/lib")?;
        Some(format!("{prefix}/bin/python"))
    };
    seen.lines.iter().rev().find_map(of_packages).or_else(|| {
        let program = seen.end.command.first()?;
        if is_python(program) {
            return Some(program.clone());
        }
        // A script of a virtual environment lies beside its interpreter.
        let (folder, _) = program.rsplit_once('/')?;
        folder.ends_with("/bin").then(|| format!("{folder}/python"))
    })
}

fn is_python(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    name.strip_prefix("python").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// uvicorn and Flask.
fn no_application(line: &str) -> Option<Case> {
    let signs = [
        "Error loading ASGI app. ",
        "Error: Could not import '",
        "Error: Failed to find Flask application",
        "Error: Could not locate a Flask application",
    ];
    let found = signs.iter().find_map(|sign| line.find(sign))?;
    case(clip(line[found..].trim_start_matches("Error: ")), true)
}

fn wrong_syntax(seen: &Seen<'_>, at: usize) -> Option<Case> {
    let line = seen.lines[at].as_str();
    if !["SyntaxError: ", "IndentationError: ", "TabError: "].iter().any(|name| line.starts_with(name)) {
        return None;
    }
    // The place is above, over the source line and its mark; a Node stack has none of that shape.
    let above = seen.lines[at.saturating_sub(4)..at].iter().rev();
    let place = above.into_iter().find(|line| line.trim_start().starts_with("File \""))?;
    let file = between(place, "File \"", "\"")?;
    let number = place.split_once(", line ").map_or("?", |(_, number)| number);
    case(format!("{}:{}: {}", clip(file), clip(number), clip(line)), true)
}

/// `os.environ["X"]`; the variable may come with the next start.
fn missing_variable(seen: &Seen<'_>, at: usize) -> Option<Case> {
    let name = seen.lines[at].strip_prefix("KeyError: '")?.strip_suffix('\'')?;
    let above = &seen.lines[at.saturating_sub(8)..at];
    let is_lookup = |line: &String| {
        line.contains("__getitem__") && (line.contains("<frozen os>") || line.contains("/os.py\""))
    };
    let is_of_environment = above.iter().any(is_lookup);
    if !is_of_environment {
        return None;
    }
    case(format!("the environment variable {} is not set", clip(name)), false)
}
