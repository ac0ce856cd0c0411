//! Python: web applications by the line that makes them, and scripts that loop or keep a timetable. How an application is
//! started is read where its author starts it: in itself, in a script, on a page.

use std::path::{Path, PathBuf};

use super::tree::{File, Sign, Tree};
use super::{Found, Placed, is_launcher};

static APP: Sign = Sign::new(
    &["FastAPI(", "Starlette(", "Litestar(", "Flask(", "Quart("],
    r"^(\s*)(\w+)\s*(?::\s*[\w.]+\s*)?=\s*(?:\w+\.)?(FastAPI|Starlette|Litestar|Flask|Quart)\(",
);
static FACTORY: Sign =
    Sign::new(&["def create_app", "def make_app"], r"^(?:async )?def (create_app|make_app)\(");
/// `app.main:app`
static TARGET: Sign =
    Sign::new(&[":"], r"(?:^|[^\w./])([A-Za-z_][\w.]*):([A-Za-z_]\w*)(?:\(\))?(?:$|[^\w/])");
static SERVER: Sign = Sign::new(&["uvicorn", "gunicorn", "hypercorn"], r"\b(?:uvicorn|gunicorn|hypercorn)\b");
static PORT: Sign = Sign::new(
    &["port", "PORT", "Port", "-p"],
    r#"(?i)(?:--port|-p|\bport\w*["']?)[ =:,"']+(?:[^\n]*?\bdefault\s*=\s*)?(?:int\()?(?:\$\{\w+:-)?(?:os\.[^\n]*?,\s*)?["']?(\d{2,5})\b"#,
);
static BIND: Sign = Sign::new(&["-b"], r"(?:--bind|-b)[ =]\S*:(\d{2,5})\b");
static HOST: Sign =
    Sign::new(&["host", "HOST"], r#"(?i)\bhost["']?[ =:,]+(?:[^\n]*?\bdefault\s*=\s*)?["']?(0\.0\.0\.0|::)"#);
static RELOAD: Sign =
    Sign::new(&["reload", "debug"], r"--reload\b|\breload\s*=\s*True|\.run\([^\n]*\bdebug\s*=\s*True");
static PORT_OF_PID_FILE: Sign = Sign::new(&["server"], r"^\.?server[-_](\d{2,5})$");
static RUN: Sign = Sign::new(&[".run("], r"\b(\w+)\.run\(");
static HEALTH: Sign = Sign::new(
    &["@"],
    r#"@\w+\.(?:get|route|api_route)\(\s*["'](/[\w/-]*(?:health|healthz|livez|readyz)/?)["']"#,
);
static MAIN: Sign = Sign::new(&["__main__"], r#"^if\s+__name__\s*==\s*["']__main__["']"#);
static LOOP: Sign =
    Sign::new(&["while"], r"^(\s*)while\s+(?:True|1|not\b|[\w.]*(?:running|stop|alive)\w*)[^\n]*:");
static SLEEP: Sign = Sign::new(&["sleep("], r"\bsleep\(\s*([\w.]+)\s*\)");
static TIMETABLE: Sign = Sign::new(
    &["schedule.every(", "Scheduler("],
    r"\bschedule\.every\((\d*)\)\.(second|minute|hour|day)|\b(Blocking|Background|AsyncIO)Scheduler\(",
);
static SPAWNS: Sign = Sign::new(
    &["subprocess", "Popen(", "os."],
    r"\b(?:subprocess\.|Popen\(|os\.system\(|os\.spawn|create_subprocess)",
);
static OWN_PROCESS: Sign = Sign::new(
    &["Process("],
    r"\b(?:multiprocessing\.|mp\.)?Process\(\s*$|\bmultiprocessing\.Process\(|\bProcess\(target",
);
static DJANGO: Sign = Sign::new(&["django"], r"django");
static OPENS: [(Sign, Sign, &str); 2] = [
    (
        Sign::new(&["time(", ":"], r"\btime\(\s*9\s*,\s*15\b|\b0?9:15\b"),
        Sign::new(&["time(", ":"], r"\btime\(\s*15\s*,\s*30\b|\b15:30\b"),
        "NSE",
    ),
    (
        Sign::new(&["time(", ":"], r"\btime\(\s*9\s*,\s*30\b|\b0?9:30\b"),
        Sign::new(&["time(", ":"], r"\btime\(\s*16\s*,\s*0\b|\b16:00\b"),
        "NYSE",
    ),
];

/// Every web application.
pub fn apps(tree: &Tree) -> Vec<Found> {
    let sources = tree.files.iter().filter(|file| file.is_one_of(&["py"]) && !is_launcher(file));
    sources
        .filter_map(|file| app(tree, file))
        .chain(tree.named("manage.py").filter_map(|file| django(tree, file)))
        .collect()
}

fn app(tree: &Tree, file: &File) -> Option<Found> {
    // One that is made in a function is told to the server by that function.
    let (place, made) = file.first(&APP)?;
    let is_factory = made.get(1).is_some_and(|indent| !indent.as_str().is_empty());
    let variable = if is_factory { file.first(&FACTORY)?.1.get(1)?.as_str() } else { made.get(2)?.as_str() };
    let (framework, is_flask) = (made.get(3)?.as_str(), made.get(3)?.as_str() == "Flask");
    let hint = hint(tree, file, variable);
    let (dir, module) =
        hint.as_ref().map_or_else(|| home(tree, file), |hint| (hint.dir.clone(), hint.module.clone()));
    let standard = (if is_flask { 5000 } else { 8000 }, format!("a guess: what {framework} uses"));
    let port = port(tree, file, hint.as_ref(), &dir).unwrap_or(standard);
    let (target, number) = (format!("{module}:{variable}"), port.0);
    let host = hint.as_ref().and_then(|hint| hint.host.clone());
    let listen =
        format!("{} --port {number}", host.as_ref().map_or(String::new(), |host| format!("--host {host}")));
    let by_gunicorn = hint.as_ref().is_some_and(|hint| hint.is_gunicorn);
    let runs_itself = || file.first(&MAIN).is_some() && file.first(&RUN).is_some();
    let is_script = is_flask && !is_factory && !by_gunicorn && runs_itself();
    let line = if by_gunicorn {
        let call = if is_factory { "()" } else { "" };
        format!("-m gunicorn {target}{call} --bind {}:{number}", host.as_deref().unwrap_or("127.0.0.1"))
    } else if is_flask {
        format!("-m flask --app {target} run {listen}")
    } else {
        format!("-m uvicorn {target} {} {listen}", if is_factory { "--factory" } else { "" })
    };
    let words = || line.split_whitespace().map(str::to_owned).collect();
    let words: Vec<String> = if is_script { vec![below(file, &dir)] } else { words() };
    let name = name(&dir, file, if is_flask { "web" } else { "api" });
    let mut notes = within(tree, file, &dir);
    let reloads = hint.and_then(|hint| hint.reload).or_else(|| Some(file.first(&RELOAD)?.0));
    notes.extend(reloads.map(|place| match is_script {
        true => {
            format!("{place} has a second process reload it: that one does not look after it when it dies")
        }
        false => format!(
            "{place} reloads it, this does not: `watch` or `soloist restart {name}` takes new code in"
        ),
    }));
    Some(Found {
        name,
        what: format!("{framework} in {place}"),
        command: [interpreter(tree, &dir)].into_iter().chain(words).collect(),
        // A path behind a router's prefix would be another one: only what hangs on the application itself is sure.
        health: file.first(&HEALTH).and_then(|(place, line)| Some((line.get(1)?.as_str().to_owned(), place))),
        env_file: env_file(tree, &dir),
        notes,
        port: Some(port),
        sign: target,
        dir,
        ..Found::default()
    })
}

/// Its path from a folder above it.
fn below(file: &File, dir: &Path) -> String {
    file.path.strip_prefix(dir).unwrap_or(&file.path).display().to_string()
}

/// How the author starts an application.
struct Hint {
    module: String,
    dir: PathBuf,
    port: Option<Placed<u16>>,
    host: Option<String>,
    reload: Option<String>,
    is_gunicorn: bool,
}

/// The first line that names it to a server; scripts and sources know better than pages.
fn hint(tree: &Tree, file: &File, variable: &str) -> Option<Hint> {
    let (pages, scripts): (Vec<&File>, Vec<&File>) =
        tree.files.iter().partition(|file| file.is_one_of(&["md"]));
    for teller in scripts.into_iter().chain(pages).filter(|teller| teller.first(&SERVER).is_some()) {
        for (at, line) in teller.text.lines().enumerate() {
            let Some(target) = TARGET.in_line(line) else { continue };
            let (Some(module), Some(named)) = (target.get(1), target.get(2)) else { continue };
            let module = module.as_str();
            let path = PathBuf::from(module.replace('.', "/")).with_extension("py");
            if named.as_str() != variable || !file.path.ends_with(&path) {
                continue;
            }
            let dir = file.path.ancestors().nth(path.components().count()).unwrap_or(Path::new(""));
            // Of a page only that line is believed: it tells of other programs too.
            let is_page = teller.is_one_of(&["md"]);
            let lines =
                || [(at, line)].into_iter().chain(teller.text.lines().enumerate().filter(|_| !is_page));
            let number = |sign: &Sign, line: &str| sign.in_line(line)?.get(1)?.as_str().parse::<u16>().ok();
            let port = |(at, line): (usize, &str)| {
                Some((number(&PORT, line).or_else(|| number(&BIND, line))?, teller.at(at)))
            };
            return Some(Hint {
                module: module.to_owned(),
                dir: dir.to_owned(),
                port: lines().find_map(port),
                host: lines().find_map(|(_, line)| Some(HOST.in_line(line)?.get(1)?.as_str().to_owned())),
                reload: lines().find_map(|(at, line)| RELOAD.in_line(line).map(|_| teller.at(at))),
                is_gunicorn: line.contains("gunicorn"),
            });
        }
    }
    None
}

/// The folder it runs in and what it is called there: the nearest folder above that has what installs it.
fn home(tree: &Tree, file: &File) -> (PathBuf, String) {
    let marks = ["requirements.txt", "pyproject.toml", "Pipfile", "setup.py", "manage.py"];
    let above = file.folder().ancestors();
    let marked = { above }.find(|folder| marks.iter().any(|mark| tree.has(&folder.join(mark))));
    let outside = || file.folder().ancestors().find(|folder| !tree.has(&folder.join("__init__.py")));
    let dir = marked.or_else(outside).unwrap_or(Path::new("")).to_owned();
    let below = file.path.strip_prefix(&dir).unwrap_or(&file.path).with_extension("");
    let parts: Vec<_> =
        below.iter().map(|part| part.to_string_lossy()).filter(|part| part != "__init__").collect();
    (dir, parts.join("."))
}

fn port(tree: &Tree, file: &File, hint: Option<&Hint>, dir: &Path) -> Option<Placed<u16>> {
    if let Some(port) = hint.and_then(|hint| hint.port.clone()) {
        return Some(port);
    }
    // What it is run with, else what it names; but not where its database is.
    let is_served = |(_, line): &(usize, &str)| RUN.in_line(line).is_some();
    let number = |(at, line): (usize, &str)| {
        let port = PORT.in_line(line)?.get(1)?.as_str().parse().ok()?;
        (port >= 1024 && ![3306, 5432, 5672, 6379, 27017].contains(&port)).then(|| (port, file.at(at)))
    };
    let lines = || file.text.lines().enumerate();
    let own = lines().filter(is_served).find_map(number).or_else(|| lines().find_map(number));
    let by_pid_file = || {
        tree.below(dir).find_map(|file| {
            let port = PORT_OF_PID_FILE.in_line(file.stem())?.get(1)?.as_str().parse().ok()?;
            Some((port, file.path.display().to_string()))
        })
    };
    own.or_else(by_pid_file)
}

fn django(tree: &Tree, file: &File) -> Option<Found> {
    let (place, _) = file.first(&DJANGO)?;
    let dir = file.folder().to_owned();
    let python = interpreter(tree, &dir);
    let command = [&python, "manage.py", "runserver", "--noreload", "127.0.0.1:8000"].map(str::to_owned);
    Some(Found {
        name: name(&dir, file, "web"),
        what: format!("Django in {place}"),
        command: command.to_vec(),
        port: Some((8000, "a guess: what Django uses".to_owned())),
        env_file: env_file(tree, &dir),
        sign: "manage.py".to_owned(),
        dir,
        ..Found::default()
    })
}

/// Every script that goes on by itself: a loop that sleeps, or a timetable.
pub fn workers(tree: &Tree, apps: &[Found]) -> Vec<Found> {
    let is_app =
        |file: &File| apps.iter().any(|app| app.what.contains(&format!(" in {}:", file.path.display())));
    let sources =
        tree.files.iter().filter(|file| file.is_one_of(&["py"]) && !is_launcher(file) && !is_app(file));
    sources.filter_map(|file| worker(tree, file)).collect()
}

fn worker(tree: &Tree, file: &File) -> Option<Found> {
    let (place, seconds) = rhythm(file)?;
    let is_at_top =
        file.lines_with(&LOOP).any(|(_, line)| line.get(1).is_some_and(|indent| indent.as_str().is_empty()));
    if file.first(&MAIN).is_none() && !is_at_top {
        return None;
    }
    let (dir, _) = home(tree, file);
    let script = below(file, &dir);
    let starter = tree.files.iter().filter(|other| other.path != file.path && !is_launcher(other));
    let started_by =
        starter.filter(|other| other.is_one_of(&["py"])).find_map(|other| starts(other, file.name()));
    Some(Found {
        name: file.stem().to_owned(),
        what: format!("a loop in {place}"),
        command: vec![interpreter(tree, &dir), script.clone()],
        rhythm: seconds.map(|seconds| (seconds, place)),
        window: window(file),
        env_file: env_file(tree, &dir),
        sign: script,
        started_by,
        dir,
        ..Found::default()
    })
}

/// Where it goes round, and after how many seconds if that is one number.
fn rhythm(file: &File) -> Option<(String, Option<u32>)> {
    if let Some((place, line)) = file.first(&TIMETABLE) {
        let unit = line.get(2).and_then(|unit| {
            [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400)]
                .into_iter()
                .find(|(name, _)| *name == unit.as_str())
        });
        let times: Option<u32> = line.get(1).map(|times| times.as_str().parse().unwrap_or(1));
        return Some((place, unit.zip(times).and_then(|((_, seconds), times)| times.checked_mul(seconds))));
    }
    let (place, _) = file.first(&LOOP)?;
    // The shortest is the round; the others are pauses between tries and outside of hours.
    let naps: Vec<Option<u32>> =
        file.lines_with(&SLEEP).map(|(_, line)| seconds(file, line.get(1)?.as_str())).collect();
    (!naps.is_empty()).then(|| (place, naps.into_iter().flatten().min().filter(|seconds| *seconds > 0)))
}

/// A number, or a constant of the file.
fn seconds(file: &File, word: &str) -> Option<u32> {
    word.parse().ok().or_else(|| {
        let named = file
            .text
            .lines()
            .find_map(|line| line.trim().strip_prefix(word)?.trim_start().strip_prefix('='))?;
        named.trim().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    })
}

fn window(file: &File) -> Option<Placed<&'static str>> {
    OPENS.iter().find_map(|(open, close, name)| {
        file.first(close)?;
        Some((*name, file.first(open)?.0))
    })
}

