//! The rows of two workbooks as the rules W1 to W15 have them, read slowly and plainly: a sheet is a grid in memory, each
//! rule looks at all of it, and what number a cell means is known from the one who made it. Nothing of the program is used.

use std::fmt;

use jiff::civil::Date;

use crate::stage::Fields;

/// A cell as its maker meant it.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Blank,
    Number(f64),
    /// A formula that has this value.
    Formula(f64),
    /// A text, and the number it stands for.
    Word(String, Option<f64>),
}

impl Cell {
    pub fn word(text: &str) -> Self {
        Self::Word(text.to_owned(), None)
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Blank => None,
            Self::Number(value) | Self::Formula(value) => Some(*value),
            Self::Word(_, value) => *value,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Blank => String::new(),
            Self::Number(value) | Self::Formula(value) => value.to_string(),
            Self::Word(text, _) => text.trim().to_owned(),
        }
    }

    fn is_blank(&self) -> bool {
        self.text().is_empty()
    }
}

pub type Grid = Vec<Vec<Cell>>;

#[derive(Clone)]
pub struct Sheet {
    pub name: String,
    pub date: Option<Date>,
    pub grid: Grid,
}

/// A row a line, so that a found case can be read.
impl fmt::Debug for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {:?}", self.name, self.date)?;
        self.grid.iter().try_for_each(|row| {
            writeln!(f, "  {}", row.iter().map(Cell::text).collect::<Vec<_>>().join(" | "))
        })
    }
}

/// What must be stored: both tables, and how many cells and rows are odd. None if the pair must be refused.
pub fn read(
    historical: &[Sheet],
    live: &[Sheet],
    list: Option<&[&str]>,
    today: Date,
) -> Option<(Vec<Fields>, Vec<Fields>, usize)> {
    let mut reader = Reader { is_open: list.is_none(), ..Reader::default() };
    list.into_iter().flatten().for_each(|name| reader.stocks.push((*name).to_owned()));
    reader.historical(sheet_of_the_day(historical, today)?)?;
    reader.live(sheet_of_the_day(live, today)?)?;
    let mut order: Vec<usize> = (0..reader.stocks.len()).collect();
    if reader.is_open {
        order.sort_by_key(|at| &reader.stocks[*at]);
    }
    let mut tables = (Vec::new(), Vec::new(), reader.odd);
    for stock in order {
        let named = |fields: &[String]| [&[reader.stocks[stock].clone()], fields].concat();
        tables.0.extend(reader.rows.iter().filter(|row| row.stock == stock).map(|row| named(&row.fields)));
        for section in SECTIONS {
            let rows = reader.live.iter().filter(|(of, name, _)| *of == stock && *name == section);
            tables.1.extend(rows.map(|(_, _, fields)| named(fields)));
        }
    }
    Some(tables)
}

/// W14.
fn sheet_of_the_day(book: &[Sheet], today: Date) -> Option<&Grid> {
    let newest = book.iter().filter(|sheet| sheet.date.is_some_and(|date| date <= today));
    let newest = newest.max_by_key(|sheet| sheet.date);
    let is_dated = book.iter().any(|sheet| sheet.date.is_some());
    newest.or(if is_dated { None } else { book.last() }).map(|sheet| &sheet.grid)
}

const COLUMNS: [&str; 9] = [
    "stock",
    "category",
    "strike",
    "prevoi",
    "latestoi",
    "calloidifference",
    "putoidifference",
    "ltp",
    "additionalstrike",
];
const SECTIONS: [&str; 4] = ["Call Support", "Put Support", "Call Resistance", "Put Resistance"];

struct Row {
    stock: usize,
    category: String,
    strike: Option<f64>,
    latest: Option<f64>,
    additional: String,
    fields: Vec<String>,
}

