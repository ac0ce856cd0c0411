//! Text that must fit: cut to columns, or wrapped at its words. Widths are counted in characters.

/// The text in at most so many columns; what was cut off shows as `…`. Colours (ECMA-48 SGR) take no column and end with it.
pub fn cut(text: &str, width: usize) -> String {
    let (mut is_colour, mut columns, mut before_last) = (false, 0, None);
    for (at, c) in text.char_indices() {
        if c == '\x1b' || is_colour {
            is_colour = c != 'm';
            continue;
        }
        columns += 1;
        if columns == width {
            before_last = Some(at);
        }
    }
    match before_last {
        _ if columns <= width => text.to_owned(),
        None => String::new(),
        Some(end) => {
            let has_colour = text[..end].contains('\x1b');
            format!("{}…{}", &text[..end], if has_colour { "\x1b[0m" } else { "" })
        }
    }
}

/// The text in lines of at most so many columns, broken between words; a longer word stays whole. Control characters of
/// whoever wrote it become spaces.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        let columns = lines.last().map_or(0, |line| line.chars().count());
        if columns > 0 && columns + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        assert_eq!([cut("abc", 3), cut("abcd", 3), cut("ab", 1), cut("ab", 0)], ["abc", "ab…", "…", ""]);
        assert_eq!(cut("\x1b[32mready\x1b[0m", 5), "\x1b[32mready\x1b[0m");
        assert_eq!(cut("\x1b[32mready\x1b[0m now", 4), "\x1b[32mrea…\x1b[0m");
    }

    #[test]
    fn words_are_kept_whole_when_text_is_wrapped() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("a\tb\x1bc", 80), ["a b c"]);
        assert_eq!(wrap("unbreakable a", 3), ["unbreakable", "a"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
