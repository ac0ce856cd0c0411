//! Splits a command written as one string into a program and its arguments.
//! Finds what only a shell would do, so that nobody waits for it in vain. It runs nothing and looks for no
//! program; commands written as lists need none of this.

use std::ops::Range;

/// Shells that are often handed a script, in which signs of the shell are in their place.
const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ksh", "ash", "fish"];

/// Why a string is no command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing but blanks and comments.
    Empty,
    /// A quote that is not closed, and where it opens.
    OpenQuote(usize),
    /// Something only a shell would act on.
    Shell(Range<usize>, Sign),
}

/// What a shell would make of a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// `&&`, `|`, `>`, `;` and their like.
    Operator,
    /// `$NAME`, `$(…)` and backticks.
    Expansion,
    /// `~` for the home folder.
    Home,
    /// `NAME=value` before the program.
    Assignment,
}

/// The words of a command.
pub(super) fn split(text: &str) -> Result<Vec<String>, Fault> {
    let scan = scan(text);
    if let Some(opens) = scan.open_quote {
        return Err(Fault::OpenQuote(opens));
    }
    let words = shell_words::split(text).map_err(|_| Fault::OpenQuote(0))?;
    let Some(program) = words.first() else { return Err(Fault::Empty) };
    // A shell would expand what stands in double quotes; a script for a shell is expanded by that one.
    let name = program.rsplit('/').next().unwrap_or(program);
    let is_for_shell = SHELLS.contains(&name);
    match scan.signs.into_iter().find(|sign| !(sign.in_quotes && is_for_shell)) {
        Some(Found { place, sign, .. }) => Err(Fault::Shell(place, sign)),
        None => Ok(words),
    }
}

struct Scan {
    signs: Vec<Found>,
    open_quote: Option<usize>,
}

struct Found {
    place: Range<usize>,
    sign: Sign,
    in_quotes: bool,
}

/// Reads the text by the same rules as the splitter does, which keeps no positions.
fn scan(text: &str) -> Scan {
    let mut signs = Vec::new();
    let mut quote: Option<(usize, char)> = None;
    let mut is_word_start = true;
    let mut has_program = false;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let rest = &text[at..];
        // A line goes on behind a backslash, and so does the blank or the word before it.
        if quote.is_none() && letter == '\\' && letters.next_if(|(_, next)| *next == '\n').is_some() {
            continue;
        }
        if is_word_start && quote.is_none() && !letter.is_whitespace() {
            if letter == '#' {
                while letters.next_if(|(_, letter)| *letter != '\n').is_some() {}
                continue;
            }
            if letter == '~'
                && rest[1..].chars().next().is_none_or(|next| next == '/' || next.is_whitespace())
            {
                signs.push(Found { place: at..at + 1, sign: Sign::Home, in_quotes: false });
            }
            if let Some(length) = assignment(rest).filter(|_| !has_program) {
                signs.push(Found { place: at..at + length, sign: Sign::Assignment, in_quotes: false });
            }
            has_program = true;
        }
        let in_quotes = quote.is_some();
        match (quote, letter) {
            (Some((_, '\'')), '\'') | (Some((_, '"')), '"') => quote = None,
            (Some((_, '\'')), _) => {}
            (_, '\\') => {
                letters.next();
            }
            (None, '\'' | '"') => quote = Some((at, letter)),
            (_, '`') => signs.push(Found { place: at..at + 1, sign: Sign::Expansion, in_quotes }),
            (_, '$') => {
                if let Some(length) = expansion(rest) {
                    signs.push(Found { place: at..at + length, sign: Sign::Expansion, in_quotes });
                }
            }
            (None, '&' | '|' | '>' | '<' | ';') => {
                let is_double = letters.next_if(|(_, next)| *next == letter).is_some();
                let place = at..at + 1 + usize::from(is_double);
                signs.push(Found { place, sign: Sign::Operator, in_quotes });
            }
            _ => {}
        }
        is_word_start = quote.is_none() && matches!(letter, ' ' | '\t' | '\n');
    }
    Scan { signs, open_quote: quote.map(|(at, _)| at) }
}

/// The length of a leading `$NAME`, or of the `$` and its next sign.
fn expansion(rest: &str) -> Option<usize> {
    let name = rest[1..].find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    match name.unwrap_or(rest.len() - 1) {
        0 => rest[1..].starts_with(['{', '(', '?', '@', '*', '#', '!', '$']).then_some(2),
        length => Some(1 + length),
    }
}

/// The length of a leading `NAME=value`.
fn assignment(rest: &str) -> Option<usize> {
    let name = &rest[..rest.find('=')?];
    let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && name.starts_with(|letter: char| !letter.is_ascii_digit());
    is_name.then(|| rest.find(char::is_whitespace).unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_would() {
        for (text, words) in [
            ("./api serve", &["./api", "serve"][..]),
            ("  'a b'  \"c d\" e\\ f ", &["a b", "c d", "e f"]),
            ("sh -c 'a && b | c > d; $X `e`'", &["sh", "-c", "a && b | c > d; $X `e`"]),
            ("/bin/bash -c \"echo $HOME\"", &["/bin/bash", "-c", "echo $HOME"]),
            ("echo a\\;b costs$ 5\\$x \"a;b\"", &["echo", "a;b", "costs$", "5$x", "a;b"]),
            ("api --set a=b a~b # $X; a remark", &["api", "--set", "a=b", "a~b"]),
            ("a\n  b", &["a", "b"]),
        ] {
            assert_eq!(split(text).as_deref(), Ok(words.map_owned().as_slice()), "{text}");
        }
    }

    trait Owned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl Owned for [&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|word| (*word).to_owned()).collect()
        }
    }

    #[test]
    fn what_only_a_shell_would_do_is_found_and_marked() {
        use Sign::{Assignment, Expansion, Home, Operator};
        for (text, marked, sign) in [
            ("a && b", "&&", Operator),
            ("a||b", "||", Operator),
            ("a | b", "|", Operator),
            ("a > b", ">", Operator),
            ("a 2>>b", ">>", Operator),
            ("a < b", "<", Operator),
            ("a; b", ";", Operator),
            ("a &", "&", Operator),
            ("a --port $PORT", "$PORT", Expansion),
            ("a \"x $HOME\"", "$HOME", Expansion),
            ("a ${X}", "${", Expansion),
            ("a $(b)", "$(", Expansion),
            ("a `b`", "`", Expansion),
            ("bash -c $X", "$X", Expansion),
            ("~/bin/a", "~", Home),
            ("A=1 b", "A=1", Assignment),
        ] {
            let Err(Fault::Shell(place, found)) = split(text) else { panic!("{text}") };
            assert_eq!((&text[place], found), (marked, sign), "{text}");
        }
    }

    #[test]
    fn an_open_quote_is_told_where_it_opens() {
        assert_eq!(split("a 'b"), Err(Fault::OpenQuote(2)));
        assert_eq!(split("a \"b 'c' && d"), Err(Fault::OpenQuote(2)));
        assert_eq!(split(" # only a remark"), Err(Fault::Empty));
        assert_eq!(split(""), Err(Fault::Empty));
    }

    #[test]
    fn the_scan_agrees_with_the_splitter_about_open_quotes() {
        let signs = ['a', ' ', '\'', '"', '\\', '#', '\n', '$'];
        for number in 0..signs.len().pow(5) {
            let text: String =
                (0..5_u32).map(|place| signs[number / signs.len().pow(place) % signs.len()]).collect();
            assert_eq!(scan(&text).open_quote.is_some(), shell_words::split(&text).is_err(), "{text:?}");
        }
    }
}
