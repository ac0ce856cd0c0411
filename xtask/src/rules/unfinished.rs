//! Nothing unfinished, nothing switched off, nothing that ends processes by a broad name, and one layout of modules.

use crate::finding::{Finding, Rule};
use crate::tree::{File, Tree};

const UNFINISHED: Rule = Rule {
    why: "what is not done fails in front of a user, and a test that is switched off is believed to pass",
    now: "finish it, or take it out; what is missing is written into the docs, where it is read",
};
const BROAD: Rule = Rule {
    why: "a name matches processes of other projects and other people; this is the very habit soloist replaces",
    now: "end what you started, by its process id",
};
const LAYOUT: Rule = Rule {
    why: "ten open files called mod.rs look alike",
    now: "name it for what it is: name.rs beside the folder name/",
};

const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Everything of that kind.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.rust("") {
        if file.path.ends_with("/mod.rs") {
            found.push(LAYOUT.at(&file.path, 0, "a mod.rs"));
        }
        for name in MACROS {
            for (at, _, _) in source.words(name).filter(|(_, _, after)| after.starts_with('!')) {
                found.push(UNFINISHED.at(&file.path, at, format!("{name}!")));
            }
        }
        for (at, before, _) in source.words("ignore") {
            if before.ends_with("#[") {
                found.push(UNFINISHED.at(&file.path, at, "a test that is ignored"));
            }
        }
    }
    // Put together here, so that this file does not find itself.
    let fix_me = ["FIX", "ME"].concat();
    let broad = [["pk", "ill"].concat(), ["kill", "all"].concat()];
    for file in tree.files.iter().filter(|f| is_code(f)) {
        for (at, line) in file.text.lines().enumerate() {
            if line.contains(&fix_me) {
                found.push(UNFINISHED.at(&file.path, at, fix_me.clone()));
            }
            for word in broad.iter().filter(|word| line.contains(word.as_str())) {
                found.push(BROAD.at(&file.path, at, word.clone()));
            }
        }
    }
    found
}

/// Sources and scripts; prose may name what it warns of.
fn is_code(file: &File) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let ends = ["rs", "toml", "sh", "py", "js", "mjs", "ts", "html", "css", "yml", "yaml"];
    name.rsplit_once('.').map_or(file.text.starts_with("#!"), |(_, end)| ends.contains(&end))
        || name == "justfile"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn everything_unfinished_is_told() {
        for text in ["todo!()", "unimplemented!(\"x\")", "dbg!(a)", "#[ignore]", "#[ignore = \"slow\"]"] {
            assert_eq!(count("a.rs", text), 1, "{text}");
        }
        assert_eq!(count("a.rs", &format!("// {}{}: later", "FIX", "ME")), 1);
        assert_eq!(count("crates/a/src/b/mod.rs", ""), 1);
        assert_eq!(count("a.rs", "// todo!()\nlet a = \"dbg!\"; fn ignore() {}"), 0);
    }

    #[test]
    fn a_broad_name_in_a_script_or_a_string_is_told_and_in_prose_not() {
        let text = format!("{}{} -f uvicorn", "pk", "ill");
        assert_eq!(count("a.rs", &format!("run(\"{text}\")")), 1);
        assert_eq!(count("stop.sh", &text), 1);
        assert_eq!(count(".ci/run", &format!("#!/bin/bash\n{text}")), 1);
        assert_eq!(count("README.md", &text), 0);
    }
}
