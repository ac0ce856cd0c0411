//! What the market reads: workbooks, as bytes and as parts inside a whole zip, and quotes.

use std::io::{Cursor, Write};

use jiff::civil::date;
use market::inner::{
    Historical, Live, Quote, Roster, Session, Workbook, bounds, guarded, is_symbol, number, number_text,
    read_all,
};
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, ZipArchive};

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
/// The parts that may be given; the first ones must be there.
const PARTS: [&str; 5] = [
    "xl/worksheets/sheet1.xml",
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
    "xl/sharedStrings.xml",
    "xl/styles.xml",
];

/// A pair of workbooks, of which the first is given: whole, or by its parts. It is taken, twice alike, or refused in one line.
pub fn workbooks(data: &[u8]) {
    let Some((kind, rest)) = super::choose(data, 4) else { return };
    if let Ok(text) = str::from_utf8(rest)
        && let Some(value) = number(text)
    {
        assert_eq!(number(&number_text(value)), Some(value), "{text}");
    }
    let bytes = if kind < 2 { rest.to_vec() } else { zipped(rest) };
    let read = || if kind % 2 == 0 { historical(&bytes) } else { live(&bytes) };
    let told = read();
    if let Err(why) = &told {
        assert!(why.starts_with("cannot use A.xlsx") && why.lines().count() == 1, "{why}");
    }
    assert_eq!(read(), told);
}

fn historical(bytes: &[u8]) -> Result<String, String> {
    let mut roster = Roster::open();
    let found = of(bytes, |book| Historical::read(book, &mut roster))?;
    let stocks: Vec<_> =
        roster.stocks().iter().map(|(name, key)| format!("{name} {:?}", found.rows(*key))).collect();
    assert!(!stocks.is_empty(), "a sheet without rows is refused");
    Ok(stocks.join("\n"))
}

fn live(bytes: &[u8]) -> Result<String, String> {
    let mut roster = Roster::open();
    let known = Historical::default();
    let found = of(bytes, |book| Live::read(book, &mut roster, &known))?;
    let stocks = roster.stocks().to_vec();
    let rows = stocks.iter().map(|(name, key)| format!("{name} {:?}", found.rows(*key).collect::<Vec<_>>()));
    Ok(rows.collect::<Vec<_>>().join("\n"))
}

fn of<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Workbook) -> Result<T, market::inner::Refusal>,
) -> Result<T, String> {
    let read = || {
        bounds::check("A.xlsx", bytes)?;
        read(&mut Workbook::open("A.xlsx", bytes.to_vec(), date(2025, 11, 24))?)
    };
    guarded("A.xlsx", read).map_err(|refusal| refusal.to_string())
}

/// A zip of the parts that are given, each ended by a byte that no text has; those that are left out are plain ones.
fn zipped(data: &[u8]) -> Vec<u8> {
    let sheet = format!("<worksheet xmlns=\"{MAIN}\"><sheetData/></worksheet>");
    let book = format!(
        "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"24.11.2025\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>"
    );
    let links = format!(
        "<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"rId1\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
         <Relationship Id=\"rId2\" Type=\"{OFFICE}/sharedStrings\" Target=\"sharedStrings.xml\"/></Relationships>"
    );
    let root = format!(
        "<Relationships xmlns=\"{PACKAGE}\"><Relationship Id=\"rId1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
    );
    let plain = [sheet, book, links, String::new(), String::new()];
    let mut given = data.split(|byte| *byte == 0xff);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut put = |name: &str, bytes: &[u8]| {
        zip.start_file(name, options).expect("a part begins");
        zip.write_all(bytes).expect("a part is written");
    };
    put("_rels/.rels", root.as_bytes());
    for (name, plain) in PARTS.iter().zip(&plain) {
        let bytes = given.next().filter(|bytes| !bytes.is_empty()).unwrap_or(plain.as_bytes());
        if !bytes.is_empty() {
            put(name, bytes);
        }
    }
    let bytes = zip.finish().expect("a zip is finished").into_inner();
    assert!(ZipArchive::new(Cursor::new(&bytes)).is_ok());
    bytes
}

/// A provider's list: what is told has a symbol, and all of its numbers, and those that follow from them, are numbers.
pub fn quotes(data: &[u8]) {
    let Ok(list) = serde_json::from_slice(data) else { return };
    let Some(answer) = read_all(&list) else { return };
    assert_eq!(answer.told.len() + answer.nameless, list.as_array().map_or(0, Vec::len));
    for told in answer.told {
        assert!(is_symbol(&told.symbol), "{told:?}");
        let prices = [told.pre.amount, told.regular.amount, told.post.amount, told.previous_close, told.open];
        assert!(prices.into_iter().flatten().all(|price| price.is_finite() && price > 0.0), "{told:?}");
        for session in [Session::Pre, Session::Regular, Session::After, Session::Closed] {
            let Some(quote) = Quote::of(told.clone(), session) else { continue };
            let numbers =
                [Some(quote.price), quote.gap, quote.change, quote.relative_volume, quote.open, quote.volume];
            assert!(numbers.into_iter().flatten().all(f64::is_finite), "{quote:?}");
            assert_eq!(quote.class.is_some(), quote.gap.is_some());
        }
    }
}
