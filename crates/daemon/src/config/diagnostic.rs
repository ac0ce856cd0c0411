//! Problems found in a `soloist.toml`, and the sink that collects them while the file is walked.
//! Knows texts and positions, not what the file means; `error.rs` renders them.

use std::ops::Range;

/// Bytes of the text.
pub(super) type Span = Range<usize>;

/// One thing that is wrong in a `soloist.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
    /// A word about the marked place; may be empty.
    pub(super) label: String,
    pub(super) span: Span,
    /// Other places that have to do with it.
    pub(super) others: Vec<(Span, String)>,
}

impl Problem {
    /// Says something about the marked place.
    pub(super) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// Marks another place.
    pub(super) fn other(&mut self, span: Span, label: impl Into<String>) -> &mut Self {
        self.others.push((span, label.into()));
        self
    }
}

/// Collects problems, so that all of them are told in one go.
pub(super) struct Problems<'t> {
    text: &'t str,
    list: Vec<Problem>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Problems { text, list: Vec::new() }
    }

    pub(super) fn add(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> &mut Problem {
        let at = self.list.len();
        self.list.push(Problem {
            line: 0,
            column: 0,
            message: message.into(),
            help: help.into(),
            label: String::new(),
            span: within(self.text, span),
            others: Vec::new(),
        });
        &mut self.list[at]
    }

    /// How many there are so far.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }

    /// The text at a place, as the file has it.
    pub(super) fn source(&self, span: &Span) -> &'t str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// The whole text.
    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// Sorts the problems by place, drops repetitions, and fills in lines and columns.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        // A keyed declaration is read once a key; what is wrong for all of them is told once.
        let place = |problem: &Problem| (problem.span.start, problem.span.end);
        self.list.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.message.cmp(&b.message)));
        self.list.dedup_by(|a, b| place(a) == place(b) && a.message == b.message);
        // Positions are counted once over the sorted list; a broken file can have as many problems as bytes.
        let (mut line, mut line_start, mut seen) = (1, 0, 0);
        for problem in &mut self.list {
            let passed = &self.text[seen..problem.span.start];
            line += passed.matches('\n').count();
            if let Some(newline) = passed.rfind('\n') {
                line_start = seen + newline + 1;
            }
            seen = problem.span.start;
            problem.line = line;
            problem.column = self.text[line_start..seen].chars().count() + 1;
            for (span, _) in &mut problem.others {
                *span = within(self.text, span.clone());
            }
        }
        self.list
    }
}

/// The nearest span that a slice of the text can be taken of.
fn within(text: &str, span: Span) -> Span {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end.min(text.len()));
    start..end.max(start)
}

/// A word of the file between backticks, fit to be shown.
pub(super) fn quoted(word: &str) -> String {
    format!("`{}`", plain(word))
}

/// A word of the file, fit to be shown: no control characters, and not too long to read.
pub(super) fn plain(word: &str) -> String {
    const LONGEST: usize = 64;
    match word.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", harmless(word.get(..end).unwrap_or_default())),
        None => harmless(word),
    }
}

/// A text without control characters, which a terminal would obey.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        if letter.is_control() {
            shown.extend(letter.escape_debug());
        } else {
            shown.push(letter);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_are_in_the_order_of_the_text() {
        let text = "é = 1\nb = 2\n\nç = 3";
        let mut problems = Problems::new(text);
        problems.add(text.len()..text.len() + 9, "end", "");
        problems.add(3..4, "sign", "");
        problems.add(7..8, "second", "");
        let found: Vec<_> = problems.finish().into_iter().map(|p| (p.message, p.line, p.column)).collect();
        assert_eq!(found, [("sign".into(), 1, 3), ("second".into(), 2, 1), ("end".into(), 4, 6)]);
    }

    #[test]
    fn a_span_inside_a_character_is_widened() {
        assert_eq!(within("aé", 2..2), 1..3);
        assert_eq!(within("", 5..9), 0..0);
    }

    #[test]
    fn quoted_words_are_short_and_harmless() {
        assert_eq!(quoted("a\nb\u{1b}"), "`a\\nb\\u{1b}`");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 67);
    }
}
