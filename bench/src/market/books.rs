//! Workbooks to measure with: twenty thousand made-up stocks, another version of a live workbook, and the least that any
//! reader must do with one.

use std::io::{Cursor, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use rust_xlsxwriter::Workbook;
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, ZipArchive};

/// The argument by which the bench knows that it is to do the least with a folder of workbooks.
pub const LIMIT: &str = "__limit";
/// Both workbooks of a folder.
pub const NAMES: [&str; 2] = ["Historical.xlsx", "Live.xlsx"];

/// Writes both workbooks and the list of this many stocks, in the shape of the sample: seven and fourteen rows each.
pub fn make(folder: &Path, stocks: usize) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let names: Vec<String> = (0..stocks).map(|at| format!("ST{at:05}")).collect();
    std::fs::write(folder.join("symbols.txt"), names.join("\n"))?;
    let amount = |stock: usize, row: usize| ((stock * 7919 + row * 104_729) % 90_000 * 100) as f64;
    let mut book = Workbook::new();
    let page = book.add_worksheet().set_name("24.11.2025")?;
    let heading =
        "Stock Category Strike Prev_OI Latest_OI Call_OI_Difference Put_OI_Difference LTP Additional_Strike";
    page.write_row(0, 0, heading.split(' '))?;
    let mut at = 0;
    for (stock, name) in names.iter().enumerate() {
        for row in 0..7 {
            at += 1;
            let (category, difference) = if row < 4 { ("Call Resistance", 5) } else { ("Put Support", 6) };
            page.write_string(at, 0, name)?.write_string(at, 1, category)?;
            page.write_number(at, 2, (100 + 10 * row) as f64)?.write_number(at, 3, amount(stock, row))?;
            page.write_number(at, 4, amount(stock, row + 1))?;
            page.write_number(at, difference, amount(stock, row + 1) - amount(stock, row))?;
            page.write_number(at, 7, 120.5)?;
        }
    }
    book.save(folder.join(NAMES[0]))?;
    let mut book = Workbook::new();
    let page = book.add_worksheet().set_name("24.11.2025")?;
    let mut at = 0;
    for (stock, name) in names.iter().enumerate() {
        page.write_string(at, 0, format!("OPT_{name}"))?;
        for (kind, rows) in [("Support", 3), ("Resistance", 4)] {
            at += 1;
            page.write_string(at, 0, format!("Call {kind}"))?.write_string(at, 6, format!("Put {kind}"))?;
            for row in 0..rows {
                at += 1;
                for column in [0, 6] {
                    page.write_string(at, column, format!("{kind}{}", row + 1))?;
                    page.write_number(at, column + 1, amount(stock, row + 3))?;
                    page.write_number(at, column + 2, (100 + 10 * row) as f64)?;
                }
            }
        }
        at += 2;
    }
    Ok(book.save(folder.join(NAMES[1]))?)
}

/// The workbook with half of its round numbers changed, in each of its sheets.
pub fn changed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for at in 0..archive.len() {
        let mut part = archive.by_index(at)?;
        let (name, mut text) = (part.name()?.into_owned(), String::new());
        part.read_to_string(&mut text)?;
        zip.start_file(&name, options)?;
        // A cell of type `s` holds the place of its text among all texts.
        let number = |cell: &str| {
            if cell.contains("t=\"s\"") { cell.to_owned() } else { cell.replace("00</v>", "50</v>") }
        };
        if name.contains("sheets/") {
            text = text.split("<c ").map(number).collect::<Vec<_>>().join("<c ");
        }
        zip.write_all(text.as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Inflates the last sheet of each workbook and its texts, and looks at every byte once.
pub fn limit(folder: &Path) -> Result<()> {
    let mut tags = 0;
    for name in NAMES {
        let bytes = std::fs::read(folder.join(name))?;
        let mut archive = ZipArchive::new(Cursor::new(bytes))?;
        let sheets =
            (1..).take_while(|at| archive.index_for_name(&format!("xl/worksheets/sheet{at}.xml")).is_some());
        let last = sheets.last().context("a workbook without a sheet")?;
        for part in [format!("xl/worksheets/sheet{last}.xml"), "xl/sharedStrings.xml".to_owned()] {
            let Ok(mut part) = archive.by_name(&part) else { continue };
            let mut piece = [0; 1 << 16];
            loop {
                let length = part.read(&mut piece)?;
                if length == 0 {
                    break;
                }
                tags += piece[..length].iter().filter(|byte| **byte == b'<').count();
            }
        }
    }
    println!("{tags}");
    Ok(())
}
