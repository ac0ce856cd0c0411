//! What Cargo.lock may hold: crates of the registry only, none that deny.toml forbids, and one version of those that are
//! dear or keep state. Read without a network; what only cargo-deny knows (known holes) it does not say.

use toml::{Table, Value};

use crate::finding::{Finding, Rule};
use crate::tree::Tree;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Two of them would be two runtimes, two sets of types that do not fit, or twice much unsafe code.
const ONCE: [&str; 11] =
    ["axum", "bytes", "http", "hyper", "jiff", "libc", "rusqlite", "rustix", "rustls", "serde", "tokio"];

const SOURCE: Rule = Rule {
    why: "what was read and tested is what is built: a branch or a mirror can change without a new version",
    now: "take a version of the crate from crates.io",
};
const DENIED: Rule = Rule {
    why: "deny.toml says why, beside its name",
    now: "take what deny.toml names instead, or find out who brings it: `cargo tree -i CRATE`",
};
const TWICE: Rule = Rule {
    why: "two versions of it do not understand each other, and both are to be looked after",
    now: "have all of ours ask for one; `cargo tree -d` shows who asks for which",
};

/// Packages that may not be there.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let text = |path: &str| tree.files.iter().find(|file| file.path == path).map_or("", |file| &file.text);
    let lock: Table = text("Cargo.lock").parse().unwrap_or_default();
    let rules: Table = text("deny.toml").parse().unwrap_or_default();
    let denied: Vec<&str> = list(rules.get("bans").and_then(|bans| bans.get("deny")), "crate").collect();
    let packages = lock.get("package").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let names: Vec<&str> = list(lock.get("package"), "name").collect();
    let mut found = Vec::new();
    for package in packages {
        let get = |key: &str| package.get(key).and_then(Value::as_str);
        let name = get("name").unwrap_or_default();
        let mut tell = |rule: &Rule, what: String| {
            found.push(rule.at("Cargo.lock", line(text("Cargo.lock"), name), what))
        };
        // Without a source it is one of ours.
        if get("source").is_some_and(|source| source != REGISTRY || get("checksum").is_none()) {
            tell(&SOURCE, format!("{name} comes from {}", get("source").unwrap_or_default()));
        }
        if denied.contains(&name) {
            tell(&DENIED, name.to_owned());
        }
        if ONCE.contains(&name) && names.iter().filter(|other| **other == name).count() > 1 {
            tell(&TWICE, format!("{name} {} beside another", get("version").unwrap_or_default()));
        }
    }
    found
}

fn list<'a>(of: Option<&'a Value>, key: &'a str) -> impl Iterator<Item = &'a str> {
    of.and_then(Value::as_array).into_iter().flatten().filter_map(move |one| one.get(key)?.as_str())
}

fn line(text: &str, name: &str) -> usize {
    text.lines().position(|line| line == format!("name = \"{name}\"")).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "[bans]\ndeny = [{ crate = \"chrono\", reason = \"\" }]\n";

    fn count(packages: &[(&str, &str, &str)]) -> usize {
        let lock: String = packages
            .iter()
            .map(|(name, version, rest)| {
                format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{rest}\n")
            })
            .collect();
        check(&Tree::of(&[("Cargo.lock", &lock), ("deny.toml", DENY)])).len()
    }

    #[test]
    fn what_is_not_of_the_registry_or_not_wanted_or_there_twice_is_told() {
        let good = format!("source = \"{REGISTRY}\"\nchecksum = \"00\"");
        assert_eq!(
            count(&[("soloist-core", "0.1.0", ""), ("serde", "1.0.1", &good), ("syn", "1.0.0", &good)]),
            0
        );
        assert_eq!(count(&[("serde", "1.0.1", &format!("source = \"{REGISTRY}\""))]), 1, "no checksum");
        assert_eq!(count(&[("serde", "1.0.1", "source = \"git+https://github.com/serde-rs/serde#00\"")]), 1);
        assert_eq!(count(&[("chrono", "0.4.0", &good)]), 1);
        assert_eq!(count(&[("tokio", "1.0.0", &good), ("tokio", "2.0.0", &good)]), 2);
        assert_eq!(count(&[("syn", "1.0.0", &good), ("syn", "2.0.0", &good)]), 0, "only those of the list");
    }
}
