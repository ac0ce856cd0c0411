//! How what was found is written down: as `soloist.toml` with its reasons, and as lines for people.

use super::Found;

/// The file.
pub fn render(found: &[Found], replaced: &[String]) -> String {
    let mut text = String::from(
        "# Written by `soloist init` from what lies in this folder; each part says where that was read. Correct what is\n\
         # wrong, then: soloist up -d. All keys: docs/soloist.toml.md of soloist.\n",
    );
    if found.is_empty() {
        text += "\n# Nothing was found that looks like a server or a worker. A service is declared like this:\n#\n\
                 # [services.api]\n# command = \"python3 server.py\"\n# port = 8001\n";
    }
    for one in found {
        text += "\n";
        text += &section(one);
    }
    if !replaced.is_empty() {
        text += "\n# Not needed any more, as soloist keeps each to one and ends it with all that it started\n\
                 # (`soloist start`, `stop`, `restart`, `cleanup`):\n";
        text.extend(replaced.iter().map(|path| comment(path)));
    }
    text
}

fn section(one: &Found) -> String {
    let mut text = comment(&one.what);
    text.extend(one.notes.iter().map(|note| comment(note)));
    let mut lines =
        vec![format!("[services.{}]", key(&one.name)), format!("command = {}", list(&one.command))];
    if !one.dir.as_os_str().is_empty() {
        lines.push(format!("dir = {}", quoted(&one.dir.display().to_string())));
    }
    match &one.port {
        // A container's port is held by the container's own keeper, so its tree never listens there.
        Some((port, place)) if one.is_container => {
            lines.push(with_place(&format!("readiness = {{ tcp = {port}, period-seconds = 1 }}"), place))
        }
        Some((port, place)) => lines.push(with_place(&format!("port = {port}"), place)),
        None => {}
    }
    if let Some((path, place)) = &one.health {
        lines.push(with_place(&format!("readiness = {{ http = {} }}", quoted(path)), place));
    }
    if let Some(path) = &one.env_file {
        lines.push(format!("env-file = {}", quoted(&path.display().to_string())));
    }
    if !one.needs.is_empty() {
        lines.push(format!("depends-on = {}", list(&one.needs)));
    }
    if one.rhythm.is_some() {
        lines.push("restart = \"always\"  # it should never end".to_owned());
    }
    if let Some((window, place)) = &one.window {
        lines.push(with_place(
            &format!("# window = {}", quoted(window)),
            &format!("up only while it is open; {place} looks itself"),
        ));
    }
    if let Some(place) = &one.started_by {
        text += &comment(&format!(
            "{place} starts it too: take that out there and the # away here, else there would be two"
        ));
        text.extend(lines.iter().map(|line| format!("# {line}\n")));
    } else {
        text.extend(lines.iter().map(|line| format!("{line}\n")));
    }
    text + &alternative(one)
}

/// A loop without its loop.
fn alternative(one: &Found) -> String {
    let Some((seconds, place)) = &one.rhythm else { return String::new() };
    let every = match seconds {
        seconds if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    };
    let mut lines = vec![
        format!("Or, without the loop of {place}, a process for each round, never two at once:"),
        format!("[jobs.{}]", key(&one.name)),
        format!("command = {}", list(&one.command)),
    ];
    if !one.dir.as_os_str().is_empty() {
        lines.push(format!("dir = {}", quoted(&one.dir.display().to_string())));
    }
    lines.push(format!("every = \"{every}\""));
    lines.extend(one.window.iter().map(|(window, _)| format!("window = {}", quoted(window))));
    lines.iter().map(|line| comment(line)).collect()
}

/// One of those that are declared, for people.
pub fn told(one: &Found) -> String {
    let port = one.port.as_ref().map_or(String::new(), |(port, place)| format!(", port {port} ({place})"));
    format!("{}: {}{port}", one.name, one.what)
}

/// What is to be done before it can be used.
pub fn remark(one: &Found) -> Option<String> {
    let place = one.started_by.as_ref()?;
    Some(format!(
        "{} is written down as a remark: {place} starts it too, and soloist would be the second to do so",
        one.name
    ))
}

fn with_place(line: &str, place: &str) -> String {
    format!("{line}  {}", comment(place).trim_end())
}

/// A remark on a line of its own; a file's name can have any character.
fn comment(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("# {plain}\n")
}

fn key(name: &str) -> String {
    if name.contains('.') { quoted(name) } else { name.to_owned() }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(", "))
}
