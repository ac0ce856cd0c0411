//! What is odd in a workbook and yet no reason to refuse it. The row is kept as it is; the oddity is kept beside it, by
//! its cell, for whoever has to look into the workbook.

use crate::workbook::Cell;
use crate::workbook::cells::column_name;

/// As many are kept of a workbook; the rest is only counted.
const MAX_KEPT: usize = 500;

/// What kind of oddity, in the words of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A cell of a column of numbers holds something else.
    NotANumber,
    /// A row without a stock.
    NoStock,
    /// A stock's second block, which is not taken.
    SecondBlock,
    /// A block's second section of a name, which takes the place of the first.
    SecondSection,
    /// A strike so far from the price that its decimal point was lost at the source, most likely.
    FarFromPrice,
}

impl Kind {
    /// As the tables have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotANumber => "not-a-number",
            Self::NoStock => "no-stock",
            Self::SecondBlock => "second-block",
            Self::SecondSection => "second-section",
            Self::FarFromPrice => "far-from-price",
        }
    }
}

/// One oddity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// `Historical` or `Live`.
    pub workbook: &'static str,
    /// As Excel names it: `B12`; `12` if it is all of row 12.
    pub cell: String,
    /// The stock, `""` if the row names none.
    pub stock: String,
    /// What kind.
    pub kind: Kind,
    /// What is odd, for a person.
    pub message: String,
}

impl Issue {
    /// The row as a whole is odd.
    pub fn of_row(workbook: &'static str, row: u32, stock: &str, kind: Kind, message: String) -> Self {
        Self { workbook, cell: row.to_string(), stock: stock.to_owned(), kind, message }
    }

    /// A cell of the column with this heading should hold a number.
    pub fn of_number(
        workbook: &'static str,
        (row, column): (u32, u32),
        heading: &str,
        stock: &str,
        cell: &Cell<'_>,
    ) -> Self {
        let text: String = cell.text().chars().take(40).collect();
        let place = format!("{}{row}", column_name(column));
        let message = format!("{workbook} {place} ({heading}) is no number: {text:?}");
        Self { workbook, cell: place, stock: stock.to_owned(), kind: Kind::NotANumber, message }
    }
}

/// The oddities of a workbook, in the order in which they were met.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Issues {
    errors: usize,
    /// Strikes far from the price: they may be right, while all others are errors.
    doubts: usize,
    kept: Vec<Issue>,
}

impl Issues {
    /// Takes one; its words are only made if it is kept.
    pub fn note(&mut self, kind: Kind, issue: impl FnOnce() -> Issue) {
        let count = if kind == Kind::FarFromPrice { &mut self.doubts } else { &mut self.errors };
        *count += 1;
        // The first of either is told in the message of the run, so there is always room for it.
        if *count == 1 || self.kept.len() + 1 < MAX_KEPT {
            self.kept.push(issue());
        }
    }

    /// Both together.
    pub fn joined(&self, later: &Self) -> Self {
        let kept = self.kept.iter().chain(&later.kept).cloned().collect();
        Self { errors: self.errors + later.errors, doubts: self.doubts + later.doubts, kept }
    }

    /// How many there are, kept or not.
    pub fn count(&self) -> usize {
        self.errors + self.doubts
    }

    /// Those that are kept.
    pub fn kept(&self) -> &[Issue] {
        &self.kept
    }

    /// What the message of a run says of them: errors, then doubts, each with the first.
    pub fn words(&self) -> String {
        let first = |is_doubt: bool| {
            let mut kept = self.kept.iter();
            kept.find(|issue| (issue.kind == Kind::FarFromPrice) == is_doubt)
                .map_or("", |issue| &issue.message)
        };
        let mut words = String::new();
        if self.errors > 0 {
            words += &format!(". {} errors occurred, the first: {}", self.errors, first(false));
        }
        if self.doubts > 0 {
            words += &format!(". {} strikes are far from the price, the first: {}", self.doubts, first(true));
        }
        words
    }
}
