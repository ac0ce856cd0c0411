//! One workbook, opened once and read once: bounds are checked first, then the sheet of the day is streamed.
//! It knows nothing of stocks; `historical` and `live` know nothing of xlsx.

use std::borrow::Cow;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Reader, SheetType, Xlsx, XlsxError};
use jiff::civil::Date;

use crate::refusal::Refusal;

pub mod bounds;
pub mod cells;
pub mod sheet_date;
pub mod whole;

pub use cells::{Cell, Row};

/// A hostile sheet can name millions of cells in few bytes.
const MAX_CELLS: usize = 6_000_000;

const REDO: &str = "let its producer write it anew, whole, and rename it into place";

/// A workbook whose sheet for the day is chosen.
pub struct Workbook {
    place: String,
    sheet: String,
    xlsx: Xlsx<Cursor<Vec<u8>>>,
}

impl Workbook {
    /// Opens the workbook and chooses the newest sheet that is not after `today`.
    pub fn open(place: &str, bytes: Vec<u8>, today: Date) -> Result<Self, Refusal> {
        bounds::check_content(place, &bytes)?;
        let xlsx = Xlsx::new(Cursor::new(bytes)).map_err(|e| unread(place, &e))?;
        let sheets = xlsx.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet);
        let names: Vec<&str> = sheets.map(|sheet| sheet.name.as_str()).collect();
        let sheet = match sheet_date::choose(&names, today) {
            Ok(at) => names[at].to_owned(),
            Err(why) => {
                return Err(Refusal::new(place, why, "check the sheet names and the clock, or give --today"));
            }
        };
        Ok(Self { place: place.to_owned(), sheet, xlsx })
    }

    /// The name of the chosen sheet.
    pub fn sheet(&self) -> &str {
        &self.sheet
    }

    /// File and sheet, for messages.
    pub fn place(&self) -> String {
        format!("{} (sheet {:?})", self.place, self.sheet)
    }

    /// Streams the chosen sheet: `each` sees every row that has a cell with something in it.
    pub fn each_row(&mut self, mut each: impl FnMut(&Row<'_>) -> Result<(), Refusal>) -> Result<(), Refusal> {
        let place = self.place();
        let refuse = |why: String| Refusal::new(place.clone(), why, REDO);
        let mut reader = self.xlsx.worksheet_cells_reader(&self.sheet).map_err(|e| unread(&place, &e))?;
        let mut row = Row::default();
        let mut count = 0;
        while let Some(cell) = reader.next_cell().map_err(|e| unread(&place, &e))? {
            count += 1;
            if count > MAX_CELLS {
                return Err(refuse(format!("it has more than {MAX_CELLS} cells")));
            }
            let number = cell.get_position().0.saturating_add(1);
            if number != row.number {
                if !row.is_blank() {
                    each(&row)?;
                }
                row.restart(number);
            }
            row.push(cell);
        }
        if !row.is_blank() {
            each(&row)?;
        }
        // The part's checksum is compared where it ends, and the cells end a little before.
        match reader.next_cell() {
            Err(XlsxError::XmlEof(_)) => Ok(()),
            Err(e) => Err(unread(&place, &e)),
            Ok(_) => Err(refuse("there are cells after the end of its table".to_owned())),
        }
    }
}

/// What the xlsx reader says. Its words hold a zero where it met wide characters.
fn unread(place: &str, error: &XlsxError) -> Refusal {
    let why = error.to_string();
    if why.contains('\0') {
        return Refusal::new(
            place,
            "it is written in UTF-16, or is no XML",
            "let its producer write it as UTF-8",
        );
    }
    Refusal::new(place, why, REDO)
}

/// Runs `read`, and makes a refusal of a panic: the xlsx reader is not ours, and some malformed sheets
/// (a backward dimension, say) trip its arithmetic.
pub fn guarded<T>(place: &str, read: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(read));
    std::panic::set_hook(hook);
    result.unwrap_or_else(|panic| {
        let words: Cow<'_, str> = if let Some(words) = panic.downcast_ref::<&str>() {
            (*words).into()
        } else if let Some(words) = panic.downcast_ref::<String>() {
            words.as_str().into()
        } else {
            "no reason given".into()
        };
        Err(Refusal::new(place, format!("the xlsx reader broke off ({words})"), REDO))
    })
}
