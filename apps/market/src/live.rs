//! The day's sheet of Live.xlsx: blocks by stock, four sections a block, measured against Historical.
//! A state machine over the rows; it never looks back or ahead.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::fields::Fields;
use crate::historical::{Historical, Side};
use crate::issues::{Issue, Issues, Kind};
use crate::number;
use crate::refusal::Refusal;
use crate::symbols::{Key, Roster};
use crate::workbook::{Cell, Row, Workbook};

const WORKBOOK: &str = "Live";
const MAX_ROWS: usize = 1_000_000;

/// The sections in the order in which their rows are stored.
pub const SECTIONS: [(&str, Side); 4] = [
    ("Call Support", Side::Call),
    ("Put Support", Side::Put),
    ("Call Resistance", Side::Call),
    ("Put Resistance", Side::Put),
];

/// A row as it is stored, without its stock and section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRow {
    /// Label, open interest, strike, difference, new strike, additional strike: the columns' order.
    pub fields: Fields<6>,
}

type Sections = [Vec<LiveRow>; 4];

/// All that the sheet holds of the wanted stocks.
#[derive(Debug, Default)]
pub struct Live {
    blocks: HashMap<Key, Sections>,
    count: usize,
    /// Cells and blocks that are not what they should be.
    pub issues: Issues,
}

/// Where the cells of an open section stand.
#[derive(Debug, Clone, Copy)]
struct Open {
    section: usize,
    label: u32,
    oi: u32,
    strike: u32,
}

/// The block the rows belong to, while they stream by.
#[derive(Debug, Default)]
struct Block {
    /// None for a stock that is not wanted, or whose block was already seen.
    stock: Option<Key>,
    open: Vec<Open>,
    last_row: u32,
    block_count: usize,
    section_count: usize,
}

impl Live {
    /// Reads the chosen sheet of `book`.
    pub fn read(book: &mut Workbook, roster: &mut Roster, historical: &Historical) -> Result<Self, Refusal> {
        let place = book.place();
        let remedy = "check that the sheet is Live's, whole, and that the two workbooks were not swapped";
        let mut live = Self::default();
        let mut block = Block::default();
        book.each_row(|row| {
            live.take(row, &mut block, roster, historical)
                .map_err(|why| Refusal::new(place.clone(), why, remedy))
        })?;
        let why = if block.block_count == 0 {
            "no row begins with OPT_ and a symbol"
        } else if block.section_count == 0 {
            "no block has a heading such as Call Support"
        } else if live.count == 0 {
            "no block of a wanted stock has a row"
        } else {
            return Ok(live);
        };
        Err(Refusal::new(place, why, remedy))
    }

    /// The rows of a stock with their sections.
    pub fn rows(&self, stock: Key) -> impl Iterator<Item = (&'static str, &LiveRow)> {
        let sections = self.blocks.get(&stock).into_iter().flatten();
        sections.zip(SECTIONS).flat_map(|(rows, (name, _))| rows.iter().map(move |row| (name, row)))
    }

    fn take(
        &mut self,
        row: &Row<'_>,
        block: &mut Block,
        roster: &mut Roster,
        historical: &Historical,
    ) -> Result<(), String> {
        // Blank rows do not come by, they are only missing; one of them ends a section.
        if row.number > block.last_row.saturating_add(1) {
            block.open.clear();
        }
        block.last_row = row.number;
        if let Some(symbol) = block_symbol(row, roster) {
            block.block_count += 1;
            block.open.clear();
            block.stock = roster.find(&symbol);
            if let Some(stock) = block.stock {
                match self.blocks.entry(stock) {
                    Entry::Vacant(place) => {
                        place.insert(Sections::default());
                    }
                    Entry::Occupied(_) => {
                        let message =
                            || format!("row {} of Live begins a second block of {symbol}", row.number);
                        self.issues.note(Kind::SecondBlock, || {
                            Issue::of_row(
                                WORKBOOK,
                                row.number,
                                roster.name(stock),
                                Kind::SecondBlock,
                                message(),
                            )
                        });
                        block.stock = None;
                    }
                }
            }
            return Ok(());
        }
        let headings = section_headings(row);
        if !headings.is_empty() {
            block.section_count += headings.len();
            if let Some(stock) = block.stock
                && let Some(sections) = self.blocks.get_mut(&stock)
            {
                for open in &headings {
                    let replaced = std::mem::take(&mut sections[open.section]).len();
                    self.count -= replaced;
                    if replaced > 0 {
                        let (name, _) = SECTIONS[open.section];
                        self.issues.note(Kind::SecondSection, || {
                            let stock = roster.name(stock);
                            let message = format!("row {} of Live begins {name} of {stock} anew", row.number);
                            Issue::of_row(WORKBOOK, row.number, stock, Kind::SecondSection, message)
                        });
                    }
                }
            }
            block.open = headings;
            return Ok(());
        }
        let Some(stock) = block.stock else { return Ok(()) };
        for open in &block.open {
            if let Some(made) = live_row(row, *open, (stock, roster), historical, &mut self.issues) {
                self.count += 1;
                if self.count > MAX_ROWS {
                    return Err(format!("it has more than {MAX_ROWS} rows of wanted stocks"));
                }
                if let Some(sections) = self.blocks.get_mut(&stock) {
                    sections[open.section].push(made);
                }
            }
        }
        Ok(())
    }
}

