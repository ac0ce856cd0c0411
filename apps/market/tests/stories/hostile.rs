//! Workbooks that are odd, broken or malicious inside: the right rows, or refused with the reason, within 150 MiB and two
//! seconds of processor time. `refusals` has the files that are broken as a whole.

use std::io::{Cursor, Read, Write};

use rust_xlsxwriter::{Format, Formula, Workbook, Worksheet};
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, ZipArchive};

use crate::refusals::is_refused;
use crate::stage::{Fields, Random, Stage, TODAY, declare_sizes, table, workbook, workbook_with};

/// The names that are mistaken for each other or never found, each with its own numbers.
const HISTORICAL: [[&str; 9]; 5] = [
    [
        "Stock",
        "Category",
        "Strike",
        "Prev_OI",
        "Latest_OI",
        "Call_OI_Difference",
        "Put_OI_Difference",
        "LTP",
        "Additional_Strike",
    ],
    ["LTF", "Call Resistance", "300", "40", "30", "-10", "0", "290.5", "Yes"],
    ["LT", "Call Resistance", "3600", "7", "10", "3", "", "3550", ""],
    ["M&M", "Put Support", "2900", "1000000", "1250000", "", "250000", "2990", "as of"],
    ["BAJAJ-AUTO", "Call Resistance", "152.5", "5", "", "", "", "150", ""],
];
const LIVE: [&[&str]; 12] = [
    &["OPT_LTF", "", "", "see OPT_LT"],
    &["Call Resistance", "", "", "Put Resistance"],
    &["Resistance1", "25", "300", "Resistance1", "", "Not found"],
    &["OPT_LT"],
    &["Call Resistance"],
    &["Resistance1", "11", "3600"],
    &["OPT_BAJAJ-AUTO"],
    &["Call Resistance"],
    &["Resistance1", "9", "152.5"],
    &["OPT_M&M"],
    &["Call Support", "", "", "Put Support"],
    &["", "", "", "Support1", "1249999", "2900"],
];

fn right() -> (Vec<Fields>, Vec<Fields>) {
    let row = |text: &str| text.split('|').map(str::to_owned).collect::<Fields>();
    let historical = [
        "BAJAJ-AUTO|Call Resistance|152.5|5||||150|",
        "LT|Call Resistance|3600|7|10|3||3550|",
        "LTF|Call Resistance|300|40|30|-10|0|290.5|Yes",
        "M&M|Put Support|2900|1,000,000|1,250,000||250,000|2990|as of",
    ];
    let live = [
        "BAJAJ-AUTO|Call Resistance|Resistance1|9|152.5|||",
        "LT|Call Resistance|Resistance1|11|3600|1||",
        "LTF|Call Resistance|Resistance1|25|300|-5||Yes",
        "LTF|Put Resistance|Resistance1||Not found|||",
        "M&M|Put Support|Support1|1,249,999|2900|-1||as of",
    ];
    (historical.map(row).to_vec(), live.map(row).to_vec())
}

/// One way to write a cell that is not blank.
type Way = fn(&mut Worksheet, u32, u16, &str);

fn plain(page: &mut Worksheet, row: u32, column: u16, text: &str) {
    let written = match text.parse::<f64>() {
        Ok(value) => page.write_number(row, column, value),
        Err(_) => page.write_string(row, column, text),
    };
    written.expect("a cell");
}

fn stage_of(way: Way) -> Stage {
    let stage = Stage::empty();
    stage.put("Historical.xlsx", &written(HISTORICAL.iter().map(|row| &row[..]), way));
    stage.put("Live.xlsx", &written(LIVE.into_iter(), way));
    stage
}

/// A workbook with notes before the day's sheet and a draft of tomorrow after it.
fn written<'a>(rows: impl Iterator<Item = &'a [&'a str]>, way: Way) -> Vec<u8> {
    let mut book = Workbook::new();
    book.add_worksheet().set_name("Notes").expect("a name");
    let page = book.add_worksheet().set_name("24.11.2025").expect("a name");
    for (row, cells) in (3..).zip(rows) {
        for (column, text) in (1..).zip(cells).filter(|(_, text)| !text.is_empty()) {
            way(page, row, column, text);
        }
    }
    book.add_worksheet().set_name("25.11.2025").expect("a name").write_string(0, 0, "draft").expect("a cell");
    book.save_to_buffer().expect("a workbook")
}

