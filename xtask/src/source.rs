//! A Rust file with its comments and the insides of its strings blanked, so that a rule that looks for a word finds
//! code only; and which of its lines are tests. No parser: it knows where comments, strings and braces end.

/// Line for line what the file has.
#[derive(Debug)]
pub struct Source {
    /// As written.
    pub lines: Vec<String>,
    /// The same with blanks for comments and the insides of strings.
    pub code: Vec<String>,
    /// Whether a line belongs to a test.
    pub is_test: Vec<bool>,
}

impl Source {
    /// Reads a file's text; its path says whether all of it is a test.
    pub fn read(path: &str, text: &str) -> Source {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let code: Vec<String> = blank(text).lines().map(str::to_owned).collect();
        let is_test = if is_test_file(path) { vec![true; lines.len()] } else { test_lines(&code) };
        Source { lines, code, is_test }
    }

    /// Every line of code in which a whole word stands: its number from 0 and what follows the word.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = (usize, &'a str, &'a str)> {
        self.code.iter().enumerate().flat_map(move |(at, line)| {
            line.match_indices(word).filter_map(move |(begin, _)| {
                let (before, after) = (&line[..begin], &line[begin + word.len()..]);
                let is_whole = !before.ends_with(is_word) && !after.starts_with(is_word);
                is_whole.then_some((at, before, after))
            })
        })
    }
}

/// Whether a character can be part of a name.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_test_file(path: &str) -> bool {
    path.starts_with("e2e/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The same text with every character of a comment or a string, but no line break, as a blank.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_blank(&chars, at);
        match end {
            Some(end) => {
                let end = end.min(chars.len());
                out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
                at = end;
            }
            None => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

/// Where the comment, string or character that begins here ends; `None` if none begins here.
fn end_of_blank(chars: &[char], at: usize) -> Option<usize> {
    let next = |by: usize| chars.get(at + by).copied().unwrap_or(' ');
    let after_word = at > 0 && is_word(chars[at - 1]);
    match (chars[at], next(1)) {
        ('/', '/') => Some((at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len())),
        ('/', '*') => Some(end_of_block(chars, at)),
        ('"', _) => Some(end_of_string(chars, at + 1)),
        ('r', '"' | '#') if !after_word || matches!(chars[at - 1], 'b' | 'c') => end_of_raw(chars, at + 1),
        ('\'', '\\') => {
            Some((at + 3..chars.len()).find(|i| chars[*i] == '\'').map_or(chars.len(), |i| i + 1))
        }
        // `'x'` is a character, `'x` without an end is a lifetime.
        ('\'', _) if next(2) == '\'' => Some(at + 3),
        _ => None,
    }
}

fn end_of_block(chars: &[char], begin: usize) -> usize {
    let (mut depth, mut at) = (0, begin);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], begin: usize) -> usize {
    let mut at = begin;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// `at` is behind the `r`. A raw name (`r#type`) is no string.
fn end_of_raw(chars: &[char], at: usize) -> Option<usize> {
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    (chars.get(at + hashes) == Some(&'"')).then(|| {
        let is_end = |i: &usize| {
            chars[*i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
        };
        (at + hashes + 1..chars.len()).find(is_end).map_or(chars.len(), |i| i + 1 + hashes)
    })
}

/// From `#[cfg(test)]` to the end of what it stands before.
fn test_lines(code: &[String]) -> Vec<bool> {
    let mut marks = vec![false; code.len()];
    let mut at = 0;
    while at < code.len() {
        if !code[at].contains("#[cfg(test)]") {
            at += 1;
            continue;
        }
        let mut depth = 0;
        let end = (at..code.len()).find(|i| {
            let before = depth;
            depth += code[*i].matches('{').count() as i64 - code[*i].matches('}').count() as i64;
            let is_closed = depth == 0 && (before > 0 || code[*i].contains('{'));
            is_closed || (depth == 0 && code[*i].trim_end().ends_with(';'))
        });
        let end = end.unwrap_or(code.len() - 1);
        marks[at..=end].fill(true);
        at = end + 1;
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_blank_and_code_is_not() {
        let text = "a(\"x // y\"); // b\n/* c /* d */ e */ f('\"', '\\'', r#\"g\"h\"#, r\"i\"); j::<'k>(l)";
        let source = Source::read("x.rs", text);
        for word in ["a", "f", "j", "k", "l"] {
            assert_eq!(source.words(word).count(), 1, "{word} in {:?}", source.code);
        }
        for word in ["x", "y", "b", "c", "d", "e", "g", "h", "i"] {
            assert_eq!(source.words(word).count(), 0, "{word} in {:?}", source.code);
        }
    }

    #[test]
    fn a_raw_name_is_no_string_and_a_word_is_whole() {
        let source = Source::read("x.rs", "let r#type = unsafe_code;");
        assert_eq!(source.words("type").count(), 1);
        assert_eq!(source.words("unsafe").count(), 0);
    }

    #[test]
    fn tests_are_marked_to_their_closing_brace() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n#[cfg(test)]\nmod more;\nfn d() {}";
        let marks = Source::read("x.rs", text).is_test;
        assert_eq!(marks, [false, true, true, true, true, true, false, true, true, false]);
        assert!(Source::read("crates/x/tests/y.rs", "fn a() {}").is_test[0]);
    }
}
