//! The day's sheet of Historical.xlsx: its rows by stock, and what it knows of each strike.
//! Live rows are measured against these strikes; nothing here knows of the live sheet.

use std::collections::HashMap;

use crate::fields::Fields;
use crate::issues::{Issue, Issues, Kind};
use crate::number;
use crate::refusal::Refusal;
use crate::symbols::{Key, Roster};
use crate::workbook::cells::column_name;
use crate::workbook::{Cell, Row, Workbook};

const WORKBOOK: &str = "Historical";
/// The heading is looked for in this many rows.
const HEADING_WITHIN: u32 = 20;
const MAX_ROWS: usize = 1_000_000;
/// A strike this far from the price has most likely lost its decimal point at the source.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 0.3..=3.0;

const COLUMNS: [&str; 9] = [
    "Stock",
    "Category",
    "Strike",
    "Prev_OI",
    "Latest_OI",
    "Call_OI_Difference",
    "Put_OI_Difference",
    "LTP",
    "Additional_Strike",
];
const STOCK: usize = 0;
const CATEGORY: usize = 1;
const STRIKE: usize = 2;
/// Strike, the four open interests, price: all numbers.
const NUMBERS: [usize; 6] = [STRIKE, 3, 4, 5, 6, LTP];
const LTP: usize = 7;
const ADDITIONAL: usize = 8;

/// Calls or puts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The call side.
    Call,
    /// The put side.
    Put,
}

/// A row as it is stored, without its stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoricalRow {
    /// Category, strike, the four numbers, price, additional strike: the columns' order.
    pub fields: Fields<8>,
}

/// What live rows of a strike are measured against.
#[derive(Debug, Default)]
pub struct Strike {
    call: Option<f64>,
    put: Option<f64>,
    /// `Yes`, or what else the sheet says of an additional strike, on either side.
    pub additional: String,
}

impl Strike {
    /// The latest open interest of a side, if it is known.
    pub fn latest(&self, side: Side) -> Option<f64> {
        match side {
            Side::Call => self.call,
            Side::Put => self.put,
        }
    }
}

/// All that the sheet holds of the wanted stocks.
#[derive(Debug, Default)]
pub struct Historical {
    rows: HashMap<Key, Vec<HistoricalRow>>,
    strikes: HashMap<(Key, u64), Strike>,
    count: usize,
    /// Cells that are not what their column says, and strikes far from the price; all are kept as they are.
    pub issues: Issues,
}

impl Historical {
    /// Reads the chosen sheet of `book`.
    pub fn read(book: &mut Workbook, roster: &mut Roster) -> Result<Self, Refusal> {
        let place = book.place();
        let mut heading = Heading::default();
        let mut sheet = Self::default();
        book.each_row(|row| match &heading.columns {
            Some(columns) => sheet.take(row, columns, roster).map_err(|why| too_many(&place, why)),
            None if row.number > HEADING_WITHIN => Err(heading.refusal(&place)),
            None => {
                heading.look_at(row);
                Ok(())
            }
        })?;
        if heading.columns.is_none() {
            return Err(heading.refusal(&place));
        }
        if sheet.count == 0 {
            let why = "no row under its heading names a wanted stock";
            return Err(Refusal::new(place, why, "check the sheet and the list of symbols"));
        }
        Ok(sheet)
    }

    /// The rows of a stock in the sheet's order.
    pub fn rows(&self, stock: Key) -> &[HistoricalRow] {
        self.rows.get(&stock).map_or(&[], Vec::as_slice)
    }

    /// What the sheet knows of a strike; none if no row has it, so that all of its open interest is new.
    pub fn strike(&self, stock: Key, strike: f64) -> Option<&Strike> {
        self.strikes.get(&(stock, strike_key(strike)))
    }