/// The cycle takes the workbooks, within bounds, and the rows are right.
#[track_caller]
fn is_right(stage: &Stage) {
    let output = stage.process_bounded();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stage.rows(), right());
}

/// The same, or a refusal in one line that leaves the rows of before.
#[track_caller]
fn is_right_or_refused(stage: &Stage, what: &str) -> bool {
    let output = stage.process_bounded();
    match output.status.code() {
        Some(0) => assert_eq!(stage.rows(), right(), "{what}"),
        Some(1) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.lines().count() == 1 && said.contains("the last good rows stay"), "{what}: {said}");
        }
        _ => panic!("{what}: {output:?}"),
    }
    output.status.success()
}

/// The workbook with its parts as `change` makes them of each; none leaves a part out.
fn altered(bytes: &[u8], change: impl Fn(&str, String) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("a zip");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for at in 0..archive.len() {
        let mut part = archive.by_index(at).expect("a part");
        let (name, mut text) = (part.name().expect("a name").into_owned(), String::new());
        part.read_to_string(&mut text).expect("XML");
        if let Some(content) = change(&name, text) {
            zip.start_file(name, options).expect("a part begins");
            zip.write_all(&content).expect("a part is written");
        }
    }
    zip.finish().expect("a zip is finished").into_inner()
}

/// Alters both workbooks of a stage.
fn alter(stage: &Stage, change: impl Fn(&str, String) -> Option<Vec<u8>>) {
    for name in ["Historical.xlsx", "Live.xlsx"] {
        stage.put(name, &altered(&stage.get(name), &change));
    }
}

/// Is it the sheet of the day?
fn is_sheet(name: &str) -> bool {
    name == "xl/worksheets/sheet2.xml"
}

#[test]
fn colliding_names_a_heading_below_and_a_draft_of_tomorrow_are_read_right() {
    is_right(&stage_of(plain));
}

#[test]
fn formulas_count_by_the_values_they_had() {
    is_right(&stage_of(|page, row, column, text| {
        let formula = Formula::new("=IF(TRUE,B1,\"a < b\")").set_result(text);
        page.write_formula(row, column, formula).expect("a cell");
    }));
}

#[test]
fn rich_and_inline_texts_are_texts() {
    is_right(&stage_of(|page, row, column, text| {
        let (bold, normal) = (Format::new().set_bold(), Format::new());
        match text.char_indices().nth(1) {
            Some((at, _)) if text.parse::<f64>().is_err() => {
                page.write_rich_string(row, column, &[(&normal, &text[..at]), (&bold, &text[at..])])
                    .expect("a cell");
            }
            _ => plain(page, row, column, text),
        }
    }));
    // Inline ones, and a reading aid that is no text of the cell.
    let stage = Stage::empty();
    let inline = |rows: &[&[&str]]| {
        let text = table(rows).replace("</t></is>", "</t><rPh sb=\"0\" eb=\"1\"><t>aid</t></rPh></is>");
        workbook(&[(TODAY, &text)])
    };
    stage.put("Historical.xlsx", &inline(&HISTORICAL.each_ref().map(|row| &row[..])));
    stage.put("Live.xlsx", &inline(&LIVE));
    is_right(&stage);
}

#[test]
fn merged_titles_are_one_cell_and_merged_names_are_not_lost_silently() {
    let merged = |range: &'static str| {
        move |name: &str, text: String| {
            let rule =
                format!("</sheetData><mergeCells count=\"1\"><mergeCell ref=\"{range}\"/></mergeCells>");
            Some(if is_sheet(name) { text.replace("</sheetData>", &rule) } else { text }.into_bytes())
        }
    };
    let stage = stage_of(plain);
    alter(&stage, merged("B1:J2"));
    is_right(&stage);

    let mut rows = HISTORICAL.each_ref().map(|row| row.to_vec());
    rows[2][0] = "";
    stage.put("Historical.xlsx", &altered(&written(rows.iter().map(Vec::as_slice), plain), merged("B5:B6")));
    let output = stage.process_bounded();
    assert!(output.status.success(), "{output:?}");
    let (_, message) = stage.runs().pop().expect("a run");
    assert!(message.contains("row 6 of Historical names no stock"), "{message}");
}

