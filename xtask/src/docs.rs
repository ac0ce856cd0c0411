//! The pages that are generated from code, so that they cannot be wrong: what they hold is in `docs/`, here they are
//! written and compared.

#[cfg(test)]
mod calm;
mod errors;
mod situations;
mod stage;
mod states;
mod unsafety;

use std::fs;
use std::io;
use std::path::Path;

use crate::tree::Tree;

/// Path and text of every generated page.
///
/// # Errors
/// If the project cannot be read.
pub fn pages(root: &Path) -> io::Result<[(&'static str, String); 3]> {
    let unsafety = unsafety::page(&Tree::read(root)?);
    Ok([("docs/errors.md", errors::page()), ("docs/states.md", states::page()), ("docs/unsafe.md", unsafety)])
}

/// Writes them; gives their paths.
///
/// # Errors
/// If a page cannot be written.
pub fn write(root: &Path) -> io::Result<Vec<&'static str>> {
    fs::create_dir_all(root.join("docs"))?;
    let pages = pages(root)?;
    for (path, text) in &pages {
        fs::write(root.join(path), text)?;
    }
    Ok(pages.iter().map(|(path, _)| *path).collect())
}

/// Says which of them are not as the code is now: the first line that differs, and what to do.
///
/// # Errors
/// If a page is there and cannot be read.
pub fn stale(root: &Path) -> io::Result<Vec<String>> {
    let mut stale = Vec::new();
    for (path, text) in pages(root)? {
        let written = match fs::read_to_string(root.join(path)) {
            Ok(written) => written,
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e),
        };
        stale.extend(difference(&written, &text).map(|(line, is, should)| {
            format!(
                "{path}:{line}: `{is}` should be `{should}`\n    why: the page is generated from code, and the code has changed\n    \
                 now: cargo run -p xtask -- docs, and look at the difference: is it what you meant?"
            )
        }));
    }
    Ok(stale)
}

/// The first line that differs, from 1, and both texts of it.
fn difference<'a>(written: &'a str, generated: &'a str) -> Option<(usize, &'a str, &'a str)> {
    if written == generated {
        return None;
    }
    let (mut is, mut should) = (written.lines(), generated.lines());
    (1..).find_map(|line| match (is.next(), should.next()) {
        (None, None) => Some((line, "", "")),
        (a, b) if a != b => Some((line, a.unwrap_or_default(), b.unwrap_or_default())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nb\n", "a\nc\n"), Some((2, "b", "c")));
        assert_eq!(difference("", "a\n"), Some((1, "", "a")));
        assert_eq!(difference("a", "a\n"), Some((2, "", "")));
    }
}