/// The place where a source starts a script.
fn starts(file: &File, script: &str) -> Option<String> {
    let (place, _) = file.first(&SPAWNS)?;
    let named = file
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(script) && !line.trim_start().starts_with('#'));
    let named: Vec<(usize, &str)> = named.collect();
    let direct = named.iter().find(|(_, line)| SPAWNS.in_line(line).is_some()).map(|(at, _)| file.at(*at));
    (!named.is_empty()).then(|| direct.unwrap_or(place))
}

/// What goes on within an application, or is started by it.
fn within(tree: &Tree, app: &File, dir: &Path) -> Vec<String> {
    let mut notes = Vec::new();
    for file in tree.below(dir).filter(|file| file.is_one_of(&["py"]) && !is_launcher(file)) {
        let is_imported = file.path == app.path || file.first(&MAIN).is_none();
        if let Some((place, _)) = file.first(&OWN_PROCESS).filter(|_| is_imported) {
            notes.push(format!("{place} starts a process of its own; it is stopped with this, tree and all"));
        } else if let Some((place, _)) = rhythm(file).filter(|_| is_imported)
            && file
                .lines_with(&LOOP)
                .all(|(_, line)| line.get(1).is_some_and(|indent| !indent.as_str().is_empty()))
        {
            let hours = window(file).map_or(String::new(), |(name, place)| {
                format!("; {place} has hours as `window = \"{name}\"`")
            });
            notes.push(format!(
                "{place} loops within this: with several workers (--workers) there would be several{hours}"
            ));
        }
    }
    notes
}

/// Of its folder, or of the script if that is the root.
fn name(dir: &Path, file: &File, plain: &str) -> String {
    let stem = file.stem();
    match dir.file_name() {
        Some(folder) if folder != "src" => folder.to_string_lossy().into_owned(),
        _ if ["main", "app", "server", "wsgi", "asgi", "manage", "__init__"].contains(&stem) => {
            plain.to_owned()
        }
        _ => stem.to_owned(),
    }
}

/// The Python of the virtual environment beside the program or above it; as the command says it from its folder.
pub fn interpreter(tree: &Tree, dir: &Path) -> String {
    for (up, folder) in dir.ancestors().enumerate() {
        for name in [".venv", "venv", "env"] {
            let python = Path::new(name).join("bin/python");
            if tree.has(&folder.join(&python)) {
                return format!("{}{}", "../".repeat(up), python.display());
            }
        }
    }
    "python3".to_owned()
}

fn env_file(tree: &Tree, dir: &Path) -> Option<PathBuf> {
    dir.ancestors().map(|folder| folder.join(".env")).find(|path| tree.has(path))
}