#[test]
fn dates_are_read_in_the_epoch_of_their_workbook() {
    for (is_1904, serial) in [(false, 45_985), (true, 44_523)] {
        let stage = stage_of(|page, row, column, text| match text {
            "as of" => {
                let date = Format::new().set_num_format("yyyy-mm-dd");
                page.write_number_with_format(row, column, 45_985, &date).map(|_| ()).expect("a cell");
            }
            _ => plain(page, row, column, text),
        });
        alter(&stage, |_, text| {
            let text = text.replace("<v>45985</v>", &format!("<v>{serial}</v>"));
            let epoch = "<workbookPr date1904=\"1\" ";
            Some(if is_1904 { text.replace("<workbookPr ", epoch) } else { text }.into_bytes())
        });
        assert!(stage.process_bounded().status.success());
        assert_eq!(stage.rows().0[3][8], "2025-11-24 00:00:00", "1904: {is_1904}");
    }
}

#[test]
fn namespaces_may_have_any_prefix() {
    let stage = stage_of(plain);
    alter(&stage, |name, text| {
        if !name.starts_with("xl/") || name.contains("rels") {
            return Some(text.into_bytes());
        }
        let text = text
            .replace('<', "<x:")
            .replace("<x:/", "</x:")
            .replace("<x:?", "<?")
            .replace("xmlns=", "xmlns:x=");
        Some(text.into_bytes())
    });
    is_right(&stage);
}

#[test]
fn other_encodings_are_read_or_refused() {
    for is_little in [true, false] {
        let stage = stage_of(plain);
        alter(&stage, |name, text| {
            if !is_sheet(name) {
                return Some(text.into_bytes());
            }
            let text = format!("\u{feff}{}", text.replace("UTF-8", "UTF-16"));
            let order = if is_little { u16::to_le_bytes } else { u16::to_be_bytes };
            Some(text.encode_utf16().flat_map(order).collect())
        });
        is_right_or_refused(&stage, "UTF-16");
    }
    let stage = stage_of(plain);
    alter(&stage, |_, text| Some(format!("\u{feff}{text}").into_bytes()));
    is_right(&stage);
}

/// Each part in turn: what the rows need is missed, what they do not need is not.
#[test]
fn a_missing_part_is_missed_only_if_rows_need_it() {
    let stage = stage_of(plain);
    is_right(&stage);
    for book in ["Historical.xlsx", "Live.xlsx"] {
        let whole = stage.get(book);
        let names: Vec<String> = ZipArchive::new(Cursor::new(&whole))
            .expect("a zip")
            .file_names()
            .map(|name| name.expect("a name").into_owned())
            .collect();
        for missing in names {
            stage.put(book, &altered(&whole, |name, text| (name != missing).then(|| text.into_bytes())));
            let is_read = is_right_or_refused(&stage, &format!("{book} without {missing}"));
            let is_needed = ["xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/sharedStrings.xml"]
                .contains(&&*missing)
                || is_sheet(&missing);
            let is_aside = missing.starts_with("docProps/") || missing.contains("theme");
            assert!(!(is_read && is_needed) && (is_read || !is_aside), "{book} without {missing}");
        }
        stage.put(book, &whole);
    }
}

#[test]
fn a_cell_in_the_last_corner_costs_nothing() {
    let stage = stage_of(|page, row, column, text| {
        plain(page, row, column, text);
        plain(page, 1_048_575, 16_383, "far away");
    });
    is_right(&stage);
}

#[test]
fn a_password_is_named() {
    let mut container = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec();
    container.resize(60_000, 0x5a);
    for name in ["Historical.xlsx", "Live.xlsx"] {
        is_refused(|stage| stage.put(name, &container), &[name, "password"]);
    }
}

