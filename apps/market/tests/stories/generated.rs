//! Workbooks as nobody would think of them: made at random, written by a library that is not the program's reader, and
//! compared with a slow reader beside these stories. `MARKET_CASES` says how many.

use jiff::civil::{Date, date};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rust_xlsxwriter::{Formula, Workbook};

use crate::reference::{Cell, Grid, Sheet, read};
use crate::stage::{Stage, query};

const TODAY: Date = date(2025, 11, 24);
/// Names that begin like others, and names with more than letters.
const STOCKS: [&str; 10] =
    ["LTF", "LT", "PNBHOUSING", "PNB", "M&M", "M&MFIN", "BAJAJ-AUTO", "BAJAJFINSV", "360ONE", "ABB"];
const STRIKES: [f64; 6] = [100.0, 150.0, 152.5, 1525.0, 0.05, 2900.0];

/// Both workbooks, and the list of symbols if there is one.
#[derive(Debug, Clone)]
struct Pair {
    historical: Vec<Sheet>,
    live: Vec<Sheet>,
    list: Option<Vec<&'static str>>,
}

fn pair() -> impl Strategy<Value = Pair> {
    let list = proptest::option::of(proptest::sample::subsequence(&STOCKS[..], 4..=10).prop_shuffle());
    (book(historical_grid().boxed()), book(live_grid().boxed()), list)
        .prop_map(|(historical, live, list)| Pair { historical, live, list })
}

fn book(grid: BoxedStrategy<Grid>) -> impl Strategy<Value = Vec<Sheet>> {
    let sheet = (-40_i32..4, 0_usize..7, grid).prop_map(|(days, way, grid)| {
        let day = TODAY.checked_add(jiff::Span::new().days(days)).expect("a day of the year");
        let ways = ["%d.%m.%Y", "%d-%m-%Y", "%Y-%m-%d", "%-d-%b-%Y", "%-d %b %Y", "%d %b %Y", "Notes"];
        let name = day.strftime(ways[way]).to_string();
        Sheet { date: (way < 6).then_some(day), name, grid }
    });
    proptest::collection::vec(sheet, 1..4).prop_map(|mut book| {
        // Excel has no two sheets of one name; which of two with one date counts is nowhere said.
        book.sort_by_key(|sheet| sheet.date);
        book.dedup_by_key(|sheet| sheet.date);
        let last = book.len() - 1;
        book.swap(0, last);
        book
    })
}

fn word(text: &str, number: f64) -> Cell {
    Cell::Word(text.to_owned(), Some(number))
}

fn amount() -> impl Strategy<Value = Cell> {
    let odd = ["12%", "1.2.3", "NA", "None", "nan", "n/a", "-", "many", "1,5", "#REF"].map(Cell::word);
    let texts = [
        word("(1,234)", -1234.0),
        word("\u{2212}7", -7.0),
        word("1e5", 1e5),
        word(" 12,34,567 ", 1_234_567.0),
        word("1,234-", -1234.0),
        word("₹5.5", 5.5),
        word("0", 0.0),
    ];
    prop_oneof![
        6 => (-900_000_i32..900_000).prop_map(|value| Cell::Number(f64::from(value))),
        2 => (-4000_i32..4000).prop_map(|value| Cell::Number(f64::from(value) / 2.0)),
        1 => (-900_000_i32..900_000).prop_map(|value| Cell::Formula(f64::from(value) / 4.0)),
        1 => Just(Cell::Number(0.0)),
        2 => Just(Cell::Blank),
        2 => select(texts.to_vec()),
        1 => select(odd.to_vec()),
    ]
}

fn strike() -> impl Strategy<Value = Cell> {
    prop_oneof![
        8 => select(&STRIKES[..]).prop_map(Cell::Number),
        1 => select(&STRIKES[..]).prop_map(|strike| word(&format!(" {strike:.2} "), strike)),
        1 => Just(word("1,525", 1525.0)),
        1 => select(vec![Cell::Blank, Cell::word("ATM"), Cell::word("Not found"), Cell::word("NOT FOUND")]),
    ]
}