#[derive(Default)]
struct Reader {
    is_open: bool,
    stocks: Vec<String>,
    rows: Vec<Row>,
    live: Vec<(usize, &'static str, Vec<String>)>,
    odd: usize,
}

impl Reader {
    /// The place of a stock. Without a list each name that comes is taken.
    fn stock(&mut self, name: &str) -> Option<usize> {
        let found = self.stocks.iter().position(|known| letters(known) == letters(name));
        if found.is_none() && self.is_open {
            self.stocks.push(name.to_uppercase());
            return Some(self.stocks.len() - 1);
        }
        found
    }

    /// W9 and W10: what is there and is no number is odd.
    fn number(&mut self, cell: &Cell) -> Option<f64> {
        self.odd += usize::from(!cell.is_blank() && cell.number().is_none());
        cell.number()
    }

    fn historical(&mut self, grid: &Grid) -> Option<()> {
        // W12: the first of twenty rows that has all columns.
        let (heading, columns) = grid.iter().take(20).enumerate().find_map(|(at, row)| {
            let named = |wanted: &str| {
                let plain = |cell: &Cell| cell.text().to_lowercase().replace([' ', '_'], "");
                let is_it =
                    |cell: &Cell| plain(cell) == wanted || (wanted == "stock" && plain(cell) == "symbol");
                row.iter().position(is_it)
            };
            let columns: Option<Vec<usize>> = COLUMNS.iter().map(|wanted| named(wanted)).collect();
            Some((at, columns?))
        })?;
        for row in &grid[heading + 1..] {
            let cell = |column: usize| row.get(columns[column]).unwrap_or(&Cell::Blank);
            let (name, category) = (cell(0).text(), cell(1).text());
            if name.is_empty() {
                self.odd += usize::from(!category.is_empty());
                continue;
            }
            // A total is no stock.
            if self.is_open && category.is_empty() {
                continue;
            }
            let Some(stock) = self.stock(&name) else { continue };
            let numbers: Vec<Option<f64>> = (2..8).map(|column| self.number(cell(column))).collect();
            let strike = numbers[0].map_or(cell(2).text(), |strike| strike.to_string());
            let mut fields = vec![category.clone(), strike];
            fields.extend(numbers[1..5].iter().map(|value| shown(*value)));
            fields.extend([cell(7).text(), cell(8).text()]);
            let (strike, latest, additional) = (numbers[0], numbers[2], cell(8).text());
            self.rows.push(Row { stock, category, strike, latest, additional, fields });
        }
        (!self.rows.is_empty()).then_some(())
    }

    fn live(&mut self, grid: &Grid) -> Option<()> {
        // W4 and W5: blocks begin where the first cell of a row names a symbol, and end there alone.
        let begins: Vec<(usize, String)> =
            (0..grid.len()).filter_map(|at| Some((at, self.block_heading(&grid[at])?))).collect();
        let ends = begins.iter().skip(1).map(|(at, _)| *at).chain([grid.len()]);
        let mut seen = Vec::new();
        for ((begin, symbol), end) in begins.iter().zip(ends) {
            let Some(stock) = self.stock(symbol) else { continue };
            if seen.contains(&stock) {
                self.odd += 1;
                continue;
            }
            seen.push(stock);
            for section in SECTIONS {
                self.section(&grid[begin + 1..end], section, stock);
            }
        }
        (!self.live.is_empty()).then_some(())
    }

    fn block_heading(&self, row: &[Cell]) -> Option<String> {
        let first = row.iter().find(|cell| !cell.is_blank())?.text();
        if !first.to_lowercase().starts_with("opt") {
            return None;
        }
        let name = first[3..].trim_start_matches(['_', '-', ' ']);
        let mut words = name.split(' ');
        let (symbol, remark) = (words.next()?.to_owned(), words.next().is_some());
        let is_listed = !self.is_open && self.stocks.iter().any(|known| letters(known) == letters(&symbol));
        let separators = &first[3..first.len() - name.len()];
        let is_heading = match separators.trim() {
            "" if separators.is_empty() => is_listed && !remark && first.starts_with("OPT"),
            "" => !remark,
            _ => true,
        };
        is_heading.then_some(symbol)
    }