/// Declared honestly and just within the ratio, or declared as nearly nothing: neither is held in memory.
#[test]
fn bombs_are_refused_within_bounds() {
    // About one part in 150 cannot be packed.
    let dense = |unit: &str, size: usize| {
        let mut random = Random::new();
        let mut out = Vec::with_capacity(size + 1024);
        while out.len() < size {
            (0..16_384 / unit.len()).for_each(|_| out.extend(unit.as_bytes()));
            let noise: String = (0..24).map(|_| format!("{:08x}", random.below(1 << 32))).collect();
            out.extend(format!("<!--{noise}-->").into_bytes());
        }
        String::from_utf8(out).expect("ASCII")
    };
    let size = 39 << 20;
    let sheets = [
        ("<row r=\"1\"><c t=\"inlineStr\"><is><t>", "word ", "</t></is></c></row>"),
        ("<row>", "<c/>", "</row>"),
        ("<row>", "<c><v>1</v></c>", "</row>"),
        ("", "<row/>", ""),
        ("", "<mergeCell ref=\"A1:B2\"/>", ""),
    ];
    for (before, unit, after) in sheets {
        let sheet = format!("<sheetData>{before}{}{after}</sheetData>", dense(unit, size));
        let bomb = workbook(&[(TODAY, &sheet)]);
        is_refused(|stage| stage.put("Live.xlsx", &bomb), &["Live.xlsx"]);
        let mut lying = bomb;
        declare_sizes(&mut lying, 1000);
        is_refused(|stage| stage.put("Live.xlsx", &lying), &["Live.xlsx", "larger than its declared"]);
    }
    let texts_of = |part: &str| {
        workbook_with(&[(TODAY, &table(&[&["OPT_ABB"]]))], &[("xl/sharedStrings.xml", part.as_bytes())])
    };
    for unit in ["<si/>", "<si><t>a</t></si>"] {
        let bomb = texts_of(&format!("<sst>{}</sst>", dense(unit, 15 << 20)));
        is_refused(|stage| stage.put("Live.xlsx", &bomb), &["Live.xlsx"]);
    }
    let bomb = texts_of(&format!("<sst>{}</sst>", dense("<si/>", 17 << 20)));
    is_refused(|stage| stage.put("Live.xlsx", &bomb), &["Live.xlsx", "its texts would be"]);
}

/// The reader makes room for as many texts as are announced; ninety gigabytes would end the process.
#[test]
fn texts_that_are_only_announced_get_no_room() {
    for count in ["4000000000", "99999999999999999999"] {
        for name in ["Historical.xlsx", "Live.xlsx"] {
            let texts = format!("<!-- --><sst count=\"1\"\n uniqueCount = '{count}'><si><t>a</t></si></sst>");
            let bomb = workbook_with(
                &[(TODAY, &table(&[&["OPT_ABB"]]))],
                &[("xl/sharedStrings.xml", texts.as_bytes())],
            );
            is_refused(|stage| stage.put(name, &bomb), &[name, "it announces"]);
        }
    }
}

/// Bytes of the parts themselves changed, with checksums that fit: whatever comes of it, it is an answer.
#[test]
fn changed_bytes_never_break_a_cycle() {
    let mut random = Random::new();
    let stage = stage_of(plain);
    is_right(&stage);
    let whole = ["Historical.xlsx", "Live.xlsx"].map(|name| (name, stage.get(name)));
    for turn in 0..40 {
        let (name, bytes) = &whole[turn % 2];
        let parts = ["worksheets/sheet2.xml", "sharedStrings.xml", "workbook.xml", "styles.xml"];
        let (harmed, way, count) = (parts[random.below(4)], random.below(3), 1 + random.below(40));
        let place = random.below(1 << 20);
        let bytes = altered(bytes, |part, text| {
            let mut bytes = text.into_bytes();
            if part.strip_prefix("xl/") == Some(harmed) {
                let at = place % bytes.len();
                let end = (at + count).min(bytes.len());
                match way {
                    0 => drop(bytes.drain(at..end)),
                    1 => bytes[at] ^= 1 << (count % 8),
                    _ => bytes.extend_from_within(at..end),
                }
            }
            Some(bytes)
        });
        stage.put(name, &bytes);
        let output = stage.process_bounded();
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "seed {}, turn {turn}, {harmed}: {output:?}",
            random.seed
        );
        stage.put(name, &whole[turn % 2].1);
    }
    is_right(&stage);
}
