//! A row of a sheet as it streams by: its number, and the cells that hold something, as text or number.

use std::borrow::Cow;

use calamine::DataRef;

use crate::number;

/// Wider tables are not ours; a hostile row ends at the last column of Excel.
const MAX_COLUMNS: u32 = 1024;

/// What a cell holds. Words such as `NA` or `None` stay the words they are.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'a> {
    /// A number cell.
    Number(f64),
    /// Text, never blank, without blanks around it when given by [`Cell::text`].
    Text(Cow<'a, str>),
}

impl<'a> Cell<'a> {
    /// As people read it.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Cell::Number(value) => number::text(*value).into(),
            Cell::Text(text) => text.trim().into(),
        }
    }

    /// As people read it.
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Cell::Number(value) => number::text(value).into(),
            Cell::Text(Cow::Borrowed(text)) => text.trim().into(),
            Cell::Text(Cow::Owned(text)) => text.trim().to_owned().into(),
        }
    }

    /// As a number, if it surely is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Cell::Number(value) => value.is_finite().then_some(*value),
            Cell::Text(text) => number::parse(text),
        }
    }
}

impl<'a> Cell<'a> {
    fn of(value: &'a DataRef<'_>) -> Self {
        match value {
            DataRef::Float(value) => Cell::Number(*value),
            DataRef::Int(value) => Cell::Number(*value as f64),
            DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
                Cell::Text(text.into())
            }
            DataRef::SharedString(text) => Cell::Text((*text).into()),
            DataRef::Bool(true) => Cell::Text("True".into()),
            DataRef::Bool(false) => Cell::Text("False".into()),
            DataRef::DateTime(when) => {
                let (year, month, day, hour, minute, second, _) = when.to_ymd_hms_milli();
                Cell::Text(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}").into())
            }
            DataRef::Error(error) => Cell::Text(error.to_string().into()),
            DataRef::Empty => Cell::Text("".into()),
        }
    }
}

/// One row: only cells that hold something.
#[derive(Debug, Default)]
pub struct Row<'a> {
    /// As Excel counts, from 1.
    pub number: u32,
    cells: Vec<calamine::Cell<DataRef<'a>>>,
}

impl<'a> Row<'a> {
    /// Makes the room of the last row free for the next.
    pub fn restart(&mut self, number: u32) {
        self.number = number;
        self.cells.clear();
    }

    /// Adds a cell; a blank one is left out.
    pub fn push(&mut self, cell: calamine::Cell<DataRef<'a>>) {
        let is_blank = match cell.get_value() {
            DataRef::Empty => true,
            DataRef::String(text) => is_blank(text),
            DataRef::SharedString(text) => is_blank(text),
            _ => false,
        };
        if cell.get_position().1 < MAX_COLUMNS && !is_blank {
            self.cells.push(cell);
        }
    }

    /// Whether nothing is in it.
    pub fn is_blank(&self) -> bool {
        self.cells.is_empty()
    }

    /// The cell in a column.
    pub fn get(&self, column: u32) -> Option<Cell<'_>> {
        // Cells come in order as a rule, but no rule of the format says so.
        self.cells.iter().find(|cell| cell.get_position().1 == column).map(|cell| Cell::of(cell.get_value()))
    }

    /// The leftmost cell.
    pub fn first(&self) -> Option<Cell<'_>> {
        self.cells.iter().min_by_key(|cell| cell.get_position().1).map(|cell| Cell::of(cell.get_value()))
    }

    /// The text in a column, `""` if blank.
    pub fn text(&self, column: u32) -> Cow<'_, str> {
        self.get(column).map_or("".into(), Cell::into_text)
    }

    /// The cells with their columns.
    pub fn cells(&self) -> impl Iterator<Item = (u32, Cell<'_>)> {
        self.cells.iter().map(|cell| (cell.get_position().1, Cell::of(cell.get_value())))
    }
}

/// Most texts show by their first letter that they are not.
fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// A column as Excel names it: 0 is `A`, 27 is `AB`.
pub fn column_name(column: u32) -> String {
    let mut name = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        let digit = (rest - 1) % 26;
        name.push(char::from(b'A' + digit as u8));
        rest = (rest - 1) / 26;
    }
    name.iter().rev().collect()
}
