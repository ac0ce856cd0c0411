//! What a workbook may ask of the machine, judged by the zip's central directory before anything is inflated.
//! The zip reader stops a part that grows past its declared size, so a lie about sizes does not help either.
//! The xlsx reader keeps some parts, and each single piece of text, in memory; so these are bounded more narrowly.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::refusal::Refusal;

const MAX_PARTS: usize = 64;
const MAX_PART: u64 = 64 << 20;
/// Each string costs a multiple of its bytes.
const MAX_STRINGS: u64 = 16 << 20;
/// No string is shorter: `<si/>`.
const MIN_STRING: u64 = 5;
/// Each style costs forty times its bytes.
const MAX_TABLE: u64 = 2 << 20;
/// No cell of Excel has more than 32,767 characters.
const MAX_PIECE: usize = 1 << 20;
/// A part of this size may be one piece.
const LARGE: u64 = 4 << 20;
/// What an old workbook begins with, and one under a password: both are OLE containers, and no zip.
const OLE: [u8; 8] = [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];
const MAX_TOGETHER: u64 = 256 << 20;
const MAX_RATIO: u64 = 200;
/// Small parts may be as dense as they like.
const RATIO_FROM: u64 = 1 << 20;

/// Checks the sizes in `bytes` and returns a fingerprint of the content: names, sizes and checksums of the
/// parts.
pub fn check(place: &str, bytes: &[u8]) -> Result<u64, Refusal> {
    let remedy = "let its producer write it anew, whole, and rename it into place";
    let refuse = |why: String| Refusal::new(place, why, remedy);
    if bytes.starts_with(&OLE) {
        let why = "it has a password, or is an old .xls file";
        return Err(Refusal::new(place, why, "save it as .xlsx without a password"));
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|e| refuse(format!("it is not a whole xlsx file of {} bytes ({e})", bytes.len())))?;
    if archive.len() > MAX_PARTS {
        return Err(refuse(format!("it has {} parts, more than {MAX_PARTS}", archive.len())));
    }
    let mut together: u64 = 0;
    let mut packed_together: u64 = 0;
    let mut print = Fingerprint::default();
    for at in 0..archive.len() {
        let part =
            archive.by_index_raw(at).map_err(|e| refuse(format!("part {at} cannot be found ({e})")))?;
        let name = String::from_utf8_lossy(part.name_raw()).into_owned();
        let (size, packed) = (part.size(), part.compressed_size());
        if part.encrypted() {
            return Err(Refusal::new(place, "it is encrypted", "save it without a password"));
        }
        let most = most(&name);
        if size > most && most == MAX_STRINGS {
            return Err(refuse(format!("its texts would be {size} bytes, more than {most}")));
        }
        if size > most {
            return Err(refuse(format!("its part {name} would be {size} bytes, more than {most}")));
        }
        if size > RATIO_FROM && size / MAX_RATIO > packed {
            return Err(refuse(format!("its part {name} would grow from {packed} to {size} bytes")));
        }
        together = together.saturating_add(size);
        packed_together = packed_together.saturating_add(packed);
        // These tell who wrote it and when; no cell is in them.
        if !name.starts_with("docProps/") {
            print.take(name.as_bytes());
            print.take(&size.to_le_bytes());
            print.take(&part.crc32().to_le_bytes());
        }
    }
    if together > MAX_TOGETHER {
        return Err(refuse(format!("its parts would be {together} bytes, more than {MAX_TOGETHER}")));
    }
    if packed_together > bytes.len() as u64 {
        return Err(refuse("its parts overlap".to_owned()));
    }
    Ok(print.0)
}

/// How large a part may be.
fn most(name: &str) -> u64 {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name).to_ascii_lowercase();
    match last.as_str() {
        "sharedstrings.xml" => MAX_STRINGS,
        "styles.xml" | "workbook.xml" => MAX_TABLE,
        other if other.ends_with(".rels") => MAX_TABLE,
        _ => MAX_PART,
    }
}

/// Checks what sizes do not tell: that no large part is a single piece of text, a single tag, or text that comments split
/// into pieces; and that no more strings are announced than there can be.
pub fn check_content(place: &str, bytes: &[u8]) -> Result<(), Refusal> {
    let refuse = |why: String| Refusal::new(place, why, "check what was put there");
    let unread = |e: &dyn std::error::Error| refuse(format!("a part of it cannot be read ({e})"));
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| unread(&e))?;
    let mut chunk = Vec::new();
    for at in 0..archive.len() {
        let part = archive.by_index_raw(at).map_err(|e| unread(&e))?;
        let name = String::from_utf8_lossy(part.name_raw()).into_owned();
        let (is_large, is_strings) = (part.size() > LARGE, most(&name) == MAX_STRINGS);
        drop(part);
        if is_strings {
            let mut strings = Vec::new();
            let mut part = archive.by_index(at).map_err(|e| unread(&e))?;
            part.read_to_end(&mut strings).map_err(|e| unread(&e))?;
            let count = announced(&strings);
            if count > strings.len() as u64 / MIN_STRING {
                return Err(refuse(format!("it announces {count} texts in {} bytes", strings.len())));
            }
        }
        if !is_large {
            continue;
        }
        chunk.resize(64 << 10, 0);
        let mut part = archive.by_index(at).map_err(|e| unread(&e))?;
        let (mut piece, mut is_opened) = (0, false);
        loop {
            let length = part.read(&mut chunk).map_err(|e| unread(&e))?;
            let Some(read) = chunk.get(..length).filter(|read| !read.is_empty()) else { break };
            piece = memchr::memrchr(b'<', read).map_or(piece + length, |last| length - last);
            let has_comment = is_opened && read[0] == b'!' || memchr::memmem::find(read, b"<!").is_some();
            is_opened = read.ends_with(b"<");
            if piece > MAX_PIECE || has_comment {
                let what = if has_comment { "comments" } else { "a piece of more than 1 MiB" };
                return Err(refuse(format!("its part {name} is large and holds {what}")));
            }
        }
    }
    Ok(())
}

/// The greatest number that could be meant as that of the strings: the xlsx reader makes room for so many before it has
/// seen one, and a room that is not to be had ends the process.
fn announced(strings: &[u8]) -> u64 {
    const NAME: &[u8] = b"uniqueCount";
    let number = |at: usize| {
        let rest = strings[at + NAME.len()..].iter().skip_while(|byte| b" \t\r\n=\"'+".contains(byte));
        let digits = rest.take_while(|byte| byte.is_ascii_digit());
        digits.fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    };
    memchr::memmem::find_iter(strings, NAME).map(number).max().unwrap_or(0)
}

/// FNV-1a: the same on every machine and in every build, which std's hasher does not promise.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprint(pub u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    /// Mixes in `bytes` and their length.
    pub fn take(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&(bytes.len() as u64).to_le_bytes()) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
