//! Names that hide the noun nobody found yet are not used: of folders, files, modules and types.

use crate::finding::{Finding, Rule};
use crate::source::is_word;
use crate::tree::Tree;

const RULE: Rule = Rule {
    why: "such a name fits everything, so everything ends up behind it and nobody finds anything",
    now: "name it for what it is: what does it hold, what does it decide, what would a user call it?",
};

const BANNED: [&str; 6] = ["manager", "handler", "helper", "util", "common", "misc"];
const KEYWORDS: [&str; 6] = ["mod", "struct", "enum", "trait", "type", "union"];

/// Every such name.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &tree.files {
        for part in file.path.split(['/', '.']) {
            if let Some(word) = banned(part) {
                found.push(RULE.at(&file.path, 0, format!("a path with `{word}` in it")));
            }
        }
    }
    for (file, source) in tree.rust("") {
        for keyword in KEYWORDS {
            for (at, _, after) in source.words(keyword) {
                let name: String = after.trim_start().chars().take_while(|c| is_word(*c)).collect();
                if let Some(word) = banned(&name) {
                    found.push(RULE.at(&file.path, at, format!("{keyword} {name} has `{word}` in it")));
                }
            }
        }
    }
    found
}

/// The banned word in a name: `PortManager`, `log_utils`, `handlers`.
fn banned(name: &str) -> Option<&'static str> {
    let mut words = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && was_lower) {
            words.push(' ');
        }
        was_lower = c.is_lowercase();
        words.extend(c.to_lowercase());
    }
    let is_it = |word: &str, banned: &str| word == banned || word.strip_suffix('s') == Some(banned);
    let parts: Vec<&str> = words.split(|c: char| !c.is_alphanumeric()).collect();
    BANNED.into_iter().find(|banned| parts.iter().any(|word| is_it(word, banned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_modules_and_types_are_told() {
        for (path, text) in [
            ("crates/os/src/port_utils.rs", ""),
            ("crates/common/src/lib.rs", ""),
            ("docs/misc.md", ""),
            ("a.rs", "pub struct PortManager;"),
            ("a.rs", "mod helpers {}"),
            ("a.rs", "trait EventHandler {}"),
        ] {
            assert_eq!(check(&Tree::of(&[(path, text)])).len(), 1, "{path} {text}");
        }
    }

    #[test]
    fn what_only_sounds_like_it_is_not() {
        let text = "struct Handle; mod utility_room; enum Commonly {} let handler = 1; // struct Helper";
        assert!(check(&Tree::of(&[("crates/os/src/linux/handle.rs", text)])).is_empty());
    }
}
