//! What the author declared for other tools: Procfile, Compose file, Cargo.toml. It wins over what was guessed of the same
//! program.

use std::path::{Path, PathBuf};

use super::Found;
use super::tree::{File, Sign, Tree};

static ENTRY: Sign = Sign::new(&[":"], r"^([A-Za-z0-9_][\w-]*):\s*(\S.*)$");
/// Signs that only a shell acts on.
static SHELL: Sign = Sign::new(&["$", "&", "|", "<", ">", ";", "`", "~", "*", "="], r#"[$&|<>;`~*]|^\w+="#);
static PORT: Sign = Sign::new(&["-p", "-b"], r"(?:--port[ =]|--bind[ =]\S*:|-b \S*:|-p )(\d{2,5})\b");
static WEB: Sign = Sign::new(
    &["axum", "actix-web", "rocket", "warp", "poem", "salvo", "tonic", "tide"],
    r#"^(axum|actix-web|rocket|warp|poem|salvo|tonic|tide)\b"#,
);
static ADDRESS: Sign = Sign::new(
    &[":", "(["],
    r#"(?:\d+\.\d+\.\d+\.\d+|localhost|\[::1?\]):(\d{4,5})\b|\(\[[\d, ]+\],\s*(\d{4,5})\)"#,
);
/// What foreman and Heroku's own tool give the first entry.
const PROCFILE_PORT: u16 = 5000;

/// Rust packages with a binary that serves.
pub fn cargo(tree: &Tree, found: &mut Vec<Found>) {
    for file in tree.named("Cargo.toml") {
        let dir = file.folder();
        let Some((_, framework)) = file.first(&WEB).filter(|_| tree.has(&dir.join("src/main.rs"))) else {
            continue;
        };
        let Ok(table) = file.text.parse::<toml::Table>() else { continue };
        let Some(name) = table.get("package").and_then(|package| package.get("name")?.as_str()) else {
            continue;
        };
        let address =
            tree.below(dir).filter(|file| file.is_one_of(&["rs"])).find_map(|file| file.first(&ADDRESS));
        let port = address
            .and_then(|(place, line)| Some((line.get(1).or(line.get(2))?.as_str().parse().ok()?, place)));
        found.push(Found {
            name: name.to_owned(),
            what: format!(
                "{} in {}",
                framework.get(1).map_or("a server", |name| name.as_str()),
                file.path.display()
            ),
            command: ["cargo", "run", "--release", "--bin", name].map(str::to_owned).to_vec(),
            port,
            sign: format!("--bin {name}"),
            dir: dir.to_owned(),
            ..Found::default()
        });
    }
}

/// Every entry of a Procfile; those for a release are no service.
pub fn procfiles(tree: &Tree, found: &mut Vec<Found>) {
    for file in tree.named("Procfile") {
        for (at, line) in file.text.lines().enumerate() {
            let Some(entry) = ENTRY.in_line(line) else { continue };
            let (Some(name), Some(text)) = (entry.get(1), entry.get(2)) else { continue };
            let (name, text) = (name.as_str(), text.as_str().trim_end());
            if name == "release" {
                continue;
            }
            let words = shell_words::split(text).ok().filter(|_| SHELL.in_line(text).is_none());
            let command =
                words.unwrap_or_else(|| ["sh", "-c", &format!("exec {text}")].map(str::to_owned).to_vec());
            let place = file.at(at);
            let is_same = |one: &&mut Found| {
                one.dir == file.folder() && !one.sign.is_empty() && text.contains(&one.sign)
            };
            if let Some(one) = found.iter_mut().find(is_same) {
                one.notes.push(format!("its command is that of {place}"));
                (one.name, one.command, one.started_by) = (name.to_owned(), command, None);
                continue;
            }
            let named = PORT.in_line(text).and_then(|port| port.get(1)?.as_str().parse().ok());
            let port = named.or((name == "web" || text.contains("$PORT")).then_some(PROCFILE_PORT));
            let what = format!("{name} in {place}");
            let port = port.map(|port| (port, place));
            found.push(Found {
                name: name.to_owned(),
                what,
                command,
                port,
                dir: file.folder().to_owned(),
                ..Found::default()
            });
        }
    }
}

/// What a Compose file says of one service, as far as it matters here.
#[derive(Default)]
struct Container {
    name: String,
    at: usize,
    build: Option<String>,
    port: Option<u16>,
    needs: Vec<String>,
}

/// Every service of a Compose file that is not built from a folder in which a program was found.
pub fn compose(tree: &Tree, found: &mut Vec<Found>) {
    let is_one = |file: &&File| file.name().contains("compose.y");
    for file in tree.files.iter().filter(is_one) {
        let containers = containers(&file.text);
        // The name by which each is known here; a folder's own program is that program.
        let mut names: Vec<(String, String)> = Vec::new();
        for container in &containers {
            let place = file.at(container.at);
            let folder = container.build.as_ref().map(|build| plain(&file.folder().join(build)));
            if let Some(one) =
                folder.and_then(|folder| found.iter_mut().find(|one| one.dir == folder && !one.is_container))
            {
                one.notes.push(format!("{place} runs it in a container; here it runs without one"));
                names.push((container.name.clone(), one.name.clone()));
                continue;
            }
            names.push((container.name.clone(), container.name.clone()));
            found.push(Found {
                name: container.name.clone(),
                what: format!("a container in {place}"),
                command: ["docker", "compose", "up", "--no-deps", &container.name]
                    .map(str::to_owned)
                    .to_vec(),
                port: container.port.map(|port| (port, place.clone())),
                is_container: true,
                sign: place,
                dir: file.folder().to_owned(),
                ..Found::default()
            });
        }
        for container in &containers {
            let known =
                |name: &str| names.iter().find(|(known, _)| known == name).map(|(_, name)| name.clone());
            let Some(own) = known(&container.name) else { continue };
            let needs = container.needs.iter().filter_map(|need| known(need)).filter(|need| *need != own);
            if let Some(one) = found.iter_mut().find(|one| one.name == own) {
                one.needs.extend(needs);
            }
        }
    }
}

/// By the indentation that everybody writes; what is written otherwise is passed over.
fn containers(text: &str) -> Vec<Container> {
    let mut found: Vec<Container> = Vec::new();
    let (mut is_inside, mut step, mut key) = (false, 0, String::new());
    for (at, line) in text.lines().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let body = body.split(" #").next().unwrap_or_default().trim_end();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        if indent == 0 {
            (is_inside, step) = (body == "services:", 0);
            continue;
        }
        if !is_inside {
            continue;
        }
        step = if step == 0 { indent } else { step };
        let (word, value) = body.split_once(':').map_or((body, ""), |(word, value)| (word, value.trim()));
        if indent == step {
            found.push(Container {
                name: word.trim_matches(['"', '\'']).to_owned(),
                at,
                ..Container::default()
            });
            continue;
        }
        let Some(container) = found.last_mut() else { continue };
        let is_item = body.starts_with("- ");
        if indent == 2 * step && !is_item {
            key = word.to_owned();
        }
        let item = body.trim_start_matches("- ").trim_matches(['"', '\'', ' ']);
        match key.as_str() {
            "build" if indent == 2 * step && !value.is_empty() => {
                container.build = Some(value.trim_matches(['"', '\'']).to_owned())
            }
            "build" if word == "context" => {
                container.build = Some(value.trim_matches(['"', '\'']).to_owned())
            }
            // `127.0.0.1:8001:80`, `8001:80`: the last but one is the host's.
            "ports" if is_item && container.port.is_none() => {
                container.port =
                    item.split('/').next().and_then(|item| item.rsplit(':').nth(1)?.parse().ok());
            }
            "depends_on" if is_item => container.needs.push(item.to_owned()),
            "depends_on" if indent == 3 * step => container.needs.push(word.to_owned()),
            _ => {}
        }
    }
    found
}

/// Without `.` and a last slash.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}
