//! The project's rules as an ordinary test: whoever runs the tests has run them, without knowing of them.

use xtask::tree::Tree;
use xtask::{docs, root, rules};

#[test]
fn the_project_is_tidy() {
    let tree = Tree::read(&root()).expect("the project can be read");
    assert!(tree.files.len() > 100, "only {} files were found below {}", tree.files.len(), root().display());
    let findings: Vec<String> = rules::check(&tree).iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{} things are not tidy:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn the_generated_pages_are_fresh() {
    let stale = docs::stale(&root()).expect("the pages can be read");
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}
