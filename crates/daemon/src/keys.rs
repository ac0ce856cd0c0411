//! Keys that are added to keyed services, or taken from them, at run time. They are kept in a file of their own, which
//! `changes.rs` reads.

use soloist_api::error::{Code, Problem};
use soloist_os::layout::Layout;

use crate::changes;
use crate::config::{Config, is_name};

/// Adds keys to a service and takes keys from it, and writes that down. What is refused leaves everything as it was.
///
/// # Errors
/// The service is not keyed, a key cannot be one or is there (not there) already, or the configuration would be faulty.
pub fn change(layout: &Layout, service: &str, add: &[String], remove: &[String]) -> Result<Config, Problem> {
    let now = changes::config_or_empty(layout)?;
    let mut changed = changes::read(layout).map_err(|e| changes::bad(&e))?;
    let keys: Vec<&str> =
        now.declared.iter().filter(|d| d.service == service).filter_map(|d| d.key.as_deref()).collect();
    if keys.is_empty() && !changed.keys.contains_key(service) {
        let known = now.declared.iter().any(|d| d.service == service);
        let (code, what) = match known {
            true => (Code::Usage, format!("{service} is not keyed: soloist.toml gives it no `instances`")),
            false => (Code::UnknownService, format!("no service or job is called `{service}` here")),
        };
        return Err(Problem::new(code, what)
            .hint(format!("write `instances = [\"one\"]` under [services.{service}]")));
    }
    let change = changed.keys.entry(service.to_owned()).or_default();
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
    changes::keep(layout, &changed, &layout.keys(), &changed.keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::config;

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
}