/// A stock as somebody might write it; one in twelve is unknown.
fn name() -> impl Strategy<Value = String> {
    (0..STOCKS.len() + 1, 0..4).prop_map(|(at, way)| {
        let name = STOCKS.get(at).unwrap_or(&"ZEEL");
        match way {
            0 => name.to_lowercase(),
            1 => name.replace(['&', '-'], ""),
            2 => format!(" {name} "),
            _ => (*name).to_owned(),
        }
    })
}

/// What lies over and between the rows of a table.
fn noise() -> impl Strategy<Value = Vec<Cell>> {
    let rows: [&[&str]; 5] =
        [&[], &["  "], &["Open interest", "as of", "today"], &["", "Stock", "LTP"], &["", "", "x"]];
    select(rows.to_vec()).prop_map(|row| row.iter().map(|text| Cell::word(text)).collect())
}

fn historical_grid() -> impl Strategy<Value = Grid> {
    const HEADING: [&str; 11] = [
        "Stock",
        "Category",
        "Strike",
        "Prev_OI",
        "Latest_OI",
        "Call_OI_Difference",
        "Put_OI_Difference",
        "LTP",
        "Additional_Strike",
        "Unnamed: 3",
        "Remarks",
    ];
    let categories =
        select(vec!["Call Resistance", "Put Support", "call resistance", "PUT SUPPORT", "Other", ""]);
    let additional = select(vec!["", "", "Yes", "no", "y", "TRUE", "a < b"]).prop_map(Cell::word).boxed();
    let additional = prop_oneof![5 => additional, 1 => Just(Cell::Number(1.0))];
    let values = (strike(), [amount(), amount(), amount(), amount(), amount()], additional);
    let named = prop_oneof![12 => name(), 1 => Just(String::new()), 1 => Just("Grand Total".to_owned())];
    let row = (named, categories, values, proptest::option::weighted(0.1, noise()));
    let order = Just((0..HEADING.len()).collect::<Vec<_>>()).prop_shuffle();
    let above = proptest::collection::vec(noise(), 0..20);
    let heading = (order, 0_usize..4, any::<bool>(), above);
    (heading, proptest::collection::vec(row, 1..24)).prop_map(|((order, way, is_symbol, above), rows)| {
        let mut grid = above;
        let spelled = |text: &str| match way {
            0 => text.to_uppercase(),
            1 => text.replace('_', " "),
            2 => format!("  {} ", text.to_lowercase().replace('_', "")),
            _ => text.to_owned(),
        };
        let title = |at: usize| if at == 0 && is_symbol { "Symbol" } else { HEADING[at] };
        grid.push(order.iter().map(|at| Cell::word(&spelled(title(*at)))).collect());
        for (name, category, (strike, amounts, additional), noise) in rows {
            // A row of noise must not look like a row of the table: only blank ones come between.
            grid.extend(noise.filter(|row| row.iter().all(|cell| *cell == Cell::word("  "))));
            let mut cells = vec![Cell::word(&name), Cell::word(category), strike];
            cells.extend(amounts);
            cells.extend([additional, Cell::word("7"), Cell::Blank]);
            grid.push(order.iter().map(|at| cells[*at].clone()).collect());
        }
        grid
    })
}

/// Label, open interest, strike.
fn half_row() -> impl Strategy<Value = [Cell; 3]> {
    let label = select(vec!["Support1", "Support2", "Resistance3", "Total OI Change", "", "see note"]);
    (label, prop_oneof![4 => amount(), 1 => Just(Cell::Blank)], strike())
        .prop_map(|(label, oi, strike)| [Cell::word(label), oi, strike])
}

