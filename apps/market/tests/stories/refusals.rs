//! Bad input: one clear line each, exit code 1, the reason in the history, and the last good rows untouched.

use std::net::TcpListener;

use crate::stage::{Stage, TODAY, declare_sizes, market, table, workbook, workbook_with};

/// Stores the sample, breaks something, and checks that the run is refused for the reason in `words`, within bounds.
pub fn is_refused(harm: impl FnOnce(&Stage), words: &[&str]) {
    let stage = Stage::with_sample();
    stage.process_well();
    let good = stage.rows();
    harm(&stage);
    let output = stage.process_bounded();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(output.stdout.is_empty(), "{output:?}");
    for words in words.iter().chain(&["the last good rows stay"]) {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    assert!(stage.rows() == good, "the rows changed");
    let (status, message) = stage.runs().pop().expect("a run in the history");
    assert_eq!(status, "error");
    assert_eq!(said.trim_end(), format!("market: {message}"));
}

#[test]
fn a_truncated_workbook_is_refused() {
    for name in ["Historical.xlsx", "Live.xlsx"] {
        for keep in [0, 1, 22, 1000, 50_000] {
            is_refused(|stage| stage.put(name, &stage.get(name)[..keep]), &[name, "not a whole xlsx file"]);
        }
    }
}

#[test]
fn a_flipped_bit_is_refused() {
    let harm = |stage: &Stage| {
        let mut bytes = stage.get("Live.xlsx");
        // Inside the packed data of the last, the chosen sheet.
        bytes[60_000] ^= 0x10;
        stage.put("Live.xlsx", &bytes);
    };
    // The central directory is whole, so the fingerprint is the old one; the list makes the run read it.
    is_refused(
        |stage| (harm(stage), stage.put("symbols.txt", b"ABB\nTCS\n")).1,
        &["Live.xlsx", "24.11.2025"],
    );
}

#[test]
fn a_missing_workbook_or_folder_is_refused() {
    for name in ["Historical.xlsx", "Live.xlsx"] {
        is_refused(|stage| stage.remove(name), &[name, "there is no such file"]);
    }
    is_refused(
        |stage| std::fs::remove_dir_all(stage.dir()).expect("the folder removed"),
        &["live_data", "there is no such folder", "--dir"],
    );
}

#[test]
fn a_password_is_named() {
    let mut container = vec![0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];
    container.resize(8_192, 0);
    is_refused(|stage| stage.put("Live.xlsx", &container), &["Live.xlsx", "password"]);
}

#[test]
fn a_folder_in_place_of_a_workbook_is_refused() {
    let harm = |stage: &Stage| {
        stage.remove("Live.xlsx");
        std::fs::create_dir(stage.dir().join("Live.xlsx")).expect("a folder");
    };
    is_refused(harm, &["Live.xlsx", "it is not a file"]);
}

#[test]
fn swapped_workbooks_are_refused() {
    let harm = |stage: &Stage| {
        let (historical, live) = (stage.get("Historical.xlsx"), stage.get("Live.xlsx"));
        stage.put("Historical.xlsx", &live);
        stage.put("Live.xlsx", &historical);
    };
    is_refused(harm, &["Historical.xlsx", "24.11.2025", "no heading", "swapped"]);
    let harm = |stage: &Stage| stage.put("Live.xlsx", &stage.get("Historical.xlsx"));
    is_refused(harm, &["Live.xlsx", "no row begins with OPT_"]);
}

#[test]
fn a_missing_column_is_refused_by_its_name() {
    let heading =
        ["stock", "CATEGORY", "Strike", "Prev OI", "Call_OI_Difference", "Put_OI_Difference", "ltp", "x"];
    let sheet =
        table(&[&[], &["a title"], &heading, &["ABB", "Call Resistance", "1", "1", "1", "", "1", ""]]);
    let harm = |stage: &Stage| stage.put("Historical.xlsx", &workbook(&[(TODAY, &sheet)]));
    is_refused(harm, &["Historical.xlsx", "row 3 lacks Latest_OI, Additional_Strike"]);
}

#[test]
fn a_sheet_without_content_is_refused() {
    let harm = |stage: &Stage| stage.put("Live.xlsx", &workbook(&[(TODAY, "<sheetData/>")]));
    is_refused(harm, &["Live.xlsx", "no row begins with OPT_"]);
    let harm =
        |stage: &Stage| stage.put("Live.xlsx", &workbook(&[(TODAY, &table(&[&["OPT_ABB"], &["x", "1"]]))]));
    is_refused(harm, &["Live.xlsx", "no block has a heading"]);
    let harm = |stage: &Stage| stage.put("symbols.txt", b"NOSUCH\n");
    is_refused(harm, &["Historical.xlsx", "names a wanted stock", "symbols"]);
    let harm = |stage: &Stage| stage.put("symbols.txt", b"\n# nothing\n");
    is_refused(harm, &["symbols.txt", "no symbol is in it"]);
}

#[test]
fn only_future_sheets_are_refused() {
    let harm = |stage: &Stage| stage.put("Live.xlsx", &workbook(&[("25.11.2025", "<sheetData/>")]));
    is_refused(harm, &["Live.xlsx", "every dated sheet is after today (2025-11-24)", "25.11.2025"]);
}

#[test]
fn a_sparse_sheet_costs_nothing_and_is_refused() {
    let corners = "<sheetData><row r=\"1\"><c r=\"A1\"><v>1</v></c></row>\
                   <row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row></sheetData>";
    let harm = |stage: &Stage| stage.put("Historical.xlsx", &workbook(&[(TODAY, corners)]));
    is_refused(harm, &["Historical.xlsx", "no heading"]);
    let harm = |stage: &Stage| stage.put("Live.xlsx", &workbook(&[(TODAY, corners)]));
    is_refused(harm, &["Live.xlsx", "no row begins with OPT_"]);
}

#[test]
fn sizes_beyond_bounds_are_refused_before_anything_is_inflated() {
    let declared = |size| {
        move |stage: &Stage| {
            let mut bytes = stage.get("Live.xlsx");
            declare_sizes(&mut bytes, size);
            stage.put("Live.xlsx", &bytes);
        }
    };
    is_refused(declared(0xF000_0000), &["Live.xlsx", "would be 4026531840 bytes"]);
    is_refused(declared(30 << 20), &["Live.xlsx", "would grow from"]);
    // A part that declares less than it holds is stopped when it gets there.
    is_refused(declared(100), &["Live.xlsx"]);

    let blank = vec![b' '; 30 << 20];
    let harm =
        |stage: &Stage| stage.put("Live.xlsx", &workbook_with(&[], &[("xl/worksheets/sheet9.xml", &blank)]));
    is_refused(harm, &["Live.xlsx", "xl/worksheets/sheet9.xml would grow from"]);

    let names: Vec<String> = (0..65).map(|at| format!("part{at}")).collect();
    let parts: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let harm = |stage: &Stage| stage.put("Live.xlsx", &workbook_with(&[], &parts));
    is_refused(harm, &["Live.xlsx", "68 parts"]);
}

/// The xlsx reader keeps them in memory at a multiple of their size.
#[test]
fn parts_and_cells_that_would_take_much_memory_are_refused() {
    let blank = vec![b' '; 17 << 20];
    let harm =
        |stage: &Stage| stage.put("Live.xlsx", &workbook_with(&[], &[("xl/sharedStrings.xml", &blank)]));
    is_refused(harm, &["Live.xlsx", "its texts would be 17825792 bytes, more than"]);
    for (name, size) in [("xl/styles.xml", 3 << 20), ("x/y.rels", 3 << 20)] {
        let harm = |stage: &Stage| stage.put("Live.xlsx", &workbook_with(&[], &[(name, &blank[..size])]));
        is_refused(harm, &["Live.xlsx", &format!("its part {name} would be {size} bytes, more than")]);
    }
    let strings = b"<sst uniqueCount=\"4000000000\"><si/></sst>";
    let harm = |stage: &Stage| {
        stage.put("Live.xlsx", &workbook_with(&[(TODAY, "")], &[("xl/sharedStrings.xml", strings)]))
    };
    is_refused(harm, &["Live.xlsx", "it announces 4000000000 texts in 41 bytes"]);
    // Text that is split by comments is held at once, too.
    let split = "x<!---->".repeat(600_000);
    let harm = |stage: &Stage| stage.put("Live.xlsx", &workbook(&[(TODAY, &format!("{split}<sheetData/>"))]));
    is_refused(harm, &["Live.xlsx", "sheet1.xml is large and holds comments"]);
    // Not so dense that the density alone is refused.
    let words: String = (0..40_000).map(|at| format!("{at:0<128}")).collect();
    for sheet in [table(&[&["OPT_ABB"], &[&words]]), format!("<sheetData x=\"{words}\"></sheetData>")] {
        let harm = |stage: &Stage| stage.put("Live.xlsx", &workbook(&[(TODAY, &sheet)]));
        is_refused(harm, &["Live.xlsx", "sheet1.xml is large and holds a piece of more than 1 MiB"]);
    }
}

#[test]
fn malformed_sheets_are_refused_and_nothing_panics() {
    for data in [
        "<dimension ref=\"B5:A1\"/><sheetData></sheetData>",
        "<dimension/><sheetData></sheetData>",
        "<sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>7</v></c></row></sheetData>",
        "<sheetData><row r=\"1\"><c r=\"A1\" t=\"n\"><v>+1</v></c></row></sheetData>",
        "<sheetData><row r=\"99999999999\"><c r=\"ZZZZZZ9999999999\"><v>1</v></c></row></sheetData>",
        "<sheetData><row r=\"1\"><c r=\"A1\"",
        "",
    ] {
        let harm = |stage: &Stage| stage.put("Historical.xlsx", &workbook(&[(TODAY, data)]));
        is_refused(harm, &["Historical.xlsx"]);
    }
    let harm = |stage: &Stage| stage.put("Live.xlsx", &workbook(&[]));
    is_refused(harm, &["Live.xlsx", "no sheet"]);
}

#[test]
fn a_bad_date_is_refused_before_anything_is_touched() {
    let stage = Stage::with_sample();
    for day in ["yesterday", "2025-02-30", ""] {
        let output = stage.process_as_of(day);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--today"), "{output:?}");
    }
    assert!(!stage.database().exists());
}

#[test]
fn a_database_that_cannot_be_opened_is_named() {
    let stage = Stage::with_sample();
    let at = stage.dir().join("nowhere").join("market.db");
    let output = market().arg("process").arg("--dir").arg(stage.dir()).arg("--database").arg(&at).output();
    let output = output.expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("nowhere") && said.contains("--database"), "{said}");

    std::fs::write(stage.database(), "this is no database, but it is long enough to be looked at")
        .expect("a file");
    let output = stage.process();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("market.db") && said.contains("not a database"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let stage = Stage::empty();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let mut command = market();
    let command = command.args(["serve", "--database"]).arg(stage.location()).env("PORT", &port);
    let output = command.output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains(&format!("cannot listen on 127.0.0.1:{port}")) && said.contains("--port"),
        "{said}"
    );
}
