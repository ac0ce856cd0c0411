//! The rooms: which crate may build on which. Read from each Cargo.toml, tests' dependencies included; a crate that is not
//! in the table has no room yet.

use crate::finding::{Finding, Rule};
use crate::tree::{File, Tree};

const RULE: Rule = Rule {
    why: "leaves (core os lease api) do not know each other and only daemon joins them, so that each can be read, tested \
          and replaced alone; core has no dependency at all, so that it can only decide",
    now: "move the code to the room that may do both (daemon), or let the caller hand in what is needed; a new crate \
          gets a line in xtask/src/rules/rooms.rs",
};

/// Each room, and the crates of this project it may build on.
const ROOMS: [(&str, &[&str]); 13] = [
    ("crates/core", &[]),
    ("crates/os", &[]),
    ("crates/lease", &[]),
    ("crates/api", &[]),
    // Of e2e its tests alone have something: the installed programs, and the loud skip where there are none.
    ("crates/daemon", &["soloist-core", "soloist-os", "soloist-lease", "soloist-api", "e2e"]),
    ("crates/cli", &["soloist-api", "soloist-daemon"]),
    // A world around the core; what it shows must not lean on what it doubts.
    ("crates/sim", &["soloist-core"]),
    // The workload is a stranger: it may only speak to us as every other program can.
    ("apps/market", &["soloist-api"]),
    // Real programs over their real doors: they see the shapes and nothing else.
    ("e2e", &["soloist-api"]),
    ("bench", &["soloist-api"]),
    // Feeds every reader, wherever it is.
    ("fuzz", &["soloist-core", "soloist-os", "soloist-api", "soloist-daemon", "market"]),
    ("fuzz/libfuzzer", &["fuzz"]),
    // Reads the tables that it turns into pages.
    ("xtask", &["soloist-core", "soloist-api"]),
];

/// Every edge that the table does not have.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.files.iter().filter(|f| f.path.ends_with("/Cargo.toml"));
    manifests.flat_map(check_one).collect()
}

fn check_one(file: &File) -> Vec<Finding> {
    let folder = file.path.trim_end_matches("/Cargo.toml");
    let table: toml::Table = match file.text.parse() {
        Ok(table) => table,
        Err(e) => return vec![RULE.at(&file.path, 0, format!("is no TOML: {}", e.to_string().trim()))],
    };
    let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == folder) else {
        return vec![RULE.at(&file.path, 0, format!("{folder} has no room"))];
    };
    let mut found = Vec::new();
    for (key, package) in edges(&table) {
        let at = file.text.lines().position(|l| l.trim_start().starts_with(&key)).unwrap_or(0);
        let is_ours = package.starts_with("soloist")
            || ["market", "e2e", "bench", "fuzz", "xtask", "sim"].contains(&package.as_str());
        if is_ours && !allowed.contains(&package.as_str()) {
            found.push(RULE.at(&file.path, at, format!("{folder} builds on {package}")));
        } else if folder == "crates/core" {
            found.push(RULE.at(&file.path, at, format!("core builds on {package}")));
        }
    }
    found
}

/// The dependencies of every kind and platform: the key in the file, and the package behind it.
fn edges(table: &toml::Table) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (key, value) in table.get(kind).and_then(toml::Value::as_table).into_iter().flatten() {
            let renamed = value.get("package").and_then(toml::Value::as_str);
            found.push((key.clone(), renamed.unwrap_or(key).to_owned()));
        }
    }
    let platforms = table.get("target").and_then(toml::Value::as_table);
    for (_, platform) in platforms.into_iter().flatten() {
        found.extend(platform.as_table().map(edges).unwrap_or_default());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|f| format!("{}: {}", f.line, f.what)).collect()
    }

    #[test]
    fn a_leaf_that_builds_on_a_leaf_is_told() {
        let text = "[dependencies]\nserde = \"1\"\nsoloist-core.workspace = true\n";
        assert_eq!(told("crates/os/Cargo.toml", text), ["3: crates/os builds on soloist-core"]);
        assert!(told("crates/daemon/Cargo.toml", text).is_empty());
    }

    #[test]
    fn a_test_a_platform_or_another_name_is_no_way_around() {
        for text in [
            "[dev-dependencies]\nsim = { path = \"../sim\" }",
            "[dev-dependencies]\nsoloist-os.workspace = true",
            "[target.'cfg(unix)'.dependencies]\nsoloist-os.workspace = true",
            "[dependencies]\nother = { package = \"soloist-os\", path = \"../os\" }",
        ] {
            assert_eq!(told("crates/cli/Cargo.toml", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn core_may_have_nothing_and_an_unknown_crate_no_room() {
        assert_eq!(told("crates/core/Cargo.toml", "[dependencies]\nlog = \"1\""), ["2: core builds on log"]);
        assert_eq!(told("crates/new/Cargo.toml", ""), ["1: crates/new has no room"]);
        assert_eq!(told("crates/api/Cargo.toml", "[[").len(), 1);
    }
}
