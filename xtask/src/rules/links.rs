//! Links between our own pages lead somewhere. Links to other sites are not followed: that would need a network.

use crate::finding::{Finding, Rule};
use crate::tree::{File, Tree};

const RULE: Rule = Rule {
    why: "a link that leads nowhere ends a newcomer's reading",
    now: "correct the path (it is relative to the page), or write the page",
};

/// Every link in Markdown whose file is not there.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let pages = tree.files.iter().filter(|f| f.path.ends_with(".md"));
    pages.flat_map(|page| check_page(tree, page)).collect()
}

fn check_page(tree: &Tree, page: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (at, line) in page.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        for target in targets(&without_code(line)) {
            let file = target.split('#').next().unwrap_or_default();
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            let path = resolve(&page.path, file);
            if !is_elsewhere
                && !file.is_empty()
                && path.is_none_or(|path| !path.is_empty() && !tree.has(&path))
            {
                found.push(RULE.at(&page.path, at, format!("a link to {target}, which is not there")));
            }
        }
    }
    found
}

/// The line without its `inline code`.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join(" ")
}

/// `[text](target)`, `![text](target "title")` and `[text]: target`.
fn targets(line: &str) -> Vec<String> {
    let mut targets: Vec<String> = line
        .match_indices("](")
        .filter_map(|(at, _)| line[at + 2..].split([')', ' ']).next())
        .map(|target| target.trim_matches(['<', '>']).to_owned())
        .collect();
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        targets.extend(target.split_whitespace().next().map(str::to_owned));
    }
    targets
}

/// The path from the root; `None` if it leads out of the project.
fn resolve(page: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    if target.starts_with('/') {
        parts.clear();
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("README.md", "")])).len()
    }

    #[test]
    fn a_link_to_nothing_is_told() {
        for text in ["[a](c.md)", "![a](../docs/c.png)", "[a](../../out.md)", "[a](c.md#part)", "[a]: c.md"] {
            assert_eq!(count(text), 1, "{text}");
        }
    }

    #[test]
    fn a_link_that_leads_somewhere_is_not() {
        for text in [
            "[a](b.md)",
            "[a](../README.md#x)",
            "[a](#here)",
            "[a](https://x.org/c.md)",
            "`[a](c.md)`",
            "[a](../docs)",
            "[a](..)",
        ] {
            assert_eq!(count(text), 0, "{text}");
        }
        assert_eq!(count("```\n[a](c.md)\n```"), 0);
    }
}