/// The symbol of a block heading: `OPT`, a separator, the symbol, in the first cell of the row. Words such as
/// "Optional" or "opt out of this" are no headings; without a separator only a listed symbol counts.
fn block_symbol(row: &Row<'_>, roster: &Roster) -> Option<String> {
    let Cell::Text(text) = row.first()? else { return None };
    let text = text.trim();
    let word = text.get(..3).filter(|word| word.eq_ignore_ascii_case("opt"))?;
    let is_separator = |c: char| c == '_' || c == '-' || c.is_whitespace();
    let after = &text[3..];
    let name = after.trim_start_matches(is_separator);
    let separators = &after[..after.len() - name.len()];
    let (symbol, rest) = name.split_once(char::is_whitespace).unwrap_or((name, ""));
    if !symbol.contains(char::is_alphanumeric) {
        return None;
    }
    if separators.is_empty() {
        let is_listed = !roster.is_open() && roster.known(symbol).is_some();
        return (word == "OPT" && rest.is_empty() && is_listed).then(|| symbol.to_owned());
    }
    let is_remark =
        separators.chars().all(char::is_whitespace) && !rest.is_empty() && !rest.trim().starts_with('(');
    (!is_remark).then(|| symbol.to_owned())
}

/// The sections that begin in this row, with their columns.
fn section_headings(row: &Row<'_>) -> Vec<Open> {
    let mut found: Vec<Open> = Vec::new();
    for (column, cell) in row.cells() {
        let Cell::Text(text) = cell else { continue };
        // Most cells are ruled out by their first letter.
        if !text.trim_start().starts_with(['C', 'c', 'P', 'p']) {
            continue;
        }
        let section = SECTIONS.iter().position(|(name, _)| is_words(&text, name));
        if let Some(section) = section {
            found.push(Open { section, label: column, oi: column + 1, strike: column + 2 });
        }
    }
    for at in 0..found.len() {
        let here = found[at].label;
        let end = found.iter().map(|open| open.label).filter(|label| *label > here).min().unwrap_or(u32::MAX);
        for (column, cell) in row.cells().filter(|(column, _)| (here + 1..end).contains(column)) {
            match cell {
                Cell::Text(text) if text.trim().eq_ignore_ascii_case("oi") => found[at].oi = column,
                Cell::Text(text) if text.trim().eq_ignore_ascii_case("strike") => found[at].strike = column,
                _ => {}
            }
        }
    }
    found
}

/// Compared word by word, without case; a colon at the end is let through.
fn is_words(text: &str, name: &str) -> bool {
    let mut wanted = name.split(' ');
    let mut given = text.trim().trim_end_matches(':').split_whitespace();
    wanted.all(|word| given.next().is_some_and(|other| other.eq_ignore_ascii_case(word)))
        && given.next().is_none()
}

/// One half row; none if there is nothing in it, or only a remark.
fn live_row(
    row: &Row<'_>,
    open: Open,
    (stock, roster): (Key, &Roster),
    historical: &Historical,
    issues: &mut Issues,
) -> Option<LiveRow> {
    let label = row.text(open.label);
    let (oi_cell, strike_cell) = (row.get(open.oi), row.get(open.strike));
    let starts = |word: &str| label.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let is_total = starts("total");
    if oi_cell.is_none() && strike_cell.is_none() && !(is_total || starts("support") || starts("resistance"))
    {
        return None;
    }
    let oi = oi_cell.as_ref().and_then(Cell::number);
    let mut odd = |column, heading, cell: &Cell<'_>| {
        let place = (row.number, column);
        issues
            .note(Kind::NotANumber, || Issue::of_number(WORKBOOK, place, heading, roster.name(stock), cell));
    };
    if let (Some(cell), None) = (&oi_cell, oi) {
        odd(open.oi, "OI", cell);
    }
    let strike = strike_cell.as_ref().and_then(Cell::number);
    let strike_text = strike.map_or_else(|| row.text(open.strike), |strike| number::text(strike).into());
    if let (Some(cell), None) = (&strike_cell, strike)
        && !is_words(&strike_text, "Not found")
    {
        odd(open.strike, "Strike", cell);
    }
    let mut fields = Fields::default();
    fields.add(&label);
    fields.add_number(oi);
    fields.add(&strike_text);
    if let (Some(strike), false) = (strike, is_total) {
        let (_, side) = SECTIONS[open.section];
        let known = historical.strike(stock, strike);
        let base = known.map_or(Some(0.0), |known| known.latest(side));
        fields.add_number(oi.zip(base).map(|(oi, base)| oi - base));
        fields.add(if known.is_none() { "Yes" } else { "" });
        fields.add(known.map_or("", |known| &known.additional));
    }
    Some(LiveRow { fields })
}