    /// The rows below the last heading of the section, until one is blank or has a heading. Those below an earlier one
    /// are not stored, though what is odd in them is.
    fn section(&mut self, block: &[Vec<Cell>], section: &'static str, stock: usize) {
        let named =
            |row: &Vec<Cell>, name: &str| row.iter().position(|cell| cell.text().eq_ignore_ascii_case(name));
        for (heading, row) in block.iter().enumerate() {
            let Some(label) = named(row, section) else { continue };
            let before = self.live.len();
            self.live.retain(|(of, name, _)| (*of, *name) != (stock, section));
            self.odd += usize::from(self.live.len() < before);
            // W13: the three columns from the section's heading on, unless they are named.
            let titled = |title: &str| {
                let place = row.iter().skip(label + 1).take(2).position(|cell| cell.text() == title);
                place.map(|place| label + 1 + place)
            };
            let (oi, strike) = (titled("OI").unwrap_or(label + 1), titled("Strike").unwrap_or(label + 2));
            for row in &block[heading + 1..] {
                if row.iter().all(Cell::is_blank) || SECTIONS.iter().any(|name| named(row, name).is_some()) {
                    break;
                }
                let cell = |column: usize| row.get(column).unwrap_or(&Cell::Blank);
                self.half_row(&cell(label).text(), cell(oi), cell(strike), section, stock);
            }
        }
    }

    fn half_row(&mut self, label: &str, oi: &Cell, strike: &Cell, section: &'static str, stock: usize) {
        let is_own = ["Support", "Resistance", "Total"].iter().any(|word| label.starts_with(word));
        // W8, and remarks.
        if oi.is_blank() && strike.is_blank() && !is_own {
            return;
        }
        let value = self.number(oi);
        if !strike.text().eq_ignore_ascii_case("not found") {
            self.number(strike);
        }
        let text = strike.number().map_or(strike.text(), |strike| strike.to_string());
        let mut fields = vec![section.to_owned(), label.to_owned(), shown(value), text];
        let at = |row: &&Row| row.stock == stock && row.strike == strike.number();
        match strike.number() {
            Some(_) if !label.starts_with("Total") => {
                let side = section[..3].to_lowercase();
                let known: Vec<&Row> = self.rows.iter().filter(at).collect();
                let same_side = known.iter().filter(|row| row.category.to_lowercase().starts_with(&side));
                let base = same_side.filter_map(|row| row.latest).next_back();
                let additional = known.iter().map(|row| &row.additional).rfind(|text| !text.is_empty());
                let additional = additional.map_or("", String::as_str);
                let is_yes = ["yes", "y", "1", "true"].contains(&additional.to_lowercase().as_str());
                // W7: known, but not its open interest, is not a difference of all.
                let difference =
                    if known.is_empty() { value } else { value.zip(base).map(|(now, base)| now - base) };
                let is_new = if known.is_empty() { "Yes" } else { "" };
                let additional = if is_yes { "Yes" } else { additional };
                fields.extend([shown(difference), is_new.to_owned(), additional.to_owned()]);
            }
            // W6.
            _ => fields.extend([const { String::new() }; 3]),
        }
        self.live.push((stock, section, fields));
    }
}

/// W11: letters and digits alone tell stocks apart.
fn letters(name: &str) -> String {
    name.to_uppercase().replace(|c: char| !c.is_alphanumeric(), "")
}

/// W1 and W2: with its sign, zero as zero, whole by half to even, in groups of three.
fn shown(value: Option<f64>) -> String {
    let Some(value) = value else { return String::new() };
    let whole = value.round_ties_even() as i64;
    let digits = whole.unsigned_abs().to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits")).collect();
    format!("{}{}", if whole < 0 { "-" } else { "" }, groups.join(","))
}