fn live_grid() -> impl Strategy<Value = Grid> {
    let rows = proptest::collection::vec((half_row(), half_row()), 0..5);
    let remark =
        proptest::option::weighted(0.15, select(vec!["Optional note", "opt out of this", "", "OPTICS"]));
    // Which kind, which halves are there, how the columns are titled, the rows, what comes before.
    let group = (any::<bool>(), 0_usize..4, 0_usize..3, rows, remark);
    let block = (name(), 0_usize..7, proptest::collection::vec(group, 0..4), any::<bool>());
    (0_usize..3, 3_usize..8, proptest::collection::vec(block, 1..8)).prop_map(|(shift, gap, blocks)| {
        let mut grid = Grid::new();
        let mut line = |at: &[(usize, &[Cell])]| {
            let mut row = vec![Cell::Blank; shift + gap + 4];
            for (column, cells) in at {
                row[shift + column..][..cells.len()].clone_from_slice(cells);
            }
            grid.push(row);
        };
        for (name, way, groups, has_blank) in blocks {
            let name = name.trim();
            let heading = match way {
                0 => format!("OPT-{name}"),
                1 => format!("opt {name}"),
                2 => format!("OPT__{name}"),
                3 => format!("OPT - {name}"),
                4 => format!("OPT{name}"),
                _ => format!("OPT_{name}"),
            };
            line(&[(0, &[Cell::word(&heading), Cell::Blank, Cell::word("was OPT_LT")])]);
            for (is_support, halves, titles, rows, remark) in groups {
                if let Some(remark) = remark {
                    line(&[(0, &[Cell::word(remark)])]);
                }
                let kind = if is_support { "Support" } else { "Resistance" };
                let titles: &[&str] = [&[][..], &["OI", "Strike"], &["Strike", "OI"]][titles];
                let half = |side: &str| {
                    let name = [Cell::word(&format!("{side} {kind}"))];
                    name.into_iter().chain(titles.iter().map(|text| Cell::word(text))).collect::<Vec<_>>()
                };
                let (call, put) = (half("Call"), half("Put"));
                match halves {
                    0 => line(&[(0, &call)]),
                    1 => line(&[(gap, &put)]),
                    _ => line(&[(0, &call), (gap, &put)]),
                }
                rows.iter().for_each(|(call, put)| line(&[(0, call), (gap, put)]));
            }
            if has_blank {
                line(&[]);
            }
        }
        grid
    })
}

fn written(book: &[Sheet]) -> Vec<u8> {
    let mut workbook = Workbook::new();
    for sheet in book {
        let page = workbook.add_worksheet().set_name(&sheet.name).expect("a name for a sheet");
        for (row, cells) in (0..).zip(&sheet.grid) {
            for (column, cell) in (0..).zip(cells) {
                match cell {
                    Cell::Blank => continue,
                    Cell::Number(value) => page.write_number(row, column, *value),
                    Cell::Formula(value) => {
                        let formula = Formula::new("=SUM(A1:A2)").set_result(value.to_string());
                        page.write_formula(row, column, formula)
                    }
                    Cell::Word(text, _) => page.write_string(row, column, text),
                }
                .expect("a cell in the sheet");
            }
        }
    }
    workbook.save_to_buffer().expect("a workbook")
}

/// What the program stores of the pair is what the slow reader sees in it.
fn is_read_right(pair: &Pair) -> Result<(), TestCaseError> {
    let stage = Stage::empty();
    stage.put("Historical.xlsx", &written(&pair.historical));
    stage.put("Live.xlsx", &written(&pair.live));
    if let Some(list) = &pair.list {
        stage.put("symbols.txt", list.join("\n").as_bytes());
    }
    let output = stage.process();
    let Some((historical, live, odd)) = read(&pair.historical, &pair.live, pair.list.as_deref(), TODAY)
    else {
        prop_assert_eq!(output.status.code(), Some(1), "not refused: {:?}", output);
        return Ok(());
    };
    prop_assert!(output.status.success(), "{:?}", output);
    let rows = stage.rows();
    prop_assert_eq!(rows.0, historical);
    prop_assert_eq!(rows.1, live);
    let connection = stage.connection();
    let count = "SELECT CAST(count(*) AS TEXT) FROM row_issues WHERE kind <> 'far-from-price'";
    prop_assert_eq!(query(&connection, count), [[odd.to_string()]]);
    Ok(())
}

#[test]
fn generated_workbooks_are_read_as_a_slow_reader_reads_them() {
    let cases = std::env::var("MARKET_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(100);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    TestRunner::new(config).run(&pair(), |pair| is_read_right(&pair)).unwrap_or_else(|e| panic!("{e}"));
}
