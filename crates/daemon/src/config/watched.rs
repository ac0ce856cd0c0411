//! Reads `watch` and `watch-ignore`: patterns of files in the project's folder, as in a .gitignore. The files themselves
//! are `crate::watch`'s matter.

use super::diagnostic::{Problems, quoted};
use super::instances::Site;
use super::tree::Value;
use crate::watch;

/// The patterns, each such as can be followed.
pub(super) fn patterns(value: &Value<'_>, site: Site<'_>, problems: &mut Problems<'_>) -> Vec<String> {
    let mut patterns = Vec::new();
    for (text, entry) in value.one_or_more(problems) {
        let pattern = site.fill(text);
        let (message, help) = if pattern.trim().is_empty() {
            ("an empty pattern matches nothing".to_owned(), format!("write it like `{}`", value.example))
        } else if pattern.starts_with(['/', '~']) || pattern.split('/').any(|part| part == "..") {
            let message = format!("{} leads out of the project's folder", quoted(&pattern));
            (message, format!("only files in {} are watched; begin with a folder in it", site.root.display()))
        } else if pattern.starts_with('!') {
            (
                format!("{} excludes", quoted(&pattern)),
                "name it in `watch-ignore`, without the `!`".to_owned(),
            )
        } else {
            match watch::pattern_fault(&pattern) {
                None => {
                    patterns.push(pattern);
                    continue;
                }
                Some(why) => (
                    format!("{} is not a pattern: {why}", quoted(&pattern)),
                    "patterns are those of a .gitignore: `app/**/*.py`, `*.html`, `templates`".to_owned(),
                ),
            }
        };
        problems.add(entry.span, message, help);
    }
    patterns
}
