//! Node: what package.json has to start, and how the pages of a project find its servers.

use serde_json::Value;

use super::Found;
use super::tree::{File, Sign, Tree};
use crate::service::variable;
use crate::watch::nested_reloader;

/// What serves pages while they are written, and the port it takes by itself.
const PAGES: [(&str, u16); 6] = [
    ("vite", 5173),
    ("next", 3000),
    ("react-scripts", 3000),
    ("nuxt", 3000),
    ("astro", 4321),
    ("@angular/cli", 4200),
];
static PORT: Sign = Sign::new(&["-p", "PORT"], r"(?:--port[ =]|-p |\bPORT=)(\d{2,5})\b");
static LISTENS: Sign = Sign::new(
    &[".listen(", "PORT", "port"],
    r#"(?:\.listen\(\s*|\bPORT\b[^\n]*?(?:\|\||\?\?)\s*|\bport\s*[:=]\s*)["']?(\d{2,5})\b"#,
);
static HEALTH: Sign =
    Sign::new(&["app.get("], r#"\bapp\.get\(\s*["'`](/(?:health|healthz|livez|readyz))["'`]"#);
/// Starts several: each of them is a service of its own.
static SEVERAL: Sign = Sign::new(
    &["concurrently", "npm-run-all", "run-p", "turbo", "lerna", "--"],
    r"\b(?:concurrently|npm-run-all|run-p|turbo|lerna)\b|--prefix|--workspaces?\b|--filter",
);
static FIXED: Sign = Sign::new(
    &["localhost:", "127.0.0.1:", "PORT"],
    r#"(?:localhost:|127\.0\.0\.1:|PORT\s*=\s*["'])(\d{4,5})\b"#,
);
const SOURCES: [&str; 7] = ["js", "mjs", "cjs", "ts", "tsx", "jsx", "json"];

/// Every package that can be started.
pub fn packages(tree: &Tree) -> Vec<Found> {
    tree.named("package.json").filter_map(|file| package(tree, file)).collect()
}

fn package(tree: &Tree, file: &File) -> Option<Found> {
    let json: Value = serde_json::from_str(&file.text).ok()?;
    let script = |name: &str| json["scripts"][name].as_str();
    let depends =
        |name: &str| ["dependencies", "devDependencies"].iter().any(|kind| !json[*kind][name].is_null());
    let page = PAGES.into_iter().find(|(name, _)| depends(name));
    // Pages are served as they are written; a server is started as it is meant to run.
    let order = if page.is_some() { ["dev", "start", "serve"] } else { ["start", "serve", "dev"] };
    let (name, line) = order.into_iter().find_map(|name| Some((name, script(name)?)))?;
    if SEVERAL.in_line(line).is_some() {
        return None;
    }
    let dir = file.folder().to_owned();
    let at = |text: &str| {
        file.text
            .lines()
            .position(|line| line.contains(text))
            .map_or(file.path.display().to_string(), |at| file.at(at))
    };
    let place = at(&format!("\"{name}\""));
    let number = |found: Option<regex_lite::Captures<'_>>| found?.get(1)?.as_str().parse().ok();
    let configs = ["vite.config.js", "vite.config.ts", "vite.config.mjs"].map(|name| dir.join(name));
    let sources = || {
        let own = tree.below(&dir).filter(|source| source.is_one_of(&SOURCES[..4]));
        own.filter(|source| page.is_none() || configs.contains(&source.path))
    };
    let listens = || {
        sources()
            .find_map(|source| source.first(&LISTENS).and_then(|(at, line)| Some((number(Some(line))?, at))))
    };
    let standard = || page.map(|(name, port)| (port, format!("a guess: what {name} uses")));
    let tool = [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lockb", "bun")];
    let tool = tool.into_iter().find(|(lock, _)| tree.has(&dir.join(lock))).map_or("npm", |(_, tool)| tool);
    let folder = dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let reloader = nested_reloader(&shell_words::split(line).unwrap_or_default()).filter(|_| page.is_none());
    Some(Found {
        name: folder.unwrap_or_else(|| if page.is_some() { "web".to_owned() } else { "server".to_owned() }),
        what: format!("{} in {place}", page.map_or("a script", |(name, _)| name)),
        command: [tool, "run", name].map(str::to_owned).to_vec(),
        port: number(PORT.in_line(line)).map(|port| (port, place.clone())).or_else(listens).or_else(standard),
        health: sources().find_map(|source| {
            source.first(&HEALTH).and_then(|(at, line)| Some((line.get(1)?.as_str().to_owned(), at)))
        }),
        sign: format!("{tool} run {name}"),
        is_page: page.is_some(),
        dir: dir.clone(),
        notes: reloader
            .map(|by| format!("{place} reloads by `{by}`, which does not look after it when it dies"))
            .into_iter()
            .collect(),
        ..Found::default()
    })
}

/// Pages that call a fixed port need the server there, and go wrong when it moves.
pub fn connect(tree: &Tree, found: &mut [Found]) {
    let servers: Vec<(String, u16)> = found
        .iter()
        .filter(|one| !one.is_page)
        .filter_map(|one| Some((one.name.clone(), one.port.as_ref()?.0)))
        .collect();
    for one in found.iter_mut().filter(|one| one.is_page) {
        let own = one.port.as_ref().map(|(port, _)| *port);
        let sources = tree.below(&one.dir).filter(|file| file.is_one_of(&SOURCES));
        let fixed = sources.flat_map(|file| file.lines_with(&FIXED)).find_map(|(place, line)| {
            let port: u16 = line.get(1)?.as_str().parse().ok()?;
            (Some(port) != own).then_some((place, port))
        });
        let Some((place, port)) = fixed else { continue };
        let server = servers.iter().find(|(_, known)| *known == port).or(servers.first());
        let Some((server, known)) = server else { continue };
        let strays = if *known == port { "" } else { ", which nothing here has" };
        one.notes.push(format!(
            "{place} calls port {port}{strays}: $SOLOIST_PORT_{} and .soloist/ports.json tell where {server} is",
            variable(server)
        ));
        if !one.needs.contains(server) {
            one.needs.push(server.clone());
        }
    }
}
