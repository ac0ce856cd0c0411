//! Unsafe code: only in crates/os, and every block with the reason why it is sound.

use crate::finding::{Finding, Rule};
use crate::source::Source;
use crate::tree::Tree;

const PLACE: Rule = Rule {
    why: "what the compiler does not check is checked by readers, and they must know where to look: one crate",
    now: "use a safe function of crates/os, or add one there",
};
const REASON: Rule = Rule {
    why: "whoever changes the code around a block must know what the block relies on",
    now: "write `// SAFETY:` right above it: what is relied on, and why it holds (an unsafe function: `# Safety` or the same)",
};

/// Blocks and functions in the wrong place or without a reason.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, source) in tree.rust("") {
        for (at, _, after) in source.words("unsafe") {
            if !file.path.starts_with("crates/os/") {
                found.push(PLACE.at(&file.path, at, "unsafe code"));
            } else if !has_reason(&source, at, after) {
                found.push(REASON.at(&file.path, at, "unsafe code without a reason"));
            }
        }
    }
    found
}

/// A comment with a reason right above, where attributes and the head of a statement that was broken over lines may stand
/// between. An unsafe function whose body is one block with a reason has given it.
fn has_reason(source: &Source, at: usize, after: &str) -> bool {
    if after.trim_start().starts_with("fn") {
        return is_reason_above(source, at)
            || source.lines.iter().skip(at + 1).take(2).any(|line| is_reason(line));
    }
    is_reason_above(source, at)
}

fn is_reason_above(source: &Source, at: usize) -> bool {
    let mut heads = 0;
    for line in source.lines[..at].iter().rev() {
        let text = line.trim();
        if is_reason(text) {
            return true;
        }
        let is_comment = text.starts_with("//");
        if !is_comment && !text.starts_with("#[") {
            heads += 1;
            let is_end = text.is_empty() || text.ends_with([';', '{', '}']);
            if is_end || heads > 2 {
                return false;
            }
        }
    }
    false
}

fn is_reason(line: &str) -> bool {
    let text = line.trim();
    text.starts_with("// SAFETY:") || text.starts_with("/// # Safety")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn unsafe_code_elsewhere_is_told_even_with_a_reason() {
        assert_eq!(count("crates/core/src/x.rs", "// SAFETY: none\nunsafe { f() }"), 1);
        assert_eq!(count("crates/core/src/x.rs", "// unsafe\n#[allow(unsafe_code)]"), 0);
    }

    #[test]
    fn a_block_or_a_function_without_a_reason_is_told() {
        let os = "crates/os/src/x.rs";
        assert_eq!(
            count(os, "fn a() {\n    // SAFETY: so\n    let a = unsafe { f() };\n    unsafe { g() };\n}"),
            1
        );
        assert_eq!(count(os, "unsafe fn a() {\n    g();\n}"), 1);
        assert_eq!(count(os, "// SAFETY: so\nlet a =\n    unsafe { f() };"), 0);
        assert_eq!(count(os, "// SAFETY: so,\n// and so\n#[allow(unsafe_code)]\nunsafe { f() }"), 0);
        assert_eq!(count(os, "unsafe fn a() {\n    // SAFETY: so\n    unsafe { g() }\n}"), 0);
    }
}
