//! The quick way through a sheet that is written plainly, as the producers of these workbooks write it: every cell
//! with its place, holding a number or one inline text without markup. Whatever else turns up (shared strings, dates,
//! entities, comments, anything torn) ends it, and calamine reads the sheet instead; so it never decides what a
//! workbook means, and gives the very cells calamine would give.

use calamine::{Cell, DataRef};

const MAX_ROW: u32 = 1 << 20;
const MAX_COLUMN: u32 = 1 << 14;

/// A sheet as text, read from its first cell to its end.
#[derive(Debug)]
pub struct Plain<'a> {
    rest: &'a str,
    /// Elements open around the table, which must be closed behind it.
    depth: usize,
}

impl<'a> Plain<'a> {
    /// Begins before the first cell; none if what comes before is not plain.
    pub fn begin(sheet: &'a str) -> Option<Self> {
        let mut plain = Self { rest: sheet, depth: 0 };
        if let Some(after) = sheet.strip_prefix("<?xml version=\"1.0\"") {
            let (more, rest) = after.split_once("?>")?;
            let is_utf8 = ["", " encoding=\"UTF-8\"", " encoding=\"utf-8\""]
                .iter()
                .any(|known| more.strip_prefix(known).is_some_and(|more| matches!(more, "" | " standalone=\"yes\"")));
            plain.rest = is_utf8.then_some(rest)?;
        }
        while plain.tag()? != "sheetData" {}
        plain.depth -= 1;
        Some(plain)
    }

    /// The next cell: the outer none means that it is not plain, the inner one that all of the sheet was read.
    pub fn next_cell(&mut self) -> Option<Option<Cell<DataRef<'a>>>> {
        loop {
            if let Some(cell) = self.rest.strip_prefix("<c r=\"") {
                return self.cell(cell).map(Some);
            }
            if let Some(row) = self.rest.strip_prefix("<row r=\"") {
                let (number, rest) = digits(row, MAX_ROW)?;
                let (attributes, rest) = rest.strip_prefix('"')?.split_once('>')?;
                self.rest = is_plain_tag(attributes).then_some(rest)?;
                let _ = number;
            } else if let Some(rest) = self.rest.strip_prefix("</row>") {
                self.rest = rest;
            } else {
                self.rest = self.rest.strip_prefix("</sheetData>")?;
                return self.has_plain_end().then_some(None);
            }
        }
    }

    fn cell(&mut self, text: &'a str) -> Option<Cell<DataRef<'a>>> {
        let letters = text.bytes().take_while(u8::is_ascii_uppercase).take(4).count();
        let column = text[..letters].bytes().fold(0, |sum, letter| sum * 26 + u32::from(letter - b'A') + 1);
        let (row, text) = digits(&text[letters..], MAX_ROW)?;
        if !(1..=MAX_COLUMN).contains(&column) {
            return None;
        }
        let (value, rest) = if let Some(text) = text.strip_prefix("\" t=\"inlineStr\"><is><t>") {
            let end = text.bytes().position(|b| matches!(b, b'<' | b'&' | b'\r'))?;
            let (text, rest) = text.split_at(end);
            // `_x000D_` and its like stand for characters.
            if text.contains("_x") {
                return None;
            }
            (DataRef::SharedString(text), rest.strip_prefix("</t></is></c>")?)
        } else {
            let text = text.strip_prefix('"')?;
            let text = text.strip_prefix(" t=\"n\"").unwrap_or(text).strip_prefix("><v>")?;
            let end = text.bytes().position(|b| !matches!(b, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'))?;
            let (number, rest) = text.split_at(end);
            (DataRef::Float(number.parse().ok()?), rest.strip_prefix("</v></c>")?)
        };
        self.rest = rest;
        Some(Cell::new((row - 1, column - 1), value))
    }

    /// Whether nothing but closed elements follows the table, and none of them looks like a part of it.
    fn has_plain_end(&mut self) -> bool {
        while !self.rest.is_empty() {
            let is_ours = |name: &str| matches!(name, "sheetData" | "row" | "c") || name.contains(':');
            if self.tag().is_none_or(is_ours) {
                return false;
            }
        }
        self.depth == 0
    }

    /// Takes a tag and returns its name; the depth follows.
    fn tag(&mut self) -> Option<&'a str> {
        let (tag, rest) = self.rest.strip_prefix('<')?.split_once('>')?;
        self.rest = rest.trim_ascii_start();
        if !is_plain_tag(tag) || tag.starts_with(['!', '?']) {
            return None;
        }
        if let Some(name) = tag.strip_prefix('/') {
            self.depth = self.depth.checked_sub(1)?;
            return Some(name);
        }
        self.depth += usize::from(!tag.ends_with('/'));
        tag.split([' ', '/']).next()
    }
}

/// Whether the inside of a tag really ends where its `>` was found.
fn is_plain_tag(inside: &str) -> bool {
    !inside.contains(['<', '\'']) && inside.bytes().filter(|b| *b == b'"').count() % 2 == 0
}

/// A number from 1 to `most` and what follows it.
fn digits(text: &str, most: u32) -> Option<(u32, &str)> {
    let end = text.bytes().take_while(u8::is_ascii_digit).take(8).count();
    let number = text[..end].parse().ok()?;
    (1..=most).contains(&number).then_some((number, &text[end..]))
}
