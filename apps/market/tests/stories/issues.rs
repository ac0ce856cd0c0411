//! What is odd in a workbook is kept by its cell, whatever becomes of the row.

use crate::stage::{Fields, Stage, TODAY, query, table, workbook};

const HEADING: [&str; 9] = [
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

fn issues(stage: &Stage) -> Vec<Fields> {
    query(&stage.connection(), "SELECT workbook, cell, stock, kind, message FROM row_issues ORDER BY id")
}

fn put(stage: &Stage, historical: &[&[&str]], live: &[&[&str]]) {
    let historical: Vec<&[&str]> = std::iter::once(&HEADING[..]).chain(historical.iter().copied()).collect();
    stage.put("Historical.xlsx", &workbook(&[(TODAY, &table(&historical))]));
    stage.put("Live.xlsx", &workbook(&[(TODAY, &table(live))]));
}

#[test]
fn each_kind_of_oddity_has_its_row() {
    let stage = Stage::empty();
    stage.put("symbols.txt", b"ABB\nM&M\n");
    let right = ["ABB", "Call Resistance", "50", "10", "20", "10", "", "49", ""];
    put(
        &stage,
        &[
            &right,
            // W9 and W10: words, percents and versions are no numbers; 1e5 and a minus are.
            &["ABB", "Call Resistance", "60", "NA", "12%", "1e5", "(5)", "1.2.3", ""],
            &["", "Put Support", "70", "1", "1", "", "", "49", ""],
            &["ABB", "Put Support", "490", "1", "2", "", "", "49", ""],
            &["NOBODY", "Put Support", "odd", "odd", "2", "", "", "49", ""],
            &["m&m", "Put Support", "many", "1", "2", "", "", "49", ""],
        ],
        &[
            &["OPT_ABB"],
            &["Call Support", "OI", "Strike"],
            &["Support1", "none", "50"],
            &["Support2", "5", "Not found"],
            &["Support3", "6", "fifty"],
            &["Call Support", "OI", "Strike"],
            &["Support1", "7", "50"],
            &["OPT_ABB"],
            &["Call Support", "OI", "Strike"],
            &["Support1", "odd", "50"],
        ],
    );
    stage.process_well();
    let number = |workbook: &str, cell: &str, stock: &str, heading: &str, text: &str| {
        let message = format!("{workbook} {cell} ({heading}) is no number: {text:?}");
        [workbook.to_owned(), cell.to_owned(), stock.to_owned(), "not-a-number".to_owned(), message]
    };
    let other = |fields: [&str; 5]| fields.map(str::to_owned);
    let right = [
        number("Historical", "D3", "ABB", "Prev_OI", "NA"),
        number("Historical", "E3", "ABB", "Latest_OI", "12%"),
        number("Historical", "H3", "ABB", "LTP", "1.2.3"),
        other(["Historical", "4", "", "no-stock", "row 4 of Historical names no stock"]),
        other(["Historical", "C5", "ABB", "far-from-price", "ABB strike 490 at 49"]),
        number("Historical", "C7", "M&M", "Strike", "many"),
        number("Live", "B3", "ABB", "OI", "none"),
        number("Live", "C5", "ABB", "Strike", "fifty"),
        other(["Live", "6", "ABB", "second-section", "row 6 of Live begins Call Support of ABB anew"]),
        other(["Live", "8", "ABB", "second-block", "row 8 of Live begins a second block of ABB"]),
    ];
    assert_eq!(issues(&stage), right);
    let count = "SELECT CAST(issues AS TEXT) FROM processing_metadata";
    assert_eq!(query(&stage.connection(), count), [["10"]]);

    // With the cells mended the rows of oddities are gone.
    put(
        &stage,
        &[&["ABB", "Call Resistance", "50", "10", "20", "10", "", "49", ""]],
        &[&["OPT_ABB"], &["Call Support", "OI", "Strike"], &["Support1", "7", "50"]],
    );
    stage.process_well();
    assert!(issues(&stage).is_empty());
}

#[test]
fn many_oddities_are_counted_and_some_are_kept() {
    let stage = Stage::empty();
    let odd = ["ABB", "Call Resistance", "50", "odd", "20", "10", "", "49", ""];
    let rows: Vec<&[&str]> = std::iter::repeat_n(&odd[..], 1_500).collect();
    put(&stage, &rows, &[&["OPT_ABB"], &["Call Support", "OI", "Strike"], &["Support1", "odd", "50"]]);
    stage.process_well();
    let kept = issues(&stage);
    assert!((500..=1_000).contains(&kept.len()), "{} are kept", kept.len());
    assert_eq!(kept.last().expect("an oddity")[0], "Live");
    let (_, message) = stage.runs().remove(0);
    assert!(message.contains(". 1501 errors occurred, the first: Historical D2 (Prev_OI)"), "{message}");
    assert_eq!(stage.rows().0.len(), 1_500);
}

/// One line each six seconds for a year would be five million.
#[test]
fn the_history_of_runs_does_not_grow_for_ever() {
    let stage = Stage::with("tests/oddities");
    stage.process_well();
    let fill = "WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < 21000) \
                INSERT INTO processing_metadata (status, message) SELECT 'success', 'filler' FROM more";
    stage.change(fill);
    stage.put("symbols.txt", b"TCS\n");
    stage.process_well();
    let count = query(&stage.connection(), "SELECT CAST(count(*) AS TEXT) FROM processing_metadata");
    assert_eq!(count, [["20000"]]);
    assert!(stage.runs().last().expect("the last run").1.starts_with("Processed 1/1"));
}
