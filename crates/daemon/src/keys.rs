//! Keys that were added to keyed services, or taken from them, at run time: a file beside the ledger, read with every
//! soloist.toml. It outlives daemon and machine.

use std::collections::BTreeMap;
use std::io;

use soloist_api::error::{Code, Problem};
use soloist_os::layout::{Layout, named};
use soloist_os::record::replace;

use crate::config::{Changes, Config, ConfigError, KeyChanges, is_name};

/// What was changed, by the name of the service.
type Keys = BTreeMap<String, KeyChanges>;

/// The project's configuration as it is now: its file, and what was changed since.
///
/// # Errors
/// A faulty soloist.toml, or a file of changes that is not readable.
pub fn config(layout: &Layout) -> Result<Config, ConfigError> {
    match read(layout) {
        Ok(keys) => Config::load_with(&layout.root, &Changes { keys, ..Changes::default() }),
        Err(e) => Err(ConfigError::unreadable(&layout.keys(), &e)),
    }
}

/// The same; a project without a soloist.toml declares nothing.
pub fn config_or_empty(layout: &Layout) -> Result<Config, Problem> {
    match config(layout) {
        Ok(config) => Ok(config),
        Err(e) if e.is_missing() => Ok(Config::empty(&layout.root)),
        Err(e) => Err(Problem::new(Code::BadConfig, e.to_string())),
    }
}

/// Adds keys to a service and takes keys from it, and writes that down. What is refused leaves everything as it was.
///
/// # Errors
/// The service is not keyed, a key cannot be one or is there (not there) already, or the configuration would be faulty.
pub fn change(layout: &Layout, service: &str, add: &[String], remove: &[String]) -> Result<Config, Problem> {
    let now = config_or_empty(layout)?;
    let mut changes = read(layout)?;
    let keys: Vec<&str> =
        now.declared.iter().filter(|d| d.service == service).filter_map(|d| d.key.as_deref()).collect();
    if keys.is_empty() && !changes.contains_key(service) {
        let known = now.declared.iter().any(|d| d.service == service);
        let (code, what) = match known {
            true => (Code::Usage, format!("{service} is not keyed: soloist.toml gives it no `instances`")),
            false => (Code::UnknownService, format!("no service or job is called `{service}` here")),
        };
        return Err(Problem::new(code, what)
            .hint(format!("write `instances = [\"one\"]` under [services.{service}]")));
    }
    let change = changes.entry(service.to_owned()).or_default();
    for key in add {
        is_name(key).map_err(|why| Problem::new(Code::Usage, format!("`{key}` cannot be a key: {why}")))?;
        change.removed.retain(|known| known != key);
        if !keys.contains(&key.as_str()) && !change.added.contains(key) {
            change.added.push(key.clone());
        }
    }
    for key in remove {
        if !keys.contains(&key.as_str()) {
            let what = format!("{service} has no instance `{key}`");
            return Err(Problem::new(Code::UnknownService, what).hint(format!("it has: {}", keys.join(", "))));
        }
        change.added.retain(|known| known != key);
        if !change.removed.contains(key) {
            change.removed.push(key.clone());
        }
    }
    let now = Changes { keys: changes.clone(), ..Changes::default() };
    let config =
        Config::load_with(&layout.root, &now).map_err(|e| Problem::new(Code::BadConfig, e.to_string()))?;
    let bytes = serde_json::to_vec_pretty(&changes).map_err(io::Error::other)?;
    replace(&layout.keys(), &bytes)?;
    Ok(config)
}

fn read(layout: &Layout) -> io::Result<Keys> {
    let path = layout.keys();
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| {
            let e = io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{e}; remove it to go by soloist.toml alone"),
            );
            named(e, "cannot understand", &path)
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Keys::new()),
        Err(e) => Err(named(e, "cannot read", &path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> (tempfile::TempDir, Layout) {
        let folder = tempfile::tempdir().unwrap();
        let text = "[services.s]\ncommand = [\"true\"]\ninstances = [\"a\", \"b\"]\n[services.plain]\ncommand = [\"true\"]\n";
        std::fs::write(folder.path().join("soloist.toml"), text).unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        layout.make().unwrap();
        (folder, layout)
    }

    fn names(config: &Config) -> Vec<&str> {
        config.declared.iter().map(|d| d.name.as_str()).collect()
    }

    fn of(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn keys_come_and_go_and_stay_so() {
        let (_folder, layout) = project();
        change(&layout, "s", &of(&["c"]), &of(&["a"])).unwrap();
        assert_eq!(names(&config(&layout).unwrap()), ["s@b", "s@c", "plain"]);
        change(&layout, "s", &of(&["a"]), &of(&["c"])).unwrap();
        assert_eq!(names(&config(&layout).unwrap()), ["s@a", "s@b", "plain"]);
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let (_folder, layout) = project();
        for (service, add, remove, code) in [
            ("s", &["a b"][..], &[][..], Code::Usage),
            ("s", &[], &["nobody"], Code::UnknownService),
            ("plain", &["a"], &[], Code::Usage),
            ("ghost", &["a"], &[], Code::UnknownService),
        ] {
            assert_eq!(change(&layout, service, &of(add), &of(remove)).unwrap_err().code, code, "{service}");
        }
        assert!(!layout.keys().exists());
        assert_eq!(names(&config(&layout).unwrap()), ["s@a", "s@b", "plain"]);
    }

    #[test]
    fn a_file_that_is_not_understood_is_named_with_what_to_do() {
        let (_folder, layout) = project();
        std::fs::write(layout.keys(), "{").unwrap();
        let said = config(&layout).unwrap_err().to_string();
        assert!(said.contains("keys.json") && said.contains("remove it"), "{said}");
    }
}
