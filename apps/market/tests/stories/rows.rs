//! Which rows are stored, and when they are written.

use crate::stage::{Stage, TODAY, expected, market, query, table, workbook};

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

#[test]
fn the_rows_of_the_sample_are_right() {
    let stage = Stage::with_sample();
    stage.process_well();
    assert!(stage.rows() == expected("sample"), "the rows differ");
    assert_eq!(stage.runs(), [("success".to_owned(), "Processed 105/204 stocks successfully".to_owned())]);
}

#[test]
fn the_rows_of_the_oddities_are_right() {
    let stage = Stage::with("tests/oddities");
    stage.process_well();
    let (historical, live) = stage.rows();
    let (right_historical, right_live) = expected("oddities");
    for (row, right) in historical.iter().zip(&right_historical).chain(live.iter().zip(&right_live)) {
        assert_eq!(row, right);
    }
    assert_eq!((historical.len(), live.len()), (right_historical.len(), right_live.len()));
    let (status, message) = stage.runs().remove(0);
    assert_eq!(status, "success");
    assert!(message.starts_with("Processed 16/18 stocks successfully. 11 errors occurred"), "{message}");
    assert!(message.contains("2 strikes are far from the price, the first: IDEA strike 1525"), "{message}");
}

#[test]
fn without_a_list_every_stock_is_taken_by_name() {
    let stage = Stage::with("tests/oddities");
    stage.remove("symbols.txt");
    stage.process_well();
    let stocks =
        query(&stage.connection(), "SELECT stock FROM historical_data GROUP BY stock ORDER BY min(id)");
    let stocks: Vec<_> = stocks.concat();
    assert!(stocks.is_sorted(), "{stocks:?}");
    assert!(stocks.contains(&"M&M".to_owned()) && stocks.contains(&"TCS".to_owned()), "{stocks:?}");
    assert!(!stocks.contains(&"GRAND TOTAL".to_owned()), "{stocks:?}");
}

#[test]
fn unchanged_workbooks_are_not_written_again() {
    let stage = Stage::with_sample();
    stage.process_well();
    let marks = || query(&stage.connection(), "SELECT created_at FROM live_data LIMIT 1");
    let before = marks();
    let output = stage.process();
    assert!(String::from_utf8_lossy(&output.stdout).contains("workbooks unchanged"), "{output:?}");
    assert_eq!(marks(), before);
    assert_eq!(stage.runs().len(), 1);

    // A copy with another time and inode is the same workbook.
    stage.put("Live.xlsx", &stage.get("Live.xlsx"));
    stage.process_well();
    assert_eq!(marks(), before);

    // After a failure the history must say at once that all is well again.
    let live = stage.get("Live.xlsx");
    stage.remove("Live.xlsx");
    assert!(!stage.process().status.success());
    stage.put("Live.xlsx", &live);
    stage.process_well();
    let statuses: Vec<_> = stage.runs().into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, ["success", "error", "success"]);
    assert_eq!(marks(), before);
}

#[test]
fn another_day_or_another_list_is_processed_anew() {
    let stage = Stage::with_sample();
    stage.process_well();
    let (first, _) = stage.rows();
    let output = stage.process_as_of("2025-11-23");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("(Historical 21.11.2025, Live 21.11.2025)"),
        "{output:?}"
    );
    assert_ne!(stage.rows().0, first);
    stage.put("symbols.txt", b"ABB\n");
    stage.process_well();
    assert!(stage.rows().1.iter().all(|row| row[0] == "ABB"));
    assert_eq!(stage.rows().1.len(), 14);
}

#[test]
fn the_environment_says_the_same_as_the_options() {
    let stage = Stage::with_sample();
    let symbols = stage.dir().join("other.txt");
    std::fs::write(&symbols, "ABB\n").expect("a list written");
    let output = market()
        .arg("process")
        .env("MARKET_DIR", stage.dir())
        .env("MARKET_DATABASE", stage.location())
        .env("MARKET_SYMBOLS", symbols)
        .env("MARKET_TODAY", TODAY)
        .output()
        .expect("the program runs");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("processed 1/1 stocks in "), "{output:?}");
}