    fn take(&mut self, row: &Row<'_>, columns: &[u32; 9], roster: &mut Roster) -> Result<(), String> {
        let category = row.text(columns[CATEGORY]);
        let Some(stock) = row.get(columns[STOCK]) else {
            if !category.is_empty() {
                let message = || format!("row {} of Historical names no stock", row.number);
                let issue = || Issue::of_row(WORKBOOK, row.number, "", Kind::NoStock, message());
                self.issues.note(Kind::NoStock, issue);
            }
            return Ok(());
        };
        // A row such as "Grand Total" has no category; it would be learned as a stock otherwise.
        if roster.is_open() && category.is_empty() {
            return Ok(());
        }
        let Some(key) = roster.find(&stock.text()) else { return Ok(()) };
        self.count += 1;
        if self.count > MAX_ROWS {
            return Err(format!("it has more than {MAX_ROWS} rows of wanted stocks"));
        }
        let mut number = |column: usize| {
            let cell = row.get(columns[column])?;
            let value = cell.number();
            if value.is_none() {
                let place = (row.number, columns[column]);
                self.issues.note(Kind::NotANumber, || {
                    Issue::of_number(WORKBOOK, place, COLUMNS[column], roster.name(key), &cell)
                });
            }
            value
        };
        let [strike, prev, latest, call, put, price] = NUMBERS.map(&mut number);
        let additional = row.text(columns[ADDITIONAL]);
        if let Some(strike) = strike {
            self.note_strike(key, strike, &category, latest, &additional);
            if let Some(price) = price.filter(|price| *price > 0.0)
                && !PLAUSIBLE.contains(&(strike / price))
            {
                self.issues.note(Kind::FarFromPrice, || {
                    let stock = roster.name(key);
                    let message =
                        format!("{stock} strike {} at {}", number::text(strike), number::text(price));
                    let cell = format!("{}{}", column_name(columns[STRIKE]), row.number);
                    Issue {
                        workbook: WORKBOOK,
                        cell,
                        stock: stock.to_owned(),
                        kind: Kind::FarFromPrice,
                        message,
                    }
                });
            }
        }
        let mut fields = Fields::default();
        fields.add(&category);
        fields.add(&strike.map_or_else(|| row.text(columns[STRIKE]), |strike| number::text(strike).into()));
        for value in [prev, latest, call, put] {
            fields.add_number(value);
        }
        fields.add(&row.text(columns[LTP]));
        fields.add(&additional);
        self.rows.entry(key).or_default().push(HistoricalRow { fields });
        Ok(())
    }

    fn note_strike(
        &mut self,
        stock: Key,
        strike: f64,
        category: &str,
        latest: Option<f64>,
        additional: &str,
    ) {
        let known = self.strikes.entry((stock, strike_key(strike))).or_default();
        let side = match category.get(..4) {
            Some(word) if word.eq_ignore_ascii_case("call") => Some(&mut known.call),
            Some(_) if category.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("put")) => {
                Some(&mut known.put)
            }
            _ => None,
        };
        if let Some(side) = side
            && latest.is_some()
        {
            *side = latest;
        }
        if !additional.is_empty() {
            let is_yes = ["yes", "y", "1", "true"].iter().any(|yes| additional.eq_ignore_ascii_case(yes));
            known.additional = if is_yes { "Yes".to_owned() } else { additional.to_owned() };
        }
    }
}

/// The number itself: 150 and 150.0 are one strike, 152.5 and 1525 are two.
fn strike_key(strike: f64) -> u64 {
    (strike + 0.0).to_bits()
}

fn too_many(place: &str, why: String) -> Refusal {
    Refusal::new(place, why, "check what its producer wrote")
}

/// The search for the heading row.
#[derive(Debug, Default)]
struct Heading {
    columns: Option<[u32; 9]>,
    /// The best row so far with three headings at least, for the message: its number and what it lacks.
    best: Option<(u32, Vec<&'static str>)>,
}

impl Heading {
    fn look_at(&mut self, row: &Row<'_>) {
        let mut found = [None; 9];
        for (column, cell) in row.cells() {
            let Cell::Text(text) = cell else { continue };
            let name = plain(&text);
            if let Some(at) = COLUMNS.iter().position(|wanted| plain(wanted) == name) {
                found[at].get_or_insert(column);
            } else if matches!(name.as_str(), "symbol" | "name" | "stockname" | "stocksymbol") {
                found[STOCK].get_or_insert(column);
            }
        }
        let missing: Vec<_> = (0..9).filter(|at| found[*at].is_none()).map(|at| COLUMNS[at]).collect();
        if missing.is_empty() {
            self.columns = Some(found.map(Option::unwrap_or_default));
        } else if missing.len() <= 6
            && self.best.as_ref().is_none_or(|(_, fewer)| missing.len() < fewer.len())
        {
            self.best = Some((row.number, missing));
        }
    }

    fn refusal(&self, place: &str) -> Refusal {
        let why = match &self.best {
            Some((row, missing)) => format!("its heading in row {row} lacks {}", missing.join(", ")),
            None => format!("no heading ({}) is in its first {HEADING_WITHIN} rows", COLUMNS.join(", ")),
        };
        Refusal::new(place, why, "put the columns back, and check that the two workbooks were not swapped")
    }
}

/// Headings are compared without case, blanks and underscores.
fn plain(heading: &str) -> String {
    heading.chars().filter(|c| !c.is_whitespace() && *c != '_').flat_map(char::to_lowercase).collect()
}