#[test]
fn shifted_tables_are_found_by_their_headings() {
    let stage = Stage::empty();
    let heading: Vec<&str> = [""].into_iter().chain(HEADING).collect();
    let row = ["", " m & m ", "Call Resistance", "3000", "10", "20", "10", "", "2990", ""];
    let historical = table(&[&["", "Report"], &[], &heading, &row]);
    let live = table(&[
        &["", "OPT_M&M"],
        &["", "Call Resistance", "OI", "Strike", "Put Resistance", "OI", "Strike"],
        &["", "Resistance1", "25", "3000", "Resistance1", "4", "3100"],
    ]);
    stage.put("Historical.xlsx", &workbook(&[(TODAY, &historical)]));
    stage.put("Live.xlsx", &workbook(&[("24 Nov 2025", &live)]));
    stage.process_well();
    let (historical, live) = stage.rows();
    assert_eq!(historical, [["M & M", "Call Resistance", "3000", "10", "20", "10", "", "2990", ""]]);
    assert_eq!(
        live,
        [
            ["M & M", "Call Resistance", "Resistance1", "25", "3000", "5", "", ""],
            ["M & M", "Put Resistance", "Resistance1", "4", "3100", "4", "Yes", ""],
        ]
    );
}

/// Escaped text, blanks and odd words in one row touch no other.
#[test]
fn an_odd_row_changes_nothing_before_or_after_it() {
    let stage = Stage::empty();
    let call = |strike, additional| ["ABB", "Call Resistance", strike, "1", "2", "", "", "50", additional];
    let rows = [call("40", ""), call("50", "no"), call("60", "a < b"), call("70", "M&M")];
    let historical: Vec<&[&str]> =
        std::iter::once(&HEADING[..]).chain(rows.iter().map(|row| &row[..])).collect();
    let live = table(&[
        &["OPT_ABB"],
        &["Call Resistance", "OI", "Strike"],
        &["Resistance1", "5", "40"],
        &["Resistance2 <", "6", "50"],
        &["Resistance3", "7", "80"],
    ]);
    stage.put("Historical.xlsx", &workbook(&[(TODAY, &table(&historical))]));
    stage.put("Live.xlsx", &workbook(&[(TODAY, &live)]));
    stage.process_well();
    let (historical, live) = stage.rows();
    let column = |rows: &[Vec<String>], at: usize| rows.iter().map(|row| row[at].clone()).collect::<Vec<_>>();
    assert_eq!(column(&historical, 2), ["40", "50", "60", "70"]);
    assert_eq!(column(&historical, 8), ["", "no", "a < b", "M&M"]);
    assert_eq!(column(&live, 2), ["Resistance1", "Resistance2 <", "Resistance3"]);
    assert_eq!(column(&live, 5), ["3", "4", "7"]);
}

#[test]
fn live_blocks_are_told_apart() {
    let stage = Stage::empty();
    let call = |stock, strike, latest| [stock, "Call Resistance", strike, "1", latest, "", "", strike, ""];
    let rows = [call("LT", "100", "10"), call("LTF", "300", "30"), call("PNB", "120", "")];
    let historical: Vec<&[&str]> =
        std::iter::once(&HEADING[..]).chain(rows.iter().map(|row| &row[..])).collect();
    let section: &[&str] = &["Call Resistance", "OI", "Strike"];
    let live = table(&[
        &["OPT_LTF", "", "was OPT_LT"],
        section,
        &["Resistance1", "25", "300"],
        &["opt out of this"],
        &["Resistance2", "0", "300.0"],
        &["Total OI Change", "-7", ""],
        &[],
        &["Resistance3", "9", "300"],
        &["OPT - LT"],
        section,
        &["Resistance1", "11", "100"],
        &["Resistance2", "many", "100"],
        &["OPTPNB"],
        section,
        &["Resistance1", "5", "120"],
        &["OPT_OTHER"],
        section,
        &["Resistance1", "1", "1"],
        &["OPT_LT"],
        section,
        &["Resistance1", "99", "100"],
    ]);
    stage.put("Historical.xlsx", &workbook(&[(TODAY, &table(&historical))]));
    stage.put("Live.xlsx", &workbook(&[(TODAY, &live)]));
    stage.put("symbols.txt", b"LT\nLTF\nPNB\n");
    stage.process_well();
    let section = "Call Resistance";
    assert_eq!(
        stage.rows().1,
        [
            ["LT", section, "Resistance1", "11", "100", "1", "", ""],
            ["LT", section, "Resistance2", "", "100", "", "", ""],
            ["LTF", section, "Resistance1", "25", "300", "-5", "", ""],
            ["LTF", section, "Resistance2", "0", "300", "-30", "", ""],
            ["LTF", section, "Total OI Change", "-7", "", "", "", ""],
            ["PNB", section, "Resistance1", "5", "120", "", "", ""],
        ]
    );
    let (_, message) = stage.runs().remove(0);
    let right = "Processed 3/3 stocks successfully. 2 errors occurred, the first: Live B12 (OI) is no number: \"many\"";
    assert_eq!(message, right);
}
